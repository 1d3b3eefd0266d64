//! What travels in the rings between gateways and the sequencer: two cache lines each.

use joulebook_types::ConnectionId;
use zerocopy::{Immutable, IntoBytes};

use crate::{Command, Frame, HEADER_BYTES, Message, Origin, TABLE, encode};

/// The longest frame of any command or event, header included. Longer messages need wider ring slots first.
pub const PIPE_FRAME_BYTES_MAX: usize = 112;

/// A command on its way in: authenticated, throttled, not numbered yet.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C, align(64))]
pub struct CommandFrame {
    pub origin: Origin,
    bytes: [u8; PIPE_FRAME_BYTES_MAX],
}

/// An event on its way out.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct EventFrame {
    destination: ConnectionId,
    len: u16,
    bytes: [u8; PIPE_FRAME_BYTES_MAX],
}

/// The destination that means everybody: feed, console, account tables.
const PUBLIC: ConnectionId = ConnectionId::new(u64::MAX);

impl CommandFrame {
    pub fn new(origin: Origin, command: &Command) -> Self {
        let mut frame = Vec::with_capacity(PIPE_FRAME_BYTES_MAX);
        command.encode(&mut frame);
        Self::from_bytes(origin, &frame)
    }

    /// # Panics
    /// When `frame` (header and block of a command of the table) is longer than any message of the table.
    pub fn from_bytes(origin: Origin, frame: &[u8]) -> Self {
        let mut bytes = [0; PIPE_FRAME_BYTES_MAX];
        bytes[..frame.len()].copy_from_slice(frame);
        Self { origin, bytes }
    }

    /// Origin, header and block: a journal record.
    pub fn record(&self) -> &[u8] {
        let block_len = u16::from_le_bytes([self.bytes[0], self.bytes[1]]);
        &self.as_bytes()[..size_of::<Origin>() + HEADER_BYTES + usize::from(block_len)]
    }
}

impl EventFrame {
    /// # Panics
    /// When `frame` (header and block of an event of the table) is longer than any message of the table.
    pub fn new(destination: Option<ConnectionId>, frame: &[u8]) -> Self {
        let mut bytes = [0; PIPE_FRAME_BYTES_MAX];
        bytes[..frame.len()].copy_from_slice(frame);
        Self { destination: destination.unwrap_or(PUBLIC), len: frame.len() as u16, bytes }
    }

    pub fn of<M: Message>(destination: Option<ConnectionId>, message: &M) -> Self {
        let mut frame = Vec::with_capacity(PIPE_FRAME_BYTES_MAX);
        encode(message, &mut frame);
        Self::new(destination, &frame)
    }

    /// `None` means everybody.
    pub fn destination(&self) -> Option<ConnectionId> {
        (self.destination != PUBLIC).then_some(self.destination)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The frame as it goes to the wire.
    ///
    /// # Panics
    /// Never for a frame that the engine made.
    pub fn frame(&self) -> Frame<'_> {
        let split = Frame::split(self.bytes()).expect("the engine writes frames of this schema");
        split.expect("the engine writes whole frames").0
    }
}

const _: () = {
    let mut index = 0;
    while index < TABLE.len() {
        let piped = TABLE[index].template_id >= 20 && TABLE[index].template_id < 100;
        assert!(
            !piped || HEADER_BYTES + TABLE[index].block_len <= PIPE_FRAME_BYTES_MAX,
            "a message outgrew the rings"
        );
        index += 1;
    }
    assert!(size_of::<CommandFrame>() == 128 && size_of::<EventFrame>() == 128);
};

#[cfg(test)]
mod tests {
    use joulebook_types::{AccountId, SessionId, TimeNs};

    use super::*;
    use crate::SequencedCommand;
    use crate::messages::{TokenOrder, Trade};

    #[test]
    fn a_command_frame_is_a_journal_record() {
        let origin =
            Origin { account: AccountId::new(7), session: SessionId::new(2), received: TimeNs::new(9) };
        let command = Command::TokenOrder(TokenOrder { count: 3, ..TokenOrder::default() });
        let frame = CommandFrame::new(origin, &command);
        assert_eq!(SequencedCommand::decode(frame.record()), Ok(SequencedCommand { origin, command }));
    }

    #[test]
    fn an_event_frame_keeps_its_destination() {
        let trade = Trade { qty: 5, ..Trade::default() };
        assert_eq!(EventFrame::of(None, &trade).destination(), None);
        let connection = ConnectionId::of_gateway(3, 77);
        let frame = EventFrame::of(Some(connection), &trade);
        assert_eq!(frame.destination(), Some(connection));
        assert_eq!(Trade::decode(frame.frame().block), Ok(trade));
    }
}
