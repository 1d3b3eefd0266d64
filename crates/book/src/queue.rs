//! The orders of one price, first in, first out, in blocks of a cache line each. A level is a block itself, so a price with
//! few orders is one line.
//!
//! An order knows its place, so leaving the queue touches its block and the level, and no neighbor. A block whose last
//! order has gone returns to the pool at once, so memory follows the resting orders.

use joulebook_sys::{prefetch_write, reserve_in_large_pages};
use joulebook_types::Qty;

use crate::level::LevelTotal;
use crate::slab::Slot;

/// The number of a level's own block.
pub(crate) type LevelIx = u32;

/// No level: the first block of page zero, whose levels stay empty and have no room, so what is not there is found there.
pub(crate) const NO_LEVEL: LevelIx = 0;

/// A block's number times [`BLOCK`], plus the index of a word in it.
type Place = u32;

/// Words of a block.
const BLOCK: u32 = 16;
/// Levels that lie side by side.
pub(crate) const PAGE: u32 = 64;

/// A cache line of words: what they mean is said by the constants below. Behind them stand the slots of its orders, at
/// most 8 in a level's own block and 13 in those that prolong it.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Block([u32; BLOCK as usize]);

/// Which words are slots of orders, as bits.
const TAKEN: usize = 0;
/// The blocks behind and before this one that have orders of its level; mean nothing at the queue's ends.
const NEXT: usize = 1;
const PREVIOUS: usize = 2;
/// Where slots begin in a block that is no level.
const FIRST: u32 = 3;
/// Of levels only: the block of the order that came first.
const OLDEST: usize = 3;
/// The place of the newest order, or one before it in the same block at which another stands.
const NEWEST: usize = 4;
const ORDERS: usize = 5;
/// Low half, high half.
const LOTS: usize = 6;
const FIRST_OF_LEVEL: u32 = 8;

impl Block {
    /// A level that has no room.
    const NOWHERE: Self = {
        let mut words = [0; BLOCK as usize];
        words[NEWEST] = BLOCK - 1;
        Self(words)
    };

    /// The first order of an empty level will be its oldest one, and stand in its own block.
    fn make_empty(&mut self, level: LevelIx) {
        self.0[OLDEST] = level;
        self.0[NEWEST] = level * BLOCK + FIRST_OF_LEVEL - 1;
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0[ORDERS] == 0
    }

    #[inline]
    pub(crate) fn total(&self) -> LevelTotal {
        LevelTotal { qty: Qty::new(self.lots()), orders: self.0[ORDERS] }
    }

    #[inline]
    fn lots(&self) -> u64 {
        u64::from(self.0[LOTS]) | u64::from(self.0[LOTS + 1]) << u32::BITS
    }

    #[inline]
    fn set_lots(&mut self, lots: u64) {
        (self.0[LOTS], self.0[LOTS + 1]) = (lots as u32, (lots >> u32::BITS) as u32);
    }

    /// The first order of a block that has some.
    #[inline]
    fn first(&self) -> Slot {
        self.at(self.0[TAKEN].trailing_zeros())
    }

    #[inline]
    fn at(&self, place: Place) -> Slot {
        Slot::new(self.0[(place % BLOCK) as usize])
    }

    /// Takes lots off a level; every order gives back what it brought.
    #[inline]
    fn reduce(&mut self, lots: u32) {
        self.set_lots(self.lots().checked_sub(lots.into()).expect("a level has the lots of its orders"));
    }
}

/// The queues of all books.
#[derive(Debug)]
pub(crate) struct Queues {
    /// Pages of levels, and pages of blocks that prolong them.
    blocks: Vec<Block>,
    vacant_pages: Vec<u32>,
    vacant_blocks: Vec<u32>,
    /// Pages that were taken apart into blocks.
    block_pages: usize,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            blocks: vec![Block::NOWHERE; PAGE as usize],
            vacant_pages: Vec::new(),
            vacant_blocks: Vec::new(),
            block_pages: 0,
        }
    }
}

impl Queues {
    #[inline]
    pub(crate) fn level(&self, level: LevelIx) -> &Block {
        &self.blocks[level as usize]
    }

    /// Puts an order at the back when there is room behind the newest; else [`Queues::push_with_room`] does.
    #[inline(always)]
    pub(crate) fn push_back(&mut self, level: LevelIx, slot: Slot, lots: u32) -> Option<(Place, LevelTotal)> {
        let place = self.blocks[level as usize].0[NEWEST] + 1;
        (!place.is_multiple_of(BLOCK)).then(|| (place, self.put(level, place, slot, lots)))
    }

    /// Puts an order at the back of a level whose last block is full: into the level's own block when it is vacant, else
    /// into a new one.
    pub(crate) fn push_with_room(&mut self, level: LevelIx, slot: Slot, lots: u32) -> (Place, LevelTotal) {
        let Block(words) = *self.block(level);
        let (number, first) = match words[TAKEN] {
            0 => (level, FIRST_OF_LEVEL),
            _ => (self.take_block(), FIRST),
        };
        self.link(words[NEWEST] / BLOCK, number);
        let place = number * BLOCK + first;
        (place, self.put(level, place, slot, lots))
    }

    #[inline(always)]
    fn put(&mut self, level: LevelIx, place: Place, slot: Slot, lots: u32) -> LevelTotal {
        let blocks = self.blocks.as_mut_slice();
        let queue = &mut blocks[level as usize];
        queue.0[NEWEST] = place;
        queue.0[ORDERS] += 1;
        queue.set_lots(queue.lots() + u64::from(lots));
        let total = queue.total();
        let block = &mut blocks[(place / BLOCK) as usize];
        block.0[TAKEN] |= 1 << (place % BLOCK);
        block.0[(place % BLOCK) as usize] = slot.raw();
        total
    }

    /// Takes an order with so many lots out, wherever it stands. Whether others stand in its block; else
    /// [`Queues::give_back`] is what remains to do.
    #[inline(always)]
    #[must_use]
    pub(crate) fn remove(&mut self, level: LevelIx, place: Place, lots: u32) -> (LevelTotal, bool) {
        let blocks = self.blocks.as_mut_slice();
        let queue = &mut blocks[level as usize];
        queue.reduce(lots);
        queue.0[ORDERS] -= 1;
        let total = queue.total();
        let block = &mut blocks[(place / BLOCK) as usize];
        block.0[TAKEN] &= !(1 << (place % BLOCK));
        (total, block.0[TAKEN] != 0)
    }

    /// Gives a block back whose last order has gone, of a level that has others.
    pub(crate) fn give_back(&mut self, level: LevelIx, place: Place) {
        let number = place / BLOCK;
        if number != level {
            self.vacant_blocks.push(number);
        }
        let Block([_, next, previous, ..]) = *self.block(number);
        let queue = self.block(level);
        if number == queue.0[OLDEST] {
            queue.0[OLDEST] = next;
        } else if number == queue.0[NEWEST] / BLOCK {
            let last = u32::BITS - 1 - self.block(previous).0[TAKEN].leading_zeros();
            self.block(level).0[NEWEST] = previous * BLOCK + last;
        } else {
            self.link(previous, next);
        }
    }

    /// Makes a level as new whose last order has left the place.
    #[inline]
    pub(crate) fn make_empty(&mut self, level: LevelIx, place: Place) {
        let queue = self.block(level);
        assert!(queue.lots() == 0, "a level's lots are those of its orders, so they end together");
        queue.make_empty(level);
        if place / BLOCK != level {
            self.vacant_blocks.push(place / BLOCK);
        }
    }

    /// Takes lots from an order that stays.
    #[inline]
    pub(crate) fn reduce(&mut self, level: LevelIx, lots: u32) -> LevelTotal {
        let queue = self.block(level);
        queue.reduce(lots);
        queue.total()
    }

    /// The order that came first; the level has one.
    #[inline]
    pub(crate) fn front(&self, level: LevelIx) -> Slot {
        self.level(self.level(level).0[OLDEST]).first()
    }

    /// The order behind the one at `place`.
    #[inline]
    pub(crate) fn after(&self, level: LevelIx, place: Place) -> Option<Slot> {
        let block = self.level(place / BLOCK);
        let behind = block.0[TAKEN] & (u32::MAX << (place % BLOCK) << 1);
        if behind != 0 {
            return Some(block.at(behind.trailing_zeros()));
        }
        let is_last = place / BLOCK == self.level(level).0[NEWEST] / BLOCK;
        (!is_last).then(|| self.level(block.0[NEXT]).first())
    }

    /// Asks for the memory of a level.
    #[inline]
    pub(crate) fn prepare(&self, level: LevelIx) {
        if let Some(block) = self.blocks.get(level as usize) {
            prefetch_write(block);
        }
    }

    /// Asks for the memory of a place.
    #[inline]
    pub(crate) fn prepare_place(&self, place: Place) {
        self.prepare(place / BLOCK);
    }

    /// Asks for the block in which a level's next order will stand, or the one before it.
    #[inline]
    pub(crate) fn prepare_back(&self, level: LevelIx) {
        if let Some(queue) = self.blocks.get(level as usize) {
            self.prepare_place(queue.0[NEWEST]);
        }
    }

    /// Pages of levels, and blocks that prolong levels.
    pub(crate) fn in_use(&self) -> (usize, usize) {
        let pages = self.blocks.len() / PAGE as usize - 1 - self.vacant_pages.len() - self.block_pages;
        (pages, self.block_pages * PAGE as usize - self.vacant_blocks.len())
    }

    /// The number of a page of empty levels.
    pub(crate) fn take_page(&mut self) -> u32 {
        self.vacant_pages.pop().unwrap_or_else(|| {
            let first = self.blocks.len() as u32;
            reserve_in_large_pages(&mut self.blocks, PAGE as usize);
            self.blocks.resize((first + PAGE) as usize, Block([0; BLOCK as usize]));
            (first..first + PAGE).for_each(|level| self.block(level).make_empty(level));
            first / PAGE
        })
    }

    /// Gives a page back whose levels are empty.
    pub(crate) fn give_page_back(&mut self, page: u32) {
        self.vacant_pages.push(page);
    }

    /// The number of a block without orders.
    fn take_block(&mut self) -> u32 {
        self.vacant_blocks.pop().unwrap_or_else(|| {
            let first = self.take_page() * PAGE;
            self.block_pages += 1;
            self.vacant_blocks.extend((first + 1..first + PAGE).rev());
            first
        })
    }

    fn link(&mut self, number: u32, next: u32) {
        self.block(number).0[NEXT] = next;
        self.block(next).0[PREVIOUS] = number;
    }

    #[inline]
    fn block(&mut self, number: u32) -> &mut Block {
        &mut self.blocks[number as usize]
    }
}
