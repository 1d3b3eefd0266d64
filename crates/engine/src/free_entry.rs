//! Sessions whose orders nothing but the market's own rules stands against, told by one look instead of six.
//!
//! Whatever else a session has to be asked about changes by rare commands: a logon, the kill switch, an account's caps. They
//! note here what follows from it; the switches of classes and of the whole exchange are asked about apart.

use joulebook_ledger::AccountIx;
use joulebook_protocol::messages::{CancelOrder, NewOrder, ReduceOrder, ReplaceOrder};

use crate::Engine;
use crate::sessions::SessionIx;

impl Engine {
    /// What [`Session::enters_freely`](crate::sessions::Session::enters_freely) says, from what it follows from: somebody
    /// is logged on, entry is switched off neither for it nor for its account, and the account trades without caps.
    pub(crate) fn may_enter_freely(&self, ix: SessionIx) -> bool {
        let session = &self.sessions[ix];
        let account = &self.accounts[session.account];
        session.is_connected()
            && session.disabled.is_none()
            && account.disabled.is_none()
            && account.limits.is_none()
            && account.may_send::<NewOrder>()
            && account.may_send::<CancelOrder>()
            && account.may_send::<ReplaceOrder>()
            && account.may_send::<ReduceOrder>()
    }

    /// Something changed that the session's entry hangs on.
    pub(crate) fn note_entry(&mut self, ix: SessionIx) {
        self.sessions[ix].enters_freely = self.may_enter_freely(ix);
    }

    /// The same for all sessions of an account.
    pub(crate) fn note_entry_of_account(&mut self, account: AccountIx) {
        for index in 0..self.accounts[account].sessions.len() {
            self.note_entry(self.accounts[account].sessions[index]);
        }
    }
}
