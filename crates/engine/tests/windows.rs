//! The exchange of decades: windows are listed, traded in, closed, delivered, settled and forgotten, one after the other,
//! and memory stays where it is. And the price of a book in which nothing happens.
//!
//! `JOULEBOOK_WINDOWS` says how many windows to go through.

use joulebook_engine::{Engine, Events};
use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Event, Frame, Origin, RejectReason, SequencedCommand};
use joulebook_testkit::{CountingAllocator, allocations_of_this_thread, held_bytes_of_this_thread, size};
use joulebook_types::*;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Listed quarters, hours besides.
const WINDOWS_DEFAULT: u64 = 2_000;
/// After so many windows everything has come up that ever does.
const PERIOD: u64 = 60;

const OPERATOR: u32 = 1;
const SELLER: u32 = 2;
const BUYER: u32 = 3;
const MAKER: u32 = 4;
/// 2026-11-24T14:00Z, in quarter hours.
const START: u32 = 29_925_480 / 15;
const CLASS: &str = "H200S";

struct Market {
    engine: Engine,
    events: Events,
    time: TimeNs,
    last_ids: [u64; 5],
    /// Made by orders, quotes and calls; what lists, registers, delivers and funds is left out.
    trade_allocations: u64,
}

impl Market {
    fn new(instruments_max: u32) -> Self {
        let time = TimeNs::from_minutes(START * 15 - 60);
        let mut market = Self {
            engine: Engine::new(),
            events: Events::new(),
            time,
            last_ids: [0; 5],
            trade_allocations: 0,
        };
        let genesis = Genesis {
            accounts_max: 4,
            sessions_max: 4,
            instruments_max,
            orders_max: 200,
            outbox_events_max: 300,
            session_outcomes_max: 100,
            outcomes_max: 300,
            ..Default::default()
        };
        market.run(0, genesis);
        for (account, roles) in [
            (OPERATOR, [Role::Operator, Role::Issuer].as_slice()),
            (SELLER, &[Role::Seller, Role::Buyer]),
            (BUYER, &[Role::Seller, Role::Buyer]),
            (MAKER, &[Role::Seller, Role::Buyer, Role::Maker]),
        ] {
            let roles = roles.iter().copied().collect::<Roles>().bits();
            let account_id = AccountId::new(account);
            market.run(0, OpenAccount { account: account_id, roles, ..Default::default() });
            let connection = ConnectionId::of_gateway(1, u64::from(account));
            market.run(account, SessionOpened { connection, ..Default::default() });
        }
        for account in [BUYER, MAKER] {
            market.fund(account, 1_000_000);
        }
        market
    }

    fn fund(&mut self, account: u32, ec: i64) {
        let (to, amount) = (AccountId::new(account), MicroEc::from_ec(ec));
        self.send(OPERATOR, MintCredits { amount, ..Default::default() });
        self.send(OPERATOR, DepositCredits { to, amount, ..Default::default() });
    }

    /// Carries out a request that is not refused.
    fn send(&mut self, account: u32, command: impl Into<Command>) {
        let command = command.into();
        let refused = self.try_send(account, command);
        assert_eq!(refused, None, "{command:?}");
    }

    /// Carries out a request and says why it was refused.
    fn try_send(&mut self, account: u32, command: impl Into<Command>) -> Option<RejectReason> {
        let mut command = command.into();
        let last_id = &mut self.last_ids[account as usize];
        command.set_client_order_id(ClientOrderId::new(*last_id + 1));
        *last_id += command.client_order_ids();
        self.run(account, command);
        self.events.iter().find_map(|record| {
            let (frame, _) = Frame::split(record.frame).unwrap().unwrap();
            match Event::decode(&frame) {
                Ok(Event::RequestRejected(event)) => RejectReason::from_raw(event.reason),
                Ok(_) | Err(_) => None,
            }
        })
    }

    fn run(&mut self, account: u32, command: impl Into<Command>) {
        let (session, command) = (SessionId::new(account.min(1)), command.into());
        let origin = Origin { account: AccountId::new(account), session, received: self.time };
        self.events.clear();
        self.engine.begin_batch(self.engine.last_seq().next(), self.time, &mut self.events);
        self.engine.apply(&SequencedCommand { origin, command }, &mut self.events);
        self.engine.end_batch(&mut self.events);
    }

    /// Lists a window from a quarter on, which trades until five minutes before it starts.
    fn list(&mut self, class: &str, quarter: u32, window_minutes: u16) -> InstrumentId {
        let start_minute = quarter * 15;
        let list = ListInstrument {
            class: class.parse().unwrap(),
            area: "DE".parse().unwrap(),
            start_minute,
            window_minutes,
            accelerators_per_lot: 8,
            tick: Price::new(10_000),
            band_low: Price::new(10_000),
            band_high: Price::new(1_000_000_000),
            opens: TimeNs::ZERO,
            gate: TimeNs::from_minutes(start_minute - 5),
            qty_max: 1_000,
            taker_fee_ppm: 200,
            ..Default::default()
        };
        self.send(OPERATOR, list);
        self.engine.last_instrument_id()
    }

    fn deliver(&mut self, quarter: u32) -> Option<RejectReason> {
        let (class, area) = (CLASS.parse().unwrap(), "DE".parse().unwrap());
        let slot = QuarterSlot::new(quarter);
        self.try_send(OPERATOR, DeliverSlot { class, area, slot, ..Default::default() })
    }

    fn order(&mut self, account: u32, instrument: InstrumentId, side: Side, ticks: i64, order: NewOrder) {
        let price = Price::new(ticks * 10_000);
        let (side, time_in_force) = (side.raw(), TimeInForce::Gtc.raw());
        let trigger_price = if order.trigger == 0 { Price::ZERO } else { price };
        self.send(account, NewOrder { instrument, side, price, trigger_price, time_in_force, ..order });
    }

    /// Trades, and leaves orders of every kind for the gate to cancel.
    fn trade(&mut self, instrument: InstrumentId, number: u64) {
        let lots = |qty| NewOrder { qty, ..Default::default() };
        self.order(SELLER, instrument, Side::Sell, 2_700, lots(3));
        self.order(BUYER, instrument, Side::Buy, 2_700, lots(2));
        for level in 0..4 {
            self.order(BUYER, instrument, Side::Buy, 2_600 - 100 * level, lots(1));
            self.order(SELLER, instrument, Side::Sell, 2_750 + 10_000 * level, lots(1));
        }
        self.order(SELLER, instrument, Side::Sell, 2_760, NewOrder { display_qty: 1, ..lots(3) });
        let stop = Trigger::Stop.raw();
        self.order(BUYER, instrument, Side::Buy, 2_900, NewOrder { trigger: stop, ..lots(1) });
        let pair = QuotePair {
            instrument,
            bid: Price::new(25_000_000),
            ask: Price::new(28_000_000),
            bid_qty: 1,
            ask_qty: 0,
            ..Default::default()
        };
        let mut quote = MassQuote { count: 1, ..Default::default() };
        quote.pairs[0] = pair;
        self.send(MAKER, quote);
        if number.is_multiple_of(3) {
            let phase = Phase::Auction.raw();
            self.send(OPERATOR, SetPhase { instrument, phase, ..Default::default() });
            self.order(SELLER, instrument, Side::Sell, 2_000, lots(1));
            let market = OrderType::Market.raw();
            let waits = NewOrder { order_type: market, ..lots(1) };
            self.send(
                BUYER,
                NewOrder { instrument, side: 1, time_in_force: TimeInForce::Gtc.raw(), ..waits },
            );
        }
    }

    fn register(&mut self, quarter: u32, window_minutes: u16) {
        let register = RegisterCapacity {
            class: CLASS.parse().unwrap(),
            area: "DE".parse().unwrap(),
            start_minute: quarter * 15,
            window_minutes,
            accelerators: 240,
            ..Default::default()
        };
        self.send(SELLER, register);
    }

    /// A quarter hour of exchange time, in which one more window comes and older ones go.
    fn step(&mut self, number: u64) {
        let quarter = START + number as u32;
        self.time = TimeNs::from_minutes(quarter * 15 - 40);
        // About what the sellers earn.
        self.fund(BUYER, 500);
        let listed = self.list(CLASS, quarter, 15);
        self.register(quarter, 15);
        let hour = number.is_multiple_of(4).then(|| self.list(CLASS, quarter + 4, 60));
        if hour.is_some() {
            self.register(quarter + 4, 60);
        }
        let before = allocations_of_this_thread();
        if let Some(hour) = hour {
            self.trade(hour, number);
        }
        // In some nobody trades, and their end is enough.
        if !number.is_multiple_of(5) {
            self.trade(listed, number);
        }
        self.trade_allocations += allocations_of_this_thread() - before;
        // Deliveries are posted late, some of them very late and some before the window starts.
        if number > 8 && !(number - 6).is_multiple_of(30) {
            self.deliver(quarter - 6);
        }
        if number > 40 && (number - 30).is_multiple_of(30) {
            self.deliver(quarter - 30);
        }
    }
}

/// What is settled leaves nothing behind, however many windows there were.
#[test]
fn settled_windows_give_all_their_memory_back() {
    let windows = size("JOULEBOOK_WINDOWS", WINDOWS_DEFAULT);
    let mut market = Market::new(40);
    let (mut listed_at_most, mut held) = (0, Vec::with_capacity((windows / PERIOD) as usize));
    let began = held_bytes_of_this_thread();
    for number in 0..windows {
        market.step(number);
        listed_at_most = listed_at_most.max(market.engine.instruments().count());
        if number % PERIOD == PERIOD - 1 {
            held.push(held_bytes_of_this_thread() - began);
            // Pools have grown by then: a window listed anew trades with the memory of those that are gone.
            let allocations = std::mem::take(&mut market.trade_allocations);
            assert!(number < windows / 2 || allocations == 0, "{allocations} allocations before {number}");
        }
    }
    let last = market.engine.last_instrument_id();
    assert_eq!(u64::from(last.raw()), windows + windows.div_ceil(4), "ids rise by one");
    assert!(listed_at_most < 60, "{listed_at_most} instruments at a time");
    let (early, late) = held.split_at(held.len() / 2);
    println!("{windows} windows, {listed_at_most} at a time, {:?} bytes", late.last());
    // A node of a tree comes or goes with the order of what is in it; a byte a window would be more.
    let most = early.iter().max().expect("some periods") + 500;
    assert!(late.iter().all(|held| *held <= most), "memory grows: {held:?}");
    assert_eq!(market.engine.recount(), Ok(()));
    assert_eq!(market.engine.phase(InstrumentId::new(1)), Some(Phase::Settled));
    assert_eq!(market.engine.phase(last.next()), None);
}

/// What is listed and idle costs this much at most, timers and quarter hours included.
const IDLE_BYTES_MAX: usize = 2_048;

#[test]
fn an_idle_book_takes_little_memory() {
    // One more than a power of two: lists that double are half empty then. Of those with quarters fewer, because a list
    // that becomes larger than 4 MiB reserves addresses for good, which would be counted as memory here.
    const WINDOWS: u32 = 4_097;
    const WITH_QUARTERS: u32 = 1_025;
    let mut market = Market::new(6 * WINDOWS);
    let bytes_of = |market: &mut Market, what: &str, count: u32, windows: &[(u32, u16)]| {
        let (before, first) = (held_bytes_of_this_thread(), market.engine.last_instrument_id().raw());
        // Hours that nobody listed before.
        let start = START.next_multiple_of(4) + 4 * count * first;
        for number in 0..count {
            for (quarter, minutes) in windows {
                market.list(CLASS, start + 4 * number + quarter, *minutes);
            }
        }
        let books = market.engine.last_instrument_id().raw() - first;
        let bytes = (held_bytes_of_this_thread() - before) / books as usize;
        println!("{bytes} bytes for each of {books} {what}");
        bytes
    };
    let quarters = bytes_of(&mut market, "quarter hours", WINDOWS, &[(0, 15)]);
    let mut market = Market::new(6 * WINDOWS);
    let hours = bytes_of(&mut market, "hours", WINDOWS, &[(0, 60)]);
    let mut market = Market::new(6 * WINDOWS);
    let quarters_too = [(0, 60), (0, 15), (1, 15), (2, 15), (3, 15)];
    let both = bytes_of(&mut market, "hours and their quarters", WITH_QUARTERS, &quarters_too);
    let most = quarters.max(hours).max(both);
    assert!(most <= IDLE_BYTES_MAX, "{quarters}, {hours} and {both} bytes for an idle book");
}
