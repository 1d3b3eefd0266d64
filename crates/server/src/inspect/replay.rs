//! A replay for people: hashes, and the proof that the engine says what the exchange said when it ran.

use std::path::Path;
use std::time::{Duration, Instant};

use joulebook_engine::{Engine, Imbalance};
use joulebook_journal::{BatchView, EventDigest};
use joulebook_sequencer::{Compare, Difference, DiffersAt, ReplayError, Replayer};
use joulebook_types::SeqNum;

use super::begin::{BeginError, Beginning, From, SnapshotHash, snapshot_hashes};
use super::lines::{command_line, event_line};
use super::segments::hex;
use super::source::Journal;
use super::steps::{Cause, Stepper};
use crate::recovery::RecoveryError;

/// What to replay and to compare.
#[derive(Clone, Debug)]
pub struct ReplayPlan {
    pub from: From,
    /// The last command; `None`: all of them.
    pub until: Option<SeqNum>,
    /// Compare with what was attested and with the snapshots on the way.
    pub verify: bool,
}

/// What a replay came to.
#[derive(Debug)]
pub struct ReplayReport {
    /// Where it began, for people.
    pub from: String,
    /// The command before the first one.
    pub begins_after: SeqNum,
    pub last_seq: SeqNum,
    pub batches: u64,
    pub duration: Duration,
    pub event_hash: [u64; 2],
    pub state_hash: [u8; 32],
    /// The journal's own chain; `None` inside of a batch.
    pub journal_hash: Option<[u8; 32]>,
    /// Credits, capacity, orders and holds counted again.
    pub recount: Result<(), Imbalance>,
    pub compared: Option<Compared>,
    /// What an unfinished write left behind the end.
    pub torn: Option<String>,
}

/// What was compared, and was the same.
#[derive(Debug)]
pub struct Compared {
    /// Batches that were attested one by one.
    pub batches: u64,
    /// What was attested vouches for everything up to here.
    pub seq: SeqNum,
    /// Snapshots on the way whose state hash is that of the replay.
    pub snapshots: u64,
}

/// Why a replay did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayFailure {
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    #[error(transparent)]
    Begin(#[from] BeginError),
    #[error("{0}")]
    Differs(Difference),
    #[error(
        "{file} has the state hash {expected}, and the replay has {found} after command {seq}: one of them is not what the \
         exchange did"
    )]
    Snapshot { file: String, seq: SeqNum, expected: String, found: String },
    #[error("the journal ends with command {last}, before command {until}")]
    Short { last: SeqNum, until: SeqNum },
    #[error("the replay begins behind command {begins}, and command {until} is before that")]
    Past { begins: SeqNum, until: SeqNum },
}

impl std::convert::From<ReplayError> for ReplayFailure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Differs(difference) => Self::Differs(difference),
            ReplayError::Unreadable { .. } => Self::Recovery(error.into()),
        }
    }
}

impl std::convert::From<joulebook_journal::JournalError> for ReplayFailure {
    fn from(error: joulebook_journal::JournalError) -> Self {
        Self::Recovery(error.into())
    }
}

/// Replays a folder without changing it.
pub fn replay_for_people(dir: &Path, plan: &ReplayPlan) -> Result<ReplayReport, ReplayFailure> {
    let started = Instant::now();
    let beginning = Beginning::choose(dir, &plan.from)?;
    let mut journal = beginning.open_journal(dir, false)?;
    let Beginning { engine, words: from, compare, .. } = beginning;
    let begins_after = engine.last_seq();
    let until = plan.until.unwrap_or(SeqNum::new(u64::MAX));
    if until < begins_after {
        return Err(ReplayFailure::Past { begins: begins_after, until });
    }
    let snapshots = if plan.verify { snapshot_hashes(dir).map_err(BeginError::from)? } else { Vec::new() };
    let compare = if plan.verify { compare } else { Compare::Nothing };
    let mut machine = Machine::new(engine, compare, snapshots);
    let mut batches = 0;
    let mut is_whole = true;
    while is_whole
        && machine.engine().last_seq() < until
        && let Some(batch) = journal.next_batch()?
    {
        batches += 1;
        is_whole = batch.last_seq() <= until;
        if is_whole { machine.apply(&batch)? } else { machine.apply_part(&batch, until)? }
    }
    let journal_hash = journal.mark().filter(|_| is_whole).map(|mark| mark.chain);
    if is_whole && plan.verify {
        // What was attested of the last batch comes with the next one, or in a marker. Damage there is not asked for.
        let next = journal.next_batch().ok().flatten().and_then(|batch| batch.digest().cloned());
        if let Some(digest) = next.as_ref().or(journal.newest_digest()) {
            machine.check(digest)?;
        }
    }
    let engine = machine.engine();
    if let Some(until) = plan.until.filter(|until| engine.last_seq() < *until) {
        return Err(ReplayFailure::Short { last: engine.last_seq(), until });
    }
    Ok(ReplayReport {
        from,
        begins_after,
        last_seq: engine.last_seq(),
        batches,
        duration: started.elapsed(),
        event_hash: engine.event_chain_hash(),
        state_hash: engine.state_hash(),
        journal_hash,
        recount: engine.recount(),
        compared: machine.compared(),
        torn: journal.tail().and_then(|tail| tail.torn.clone()),
    })
}

/// The engine, and what watches it.
enum Machine {
    Plain(Box<Stepper>),
    Watched(Box<Watched>),
}

struct Watched {
    /// `None` only while a part of a batch is applied.
    replayer: Option<Replayer>,
    rest: Option<Stepper>,
    /// Those that are still ahead, the next one last.
    snapshots: Vec<SnapshotHash>,
    compared: Compared,
}

impl Machine {
    fn new(engine: Engine, compare: Compare, mut snapshots: Vec<SnapshotHash>) -> Self {
        if compare == Compare::Nothing {
            return Self::Plain(Box::new(Stepper::new(engine)));
        }
        snapshots.retain(|snapshot| engine.last_seq() < snapshot.seq);
        snapshots.sort_unstable_by_key(|snapshot| std::cmp::Reverse(snapshot.seq));
        let compared = Compared { batches: 0, seq: engine.last_seq(), snapshots: 0 };
        let replayer = Some(Replayer::comparing(engine, compare));
        Self::Watched(Box::new(Watched { replayer, rest: None, snapshots, compared }))
    }

    fn engine(&self) -> &Engine {
        match self {
            Self::Plain(stepper) => stepper.engine(),
            Self::Watched(watched) => match (&watched.replayer, &watched.rest) {
                (Some(replayer), _) => replayer.engine(),
                (None, Some(rest)) => rest.engine(),
                (None, None) => unreachable!("one of them has the engine"),
            },
        }
    }

    fn apply(&mut self, batch: &BatchView<'_>) -> Result<(), ReplayFailure> {
        match self {
            Self::Plain(stepper) => Ok(stepper.apply(batch, batch.last_seq(), |_, _| ())?),
            Self::Watched(watched) => watched.apply(batch),
        }
    }

    /// The last batch, not to its end.
    fn apply_part(&mut self, batch: &BatchView<'_>, until: SeqNum) -> Result<(), ReplayFailure> {
        match self {
            Self::Plain(stepper) => Ok(stepper.apply(batch, until, |_, _| ())?),
            Self::Watched(watched) => watched.apply_part(batch, until),
        }
    }

    fn check(&mut self, digest: &EventDigest) -> Result<(), ReplayFailure> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Watched(watched) => watched.check(digest),
        }
    }

    fn compared(self) -> Option<Compared> {
        match self {
            Self::Plain(_) => None,
            Self::Watched(watched) => Some(watched.compared),
        }
    }
}

impl Watched {
    fn apply(&mut self, batch: &BatchView<'_>) -> Result<(), ReplayFailure> {
        let Some(replayer) = &mut self.replayer else { return Ok(()) };
        replayer.apply(batch)?;
        self.note();
        while self.snapshots.last().is_some_and(|snapshot| snapshot.seq < batch.last_seq()) {
            // No batch ends where this one stands; whoever lists snapshots says so.
            self.snapshots.pop();
        }
        self.compare_snapshot()
    }

    fn compare_snapshot(&mut self) -> Result<(), ReplayFailure> {
        let Some(replayer) = &self.replayer else { return Ok(()) };
        let engine = replayer.engine();
        while let Some(snapshot) = self.snapshots.pop_if(|snapshot| snapshot.seq == engine.last_seq()) {
            let found = engine.state_hash();
            if found != snapshot.state_hash {
                let (expected, found) = (hex(&snapshot.state_hash), hex(&found));
                return Err(ReplayFailure::Snapshot {
                    file: snapshot.file,
                    seq: snapshot.seq,
                    expected,
                    found,
                });
            }
            self.compared.snapshots += 1;
        }
        Ok(())
    }

    fn apply_part(&mut self, batch: &BatchView<'_>, until: SeqNum) -> Result<(), ReplayFailure> {
        if let Some(digest) = batch.digest() {
            self.check(digest)?;
        }
        if let Some(replayer) = self.replayer.take() {
            self.rest.insert(Stepper::new(replayer.into_engine())).apply(batch, until, |_, _| ())?;
        }
        Ok(())
    }

    fn check(&mut self, digest: &EventDigest) -> Result<(), ReplayFailure> {
        if let Some(replayer) = &mut self.replayer {
            replayer.check(digest)?;
        }
        self.note();
        Ok(())
    }

    fn note(&mut self) {
        if let Some(replayer) = &self.replayer {
            self.compared.batches = replayer.compared_batches();
            self.compared.seq = replayer.compared_seq();
        }
    }
}

/// What a replay says at the place where it differs: the command, and its events.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    pub command: Option<String>,
    pub events: Vec<String>,
}

/// Replays once more up to the place that differs.
pub fn explain(dir: &Path, from: &From, difference: &Difference) -> Result<Explained, BeginError> {
    let beginning = Beginning::choose(dir, from)?;
    let mut journal: Journal = beginning.open_journal(dir, false)?;
    let mut stepper = Stepper::new(beginning.engine);
    let mut explained = Explained::default();
    let wanted = match difference.at {
        DiffersAt::Command(seq) => seq,
        DiffersAt::Timers | DiffersAt::Somewhere => difference.first_seq,
    };
    let is_wanted = |seq, cause: Cause<'_>| match (difference.at, cause) {
        (DiffersAt::Timers, Cause::Timers) | (DiffersAt::Command(_), Cause::Command(_)) => seq == wanted,
        (DiffersAt::Timers, Cause::Command(_)) | (DiffersAt::Command(_), Cause::Timers) => false,
        (DiffersAt::Somewhere, _) => false,
    };
    journal.replay(&mut stepper, wanted, |engine, step| {
        if is_wanted(step.seq, step.cause) {
            if let Cause::Command(command) = step.cause {
                explained.command = Some(command_line(step.seq, step.time, command));
            }
            explained.events = step.records().map(|record| event_line(engine, step, &record)).collect();
        }
        true
    })?;
    Ok(explained)
}
