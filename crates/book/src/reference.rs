//! The slow book: a list of orders and linear scans. What it says is right because there is nothing to get wrong.

use joulebook_types::{OrderId, Price, Qty, Side};

use crate::book::reaches;
use crate::level::{Level, LevelTotal};

/// One resting order of the slow book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceOrder {
    pub order_id: OrderId,
    pub side: Side,
    pub price: Price,
    pub leaves: u32,
}

/// Orders of both sides in the order of arrival.
#[derive(Clone, Debug, Default)]
pub struct ReferenceBook {
    arrived: Vec<ReferenceOrder>,
}

impl ReferenceBook {
    /// Adds an order behind all that came before.
    pub fn add(&mut self, order: ReferenceOrder) -> LevelTotal {
        self.arrived.push(order);
        self.total(order.side, order.price)
    }

    pub fn best(&self, side: Side) -> Option<Price> {
        let prices = self.arrived.iter().filter(|order| order.side == side).map(|order| order.price);
        match side {
            Side::Buy => prices.max(),
            Side::Sell => prices.min(),
        }
    }

    /// The order that trades next on a side: the first to arrive at the best price.
    pub fn front(&self, side: Side) -> Option<ReferenceOrder> {
        let best = self.best(side)?;
        self.arrived.iter().find(|order| order.side == side && order.price == best).copied()
    }

    /// Takes lots from the front order of a side; `None` when it has fewer.
    pub fn fill_front(&mut self, side: Side, lots: u32) -> Option<(OrderId, LevelTotal)> {
        let front = self.front(side)?;
        let total = self.reduce(front.order_id, lots)?;
        Some((front.order_id, total))
    }

    /// Makes an order smaller in its place and drops it at zero; `None` when there is no such order or it has fewer.
    pub fn reduce(&mut self, order_id: OrderId, lots: u32) -> Option<LevelTotal> {
        let order = self.arrived.iter_mut().find(|order| order.order_id == order_id)?;
        order.leaves = order.leaves.checked_sub(lots)?;
        let (side, price) = (order.side, order.price);
        self.arrived.retain(|order| order.leaves > 0);
        Some(self.total(side, price))
    }

    /// Takes an order out; `None` when there is no such order.
    pub fn remove(&mut self, order_id: OrderId) -> Option<(ReferenceOrder, LevelTotal)> {
        let index = self.arrived.iter().position(|order| order.order_id == order_id)?;
        let order = self.arrived.remove(index);
        Some((order, self.total(order.side, order.price)))
    }

    pub fn get(&self, order_id: OrderId) -> Option<ReferenceOrder> {
        self.arrived.iter().find(|order| order.order_id == order_id).copied()
    }

    /// Whether an order of `side` limited to `price` would trade with what rests now.
    pub fn crosses(&self, side: Side, price: Price) -> bool {
        self.best(side.opposite()).is_some_and(|best| reaches(side, price, best))
    }

    /// The levels of a side, best first.
    pub fn levels(&self, side: Side) -> Vec<Level> {
        let mut prices: Vec<Price> = self.makers(side).iter().map(|order| order.price).collect();
        prices.dedup();
        prices.into_iter().map(|price| Level { price, total: self.total(side, price) }).collect()
    }

    /// The orders of a side in the order in which they will trade.
    pub fn makers(&self, side: Side) -> Vec<ReferenceOrder> {
        let mut makers: Vec<_> = self.arrived.iter().filter(|order| order.side == side).copied().collect();
        // The sort is stable, so orders of one price stay in the order of arrival.
        makers.sort_by_key(|order| match side {
            Side::Buy => -order.price.raw(),
            Side::Sell => order.price.raw(),
        });
        makers
    }

    fn total(&self, side: Side, price: Price) -> LevelTotal {
        let at_price = self.arrived.iter().filter(|order| order.side == side && order.price == price);
        at_price.fold(LevelTotal::default(), |total, order| LevelTotal {
            qty: total.qty + Qty::from(order.leaves),
            orders: total.orders + 1,
        })
    }
}
