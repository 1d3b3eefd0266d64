//! The codec: frames off a stream, and every message of the table.

use core::fmt::Debug;

use joulebook_protocol::messages::OrderBatch;
use joulebook_protocol::{
    Command, DecodeError, Event, FRAME_BYTES_MAX, FeedMessage, Frame, HEADER_BYTES, PublicEvent,
    SessionMessage, TABLE,
};
use joulebook_types::ClientOrderId;

use crate::Traits;

/// The input is a stream.
pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    let mut rest = input;
    loop {
        match Frame::split(rest) {
            Ok(Some((frame, after))) => {
                check_split(rest, &frame, after);
                check(&frame, traits);
                rest = after;
            }
            Ok(None) => {
                assert!(rest.len() < FRAME_BYTES_MAX, "{} bytes wait for the end of a frame", rest.len());
                return;
            }
            Err(error) => {
                assert_eq!(Frame::split(&rest[..HEADER_BYTES]), Err(error), "the header alone tells");
                traits.saw(error_name(error), 0);
                return;
            }
        }
    }
}

fn error_name(error: joulebook_protocol::FrameError) -> &'static str {
    use joulebook_protocol::FrameError::{Oversized, WrongSchema, WrongVersion};
    match error {
        Oversized { .. } => "oversized",
        WrongSchema { .. } => "schema",
        WrongVersion { .. } => "version",
    }
}

fn check_split(rest: &[u8], frame: &Frame<'_>, after: &[u8]) {
    let taken = frame.bytes_len();
    assert!((HEADER_BYTES..=FRAME_BYTES_MAX).contains(&taken), "a frame of {taken} bytes");
    assert_eq!(taken + after.len(), rest.len(), "no byte is lost or read twice");
    assert_eq!(Frame::split(&rest[..taken - 1]), Ok(None), "without its last byte it is not whole");
    assert_eq!(Frame::split(&rest[..taken]), Ok(Some((*frame, &[][..]))), "what follows does not matter");
}

/// One frame as a message of each kind: of at most one it is one.
pub(crate) fn check(frame: &Frame<'_>, traits: &mut Traits) {
    let kinds = [
        of_kind(frame, SessionMessage::decode, SessionMessage::encode, traits),
        of_kind(frame, Command::decode, Command::encode, traits),
        of_kind(frame, Event::decode, Event::encode, traits),
        of_kind(frame, PublicEvent::decode, PublicEvent::encode, traits),
        of_kind(frame, FeedMessage::decode, FeedMessage::encode, traits),
    ];
    let is_known = TABLE.iter().any(|info| info.template_id == frame.header.template_id);
    let (decoded, short) = (count(&kinds, Ok(())), count(&kinds, Err(true)));
    assert_eq!(decoded + short, usize::from(is_known), "a number means one message");
    if let Ok(command) = Command::decode(frame) {
        check_command(frame, command);
    }
}

fn count(kinds: &[Result<(), bool>], wanted: Result<(), bool>) -> usize {
    kinds.iter().filter(|kind| **kind == wanted).count()
}

/// Decoded or not; the error says whether the message is of this kind but too short.
fn of_kind<M: PartialEq + Debug>(
    frame: &Frame<'_>,
    decode: fn(&Frame<'_>) -> Result<M, DecodeError>,
    encode: fn(&M, &mut Vec<u8>),
    traits: &mut Traits,
) -> Result<(), bool> {
    let message = match decode(frame) {
        Ok(message) => message,
        Err(DecodeError::ShortBlock { block_len, .. }) => {
            assert_eq!(block_len, frame.block.len());
            traits.saw("short", frame.header.template_id.into());
            return Err(true);
        }
        Err(DecodeError::UnknownTemplate { template_id }) => {
            assert_eq!(template_id, frame.header.template_id);
            return Err(false);
        }
    };
    let id = frame.header.template_id;
    traits.saw("message", id.into());
    let info = TABLE.iter().find(|info| info.template_id == id).expect("what decodes is in the table");
    let mut encoded = Vec::with_capacity(FRAME_BYTES_MAX);
    encode(&message, &mut encoded);
    let (again, after) = Frame::split(&encoded).expect("our own frame").expect("whole");
    assert!(after.is_empty() && again.header.template_id == id);
    assert!((info.block_min..=info.block_len).contains(&again.block.len()), "a length that the table has");
    assert_eq!(decode(&again).as_ref(), Ok(&message), "what decodes encodes back");
    let byte = |block: &[u8], index| block.get(index).copied().unwrap_or_default();
    for index in 0..info.block_len {
        assert_eq!(byte(again.block, index), byte(frame.block, index), "byte {index} of the block");
    }
    traits.saw(if frame.block.len() < info.block_len { "shortened" } else { "full" }, id.into());
    Ok(())
}

fn check_command(frame: &Frame<'_>, command: Command) {
    // The place where a command is read to has held another one.
    let mut place = Command::OrderBatch(OrderBatch { count: 0xFF, ..OrderBatch::default() });
    place.read(frame).expect("it decodes");
    assert_eq!(place, command);
    assert!(
        (1..=OrderBatch::ENTRIES_MAX as u64).contains(&command.client_order_ids()),
        "numbers that it uses"
    );
    if command.client_order_id().is_some() {
        let mut renumbered = command;
        renumbered.set_client_order_id(ClientOrderId::new(7));
        assert_eq!(renumbered.client_order_id(), Some(ClientOrderId::new(7)));
    }
}
