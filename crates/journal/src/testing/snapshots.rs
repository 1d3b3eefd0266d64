//! A place for snapshots in memory, with faults on demand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{SnapshotName, SnapshotStorage, StorageError, StorageErrorKind};

/// A handle to a place for snapshots; clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemSnapshots(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    complete: BTreeMap<SnapshotName, Vec<u8>>,
    unfinished: Option<(SnapshotName, Vec<u8>)>,
    /// Appends and finishes asked for so far.
    writes: u64,
    fail_write: Option<(u64, StorageErrorKind)>,
    /// Bytes of all snapshots that fit.
    space_bytes: Option<usize>,
}

impl MemSnapshots {
    pub fn new() -> Self {
        Self::default()
    }

    /// A place of its own with the same snapshots.
    pub fn fork(&self) -> Self {
        let complete = self.shelf().complete.clone();
        Self(Arc::new(Mutex::new(Shelf { complete, ..Shelf::default() })))
    }

    /// The power goes: what is not finished vanishes.
    pub fn crash(&self) {
        self.shelf().unfinished = None;
    }

    /// Makes the `nth` append or finish fail (1 is the next one ever).
    pub fn fail_write(&self, nth: u64, kind: StorageErrorKind) {
        self.shelf().fail_write = Some((nth, kind));
    }

    /// Appends and finishes asked for so far.
    pub fn writes(&self) -> u64 {
        self.shelf().writes
    }

    /// Lets snapshots of so many bytes in all fit; `None` takes the limit away.
    pub fn limit_space(&self, bytes: Option<usize>) {
        self.shelf().space_bytes = bytes;
    }

    pub fn flip_bit(&self, name: SnapshotName, offset: usize, bit: u8) {
        self.shelf().snapshot(name)[offset] ^= 1 << bit;
    }

    pub fn bytes(&self, name: SnapshotName) -> Vec<u8> {
        self.shelf().snapshot(name).clone()
    }

    pub fn set_bytes(&self, name: SnapshotName, bytes: Vec<u8>) {
        self.shelf().complete.insert(name, bytes);
    }

    /// Whether a snapshot was begun and neither finished nor abandoned.
    pub fn is_writing(&self) -> bool {
        self.shelf().unfinished.is_some()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().expect("no user of the snapshots panics while it holds them")
    }
}

impl Shelf {
    fn snapshot(&mut self, name: SnapshotName) -> &mut Vec<u8> {
        self.complete.get_mut(&name).expect("the test names a snapshot that exists")
    }

    /// Counts one write of `bytes`, and says whether it fails.
    fn admit(&mut self, doing: &'static str, bytes: usize) -> Result<(), StorageError> {
        self.writes += 1;
        let (name, unfinished) = self.unfinished.as_ref().expect("a snapshot was begun");
        let used: usize = self.complete.values().map(Vec::len).sum::<usize>() + unfinished.len();
        if let Some((_, kind)) = self.fail_write.filter(|(nth, _)| *nth == self.writes) {
            return Err(error(*name, doing, kind));
        }
        if self.space_bytes.is_some_and(|space| used + bytes > space) {
            return Err(error(*name, doing, StorageErrorKind::NoSpace));
        }
        Ok(())
    }
}

fn error(name: SnapshotName, doing: &'static str, kind: StorageErrorKind) -> StorageError {
    StorageError { kind, doing, file: name.to_string(), reason: "as the test asked".into() }
}

impl SnapshotStorage for MemSnapshots {
    fn list(&mut self) -> Result<Vec<SnapshotName>, StorageError> {
        Ok(self.shelf().complete.keys().copied().collect())
    }

    fn begin(&mut self, name: SnapshotName) -> Result<(), StorageError> {
        let mut shelf = self.shelf();
        assert!(shelf.unfinished.is_none(), "one snapshot at a time");
        shelf.unfinished = Some((name, Vec::new()));
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        assert!(bytes.len().is_multiple_of(4096), "whole blocks");
        let mut shelf = self.shelf();
        shelf.admit("write", bytes.len())?;
        shelf.unfinished.as_mut().expect("a snapshot was begun").1.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        let mut shelf = self.shelf();
        shelf.admit("sync", 0)?;
        let (name, bytes) = shelf.unfinished.take().expect("a snapshot was begun");
        shelf.complete.insert(name, bytes);
        Ok(())
    }

    fn abandon(&mut self) {
        self.shelf().unfinished = None;
    }

    fn read(&mut self, name: SnapshotName) -> Result<Vec<u8>, StorageError> {
        let bytes = self.shelf().complete.get(&name).cloned();
        bytes.ok_or_else(|| error(name, "read", StorageErrorKind::Io))
    }

    fn remove(&mut self, name: SnapshotName) -> Result<(), StorageError> {
        match self.shelf().complete.remove(&name) {
            Some(_) => Ok(()),
            None => Err(error(name, "remove", StorageErrorKind::Io)),
        }
    }

    fn file_name(&self, name: SnapshotName) -> String {
        name.to_string()
    }
}
