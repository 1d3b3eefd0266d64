//! What open orders promise: bids hold credits, asks hold capacity.

use joulebook_ledger::AccountIx;
use joulebook_protocol::RejectReason;
use joulebook_types::{MicroEc, Price, Side};

use crate::Engine;
use crate::instruments::{Instrument, InstrumentIx};
use crate::request::Rejection;

/// What an order holds while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Credits(MicroEc),
    /// Accelerators in every slot of the window.
    Capacity(u64),
}

impl Hold {
    /// What an order of `side` for `leaves` lots at `limit` holds. `None` when it could not be paid from one balance.
    pub(crate) fn of(instrument: &Instrument, side: Side, limit: Price, leaves: u32) -> Option<Self> {
        let credits = instrument.bid_hold(limit, leaves)?;
        Some(match side {
            Side::Buy => Self::Credits(credits),
            Side::Sell => Self::Capacity(instrument.accelerators(leaves)),
        })
    }
}

impl Engine {
    /// Whether the account could hold `wanted` if it first gave back `given`, which is of the same kind.
    pub(crate) fn check_hold(
        &self,
        account: AccountIx,
        ix: InstrumentIx,
        wanted: Hold,
        given: Option<Hold>,
        qty_offset: usize,
    ) -> Result<(), Rejection> {
        match wanted {
            Hold::Credits(wanted) => {
                let given = if let Some(Hold::Credits(given)) = given { given } else { MicroEc::ZERO };
                let free = self.ledger.credits(account).free + given;
                let rejection = Rejection::field(RejectReason::InsufficientCredits, qty_offset);
                if wanted <= free { Ok(()) } else { Err(rejection.met(free.raw(), wanted.raw())) }
            }
            Hold::Capacity(wanted) => {
                let given = if let Some(Hold::Capacity(given)) = given { given } else { 0 };
                let free = self.ledger.free_capacity(account, &self.instruments[ix].assets) + given;
                let rejection = Rejection::field(RejectReason::InsufficientCapacity, qty_offset);
                if wanted <= free { Ok(()) } else { Err(rejection.met(free, wanted)) }
            }
        }
    }

    /// Takes a hold that was checked.
    pub(crate) fn take_hold(&mut self, account: AccountIx, ix: InstrumentIx, hold: Hold) {
        match hold {
            Hold::Credits(amount) => {
                self.ledger.hold_credits(account, amount).expect("the hold was checked");
            }
            Hold::Capacity(accelerators) => {
                let assets = &self.instruments[ix].assets;
                self.ledger.hold_capacity(account, assets, accelerators).expect("the hold was checked");
            }
        }
    }

    /// Gives back what an order with these leaves holds.
    pub(crate) fn release_hold(
        &mut self,
        account: AccountIx,
        ix: InstrumentIx,
        side: Side,
        limit: Price,
        leaves: u32,
    ) {
        let instrument = &self.instruments[ix];
        match Hold::of(instrument, side, limit, leaves).expect("an open order has a hold") {
            Hold::Credits(amount) => self.ledger.release_credits(account, amount),
            Hold::Capacity(accelerators) => {
                self.ledger.release_capacity(account, &instrument.assets, accelerators);
            }
        }
    }
}
