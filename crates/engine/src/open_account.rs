//! Opening accounts.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{AccountDefinition, OpenAccount};
use joulebook_types::{Role, Roles};

use crate::accounts::Account;
use crate::caps::Limits;
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

impl Engine {
    pub(crate) fn open_account(
        &mut self,
        session: SessionIx,
        open: &OpenAccount,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        self.add_account(open, out)?;
        Ok(self.request_done(session, open, u64::from(open.account.raw()), out))
    }

    /// The first accounts come from the exchange itself: somebody has to be the first operator.
    pub(crate) fn open_system_account(&mut self, open: &OpenAccount, out: &mut Events) {
        if self.add_account(open, out).is_err() {
            self.ignore();
        }
    }

    fn add_account(&mut self, open: &OpenAccount, out: &mut Events) -> Result<(), Rejection> {
        if open.account.is_none() {
            return Err(Rejection::field(RejectReason::InvalidChoice, offset_of!(OpenAccount, account)));
        }
        if self.accounts.find(open.account).is_some() {
            return Err(Rejection::field(RejectReason::AccountExists, offset_of!(OpenAccount, account)));
        }
        if self.accounts.is_full() {
            let limit = self.accounts.len();
            return Err(Rejection::whole(RejectReason::AccountLimit).met(limit as u64, limit as u64 + 1));
        }
        let roles = valid_roles(open.roles)
            .ok_or(Rejection::field(RejectReason::InvalidRoles, offset_of!(OpenAccount, roles)))?;
        self.ledger.open_account();
        self.protections.open_account();
        let account = self.accounts.add(Account {
            id: open.account,
            roles,
            self_trade_group: open.self_trade_group,
            open_orders: 0,
            public_key: open.public_key,
            name: open.name,
            sessions: Vec::new(),
            disabled: None,
            limits: Limits::default(),
            open_value: 0,
        });
        let definition = self.accounts[account].definition();
        self.publish(definition, out);
        Ok(())
    }
}

impl Account {
    pub(crate) fn definition(&self) -> AccountDefinition {
        AccountDefinition {
            account: self.id,
            roles: self.roles.bits(),
            public_key: self.public_key,
            name: self.name,
            ..Default::default()
        }
    }
}

/// Known roles that go together: who runs the market does not trade in it, who measures does not sell what is
/// measured, and a drop copy only listens.
pub(crate) fn valid_roles(bits: u16) -> Option<Roles> {
    let roles = Roles::from_bits(bits)?;
    let runs_and_trades = roles.has(Role::Operator) && roles.may_trade();
    let measures_itself = roles.has(Role::Meter) && roles.has(Role::Seller);
    let more_than_listens = roles.has(Role::DropCopy) && roles != Roles::NONE.with(Role::DropCopy);
    let valid = roles != Roles::NONE && !runs_and_trades && !measures_itself && !more_than_listens;
    valid.then_some(roles)
}
