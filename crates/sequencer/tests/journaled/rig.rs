//! A core on a journal in memory with the rings of one gateway, as a daemon has it, and its restart after a crash.

use std::sync::Arc;

use joulebook_engine::Engine;
use joulebook_journal::testing::MemStorage;
use joulebook_journal::{JournalMark, JournalReader, LocalConfig, LocalJournal, Term};
use joulebook_protocol::messages::*;
use joulebook_protocol::pipe::{CommandSlot, EventFrame};
use joulebook_protocol::{Command, Origin};
use joulebook_rings::{Consumer, Doorbell, Producer, Wake, ring};
use joulebook_sequencer::{Clock, Core, Egress, EgressKind, NoObserver, Replayer, Turn};
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
    session_outcomes_max: 100,
    outcomes_max: 10_000,
    area: AreaCode::NONE,
};

/// A saved engine, and where in the journal it stood.
pub struct Snapshot {
    state: Vec<u8>,
    mark: JournalMark,
}

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
        let mut rig = Self::over(MemStorage::new(), None, |_| clock);
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
    pub fn restart(
        &mut self,
        survives: impl FnMut(usize) -> bool,
        snapshot: Option<&Snapshot>,
        clock: impl FnOnce(TimeNs) -> C,
    ) {
        self.storage.crash(survives);
        *self = Self::over(self.storage.fork(), snapshot, clock);
        self.core.submit_system(&[Restarted::default().into()]);
        self.settle();
    }

    /// The state at the end of the journal, which must be settled.
    pub fn snapshot(&self) -> Snapshot {
        let mut state = Vec::new();
        self.core.engine().save(&mut |bytes| state.extend_from_slice(bytes));
        let mut reader = JournalReader::new(self.storage.fork(), SHARD).expect("a journal");
        while reader.next_batch().expect("no damage").is_some() {}
        let mark = reader.mark().expect("a journal with batches");
        assert_eq!(mark.seq, self.core.engine().last_seq(), "the journal is settled");
        Snapshot { state, mark }
    }

    fn over(storage: MemStorage, snapshot: Option<&Snapshot>, clock: impl FnOnce(TimeNs) -> C) -> Self {
        let (reader, engine) = match snapshot {
            None => (JournalReader::new(storage.clone(), SHARD), Engine::new()),
            Some(Snapshot { state, mark }) => {
                let engine = Engine::load(state).expect("what was saved");
                (JournalReader::after(storage.clone(), SHARD, mark), engine)
            }
        };
        let mut reader = reader.expect("a journal");
        let engine = run_through(&mut reader, engine, |_, _| {});
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
        let known = self.core.engine().session(AccountId::new(account), SessionId::new(session));
        let opened = SessionOpened {
            connection: connection_of(account, session, connection),
            last_event_seq: known.map_or(0, |session| session.last_event_seq),
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

/// What the journal on a disk says: the engine at its end, and what it says on the way: the time of each batch, and its
/// events with their connections.
pub fn replay(storage: &MemStorage, seen: impl FnMut(TimeNs, &Replayer)) -> Engine {
    let mut reader = JournalReader::new(storage.fork(), SHARD).expect("a journal");
    run_through(&mut reader, Engine::new(), seen)
}

/// Applies the rest of a journal, and compares with what was attested when it was written.
fn run_through(
    reader: &mut JournalReader<MemStorage>,
    engine: Engine,
    mut seen: impl FnMut(TimeNs, &Replayer),
) -> Engine {
    let mut replayer = Replayer::new(engine);
    while let Some(batch) = reader.next_batch().expect("no damage") {
        replayer.apply(&batch).expect("the same as when it ran");
        seen(batch.time, &replayer);
    }
    if let Some(digest) = reader.newest_digest() {
        replayer.check(digest).expect("the same as when it ran");
    }
    replayer.into_engine()
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
