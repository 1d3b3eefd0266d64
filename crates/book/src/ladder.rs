//! One side of a book: its price levels, best first.

use joulebook_types::Side;

use crate::level::{LevelTotal, Queue};
use crate::slab::{OrderSlab, Slot};
use crate::tick_index::{Order, TickIndex};

/// The levels of one side. Levels keep their index while they live, so an order finds its level without a search.
#[derive(Debug)]
pub(crate) struct Ladder {
    best_first: Order,
    ticks: TickIndex,
    levels: Vec<Queue>,
    vacant: Vec<u32>,
    orders: usize,
}

impl Ladder {
    pub(crate) fn new(side: Side) -> Self {
        let best_first = match side {
            Side::Buy => Order::Descending,
            Side::Sell => Order::Ascending,
        };
        Self { best_first, ticks: TickIndex::default(), levels: Vec::new(), vacant: Vec::new(), orders: 0 }
    }

    pub(crate) fn best(&self) -> Option<&Queue> {
        self.level(self.ticks.first(self.best_first)?)
    }

    /// The level behind one that exists.
    pub(crate) fn after(&self, queue: &Queue) -> Option<&Queue> {
        self.level(self.ticks.after(queue.tick, self.best_first)?)
    }

    /// Levels, best first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Queue> {
        core::iter::successors(self.best(), |queue| self.after(queue))
    }

    /// The level that a resting order stands in.
    pub(crate) fn level_of(&self, orders: &OrderSlab, slot: Slot) -> &Queue {
        &self.levels[orders[slot].links.level as usize]
    }

    pub(crate) fn level_count(&self) -> usize {
        self.ticks.len()
    }

    pub(crate) fn order_count(&self) -> usize {
        self.orders
    }

    /// Puts an order at the back of its level.
    pub(crate) fn push_back(&mut self, orders: &mut OrderSlab, slot: Slot, tick: u64) -> LevelTotal {
        let level = match self.ticks.get(tick) {
            Some(level) => level,
            None => self.open_level(Queue::new(orders[slot].price, tick)),
        };
        self.orders += 1;
        let queue = &mut self.levels[level as usize];
        queue.push_back(orders, slot, level);
        queue.total
    }

    pub(crate) fn reduce(&mut self, orders: &mut OrderSlab, slot: Slot, lots: u32) -> LevelTotal {
        let queue = &mut self.levels[orders[slot].links.level as usize];
        queue.reduce(orders, slot, lots);
        queue.total
    }

    /// Takes an order out; its level goes with its last order.
    pub(crate) fn remove(&mut self, orders: &mut OrderSlab, slot: Slot) -> LevelTotal {
        let level = orders[slot].links.level;
        let queue = &mut self.levels[level as usize];
        queue.unlink(orders, slot);
        self.orders -= 1;
        if queue.is_empty() {
            self.ticks.remove(queue.tick);
            self.vacant.push(level);
        }
        queue.total
    }

    fn level(&self, level: u32) -> Option<&Queue> {
        self.levels.get(level as usize)
    }

    fn open_level(&mut self, queue: Queue) -> u32 {
        let tick = queue.tick;
        let level = match self.vacant.pop() {
            Some(level) => {
                self.levels[level as usize] = queue;
                level
            }
            None => {
                self.levels.push(queue);
                (self.levels.len() - 1) as u32
            }
        };
        self.ticks.insert(tick, level);
        level
    }
}
