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

/// Where an order stands: a block, and the word in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Of a vacant order, the next vacant slot.
    pub(crate) block: u32,
    at: u16,
}

/// Levels that lie side by side.
pub(crate) const PAGE: u32 = 64;

/// A cache line with at most 8 orders of its level in the level's own block, and 13 in those that prolong it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Block {
    /// Which words are slots of orders, as bits.
    taken: u16,
    /// The word for the order that comes next; [`WORDS`] when there is no room for one.
    end: u16,
    /// The blocks behind and before this one that have orders of its level; mean nothing at the queue's ends.
    next: u32,
    previous: u32,
    /// Slots; before them in a level what the constants below say.
    words: [u32; WORDS],
}

const WORDS: usize = 13;
const _: () = assert!(size_of::<Block>() == 64, "a block is a cache line");

/// Of levels only: the block of the order that came first.
const OLDEST: usize = 0;
/// The block for the order that comes next.
const NEWEST: usize = 1;
const ORDERS: usize = 2;
/// Low half, high half.
const LOTS: usize = 3;
const FIRST_OF_LEVEL: u16 = 5;

impl Place {
    pub(crate) const fn vacant(next: Slot) -> Self {
        Self { block: next.raw(), at: 0 }
    }

    #[inline(always)]
    pub(crate) fn set_next_vacant(&mut self, next: Slot) {
        self.block = next.raw();
    }

    #[inline(always)]
    pub(crate) fn next_vacant(self) -> Slot {
        Slot::new(self.block)
    }

    /// All bits of its block but its own.
    #[inline(always)]
    fn others(self) -> u16 {
        (!1_u16).rotate_left(self.at.into())
    }
}

impl Block {
    /// A level that has no room.
    const NOWHERE: Self = Self { taken: 0, end: WORDS as u16, next: 0, previous: 0, words: [0; WORDS] };

    /// The first order of an empty level will be its oldest one, and stand in its own block.
    #[inline]
    fn make_empty(&mut self, level: LevelIx) {
        self.end = FIRST_OF_LEVEL;
        (self.words[OLDEST], self.words[NEWEST]) = (level, level);
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.words[ORDERS] == 0
    }

    #[inline]
    pub(crate) fn total(&self) -> LevelTotal {
        LevelTotal { qty: Qty::new(self.lots()), orders: self.words[ORDERS] }
    }

    #[inline]
    fn lots(&self) -> u64 {
        u64::from(self.words[LOTS]) | u64::from(self.words[LOTS + 1]) << u32::BITS
    }

    #[inline]
    fn set_lots(&mut self, lots: u64) {
        (self.words[LOTS], self.words[LOTS + 1]) = (lots as u32, (lots >> u32::BITS) as u32);
    }

    /// The first order of a block that has some.
    #[inline]
    fn first(&self) -> Slot {
        self.at(self.taken.trailing_zeros())
    }

    #[inline]
    fn at(&self, at: u32) -> Slot {
        Slot::new(self.words[at as usize])
    }

    /// Takes lots off a level; every order gives back what it brought.
    #[inline]
    fn reduce(&mut self, lots: u32) {
        let (left, is_short) = self.lots().overflowing_sub(lots.into());
        self.set_lots(left);
        assert!(!is_short, "a level has the lots of its orders");
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
        match self.blocks.get(level as usize) {
            Some(block) => block,
            None => no_such_block(),
        }
    }

    /// Puts an order at the back when there is room in the newest block; else [`Queues::push_with_room`] does.
    #[inline(always)]
    pub(crate) fn push_back(&mut self, level: LevelIx, slot: Slot, lots: u32) -> Option<(Place, LevelTotal)> {
        let blocks = self.blocks.as_mut_slice();
        let number = block_at(blocks, level).words[NEWEST];
        let block = block_at(blocks, number);
        let place = Place { block: number, at: block.end };
        *block.words.get_mut(usize::from(block.end))? = slot.raw();
        block.end += 1;
        block.taken |= 1_u16.rotate_left(place.at.into());
        let queue = block_at(blocks, level);
        queue.words[ORDERS] += 1;
        queue.set_lots(queue.lots() + u64::from(lots));
        Some((place, queue.total()))
    }

    /// Puts an order at the back of a level whose last block is full: into the level's own block when it is vacant, else
    /// into a new one.
    pub(crate) fn push_with_room(&mut self, level: LevelIx, slot: Slot, lots: u32) -> (Place, LevelTotal) {
        let Block { taken, words, .. } = *self.block(level);
        let (number, first) = match taken {
            0 => (level, FIRST_OF_LEVEL),
            _ => (self.take_block(), 0),
        };
        self.link(words[NEWEST], number);
        self.block(number).end = first;
        self.block(level).words[NEWEST] = number;
        self.push_back(level, slot, lots).expect("a block without orders has room")
    }

    /// Takes an order with so many lots out, wherever it stands. Whether others stand in its block; else
    /// [`Queues::give_back`] is what remains to do.
    #[inline(always)]
    #[must_use]
    pub(crate) fn remove(&mut self, level: LevelIx, place: Place, lots: u32) -> (LevelTotal, bool) {
        let blocks = self.blocks.as_mut_slice();
        let queue = block_at(blocks, level);
        queue.reduce(lots);
        queue.words[ORDERS] -= 1;
        let total = queue.total();
        let block = block_at(blocks, place.block);
        block.taken &= place.others();
        (total, block.taken != 0)
    }

    /// Gives a block back whose last order has gone, of a level that has others.
    #[inline(never)]
    pub(crate) fn give_back(&mut self, level: LevelIx, number: u32) -> LevelTotal {
        if number != level {
            self.give_block_back(number);
        }
        let Block { next, previous, .. } = *self.block(number);
        let queue = self.block(level);
        let total = queue.total();
        if number == queue.words[OLDEST] {
            queue.words[OLDEST] = next;
        } else if number == queue.words[NEWEST] {
            queue.words[NEWEST] = previous;
            let newest = self.block(previous);
            newest.end = (u16::BITS - newest.taken.leading_zeros()) as u16;
        } else {
            self.link(previous, next);
        }
        total
    }

    /// Makes a level as new whose last order has left.
    #[inline]
    pub(crate) fn make_empty(&mut self, level: LevelIx) {
        let queue = self.block(level);
        assert!(queue.lots() == 0, "a level's lots are those of its orders, so they end together");
        queue.make_empty(level);
    }

    /// A block that is no level returns to the pool.
    pub(crate) fn give_block_back(&mut self, number: u32) {
        self.vacant_blocks.push(number);
    }

    /// Takes lots from an order that stays.
    #[inline]
    pub(crate) fn reduce(&mut self, level: LevelIx, lots: u32) -> LevelTotal {
        let queue = block_at(&mut self.blocks, level);
        queue.reduce(lots);
        queue.total()
    }

    /// The order that came first; the level has one.
    #[inline(always)]
    pub(crate) fn front(&self, level: LevelIx) -> Slot {
        self.level(self.level(level).words[OLDEST]).first()
    }

    /// The order behind the one at `place`.
    #[inline]
    pub(crate) fn after(&self, level: LevelIx, place: Place) -> Option<Slot> {
        let block = self.level(place.block);
        let behind = block.taken & (u16::MAX << place.at << 1);
        if behind != 0 {
            return Some(block.at(behind.trailing_zeros()));
        }
        let is_last = place.block == self.level(level).words[NEWEST];
        (!is_last).then(|| self.level(block.next).first())
    }

    /// The order that came first at what was a level when it was looked up. By now the level may be empty, or its page split
    /// into blocks that prolong others, whose words mean something else: whatever they say, nothing but a slot comes of it.
    #[inline]
    pub(crate) fn front_ahead(&self, level: LevelIx) -> Option<Slot> {
        let oldest = self.blocks.get(level as usize)?.words[OLDEST];
        let block = self.blocks.get(oldest as usize)?;
        block.words.get(block.taken.trailing_zeros() as usize).copied().map(Slot::new)
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
        self.prepare(place.block);
    }

    /// Asks for the block in which a level's next order will stand, or the one before it.
    #[inline]
    pub(crate) fn prepare_back(&self, level: LevelIx) {
        if let Some(queue) = self.blocks.get(level as usize) {
            self.prepare(queue.words[NEWEST]);
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
            self.blocks.resize((first + PAGE) as usize, Block::NOWHERE);
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
        self.block(number).next = next;
        self.block(next).previous = number;
    }

    #[inline]
    fn block(&mut self, number: u32) -> &mut Block {
        block_at(&mut self.blocks, number)
    }
}

/// A panic that names no index leaves more registers to those who find their block.
#[inline(always)]
fn block_at(blocks: &mut [Block], number: u32) -> &mut Block {
    match blocks.get_mut(number as usize) {
        Some(block) => block,
        None => no_such_block(),
    }
}

#[cold]
#[inline(never)]
fn no_such_block() -> ! {
    panic!("only levels and places in use are named");
}
