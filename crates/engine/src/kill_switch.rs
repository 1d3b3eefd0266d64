//! The kill switch: everything canceled and nothing let in, for an account, a session, a class, or the exchange.

use core::mem::offset_of;
use std::collections::BTreeSet;

use joulebook_ledger::AccountIx;
use joulebook_protocol::messages::KillSwitch;
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{ClassCode, Role};

use crate::cancel::{CancelFilter, Requester};
use crate::instruments::InstrumentIx;
use crate::request::{Done, Rejection};
use crate::sessions::{Session, SessionIx};
use crate::{Engine, Events};

/// Classes that may be disabled at a time.
pub(crate) const CLASSES_MAX: usize = 1_024;

/// Who keeps orders out. What an operator disabled, only an operator enables again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DisabledBy {
    Trader,
    Operator,
}

/// What the operator keeps out beyond accounts and sessions.
#[derive(Debug, Default)]
pub(crate) struct Disabled {
    pub(crate) exchange: bool,
    pub(crate) classes: BTreeSet<ClassCode>,
}

impl Disabled {
    /// Whether orders are kept out of the exchange, or of any class.
    #[inline]
    pub(crate) fn is_anybody(&self) -> bool {
        self.exchange || !self.classes.is_empty()
    }
}

/// What a kill switch switches.
#[derive(Clone, Copy, Debug)]
enum Scope {
    Account(AccountIx),
    Session(SessionIx),
    Class(ClassCode),
    Exchange,
}

impl Engine {
    /// Refuses entry to a session that is, or whose account or whole exchange is, switched off.
    #[inline(always)]
    pub(crate) fn check_entry(&self, session: SessionIx) -> Result<(), Rejection> {
        let Session { account, disabled, .. } = self.sessions[session];
        if self.disabled.exchange {
            return Err(entry_disabled(KillSwitch::SCOPE_EXCHANGE));
        }
        if self.accounts[account].disabled.is_some() {
            return Err(entry_disabled(KillSwitch::SCOPE_ACCOUNT));
        }
        if disabled.is_some() {
            return Err(entry_disabled(KillSwitch::SCOPE_SESSION));
        }
        Ok(())
    }

    /// Refuses entry to the instruments of a class that is switched off.
    #[inline(always)]
    pub(crate) fn check_class_entry(&self, ix: InstrumentIx) -> Result<(), Rejection> {
        if self.disabled.classes.is_empty() {
            return Ok(());
        }
        if self.disabled.classes.contains(&self.instruments[ix].product.class) {
            return Err(entry_disabled(KillSwitch::SCOPE_CLASS));
        }
        Ok(())
    }

    pub(crate) fn kill_switch(
        &mut self,
        session: SessionIx,
        switch: &KillSwitch,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let by = match self.accounts[self.sessions[session].account].roles.has(Role::Operator) {
            true => DisabledBy::Operator,
            false => DisabledBy::Trader,
        };
        let scope = self.check_kill_switch(session, switch, by)?;
        let mut canceled_orders = 0;
        if switch.action == KillSwitch::KILL {
            self.disable_entry(scope, by);
            let requester = Requester { session, request: switch.client_order_id };
            canceled_orders = self.kill_orders(scope, requester, out);
        } else {
            self.enable_entry(scope);
        }
        Ok(self.request_done(session, switch, u64::from(canceled_orders), out))
    }

    fn check_kill_switch(
        &self,
        session: SessionIx,
        switch: &KillSwitch,
        by: DisabledBy,
    ) -> Result<Scope, Rejection> {
        use RejectReason::*;
        let field = Rejection::field;
        let own = self.sessions[session].account;
        let account_offset = offset_of!(KillSwitch, account);
        let account_matters = matches!(switch.scope, KillSwitch::SCOPE_ACCOUNT | KillSwitch::SCOPE_SESSION);
        if by == DisabledBy::Trader {
            if matches!(switch.scope, KillSwitch::SCOPE_CLASS | KillSwitch::SCOPE_EXCHANGE) {
                return Err(Rejection::whole(NotAuthorised));
            }
            if !switch.account.is_none() && switch.account != self.accounts[own].id {
                return Err(field(NotAuthorised, account_offset));
            }
        }
        if !(KillSwitch::SCOPE_ACCOUNT..=KillSwitch::SCOPE_EXCHANGE).contains(&switch.scope) {
            return Err(field(InvalidChoice, offset_of!(KillSwitch, scope)).met(0, switch.scope));
        }
        if !matches!(switch.action, KillSwitch::KILL | KillSwitch::ENABLE) {
            return Err(field(InvalidChoice, offset_of!(KillSwitch, action)).met(0, switch.action));
        }
        let account = match switch.account.is_none() || !account_matters {
            true => own,
            false => self.accounts.find(switch.account).ok_or(field(UnknownAccount, account_offset))?,
        };
        let scope = match switch.scope {
            KillSwitch::SCOPE_ACCOUNT => Scope::Account(account),
            KillSwitch::SCOPE_SESSION => {
                let found = self.sessions.find(self.accounts[account].id, switch.session);
                let unknown = field(InvalidChoice, offset_of!(KillSwitch, session));
                Scope::Session(found.ok_or(unknown.met(0, switch.session.raw()))?)
            }
            KillSwitch::SCOPE_CLASS => self.check_killed_class(switch)?,
            KillSwitch::SCOPE_EXCHANGE => Scope::Exchange,
            unknown => unreachable!("scope {unknown} was refused"),
        };
        if switch.action == KillSwitch::ENABLE && self.disabled_by(scope) > Some(by) {
            return Err(field(NotAuthorised, offset_of!(KillSwitch, action)));
        }
        Ok(scope)
    }

    fn check_killed_class(&self, switch: &KillSwitch) -> Result<Scope, Rejection> {
        let field = |reason| Rejection::field(reason, offset_of!(KillSwitch, class));
        switch.class.validate().map_err(|_| field(RejectReason::InvalidCode))?;
        let classes = &self.disabled.classes;
        if switch.action == KillSwitch::KILL
            && classes.len() >= CLASSES_MAX
            && !classes.contains(&switch.class)
        {
            return Err(field(RejectReason::InvalidCount).met(CLASSES_MAX, CLASSES_MAX + 1));
        }
        Ok(Scope::Class(switch.class))
    }

    /// Who keeps orders of the scope out; classes and the exchange are the operator's alone.
    fn disabled_by(&self, scope: Scope) -> Option<DisabledBy> {
        let operator = |disabled: bool| disabled.then_some(DisabledBy::Operator);
        match scope {
            Scope::Account(account) => self.accounts[account].disabled,
            Scope::Session(session) => self.sessions[session].disabled,
            Scope::Class(class) => operator(self.disabled.classes.contains(&class)),
            Scope::Exchange => operator(self.disabled.exchange),
        }
    }

    /// An operator's word covers a trader's, and is not covered by it.
    fn disable_entry(&mut self, scope: Scope, by: DisabledBy) {
        match scope {
            Scope::Account(account) => {
                let disabled = &mut self.accounts[account].disabled;
                *disabled = (*disabled).max(Some(by));
            }
            Scope::Session(session) => {
                let disabled = &mut self.sessions[session].disabled;
                *disabled = (*disabled).max(Some(by));
            }
            Scope::Class(class) => _ = self.disabled.classes.insert(class),
            Scope::Exchange => self.disabled.exchange = true,
        }
        self.note_entry_in(scope);
    }

    fn enable_entry(&mut self, scope: Scope) {
        match scope {
            Scope::Account(account) => self.accounts[account].disabled = None,
            Scope::Session(session) => self.sessions[session].disabled = None,
            Scope::Class(class) => _ = self.disabled.classes.remove(&class),
            Scope::Exchange => self.disabled.exchange = false,
        }
        self.note_entry_in(scope);
    }

    /// Classes and the exchange are no session's own.
    fn note_entry_in(&mut self, scope: Scope) {
        match scope {
            Scope::Account(account) => self.note_entry_of_account(account),
            Scope::Session(session) => self.note_entry(session),
            Scope::Class(_) | Scope::Exchange => {}
        }
    }

    /// Cancels all open orders of the scope: accounts in the order of opening, sessions in that of first logon, orders
    /// oldest first. Returns how many there were.
    fn kill_orders(&mut self, scope: Scope, requester: Requester, out: &mut Events) -> u32 {
        let reason = CancelReason::Killed;
        let filter = match scope {
            Scope::Class(class) => CancelFilter { class: Some(class), ..CancelFilter::ALL },
            Scope::Account(_) | Scope::Session(_) | Scope::Exchange => CancelFilter::ALL,
        };
        match scope {
            Scope::Session(session) => self.cancel_session_orders(session, &filter, reason, requester, out),
            Scope::Account(account) => self.cancel_account_orders(account, &filter, reason, requester, out),
            Scope::Class(_) | Scope::Exchange => (0..self.accounts.len() as u32)
                .map(|index| {
                    let account = AccountIx::new(index);
                    self.cancel_account_orders(account, &filter, reason, requester, out)
                })
                .sum(),
        }
    }
}

#[cold]
fn entry_disabled(scope: u8) -> Rejection {
    Rejection::whole(RejectReason::EntryDisabled).met(scope, 0)
}
