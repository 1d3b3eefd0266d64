//! Every open stream with its session.

use joulebook_feed::{SubscriberId, Subscribers};
use joulebook_session::{Now, ServerSession};
use joulebook_types::{AccountId, ConnectionId, SessionId, TimeNs};

use crate::network::Network;

/// Names one stream for as long as it lives; later it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamKey {
    slot: u32,
    generation: u32,
}

/// Streams by slot, and those that have something to write.
pub(crate) struct Streams<N: Network> {
    slots: Vec<Slot<N>>,
    free: Vec<u32>,
    slots_max: usize,
    dirty: Vec<StreamKey>,
    feed_backlog_bytes: usize,
    /// Of the present turn.
    pub(crate) now: Now,
}

struct Slot<N: Network> {
    generation: u32,
    stream: Option<Box<Stream<N>>>,
}

pub(crate) struct Stream<N: Network> {
    pub(crate) key: StreamKey,
    pub(crate) listener: usize,
    pub(crate) connection: N::Connection,
    pub(crate) id: N::Stream,
    pub(crate) session: ServerSession,
    /// Account and session for as long as the core believes them to be here.
    pub(crate) in_core: Option<(AccountId, SessionId)>,
    /// Counted among the sessions that are logged on.
    pub(crate) is_counted: bool,
    pub(crate) is_subscribed: bool,
    /// Bytes may wait in the connection.
    pub(crate) is_readable: bool,
    /// The peer sends nothing more, and all of it was read.
    pub(crate) is_read_to_end: bool,
    /// Waits for room in the ring to the core.
    pub(crate) is_waiting: bool,
    /// The peer's window is full.
    pub(crate) is_write_blocked: bool,
    is_dirty: bool,
    pub(crate) ending: Option<Ending>,
    /// The entry among the timers that counts.
    pub(crate) scheduled: TimeNs,
}

/// A stream whose session is over while the last bytes are on their way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// The reset code, should the peer not take them in time.
    pub(crate) code: u32,
    pub(crate) until: TimeNs,
    pub(crate) is_finished: bool,
}

/// Bits of a connection id's counter that name the slot; the rest is the generation.
const SLOT_BITS: u32 = 20;
const GENERATION_BITS: u32 = 28;

impl StreamKey {
    /// What the core calls this stream's session.
    pub(crate) fn connection(self, gateway: u16) -> ConnectionId {
        ConnectionId::of_gateway(gateway, u64::from(self.generation) << SLOT_BITS | u64::from(self.slot))
    }

    pub(crate) fn of_connection(connection: ConnectionId) -> Self {
        let counter = connection.raw();
        let slot = (counter & ((1 << SLOT_BITS) - 1)) as u32;
        let generation = (counter >> SLOT_BITS & ((1 << GENERATION_BITS) - 1)) as u32;
        Self { slot, generation }
    }

    pub(crate) fn subscriber(self) -> SubscriberId {
        SubscriberId(self.slot)
    }
}

impl<N: Network> Streams<N> {
    pub(crate) fn new(slots_max: usize, feed_backlog_bytes: usize, now: Now) -> Self {
        let slots_max = slots_max.min(1 << SLOT_BITS);
        Self { slots: Vec::new(), free: Vec::new(), slots_max, dirty: Vec::new(), feed_backlog_bytes, now }
    }

    /// Makes a stream with the key that it is given; `None` when all slots are in use.
    pub(crate) fn insert(&mut self, make: impl FnOnce(StreamKey) -> Stream<N>) -> Option<StreamKey> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < self.slots_max => {
                self.slots.push(Slot { generation: 1, stream: None });
                (self.slots.len() - 1) as u32
            }
            None => return None,
        };
        let key = StreamKey { slot, generation: self.slots[slot as usize].generation };
        self.slots[slot as usize].stream = Some(Box::new(make(key)));
        Some(key)
    }

    #[inline]
    pub(crate) fn get(&mut self, key: StreamKey) -> Option<&mut Stream<N>> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        slot.stream.as_deref_mut().filter(|_| slot.generation == key.generation)
    }

    pub(crate) fn remove(&mut self, key: StreamKey) -> Option<Box<Stream<N>>> {
        let slot = self.slots.get_mut(key.slot as usize).filter(|slot| slot.generation == key.generation)?;
        let stream = slot.stream.take()?;
        // Never zero, so that no connection id is zero either.
        slot.generation = slot.generation % ((1 << GENERATION_BITS) - 1) + 1;
        self.free.push(key.slot);
        Some(stream)
    }

    /// There is, or may be, something to write.
    pub(crate) fn mark_dirty(&mut self, key: StreamKey) {
        if let Some(stream) = self.get(key).filter(|stream| !stream.is_dirty) {
            stream.is_dirty = true;
            self.dirty.push(key);
        }
    }

    /// The next stream that may have something to write.
    pub(crate) fn pop_dirty(&mut self) -> Option<StreamKey> {
        loop {
            let key = self.dirty.pop()?;
            if let Some(stream) = self.get(key) {
                stream.is_dirty = false;
                return Some(key);
            }
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = StreamKey> {
        self.slots.iter().filter_map(|slot| slot.stream.as_deref().map(|stream| stream.key))
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<N: Network> Stream<N> {
    pub(crate) fn new(
        key: StreamKey,
        listener: usize,
        connection: N::Connection,
        id: N::Stream,
        session: ServerSession,
    ) -> Self {
        Self {
            key,
            listener,
            connection,
            id,
            session,
            in_core: None,
            is_counted: false,
            is_subscribed: false,
            is_readable: false,
            is_read_to_end: false,
            is_waiting: false,
            is_write_blocked: false,
            is_dirty: false,
            ending: None,
            scheduled: TimeNs::MAX,
        }
    }

    pub(crate) fn deadline(&self) -> Option<TimeNs> {
        self.ending.map_or_else(|| self.session.deadline(), |ending| Some(ending.until))
    }
}

impl<N: Network> Subscribers for Streams<N> {
    fn is_lagging(&self, subscriber: SubscriberId) -> bool {
        match self.slots.get(subscriber.0 as usize).and_then(|slot| slot.stream.as_deref()) {
            // While the connection takes all that it is given, what is unsent is of this turn only.
            Some(stream) => {
                let is_behind = self.feed_backlog_bytes < stream.session.unsent().len();
                (stream.is_write_blocked && is_behind) || stream.session.is_closed()
            }
            None => true,
        }
    }

    fn send(&mut self, subscriber: SubscriberId, frames: &[u8]) {
        let now = self.now;
        let Some(stream) = self.slots[subscriber.0 as usize].stream.as_deref_mut() else { return };
        stream.session.send_frames(frames, now);
        if !stream.is_dirty {
            stream.is_dirty = true;
            self.dirty.push(stream.key);
        }
    }
}
