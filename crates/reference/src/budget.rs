//! Market orders by budget: as many lots as an amount of credits pays for.

use joulebook_protocol::CancelReason;
use joulebook_protocol::messages::{NewOrder, SweepDone};
use joulebook_types::{MicroEc, OrderId};

use crate::baskets::average_price;
use crate::entry::Shape;
use crate::market::Market;
use crate::matching::Next;

impl Market {
    pub(crate) fn budget_order(
        &mut self,
        session: usize,
        new: &NewOrder,
        shape: Shape,
        index: usize,
    ) -> OrderId {
        let id = self.new_order_id();
        let order = self.order_of(id, session, new, shape, index);
        let free = self.free(order.account);
        self.accept(order, new);
        let reason = self.spend(id, new.budget.raw(), free);
        let order = self.order(id).clone();
        self.close(id);
        self.tell(
            session,
            SweepDone {
                client_order_id: new.client_order_id,
                order_id: id,
                bought: MicroEc::new(order.tally.notional),
                fees: MicroEc::new(order.tally.fees),
                average_price: average_price(&[(&self.instruments[index], order.filled, order.tally)]),
                fills: order.tally.fills,
                reason: reason.map_or(0, CancelReason::raw),
                ..Default::default()
            },
        );
        id
    }

    /// Buys from the best ask on. Returns why it ended; `None` when the budget pays for no further lot.
    fn spend(&mut self, id: OrderId, budget: i64, free: i64) -> Option<CancelReason> {
        let (account, index) = (self.order(id).account, self.order(id).instrument);
        loop {
            let order = self.order(id);
            let wanted = self.instruments[index].qty_max - order.filled;
            if wanted == 0 {
                return Some(CancelReason::ImmediateRemainder);
            }
            let left = budget.min(free) - order.tally.notional - order.tally.fees;
            match self.next_for(id) {
                Next::Nothing => return Some(CancelReason::ImmediateRemainder),
                Next::BeyondDynamic | Next::BeyondVelocity => return Some(CancelReason::PriceBand),
                Next::Own(resting) => {
                    if !self.resolve_self_trade(id, resting) {
                        return Some(CancelReason::SelfTrade);
                    }
                }
                Next::Stranger(maker) => {
                    let (price, shown) = (self.order(maker).limit, self.order(maker).shown);
                    let within = self.lots_within_cap(account, index, wanted.min(shown));
                    if within == 0 {
                        return Some(CancelReason::WindowCap);
                    }
                    let lots = self.lots_for(index, price, within, left);
                    if lots == 0 {
                        return (free < budget).then_some(CancelReason::CreditsExhausted);
                    }
                    self.order_mut(id).leaves = lots;
                    self.trade(id, maker, lots);
                }
            }
        }
    }
}
