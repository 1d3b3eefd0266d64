//! The orders of one price, first in, first out: the first few in the level itself, more in blocks of a cache line each.
//!
//! An order knows its place, so leaving the queue touches that place and no neighbor. A block whose last order has gone
//! returns to the pool at once, so memory follows the resting orders.

use joulebook_sys::prefetch_write;
use joulebook_types::Qty;

use crate::level::LevelTotal;
use crate::slab::Slot;

/// One price level: half a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(crate) struct Queue {
    lots: u64,
    orders: u32,
    /// The place of the newest order, or one before it at which another stands. Its block is the last one, and the one
    /// after that is the first again.
    newest: Place,
    /// The first orders, so that a price with few of them needs no block. All are older than those in blocks.
    near: [Slot; NEAR as usize],
}

/// A block's number times [`BLOCK`], plus the index of a word in it. The last [`NEAR`] places of block zero, which is
/// never used, stand for the places in the level itself.
pub(crate) type Place = u32;

const BLOCK: u32 = 16;
const NEAR: u32 = 4;
const FIRST_NEAR: Place = BLOCK - NEAR;
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
    /// It seems to have no room, so its first order asks for some.
    pub(crate) const EMPTY: Self =
        Self { lots: 0, orders: 0, newest: BLOCK - 1, near: [Slot::NONE; NEAR as usize] };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.orders == 0
    }

    #[inline]
    pub(crate) fn total(&self) -> LevelTotal {
        LevelTotal { qty: Qty::new(self.lots), orders: self.orders }
    }

    /// The place of the newest order, or one before it; the next order will stand near it.
    #[inline]
    pub(crate) fn back(&self) -> Place {
        self.newest
    }

    /// Takes lots from an order that stays; pairs with the subtraction in [`Queues::remove`].
    #[inline]
    pub(crate) fn reduce(&mut self, lots: u32) {
        self.lots = self.lots.checked_sub(lots.into()).expect("a level has the lots of its orders");
    }
}

/// The blocks of all queues.
#[derive(Debug)]
pub(crate) struct Queues {
    blocks: Vec<Block>,
    vacant: Vec<u32>,
}

impl Default for Queues {
    fn default() -> Self {
        Self { blocks: vec![Block([0; BLOCK as usize])], vacant: Vec::new() }
    }
}

impl Queues {
    /// Puts an order at the back when there is room behind the newest; else [`Queues::push_with_room`] does.
    #[inline(always)]
    pub(crate) fn push_back(&mut self, queue: &mut Queue, slot: Slot, lots: u32) -> Option<Place> {
        let place = queue.newest + 1;
        if place.is_multiple_of(BLOCK) {
            return None;
        }
        self.put(queue, place, slot, lots);
        Some(place)
    }

    /// Puts an order at the back where there was no room: first into an empty level, then in a block of its own.
    #[inline]
    pub(crate) fn push_with_room(&mut self, queue: &mut Queue, slot: Slot, lots: u32) -> Place {
        let place = if queue.is_empty() { FIRST_NEAR } else { self.append_block(queue) };
        self.put(queue, place, slot, lots);
        place
    }

    #[inline(always)]
    fn put(&mut self, queue: &mut Queue, place: Place, slot: Slot, lots: u32) {
        if place < BLOCK {
            queue.near[(place % NEAR) as usize] = slot;
        } else {
            let block = &mut self.blocks[(place / BLOCK) as usize];
            block.0[TAKEN] |= 1 << (place % BLOCK);
            block.0[(place % BLOCK) as usize] = slot.raw();
        }
        queue.newest = place;
        queue.orders += 1;
        queue.lots += u64::from(lots);
    }

    /// Takes an order with so many lots out, wherever it stands. Whether others stand near it; else
    /// [`Queues::give_back`] is what remains to do.
    #[inline(always)]
    #[must_use]
    pub(crate) fn remove(&mut self, queue: &mut Queue, place: Place, lots: u32) -> bool {
        queue.reduce(lots);
        queue.orders -= 1;
        if place < BLOCK {
            queue.near[(place % NEAR) as usize] = Slot::NONE;
            return !queue.is_empty();
        }
        let block = &mut self.blocks[(place / BLOCK) as usize];
        block.0[TAKEN] &= !(1 << (place % BLOCK));
        block.0[TAKEN] != 0
    }

    /// The order that came first; the queue has one.
    #[inline]
    pub(crate) fn front(&self, queue: &Queue) -> Slot {
        first_of(&queue.near).unwrap_or_else(|| self.first_in_blocks(queue))
    }

    /// The order behind the one at `place`.
    #[inline]
    pub(crate) fn after(&self, queue: &Queue, place: Place) -> Option<Slot> {
        let has_blocks = queue.newest >= BLOCK;
        if place < BLOCK {
            let behind = first_of(&queue.near[(place % NEAR) as usize + 1..]);
            return behind.or_else(|| has_blocks.then(|| self.first_in_blocks(queue)));
        }
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

    fn first_in_blocks(&self, queue: &Queue) -> Slot {
        let last = &self.blocks[(queue.newest / BLOCK) as usize];
        let first = &self.blocks[last.0[NEXT] as usize];
        Slot::new(first.0[first.first_place()])
    }

    /// Asks for the memory of a place.
    #[inline]
    pub(crate) fn prepare(&self, place: Place) {
        if let Some(block) = self.blocks.get((place / BLOCK) as usize) {
            prefetch_write(block);
        }
    }

    /// Blocks that hold orders.
    pub(crate) fn blocks_in_use(&self) -> usize {
        self.blocks.len() - 1 - self.vacant.len()
    }

    /// The first place of a new block at the queue's end.
    fn append_block(&mut self, queue: &Queue) -> Place {
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.blocks.push(Block([0; BLOCK as usize]));
            (self.blocks.len() - 1) as u32
        });
        let (mut next, mut previous) = (number, number);
        if queue.newest >= BLOCK {
            previous = queue.newest / BLOCK;
            next = self.block(previous).0[NEXT];
        }
        self.block(number).0[TAKEN] = 0;
        self.link(previous, number);
        self.link(number, next);
        number * BLOCK + LINKS
    }

    /// Gives a block back whose last order has gone, and leaves a queue without orders as new.
    pub(crate) fn give_back(&mut self, queue: &mut Queue, place: Place) {
        let number = place / BLOCK;
        if number != 0 {
            self.vacant.push(number);
        }
        if queue.is_empty() {
            assert!(queue.lots == 0, "a level's lots are those of its orders, so they end together");
            *queue = Queue::EMPTY;
            return;
        }
        let Block([_, next, previous, ..]) = *self.block(number);
        if next == number {
            let newest = queue.near.iter().rposition(|slot| *slot != Slot::NONE);
            queue.newest = FIRST_NEAR + newest.expect("who does not stand in a block stands near") as u32;
            return;
        }
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

#[inline]
fn first_of(near: &[Slot]) -> Option<Slot> {
    near.iter().copied().find(|slot| *slot != Slot::NONE)
}
