//! The thread of the shadow engine: follows the journal's files, takes the snapshots, and says what may be forgotten.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, bounded};
use crossbeam::sync::{Parker, Unparker};
use crossbeam::utils::CachePadded;
use joulebook_console::{Check, ConsoleState};
use joulebook_engine::Engine;
use joulebook_journal::{JournalError, JournalFollower, SegmentNumber, SnapshotName};
use joulebook_metrics::SnapshotMetrics;
use joulebook_rings::Watermark;
use joulebook_sequencer::{
    Compare, Shadow, ShadowConfig, ShadowError, ShadowTurn, SnapshotProblem, distrust_newer, open_snapshot,
    retire_snapshots,
};
use joulebook_types::SeqNum;

use crate::config::{JournalConfig, SegmentsKept};
use crate::control::Control;
use crate::recovery::SHARD;
use crate::shortage::Shortage;
use crate::snapshots::FileSnapshots;
use crate::storage::{FileStorage, OpenError, SnapshotRoom};

/// Commands between two looks at whether the exchange is stopping.
const TURN_COMMANDS: u64 = 2_048;
/// How often the thread is woken between two snapshots. Seldom, so that it does its work in few pieces; often enough that
/// there is little left to do when a snapshot is due.
const WAKES_PER_SNAPSHOT: u64 = 16;
/// A shadow that is further behind than a snapshot's worth catches up first, but not for ever: a journal that only grows
/// would fill the disk.
const SNAPSHOTS_SKIPPED_MAX: u64 = 8;
/// How long a stop waits for the thread. It ends at its next step; encoding a large state is one.
const PATIENCE: Duration = Duration::from_millis(250);

/// After a beginning that failed, the next one, unless the disk is full before.
const BEGIN_AGAIN: Duration = Duration::from_secs(60);

/// What recovery hands to the shadow.
pub struct ShadowStart {
    pub dir: PathBuf,
    pub config: JournalConfig,
    pub snapshots: FileSnapshots,
    /// Set to make a snapshot that is being written end at its next step; the storage of the snapshots has it too.
    pub stopping: Arc<AtomicBool>,
    /// What new segments leave free for the next snapshot.
    pub room: Arc<SnapshotRoom>,
    /// The newest snapshot: the one that recovery began with, then the last that was taken.
    pub snapshot: Option<SnapshotName>,
    /// Snapshots that recovery could not use.
    pub damaged: Vec<SnapshotName>,
    pub last_seq: SeqNum,
    pub metrics: Arc<CachePadded<SnapshotMetrics>>,
}

impl ShadowStart {
    /// Where the core publishes the last durable command, and everything that the thread needs.
    pub fn prepare(self) -> (Arc<Watermark>, ShadowTask) {
        let parker = Parker::new();
        let waker = Arc::new(parker.unparker().clone());
        let committed = Arc::new(Watermark::new(self.last_seq.raw(), waker));
        // Until the thread knows where the snapshot lies.
        self.room.keep(self.snapshot_bytes(), SegmentNumber::MAX);
        (Arc::clone(&committed), ShadowTask { start: self, committed, parker })
    }

    /// What the next snapshot takes, at least.
    fn snapshot_bytes(&self) -> u64 {
        // Nobody knows what the first one will take.
        let a_segment = u64::from(self.config.segment_mib) << 20;
        self.snapshot.map_or(a_segment, |name| self.file_bytes(name))
    }

    /// A snapshot is worth the try.
    fn has_room(&self) -> bool {
        let newest = self.snapshot.map_or(0, |name| self.file_bytes(name));
        joulebook_sys::free_bytes(&self.dir).map_or(true, |free| newest <= free)
    }

    fn file_bytes(&self, name: SnapshotName) -> u64 {
        // A wrong length costs room, or a try.
        std::fs::metadata(self.snapshots.path(name)).map_or(0, |metadata| metadata.len())
    }
}

/// A shadow that waits for its thread.
pub struct ShadowTask {
    start: ShadowStart,
    committed: Arc<Watermark>,
    parker: Parker,
}

impl ShadowTask {
    pub fn spawn(self, control: Arc<Control>, console: Arc<ConsoleState>) -> io::Result<ShadowThread> {
        let Self { start, committed, parker } = self;
        let stopping = Arc::clone(&start.stopping);
        let unparker = parker.unparker().clone();
        let (ending, ended) = bounded::<()>(0);
        control.wake_on_read_only(Arc::new(unparker.clone()));
        let shortage = Shortage::default();
        let worker = Worker { start, committed, parker, shortage, control, console };
        let thread = std::thread::Builder::new().name("shadow".into()).spawn(move || {
            // Dropped at the end of the thread, however it ends.
            let _ending = ending;
            worker.run();
        })?;
        Ok(ShadowThread { thread, stopping, unparker, ended })
    }
}

/// The running thread.
pub struct ShadowThread {
    thread: JoinHandle<()>,
    stopping: Arc<AtomicBool>,
    unparker: Unparker,
    ended: Receiver<()>,
}

impl ShadowThread {
    /// Lets it end. A snapshot in progress is abandoned.
    pub fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.unparker.unpark();
    }

    /// Waits for its end, but not long.
    pub fn stop(self) {
        self.begin_stop();
        // Nothing is ever sent. A thread in the middle of a long step has nothing left to do that anybody waits for, and
        // what it leaves is removed at the next start.
        let _ = self.ended.recv_timeout(PATIENCE);
        if self.thread.is_finished() {
            // A panic there was reported where it happened.
            let _ = self.thread.join();
        }
    }
}

/// Why a shadow does not begin.
enum NoBeginning {
    /// Neither now nor later.
    Journal(ShadowError),
    Snapshot(SnapshotProblem),
    Open(OpenError),
}

struct Worker {
    start: ShadowStart,
    committed: Arc<Watermark>,
    parker: Parker,
    shortage: Shortage,
    control: Arc<Control>,
    console: Arc<ConsoleState>,
}

impl Worker {
    fn run(mut self) {
        // It does what the exchange did: should it break an invariant, one of the two is wrong.
        let _guard = self.control.fault_on_panic();
        let followed = self.work();
        if let Err(error) = followed
            && !self.is_stopping()
        {
            self.condemn(&error);
        }
    }

    /// At the lowest priority; but while orders wait for a snapshot, at that of all others. A thread does not get its
    /// priority back, so each quiet time has one of its own.
    fn work(&mut self) -> Result<(), ShadowError> {
        let mut shadow = None;
        while !self.is_stopping() {
            let is_short = self.is_short();
            let quiet = if is_short { None } else { self.follow_quietly(&mut shadow) };
            match quiet {
                Some(followed) => followed?,
                None => self.follow(&mut shadow, is_short)?,
            }
        }
        Ok(())
    }

    /// `None` when there is no thread to be had.
    fn follow_quietly(
        &mut self,
        shadow: &mut Option<Shadow<FileStorage>>,
    ) -> Option<Result<(), ShadowError>> {
        std::thread::scope(|scope| {
            let quiet = std::thread::Builder::new().name("shadow".into()).spawn_scoped(scope, || {
                // Without the lowest priority it still works, only less quietly.
                let _ = joulebook_sys::lower_current_thread_priority(19);
                self.follow(shadow, false)
            });
            let followed = quiet.ok()?.join();
            Some(followed.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    /// Room on the disk is all that orders wait for, and snapshots make it.
    fn is_short(&self) -> bool {
        self.start.config.segments_kept == SegmentsKept::Needed && self.control.is_read_only()
    }

    fn is_stopping(&self) -> bool {
        self.start.stopping.load(Ordering::Relaxed)
    }

    /// Goes back to the snapshot that recovery began with.
    fn begin(&mut self) -> Result<Shadow<FileStorage>, NoBeginning> {
        let storage = FileStorage::open_read_only(&self.start.dir).map_err(NoBeginning::Open)?;
        let JournalConfig { snapshot_commands, verify, .. } = self.start.config;
        let mut compare = if verify { Compare::All } else { Compare::Nothing };
        let (mark, engine) = match self.start.snapshot {
            None => (None, Engine::new()),
            Some(name) => {
                let found = open_snapshot(&mut self.start.snapshots, name);
                let (header, engine) = found.map_err(NoBeginning::Snapshot)?;
                self.start.metrics.seq.set(gauge(name.seq.raw()));
                self.start.metrics.bytes.set(gauge(self.start.file_bytes(name)));
                compare = compare.behind(&header);
                (Some(header.mark), engine)
            }
        };
        let follower = JournalFollower::new(storage, SHARD, mark.as_ref())
            .map_err(|error| NoBeginning::Journal(error.into()))?;
        let first_due = (!verify).then_some(self.start.last_seq);
        let shadow = Shadow::new(engine, follower, ShadowConfig { snapshot_commands, compare, first_due });
        self.keep_room(&shadow);
        Ok(shadow)
    }

    /// Nothing is wrong with the exchange: it only goes on without snapshots, and says so. What cannot be read now may be
    /// later, and without a snapshot no segment ever goes.
    fn put_off(&self, why: &dyn std::fmt::Display) {
        self.report_failure(why);
        self.start.room.keep(0, 0);
        self.parker.park_timeout(BEGIN_AGAIN);
    }

    /// Has new segments leave room for the next snapshot.
    fn keep_room(&self, shadow: &Shadow<FileStorage>) {
        self.start.room.keep(self.start.snapshot_bytes(), shadow.snapshot_segment().max(1));
    }

    /// Returns when the exchange stops, or must, or when there is no longer or again room on the disk.
    fn follow(
        &mut self,
        shadow: &mut Option<Shadow<FileStorage>>,
        is_short: bool,
    ) -> Result<(), ShadowError> {
        let shadow = match shadow {
            Some(shadow) => shadow,
            None => match self.begin() {
                Ok(begun) => shadow.insert(begun),
                Err(NoBeginning::Journal(error)) => return Err(error),
                Err(NoBeginning::Open(error)) => {
                    self.put_off(&error);
                    return Ok(());
                }
                Err(NoBeginning::Snapshot(problem)) => {
                    self.put_off(&problem);
                    return Ok(());
                }
            },
        };
        while !self.is_stopping() && self.is_short() == is_short {
            // Before the turn: what it finds was durable then, at least.
            let committed = self.committed.get();
            let turn = match shadow.turn(TURN_COMMANDS) {
                Ok(turn) => turn,
                Err(ShadowError::Journal(JournalError::Storage(error))) => {
                    self.report_failure(&error);
                    ShadowTurn::Idle
                }
                Err(error) => return Err(error),
            };
            self.start.metrics.shadow_seq.set(gauge(shadow.last_seq().raw()));
            if self.is_time(shadow) {
                self.take(shadow);
            } else if turn == ShadowTurn::Idle {
                self.make_room(shadow);
                self.sleep(committed);
            }
        }
        Ok(())
    }

    /// While the journal has no room for orders, hardly a command comes that would make a snapshot due, and only a snapshot
    /// lets segments go.
    fn make_room(&mut self, shadow: &mut Shadow<FileStorage>) {
        let (is_short, kept) = (self.is_short(), self.start.config.snapshots_kept);
        let due = self.shortage.snapshots_to_keep(is_short, kept, Instant::now());
        let Some(kept) = due else { return };
        // What costs nothing first: it may be all that is needed, and a snapshot needs room too.
        self.retire(kept);
        let would_help = shadow.would_free_segments();
        if would_help && self.start.has_room() {
            self.take(shadow);
            self.retire(kept);
        }
        if self.shortage.is_hopeless(would_help) {
            // Better than to take no orders.
            self.start.room.concede();
        }
        self.shortage.tried(Instant::now());
    }

    /// Until a part of a snapshot's worth of commands became durable after `committed`, it is time to make room again, or a
    /// stop.
    fn sleep(&self, committed: u64) {
        let stride = (self.start.config.snapshot_commands / WAKES_PER_SNAPSHOT).max(1);
        if self.committed.prepare_sleep(committed.saturating_add(stride)) {
            match self.shortage.next_try() {
                Some(next_try) => self.parker.park_deadline(next_try),
                None => self.parker.park(),
            }
        }
        self.committed.awake();
    }

    fn is_time(&self, shadow: &Shadow<FileStorage>) -> bool {
        let interval = self.start.config.snapshot_commands;
        let last = shadow.last_seq().raw();
        let behind = self.committed.get().saturating_sub(last);
        let waited = last - shadow.snapshot_seq().raw();
        shadow.is_due() && (behind <= interval || waited / interval >= SNAPSHOTS_SKIPPED_MAX)
    }

    fn take(&mut self, shadow: &mut Shadow<FileStorage>) {
        let started = Instant::now();
        let taken = shadow.take(&mut self.start.snapshots);
        if self.is_stopping() {
            return;
        }
        let name = match taken {
            Ok(name) => name,
            Err(error) => {
                self.start.metrics.failed.increment();
                let ShadowStart { damaged, snapshots, .. } = &mut self.start;
                // A folder that cannot even be listed lets nothing be removed either.
                let _ = distrust_newer(snapshots, shadow.snapshot_seq(), damaged);
                return self.report_failure(&error);
            }
        };
        let took = started.elapsed();
        let bytes = self.start.file_bytes(name);
        self.start.snapshot = Some(name);
        self.keep_room(shadow);
        let metrics = &self.start.metrics;
        metrics.taken.increment();
        metrics.seq.set(gauge(name.seq.raw()));
        metrics.bytes.set(gauge(bytes));
        metrics.duration.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let text =
            format!("snapshot at sequence {}: {} KiB in {} ms", name.seq, bytes >> 10, took.as_millis());
        tracing::info!("{text}");
        self.console.update_health(|health| health.snapshots = Check::passed(text));
        // Should a damaged one have had this name, it was replaced.
        self.start.damaged.retain(|damaged| *damaged != name);
        self.retire(self.start.config.snapshots_kept);
    }

    /// Removes what the newest `kept` snapshots make needless.
    fn retire(&mut self, kept: u32) {
        let ShadowStart { config, damaged, snapshots, .. } = &mut self.start;
        match retire_snapshots(snapshots, kept as usize, damaged) {
            Ok(Some(upto)) if config.segments_kept == SegmentsKept::Needed => self.control.compact(upto),
            Ok(_) => {}
            Err(error) => self.report_failure(&error),
        }
    }

    /// What went wrong costs nobody anything yet: the journal has all that a snapshot would have.
    fn report_failure(&self, error: &dyn std::fmt::Display) {
        let text = format!("no snapshot: {error}");
        tracing::warn!("{text}");
        self.console.update_health(|health| health.snapshots = Check::failed(text));
    }

    /// Two engines that must agree do not, or what was acknowledged cannot be read any more: whatever the exchange said
    /// from here on could not be kept.
    fn condemn(&self, error: &ShadowError) {
        let text = format!("the shadow engine stopped the exchange: {error}");
        self.console.update_health(|health| health.snapshots = Check::failed(text.clone()));
        self.control.condemn(text);
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use joulebook_console as console;
    use joulebook_engine::Events;
    use joulebook_journal::{
        Batch, CommandLog, EventDigest, JournalReader, LocalConfig, LocalJournal, MIN_SEGMENT_BYTES,
        SnapshotStorage, Term,
    };
    use joulebook_metrics::ServerMetrics;
    use joulebook_protocol::messages::AdvanceTime;
    use joulebook_protocol::{Command, Origin, SequencedCommand};
    use joulebook_sequencer::apply_batch;
    use joulebook_types::TimeNs;
    use tempfile::TempDir;

    use super::*;
    use crate::config::Config;
    use crate::control::Health;

    const BATCHES: u64 = 500;

    /// A folder with a journal of one command a batch and several segments, whose events were attested as they were, but for
    /// batch `wrong`.
    fn folder(wrong: Option<u64>) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let parker = Parker::new();
        let storage = FileStorage::open(dir.path(), Arc::new(parker.unparker().clone())).unwrap();
        let config = LocalConfig {
            segment_bytes: MIN_SEGMENT_BYTES,
            group_bytes_max: 8 << 10,
            ..LocalConfig::new(SHARD, 5)
        };
        let mut log = LocalJournal::open(JournalReader::new(storage, SHARD).unwrap(), config).unwrap();
        let (mut engine, mut said, mut digest) = (Engine::new(), Events::default(), EventDigest::default());
        let (mut record, mut events) = (Vec::new(), Vec::new());
        let command = Command::AdvanceTime(AdvanceTime::default());
        SequencedCommand { origin: Origin::SYSTEM, command }.encode(&mut record);
        for number in 1..=BATCHES {
            let mut batch = Batch::new();
            batch.clear(TimeNs::new(number));
            batch.push(&record);
            let (first, records) = (engine.last_seq().next(), batch.records());
            apply_batch(&mut engine, first, batch.time(), records, &mut said, &mut digest).unwrap();
            digest.chain[1] ^= u64::from(wrong == Some(number));
            while let Err(refused) = log.propose(Term::new(1), batch) {
                parker.park_timeout(Duration::from_millis(10));
                log.poll(TimeNs::new(number), &mut events);
                batch = refused.batch;
            }
            log.attest(&digest);
        }
        log.shutdown();
        while !log.is_stopped() {
            log.poll(TimeNs::new(BATCHES), &mut events);
            parker.park_timeout(Duration::from_millis(10));
        }
        dir
    }

    struct Rig {
        control: Arc<Control>,
        console: Arc<ConsoleState>,
        metrics: Arc<ServerMetrics>,
        committed: Arc<Watermark>,
        room: Arc<SnapshotRoom>,
        thread: ShadowThread,
    }

    fn start(dir: &TempDir, snapshot_commands: u64) -> Rig {
        start_from(dir, snapshot_commands, None)
    }

    /// A shadow of the folder's journal; the core says that all of it is durable.
    fn start_from(dir: &TempDir, snapshot_commands: u64, snapshot: Option<SnapshotName>) -> Rig {
        let config = JournalConfig { snapshot_commands, ..Config::default().journal };
        start_with(dir, config, snapshot)
    }

    fn start_with(dir: &TempDir, config: JournalConfig, snapshot: Option<SnapshotName>) -> Rig {
        let (control, metrics) = (Control::new(), Arc::new(ServerMetrics::new(1)));
        let run = console::RunInfo {
            scenario: "test".into(),
            seed: None,
            ack_mode: console::AckMode::Durable,
            wiring: console::Wiring::Inline,
        };
        let console = ConsoleState::new(run, Arc::clone(&metrics));
        let (stopping, room) = (Arc::new(AtomicBool::new(false)), Arc::new(SnapshotRoom::default()));
        let start = ShadowStart {
            dir: dir.path().to_owned(),
            config,
            snapshots: FileSnapshots::open(dir.path(), Arc::clone(&stopping)).unwrap(),
            stopping,
            room: Arc::clone(&room),
            snapshot,
            damaged: Vec::new(),
            last_seq: SeqNum::new(BATCHES),
            metrics: metrics.snapshots(),
        };
        let (committed, task) = start.prepare();
        let thread = task.spawn(Arc::clone(&control), Arc::clone(&console)).unwrap();
        Rig { control, console, metrics, committed, room, thread }
    }

    fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < deadline, "never: {what}");
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    #[test]
    fn snapshots_come_and_go_and_the_core_is_told() {
        let dir = folder(None);
        let Rig { control, console, metrics, committed, thread, .. } = start(&dir, 100);
        // Further behind than a snapshot's worth, it catches up first.
        wait_until("the journal's end", || metrics.snapshots().shadow_seq.value() == BATCHES as i64);
        wait_until("a snapshot", || console.health().snapshots.is_ok());
        let mut shelf = FileSnapshots::open_read_only(dir.path());
        let names = shelf.list().unwrap();
        assert!(names.len() <= 2 && names.last().unwrap().seq.raw() > BATCHES - 100, "{names:?}");
        let taken = metrics.snapshots().taken.value();
        assert!((1..=2).contains(&taken), "{taken} on the way");
        assert_eq!(control.take_compaction(), (taken == 2).then(|| names[0].seq));
        assert_eq!(metrics.snapshots().seq.value(), names.last().unwrap().seq.raw() as i64);
        assert!(metrics.snapshots().bytes.value() >= 3 * 4096);
        // Nothing new in the journal, whatever the core says: it looks, and sleeps again.
        committed.publish(BATCHES + 50);
        thread.stop();
        assert_eq!(control.health(), Health::Running);
    }

    #[test]
    fn a_full_disk_makes_a_snapshot_due_and_lets_segments_go() {
        let dir = folder(None);
        let config =
            JournalConfig { snapshot_commands: 1_000_000, snapshots_kept: 1, ..Config::default().journal };
        let first_bytes = u64::from(config.segment_mib) << 20;
        let Rig { control, metrics, room, thread, .. } = start_with(&dir, config, None);
        let snapshots = metrics.snapshots();
        wait_until("the journal's end", || snapshots.shadow_seq.value() == BATCHES as i64);
        assert_eq!(snapshots.taken.value(), 0, "none is due for a long time");
        assert_eq!(room.spared_by(1, 0), first_bytes + first_bytes / 2);
        control.set_read_only(true);
        wait_until("a snapshot", || snapshots.taken.value() == 1);
        wait_until("segments go", || control.take_compaction() == Some(SeqNum::new(BATCHES)));
        let bytes = snapshots.bytes.value() as u64;
        assert_eq!(room.spared_by(1, 0), bytes + bytes / 2);
        // It would not help to take another one of the same, nor to leave room for one.
        wait_until("another try", || room.is_conceded());
        assert_eq!(control.take_compaction(), Some(SeqNum::new(BATCHES)));
        assert_eq!(snapshots.taken.value(), 1);
        thread.stop();
    }

    #[test]
    fn a_shadow_that_differs_stops_the_exchange() {
        let dir = folder(Some(300));
        let Rig { control, console, thread, .. } = start(&dir, 0);
        wait_until("condemned", || control.is_condemned());
        let Health::Faulted(what) = control.health() else { panic!("it still runs") };
        assert!(what.contains("the shadow engine stopped the exchange: the events of commands "), "{what}");
        assert!(what.contains("300"), "{what}");
        wait_until("the page", || !console.health().snapshots.is_ok());
        thread.stop();
    }

    #[test]
    fn damage_in_the_journal_stops_the_exchange_and_an_unreadable_disk_does_not() {
        let dir = folder(None);
        let segment = dir.path().join("journal/00000000000000000001.seg");
        let whole = std::fs::read(&segment).unwrap();
        let mut damaged = whole.clone();
        damaged[4096 + 300] ^= 1;
        std::fs::write(&segment, &damaged).unwrap();
        let rig = start(&dir, 100);
        wait_until("condemned", || rig.control.is_condemned());
        let Health::Faulted(what) = rig.control.health() else { panic!("it still runs") };
        assert!(what.contains(segment.to_str().unwrap()), "{what}");
        rig.thread.stop();

        std::fs::write(&segment, &whole).unwrap();
        let rig = start(&dir, 100);
        wait_until("a snapshot", || rig.console.health().snapshots.is_ok());
        rig.thread.stop();
        // The snapshot that recovery had is gone: no reason to stop trading.
        let mut shelf = FileSnapshots::open_read_only(dir.path());
        let name = *shelf.list().unwrap().last().unwrap();
        let bytes = std::fs::read(shelf.path(name)).unwrap();
        std::fs::write(shelf.path(name), &bytes[..bytes.len() - 1]).unwrap();
        let rig = start_from(&dir, 100, Some(name));
        wait_until("the page", || rig.console.health().snapshots.reason().contains("no snapshot: "));
        assert!(!rig.control.is_condemned() && rig.control.health() == Health::Running);
        // It is back, and needed.
        std::fs::write(shelf.path(name), &bytes).unwrap();
        rig.control.set_read_only(true);
        wait_until("another beginning", || rig.metrics.snapshots().shadow_seq.value() == BATCHES as i64);
        rig.thread.stop();
    }
}
