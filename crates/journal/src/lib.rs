//! Order and durability: [`CommandLog`] is all that the sequencer knows of them.
//!
//! [`LocalJournal`] numbers opaque batches and makes them durable in groups over a [`Storage`]; [`JournalReader`]
//! reads them back and refuses anything that it cannot prove to be what was written. [`MemoryLog`] keeps nothing.
//! There is no file, thread or clock in this crate.
//!
//! # What damage means
//!
//! At most one group is being written at a time, and a group is written only after the one before it was synced. So
//! whatever follows a place, if it is valid, proves that the place was durable once. From that:
//!
//! * Damage with anything valid behind it was acknowledged: [`JournalError::Corrupt`], nothing is touched.
//! * Damage in the last group, with nothing valid behind it, is what a power cut leaves of an unfinished write: the
//!   group is cut. A marker group after a short idle time and on a clean stop keeps data out of that position.
//! * Bits in space that was never written, behind the last group: the same as a torn write whose first sector was
//!   lost, and no command can be there. Cut, which means zeroed again.
//! * Bits in the unused end of a segment that has a successor: that space can never have been written, so the disk
//!   is failing. `Corrupt`, although every command is intact.
#![forbid(unsafe_code)]

mod batch;
mod buffer;
mod digest;
mod error;
mod follower;
mod format;
mod group;
mod local;
mod log;
mod mark;
mod memory;
mod reader;
mod seek;
mod snapshot_file;
mod space;
mod storage;
mod tail;
mod window;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Records};
pub use buffer::GroupBuffer;
pub use digest::EventDigest;
pub use error::JournalError;
pub use follower::JournalFollower;
pub use format::{BLOCK_BYTES, FORMAT_VERSION, FORMAT_VERSION_MIN, MIN_SEGMENT_BYTES};
pub use local::{LocalConfig, LocalJournal};
pub use log::{CommandLog, LogEvent, LogFault, NodeId, RefusalReason, Refused, SnapshotId, Term, Ticket};
pub use mark::JournalMark;
pub use memory::MemoryLog;
pub use reader::{BatchView, JournalReader};
pub use snapshot_file::{
    SNAPSHOT_VERSION, SnapshotDamage, SnapshotHeader, SnapshotName, SnapshotStorage, SnapshotWriter,
    read_snapshot,
};
pub use storage::{Completion, Segment, SegmentNumber, Storage, StorageError, StorageErrorKind};
pub use tail::{Cut, Tail};
