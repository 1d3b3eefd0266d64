//! A place in a journal that can be found again.

use joulebook_types::{SeqNum, ShardId, TimeNs};

use crate::Term;

/// Where a snapshot stands in its journal: behind a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalMark {
    /// The journal's random name.
    pub journal_id: u64,
    pub shard: ShardId,
    pub term: Term,
    /// The last command before the mark, which is the last of its batch.
    pub seq: SeqNum,
    /// The time of that batch.
    pub time: TimeNs,
    /// The hash of that batch, which vouches for every batch before it.
    pub chain: [u8; 32],
}
