//! The reduce that markets are made of: a resting order gives up some of its lots, and keeps its place with the others.
//!
//! As with a plain order nothing has happened until all questions are answered; whatever is not as usual goes the way of
//! all other reduces.

use joulebook_book::Slot;
use joulebook_protocol::Origin;
use joulebook_protocol::messages::{BookUpdate, OrderReplaced, ReduceOrder};

use crate::holds::Worth;
use crate::instruments::InstrumentIx;
use crate::outcomes::Outcome;
use crate::tell::Teller;
use crate::trade::book_update;
use crate::{Engine, Events};

impl Engine {
    /// Takes lots off an order that shows all of them and keeps some, with the answer and all that belongs to a request.
    /// Else nothing has happened.
    #[inline(always)]
    #[must_use]
    pub(crate) fn reduce_resting(&mut self, origin: Origin, reduce: &ReduceOrder, out: &mut Events) -> bool {
        let Some(session_ix) = self.sessions.find(origin.account, origin.session) else { return false };
        let session = &mut self.sessions[session_ix];
        let account_ix = session.account;
        let account = &mut self.accounts[account_ix];
        // Who enters freely has no figures of bids to keep.
        if !session.enters(reduce.client_order_id) {
            return false;
        }
        let (slot, order_id) = (Slot::new(reduce.slot.raw()), reduce.order_id);
        match self.orders.slab.resting(slot, order_id) {
            Some(order) if reduce.lots > 0 && reduce.lots < order.leaves => {}
            Some(_) | None => return false,
        }
        let owner = match self.orders.owner_of_plain(slot) {
            Some(owner) if owner.session == session_ix => owner,
            Some(_) | None => return false,
        };
        (self.last_seq, self.step, self.received) = (self.last_seq.next(), self.step + 1, origin.received);
        session.high_water_mark = reduce.client_order_id;
        let request = reduce.client_order_id;
        let outcome = Outcome { client_order_id: request, order_id, slot: slot.hint(), reason: None };
        session.outcomes.record(outcome, &mut self.outcome_budget);
        let order = self.orders.slab[slot];
        let (qty, leaves) = (order.qty - reduce.lots, order.leaves - reduce.lots);
        let instrument = &mut self.instruments[InstrumentIx::new(order.instrument)];
        let level = instrument.book_mut().reduce(&mut self.orders.slab, slot, reduce.lots);
        let level = level.expect("an order that shows all of its lots shows fewer");
        let worth = |lots| Worth::of(instrument, order.side, order.price, lots);
        let (given, kept) = worth(order.leaves).zip(worth(leaves)).expect("an open order fits a balance");
        account.open_value += i128::from((kept.value - given.value).raw());
        given.hold.beyond(kept.hold).give_back(&mut self.ledger, account_ix, &instrument.assets);
        let replaced = OrderReplaced {
            client_order_id: owner.client_order_id,
            order_id,
            request,
            price: order.price,
            instrument: instrument.id,
            qty,
            leaves_qty: leaves,
            slot: slot.hint(),
            kept_priority: 1,
            ..Default::default()
        };
        let Self { time, received, tells_all, ref mut hash, ref mut outbox, .. } = *self;
        let mut teller = Teller { time, received, tells_all, hash, outbox };
        let reduced = book_update((time, instrument.id), &order, leaves, level, BookUpdate::REDUCED);
        teller.tell_and_publish(session, session_ix, (replaced, reduced), out);
        self.end_step(out);
        true
    }
}
