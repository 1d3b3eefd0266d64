//! A small exchange without sockets that writes a real journal into a folder, for tests of what reads one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crossbeam::sync::Parker;
use joulebook_engine::{Engine, Events};
use joulebook_journal::{
    Batch, CommandLog, EventDigest, JournalReader, LocalConfig, LocalJournal, LogEvent, SnapshotHeader,
    SnapshotName, SnapshotWriter, Term,
};
use joulebook_protocol::messages::{
    AdvanceTime, DepositCredits, Genesis, ListInstrument, MassQuote, MintCredits, NewOrder, OpenAccount,
    QuotePair, RegisterCapacity, SessionClosed, SessionOpened,
};
use joulebook_protocol::{Command, Origin, SequencedCommand};
use joulebook_sequencer::{Replayer, apply_batch};
use joulebook_types::{
    AccountId, AreaCode, ClassCode, ClientOrderId, ConnectionId, InstrumentId, MicroEc, Price, Role, Roles,
    SeqNum, SessionId, ShardId, Side, TimeInForce, TimeNs,
};

use crate::recovery::SHARD;
use crate::snapshots::FileSnapshots;
use crate::storage::FileStorage;

pub const OPERATOR: u32 = 1;
pub const ISSUER: u32 = 2;
pub const SELLER: u32 = 10;
pub const BUYER: u32 = 11;
const START: TimeNs = TimeNs::from_minutes(29_925_240);
/// Two hours after the start.
const HOUR: u32 = 29_925_360;
pub const SYMBOL: &str = "H200S.DE.20261124T1200.H";
const SEGMENT_BYTES: u64 = 64 << 10;

pub struct Recorder {
    journal: LocalJournal<FileStorage>,
    parker: Parker,
    pub engine: Engine,
    now: TimeNs,
    last_ids: BTreeMap<u32, u64>,
    /// From this command on, what is attested is not what was said.
    lies_from: Option<SeqNum>,
}

impl Recorder {
    /// A folder with a market: an hour of H200S, a seller with 100 lots, a buyer with a million credits.
    pub fn start(dir: &Path) -> Self {
        let parker = Parker::new();
        let storage = FileStorage::open(dir, Arc::new(parker.unparker().clone())).expect("a free folder");
        let reader = JournalReader::new(storage, SHARD).expect("a journal");
        let config = LocalConfig { segment_bytes: SEGMENT_BYTES, ..LocalConfig::new(SHARD, 77) };
        let journal = LocalJournal::open(reader, config).expect("a journal");
        let (engine, last_ids) = (Engine::new(), BTreeMap::new());
        let mut recorder = Self { journal, parker, engine, now: START, last_ids, lies_from: None };
        recorder.open_market();
        recorder
    }

    pub fn lie_from(&mut self, seq: SeqNum) {
        self.lies_from = Some(seq);
    }

    fn open_market(&mut self) {
        let genesis = Genesis {
            shard: ShardId::new(1),
            reserved: 0,
            accounts_max: 20,
            sessions_max: 20,
            instruments_max: 20,
            orders_max: 100_000,
            outbox_events_max: 1_000,
            session_outcomes_max: 100,
            outcomes_max: 1_000,
            area: AreaCode::NONE,
        };
        let trader = [Role::Seller, Role::Buyer, Role::Maker];
        let accounts = [
            (OPERATOR, &[Role::Operator][..]),
            (ISSUER, &[Role::Issuer]),
            (SELLER, &trader),
            (BUYER, &trader),
        ];
        let mut first = vec![system(genesis)];
        first.extend(accounts.iter().map(|(account, roles)| {
            let roles = roles.iter().copied().collect::<Roles>().bits();
            system(OpenAccount { account: AccountId::new(*account), roles, ..OpenAccount::default() })
        }));
        self.batch(&first);
        accounts.iter().for_each(|(account, _)| self.log_on(*account));
        let (class, area) = ("H200S".parse::<ClassCode>().expect("a class"), "DE".parse().expect("an area"));
        self.request(
            OPERATOR,
            ListInstrument {
                class,
                area,
                start_minute: HOUR,
                window_minutes: 60,
                accelerators_per_lot: 8,
                tick: Price::new(10_000),
                band_low: Price::new(10_000),
                band_high: Price::new(1_000_000_000),
                gate: TimeNs::from_minutes(HOUR),
                qty_max: 1_000,
                ..ListInstrument::default()
            },
        );
        let register = RegisterCapacity {
            class,
            area,
            start_minute: HOUR,
            window_minutes: 60,
            accelerators: 800,
            ..RegisterCapacity::default()
        };
        self.request(SELLER, register);
        let amount = MicroEc::from_ec(1_000_000);
        self.request(ISSUER, MintCredits { amount, ..MintCredits::default() });
        self.request(
            ISSUER,
            DepositCredits { amount, to: AccountId::new(BUYER), ..DepositCredits::default() },
        );
    }

    pub fn log_on(&mut self, account: u32) {
        let connection = ConnectionId::of_gateway(1, account.into());
        let opened = SessionOpened {
            connection,
            last_event_seq: 0,
            heartbeat_ms: 3_000,
            cancel_on_disconnect_ms: u32::MAX,
        };
        self.batch(&[sequenced(account, opened)]);
    }

    pub fn hang_up(&mut self, account: u32) {
        let connection = ConnectionId::of_gateway(1, account.into());
        self.batch(&[sequenced(
            account,
            SessionClosed { connection, reason: 9, ..SessionClosed::default() },
        )]);
    }

    /// A batch of one request of an account's session 1, with the session's next number. Gives the sequence number.
    pub fn request(&mut self, account: u32, command: impl Into<Command>) -> SeqNum {
        let numbered = self.numbered(account, command);
        self.batch(&[numbered])
    }

    pub fn numbered(&mut self, account: u32, command: impl Into<Command>) -> SequencedCommand {
        let mut command = command.into();
        let last = self.last_ids.entry(account).or_default();
        command.set_client_order_id(ClientOrderId::new(*last + 1));
        *last += command.client_order_ids();
        sequenced(account, command)
    }

    /// A batch one millisecond later. Gives the number of its last command.
    pub fn batch(&mut self, commands: &[SequencedCommand]) -> SeqNum {
        self.now = self.now.saturating_add_ms(1);
        self.batch_at(self.now, commands)
    }

    /// Lets time pass; what is due happens.
    pub fn advance_to_gate(&mut self) -> SeqNum {
        self.now = TimeNs::from_minutes(HOUR);
        self.batch_at(self.now, &[system(AdvanceTime::default())])
    }

    fn batch_at(&mut self, time: TimeNs, commands: &[SequencedCommand]) -> SeqNum {
        let mut batch = Batch::new();
        batch.clear(time);
        for command in commands {
            let mut record = Vec::new();
            command.encode(&mut record);
            batch.push(&record);
        }
        let mut digest = EventDigest::default();
        let (first, mut events) = (self.engine.last_seq().next(), Events::new());
        apply_batch(&mut self.engine, first, time, batch.records(), &mut events, &mut digest)
            .expect("commands");
        self.journal.propose(Term::new(1), batch).expect("room");
        if let Some(lie) = self.lies_from.filter(|lie| *lie <= digest.seq) {
            // The first step is of the timers before the first command.
            let step = (lie.raw().saturating_sub(first.raw()) + 1) as usize;
            digest.steps[step..].iter_mut().for_each(|word| *word ^= 1);
            digest.chain[0] ^= 1;
        }
        self.journal.attest(&digest);
        self.settle(|journal| journal.durable_seq() == journal.last_seq());
        digest.seq
    }

    fn settle(&mut self, is_done: impl Fn(&LocalJournal<FileStorage>) -> bool) {
        let mut events = Vec::new();
        loop {
            self.journal.poll(self.now, &mut events);
            assert!(!events.iter().any(|event| matches!(event, LogEvent::Fault(_))), "{events:?}");
            if is_done(&self.journal) {
                return;
            }
            self.parker.park();
        }
    }

    /// A clean stop.
    pub fn stop(mut self) -> Engine {
        self.journal.shutdown();
        self.settle(LocalJournal::is_stopped);
        self.engine
    }

    /// As a killed process: what is durable is there, and no marker behind it.
    pub fn kill(self) -> Engine {
        self.engine
    }
}

/// A snapshot behind the batch that ends with `at`. With `lie`, its header claims another state than its body is.
pub fn take_snapshot(dir: &Path, at: SeqNum, lie: bool) -> SnapshotName {
    let storage = FileStorage::open_read_only(dir).expect("a folder");
    let mut reader = JournalReader::new(storage, SHARD).expect("a journal");
    let mut replayer = Replayer::new(Engine::new());
    while replayer.engine().last_seq() < at {
        let batch = reader.next_batch().expect("no damage").expect("it goes that far");
        replayer.apply(&batch).expect("the same events");
    }
    let engine = replayer.engine();
    let mut state_hash = engine.state_hash();
    state_hash[31] ^= u8::from(lie);
    let header = SnapshotHeader {
        mark: reader.mark().expect("behind a batch"),
        events: engine.event_chain_hash(),
        state_hash,
        state_version: Engine::STATE_VERSION,
        unattested: false,
    };
    let storage = FileSnapshots::open(dir, Arc::default()).expect("a folder");
    let mut writer = SnapshotWriter::begin(storage, &header).expect("space");
    engine.save(&mut |bytes| writer.write(bytes));
    writer.finish().expect("space")
}

pub fn system(command: impl Into<Command>) -> SequencedCommand {
    SequencedCommand { origin: Origin::SYSTEM, command: command.into() }
}

fn sequenced(account: u32, command: impl Into<Command>) -> SequencedCommand {
    let origin =
        Origin { account: AccountId::new(account), session: SessionId::new(1), received: TimeNs::new(5) };
    SequencedCommand { origin, command: command.into() }
}

/// A good-till-canceled limit order at a whole price.
pub fn order(side: Side, qty: u32, price_ec: i64) -> NewOrder {
    NewOrder {
        instrument: InstrumentId::new(1),
        side: side.raw(),
        qty,
        price: Price::new(price_ec * 1_000_000),
        time_in_force: TimeInForce::Gtc.raw(),
        ..NewOrder::default()
    }
}

/// A bid, or none.
pub fn bid(qty: u32, price_ec: i64) -> MassQuote {
    let mut quote = MassQuote { count: 1, ..MassQuote::default() };
    quote.pairs[0] = QuotePair {
        bid: Price::new(price_ec * 1_000_000),
        bid_qty: qty,
        instrument: InstrumentId::new(1),
        ..quote.pairs[0]
    };
    quote
}
