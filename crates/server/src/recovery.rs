//! From a data folder to an engine: every batch of the journal applied again, by the function that applied it first.

use std::path::Path;
use std::time::{Duration, Instant};

use joulebook_engine::{Engine, Events};
use joulebook_journal::{JournalError, JournalReader, Storage};
use joulebook_sequencer::{Difference, RecoverError, ReplayError, Replayer};
use joulebook_types::{SeqNum, ShardId};

use crate::storage::{FileStorage, OpenError};

/// The shard that a single daemon runs.
pub const SHARD: ShardId = ShardId::new(1);

/// Why a journal could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    Recover(RecoverError),
    /// What the journal makes this program say is not what the exchange said when it ran.
    #[error(
        "{0}. Nothing was changed. Start the version of joulebook that wrote the journal; or, if what this version says \
         shall hold from now on, start it with `journal.verify = false`"
    )]
    Differs(Difference),
}

impl From<RecoverError> for RecoveryError {
    fn from(error: RecoverError) -> Self {
        match error {
            RecoverError::Replay(ReplayError::Differs(difference)) => Self::Differs(difference),
            other => Self::Recover(other),
        }
    }
}

/// What a replay came to.
#[derive(Clone, Debug)]
pub struct Replayed {
    pub last_seq: SeqNum,
    pub batches: u64,
    pub duration: Duration,
    /// The chained hash of all events.
    pub event_hash: [u64; 2],
    /// The hash of the logical state.
    pub state_hash: [u8; 32],
    /// The journal's own chain: vouches for every batch.
    pub journal_hash: [u8; 32],
}

/// Applies everything that `reader` has to a new engine, and compares with what the exchange said when it ran.
/// `after_batch` sees the engine and the events of each batch.
pub fn replay<S: Storage>(
    reader: &mut JournalReader<S>,
    mut after_batch: impl FnMut(&Engine, &Events),
) -> Result<(Engine, u64), RecoveryError> {
    let mut replayer = Replayer::new(Engine::new());
    let mut batches = 0;
    while let Some(batch) = reader.next_batch()? {
        replayer.apply(&batch)?;
        after_batch(replayer.engine(), replayer.events());
        batches += 1;
    }
    if let Some(digest) = reader.newest_digest() {
        replayer.check(digest)?;
    }
    Ok((replayer.into_engine(), batches))
}

/// Replays a data folder without changing it.
pub fn replay_folder(dir: &Path) -> Result<(Engine, Replayed), RecoveryError> {
    let started = Instant::now();
    let storage = FileStorage::open_read_only(dir)?;
    let mut reader = JournalReader::new(storage, SHARD)?;
    let (engine, batches) = replay(&mut reader, |_, _| {})?;
    let replayed = Replayed {
        last_seq: engine.last_seq(),
        batches,
        duration: started.elapsed(),
        event_hash: engine.event_chain_hash(),
        state_hash: engine.state_hash(),
        journal_hash: reader.chain_hash(),
    };
    Ok((engine, replayed))
}
