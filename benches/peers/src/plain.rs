//! The plainest engine that is right: ordered maps of queues, searched from the front. The generator runs it to know
//! what is open, and what it does is what every other engine has to do.

use std::collections::{BTreeMap, VecDeque};

use joulebook_types::Side;

#[derive(Clone, Copy, Debug)]
pub struct Open {
    pub book: u16,
    pub side: Side,
    pub price: u32,
    /// Zero when the order is not open.
    pub lots: u32,
}

/// One fill of a taker.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    pub maker: u32,
    pub price: u32,
    pub lots: u32,
}

#[derive(Debug)]
pub struct Plain {
    /// By book, bids and asks: ids by price.
    books: Vec<[BTreeMap<u32, VecDeque<u32>>; 2]>,
    /// By id.
    orders: Vec<Open>,
    pub open: u64,
}

impl Plain {
    pub fn new(books: usize) -> Self {
        Self { books: (0..books).map(|_| Default::default()).collect(), orders: Vec::new(), open: 0 }
    }

    pub fn order(&self, id: u32) -> &Open {
        &self.orders[id as usize]
    }

    pub fn best(&self, book: u16, side: Side) -> Option<u32> {
        self.prices(book, side).next()
    }

    /// Prices of a side, best first.
    pub fn prices(&self, book: u16, side: Side) -> Box<dyn Iterator<Item = u32> + '_> {
        let prices = self.books[usize::from(book)][index(side)].keys().copied();
        match side {
            Side::Buy => Box::new(prices.rev()),
            Side::Sell => Box::new(prices),
        }
    }

    /// Open lots at a price.
    pub fn lots_at(&self, book: u16, side: Side, price: u32) -> u32 {
        self.books[usize::from(book)][index(side)][&price].iter().map(|id| self.order(*id).lots).sum()
    }

    /// Trades with what a limit reaches; what is left.
    pub fn take(&mut self, book: u16, side: Side, limit: u32, mut lots: u32, fills: &mut Vec<Fill>) -> u32 {
        let other = side.opposite();
        while lots > 0 {
            let reaches = |best: &u32| if side == Side::Buy { *best <= limit } else { *best >= limit };
            let Some(price) = self.best(book, other).filter(reaches) else { break };
            let queue = &self.books[usize::from(book)][index(other)][&price];
            let maker = *queue.front().expect("a price has orders");
            let given = lots.min(self.order(maker).lots);
            fills.push(Fill { maker, price, lots: given });
            lots -= given;
            self.orders[maker as usize].lots -= given;
            if self.order(maker).lots == 0 {
                self.leave(maker);
            }
        }
        lots
    }

    pub fn rest(&mut self, id: u32, order: Open) {
        let vacant = Open { lots: 0, ..order };
        self.orders.resize(self.orders.len().max(id as usize + 1), vacant);
        self.orders[id as usize] = order;
        self.books[usize::from(order.book)][index(order.side)].entry(order.price).or_default().push_back(id);
        self.open += 1;
    }

    pub fn remove(&mut self, id: u32) -> Open {
        let order = *self.order(id);
        assert!(order.lots > 0, "order {id} is not open");
        self.leave(id);
        self.orders[id as usize].lots = 0;
        order
    }

    pub fn reduce(&mut self, id: u32, lots: u32) {
        self.orders[id as usize].lots = lots;
    }

    fn leave(&mut self, id: u32) {
        let Open { book, side, price, .. } = *self.order(id);
        let prices = &mut self.books[usize::from(book)][index(side)];
        let queue = prices.get_mut(&price).expect("an open order stands at its price");
        let place = queue.iter().position(|other| *other == id).expect("and in its queue");
        queue.remove(place);
        if queue.is_empty() {
            prices.remove(&price);
        }
        self.open -= 1;
    }
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Sell)
}
