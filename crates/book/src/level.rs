//! One price level: its orders in the order of arrival.

use joulebook_types::{Price, Qty};

use crate::slab::{Links, OrderSlab, Slot};

/// A price level as anybody may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub price: Price,
    pub total: LevelTotal,
}

/// What rests at a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelTotal {
    /// Lots of all orders together.
    pub qty: Qty,
    pub orders: u32,
}

/// A level's orders, chained through the slab: first in, first out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    pub(crate) price: Price,
    pub(crate) tick: u64,
    pub(crate) total: LevelTotal,
    pub(crate) first: Slot,
    last: Slot,
}

impl Queue {
    pub(crate) const fn new(price: Price, tick: u64) -> Self {
        Self {
            price,
            tick,
            total: LevelTotal { qty: Qty::ZERO, orders: 0 },
            first: Slot::NONE,
            last: Slot::NONE,
        }
    }

    pub(crate) fn push_back(&mut self, orders: &mut OrderSlab, slot: Slot, level: u32) {
        let order = orders.order_mut(slot);
        assert!(order.leaves > 0, "an order without lots does not rest");
        order.links.level = level;
        order.links.previous = self.last;
        order.links.next = Slot::NONE;
        self.total.qty += Qty::from(order.leaves);
        self.total.orders += 1;
        if self.last == Slot::NONE {
            self.first = slot;
        } else {
            orders.order_mut(self.last).links.next = slot;
        }
        self.last = slot;
    }

    /// Takes lots from an order that stays; pairs with the subtraction in `unlink`.
    pub(crate) fn reduce(&mut self, orders: &mut OrderSlab, slot: Slot, lots: u32) {
        let order = orders.order_mut(slot);
        assert!(lots < order.leaves, "an order without lots does not rest");
        order.leaves -= lots;
        self.total.qty -= Qty::from(lots);
    }

    /// Takes an order out of the queue, wherever it stands. It keeps its leaves quantity.
    pub(crate) fn unlink(&mut self, orders: &mut OrderSlab, slot: Slot) {
        let order = orders.order_mut(slot);
        let links = order.links;
        self.total.qty -= Qty::from(order.leaves);
        self.total.orders -= 1;
        assert!(
            (self.total.orders == 0) == self.total.qty.is_zero(),
            "a level's lots are those of its orders, so they end together"
        );
        order.links.level = Links::NO_LEVEL;
        match links.previous {
            Slot::NONE => self.first = links.next,
            previous => orders.order_mut(previous).links.next = links.next,
        }
        match links.next {
            Slot::NONE => self.last = links.previous,
            next => orders.order_mut(next).links.previous = links.previous,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.total.orders == 0
    }

    /// First in, first out.
    pub(crate) fn slots<'a>(&self, orders: &'a OrderSlab) -> impl Iterator<Item = Slot> + use<'a> {
        let mut next = self.first;
        core::iter::from_fn(move || {
            let slot = (next != Slot::NONE).then_some(next)?;
            next = orders[slot].links.next;
            Some(slot)
        })
    }

    pub(crate) fn view(&self) -> Level {
        Level { price: self.price, total: self.total }
    }
}
