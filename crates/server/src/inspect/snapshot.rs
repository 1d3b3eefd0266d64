//! Snapshots as engines.

use joulebook_engine::Engine;
use joulebook_journal::{
    SnapshotDamage, SnapshotHeader, SnapshotName, SnapshotStorage, StorageError, read_snapshot,
};

/// Why a snapshot cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotProblem {
    #[error(transparent)]
    Unreadable(#[from] StorageError),
    #[error("{file}, {damage}")]
    Damaged { file: String, damage: SnapshotDamage },
}

pub fn open_snapshot(
    snapshots: &mut impl SnapshotStorage,
    name: SnapshotName,
) -> Result<(SnapshotHeader, Engine), SnapshotProblem> {
    let bytes = snapshots.read(name)?;
    let opened = read_snapshot(&bytes).and_then(|(header, body)| {
        let engine =
            Engine::load(&body).map_err(|error| SnapshotDamage::in_body(error.offset_bytes, error.what))?;
        if engine.state_hash() != header.state_hash {
            return Err(SnapshotDamage { offset_bytes: 0, what: "another state hash".into() });
        }
        Ok((header, engine))
    });
    opened.map_err(|damage| SnapshotProblem::Damaged { file: snapshots.file_name(name), damage })
}
