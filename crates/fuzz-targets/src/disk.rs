//! A disk whose segments are what the input says.

use std::collections::BTreeMap;
use std::ops::Range;

use joulebook_journal::{
    BLOCK_BYTES, Completion, GroupBuffer, Segment, SegmentNumber, Storage, StorageError, StorageErrorKind,
};

use crate::input::Input;

/// Segments of an input at most; further ones would say nothing new.
const SEGMENTS_MAX: usize = 4;
/// Blocks of a segment at least (no journal makes a shorter one) and at most.
const BLOCKS_MIN: usize = 8;
const BLOCKS_MAX: usize = 16;
/// Instead of a block's length: the next segment begins.
pub(crate) const NEXT_SEGMENT: u16 = u16::MAX;

#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) segments: BTreeMap<SegmentNumber, Vec<u8>>,
    writing: Option<(SegmentNumber, u64, GroupBuffer)>,
    preparing: Option<Segment>,
    removing: Option<SegmentNumber>,
}

impl Disk {
    /// Blocks follow each other, each with its length before it and zeros behind it, so that an input is short
    /// although a segment is mostly zeros.
    pub(crate) fn of_input(input: &mut Input<'_>) -> Self {
        let mut segments: Vec<Vec<u8>> = Vec::new();
        while !input.is_empty() {
            let count = input.u16();
            if count == NEXT_SEGMENT || segments.is_empty() {
                if segments.len() == SEGMENTS_MAX {
                    break;
                }
                segments.push(Vec::new());
            }
            let segment = segments.last_mut().expect("there is one");
            if count != NEXT_SEGMENT && segment.len() < BLOCKS_MAX * BLOCK_BYTES {
                segment.extend_from_slice(input.take(usize::from(count).min(BLOCK_BYTES)));
                segment.resize(segment.len().next_multiple_of(BLOCK_BYTES), 0);
            }
        }
        for segment in &mut segments {
            segment.resize(segment.len().max(BLOCKS_MIN * BLOCK_BYTES), 0);
        }
        Self { segments: (1..).zip(segments).collect(), ..Self::default() }
    }

    /// The blocks of one file.
    pub(crate) fn blocks_of_input(input: &mut Input<'_>) -> Vec<u8> {
        let mut file = Vec::new();
        while !input.is_empty() && file.len() < BLOCKS_MAX * BLOCK_BYTES {
            let count = usize::from(input.u16()).min(BLOCK_BYTES);
            file.extend_from_slice(input.take(count));
            file.resize(file.len().next_multiple_of(BLOCK_BYTES), 0);
        }
        file
    }

    /// The segments as an input says them.
    pub(crate) fn to_input(&self, out: &mut Vec<u8>) {
        for (index, segment) in self.segments.values().enumerate() {
            if index > 0 {
                out.extend_from_slice(&NEXT_SEGMENT.to_le_bytes());
            }
            blocks_to_input(segment, out);
        }
    }

    fn segment(&mut self, segment: SegmentNumber) -> &mut Vec<u8> {
        self.segments.get_mut(&segment).expect("the journal uses segments that exist")
    }
}

/// The blocks of a file as an input says them; blank ones at its end are left out.
pub(crate) fn blocks_to_input(file: &[u8], out: &mut Vec<u8>) {
    for block in filled(file).chunks(BLOCK_BYTES) {
        let block = filled(block);
        out.extend_from_slice(&(block.len() as u16).to_le_bytes());
        out.extend_from_slice(block);
    }
}

/// Without the zeros at the end.
fn filled(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
}

impl Storage for Disk {
    fn segments(&mut self) -> Result<Vec<Segment>, StorageError> {
        let segments = self.segments.iter();
        Ok(segments.map(|(number, bytes)| Segment { number: *number, bytes: bytes.len() as u64 }).collect())
    }

    fn file_name(&self, segment: SegmentNumber) -> String {
        segment.to_string()
    }

    fn read_at(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> Result<(), StorageError> {
        let bytes = self.segment(segment).get(offset as usize..offset as usize + into.len());
        let beyond = || StorageError {
            kind: StorageErrorKind::Io,
            doing: "read",
            file: segment.to_string(),
            reason: "beyond the end".into(),
        };
        into.copy_from_slice(bytes.ok_or_else(beyond)?);
        Ok(())
    }

    fn forget_memory(&mut self, _segment: SegmentNumber) -> Result<(), StorageError> {
        Ok(())
    }

    fn write_zeros(&mut self, segment: SegmentNumber, range: Range<u64>) -> Result<(), StorageError> {
        self.segment(segment)[range.start as usize..range.end as usize].fill(0);
        Ok(())
    }

    fn sync(&mut self, _segment: SegmentNumber) -> Result<(), StorageError> {
        Ok(())
    }

    fn prepare_segment(&mut self, segment: SegmentNumber, bytes: u64) {
        assert!(self.preparing.is_none() && !self.segments.contains_key(&segment), "segment {segment} twice");
        self.preparing = Some(Segment { number: segment, bytes });
    }

    fn remove_segment(&mut self, segment: SegmentNumber) {
        assert!(
            self.removing.is_none() && self.segments.contains_key(&segment),
            "one that is there, at a time"
        );
        self.removing = Some(segment);
    }

    fn submit(&mut self, segment: SegmentNumber, offset: u64, group: GroupBuffer) {
        assert!(self.writing.is_none(), "one group at a time");
        let place = &self.segment(segment)[offset as usize..][..group.as_bytes().len()];
        assert!(place.iter().all(|byte| *byte == 0), "a group goes where nothing is");
        self.writing = Some((segment, offset, group));
    }

    fn poll(&mut self) -> Option<Completion> {
        if let Some((segment, offset, group)) = self.writing.take() {
            let bytes = group.as_bytes();
            self.segment(segment)[offset as usize..][..bytes.len()].copy_from_slice(bytes);
            return Some(Completion::Synced(group));
        }
        if let Some(segment) = self.removing.take() {
            self.segments.remove(&segment);
            return Some(Completion::Removed(segment));
        }
        let segment = self.preparing.take()?;
        self.segments.insert(segment.number, vec![0; segment.bytes as usize]);
        Some(Completion::Prepared(segment))
    }
}
