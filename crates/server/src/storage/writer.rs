//! The journal thread: writes and syncs one group at a time.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, TryRecvError};
use joulebook_journal::{Completion, GroupBuffer, SegmentNumber, StorageError};
use joulebook_sys::{sync_data, write_all_at};

use super::{Reply, segment_path, storage_error};

/// A group on its way to the disk.
pub(super) struct Group {
    pub(super) segment: SegmentNumber,
    pub(super) offset: u64,
    pub(super) buffer: GroupBuffer,
}

/// The thread itself.
pub(super) struct Writer {
    folder: PathBuf,
    open: Option<(SegmentNumber, File)>,
    reply: Reply,
    looks: Looks,
}

impl Writer {
    pub(super) fn new(folder: PathBuf, reply: Reply) -> Self {
        Self { folder, open: None, reply, looks: Looks::default() }
    }

    pub(super) fn run(mut self, queue: &Receiver<Group>) {
        while let Some(group) = self.looks.next(queue) {
            match self.write(&group) {
                Ok(()) => self.reply.send(Completion::Synced(group.buffer)),
                Err(error) => {
                    self.reply.send(Completion::WriteFailed(error));
                    // The kernel reports a lost write once; a sync that succeeds now would prove nothing.
                    return;
                }
            }
        }
    }

    fn write(&mut self, group: &Group) -> Result<(), StorageError> {
        let path = segment_path(&self.folder, group.segment);
        if self.open.as_ref().is_none_or(|(open, _)| *open != group.segment) {
            let file = OpenOptions::new().write(true).open(&path);
            self.open = Some((group.segment, file.map_err(|error| storage_error("open", &path, &error))?));
        }
        let file = &self.open.as_ref().expect("opened above").1;
        write_all_at(file, group.buffer.as_bytes(), group.offset)
            .map_err(|error| storage_error("write", &path, &error))?;
        sync_data(file).map_err(|error| storage_error("sync", &path, &error))
    }
}

/// How the journal thread waits for the next group. To be woken from a sleep costs a fifth of a small group's sync; under
/// load the core hands over the next group within microseconds, so it is looked for before the thread sleeps.
#[derive(Debug, Default)]
struct Looks {
    /// Sleeps that begin at once, because the last look was in vain: an exchange with little to do pays nothing.
    skipped: u32,
}

impl Looks {
    /// As long as a core takes to notice that a group is durable and to hand over the next.
    const PATIENCE: Duration = Duration::from_micros(50);
    /// Groups that are waited for asleep after one that did not come in time.
    const SKIPPED_AFTER_ONE_IN_VAIN: u32 = 7;

    /// The next group; `None` when there will be none.
    fn next(&mut self, queue: &Receiver<Group>) -> Option<Group> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return queue.recv().ok();
        }
        let began = Instant::now();
        while began.elapsed() < Self::PATIENCE {
            for _ in 0..20 {
                match queue.try_recv() {
                    Ok(group) => return Some(group),
                    Err(TryRecvError::Disconnected) => return None,
                    Err(TryRecvError::Empty) => std::hint::spin_loop(),
                }
            }
            // Whoever waits for this processor may be the one that brings the group.
            thread::yield_now();
        }
        self.skipped = Self::SKIPPED_AFTER_ONE_IN_VAIN;
        queue.recv().ok()
    }
}
