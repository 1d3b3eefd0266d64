//! The replace that markets are made of: a resting order goes to another price, or gets more lots, and rests again.
//!
//! As with a plain order nothing has happened until all questions are answered; whatever is not as usual goes the way of
//! all other replaces.

use joulebook_book::{Moved, Order, Slot};
use joulebook_protocol::Origin;
use joulebook_protocol::messages::{BookUpdate, OrderReplaced, ReplaceOrder};
use joulebook_types::{Phase, Price};

use crate::holds::Worth;
use crate::instruments::{Instrument, InstrumentIx};
use crate::outcomes::Outcome;
use crate::tell::Teller;
use crate::trade::book_update;
use crate::{Engine, Events};

impl Engine {
    /// Moves an order that rests before and after, with the answer and all that belongs to a request. Else nothing has
    /// happened.
    #[inline(always)]
    #[must_use]
    pub(crate) fn move_resting(&mut self, origin: Origin, replace: &ReplaceOrder, out: &mut Events) -> bool {
        let Some(session_ix) = self.sessions.find(origin.account, origin.session) else { return false };
        let session = &mut self.sessions[session_ix];
        let account_ix = session.account;
        let account = &mut self.accounts[account_ix];
        let enters = !self.disabled.is_anybody() && session.enters(replace.client_order_id);
        let slot = Slot::new(replace.slot.raw());
        let order = match self.orders.slab.resting(slot, replace.order_id) {
            Some(order) if enters => *order,
            Some(_) | None => return false,
        };
        let owner = match self.orders.owner_of_plain(slot) {
            Some(owner) if owner.session == session_ix => owner,
            Some(_) | None => return false,
        };
        let instrument = &mut self.instruments[InstrumentIx::new(order.instrument)];
        if !instrument.lets_move(&order, replace) {
            return false;
        }
        let leaves = replace.qty - order.filled();
        let Some(wanted) = Worth::of(instrument, order.side, replace.price, leaves) else { return false };
        let given = Worth::of(instrument, order.side, order.price, order.leaves);
        let given = given.expect("an open order is worth what fits a balance");
        // The last question: what is free is held right away.
        if !wanted.hold.take_for(given.hold, &mut self.ledger, account_ix, &instrument.assets) {
            return false;
        }
        (self.last_seq, self.step, self.received) = (self.last_seq.next(), self.step + 1, origin.received);
        session.high_water_mark = replace.client_order_id;
        let (client_order_id, order_id) = (replace.client_order_id, order.order_id);
        let outcome = Outcome { client_order_id, order_id, slot: slot.hint(), reason: None };
        session.outcomes.record(outcome, &mut self.outcome_budget);
        account.open_value += i128::from((wanted.value - given.value).raw());
        let replaced = OrderReplaced {
            client_order_id: owner.client_order_id,
            order_id,
            request: client_order_id,
            price: replace.price,
            instrument: instrument.id,
            qty: replace.qty,
            leaves_qty: leaves,
            slot: slot.hint(),
            ..Default::default()
        };
        let Self { time, received, tells_all, ref mut hash, ref mut outbox, .. } = *self;
        let mut teller = Teller { time, received, tells_all, hash, outbox };
        let (at, book) = ((time, instrument.id), instrument.book_mut());
        let size = (replace.qty, leaves, u32::MAX);
        let Moved { left, joined } = book.relocate(&mut self.orders.slab, slot, replace.price, size);
        let left = book_update(at, &order, 0, left, BookUpdate::REMOVED);
        teller.tell_and_publish(session, session_ix, (replaced, left), out);
        let mut moved = order;
        moved.price = replace.price;
        teller.publish(book_update(at, &moved, leaves, joined, BookUpdate::ADDED), out);
        self.end_step(out);
        true
    }
}

impl Instrument {
    /// Whether an order that rests loses its place to this request, keeps the rules, and rests again as it is. Bands that
    /// move are not looked at here.
    #[inline(always)]
    fn lets_move(&self, order: &Order, replace: &ReplaceOrder) -> bool {
        let Some(book) = &self.book else { return false };
        let keeps_place = replace.price == order.price && replace.qty <= order.qty;
        !keeps_place
            && replace.trigger_price == Price::ZERO
            && replace.qty > order.filled()
            && self.phase == Phase::Open
            && self.lets_trade(replace.qty)
            && self.lets_stand(book, replace.price)
            && !book.crosses(order.side, replace.price)
    }
}
