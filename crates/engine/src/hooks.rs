//! Where rules meet: what a fill, the end of an order and the end of a step cause beyond themselves, and in which order.

use joulebook_book::{Order, Slot};
use joulebook_types::{MicroEc, Side};

use crate::instruments::InstrumentIx;
use crate::matching::Taker;
use crate::orders::{Owner, Terms};
use crate::sessions::SessionIx;
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

/// An open order that was forgotten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    pub(crate) session: SessionIx,
    pub(crate) instrument: InstrumentIx,
    pub(crate) side: Side,
    pub(crate) is_quote: bool,
    /// The order that it was linked with.
    pub(crate) partner: Option<Slot>,
}

impl Engine {
    /// After a resting order gave lots, and the book shows it; the order is gone unless it has more. `quote_fill` says
    /// what a side of a quote gave.
    #[inline]
    pub(crate) fn after_maker_fill(
        &mut self,
        slot: Slot,
        is_open: bool,
        quote_fill: Option<&MakerFill>,
        out: &mut Events,
    ) {
        if is_open {
            self.end_link(slot, out);
        }
        if let Some(fill) = quote_fill {
            self.protect_maker(fill, out);
        }
    }

    /// After the order in hand took lots and all that its maker's fill caused is done.
    #[inline(always)]
    pub(crate) fn after_taker_fill(&mut self, taker: &mut Taker, out: &mut Events) {
        if !taker.is_linked {
            return;
        }
        taker.is_linked = false;
        // What ended beside it may have been next in its way.
        taker.meets_next = None;
        if let Some(slot) = taker.slot {
            self.end_link(slot, out);
        }
    }

    /// After an open order was forgotten, whatever the reason. Its own event went out before.
    #[inline]
    pub(crate) fn order_closed(&mut self, closed: &Closed, out: &mut Events) {
        if closed.is_quote {
            self.sessions[closed.session]
                .quotes
                .close_side(self.instruments[closed.instrument].id, closed.side);
        }
        if let Some(partner) = closed.partner {
            self.end_partner(partner, out);
        }
    }

    /// The command, the batch entry or the timer in hand is finished.
    #[inline(always)]
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
