//! Random commands against everything that must always hold: public events rebuild the engine's books in a slow book,
//! all figures recount, the same stream gives the same hashes, and nothing panics.

#[path = "random_commands/maker_steps.rs"]
mod maker_steps;
#[path = "random_commands/market_steps.rs"]
mod market_steps;
#[path = "random_commands/replayed.rs"]
mod replayed;

use std::collections::BTreeMap;

use joulebook_engine::{Destination, Engine, Events, OpenOrder};
use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Event, Frame, Origin, PublicEvent, SequencedCommand, SessionMessage};
use joulebook_types::*;
use maker_steps::{MakerStep, maker_step};
use market_steps::{MarketStep, market_step};
use proptest::prelude::*;
use replayed::Replayed;

/// 2026-11-24T14:00Z, in minutes.
const START: u32 = 29_925_480;
const OPERATOR: u32 = 1;
const TRADERS: [u32; 5] = [10, 11, 20, 21, 30];

/// What a step does; small numbers that `command` turns into fields, some of them wrong on purpose.
#[derive(Clone, Debug)]
enum Step {
    New { instrument: u32, sell: bool, ticks: i64, lots: u32, time_in_force: u8, flags: u8, extra: Extra },
    Reduce { back: u64, lots: u32 },
    Batch { instrument: u32, count: u8, ticks: i64, back: u64 },
    Cancel { back: u64, by_request: bool, slot: u32 },
    Replace { back: u64, ticks: i64, lots: u32 },
    MassCancel { scope: u8, instrument: u32 },
    Maker(MakerStep),
    Market(MarketStep),
    Token { ktok: u64, limit: i64, flags: u8, time_in_force: u8, count: u8, first: u32, self_trade: u8 },
    Query { back: u64 },
    Register { accelerators: u32 },
    Deliver { quarter: u32 },
    SetYield { yield_ktok: u32 },
    Repeat { back: u64 },
    Disconnect,
    Restart,
    Wait { ms: u32 },
}

/// What makes an order more than a plain limit order.
#[derive(Clone, Copy, Debug)]
struct Extra {
    order_type: u8,
    self_trade: u8,
    display_qty: u32,
    min_qty: u32,
    budget: i64,
}

fn extra() -> impl Strategy<Value = Extra> {
    let order_type = prop_oneof![12 => Just(0u8), 1 => Just(1), 1 => Just(2), 1 => 0..4u8];
    let display_qty = prop_oneof![3 => Just(0u32), 1 => 1..3u32];
    let min_qty = prop_oneof![9 => Just(0u32), 1 => 1..5u32];
    (order_type, 0..4u8, display_qty, min_qty, 0..900i64).prop_map(
        |(order_type, self_trade, display_qty, min_qty, budget)| Extra {
            order_type,
            self_trade,
            display_qty,
            min_qty,
            budget,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let ticks = prop_oneof![30 => 97..104i64, 1 => 95..106i64];
    let lots = prop_oneof![20 => 1..6u32, 1 => 0..8u32];
    let instrument = prop_oneof![30 => 1..5u32, 1 => 0..7u32];
    let time_in_force = prop_oneof![6 => Just(1u8), 3 => 1..4u8, 1 => 0..5u8];
    let flags = prop_oneof![8 => Just(0u8), 1 => 0..3u8];
    let new = (instrument.clone(), any::<bool>(), ticks.clone(), lots.clone(), time_in_force, flags, extra());
    let token = (
        0..1_500u64,
        0..9_000i64,
        0..2u8,
        2..4u8,
        prop_oneof![9 => 1..4u8, 1 => 0..18u8],
        prop_oneof![9 => Just(1u32), 1 => 1..5u32],
        0..4u8,
    );
    prop_oneof![
        20 => new.prop_map(|(instrument, sell, ticks, lots, time_in_force, flags, extra)| Step::New {
            instrument, sell, ticks, lots, time_in_force, flags, extra,
        }),
        2 => (0..30u64, 0..4u32).prop_map(|(back, lots)| Step::Reduce { back, lots }),
        1 => (instrument.clone(), 0..18u8, ticks.clone(), 0..30u64).prop_map(|(instrument, count, ticks, back)| {
            Step::Batch { instrument, count, ticks, back }
        }),
        4 => (0..30u64, prop::bool::weighted(0.3), 0..20u32).prop_map(|(back, by_request, slot)| Step::Cancel { back, by_request, slot }),
        7 => (0..30u64, ticks, lots).prop_map(|(back, ticks, lots)| Step::Replace { back, ticks, lots }),
        1 => (0..3u8, instrument).prop_map(|(scope, instrument)| Step::MassCancel { scope, instrument }),
        12 => maker_step().prop_map(Step::Maker),
        24 => market_step().prop_map(Step::Market),
        4 => token.prop_map(|(ktok, limit, flags, time_in_force, count, first, self_trade)| Step::Token {
            ktok, limit, flags, time_in_force, count, first, self_trade,
        }),
        1 => (0..30u64).prop_map(|back| Step::Query { back }),
        1 => (0..20u32).prop_map(|accelerators| Step::Register { accelerators }),
        1 => (0..4u32).prop_map(|quarter| Step::Deliver { quarter }),
        1 => (0..50u32).prop_map(|yield_ktok| Step::SetYield { yield_ktok }),
        1 => (0..9u64).prop_map(|back| Step::Repeat { back }),
        1 => Just(Step::Disconnect),
        1 => prop_oneof![9 => Just(Step::Wait { ms: 1 }), 1 => Just(Step::Restart)],
        1 => prop_oneof![6 => 0..2_000u32, 1 => 0..1_800_000u32].prop_map(|ms| Step::Wait { ms }),
    ]
}

/// Turns steps into sequenced commands. It knows only what a client would know.
#[derive(Default)]
struct Script {
    last_ids: BTreeMap<(u32, u32), u64>,
    connections: u64,
}

/// The order that a client would name: one of its own, now and then another's or one that is gone.
fn named_order(engine: &Engine, account: u32, back: u64) -> OrderId {
    let own = |order: &OpenOrder| back.is_multiple_of(8) || order.account == AccountId::new(account);
    let waiting = engine.pending_stops().map(|stop| stop.order);
    let orders = engine.open_orders().chain(waiting).filter(own).map(|order| order.order_id);
    let orders: Vec<OrderId> = orders.collect();
    let gone = OrderId::new(1 + back);
    if orders.is_empty() { gone } else { orders[back as usize % orders.len()] }
}

/// Fields that go together often enough; what does not is refused.
fn with_extra(order: NewOrder, extra: Extra) -> NewOrder {
    let Extra { order_type, self_trade, display_qty, min_qty, budget } = extra;
    let order = NewOrder { order_type, self_trade, min_qty, ..order };
    match order_type {
        0 => NewOrder { display_qty: if order.time_in_force == 1 { display_qty } else { 0 }, ..order },
        1 => NewOrder { price: Price::ZERO, ..order },
        _ => NewOrder {
            price: Price::ZERO,
            qty: 0,
            min_qty: 0,
            side: 1,
            time_in_force: 2,
            budget: MicroEc::new(budget * 1_000),
            ..order
        },
    }
}

fn batch_entries(instrument: u32, ticks: i64, order_id: OrderId) -> [BatchEntry; 16] {
    core::array::from_fn(|index| {
        let index = index as u8;
        BatchEntry {
            kind: [1, 1, 4, 3, 2, 5][usize::from(index) % 6],
            side: 1 + index % 2,
            time_in_force: 1 + index % 3,
            flags: u8::from(index == 7),
            instrument: InstrumentId::new(instrument),
            qty: 1 + u32::from(index) % 3,
            slot: SlotHint::UNKNOWN,
            order_id,
            price: Price::new((ticks + i64::from(index) % 3 - 1) * 1_000),
            ..Default::default()
        }
    })
}

impl Script {
    fn next_id(&mut self, account: u32, session: u32) -> ClientOrderId {
        let id = self.last_ids.entry((account, session)).or_default();
        *id += 1;
        ClientOrderId::new(*id)
    }

    fn commands(&mut self, engine: &Engine, who: (u32, u32), step: &Step) -> Vec<(u32, u32, Command)> {
        let (account, session) = who;
        let order_id = |back: u64| named_order(engine, account, back);
        let client_order_id = self.next_id(account, session);
        let own = |command: Command| vec![(account, session, command)];
        match *step {
            Step::New { instrument, sell, ticks, lots, time_in_force, flags, extra } => {
                let order = NewOrder {
                    client_order_id,
                    price: Price::new(ticks * 1_000),
                    instrument: InstrumentId::new(instrument),
                    qty: lots,
                    side: 1 + u8::from(sell),
                    time_in_force,
                    flags,
                    ..Default::default()
                };
                own(with_extra(order, extra).into())
            }
            Step::Reduce { back, lots } => {
                let (order_id, slot) = (order_id(back), SlotHint::UNKNOWN);
                own(ReduceOrder { client_order_id, order_id, slot, lots, ..Default::default() }.into())
            }
            Step::Batch { instrument, count, ticks, back } => {
                // Every entry has a number of its own.
                let ids = u64::from(count).clamp(1, 16);
                *self.last_ids.entry((account, session)).or_default() += ids - 1;
                let entries = batch_entries(instrument, ticks, order_id(back));
                own(OrderBatch { client_order_id, count, entries, ..Default::default() }.into())
            }
            Step::Cancel { back, by_request, slot } => {
                let target = ClientOrderId::new(client_order_id.raw().saturating_sub(back));
                let order_id = if by_request { OrderId::NONE } else { order_id(back) };
                let slot = SlotHint::new(slot);
                own(CancelOrder { client_order_id, order_id, target, slot, ..Default::default() }.into())
            }
            Step::Replace { back, ticks, lots } => {
                let (order_id, price) = (order_id(back), Price::new(ticks * 1_000));
                let slot = SlotHint::UNKNOWN;
                own(ReplaceOrder { client_order_id, order_id, price, slot, qty: lots, ..Default::default() }
                    .into())
            }
            Step::MassCancel { scope, instrument } => {
                let instrument = InstrumentId::new(instrument);
                own(MassCancel { client_order_id, instrument, scope, ..Default::default() }.into())
            }
            Step::Maker(ref step) if step.is_the_operators() => {
                let client_order_id = self.next_id(OPERATOR, 1);
                vec![(OPERATOR, 1, step.command(client_order_id, account, session))]
            }
            Step::Market(MarketStep::Seed { seed }) => {
                vec![(0, 0, joulebook_protocol::messages::Seed { seed }.into())]
            }
            Step::Market(ref step) if step.is_the_operators() => {
                let client_order_id = self.next_id(OPERATOR, 1);
                vec![(OPERATOR, 1, step.command(client_order_id, engine.time()))]
            }
            Step::Market(ref step) => {
                // Of two linked orders each has a number.
                self.next_id(account, session);
                own(step.command(client_order_id, engine.time()))
            }
            Step::Maker(ref step) => own(step.command(client_order_id, account, session)),
            Step::Token { ktok, limit, flags, time_in_force, count, first, self_trade } => {
                let instruments = core::array::from_fn(|index| InstrumentId::new(first + index as u32));
                own(TokenOrder {
                    client_order_id,
                    quantity: KiloTokens::new(ktok),
                    limit: TokenPrice::new(limit * 1_000),
                    model: ModelId::new(1),
                    time_in_force,
                    flags,
                    count,
                    self_trade,
                    instruments,
                    ..Default::default()
                }
                .into())
            }
            Step::Query { back } => {
                let order_id = order_id(back);
                vec![
                    (account, session, OrderQuery { client_order_id, order_id, ..Default::default() }.into()),
                    (account, session, AccountQuery { client_order_id }.into()),
                ]
            }
            Step::Register { accelerators } => own(register(client_order_id, accelerators)),
            Step::Deliver { quarter } => {
                let client_order_id = self.next_id(OPERATOR, 1);
                vec![(OPERATOR, 1, deliver(client_order_id, "H200S", quarter))]
            }
            Step::SetYield { yield_ktok } => {
                let client_order_id = self.next_id(OPERATOR, 1);
                vec![(OPERATOR, 1, set_yield(client_order_id, "H200S", yield_ktok))]
            }
            Step::Repeat { back } => {
                let client_order_id = ClientOrderId::new(client_order_id.raw().saturating_sub(back));
                own(NewOrder { client_order_id, qty: 1, ..Default::default() }.into())
            }
            Step::Disconnect => {
                let connection = self.connection();
                let closed = SessionClosed { connection, reason: 9, ..Default::default() };
                let mut commands = vec![(account, session, closed.into())];
                commands.push(self.log_on(account, session));
                commands
            }
            Step::Restart => {
                let mut commands = vec![(0, 0, Restarted::default().into())];
                for account in TRADERS.into_iter().chain([OPERATOR]) {
                    commands.push(self.log_on(account, 1));
                }
                commands
            }
            Step::Wait { .. } => vec![(0, 0, AdvanceTime::default().into())],
        }
    }

    fn connection(&self) -> ConnectionId {
        ConnectionId::of_gateway(1, self.connections.max(1))
    }

    fn log_on(&mut self, account: u32, session: u32) -> (u32, u32, Command) {
        self.connections += 1;
        let opened = SessionOpened {
            connection: self.connection(),
            last_event_seq: self.connections % 7,
            heartbeat_ms: 3_000,
            cancel_on_disconnect_ms: [0, 500, u32::MAX][self.connections as usize % 3],
        };
        (account, session, opened.into())
    }

    /// Accounts, three classes over the same hour, one of them in its first quarter too, and a book that opens later.
    fn opening(&mut self) -> Vec<(u32, u32, Command)> {
        let mut commands: Vec<(u32, u32, Command)> = Vec::new();
        let roles = |role: &[Role]| role.iter().copied().collect::<Roles>().bits();
        let open = |account, roles, self_trade_group| OpenAccount {
            account: AccountId::new(account),
            roles,
            self_trade_group,
            ..Default::default()
        };
        commands.push((0, 0, open(OPERATOR, roles(&[Role::Operator, Role::Issuer]), 0).into()));
        for (index, account) in TRADERS.into_iter().enumerate() {
            let group = if index < 2 { 0 } else { index as u32 / 3 };
            commands.push((
                0,
                0,
                open(account, roles(&[Role::Seller, Role::Buyer, Role::Maker]), group).into(),
            ));
        }
        commands.push(self.log_on(OPERATOR, 1));
        for (class, minutes, opens) in
            [("H200S", 60, 0), ("TPU6E", 60, 0), ("B200S", 60, 0), ("H200S", 15, 0), ("L40S", 60, START - 40)]
        {
            let client_order_id = self.next_id(OPERATOR, 1);
            commands.push((OPERATOR, 1, list(client_order_id, class, minutes, opens)));
        }
        for (class, yield_ktok) in [("H200S", 40), ("TPU6E", 30), ("B200S", 90)] {
            let client_order_id = self.next_id(OPERATOR, 1);
            commands.push((OPERATOR, 1, set_yield(client_order_id, class, yield_ktok)));
        }
        let amount = MicroEc::from_ec(1_000);
        let client_order_id = self.next_id(OPERATOR, 1);
        commands.push((OPERATOR, 1, MintCredits { client_order_id, amount, ..Default::default() }.into()));
        for account in TRADERS {
            let (amount, to) = (MicroEc::new(4_000_000), AccountId::new(account));
            let client_order_id = self.next_id(OPERATOR, 1);
            let deposit = DepositCredits { client_order_id, amount, to, ..Default::default() };
            commands.push((OPERATOR, 1, deposit.into()));
            for session in [1, 2] {
                commands.push(self.log_on(account, session));
            }
            for accelerators in [30, 31, 32] {
                let client_order_id = self.next_id(account, 1);
                commands.push((account, 1, register(client_order_id, accelerators)));
            }
        }
        commands
    }
}

fn register(client_order_id: ClientOrderId, accelerators: u32) -> Command {
    RegisterCapacity {
        client_order_id,
        class: ["H200S", "TPU6E", "B200S"][accelerators as usize % 3].parse().unwrap(),
        area: "DE".parse().unwrap(),
        start_minute: START,
        window_minutes: 60,
        accelerators,
        ..Default::default()
    }
    .into()
}

fn deliver(client_order_id: ClientOrderId, class: &str, quarter: u32) -> Command {
    let (class, area) = (class.parse().unwrap(), "DE".parse().unwrap());
    let slot = QuarterSlot::new(START / 15 + quarter);
    DeliverSlot { client_order_id, class, area, slot, ..Default::default() }.into()
}

fn set_yield(client_order_id: ClientOrderId, class: &str, yield_ktok: u32) -> Command {
    let (class, model) = (class.parse().unwrap(), ModelId::new(1));
    SetYield { client_order_id, class, yield_ktok: Yield::new(yield_ktok), model, ..Default::default() }
        .into()
}

fn list(client_order_id: ClientOrderId, class: &str, window_minutes: u16, opens_minute: u32) -> Command {
    ListInstrument {
        client_order_id,
        class: class.parse().unwrap(),
        area: "DE".parse().unwrap(),
        start_minute: START,
        window_minutes,
        accelerators_per_lot: if class == "TPU6E" { 3 } else { 2 },
        tick: Price::new(1_000),
        band_low: Price::new(97_000),
        band_high: Price::new(103_000),
        opens: TimeNs::from_minutes(opens_minute),
        gate: TimeNs::from_minutes(START - u32::from(window_minutes) / 4),
        qty_max: 6,
        taker_fee_ppm: 3_333,
        maker_fee_ppm: 1_111,
        ..Default::default()
    }
    .into()
}

/// An engine, and what those who listen to it know.
struct Run {
    engine: Engine,
    events: Events,
    replayed: Replayed,
    sessions: BTreeMap<u32, Inbox>,
}

/// What a logged-on client counts: events come one by one, and what it missed before anything new.
#[derive(Default)]
struct Inbox {
    next_seq: u64,
}

impl Inbox {
    fn take(&mut self, frame: &Frame<'_>) {
        if let Ok(SessionMessage::LogonAccepted(accepted)) = SessionMessage::decode(frame) {
            let newest = accepted.last_event_seq;
            self.next_seq = if accepted.resend_from_seq > 0 { accepted.resend_from_seq } else { newest + 1 };
        } else if Event::decode(frame).is_ok() {
            // Every event starts with its stamp, and the stamp with the number.
            let event_seq = u64::from_le_bytes(frame.block[..8].try_into().unwrap());
            if event_seq > 0 {
                assert_eq!(event_seq, self.next_seq, "no gap, no repeat");
                self.next_seq += 1;
            }
        }
    }
}

impl Run {
    fn new() -> Self {
        let mut run = Self {
            engine: Engine::new(),
            events: Events::new(),
            replayed: Replayed::default(),
            sessions: BTreeMap::new(),
        };
        let genesis = Genesis {
            shard: ShardId::new(1),
            accounts_max: 10,
            sessions_max: 20,
            instruments_max: 10,
            orders_max: 25,
            outbox_events_max: 300,
            session_outcomes_max: 20,
            outcomes_max: 150,
            ..Default::default()
        };
        run.batch(TimeNs::from_minutes(START - 60), &[(0, 0, genesis.into())]);
        run
    }

    fn batch(&mut self, time: TimeNs, commands: &[(u32, u32, Command)]) {
        self.events.clear();
        self.engine.begin_batch(self.engine.last_seq().next(), time, &mut self.events);
        for (account, session, command) in commands {
            let (account, session) = (AccountId::new(*account), SessionId::new(*session));
            let origin = Origin { account, session, received: time };
            // Through bytes, as from the journal.
            let mut record = Vec::new();
            SequencedCommand { origin, command: *command }.encode(&mut record);
            let decoded = SequencedCommand::decode(&record).unwrap();
            self.engine.apply(&decoded, &mut self.events);
        }
        self.engine.end_batch(&mut self.events);
        for record in self.events.iter() {
            let (frame, _) = Frame::split(record.frame).unwrap().unwrap();
            match record.destination {
                Destination::Public => self.replayed.take(PublicEvent::decode(&frame).unwrap()),
                Destination::Connection(_) => self.sessions.entry(record.session).or_default().take(&frame),
            }
        }
    }

    fn check(&self) {
        self.engine.recount().unwrap();
        self.replayed.compare(&self.engine);
        let totals = self.engine.totals();
        assert_eq!(totals.supply(), totals.balances());
    }
}

/// Runs everything twice; checks the first run after each batch and compares the second at each batch's end.
fn run_twice(steps: &[(usize, bool, Step)]) {
    let mut script = Script::default();
    let (mut first, mut second) = (Run::new(), Run::new());
    let mut time = TimeNs::from_minutes(START - 60);
    let opening = script.opening();
    first.batch(time, &opening);
    second.batch(time, &opening);
    first.check();
    assert_eq!(first.engine.ignored_commands(), 0);
    for group in steps.chunks(3) {
        let mut commands = Vec::new();
        for (trader, other_session, step) in group {
            if let Step::Wait { ms } = step {
                time = time.saturating_add_ms(*ms);
            }
            let session = if *other_session { 2 } else { 1 };
            commands.extend(script.commands(&first.engine, (TRADERS[*trader], session), step));
        }
        first.batch(time, &commands);
        first.check();
        second.batch(time, &commands);
        assert_eq!(first.engine.event_chain_hash(), second.engine.event_chain_hash());
    }
    let client_order_id = script.next_id(OPERATOR, 1);
    for run in [&mut first, &mut second] {
        settle(run, client_order_id);
    }
    assert_eq!(first.engine.state_hash(), second.engine.state_hash());
}

/// Every gate passes and every slot is delivered: nothing is held and nothing waits any more.
fn settle(run: &mut Run, first_id: ClientOrderId) {
    let mut client_order_id = first_id;
    let mut commands = Vec::new();
    for class in ["H200S", "TPU6E", "B200S"] {
        for quarter in 0..4 {
            commands.push((OPERATOR, 1, deliver(client_order_id, class, quarter)));
            client_order_id = client_order_id.next();
        }
    }
    run.batch(TimeNs::from_minutes(START), &commands);
    run.check();
    let totals = run.engine.totals();
    assert_eq!((totals.held, totals.escrow), (MicroEc::ZERO, MicroEc::ZERO));
    assert_eq!(run.engine.open_order_count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_always_holds(
        steps in prop::collection::vec((0..TRADERS.len(), prop::bool::weighted(0.2), step()), 1..200),
    ) {
        run_twice(&steps);
    }

    /// A journal may hold any bytes that decode: they must not be able to bring the engine down.
    #[test]
    fn arbitrary_fields_never_panic(
        commands in prop::collection::vec((0..6usize, 0..3u32, 20..60u16, prop::collection::vec(any::<u8>(), 160)), 1..40),
    ) {
        let mut script = Script::default();
        let mut run = Run::new();
        let time = TimeNs::from_minutes(START - 60);
        run.batch(time, &script.opening());
        for (account, session, template_id, bytes) in commands {
            let header = joulebook_protocol::FrameHeader {
                block_len: bytes.len() as u16,
                template_id,
                schema_id: joulebook_protocol::SCHEMA_ID,
                version: joulebook_protocol::VERSION,
            };
            let frame = Frame { header, block: &bytes };
            let account = if account == 5 { OPERATOR } else { TRADERS[account] };
            if let Ok(command) = Command::decode(&frame) {
                let who = if session == 0 { (0, 0) } else { (account, session) };
                run.batch(time, &[(who.0, who.1, command)]);
                run.check();
            }
        }
    }
}
