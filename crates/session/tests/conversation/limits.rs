//! What a peer may do, and what it may not.

use joulebook_protocol::messages::{
    CancelOrder, Hello, KillSwitch, MassCancel, NewOrder, OrderQuery, ReduceOrder, Subscribe,
};
use joulebook_protocol::{
    BLOCK_BYTES_MAX, CloseReason, Command, FrameHeader, HEADER_BYTES, Message, RejectReason, encode,
};
use joulebook_session::{ClientOutput, Intake, ServerOutput, SessionLimits};
use joulebook_testkit::Xoshiro256pp;
use joulebook_types::{ClientOrderId, TimeNs};

use crate::pipe::*;

#[test]
fn throttled_requests_are_told_how_long_to_wait() {
    let limits = SessionLimits { orders_per_s: 10, order_burst: 2, ..Default::default() };
    let mut pipe = Pipe::new(trader(), limits);
    pipe.accept(accepted());
    (0..3).for_each(|_| _ = pipe.place());
    let cancel = CancelOrder { client_order_id: id(4), target: id(1), ..Default::default() };
    pipe.client.request(&cancel.into(), TimeNs::new(pipe.now_ns)).unwrap();
    pipe.settle();
    assert_eq!(pipe.commands.len(), 3, "two orders, and the cancel from its own bucket");
    assert_eq!(pipe.refusals(), [(id(3), RejectReason::Throttled.raw())]);
    let Some(ClientOutput::Refused(refused)) = pipe.seen.last() else { panic!() };
    assert_eq!((refused.limit, refused.value, refused.template_id), (10, 100_000_000, NewOrder::TEMPLATE_ID));
    assert_eq!(pipe.client.unanswered(), 3, "a refusal is an answer");
    pipe.pass_time(100);
    pipe.place();
    pipe.settle();
    assert_eq!(pipe.commands.len(), 4);
}

#[test]
fn a_read_only_exchange_still_cancels() {
    let mut pipe = Pipe::trading();
    pipe.intake = Intake::ReadOnly;
    pipe.place();
    let requests: [Command; 5] = [
        CancelOrder { client_order_id: id(2), target: id(9), ..Default::default() }.into(),
        MassCancel { client_order_id: id(3), ..Default::default() }.into(),
        OrderQuery { client_order_id: id(4), target: id(9), ..Default::default() }.into(),
        ReduceOrder { client_order_id: id(5), target: id(9), ..Default::default() }.into(),
        KillSwitch { client_order_id: id(6), ..Default::default() }.into(),
    ];
    for request in &requests {
        pipe.client.request(request, TimeNs::new(pipe.now_ns)).unwrap();
    }
    pipe.settle();
    assert_eq!(pipe.refusals(), [(id(1), RejectReason::ReadOnly.raw())]);
    assert_eq!(pipe.commands, requests);
}

#[test]
fn a_slow_consumer_learns_the_reason_behind_whole_frames() {
    let limits = SessionLimits { unsent_bytes_max: 1_000, ..Default::default() };
    let mut pipe = Pipe::new(trader(), limits);
    pipe.accept(accepted());
    let mut frame = Vec::new();
    encode(&ack(1, id(1)), &mut frame);
    pipe.server.on_event(&frame, at(pipe.now_ns));
    // The stream takes a part of a frame, then nothing for long.
    pipe.client.on_bytes(&pipe.server.unsent()[..30], TimeNs::new(pipe.now_ns));
    pipe.server.sent(30);
    for event_seq in 2..=100 {
        frame.clear();
        encode(&ack(event_seq, id(1)), &mut frame);
        pipe.server.on_event(&frame, at(pipe.now_ns));
    }
    assert!(pipe.server.is_closed() && pipe.server.unsent().len() < 200);
    pipe.settle();
    assert_eq!(pipe.server_closed, Some(CloseReason::SlowConsumer));
    assert_eq!(pipe.closed(), Some(CloseReason::SlowConsumer));
    assert_eq!(pipe.client.last_event_seq(), 1, "the event that had begun came whole");
}

#[test]
fn wrong_messages_are_answered_and_wrong_bytes_end_the_session() {
    let encoded = |template_id, block_len: u16, version| {
        let header =
            FrameHeader { block_len, template_id, schema_id: joulebook_protocol::SCHEMA_ID, version };
        let FrameHeader { block_len, template_id, schema_id, version } = header;
        let mut bytes: Vec<u8> = [block_len, template_id, schema_id, version]
            .iter()
            .flat_map(|field| field.to_le_bytes())
            .collect();
        bytes.extend(std::iter::repeat_n(1, usize::from(block_len).min(2_500)));
        bytes
    };
    let first_eight = id(u64::from_le_bytes([1; 8]));
    let malformed = RejectReason::Malformed.raw();
    let unexpected = RejectReason::Unexpected.raw();
    let cases = [
        ("short block", encoded(NewOrder::TEMPLATE_ID, 31, 1), Some((first_eight, malformed))),
        ("tiny block", encoded(NewOrder::TEMPLATE_ID, 3, 1), Some((ClientOrderId::NONE, malformed))),
        ("unknown template", encoded(999, 16, 1), Some((ClientOrderId::NONE, malformed))),
        ("internal command", encoded(50, 40, 1), Some((first_eight, malformed))),
        ("a server's message", encoded(60, 96, 1), Some((ClientOrderId::NONE, malformed))),
        ("hello again", encoded(Hello::TEMPLATE_ID, 8, 1), Some((ClientOrderId::NONE, unexpected))),
        ("oversized", encoded(NewOrder::TEMPLATE_ID, BLOCK_BYTES_MAX as u16 + 1, 1), None),
        ("no such version", encoded(NewOrder::TEMPLATE_ID, 32, 0), None),
        ("noise", vec![0xFF; 64], None),
    ];
    for (name, bytes, refusal) in cases {
        let mut pipe = Pipe::trading();
        pipe.server.on_bytes(&bytes, at(pipe.now_ns));
        pipe.settle();
        assert!(pipe.commands.is_empty(), "{name}");
        assert_eq!(pipe.refusals(), Vec::from_iter(refusal), "{name}");
        let closed = refusal.is_none().then_some(CloseReason::ProtocolError);
        assert_eq!((pipe.server_closed, pipe.closed()), (closed, closed), "{name}");
    }

    let mut pipe = Pipe::new(trader(), SessionLimits::default());
    let mut early = Vec::new();
    encode(&NewOrder { client_order_id: id(8), ..Default::default() }, &mut early);
    encode(&Subscribe::default(), &mut early);
    pipe.server.on_bytes(&early, at(pipe.now_ns));
    pipe.settle();
    assert_eq!(pipe.refusals(), [(id(8), unexpected), (ClientOrderId::NONE, unexpected)], "before the logon");
}

#[test]
fn a_newer_clients_longer_block_is_cut() {
    let order = NewOrder { client_order_id: id(8), qty: 5, ..Default::default() };
    let known_bytes = size_of::<NewOrder>();
    // A small limit on bytes that were not acted upon does not keep the longest frame out.
    let limits = SessionLimits { unhandled_bytes_max: 100, ..Default::default() };
    for (block_bytes, version) in [(known_bytes + 1, 1), (known_bytes + 400, 9), (BLOCK_BYTES_MAX, 1)] {
        let mut pipe = Pipe::new(trader(), limits);
        pipe.accept(accepted());
        let mut bytes = Vec::new();
        encode(&order, &mut bytes);
        bytes[..2].copy_from_slice(&(block_bytes as u16).to_le_bytes());
        bytes[6] = version;
        bytes.resize(HEADER_BYTES + known_bytes, 0);
        bytes.resize(HEADER_BYTES + block_bytes, 0xAB);
        for piece in bytes.chunks(1_000) {
            assert!(piece.len() <= pipe.server.room());
            pipe.server.on_bytes(piece, at(pipe.now_ns));
            pipe.settle();
        }
        assert_eq!(pipe.commands, [order.into()], "{block_bytes} bytes");
        assert_eq!(pipe.server.room(), BLOCK_BYTES_MAX + HEADER_BYTES);
        pipe.server.on_bytes(&bytes, at(pipe.now_ns));
        pipe.settle();
        assert_eq!(pipe.commands.len(), 2, "and the session goes on");
    }
}

#[test]
fn hostile_bytes_never_panic_either_side() {
    let mut random = Xoshiro256pp::from_seed(0xBAD);
    let mut survived = 0;
    for round in 0..3_000 {
        let mut pipe = if round % 3 == 0 { Pipe::new(trader(), Default::default()) } else { Pipe::trading() };
        for _ in 0..random.between(1, 12) {
            let bytes = hostile(&mut random);
            pipe.server.on_bytes(&bytes[..bytes.len().min(pipe.server.room())], at(pipe.now_ns));
            let bytes = hostile(&mut random);
            pipe.client.on_bytes(&bytes, TimeNs::new(pipe.now_ns));
            let now = at(pipe.now_ns);
            while let Some(output) = pipe.server.poll(now, Intake::Open) {
                if let ServerOutput::Verify(_) = output {
                    let _ = pipe.server.verified(Ok(()), now);
                }
            }
            while let Some(output) = pipe.client.poll(now.steady) {
                if let ClientOutput::Sign(_) = output {
                    pipe.client.signed(SIGNATURE, now.steady);
                }
            }
            let _ = pipe.client.next_client_order_id();
            pipe.server.sent(pipe.server.unsent().len());
            pipe.client.sent(pipe.client.unsent().len());
            pipe.now_ns += random.below(2_000_000_000);
            pipe.server.on_timeout(at(pipe.now_ns));
            pipe.client.on_timeout(TimeNs::new(pipe.now_ns));
        }
        survived += u64::from(!pipe.server.is_closed());
    }
    assert!(survived > 100, "too few rounds got past the framing: {survived}");
}

/// Noise half of the time, else a well-framed message with random contents.
fn hostile(random: &mut Xoshiro256pp) -> Vec<u8> {
    if random.chance(1, 10) {
        return (0..random.between(1, 100)).map(|_| random.next_u64() as u8).collect();
    }
    let template_id = random.between(0, 110) as u16;
    let block_len = random.between(0, 150) as u16;
    let fields = [block_len, template_id, joulebook_protocol::SCHEMA_ID, 1];
    let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
    let flat = random.chance(1, 2).then_some(random.below(3) as u8);
    bytes.extend((0..block_len).map(|_| flat.unwrap_or(random.next_u64() as u8)));
    bytes
}
