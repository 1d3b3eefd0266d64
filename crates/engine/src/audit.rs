//! What is asserted after every batch, in release builds too: what a full recount proves, where it costs nothing to look.

use joulebook_ledger::AccountIx;
use joulebook_types::MicroEc;

use crate::Engine;
use crate::instruments::InstrumentIx;

/// Accounts whose last open order has gone, and the instrument that it was of. The rest of a batch with more of them
/// goes unseen, so that a batch never allocates for its own audit.
#[derive(Debug)]
pub(crate) struct Idle(Vec<(AccountIx, InstrumentIx)>);

const IDLE_MAX: usize = 64;

impl Default for Idle {
    fn default() -> Self {
        Self(Vec::with_capacity(IDLE_MAX))
    }
}

impl Engine {
    /// An order of the account has gone. When it was the last one, nothing may be held for it after the batch.
    pub(crate) fn note_closed(&mut self, account: AccountIx, ix: InstrumentIx) {
        if self.accounts[account].open_orders == 0 && self.idle.0.len() < IDLE_MAX {
            self.idle.0.push((account, ix));
        }
    }

    /// # Panics
    /// When an account without open orders holds credits, capacity or open value: a hold was lost on its way back.
    pub(crate) fn assert_idle_hold_nothing(&mut self) {
        while let Some((account, ix)) = self.idle.0.pop() {
            if self.accounts[account].open_orders > 0 {
                continue;
            }
            let held = self.ledger.credits(account).held;
            assert!(held == MicroEc::ZERO, "an account without orders holds no credits");
            assert!(self.accounts[account].open_value == 0, "an account without orders has no open value");
            for asset in &self.instruments[ix].assets {
                let position = self.ledger.position(account, *asset);
                let held = position.map_or(0, |position| position.held);
                assert!(held == 0, "an account without orders holds no capacity");
            }
        }
    }
}
