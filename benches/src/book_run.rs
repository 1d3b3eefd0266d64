//! A flow on the books alone, as their owner drives them: no accounts, no events, slots known to whoever names an order.

use joulebook_book::{Book, Order, OrderSlab, Slot, reaches};
use joulebook_types::{OrderId, Price};

use crate::flow::{Act, Message, Totals};

/// Books over one slab.
pub struct BookRun {
    books: Vec<Book>,
    orders: OrderSlab,
    /// By order number.
    slots: Vec<Slot>,
    totals: Totals,
}

impl BookRun {
    pub fn new(books: u16) -> Self {
        let books = (0..books).map(|_| Book::new(Price::new(1))).collect();
        Self { books, orders: OrderSlab::default(), slots: Vec::new(), totals: Totals::default() }
    }

    /// Room for the orders of these messages, so that no list of the program's own grows while it is measured.
    pub fn make_room(&mut self, messages: &[Message]) {
        let last = messages.iter().map(|message| message.order as usize).max().unwrap_or_default();
        self.slots.resize(self.slots.len().max(last + 1), Slot::new(0));
    }

    pub fn totals(&self) -> Totals {
        Totals { resting: self.orders.len() as u64, ..self.totals }
    }

    /// By itself in profiles, as `Rerun::measured_part`.
    #[inline(never)]
    pub fn measured_part(&mut self, messages: &[Message]) {
        messages.iter().for_each(|message| self.apply(message));
    }

    #[inline(always)]
    pub fn apply(&mut self, message: &Message) {
        match message.act {
            Act::Add => self.add(message),
            Act::Cancel => self.cancel(message),
            Act::Replace => self.replace(message),
            Act::Reduce => self.reduce(message),
            Act::Ioc => {
                self.trade(message);
            }
        }
    }

    fn add(&mut self, message: &Message) {
        let left = self.trade(message);
        if left > 0 {
            let id = OrderId::new(message.order.into());
            let order = Order::new(id, message.side, Price::new(message.ticks.into()), left);
            self.rest(message, order);
        }
    }

    fn cancel(&mut self, message: &Message) {
        let slot = self.slots[message.order as usize];
        self.books[usize::from(message.book)].remove(&mut self.orders, slot);
        self.orders.remove(slot);
    }

    fn replace(&mut self, message: &Message) {
        let slot = self.slots[message.order as usize];
        self.books[usize::from(message.book)].remove(&mut self.orders, slot);
        let left = self.trade(message);
        if left == 0 {
            self.orders.remove(slot);
            return;
        }
        self.orders.amend(slot, Price::new(message.ticks.into()), left, left, u32::MAX);
        self.books[usize::from(message.book)].add(&mut self.orders, slot);
    }

    fn reduce(&mut self, message: &Message) {
        let slot = self.slots[message.order as usize];
        let lots = self.orders[slot].leaves - message.lots;
        self.books[usize::from(message.book)].reduce(&mut self.orders, slot, lots);
    }

    fn rest(&mut self, message: &Message, order: Order) {
        let slot = self.orders.insert(order);
        self.slots[message.order as usize] = slot;
        self.books[usize::from(message.book)].add(&mut self.orders, slot);
    }

    /// Lots that are left.
    #[inline(always)]
    fn trade(&mut self, message: &Message) -> u32 {
        let limit = Price::new(message.ticks.into());
        let book = &mut self.books[usize::from(message.book)];
        let (mut left, against) = (message.lots, message.side.opposite());
        while left > 0 && book.crosses(message.side, limit) {
            let slot = book.front(&self.orders, against).expect("a crossed book has a front order");
            let maker = &self.orders[slot];
            let (id, price, open) = (maker.order_id, maker.price, maker.leaves);
            debug_assert!(reaches(message.side, limit, price));
            let lots = left.min(open);
            book.fill_front(&mut self.orders, slot, lots);
            self.totals.add_fill(id.raw() as u32, message.order, price.raw() as u32, lots);
            if lots == open {
                self.orders.remove(slot);
            }
            left -= lots;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Workload;

    #[test]
    fn the_books_trade_what_the_flow_says() {
        for workload in [Workload::W1, Workload::W2, Workload::W4_SHORT] {
            let flow = workload.flow(20_000);
            let mut run = BookRun::new(flow.books);
            run.make_room(&flow.measured);
            flow.prelude.iter().chain(&flow.measured).for_each(|message| run.apply(message));
            assert_eq!(run.totals(), flow.totals, "{}", workload.name);
        }
    }
}
