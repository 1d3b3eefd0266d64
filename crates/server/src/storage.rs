//! The journal's disk: a data folder of preallocated segment files.
//!
//! ```text
//! DIR/VERSION                              which program may read the folder
//! DIR/LOCK                                 held by the one daemon that uses it
//! DIR/journal/00000000000000000001.seg     segments, made as `.tmp` and renamed when they are durable zeros
//! ```
//!
//! Two threads stand behind it. The *journal thread* writes and syncs one group at a time and wakes the core; nothing
//! else in the daemon blocks on the disk. The *preparing thread* makes segments ahead and removes retired ones, at low
//! priority. Both sleep when there is nothing to do; under load the journal thread looks for the next group before it does.

mod room;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    ops::Range,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use crossbeam::channel::{Receiver, Sender, bounded};
use joulebook_journal::{
    Completion, GroupBuffer, Segment, SegmentNumber, Storage, StorageError, StorageErrorKind,
};
use joulebook_rings::Wake;
use joulebook_sys::{
    Advisory, DirectFile, forget_cached, free_bytes, lock_exclusive, reserve, sync_data, sync_directory,
    write_zeros_at,
};

pub use crate::storage::room::SnapshotRoom;
use crate::storage::writer::{Group, Writer};

/// What the file `VERSION` says in a folder that this program can use.
pub const DATA_VERSION: u32 = 1;

/// The files of one journal, locked for this process.
#[derive(Debug)]
pub struct FileStorage {
    folder: PathBuf,
    /// The segment that recovery is reading.
    open: Option<(SegmentNumber, File)>,
    /// Segments of which the page cache is not to be believed, until the first group is written.
    direct: Vec<(SegmentNumber, DirectFile)>,
    groups: Option<Sender<Group>>,
    segments: Option<Sender<Task>>,
    completions: Receiver<Completion>,
    stopping: Arc<AtomicBool>,
    room: Arc<SnapshotRoom>,
    threads: Vec<JoinHandle<()>>,
    /// Closed last, so the folder is free only when the threads have left it. `None` when only reading.
    lock: Option<File>,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} is in use by another joulebook daemon{holder}: stop that one, or choose another folder", dir.display())]
    Locked { dir: PathBuf, holder: String },
    #[error(
        "{} was written for data version {found:?}, and this program uses version {DATA_VERSION}: start the version \
         of joulebook that wrote it, or choose another folder", dir.display()
    )]
    Version { dir: PathBuf, found: String },
    #[error(
        "{} has a journal but no file VERSION, so nobody can tell who wrote it: restore the file, or choose another \
         folder", dir.display()
    )]
    NoVersion { dir: PathBuf },
    #[error("cannot {doing} {}: {error}", path.display())]
    Io { doing: &'static str, path: PathBuf, error: io::Error },
}

impl FileStorage {
    /// Locks the data folder, making it if it does not exist, and starts its threads. `waker` is woken whenever
    /// [`Storage::poll`] has something to say.
    pub fn open(dir: &Path, waker: Arc<dyn Wake>) -> Result<Self, OpenError> {
        create_folder(dir)?;
        let lock = lock_folder(dir)?;
        check_version(dir)?;
        let folder = dir.join("journal");
        create_folder(&folder)?;
        // Also the names of segments: whoever was killed between giving one and syncing it left it in memory only.
        for dir in [dir, &folder] {
            sync_directory(dir).map_err(|error| io_error("sync", dir, error))?;
        }

        // One group, one new segment and one removal are under way at most, so an answer never waits for room.
        let (completed, completions) = bounded(3);
        let (groups, group_queue) = bounded(1);
        let (segments, segment_queue) = bounded(2);
        let stopping = Arc::new(AtomicBool::new(false));
        let reply = Reply { completed, waker };
        let writer = Writer::new(folder.clone(), reply.clone());
        let room = Arc::new(SnapshotRoom::default());
        let preparer = Preparer {
            folder: folder.clone(),
            reply,
            stopping: Arc::clone(&stopping),
            room: Arc::clone(&room),
        };
        let threads = vec![
            spawn("journal", dir, move || writer.run(&group_queue))?,
            spawn("prepare", dir, move || preparer.run(&segment_queue))?,
        ];
        Ok(Self {
            folder,
            open: None,
            direct: Vec::new(),
            groups: Some(groups),
            segments: Some(segments),
            completions,
            stopping,
            room,
            threads,
            lock: Some(lock),
        })
    }

    /// For replay and inspection: changes nothing, takes no lock and starts no thread. Beside a running daemon it
    /// sees what was written so far, of the last group perhaps a part.
    pub fn open_read_only(dir: &Path) -> Result<Self, OpenError> {
        if !read_version(dir)? {
            return Err(OpenError::NoVersion { dir: dir.to_owned() });
        }
        Ok(Self {
            folder: dir.join("journal"),
            open: None,
            direct: Vec::new(),
            groups: None,
            segments: None,
            completions: bounded(0).1,
            stopping: Arc::default(),
            room: Arc::default(),
            threads: Vec::new(),
            lock: None,
        })
    }

    /// Where whoever takes snapshots says what new segments leave free for one.
    pub fn snapshot_room(&self) -> Arc<SnapshotRoom> {
        Arc::clone(&self.room)
    }

    fn path(&self, segment: SegmentNumber) -> PathBuf {
        segment_path(&self.folder, segment)
    }

    fn file(&mut self, segment: SegmentNumber) -> Result<&File, StorageError> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != segment) {
            let path = self.path(segment);
            let file = OpenOptions::new().read(true).write(self.lock.is_some()).open(&path);
            self.open = Some((segment, file.map_err(|error| storage_error("open", &path, &error))?));
        }
        Ok(&self.open.as_ref().expect("opened above").1)
    }

    fn with_file<R>(
        &mut self,
        segment: SegmentNumber,
        doing: &'static str,
        action: impl FnOnce(&File) -> io::Result<R>,
    ) -> Result<R, StorageError> {
        let path = self.path(segment);
        action(self.file(segment)?).map_err(|error| storage_error(doing, &path, &error))
    }
}

impl Storage for FileStorage {
    fn segments(&mut self) -> Result<Vec<Segment>, StorageError> {
        let folder = self.folder.clone();
        list_segments(&folder).map_err(|error| storage_error("list", &folder, &error))
    }

    fn file_name(&self, segment: SegmentNumber) -> String {
        self.path(segment).display().to_string()
    }

    fn read_at(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> Result<(), StorageError> {
        if let Some((_, file)) = self.direct.iter_mut().find(|(direct, _)| *direct == segment) {
            let read = file.read_exact_at(into, offset);
            if read.map_err(|error| storage_error("read", &self.path(segment), &error))? {
                return Ok(());
            }
        }
        self.with_file(segment, "read", |file| file.read_exact_at(into, offset))
    }

    fn forget_memory(&mut self, segment: SegmentNumber) -> Result<(), StorageError> {
        if self.lock.is_none() {
            return Ok(());
        }
        self.with_file(segment, "sync", forget_cached)?;
        let path = self.path(segment);
        let file = DirectFile::open(&path).map_err(|error| storage_error("open", &path, &error))?;
        self.direct.extend(file.map(|file| (segment, file)));
        Ok(())
    }

    fn write_zeros(&mut self, segment: SegmentNumber, range: Range<u64>) -> Result<(), StorageError> {
        self.with_file(segment, "cut the tail of", |file| {
            write_zeros_at(file, range.start, range.end - range.start)
        })
    }

    fn sync(&mut self, segment: SegmentNumber) -> Result<(), StorageError> {
        self.with_file(segment, "sync", sync_data)
    }

    fn prepare_segment(&mut self, segment: SegmentNumber, bytes: u64) {
        let queue = self.segments.as_ref().expect("the folder was opened for writing");
        let task = Task::Prepare(Segment { number: segment, bytes });
        queue.try_send(task).expect("one segment is prepared at a time");
    }

    fn remove_segment(&mut self, segment: SegmentNumber) {
        let queue = self.segments.as_ref().expect("the folder was opened for writing");
        queue.try_send(Task::Remove(segment)).expect("one segment is removed at a time");
    }

    fn submit(&mut self, segment: SegmentNumber, offset: u64, group: GroupBuffer) {
        self.direct.clear();
        let queue = self.groups.as_ref().expect("the folder was opened for writing");
        queue.try_send(Group { segment, offset, buffer: group }).expect("one group is written at a time");
    }

    fn poll(&mut self) -> Option<Completion> {
        self.completions.try_recv().ok()
    }
}

impl Drop for FileStorage {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.groups = None;
        self.segments = None;
        for thread in self.threads.drain(..) {
            // A panic there has been reported by its own message; here it must not become an abort.
            let _ = thread.join();
        }
    }
}

/// How both threads answer.
#[derive(Clone)]
struct Reply {
    completed: Sender<Completion>,
    waker: Arc<dyn Wake>,
}

impl Reply {
    fn send(&self, completion: Completion) {
        // Nobody listens any more only when the storage is being dropped.
        let _ = self.completed.send(completion);
        self.waker.wake();
    }
}

/// What the preparing thread is asked for.
enum Task {
    Prepare(Segment),
    Remove(SegmentNumber),
}

/// The preparing thread: makes segments, and removes old ones.
struct Preparer {
    folder: PathBuf,
    reply: Reply,
    stopping: Arc<AtomicBool>,
    room: Arc<SnapshotRoom>,
}

/// Zeros between two syncs: a larger burst would delay the groups that are synced meanwhile.
const PREPARE_STEP_BYTES: u64 = 4 << 20;

impl Preparer {
    fn run(self, queue: &Receiver<Task>) {
        // Without the lower priority it still works, only less quietly.
        let _ = joulebook_sys::lower_current_thread_priority(10);
        while let Ok(task) = queue.recv() {
            let completion = match task {
                Task::Prepare(segment) => {
                    let path = segment_path(&self.folder, segment.number);
                    match self.prepare(&path, segment) {
                        Ok(true) => Completion::Prepared(segment),
                        // A clean stop leaves nothing behind.
                        Ok(false) => return drop(std::fs::remove_file(path.with_extension("tmp"))),
                        Err(error) => {
                            // What was written so far is in the way when the disk is full.
                            let _ = std::fs::remove_file(path.with_extension("tmp"));
                            Completion::PrepareFailed(storage_error("prepare", &path, &error))
                        }
                    }
                }
                Task::Remove(number) => {
                    let path = segment_path(&self.folder, number);
                    // One that is gone already, by hand or by a try whose sync failed, is removed: the ones behind it wait.
                    let removed = match std::fs::remove_file(&path) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                        removed => removed,
                    };
                    match removed.and_then(|()| sync_directory(&self.folder)) {
                        Ok(()) => Completion::Removed(number),
                        Err(error) => Completion::RemoveFailed(storage_error("remove", &path, &error)),
                    }
                }
            };
            self.reply.send(completion);
        }
    }

    /// False when the daemon stops before the segment is complete.
    fn prepare(&self, path: &Path, Segment { number, bytes }: Segment) -> io::Result<bool> {
        let unfinished = path.with_extension("tmp");
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        // A disk that is too full says so before anything is written to it.
        if !self.leaves_room(number, bytes) && !self.room.is_conceded() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        reserve(&file, bytes)?;
        let mut offset = 0;
        while offset < bytes {
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let step = PREPARE_STEP_BYTES.min(bytes - offset);
            write_zeros_at(&file, offset, step)?;
            sync_data(&file)?;
            offset += step;
        }
        // Also the length and the block map, which `fdatasync` may leave out only where no read needs them.
        file.sync_all()?;
        std::fs::rename(&unfinished, path)?;
        sync_directory(&self.folder)?;
        self.room.take_back();
        Ok(true)
    }

    /// Behind this segment a snapshot still fits. Nothing works without the journal's first.
    fn leaves_room(&self, number: SegmentNumber, bytes: u64) -> bool {
        let spared = self.room.spared_by(number, bytes);
        let wanted = bytes.saturating_add(spared);
        number == 1 || spared == 0 || free_bytes(&self.folder).is_ok_and(|free| wanted <= free)
    }
}

fn spawn(name: &str, dir: &Path, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| io_error("start a thread for", dir, error))
}

fn segment_path(folder: &Path, segment: SegmentNumber) -> PathBuf {
    folder.join(format!("{segment:020}.seg"))
}

/// Complete segments in order; leftovers of an interrupted preparation do not count.
fn list_segments(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".seg")).and_then(|digits| {
            let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        });
        if let Some(number) = number {
            segments.push(Segment { number, bytes: entry.metadata()?.len() });
        }
    }
    segments.sort_unstable_by_key(|segment| segment.number);
    Ok(segments)
}

pub(crate) fn create_folder(dir: &Path) -> Result<(), OpenError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    created.map_err(|error| io_error("create the folder", dir, error))
}

fn lock_folder(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("LOCK");
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = opened.map_err(|error| io_error("open", &path, error))?;
    match lock_exclusive(&file) {
        Ok(Advisory::Held) => {}
        Ok(Advisory::Busy) => {
            // Only a help for people: the lock itself is what counts.
            let mut text = String::new();
            let _ = (&file).take(32).read_to_string(&mut text);
            let holder =
                text.trim().parse::<u32>().map(|pid| format!(" (process {pid})")).unwrap_or_default();
            return Err(OpenError::Locked { dir: dir.to_owned(), holder });
        }
        Err(error) => return Err(io_error("lock", &path, error)),
    }
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|error| io_error("write", &path, error))?;
    Ok(file)
}

/// A folder is ours when it says so, or when it has no journal yet; then it is made to say so.
fn check_version(dir: &Path) -> Result<(), OpenError> {
    if read_version(dir)? {
        return Ok(());
    }
    if dir.join("journal").exists() {
        return Err(OpenError::NoVersion { dir: dir.to_owned() });
    }
    let path = dir.join("VERSION");
    // Renamed into place, so a crash leaves the old state or the new one and never half a line.
    let unfinished = dir.join("VERSION.tmp");
    let create = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        writeln!(file, "joulebook data {DATA_VERSION}")?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)?;
        sync_directory(dir)
    };
    create().map_err(|error| io_error("write", &path, error))
}

/// Whether the folder says that it is ours, in the one version that can be read; false when it says nothing.
pub(crate) fn read_version(dir: &Path) -> Result<bool, OpenError> {
    let path = dir.join("VERSION");
    match std::fs::read(&path) {
        Ok(found) if found == format!("joulebook data {DATA_VERSION}\n").as_bytes() => Ok(true),
        Ok(found) => {
            let text = String::from_utf8_lossy(&found[..found.len().min(40)]).trim().to_owned();
            let found = text.strip_prefix("joulebook data ").unwrap_or(&text).to_owned();
            Err(OpenError::Version { dir: dir.to_owned(), found })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("read", &path, error)),
    }
}

fn io_error(doing: &'static str, path: &Path, error: io::Error) -> OpenError {
    OpenError::Io { doing, path: path.to_owned(), error }
}

pub(crate) fn storage_error(doing: &'static str, path: &Path, error: &io::Error) -> StorageError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageErrorKind::NoSpace,
        _ => StorageErrorKind::Io,
    };
    StorageError { kind, doing, file: path.display().to_string(), reason: error.to_string() }
}
