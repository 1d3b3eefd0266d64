//! What open orders promise: bids hold credits, asks hold capacity.

use joulebook_ledger::AccountIx;
use joulebook_protocol::RejectReason;
use joulebook_types::{MicroEc, Price, Side};

use crate::Engine;
use crate::instruments::{Instrument, InstrumentIx};
use crate::request::Rejection;

/// What an order holds while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

impl Hold {
    /// What it holds beyond `other`, which is of the same side.
    pub(crate) fn beyond(self, other: Self) -> Self {
        match (self, other) {
            (Self::Credits(own), Self::Credits(other)) => Self::Credits((own - other).max(MicroEc::ZERO)),
            (Self::Capacity(own), Self::Capacity(other)) => Self::Capacity(own.saturating_sub(other)),
            (Self::Credits(_), Self::Capacity(_)) | (Self::Capacity(_), Self::Credits(_)) => {
                unreachable!("linked orders are of one side")
            }
        }
    }
}

/// An order, or a part of one, as far as it binds what its account owns. Every change of what open orders hold goes
/// through one of these, but for trades, which the ledger settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    pub(crate) account: AccountIx,
    pub(crate) instrument: InstrumentIx,
    pub(crate) side: Side,
    /// Its worst price.
    pub(crate) limit: Price,
    pub(crate) lots: u32,
}

impl Engine {
    /// Whether what is promised could be paid from one balance at all; `qty` is what the request says.
    pub(crate) fn check_notional(
        &self,
        wanted: &Promise,
        qty: u32,
        qty_offset: usize,
    ) -> Result<(), Rejection> {
        match Hold::of(&self.instruments[wanted.instrument], wanted.side, wanted.limit, wanted.lots) {
            Some(_) => Ok(()),
            None => {
                let overflow = Rejection::field(RejectReason::NotionalOverflow, qty_offset);
                Err(overflow.met(i64::MAX, qty))
            }
        }
    }

    /// Whether the account could hold `wanted` if it first gave back `given`, which is of the same side.
    pub(crate) fn check_hold(
        &self,
        wanted: &Promise,
        given: Option<&Promise>,
        qty_offset: usize,
    ) -> Result<(), Rejection> {
        let given = given.map(|given| self.hold_of(given));
        match self.hold_of(wanted) {
            Hold::Credits(wanted_credits) => {
                let given = if let Some(Hold::Credits(given)) = given { given } else { MicroEc::ZERO };
                let free = self.ledger.credits(wanted.account).free + given;
                let rejection = Rejection::field(RejectReason::InsufficientCredits, qty_offset);
                if wanted_credits <= free {
                    Ok(())
                } else {
                    Err(rejection.met(free.raw(), wanted_credits.raw()))
                }
            }
            Hold::Capacity(accelerators) => {
                let given = if let Some(Hold::Capacity(given)) = given { given } else { 0 };
                let assets = &self.instruments[wanted.instrument].assets;
                let free = self.ledger.free_capacity(wanted.account, assets) + given;
                let rejection = Rejection::field(RejectReason::InsufficientCapacity, qty_offset);
                if accelerators <= free { Ok(()) } else { Err(rejection.met(free, accelerators)) }
            }
        }
    }

    /// Holds what was checked.
    pub(crate) fn hold(&mut self, promise: &Promise) {
        self.count_open(promise);
        self.take(promise.account, promise.instrument, self.hold_of(promise));
    }

    /// Gives back what was held.
    pub(crate) fn release(&mut self, promise: &Promise) {
        self.uncount_open(promise);
        self.give_back(promise.account, promise.instrument, self.hold_of(promise));
    }

    /// Moves what an order needs from free to held. An order that holds less than it promises is counted apart, by
    /// `count_open` and `uncount_open`.
    pub(crate) fn take(&mut self, account: AccountIx, ix: InstrumentIx, hold: Hold) {
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

    pub(crate) fn give_back(&mut self, account: AccountIx, ix: InstrumentIx, hold: Hold) {
        match hold {
            Hold::Credits(amount) => self.ledger.release_credits(account, amount),
            Hold::Capacity(accelerators) => {
                let assets = &self.instruments[ix].assets;
                self.ledger.release_capacity(account, assets, accelerators);
            }
        }
    }

    /// What a promise that passed `check_notional` holds.
    pub(crate) fn hold_of(&self, promise: &Promise) -> Hold {
        let instrument = &self.instruments[promise.instrument];
        Hold::of(instrument, promise.side, promise.limit, promise.lots).expect("an open order has a hold")
    }
}
