//! Market makers around a fair price that walks, in one book or in many.

use joulebook_types::Side;

use super::books::PlainBooks;
use super::dice::Dice;
use super::{Act, Flow, Message, Spread, Totals, Workload};

const LOTS_MAX: u32 = 100;
/// What somebody takes of the last level that he reaches.
const TAKEN_MAX: u32 = 400;

/// The open orders and the hidden fair price of one book.
struct Place {
    open: Vec<u32>,
    /// In thousandths of a tick.
    fair_milli: i64,
}

pub(super) struct Makers {
    books: PlainBooks,
    dice: Dice,
    messages: Vec<Message>,
    places: Vec<Place>,
    /// By order number: its index in its book's `open`.
    index: Vec<u32>,
    totals: Totals,
    resting: u32,
    spread: Spread,
    /// How much of the flow the books up to here have, in rank order, and which book has the rank.
    weights: Vec<u64>,
    ranked: Vec<u16>,
    last_order: u32,
}

impl Makers {
    pub(super) fn flow(workload: &Workload, spread: Spread, commands: usize) -> Flow {
        let mut makers = Self::new(workload, spread);
        makers.fill(workload);
        let prelude = std::mem::take(&mut makers.messages);
        while makers.messages.len() < commands {
            makers.next();
        }
        makers.totals.resting = makers.books.resting();
        Flow { books: workload.books, prelude, measured: makers.messages, totals: makers.totals }
    }

    fn new(workload: &Workload, spread: Spread) -> Self {
        let mut dice = Dice::new(workload.seed);
        let mut ranked: Vec<u16> = (0..workload.books).collect();
        shuffle(&mut ranked, &mut dice);
        // Zipf: the second book has half of the first one's flow, the third a third.
        let weights = (1..=u64::from(workload.books)).scan(0, |sum, rank| {
            *sum += (1 << 32) / rank;
            Some(*sum)
        });
        let fair_milli = i64::from(spread.fair) * 1_000;
        Self {
            books: PlainBooks::new(workload.books),
            messages: Vec::new(),
            places: ranked.iter().map(|_| Place { open: Vec::new(), fair_milli }).collect(),
            index: vec![0],
            totals: Totals::default(),
            resting: workload.resting,
            spread,
            weights: weights.collect(),
            ranked,
            last_order: 0,
            dice,
        }
    }

    /// Around the fair price, so that what follows begins at rest; side by side, so that neighbours in memory are of
    /// different books.
    fn fill(&mut self, workload: &Workload) {
        let mut turns: Vec<u16> =
            (0..workload.books).flat_map(|book| (0..workload.resting).map(move |_| book)).collect();
        shuffle(&mut turns, &mut self.dice);
        let around = (self.spread.fair - 1, self.spread.fair + 1);
        for book in turns {
            self.add(book, around);
        }
    }

    fn next(&mut self) {
        let book = self.pick_book();
        if self.spread.storm <= self.messages.len() {
            return self.cancel(book);
        }
        self.walk(book);
        let chance = self.dice.below(1_000);
        let count = self.places[usize::from(book)].open.len() as u32;
        match chance {
            0..50 if self.take(book) => {}
            50..75 if count > 0 => self.reduce(book),
            75..100 if count > 0 => self.replace(book),
            _ => {
                let grows = match count {
                    count if count < self.resting - self.resting / 100 => true,
                    count if count > self.resting + self.resting / 100 => false,
                    _ => chance.is_multiple_of(2),
                };
                if grows || count == 0 { self.add(book, self.touch(book)) } else { self.cancel(book) }
            }
        }
    }

    fn pick_book(&mut self) -> u16 {
        if self.ranked.len() == 1 {
            return 0;
        }
        let sum = *self.weights.last().expect("there is a book");
        let drawn = self.dice.below_u64(sum);
        self.ranked[self.weights.partition_point(|weight| *weight <= drawn)]
    }

    /// The fair price goes a tick up or down once in eight messages, and drifts.
    fn walk(&mut self, book: u16) {
        let place = &mut self.places[usize::from(book)];
        if self.dice.below(8) == 0 {
            place.fair_milli += if self.dice.percent(50) { 1_000 } else { -1_000 };
        }
        place.fair_milli += i64::from(self.spread.drift);
        let (low, high) = self.spread.range;
        place.fair_milli = place.fair_milli.clamp(i64::from(low) * 1_000, i64::from(high) * 1_000);
    }

    /// Somebody takes one to three levels, toward the fair price four times out of five; half of them leave the rest in the
    /// book. False when there is nothing to take.
    fn take(&mut self, book: u16) -> bool {
        let (bid, ask) = self.touch(book);
        let is_cheap = 2 * self.places[usize::from(book)].fair_milli > i64::from(bid + ask) * 1_000;
        let side = if is_cheap != (self.dice.below(5) == 0) { Side::Buy } else { Side::Sell };
        let depth = match self.dice.below(20) {
            0..15 => 1,
            15..19 => 2,
            _ => 3,
        };
        let levels: Vec<(u32, u32)> = self.books.levels(book, side.opposite()).take(depth).collect();
        let Some(((ticks, last), whole)) = levels.split_last() else { return false };
        let lots =
            whole.iter().map(|(_, lots)| lots).sum::<u32>() + 1 + self.dice.below(*last.min(&TAKEN_MAX));
        let act = if self.dice.percent(50) { Act::Ioc } else { Act::Add };
        let order = self.next_order();
        self.send(Message { act, side, book, order, ticks: *ticks, lots });
        true
    }

    fn reduce(&mut self, book: u16) {
        let (order, side, ticks, open) = self.pick(book);
        if open == 1 {
            return self.cancel(book);
        }
        let lots = 1 + self.dice.below(open - 1);
        self.send(Message { act: Act::Reduce, side, book, order, ticks, lots });
    }

    fn replace(&mut self, book: u16) {
        let (order, side, old, open) = self.pick(book);
        let (ticks, lots) = (self.passive(side, self.touch(book)), 1 + self.dice.below(LOTS_MAX));
        // Smaller at the same price would keep its place, which is a reduce.
        let ticks = match side {
            Side::Buy if ticks == old && lots <= open => ticks - 1,
            Side::Sell if ticks == old && lots <= open => ticks + 1,
            Side::Buy | Side::Sell => ticks,
        };
        self.send(Message { act: Act::Replace, side, book, order, ticks, lots });
    }

    fn add(&mut self, book: u16, touch: (u32, u32)) {
        let side = if self.dice.percent(50) { Side::Buy } else { Side::Sell };
        let (ticks, lots) = (self.passive(side, touch), 1 + self.dice.below(LOTS_MAX));
        let order = self.next_order();
        self.send(Message { act: Act::Add, side, book, order, ticks, lots });
    }

    fn cancel(&mut self, book: u16) {
        let (order, side, ticks, _) = self.in_the_way(book).unwrap_or_else(|| self.pick(book));
        self.send(Message { act: Act::Cancel, side, book, order, ticks, lots: 0 });
    }

    /// A price that does not trade now: some ticks behind the middle.
    fn passive(&mut self, side: Side, (bid, ask): (u32, u32)) -> u32 {
        let away = i64::from(self.dice.gamma(self.spread.theta));
        let (bid, ask) = (i64::from(bid), i64::from(ask));
        let ticks = match side {
            Side::Buy => ((bid + ask - 1) / 2 - away).min(ask - 1),
            Side::Sell => ((bid + ask + 2) / 2 + away).max(bid + 1),
        };
        let (low, high) = self.spread.range;
        ticks.clamp(low.into(), high.into()) as u32
    }

    /// Best bid and ask; around the fair price where a side is empty.
    fn touch(&self, book: u16) -> (u32, u32) {
        let fair = (self.places[usize::from(book)].fair_milli / 1_000) as u32;
        match (self.books.best(book, Side::Buy), self.books.best(book, Side::Sell)) {
            (Some(bid), Some(ask)) => (bid, ask),
            (Some(bid), None) => (bid, bid + 2),
            (None, Some(ask)) => (ask - 2, ask),
            (None, None) => (fair - 1, fair + 1),
        }
    }

    fn pick(&mut self, book: u16) -> (u32, Side, u32, u32) {
        let open = &self.places[usize::from(book)].open;
        let order = open[self.dice.below(open.len() as u32) as usize];
        let open = self.books.order(order);
        (order, if open.is_ask { Side::Sell } else { Side::Buy }, open.ticks, open.lots)
    }

    /// While the fair price runs, makers take back what it has passed, so that the market follows.
    fn in_the_way(&self, book: u16) -> Option<(u32, Side, u32, u32)> {
        let fair = self.places[usize::from(book)].fair_milli / 1_000;
        let side = match self.spread.drift.signum() {
            1 => Side::Sell,
            -1 => Side::Buy,
            _ => return None,
        };
        let ticks = self.books.best(book, side)?;
        let is_passed = if side == Side::Buy { fair < i64::from(ticks) } else { i64::from(ticks) < fair };
        is_passed.then(|| (self.books.front(book, side), side, ticks, 0))
    }

    fn send(&mut self, message: Message) {
        let Self { books, totals, places, index, .. } = self;
        let open = &mut places[usize::from(message.book)].open;
        let mut leave = |order: u32, open: &mut Vec<u32>| {
            let hole = index[order as usize];
            open.swap_remove(hole as usize);
            if let Some(moved) = open.get(hole as usize) {
                index[*moved as usize] = hole;
            }
        };
        books.apply(&message, |fill| {
            totals.add_fill(fill.maker, message.order, fill.ticks, fill.lots);
            if fill.was_last {
                leave(fill.maker, open);
            }
        });
        let is_new = matches!(message.act, Act::Add | Act::Ioc);
        match (is_new, books.open_lots(message.order) > 0) {
            (true, true) => {
                index[message.order as usize] = open.len() as u32;
                open.push(message.order);
            }
            (false, false) => leave(message.order, open),
            (true, false) | (false, true) => {}
        }
        self.messages.push(message);
    }

    fn next_order(&mut self) -> u32 {
        self.last_order += 1;
        self.index.push(0);
        self.last_order
    }
}

fn shuffle(items: &mut [u16], dice: &mut Dice) {
    for last in (1..items.len()).rev() {
        items.swap(last, dice.below(last as u32 + 1) as usize);
    }
}
