//! The arena that a batch's events go to: one run of bytes, so that a command may cause any number of them.

use joulebook_protocol::{HEADER_BYTES, Message};
use joulebook_types::ConnectionId;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The events of one batch or of several, in the order in which they happened.
///
/// Records are read by position, so a reader may stop anywhere and go on later. Clearing keeps the memory: nothing is
/// allocated once the arena has seen its largest batch.
#[derive(Debug, Default)]
pub struct Events {
    /// All of it may be written to; what was written ends at `end`.
    bytes: Vec<u8>,
    end: usize,
}

/// Who gets an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Every gateway, the feed and the console.
    Public,
    /// The gateway that owns the connection, for its session.
    Connection(ConnectionId),
}

/// One event, still in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub destination: Destination,
    pub template_id: u16,
    /// The engine's dense number of the session; [`Record::NO_SESSION`] when the event belongs to none.
    pub session: u32,
    /// Header and block of the message.
    pub frame: &'a [u8],
}

impl Record<'_> {
    pub const NO_SESSION: u32 = u32::MAX;
}

/// Stands before every frame. Frames are multiples of eight bytes, and so is this.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RecordHeader {
    destination: u64,
    frame_len: u16,
    template_id: u16,
    session: u32,
}

const RECORD_HEADER_BYTES: usize = size_of::<RecordHeader>();
/// What an arena takes when it takes any.
const BYTES_MIN: usize = 4_096;
/// No gateway has this connection: gateway numbers and counters are handed out from below. What names it as a
/// session's is ignored, or the session's events would be everybody's.
pub(crate) const EVERYBODY: ConnectionId = ConnectionId::new(u64::MAX);

impl Events {
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), end: 0 }
    }

    /// An arena that takes `bytes` bytes before it allocates again.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes], end: 0 }
    }

    /// All records from the start.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        let mut offset = 0;
        core::iter::from_fn(move || {
            let (record, next) = self.record_at(offset)?;
            offset = next;
            Some(record)
        })
    }

    /// The record that starts `offset` bytes into the arena and the offset of the one after it; `None` at the end.
    ///
    /// # Panics
    /// When no record starts at `offset`: offsets are zero, a returned one, or an earlier [`Events::bytes_len`].
    pub fn record_at(&self, offset: usize) -> Option<(Record<'_>, usize)> {
        let rest = &self.bytes[offset..self.end];
        if rest.is_empty() {
            return None;
        }
        let (header, rest) = RecordHeader::read_from_prefix(rest).expect("a record has a header");
        let frame = &rest[..usize::from(header.frame_len)];
        let destination = match ConnectionId::new(header.destination) {
            EVERYBODY => Destination::Public,
            connection => Destination::Connection(connection),
        };
        let record = Record { destination, template_id: header.template_id, session: header.session, frame };
        Some((record, offset + RECORD_HEADER_BYTES + frame.len()))
    }

    /// Forgets all records and keeps the memory.
    pub fn clear(&mut self) {
        self.end = 0;
    }

    /// Forgets the records from `offset` on.
    pub fn truncate(&mut self, offset: usize) {
        self.end = self.end.min(offset);
    }

    /// Bytes in use: the offset at which the next record will start.
    pub fn bytes_len(&self) -> usize {
        self.end
    }

    pub fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Appends a message for everybody.
    #[inline(always)]
    pub(crate) fn push_public<M: Message>(&mut self, message: &M) {
        self.push_message(EVERYBODY.raw(), Record::NO_SESSION, message);
    }

    /// Appends a message for the session behind `connection`.
    #[inline(always)]
    pub(crate) fn push_to<M: Message>(&mut self, connection: ConnectionId, session: u32, message: &M) {
        self.push_message(connection.raw(), session, message);
    }

    /// Appends a frame that was encoded before.
    pub(crate) fn push_frame(
        &mut self,
        connection: ConnectionId,
        session: u32,
        template_id: u16,
        frame: &[u8],
    ) {
        let frame_len = u16::try_from(frame.len()).expect("frames are at most 112 bytes");
        let header = RecordHeader { destination: connection.raw(), frame_len, template_id, session };
        let record = self.append(RECORD_HEADER_BYTES + frame.len());
        record[..RECORD_HEADER_BYTES].copy_from_slice(header.as_bytes());
        record[RECORD_HEADER_BYTES..].copy_from_slice(frame);
    }

    /// Appends a fact for everybody, two messages for one connection and session each, and another fact, after one look at
    /// the room that there is.
    #[inline(always)]
    pub(crate) fn push_row<First: Message, Private: Message, Last: Message>(
        &mut self,
        first: &First,
        private: [(ConnectionId, u32, &Private); 2],
        last: &Last,
    ) {
        let lengths = const { [record_bytes::<First>(), record_bytes::<Private>(), record_bytes::<Last>()] };
        let [of_first, of_private, of_last] = lengths;
        let (place, rest) = self.append(of_first + 2 * of_private + of_last).split_at_mut(of_first);
        write_record(first, EVERYBODY, Record::NO_SESSION, place);
        let (place, rest) = rest.split_at_mut(of_private);
        let [(connection, session, message), second] = private;
        write_record(message, connection, session, place);
        let (place, rest) = rest.split_at_mut(of_private);
        let (connection, session, message) = second;
        write_record(message, connection, session, place);
        write_record(last, EVERYBODY, Record::NO_SESSION, rest);
    }

    #[inline(always)]
    fn push_message<M: Message>(&mut self, destination: u64, session: u32, message: &M) {
        write_frame(message, self.push_place::<M>(destination, session));
    }

    /// Appends all of a record but its frame, and gives the place of that. Lengths are the compiler's: a record is a row of
    /// stores.
    #[inline(always)]
    fn push_place<M: Message>(&mut self, destination: u64, session: u32) -> &mut [u8] {
        let record = self.append(const { record_bytes::<M>() });
        begin_record::<M>(destination, session, record)
    }

    /// As [`Self::push_to`], to be written by the caller with [`write_frame`].
    #[inline(always)]
    pub(crate) fn place_for<M: Message>(&mut self, connection: ConnectionId, session: u32) -> &mut [u8] {
        self.push_place::<M>(connection.raw(), session)
    }

    /// An event for the session behind `connection` and right behind it a fact for everybody, with one look for room: both
    /// to be written by the caller with [`write_frame`].
    #[inline(always)]
    pub(crate) fn places_for<M: Message, F: Message>(
        &mut self,
        connection: ConnectionId,
        session: u32,
    ) -> (&mut [u8], &mut [u8]) {
        let records = self.append(const { record_bytes::<M>() + record_bytes::<F>() });
        let (event, fact) = records.split_at_mut(const { record_bytes::<M>() });
        (
            begin_record::<M>(connection.raw(), session, event),
            begin_record::<F>(EVERYBODY.raw(), Record::NO_SESSION, fact),
        )
    }

    /// The next bytes of the arena.
    #[inline(always)]
    fn append(&mut self, len: usize) -> &mut [u8] {
        let start = self.end;
        // Asked in two parts, the compiler sees that what follows is within bounds.
        while self.bytes.len() < start || self.bytes.len() - start < len {
            self.grow(len);
        }
        self.end = start + len;
        &mut self.bytes[start..][..len]
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        let needed = (self.end + len).max(2 * self.bytes.len()).max(BYTES_MIN);
        self.bytes.resize(needed, 0);
    }
}

/// What a message takes in the arena.
const fn record_bytes<M: Message>() -> usize {
    RECORD_HEADER_BYTES + HEADER_BYTES + size_of::<M>()
}

/// Writes what stands before a frame. Returns the place of the frame.
#[inline(always)]
fn begin_record<M: Message>(destination: u64, session: u32, record: &mut [u8]) -> &mut [u8] {
    let frame_len = const { (HEADER_BYTES + size_of::<M>()) as u16 };
    let header = RecordHeader { destination, frame_len, template_id: M::TEMPLATE_ID, session };
    record[..RECORD_HEADER_BYTES].copy_from_slice(header.as_bytes());
    &mut record[RECORD_HEADER_BYTES..]
}

#[inline(always)]
fn write_record<M: Message>(message: &M, destination: ConnectionId, session: u32, record: &mut [u8]) {
    write_frame(message, begin_record::<M>(destination.raw(), session, record));
}

/// Writes header and block of an event to a place that is as long as both.
#[inline(always)]
pub(crate) fn write_frame<M: Message>(message: &M, frame: &mut [u8]) {
    // An event has no rest of a list that its encoding would leave out, as a command may have.
    const { assert!(M::BLOCK_MIN == size_of::<M>()) };
    frame[..HEADER_BYTES].copy_from_slice(M::HEADER.as_bytes());
    frame[HEADER_BYTES..].copy_from_slice(message.as_bytes());
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::messages::{Heartbeat, Terminate};

    use super::*;

    #[test]
    fn records_come_back_from_any_position() {
        let mut events = Events::new();
        events.push_public(&Heartbeat::default());
        let second = events.bytes_len();
        let connection = ConnectionId::of_gateway(3, 9);
        events.push_to(connection, 7, &Terminate { reason: 6, ..Default::default() });

        let (record, end) = events.record_at(second).unwrap();
        assert_eq!(record.destination, Destination::Connection(connection));
        assert_eq!((record.template_id, record.session, record.frame.len()), (8, 7, 16));
        assert_eq!(events.record_at(end), None);
        assert_eq!(events.iter().count(), 2);

        events.truncate(second);
        assert_eq!(events.iter().map(|record| record.destination).collect::<Vec<_>>(), [Destination::Public]);
    }
}
