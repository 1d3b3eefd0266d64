//! Disks in memory that can lose, tear and flip what is on them.

mod snapshots;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{Completion, GroupBuffer, Segment, SegmentNumber, Storage, StorageError, StorageErrorKind};

pub use snapshots::MemSnapshots;

/// The unit that a power cut keeps or loses as a whole.
pub const SECTOR_BYTES: usize = 512;

/// A handle to a disk; clones share it, so a test can look at the disk of a running journal.
#[derive(Clone, Debug, Default)]
pub struct MemStorage(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    segments: BTreeMap<SegmentNumber, Vec<u8>>,
    writing: Option<Write>,
    preparing: Option<Segment>,
    removing: Option<SegmentNumber>,
    /// Preparing fails while this is set, although there is room.
    fails_preparing: bool,
    /// Removing fails while this is set.
    keeps_segments: bool,
    /// Nothing completes while this is set.
    held: bool,
    /// No group completes while this is set.
    holds_groups: bool,
    /// Syncs of groups asked for so far.
    syncs: u64,
    fail_sync: Option<u64>,
    /// The group whose sync failed: any part of it may be on the disk.
    lost: Option<Write>,
    /// What reads show and the disk does not have, nor will it ever get: a sync of it failed.
    memory: Vec<(SegmentNumber, u64, Vec<u8>)>,
    /// Segments that are read from the disk itself until the process is started again.
    direct: BTreeSet<SegmentNumber>,
    /// Memory keeps what it is to forget while this is set.
    keeps_memory: bool,
    /// Blocking syncs fail while this is set, but for those of forgetting.
    fails_opening: bool,
    dead: bool,
    /// Bytes of segments that fit.
    space_bytes: Option<u64>,
}

#[derive(Debug)]
struct Write {
    segment: SegmentNumber,
    offset: u64,
    group: GroupBuffer,
}

impl MemStorage {
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk of its own with the same content.
    pub fn fork(&self) -> Self {
        let segments = self.disk().segments.clone();
        Self(Arc::new(Mutex::new(Disk { segments, ..Disk::default() })))
    }

    /// Holds completions back, or lets them come.
    pub fn hold(&self, held: bool) {
        self.disk().held = held;
    }

    /// Holds back the completions of groups only, or lets them come.
    pub fn hold_groups(&self, held: bool) {
        self.disk().holds_groups = held;
    }

    /// Makes the `nth` sync of a group fail (1 is the next one ever).
    pub fn fail_sync(&self, nth: u64) {
        self.disk().fail_sync = Some(nth);
    }

    /// Lets the blocking syncs fail that follow a cut, or succeed again. What is to be zeroed meanwhile is zero in memory only.
    pub fn fail_opening(&self, fail: bool) {
        self.disk().fails_opening = fail;
    }

    /// Lets memory keep what it is asked to forget, as where somebody else has mapped the file: who reads around it sees
    /// the disk, and the next process that does not sees memory again.
    pub fn keep_memory(&self, keep: bool) {
        self.disk().keeps_memory = keep;
    }

    /// Lets segments of so many bytes in all fit; `None` takes the limit away.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.disk().space_bytes = bytes;
    }

    /// Lets new segments fail for a reason other than space, or succeed again.
    pub fn fail_preparing(&self, fail: bool) {
        self.disk().fails_preparing = fail;
    }

    /// Lets removals fail, or succeed again.
    pub fn refuse_removals(&self, refuse: bool) {
        self.disk().keeps_segments = refuse;
    }

    /// Syncs of groups that were asked for.
    pub fn syncs(&self) -> u64 {
        self.disk().syncs
    }

    /// The power goes: of the group that is being written, or whose sync failed, only the sectors that `survives` names
    /// are kept. Segments that are not complete vanish.
    pub fn crash(&self, mut survives: impl FnMut(usize) -> bool) {
        let mut disk = self.disk();
        (disk.preparing, disk.removing) = (None, None);
        disk.memory.clear();
        disk.direct.clear();
        if let Some(write) = disk.writing.take().or(disk.lost.take()) {
            for (index, sector) in write.group.as_bytes().chunks(SECTOR_BYTES).enumerate() {
                if survives(index) {
                    let offset = write.offset as usize + index * SECTOR_BYTES;
                    disk.segment(write.segment)[offset..offset + sector.len()].copy_from_slice(sector);
                }
            }
        }
    }

    /// The process is started again and the machine is not: memory shows the group whose sync failed, of which the disk has
    /// nothing.
    pub fn restart(&self) {
        let mut disk = self.disk();
        (disk.writing, disk.preparing, disk.removing, disk.lost) = (None, None, None, None);
        (disk.dead, disk.fail_sync) = (false, None);
        disk.direct.clear();
    }

    pub fn flip_bit(&self, segment: SegmentNumber, offset: u64, bit: u8) {
        self.disk().segment(segment)[offset as usize] ^= 1 << bit;
    }

    pub fn bytes(&self, segment: SegmentNumber) -> Vec<u8> {
        self.disk().segment(segment).clone()
    }

    pub fn set_bytes(&self, segment: SegmentNumber, bytes: Vec<u8>) {
        self.disk().segments.insert(segment, bytes);
    }

    pub fn remove(&self, segment: SegmentNumber) {
        self.disk().segments.remove(&segment);
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("no user of the disk panics while it holds it")
    }
}

impl Disk {
    fn segment(&mut self, segment: SegmentNumber) -> &mut Vec<u8> {
        self.segments.get_mut(&segment).expect("the journal uses segments that exist")
    }

    fn finish_write(&mut self, write: Write) -> Completion {
        if self.fail_sync == Some(self.syncs) {
            self.dead = true;
            let failed = error(write.segment, "sync", StorageErrorKind::Io);
            self.memory.push((write.segment, write.offset, write.group.as_bytes().to_vec()));
            self.lost = Some(write);
            return Completion::WriteFailed(failed);
        }
        self.write(write.segment, write.offset, write.group.as_bytes());
        Completion::Synced(write.group)
    }

    /// Writes to the disk, and to what memory has of the same place.
    fn write(&mut self, segment: SegmentNumber, offset: u64, bytes: &[u8]) {
        let offset = offset as usize;
        self.segment(segment)[offset..offset + bytes.len()].copy_from_slice(bytes);
        for (_, at, stale) in self.memory.iter_mut().filter(|(of, ..)| *of == segment) {
            let at = *at as usize;
            let (from, until) = (offset.max(at), (offset + bytes.len()).min(at + stale.len()));
            if from < until {
                stale[from - at..until - at].copy_from_slice(&bytes[from - offset..until - offset]);
            }
        }
    }

    fn finish_segment(&mut self, segment: Segment) -> Completion {
        if self.fails_preparing {
            return Completion::PrepareFailed(error(segment.number, "extend", StorageErrorKind::Io));
        }
        let used: u64 = self.segments.values().map(|bytes| bytes.len() as u64).sum();
        if self.space_bytes.is_some_and(|space| used + segment.bytes > space) {
            return Completion::PrepareFailed(error(segment.number, "extend", StorageErrorKind::NoSpace));
        }
        self.segments.insert(segment.number, vec![0; segment.bytes as usize]);
        Completion::Prepared(segment)
    }

    fn finish_removal(&mut self, segment: SegmentNumber) -> Completion {
        if self.keeps_segments {
            return Completion::RemoveFailed(error(segment, "remove", StorageErrorKind::Io));
        }
        self.segments.remove(&segment);
        Completion::Removed(segment)
    }
}

fn error(segment: SegmentNumber, doing: &'static str, kind: StorageErrorKind) -> StorageError {
    StorageError { kind, doing, file: format!("segment {segment}"), reason: "as the test asked".into() }
}

impl Storage for MemStorage {
    fn segments(&mut self) -> Result<Vec<Segment>, StorageError> {
        let disk = self.disk();
        let segments = disk.segments.iter();
        Ok(segments.map(|(number, bytes)| Segment { number: *number, bytes: bytes.len() as u64 }).collect())
    }

    fn file_name(&self, segment: SegmentNumber) -> String {
        format!("segment {segment}")
    }

    fn read_at(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> Result<(), StorageError> {
        let offset = offset as usize;
        let mut disk = self.disk();
        match disk.segment(segment).get(offset..offset + into.len()) {
            Some(bytes) => into.copy_from_slice(bytes),
            None => return Err(error(segment, "read", StorageErrorKind::Io)),
        }
        let is_direct = disk.direct.contains(&segment);
        for (_, at, bytes) in disk.memory.iter().filter(|(of, ..)| *of == segment && !is_direct) {
            let at = *at as usize;
            let (from, until) = (offset.max(at), (offset + into.len()).min(at + bytes.len()));
            if from < until {
                into[from - offset..until - offset].copy_from_slice(&bytes[from - at..until - at]);
            }
        }
        Ok(())
    }

    fn forget_memory(&mut self, segment: SegmentNumber) -> Result<(), StorageError> {
        let mut disk = self.disk();
        disk.direct.insert(segment);
        if !disk.keeps_memory {
            disk.memory.retain(|(of, ..)| *of != segment);
        }
        Ok(())
    }

    fn write_zeros(&mut self, segment: SegmentNumber, range: Range<u64>) -> Result<(), StorageError> {
        let mut disk = self.disk();
        if disk.fails_opening {
            let zeros = vec![0; (range.end - range.start) as usize];
            disk.memory.push((segment, range.start, zeros));
        } else {
            disk.write(segment, range.start, &vec![0; (range.end - range.start) as usize]);
        }
        Ok(())
    }

    fn sync(&mut self, segment: SegmentNumber) -> Result<(), StorageError> {
        if self.disk().fails_opening { Err(error(segment, "sync", StorageErrorKind::Io)) } else { Ok(()) }
    }

    fn prepare_segment(&mut self, segment: SegmentNumber, bytes: u64) {
        let mut disk = self.disk();
        assert!(disk.preparing.is_none() && !disk.segments.contains_key(&segment), "segment {segment} twice");
        disk.preparing = Some(Segment { number: segment, bytes });
    }

    fn remove_segment(&mut self, segment: SegmentNumber) {
        let mut disk = self.disk();
        assert!(disk.removing.is_none(), "one removal at a time");
        assert_eq!(disk.segments.keys().next(), Some(&segment), "the oldest segment goes first");
        disk.removing = Some(segment);
    }

    fn submit(&mut self, segment: SegmentNumber, offset: u64, group: GroupBuffer) {
        let mut disk = self.disk();
        assert!(disk.writing.is_none() && !disk.dead, "one group at a time, and none after an error");
        let bytes = group.as_bytes();
        assert!(offset.is_multiple_of(4096) && bytes.len().is_multiple_of(4096), "groups are whole blocks");
        let range = offset as usize..offset as usize + bytes.len();
        // Also the proof that no written block is ever written again.
        assert!(disk.segment(segment)[range].iter().all(|byte| *byte == 0), "a group goes where nothing is");
        disk.syncs += 1;
        disk.writing = Some(Write { segment, offset, group });
    }

    fn poll(&mut self) -> Option<Completion> {
        let mut disk = self.disk();
        if disk.held || disk.dead {
            return None;
        }
        if !disk.holds_groups
            && let Some(write) = disk.writing.take()
        {
            return Some(disk.finish_write(write));
        }
        if let Some(segment) = disk.preparing.take() {
            return Some(disk.finish_segment(segment));
        }
        let segment = disk.removing.take()?;
        Some(disk.finish_removal(segment))
    }
}
