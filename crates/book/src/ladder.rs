//! One side of a book: its price levels, best first.

use core::ops::Bound;
use std::collections::BTreeMap;

use joulebook_types::Price;

use crate::level::{LevelTotal, Queue};
use crate::slab::{OrderSlab, Slot};

/// The levels of one side. Levels keep their index while they live, so an order finds its level without a search.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    /// From rank (lower is better) to the level's index.
    ranks: BTreeMap<i64, u32>,
    levels: Vec<Queue>,
    vacant: Vec<u32>,
    orders: usize,
}

impl Ladder {
    pub(crate) fn best(&self) -> Option<&Queue> {
        let (_, level) = self.ranks.first_key_value()?;
        Some(&self.levels[*level as usize])
    }

    /// Levels, best first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.ranks.values().map(|level| &self.levels[*level as usize])
    }

    /// The first order of the level after `rank`.
    pub(crate) fn after(&self, rank: i64) -> Option<Slot> {
        let (_, level) = self.ranks.range((Bound::Excluded(rank), Bound::Unbounded)).next()?;
        Some(self.levels[*level as usize].first)
    }

    pub(crate) fn level_count(&self) -> usize {
        self.ranks.len()
    }

    pub(crate) fn order_count(&self) -> usize {
        self.orders
    }

    /// Puts an order at the back of its level.
    pub(crate) fn push_back(&mut self, orders: &mut OrderSlab, slot: Slot, rank: i64) -> LevelTotal {
        let level = match self.ranks.get(&rank) {
            Some(level) => *level,
            None => self.open_level(rank, orders[slot].price),
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
    pub(crate) fn remove(&mut self, orders: &mut OrderSlab, slot: Slot, rank: i64) -> LevelTotal {
        let level = orders[slot].links.level;
        let queue = &mut self.levels[level as usize];
        queue.unlink(orders, slot);
        self.orders -= 1;
        let total = queue.total;
        if queue.is_empty() {
            self.ranks.remove(&rank);
            self.vacant.push(level);
        }
        total
    }

    fn open_level(&mut self, rank: i64, price: Price) -> u32 {
        let queue = Queue::new(price);
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
        self.ranks.insert(rank, level);
        level
    }
}
