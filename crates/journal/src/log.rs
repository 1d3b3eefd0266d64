//! The seam between the sequencer and whatever makes its commands durable.

use joulebook_types::{SeqNum, TimeNs};

use crate::{Batch, EventDigest, storage::StorageError};

/// Total order and durability. Synchronous and polled, so a simulator can drive it; batches are opaque.
///
/// A local journal lets its user apply a batch when it is `Appended` and release outputs when it is `Committed`; a
/// replicated log lets it apply only what is `Committed`. Batches are numbered without gaps in the order of their
/// proposals.
pub trait CommandLog {
    /// Hands a batch over. Its number comes with [`LogEvent::Appended`] from a later `poll`.
    ///
    /// # Panics
    /// When the batch is empty (time alone needs no place in the log) or longer than [`Self::batch_bytes_max`].
    fn propose(&mut self, term: Term, batch: Batch) -> Result<Ticket, Refused>;

    /// Moves everything on that can move, without blocking, and tells what happened since the last call, in order.
    fn poll(&mut self, now: TimeNs, out: &mut Vec<LogEvent>);

    /// Tells what came of an applied batch; kept with what is written next. Told in order, at best before the next
    /// batch is proposed: a log may keep no more than the newest. A log that keeps nothing ignores it.
    fn attest(&mut self, _digest: &EventDigest) {}

    /// When `poll` must be called even if nothing else happens.
    fn next_deadline(&self) -> Option<TimeNs>;

    /// The longest batch ([`Batch::bytes_len`]) that `propose` takes.
    fn batch_bytes_max(&self) -> usize;

    /// The disk gives no more room, and what is left is for cancels: new orders should not be proposed. Ends by itself
    /// when space returns.
    fn is_short_of_space(&self) -> bool {
        false
    }

    /// Everything up to `upto`, which is durable, is contained in `snapshot` and may be forgotten. How much is
    /// forgotten, and when, is up to the log; what comes after `upto` never is.
    fn compact(&mut self, upto: SeqNum, snapshot: SnapshotId) -> Result<(), LogFault>;

    /// Begins a clean stop: nothing more is taken, what was taken is made durable. `poll` until [`Self::is_stopped`].
    fn shutdown(&mut self);

    /// True when a clean stop is complete, or can never be: the log failed (`poll` has said so), or there is no space
    /// for what was taken last, which was then never committed.
    fn is_stopped(&self) -> bool;
}

/// So that what runs the exchange need not be generic over which log was chosen at start.
impl<L: CommandLog + ?Sized> CommandLog for Box<L> {
    fn propose(&mut self, term: Term, batch: Batch) -> Result<Ticket, Refused> {
        (**self).propose(term, batch)
    }

    fn poll(&mut self, now: TimeNs, out: &mut Vec<LogEvent>) {
        (**self).poll(now, out);
    }

    fn attest(&mut self, digest: &EventDigest) {
        (**self).attest(digest);
    }

    fn next_deadline(&self) -> Option<TimeNs> {
        (**self).next_deadline()
    }

    fn batch_bytes_max(&self) -> usize {
        (**self).batch_bytes_max()
    }

    fn is_short_of_space(&self) -> bool {
        (**self).is_short_of_space()
    }

    fn compact(&mut self, upto: SeqNum, snapshot: SnapshotId) -> Result<(), LogFault> {
        (**self).compact(upto, snapshot)
    }

    fn shutdown(&mut self) {
        (**self).shutdown();
    }

    fn is_stopped(&self) -> bool {
        (**self).is_stopped()
    }
}

/// What a log tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// The batch has its numbers: `first_seq` and up, one per record. Its buffer may be reused.
    Appended { first_seq: SeqNum, term: Term, batch: Batch },
    /// Everything up to and including `seq` survives a power cut; outputs up to there may leave.
    Committed { seq: SeqNum, term: Term },
    /// Who leads. A local journal never says it: it always leads.
    Role { term: Term, leader: Option<NodeId>, me: bool },
    /// The log no longer has what this user lacks: start again from the snapshot.
    Install(SnapshotId),
    /// It cannot be told whether the proposal took effect; its senders must ask again.
    Unknown(Ticket),
    /// Nothing will be committed any more. Stop the shard and acknowledge nothing.
    Fault(LogFault),
}

/// Why a log cannot go on, or cannot do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFault {
    #[error("the journal can no longer be written, so nothing more is acknowledged: {0}")]
    Storage(#[from] StorageError),
    #[error("{0} is not supported by this log")]
    NotSupported(&'static str),
}

/// A proposal that had no effect, with its batch.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub reason: RefusalReason,
    pub batch: Batch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// Too much waits for the disk: propose again after the next `Committed`.
    Busy,
    /// Another node leads; the hint says which, if known.
    NotLeader(Option<NodeId>),
    /// The term is over: whoever proposes in it is no longer the one.
    Fenced,
    /// Stopping, failed, or out of space.
    ReadOnly,
}

/// A period with one leader. Outputs of an older term than the newest seen are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(u64);

/// A proposal, until it is numbered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// A snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(u64);

/// A member of a replicated log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

macro_rules! raw {
    ($($name:ident),*) => {$(
        impl $name {
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            pub const fn raw(self) -> u64 {
                self.0
            }
        }
    )*};
}
raw!(Term, Ticket, SnapshotId, NodeId);

impl Ticket {
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
