//! A core on a journal in memory with the rings of one gateway, as a daemon has it, and its restart after a crash.

use std::sync::Arc;

use joulebook_engine::{Engine, Events};
use joulebook_journal::testing::MemStorage;
use joulebook_journal::{JournalReader, LocalConfig, LocalJournal, Term};
use joulebook_protocol::messages::*;
use joulebook_protocol::pipe::{CommandSlot, EventFrame};
use joulebook_protocol::{Command, Origin};
use joulebook_rings::{Consumer, Doorbell, Producer, Wake, ring};
use joulebook_sequencer::{Clock, Core, Egress, EgressKind, NoObserver, Turn, apply_batch};
use joulebook_types::*;

pub const OPERATOR: u32 = 1;
pub const ISSUER: u32 = 2;
pub const BUYERS: [u32; 3] = [20, 21, 22];

const SHARD: ShardId = ShardId::new(1);

pub const GENESIS: Genesis = Genesis {
    shard: SHARD,
    reserved: 0,
    accounts_max: 20,
    sessions_max: 64,
    instruments_max: 200,
    orders_max: 20_000,
    outbox_events_max: 20_000,
    session_outcomes_max: 300,
    outcomes_max: 10_000,
    area: AreaCode::NONE,
};

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

/// The exchange between its rings and its disk.
pub struct Rig<C: Clock> {
    pub core: Core<LocalJournal<MemStorage>, C>,
    pub storage: MemStorage,
    commands: Producer<CommandSlot>,
    events: Consumer<EventFrame>,
}

impl<C: Clock> Rig<C> {
    /// A new exchange with an operator, an issuer, and buyers who are rich.
    pub fn new(clock: C) -> Self {
        let mut rig = Self::over(MemStorage::new(), |_| clock);
        rig.core.submit_system(&first_commands());
        rig.settle();
        for account in [OPERATOR, ISSUER].into_iter().chain(BUYERS) {
            rig.log_on(account, 9, 1, u32::MAX);
        }
        let amount = MicroEc::from_ec(1_000_000_000);
        for (number, account) in (0..).zip(BUYERS) {
            let (mint, deposit) = (ClientOrderId::new(2 * number + 1), ClientOrderId::new(2 * number + 2));
            rig.send(ISSUER, 9, MintCredits { client_order_id: mint, amount, ..Default::default() });
            let to = AccountId::new(account);
            rig.send(
                ISSUER,
                9,
                DepositCredits { client_order_id: deposit, amount, to, ..Default::default() },
            );
        }
        rig.settle();
        rig
    }

    /// The power goes, and what was not durable may or may not be on the disk that is left. Then comes recovery, with word
    /// of the restart. `clock` is given the engine's time.
    pub fn restart(&mut self, survives: impl FnMut(usize) -> bool, clock: impl FnOnce(TimeNs) -> C) {
        self.storage.crash(survives);
        *self = Self::over(self.storage.fork(), clock);
        self.core.submit_system(&[Restarted::default().into()]);
        self.settle();
    }

    fn over(storage: MemStorage, clock: impl FnOnce(TimeNs) -> C) -> Self {
        let mut reader = JournalReader::new(storage.clone(), SHARD).expect("a journal");
        let engine = run_through(&mut reader, |_| {});
        let config = LocalConfig { segment_bytes: 64 << 10, ..LocalConfig::new(SHARD, 7) };
        let journal = LocalJournal::open(reader, config).expect("a journal");
        let (commands, ingress) = ring(1_024);
        let (events_in, events) = ring(1 << 14);
        let bell = Arc::new(Doorbell::new(Arc::new(Silent)));
        let egress = vec![Egress { kind: EgressKind::Gateway, ring: events_in, bell }];
        let clock = clock(engine.time());
        let core = Core::new(engine, journal, Term::new(1), clock, NoObserver, vec![ingress], egress);
        Self { core, storage, commands, events }
    }

    pub fn send(&mut self, account: u32, session: u32, command: impl Into<Command>) {
        let origin = Origin {
            account: AccountId::new(account),
            session: SessionId::new(session),
            received: self.core.engine().time(),
        };
        let sent = self.commands.try_push(CommandSlot::new(origin, &command.into()));
        sent.expect("room: the core is settled often enough");
    }

    pub fn log_on(&mut self, account: u32, session: u32, connection: u64, grace_ms: u32) {
        let connection = connection_of(account, session, connection);
        let opened = SessionOpened {
            connection,
            last_event_seq: 0,
            heartbeat_ms: 3_000,
            cancel_on_disconnect_ms: grace_ms,
        };
        self.send(account, session, opened);
    }

    /// Turns until nothing moves any more and everything is durable; says what came out.
    pub fn settle(&mut self) -> Vec<EventFrame> {
        let (mut heard, mut idle) = (Vec::new(), 0);
        while idle < 4 || self.core.committed() < self.core.engine().last_seq() {
            idle = if self.core.turn() == Turn::Busy { 0 } else { idle + 1 };
            self.events.drain_with(usize::MAX, |event| heard.push(*event));
            assert_eq!(self.core.fault().map(ToString::to_string), None);
        }
        heard
    }
}

/// Names a connection; sessions of one account have different ones, and each logon, too.
pub fn connection_of(account: u32, session: u32, connection: u64) -> ConnectionId {
    ConnectionId::of_gateway(0, connection << 16 | u64::from(account) << 8 | u64::from(session))
}

/// What the journal on a disk says: the engine at its end, and each batch's time.
pub fn replay(storage: &MemStorage) -> (Engine, Vec<TimeNs>) {
    let mut reader = JournalReader::new(storage.fork(), SHARD).expect("a journal");
    let mut times = Vec::new();
    let engine = run_through(&mut reader, |time| times.push(time));
    (engine, times)
}

fn run_through(reader: &mut JournalReader<MemStorage>, mut seen: impl FnMut(TimeNs)) -> Engine {
    let (mut engine, mut out) = (Engine::new(), Events::default());
    while let Some(batch) = reader.next_batch().expect("no damage") {
        out.clear();
        seen(batch.time);
        apply_batch(&mut engine, batch.first_seq, batch.time, batch.records(), &mut out).expect("commands");
    }
    engine
}

fn first_commands() -> Vec<Command> {
    let roles = |role| Roles::from_iter([role]).bits();
    let open = |account: u32, role| {
        let account = AccountId::new(account);
        Command::from(OpenAccount { account, roles: roles(role), ..OpenAccount::default() })
    };
    let buyers = BUYERS.into_iter().map(|buyer| open(buyer, Role::Buyer));
    let first = [GENESIS.into(), open(OPERATOR, Role::Operator), open(ISSUER, Role::Issuer)];
    first.into_iter().chain(buyers).collect()
}

/// An hour in zone DE: lots of 8, ticks of 0.01 EC, a band from 1 to 1,000 EC.
pub fn hour(client_order_id: u64, start_minute: u32, gate: TimeNs) -> ListInstrument {
    ListInstrument {
        client_order_id: ClientOrderId::new(client_order_id),
        class: "H200S".parse().expect("a class"),
        area: "DE".parse().expect("a zone"),
        start_minute,
        window_minutes: 60,
        accelerators_per_lot: 8,
        tick: Price::new(10_000),
        band_low: Price::new(1_000_000),
        band_high: Price::new(1_000_000_000),
        gate,
        qty_max: 1_000,
        ..ListInstrument::default()
    }
}

/// A bid over some lots at a price in whole credits.
pub fn bid(client_order_id: u64, instrument: InstrumentId, lots: u32, ec: i64) -> NewOrder {
    NewOrder {
        client_order_id: ClientOrderId::new(client_order_id),
        instrument,
        side: Side::Buy.raw(),
        qty: lots,
        price: Price::new(ec * 1_000_000),
        time_in_force: TimeInForce::Gtc.raw(),
        ..NewOrder::default()
    }
}
