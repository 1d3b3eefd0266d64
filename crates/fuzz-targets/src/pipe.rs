//! Commands on their way from a gateway to the core: laid over slots, through a ring, and together again.

use joulebook_protocol::pipe::{
    COMMAND_FRAME_BYTES_MAX, COMMAND_SLOTS_MAX, CommandAssembler, CommandSlot, EventFrame,
    PIPE_FRAME_BYTES_MAX,
};
use joulebook_protocol::{Event, Frame, Origin, PublicEvent, RecordError, SequencedCommand};
use joulebook_rings::ring;
use joulebook_types::{AccountId, ConnectionId, SessionId, TimeNs};
use zerocopy::IntoBytes;

use crate::Traits;

/// The input is a stream whose frames a gateway lets through, whatever is in them; then it is a journal record.
pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    through_the_ring(input, traits);
    record(input, traits);
}

fn through_the_ring(input: &[u8], traits: &mut Traits) {
    let (mut producer, mut consumer) = ring::<CommandSlot>(COMMAND_SLOTS_MAX.next_power_of_two());
    let mut assembler = CommandAssembler::default();
    let mut slots = Vec::new();
    let mut rest = input;
    while let Ok(Some((frame, after))) = Frame::split(rest) {
        let bytes = &rest[..frame.bytes_len()];
        rest = after;
        event(&frame, bytes);
        let number = bytes.len() as u32;
        let origin = Origin {
            account: AccountId::new(number),
            session: SessionId::new(!number),
            received: TimeNs::new(number.into()),
        };
        slots.clear();
        CommandSlot::lay(origin, bytes, &mut slots);
        assert!(bytes.len() <= COMMAND_FRAME_BYTES_MAX && slots.len() <= COMMAND_SLOTS_MAX);
        assert_eq!(CommandSlot::single(origin, bytes).is_some(), slots.len() == 1);
        traits.counted("slots", slots.len());
        assert_eq!(producer.push_slice(&slots), slots.len(), "the longest command fits");
        let mut records = 0;
        while let Some(slot) = consumer.pop() {
            if let Some(record) = assembler.push(&slot) {
                records += 1;
                assert_eq!(record, [origin.as_bytes(), bytes].concat(), "as it went in");
                self::record(record, traits);
            }
        }
        assert_eq!((records, assembler.held_bytes()), (1, 0), "one command in, one command out");
    }
}

/// A record of the journal.
fn record(bytes: &[u8], traits: &mut Traits) {
    let origin = Origin::of_record(bytes);
    let sequenced = match SequencedCommand::decode(bytes) {
        Ok(sequenced) => sequenced,
        Err(error) => {
            assert_eq!(origin.is_err(), error == RecordError::ShortOrigin);
            traits.saw(
                match error {
                    RecordError::ShortOrigin => "origin",
                    RecordError::Frame(_) => "frame",
                    RecordError::Length => "length",
                    RecordError::Command(_) => "command",
                },
                0,
            );
            return;
        }
    };
    assert_eq!(origin, Ok(sequenced.origin));
    traits.saw("record", sequenced.command.template_id().into());
    let mut encoded = Vec::new();
    sequenced.encode(&mut encoded);
    assert_eq!(SequencedCommand::decode(&encoded), Ok(sequenced), "what decodes encodes back");
    assert!(SequencedCommand::decode(&encoded[..encoded.len() - 1]).is_err(), "without its last byte");
}

/// What the core sends back, if it is something that the core sends.
fn event(frame: &Frame<'_>, bytes: &[u8]) {
    if bytes.len() > PIPE_FRAME_BYTES_MAX
        || Event::decode(frame).is_err() && PublicEvent::decode(frame).is_err()
    {
        return;
    }
    for destination in [None, Some(ConnectionId::of_gateway(1, 7))] {
        let piped = EventFrame::new(destination, bytes);
        assert_eq!((piped.destination(), piped.bytes()), (destination, bytes));
        assert_eq!(piped.frame(), *frame);
    }
}
