//! Kill switch and dead-man timer.

use core::mem::offset_of;

use joulebook_protocol::messages::{KillSwitch, SetDeadMan};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{ClassCode, Role};

use crate::cancel::Filter;
use crate::ledger::KilledBy;
use crate::market::Market;
use crate::rejection::{Checked, field, invalid_choice, whole};
use crate::timers::Timer;

const TIMEOUT_MS_MIN: u32 = 1_000;
const TIMEOUT_MS_MAX: u32 = 86_400_000;

/// Whom a kill switch means.
#[derive(Clone, Copy, Debug)]
enum Target {
    Account(usize),
    Session(usize),
    Class(ClassCode),
    Exchange,
}

impl Market {
    pub(crate) fn kill_switch(&mut self, session: usize, kill: &KillSwitch) -> Checked {
        let target = self.check_kill(session, kill)?;
        let is_operator = self.is_operator(session);
        let mut canceled = 0;
        if kill.action == KillSwitch::KILL {
            self.set_killed(target, if is_operator { KilledBy::Operator } else { KilledBy::Trader });
            canceled = self.kill_orders(session, kill, target);
        } else {
            self.clear_killed(target);
        }
        self.request_done::<KillSwitch>(session, kill.client_order_id, u64::from(canceled));
        Ok(())
    }

    fn is_operator(&self, session: usize) -> bool {
        self.accounts[self.account_of(session)].roles.has(Role::Operator)
    }

    fn check_kill(&self, session: usize, kill: &KillSwitch) -> Checked<Target> {
        if !self.is_operator(session) {
            self.check_may_kill(session, kill)?;
        }
        if !(KillSwitch::SCOPE_ACCOUNT..=KillSwitch::SCOPE_EXCHANGE).contains(&kill.scope) {
            return Err(invalid_choice(offset_of!(KillSwitch, scope), kill.scope));
        }
        if !matches!(kill.action, KillSwitch::KILL | KillSwitch::ENABLE) {
            return Err(invalid_choice(offset_of!(KillSwitch, action), kill.action));
        }
        match kill.scope {
            KillSwitch::SCOPE_CLASS => {
                let offset = offset_of!(KillSwitch, class);
                kill.class.validate().map_err(|_| field(RejectReason::InvalidCode, offset))?;
                Ok(Target::Class(kill.class))
            }
            KillSwitch::SCOPE_EXCHANGE => Ok(Target::Exchange),
            _account_or_session => self.kill_target(session, kill),
        }
    }

    /// A trader stops itself only, and does not undo what an operator did.
    fn check_may_kill(&self, session: usize, kill: &KillSwitch) -> Checked {
        if matches!(kill.scope, KillSwitch::SCOPE_CLASS | KillSwitch::SCOPE_EXCHANGE) {
            return Err(whole(RejectReason::NotAuthorised));
        }
        let own = self.account_of(session);
        if !kill.account.is_none() && kill.account != self.accounts[own].id {
            return Err(field(RejectReason::NotAuthorised, offset_of!(KillSwitch, account)));
        }
        let killed = match kill.scope {
            KillSwitch::SCOPE_ACCOUNT => self.accounts[own].killed,
            KillSwitch::SCOPE_SESSION => {
                let same =
                    |session: &&crate::market::Session| session.account == own && session.id == kill.session;
                self.sessions.iter().find(same).and_then(|session| session.killed)
            }
            _unknown => None,
        };
        if kill.action == KillSwitch::ENABLE && killed == Some(KilledBy::Operator) {
            return Err(field(RejectReason::NotAuthorised, offset_of!(KillSwitch, action)));
        }
        Ok(())
    }

    fn kill_target(&self, session: usize, kill: &KillSwitch) -> Checked<Target> {
        let account = if kill.account.is_none() {
            self.account_of(session)
        } else {
            let unknown = field(RejectReason::UnknownAccount, offset_of!(KillSwitch, account));
            self.find_account(kill.account).ok_or(unknown)?
        };
        if kill.scope == KillSwitch::SCOPE_ACCOUNT {
            return Ok(Target::Account(account));
        }
        let mut sessions = self.sessions.iter();
        let found = sessions.position(|session| session.account == account && session.id == kill.session);
        let unknown = invalid_choice(offset_of!(KillSwitch, session), kill.session.raw());
        found.map(Target::Session).ok_or(unknown)
    }

    fn set_killed(&mut self, target: Target, by: KilledBy) {
        match target {
            Target::Account(account) => mark(&mut self.accounts[account].killed, by),
            Target::Session(session) => mark(&mut self.sessions[session].killed, by),
            Target::Class(class) => {
                self.killed_classes.insert(class);
            }
            Target::Exchange => self.killed_exchange = true,
        }
    }

    fn clear_killed(&mut self, target: Target) {
        match target {
            Target::Account(account) => self.accounts[account].killed = None,
            Target::Session(session) => self.sessions[session].killed = None,
            Target::Class(class) => {
                self.killed_classes.remove(&class);
            }
            Target::Exchange => self.killed_exchange = false,
        }
    }

    fn kill_orders(&mut self, session: usize, kill: &KillSwitch, target: Target) -> u32 {
        let (reason, requester) = (CancelReason::Killed, Some((session, kill.client_order_id)));
        let everything = Filter::default();
        let all_accounts = 0..self.accounts.len();
        match target {
            Target::Account(account) => self.cancel_account(account, &everything, reason, requester),
            Target::Session(session) => self.cancel_session(session, &everything, reason, requester),
            Target::Class(class) => {
                let filter = Filter { class: Some(class), ..everything };
                all_accounts.map(|account| self.cancel_account(account, &filter, reason, requester)).sum()
            }
            Target::Exchange => {
                all_accounts.map(|account| self.cancel_account(account, &everything, reason, requester)).sum()
            }
        }
    }

    pub(crate) fn set_dead_man(&mut self, session: usize, set: &SetDeadMan) -> Checked {
        let timeout_ms = set.timeout_ms;
        if timeout_ms != 0 && !(TIMEOUT_MS_MIN..=TIMEOUT_MS_MAX).contains(&timeout_ms) {
            return Err(invalid_choice(offset_of!(SetDeadMan, timeout_ms), timeout_ms));
        }
        self.timers.cancel(Timer::DeadMan(session));
        if timeout_ms != 0 {
            self.timers.set(self.time.saturating_add_ms(timeout_ms), Timer::DeadMan(session));
        }
        self.request_done::<SetDeadMan>(session, set.client_order_id, u64::from(timeout_ms));
        Ok(())
    }

    pub(crate) fn dead_man(&mut self, session: usize) {
        self.cancel_session(session, &Filter::default(), CancelReason::DeadMan, None);
    }
}

/// An operator's switch stays an operator's.
fn mark(killed: &mut Option<KilledBy>, by: KilledBy) {
    if *killed != Some(KilledBy::Operator) {
        *killed = Some(by);
    }
}
