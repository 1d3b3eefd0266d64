//! Snapshots are replays that were compared, and a recovery that begins with one ends where all others end.
#![forbid(unsafe_code)]

use std::sync::Arc;

use joulebook_engine::{Engine, Events};
use joulebook_journal::testing::{MemSnapshots, MemStorage};
use joulebook_journal::{
    Batch, CommandLog, EventDigest, JournalError, JournalFollower, JournalReader, LocalConfig, LocalJournal,
    LogEvent, MIN_SEGMENT_BYTES, SnapshotHeader, SnapshotName, SnapshotStorage, SnapshotWriter, Storage,
    StorageError, StorageErrorKind, Term, read_snapshot,
};
use joulebook_protocol::messages::{Genesis, OpenAccount};
use joulebook_protocol::pipe::EventFrame;
use joulebook_protocol::{Command, Origin, SequencedCommand};
use joulebook_rings::{Consumer, Doorbell, Wake, ring};
use joulebook_sequencer::{
    Clock, Compare, Core, DiffersAt, Egress, EgressKind, NoObserver, RecoverError, Recovered, ReplayError,
    Shadow, ShadowConfig, ShadowError, ShadowTurn, SnapshotProblem, Turn, apply_batch, distrust_newer,
    load_snapshot, recover, retire_snapshots,
};
use joulebook_types::{AccountId, Role, Roles, SeqNum, ShardId, TimeNs};

const SHARD: ShardId = ShardId::new(1);
const TERM: Term = Term::new(1);
/// More than the idle time after which a journal writes a marker, at a tick for each look at the clock.
const TURNS_TO_MARKER: u32 = 400;

struct Ticks(u64);

impl Clock for Ticks {
    fn now(&mut self) -> TimeNs {
        self.0 += 100_000;
        TimeNs::new(self.0)
    }
}

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

fn genesis() -> Command {
    Command::Genesis(Genesis {
        shard: SHARD,
        accounts_max: 10_000,
        sessions_max: 10,
        instruments_max: 10,
        orders_max: 10,
        outbox_events_max: 64,
        session_outcomes_max: 64,
        outcomes_max: 64,
        area: joulebook_types::AreaCode::NONE,
        reserved: 0,
    })
}

fn open_account(number: u32) -> Command {
    let roles = Roles::from_iter([Role::Buyer, Role::Maker]).bits();
    OpenAccount { account: AccountId::new(number), roles, ..OpenAccount::default() }.into()
}

fn journal(disk: &MemStorage, id: u64) -> LocalJournal<MemStorage> {
    let reader = JournalReader::new(disk.clone(), SHARD).expect("an empty disk");
    LocalJournal::open(reader, config(id)).expect("an empty disk")
}

fn config(id: u64) -> LocalConfig {
    LocalConfig { segment_bytes: MIN_SEGMENT_BYTES, group_bytes_max: 16 << 10, ..LocalConfig::new(SHARD, id) }
}

/// A running exchange without a network.
struct Exchange {
    core: Core<LocalJournal<MemStorage>, Ticks>,
    events: Consumer<EventFrame>,
    accounts: u32,
}

impl Exchange {
    fn new(disk: &MemStorage, id: u64) -> Self {
        let mut exchange = Self::over(Engine::new(), journal(disk, id));
        exchange.core.submit_system(&[genesis()]);
        exchange.settle();
        exchange
    }

    /// Goes on where a recovery has ended.
    fn again(recovered: Recovered<MemStorage>, accounts: u32) -> Self {
        let journal = LocalJournal::open(recovered.reader, config(0)).expect("a drained reader");
        Self { accounts, ..Self::over(recovered.engine, journal) }
    }

    fn over(engine: Engine, journal: LocalJournal<MemStorage>) -> Self {
        let (sender, events) = ring(1_024);
        let bell = Arc::new(Doorbell::new(Arc::new(Silent)));
        let egress = vec![Egress { kind: EgressKind::Gateway, ring: sender, bell }];
        let clock = Ticks(engine.time().raw());
        let core = Core::new(engine, journal, TERM, clock, NoObserver, Vec::new(), egress);
        Self { core, events, accounts: 0 }
    }

    /// Batches of three commands each, every one durable before the next.
    fn trade(&mut self, batches: u32) {
        for _ in 0..batches {
            let first = self.accounts + 1;
            self.accounts += 3;
            self.core.submit_system(&[first, first + 1, first + 2].map(open_account));
            self.settle();
        }
    }

    fn settle(&mut self) {
        // The first turn numbers and applies what was submitted.
        while self.core.turn() == Turn::Busy || !self.core.is_settled() {
            assert_eq!(self.core.fault(), None);
            self.events.drain_with(usize::MAX, |_| {});
        }
        assert_eq!(self.core.committed(), self.core.engine().last_seq());
    }

    /// Time for the marker that vouches for the last batch.
    fn idle(&mut self) {
        self.turn(TURNS_TO_MARKER);
    }

    fn turn(&mut self, turns: u32) {
        for _ in 0..turns {
            self.core.turn();
        }
    }

    fn engine(&self) -> &Engine {
        self.core.engine()
    }
}

fn shadow(disk: &MemStorage, snapshot_commands: u64) -> Shadow<MemStorage> {
    let follower = JournalFollower::new(disk.clone(), SHARD, None).expect("a journal");
    Shadow::new(Engine::new(), follower, ShadowConfig::every(snapshot_commands))
}

fn catch_up(shadow: &mut Shadow<MemStorage>) {
    while shadow.turn(10).expect("a shadow that agrees") == ShadowTurn::Busy {}
}

fn restart(disk: &MemStorage, shelf: &MemSnapshots) -> Result<Recovered<MemStorage>, RecoverError> {
    recover(disk.fork(), &mut shelf.fork(), SHARD, true)
}

/// What two engines that did the same have in common.
fn fingerprint(engine: &Engine) -> (SeqNum, [u64; 2], [u8; 32]) {
    assert_eq!(engine.recount(), Ok(()));
    (engine.last_seq(), engine.event_chain_hash(), engine.state_hash())
}

/// An exchange, its disk, and three snapshots on the way, the last command of each.
fn with_three_snapshots() -> (Exchange, MemStorage, MemSnapshots, Vec<SnapshotName>) {
    let (disk, mut shelf) = (MemStorage::new(), MemSnapshots::new());
    let mut exchange = Exchange::new(&disk, 7);
    let mut shadow = shadow(&disk, 300);
    let mut names = Vec::new();
    for _ in 0..3 {
        while !shadow.is_due() {
            exchange.trade(1);
            catch_up(&mut shadow);
        }
        names.push(shadow.take(&mut shelf).expect("room"));
    }
    exchange.trade(40);
    exchange.idle();
    assert_eq!(shelf.list().unwrap(), names);
    (exchange, disk, shelf, names)
}

#[test]
fn every_snapshot_and_its_tail_come_to_the_same_state() {
    let (exchange, disk, shelf, names) = with_three_snapshots();
    let live = fingerprint(exchange.engine());
    let full = restart(&disk, &MemSnapshots::new()).expect("a whole journal");
    assert_eq!((fingerprint(&full.engine), full.snapshot), (live, None));

    for (index, name) in names.iter().enumerate() {
        assert_eq!(name.seq.raw(), 300 * (index as u64 + 1) + 1, "the first batch that has all of them");
        let mut only = MemSnapshots::new();
        only.set_bytes(*name, shelf.bytes(*name));
        let recovered = restart(&disk, &only).expect("a snapshot and its tail");
        assert_eq!(fingerprint(&recovered.engine), live);
        assert_eq!((recovered.snapshot, &*recovered.skipped), (Some(*name), [].as_slice()));
        assert_eq!(recovered.batches, (live.0.raw() - name.seq.raw()) / 3);
        assert_eq!(only.list().unwrap(), [*name], "recovery changes nothing");
    }

    // And the exchange goes on from there, as does its shadow.
    let disk = disk.fork();
    let newest = recover(disk.clone(), &mut shelf.fork(), SHARD, true).expect("snapshots");
    assert_eq!(newest.snapshot, names.last().copied());
    let mut exchange = Exchange::again(newest, exchange.accounts);
    exchange.trade(50);
    exchange.idle();
    let (header, engine) = load_snapshot(&shelf.bytes(names[2])).expect("a whole snapshot");
    let follower = JournalFollower::new(disk, SHARD, Some(&header.mark)).expect("the same journal");
    let config = ShadowConfig::every(300);
    let mut shadow = Shadow::new(engine, follower, config);
    catch_up(&mut shadow);
    assert_eq!(shadow.last_seq().raw(), live.0.raw() + 150);
    assert_eq!(fingerprint(shadow.engine()), fingerprint(exchange.engine()));
}

#[test]
fn a_damaged_snapshot_gives_way_to_the_one_before() {
    let (exchange, disk, shelf, names) = with_three_snapshots();
    let live = fingerprint(exchange.engine());
    let mut damaged = Vec::new();
    for (name, older) in names.iter().rev().zip([Some(names[1]), Some(names[0]), None]) {
        let offset = shelf.bytes(*name).len() / 2;
        shelf.flip_bit(*name, offset, 3);
        damaged.push(*name);
        let recovered = restart(&disk, &shelf).expect("something older");
        assert_eq!((recovered.snapshot, fingerprint(&recovered.engine)), (older, live));
        let skipped: Vec<_> = recovered.skipped.iter().map(|skipped| skipped.name).collect();
        assert_eq!(skipped, damaged);
        let text = recovered.skipped.last().unwrap().problem.to_string();
        let block = offset / 4096 * 4096;
        assert_eq!(text, format!("{name}, byte {block}: the checksum of a block does not match"));
    }

    // Nothing left to begin with.
    let gone = disk.fork();
    gone.remove(1);
    let error = restart(&gone, &shelf).err().expect("the beginning is gone");
    let RecoverError::NoBeginning { first_seq, skipped, .. } = &error else { panic!("{error}") };
    assert_eq!((first_seq.raw() > 1, skipped.len()), (true, 3));
    let text = error.to_string();
    for wanted in ["segment 2 is the oldest", &names[0].to_string(), "checksum", "backup"] {
        assert!(text.contains(wanted), "{wanted} is not in: {text}");
    }
    let error = restart(&gone, &MemSnapshots::new()).err().expect("no snapshot at all").to_string();
    assert!(error.contains("none that can be used. Nothing was changed"), "{error}");
}

#[test]
fn what_is_not_durable_is_not_in_a_snapshot() {
    let disk = MemStorage::new();
    let mut exchange = Exchange::new(&disk, 7);
    let mut shadow = shadow(&disk, 10);
    exchange.trade(3);
    exchange.idle();
    catch_up(&mut shadow);
    assert_eq!(shadow.last_seq(), exchange.engine().last_seq());
    assert_eq!(shadow.state_hash(), exchange.engine().state_hash());

    disk.hold(true);
    exchange.core.submit_system(&[open_account(100)]);
    exchange.turn(50);
    assert_eq!(shadow.turn(1_000), Ok(ShadowTurn::Idle));
    assert!(shadow.last_seq() < exchange.engine().last_seq());
    assert!(!shadow.is_due() || shadow.last_seq() <= exchange.core.committed());
    disk.hold(false);
    exchange.settle();
    exchange.idle();
    catch_up(&mut shadow);
    assert_eq!(shadow.state_hash(), exchange.engine().state_hash());
}

#[test]
fn a_snapshot_that_cannot_be_written_is_tried_again_later() {
    let disk = MemStorage::new();
    let mut exchange = Exchange::new(&disk, 7);
    let mut shadow = shadow(&disk, 160);
    exchange.trade(60);
    exchange.idle();
    catch_up(&mut shadow);
    let mut shelf = MemSnapshots::new();
    for kind in [StorageErrorKind::NoSpace, StorageErrorKind::Io] {
        assert!(shadow.is_due());
        shelf.fail_write(shelf.writes() + 1, kind);
        let problem = shadow.take(&mut shelf).expect_err("a disk that refuses");
        assert!(matches!(problem, SnapshotProblem::Unreadable(error) if error.kind == kind));
        assert!(shelf.list().unwrap().is_empty() && !shelf.is_writing());
        assert!(!shadow.is_due(), "not at once");
        exchange.trade(4);
        exchange.idle();
        catch_up(&mut shadow);
    }
    assert!(shadow.is_due());
    let name = shadow.take(&mut shelf).expect("a disk that works again");
    assert_eq!(name.seq, exchange.engine().last_seq());
    assert!(!shadow.is_due());
    let recovered = restart(&disk, &shelf).expect("a snapshot");
    assert_eq!(fingerprint(&recovered.engine), fingerprint(exchange.engine()));
}

/// Keeps what it is given, but for one bit of every snapshot.
struct Rotten(MemSnapshots);

impl SnapshotStorage for Rotten {
    fn list(&mut self) -> Result<Vec<SnapshotName>, StorageError> {
        self.0.list()
    }

    fn begin(&mut self, name: SnapshotName) -> Result<(), StorageError> {
        self.0.begin(name)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.append(bytes)
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        self.0.finish()
    }

    fn abandon(&mut self) {
        self.0.abandon();
    }

    fn read(&mut self, name: SnapshotName) -> Result<Vec<u8>, StorageError> {
        let mut bytes = self.0.read(name)?;
        bytes[5_000] ^= 4;
        Ok(bytes)
    }

    fn remove(&mut self, name: SnapshotName) -> Result<(), StorageError> {
        self.0.remove(name)
    }

    fn file_name(&self, name: SnapshotName) -> String {
        self.0.file_name(name)
    }
}

#[test]
fn a_snapshot_that_does_not_come_back_as_it_was_written_does_not_count() {
    let disk = MemStorage::new();
    let mut exchange = Exchange::new(&disk, 7);
    let mut shadow = shadow(&disk, 160);
    exchange.trade(60);
    exchange.idle();
    catch_up(&mut shadow);
    let mut shelf = Rotten(MemSnapshots::new());
    let problem = shadow.take(&mut shelf).expect_err("a disk that does not keep what it took");
    assert!(matches!(problem, SnapshotProblem::Damaged { .. }), "{problem}");
    assert_eq!(shelf.list(), Ok(Vec::new()));
    assert_eq!(shadow.snapshot_seq(), SeqNum::NONE);
    assert_eq!(shadow.state_hash(), exchange.engine().state_hash(), "it goes on");
}

#[test]
fn snapshots_without_an_interval_are_never_due() {
    let disk = MemStorage::new();
    let mut exchange = Exchange::new(&disk, 7);
    exchange.trade(5);
    exchange.idle();
    let mut shadow = shadow(&disk, 0);
    catch_up(&mut shadow);
    assert_eq!((shadow.is_due(), shadow.last_seq()), (false, exchange.engine().last_seq()));
}

/// A journal of batches of three whose events were attested as they were, but for one step of one batch.
fn forged(batches: u64, wrong: u64, step: usize) -> MemStorage {
    let disk = MemStorage::new();
    let mut log = journal(&disk, 9);
    let (mut engine, mut events, mut said) = (Engine::new(), Vec::new(), Events::default());
    let mut digest = EventDigest::default();
    let poll = |log: &mut LocalJournal<MemStorage>, events: &mut Vec<LogEvent>, time: u64| {
        log.poll(TimeNs::new(time), events);
    };
    for number in 1..=batches {
        let mut batch = Batch::new();
        batch.clear(TimeNs::new(number));
        for index in 0..3 {
            let command =
                if number == 1 && index == 0 { genesis() } else { open_account(number as u32 * 3 + index) };
            let mut record = Vec::new();
            SequencedCommand { origin: Origin::SYSTEM, command }.encode(&mut record);
            batch.push(&record);
        }
        log.propose(TERM, batch.clone()).expect("room");
        let (first, records) = (engine.last_seq().next(), batch.records());
        apply_batch(&mut engine, first, batch.time(), records, &mut said, &mut digest).expect("own records");
        if number == wrong {
            // What follows from one command that did something else.
            digest.chain[0] ^= 1;
            digest.steps[step..].iter_mut().for_each(|low| *low ^= 1);
        }
        log.attest(&digest);
        while log.durable_seq() < log.last_seq() {
            poll(&mut log, &mut events, number);
        }
    }
    log.shutdown();
    while !log.is_stopped() {
        poll(&mut log, &mut events, 1 << 40);
        events.clear();
    }
    disk
}

#[test]
fn an_engine_that_says_something_else_is_found_out() {
    for (wrong, step) in [(40, 2), (40, 0), (80, 3)] {
        let disk = forged(80, wrong, step);
        let first = SeqNum::new(3 * wrong - 2);
        let at = match step {
            0 => DiffersAt::Timers,
            step => DiffersAt::Command(SeqNum::new(first.raw() + step as u64 - 1)),
        };

        let mut shadow = shadow(&disk, 30);
        let mut shelf = MemSnapshots::new();
        let error = loop {
            match shadow.turn(1) {
                Ok(ShadowTurn::Busy) if shadow.is_due() => drop(shadow.take(&mut shelf).expect("room")),
                Ok(ShadowTurn::Busy) => {}
                Ok(ShadowTurn::Idle) => panic!("nothing was noticed"),
                Err(error) => break error,
            }
        };
        let ShadowError::Replay(ReplayError::Differs(found)) = error else { panic!("{error}") };
        assert_eq!((found.first_seq, found.last_seq.raw(), found.at), (first, 3 * wrong, at));
        assert!(shelf.list().unwrap().iter().all(|name| name.seq.raw() <= 3 * wrong));

        // Also from a snapshot, and when told to trust, not at all.
        for (shelf, is_empty) in [(MemSnapshots::new(), true), (shelf, false)] {
            let error = restart(&disk, &shelf).err().expect("it differs");
            let RecoverError::Replay(ReplayError::Differs(found)) = &error else { panic!("{error}") };
            assert_eq!(found.last_seq.raw(), 3 * wrong);
            // The newest snapshot may contain the batch; then its steps are not known any more.
            assert!(!is_empty || (found.first_seq, found.at) == (first, at));
            let trusted = recover(disk.fork(), &mut shelf.fork(), SHARD, false).expect("not compared");
            assert_eq!(trusted.engine.last_seq().raw(), 240);
        }
        let follower = JournalFollower::new(disk.clone(), SHARD, None).unwrap();
        let end = SeqNum::new(240);
        let trusting =
            ShadowConfig { snapshot_commands: 1_000, compare: Compare::Nothing, first_due: Some(end) };
        let mut shadow = Shadow::new(Engine::new(), follower, trusting);
        while shadow.turn(3).expect("nothing is compared") == ShadowTurn::Busy {
            assert_eq!(shadow.is_due(), shadow.last_seq() == end, "at {}", shadow.last_seq());
        }
        // From the end on, what the exchange attests is again what this program says.
        let mut shelf = MemSnapshots::new();
        let name = shadow.take(&mut shelf).expect("room");
        assert_eq!((name.seq, shadow.is_due()), (end, false));
        let (header, _) = load_snapshot(&shelf.bytes(name)).expect("a whole snapshot");
        assert!(header.unattested);
        let recovered = restart(&disk, &shelf).expect("what was attested before is not compared");
        assert_eq!((recovered.snapshot, recovered.engine.last_seq()), (Some(name), end));
    }
}

#[test]
fn a_snapshot_that_its_journal_does_not_reach_is_no_beginning() {
    let (_, disk, shelf, names) = with_three_snapshots();
    // Another exchange of the same length, and this one as it was before.
    let (other, young) = (MemStorage::new(), MemStorage::new());
    for (disk, id, batches) in [(&other, 8, 400), (&young, 7, 250)] {
        let mut exchange = Exchange::new(disk, id);
        exchange.trade(batches);
        exchange.idle();
    }
    for (disk, what) in
        [(&other, "has another name"), (&young, "ends with command"), (&MemStorage::new(), "")]
    {
        let error = restart(disk, &shelf).err().expect("a snapshot without its journal");
        let text = error.to_string();
        let RecoverError::Misfit { file, error, .. } = error else { panic!("{text}") };
        assert_eq!(file, names[2].to_string());
        assert!(matches!(*error, JournalError::ForeignMark { .. }) && text.contains(what), "{text}");
    }
    // The journal's own damage is reported as its own. Behind the segments in use there are blank ones.
    let bad = disk.fork();
    let numbers = bad.clone().segments().unwrap().into_iter().map(|segment| segment.number);
    let used = numbers.filter(|number| bad.bytes(*number)[0] != 0).max().unwrap();
    bad.flip_bit(used - 1, 9_000, 1);
    assert!(matches!(restart(&bad, &shelf), Err(RecoverError::Journal(JournalError::Corrupt { .. }))));
}

#[test]
fn a_snapshot_must_be_what_its_header_and_its_name_say() {
    let (_, _, shelf, names) = with_three_snapshots();
    let (header, body) = read_snapshot(&shelf.bytes(names[1])).unwrap();
    let write = |header: &SnapshotHeader, body: &[u8]| {
        let shelf = MemSnapshots::new();
        let mut writer = SnapshotWriter::begin(shelf.clone(), header).unwrap();
        writer.write(body);
        shelf.bytes(writer.finish().unwrap())
    };
    let mut mark = header.mark;
    mark.seq = mark.seq.next();
    let cases = [
        (SnapshotHeader { mark, ..header }, "command"),
        (SnapshotHeader { events: [0, 1], ..header }, "hash of events"),
        (SnapshotHeader { state_hash: [7; 32], ..header }, "state hash"),
        (SnapshotHeader { state_version: 99, ..header }, "encoding 99"),
    ];
    for (wrong, what) in cases {
        let damage = load_snapshot(&write(&wrong, &body)).map(drop).expect_err("a header that lies");
        assert!(damage.to_string().contains(what), "{damage}");
    }
    let cut_short = &body[..body.len() - 1];
    let damage = load_snapshot(&write(&header, cut_short)).map(drop).expect_err("a state cut short");
    assert!(damage.offset_bytes >= 4096, "{damage}");

    let mut shelf = shelf;
    shelf.set_bytes(names[2], write(&header, &body));
    let opened = joulebook_sequencer::open_snapshot(&mut shelf, names[2]);
    let problem = opened.map(drop).expect_err("a wrong name");
    assert!(matches!(&problem, SnapshotProblem::Damaged { file, damage }
        if *file == names[2].to_string() && damage.what.contains(&names[1].to_string())));
}

#[test]
fn as_many_whole_snapshots_stay_as_are_wanted() {
    let (_, _, shelf, names) = with_three_snapshots();
    let retire = |kept, damaged: &[SnapshotName]| {
        let mut shelf = shelf.fork();
        let upto = retire_snapshots(&mut shelf, kept, damaged).expect("a disk that works");
        (upto, shelf.list().unwrap())
    };
    assert_eq!(retire(4, &[]), (None, names.clone()));
    assert_eq!(retire(3, &[]), (Some(names[0].seq), names.clone()));
    assert_eq!(retire(2, &[]), (Some(names[1].seq), names[1..].to_vec()));
    assert_eq!(retire(1, &[]), (Some(names[2].seq), names[2..].to_vec()));
    // A damaged one is no fallback.
    assert_eq!(retire(2, &names[1..2]), (Some(names[0].seq), names.clone()));
    assert_eq!(retire(2, &names[..1]), (Some(names[1].seq), names[1..].to_vec()));
    assert_eq!(retire(1, &names[1..2]), (Some(names[2].seq), names[2..].to_vec()));
    assert_eq!(retire(2, &names[1..]), (None, names.clone()));
}

#[test]
fn what_a_failed_snapshot_left_is_no_snapshot() {
    let (_, _, mut shelf, names) = with_three_snapshots();
    // The second was the last to be read back.
    let mut damaged = vec![names[0]];
    for _ in 0..2 {
        distrust_newer(&mut shelf, names[1].seq, &mut damaged).expect("a disk that works");
        assert_eq!(damaged, [names[0], names[2]]);
    }
    let upto = retire_snapshots(&mut shelf, 1, &damaged).expect("a disk that works");
    assert_eq!((upto, shelf.list().unwrap()), (Some(names[1].seq), names[1..].to_vec()));
}

#[test]
fn a_snapshot_frees_segments_once() {
    let (disk, mut shelf) = (MemStorage::new(), MemSnapshots::new());
    let mut exchange = Exchange::new(&disk, 7);
    let mut shadow = shadow(&disk, 1_000_000);
    let mut frees = Vec::new();
    for _ in 0..4 {
        exchange.trade(1);
        exchange.idle();
        catch_up(&mut shadow);
        frees.push(shadow.would_free_segments());
    }
    assert_eq!(frees.last(), Some(&true), "never tried");
    shadow.take(&mut shelf).expect("room");
    assert!(!shadow.would_free_segments(), "there is one of now");
    exchange.trade(1);
    exchange.idle();
    catch_up(&mut shadow);
    assert!(!shadow.would_free_segments(), "a new one would free what is free already");
    while !shadow.would_free_segments() {
        exchange.trade(1);
        catch_up(&mut shadow);
    }
    assert!(shadow.snapshot_seq() < shadow.last_seq() && !shadow.is_due());
}
