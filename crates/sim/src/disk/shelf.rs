//! The snapshots on a disk.

use std::collections::BTreeMap;

use joulebook_journal::{SnapshotName, SnapshotStorage, StorageError, StorageErrorKind};

use super::SimDisk;

/// Complete ones, by their last command, and the one that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    whole: BTreeMap<u64, (SnapshotName, Vec<u8>)>,
    writing: Option<(SnapshotName, Vec<u8>)>,
}

impl Shelf {
    pub fn used_bytes(&self) -> u64 {
        let whole = self.whole.values().map(|(_, bytes)| bytes.len() as u64);
        whole.sum::<u64>() + self.writing.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64)
    }

    /// What was not finished is gone.
    pub fn crash(&mut self) {
        self.writing = None;
    }
}

impl SimDisk {
    /// Damages a snapshot: the bit at `offset`, counted around its end.
    pub fn flip_snapshot_bit(&self, name: SnapshotName, offset: u64, bit: u8) {
        if let Some((_, bytes)) = self.0.borrow_mut().shelf.whole.get_mut(&name.seq.raw()) {
            let offset = offset as usize % bytes.len();
            bytes[offset] ^= 1 << bit;
        }
    }

    fn snapshot_call(&self, name: Option<SnapshotName>, doing: &'static str) -> Result<(), StorageError> {
        let mut disk = self.0.borrow_mut();
        if disk.call(0, doing).is_ok() {
            return Ok(());
        }
        Err(refused(name, doing, StorageErrorKind::Io))
    }
}

fn refused(name: Option<SnapshotName>, doing: &'static str, kind: StorageErrorKind) -> StorageError {
    let file = name.map_or_else(|| "the snapshots".into(), |name| format!("snapshot {name}"));
    StorageError { kind, doing, file, reason: "the simulated disk refuses".into() }
}

impl SnapshotStorage for SimDisk {
    fn list(&mut self) -> Result<Vec<SnapshotName>, StorageError> {
        self.snapshot_call(None, "list")?;
        Ok(self.0.borrow().shelf.whole.values().map(|(name, _)| *name).collect())
    }

    fn begin(&mut self, name: SnapshotName) -> Result<(), StorageError> {
        self.snapshot_call(Some(name), "create")?;
        self.0.borrow_mut().shelf.writing = Some((name, Vec::new()));
        Ok(())
    }

    fn append(&mut self, more: &[u8]) -> Result<(), StorageError> {
        self.snapshot_call(None, "write")?;
        let disk = &mut *self.0.borrow_mut();
        let errors_ppm = disk.profile.snapshot_errors_ppm;
        if disk.dice.ppm(errors_ppm) {
            disk.scene.count("snapshot errors");
            return Err(refused(None, "write", StorageErrorKind::Io));
        }
        if !disk.has_room(more.len() as u64) {
            disk.scene.count("full disk met");
            return Err(refused(None, "write", StorageErrorKind::NoSpace));
        }
        let (_, bytes) = disk.shelf.writing.as_mut().expect("a snapshot was begun");
        bytes.extend_from_slice(more);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        let called = self.snapshot_call(None, "sync");
        let disk = &mut *self.0.borrow_mut();
        let (name, bytes) = disk.shelf.writing.take().expect("a snapshot was begun");
        // A process that dies here may have given the file its name already.
        if called.is_ok() || disk.dice.chance(1, 2) {
            disk.shelf.whole.insert(name.seq.raw(), (name, bytes));
        }
        called
    }

    fn abandon(&mut self) {
        self.0.borrow_mut().shelf.writing = None;
    }

    fn read(&mut self, name: SnapshotName) -> Result<Vec<u8>, StorageError> {
        self.snapshot_call(Some(name), "read")?;
        let disk = self.0.borrow();
        let found = disk.shelf.whole.get(&name.seq.raw()).filter(|(found, _)| *found == name);
        found.map(|(_, bytes)| bytes.clone()).ok_or_else(|| refused(Some(name), "read", StorageErrorKind::Io))
    }

    fn remove(&mut self, name: SnapshotName) -> Result<(), StorageError> {
        self.snapshot_call(Some(name), "remove")?;
        self.0.borrow_mut().shelf.whole.remove(&name.seq.raw());
        Ok(())
    }

    fn file_name(&self, name: SnapshotName) -> String {
        format!("snapshot {name}")
    }
}
