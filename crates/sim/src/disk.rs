//! A disk that forgets what was not synced, sector by sector.

mod file;
mod shelf;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use joulebook_journal::{
    Completion, GroupBuffer, Segment, SegmentNumber, Storage, StorageError, StorageErrorKind,
};

use crate::dice::Dice;
use crate::disk::file::File;
use crate::disk::shelf::Shelf;
use crate::scene::Scene;

/// A handle to a disk; clones are the same disk. What it takes time for is done when the world's time has come.
#[derive(Clone, Debug)]
pub struct SimDisk(Rc<RefCell<Disk>>);

/// How fast the disk is, and what fails on it.
#[derive(Clone, Copy, Debug)]
pub struct DiskProfile {
    /// Shortest and longest time of a sync.
    pub sync_ns: (u64, u64),
    /// Syncs in a million that take a thousand times as long as others.
    pub stalls_ppm: u32,
    /// Syncs in a million that fail.
    pub sync_errors_ppm: u32,
    /// Writes of a snapshot in a million that fail.
    pub snapshot_errors_ppm: u32,
}

impl DiskProfile {
    /// What is left of it when nothing goes wrong any more.
    pub fn healed(self) -> Self {
        Self { stalls_ppm: 0, sync_errors_ppm: 0, snapshot_errors_ppm: 0, ..self }
    }
}

/// What ends a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process alone: what it wrote is in the page cache, and goes on to the disk some day.
    Kill,
    /// The machine: what was not synced is there or not, sector by sector.
    PowerLoss,
}

#[derive(Debug)]
struct Disk {
    scene: Scene,
    dice: Dice,
    /// For what fails while a journal is opened.
    opening: Dice,
    profile: DiskProfile,
    segments: BTreeMap<SegmentNumber, File>,
    shelf: Shelf,
    writing: Option<Writing>,
    making: Option<Making>,
    /// A segment on its way out, and when it is gone.
    removing: Option<(SegmentNumber, u64)>,
    /// What ended and was not asked for yet.
    done: Vec<Completion>,
    /// Something ended since the last [`SimDisk::take_wake`].
    wake: bool,
    /// A sync failed: nothing works any more before the next crash.
    is_dead: bool,
    /// Blocking calls that still work; the process is going down.
    calls_left: Option<u32>,
    /// Bytes that fit.
    space_bytes: Option<u64>,
    /// Something did not.
    has_refused: bool,
}

/// A group on its way.
#[derive(Debug)]
struct Writing {
    segment: SegmentNumber,
    offset: u64,
    group: GroupBuffer,
    /// When the page cache has it.
    written_at: u64,
    is_written: bool,
    synced_at: u64,
    fails: bool,
}

/// A segment on its way to be written zeros.
#[derive(Clone, Copy, Debug)]
struct Making {
    segment: Segment,
    done_at: u64,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(scene: Scene, dice: Dice, profile: DiskProfile) -> Self {
        let opening = Dice::new(dice.clone().bits(), 1);
        Self(Rc::new(RefCell::new(Disk {
            scene,
            dice,
            opening,
            profile,
            segments: BTreeMap::new(),
            shelf: Shelf::default(),
            writing: None,
            making: None,
            removing: None,
            done: Vec::new(),
            wake: false,
            is_dead: false,
            calls_left: None,
            space_bytes: None,
            has_refused: false,
        })))
    }

    /// Another disk with what this one would have after a power cut that lost nothing more, on which nothing fails.
    pub fn fork(&self) -> Self {
        let disk = self.0.borrow();
        let segments = disk.segments.iter().map(|(number, file)| (*number, file.as_durable()));
        let fork = Disk {
            scene: disk.scene.clone(),
            dice: disk.dice.clone(),
            opening: disk.opening.clone(),
            profile: disk.profile.healed(),
            segments: segments.collect(),
            shelf: disk.shelf.clone(),
            writing: None,
            making: None,
            removing: None,
            done: Vec::new(),
            wake: false,
            is_dead: false,
            calls_left: None,
            space_bytes: None,
            has_refused: false,
        };
        Self(Rc::new(RefCell::new(fork)))
    }

    /// What fails from now on.
    pub fn set_profile(&self, profile: DiskProfile) {
        self.0.borrow_mut().profile = profile;
    }

    /// Lets so many bytes in all fit, or any number.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.0.borrow_mut().space_bytes = bytes;
    }

    /// A segment was refused for want of room since the last crash.
    pub fn has_refused(&self) -> bool {
        self.0.borrow().has_refused
    }

    /// Bytes that all files take.
    pub fn used_bytes(&self) -> u64 {
        self.0.borrow().used_bytes()
    }

    /// A sync failed since the last crash.
    pub fn is_dead(&self) -> bool {
        self.0.borrow().is_dead
    }

    /// A group is on its way.
    pub fn is_writing(&self) -> bool {
        self.0.borrow().writing.is_some()
    }

    /// Only so many blocking calls work from now on, until the next crash: a process that dies in the middle of them.
    pub fn fail_after(&self, calls: u32) {
        self.0.borrow_mut().calls_left = Some(calls);
    }

    /// When something ends by itself, if anything is under way.
    pub fn next_event(&self) -> Option<u64> {
        let disk = self.0.borrow();
        let write = disk.writing.as_ref().map(|write| write.synced_at);
        let making = disk.making.map(|making| making.done_at);
        let removal = disk.removing.map(|(_, done_at)| done_at);
        [write, making, removal].into_iter().flatten().min()
    }

    /// True when something ended since the last call: the journal wants to be polled.
    pub fn take_wake(&self) -> bool {
        let mut disk = self.0.borrow_mut();
        disk.settle();
        core::mem::take(&mut disk.wake)
    }

    /// The process or the machine stops, now. Afterwards the disk works again.
    pub fn crash(&self, crash: Crash) {
        self.0.borrow_mut().crash(crash);
    }

    /// Segments as they would be found after a power cut.
    pub fn durable_segments(&self) -> Vec<SegmentNumber> {
        self.0.borrow().segments.keys().copied().collect()
    }

    /// Shows what of a segment would survive a power cut that loses all that it may.
    pub fn durable<R>(&self, segment: SegmentNumber, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let mut disk = self.0.borrow_mut();
        disk.settle();
        disk.segments.get(&segment).map(|file| look(file.durable()))
    }

    /// Damages what is there.
    pub fn flip_bit(&self, segment: SegmentNumber, offset: u64, bit: u8) {
        if let Some(file) = self.0.borrow_mut().segments.get_mut(&segment) {
            file.flip_bit(offset as usize, bit);
        }
    }
}

impl Disk {
    fn used_bytes(&self) -> u64 {
        self.segments.values().map(File::len).sum::<u64>() + self.shelf.used_bytes()
    }

    /// Carries out what is due.
    fn settle(&mut self) {
        let now = self.scene.now();
        if let Some(write) = &mut self.writing
            && !write.is_written
            && write.written_at <= now
        {
            write.is_written = true;
            if let Some(file) = self.segments.get_mut(&write.segment) {
                file.write(write.offset as usize, write.group.as_bytes());
            }
        }
        if let Some(write) = self.writing.take_if(|write| write.synced_at <= now) {
            self.end_write(write);
        }
        if let Some(making) = self.making.take_if(|making| making.done_at <= now) {
            self.end_making(making.segment);
        }
        if let Some((segment, _)) = self.removing.take_if(|(_, done_at)| *done_at <= now) {
            self.segments.remove(&segment);
            self.scene.count("segments retired");
            self.finish(Completion::Removed(segment));
        }
    }

    fn end_write(&mut self, write: Writing) {
        let Some(file) = self.segments.get_mut(&write.segment) else { return };
        let completion = if write.fails {
            self.scene.count("sync errors");
            self.scene
                .note("disk", &[write.segment], || format!("a sync of segment {} fails", write.segment));
            let dice = &mut self.dice;
            file.fail_sync(|| dice.chance(1, 2));
            self.is_dead = true;
            Completion::WriteFailed(error(write.segment, "sync", StorageErrorKind::Io))
        } else {
            file.sync();
            Completion::Synced(write.group)
        };
        self.finish(completion);
    }

    fn end_making(&mut self, segment: Segment) {
        if self.has_room(segment.bytes) {
            self.segments.insert(segment.number, File::zeros(segment.bytes as usize));
            self.finish(Completion::Prepared(segment));
        } else {
            self.scene.count("full disk met");
            self.has_refused = true;
            self.finish(Completion::PrepareFailed(error(
                segment.number,
                "extend",
                StorageErrorKind::NoSpace,
            )));
        }
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.space_bytes.is_none_or(|space| self.used_bytes() + bytes <= space)
    }

    fn finish(&mut self, completion: Completion) {
        self.done.push(completion);
        self.wake = true;
    }

    fn crash(&mut self, crash: Crash) {
        self.settle();
        self.done.clear();
        self.shelf.crash();
        self.wake = false;
        self.is_dead = false;
        self.has_refused = false;
        self.calls_left = None;
        if let Some(write) = self.writing.take().filter(|write| !write.is_written) {
            // The kernel was copying: whole pages have come, from the first on.
            let pages = write.group.as_bytes().len() / PAGE_BYTES;
            let came = self.dice.below(pages as u64 + 1) as usize * PAGE_BYTES;
            if let Some(file) = self.segments.get_mut(&write.segment) {
                file.write(write.offset as usize, &write.group.as_bytes()[..came]);
            }
        }
        if let Some(making) = self.making.take() {
            // Complete or not there: it is given its name when its zeros are durable.
            if self.dice.chance(1, 4) && self.has_room(making.segment.bytes) {
                self.segments.insert(making.segment.number, File::zeros(making.segment.bytes as usize));
            }
        }
        if let Some((segment, _)) = self.removing.take()
            && self.dice.chance(1, 2)
        {
            self.segments.remove(&segment);
        }
        if crash == Crash::PowerLoss {
            self.lose_power();
        }
    }

    fn lose_power(&mut self) {
        // Sometimes everything has come, sometimes nothing; mostly some of it.
        let kept = self.dice.pick(&[0, 10, 50, 50, 90, 100]);
        let mut torn = 0;
        for file in self.segments.values_mut() {
            let dice = &mut self.dice;
            torn += file.lose(|| dice.chance(kept, 100));
        }
        self.scene.count_many("sectors lost to power cuts", torn);
    }

    /// One blocking call; fails when the process is going down.
    fn call(&mut self, segment: SegmentNumber, doing: &'static str) -> Result<(), StorageError> {
        self.settle();
        match &mut self.calls_left {
            Some(0) => Err(error(segment, doing, StorageErrorKind::Io)),
            Some(calls) => {
                *calls -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A sync that somebody waits for. A start has a few of them only, so they fail more often than those of groups.
    fn blocking_sync(&mut self, segment: SegmentNumber) -> Result<&mut File, StorageError> {
        self.call(segment, "sync")?;
        let refused = error(segment, "sync", StorageErrorKind::Io);
        let Some(file) = self.segments.get_mut(&segment) else { return Err(refused) };
        let dice = &mut self.opening;
        if dice.ppm(10 * self.profile.sync_errors_ppm) {
            self.scene.count("sync errors of starts");
            self.scene
                .note("disk", &[segment, 1], || format!("a sync of segment {segment} fails at a start"));
            file.fail_sync(|| dice.chance(1, 2));
            self.is_dead = true;
            return Err(refused);
        }
        file.sync();
        Ok(file)
    }

    fn draw_sync_ns(&mut self) -> u64 {
        let (shortest, longest) = self.profile.sync_ns;
        let usual = self.dice.between(shortest, longest);
        if self.dice.ppm(self.profile.stalls_ppm) {
            self.scene.count("disk stalls");
            return (1_000 * usual).min(STALL_NS_MAX);
        }
        usual
    }
}

const PAGE_BYTES: usize = 4_096;
/// A disk that answers later than this is not worth simulating: clients only wait.
const STALL_NS_MAX: u64 = 2_000_000_000;
/// Of copying a group to the page cache.
const WRITE_NS: u64 = 5_000;

fn error(segment: SegmentNumber, doing: &'static str, kind: StorageErrorKind) -> StorageError {
    let reason = match kind {
        StorageErrorKind::NoSpace => "no space left on the simulated disk",
        StorageErrorKind::Io => "input/output error of the simulated disk",
    };
    StorageError { kind, doing, file: name_of(segment), reason: reason.into() }
}

fn name_of(segment: SegmentNumber) -> String {
    format!("segment {segment}")
}

impl Storage for SimDisk {
    fn segments(&mut self) -> Result<Vec<Segment>, StorageError> {
        let mut disk = self.0.borrow_mut();
        disk.call(0, "list")?;
        let segments = disk.segments.iter();
        Ok(segments.map(|(number, file)| Segment { number: *number, bytes: file.len() }).collect())
    }

    fn file_name(&self, segment: SegmentNumber) -> String {
        name_of(segment)
    }

    fn read_at(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> Result<(), StorageError> {
        let mut disk = self.0.borrow_mut();
        disk.call(segment, "read")?;
        let refused = || error(segment, "read", StorageErrorKind::Io);
        let file = disk.segments.get(&segment).ok_or_else(refused)?;
        let bytes = file.read(offset as usize, into.len()).ok_or_else(refused)?;
        into.copy_from_slice(bytes);
        Ok(())
    }

    fn forget_memory(&mut self, segment: SegmentNumber) -> Result<(), StorageError> {
        self.0.borrow_mut().blocking_sync(segment)?.lose(|| true);
        Ok(())
    }

    fn write_zeros(&mut self, segment: SegmentNumber, range: Range<u64>) -> Result<(), StorageError> {
        let mut disk = self.0.borrow_mut();
        disk.call(segment, "write")?;
        let refused = || error(segment, "write", StorageErrorKind::Io);
        let file = disk.segments.get_mut(&segment).ok_or_else(refused)?;
        file.write(range.start as usize, &vec![0; (range.end - range.start) as usize]);
        Ok(())
    }

    fn sync(&mut self, segment: SegmentNumber) -> Result<(), StorageError> {
        self.0.borrow_mut().blocking_sync(segment).map(drop)
    }

    fn prepare_segment(&mut self, segment: SegmentNumber, bytes: u64) {
        let mut disk = self.0.borrow_mut();
        let is_known = disk.segments.contains_key(&segment);
        assert!(disk.making.is_none() && !is_known, "segment {segment} twice");
        let took = 4 * disk.draw_sync_ns();
        let done_at = disk.scene.now() + took;
        disk.making = Some(Making { segment: Segment { number: segment, bytes }, done_at });
    }

    fn remove_segment(&mut self, segment: SegmentNumber) {
        let mut disk = self.0.borrow_mut();
        assert!(disk.removing.is_none(), "one segment is removed at a time");
        let done_at = disk.scene.now() + disk.draw_sync_ns();
        disk.removing = Some((segment, done_at));
    }

    fn submit(&mut self, segment: SegmentNumber, offset: u64, group: GroupBuffer) {
        let mut disk = self.0.borrow_mut();
        assert!(disk.writing.is_none() && !disk.is_dead, "one group at a time, and none after an error");
        let bytes = group.as_bytes();
        let whole = offset.is_multiple_of(PAGE_BYTES as u64) && bytes.len().is_multiple_of(PAGE_BYTES);
        assert!(whole && !bytes.is_empty(), "groups are whole blocks");
        let file = disk.segments.get(&segment).expect("the journal writes to segments that exist");
        let place = file.read(offset as usize, bytes.len()).expect("a group fits its segment");
        // Also the proof that no written block is ever written again.
        assert!(place.iter().all(|byte| *byte == 0), "a group goes where nothing is");
        let written_at = disk.scene.now() + WRITE_NS;
        let synced_at = written_at + disk.draw_sync_ns();
        let errors_ppm = disk.profile.sync_errors_ppm;
        let fails = disk.dice.ppm(errors_ppm);
        disk.scene.count("syncs");
        disk.writing =
            Some(Writing { segment, offset, group, written_at, is_written: false, synced_at, fails });
    }

    fn poll(&mut self) -> Option<Completion> {
        let mut disk = self.0.borrow_mut();
        disk.settle();
        if disk.done.is_empty() { None } else { Some(disk.done.remove(0)) }
    }
}
