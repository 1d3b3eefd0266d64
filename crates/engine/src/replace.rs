//! Changing an open order's price and size.

use core::mem::offset_of;

use joulebook_book::Slot;
use joulebook_protocol::messages::{BookUpdate, OrderReplaced, ReplaceOrder};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{ClientOrderId, OrderType, Phase, Price, Side};

use crate::cancel::Requester;
use crate::holds::{Promise, Worth};
use crate::instruments::InstrumentIx;
use crate::order_choices::check_slices;
use crate::orders::Place;
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

impl Engine {
    pub(crate) fn replace_order(
        &mut self,
        session: SessionIx,
        replace: &ReplaceOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let Some(slot) = self.own_order(session, replace.order_id, replace.target, replace.slot) else {
            self.check_entry(session)?;
            return Err(Rejection::field(RejectReason::UnknownOrder, offset_of!(ReplaceOrder, order_id)));
        };
        let order = self.orders.slab[slot];
        let ix = InstrumentIx::new(order.instrument);
        let id = self.instruments[ix].id;
        let requester = Requester { session, request: replace.client_order_id };
        self.replace_open_order(requester, slot, replace, out)
            .map_err(|rejection| rejection.of_order(order.order_id).of_instrument(id))?;
        Ok(Done { order_id: order.order_id, slot: slot.hint() })
    }

    /// An order keeps its place only when its price stays and its size shrinks.
    fn replace_open_order(
        &mut self,
        requester: Requester,
        slot: Slot,
        replace: &ReplaceOrder,
        out: &mut Events,
    ) -> Result<(), Rejection> {
        if self.orders.terms(slot).place == Place::Stop {
            return self.replace_stop(requester, slot, replace, out);
        }
        let order = self.orders.slab[slot];
        self.check_replaceable(requester.session, slot, replace)?;
        if replace.qty <= order.filled() {
            self.reduce_to_zero(slot, requester, out);
            return Ok(());
        }
        let same_price = replace.price == order.price;
        if same_price && replace.qty == order.qty {
            return Err(Rejection::whole(RejectReason::NothingToReplace));
        }
        if same_price && replace.qty < order.qty {
            self.shrink_in_place(slot, order.qty - replace.qty, requester, out);
            return Ok(());
        }
        self.move_to_back(requester, slot, replace, out)
    }

    /// Whether the order may be replaced at all, now and so.
    fn check_replaceable(
        &self,
        session: SessionIx,
        slot: Slot,
        replace: &ReplaceOrder,
    ) -> Result<(), Rejection> {
        let terms = self.orders.terms(slot);
        let ix = InstrumentIx::new(self.orders.slab[slot].instrument);
        self.check_entry(session)?;
        if replace.trigger_price != Price::ZERO {
            let offset = offset_of!(ReplaceOrder, trigger_price);
            let rejection = Rejection::field(RejectReason::InvalidTrigger, offset);
            return Err(rejection.met(0, replace.trigger_price.raw()));
        }
        self.check_class_entry(ix)?;
        let takes = match self.instruments[ix].phase {
            Phase::PreOpen | Phase::Open | Phase::Auction => true,
            Phase::Pending | Phase::Halted => false,
            Phase::Closed | Phase::Delivering | Phase::Settled => false,
        };
        self.check_phase(ix, takes)?;
        if terms.is_quote || terms.partner.is_some() || terms.place == Place::Call {
            return Err(Rejection::whole(RejectReason::NotReplaceable));
        }
        Ok(())
    }

    /// All that a new size would leave has traded already, or is taken off.
    pub(crate) fn reduce_to_zero(&mut self, slot: Slot, requester: Requester, out: &mut Events) {
        self.cancel_on_request(slot, CancelReason::ReducedToZero, requester, out);
    }

    /// Takes lots off an open order, hidden ones first; it keeps some, and its place.
    pub(crate) fn shrink_in_place(&mut self, slot: Slot, lots: u32, requester: Requester, out: &mut Events) {
        let before = self.promise_at(slot);
        let level = match self.orders.terms(slot).place {
            Place::Book => {
                let book = self.instruments[before.instrument].book_mut();
                book.reduce(&mut self.orders.slab, slot, lots)
            }
            Place::Stop | Place::Call => {
                self.orders.slab.shrink(slot, lots);
                None
            }
        };
        self.promise_less(slot, &before);
        self.tell_replaced(slot, requester, true, out);
        if let Some(level) = level {
            self.publish_change(slot, self.orders.slab[slot].leaves, level, BookUpdate::REDUCED, out);
        }
    }

    /// Gives back what an open order that shrank held for `before` and does not need any more.
    fn promise_less(&mut self, slot: Slot, before: &Promise) {
        let after = self.promise_at(slot);
        match (self.orders.terms(slot).place, after.side) {
            (Place::Book, _) | (Place::Call, Side::Sell) => {
                self.rehold((before, self.worth_of(before)), (&after, self.worth_of(&after)));
                self.balance_link(slot, &after);
            }
            (Place::Call, Side::Buy) => {
                self.uncount_open(before);
                self.count_open(&after);
            }
            (Place::Stop, _) => {
                self.uncount_open(before);
                self.count_open(&after);
                let held = self.counted_hold(slot);
                let held_before = self.stops.set_held(slot, held);
                self.give_back(after.account, after.instrument, held_before);
                self.take(after.account, after.instrument, held);
            }
        }
    }

    /// Checks everything before it touches the order, so that a refused replace leaves it as it was.
    fn move_to_back(
        &mut self,
        requester: Requester,
        slot: Slot,
        replace: &ReplaceOrder,
        out: &mut Events,
    ) -> Result<(), Rejection> {
        let order = self.orders.slab[slot];
        let given = self.promise_at(slot);
        let leaves = replace.qty - order.filled();
        let wanted = Promise { limit: replace.price, lots: leaves, ..given };
        let (given_worth, wanted_worth) = self.check_move(slot, replace, &wanted, &given)?;
        let level = self.instruments[given.instrument].book_mut().remove(&mut self.orders.slab, slot);
        self.rehold((&given, given_worth), (&wanted, wanted_worth));
        let display = self.orders.terms(slot).display();
        self.orders.slab.amend(slot, replace.price, replace.qty, leaves, display);
        self.tell_replaced(slot, requester, false, out);
        self.publish_book_update(&order, 0, level, BookUpdate::REMOVED, out);
        let taker = self.taker_at(slot);
        self.act(taker, out);
        Ok(())
    }

    /// Returns what the order is worth before and after.
    #[inline(always)]
    fn check_move(
        &self,
        slot: Slot,
        replace: &ReplaceOrder,
        wanted: &Promise,
        given: &Promise,
    ) -> Result<(Worth, Worth), Rejection> {
        let order = &self.orders.slab[slot];
        let instrument = &self.instruments[wanted.instrument];
        let qty_offset = offset_of!(ReplaceOrder, qty);
        check_slices(self.orders.terms(slot), wanted.lots, qty_offset)?;
        instrument.check_qty_max(replace.qty, qty_offset)?;
        let price_offset = offset_of!(ReplaceOrder, price);
        instrument.check_price(replace.price, price_offset)?;
        let phase = instrument.phase;
        if phase == Phase::Open {
            self.check_dynamic_band(wanted.instrument, order.side, replace.price, price_offset)?;
        }
        let worth = self.check_notional(wanted, replace.qty, qty_offset)?;
        let given_worth = self.worth_of(given);
        self.check_hold_of(wanted, worth.hold, Some(given_worth.hold), qty_offset)?;
        if order.post_only || phase == Phase::PreOpen {
            self.check_post_only(wanted.instrument, order.side, replace.price)?;
        }
        self.check_caps(wanted, Some(given), OrderType::Limit, 0, qty_offset)?;
        Ok((given_worth, worth))
    }

    /// Tells the order's session, and the one that asked if it is another.
    pub(crate) fn tell_replaced(
        &mut self,
        slot: Slot,
        requester: Requester,
        kept_priority: bool,
        out: &mut Events,
    ) {
        let (order, owner) = (self.orders.slab[slot], *self.orders.owner(slot));
        let Requester { session, request } = requester;
        let replaced = OrderReplaced {
            client_order_id: owner.client_order_id,
            order_id: order.order_id,
            request: if owner.session == session { request } else { ClientOrderId::NONE },
            price: self.reported_price(slot),
            instrument: self.instruments[InstrumentIx::new(order.instrument)].id,
            qty: order.qty,
            leaves_qty: order.total_leaves(),
            slot: slot.hint(),
            kept_priority: u8::from(kept_priority),
            ..Default::default()
        };
        self.tell(owner.session, replaced, out);
        if owner.session != session && requester != Requester::NOBODY {
            self.tell(
                session,
                OrderReplaced { client_order_id: ClientOrderId::NONE, request, ..replaced },
                out,
            );
        }
    }
}
