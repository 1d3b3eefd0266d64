//! Stops: how they enter, fire and leave.

use joulebook_book::Slot;
use joulebook_protocol::CancelReason;
use joulebook_protocol::messages::OrderTriggered;
use joulebook_types::{Phase, Price};

use crate::cancel::Requester;
use crate::holds::Hold;
use crate::instruments::InstrumentIx;
use crate::orders::Place;
use crate::stop_book::{Stop, StopTrigger};
use crate::{Engine, Events};

impl Engine {
    /// Lets an order that was accepted, and holds what it needs, wait for its trigger price.
    pub(crate) fn wait_for(&mut self, slot: Slot, trigger: StopTrigger, held: Hold) {
        let order = self.orders.slab[slot];
        self.orders.change_terms(slot, |terms| terms.place = Place::Stop);
        self.stops.add(Stop {
            slot,
            order_id: order.order_id,
            instrument: InstrumentIx::new(order.instrument),
            side: order.side,
            trigger,
            mark: None,
            held,
        });
    }

    /// Shows a stop that has just come in the last print, as if that came now.
    pub(crate) fn see_last_print(&mut self, slot: Slot, out: &mut Events) {
        let ix = InstrumentIx::new(self.orders.slab[slot].instrument);
        let Some(print) = self.instruments[ix].prices.last_print() else { return };
        if self.stops.see(slot, print) && self.instruments[ix].phase == Phase::Open {
            self.fire_stop(slot, out);
        }
    }

    /// An auction has printed its one price.
    pub(crate) fn note_auction_print(&mut self, ix: InstrumentIx, print: Price) {
        self.instruments[ix].prices.print_of_auction(print, self.step, self.time);
        self.stops.note_print(ix, print);
    }

    /// What follows the order in hand: marked stops act, the oldest first, and what they print marks more.
    pub(crate) fn fire_stops(&mut self, out: &mut Events) {
        while let Some(slot) = self.stops.next_marked(|ix| self.instruments[ix].phase == Phase::Open) {
            self.fire_stop(slot, out);
        }
    }

    /// Cancels those of an instrument's waiting stops that `is_meant` names, by order id.
    pub(crate) fn cancel_stops(
        &mut self,
        ix: InstrumentIx,
        reason: CancelReason,
        is_meant: impl Fn(&Self, Slot) -> bool,
        out: &mut Events,
    ) {
        let mut slots = core::mem::take(&mut self.stop_slots);
        slots.clear();
        self.stops.of_instrument(ix, &mut slots);
        for (_, slot) in &slots {
            // None of them ends another: the order that a stop is linked with rests in the book.
            if is_meant(self, *slot) {
                self.cancel_open_order(*slot, reason, Requester::NOBODY, out);
            }
        }
        self.stop_slots = slots;
    }

    /// A marked stop acts. Its link ends before it trades, so that what the other order holds is free for it.
    fn fire_stop(&mut self, slot: Slot, out: &mut Events) {
        let stop = self.stops.remove(slot);
        self.orders.change_terms(slot, |terms| terms.place = Place::Book);
        let owner = *self.orders.owner(slot);
        let triggered = OrderTriggered {
            client_order_id: owner.client_order_id,
            order_id: stop.order_id,
            trigger_price: stop.trigger_price().expect("a stop that was reached has a trigger price"),
            print_price: stop.mark.expect("only a marked stop acts"),
            instrument: self.instruments[stop.instrument].id,
            ..Default::default()
        };
        self.tell(owner.session, triggered, out);
        let promise = self.promise_at(slot);
        self.uncount_open(&promise);
        self.give_back(promise.account, promise.instrument, stop.held);
        self.end_link(slot, out);
        self.hold(&promise);
        let mut taker = self.taker_at(slot);
        self.work(&mut taker, out);
    }
}
