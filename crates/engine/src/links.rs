//! Linked orders: two of which at most one trades.

use joulebook_book::Slot;
use joulebook_protocol::CancelReason;

use crate::cancel::Requester;
use crate::holds::{Hold, Promise};
use crate::orders::Place;
use crate::{Engine, Events};

impl Engine {
    /// An order traded or acts now: the one that it is linked with ends.
    pub(crate) fn end_link(&mut self, slot: Slot, out: &mut Events) {
        if let Some(partner) = self.orders.change_terms(slot, |terms| terms.partner.take()) {
            self.end_partner(partner, out);
        }
    }

    /// An order has ended: so does the one that it was linked with. The end of one must not come back to the other, so
    /// the link goes first.
    #[cold]
    pub(crate) fn end_partner(&mut self, partner: Slot, out: &mut Events) {
        self.orders.change_terms(partner, |terms| terms.partner = None);
        self.cancel_open_order(partner, CancelReason::LinkedOrder, Requester::NOBODY, out);
    }

    /// An order holds less than before, `promise`: a stop that it is linked with holds more of its own, so that together
    /// they hold the larger of the two.
    pub(crate) fn balance_link(&mut self, slot: Slot, promise: &Promise) {
        let Some(partner) = self.orders.terms(slot).partner else { return };
        if self.orders.terms(partner).place != Place::Stop {
            return;
        }
        let own = self.hold_of(&self.promise_at(partner));
        let held = own.beyond(self.hold_of(promise));
        let held_before = self.stops.set_held(partner, held);
        self.give_back(promise.account, promise.instrument, held_before);
        self.take(promise.account, promise.instrument, held);
    }

    /// What an open order holds, counted from the ground: a stop only what a linked order does not hold for it.
    pub(crate) fn counted_hold(&self, slot: Slot) -> Hold {
        let own = self.hold_of(&self.promise_at(slot));
        let terms = self.orders.terms(slot);
        match (terms.place, terms.partner) {
            (Place::Stop, Some(partner)) => own.beyond(self.hold_of(&self.promise_at(partner))),
            (Place::Stop | Place::Book | Place::Call, _) => own,
        }
    }
}
