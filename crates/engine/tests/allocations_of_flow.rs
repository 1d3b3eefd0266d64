//! After warm-up, flows of plain orders on a full book allocate for growing pools at most: moves, adds and cancels at random, over one
//! instrument and over several, good till canceled and at once, with and without trades.

use joulebook_engine::{Engine, Events};
use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Event, Frame, Origin, SequencedCommand};
use joulebook_testkit::{CountingAllocator, count_allocations};
use joulebook_types::*;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const OPERATOR: u32 = 1;
/// Bids come from the lower half, asks from the upper.
const TRADERS: core::ops::Range<u32> = 10..18;
const START: u32 = 29_925_480;
const TICK: i64 = 10_000;
const MID_TICKS: i64 = 5_000;

const ROUNDS: usize = 4;

/// Of 1,000 commands.
struct Mix {
    books: u32,
    resting: usize,
    adds: u64,
    immediate: u64,
    cancels: u64,
    moves: u64,
    /// Ticks from the middle of the market within which orders rest.
    width: u64,
    /// Commands until hardly an order of the beginning is left.
    warm_up: u32,
}

const MIXES: [Mix; 4] = [
    Mix {
        books: 1,
        resting: 1_000,
        adds: 91,
        immediate: 29,
        cancels: 60,
        moves: 820,
        width: 200,
        warm_up: 120_000,
    },
    Mix {
        books: 1,
        resting: 3_000,
        adds: 523,
        immediate: 25,
        cancels: 402,
        moves: 25,
        width: 100,
        warm_up: 40_000,
    },
    Mix {
        books: 1,
        resting: 5_000,
        adds: 503,
        immediate: 25,
        cancels: 422,
        moves: 25,
        width: 4_000,
        warm_up: 80_000,
    },
    Mix {
        books: 40,
        resting: 4_000,
        adds: 489,
        immediate: 25,
        cancels: 436,
        moves: 25,
        width: 30,
        warm_up: 50_000,
    },
];

#[derive(Clone, Copy)]
struct Resting {
    account: u32,
    order_id: OrderId,
    slot: SlotHint,
    qty: u32,
}

struct Flow {
    engine: Engine,
    events: Events,
    open: Vec<Resting>,
    /// By order id: where it is in `open`.
    places: Vec<u32>,
    last_id: u64,
    random: u64,
    trades: u64,
}

impl Flow {
    fn new(mix: &Mix) -> Self {
        let mut flow = Self {
            engine: Engine::new(),
            events: Events::with_capacity(1 << 16),
            open: Vec::with_capacity(1 << 16),
            places: vec![u32::MAX; 1 << 20],
            last_id: 0,
            random: 7,
            trades: 0,
        };
        flow.set_up(mix.books);
        while flow.open.len() < mix.resting {
            flow.add(mix, TimeInForce::Gtc);
        }
        flow
    }

    fn set_up(&mut self, books: u32) {
        let genesis = Genesis {
            accounts_max: 32,
            sessions_max: 32,
            instruments_max: 64,
            orders_max: 20_000,
            outbox_events_max: 4_096,
            session_outcomes_max: 256,
            outcomes_max: 4_096,
            ..Default::default()
        };
        self.run(0, genesis.into());
        let operator = [Role::Operator, Role::Issuer].into_iter().collect::<Roles>();
        let trader = [Role::Seller, Role::Buyer].into_iter().collect::<Roles>();
        let traders = TRADERS.map(|account| (account, trader));
        for (account, roles) in core::iter::once((OPERATOR, operator)).chain(traders) {
            let (id, roles) = (AccountId::new(account), roles.bits());
            self.run(0, OpenAccount { account: id, roles, ..Default::default() }.into());
            let connection = ConnectionId::of_gateway(1, u64::from(account));
            self.run(account, SessionOpened { connection, ..Default::default() }.into());
        }
        let (class, area): (ClassCode, AreaCode) = ("H200S".parse().unwrap(), "DE".parse().unwrap());
        let (client_order_id, amount) = (self.next_id(), MicroEc::from_ec(9_000_000_000));
        self.run(OPERATOR, MintCredits { client_order_id, amount, ..Default::default() }.into());
        for account in TRADERS {
            let (client_order_id, amount) = (self.next_id(), MicroEc::from_ec(1_000_000_000));
            let to = AccountId::new(account);
            self.run(OPERATOR, DepositCredits { client_order_id, amount, to, ..Default::default() }.into());
        }
        for start_minute in (0..books).map(|book| START + 60 * book) {
            let client_order_id = self.next_id();
            let list = ListInstrument {
                client_order_id,
                class,
                area,
                start_minute,
                window_minutes: 60,
                accelerators_per_lot: 1,
                tick: Price::new(TICK),
                band_low: Price::new(TICK),
                band_high: Price::new(100_000 * TICK),
                gate: TimeNs::from_minutes(start_minute),
                qty_max: 1_000,
                taker_fee_ppm: 200,
                maker_fee_ppm: 100,
                ..Default::default()
            };
            self.run(OPERATOR, list.into());
            for account in TRADERS {
                let client_order_id = self.next_id();
                let register = RegisterCapacity {
                    client_order_id,
                    class,
                    area,
                    start_minute,
                    window_minutes: 60,
                    accelerators: 1 << 26,
                    ..Default::default()
                };
                self.run(account, register.into());
            }
        }
    }

    fn next_id(&mut self) -> ClientOrderId {
        self.last_id += 1;
        ClientOrderId::new(self.last_id)
    }

    /// A number below `bound`: splitmix64.
    fn random(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn run(&mut self, account: u32, command: Command) {
        self.events.clear();
        let session = SessionId::new(account.min(1));
        let origin = Origin { account: AccountId::new(account), session, received: TimeNs::ZERO };
        self.engine.begin_batch(self.engine.last_seq().next(), TimeNs::ZERO, &mut self.events);
        self.engine.apply(&SequencedCommand { origin, command }, &mut self.events);
        self.engine.end_batch(&mut self.events);
        self.learn(account);
    }

    fn learn(&mut self, account: u32) {
        for record in self.events.iter() {
            let (frame, _) = Frame::split(record.frame).unwrap().unwrap();
            match Event::decode(&frame) {
                Ok(Event::OrderAccepted(OrderAccepted { order_id, slot, qty, .. })) => {
                    self.places[order_id.raw() as usize] = self.open.len() as u32;
                    self.open.push(Resting { account, order_id, slot, qty });
                }
                Ok(Event::OrderCanceled(canceled)) => {
                    close(&mut self.open, &mut self.places, canceled.order_id)
                }
                Ok(Event::OrderFilled(filled)) => {
                    self.trades += 1;
                    if filled.leaves_qty == 0 {
                        close(&mut self.open, &mut self.places, filled.order_id);
                    }
                }
                Ok(Event::RequestRejected(rejected)) => panic!("{rejected:?}"),
                _ => {}
            }
        }
    }

    fn add(&mut self, mix: &Mix, time_in_force: TimeInForce) {
        let trader = self.random(u64::from(TRADERS.end - TRADERS.start)) as u32;
        let account = TRADERS.start + trader;
        let side = side_of(account);
        // One in twenty reaches across the middle.
        let crosses = time_in_force == TimeInForce::Ioc || self.random(20) == 0;
        let away = if crosses { -3 } else { 1 + self.random(mix.width) as i64 };
        let (client_order_id, qty) = (self.next_id(), 1 + self.random(100) as u32);
        let instrument = InstrumentId::new(1 + self.random(mix.books.into()) as u32);
        let order = NewOrder {
            client_order_id,
            price: price(side, away),
            instrument,
            qty,
            side: side.raw(),
            time_in_force: time_in_force.raw(),
            ..Default::default()
        };
        self.run(account, order.into());
    }

    fn pick(&mut self) -> Resting {
        let place = self.random(self.open.len() as u64) as usize;
        self.open[place]
    }

    fn cancel(&mut self) {
        let Resting { account, order_id, slot, .. } = self.pick();
        let client_order_id = self.next_id();
        self.run(account, CancelOrder { client_order_id, order_id, slot, ..Default::default() }.into());
    }

    fn replace(&mut self, mix: &Mix) {
        let Resting { account, order_id, slot, qty } = self.pick();
        let (client_order_id, away) = (self.next_id(), 1 + self.random(mix.width) as i64);
        let price = price(side_of(account), away);
        // Larger than before, or it might have no more than what has traded.
        let qty = (qty + 1).min(1_000);
        let replace = ReplaceOrder { client_order_id, order_id, slot, price, qty, ..Default::default() };
        self.run(account, replace.into());
        if let Some(order) = self.open.get_mut(self.places[order_id.raw() as usize] as usize) {
            order.qty = qty;
        }
    }

    fn reduce(&mut self) {
        let Resting { account, order_id, slot, .. } = self.pick();
        let client_order_id = self.next_id();
        self.run(
            account,
            ReduceOrder { client_order_id, order_id, slot, lots: 1, ..Default::default() }.into(),
        );
    }

    /// The book stays about as full as it was.
    fn step(&mut self, mix: &Mix) {
        let draw = self.random(1_000);
        if self.open.len() + 200 < mix.resting {
            self.add(mix, TimeInForce::Gtc);
        } else if self.open.len() > mix.resting {
            self.cancel();
        } else if draw < mix.adds {
            self.add(mix, TimeInForce::Gtc);
        } else if draw < mix.adds + mix.immediate {
            self.add(mix, TimeInForce::Ioc);
        } else if draw < mix.adds + mix.immediate + mix.cancels {
            self.cancel();
        } else if draw < mix.adds + mix.immediate + mix.cancels + mix.moves {
            self.replace(mix);
        } else {
            self.reduce();
        }
    }
}

fn close(open: &mut Vec<Resting>, places: &mut [u32], order_id: OrderId) {
    let place = core::mem::replace(&mut places[order_id.raw() as usize], u32::MAX) as usize;
    open.swap_remove(place);
    if let Some(moved) = open.get(place) {
        places[moved.order_id.raw() as usize] = place as u32;
    }
}

fn side_of(account: u32) -> Side {
    if account < TRADERS.start.midpoint(TRADERS.end) { Side::Buy } else { Side::Sell }
}

fn price(side: Side, away: i64) -> Price {
    let ticks = match side {
        Side::Buy => MID_TICKS - away,
        Side::Sell => MID_TICKS + away,
    };
    Price::new(ticks * TICK)
}

#[test]
fn flows_allocate_for_growing_pools_at_most() {
    for (number, mix) in MIXES.iter().enumerate() {
        let mut flow = Flow::new(mix);
        for _ in 0..mix.warm_up {
            flow.step(mix);
        }
        let trades_before = flow.trades;
        let rounds = [(); ROUNDS].map(|()| {
            let ((), allocations) = count_allocations(|| (0..10_000).for_each(|_| flow.step(mix)));
            allocations
        });
        // A flow at random needs one more page of ids or prices now and then, of some ten thousand commands: a pool that
        // grows to its largest need yet. A command that allocates would do it thousands of times.
        assert!(rounds.iter().sum::<u64>() <= 16, "w{}: {rounds:?}", number + 1);
        assert!(flow.trades > trades_before + 100, "the flow trades");
        assert_eq!(flow.engine.open_order_count(), flow.open.len());
        flow.engine.recount().unwrap();
    }
}
