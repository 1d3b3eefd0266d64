//! The bytes of one group, on their way from the journal to the disk.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::format::{BLOCK_BYTES, GroupHeader, SEGMENT_HEADER_BYTES};

/// A group with room for a segment header before it, in whole aligned blocks, allocated and touched once.
pub struct GroupBuffer {
    blocks: Vec<Block>,
    /// Where the bytes for the disk begin: after the segment header, or at it.
    start: usize,
    end: usize,
}

/// Aligned as direct writes need it.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES]);

/// Where a group's first batch begins in its buffer.
const PAYLOAD_START: usize = SEGMENT_HEADER_BYTES + size_of::<GroupHeader>();

impl GroupBuffer {
    /// A buffer for groups with batches of up to `payload_bytes`.
    pub(crate) fn new(payload_bytes: usize) -> Self {
        let blocks = (PAYLOAD_START + payload_bytes).div_ceil(BLOCK_BYTES);
        Self {
            blocks: vec![Block([0; BLOCK_BYTES]); blocks],
            start: SEGMENT_HEADER_BYTES,
            end: PAYLOAD_START,
        }
    }

    /// What goes to the disk: whole blocks once the group is sealed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.blocks.as_bytes()[self.start..self.end]
    }

    pub(crate) fn clear(&mut self) {
        self.start = SEGMENT_HEADER_BYTES;
        self.end = PAYLOAD_START;
    }

    pub(crate) fn payload_len(&self) -> usize {
        self.end - PAYLOAD_START
    }

    /// Bytes that the group takes on disk, without a segment header.
    pub(crate) fn group_len(&self) -> usize {
        (self.end - SEGMENT_HEADER_BYTES).next_multiple_of(BLOCK_BYTES)
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.blocks.as_mut_bytes()[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// The payload from `from` on, as it was extended.
    pub(crate) fn payload_from(&self, from: usize) -> &[u8] {
        &self.blocks.as_bytes()[PAYLOAD_START + from..self.end]
    }

    /// Completes the group: its header, zeros up to the end of the last block (the buffer held other groups before),
    /// and the segment header when it is the first of its segment.
    pub(crate) fn seal(&mut self, header: &GroupHeader, segment_header: Option<&[u8; SEGMENT_HEADER_BYTES]>) {
        let padded_end = SEGMENT_HEADER_BYTES + self.group_len();
        let bytes = self.blocks.as_mut_bytes();
        bytes[SEGMENT_HEADER_BYTES..PAYLOAD_START].copy_from_slice(header.as_bytes());
        bytes[self.end..padded_end].fill(0);
        self.end = padded_end;
        if let Some(segment_header) = segment_header {
            bytes[..SEGMENT_HEADER_BYTES].copy_from_slice(segment_header);
            self.start = 0;
        }
    }
}

impl fmt::Debug for GroupBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBuffer").field("bytes", &(self.end - self.start)).finish_non_exhaustive()
    }
}
