//! No order is let in that breaks a limit: collar, size, value, credit, capacity, open orders, windows, switches.
//!
//! Random limits, bands and orders go to the engine; a supervisor keeps books of its own from the events and checks every
//! order that was accepted. `JOULEBOOK_LIMITED_ORDERS` says how many orders to send, about.

mod pretrade;

use std::cell::RefCell;
use std::collections::BTreeMap;

use joulebook_engine::{Destination, Engine, Events};
use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Event, Frame, Origin, RejectReason, SequencedCommand};
use joulebook_testkit::size;
use joulebook_types::*;
use pretrade::{Supervisor, Terms};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const OPERATOR: u32 = 1;
const ISSUER: u32 = 2;
/// Sellers, buyers, and makers who are both.
const TRADERS: [u32; 6] = [10, 11, 20, 21, 30, 31];
const TICK: i64 = 10_000;
const INSTRUMENTS: [&str; 3] =
    ["H200S.DE.20261124T1400.H", "H200S.DE.20261124T1415.Q", "TPU6E.DE.20261124T1400.H"];
const ORDERS_MAX: u32 = 12;
const STEPS_MAX: usize = 250;
/// In debug; a release build does a million in about the time.
const ORDERS_DEFAULT: u64 = 15_000;

#[derive(Clone, Debug)]
enum Step {
    Order { who: usize, instrument: usize, buys: bool, ticks: i64, lots: u32, kind: Kind },
    Replace { who: usize, pick: usize, ticks: i64, lots: u32 },
    Cancel { who: usize, pick: usize },
    Limits { who: usize, order_value: i64, open_value: i64, orders: u32, window: u32 },
    Bands { instrument: usize, low: i64, high: i64, dynamic_bps: u32 },
    Switch { who: usize, kills: bool },
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Rests,
    PostOnly,
    Iceberg,
    Immediate,
    FillOrKill,
    Market,
    Budget,
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..TRADERS.len();
    // Around 27 EC, sometimes far away or off the tick's grid of bands.
    let ticks = || prop_oneof![12 => 2_500..2_900i64, 2 => 1..6_000i64];
    let lots = || prop_oneof![12 => 1..12u32, 2 => 12..80u32, 1 => 80..300u32];
    let kind = prop_oneof![
        6 => Just(Kind::Rests), 1 => Just(Kind::PostOnly), 1 => Just(Kind::Iceberg), 2 => Just(Kind::Immediate),
        1 => Just(Kind::FillOrKill), 1 => Just(Kind::Market), 1 => Just(Kind::Budget),
    ];
    // Zero is no cap.
    let cap = |most: i64| prop_oneof![2 => Just(0), 3 => 1..most];
    let order = (who(), 0..INSTRUMENTS.len(), any::<bool>(), ticks(), lots(), kind).prop_map(
        |(who, instrument, buys, ticks, lots, kind)| Step::Order { who, instrument, buys, ticks, lots, kind },
    );
    let limits = (who(), cap(6_000), cap(12_000), cap(12), cap(400)).prop_map(
        |(who, order_value, open_value, orders, window)| Step::Limits {
            who,
            order_value,
            open_value,
            orders: orders as u32,
            window: window as u32,
        },
    );
    let bands = (0..INSTRUMENTS.len(), 1_500..2_700i64, 2_700..4_000i64, prop_oneof![Just(0), 50..2_000u32])
        .prop_map(|(instrument, low, high, dynamic_bps)| Step::Bands { instrument, low, high, dynamic_bps });
    prop_oneof![
        60 => order,
        10 => (who(), any::<usize>(), ticks(), lots())
            .prop_map(|(who, pick, ticks, lots)| Step::Replace { who, pick, ticks, lots }),
        8 => (who(), any::<usize>()).prop_map(|(who, pick)| Step::Cancel { who, pick }),
        5 => limits,
        2 => bands,
        2 => (who(), any::<bool>()).prop_map(|(who, kills)| Step::Switch { who, kills }),
    ]
}

/// Orders accepted, and refused by reason, over all cases.
#[derive(Default)]
struct Seen {
    accepted: u64,
    refused: BTreeMap<u16, u64>,
}

struct Market<'a> {
    engine: Engine,
    events: Events,
    supervisor: Supervisor,
    last_ids: BTreeMap<u32, u64>,
    seen: &'a RefCell<Seen>,
}

impl<'a> Market<'a> {
    fn open(seen: &'a RefCell<Seen>) -> Self {
        let supervisor = Supervisor::new(ORDERS_MAX as usize);
        let engine = Engine::new();
        let mut market = Self { engine, events: Events::new(), supervisor, last_ids: BTreeMap::new(), seen };
        let genesis = Genesis {
            accounts_max: 20,
            sessions_max: 20,
            instruments_max: 20,
            orders_max: ORDERS_MAX,
            outbox_events_max: 1_000,
            session_outcomes_max: 100,
            outcomes_max: 1_000,
            shard: ShardId::new(1),
            ..Genesis::default()
        };
        market.run(0, genesis.into());
        market.people();
        for (number, name) in (1..).zip(INSTRUMENTS) {
            market.list(InstrumentId::new(number), name);
        }
        market
    }

    fn people(&mut self) {
        let roles = |account| match account {
            OPERATOR => vec![Role::Operator],
            ISSUER => vec![Role::Issuer],
            10..20 => vec![Role::Seller],
            20..30 => vec![Role::Buyer],
            _ => vec![Role::Maker, Role::Seller],
        };
        for account in [OPERATOR, ISSUER].into_iter().chain(TRADERS) {
            let open = OpenAccount {
                account: AccountId::new(account),
                roles: roles(account).into_iter().collect::<Roles>().bits(),
                ..OpenAccount::default()
            };
            self.run(0, open.into());
            let connection = ConnectionId::of_gateway(1, account.into());
            self.run(account, SessionOpened { connection, ..SessionOpened::default() }.into());
        }
        let amount = MicroEc::from_ec(1_000_000);
        self.run(ISSUER, MintCredits { amount, attestation: 1, ..MintCredits::default() }.into());
        for account in TRADERS {
            let amount = MicroEc::from_ec(if account < 20 { 1 } else { 20_000 });
            let to = AccountId::new(account);
            self.run(ISSUER, DepositCredits { amount, to, ..DepositCredits::default() }.into());
            self.supervisor.clients.entry(account).or_default().cash = amount.raw().into();
        }
    }

    /// Lots of 8, two of the instruments sharing a quarter hour; sellers and makers have 30 lots.
    fn list(&mut self, instrument: InstrumentId, name: &str) {
        let Symbol { class, area, window } = name.parse().unwrap();
        let (start_minute, window_minutes) = (window.start_minute(), window.minutes());
        let list = ListInstrument {
            class,
            area,
            start_minute,
            window_minutes,
            accelerators_per_lot: 8,
            tick: Price::new(TICK),
            band_low: Price::new(1_500 * TICK),
            band_high: Price::new(4_000 * TICK),
            gate: TimeNs::from_minutes(start_minute - 5),
            qty_max: 100,
            taker_fee_ppm: 500,
            maker_fee_ppm: -200,
            reference_price: Price::new(2_700 * TICK),
            ..ListInstrument::default()
        };
        self.run(OPERATOR, list.into());
        assert!(self.engine.instrument(instrument).is_some(), "{name} is listed");
        let quarters = (0..u32::from(window_minutes) / 15).map(|quarter| start_minute / 15 + quarter);
        let quarters: Vec<(u8, u32)> =
            quarters.map(|quarter| (class.as_str().as_bytes()[0], quarter)).collect();
        for account in TRADERS.into_iter().filter(|account| !(20..30).contains(account)) {
            let accelerators = 240;
            let register = RegisterCapacity {
                class,
                area,
                start_minute,
                window_minutes,
                accelerators,
                ..RegisterCapacity::default()
            };
            self.run(account, register.into());
            let client = self.supervisor.clients.entry(account).or_default();
            for quarter in &quarters {
                *client.owned.entry(*quarter).or_default() += i128::from(accelerators);
                *client.registered.entry(*quarter).or_default() += i128::from(accelerators);
            }
        }
        let terms = Terms {
            band_low: list.band_low.raw(),
            band_high: list.band_high.raw(),
            dynamic_bps: 0,
            last: list.reference_price.raw(),
            tick: TICK,
            qty_max: list.qty_max,
            accelerators_per_lot: 8,
            quarters,
            fee_ppm_max: 500,
        };
        self.supervisor.terms.insert(instrument, terms);
    }

    fn run(&mut self, sender: u32, mut command: Command) {
        let id = self.last_ids.entry(sender).or_default();
        *id += 1;
        command.set_client_order_id(ClientOrderId::new(*id));
        let time = TimeNs::from_minutes(29_925_000);
        let account = AccountId::new(sender);
        let session = SessionId::new(u32::from(sender > 0));
        let origin = if sender == 0 { Origin::SYSTEM } else { Origin { account, session, received: time } };
        self.supervisor.before(sender);
        self.events.clear();
        self.engine.begin_batch(self.engine.last_seq().next(), time, &mut self.events);
        self.engine.apply(&SequencedCommand { origin, command }, &mut self.events);
        self.engine.end_batch(&mut self.events);
        self.hear(&command);
        self.supervisor.after();
    }

    fn hear(&mut self, command: &Command) {
        for record in self.events.iter().filter(|record| record.destination != Destination::Public) {
            let frame = Frame::split(record.frame).unwrap().unwrap().0;
            let Ok(event) = Event::decode(&frame) else { continue };
            match (event, command) {
                (Event::OrderAccepted(event), Command::NewOrder(order)) => {
                    self.supervisor.accepted(order, &event);
                    self.seen.borrow_mut().accepted += 1;
                }
                (Event::OrderReplaced(event), _) => self.supervisor.replaced(&event),
                (Event::OrderFilled(event), _) => self.supervisor.filled(&event),
                (Event::OrderCanceled(event), _) => self.supervisor.canceled(&event),
                (Event::SweepDone(event), _) => self.supervisor.ended(event.order_id),
                (Event::RequestRejected(event), _) => {
                    *self.seen.borrow_mut().refused.entry(event.reason).or_default() += 1;
                }
                (Event::RequestDone(_), Command::SetLimits(set)) => self.supervisor.set_limits(set),
                (Event::RequestDone(_), Command::SetBands(set)) => self.supervisor.set_bands(set),
                (Event::RequestDone(_), Command::KillSwitch(switch)) => {
                    let client = self.supervisor.clients.entry(switch.account.raw()).or_default();
                    client.killed = switch.action == KillSwitch::KILL;
                }
                _ => {}
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Order { who, instrument, buys, ticks, lots, kind } => {
                let order = order(instrument, buys, ticks, lots, kind);
                self.run(TRADERS[who], order.into());
            }
            Step::Replace { who, pick, ticks, lots } => {
                let Some(order_id) = self.pick(who, pick) else { return };
                let (price, slot) = (Price::new(ticks * TICK), SlotHint::UNKNOWN);
                let replace = ReplaceOrder { order_id, price, qty: lots, slot, ..ReplaceOrder::default() };
                self.run(TRADERS[who], replace.into());
            }
            Step::Cancel { who, pick } => {
                let Some(order_id) = self.pick(who, pick) else { return };
                let cancel = CancelOrder { order_id, slot: SlotHint::UNKNOWN, ..CancelOrder::default() };
                self.run(TRADERS[who], cancel.into());
            }
            Step::Limits { who, order_value, open_value, orders, window } => {
                let limits = SetLimits {
                    account: AccountId::new(TRADERS[who]),
                    order_value_max: MicroEc::from_ec(order_value),
                    open_value_max: MicroEc::from_ec(open_value),
                    open_orders_max: orders,
                    window_accelerators_max: window,
                    ..SetLimits::default()
                };
                self.run(OPERATOR, limits.into());
            }
            Step::Bands { instrument, low, high, dynamic_bps } => {
                let bands = SetBands {
                    instrument: InstrumentId::new(1 + instrument as u32),
                    band_low: Price::new(low * TICK),
                    band_high: Price::new(high * TICK),
                    dynamic_bps,
                    ..SetBands::default()
                };
                self.run(OPERATOR, bands.into());
            }
            Step::Switch { who, kills } => {
                let switch = KillSwitch {
                    account: AccountId::new(TRADERS[who]),
                    scope: KillSwitch::SCOPE_ACCOUNT,
                    action: if kills { KillSwitch::KILL } else { KillSwitch::ENABLE },
                    ..KillSwitch::default()
                };
                self.run(OPERATOR, switch.into());
            }
        }
    }

    fn pick(&self, who: usize, pick: usize) -> Option<OrderId> {
        let open = self.supervisor.open_orders_of(TRADERS[who]);
        open.get(pick % open.len().max(1)).copied()
    }
}

fn order(instrument: usize, buys: bool, ticks: i64, lots: u32, kind: Kind) -> NewOrder {
    let order = NewOrder {
        instrument: InstrumentId::new(1 + instrument as u32),
        price: Price::new(ticks * TICK),
        qty: lots,
        side: if buys { Side::Buy } else { Side::Sell }.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        ..NewOrder::default()
    };
    let immediate = NewOrder { time_in_force: TimeInForce::Ioc.raw(), ..order };
    match kind {
        Kind::Rests => order,
        Kind::PostOnly => NewOrder { flags: 1, ..order },
        Kind::Iceberg => NewOrder { display_qty: 1 + lots / 3, ..order },
        Kind::Immediate => immediate,
        Kind::FillOrKill => NewOrder { time_in_force: TimeInForce::Fok.raw(), ..order },
        Kind::Market => NewOrder { order_type: 1, price: Price::ZERO, ..immediate },
        Kind::Budget => NewOrder {
            order_type: 2,
            price: Price::ZERO,
            qty: 0,
            side: Side::Buy.raw(),
            budget: MicroEc::from_ec(ticks),
            ..immediate
        },
    }
}

#[test]
fn no_accepted_order_breaks_a_limit() {
    let orders = size("JOULEBOOK_LIMITED_ORDERS", ORDERS_DEFAULT);
    // On average a case has half of the steps, of which two thirds are orders.
    let cases = u32::try_from((orders * 3).div_ceil(STEPS_MAX as u64)).expect("a size");
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let seen = RefCell::new(Seen::default());
    let steps = prop::collection::vec(step(), 1..STEPS_MAX);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let mut market = Market::open(&seen);
        for step in &steps {
            market.step(step);
        }
        market.engine.recount().expect("everything adds up");
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let Seen { accepted, refused } = seen.into_inner();
    let sent = accepted + refused.values().sum::<u64>();
    println!("{sent} orders and changes, {accepted} orders accepted, refused by reason: {refused:?}");
    assert!(sent >= orders / 2 && accepted * 10 > sent * 2, "{accepted} of {sent} accepted");
    for reason in [
        RejectReason::QtyAboveMax,
        RejectReason::PriceOutsideBand,
        RejectReason::OrderLimit,
        RejectReason::InsufficientCredits,
        RejectReason::InsufficientCapacity,
        RejectReason::OpenOrderCap,
        RejectReason::OrderValueCap,
        RejectReason::OpenValueCap,
        RejectReason::WindowCap,
        RejectReason::EntryDisabled,
    ] {
        assert!(refused.contains_key(&reason.raw()), "nothing met {reason}: the orders are too tame");
    }
}
