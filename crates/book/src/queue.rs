//! The orders of one price, first in, first out: a list through the orders themselves, whose ends lie with the level.
//!
//! An order leaves with one write to each neighbor. Whether it has one can hardly be predicted where prices have few
//! orders, so nothing branches on it: what would be written to a neighbor that is not there goes to the order itself, whose
//! links mean nothing any more.

use core::hint::select_unpredictable;

use joulebook_sys::{prefetch_write_at, reserve_in_large_pages};
use joulebook_types::Qty;

use crate::level::LevelTotal;
use crate::slab::{Links, Order, Record, Slot};

/// The number of a level.
pub(crate) type LevelIx = u32;

/// No level: the first one of page zero, whose levels stay empty, so what is not there is found there.
pub(crate) const NO_LEVEL: LevelIx = 0;

/// Levels that lie side by side.
pub(crate) const PAGE: u32 = 64;

/// What rests at a price, and where its queue starts and ends.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(crate) struct Queue {
    lots: u64,
    orders: u32,
    /// The ends mean nothing while there are no orders.
    oldest: Slot,
    newest: Slot,
}

const _: () = assert!(size_of::<Queue>() == 32, "two levels share a cache line, and none lies in two");

/// The orders at both ends of a queue, if it has any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) oldest: Slot,
    pub(crate) newest: Slot,
}

impl Queue {
    const EMPTY: Self = Self { lots: 0, orders: 0, oldest: Slot::FIRST, newest: Slot::FIRST };

    #[inline(always)]
    const fn ends(&self) -> Ends {
        Ends { oldest: self.oldest, newest: self.newest }
    }

    #[inline]
    pub(crate) fn total(&self) -> LevelTotal {
        LevelTotal { qty: Qty::new(self.lots), orders: self.orders }
    }

    /// Takes lots off; every order gives back what it brought.
    #[inline]
    fn reduce(&mut self, lots: u32) {
        let (left, is_short) = self.lots.overflowing_sub(lots.into());
        self.lots = left;
        assert!(!is_short, "a level has the lots of its orders");
    }
}

/// The queues of all books, in pages of levels.
#[derive(Debug)]
pub(crate) struct Queues {
    levels: Vec<Queue>,
    vacant_pages: Vec<u32>,
}

impl Default for Queues {
    fn default() -> Self {
        Self { levels: vec![Queue::EMPTY; PAGE as usize], vacant_pages: Vec::new() }
    }
}

impl Queues {
    #[inline]
    pub(crate) fn level(&self, level: LevelIx) -> &Queue {
        match self.levels.get(level as usize) {
            Some(queue) => queue,
            None => not_there(),
        }
    }

    /// Puts an order with so many lots at the back.
    #[inline(always)]
    pub(crate) fn push_back<B>(
        &mut self,
        all: &mut [Record<B>],
        level: LevelIx,
        slot: Slot,
        lots: u32,
    ) -> LevelTotal {
        let queue = level_at(&mut self.levels, level);
        let is_first = queue.lots == 0;
        let previous = queue.newest;
        queue.newest = slot;
        queue.oldest = select_unpredictable(is_first, slot, queue.oldest);
        queue.orders += 1;
        queue.lots += u64::from(lots);
        let total = queue.total();
        // Nobody stands before the first one: its own link is written, which means nothing while nobody stands behind it.
        order_at(all, select_unpredictable(is_first, slot, previous)).links.next = slot;
        let links = &mut order_at(all, slot).links;
        (links.level, links.previous) = (level, previous);
        total
    }

    /// Takes an order with so many lots out, wherever it stands.
    #[inline(always)]
    #[must_use]
    pub(crate) fn remove<B>(
        &mut self,
        all: &mut [Record<B>],
        slot: Slot,
        links: Links,
        lots: u32,
    ) -> LevelTotal {
        let Links { level, previous, next } = links;
        let queue = level_at(&mut self.levels, level);
        queue.reduce(lots);
        queue.orders -= 1;
        let (is_oldest, is_newest) = (slot == queue.oldest, slot == queue.newest);
        queue.oldest = select_unpredictable(is_oldest, next, queue.oldest);
        queue.newest = select_unpredictable(is_newest, previous, queue.newest);
        let total = queue.total();
        assert!(
            (queue.lots == 0) == (queue.orders == 0),
            "a level's lots are those of its orders: they end together"
        );
        order_at(all, select_unpredictable(is_oldest, slot, previous)).links.next = next;
        order_at(all, select_unpredictable(is_newest, slot, next)).links.previous = previous;
        total
    }

    /// Takes lots from an order that stays.
    #[inline]
    pub(crate) fn reduce(&mut self, level: LevelIx, lots: u32) -> LevelTotal {
        let queue = level_at(&mut self.levels, level);
        queue.reduce(lots);
        queue.total()
    }

    /// The order that came first; the level has one.
    #[inline(always)]
    pub(crate) fn front(&self, level: LevelIx) -> Slot {
        self.level(level).oldest
    }

    /// The order behind one that stands in a queue.
    #[inline]
    pub(crate) fn after(&self, slot: Slot, links: Links) -> Option<Slot> {
        (slot != self.level(links.level).newest).then_some(links.next)
    }

    /// Asks for the memory of a level.
    #[inline(always)]
    pub(crate) fn prepare(&self, level: LevelIx) {
        prefetch_write_at(&self.levels, level as usize);
    }

    /// The ends of what was a level when it was looked up, and may be empty or another price's by now.
    #[inline(always)]
    pub(crate) fn ends_ahead(&self, level: LevelIx) -> Ends {
        self.levels.get(level as usize).map_or(Queue::EMPTY.ends(), Queue::ends)
    }

    /// Pages that hold levels.
    pub(crate) fn pages_in_use(&self) -> usize {
        self.levels.len() / PAGE as usize - 1 - self.vacant_pages.len()
    }

    /// The number of a page of empty levels.
    pub(crate) fn take_page(&mut self) -> u32 {
        self.vacant_pages.pop().unwrap_or_else(|| {
            let first = self.levels.len();
            reserve_in_large_pages(&mut self.levels, PAGE as usize);
            self.levels.resize(first + PAGE as usize, Queue::EMPTY);
            first as u32 / PAGE
        })
    }

    /// Gives a page back whose levels are empty.
    pub(crate) fn give_page_back(&mut self, page: u32) {
        self.vacant_pages.push(page);
    }
}

/// A panic that names no index leaves more registers to those who find their level.
#[inline(always)]
fn level_at(levels: &mut [Queue], level: LevelIx) -> &mut Queue {
    match levels.get_mut(level as usize) {
        Some(queue) => queue,
        None => not_there(),
    }
}

/// As with levels.
#[inline(always)]
fn order_at<B>(all: &mut [Record<B>], slot: Slot) -> &mut Order {
    match all.get_mut(slot.index()) {
        Some(record) => &mut record.order,
        None => not_there(),
    }
}

#[cold]
#[inline(never)]
pub(crate) fn not_there() -> ! {
    panic!("only levels and orders that are there are named");
}
