//! Reads what is durable straight from a disk's bytes, by the written description of the journal's format and without
//! any of the code that wrote them. See `docs/internals/journal.md`.

use joulebook_journal::SegmentNumber;
use joulebook_types::{SeqNum, TimeNs};

use crate::disk::SimDisk;

/// A batch as it lies on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurableBatch {
    pub first_seq: SeqNum,
    pub time: TimeNs,
    pub records: Vec<Vec<u8>>,
}

/// Goes through a journal group by group, as far as whole groups are durable.
#[derive(Clone, Debug)]
pub struct Scanner {
    segment: SegmentNumber,
    offset: usize,
    /// Where the last group with commands begins; a mere marker may follow.
    last: (SegmentNumber, usize),
}

const BLOCK_BYTES: usize = 4_096;
const GROUP_HEADER_BYTES: usize = 56;
const BATCH_HEADER_BYTES: usize = 88;
const DIGEST_HEADER_BYTES: usize = 32;
const RECORD_HEADER_BYTES: usize = 8;
const KIND_DATA: u32 = 1;

impl Default for Scanner {
    fn default() -> Self {
        Self { segment: 1, offset: 0, last: (1, 0) }
    }
}

impl Scanner {
    /// How much of a segment of so many bytes holds groups.
    pub fn used_bytes(&self, segment: SegmentNumber, bytes: u64) -> u64 {
        match segment.cmp(&self.segment) {
            core::cmp::Ordering::Less => bytes,
            core::cmp::Ordering::Equal => self.offset as u64,
            core::cmp::Ordering::Greater => 0,
        }
    }

    /// Nothing but what follows the last group's beginning may be lost with it.
    pub fn is_in_last_group(&self, segment: SegmentNumber, offset: u64) -> bool {
        (self.last.0, self.last.1 as u64) <= (segment, offset)
    }

    fn went_to(&mut self, segment: SegmentNumber, group: &Group) {
        if self.segment != segment {
            (self.segment, self.offset) = (segment, 0);
        }
        if !group.batches.is_empty() {
            self.last = (segment, self.offset);
        }
        self.offset = group.end;
    }

    /// Batches that have become durable since the last call.
    pub fn next(&mut self, disk: &SimDisk) -> Vec<DurableBatch> {
        let mut batches = Vec::new();
        loop {
            let here = disk.durable(self.segment, |bytes| read_group(bytes, self.offset));
            if let Some(group) = here.flatten() {
                self.went_to(self.segment, &group);
                batches.extend(group.batches);
                continue;
            }
            let there = disk.durable(self.segment + 1, |bytes| read_group(bytes, 0));
            let Some(group) = there.flatten() else { return batches };
            self.went_to(self.segment + 1, &group);
            batches.extend(group.batches);
        }
    }
}

struct Group {
    batches: Vec<DurableBatch>,
    end: usize,
}

/// The group that begins at `offset`, if all of it is there. At the beginning of a segment, the segment's own block
/// comes first.
fn read_group(segment: &[u8], offset: usize) -> Option<Group> {
    let start = if offset == 0 { BLOCK_BYTES } else { offset };
    if offset == 0 && segment.get(..8)? != b"JBKSEGMT" {
        return None;
    }
    let header = segment.get(start..start + GROUP_HEADER_BYTES)?;
    if &header[..8] != b"JBKGROUP" || crc32c::crc32c(&header[..52]) != u32_at(header, 52)? {
        return None;
    }
    let payload_bytes = u32_at(header, 40)? as usize;
    let payload = segment.get(start + GROUP_HEADER_BYTES..start + GROUP_HEADER_BYTES + payload_bytes)?;
    let end = start + (GROUP_HEADER_BYTES + payload_bytes).next_multiple_of(BLOCK_BYTES);
    let mut batches = Vec::new();
    if u32_at(header, 48)? == KIND_DATA {
        let mut rest = payload;
        while !rest.is_empty() {
            let (batch, length) = read_batch(rest)?;
            batches.push(batch);
            rest = &rest[length..];
        }
    } else if !payload.is_empty() {
        check_digest(payload)?;
    }
    Some(Group { batches, end })
}

fn read_batch(bytes: &[u8]) -> Option<(DurableBatch, usize)> {
    let header = bytes.get(..BATCH_HEADER_BYTES)?;
    if &header[..4] != b"JBAT" || crc32c::crc32c(&header[..84]) != u32_at(header, 84)? {
        return None;
    }
    let (count, records_bytes) = (u32_at(header, 4)?, u32_at(header, 72)? as usize);
    let digest_bytes = u32_at(header, 80)? as usize;
    let start = BATCH_HEADER_BYTES + digest_bytes;
    if digest_bytes > 0 {
        check_digest(bytes.get(BATCH_HEADER_BYTES..start)?)?;
    }
    let mut rest = bytes.get(start..start + records_bytes)?;
    let mut records = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let length = u32_at(rest, 0)?;
        let padded = (length as usize).next_multiple_of(8);
        let record = rest.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length as usize)?;
        if crc32c::crc32c_append(length, record) != u32_at(rest, 4)? {
            return None;
        }
        records.push(record.to_vec());
        rest = rest.get(RECORD_HEADER_BYTES + padded..)?;
    }
    let batch = DurableBatch {
        first_seq: SeqNum::new(u64_at(header, 16)?),
        time: TimeNs::new(u64_at(header, 24)?),
        records,
    };
    rest.is_empty().then_some((batch, start + records_bytes))
}

/// A digest section that is whole. One that a power cut tore takes its group with it, a mere marker too: the journal goes
/// on in its place.
fn check_digest(section: &[u8]) -> Option<()> {
    let steps = section.get(DIGEST_HEADER_BYTES..)?;
    let crc = crc32c::crc32c(&section[..DIGEST_HEADER_BYTES - 4]);
    (crc32c::crc32c_append(crc, steps) == u32_at(section, DIGEST_HEADER_BYTES - 4)?).then_some(())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
