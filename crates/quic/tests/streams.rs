//! Bytes over streams: echo, order, flow control, budgets, ends.
#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeMap;
use std::time::Instant;

use common::{Pair, Side};
use joulebook_quic::transport::{TransportProfile, WINDOW_BYTES_BEFORE_LOGON};
use joulebook_quic::{ConnKey, Driver, Event, ReadOutcome, StreamId, WriteOutcome};

const MESSAGE_BYTES: usize = 64;

/// Reads what a stream has and writes it back; the windows are large enough for what these tests have in flight.
fn echo(server: &mut Driver, conn: ConnKey, stream: StreamId) {
    let mut bytes = Vec::new();
    server.read(conn, stream, 1 << 20, |chunk| bytes.extend_from_slice(chunk));
    assert_eq!(server.write(conn, stream, &bytes), WriteOutcome::All);
}

fn read_all(driver: &mut Driver, conn: ConnKey, stream: StreamId) -> (Vec<u8>, ReadOutcome) {
    let mut bytes = Vec::new();
    let outcome = driver.read(conn, stream, 1 << 20, |chunk| bytes.extend_from_slice(chunk));
    (bytes, outcome)
}

#[test]
fn thousand_messages_come_back_in_order_on_every_stream() {
    let mut pair = Pair::new();
    let (connections, streams_each, messages_each) = (3, 4, 100_u64);
    let mut received: BTreeMap<(ConnKey, StreamId), Vec<u8>> = BTreeMap::new();
    let conns: Vec<ConnKey> = (0..connections).map(|_| pair.connected().0).collect();
    for conn in conns {
        for _ in 0..streams_each {
            let stream = pair.client.open_bi(conn).expect("sixteen are allowed");
            for number in 0..messages_each {
                let mut message = [0; MESSAGE_BYTES];
                message[..8].copy_from_slice(&number.to_le_bytes());
                assert_eq!(pair.client.write(conn, stream, &message), WriteOutcome::All);
            }
            received.insert((conn, stream), Vec::new());
        }
    }
    let want = messages_each as usize * MESSAGE_BYTES;
    pair.run_until("every stream has its echo", |pair, side, event| {
        if let Event::Readable { conn, stream } = *event {
            match side {
                Side::Server => echo(&mut pair.server, conn, stream),
                Side::Client => {
                    let (bytes, _) = read_all(&mut pair.client, conn, stream);
                    received.get_mut(&(conn, stream)).expect("ours").extend(bytes);
                }
            }
        }
        received.values().all(|bytes| bytes.len() == want)
    });
    for bytes in received.values() {
        for (number, message) in bytes.chunks(MESSAGE_BYTES).enumerate() {
            assert_eq!(message[..8], (number as u64).to_le_bytes());
        }
    }
    let stats = pair.server.stats();
    assert!(stats.datagrams_out < 1_200, "messages of one turn share datagrams: {stats:?}");
    assert_eq!(pair.server.open_connections(), connections);
}

#[test]
fn a_full_window_blocks_the_writer_and_reading_unblocks_it() {
    let mut pair = Pair::new();
    let (ours, _) = pair.connected();
    let stream = pair.client.open_bi(ours).expect("a stream");
    let payload: Vec<u8> = (0..3 * WINDOW_BYTES_BEFORE_LOGON as usize).map(|i| (i % 251) as u8).collect();

    let WriteOutcome::Blocked { taken } = pair.client.write(ours, stream, &payload) else {
        panic!("three windows fit into one");
    };
    assert_eq!(taken, WINDOW_BYTES_BEFORE_LOGON as usize);

    let (mut sent, mut received, mut unblocked) = (taken, Vec::new(), 0);
    pair.run_until("the payload is across", |pair, side, event| {
        match (side, event) {
            (Side::Server, Event::Readable { conn, stream }) => {
                received.extend(read_all(&mut pair.server, *conn, *stream).0);
            }
            (Side::Client, Event::Writable { conn, stream }) => {
                unblocked += 1;
                match pair.client.write(*conn, *stream, &payload[sent..]) {
                    WriteOutcome::All => sent = payload.len(),
                    WriteOutcome::Blocked { taken } => sent += taken,
                    other => panic!("{other:?}"),
                }
            }
            _ => {}
        }
        received.len() == payload.len()
    });
    assert_eq!(received, payload);
    assert!(0 < unblocked);
}

#[test]
fn a_grown_window_takes_more_at_once() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected();
    let stream = pair.client.open_bi(ours).expect("a stream");
    let payload = vec![7; 512 << 10];
    let mut sent = match pair.client.write(ours, stream, &payload) {
        WriteOutcome::Blocked { taken } => taken,
        other => panic!("{other:?}"),
    };
    // Nobody reads: only the grown window can let the rest in.
    pair.server.grow_window(theirs, 1 << 20);
    pair.run_until("the rest is taken", |pair, _, event| {
        if let Event::Writable { conn, stream } = *event {
            match pair.client.write(conn, stream, &payload[sent..]) {
                WriteOutcome::All => sent = payload.len(),
                WriteOutcome::Blocked { taken } => sent += taken,
                other => panic!("{other:?}"),
            }
        }
        sent == payload.len()
    });
}

#[test]
fn bursts_leave_as_trains_and_arrive_complete() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected();
    pair.server.grow_window(theirs, 8 << 20);
    let stream = pair.client.open_bi(ours).expect("a stream");
    assert_eq!(pair.client.write(ours, stream, b"go"), WriteOutcome::All);
    let burst: Vec<u8> = (0..(3 << 20) + 17).map(|i: u32| (i % 253) as u8).collect();
    let (mut sent, mut received) = (0, Vec::new());
    pair.run_until("the burst is across", |pair, side, event| {
        match (side, event) {
            (Side::Server, Event::Readable { conn, stream } | Event::Writable { conn, stream }) => {
                match pair.server.write(*conn, *stream, &burst[sent..]) {
                    WriteOutcome::All => sent = burst.len(),
                    WriteOutcome::Blocked { taken } => sent += taken,
                    other => panic!("{other:?}"),
                }
            }
            (Side::Client, Event::Readable { conn, stream }) => {
                received.extend(read_all(&mut pair.client, *conn, *stream).0);
            }
            _ => {}
        }
        received.len() == burst.len()
    });
    assert_eq!(received, burst);
    let stats = pair.server.stats();
    assert!(stats.send_calls * 2 < stats.datagrams_out, "several datagrams a call: {stats:?}");
}

#[test]
fn a_budget_ends_the_read_and_the_rest_comes_next_turn() {
    let mut pair = Pair::new();
    let (ours, _) = pair.connected();
    let stream = pair.client.open_bi(ours).expect("a stream");
    assert_eq!(pair.client.write(ours, stream, &[1; 10_000]), WriteOutcome::All);
    assert!(pair.client.finish(ours, stream));

    let (mut total, mut turns, mut delivered) = (0, 0, false);
    let mut finished = false;
    pair.run_until("all is read and delivered", |pair, side, event| {
        match (side, event) {
            (Side::Server, Event::Readable { conn, stream }) => {
                let mut got = 0;
                let outcome = pair.server.read(*conn, *stream, 1_000, |chunk| got += chunk.len());
                assert!(got <= 1_000);
                assert!(
                    outcome != ReadOutcome::More || pair.server.has_work(),
                    "parking now would lose the rest"
                );
                finished |= outcome == ReadOutcome::Finished;
                (total, turns) = (total + got, turns + 1);
            }
            (Side::Client, Event::Delivered { conn, .. }) => delivered = *conn == ours,
            _ => {}
        }
        finished && delivered
    });
    assert_eq!(total, 10_000);
    assert!(10 <= turns);
}

#[test]
fn resets_and_stops_reach_the_other_side() {
    let mut pair = Pair::new();
    let (ours, _) = pair.connected();
    let stream = pair.client.open_bi(ours).expect("a stream");
    assert_eq!(pair.client.write(ours, stream, b"order"), WriteOutcome::All);
    let (mut reset, mut stopped) = (None, None);
    pair.run_until("both were told", |pair, side, event| {
        match (side, event) {
            (Side::Server, Event::Readable { conn, stream }) => {
                match read_all(&mut pair.server, *conn, *stream) {
                    (_, ReadOutcome::Reset { code }) => reset = Some(code),
                    _ => {
                        assert_eq!(pair.server.write(*conn, *stream, b"ack"), WriteOutcome::All);
                    }
                };
            }
            (Side::Client, Event::Readable { conn, stream }) => {
                assert!(pair.client.reset(*conn, *stream, 5));
                assert!(pair.client.stop_sending(*conn, *stream, 6));
            }
            (Side::Server, Event::Stopped { conn, stream, code }) => {
                stopped = Some(*code);
                assert_eq!(pair.server.write(*conn, *stream, b"more"), WriteOutcome::Stopped { code: 6 });
            }
            _ => {}
        }
        reset.is_some() && stopped.is_some()
    });
    assert_eq!((reset, stopped), (Some(5), Some(6)));
}

#[test]
fn what_was_sent_before_the_goodbye_can_still_be_read() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected();
    let stream = pair.client.open_bi(ours).expect("a stream");
    assert_eq!(pair.client.write(ours, stream, b"cancel all"), WriteOutcome::All);
    pair.client.transmit(Instant::now());
    pair.client.close(ours, 9, b"bye", Instant::now());
    let (mut read, mut end) = (Vec::new(), None);
    pair.run_until("the server saw the goodbye", |pair, side, event| {
        match (side, event) {
            (Side::Server, Event::Readable { conn, stream }) => {
                read.extend(read_all(&mut pair.server, *conn, *stream).0)
            }
            (Side::Server, Event::Closed { conn, reason }) => {
                assert_eq!(*conn, theirs);
                end = Some(reason.to_string());
            }
            _ => {}
        }
        end.is_some()
    });
    assert_eq!(read, b"cancel all");
    assert_eq!(end.as_deref(), Some("closed by the peer with code 9: bye"));
}

#[test]
fn a_seventeenth_stream_must_wait() {
    let mut pair = Pair::with(common::any_port(), &TransportProfile::server(), &TransportProfile::client());
    let (ours, theirs) = pair.connected();
    for _ in 0..16 {
        assert!(pair.client.open_bi(ours).is_some());
    }
    assert_eq!(pair.client.open_bi(ours), None);
    assert_eq!(pair.server.open_bi(theirs), None, "clients expect no stream from the server");
}
