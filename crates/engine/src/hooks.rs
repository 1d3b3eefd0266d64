//! Where other rules join in: what happens around a trade, around the end of an order, and between steps.
//!
//! Each function moves to the file of its rule when that is built.

use joulebook_book::{Order, Slot};
use joulebook_types::{MicroEc, Price, Side};

use crate::instruments::InstrumentIx;
use crate::matching::Taker;
use crate::orders::{Owner, Terms};
use crate::request::Rejection;
use crate::{Engine, Events};

/// A resting order that gave lots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MakerFill {
    pub(crate) slot: Slot,
    /// As it was before the fill.
    pub(crate) order: Order,
    pub(crate) owner: Owner,
    pub(crate) terms: Terms,
    pub(crate) lots: u32,
    pub(crate) notional: MicroEc,
}

/// How far matching may go, as of the step's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The dearest price for a buyer, the cheapest for a seller; `None` where no dynamic band applies.
    pub(crate) dynamic: Option<Price>,
    /// Prices that are not too far from the velocity reference, both ends included; `None` where none applies.
    pub(crate) velocity: Option<(Price, Price)>,
}

/// What a bound says of the next trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Within,
    BeyondDynamic,
    BeyondVelocity,
}

impl Bound {
    pub(crate) const NONE: Self = Self { dynamic: None, velocity: None };

    /// The dynamic band is looked at first.
    pub(crate) fn reach(&self, side: Side, price: Price) -> Reach {
        let beyond_dynamic = self.dynamic.is_some_and(|limit| match side {
            Side::Buy => price > limit,
            Side::Sell => price < limit,
        });
        if beyond_dynamic {
            return Reach::BeyondDynamic;
        }
        match self.velocity {
            Some((low, high)) if price < low || price > high => Reach::BeyondVelocity,
            Some(_) | None => Reach::Within,
        }
    }
}

impl Engine {
    /// After a resting order gave lots, and the book shows it. The order is gone when it had no more.
    pub(crate) fn after_maker_fill(&mut self, fill: &MakerFill, out: &mut Events) {
        if fill.lots < fill.order.total_leaves() {
            self.end_link(fill.slot, out);
        }
        self.protect_maker(fill, out);
    }

    /// After the order in hand took lots and all that its maker's fill caused is done.
    pub(crate) fn after_taker_fill(&mut self, taker: &Taker, out: &mut Events) {
        if let Some(slot) = taker.slot {
            self.end_link(slot, out);
        }
    }

    /// After an open order was forgotten, whatever the reason. Its own event went out before.
    pub(crate) fn order_closed(&mut self, order: &Order, owner: &Owner, terms: &Terms, out: &mut Events) {
        if terms.is_quote {
            let ix = InstrumentIx::new(order.instrument);
            self.sessions[owner.session].quotes.close_side(ix, order.side);
        }
        self.end_partner(terms, out);
    }

    /// The command, the batch entry or the timer in hand is finished.
    pub(crate) fn end_step(&mut self, out: &mut Events) {
        self.fire_stops(out);
    }

    /// How far an order of `side` may trade in this step.
    pub(crate) fn trade_bound(&self, _ix: InstrumentIx, _side: Side) -> Bound {
        Bound::NONE
    }

    /// A resting order reached beyond the velocity bound.
    pub(crate) fn halt_for_velocity(&mut self, _ix: InstrumentIx, _out: &mut Events) {}

    /// The dynamic band's check of a limit price on entry, in phase Open only.
    pub(crate) fn check_dynamic_band(
        &self,
        _ix: InstrumentIx,
        _side: Side,
        _price: Price,
        _offset: usize,
    ) -> Result<(), Rejection> {
        Ok(())
    }

    /// A market order that waits for the uncross was accepted.
    pub(crate) fn enter_call(&mut self, _slot: Slot) {}

    /// A market order ends that waits for the uncross.
    pub(crate) fn leave_call(&mut self, _slot: Slot) {}
}
