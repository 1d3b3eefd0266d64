//! From a disk to an engine: the newest snapshot that is whole, then every batch behind it, compared with what the exchange
//! said when it ran.

use core::fmt;

use joulebook_engine::Engine;
use joulebook_journal::{
    JournalError, JournalReader, SnapshotDamage, SnapshotHeader, SnapshotName, SnapshotStorage, Storage,
    StorageError, read_snapshot,
};
use joulebook_types::{SeqNum, ShardId};

use crate::{Compare, ReplayError, Replayer};

/// What a disk came to.
pub struct Recovered<S> {
    /// As it was after the last command of the journal.
    pub engine: Engine,
    /// At the journal's end, which is where the next batch goes.
    pub reader: JournalReader<S>,
    /// Where it began; `None`: with an empty engine.
    pub snapshot: Option<SnapshotName>,
    /// Newer snapshots that could not be used, newest first.
    pub skipped: Vec<Skipped>,
    /// Batches that were replayed.
    pub batches: u64,
}

/// A snapshot that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub name: SnapshotName,
    /// For people: which file it is, and what is wrong with it.
    pub problem: SnapshotProblem,
}

/// Why a snapshot cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotProblem {
    #[error(transparent)]
    Unreadable(#[from] StorageError),
    #[error("{file}, {damage}")]
    Damaged { file: String, damage: SnapshotDamage },
}

/// Why an exchange cannot be recovered, in words that say what to do. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("the snapshots cannot be listed: {0}")]
    Snapshots(StorageError),
    /// The snapshot is whole and the journal is not the one that it was made of, or lost its end.
    #[error(
        "{file} cannot be continued: {error}. Nothing was changed. The snapshot is whole, so commands that were \
         acknowledged are missing from the journal, or one of the two is of another exchange. Put the journal that \
         belongs to it in place; or, if the journal is the right one and nothing is missing, move the snapshot away{}",
        Listed(skipped)
    )]
    Misfit { file: String, error: Box<JournalError>, skipped: Vec<Skipped> },
    /// The beginning of the journal is gone, and nothing stands in for it.
    #[error(
        "{file} is the oldest segment of the journal and begins with command {first_seq}; the commands before it are in \
         snapshots only, and there is none that can be used{}. Nothing was changed. First copy the whole folder. Then \
         put an intact copy of a snapshot, or of the segments before, from a backup in its place: an exchange cannot \
         begin in the middle",
        Listed(skipped)
    )]
    NoBeginning { file: String, first_seq: SeqNum, skipped: Vec<Skipped> },
}

/// Snapshots that could not be used, after a sentence.
struct Listed<'a>(&'a [Skipped]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, skipped) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { " (" } else { "; " }, skipped.problem)?;
        }
        if self.0.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

/// The engine of a snapshot file, which must be all that its header says: the same last command, the same events before it
/// and, computed again, the same state.
pub fn load_snapshot(bytes: &[u8]) -> Result<(SnapshotHeader, Engine), SnapshotDamage> {
    let (header, body) = read_snapshot(bytes)?;
    if header.state_version != Engine::STATE_VERSION {
        let what = format!(
            "the engine's state has encoding {}, and this program reads {}",
            header.state_version,
            Engine::STATE_VERSION
        );
        return Err(SnapshotDamage { offset_bytes: 0, what });
    }
    let engine =
        Engine::load(&body).map_err(|error| SnapshotDamage::in_body(error.offset_bytes, error.what))?;
    let wrong = if engine.last_seq() != header.mark.seq {
        "the state is not that after the header's command"
    } else if engine.event_chain_hash() != header.events {
        "the state does not have the header's hash of events"
    } else if engine.state_hash() != header.state_hash {
        "the state does not have the header's state hash"
    } else {
        return Ok((header, engine));
    };
    Err(SnapshotDamage { offset_bytes: 0, what: wrong.into() })
}

/// [`load_snapshot`] of a stored one, which must also be what its name says.
pub fn open_snapshot(
    snapshots: &mut impl SnapshotStorage,
    name: SnapshotName,
) -> Result<(SnapshotHeader, Engine), SnapshotProblem> {
    let bytes = snapshots.read(name)?;
    let found = load_snapshot(&bytes).and_then(|(header, engine)| match header.name() == name {
        true => Ok((header, engine)),
        false => {
            let what = format!("it is named {name} and contains {}", header.name());
            Err(SnapshotDamage { offset_bytes: 0, what })
        }
    });
    found.map_err(|damage| SnapshotProblem::Damaged { file: snapshots.file_name(name), damage })
}

/// Brings an engine to the end of the journal. With `verify`, what it says on the way is compared with what was attested.
///
/// A snapshot that is not whole is skipped; one that is whole and does not fit the journal is an error, because then
/// something is missing that was acknowledged.
pub fn recover<S: Storage>(
    storage: S,
    snapshots: &mut impl SnapshotStorage,
    shard: ShardId,
    verify: bool,
) -> Result<Recovered<S>, RecoverError> {
    let mut skipped = Vec::new();
    let names = snapshots.list().map_err(RecoverError::Snapshots)?;
    let newest = names.into_iter().rev().find_map(|name| match open_snapshot(snapshots, name) {
        Ok((header, engine)) => Some((name, header, engine)),
        Err(problem) => {
            skipped.push(Skipped { name, problem });
            None
        }
    });
    let compare = if verify { Compare::All } else { Compare::Nothing };
    let (snapshot, engine, compare, reader) = match newest {
        None => (None, Engine::new(), compare, JournalReader::new(storage, shard)),
        Some((name, header, engine)) => {
            let reader = JournalReader::after(storage, shard, &header.mark);
            (Some(name), engine, compare.behind(&header), reader)
        }
    };
    let mut reader = match (reader, snapshot) {
        (Ok(reader), _) => reader,
        (Err(JournalError::Retired { file, first_seq }), None) => {
            return Err(RecoverError::NoBeginning { file, first_seq, skipped });
        }
        (Err(error @ JournalError::ForeignMark { .. }), Some(name)) => {
            let (file, error) = (snapshots.file_name(name), Box::new(error));
            return Err(RecoverError::Misfit { file, error, skipped });
        }
        (Err(error), _) => return Err(error.into()),
    };
    let (engine, batches) = replay(&mut reader, engine, compare)?;
    Ok(Recovered { engine, reader, snapshot, skipped, batches })
}

/// Applies what `reader` has left, and says how many batches that was.
fn replay<S: Storage>(
    reader: &mut JournalReader<S>,
    engine: Engine,
    compare: Compare,
) -> Result<(Engine, u64), RecoverError> {
    let mut replayer = Replayer::comparing(engine, compare);
    let mut batches = 0;
    while let Some(batch) = reader.next_batch()? {
        replayer.apply(&batch)?;
        batches += 1;
    }
    // A marker attests the last batch.
    if let Some(digest) = reader.newest_digest() {
        replayer.check(digest)?;
    }
    Ok((replayer.into_engine(), batches))
}
