//! Recordings of one kind of command each, for figures per operation.

use joulebook_protocol::Event;
use joulebook_protocol::messages::{
    Basket, BasketLeg, CancelOrder, MassQuote, NewOrder, QuotePair, ReduceOrder, ReplaceOrder, SetPhase,
    TokenOrder,
};
use joulebook_types::{
    ClientOrderId, InstrumentId, KiloTokens, OrderId, Phase, Side, SlotHint, TimeInForce, Trigger,
};

use crate::recording::Recording;
use crate::tape::Tape;
use crate::venue::{MODEL, OPERATOR, Tables, VenuePlan, Window, YIELD_KTOK, owner, price};

const MIDDLE: u32 = 30_000;
/// Commands of a recording.
const COMMANDS: u32 = 2_000;

/// An engine's market in the making.
struct Market {
    tape: Tape,
    last_order: u32,
}

/// An order as its owner knows it.
#[derive(Clone, Copy)]
struct Entered {
    order: u32,
    side: Side,
    order_id: OrderId,
    slot: SlotHint,
}

impl Market {
    fn new(plan: &VenuePlan) -> Self {
        Self { tape: Tape::new(plan), last_order: 0 }
    }

    fn windows(books: u16) -> Self {
        Self::new(&VenuePlan::windows(books, Window::Quarter, Tables::Short))
    }

    fn enter(&mut self, book: u32, side: Side, ticks: u32, qty: u32, time_in_force: TimeInForce) -> Entered {
        self.last_order += 1;
        let account = owner(side, self.last_order);
        let order = NewOrder {
            client_order_id: self.tape.id(account),
            price: price(ticks),
            instrument: InstrumentId::new(book + 1),
            qty,
            side: side.raw(),
            time_in_force: time_in_force.raw(),
            ..NewOrder::default()
        };
        let (order_id, slot) = (OrderId::NONE, SlotHint::UNKNOWN);
        let mut entered = Entered { order: self.last_order, side, order_id, slot };
        self.tape.send(account, order.into(), |event| {
            if let Event::OrderAccepted(event) = event {
                (entered.order_id, entered.slot) = (event.order_id, event.slot);
            }
        });
        entered
    }

    /// Both sides of a book, an order at each of a few hundred prices.
    fn fill(&mut self, orders: u32, lots: u32) -> Vec<Entered> {
        let enter = |index: u32| {
            let away = 1 + index * 7 % 300;
            let (side, ticks) = if index.is_multiple_of(2) {
                (Side::Buy, MIDDLE - away)
            } else {
                (Side::Sell, MIDDLE + away)
            };
            self.enter(0, side, ticks, lots, TimeInForce::Gtc)
        };
        (0..orders).map(enter).collect()
    }

    /// What was sent so far is not measured, what `measured` sends is.
    fn record(mut self, measured: impl FnOnce(&mut Self)) -> Recording {
        let (prelude, _) = self.tape.cut();
        measured(&mut self);
        let (measured, outcome) = self.tape.cut();
        Recording { prelude, measured, outcome }
    }
}

pub fn adds() -> Recording {
    let mut market = Market::windows(1);
    market.fill(1_000, 10);
    market.record(|market| {
        market.fill(COMMANDS, 10);
    })
}

pub fn cancels() -> Recording {
    let mut market = Market::windows(1);
    let orders = market.fill(COMMANDS, 10);
    market.record(|market| {
        // In another order than they came.
        for index in 0..COMMANDS {
            let Entered { order, side, order_id, slot } = orders[(index * 977 % COMMANDS) as usize];
            let account = owner(side, order);
            let client_order_id = market.tape.id(account);
            let cancel = CancelOrder { client_order_id, order_id, slot, ..CancelOrder::default() };
            market.tape.send(account, cancel.into(), |_| {});
        }
    })
}

pub fn replaces() -> Recording {
    let mut market = Market::windows(1);
    let orders = market.fill(COMMANDS, 10);
    market.record(|market| {
        for (index, Entered { order, side, order_id, slot }) in (0..).zip(orders) {
            let account = owner(side, order);
            let away = 301 + index * 11 % 300;
            let ticks = if side == Side::Buy { MIDDLE - away } else { MIDDLE + away };
            let (client_order_id, price) = (market.tape.id(account), price(ticks));
            let replace =
                ReplaceOrder { client_order_id, order_id, slot, price, qty: 10, ..ReplaceOrder::default() };
            market.tape.send(account, replace.into(), |_| {});
        }
    })
}

pub fn reduces() -> Recording {
    let mut market = Market::windows(1);
    let orders = market.fill(COMMANDS, 10);
    market.record(|market| {
        for Entered { order, side, order_id, slot } in orders {
            let account = owner(side, order);
            let client_order_id = market.tape.id(account);
            let reduce = ReduceOrder { client_order_id, order_id, slot, lots: 1, ..ReduceOrder::default() };
            market.tape.send(account, reduce.into(), |_| {});
        }
    })
}

/// Each takes as many levels of one order.
pub fn takes(levels: u32, time_in_force: TimeInForce) -> Recording {
    let mut market = Market::windows(1);
    for level in 0..COMMANDS * levels {
        market.enter(0, Side::Sell, MIDDLE + level, 1, TimeInForce::Gtc);
    }
    market.record(|market| {
        for _ in 0..COMMANDS {
            market.enter(0, Side::Buy, MIDDLE + COMMANDS * levels, levels, time_in_force);
        }
    })
}

/// Both sides of 64 instruments in each, moved by a tick.
pub fn mass_quotes() -> Recording {
    let market = Market::windows(MassQuote::PAIRS_MAX as u16);
    // Sells as well as buys, so it is one who has capacity.
    let maker = owner(Side::Sell, 0);
    market.record(|market| {
        for round in 0..COMMANDS / 20 {
            let mut pairs = [QuotePair::default(); MassQuote::PAIRS_MAX];
            for (pair, book) in pairs.iter_mut().zip(1..) {
                let ticks = MIDDLE + round % 2;
                let (bid, ask) = (price(ticks - 5), price(ticks + 5));
                *pair = QuotePair {
                    bid,
                    ask,
                    instrument: InstrumentId::new(book),
                    bid_qty: 5,
                    ask_qty: 5,
                    reserved: 0,
                };
            }
            let (client_order_id, count) = (market.tape.id(maker), MassQuote::PAIRS_MAX as u8);
            let quote = MassQuote { client_order_id, count, pairs, ..MassQuote::default() };
            market.tape.send(maker, quote.into(), |_| {});
        }
    })
}

/// Each takes a lot of each of so many books.
pub fn token_orders(books: u16) -> Recording {
    let mut market = Market::new(&VenuePlan::classes(books, Window::Quarter, Tables::Short));
    let yield_ktok = |book: u32| YIELD_KTOK.0 + YIELD_KTOK.1 * book;
    for step in 0..COMMANDS {
        for book in 0..books.into() {
            // Level by level the tokens of all books cost about the same.
            market.enter(book, Side::Sell, yield_ktok(book) * 3 + step, 1, TimeInForce::Gtc);
        }
    }
    market.record(|market| {
        for _ in 0..COMMANDS {
            market.last_order += 1;
            let account = owner(Side::Buy, market.last_order);
            let mut instruments = [InstrumentId::NONE; TokenOrder::INSTRUMENTS_MAX];
            instruments
                .iter_mut()
                .zip(1..=books.into())
                .for_each(|(place, id)| *place = InstrumentId::new(id));
            // Two accelerator-hours of each.
            let quantity = (0..books.into()).map(|book| 2 * u64::from(yield_ktok(book))).sum();
            let order = TokenOrder {
                client_order_id: market.tape.id(account),
                quantity: KiloTokens::new(quantity),
                limit: "9".parse().expect("a price"),
                model: MODEL,
                time_in_force: TimeInForce::Ioc.raw(),
                count: books as u8,
                instruments,
                ..TokenOrder::default()
            };
            let mut fills = 0;
            market.tape.send(account, order.into(), |event| {
                fills += u32::from(matches!(event, Event::OrderFilled(_)))
            });
            assert!(fills > 0, "a token order that takes nothing");
        }
    })
}

pub fn baskets() -> Recording {
    let mut market = Market::windows(Basket::LEGS_MAX as u16);
    for book in 0..Basket::LEGS_MAX as u32 {
        market.enter(book, Side::Sell, MIDDLE, COMMANDS, TimeInForce::Gtc);
    }
    market.record(|market| {
        for _ in 0..COMMANDS / 2 {
            market.last_order += 1;
            let account = owner(Side::Buy, market.last_order);
            let mut legs = [BasketLeg::default(); Basket::LEGS_MAX];
            for (leg, book) in legs.iter_mut().zip(1..) {
                let (price, instrument, side) = (price(MIDDLE), InstrumentId::new(book), Side::Buy.raw());
                *leg = BasketLeg { price, instrument, qty: 1, side, ..BasketLeg::default() };
            }
            let (client_order_id, count) = (market.tape.id(account), Basket::LEGS_MAX as u8);
            let basket = Basket { client_order_id, count, legs, ..Basket::default() };
            let mut fills = 0;
            market.tape.send(account, basket.into(), |event| {
                fills += usize::from(matches!(event, Event::OrderFilled(_)))
            });
            assert_eq!(fills, 2 * Basket::LEGS_MAX, "a basket is filled whole");
        }
    })
}

/// Trades at prices that go up and down by a few ticks, each of which so many trailing stops see and none waits for.
pub fn prints_past_trailing_stops(stops: u32) -> Recording {
    let mut market = Market::windows(1);
    for index in 0..stops {
        let side = if index.is_multiple_of(2) { Side::Buy } else { Side::Sell };
        let account = owner(side, index);
        let away = if side == Side::Buy { 20_000 } else { 5_000 };
        let order = NewOrder {
            client_order_id: market.tape.id(account),
            price: price(MIDDLE - 10_000 + away),
            trail_distance: price(1_000 + index % 500),
            instrument: InstrumentId::new(1),
            qty: 1,
            side: side.raw(),
            trigger: Trigger::Trailing.raw(),
            time_in_force: TimeInForce::Gtc.raw(),
            ..NewOrder::default()
        };
        market.tape.send(account, order.into(), |_| {});
    }
    let trade = |market: &mut Market, round: u32| {
        let ticks = MIDDLE + round * 7 % 20;
        market.enter(0, Side::Sell, ticks, 1, TimeInForce::Gtc);
        market.enter(0, Side::Buy, ticks, 1, TimeInForce::Ioc);
    };
    // All prices were seen once: the first print takes each of the stops into a group.
    (0..20).for_each(|round| trade(&mut market, round));
    market.record(|market| (0..COMMANDS / 2).for_each(|round| trade(market, round)))
}

/// One command that ends a call auction in which half of 10,000 orders can trade.
pub fn uncross() -> Recording {
    const ORDERS: u32 = 10_000;
    let mut market = Market::windows(1);
    let set = |market: &mut Market, phase: Phase| {
        let client_order_id: ClientOrderId = market.tape.id(OPERATOR);
        let instrument = InstrumentId::new(1);
        let set = SetPhase { client_order_id, instrument, phase: phase.raw(), ..SetPhase::default() };
        let mut fills = 0;
        market
            .tape
            .send(OPERATOR, set.into(), |event| fills += u32::from(matches!(event, Event::OrderFilled(_))));
        fills
    };
    set(&mut market, Phase::Auction);
    for index in 0..ORDERS {
        let side = if index.is_multiple_of(2) { Side::Buy } else { Side::Sell };
        market.enter(0, side, MIDDLE - 250 + index * 7 % 500, 10, TimeInForce::Gtc);
    }
    market.record(|market| assert!(set(market, Phase::Open) > ORDERS / 4, "an auction that trades"))
}
