//! What a journal needs of a disk.

use core::ops::Range;

use crate::GroupBuffer;

/// Position of a segment in the journal, 1 and up.
pub type SegmentNumber = u64;

/// A file of fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub number: SegmentNumber,
    pub bytes: u64,
}

/// The disk under a journal. Blocking while a journal is opened, polled once it runs.
pub trait Storage {
    /// The segments that exist completely, in ascending order.
    fn segments(&mut self) -> Result<Vec<Segment>, StorageError>;

    /// How people find the segment: a path, for messages.
    fn file_name(&self, segment: SegmentNumber) -> String;

    /// Fills `into` from `offset`. Blocks.
    fn read_at(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> Result<(), StorageError>;

    /// Makes what is read of a segment after this, until it is closed, be what the disk has. A failed sync leaves in memory
    /// what the disk never got, and no later sync writes it or says so; only what was written since may still be synced.
    /// Memory may show it again to who opens the segment anew. Blocks; used only before the first `submit`. Where the
    /// segments can only be read it does nothing: they are somebody else's.
    fn forget_memory(&mut self, segment: SegmentNumber) -> Result<(), StorageError>;

    /// Writes zeros. Blocks; used only to cut a tail, before the first `submit`.
    fn write_zeros(&mut self, segment: SegmentNumber, range: Range<u64>) -> Result<(), StorageError>;

    /// Makes all of a segment durable. Blocks; used only before the first `submit`.
    fn sync(&mut self, segment: SegmentNumber) -> Result<(), StorageError>;

    /// Begins to make a segment of `bytes` written and durable zeros. It must not exist before it is complete.
    /// One at a time; ends with [`Completion::Prepared`] or [`Completion::PrepareFailed`].
    fn prepare_segment(&mut self, segment: SegmentNumber, bytes: u64);

    /// Begins to remove a segment that nobody needs any more, and to make that durable. One at a time, perhaps while
    /// another segment is being prepared; ends with [`Completion::Removed`] or [`Completion::RemoveFailed`].
    fn remove_segment(&mut self, segment: SegmentNumber);

    /// Begins to write the group at `offset` and to make it durable. One at a time; ends with
    /// [`Completion::Synced`], or [`Completion::WriteFailed`], after which nothing may be written any more.
    fn submit(&mut self, segment: SegmentNumber, offset: u64, group: GroupBuffer);

    /// What ended since the last call. Never blocks.
    fn poll(&mut self) -> Option<Completion>;
}

/// The end of something that was begun.
#[derive(Debug)]
pub enum Completion {
    /// The group is durable; here is its buffer.
    Synced(GroupBuffer),
    /// The group may or may not be on the disk, and asking again would not tell.
    WriteFailed(StorageError),
    Prepared(Segment),
    /// There is no such segment now; it may be asked for again.
    PrepareFailed(StorageError),
    Removed(SegmentNumber),
    /// The segment may still be there, or come back after a power cut.
    RemoveFailed(StorageError),
}

/// The disk refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {doing} {file}: {reason}")]
pub struct StorageError {
    pub kind: StorageErrorKind,
    /// What was tried, to be read after "cannot": `write`, `sync`, …
    pub doing: &'static str,
    pub file: String,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageErrorKind {
    /// The disk or the quota is full. Space may come back.
    NoSpace,
    /// Anything else.
    Io,
}

impl<S: Storage + ?Sized> Storage for &mut S {
    fn segments(&mut self) -> Result<Vec<Segment>, StorageError> {
        (**self).segments()
    }

    fn file_name(&self, segment: SegmentNumber) -> String {
        (**self).file_name(segment)
    }

    fn read_at(&mut self, segment: SegmentNumber, offset: u64, into: &mut [u8]) -> Result<(), StorageError> {
        (**self).read_at(segment, offset, into)
    }

    fn forget_memory(&mut self, segment: SegmentNumber) -> Result<(), StorageError> {
        (**self).forget_memory(segment)
    }

    fn write_zeros(&mut self, segment: SegmentNumber, range: Range<u64>) -> Result<(), StorageError> {
        (**self).write_zeros(segment, range)
    }

    fn sync(&mut self, segment: SegmentNumber) -> Result<(), StorageError> {
        (**self).sync(segment)
    }

    fn prepare_segment(&mut self, segment: SegmentNumber, bytes: u64) {
        (**self).prepare_segment(segment, bytes);
    }

    fn remove_segment(&mut self, segment: SegmentNumber) {
        (**self).remove_segment(segment);
    }

    fn submit(&mut self, segment: SegmentNumber, offset: u64, group: GroupBuffer) {
        (**self).submit(segment, offset, group);
    }

    fn poll(&mut self) -> Option<Completion> {
        (**self).poll()
    }
}
