//! Where rules meet: what a fill, the end of an order and the end of a step cause beyond themselves, and in which order.

use joulebook_book::{Order, Slot};
use joulebook_types::MicroEc;

use crate::instruments::InstrumentIx;
use crate::matching::Taker;
use crate::orders::{Owner, Terms};
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
            let id = self.instruments[InstrumentIx::new(order.instrument)].id;
            self.sessions[owner.session].quotes.close_side(id, order.side);
        }
        self.end_partner(terms, out);
    }

    /// The command, the batch entry or the timer in hand is finished.
    #[inline]
    pub(crate) fn end_step(&mut self, out: &mut Events) {
        if self.stops.may_fire() {
            self.fire_stops(out);
        }
    }

    /// After an order gave or took lots in an uncross, and the book shows it. The order is gone when it had no more.
    pub(crate) fn after_call_fill(&mut self, fill: &MakerFill, out: &mut Events) {
        if fill.lots < fill.order.total_leaves() {
            self.end_link(fill.slot, out);
        }
        self.count_in_uncross(fill);
    }
}
