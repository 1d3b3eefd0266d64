//! From order id to slot, for those who lost the slot hint. Ids are dense, so pages of an array do instead of a hash.

use std::collections::VecDeque;

use joulebook_book::Slot;
use joulebook_types::OrderId;

const PAGE_ORDERS: u64 = 1_024;

/// A run of consecutive order ids.
#[derive(Debug)]
struct Page {
    slots: Box<[Option<Slot>]>,
    live: u32,
}

/// Open orders by id. Memory follows the open orders: a page without any is used again.
#[derive(Debug, Default)]
pub(crate) struct OrderIndex {
    pages: VecDeque<Option<Page>>,
    /// The number of the first page.
    first_page: u64,
    spare: Vec<Page>,
    live: usize,
}

impl OrderIndex {
    pub(crate) fn get(&self, order_id: OrderId) -> Option<Slot> {
        let (page, index) = place(order_id);
        let page = usize::try_from(page.checked_sub(self.first_page)?).ok()?;
        self.pages.get(page)?.as_ref()?.slots[index]
    }

    pub(crate) fn insert(&mut self, order_id: OrderId, slot: Slot) {
        let (page, index) = place(order_id);
        if self.pages.is_empty() {
            self.first_page = page;
        }
        let page = (page - self.first_page) as usize;
        while self.pages.len() <= page {
            self.pages.push_back(None);
        }
        let spare = &mut self.spare;
        let page = self.pages[page].get_or_insert_with(|| spare.pop().unwrap_or_else(Page::new));
        page.slots[index] = Some(slot);
        page.live += 1;
        self.live += 1;
    }

    pub(crate) fn remove(&mut self, order_id: OrderId) {
        let (page, index) = place(order_id);
        let entry = &mut self.pages[(page - self.first_page) as usize];
        let page = entry.as_mut().expect("an open order is in the index");
        assert!(page.slots[index].take().is_some(), "an open order is in the index");
        page.live -= 1;
        self.live -= 1;
        if page.live == 0 {
            self.spare.extend(entry.take());
            self.drop_empty_front();
        }
    }

    /// Open orders in the index.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    fn drop_empty_front(&mut self) {
        while let Some(None) = self.pages.front() {
            self.pages.pop_front();
            self.first_page += 1;
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
        assert_eq!((index.pages.len(), index.spare.len(), index.len()), (0, 1, 0));
        index.insert(id(1_000_000), Slot::new(1));
        assert_eq!(index.get(id(3)), None, "before the first page");
        assert_eq!(index.get(id(u64::MAX)), None, "after the last");
    }
}
