//! Numbered events that clients may still ask for: one bounded ring for all sessions, each session's events chained.

use core::mem::offset_of;

use joulebook_protocol::messages::{OrderAccepted, OrderReplaced, RequestRepeated, Stamp};
use joulebook_protocol::{HEADER_BYTES, Message};
use joulebook_sys::prefetch_write;
use joulebook_types::SlotHint;
use zerocopy::IntoBytes;

use crate::places::at_mut;
use crate::sessions::SessionIx;

/// The longest private event: header and block.
pub(crate) const FRAME_BYTES_MAX: usize = 104;
const CHUNK_ENTRIES: usize = 1_024;
/// The ring is larger than a cache, so the place of an event is asked for so many events before it is written.
const ENTRIES_AHEAD: usize = 6;
type Chunk = Box<[Entry; CHUNK_ENTRIES]>;

/// The newest events of all sessions together, oldest first.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Allocated one by one as the ring grows to its limit, so that no growth ever copies the ring.
    chunks: Vec<Chunk>,
    entries_max: u64,
    /// Position of the next entry. Positions count up for ever.
    end: u64,
    /// The chunk in which the next entry lies, and where positions enter and leave it. Kept, because a division by the
    /// ring's size costs more than all else.
    chunk: usize,
    enters: u64,
    leaves: u64,
}

/// Where an event lies in the outbox; kept after the event has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(u64);

impl Position {
    /// Before every event.
    pub(crate) const NONE: Self = Self(0);
}

/// One retained event: two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Entry {
    /// The session's event before this one, retained or not.
    pub(crate) previous: Position,
    pub(crate) session: SessionIx,
    pub(crate) template_id: u16,
    frame_len: u16,
    frame: [u8; FRAME_BYTES_MAX],
}

impl Entry {
    const EMPTY: Self = Self {
        previous: Position::NONE,
        session: SessionIx::NONE,
        template_id: 0,
        frame_len: 0,
        frame: [0; FRAME_BYTES_MAX],
    };

    /// The event's number in its session: what its frame says first.
    pub(crate) fn event_seq(&self) -> u64 {
        self.frame[HEADER_BYTES..].first_chunk().map_or(0, |number| u64::from_le_bytes(*number))
    }

    /// Header and block.
    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame[..usize::from(self.frame_len)]
    }

    /// Calls `absorb` with the frame as hashes see it: a slot says where an order lies, not what happened, and engines
    /// that agree on everything else may have put it elsewhere.
    pub(crate) fn without_slot<R>(&self, absorb: impl FnOnce(&[u8]) -> R) -> R {
        let Some(offset) = slot_offset(self.template_id) else { return absorb(self.frame()) };
        let mut frame = self.frame;
        frame[offset..offset + size_of::<SlotHint>()].copy_from_slice(SlotHint::UNKNOWN.as_bytes());
        absorb(&frame[..usize::from(self.frame_len)])
    }
}

/// Where a private event's frame names a slot.
const fn slot_offset(template_id: u16) -> Option<usize> {
    match template_id {
        OrderAccepted::TEMPLATE_ID => Some(HEADER_BYTES + offset_of!(OrderAccepted, slot)),
        OrderReplaced::TEMPLATE_ID => Some(HEADER_BYTES + offset_of!(OrderReplaced, slot)),
        RequestRepeated::TEMPLATE_ID => Some(HEADER_BYTES + offset_of!(RequestRepeated, slot)),
        _ => None,
    }
}

/// An event that starts with a stamp.
pub(crate) trait Stamped: Message {
    /// What the event hash sees all ones instead of: the word of the block that names a slot, and its bits.
    const SLOT_IN_WORDS: (usize, u64) = match slot_offset(Self::TEMPLATE_ID) {
        Some(offset) => ((offset - HEADER_BYTES) / 8, (u32::MAX as u64) << ((offset % 8) * 8)),
        None => (usize::MAX, 0),
    };

    fn stamp_mut(&mut self) -> &mut Stamp;
}

macro_rules! stamped {
    ($($event:ident)*) => { $(
        impl Stamped for joulebook_protocol::messages::$event {
            fn stamp_mut(&mut self) -> &mut Stamp {
                &mut self.stamp
            }
        }
        const _: () = assert!(HEADER_BYTES + size_of::<joulebook_protocol::messages::$event>() <= FRAME_BYTES_MAX);
        const _: () = assert!(offset_of!(joulebook_protocol::messages::$event, stamp) == 0);
    )* };
}

stamped! {
    OrderAccepted RequestRejected OrderFilled OrderCanceled OrderReplaced MassCancelDone TokenOrderDone RequestDone
    RequestRepeated OrderStatus CreditBalance CapacityBalance SnapshotEnd OrderTriggered LegDone SweepDone MassQuoteAck
    QuoteRejected ProtectionTriggered
}

impl Outbox {
    /// Keeps `events_max` events; at least one, so that the newest always has a place.
    pub(crate) fn new(events_max: u32) -> Self {
        Self {
            chunks: Vec::new(),
            entries_max: u64::from(events_max.max(1)),
            end: 1,
            chunk: 0,
            enters: 0,
            leaves: 1,
        }
    }

    /// The place of the next event of a session and where that is; the caller writes the frame. The oldest event goes when
    /// the ring is full.
    #[inline(always)]
    pub(crate) fn push<M: Stamped>(
        &mut self,
        session: SessionIx,
        previous: Position,
    ) -> (Position, &mut [u8]) {
        let (position, entry) = self.place_next();
        let frame_len = const { HEADER_BYTES + size_of::<M>() };
        (entry.session, entry.previous) = (session, previous);
        (entry.template_id, entry.frame_len) = (M::TEMPLATE_ID, frame_len as u16);
        (position, &mut entry.frame[..frame_len])
    }

    /// Whether another event would push out the oldest.
    pub(crate) fn is_full(&self) -> bool {
        self.end > self.entries_max
    }

    /// Appends an event that was encoded before, and is not longer than the longest.
    pub(crate) fn restore(
        &mut self,
        session: SessionIx,
        previous: Position,
        (template_id, frame): (u16, &[u8]),
    ) -> Position {
        let (position, entry) = self.place_next();
        (entry.previous, entry.session) = (previous, session);
        (entry.template_id, entry.frame_len) = (template_id, frame.len() as u16);
        entry.frame[..frame.len()].copy_from_slice(frame);
        position
    }

    /// The event at `position`, if it is still retained.
    pub(crate) fn get(&self, position: Position) -> Option<&Entry> {
        if position < self.oldest() || position.0 >= self.end {
            return None;
        }
        let (chunk, index) = self.place(position);
        Some(&self.chunks[chunk][index])
    }

    /// All retained events, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        (self.oldest().0..self.end).filter_map(|position| self.get(Position(position)))
    }

    /// The place of the next event, which still has what was there before.
    #[inline(always)]
    fn place_next(&mut self) -> (Position, &mut Entry) {
        if self.end == self.leaves {
            self.enter_next_chunk();
        }
        let position = self.end;
        self.end = position + 1;
        let index = (position - self.enters) as usize;
        let chunk = at_mut(&mut self.chunks, self.chunk);
        let coming = &chunk[(index + ENTRIES_AHEAD) % CHUNK_ENTRIES];
        prefetch_write(coming);
        prefetch_write(&coming.frame[FRAME_BYTES_MAX / 2]);
        (Position(position), &mut chunk[index % CHUNK_ENTRIES])
    }

    #[cold]
    fn enter_next_chunk(&mut self) {
        let (chunk, index) = self.place(Position(self.end));
        if chunk == self.chunks.len() {
            let entries: Box<[Entry]> = vec![Entry::EMPTY; CHUNK_ENTRIES].into_boxed_slice();
            self.chunks.push(entries.try_into().expect("as many entries as a chunk has"));
        }
        let entries = (self.entries_max - (chunk * CHUNK_ENTRIES) as u64).min(CHUNK_ENTRIES as u64);
        self.chunk = chunk;
        self.enters = self.end - index as u64;
        self.leaves = self.enters + entries;
    }

    fn oldest(&self) -> Position {
        Position(self.end.saturating_sub(self.entries_max).max(1))
    }

    fn place(&self, position: Position) -> (usize, usize) {
        let slot = (position.0 - 1) % self.entries_max;
        ((slot / CHUNK_ENTRIES as u64) as usize, (slot % CHUNK_ENTRIES as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::messages::RequestDone;

    use super::*;

    fn pushed<M: Stamped>(outbox: &mut Outbox, previous: Position, event: &M) -> Position {
        let (position, frame) = outbox.push::<M>(SessionIx::NONE, previous);
        frame[..HEADER_BYTES].copy_from_slice(M::HEADER.as_bytes());
        frame[HEADER_BYTES..].copy_from_slice(event.as_bytes());
        position
    }

    #[test]
    fn a_ring_of_any_size_turns() {
        for events_max in [1, 2, 1_023, 1_024, 1_025, 3_000] {
            let mut outbox = Outbox::new(events_max);
            let mut previous = Position::NONE;
            for event_seq in 1..=7_000 {
                let stamp = Stamp { event_seq, ..Default::default() };
                previous = pushed(&mut outbox, previous, &RequestDone { stamp, ..Default::default() });
                assert_eq!(outbox.get(previous).unwrap().event_seq(), event_seq);
            }
            let kept: Vec<u64> = outbox.iter().map(Entry::event_seq).collect();
            assert!(kept.iter().copied().eq(7_001 - u64::from(events_max)..=7_000), "{events_max}");
        }
    }

    #[test]
    fn hashes_see_everything_but_the_slot() {
        fn hashed<M: Stamped>(event: &M) -> Vec<u8> {
            let mut outbox = Outbox::new(1);
            let position = pushed(&mut outbox, Position::NONE, event);
            outbox.get(position).unwrap().without_slot(<[u8]>::to_vec)
        }
        let slot = SlotHint::new(7);
        let accepted = OrderAccepted { qty: 5, side: 1, ..Default::default() };
        assert_eq!(hashed(&OrderAccepted { slot, ..accepted }), hashed(&accepted));
        assert_ne!(hashed(&OrderAccepted { side: 2, ..accepted }), hashed(&accepted));
        let replaced = OrderReplaced { leaves_qty: 5, kept_priority: 1, ..Default::default() };
        assert_eq!(hashed(&OrderReplaced { slot, ..replaced }), hashed(&replaced));
        assert_ne!(hashed(&OrderReplaced { leaves_qty: 4, ..replaced }), hashed(&replaced));
        let repeated = RequestRepeated { reason: 3, status: 2, ..Default::default() };
        assert_eq!(hashed(&RequestRepeated { slot, ..repeated }), hashed(&repeated));
        assert_ne!(hashed(&RequestRepeated { reason: 4, ..repeated }), hashed(&repeated));
    }

    #[test]
    fn the_ring_keeps_the_newest() {
        let mut outbox = Outbox::new(3);
        let mut previous = Position::NONE;
        let mut positions = Vec::new();
        for event_seq in 1..=5 {
            let stamp = Stamp { event_seq, ..Default::default() };
            let event = RequestDone { stamp, ..Default::default() };
            let position = pushed(&mut outbox, previous, &event);
            let entry = outbox.get(position).expect("the newest");
            assert_eq!(entry.frame().len(), HEADER_BYTES + size_of::<RequestDone>());
            previous = position;
            positions.push(position);
        }
        assert!(outbox.get(positions[1]).is_none());
        assert_eq!(outbox.get(positions[2]).map(|entry| entry.event_seq()), Some(3));
        assert_eq!(outbox.iter().map(|entry| entry.event_seq()).collect::<Vec<_>>(), [3, 4, 5]);
        let newest = outbox.get(previous).unwrap();
        assert_eq!(outbox.get(newest.previous).map(|entry| entry.event_seq()), Some(4));
        assert!(outbox.get(Position::NONE).is_none());
    }
}
