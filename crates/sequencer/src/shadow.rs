//! A second engine, which follows the durable journal and is what snapshots are made of.

use joulebook_engine::Engine;
use joulebook_journal::{
    JournalError, JournalFollower, SegmentNumber, SnapshotHeader, SnapshotName, SnapshotStorage,
    SnapshotWriter, Storage, StorageError,
};
use joulebook_types::SeqNum;

use crate::{Compare, ReplayError, Replayer, SnapshotProblem, open_snapshot};

/// How a shadow works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowConfig {
    /// Commands from one snapshot to the next; 0 makes none due, ever.
    pub snapshot_commands: u64,
    /// What of what the exchange attested is compared with what it says.
    pub compare: Compare,
    /// The first snapshot is due as soon as this command is in it: the end of a journal that nothing is compared with.
    /// From that snapshot on, a later start can compare again.
    pub first_due: Option<SeqNum>,
}

impl ShadowConfig {
    /// A shadow that compares everything.
    pub fn every(snapshot_commands: u64) -> Self {
        Self { snapshot_commands, compare: Compare::All, first_due: None }
    }
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowTurn {
    /// There may be more at once.
    Busy,
    /// Everything that is proven durable was applied.
    Idle,
}

/// Why a shadow cannot follow its journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShadowError {
    /// It cannot be read. What the disk refused now it may give later; damage stays.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// This engine says something else than the one that answers the participants: one of the two is wrong, so neither
    /// may go on.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// An engine that applies what the journal of a running exchange has made durable, so each of its snapshots is a replay
/// that was compared with the original. It takes steps that do not wait, and has no thread of its own.
pub struct Shadow<S> {
    replayer: Replayer,
    follower: JournalFollower<S>,
    config: ShadowConfig,
    /// A snapshot is due from this command on.
    due_seq: u64,
    /// The last command of the newest snapshot, or where the shadow began.
    snapshot_seq: SeqNum,
    /// The segment in which that command lies, or the next.
    snapshot_segment: SegmentNumber,
}

impl<S: Storage> Shadow<S> {
    /// A shadow that goes on with `engine`, where `follower` stands: at a snapshot, or both at the beginning.
    pub fn new(engine: Engine, follower: JournalFollower<S>, config: ShadowConfig) -> Self {
        let began = engine.last_seq();
        let replayer = Replayer::comparing(engine, config.compare);
        let due_seq = match config.first_due {
            Some(first) => first.raw(),
            None => began.raw().saturating_add(config.snapshot_commands),
        };
        let snapshot_segment = follower.segment();
        Self { replayer, follower, config, due_seq, snapshot_seq: began, snapshot_segment }
    }

    /// Applies durable batches, until `commands_max` commands or a few more are done.
    pub fn turn(&mut self, commands_max: u64) -> Result<ShadowTurn, ShadowError> {
        let goal = self.last_seq().raw().saturating_add(commands_max);
        while self.last_seq().raw() < goal {
            let Some(batch) = self.follower.next_batch()? else {
                // A marker attests the last batch.
                if let Some(digest) = self.follower.newest_digest() {
                    self.replayer.check(digest)?;
                }
                return Ok(ShadowTurn::Idle);
            };
            self.replayer.apply(&batch)?;
        }
        Ok(ShadowTurn::Busy)
    }

    /// So many commands were applied since the last snapshot that it is time for one.
    pub fn is_due(&self) -> bool {
        self.config.snapshot_commands > 0
            && self.due_seq <= self.last_seq().raw()
            && self.snapshot_seq < self.last_seq()
    }

    /// The journal has segments that it needs only because there is no snapshot of now.
    pub fn would_free_segments(&self) -> bool {
        self.snapshot_seq < self.last_seq() && self.snapshot_segment < self.follower.segment()
    }

    /// Writes a snapshot of the state as it is, due or not, reads it back, and goes on with the engine that came out of it:
    /// every batch that is compared from here on proves the snapshot too. Blocks for as long as that takes. After an
    /// error there is no snapshot, and the next is due a while later.
    ///
    /// # Panics
    /// Before the first batch: there is nothing to be taken yet.
    pub fn take(&mut self, snapshots: &mut impl SnapshotStorage) -> Result<SnapshotName, SnapshotProblem> {
        const TRIES: u64 = 16;
        let interval = self.config.snapshot_commands;
        self.due_seq = self.last_seq().raw().saturating_add((interval / TRIES).max(1));
        let name = self.write(snapshots)?;
        match open_snapshot(snapshots, name) {
            Ok((_, engine)) => self.replayer.replace_engine(engine),
            Err(problem) => {
                // Nobody may retire anything because of it. What cannot be removed is found damaged at the next start.
                let _ = snapshots.remove(name);
                return Err(problem);
            }
        }
        self.due_seq = name.seq.raw().saturating_add(interval);
        self.snapshot_seq = name.seq;
        self.snapshot_segment = self.follower.segment();
        Ok(name)
    }

    fn write(&self, snapshots: &mut impl SnapshotStorage) -> Result<SnapshotName, StorageError> {
        let engine = self.replayer.engine();
        let mark = self.follower.mark().expect("a shadow that has applied something stands behind a batch");
        assert_eq!(mark.seq, engine.last_seq(), "the shadow stands where its journal was read to");
        let header = SnapshotHeader {
            mark,
            events: engine.event_chain_hash(),
            state_hash: engine.state_hash(),
            state_version: Engine::STATE_VERSION,
            unattested: self.config.compare == Compare::Nothing,
        };
        let mut writer = SnapshotWriter::begin(snapshots, &header)?;
        engine.save(&mut |bytes| writer.write(bytes));
        writer.finish()
    }

    /// The last command that was applied.
    pub fn last_seq(&self) -> SeqNum {
        self.replayer.engine().last_seq()
    }

    /// The last command of the newest snapshot, or where the shadow began.
    pub fn snapshot_seq(&self) -> SeqNum {
        self.snapshot_seq
    }

    /// The segment in which that command lies, or the next.
    pub fn snapshot_segment(&self) -> SegmentNumber {
        self.snapshot_segment
    }

    /// The hash of the logical state: a walk over all of it.
    pub fn state_hash(&self) -> [u8; 32] {
        self.replayer.engine().state_hash()
    }

    pub fn engine(&self) -> &Engine {
        self.replayer.engine()
    }
}

/// Removes all snapshots but the newest `kept` of those that are not `damaged`, and gives the command up to which no
/// recovery needs the journal any more. As long as there are fewer, the journal from its beginning stands in for them.
pub fn retire_snapshots(
    snapshots: &mut impl SnapshotStorage,
    kept: usize,
    damaged: &[SnapshotName],
) -> Result<Option<SeqNum>, StorageError> {
    assert!(kept > 0, "the newest snapshot stays");
    let names = snapshots.list()?;
    let whole = names.iter().rev().filter(|name| !damaged.contains(name));
    let Some(oldest_kept) = whole.skip(kept - 1).copied().next() else { return Ok(None) };
    for name in names.into_iter().filter(|name| name.seq < oldest_kept.seq) {
        snapshots.remove(name)?;
    }
    Ok(Some(oldest_kept.seq))
}

/// After a snapshot failed: what has a name newer than `newest`, the last that was read back, may be what it left, and counts as
/// damaged until one of that name succeeds.
pub fn distrust_newer(
    snapshots: &mut impl SnapshotStorage,
    newest: SeqNum,
    damaged: &mut Vec<SnapshotName>,
) -> Result<(), StorageError> {
    let names = snapshots.list()?;
    let left: Vec<_> =
        names.into_iter().filter(|name| newest < name.seq && !damaged.contains(name)).collect();
    damaged.extend(left);
    Ok(())
}
