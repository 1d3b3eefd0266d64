//! An order in hand meets one of its own group: its mode decides.

use joulebook_protocol::CancelReason;
use joulebook_protocol::messages::BookUpdate;
use joulebook_types::{ClientOrderId, OrderId, SelfTradeMode};

use crate::market::Market;
use crate::orders::Work;

impl Market {
    /// Resolves the meeting as the mode of the order in hand says, its own end excepted. Returns whether it goes on.
    pub(crate) fn resolve_self_trade(&mut self, taker: OrderId, resting: OrderId) -> bool {
        match self.order(taker).self_trade {
            SelfTradeMode::CancelAggressor => false,
            SelfTradeMode::CancelResting => {
                self.cancel_open(resting, CancelReason::SelfTrade, None);
                true
            }
            SelfTradeMode::CancelBoth => {
                self.cancel_open(resting, CancelReason::SelfTrade, None);
                false
            }
            SelfTradeMode::Decrement => {
                let lots = self.order(taker).leaves.min(self.order(resting).leaves);
                self.decrement(resting, lots);
                if self.order(taker).leaves == lots {
                    return false;
                }
                self.decrement(taker, lots);
                true
            }
        }
    }

    /// Takes lots that would have traded with their own group off an order; with none left it is canceled. Returns
    /// whether it is still there.
    pub(crate) fn decrement(&mut self, id: OrderId, lots: u32) -> bool {
        self.lose(id, lots, CancelReason::SelfTrade)
    }

    /// Takes lots off an order, which ends for this reason when it has no more. Returns whether it is still there.
    pub(crate) fn lose(&mut self, id: OrderId, lots: u32, reason: CancelReason) -> bool {
        let order = self.order(id);
        if order.leaves == lots {
            self.cancel_open(id, reason, None);
            return false;
        }
        let owner = order.session;
        let rests = order.work == Work::Resting;
        let slice_changed = self.shrink(id, lots);
        self.tell_replaced(owner, id, ClientOrderId::NONE, true);
        if rests && slice_changed {
            self.publish_update(id, BookUpdate::REDUCED);
        }
        true
    }
}
