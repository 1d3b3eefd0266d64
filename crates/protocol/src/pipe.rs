//! What travels in the rings between gateways and the sequencer.

mod command;

use joulebook_types::ConnectionId;

use crate::{FRAME_BYTES_MAX, Frame, HEADER_BYTES, Message, TABLE, encode};

pub use command::{
    COMMAND_RECORD_BYTES_MAX, COMMAND_SLOT_BYTES, COMMAND_SLOTS_MAX, CommandAssembler, CommandSlot,
};

/// The longest frame of any event, header included. Longer events need wider ring slots first.
pub const PIPE_FRAME_BYTES_MAX: usize = 112;

/// The longest frame of any command, header included: what a stream may bring at all. A multiple of 8.
pub const COMMAND_FRAME_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// An event on its way out: two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct EventFrame {
    destination: ConnectionId,
    len: u16,
    bytes: [u8; PIPE_FRAME_BYTES_MAX],
}

/// The destination that means everybody: feed, console, account tables.
const PUBLIC: ConnectionId = ConnectionId::new(u64::MAX);

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
        let frame_bytes = HEADER_BYTES + TABLE[index].block_len;
        let fits = match TABLE[index].template_id {
            20..60 => frame_bytes <= COMMAND_FRAME_BYTES_MAX,
            60..100 => frame_bytes <= PIPE_FRAME_BYTES_MAX,
            _ => true,
        };
        assert!(fits, "a message outgrew the rings");
        index += 1;
    }
    assert!(size_of::<EventFrame>() == 128 && size_of::<CommandSlot>() == COMMAND_SLOT_BYTES);
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Trade;

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
