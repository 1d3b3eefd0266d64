//! From a disk to an exchange that may open its doors, as the daemon does it.

use joulebook_engine::{Engine, Events};
use joulebook_journal::{
    Batch, CommandLog, EventDigest, JournalError, LocalConfig, LocalJournal, SnapshotName,
};
use joulebook_sequencer::{self as sequencer, RecoverError, ReplayError, apply_batch};
use joulebook_types::ShardId;

use crate::dice::Dice;
use crate::disk::SimDisk;
use crate::exchange::TERM;
use crate::log::{LogDelays, SimLog, SimStore};

pub const SHARD: ShardId = ShardId::new(1);

/// An engine as the disk says, and the log that goes on from there.
pub struct Recovered {
    pub engine: Engine,
    pub log: Box<dyn CommandLog>,
    /// Where it began; `None`: with the first command.
    pub snapshot: Option<SnapshotName>,
    /// Snapshots that could not be used.
    pub damaged: Vec<SnapshotName>,
}

/// What the exchange's log is made of.
#[derive(Clone, Debug)]
pub enum Medium {
    /// The journal of one node on a disk.
    Disk { disk: SimDisk, config: LocalConfig },
    /// What a replicated log would be to it.
    Store { store: SimStore, delays: LogDelays, dice: Dice },
}

/// Why an exchange did not start.
#[derive(Clone, Debug)]
pub enum StartError {
    Journal(JournalError),
    Replay(ReplayError),
    Recover(RecoverError),
}

impl From<JournalError> for StartError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<RecoverError> for StartError {
    fn from(error: RecoverError) -> Self {
        match error {
            RecoverError::Journal(error) => Self::Journal(error),
            RecoverError::Replay(error) => Self::Replay(error),
            error @ (RecoverError::Snapshots(_)
            | RecoverError::Misfit { .. }
            | RecoverError::NoBeginning { .. }) => Self::Recover(error),
        }
    }
}

impl From<ReplayError> for StartError {
    fn from(error: ReplayError) -> Self {
        Self::Replay(error)
    }
}

/// An exchange as its log says.
pub fn recover(medium: Medium) -> Result<Recovered, StartError> {
    match medium {
        Medium::Disk { disk, config } => recover_disk(&disk, config),
        Medium::Store { store, delays, dice } => recover_store(store, delays, dice),
    }
}

fn recover_store(store: SimStore, delays: LogDelays, dice: Dice) -> Result<Recovered, StartError> {
    let (mut engine, mut events, mut digest) = (Engine::new(), Events::new(), EventDigest::default());
    let mut batch = Batch::new();
    for durable in store.committed(0) {
        batch.clear(durable.time);
        durable.records.iter().for_each(|record| batch.push(record));
        apply_batch(&mut engine, durable.first_seq, durable.time, batch.records(), &mut events, &mut digest)?;
        events.clear();
    }
    let log = Box::new(SimLog::new(store, dice, TERM, delays, STORE_BYTES));
    Ok(Recovered { engine, log, snapshot: None, damaged: Vec::new() })
}

/// What a simulated replicated log takes before it is busy.
const STORE_BYTES: usize = 8 << 10;

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Journal(error) => error.fmt(f),
            Self::Replay(error) => error.fmt(f),
            Self::Recover(error) => error.fmt(f),
        }
    }
}

/// Reads the disk and makes durable what it takes over.
pub fn recover_disk(disk: &SimDisk, config: LocalConfig) -> Result<Recovered, StartError> {
    let recovered = sequencer::recover(disk.clone(), &mut disk.clone(), SHARD, true)?;
    let log = Box::new(LocalJournal::open(recovered.reader, config)?);
    let damaged = recovered.skipped.iter().map(|skipped| skipped.name).collect();
    Ok(Recovered { engine: recovered.engine, log, snapshot: recovered.snapshot, damaged })
}
