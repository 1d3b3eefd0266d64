//! Questions of clients: what is, not what happened. The answers are not numbered.

use core::mem::offset_of;

use joulebook_book::Slot;
use joulebook_protocol::messages::{
    AccountQuery, CapacityBalance, CreditBalance, OrderQuery, OrderStatus, SnapshotEnd,
};
use joulebook_protocol::{Origin, RejectReason};
use joulebook_types::{ClientOrderId, Price, SlotHint, Trigger};

use crate::instruments::InstrumentIx;
use crate::request::Rejection;
use crate::sessions::SessionIx;
use crate::{Engine, Events};

/// With so many bytes in the arena, an account's state has to wait for a later batch: a question is small, its answer as
/// large as the account, and one batch may bring hundreds.
const BATCH_BYTES_MAX: usize = 4 << 20;

impl Engine {
    pub(crate) fn order_query(&mut self, origin: Origin, query: &OrderQuery, out: &mut Events) {
        let Some(session) = self.connected_session(origin) else { return self.ignore() };
        match self.own_order(session, query.order_id, query.target, SlotHint::UNKNOWN) {
            Some(slot) => self.answer(session, self.order_status(slot), out),
            None => {
                let offset = offset_of!(OrderQuery, order_id);
                let unknown = Rejection::field(RejectReason::UnknownOrder, offset);
                self.answer(session, Self::rejected::<OrderQuery>(query.client_order_id, unknown), out);
            }
        }
    }

    pub(crate) fn account_query(&mut self, origin: Origin, query: &AccountQuery, out: &mut Events) {
        let Some(session) = self.connected_session(origin) else { return self.ignore() };
        let waiting = out.bytes_len();
        if waiting > BATCH_BYTES_MAX {
            let busy = Rejection::whole(RejectReason::Busy).met(BATCH_BYTES_MAX, waiting);
            return self.answer(session, Self::rejected::<AccountQuery>(query.client_order_id, busy), out);
        }
        self.send_snapshot(session, query.client_order_id, out);
    }

    /// The session's open orders, the account's balances, and the end marker.
    pub(crate) fn send_snapshot(&self, session_ix: SessionIx, request: ClientOrderId, out: &mut Events) {
        let session = &self.sessions[session_ix];
        for slot in self.orders.of_session(&session.orders) {
            self.answer(session_ix, self.order_status(slot), out);
        }
        let credits = self.ledger.credits(session.account);
        let balance = CreditBalance {
            free: credits.free,
            held: credits.held,
            escrow: credits.escrow,
            ..Default::default()
        };
        self.answer(session_ix, balance, out);
        self.send_positions(session_ix, out);
        let end = SnapshotEnd {
            client_order_id: request,
            last_event_seq: session.last_event_seq,
            ..Default::default()
        };
        self.answer(session_ix, end, out);
    }

    fn send_positions(&self, session_ix: SessionIx, out: &mut Events) {
        for position in self.ledger.positions(self.sessions[session_ix].account) {
            let key = self.ledger.slot_key(position.asset);
            // A slot never has more accelerators than the wire can say, so no account has.
            let on_wire = |accelerators: u64| u32::try_from(accelerators).unwrap_or(u32::MAX);
            let balance = CapacityBalance {
                class: key.class,
                area: key.area,
                escrow: position.escrow,
                slot: key.slot,
                registered: on_wire(position.registered),
                free: on_wire(position.free),
                held: on_wire(position.held),
                ..Default::default()
            };
            self.answer(session_ix, balance, out);
        }
    }

    pub(crate) fn order_status(&self, slot: Slot) -> OrderStatus {
        let order = &self.orders.slab[slot];
        let order_type = self.orders.terms(slot).order_type;
        let stop = self.stops.get(slot);
        OrderStatus {
            client_order_id: self.orders.owner(slot).client_order_id,
            order_id: order.order_id,
            price: self.reported_price(slot),
            instrument: self.instruments[InstrumentIx::new(order.instrument)].id,
            qty: order.qty,
            leaves_qty: order.total_leaves(),
            slot: slot.hint(),
            side: order.side.raw(),
            order_type: order_type.raw(),
            trigger: stop.map_or(Trigger::None, |stop| stop.trigger.kind()).raw(),
            trigger_price: stop.and_then(|stop| stop.trigger_price()).unwrap_or(Price::ZERO),
            ..Default::default()
        }
    }
}
