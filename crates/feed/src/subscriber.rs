//! What one subscriber has asked for and still waits for.

use std::collections::VecDeque;

use joulebook_types::InstrumentId;

/// A subscriber of one publisher: the owner's own small index, reused after [`FeedPublisher::remove`].
///
/// [`FeedPublisher::remove`]: crate::FeedPublisher::remove
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriberId(pub u32);

#[derive(Debug, Default)]
pub(crate) struct Subscriber {
    /// Kinds that instruments listed later are subscribed with.
    pub(crate) future: Option<u8>,
    pub(crate) instruments: Vec<InstrumentId>,
    /// What it gets as soon as it keeps up.
    pub(crate) due: VecDeque<Due>,
    /// Of `due`, the ends of subscriptions: the only part that a client could make grow.
    pub(crate) done_due: usize,
    pub(crate) yields_due: bool,
    /// Is in the publisher's list of subscribers with something due.
    pub(crate) is_waiting: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Snapshot(InstrumentId),
    Yields,
    /// The end of a subscription's snapshots.
    Done(InstrumentId),
}
