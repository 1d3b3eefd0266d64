//! The plainest book that is right: what a flow must trade, and which orders it may name.

use std::collections::{BTreeMap, VecDeque};

use joulebook_types::Side;

use super::{Act, Message};

/// An order of which something is open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open {
    pub is_ask: bool,
    pub book: u16,
    pub ticks: u32,
    /// Zero: it is gone.
    pub lots: u32,
}

/// A maker's part of a trade.
#[derive(Clone, Copy, Debug)]
pub struct PlainFill {
    pub maker: u32,
    pub ticks: u32,
    pub lots: u32,
    /// Nothing of the maker is left.
    pub was_last: bool,
}

type Levels = BTreeMap<u32, VecDeque<u32>>;

/// Some books over one table of orders.
pub struct PlainBooks {
    books: Vec<[Levels; 2]>,
    /// By order number.
    orders: Vec<Open>,
    resting: u64,
}

impl PlainBooks {
    pub fn new(books: u16) -> Self {
        let books = (0..books).map(|_| [Levels::new(), Levels::new()]).collect();
        Self { books, orders: vec![Open::default()], resting: 0 }
    }

    /// Carries a message out.
    pub fn apply(&mut self, message: &Message, on_fill: impl FnMut(PlainFill)) {
        let Message { act, order, lots, .. } = *message;
        match act {
            Act::Add => self.enter(message, true, on_fill),
            Act::Ioc => self.enter(message, false, on_fill),
            Act::Cancel => self.take_out(order),
            Act::Replace => {
                self.take_out(order);
                self.enter(message, true, on_fill);
            }
            Act::Reduce => self.orders[order as usize].lots = lots,
        }
    }

    pub fn order(&self, order: u32) -> Open {
        self.orders[order as usize]
    }

    /// Zero also for orders that never were.
    pub fn open_lots(&self, order: u32) -> u32 {
        self.orders.get(order as usize).map_or(0, |order| order.lots)
    }

    pub fn resting(&self) -> u64 {
        self.resting
    }

    /// Prices and lots of a side, best first.
    pub fn levels(&self, book: u16, side: Side) -> impl Iterator<Item = (u32, u32)> + '_ {
        let levels = &self.books[usize::from(book)][index(side)];
        let (up, down) = match side {
            Side::Sell => (Some(levels.iter()), None),
            Side::Buy => (None, Some(levels.iter().rev())),
        };
        let lots = |queue: &VecDeque<u32>| queue.iter().map(|order| self.orders[*order as usize].lots).sum();
        up.into_iter()
            .flatten()
            .chain(down.into_iter().flatten())
            .map(move |(ticks, queue)| (*ticks, lots(queue)))
    }

    pub fn best(&self, book: u16, side: Side) -> Option<u32> {
        let levels = &self.books[usize::from(book)][index(side)];
        match side {
            Side::Buy => levels.keys().next_back().copied(),
            Side::Sell => levels.keys().next().copied(),
        }
    }

    /// The order that trades next on a side, which has orders.
    pub fn front(&self, book: u16, side: Side) -> u32 {
        let levels = &self.books[usize::from(book)][index(side)];
        let queue = match side {
            Side::Buy => levels.values().next_back(),
            Side::Sell => levels.values().next(),
        };
        *queue.and_then(VecDeque::front).expect("a side with orders")
    }

    fn enter(&mut self, message: &Message, rests: bool, on_fill: impl FnMut(PlainFill)) {
        let left = self.trade(message, on_fill);
        if self.orders.len() <= message.order as usize {
            self.orders.resize(message.order as usize + 1, Open::default());
        }
        if !rests || left == 0 {
            return;
        }
        let Message { side, book, ticks, .. } = *message;
        let is_ask = side == Side::Sell;
        self.orders[message.order as usize] = Open { is_ask, book, ticks, lots: left };
        let queue = self.books[usize::from(book)][index(side)].entry(ticks).or_default();
        queue.push_back(message.order);
        self.resting += 1;
    }

    fn trade(&mut self, message: &Message, mut on_fill: impl FnMut(PlainFill)) -> u32 {
        let against = message.side.opposite();
        let mut left = message.lots;
        while left > 0 {
            let Some(ticks) = self.best(message.book, against) else { break };
            let reaches = match message.side {
                Side::Buy => ticks <= message.ticks,
                Side::Sell => ticks >= message.ticks,
            };
            if !reaches {
                break;
            }
            let queue = &self.books[usize::from(message.book)][index(against)][&ticks];
            let maker = *queue.front().expect("a level has orders");
            let open = &mut self.orders[maker as usize];
            let lots = open.lots.min(left);
            left -= lots;
            let was_last = lots == open.lots;
            if was_last {
                self.take_out(maker);
            } else {
                open.lots -= lots;
            }
            on_fill(PlainFill { maker, ticks, lots, was_last });
        }
        left
    }

    fn take_out(&mut self, order: u32) {
        let open = &mut self.orders[order as usize];
        assert!(open.lots > 0, "order {order} is gone");
        open.lots = 0;
        let levels = &mut self.books[usize::from(open.book)][usize::from(open.is_ask)];
        let queue = levels.get_mut(&open.ticks).expect("an open order has a level");
        let place =
            queue.iter().position(|other| *other == order).expect("an open order stands in its queue");
        queue.remove(place);
        if queue.is_empty() {
            levels.remove(&open.ticks);
        }
        self.resting -= 1;
    }
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Sell)
}
