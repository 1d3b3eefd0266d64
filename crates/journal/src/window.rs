//! A stretch of one segment in memory: read in large steps, because a system call per group would cost more than the
//! group.

use core::ops::Range;

use crate::{Storage, StorageError, storage::SegmentNumber};

#[derive(Debug, Default)]
pub(crate) struct Window {
    segment: SegmentNumber,
    start: u64,
    /// Bytes that were read; `bytes` may be longer.
    filled: usize,
    pub(crate) bytes: Vec<u8>,
}

const WINDOW_BYTES: usize = 1 << 20;

impl Window {
    /// Makes `length` bytes at `offset` of a segment available and says where in `bytes` they are.
    pub(crate) fn load<S: Storage>(
        &mut self,
        storage: &mut S,
        segment: SegmentNumber,
        offset: u64,
        length: usize,
        segment_bytes: u64,
    ) -> Result<Range<usize>, StorageError> {
        let end = offset + length as u64;
        if self.segment != segment || offset < self.start || end > self.start + self.filled as u64 {
            let wanted = length.max(WINDOW_BYTES).min((segment_bytes - offset) as usize);
            // A failed read must not leave stale bytes that look loaded.
            self.forget();
            if self.bytes.len() < wanted {
                self.bytes.resize(wanted, 0);
            }
            storage.read_at(segment, offset, &mut self.bytes[..wanted])?;
            (self.segment, self.start, self.filled) = (segment, offset, wanted);
        }
        let from = (offset - self.start) as usize;
        Ok(from..from + length)
    }

    /// Bytes of a segment, if all of them are in memory.
    pub(crate) fn held(&self, segment: SegmentNumber, offset: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes[..self.filled].get(from..from.checked_add(length)?).filter(|_| self.segment == segment)
    }

    /// What was loaded may be older than the disk: the next load reads again.
    pub(crate) fn forget(&mut self) {
        (self.segment, self.filled) = (0, 0);
    }

    /// Where in the segment a place in `bytes` is.
    pub(crate) fn offset_of(&self, index: usize) -> u64 {
        self.start + index as u64
    }
}
