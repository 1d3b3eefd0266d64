//! Where a replay begins: with the journal's first command, or behind a snapshot.

use std::convert::Infallible;
use std::path::Path;
use std::str::FromStr;

use joulebook_engine::Engine;
use joulebook_journal::{
    BLOCK_BYTES, JournalError, JournalMark, JournalReader, SnapshotHeader, SnapshotName, SnapshotStorage,
    StorageError,
};
use joulebook_sequencer::{Compare, SnapshotProblem, open_snapshot};
use joulebook_types::SeqNum;

use super::source::{Journal, Place};
use crate::recovery::{RecoveryError, SHARD};
use crate::snapshots::FileSnapshots;
use crate::storage::FileStorage;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// The first command if the folder still has it, else the oldest snapshot that goes on where the journal begins.
    Anywhere,
    /// The first command.
    First,
    /// The newest snapshot at or before a command, or the first command.
    Seq(SeqNum),
    /// This file of the folder's snapshots.
    Snapshot(String),
}

impl FromStr for From {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.parse() {
            _ if text == "none" => Self::First,
            Ok(seq) => Self::Seq(SeqNum::new(seq)),
            Err(_) => Self::Snapshot(text.to_owned()),
        })
    }
}

/// Why there is nothing to begin with.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the folder has no snapshot {0}; `joulebook inspect DIR snapshots` lists what it has")]
    NoSuchSnapshot(String),
    #[error(transparent)]
    Snapshot(#[from] SnapshotProblem),
    #[error(
        "the journal of this folder begins with command {first}: leave `--from` out to begin with a snapshot"
    )]
    Retired { first: SeqNum },
    #[error(
        "the journal of this folder begins with command {first}, and no snapshot that can be used goes on there: see \
         `joulebook doctor DIR`"
    )]
    NoBeginning { first: SeqNum },
}

/// A state to go on from.
#[derive(Debug)]
pub struct Beginning {
    pub engine: Engine,
    /// Where in the journal that is; `None`: before the first command.
    pub mark: Option<JournalMark>,
    /// What of the journal can be compared from there on.
    pub compare: Compare,
    /// For people.
    pub words: String,
}

impl Beginning {
    pub fn choose(dir: &Path, from: &From) -> Result<Self, BeginError> {
        let mut snapshots = FileSnapshots::open_read_only(dir);
        let first = oldest_command(dir)?;
        let is_whole = first.raw() <= 1;
        let names = match from {
            From::Anywhere | From::First if is_whole => return Ok(Self::first()),
            From::First => return Err(BeginError::Retired { first }),
            From::Anywhere => snapshots.list()?,
            From::Seq(seq) => {
                let names = snapshots.list()?.into_iter().rev();
                names.filter(|name| name.seq <= *seq).collect()
            }
            From::Snapshot(text) => return Self::named(&mut snapshots, text),
        };
        let goes_on = |name: &SnapshotName| first.raw() <= name.seq.raw().saturating_add(1);
        let opened = names.into_iter().filter(goes_on).find_map(|name| {
            let (header, engine) = open_snapshot(&mut snapshots, name).ok()?;
            Some(Self::behind(name, header, engine))
        });
        match opened {
            Some(beginning) => Ok(beginning),
            None if is_whole => Ok(Self::first()),
            None => Err(BeginError::NoBeginning { first }),
        }
    }

    fn first() -> Self {
        Self {
            engine: Engine::new(),
            mark: None,
            compare: Compare::All,
            words: "the first command".to_owned(),
        }
    }

    fn named(snapshots: &mut FileSnapshots, text: &str) -> Result<Self, BeginError> {
        let file = Path::new(text).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = SnapshotName::parse(file).filter(|name| snapshots.path(*name).exists());
        let name = name.ok_or_else(|| BeginError::NoSuchSnapshot(text.to_owned()))?;
        let (header, engine) = open_snapshot(snapshots, name)?;
        Ok(Self::behind(name, header, engine))
    }

    fn behind(name: SnapshotName, header: SnapshotHeader, engine: Engine) -> Self {
        let compare = Compare::All.behind(&header);
        Self { engine, mark: Some(header.mark), compare, words: format!("snapshot {name}") }
    }

    /// The journal from there on.
    pub fn open_journal(&self, dir: &Path, follow: bool) -> Result<Journal, RecoveryError> {
        let place = self.mark.as_ref().map_or(Place::First, Place::After);
        Journal::open(dir, place, follow)
    }
}

/// The oldest command that the folder has; 1 of a journal that is whole, or empty.
pub fn oldest_command(dir: &Path) -> Result<SeqNum, RecoveryError> {
    let storage = FileStorage::open_read_only(dir)?;
    match JournalReader::new(storage, SHARD) {
        Ok(_) => Ok(SeqNum::new(1)),
        Err(JournalError::Retired { first_seq, .. }) => Ok(first_seq),
        Err(error) => Err(error.into()),
    }
}

/// What a snapshot file says about itself; only its header was looked at.
#[derive(Clone, Debug)]
pub struct SnapshotHash {
    pub file: String,
    pub seq: SeqNum,
    pub state_hash: [u8; 32],
}

/// The state hashes that snapshots of the folder claim. Files whose header cannot be read are left to `doctor`.
pub fn snapshot_hashes(dir: &Path) -> Result<Vec<SnapshotHash>, StorageError> {
    let mut snapshots = FileSnapshots::open_read_only(dir);
    let mut hashes = Vec::new();
    for name in snapshots.list()? {
        if let Some(header) = snapshot_header(&snapshots, name) {
            let file = snapshots.file_name(name);
            hashes.push(SnapshotHash { file, seq: header.mark.seq, state_hash: header.state_hash });
        }
    }
    Ok(hashes)
}

/// The header of a snapshot, if it is one.
pub fn snapshot_header(snapshots: &FileSnapshots, name: SnapshotName) -> Option<SnapshotHeader> {
    let mut block = [0; BLOCK_BYTES];
    let mut file = std::fs::File::open(snapshots.path(name)).ok()?;
    std::io::Read::read_exact(&mut file, &mut block).ok()?;
    SnapshotHeader::from_block(&block).ok()
}
