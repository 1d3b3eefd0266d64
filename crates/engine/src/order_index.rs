//! From order id to slot, for those who lost the slot hint. Ids are dense, so pages of an array do instead of a hash.

use joulebook_book::{Slot, TickIndex};
use joulebook_types::OrderId;

const PAGE_ORDERS: u64 = 256;

/// A run of consecutive order ids.
#[derive(Debug)]
struct Page {
    slots: Box<[Option<Slot>]>,
    live: u32,
}

/// Open orders by id. Memory follows the open orders, however far apart their ids lie: only pages with open orders are
/// there, and a page without any is used again.
#[derive(Debug, Default)]
pub(crate) struct OrderIndex {
    /// From the number of a page to its place in `pages`.
    by_number: TickIndex,
    pages: Vec<Page>,
    vacant: Vec<u32>,
    /// The page of the newest order, and its place: most of what happens, happens there.
    newest: Option<(u64, u32)>,
    live: usize,
}

impl OrderIndex {
    pub(crate) fn get(&self, order_id: OrderId) -> Option<Slot> {
        let (number, index) = place(order_id);
        let page = self.page(number)?;
        self.pages[page as usize].slots[index]
    }

    pub(crate) fn insert(&mut self, order_id: OrderId, slot: Slot) {
        let (number, index) = place(order_id);
        let place = match self.page(number) {
            Some(place) => place,
            None => self.open_page(number),
        };
        let page = &mut self.pages[place as usize];
        assert!(page.slots[index].replace(slot).is_none(), "an order id is used once");
        page.live += 1;
        self.live += 1;
        self.newest = Some((number, place));
    }

    pub(crate) fn remove(&mut self, order_id: OrderId) {
        let (number, index) = place(order_id);
        let place = self.page(number).expect("an open order is in the index");
        let page = &mut self.pages[place as usize];
        assert!(page.slots[index].take().is_some(), "an open order is in the index");
        page.live -= 1;
        self.live -= 1;
        if page.live == 0 {
            self.close_page(number, place);
        }
    }

    /// Open orders in the index.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    fn page(&self, number: u64) -> Option<u32> {
        match self.newest {
            Some((newest, place)) if newest == number => Some(place),
            Some(_) | None => self.by_number.get(number),
        }
    }

    fn open_page(&mut self, number: u64) -> u32 {
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.pages.push(Page::new());
            (self.pages.len() - 1) as u32
        });
        self.by_number.insert(number, place);
        place
    }

    fn close_page(&mut self, number: u64, place: u32) {
        self.by_number.remove(number);
        self.vacant.push(place);
        if self.newest == Some((number, place)) {
            self.newest = None;
        }
    }
}

impl Page {
    fn new() -> Self {
        Self { slots: vec![None; PAGE_ORDERS as usize].into_boxed_slice(), live: 0 }
    }
}

fn place(order_id: OrderId) -> (u64, usize) {
    (order_id.raw() / PAGE_ORDERS, (order_id.raw() % PAGE_ORDERS) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_follows_the_open_orders() {
        let mut index = OrderIndex::default();
        let id = OrderId::new;
        for raw in (5_000..500_000).step_by(700) {
            index.insert(id(raw), Slot::new(raw as u32));
            assert_eq!(index.get(id(raw)), Some(Slot::new(raw as u32)));
            assert_eq!(index.get(id(raw + 1)), None);
            index.remove(id(raw));
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
        for (slot, raw) in (0..).zip([7, 1 << 40, u64::MAX, 8]) {
            index.insert(id(raw), Slot::new(slot));
        }
        assert_eq!((index.pages.len(), index.len()), (3, 4));
        let slots = [7, 8, 1 << 40, u64::MAX].map(|raw| index.get(id(raw)).map(Slot::raw));
        assert_eq!(slots, [Some(0), Some(3), Some(1), Some(2)]);
        for raw in [8, u64::MAX, 7, 1 << 40] {
            index.remove(id(raw));
            assert_eq!(index.get(id(raw)), None);
        }
        assert_eq!((index.vacant.len(), index.len()), (3, 0));
    }
}
