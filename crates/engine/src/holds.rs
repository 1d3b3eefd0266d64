//! What open orders promise: bids hold credits, asks hold capacity.

use joulebook_ledger::{AccountIx, AssetIx, Ledger};
use joulebook_protocol::RejectReason;
use joulebook_types::{MicroEc, Price, Qty, Side};

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

/// What a promise comes to: worked out once, then checked, counted and held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worth {
    /// Price times quantity.
    pub(crate) value: MicroEc,
    pub(crate) hold: Hold,
}

impl Worth {
    /// Of an order of `side` for `leaves` lots at `limit`. `None` when it could not be paid from one balance.
    #[inline(always)]
    pub(crate) fn of(instrument: &Instrument, side: Side, limit: Price, leaves: u32) -> Option<Self> {
        let value = instrument.lot.notional(limit, Qty::from(leaves))?;
        let credits = instrument.with_dearer_fee(value)?;
        let hold = match side {
            Side::Buy => Hold::Credits(credits),
            Side::Sell => Hold::Capacity(instrument.accelerators(leaves)),
        };
        Some(Self { value, hold })
    }
}

impl Hold {
    /// Moves it from what the account has free to what it holds; `false` when it has not as much.
    #[inline(always)]
    #[must_use]
    pub(crate) fn take(self, ledger: &mut Ledger, account: AccountIx, assets: &[AssetIx]) -> bool {
        match self {
            Self::Credits(amount) => ledger.hold_credits(account, amount).is_ok(),
            Self::Capacity(accelerators) => ledger.hold_capacity(account, assets, accelerators).is_ok(),
        }
    }

    /// The same for an order that holds `given`, of the same side, until then.
    #[inline(always)]
    #[must_use]
    pub(crate) fn take_for(
        self,
        given: Self,
        ledger: &mut Ledger,
        account: AccountIx,
        assets: &[AssetIx],
    ) -> bool {
        if self == given {
            return true;
        }
        if self < given {
            given.beyond(self).give_back(ledger, account, assets);
            return true;
        }
        self.beyond(given).take(ledger, account, assets)
    }

    /// And back.
    #[inline(always)]
    pub(crate) fn give_back(self, ledger: &mut Ledger, account: AccountIx, assets: &[AssetIx]) {
        match self {
            Self::Credits(amount) => ledger.release_credits(account, amount),
            Self::Capacity(accelerators) => ledger.release_capacity(account, assets, accelerators),
        }
    }

    /// What it holds beyond `other`, which is of the same side.
    #[inline]
    pub(crate) fn beyond(self, other: Self) -> Self {
        match (self, other) {
            (Self::Credits(own), Self::Credits(other)) => Self::Credits((own - other).max(MicroEc::ZERO)),
            (Self::Capacity(own), Self::Capacity(other)) => Self::Capacity(own.saturating_sub(other)),
            (Self::Credits(_), Self::Capacity(_)) | (Self::Capacity(_), Self::Credits(_)) => {
                unreachable!("only holds of one side are compared")
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
    /// What a promise comes to, if it could be paid from one balance at all; `qty` is what the request says.
    #[inline(always)]
    pub(crate) fn check_notional(
        &self,
        wanted: &Promise,
        qty: u32,
        qty_offset: usize,
    ) -> Result<Worth, Rejection> {
        let instrument = &self.instruments[wanted.instrument];
        match Worth::of(instrument, wanted.side, wanted.limit, wanted.lots) {
            Some(worth) => Ok(worth),
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
        self.check_hold_of(wanted, self.hold_of(wanted), given, qty_offset)
    }

    /// The same with holds that are known.
    #[inline(always)]
    pub(crate) fn check_hold_of(
        &self,
        wanted: &Promise,
        hold: Hold,
        given: Option<Hold>,
        qty_offset: usize,
    ) -> Result<(), Rejection> {
        if given.is_some_and(|given| hold <= given) {
            return Ok(());
        }
        match hold {
            Hold::Credits(wanted_credits) => {
                let given = if let Some(Hold::Credits(given)) = given { given } else { MicroEc::ZERO };
                let free = self.ledger.credits(wanted.account).free + given;
                if wanted_credits <= free {
                    return Ok(());
                }
                let rejection = Rejection::field(RejectReason::InsufficientCredits, qty_offset);
                Err(rejection.met(free.raw(), wanted_credits.raw()))
            }
            Hold::Capacity(accelerators) => {
                let given = if let Some(Hold::Capacity(given)) = given { given } else { 0 };
                let assets = &self.instruments[wanted.instrument].assets;
                let free = self.ledger.free_capacity(wanted.account, assets) + given;
                if accelerators <= free {
                    return Ok(());
                }
                let rejection = Rejection::field(RejectReason::InsufficientCapacity, qty_offset);
                Err(rejection.met(free, accelerators))
            }
        }
    }

    /// Holds what was checked.
    pub(crate) fn hold(&mut self, promise: &Promise) {
        self.hold_worth(promise, self.worth_of(promise));
    }

    /// The same with what it is worth.
    #[inline(always)]
    pub(crate) fn hold_worth(&mut self, promise: &Promise, worth: Worth) {
        self.count_open_value(promise, worth.value);
        self.take(promise.account, promise.instrument, worth.hold);
    }

    /// Gives back what was held.
    #[inline(always)]
    pub(crate) fn release(&mut self, promise: &Promise) {
        let worth = self.worth_of(promise);
        self.uncount_open_value(promise, worth.value);
        self.give_back(promise.account, promise.instrument, worth.hold);
    }

    /// Holds for `wanted` what was held for `given`, of the same account, instrument and side. What both need stays held.
    #[inline(always)]
    pub(crate) fn rehold(&mut self, (given, before): (&Promise, Worth), (wanted, after): (&Promise, Worth)) {
        self.uncount_open_value(given, before.value);
        self.count_open_value(wanted, after.value);
        let assets = &self.instruments[wanted.instrument].assets;
        let held = after.hold.take_for(before.hold, &mut self.ledger, wanted.account, assets);
        assert!(held, "the hold was checked");
    }

    /// Moves what an order needs from free to held. An order that holds less than it promises is counted apart, by
    /// `count_open` and `uncount_open`.
    #[inline(always)]
    pub(crate) fn take(&mut self, account: AccountIx, ix: InstrumentIx, hold: Hold) {
        let held = hold.take(&mut self.ledger, account, &self.instruments[ix].assets);
        assert!(held, "the hold was checked");
    }

    #[inline(always)]
    pub(crate) fn give_back(&mut self, account: AccountIx, ix: InstrumentIx, hold: Hold) {
        hold.give_back(&mut self.ledger, account, &self.instruments[ix].assets);
    }

    /// What a promise that passed `check_notional` holds.
    pub(crate) fn hold_of(&self, promise: &Promise) -> Hold {
        self.worth_of(promise).hold
    }

    /// What a promise that passed `check_notional` comes to.
    #[inline(always)]
    pub(crate) fn worth_of(&self, promise: &Promise) -> Worth {
        let instrument = &self.instruments[promise.instrument];
        let worth = Worth::of(instrument, promise.side, promise.limit, promise.lots);
        worth.expect("an open order is worth what fits a balance")
    }
}
