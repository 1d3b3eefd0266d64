//! What lies on the disk: segments, batches and snapshots, without their content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use joulebook_journal::{JournalError, SnapshotHeader, SnapshotName, SnapshotStorage, Storage, StorageError};
use joulebook_types::{SeqNum, TimeNs};
use serde_json::{Value, json};

use super::begin::snapshot_header;
use super::lines::{bytes_text, grouped, minute_text, time_text};
use super::source::{Journal, Place};
use crate::recovery::RecoveryError;
use crate::snapshots::FileSnapshots;
use crate::storage::FileStorage;

/// One segment file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentRow {
    pub number: u64,
    pub bytes: u64,
    /// Up to the end of its last whole group.
    pub used_bytes: u64,
    /// Of its header; `None` as long as it was only prepared.
    pub format: Option<u32>,
    pub first_seq: SeqNum,
    pub commands: u64,
    pub batches: u64,
    pub first_time: TimeNs,
}

/// All segments of a journal.
#[derive(Debug, Default)]
pub struct Segments {
    pub rows: Vec<SegmentRow>,
    /// Why the rest could not be read.
    pub error: Option<JournalError>,
}

impl Segments {
    /// Reads the whole journal, as far as that goes.
    pub fn read(dir: &Path) -> Result<Self, RecoveryError> {
        let mut storage = FileStorage::open_read_only(dir)?;
        let mut rows = Vec::new();
        for segment in storage.segments().map_err(JournalError::from)? {
            let format = format_of(&storage.file_name(segment.number));
            rows.push(SegmentRow {
                number: segment.number,
                bytes: segment.bytes,
                format,
                ..SegmentRow::default()
            });
        }
        let mut segments = Self { rows, error: None };
        match Journal::open(dir, Place::Oldest, false) {
            Ok(mut journal) => segments.error = segments.count(&mut journal).err(),
            Err(RecoveryError::Journal(error)) => segments.error = Some(error),
            Err(error) => return Err(error),
        }
        Ok(segments)
    }

    fn count(&mut self, journal: &mut Journal) -> Result<(), JournalError> {
        while let Some(batch) = journal.next_batch()? {
            let Some(row) = self.rows.iter_mut().find(|row| row.number == batch.segment) else { continue };
            if row.batches == 0 {
                (row.first_seq, row.first_time) = (batch.first_seq, batch.time);
            }
            row.batches += 1;
            row.commands += u64::from(batch.count);
            row.used_bytes = journal.end_of_group();
        }
        Ok(())
    }
}

impl SegmentRow {
    pub const HEADING: &str = "segment     first    commands  batches      used      size fmt  first batch";

    /// At most 80 characters.
    pub fn line(&self) -> String {
        let Self { number, bytes, used_bytes, format, first_seq, commands, batches, first_time } = self;
        let (used, size) = (bytes_text(*used_bytes), bytes_text(*bytes));
        let format = format.map_or("-".to_owned(), |format| format.to_string());
        if *batches == 0 {
            return format!(
                "{number:>7} {:>9} {:>11} {:>8} {:>9} {size:>9} {format:>3}  prepared",
                "-", "-", "-", "-"
            );
        }
        let (commands, batches) = (grouped(*commands), grouped(*batches));
        let time = minute_text(*first_time);
        format!(
            "{number:>7} {first_seq:>9} {commands:>11} {batches:>8} {used:>9} {size:>9} {format:>3}  {time}"
        )
    }

    pub fn object(&self) -> Value {
        json!({
            "segment": self.number,
            "bytes": self.bytes,
            "used_bytes": self.used_bytes,
            "format": self.format,
            "first_seq": self.first_seq.raw(),
            "commands": self.commands,
            "batches": self.batches,
            "first_time_ns": self.first_time.raw(),
        })
    }
}

/// The version in a segment's header: it has its place in all versions.
fn format_of(file: &str) -> Option<u32> {
    let mut start = [0; 12];
    File::open(file).ok()?.read_exact(&mut start).ok()?;
    start.starts_with(b"JBKSEGMT").then(|| u32::from_le_bytes([start[8], start[9], start[10], start[11]]))
}

/// One batch of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRow {
    pub first_seq: SeqNum,
    pub count: u32,
    pub time: TimeNs,
    pub term: u64,
    pub segment: u64,
    pub offset_bytes: u64,
    /// The last command of the earlier batch whose events are attested in or before this one.
    pub attests: Option<SeqNum>,
    pub chain: [u8; 32],
}

impl BatchRow {
    pub const HEADING: &str = "     first commands  time                 segment       byte   attests  hash";

    /// The next batch of a journal.
    pub fn next(journal: &mut Journal) -> Result<Option<Self>, JournalError> {
        let Some(batch) = journal.next_batch()? else { return Ok(None) };
        let row = Self {
            first_seq: batch.first_seq,
            count: batch.count,
            time: batch.time,
            term: batch.term.raw(),
            segment: batch.segment,
            offset_bytes: batch.offset_bytes,
            attests: batch.digest().map(|digest| digest.seq),
            chain: [0; 32],
        };
        let chain = journal.mark().map_or([0; 32], |mark| mark.chain);
        Ok(Some(Self { chain, ..row }))
    }

    pub fn last_seq(&self) -> SeqNum {
        SeqNum::new(self.first_seq.raw() + u64::from(self.count) - 1)
    }

    pub fn line(&self) -> String {
        let Self { first_seq, count, time, segment, offset_bytes, attests, .. } = self;
        let attests = attests.map_or("-".to_owned(), |seq| seq.to_string());
        let time = time_text(*time);
        let chain = &hex(&self.chain)[..8];
        format!("{first_seq:>10} {count:>8}  {time} {segment:>7} {offset_bytes:>10} {attests:>9}  {chain}")
    }

    pub fn object(&self) -> Value {
        json!({
            "first_seq": self.first_seq.raw(),
            "commands": self.count,
            "time_ns": self.time.raw(),
            "term": self.term,
            "segment": self.segment,
            "offset_bytes": self.offset_bytes,
            "attests_seq": self.attests.map(SeqNum::raw),
            "hash": hex(&self.chain),
        })
    }
}

/// One snapshot file; only its header was looked at.
#[derive(Clone, Debug)]
pub struct SnapshotRow {
    pub name: SnapshotName,
    pub bytes: u64,
    /// `None` when it cannot be read.
    pub header: Option<SnapshotHeader>,
}

impl SnapshotRow {
    pub const HEADING: &str = "  command time                  size file";

    /// All of a folder, oldest first.
    pub fn all(dir: &Path) -> Result<Vec<Self>, StorageError> {
        let mut snapshots = FileSnapshots::open_read_only(dir);
        let names = snapshots.list()?;
        let row = |name| Self {
            name,
            bytes: std::fs::metadata(snapshots.path(name)).map_or(0, |file| file.len()),
            header: snapshot_header(&snapshots, name),
        };
        Ok(names.into_iter().map(row).collect())
    }

    pub fn line(&self) -> String {
        let time = self.header.map_or("damaged header  ".to_owned(), |header| minute_text(header.mark.time));
        format!("{:>9} {time} {:>9} {}", self.name.seq, bytes_text(self.bytes), self.name)
    }

    pub fn object(&self) -> Value {
        let header = self.header.map(|header| {
            json!({
                "seq": header.mark.seq.raw(),
                "time_ns": header.mark.time.raw(),
                "journal_id": format!("{:016x}", header.mark.journal_id),
                "events": format!("{:016x}{:016x}", header.events[0], header.events[1]),
                "state": hex(&header.state_hash),
                "journal": hex(&header.mark.chain),
                "state_version": header.state_version,
            })
        });
        json!({ "file": self.name.to_string(), "bytes": self.bytes, "header": header })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
