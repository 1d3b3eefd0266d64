//! How long an exchange needs to come back: a journal of the plain mix, written by the core itself, is replayed alone, and
//! then a daemon starts on it, without a snapshot and with one that is a million commands old.
//!
//! `cargo bench -p joulebook-benches --bench recovery [-- --commands 10000000 --resting 1000 --dir DIR]`
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam::sync::Parker;
use joulebook_benches::{Arguments, BATCH_COMMANDS, PlainMix, Verdict, load_average};
use joulebook_engine::Engine;
use joulebook_journal::{JournalFollower, JournalReader, LocalConfig, LocalJournal, Term};
use joulebook_protocol::SequencedCommand;
use joulebook_protocol::pipe::{CommandSlot, EventFrame};
use joulebook_rings::{Consumer, Doorbell, Producer, ring};
use joulebook_sequencer::{Clock, Core, Egress, EgressKind, NoObserver, Shadow, ShadowConfig, Turn};
use joulebook_server::config::Config;
use joulebook_server::recovery::{SHARD, replay_folder};
use joulebook_server::snapshots::FileSnapshots;
use joulebook_server::storage::FileStorage;
use joulebook_server::{Daemon, Label, identity};
use joulebook_types::TimeNs;

const COMMANDS: u64 = 10_000_000;
const RESTING: usize = 1_000;
/// The promises: ten million commands replayed, and a start from a snapshot that is a million commands old, in seconds.
const REPLAY_S_PER_COMMAND: f64 = 10.0 / 10_000_000.0;
const RESTART_S: f64 = 2.0;
/// Commands after the snapshot.
const SNAPSHOT_AGE: u64 = 1_000_000;
/// Slots between the generator and the core, and frames on the way back.
const RING: usize = 1 << 14;

fn main() {
    let arguments = Arguments::read(&["--commands", "--resting", "--dir"]);
    let commands = arguments.value("--commands", COMMANDS);
    let scratch = tempfile::tempdir_in(arguments.folder("--dir")).expect("a folder for the journal");
    let dir = scratch.path().join("data");

    let load = load_average();
    let resting = arguments.value("--resting", RESTING);
    let started = Instant::now();
    let (events, state) = write_journal(&dir, commands, resting);
    println!("written: {commands} commands, {} MiB, in {:.1} s", mib(&dir), started.elapsed().as_secs_f64());
    let mut replay_s = f64::MAX;
    for _ in 0..2 {
        let (engine, replayed) = replay_folder(&dir).expect("a journal that can be replayed");
        assert_eq!((engine.event_chain_hash(), engine.state_hash()), (events, state), "another history");
        let (last, seconds) = (replayed.last_seq.raw(), replayed.duration.as_secs_f64());
        // Of two, the one that was disturbed less.
        replay_s = replay_s.min(seconds);
        println!(
            "replayed alone: {last} commands in {seconds:.2} s, {:.0} commands/s",
            last as f64 / seconds
        );
    }
    let took = restart(&dir);
    println!("restart of the daemon without a snapshot: {:.2} s", took.as_secs_f64());
    let taken = take_snapshot(&dir, commands.saturating_sub(SNAPSHOT_AGE).max(1));
    let took = restart(&dir);
    println!("restart of the daemon, snapshot at {taken}: {:.2} s", took.as_secs_f64());
    println!();
    let promise = &format!("full replay of {commands} commands, in seconds");
    let at_most = commands as f64 * REPLAY_S_PER_COMMAND;
    println!("{}", Verdict { promise, measured: replay_s, at_most, load });
    let promise = "restart with a snapshot a million commands old, in seconds";
    println!("{}", Verdict { promise, measured: took.as_secs_f64(), at_most: RESTART_S, load });
}

/// As the daemon's shadow does beside the trading. Gives back the snapshot's last command, hardly later than asked for.
fn take_snapshot(dir: &Path, commands: u64) -> u64 {
    let storage = FileStorage::open_read_only(dir).expect("a journal");
    let follower = JournalFollower::new(storage, SHARD, None).expect("a whole journal");
    let config = ShadowConfig::every(commands);
    let mut shadow = Shadow::new(Engine::new(), follower, config);
    while !shadow.is_due() {
        shadow.turn(BATCH_COMMANDS as u64).expect("a replay of what was said");
    }
    let mut snapshots = FileSnapshots::open(dir, Arc::default()).expect("a folder");
    let started = Instant::now();
    let name = shadow.take(&mut snapshots).expect("a snapshot");
    println!("snapshot {name}: written in {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    name.seq.raw()
}

/// Every command through ring, core, journal and engine, as in a daemon. Gives back the hashes of the events and the state.
fn write_journal(dir: &Path, commands: u64, resting: usize) -> ([u64; 2], [u8; 32]) {
    // What a daemon would make at its first start, and find at the next.
    std::fs::create_dir(dir).expect("a folder");
    identity::tls_identity(dir).expect("an identity");
    identity::reset_key(dir).expect("a key");

    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let began = TimeNs::new(u64::try_from((now - HOUR).as_nanos()).expect("a clock before 2554"));
    let mut mix = PlainMix::new(resting, 1, began.minutes() / 60 * 60 + 48 * 60);
    let mut exchange = Exchange::open(dir, began);
    let mut batch = mix.prelude();
    let mut sent = 0;
    loop {
        for chunk in batch.chunks(BATCH_COMMANDS) {
            exchange.send(chunk);
        }
        sent += batch.len() as u64;
        batch.clear();
        if commands <= sent {
            return exchange.close();
        }
        while batch.len() < BATCH_COMMANDS {
            mix.next(&mut batch);
        }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

/// The core of a daemon without sockets.
struct Exchange {
    core: Core<LocalJournal<FileStorage>, Ticks>,
    commands: Producer<CommandSlot>,
    events: Consumer<EventFrame>,
    parker: Parker,
}

/// A microsecond for each time that somebody looks.
struct Ticks(u64);

impl Clock for Ticks {
    fn now(&mut self) -> TimeNs {
        self.0 += 1_000;
        TimeNs::new(self.0)
    }
}

impl Exchange {
    fn open(dir: &Path, began: TimeNs) -> Self {
        let parker = Parker::new();
        let waker = Arc::new(parker.unparker().clone());
        let storage = FileStorage::open(dir, waker).expect("a folder of our own");
        let reader = JournalReader::new(storage, SHARD).expect("an empty journal");
        let journal = LocalJournal::open(reader, LocalConfig::new(SHARD, 1)).expect("a journal");
        let (commands, ingress) = ring(RING);
        let (gateway, events) = ring(RING);
        let bell = Arc::new(Doorbell::new(Arc::new(parker.unparker().clone())));
        let egress = vec![Egress { kind: EgressKind::Gateway, ring: gateway, bell }];
        let (engine, clock) = (Engine::new(), Ticks(began.raw()));
        let core = Core::new(engine, journal, Term::new(1), clock, NoObserver, vec![ingress], egress);
        Self { core, commands, events, parker }
    }

    /// One batch, unless the journal is busy: then it joins the next.
    fn send(&mut self, commands: &[SequencedCommand]) {
        for command in commands {
            let mut slot = CommandSlot::new(command.origin, &command.command);
            while let Err(back) = self.commands.try_push(slot) {
                slot = back.0;
                self.turn();
            }
        }
        self.turn();
    }

    fn turn(&mut self) {
        let turn = self.core.turn();
        let drained = self.events.drain_with(usize::MAX, |_| {});
        match turn {
            Turn::Faulted => panic!("the journal failed: {:?}", self.core.fault()),
            // It waits for the disk, which wakes this thread.
            Turn::Idle if drained == 0 && !self.core.is_settled() => self.parker.park_timeout(MOMENT),
            Turn::Idle | Turn::Busy => {}
        }
    }

    fn close(mut self) -> ([u64; 2], [u8; 32]) {
        while !self.core.is_settled() {
            self.turn();
        }
        self.core.begin_shutdown();
        self.core.close_log();
        while !self.core.is_closed() {
            if self.core.turn() == Turn::Idle {
                self.parker.park_timeout(MOMENT);
            }
        }
        let engine = self.core.into_engine();
        (engine.event_chain_hash(), engine.state_hash())
    }
}

/// The disk may have answered before anybody waited.
const MOMENT: Duration = Duration::from_millis(1);

/// From the first instruction of the start until logons are answered.
fn restart(dir: &Path) -> Duration {
    let mut config = Config::default();
    config.data.dir = dir.to_owned();
    let anywhere = "127.0.0.1:0".parse().expect("an address");
    (config.gateway.listen, config.gateway.operator_listen, config.http.listen) =
        (anywhere, anywhere, anywhere);
    let started = Instant::now();
    let daemon = Daemon::start(&config, Label { scenario: "recovery".into(), seed: None });
    let daemon = daemon.unwrap_or_else(|error| panic!("{error}"));
    let took = started.elapsed();
    println!("{}", daemon.info().recovery);
    daemon.stop().unwrap_or_else(|error| panic!("{error}"));
    took
}

fn mib(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir.join("journal")).expect("a journal");
    let bytes: u64 = files.map(|file| file.and_then(|it| it.metadata()).expect("a file").len()).sum();
    bytes >> 20
}
