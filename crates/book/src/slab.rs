//! Where orders lie: one slab for all books, so that an order keeps its slot while it moves within its book.

use joulebook_sys::{prefetch_write_all_of, prefetch_write_at, reserve_in_large_pages};
use joulebook_types::{OrderId, Price, Side, SlotHint};

use crate::book::Entering;
use crate::price_tree::PriceTree;
use crate::queue::{LevelIx, Queues, not_there};

/// A place in the slab. Reused after its order has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

impl Slot {
    /// There is no such slot.
    pub const NONE: Self = Self(u32::MAX);

    /// The slot that is used first.
    pub(crate) const FIRST: Self = Self(0);

    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    pub const fn raw(self) -> u32 {
        self.0
    }

    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// As clients see it.
    pub const fn hint(self) -> SlotHint {
        SlotHint::new(self.0)
    }
}

/// What matching needs to know of an order: one cache line. The rest of it, if there is any, lies beside it.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Order {
    pub order_id: OrderId,
    pub price: Price,
    /// Orders of one group never trade with each other.
    pub trade_group: u64,
    /// Total lots, those that traded included.
    pub qty: u32,
    /// Open lots that show, which are all of them but an iceberg's.
    pub leaves: u32,
    /// Open lots that do not show yet.
    pub hidden: u32,
    /// The owner's dense number of the instrument.
    pub instrument: u32,
    /// The owner's dense number of the account.
    pub account: u32,
    pub side: Side,
    pub post_only: bool,
    pub(crate) links: Links,
}

/// Where an order stands in its book.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    /// [`NOWHERE`] while the order does not rest.
    pub(crate) level: LevelIx,
    /// The order before it in the level's queue; means nothing at the front.
    pub(crate) previous: Slot,
    /// The order behind it; means nothing at the back. Of a vacant slot, the next vacant one.
    pub(crate) next: Slot,
}

/// The level of an order that does not rest; there is none of this number.
pub(crate) const NOWHERE: LevelIx = LevelIx::MAX;

impl Links {
    pub(crate) const NONE: Self = Self { level: NOWHERE, previous: Slot::NONE, next: Slot::NONE };
}

const _: () = assert!(size_of::<Order>() == 64, "the hot part of an order fits a cache line");
const _: () = assert!(size_of::<Record<()>>() == 64, "a slab of orders alone has nothing beside them");

impl Order {
    /// What lies in a slot without an order; no vacant slot follows.
    const VACANT: Self = Self {
        order_id: OrderId::NONE,
        price: Price::ZERO,
        trade_group: 0,
        qty: 0,
        leaves: 0,
        hidden: 0,
        instrument: 0,
        account: 0,
        side: Side::Buy,
        post_only: false,
        links: Links::NONE,
    };

    /// An order of which nothing has traded.
    #[inline]
    pub fn new(order_id: OrderId, side: Side, price: Price, qty: u32) -> Self {
        Self {
            order_id,
            price,
            trade_group: 0,
            qty,
            leaves: qty,
            hidden: 0,
            instrument: 0,
            account: 0,
            side,
            post_only: false,
            links: Links::NONE,
        }
    }

    /// Lots that traded.
    #[inline]
    pub fn filled(&self) -> u32 {
        self.qty - self.total_leaves()
    }

    /// Lots still open, those that do not show included.
    #[inline]
    pub fn total_leaves(&self) -> u32 {
        self.leaves + self.hidden
    }

    /// Whether the order stands in a book.
    #[inline]
    pub fn is_resting(&self) -> bool {
        self.links.level != NOWHERE
    }

    #[inline(always)]
    pub(crate) fn amend(&mut self, price: Price, qty: u32, leaves: u32, display: u32) {
        assert!(!self.is_vacant() && !self.is_resting() && leaves <= qty, "only an order out of its book");
        self.price = price;
        self.qty = qty;
        self.leaves = leaves.min(display);
        self.hidden = leaves - self.leaves;
    }

    /// Leaves its slot to another order; behind it `next` is vacant.
    #[inline(always)]
    pub(crate) fn vacate(&mut self, next: Slot) {
        self.order_id = OrderId::NONE;
        self.links.level = NOWHERE;
        self.links.next = next;
    }

    #[inline]
    fn is_vacant(&self) -> bool {
        self.order_id.is_none()
    }
}

/// A slot: an order, and beside it what the slab's owner keeps with the order. Whoever has found one has found both.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Record<B> {
    pub(crate) order: Order,
    beside: B,
}

/// All orders of the exchange, and what their books are made of: an empty book owns nothing. Slots are handed out
/// densely; vacant ones are chained through their links. Beside each order lies a `B`, which no book looks at.
#[derive(Debug)]
pub struct OrderSlab<B = ()> {
    pub(crate) records: Vec<Record<B>>,
    pub(crate) first_vacant: Slot,
    pub(crate) live: usize,
    pub(crate) prices: PriceTree,
    pub(crate) queues: Queues,
}

/// What books have taken from the pool that they share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedMemory {
    /// Of 64 neighboring prices each: 2,072 bytes.
    pub pages: usize,
    /// Of 64 pages or nodes each: 280 bytes.
    pub nodes: usize,
}

impl<B> Default for OrderSlab<B> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            first_vacant: Slot::NONE,
            live: 0,
            prices: PriceTree::default(),
            queues: Queues::default(),
        }
    }
}

impl<B: Default> OrderSlab<B> {
    /// Takes an order in. Beside it lies what the last one in its slot left there, or a default.
    #[inline(always)]
    pub fn insert(&mut self, order: Order) -> Slot {
        assert!(!order.is_resting(), "a new order has no place in a book");
        if self.vacancy().is_none() {
            grow(&mut self.records, &mut self.first_vacant);
        }
        let slot = self.first_vacant;
        Self::occupy(&mut self.records[slot.index()].order, order, &mut self.first_vacant, &mut self.live);
        slot
    }
}

impl<B> OrderSlab<B> {
    /// What lies beside the order at a slot; beside a vacant one, what was left there.
    #[inline(always)]
    pub fn beside(&self, slot: Slot) -> &B {
        match self.records.get(slot.index()) {
            Some(record) => &record.beside,
            None => not_there(),
        }
    }

    #[inline(always)]
    pub fn beside_mut(&mut self, slot: Slot) -> &mut B {
        match self.records.get_mut(slot.index()) {
            Some(record) => &mut record.beside,
            None => not_there(),
        }
    }

    /// The slot that the next order takes, if there is one already.
    #[inline]
    pub fn vacancy(&self) -> Option<Slot> {
        // The last vacant slot is followed by one that does not exist.
        (self.first_vacant.index() < self.records.len()).then_some(self.first_vacant)
    }

    /// Fills the first vacant slot.
    #[inline(always)]
    pub(crate) fn occupy(vacant: &mut Order, mut order: Order, first_vacant: &mut Slot, live: &mut usize) {
        assert!(!order.is_vacant(), "an order has an id");
        *first_vacant = vacant.links.next;
        *live += 1;
        // Those of the vacant slot do as well, and need not be written.
        order.links = vacant.links;
        *vacant = order;
    }

    /// Takes an order out that rests in no book.
    #[inline(always)]
    pub fn remove(&mut self, slot: Slot) -> Order {
        let vacant = &mut self.records[slot.index()].order;
        let order = *vacant;
        assert!(!order.is_vacant() && !order.is_resting(), "only an order that left its book is removed");
        vacant.vacate(self.first_vacant);
        self.first_vacant = slot;
        self.live -= 1;
        order
    }

    /// The order at a slot that a client named, if there is one.
    #[inline(always)]
    pub fn get(&self, slot: Slot) -> Option<&Order> {
        self.at(slot).filter(|order| !order.is_vacant())
    }

    /// The order of this id at a slot that a client named, if it rests. No vacant slot does.
    #[inline(always)]
    pub fn resting(&self, slot: Slot, order_id: OrderId) -> Option<&Order> {
        self.at(slot).filter(|order| order.order_id == order_id && order.is_resting())
    }

    /// Gives an order that rests in no book a new price and size, of which at most `display` lots show.
    #[inline]
    pub fn amend(&mut self, slot: Slot, price: Price, qty: u32, leaves: u32, display: u32) {
        self.order_mut(slot).amend(price, qty, leaves, display);
    }

    /// Takes lots off an order that rests in no book, hidden ones first; it keeps at least one. Its total shrinks with it.
    pub fn shrink(&mut self, slot: Slot, lots: u32) {
        let order = self.order_mut(slot);
        assert!(!order.is_vacant() && !order.is_resting() && lots < order.total_leaves(), "it keeps a lot");
        let of_hidden = lots.min(order.hidden);
        order.hidden -= of_hidden;
        order.leaves -= lots - of_hidden;
        order.qty -= lots;
    }

    /// Shows the next slice, at most `display` lots, of an order whose last slice is exhausted.
    pub fn renew(&mut self, slot: Slot, display: u32) {
        let order = self.order_mut(slot);
        assert!(!order.is_resting() && order.leaves == 0 && order.hidden > 0, "a slice follows the last");
        order.leaves = order.hidden.min(display);
        order.hidden -= order.leaves;
    }

    /// Asks for the memory of the order at a slot, which is going to be named. There need not be such a slot.
    #[inline(always)]
    pub fn prepare(&self, slot: Slot) {
        prefetch_write_at(&self.records, slot.index());
    }

    /// The same, and for what lies beside it.
    #[inline(always)]
    pub fn prepare_both(&self, slot: Slot) {
        prefetch_write_all_of(&self.records, slot.index());
    }

    /// Asks for the order that an order that will come will stand behind. Returns the one that it trades with first, if it
    /// does, which is to be asked for as well. Their levels should be there already, and may have gone since; where there
    /// is no such order, it is any other.
    #[inline(always)]
    pub fn prepare_entering(&self, coming: Entering) -> Slot {
        self.prepare(self.queues.ends_ahead(coming.level).newest);
        self.queues.ends_ahead(coming.against).oldest
    }

    /// Asks for the orders next to one in its queue, which should be there already.
    #[inline(always)]
    pub fn prepare_neighbors(&self, slot: Slot) {
        if let Some(order) = self.at(slot) {
            self.prepare(order.links.previous);
            self.prepare(order.links.next);
        }
    }

    /// Asks for the memory that an order's leaving its book will touch besides the order, which should be there already.
    /// Returns the order and what lies beside it.
    #[inline(always)]
    pub fn prepare_leaving(&self, slot: Slot) -> Option<(&Order, &B)> {
        let Record { order, beside } = self.records.get(slot.index())?;
        let Links { level, previous, next } = order.links;
        self.queues.prepare(level);
        self.prepare(previous);
        self.prepare(next);
        Some((order, beside))
    }

    /// Orders in the slab.
    pub fn len(&self) -> usize {
        self.live
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// What all books together own at the moment.
    pub fn shared_memory(&self) -> SharedMemory {
        SharedMemory { pages: self.queues.pages_in_use(), nodes: self.prices.nodes_in_use() }
    }

    /// Slots ever used.
    pub fn slots(&self) -> usize {
        self.records.len()
    }

    #[inline]
    pub(crate) fn order_mut(&mut self, slot: Slot) -> &mut Order {
        &mut self.records[slot.index()].order
    }

    /// What lies at a slot that may not be there.
    #[inline(always)]
    fn at(&self, slot: Slot) -> Option<&Order> {
        self.records.get(slot.index()).map(|record| &record.order)
    }
}

/// Adds a vacant slot. It does not take the order: that would have to go through memory for it.
#[cold]
fn grow<B: Default>(records: &mut Vec<Record<B>>, first_vacant: &mut Slot) {
    let slot = Slot(u32::try_from(records.len()).expect("fewer than 2^32 orders"));
    assert!(slot != Slot::NONE, "the last slot number means none");
    reserve_in_large_pages(records, 1);
    records.push(Record { order: Order::VACANT, beside: B::default() });
    *first_vacant = slot;
}

impl<B> core::ops::Index<Slot> for OrderSlab<B> {
    type Output = Order;

    #[inline]
    fn index(&self, slot: Slot) -> &Order {
        &self.records[slot.index()].order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_reused_and_verified() {
        let order = |id| Order::new(OrderId::new(id), Side::Buy, Price::new(100), 1);
        let mut orders = OrderSlab::<()>::default();
        let (first, second) = (orders.insert(order(1)), orders.insert(order(2)));
        orders.remove(first);
        assert!(orders.get(first).is_none(), "vacant");
        assert!(orders.get(Slot::new(77)).is_none(), "out of range");
        assert_eq!(orders.insert(order(3)), first);
        assert_eq!(orders.get(second).map(|order| order.order_id), Some(OrderId::new(2)));
        assert_eq!((orders.len(), orders.slots()), (2, 2));
    }
}
