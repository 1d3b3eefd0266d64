use std::net::IpAddr;
use std::time::Instant;

use quinn_proto::{Connection, ConnectionHandle, EndpointEvent, StreamId};

/// Names one connection of one driver. A key of a connection that is gone is harmless: every method says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnKey {
    slot: u32,
    generation: u32,
}

impl ConnKey {
    /// Small and reused: an index for the owner's own tables, which must compare the whole key.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

/// Connections by slot. A slot is the endpoint's handle: the endpoint learns that a connection is
/// drained only when its slot is freed, so the two can never disagree.
#[derive(Default)]
pub(crate) struct Connections {
    slots: Vec<Slot>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    live: Option<Box<Live>>,
}

/// A connection and what the driver remembers about it.
pub(crate) struct Live {
    pub(crate) quic: Connection,
    pub(crate) key: ConnKey,
    pub(crate) phase: Phase,
    /// The owner knows the connection and will be told of its end.
    pub(crate) known: bool,
    /// We closed it: nothing but its end is of interest now.
    pub(crate) closed_by_us: bool,
    /// The owner has been told of the end, or never knew of the beginning.
    pub(crate) farewell_done: bool,
    /// Kept back from the endpoint until the slot can be freed.
    pub(crate) drained: Option<EndpointEvent>,
    pub(crate) accepted_from: Option<IpAddr>,
    /// Handshake from an address that has proved nothing yet.
    pub(crate) unproven: bool,
    /// Is in the list of connections to send for.
    pub(crate) dirty: bool,
    /// Is in the list of connections that got datagrams in this batch.
    pub(crate) touched: bool,
    /// Notices that wait in the event queue: one of a kind is enough.
    pub(crate) announced: Vec<(StreamId, Notice)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Handshake { deadline: Instant },
    Established,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Readable,
    Writable,
}

impl Live {
    pub(crate) fn slot(&self) -> u32 {
        self.key.slot
    }

    pub(crate) fn handle(&self) -> ConnectionHandle {
        ConnectionHandle(self.key.slot())
    }

    /// When this connection needs attention although nothing arrives.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        let timer = self.quic.poll_timeout();
        match self.phase {
            Phase::Handshake { deadline } => Some(timer.map_or(deadline, |timer| timer.min(deadline))),
            Phase::Established | Phase::Over => timer,
        }
    }
}

impl Connections {
    pub(crate) fn insert(
        &mut self,
        handle: ConnectionHandle,
        quic: Connection,
        deadline: Instant,
        accepted_from: Option<IpAddr>,
        unproven: bool,
    ) -> ConnKey {
        if self.slots.len() <= handle.0 {
            self.slots.resize_with(handle.0 + 1, Slot::default);
        }
        let slot = &mut self.slots[handle.0];
        assert!(slot.live.is_none(), "the endpoint gave out a handle that is in use");
        let key = ConnKey {
            slot: u32::try_from(handle.0).expect("fewer connections than u32"),
            generation: slot.generation,
        };
        slot.live = Some(Box::new(Live {
            quic,
            key,
            phase: Phase::Handshake { deadline },
            known: accepted_from.is_none(),
            closed_by_us: false,
            farewell_done: false,
            drained: None,
            accepted_from,
            unproven,
            dirty: false,
            touched: false,
            announced: Vec::new(),
        }));
        key
    }

    /// The connection that `key` names, if it still exists.
    pub(crate) fn get(&mut self, key: ConnKey) -> Option<&mut Live> {
        let slot = self.slots.get_mut(key.slot())?;
        if slot.generation != key.generation {
            return None;
        }
        slot.live.as_deref_mut()
    }

    pub(crate) fn peek(&self, key: ConnKey) -> Option<&Live> {
        let slot = self.slots.get(key.slot())?;
        slot.live.as_deref().filter(|_| slot.generation == key.generation)
    }

    pub(crate) fn at(&mut self, slot: u32) -> Option<&mut Live> {
        self.slots.get_mut(slot as usize)?.live.as_deref_mut()
    }

    /// Frees a slot; its old keys become stale.
    pub(crate) fn remove(&mut self, slot: u32) {
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            slot.live = None;
            slot.generation = slot.generation.wrapping_add(1);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Live> {
        self.slots.iter().filter_map(|slot| slot.live.as_deref())
    }
}
