//! Questions about what an account has at risk, and whether it may enter more.

use joulebook_types::{AccountId, ClassCode, MicroEc, SessionId};

use crate::Engine;
use crate::caps::Limits;

/// What an account has open, and what it may have. A cap of zero is no cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Orders that rest or wait.
    pub open_orders: u32,
    /// Price times open lots of all of them, in micro-EC.
    pub open_value: i128,
    pub open_orders_max: u32,
    pub order_value_max: MicroEc,
    pub open_value_max: MicroEc,
    /// Accelerators in any quarter hour.
    pub window_accelerators_max: u32,
}

impl Engine {
    /// What the account has open and may have; `None` for an account that was never opened.
    pub fn exposure(&self, account: AccountId) -> Option<Exposure> {
        let ix = self.accounts.find(account)?;
        let account = &self.accounts[ix];
        let Limits { open_orders_max, order_value_max, open_value_max, window_accelerators_max } =
            account.limits;
        Some(Exposure {
            open_orders: account.open_orders,
            open_value: account.open_value,
            open_orders_max,
            order_value_max,
            open_value_max,
            window_accelerators_max,
        })
    }

    /// Whether kill switches let a session enter orders in some class at all; `None` before its first logon.
    pub fn may_enter(&self, account: AccountId, session: SessionId) -> Option<bool> {
        let session = self.sessions.find(account, session)?;
        Some(self.check_entry(session).is_ok())
    }

    /// Whether the account's protection pulled its quotes of the class and keeps them out.
    pub fn is_frozen(&self, account: AccountId, class: ClassCode) -> bool {
        self.accounts.find(account).is_some_and(|account| self.protections.is_frozen(account, class))
    }
}
