//! The cancel that markets are made of: of an order that rests, by the session that entered it, which remembers its slot.
//!
//! As with a plain order nothing has happened until all questions are answered; whatever is not as usual goes the way of
//! all other cancels.

use joulebook_book::Slot;
use joulebook_protocol::messages::{BookUpdate, CancelOrder, OrderCanceled};
use joulebook_protocol::{CancelReason, Origin};
use joulebook_types::SlotHint;

use crate::holds::Worth;
use crate::instruments::InstrumentIx;
use crate::outcomes::Outcome;
use crate::tell::Teller;
use crate::trade::book_update;
use crate::{Engine, Events};

impl Engine {
    /// Cancels an order that just leaves, with the answer and all that belongs to a request. Else nothing has happened.
    #[inline(always)]
    #[must_use]
    pub(crate) fn cancel_resting(&mut self, origin: Origin, cancel: &CancelOrder, out: &mut Events) -> bool {
        let Some(session_ix) = self.sessions.find(origin.account, origin.session) else { return false };
        let session = &mut self.sessions[session_ix];
        let account_ix = session.account;
        let account = &mut self.accounts[account_ix];
        // Who enters freely has no figures of bids to keep.
        if !session.enters(cancel.client_order_id) {
            return false;
        }
        let (slot, order_id) = (Slot::new(cancel.slot.raw()), cancel.order_id);
        if self.orders.slab.resting(slot, order_id).is_none() {
            return false;
        }
        let (owner, listed) = match self.orders.of_order_alone(slot) {
            Some((owner, listed)) if owner.session == session_ix => (owner, listed),
            Some(_) | None => return false,
        };
        (self.last_seq, self.step, self.received) = (self.last_seq.next(), self.step + 1, origin.received);
        session.high_water_mark = cancel.client_order_id;
        let client_order_id = cancel.client_order_id;
        let outcome = Outcome { client_order_id, order_id, slot: SlotHint::UNKNOWN, reason: None };
        session.outcomes.record(outcome, &mut self.outcome_budget);
        self.orders.unlist(&mut session.orders, order_id, listed);
        let order = self.orders.slab[slot];
        let ix = InstrumentIx::new(order.instrument);
        let instrument = &mut self.instruments[ix];
        let level = instrument.book_mut().withdraw(&mut self.orders.slab, slot);
        let worth = Worth::of(instrument, order.side, order.price, order.total_leaves());
        let worth = worth.expect("an open order is worth what fits a balance");
        account.open_value -= i128::from(worth.value.raw());
        account.open_orders -= 1;
        worth.hold.give_back(&mut self.ledger, account_ix, &instrument.assets);
        let canceled = OrderCanceled {
            client_order_id: owner.client_order_id,
            order_id,
            request: cancel.client_order_id,
            instrument: instrument.id,
            canceled_qty: order.total_leaves(),
            filled_qty: order.filled(),
            reason: CancelReason::Requested.raw(),
            side: order.side.raw(),
            ..Default::default()
        };
        let Self { time, received, tells_all, ref mut hash, ref mut outbox, .. } = *self;
        let mut teller = Teller { time, received, tells_all, hash, outbox };
        let left = book_update((time, instrument.id), &order, 0, level, BookUpdate::REMOVED);
        teller.tell_and_publish(session, session_ix, (canceled, left), out);
        if account.open_orders == 0 {
            self.note_closed(account_ix, ix);
        }
        self.end_step(out);
        true
    }
}
