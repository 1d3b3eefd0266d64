//! From order id to slot, for those who lost the slot hint. Ids are dense, so pages of an array do instead of a hash.

use joulebook_book::{Slot, TickIndex};
use joulebook_sys::prefetch_write;
use joulebook_types::OrderId;

const PAGE_ORDERS: usize = 256;

/// A run of consecutive order ids. The low byte of an id is its place here.
#[derive(Debug)]
struct Page {
    slots: Box<[Slot; PAGE_ORDERS]>,
    live: u32,
}

/// The number of a page. Whoever has an order keeps that of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageIx(u32);

/// No order has the last number.
const NO_SLOT: Slot = Slot::new(u32::MAX);

/// Open orders by id. Memory follows the open orders, however far apart their ids lie: only pages with open orders are
/// there, and a page without any is used again.
#[derive(Debug, Default)]
pub(crate) struct OrderIndex {
    /// From the number of a page to its place in `pages`.
    by_number: TickIndex,
    pages: Vec<Page>,
    vacant: Vec<PageIx>,
    /// The page of the newest order, and its number: most of what happens, happens there.
    newest: Option<(u64, PageIx)>,
    live: usize,
}

impl OrderIndex {
    pub(crate) fn get(&self, order_id: OrderId) -> Option<Slot> {
        let (number, place) = split(order_id);
        let slot = self.page_at(self.page(number)?).slots[usize::from(place)];
        (slot != NO_SLOT).then_some(slot)
    }

    /// Returns the page, which `remove` wants to know.
    #[inline]
    pub(crate) fn insert(&mut self, order_id: OrderId, slot: Slot) -> PageIx {
        let (number, place) = split(order_id);
        let ix = match self.newest {
            Some((newest, ix)) if newest == number => ix,
            Some(_) | None => self.find_or_open(number),
        };
        let page = self.page_mut(ix);
        let free = &mut page.slots[usize::from(place)];
        assert!(*free == NO_SLOT, "an order id is used once");
        *free = slot;
        page.live += 1;
        self.live += 1;
        ix
    }

    /// `ix` is the page that `insert` returned.
    #[inline]
    pub(crate) fn remove(&mut self, order_id: OrderId, ix: PageIx) {
        let (number, place) = split(order_id);
        let page = self.page_mut(ix);
        let slot = &mut page.slots[usize::from(place)];
        assert!(*slot != NO_SLOT, "an open order is in the index");
        *slot = NO_SLOT;
        page.live -= 1;
        let is_empty = page.live == 0;
        self.live -= 1;
        if is_empty {
            self.close_page(number, ix);
        }
    }

    /// Asks for the entry of an order whose page `insert` returned.
    #[inline]
    pub(crate) fn prepare(&self, order_id: OrderId, ix: PageIx) {
        let (_, place) = split(order_id);
        if let Some(page) = self.pages.get(ix.0 as usize) {
            prefetch_write(&page.slots[usize::from(place)]);
        }
    }

    /// Open orders in the index.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    fn page(&self, number: u64) -> Option<PageIx> {
        match self.newest {
            Some((newest, ix)) if newest == number => Some(ix),
            Some(_) | None => self.by_number.get(number).map(PageIx),
        }
    }

    fn page_at(&self, ix: PageIx) -> &Page {
        &self.pages[ix.0 as usize]
    }

    #[inline]
    fn page_mut(&mut self, ix: PageIx) -> &mut Page {
        &mut self.pages[ix.0 as usize]
    }

    /// The page of an id that is not on the newest one, which it is from now on.
    #[cold]
    fn find_or_open(&mut self, number: u64) -> PageIx {
        let ix = self.by_number.get(number).map_or_else(|| self.open_page(number), PageIx);
        self.newest = Some((number, ix));
        ix
    }

    fn open_page(&mut self, number: u64) -> PageIx {
        let ix = self.vacant.pop().unwrap_or_else(|| {
            self.pages.push(Page::new());
            PageIx((self.pages.len() - 1) as u32)
        });
        self.by_number.insert(number, ix.0);
        ix
    }

    #[cold]
    fn close_page(&mut self, number: u64, ix: PageIx) {
        self.by_number.remove(number);
        self.vacant.push(ix);
        if self.newest == Some((number, ix)) {
            self.newest = None;
        }
    }
}

impl Page {
    fn new() -> Self {
        Self { slots: Box::new([NO_SLOT; PAGE_ORDERS]), live: 0 }
    }
}

/// The number of an id's page, and the id's place there.
fn split(order_id: OrderId) -> (u64, u8) {
    (order_id.raw() / PAGE_ORDERS as u64, order_id.raw() as u8)
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
            assert_eq!(index.get(id(raw + 1)), None);
            index.remove(id(raw), page);
            assert_eq!(index.get(id(raw)), None);
        }
        assert_eq!((index.pages.len(), index.vacant.len(), index.len()), (1, 1, 0));
        index.insert(id(1_000_000), Slot::new(1));
        assert_eq!(index.get(id(3)), None, "before the first page");
        assert_eq!(index.get(id(u64::MAX)), None, "after the last");
    }

    #[test]
    fn an_old_order_costs_no_more_than_a_new_one() {
        let mut index = OrderIndex::default();
        let id = OrderId::new;
        let mut pages = BTreeMap::new();
        for (slot, raw) in (0..).zip([7, 1 << 40, u64::MAX, 8]) {
            pages.insert(raw, index.insert(id(raw), Slot::new(slot)));
        }
        assert_eq!((index.pages.len(), index.len()), (3, 4));
        let slots = [7, 8, 1 << 40, u64::MAX].map(|raw| index.get(id(raw)).map(Slot::raw));
        assert_eq!(slots, [Some(0), Some(3), Some(1), Some(2)]);
        for raw in [8, u64::MAX, 7, 1 << 40] {
            index.remove(id(raw), pages[&raw]);
            assert_eq!(index.get(id(raw)), None);
        }
        assert_eq!((index.vacant.len(), index.len()), (3, 0));
    }
}
