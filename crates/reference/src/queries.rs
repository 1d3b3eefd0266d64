//! Questions of clients: what is, not what happened. The answers are not numbered.

use core::mem::offset_of;

use joulebook_protocol::messages::{
    CapacityBalance, CreditBalance, OrderQuery, OrderStatus, RequestRejected, SnapshotEnd,
};
use joulebook_protocol::{Message, RejectReason};
use joulebook_types::{ClientOrderId, MicroEc, OrderId, OrderType, SlotHint};

use crate::market::Market;

impl Market {
    pub(crate) fn order_query(&mut self, session: usize, query: &OrderQuery) {
        match self.own_order(session, query.order_id, query.target) {
            Some(id) => {
                let status = self.order_status(id);
                self.answer(session, status);
            }
            None => {
                let rejected = RequestRejected {
                    client_order_id: query.client_order_id,
                    reason: RejectReason::UnknownOrder.raw(),
                    template_id: OrderQuery::TEMPLATE_ID,
                    field_offset: offset_of!(OrderQuery, order_id) as u16,
                    ..Default::default()
                };
                self.answer(session, rejected);
            }
        }
    }

    /// The session's open orders, the account's balances, and the end marker.
    pub(crate) fn send_snapshot(&mut self, session: usize, request: ClientOrderId, last_event_seq: u64) {
        for id in self.session_orders(session) {
            let status = self.order_status(id);
            self.answer(session, status);
        }
        let account = self.account_of(session);
        let holdings = self.accounts[account].holdings.clone();
        let balance = CreditBalance {
            free: MicroEc::new(self.free(account)),
            held: MicroEc::new(self.held(account)),
            escrow: MicroEc::new(holdings.iter().map(|holding| holding.escrow).sum()),
            ..Default::default()
        };
        self.answer(session, balance);
        for holding in holdings {
            if holding.registered == 0 && holding.balance == 0 && holding.escrow == 0 {
                continue;
            }
            let held = self.held_capacity(account, holding.slot, &[]);
            let balance = CapacityBalance {
                class: holding.slot.class,
                area: holding.slot.area,
                escrow: MicroEc::new(holding.escrow),
                slot: holding.slot.slot,
                registered: holding.registered as u32,
                free: (holding.balance - held) as u32,
                held: held as u32,
                ..Default::default()
            };
            self.answer(session, balance);
        }
        self.answer(session, SnapshotEnd { client_order_id: request, last_event_seq, ..Default::default() });
    }

    fn order_status(&self, id: OrderId) -> OrderStatus {
        let order = self.order(id);
        let order_type = if order.market { OrderType::Market } else { OrderType::Limit };
        let status = OrderStatus {
            client_order_id: order.client_order_id,
            order_id: id,
            price: order.price(),
            instrument: self.instruments[order.instrument].id,
            qty: order.qty(),
            leaves_qty: order.leaves,
            slot: SlotHint::UNKNOWN,
            side: order.side.raw(),
            order_type: order_type.raw(),
            ..Default::default()
        };
        match order.stop {
            Some(stop) => OrderStatus {
                trigger: stop.kind().raw(),
                trigger_price: stop.shown_trigger(order.side),
                ..status
            },
            None => status,
        }
    }
}
