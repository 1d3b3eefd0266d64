//! From order id to slot, for those who lost the slot hint. Ids are dense, so pages of an array do instead of a hash.

use joulebook_book::{Slot, TickIndex};
use joulebook_sys::reserve_in_large_pages;
use joulebook_types::OrderId;

use crate::places::at_mut;

const PAGE_ORDERS: usize = 256;

/// The number of a page: a run of consecutive order ids, of which the low byte is the place in it. Whoever has an order
/// keeps that of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageIx(u32);

impl PageIx {
    pub(crate) const NONE: Self = Self(u32::MAX);

    const fn index(self) -> usize {
        self.0 as usize
    }

    /// Where its slots begin.
    const fn first(self) -> usize {
        self.index() * PAGE_ORDERS
    }
}

/// No order has the last number.
const NO_SLOT: Slot = Slot::new(u32::MAX);

/// Open orders by id. Memory follows the open orders, however far apart their ids lie: only pages with open orders are
/// there, and a page without any is used again.
///
/// What is said of an order that has gone stays until its page goes, so that an order's end touches no slot here: the
/// one who asks looks at the slot.
#[derive(Debug)]
pub(crate) struct OrderIndex {
    /// From the number of a page's ids to the page.
    by_number: TickIndex,
    /// Page by page where each order of its ids is, or was.
    slots: Vec<Slot>,
    /// By page: its open orders. That of the newest order has [`STAYS`] more, less those that `newest_orders` counts.
    live: Vec<u32>,
    vacant: Vec<PageIx>,
    /// The page of the newest order, and the number of its ids: most of what happens, happens there. It stays when it
    /// has no open orders, because it is where the next one comes.
    newest: PageIx,
    newest_number: u64,
    /// Orders that came since the page is the newest one: most come here and go from elsewhere, so coming is counted apart.
    newest_orders: u32,
}

/// More than the ids of a page: what keeps the newest one from being given back.
const STAYS: u32 = 2 * PAGE_ORDERS as u32;

impl Default for OrderIndex {
    fn default() -> Self {
        Self {
            by_number: TickIndex::default(),
            slots: Vec::new(),
            live: Vec::new(),
            vacant: Vec::new(),
            newest: PageIx::NONE,
            newest_number: u64::MAX,
            newest_orders: 0,
        }
    }
}

impl OrderIndex {
    /// Where an order is if it is open; else anything.
    pub(crate) fn get(&self, order_id: OrderId) -> Option<Slot> {
        let number = number_of(order_id);
        let page = match number == self.newest_number {
            true => self.newest,
            false => PageIx(self.by_number.get(number)?),
        };
        Some(self.slots[page.first() + place_of(order_id)])
    }

    /// Returns the page, which `remove` wants to know.
    #[inline(always)]
    pub(crate) fn insert(&mut self, order_id: OrderId, slot: Slot) -> PageIx {
        let number = number_of(order_id);
        if number != self.newest_number {
            self.go_to(number);
        }
        let page = self.newest;
        let free = at_mut(&mut self.slots, page.first() + place_of(order_id));
        assert!(*free == NO_SLOT, "an order id is used once");
        *free = slot;
        self.newest_orders += 1;
        page
    }

    /// Of an order on the page that `insert` returned.
    #[inline(always)]
    pub(crate) fn remove(&mut self, order_id: OrderId, page: PageIx) {
        let live = at_mut(&mut self.live, page.index());
        assert!(*live > 0, "an open order is in the index");
        *live -= 1;
        if *live == 0 {
            self.close_page(number_of(order_id), page);
        }
    }

    /// Open orders in the index; takes as long as there are pages.
    pub(crate) fn len(&self) -> usize {
        let counted: usize = self.live.iter().map(|live| *live as usize).sum();
        if self.newest == PageIx::NONE { 0 } else { counted + self.newest_orders as usize - STAYS as usize }
    }

    /// The page of other ids becomes the one in use.
    #[cold]
    fn go_to(&mut self, number: u64) {
        if self.newest != PageIx::NONE {
            self.leave_newest();
        }
        let known = self.by_number.get(number).map(PageIx);
        (self.newest, self.newest_number) = (known.unwrap_or_else(|| self.open_page(number)), number);
        self.live[self.newest.index()] += STAYS;
        self.newest_orders = 0;
    }

    /// Counts what came to the newest page like that of all others.
    fn leave_newest(&mut self) {
        let live = &mut self.live[self.newest.index()];
        let counted = (*live + self.newest_orders).checked_sub(STAYS);
        *live = counted.expect("no more orders left the page than came");
        if *live == 0 {
            self.close_page(self.newest_number, self.newest);
        }
    }

    fn open_page(&mut self, number: u64) -> PageIx {
        let page = self.vacant.pop().unwrap_or_else(|| {
            reserve_in_large_pages(&mut self.slots, PAGE_ORDERS);
            self.slots.resize(self.slots.len() + PAGE_ORDERS, NO_SLOT);
            self.live.push(0);
            PageIx((self.live.len() - 1) as u32)
        });
        self.slots[page.first()..][..PAGE_ORDERS].fill(NO_SLOT);
        self.by_number.insert(number, page.0);
        page
    }

    #[cold]
    fn close_page(&mut self, number: u64, page: PageIx) {
        self.by_number.remove(number);
        self.vacant.push(page);
    }
}

/// The number of the ids that share a page with this one.
const fn number_of(order_id: OrderId) -> u64 {
    order_id.raw() / PAGE_ORDERS as u64
}

/// Its place on that page.
const fn place_of(order_id: OrderId) -> usize {
    order_id.raw() as usize % PAGE_ORDERS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn memory_follows_the_open_orders() {
        let mut index = OrderIndex::default();
        let id = OrderId::new;
        for raw in (5_000..500_000).step_by(700) {
            let page = index.insert(id(raw), Slot::new(raw as u32));
            assert_eq!(index.get(id(raw)), Some(Slot::new(raw as u32)));
            assert_eq!(index.get(id(raw ^ 1)), Some(NO_SLOT));
            index.remove(id(raw), page);
        }
        // The page of the newest order stays for the next one.
        assert_eq!((index.live.len(), index.vacant.len(), index.len()), (1, 0, 0));
        index.insert(id(1_000_000), Slot::new(1));
        assert_eq!((index.live.len(), index.vacant.len(), index.len()), (1, 0, 1));
        assert_eq!(index.get(id(3)), None, "before the first page");
        assert_eq!(index.get(id(u64::MAX)), None, "after the last");
        assert_eq!(index.get(id(1_000_001)), Some(NO_SLOT), "a page used again names no order that it had");
    }

    #[test]
    fn an_old_order_costs_no_more_than_a_new_one() {
        let mut index = OrderIndex::default();
        let id = OrderId::new;
        let mut pages = BTreeMap::new();
        for (slot, raw) in (0..).zip([7, 1 << 40, u64::MAX, 8]) {
            pages.insert(raw, index.insert(id(raw), Slot::new(slot)));
        }
        assert_eq!((index.live.len(), index.len()), (3, 4));
        let slots = [7, 8, 1 << 40, u64::MAX].map(|raw| index.get(id(raw)).map(Slot::raw));
        assert_eq!(slots, [Some(0), Some(3), Some(1), Some(2)]);
        for raw in [8, u64::MAX, 1 << 40] {
            index.remove(id(raw), pages[&raw]);
        }
        assert_eq!((index.vacant.len(), index.len()), (2, 1));
        assert_eq!([1 << 40, u64::MAX].map(|raw| index.get(id(raw))), [None, None]);
        index.remove(id(7), pages[&7]);
        assert_eq!((index.vacant.len(), index.len()), (2, 0));
    }
}
