//! Snapshots as files of the data folder.
//!
//! ```text
//! DIR/snapshots/00000000000001000000-0102030405060708.snap     made as `.tmp` and renamed when it is durable
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use joulebook_journal::{SnapshotName, SnapshotStorage, StorageError};
use joulebook_sys::{sync_data, sync_directory};

use crate::storage::{OpenError, create_folder, storage_error};

/// Bytes between two syncs. The journal's syncs queue behind whatever is on its way to the same disk, so a snapshot goes
/// there in small portions.
const STEP_BYTES: usize = 2 << 20;

/// The snapshots of one data folder.
#[derive(Debug)]
pub struct FileSnapshots {
    folder: PathBuf,
    writing: Option<Writing>,
    stopping: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Writing {
    path: PathBuf,
    file: File,
    unsynced_bytes: usize,
}

impl FileSnapshots {
    /// For the daemon: makes the folder if there is none, and removes what an interrupted snapshot left. Once `stopping`
    /// is true, a snapshot that is being written is refused.
    pub fn open(dir: &Path, stopping: Arc<AtomicBool>) -> Result<Self, OpenError> {
        let folder = dir.join("snapshots");
        create_folder(&folder)?;
        let io_error = |error| OpenError::Io { doing: "tidy", path: folder.clone(), error };
        for path in leftovers(&folder).map_err(io_error)? {
            std::fs::remove_file(path).map_err(io_error)?;
        }
        sync_directory(&folder).and_then(|()| sync_directory(dir)).map_err(io_error)?;
        Ok(Self { folder, writing: None, stopping })
    }

    /// For replay and inspection: changes nothing. A folder without snapshots may lack their folder too.
    pub fn open_read_only(dir: &Path) -> Self {
        Self { folder: dir.join("snapshots"), writing: None, stopping: Arc::default() }
    }

    /// Files that an interrupted snapshot left, or one that is being written now.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>, StorageError> {
        leftovers(&self.folder).map_err(|error| storage_error("list", &self.folder, &error))
    }

    pub fn path(&self, name: SnapshotName) -> PathBuf {
        self.folder.join(name.to_string())
    }

    fn with_writing(
        &mut self,
        doing: &'static str,
        action: impl FnOnce(&mut Writing) -> io::Result<()>,
    ) -> Result<(), StorageError> {
        let writing = self.writing.as_mut().expect("a snapshot was begun");
        let done = match self.stopping.load(Ordering::Relaxed) {
            true => Err(io::Error::new(io::ErrorKind::Interrupted, "the exchange is stopping")),
            false => action(writing),
        };
        done.map_err(|error| storage_error(doing, &writing.path, &error))
    }
}

impl SnapshotStorage for FileSnapshots {
    fn list(&mut self) -> Result<Vec<SnapshotName>, StorageError> {
        let names = entries(&self.folder, SnapshotName::parse);
        let mut names = names.map_err(|error| storage_error("list", &self.folder, &error))?;
        names.sort_unstable();
        Ok(names)
    }

    fn begin(&mut self, name: SnapshotName) -> Result<(), StorageError> {
        let path = self.path(name).with_extension("tmp");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.map_err(|error| storage_error("create", &path, &error))?;
        self.writing = Some(Writing { path, file, unsynced_bytes: 0 });
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.with_writing("write", |writing| {
            writing.file.write_all(bytes)?;
            writing.unsynced_bytes += bytes.len();
            if writing.unsynced_bytes >= STEP_BYTES {
                sync_data(&writing.file)?;
                writing.unsynced_bytes = 0;
            }
            Ok(())
        })
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        self.with_writing("sync", |writing| writing.file.sync_all())?;
        let folder = self.folder.clone();
        self.with_writing("rename", |writing| {
            std::fs::rename(&writing.path, writing.path.with_extension("snap"))?;
            sync_directory(&folder)
        })?;
        self.writing = None;
        Ok(())
    }

    fn abandon(&mut self) {
        if let Some(writing) = self.writing.take() {
            // What cannot be removed now is removed at the next start.
            let _ = std::fs::remove_file(&writing.path);
        }
    }

    fn read(&mut self, name: SnapshotName) -> Result<Vec<u8>, StorageError> {
        let path = self.path(name);
        std::fs::read(&path).map_err(|error| storage_error("read", &path, &error))
    }

    fn remove(&mut self, name: SnapshotName) -> Result<(), StorageError> {
        let path = self.path(name);
        let removed = std::fs::remove_file(&path).and_then(|()| sync_directory(&self.folder));
        removed.map_err(|error| storage_error("remove", &path, &error))
    }

    fn file_name(&self, name: SnapshotName) -> String {
        self.path(name).display().to_string()
    }
}

fn leftovers(folder: &Path) -> io::Result<Vec<PathBuf>> {
    entries(folder, |name| name.ends_with(".tmp").then(|| folder.join(name)))
}

/// What `choose` makes of the names in a folder; a folder that does not exist has none.
fn entries<T>(folder: &Path, mut choose: impl FnMut(&str) -> Option<T>) -> io::Result<Vec<T>> {
    let mut chosen = Vec::new();
    let listing = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(chosen),
        listing => listing?,
    };
    for entry in listing {
        chosen.extend(entry?.file_name().to_str().and_then(&mut choose));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use joulebook_journal::{JournalMark, SnapshotHeader, SnapshotWriter, Term, read_snapshot};
    use joulebook_types::{SeqNum, ShardId, TimeNs};

    use super::*;

    fn header(seq: u64) -> SnapshotHeader {
        SnapshotHeader {
            mark: JournalMark {
                journal_id: 7,
                shard: ShardId::new(1),
                term: Term::new(1),
                seq: SeqNum::new(seq),
                time: TimeNs::new(seq),
                chain: [1; 32],
            },
            events: [3, 4],
            state_hash: [5; 32],
            state_version: 1,
            unattested: false,
        }
    }

    fn open(dir: &Path) -> FileSnapshots {
        FileSnapshots::open(dir, Arc::default()).unwrap()
    }

    fn write(snapshots: &mut FileSnapshots, seq: u64, body: &[u8]) -> Result<SnapshotName, StorageError> {
        let mut writer = SnapshotWriter::begin(&mut *snapshots, &header(seq))?;
        writer.write(body);
        writer.finish()
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_written_is_private_listed_in_order_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut snapshots = open(dir.path());
        let body = vec![0xB0; 5 << 20];
        let names = [20, 3, 100].map(|seq| write(&mut snapshots, seq, &body).unwrap());
        assert_eq!(snapshots.list().unwrap(), [names[1], names[0], names[2]]);
        let mut reader = FileSnapshots::open_read_only(dir.path());
        for name in names {
            let (found, read) = read_snapshot(&reader.read(name).unwrap()).unwrap();
            assert!(found == header(name.seq.raw()) && read == body);
            assert_eq!(mode(&reader.path(name)), 0o600);
        }
        assert_eq!(mode(&dir.path().join("snapshots")), 0o700);
        snapshots.remove(names[0]).unwrap();
        assert_eq!(reader.list().unwrap(), [names[1], names[2]]);
        let error = reader.read(names[0]).unwrap_err().to_string();
        assert!(error.contains("00000000000000000020-0505050505050505.snap"), "{error}");
    }

    #[test]
    fn an_unfinished_one_is_neither_listed_nor_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut snapshots = open(dir.path());
        snapshots.begin(header(9).name()).unwrap();
        snapshots.append(&[0; 4096]).unwrap();
        assert_eq!(snapshots.list().unwrap(), []);
        let left = snapshots.leftovers().unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        // The process dies here; a copy that somebody made beside it is none of ours.
        drop(snapshots);
        let copy = dir.path().join("snapshots/copy of 9.snap");
        std::fs::write(&copy, "").unwrap();
        let mut snapshots = open(dir.path());
        assert_eq!(snapshots.list().unwrap(), []);
        assert!(snapshots.leftovers().unwrap().is_empty() && copy.exists());

        let mut writer = SnapshotWriter::begin(&mut snapshots, &header(10)).unwrap();
        writer.write(&[1; 3 << 20]);
        drop(writer);
        assert!(snapshots.leftovers().unwrap().is_empty(), "an abandoned one is removed at once");
    }

    #[test]
    fn what_the_disk_does_not_have_gets_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut snapshots = open(dir.path());
        let name = header(11).name();
        // A device that takes every byte and refuses to sync.
        let unfinished = snapshots.path(name).with_extension("tmp");
        std::os::unix::fs::symlink("/dev/null", &unfinished).unwrap();
        let error = write(&mut snapshots, 11, &[2; 4096]).unwrap_err().to_string();
        assert!(error.contains("cannot sync") && error.contains(".tmp"), "{error}");
        assert_eq!(snapshots.list().unwrap(), []);
        assert!(std::fs::symlink_metadata(snapshots.path(name)).is_err(), "it was renamed");
        assert!(!unfinished.exists(), "what is left of it is in the way of the next");
        assert_eq!(write(&mut snapshots, 11, &[2; 4096]).unwrap(), name);
    }

    #[test]
    fn a_stop_ends_a_snapshot_at_its_next_step() {
        let dir = tempfile::tempdir().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let mut snapshots = FileSnapshots::open(dir.path(), Arc::clone(&stopping)).unwrap();
        let mut writer = SnapshotWriter::begin(&mut snapshots, &header(10)).unwrap();
        writer.write(&[1; 3 << 20]);
        assert!(!writer.is_refused());
        stopping.store(true, Ordering::Relaxed);
        writer.write(&[1; 2 << 20]);
        assert!(writer.is_refused());
        assert!(writer.finish().unwrap_err().to_string().contains("stopping"));
        assert!(snapshots.list().unwrap().is_empty() && snapshots.leftovers().unwrap().is_empty());
    }

    #[test]
    fn a_folder_that_refuses_is_an_error_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(FileSnapshots::open_read_only(dir.path()).list().unwrap(), []);
        let mut snapshots = open(dir.path());
        std::fs::remove_dir(dir.path().join("snapshots")).unwrap();
        let error = write(&mut snapshots, 5, b"").unwrap_err().to_string();
        assert!(error.contains("cannot create") && error.contains("/snapshots/"), "{error}");
        std::fs::write(dir.path().join("snapshots"), "").unwrap();
        assert!(FileSnapshots::open(dir.path(), Arc::default()).is_err());
        assert!(snapshots.list().is_err());
    }
}
