//! Why a journal cannot be read or opened, in words that say what to do.

use joulebook_types::{SeqNum, ShardId};

use crate::storage::StorageError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The disk refused.
    #[error(transparent)]
    Storage(#[from] StorageError),

    /// Written by a version of the program with another format.
    #[error(
        "{file} has journal format {found}, and this program reads formats up to {supported}: \
         start the version of the program that wrote it, nothing was changed"
    )]
    Version { file: String, found: u32, supported: u32 },

    /// The journal of another shard.
    #[error("{file} belongs to shard {found}, not to shard {expected}: check the data folder's path")]
    Shard { file: String, found: ShardId, expected: ShardId },

    /// The beginning of the journal is gone: its commands are in snapshots only.
    #[error(
        "{file} is the oldest segment that is left and begins with command {first_seq}; the commands before it were \
         retired because a snapshot contains them: begin with a snapshot"
    )]
    Retired { file: String, first_seq: SeqNum },

    /// A snapshot that does not belong to this journal.
    #[error("the snapshot at command {seq} does not belong to this journal: {what}")]
    ForeignMark { seq: SeqNum, what: String },

    /// Damage where acknowledged commands are, so it is not a torn tail and must not be cut away.
    #[error(
        "{file}, byte {offset_bytes}: {what}. Commands up to number {last_good_seq} are intact; acknowledged commands \
         may follow the damage, so nothing was changed and the journal was not opened. First copy the whole folder. \
         Then either put an intact copy of {file} from a backup in its place; or, if losing every command after \
         number {last_good_seq} is acceptable, fill {file} with zeros from byte {cut_at_bytes} to its end and remove \
         all segments with a higher number"
    )]
    Corrupt {
        file: String,
        /// Where in the file the damage shows.
        offset_bytes: u64,
        what: String,
        /// The last command before the damage.
        last_good_seq: SeqNum,
        /// Where in the file the intact part ends.
        cut_at_bytes: u64,
    },
}
