//! Nobody trades with its own group: the order that takes says who gives way.

use joulebook_book::Slot;
use joulebook_protocol::CancelReason;
use joulebook_protocol::messages::OrderReplaced;
use joulebook_types::SelfTradeMode;

use crate::cancel::Requester;
use crate::matching::Taker;
use crate::{Engine, Events};

impl Engine {
    /// Keeps a taker from trading with an order of its own group at the front of the book. Returns whether the taker
    /// ends here; what is left of it is then still to be canceled.
    pub(crate) fn prevent_self_trade(&mut self, taker: &mut Taker, front: Slot, out: &mut Events) -> bool {
        match taker.self_trade {
            SelfTradeMode::CancelAggressor => true,
            SelfTradeMode::CancelResting => {
                self.cancel_open_order(front, CancelReason::SelfTrade, Requester::NOBODY, out);
                false
            }
            SelfTradeMode::CancelBoth => {
                self.cancel_open_order(front, CancelReason::SelfTrade, Requester::NOBODY, out);
                true
            }
            SelfTradeMode::Decrement => self.decrement(taker, front, out),
        }
    }

    /// Both shrink by the smaller of the two, the resting order first. Whoever has nothing left ends.
    fn decrement(&mut self, taker: &mut Taker, front: Slot, out: &mut Events) -> bool {
        let resting = self.orders.slab[front].total_leaves();
        let lots = resting.min(taker.leaves);
        if lots == resting {
            self.cancel_open_order(front, CancelReason::SelfTrade, Requester::NOBODY, out);
        } else {
            self.shrink_in_place(front, lots, Requester::NOBODY, out);
        }
        if lots == taker.leaves {
            return true;
        }
        self.shrink_taker(taker, lots, out);
        false
    }

    /// Takes lots off the order in hand, which keeps some.
    fn shrink_taker(&mut self, taker: &mut Taker, lots: u32, out: &mut Events) {
        let before = taker.promise();
        taker.qty -= lots;
        taker.leaves -= lots;
        let after = taker.promise();
        // The hold is a function of what is left, so the whole is given back before the rest is held anew.
        if taker.holds() {
            self.release(&before);
            self.hold(&after);
        }
        if let Some(slot) = taker.slot {
            self.balance_link(slot, &after);
        }
        let replaced = OrderReplaced {
            client_order_id: taker.client_order_id,
            order_id: taker.order_id,
            price: taker.reported_price(),
            instrument: self.instruments[taker.instrument].id,
            qty: taker.qty,
            leaves_qty: taker.leaves,
            slot: taker.slot_hint(),
            kept_priority: 1,
            ..Default::default()
        };
        self.tell(taker.session, replaced, out);
    }
}
