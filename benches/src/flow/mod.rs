//! Order flow as a market has it, without an engine: who adds, takes, moves and goes in which book, and what must have
//! traded in the end. The same name and length give the same flow on every machine.

mod books;
mod dice;
mod makers;
mod moves;

use joulebook_types::Side;

pub use books::PlainBooks;
use makers::Makers;
use moves::Moves;

/// What a message of the flow does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A limit order: trades what it can, the rest stays.
    Add,
    /// A limit order that stays nowhere.
    Ioc,
    Cancel,
    /// Another price or a larger size: to the back of its price, and it may trade.
    Replace,
    /// A smaller size in the same place.
    Reduce,
}

/// One message. A cancel has neither price nor lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    pub act: Act,
    pub side: Side,
    /// From 0.
    pub book: u16,
    /// Dense and rising from 1; named again by whatever happens to the order.
    pub order: u32,
    pub ticks: u32,
    /// Of an order that is there already: what shall be open.
    pub lots: u32,
}

/// What a flow came to, the filling of the books included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub trades: u64,
    pub lots: u64,
    /// Over all fills in their order: maker, taker, price, lots.
    pub fills_hash: u64,
    /// The price of the last trade.
    pub last_trade: u32,
    pub resting: u64,
}

impl Totals {
    pub fn add_fill(&mut self, maker: u32, taker: u32, ticks: u32, lots: u32) {
        self.trades += 1;
        self.last_trade = ticks;
        self.lots += u64::from(lots);
        let parties = u64::from(maker) << 32 | u64::from(taker);
        let fill = parties ^ u64::from(ticks) << 44 ^ u64::from(lots) << 20;
        self.fills_hash = (self.fills_hash ^ fill).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }
}

/// A kind of flow. What it is called in tables, and its sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload {
    pub name: &'static str,
    pub style: Style,
    pub books: u16,
    /// Orders in each book, about.
    pub resting: u32,
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Style {
    /// The mix that exchange-core publishes for its single-symbol test: 9 % adds, 3 % immediate or cancel, 6 % cancels,
    /// 82 % moves.
    Moves,
    /// Market makers: half adds, nearly as many cancels, 5 % changes, 5 % that take one to three levels.
    Makers(Spread),
}

/// Where the orders of market makers lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Passive orders are Gamma(2, theta) ticks away from the touch.
    pub theta: u32,
    /// Where the fair price begins.
    pub fair: u32,
    /// Thousandths of a tick by which the fair price moves with each message, on top of its random walk.
    pub drift: i32,
    /// No order is priced outside.
    pub range: (u32, u32),
    /// From this message on all that happens is cancels.
    pub storm: usize,
}

/// As in w2.
pub const NARROW: Spread =
    Spread { theta: 60, fair: 30_000, drift: 0, range: (8, 65_000), storm: usize::MAX };

impl Workload {
    /// One hot book, nearly all moves.
    pub const W1: Self = Self { name: "w1", style: Style::Moves, books: 1, resting: 1_000, seed: 101 };
    /// One book of market makers.
    pub const W2: Self =
        Self { name: "w2", style: Style::Makers(NARROW), books: 1, resting: 10_000, seed: 202 };
    /// The same with a million orders over tens of thousands of prices.
    pub const W3: Self = Self {
        name: "w3",
        style: Style::Makers(Spread { theta: 3_000, ..NARROW }),
        books: 1,
        resting: 1_000_000,
        seed: 303,
    };
    /// A thousand books, of which the most popular has a seventh of the flow.
    pub const W4: Self = Self {
        name: "w4",
        style: Style::Makers(Spread { theta: 20, ..NARROW }),
        books: 1_000,
        resting: 100,
        seed: 404,
    };
    /// W3 for runs that count instructions: long queues at many prices, but not a million orders.
    pub const W3_SHORT: Self = Self {
        name: "w3-short",
        style: Style::Makers(Spread { theta: 300, ..NARROW }),
        resting: 50_000,
        ..Self::W3
    };
    /// The same for w4.
    pub const W4_SHORT: Self = Self { name: "w4-short", books: 200, resting: 50, ..Self::W4 };
    pub const ALL: [Self; 6] = [Self::W1, Self::W2, Self::W3, Self::W4, Self::W3_SHORT, Self::W4_SHORT];

    /// The filling of the books, then `commands` messages.
    pub fn flow(&self, commands: usize) -> Flow {
        match self.style {
            Style::Moves => Moves::flow(self, commands),
            Style::Makers(spread) => Makers::flow(self, spread, commands),
        }
    }
}

/// Messages to send, and what they must come to.
pub struct Flow {
    pub books: u16,
    pub prelude: Vec<Message>,
    pub measured: Vec<Message>,
    /// After the last message.
    pub totals: Totals,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In thousandths of all messages.
    fn share(flow: &Flow, act: Act) -> usize {
        flow.measured.iter().filter(|message| message.act == act).count() * 1_000 / flow.measured.len()
    }

    #[test]
    fn the_mixes_are_what_their_names_say() {
        let moves = Workload::W1.flow(50_000);
        assert!((75..=100).contains(&share(&moves, Act::Add)), "{}", share(&moves, Act::Add));
        assert!((20..=40).contains(&share(&moves, Act::Ioc)), "{}", share(&moves, Act::Ioc));
        assert!((55..=65).contains(&share(&moves, Act::Cancel)));
        assert!((815..=830).contains(&share(&moves, Act::Replace)));
        let makers = Workload::W2.flow(50_000);
        assert!((500..=560).contains(&share(&makers, Act::Add)), "{}", share(&makers, Act::Add));
        assert!((20..=30).contains(&share(&makers, Act::Ioc)));
        assert!((370..=430).contains(&share(&makers, Act::Cancel)), "{}", share(&makers, Act::Cancel));
        assert!((20..=30).contains(&share(&makers, Act::Replace)));
        assert!((20..=30).contains(&share(&makers, Act::Reduce)));
        for (flow, resting) in [(&moves, 1_000), (&makers, 10_000)] {
            assert!(flow.totals.resting.abs_diff(resting) < resting / 8, "{:?}", flow.totals);
            assert!(flow.totals.trades > 1_000, "{:?}", flow.totals);
        }
    }

    #[test]
    fn a_longer_flow_begins_like_a_shorter_one() {
        let (long, short) = (Workload::W4.flow(2_000), Workload::W4.flow(1_000));
        assert_eq!(long.prelude, short.prelude);
        assert_eq!(long.measured[..1_000], short.measured);
        assert_ne!(long.totals, short.totals);
    }

    #[test]
    fn every_order_that_is_named_is_open() {
        let flow = Workload::W2.flow(20_000);
        let mut books = PlainBooks::new(1);
        let mut totals = Totals::default();
        for message in flow.prelude.iter().chain(&flow.measured) {
            let is_new = matches!(message.act, Act::Add | Act::Ioc);
            assert_eq!(books.open_lots(message.order) == 0, is_new, "{message:?}");
            books.apply(message, |fill| totals.add_fill(fill.maker, message.order, fill.ticks, fill.lots));
        }
        totals.resting = books.resting();
        assert_eq!(totals, flow.totals);
    }
}
