//! Both sides of one instrument's book.

use joulebook_types::{Price, Side};

use crate::ladder::Ladder;
use crate::level::{Level, LevelTotal};
use crate::slab::{OrderSlab, Slot};

/// The resting orders of one instrument in price-time priority. The only place that turns prices into ticks.
///
/// Orders are named by slot; the caller passes the slab that they lie in, always the same one.
#[derive(Debug)]
pub struct Book {
    tick: Price,
    bids: Ladder,
    asks: Ladder,
}

/// The front order after it gave lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Out of the book when its leaves quantity is zero, but still in the slab.
    pub maker: Slot,
    /// Its level afterwards.
    pub level: LevelTotal,
}

impl Book {
    /// An empty book whose prices are multiples of `tick`, which is positive.
    pub fn new(tick: Price) -> Self {
        assert!(tick > Price::ZERO, "a tick is positive");
        Self { tick, bids: Ladder::new(Side::Buy), asks: Ladder::new(Side::Sell) }
    }

    /// Whether the book has a level for this price.
    pub fn is_on_tick(&self, price: Price) -> bool {
        price > Price::ZERO && price.raw() % self.tick.raw() == 0
    }

    /// Puts an order at the back of its price.
    pub fn add(&mut self, orders: &mut OrderSlab, slot: Slot) -> LevelTotal {
        let (side, price) = (orders[slot].side, orders[slot].price);
        assert!(!orders[slot].is_resting(), "an order rests once");
        let tick = self.ticks(price);
        self.ladder_mut(side).push_back(orders, slot, tick)
    }

    /// The best price of a side.
    pub fn best(&self, side: Side) -> Option<Price> {
        self.ladder(side).best().map(|queue| queue.price)
    }

    /// The order that trades next on a side.
    pub fn front(&self, side: Side) -> Option<Slot> {
        self.ladder(side).best().map(|queue| queue.first)
    }

    /// Takes `lots` from the front order of a side, which shows at least as many.
    pub fn fill_front(&mut self, orders: &mut OrderSlab, side: Side, lots: u32) -> Filled {
        let maker = self.front(side).expect("only a side with orders is filled");
        let leaves = orders[maker].leaves;
        assert!(0 < lots && lots <= leaves, "a fill is at most what the maker has");
        let level = if lots < leaves {
            self.ladder_mut(side).reduce(orders, maker, lots)
        } else {
            let level = self.remove(orders, maker);
            orders.order_mut(maker).leaves = 0;
            level
        };
        Filled { maker, level }
    }

    /// Takes `lots` from a resting order wherever it stands, those that do not show after its slice. It leaves the book
    /// when its slice is exhausted.
    pub fn fill(&mut self, orders: &mut OrderSlab, slot: Slot, lots: u32) -> LevelTotal {
        let (shown, all) = (orders[slot].leaves, orders[slot].total_leaves());
        assert!(0 < lots && lots <= all, "a fill is at most what the order has");
        if lots < shown {
            return self.ladder_mut(orders[slot].side).reduce(orders, slot, lots);
        }
        let level = self.remove(orders, slot);
        let order = orders.order_mut(slot);
        order.leaves = 0;
        order.hidden -= lots - shown;
        level
    }

    /// Makes a resting order smaller in its place, hidden lots first; it keeps at least one lot. Its total shrinks with
    /// it. `None` when nothing that shows has changed.
    pub fn reduce(&mut self, orders: &mut OrderSlab, slot: Slot, lots: u32) -> Option<LevelTotal> {
        let order = orders.order_mut(slot);
        assert!(lots < order.total_leaves(), "an order without lots does not rest");
        let of_hidden = lots.min(order.hidden);
        order.hidden -= of_hidden;
        order.qty -= lots;
        let of_slice = lots - of_hidden;
        (of_slice > 0).then(|| self.ladder_mut(orders[slot].side).reduce(orders, slot, of_slice))
    }

    /// Takes an order out of the book; it stays in the slab with the lots that it had.
    pub fn remove(&mut self, orders: &mut OrderSlab, slot: Slot) -> LevelTotal {
        assert!(orders[slot].is_resting(), "only a resting order is removed");
        self.ladder_mut(orders[slot].side).remove(orders, slot)
    }

    /// Whether an order of `side` limited to `price` would trade with what rests now.
    pub fn crosses(&self, side: Side, price: Price) -> bool {
        self.best(side.opposite()).is_some_and(|best| reaches(side, price, best))
    }

    /// The levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> {
        self.ladder(side).iter().map(|queue| queue.view())
    }

    /// The orders of a side in the order in which they will trade.
    pub fn makers<'a>(&'a self, orders: &'a OrderSlab, side: Side) -> impl Iterator<Item = Slot> + 'a {
        self.ladder(side).iter().flat_map(|queue| queue.slots(orders))
    }

    /// The order behind `slot` at the same price, or the first of the next price: the rest of [`Book::makers`].
    pub fn maker_after(&self, orders: &OrderSlab, slot: Slot) -> Option<Slot> {
        let order = &orders[slot];
        match order.links.next {
            Slot::NONE => {
                let ladder = self.ladder(order.side);
                ladder.after(ladder.level_of(orders, slot)).map(|queue| queue.first)
            }
            next => Some(next),
        }
    }

    pub fn level_count(&self, side: Side) -> usize {
        self.ladder(side).level_count()
    }

    pub fn order_count(&self) -> usize {
        self.bids.order_count() + self.asks.order_count()
    }

    /// Whether the best bid reaches the best ask: only where nothing trades may it be so.
    pub fn is_crossed(&self) -> bool {
        self.best(Side::Buy).is_some_and(|bid| self.crosses(Side::Buy, bid))
    }

    /// Counts everything again: whether totals, sides and places are what they should be, and all orders are of the
    /// instrument that the owner knows by this number.
    pub fn is_consistent(&self, orders: &OrderSlab, instrument: u32) -> bool {
        let side_is_consistent = |side: Side| {
            self.ladder(side).iter().all(|queue| {
                let mut counted = LevelTotal::default();
                for slot in queue.slots(orders) {
                    let order = &orders[slot];
                    counted.qty += order.leaves.into();
                    counted.orders += 1;
                    let belongs = order.instrument == instrument && order.side == side;
                    if !belongs || order.price != queue.price || order.leaves == 0 {
                        return false;
                    }
                }
                counted == queue.total && counted.orders > 0
            })
        };
        side_is_consistent(Side::Buy) && side_is_consistent(Side::Sell)
    }

    fn ticks(&self, price: Price) -> u64 {
        assert!(self.is_on_tick(price), "a resting price is a positive multiple of the tick");
        (price.raw() / self.tick.raw()) as u64
    }

    fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn ladder_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

/// Whether an order of `side` limited to `limit` may trade at `price`.
pub fn reaches(side: Side, limit: Price, price: Price) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}
