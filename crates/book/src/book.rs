//! Both sides of one instrument's book.

use joulebook_types::{Price, Qty, Side};

use crate::ladder::Ladder;
use crate::level::{Level, LevelTotal};
use crate::queue::{LevelIx, NO_LEVEL};
use crate::slab::{NOWHERE, Order, OrderSlab, Slot};
use crate::tick::{RankedPrice, Tick};

const OFF_TICK: &str = "a resting price is a positive multiple of the tick";

/// The resting orders of one instrument in price-time priority. The only place that turns prices into ticks.
///
/// Orders are named by slot; the caller passes the slab that they lie in, always the same one.
#[derive(Debug)]
pub struct Book {
    tick: Tick,
    /// Bids, asks.
    ladders: [Ladder; 2],
}

const _: () = assert!(size_of::<Book>() <= 128, "an idle book fits two cache lines");

/// The front order after it gave lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Out of the book when its leaves quantity is zero, but still in the slab.
    pub maker: Slot,
    /// Its level afterwards.
    pub level: LevelTotal,
}

/// The prices that an order went between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The old one without the order.
    pub left: LevelTotal,
    /// The new one, which may be the same, with it.
    pub joined: LevelTotal,
}

/// An order that has left its queue, and what that means for its level.
struct Left {
    side: Side,
    level: LevelIx,
    total: LevelTotal,
    /// [`Book::finish_closing`] is to come.
    closes: bool,
}

/// What an order that has not come yet will need, as far as it can be told.
#[derive(Clone, Copy, Debug)]
pub struct Entering {
    /// Where it will rest.
    pub(crate) level: LevelIx,
    /// What it trades with first.
    pub(crate) against: LevelIx,
}

impl Entering {
    /// There is nothing that it will need.
    pub const NOTHING: Self = Self { level: NO_LEVEL, against: NO_LEVEL };
}

impl Book {
    /// An empty book whose prices are multiples of `tick`, which is positive.
    pub fn new(tick: Price) -> Self {
        Self { tick: Tick::new(tick), ladders: [Ladder::EMPTY; 2] }
    }

    /// Whether the book has a level for this price.
    #[inline(always)]
    pub fn is_on_tick(&self, price: Price) -> bool {
        self.tick.ticks(price).is_some()
    }

    /// Puts an order at the back of its price.
    #[inline(always)]
    pub fn add<B>(&mut self, orders: &mut OrderSlab<B>, slot: Slot) -> LevelTotal {
        let order = &orders.records[slot.index()].order;
        assert!(!order.is_resting() && order.leaves > 0, "an order rests once, and not without lots");
        let Order { side, price, leaves, .. } = *order;
        self.join(orders, slot, (side, price, leaves))
    }

    /// Fills the slot that [`OrderSlab::vacancy`] named, and puts the order at the back of its price.
    #[inline(always)]
    pub fn enter<B>(&mut self, orders: &mut OrderSlab<B>, slot: Slot, order: Order) -> LevelTotal {
        let OrderSlab { records: all, first_vacant, live, .. } = orders;
        assert!(
            slot == *first_vacant && order.leaves > 0,
            "an order takes the first slot, and rests not without lots"
        );
        let Order { side, price, leaves, .. } = order;
        OrderSlab::<B>::occupy(&mut all[slot.index()].order, order, first_vacant, live);
        self.join(orders, slot, (side, price, leaves))
    }

    /// Gives an order that left the book a new price and size, of which at most `display` lots show, and puts it at the
    /// back of that price.
    #[inline(always)]
    pub fn rejoin<B>(
        &mut self,
        orders: &mut OrderSlab<B>,
        slot: Slot,
        price: Price,
        qty: u32,
        display: u32,
    ) -> LevelTotal {
        let order = orders.order_mut(slot);
        order.amend(price, qty, qty, display);
        let Order { side, leaves, .. } = *order;
        assert!(leaves > 0, "an order does not rest without lots");
        self.join(orders, slot, (side, price, leaves))
    }

    /// Moves a resting order to the back of another price, or of its own, with a new size of which at most `display` lots
    /// show. As if it was removed, amended and added, in one go.
    #[inline(always)]
    pub fn relocate<B>(
        &mut self,
        orders: &mut OrderSlab<B>,
        slot: Slot,
        price: Price,
        (qty, leaves, display): (u32, u32, u32),
    ) -> Moved {
        let Left { side, level, total: left, closes } = self.take_out(orders, slot);
        let order = orders.order_mut(slot);
        order.links.level = NOWHERE;
        order.amend(price, qty, leaves, display);
        let shows = order.leaves;
        assert!(shows > 0, "an order does not rest without lots");
        if closes {
            self.finish_closing(orders, side, level);
        }
        Moved { left, joined: self.join(orders, slot, (side, price, shows)) }
    }

    /// Puts an order at the back of its price. Its level is marked as one with orders whether or not it has been one: that
    /// cannot be predicted.
    #[inline(always)]
    fn join<B>(
        &mut self,
        orders: &mut OrderSlab<B>,
        slot: Slot,
        (side, price, leaves): (Side, Price, u32),
    ) -> LevelTotal {
        let OrderSlab { records: all, prices, queues, .. } = orders;
        assert!(self.is_on_tick(price), "{OFF_TICK}");
        let rank = self.tick.rank(side, price);
        let ladder = &mut self.ladders[index(side)];
        let Some(level) = prices.find(&ladder.trunk, rank) else { return self.make_room(orders, slot) };
        let total = queues.push_back(all, level, slot, leaves);
        ladder.open(prices, level, RankedPrice::new(side, price));
        total
    }

    /// Adds where the price has no page of levels yet.
    #[inline(never)]
    fn make_room<B>(&mut self, orders: &mut OrderSlab<B>, slot: Slot) -> LevelTotal {
        let OrderSlab { records: all, prices, queues, .. } = orders;
        let Order { side, price, leaves, .. } = all[slot.index()].order;
        let ladder = &mut self.ladders[index(side)];
        let level = prices.grow(queues, &mut ladder.trunk, self.tick.rank(side, price));
        ladder.open(prices, level, RankedPrice::new(side, price));
        queues.push_back(all, level, slot, leaves)
    }

    /// The best price of a side.
    #[inline]
    pub fn best(&self, side: Side) -> Option<Price> {
        self.ladder(side).best(side)
    }

    /// The order that trades next on a side.
    #[inline(always)]
    pub fn front<B>(&self, orders: &OrderSlab<B>, side: Side) -> Option<Slot> {
        let best = self.ladder(side).best_level()?;
        Some(orders.queues.front(best))
    }

    /// Takes `lots` from the front order of its side, which shows at least as many.
    #[inline(always)]
    pub fn fill_front<B>(&mut self, orders: &mut OrderSlab<B>, maker: Slot, lots: u32) -> Filled {
        debug_assert!(self.front(orders, orders[maker].side) == Some(maker), "the front order trades first");
        let OrderSlab { records: all, queues, .. } = orders;
        let order = &mut all[maker.index()].order;
        assert!(0 < lots && lots <= order.leaves, "a fill is at most what the maker has");
        if lots < order.leaves {
            order.leaves -= lots;
            let links = order.links;
            return Filled { maker, level: queues.reduce(links.level, lots) };
        }
        let level = self.leave(orders, maker, |order| {
            order.leaves = 0;
            order.links.level = NOWHERE;
        });
        Filled { maker, level }
    }

    /// Takes `lots` from a resting order wherever it stands, those that do not show after its slice. It leaves the book
    /// when its slice is exhausted.
    pub fn fill<B>(&mut self, orders: &mut OrderSlab<B>, slot: Slot, lots: u32) -> LevelTotal {
        let (shown, all) = (orders[slot].leaves, orders[slot].total_leaves());
        assert!(0 < lots && lots <= all, "a fill is at most what the order has");
        if lots < shown {
            return take_lots(orders, slot, lots);
        }
        let level = self.remove(orders, slot);
        let order = orders.order_mut(slot);
        order.leaves = 0;
        order.hidden -= lots - shown;
        level
    }

    /// Makes a resting order smaller in its place, hidden lots first; it keeps at least one lot. Its total shrinks with
    /// it. `None` when nothing that shows has changed.
    #[inline]
    pub fn reduce<B>(&mut self, orders: &mut OrderSlab<B>, slot: Slot, lots: u32) -> Option<LevelTotal> {
        let order = orders.order_mut(slot);
        assert!(lots < order.total_leaves(), "an order without lots does not rest");
        let of_hidden = lots.min(order.hidden);
        order.hidden -= of_hidden;
        order.qty -= lots;
        let of_slice = lots - of_hidden;
        (of_slice > 0).then(|| take_lots(orders, slot, of_slice))
    }

    /// Takes an order out of the book; it stays in the slab with the lots that it had.
    #[inline(always)]
    pub fn remove<B>(&mut self, orders: &mut OrderSlab<B>, slot: Slot) -> LevelTotal {
        self.leave(orders, slot, |order| order.links.level = NOWHERE)
    }

    /// Takes an order out of the book and out of the slab.
    #[inline(always)]
    pub fn withdraw<B>(&mut self, orders: &mut OrderSlab<B>, slot: Slot) -> LevelTotal {
        let next_vacant = core::mem::replace(&mut orders.first_vacant, slot);
        orders.live -= 1;
        self.leave(orders, slot, |order| order.vacate(next_vacant))
    }

    /// Takes an order out of the book, with what is to become of it in its slot.
    #[inline(always)]
    fn leave<B>(
        &mut self,
        orders: &mut OrderSlab<B>,
        slot: Slot,
        after: impl FnOnce(&mut Order),
    ) -> LevelTotal {
        let Left { side, level, total, closes } = self.take_out(orders, slot);
        after(orders.order_mut(slot));
        if closes {
            self.finish_closing(orders, side, level);
        }
        total
    }

    /// Takes an order out of its queue. Which levels go empty cannot be predicted, so each is marked as what it is.
    #[inline(always)]
    fn take_out<B>(&self, orders: &mut OrderSlab<B>, slot: Slot) -> Left {
        let OrderSlab { records: all, prices, queues, .. } = orders;
        // An order that does not rest has a level that does not exist.
        let Order { leaves, side, links, .. } = all[slot.index()].order;
        let total = queues.remove(all, slot, links, leaves);
        let (level, is_empty) = (links.level, total.qty == Qty::ZERO);
        let page_is_empty = prices.close(level, is_empty);
        let closes = page_is_empty | (is_empty & (level == self.ladder(side).best_level));
        Left { side, level, total, closes }
    }

    /// What not every closing level asks for: another best one, and its page given back.
    #[inline(never)]
    fn finish_closing<B>(&mut self, orders: &mut OrderSlab<B>, side: Side, level: LevelIx) {
        let OrderSlab { prices, queues, .. } = orders;
        let ladder = &mut self.ladders[index(side)];
        if level == ladder.best_level {
            ladder.step_back(prices, &self.tick, side);
        }
        if prices.is_page_empty(level) {
            prices.return_page(queues, &mut ladder.trunk, level);
        }
    }

    /// Whether an order of `side` limited to `price` would trade with what rests now.
    #[inline(always)]
    pub fn crosses(&self, side: Side, price: Price) -> bool {
        let other = usize::from(Side::Sell.raw()) - usize::from(side.raw());
        self.ladders[other].is_reached_by(side, price)
    }

    /// Asks for the memory that an order of this price will touch first: its level, and the level that it trades with if
    /// it crosses. The book itself should be there already. What it says is for [`OrderSlab::prepare_entering`]. For no
    /// order, a bid at zero asks for nothing. What crosses or has no level yet cannot be predicted: nothing branches on it.
    #[inline(always)]
    pub fn prepare_entering<B>(&self, orders: &OrderSlab<B>, side: Side, price: Price) -> Entering {
        let level = orders.prices.find_ahead(&self.ladder(side).trunk, self.tick.rank(side, price));
        let against = self.ladder(side.opposite()).reached_ahead(side, price);
        orders.queues.prepare(level);
        orders.queues.prepare(against);
        Entering { level, against }
    }

    /// The levels of a side, best first.
    pub fn levels<'a, B>(
        &self,
        orders: &'a OrderSlab<B>,
        side: Side,
    ) -> impl Iterator<Item = Level> + use<'a, B> {
        let tick = self.tick;
        self.ladder(side).levels(&orders.prices).map(move |level| Level {
            price: tick.price(side, orders.prices.rank(level)),
            total: orders.queues.level(level).total(),
        })
    }

    /// The orders of a side in the order in which they will trade.
    pub fn makers<'a, B>(
        &self,
        orders: &'a OrderSlab<B>,
        side: Side,
    ) -> impl Iterator<Item = Slot> + use<'a, B> {
        self.ladder(side).levels(&orders.prices).flat_map(|level| queue_at(orders, level))
    }

    /// The order behind `slot` at the same price, or the first of the next price: the rest of [`Book::makers`].
    #[inline(always)]
    pub fn maker_after<B>(&self, orders: &OrderSlab<B>, slot: Slot) -> Option<Slot> {
        let links = orders[slot].links;
        assert!(links.level != NOWHERE, "only a resting order has one behind it");
        match orders.queues.after(slot, links) {
            Some(next) => Some(next),
            None => first_behind(orders, links.level),
        }
    }

    /// Prices of a side that have orders; takes as long as there are.
    pub fn level_count<B>(&self, orders: &OrderSlab<B>, side: Side) -> usize {
        self.ladder(side).levels(&orders.prices).count()
    }

    /// Resting orders; takes as long as there are prices.
    pub fn order_count<B>(&self, orders: &OrderSlab<B>) -> usize {
        let of_side =
            |side| self.levels(orders, side).map(|level| level.total.orders as usize).sum::<usize>();
        of_side(Side::Buy) + of_side(Side::Sell)
    }

    /// Whether the best bid reaches the best ask: only where nothing trades may it be so.
    pub fn is_crossed(&self) -> bool {
        self.best(Side::Buy).is_some_and(|bid| self.crosses(Side::Buy, bid))
    }

    /// Counts everything again: whether totals, sides and places are what they should be, and all orders are of the
    /// instrument that the owner knows by this number.
    pub fn is_consistent<B>(&self, orders: &OrderSlab<B>, instrument: u32) -> bool {
        let side_is_consistent = |side: Side| {
            let ladder = self.ladder(side);
            let first = orders.prices.first(&ladder.trunk);
            first == ladder.best_level().unwrap_or(NO_LEVEL)
                && ladder.levels(&orders.prices).all(|level| {
                    let price = self.tick.price(side, orders.prices.rank(level));
                    let mut counted = LevelTotal::default();
                    let mut before = None;
                    for slot in queue_at(orders, level) {
                        let order = &orders[slot];
                        if before.replace(slot).is_some_and(|before| order.links.previous != before) {
                            return false;
                        }
                        counted.qty += order.leaves.into();
                        counted.orders += 1;
                        let belongs = order.instrument == instrument && order.side == side;
                        if !belongs || order.links.level != level || order.price != price || order.leaves == 0
                        {
                            return false;
                        }
                    }
                    counted == orders.queues.level(level).total() && counted.orders > 0
                })
        };
        side_is_consistent(Side::Buy) && side_is_consistent(Side::Sell)
    }

    #[inline]
    fn ladder(&self, side: Side) -> &Ladder {
        &self.ladders[index(side)]
    }
}

#[inline(always)]
fn index(side: Side) -> usize {
    usize::from(side.raw()) - usize::from(Side::Buy.raw())
}

/// Takes lots from a resting order that keeps some.
#[inline]
fn take_lots<B>(orders: &mut OrderSlab<B>, slot: Slot, lots: u32) -> LevelTotal {
    let order = orders.order_mut(slot);
    assert!(order.is_resting() && lots < order.leaves, "an order without lots does not rest");
    order.leaves -= lots;
    let level = order.links.level;
    orders.queues.reduce(level, lots)
}

/// The first order of the price behind a level.
#[inline(never)]
fn first_behind<B>(orders: &OrderSlab<B>, level: LevelIx) -> Option<Slot> {
    let next = orders.prices.after(level);
    (next != NO_LEVEL).then(|| orders.queues.front(next))
}

/// The orders of a level, first in, first out.
fn queue_at<B>(orders: &OrderSlab<B>, level: LevelIx) -> impl Iterator<Item = Slot> {
    let first = orders.queues.front(level);
    core::iter::successors(Some(first), move |slot| orders.queues.after(*slot, orders[*slot].links))
}

/// Whether an order of `side` limited to `limit` may trade at `price`.
#[inline]
pub fn reaches(side: Side, limit: Price, price: Price) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}
