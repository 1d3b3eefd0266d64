//! After warm-up, commands do not allocate: new orders of every type, moves, cancels, trades across levels, token orders,
//! stops, linked orders, orders with a date, baskets, batches, quotes and their protection, rejects.

use joulebook_engine::{Engine, Events};
use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Message, Origin, SequencedCommand};
use joulebook_testkit::{CountingAllocator, count_allocations};
use joulebook_types::*;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const OPERATOR: u32 = 1;
const SELLER: u32 = 2;
const BUYER: u32 = 3;
const START: u32 = 29_925_480;

struct Market {
    engine: Engine,
    events: Events,
    last_id: u64,
    /// By template id: whether such an event came.
    seen: [bool; 128],
}

impl Market {
    fn new() -> Self {
        let mut market =
            Self { engine: Engine::new(), events: Events::new(), last_id: 0, seen: [false; 128] };
        let genesis = Genesis {
            accounts_max: 3,
            sessions_max: 3,
            instruments_max: 2,
            orders_max: 1_000,
            outbox_events_max: 2_000,
            session_outcomes_max: 300,
            outcomes_max: 800,
            ..Default::default()
        };
        market.run(0, genesis.into());
        for (account, roles) in [
            (OPERATOR, [Role::Operator, Role::Issuer]),
            (SELLER, [Role::Seller, Role::Maker]),
            (BUYER, [Role::Buyer, Role::Maker]),
        ] {
            let roles = roles.into_iter().collect::<Roles>().bits();
            let account_id = AccountId::new(account);
            market.run(0, OpenAccount { account: account_id, roles, ..Default::default() }.into());
            let connection = ConnectionId::of_gateway(1, u64::from(account));
            market.run(account, SessionOpened { connection, ..Default::default() }.into());
        }
        market.set_up();
        market
    }

    fn set_up(&mut self) {
        let class: ClassCode = "H200S".parse().unwrap();
        let area: AreaCode = "DE".parse().unwrap();
        let client_order_id = self.next_id();
        let list = ListInstrument {
            client_order_id,
            class,
            area,
            start_minute: START,
            window_minutes: 60,
            accelerators_per_lot: 8,
            tick: Price::new(10_000),
            band_low: Price::new(10_000),
            band_high: Price::new(1_000_000_000),
            gate: TimeNs::from_minutes(START),
            qty_max: 1_000,
            taker_fee_ppm: 200,
            ..Default::default()
        };
        self.run(OPERATOR, list.into());
        let (client_order_id, model) = (self.next_id(), ModelId::new(1));
        let yield_ktok = Yield::new(15_387);
        let set = SetYield { client_order_id, class, yield_ktok, model, ..Default::default() };
        self.run(OPERATOR, set.into());
        let (client_order_id, amount) = (self.next_id(), MicroEc::from_ec(9_000_000_000));
        self.run(OPERATOR, MintCredits { client_order_id, amount, ..Default::default() }.into());
        let (client_order_id, to) = (self.next_id(), AccountId::new(BUYER));
        self.run(OPERATOR, DepositCredits { client_order_id, amount, to, ..Default::default() }.into());
        let client_order_id = self.next_id();
        let register = RegisterCapacity {
            client_order_id,
            class,
            area,
            start_minute: START,
            window_minutes: 60,
            accelerators: 400_000_000,
            ..Default::default()
        };
        self.run(SELLER, register.into());
    }

    fn next_id(&mut self) -> ClientOrderId {
        self.last_id += 1;
        ClientOrderId::new(self.last_id)
    }

    fn run(&mut self, account: u32, command: Command) {
        self.events.clear();
        let session = SessionId::new(account.min(1));
        let origin = Origin { account: AccountId::new(account), session, received: TimeNs::ZERO };
        self.engine.begin_batch(self.engine.last_seq().next(), TimeNs::ZERO, &mut self.events);
        self.engine.apply(&SequencedCommand { origin, command }, &mut self.events);
        self.engine.end_batch(&mut self.events);
        for record in self.events.iter() {
            self.seen[usize::from(record.template_id)] = true;
        }
    }

    fn order(&mut self, account: u32, side: Side, ticks: i64, qty: u32, time_in_force: TimeInForce) {
        self.special(account, side, ticks, qty, time_in_force, NewOrder::default());
    }

    /// An order that is more than a plain limit order.
    fn special(
        &mut self,
        account: u32,
        side: Side,
        ticks: i64,
        qty: u32,
        time_in_force: TimeInForce,
        rest: NewOrder,
    ) {
        let client_order_id = self.next_id();
        let order = NewOrder {
            client_order_id,
            price: Price::new(ticks * 10_000),
            instrument: InstrumentId::new(1),
            qty,
            side: side.raw(),
            time_in_force: time_in_force.raw(),
            ..rest
        };
        self.run(account, order.into());
    }

    /// Stops of both sides, some of which the prices of a round reach, a trailing one, and one that is linked. They have
    /// a date.
    fn orders_that_wait(&mut self, base: i64) {
        let price = |ticks: i64| Price::new(ticks * 10_000);
        let order = NewOrder {
            instrument: InstrumentId::new(1),
            qty: 1,
            time_in_force: TimeInForce::Gtd.raw(),
            expires: TimeNs::new(1),
            ..Default::default()
        };
        for distance in [0, 1, 2, 900] {
            for (account, side, away) in [(BUYER, Side::Buy, distance), (SELLER, Side::Sell, -distance)] {
                let (client_order_id, trigger) = (self.next_id(), Trigger::Stop.raw());
                let (limit, trigger_price) = (price(base + 2 * away), price(base + away));
                let stop = NewOrder {
                    client_order_id,
                    price: limit,
                    side: side.raw(),
                    trigger,
                    trigger_price,
                    ..order
                };
                self.run(account, stop.into());
            }
        }
        let (client_order_id, trigger) = (self.next_id(), Trigger::Trailing.raw());
        let (limit, trail_distance) = (price(base - 300), price(200));
        let side = Side::Sell.raw();
        let trailing = NewOrder { client_order_id, price: limit, side, trigger, trail_distance, ..order };
        self.run(SELLER, trailing.into());
        let client_order_id = self.next_id();
        self.next_id();
        let oco = OcoOrder {
            client_order_id,
            price: price(base - 100),
            trigger_price: price(base + 2),
            stop_price: price(base + 50),
            expires: TimeNs::new(2),
            instrument: InstrumentId::new(1),
            qty: 1,
            side: Side::Buy.raw(),
            time_in_force: TimeInForce::Gtd.raw(),
            ..Default::default()
        };
        self.run(BUYER, oco.into());
    }

    fn basket(&mut self, ticks: i64) {
        let client_order_id = self.next_id();
        let mut basket = Basket { client_order_id, count: 1, ..Default::default() };
        let price = Price::new(ticks * 10_000);
        let instrument = InstrumentId::new(1);
        basket.legs[0] = BasketLeg { price, instrument, qty: 2, side: Side::Buy.raw(), ..Default::default() };
        self.run(BUYER, basket.into());
    }

    /// Icebergs, orders without a price, minimum quantities, and its own group on the other side.
    fn hidden_lots(&mut self, base: i64) {
        let plain = NewOrder::default();
        let iceberg = NewOrder { display_qty: 2, ..plain };
        for level in 0..3 {
            self.special(SELLER, Side::Sell, base + level, 9, TimeInForce::Gtc, iceberg);
        }
        self.order(BUYER, Side::Buy, base + 1, 15, TimeInForce::Fok);
        let minimum = NewOrder { min_qty: 2, ..plain };
        self.special(BUYER, Side::Buy, base + 2, 3, TimeInForce::Ioc, minimum);
        let market = NewOrder { order_type: OrderType::Market.raw(), ..plain };
        self.special(BUYER, Side::Buy, 0, 3, TimeInForce::Ioc, market);
        let budget = MicroEc::from_ec(500);
        let by_budget = NewOrder { order_type: OrderType::Budget.raw(), budget, ..plain };
        self.special(BUYER, Side::Buy, 0, 0, TimeInForce::Ioc, by_budget);
        for mode in SelfTradeMode::ALL {
            let own = NewOrder { self_trade: mode.raw(), ..plain };
            self.special(BUYER, Side::Sell, base - 20, 2, TimeInForce::Ioc, own);
        }
    }

    fn batch(&mut self, base: i64) {
        let client_order_id = self.next_id();
        self.last_id += 2;
        let new = BatchEntry {
            kind: BatchEntry::NEW,
            side: Side::Buy.raw(),
            time_in_force: TimeInForce::Gtc.raw(),
            instrument: InstrumentId::new(1),
            qty: 4,
            price: Price::new((base - 40) * 10_000),
            ..Default::default()
        };
        let (kind, target, slot) = (BatchEntry::REDUCE, client_order_id, SlotHint::UNKNOWN);
        let reduce = BatchEntry { kind, target, slot, qty: 1, ..Default::default() };
        let mut entries = [BatchEntry::default(); OrderBatch::ENTRIES_MAX];
        entries[..3].copy_from_slice(&[new, reduce, new]);
        self.run(BUYER, OrderBatch { client_order_id, count: 3, entries, ..Default::default() }.into());
    }

    /// Quotes that are placed, moved and hit, until their protection pulls them.
    fn quotes(&mut self, base: i64) {
        let class = "H200S".parse().unwrap();
        let client_order_id = self.next_id();
        self.run(SELLER, ResetProtection { client_order_id, class }.into());
        let client_order_id = self.next_id();
        let (window_ms, fills_max) = (1_000, 2);
        let protection = SetProtection { client_order_id, class, window_ms, fills_max, ..Default::default() };
        self.run(SELLER, protection.into());
        for (bid_qty, ask_qty) in [(0, 5), (0, 4), (0, 9)] {
            let client_order_id = self.next_id();
            let mut quote = MassQuote { client_order_id, count: 1, ..Default::default() };
            quote.pairs[0] = QuotePair {
                bid: Price::new((base - 20) * 10_000),
                ask: Price::new((base - 1) * 10_000),
                instrument: InstrumentId::new(1),
                bid_qty,
                ask_qty,
                reserved: 0,
            };
            self.run(SELLER, quote.into());
        }
        for _ in 0..2 {
            self.order(BUYER, Side::Buy, base - 1, 2, TimeInForce::Ioc);
        }
    }

    /// One round of everything, at prices that wander with the round; it leaves the book as it found it.
    fn round(&mut self, round: i64) {
        let base = 2_700 + round * 37 % 400;
        let first = self.last_id + 1;
        for level in 0..6 {
            self.order(SELLER, Side::Sell, base + level, 3, TimeInForce::Gtc);
            self.order(BUYER, Side::Buy, base - 10 - level, 3, TimeInForce::Gtc);
        }
        let named = |request: u64| (ClientOrderId::new(first + request), SlotHint::UNKNOWN);
        let (target, slot) = named(1);
        let (client_order_id, price) = (self.next_id(), Price::new((base - 300) * 10_000));
        let replace = ReplaceOrder { client_order_id, target, price, slot, qty: 2, ..Default::default() };
        self.run(BUYER, replace.into());
        let (target, slot) = named(2);
        let client_order_id = self.next_id();
        self.run(SELLER, CancelOrder { client_order_id, target, slot, ..Default::default() }.into());
        self.orders_that_wait(base);
        self.order(BUYER, Side::Buy, base + 2, 5, TimeInForce::Ioc);
        self.basket(base + 9);
        self.order(BUYER, Side::Buy, base + 9, 500, TimeInForce::Fok);
        self.order(SELLER, Side::Sell, 0, 1, TimeInForce::Ioc);
        self.hidden_lots(base);
        self.batch(base);
        let client_order_id = self.next_id();
        let mut instruments = [InstrumentId::NONE; 16];
        instruments[0] = InstrumentId::new(1);
        let tokens = TokenOrder {
            client_order_id,
            quantity: KiloTokens::new(500_000),
            limit: "5".parse().unwrap(),
            model: ModelId::new(1),
            time_in_force: TimeInForce::Ioc.raw(),
            count: 1,
            instruments,
            ..Default::default()
        };
        self.run(BUYER, tokens.into());
        self.quotes(base);
        for account in [SELLER, BUYER] {
            let (client_order_id, scope) = (self.next_id(), MassCancel::SCOPE_SESSION);
            self.run(account, MassCancel { client_order_id, scope, ..Default::default() }.into());
        }
    }
}

#[test]
fn commands_do_not_allocate_after_warm_up() {
    let mut market = Market::new();
    for round in 0..1_000 {
        market.round(round);
    }
    let trades_before = market.engine.totals().fees;
    let ((), allocations) = count_allocations(|| {
        for round in 1_000..2_000 {
            market.round(round);
        }
    });
    assert_eq!(allocations, 0);
    assert!(market.engine.totals().fees > trades_before, "the rounds trade");
    assert_eq!(market.engine.open_order_count(), 0);
    let expected = [
        OrderTriggered::TEMPLATE_ID,
        LegDone::TEMPLATE_ID,
        TokenOrderDone::TEMPLATE_ID,
        ProtectionTriggered::TEMPLATE_ID,
    ];
    for template_id in expected {
        assert!(
            market.seen[usize::from(template_id)],
            "{template_id}: the rounds do not do what they should"
        );
    }
    market.engine.recount().unwrap();
}
