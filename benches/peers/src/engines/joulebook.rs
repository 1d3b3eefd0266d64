//! Our book with a slab of orders, and per order id the slot that a client would send along.

use core::cell::Cell;
use core::hint::select_unpredictable;

use joulebook_book::{Book, Entering, Order, OrderSlab, Slot};
use joulebook_sys::prefetch_read;
use joulebook_types::{OrderId, Price, Side};

use super::Engine;
use crate::stream::{Fills, Kind, Message, Stream};

/// Looks `AHEAD` messages ahead, a multiple of three and less than [`COMING`], or not at all.
pub struct Joulebook<const AHEAD: usize> {
    books: Vec<Book>,
    orders: OrderSlab,
    slots: Vec<Slot>,
    /// Messages that come next, each in its turn, as far as they have been looked at.
    coming: [Cell<Coming>; COMING],
    seen: Cell<usize>,
}

/// A power of two.
const COMING: usize = 32;

/// What kind of message comes cannot be predicted, so each is looked at as if it named an order and entered one. What it has
/// not is replaced by something that is at hand: the order of a new id is the first one, and a bid at zero rests nowhere.
#[derive(Clone, Copy)]
struct Coming {
    id: u32,
    book: u16,
    side: Side,
    price: u32,
    slot: Slot,
    entering: Entering,
}

impl Coming {
    #[inline(always)]
    fn new(message: &Message) -> Self {
        let enters = !matches!(message.kind, Kind::Cancel | Kind::Reduce);
        Self {
            id: message.id,
            book: message.book,
            side: select_unpredictable(enters, message.side, Side::Buy),
            price: select_unpredictable(enters, message.price, 0),
            ..Self::NOTHING
        }
    }

    const NOTHING: Self =
        Self { id: 0, book: 0, side: Side::Buy, price: 0, slot: FIRST_SLOT, entering: Entering::NOTHING };
}

const FIRST_SLOT: Slot = Slot::new(0);

impl<const AHEAD: usize> Engine for Joulebook<AHEAD> {
    const AHEAD: usize = AHEAD;

    fn new(stream: &Stream) -> Self {
        Self {
            books: (0..stream.books).map(|_| Book::new(Price::new(1))).collect(),
            orders: OrderSlab::default(),
            slots: vec![FIRST_SLOT; stream.last_id as usize + 1],
            coming: [const { Cell::new(Coming::NOTHING) }; COMING],
            seen: Cell::new(0),
        }
    }

    /// First the slot; a third of the way later the order, or the level where one will rest; then what these lead to.
    #[inline(always)]
    fn prepare(&self, message: &Message) {
        let seen = self.seen.get();
        self.seen.set(seen + 1);
        let turn = |ahead: usize| &self.coming[(seen + ahead) % COMING];
        prefetch_read(&self.slots[message.id as usize]);
        prefetch_read(&self.books[usize::from(message.book)]);
        turn(AHEAD).set(Coming::new(message));
        self.look_closer(turn(AHEAD / 3 * 2));
        self.look_around(turn(AHEAD / 3).get());
    }

    #[inline(always)]
    fn apply(&mut self, message: &Message, fills: &mut Fills) {
        match message.kind {
            Kind::Add => self.add(message, fills),
            Kind::Cancel => self.cancel(message),
            Kind::Replace => self.replace(message, fills),
            Kind::Ioc => {
                take(
                    &mut self.books[usize::from(message.book)],
                    &mut self.orders,
                    message,
                    message.side,
                    fills,
                );
            }
            Kind::Reduce => self.reduce(message),
        }
    }

    fn resting(&self) -> u64 {
        self.orders.len() as u64
    }
}

impl<const AHEAD: usize> Joulebook<AHEAD> {
    /// Asks for the order, and for the level where one will rest.
    #[inline(always)]
    fn look_closer(&self, coming: &Cell<Coming>) {
        let mut seen = coming.get();
        seen.slot = self.slots[seen.id as usize];
        self.orders.prepare(seen.slot);
        let book = &self.books[usize::from(seen.book)];
        seen.entering = book.prepare_entering(&self.orders, seen.side, Price::new(seen.price.into()));
        coming.set(seen);
    }

    /// Asks for what these lead to.
    #[inline(always)]
    fn look_around(&self, coming: Coming) {
        self.orders.prepare_leaving(coming.slot);
        let maker = self.orders.prepare_entering(coming.entering);
        self.orders.prepare(maker);
    }

    #[inline(never)]
    fn add(&mut self, message: &Message, fills: &mut Fills) {
        let Self { books, orders, slots, .. } = self;
        let price = Price::new(message.price.into());
        let book = &mut books[usize::from(message.book)];
        let Some(slot) = orders.vacancy() else { return self.take_and_rest(message, fills) };
        if book.crosses(message.side, price) {
            return self.take_and_rest(message, fills);
        }
        slots[message.id as usize] = slot;
        let order = Order::new(OrderId::new(message.id.into()), message.side, price, message.lots);
        book.enter(orders, slot, order);
    }

    #[inline(never)]
    fn take_and_rest(&mut self, message: &Message, fills: &mut Fills) {
        let book = &mut self.books[usize::from(message.book)];
        let left = take(book, &mut self.orders, message, message.side, fills);
        if left > 0 {
            let price = Price::new(message.price.into());
            let order = Order::new(OrderId::new(message.id.into()), message.side, price, left);
            let slot = self.orders.insert(order);
            self.slots[message.id as usize] = slot;
            book.add(&mut self.orders, slot);
        }
    }

    #[inline(never)]
    fn cancel(&mut self, message: &Message) {
        let slot = self.slots[message.id as usize];
        self.books[usize::from(message.book)].withdraw(&mut self.orders, slot);
    }

    #[inline(never)]
    fn replace(&mut self, message: &Message, fills: &mut Fills) {
        let slot = self.slots[message.id as usize];
        let book = &mut self.books[usize::from(message.book)];
        let (side, price) = (self.orders[slot].side, Price::new(message.price.into()));
        if !book.crosses(side, price) {
            book.relocate(&mut self.orders, slot, price, (message.lots, message.lots, u32::MAX));
            return;
        }
        book.remove(&mut self.orders, slot);
        let left = take(book, &mut self.orders, message, side, fills);
        if left == 0 {
            self.orders.remove(slot);
        } else {
            book.rejoin(&mut self.orders, slot, price, left, u32::MAX);
        }
    }

    #[inline(never)]
    fn reduce(&mut self, message: &Message) {
        let slot = self.slots[message.id as usize];
        let fewer = self.orders[slot].leaves - message.lots;
        self.books[usize::from(message.book)].reduce(&mut self.orders, slot, fewer);
    }
}

/// Trades with what a limit reaches; what is left.
#[inline(always)]
fn take(book: &mut Book, orders: &mut OrderSlab, message: &Message, side: Side, fills: &mut Fills) -> u32 {
    let (limit, mut left) = (Price::new(message.price.into()), message.lots);
    while left > 0 && book.crosses(side, limit) {
        let maker = book.front(orders, side.opposite()).expect("a side that is crossed has orders");
        let Order { order_id, price, leaves, .. } = orders[maker];
        let lots = left.min(leaves);
        book.fill_front(orders, maker, lots);
        fills.add(order_id.raw() as u32, message.id, price.raw() as u32, lots);
        left -= lots;
        if lots == leaves {
            orders.remove(maker);
        }
    }
    left
}
