//! A price war: sellers of eight chips undercut each other in tokens, buyers take the cheapest tokens wherever they are.

use joulebook_protocol::Event;
use joulebook_protocol::messages::{CancelOrder, NewOrder, ReplaceOrder, TokenOrder};
use joulebook_testkit::Xoshiro256pp;
use joulebook_types::{InstrumentId, KiloTokens, OrderId, Side, SlotHint, TimeInForce, TokenPrice};

use crate::recording::Recording;
use crate::tape::{Tape, is_maker};
use crate::venue::{ACCELERATORS_PER_LOT, MODEL, VenuePlan, YIELD_KTOK, owner, price};

const BOOKS: u32 = 8;
/// Asks in each book, about.
const ASKS: usize = 200;
/// Ticks per kilo-token of yield at which tokens of all chips cost the same, 3 EC per million.
const TICKS_PER_KTOK: u32 = 3;
/// Asks lie so many thousandths of the fair price above it at most.
const ABOVE_MILLI: u64 = 40;
const ASK_LOTS_MAX: u64 = 10;
const TOKEN_LOTS_MAX: u64 = 12;

/// Records the war: of a hundred commands 60 move an ask, about 20 enter one, about 5 cancel one, and 15 are token orders
/// over all eight books, which fill one to a few levels. `plan` has eight books of one window.
pub fn record_war(plan: &VenuePlan, commands: usize) -> Recording {
    let mut war = War {
        tape: Tape::new(plan),
        accelerator_hours: u64::from(plan.window.minutes()) * ACCELERATORS_PER_LOT / 60,
        random: Xoshiro256pp::from_seed(505),
        open: Vec::new(),
        index: Vec::new(),
        last_order: 0,
    };
    while war.open.len() < BOOKS as usize * ASKS {
        war.enter();
    }
    let (prelude, _) = war.tape.cut();
    for _ in 0..commands {
        war.next();
    }
    let (measured, outcome) = war.tape.cut();
    assert_eq!(outcome.open_orders, war.open.len() as u64, "asks that nobody knows of");
    Recording { prelude, measured, outcome }
}

#[derive(Clone, Copy)]
struct Ask {
    /// As the flow numbers them, which says whose it is.
    order: u32,
    book: u32,
    ticks: u32,
    order_id: OrderId,
    slot: SlotHint,
    filled: u32,
    open: u32,
}

struct War {
    tape: Tape,
    /// What a lot is.
    accelerator_hours: u64,
    random: Xoshiro256pp,
    open: Vec<Ask>,
    /// By engine id: where it stands in `open`.
    index: Vec<usize>,
    last_order: u32,
}

impl War {
    fn next(&mut self) {
        let target = BOOKS as usize * ASKS;
        match self.random.below(100) {
            0..15 => self.take_tokens(),
            15..75 => self.reprice(),
            // Trades take asks away: the fewer there are, the more come.
            _ if self.open.len() < target => self.enter(),
            _ => self.cancel(),
        }
    }

    fn enter(&mut self) {
        self.last_order += 1;
        let (order, book) = (self.last_order, self.random.below(BOOKS.into()) as u32);
        let (ticks, qty) = (self.ask(book), 1 + self.random.below(ASK_LOTS_MAX) as u32);
        let account = owner(Side::Sell, order);
        let enter = NewOrder {
            client_order_id: self.tape.id(account),
            price: price(ticks),
            instrument: InstrumentId::new(book + 1),
            qty,
            side: Side::Sell.raw(),
            time_in_force: TimeInForce::Gtc.raw(),
            ..NewOrder::default()
        };
        let Self { tape, open, index, .. } = self;
        tape.send(account, enter.into(), |event| {
            if let Event::OrderAccepted(event) = event {
                index.resize(event.order_id.raw() as usize + 1, usize::MAX);
                index[event.order_id.raw() as usize] = open.len();
                open.push(Ask {
                    order,
                    book,
                    ticks,
                    order_id: event.order_id,
                    slot: event.slot,
                    filled: 0,
                    open: qty,
                });
            }
        });
    }

    fn reprice(&mut self) {
        let place = self.random.below(self.open.len() as u64) as usize;
        let ask = self.open[place];
        let account = owner(Side::Sell, ask.order);
        // A move to where it stands is no move.
        let ticks = match self.ask(ask.book) {
            ticks if ticks == ask.ticks => ticks + 1,
            ticks => ticks,
        };
        let replace = ReplaceOrder {
            client_order_id: self.tape.id(account),
            order_id: ask.order_id,
            slot: ask.slot,
            price: price(ticks),
            qty: ask.filled + ask.open,
            ..ReplaceOrder::default()
        };
        self.tape.send(account, replace.into(), |_| {});
        self.open[place].ticks = ticks;
    }

    fn cancel(&mut self) {
        let ask = *self.random.pick(&self.open);
        let account = owner(Side::Sell, ask.order);
        let client_order_id = self.tape.id(account);
        let Ask { order_id, slot, .. } = ask;
        let cancel = CancelOrder { client_order_id, order_id, slot, ..CancelOrder::default() };
        self.tape.send(account, cancel.into(), |_| {});
        self.forget(order_id);
    }

    fn take_tokens(&mut self) {
        self.last_order += 1;
        let account = owner(Side::Buy, self.last_order);
        let mut instruments = [InstrumentId::NONE; TokenOrder::INSTRUMENTS_MAX];
        for (instrument, id) in instruments.iter_mut().zip(1..=BOOKS) {
            *instrument = InstrumentId::new(id);
        }
        let lots = 1 + self.random.below(TOKEN_LOTS_MAX);
        let order = TokenOrder {
            client_order_id: self.tape.id(account),
            // So many lots of a middling chip.
            quantity: KiloTokens::new(self.accelerator_hours * lots * u64::from(yield_ktok(BOOKS / 2))),
            // Whatever there is: the war keeps asks within a few percent.
            limit: "4".parse::<TokenPrice>().expect("a price"),
            model: MODEL,
            time_in_force: TimeInForce::Ioc.raw(),
            flags: TokenOrder::OVERSHOOT,
            count: BOOKS as u8,
            instruments,
            ..TokenOrder::default()
        };
        let mut fills = Vec::new();
        self.tape.send(account, order.into(), |event| {
            if let Event::OrderFilled(event) = event
                && is_maker(event)
            {
                fills.push((event.order_id, event.qty, event.leaves_qty));
            }
        });
        assert!(!fills.is_empty(), "a token order that takes nothing");
        for (order_id, lots, leaves) in fills {
            let ask = &mut self.open[self.index[order_id.raw() as usize]];
            (ask.filled, ask.open) = (ask.filled + lots, leaves);
            if leaves == 0 {
                self.forget(order_id);
            }
        }
    }

    fn forget(&mut self, order_id: OrderId) {
        let hole = self.index[order_id.raw() as usize];
        self.open.swap_remove(hole);
        if let Some(moved) = self.open.get(hole) {
            self.index[moved.order_id.raw() as usize] = hole;
        }
    }

    /// A price in ticks at which the tokens of a book cost a little more than the fair price.
    fn ask(&mut self, book: u32) -> u32 {
        let fair = yield_ktok(book) * TICKS_PER_KTOK;
        let above = self.random.below(ABOVE_MILLI).min(self.random.below(ABOVE_MILLI)) as u32;
        fair + fair * above / 1_000 + 1
    }
}

fn yield_ktok(book: u32) -> u32 {
    YIELD_KTOK.0 + YIELD_KTOK.1 * book
}
