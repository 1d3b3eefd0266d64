//! The four streams. What they consist of is in the README.

use joulebook_types::Side;

use crate::plain::{Fill, Open, Plain};
use crate::stream::{Fills, Kind, Message, Stream};

/// Prices stay where engines with small price types can follow.
const PRICES: core::ops::RangeInclusive<i64> = 8..=65_000;
const MIDDLE: u32 = 30_000;

/// A maker market: how many books, orders in each, and how far from the best price they stand.
struct Market {
    books: usize,
    orders: usize,
    /// Scale of the Gamma(2) distance in ticks.
    spread: f64,
}

pub fn stream(name: &str) -> Stream {
    match name {
        "w1" => moves(3_000_000),
        "w2" => makers(&Market { books: 1, orders: 10_000, spread: 60.0 }, 202),
        "w3" => makers(&Market { books: 1, orders: 1_000_000, spread: 3_000.0 }, 303),
        "w4" => makers(&Market { books: 1_000, orders: 100, spread: 20.0 }, 404),
        other => panic!("no stream {other}: w1, w2, w3, w4"),
    }
}

/// A thousand orders that follow the last trade, four fifths of the messages moving one of them by a hundredth of the way.
fn moves(messages: usize) -> Stream {
    const SIDE: usize = 500;
    const REACH: i64 = 7_500;
    let (low, high) = (i64::from(MIDDLE) - REACH, i64::from(MIDDLE) + REACH);
    let mut tape = Tape::new(1, 101);
    let add = |tape: &mut Tape| {
        let side = tape.dice.side();
        let reach = 1 + (tape.dice.part().powi(2) * 1_500.0) as u64;
        // The mean of four throws, doubled and centered: most orders stand near the last trade.
        let throws = (0..4).map(|_| tape.dice.below(reach) as i64).sum::<i64>();
        let away = (throws / 2 - reach as i64).abs();
        let away = if side == Side::Buy { -away } else { away };
        let price = (i64::from(tape.last_trade[0]) + away).clamp(low, high) as u32;
        let lots = tape.dice.small_lots();
        tape.enter(Kind::Add, 0, side, price, lots);
    };
    for _ in 0..2 * SIDE {
        add(&mut tape);
    }
    tape.begin();
    let mut lacking = Side::Buy;
    for at in 0..messages {
        if at % 256 == 0 {
            let bids = tape.open[0].iter().filter(|id| tape.plain.order(**id).side == Side::Buy).count();
            lacking = if bids < SIDE { Side::Buy } else { Side::Sell };
        }
        match tape.dice.below(100) {
            0..12 if tape.dice.side() == lacking || tape.open[0].len() < 2 * SIDE => add(&mut tape),
            0..12 => {
                let side = tape.dice.side();
                let limit = if side == Side::Buy { high } else { low } as u32;
                let lots = tape.dice.small_lots();
                tape.enter(Kind::Ioc, 0, side, limit, lots);
            }
            12..18 => tape.cancel(0),
            _ => {
                let id = tape.pick(0);
                let Open { price, lots, .. } = *tape.plain.order(id);
                let hundredth = (f64::from(tape.last_trade[0]) - f64::from(price)) / 100.0;
                let step =
                    if hundredth == 0.0 { 1 } else { (hundredth.abs().ceil() * hundredth.signum()) as i64 };
                tape.replace(id, (i64::from(price) + step).clamp(low, high) as u32, lots);
            }
        }
    }
    tape.end()
}

/// Orders come and go around a fair price that wanders; one message in twenty takes up to three prices.
fn makers(market: &Market, seed: u64) -> Stream {
    let mut tape = Tape::new(market.books, seed);
    let mut fair = vec![f64::from(MIDDLE); market.books];
    for at in 0..market.books * market.orders {
        tape.add_passive((at % market.books) as u16, market.spread);
    }
    tape.begin();
    let shares: Vec<f64> = (1..=market.books).map(|rank| 1.0 / rank as f64).collect();
    let total: f64 = shares.iter().sum();
    for _ in 0..4_000_000 {
        let mut left = tape.dice.part() * total;
        // Busy books have low numbers: Zipf's law with exponent one.
        let book = shares.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        let book = book.unwrap_or(0);
        let fair = &mut fair[book];
        if tape.dice.below(8) == 0 {
            *fair =
                (*fair + if tape.dice.side() == Side::Buy { 1.0 } else { -1.0 }).clamp(25_000.0, 35_000.0);
        }
        let (fair, book) = (*fair, book as u16);
        let open = tape.open[usize::from(book)].len();
        match tape.dice.below(1_000) {
            0..50 => tape.take_prices(book, fair),
            50..75 if open > 0 => {
                let id = tape.pick(book);
                let lots = tape.plain.order(id).lots;
                if lots > 1 {
                    let lots = 1 + tape.dice.below(u64::from(lots) - 1) as u32;
                    tape.reduce(id, lots);
                }
            }
            75..100 if open > 0 => {
                let id = tape.pick(book);
                let Open { side, price: old, .. } = *tape.plain.order(id);
                let (price, lots) = (tape.passive_price(book, side, market.spread), tape.dice.lots());
                // Engines differ in what keeps its place at the same price; a replace here always loses it.
                tape.replace(id, if price == old { price - 1 } else { price }, lots);
            }
            u if open < market.orders * 99 / 100 || open <= market.orders * 101 / 100 && u % 2 == 0 => {
                tape.add_passive(book, market.spread);
            }
            _ => tape.cancel(book),
        }
    }
    tape.end()
}

/// The stream so far, and the books after it.
struct Tape {
    dice: Dice,
    plain: Plain,
    messages: Vec<Message>,
    prefill: usize,
    fills: Fills,
    scratch: Vec<Fill>,
    last_id: u32,
    /// By book: the ids of open orders, in no order.
    open: Vec<Vec<u32>>,
    /// By id: its place in `open`.
    place: Vec<u32>,
    /// By book.
    last_trade: Vec<u32>,
}

impl Tape {
    fn new(books: usize, seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            plain: Plain::new(books),
            messages: Vec::new(),
            prefill: 0,
            fills: Fills::default(),
            scratch: Vec::new(),
            last_id: 0,
            open: vec![Vec::new(); books],
            place: vec![0],
            last_trade: vec![MIDDLE; books],
        }
    }

    fn begin(&mut self) {
        self.prefill = self.messages.len();
    }

    fn end(self) -> Stream {
        Stream {
            books: self.open.len(),
            last_id: self.last_id,
            messages: self.messages,
            prefill: self.prefill,
            fills: self.fills,
            resting: self.plain.open,
        }
    }

    fn enter(&mut self, kind: Kind, book: u16, side: Side, price: u32, lots: u32) {
        self.last_id += 1;
        self.place.push(0);
        let message = Message { kind, side, book, id: self.last_id, price, lots };
        self.messages.push(message);
        self.trade(message);
    }

    fn replace(&mut self, id: u32, price: u32, lots: u32) {
        let Open { book, side, .. } = self.plain.remove(id);
        self.forget(book, id);
        let message = Message { kind: Kind::Replace, side, book, id, price, lots };
        self.messages.push(message);
        self.trade(message);
    }

    fn trade(&mut self, Message { kind, side, book, id, price, lots }: Message) {
        let mut fills = core::mem::take(&mut self.scratch);
        let left = self.plain.take(book, side, price, lots, &mut fills);
        for Fill { maker, price, lots } in fills.drain(..) {
            self.fills.add(maker, id, price, lots);
            self.last_trade[usize::from(book)] = price;
            if self.plain.order(maker).lots == 0 {
                self.forget(book, maker);
            }
        }
        self.scratch = fills;
        if left > 0 && kind != Kind::Ioc {
            self.plain.rest(id, Open { book, side, price, lots: left });
            let open = &mut self.open[usize::from(book)];
            self.place[id as usize] = open.len() as u32;
            open.push(id);
        }
    }

    fn forget(&mut self, book: u16, id: u32) {
        let open = &mut self.open[usize::from(book)];
        let place = self.place[id as usize];
        open.swap_remove(place as usize);
        if let Some(moved) = open.get(place as usize) {
            self.place[*moved as usize] = place;
        }
    }

    fn pick(&mut self, book: u16) -> u32 {
        let open = &self.open[usize::from(book)];
        open[self.dice.below(open.len() as u64) as usize]
    }

    fn cancel(&mut self, book: u16) {
        if self.open[usize::from(book)].is_empty() {
            return;
        }
        let id = self.pick(book);
        let Open { side, price, lots, .. } = self.plain.remove(id);
        self.forget(book, id);
        self.messages.push(Message { kind: Kind::Cancel, side, book, id, price, lots });
    }

    fn reduce(&mut self, id: u32, lots: u32) {
        self.plain.reduce(id, lots);
        let Open { book, side, price, .. } = *self.plain.order(id);
        self.messages.push(Message { kind: Kind::Reduce, side, book, id, price, lots });
    }

    fn add_passive(&mut self, book: u16, spread: f64) {
        let side = self.dice.side();
        let (price, lots) = (self.passive_price(book, side, spread), self.dice.lots());
        self.enter(Kind::Add, book, side, price, lots);
    }

    /// A price that does not trade: few stand at the best price, most a little behind, some far away.
    fn passive_price(&mut self, book: u16, side: Side, spread: f64) -> u32 {
        let best = |side| self.plain.best(book, side).map(i64::from);
        let bid = best(Side::Buy).unwrap_or(i64::from(self.last_trade[usize::from(book)]) - 1);
        let ask = best(Side::Sell).unwrap_or(bid + 2);
        let away = -spread * ((1.0 - self.dice.part()).ln() + (1.0 - self.dice.part()).ln());
        let price = match side {
            Side::Buy => ((bid + ask - 1) / 2 - away as i64).min(ask - 1),
            Side::Sell => ((bid + ask + 2) / 2 + away as i64).max(bid + 1),
        };
        price.clamp(*PRICES.start(), *PRICES.end()) as u32
    }

    /// Takes one, two or three prices, mostly toward the fair one; half of the orders rest what they do not get.
    fn take_prices(&mut self, book: u16, fair: f64) {
        let best = |side| self.plain.best(book, side).map_or(f64::from(MIDDLE), f64::from);
        let rises = fair > (best(Side::Buy) + best(Side::Sell)) / 2.0;
        let side = if rises == (self.dice.below(5) > 0) { Side::Buy } else { Side::Sell };
        let depth =
            [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3][self.dice.below(20) as usize];
        let prices: Vec<u32> = self.plain.prices(book, side.opposite()).take(depth).collect();
        let Some((limit, before)) = prices.split_last() else { return };
        let at = |price| self.plain.lots_at(book, side.opposite(), price);
        let (before, last) = (before.iter().map(|price| at(*price)).sum::<u32>(), at(*limit).min(400));
        let lots = before + 1 + self.dice.below(last.into()) as u32;
        let kind = if self.dice.below(2) == 0 { Kind::Ioc } else { Kind::Add };
        self.enter(kind, book, side, *limit, lots);
    }
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.throw()) * u128::from(end)) >> 64) as u64
    }

    /// From zero up to, but not, one.
    fn part(&mut self) -> f64 {
        (self.throw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn side(&mut self) -> Side {
        if self.below(2) == 0 { Side::Buy } else { Side::Sell }
    }

    fn lots(&mut self) -> u32 {
        1 + self.below(100) as u32
    }

    fn small_lots(&mut self) -> u32 {
        1 + (self.below(6) * self.below(6) * self.below(6)) as u32
    }
}
