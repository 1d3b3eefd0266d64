//! One hot book in which orders follow the price.

use joulebook_types::Side;

use super::books::PlainBooks;
use super::dice::Dice;
use super::{Act, Flow, Message, Totals, Workload};

const START_TICKS: i64 = 30_000;
/// New orders lie so many ticks from the last trade at most.
const AWAY_MAX: i64 = 1_500;
const RANGE: (i64, i64) = (START_TICKS - 5 * AWAY_MAX, START_TICKS + 5 * AWAY_MAX);
/// How often the sides are counted, in messages.
const RECOUNT_EVERY: usize = 256;

pub(super) struct Moves {
    books: PlainBooks,
    dice: Dice,
    messages: Vec<Message>,
    open: Vec<u32>,
    /// By order number: where it stands in `open`.
    place: Vec<usize>,
    totals: Totals,
    last_trade: i64,
    last_order: u32,
}

impl Moves {
    pub(super) fn flow(workload: &Workload, commands: usize) -> Flow {
        let mut moves = Self {
            books: PlainBooks::new(workload.books),
            dice: Dice::new(workload.seed),
            messages: Vec::new(),
            open: Vec::new(),
            place: vec![0],
            totals: Totals::default(),
            last_trade: START_TICKS,
            last_order: 0,
        };
        for _ in 0..workload.resting {
            moves.add();
        }
        let prelude = std::mem::take(&mut moves.messages);
        let side_target = workload.resting as usize / 2;
        let mut bids = 0;
        while moves.messages.len() < commands {
            if moves.messages.len().is_multiple_of(RECOUNT_EVERY) {
                bids = moves.open.iter().filter(|order| !moves.books.order(**order).is_ask).count();
            }
            moves.next(bids, side_target);
        }
        moves.totals.resting = moves.books.resting();
        Flow { books: workload.books, prelude, measured: moves.messages, totals: moves.totals }
    }

    fn next(&mut self, bids: usize, side_target: usize) {
        match self.dice.below(100) {
            0..12 => self.grow_or_take(bids, side_target),
            12..18 => self.cancel(),
            _ => self.follow(),
        }
    }

    /// A side that has lost orders to trades gets one; else somebody takes at any price.
    fn grow_or_take(&mut self, bids: usize, side_target: usize) {
        let asks = self.open.len().saturating_sub(bids);
        let count = if self.side() == Side::Buy { bids } else { asks };
        if count < side_target {
            return self.add();
        }
        let side = self.side();
        let ticks = if side == Side::Buy { RANGE.1 } else { RANGE.0 };
        let (order, lots) = (self.next_order(), self.lots());
        self.send(Message { act: Act::Ioc, side, book: 0, order, ticks: ticks as u32, lots });
    }

    /// On its side of the last trade, nearer more often than further away.
    fn add(&mut self) {
        let side = self.side();
        let reach = self.dice.below(AWAY_MAX as u32).min(self.dice.below(AWAY_MAX as u32)) + 1;
        let away = i64::from((0..4).map(|_| self.dice.below(reach)).sum::<u32>() / 4 + 1);
        let ticks = match side {
            Side::Buy => self.last_trade - away,
            Side::Sell => self.last_trade + away,
        };
        let (order, lots) = (self.next_order(), self.lots());
        let ticks = ticks.clamp(RANGE.0, RANGE.1) as u32;
        self.send(Message { act: Act::Add, side, book: 0, order, ticks, lots });
    }

    fn cancel(&mut self) {
        let Some((order, side, _, _)) = self.pick() else { return self.add() };
        self.send(Message { act: Act::Cancel, side, book: 0, order, ticks: 0, lots: 0 });
    }

    /// A hundredth of the way to the last trade, one tick at least.
    fn follow(&mut self) {
        let Some((order, side, ticks, lots)) = self.pick() else { return self.add() };
        let gap = self.last_trade - ticks;
        let step = match gap {
            0 if self.dice.percent(50) => 1,
            0 => -1,
            _ => gap.signum() * ((gap.abs() + 99) / 100),
        };
        let moved = (ticks + step).clamp(RANGE.0, RANGE.1);
        let moved = if moved == ticks { ticks - 1 } else { moved };
        self.send(Message { act: Act::Replace, side, book: 0, order, ticks: moved as u32, lots });
    }

    fn pick(&mut self) -> Option<(u32, Side, i64, u32)> {
        let count = u32::try_from(self.open.len()).ok().filter(|count| *count > 0)?;
        let order = self.open[self.dice.below(count) as usize];
        let open = self.books.order(order);
        let side = if open.is_ask { Side::Sell } else { Side::Buy };
        Some((order, side, open.ticks.into(), open.lots))
    }

    fn send(&mut self, message: Message) {
        let Self { books, totals, last_trade, open, place, .. } = self;
        let mut gone = Vec::new();
        books.apply(&message, |fill| {
            totals.add_fill(fill.maker, message.order, fill.ticks, fill.lots);
            *last_trade = fill.ticks.into();
            gone.extend(fill.was_last.then_some(fill.maker));
        });
        let is_new = matches!(message.act, Act::Add | Act::Ioc);
        match (is_new, books.open_lots(message.order) > 0) {
            (true, true) => {
                place[message.order as usize] = open.len();
                open.push(message.order);
            }
            (false, false) => gone.push(message.order),
            (true, false) | (false, true) => {}
        }
        for order in gone {
            let hole = place[order as usize];
            open.swap_remove(hole);
            if let Some(moved) = open.get(hole) {
                place[*moved as usize] = hole;
            }
        }
        self.messages.push(message);
    }

    fn side(&mut self) -> Side {
        if self.dice.percent(50) { Side::Buy } else { Side::Sell }
    }

    fn lots(&mut self) -> u32 {
        1 + self.dice.below(6) * self.dice.below(6) * self.dice.below(6)
    }

    fn next_order(&mut self) -> u32 {
        self.last_order += 1;
        self.place.push(0);
        self.last_order
    }
}
