//! The orders of one price, first in, first out: slots in blocks of one cache line each.
//!
//! An order knows its place, so leaving the queue touches its block and neither neighbor. A block whose last order has
//! gone returns to the pool at once, so memory follows the resting orders.

use joulebook_types::Qty;

use crate::level::LevelTotal;
use crate::slab::Slot;

/// One price level: sixteen bytes, four to a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub(crate) struct Queue {
    lots: u64,
    orders: u32,
    /// The place of the newest order. Its block is the last one, and the one after that is the first again.
    newest: Place,
}

/// A block's number times [`BLOCK`], plus the index of a word in it.
type Place = u32;

const BLOCK: u32 = 16;
/// Words of a block before its slots.
const LINKS: u32 = 3;

/// One cache line of a queue. The words are, in this order: which of its places are taken, as bits; the next block,
/// the first after the last; the previous block, the last before the first; slots.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Block([u32; BLOCK as usize]);

const TAKEN: usize = 0;
const NEXT: usize = 1;
const PREVIOUS: usize = 2;

impl Block {
    #[inline]
    fn first_place(&self) -> usize {
        self.0[TAKEN].trailing_zeros() as usize % BLOCK as usize
    }

    /// Bits of the taken places behind one of them.
    #[inline]
    fn taken_after(&self, place: Place) -> u32 {
        self.0[TAKEN] & (u32::MAX << (place % BLOCK) << 1)
    }
}

impl Queue {
    /// Its newest place is the last one of a block, so the first order asks for a new one.
    pub(crate) const EMPTY: Self = Self { lots: 0, orders: 0, newest: BLOCK - 1 };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.orders == 0
    }

    #[inline]
    pub(crate) fn total(&self) -> LevelTotal {
        LevelTotal { qty: Qty::new(self.lots), orders: self.orders }
    }

    /// Takes lots from an order that stays; pairs with the subtraction in [`Queues::remove`].
    #[inline]
    pub(crate) fn reduce(&mut self, lots: u32) {
        self.lots = self.lots.checked_sub(lots.into()).expect("a level has the lots of its orders");
    }
}

/// The blocks of all queues.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    blocks: Vec<Block>,
    vacant: Vec<u32>,
}

impl Queues {
    /// Puts an order at the back when the last block has room; `None` when it is full, or there is none yet.
    #[inline]
    pub(crate) fn push_back(&mut self, queue: &mut Queue, slot: Slot, lots: u32) -> Option<Place> {
        let place = queue.newest + 1;
        if place.is_multiple_of(BLOCK) {
            return None;
        }
        self.put(queue, place, slot, lots);
        Some(place)
    }

    /// Puts an order at the back, in a block of its own.
    #[inline]
    pub(crate) fn push_block(&mut self, queue: &mut Queue, slot: Slot, lots: u32) -> Place {
        let place = self.append_block(queue);
        self.put(queue, place, slot, lots);
        place
    }

    #[inline]
    fn put(&mut self, queue: &mut Queue, place: Place, slot: Slot, lots: u32) {
        let block = &mut self.blocks[(place / BLOCK) as usize];
        block.0[TAKEN] |= 1 << (place % BLOCK);
        block.0[(place % BLOCK) as usize] = slot.raw();
        queue.newest = place;
        queue.orders += 1;
        queue.lots += u64::from(lots);
    }

    /// Takes an order with so many lots out, wherever it stands. Whether others stand in its block; else
    /// [`Queues::return_block`] is what remains to do.
    #[inline]
    #[must_use]
    pub(crate) fn remove(&mut self, queue: &mut Queue, place: Place, lots: u32) -> bool {
        queue.reduce(lots);
        queue.orders -= 1;
        let block = &mut self.blocks[(place / BLOCK) as usize];
        block.0[TAKEN] &= !(1 << (place % BLOCK));
        block.0[TAKEN] != 0
    }

    /// The order that came first; the queue has one.
    #[inline]
    pub(crate) fn front(&self, queue: &Queue) -> Slot {
        let last = &self.blocks[(queue.newest / BLOCK) as usize];
        let first = &self.blocks[last.0[NEXT] as usize];
        Slot::new(first.0[first.first_place()])
    }

    /// The order behind the one at `place`.
    #[inline]
    pub(crate) fn after(&self, queue: &Queue, place: Place) -> Option<Slot> {
        let block = &self.blocks[(place / BLOCK) as usize];
        let behind = block.taken_after(place);
        if behind != 0 {
            return Some(Slot::new(block.0[behind.trailing_zeros() as usize % BLOCK as usize]));
        }
        if place / BLOCK == queue.newest / BLOCK {
            return None;
        }
        let next = &self.blocks[block.0[NEXT] as usize];
        Some(Slot::new(next.0[next.first_place()]))
    }

    /// Blocks that hold orders.
    pub(crate) fn blocks_in_use(&self) -> usize {
        self.blocks.len() - self.vacant.len()
    }

    /// The first place of a new block at the queue's end.
    fn append_block(&mut self, queue: &Queue) -> Place {
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.blocks.push(Block([0; BLOCK as usize]));
            (self.blocks.len() - 1) as u32
        });
        let (mut next, mut previous) = (number, number);
        if !queue.is_empty() {
            previous = queue.newest / BLOCK;
            next = self.block(previous).0[NEXT];
        }
        self.block(number).0[TAKEN] = 0;
        self.link(previous, number);
        self.link(number, next);
        number * BLOCK + LINKS
    }

    /// Gives a block back whose last order has gone.
    pub(crate) fn return_block(&mut self, queue: &mut Queue, place: Place) {
        let number = place / BLOCK;
        self.vacant.push(number);
        if queue.is_empty() {
            assert!(queue.lots == 0, "a level's lots are those of its orders, so they end together");
            *queue = Queue::EMPTY;
            return;
        }
        let Block([_, next, previous, ..]) = *self.block(number);
        self.link(previous, next);
        if queue.newest / BLOCK == number {
            let newest = BLOCK - 1 - (self.block(previous).0[TAKEN] << BLOCK).leading_zeros();
            queue.newest = previous * BLOCK + newest;
        }
    }

    fn link(&mut self, number: u32, next: u32) {
        self.block(number).0[NEXT] = next;
        self.block(next).0[PREVIOUS] = number;
    }

    fn block(&mut self, number: u32) -> &mut Block {
        &mut self.blocks[number as usize]
    }
}
