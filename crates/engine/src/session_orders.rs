//! The open orders of each session in the order of their arrival, in blocks.
//!
//! An order knows its place, so its end touches a bit of its block and no neighbor. The bits of all blocks lie together,
//! apart from what they are about: they are few enough to be in a near cache whichever order ends, while what an order's
//! place says is read only by those who walk. A block whose last order has gone returns to the pool, so memory follows the
//! open orders.

use joulebook_book::Slot;
use joulebook_sys::{prefetch_write_at, reserve_in_large_pages};

use crate::places::at_mut;

/// A block's number times [`BLOCK`], plus the index of a place in it. Block zero is never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListPlace(u32);

/// Places of a block: as many as a word has bits.
const BLOCK: u32 = u32::BITS;

impl ListPlace {
    pub(crate) const NONE: Self = Self(0);

    const fn block(self) -> usize {
        (self.0 / BLOCK) as usize
    }

    const fn bit(self) -> u32 {
        self.0 % BLOCK
    }

    const fn index(self) -> usize {
        self.0 as usize
    }

    /// The last place of a block, behind which there is no room.
    const fn end_of(block: u32) -> Self {
        Self(block * BLOCK + BLOCK - 1)
    }
}

/// A part of a list.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
struct Block {
    /// Which of its places have orders, as bits.
    taken: u32,
    /// The next block, the first after the last.
    next: u32,
    /// The previous block, the last before the first.
    previous: u32,
}

impl Block {
    const EMPTY: Self = Self { taken: 0, next: 0, previous: 0 };
}

/// The orders of one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionList {
    /// The place of the newest order, or one before it at which another stood. Its block is the last one.
    newest: ListPlace,
    orders: u32,
}

impl SessionList {
    /// It seems to have no room, so its first order asks for some.
    pub(crate) const EMPTY: Self = Self { newest: ListPlace::end_of(0), orders: 0 };

    /// Open orders.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.orders
    }
}

/// The blocks of all sessions.
#[derive(Debug)]
pub(crate) struct SessionOrders {
    blocks: Vec<Block>,
    /// By place.
    slots: Vec<Slot>,
    vacant: Vec<u32>,
}

/// What stands where no order ever stood.
const NO_SLOT: Slot = Slot::new(u32::MAX);

impl Default for SessionOrders {
    fn default() -> Self {
        Self { blocks: vec![Block::EMPTY], slots: vec![NO_SLOT; BLOCK as usize], vacant: Vec::new() }
    }
}

impl SessionOrders {
    /// Puts an order behind all others of its session.
    #[inline(always)]
    pub(crate) fn push(&mut self, list: &mut SessionList, slot: Slot) -> ListPlace {
        let mut place = ListPlace(list.newest.0 + 1);
        if place.bit() == 0 {
            place = self.append_block(list);
        }
        at_mut(&mut self.blocks, place.block()).taken |= 1 << place.bit();
        *at_mut(&mut self.slots, place.index()) = slot;
        list.newest = place;
        list.orders += 1;
        place
    }

    /// Takes the order at a place out.
    #[inline(always)]
    pub(crate) fn remove(&mut self, list: &mut SessionList, place: ListPlace) {
        list.orders -= 1;
        let taken = &mut at_mut(&mut self.blocks, place.block()).taken;
        *taken &= !(1 << place.bit());
        if *taken == 0 {
            self.give_back(list, place);
        }
    }

    /// The oldest order.
    pub(crate) fn first(&self, list: &SessionList) -> Option<Slot> {
        if list.orders == 0 {
            return None;
        }
        Some(self.first_of(self.blocks[list.newest.block()].next))
    }

    /// The order that came next after the one at a place.
    pub(crate) fn after(&self, list: &SessionList, place: ListPlace) -> Option<Slot> {
        let Block { taken, next, .. } = self.blocks[place.block()];
        let behind = taken & (u32::MAX << place.bit() << 1);
        if behind != 0 {
            return Some(self.slots[place.index() - place.bit() as usize + behind.trailing_zeros() as usize]);
        }
        (place.block() != list.newest.block()).then(|| self.first_of(next))
    }

    /// Asks for the memory of a place.
    #[inline(always)]
    pub(crate) fn prepare(&self, place: ListPlace) {
        prefetch_write_at(&self.blocks, place.block());
    }

    /// The oldest order of a block, which has one.
    fn first_of(&self, block: u32) -> Slot {
        let first = self.blocks[block as usize].taken.trailing_zeros();
        self.slots[(block * BLOCK + first) as usize]
    }

    /// The first place of a new block at the list's end.
    #[inline(never)]
    fn append_block(&mut self, list: &SessionList) -> ListPlace {
        let number = self.vacant.pop().unwrap_or_else(|| self.add_block());
        let (mut next, mut previous) = (number, number);
        if list.newest.block() != 0 {
            previous = list.newest.block() as u32;
            next = self.block(previous).next;
        }
        self.block(number).taken = 0;
        self.link(previous, number);
        self.link(number, next);
        ListPlace(number * BLOCK)
    }

    #[cold]
    fn add_block(&mut self) -> u32 {
        let number = self.blocks.len() as u32;
        assert!(number < u32::MAX / BLOCK, "every place has a number");
        reserve_in_large_pages(&mut self.blocks, 1);
        self.blocks.push(Block::EMPTY);
        reserve_in_large_pages(&mut self.slots, BLOCK as usize);
        self.slots.resize(self.slots.len() + BLOCK as usize, NO_SLOT);
        number
    }

    /// Gives an empty block back. Behind the one before it there is no room, or it would not have been needed.
    #[inline(never)]
    fn give_back(&mut self, list: &mut SessionList, place: ListPlace) {
        let number = place.block() as u32;
        let Block { next, previous, .. } = *self.block(number);
        self.link(previous, next);
        self.vacant.push(number);
        if list.newest.block() == place.block() {
            list.newest = ListPlace::end_of(if previous == number { 0 } else { previous });
        }
    }

    fn link(&mut self, previous: u32, next: u32) {
        self.block(previous).next = next;
        self.block(next).previous = previous;
    }

    fn block(&mut self, number: u32) -> &mut Block {
        &mut self.blocks[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(orders: &SessionOrders, list: &SessionList, places: &[(u32, ListPlace)]) -> Vec<u32> {
        let place_of = |slot: Slot| places.iter().find(|(raw, _)| *raw == slot.raw()).expect("it is open").1;
        let first = orders.first(list);
        core::iter::successors(first, |slot| orders.after(list, place_of(*slot))).map(Slot::raw).collect()
    }

    /// Two sessions share the blocks; orders end anywhere, most of them soon, some late.
    #[test]
    fn orders_stay_in_the_order_of_arrival_and_blocks_come_back() {
        let mut orders = SessionOrders::default();
        let mut lists = [SessionList::EMPTY; 2];
        let mut open: [Vec<(u32, ListPlace)>; 2] = [Vec::new(), Vec::new()];
        let mut random = 7_u32;
        let mut draw = |below: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % below
        };
        for slot in 0..20_000 {
            let of = draw(2);
            let place = orders.push(&mut lists[of], Slot::new(slot));
            open[of].push((slot, place));
            // The lists grow to about a hundred orders, shrink to none, and so on.
            let ends = if slot / 500 % 2 == 0 { 1 } else { 3 };
            for _ in 0..draw(ends + 1) {
                let of = draw(2);
                if open[of].is_empty() {
                    continue;
                }
                let (_, place) = open[of].remove(draw(open[of].len()));
                orders.remove(&mut lists[of], place);
            }
            for (list, open) in lists.iter().zip(&open) {
                assert_eq!(list.len() as usize, open.len());
                assert!(listed(&orders, list, open).into_iter().eq(open.iter().map(|(slot, _)| *slot)));
            }
        }
        for (list, open) in lists.iter_mut().zip(open) {
            open.into_iter().for_each(|(_, place)| orders.remove(list, place));
            assert_eq!((orders.first(list), list.len()), (None, 0));
        }
        assert_eq!(orders.vacant.len() + 1, orders.blocks.len(), "all blocks came back");
    }
}
