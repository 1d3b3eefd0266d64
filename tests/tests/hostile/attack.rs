//! Bytes that no honest client sends: each is answered or ends its stream with the reason, and nobody else notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use joulebook_client::Client;
use joulebook_protocol::messages::{CancelOrder, Hello, Logon, NewOrder};
use joulebook_protocol::{
    BLOCK_BYTES_MAX, CloseReason, Message, MessageInfo, RejectReason, SCHEMA_ID, Sender, SessionMessage,
    TABLE, VERSION,
};
use joulebook_testkit::{Xoshiro256pp, size};
use joulebook_tests::{
    Daemon, Market, RawConnection, RawStream, Received, Signer, ahead_minute, block_on, connect, in_time,
    limit,
};
use joulebook_types::{InstrumentId, Side, SlotHint};

/// Connections that attack at once.
const ATTACKERS: u64 = 8;
/// Streams of another connection that each hold a frame which never becomes whole.
const HALF_FRAMES: u64 = 16;
/// Refused frames of one stream before the bytes that end it.
const REFUSED_MAX: u64 = 60;

/// What peers may make the exchange hold by its own limits: for each connection the window after a logon, for each
/// stream the bytes that may wait unhandled (which hold the longest frame many times), and what one peer that does not
/// read may leave unread before it is dropped, four times over as the events of one command may be.
const HELD_BYTES: u64 =
    (ATTACKERS + 2) * (1 << 20) + (ATTACKERS + HALF_FRAMES + 1) * (64 << 10) + 4 * (1 << 20);
/// What the honest clients' and the attackers' own requests leave behind: an outcome and an event for each, in memory
/// that is set aside at the start and touched with use.
const REQUEST_BYTES: u64 = 1 << 10;

/// A frame that is refused, or bytes that end the stream.
struct Bad {
    bytes: Vec<u8>,
}

fn frame(block_len: usize, template_id: u16, schema_id: u16, version: u16, block: Vec<u8>) -> Bad {
    let header = [block_len as u16, template_id, schema_id, version];
    let mut bytes = header.map(u16::to_le_bytes).concat();
    bytes.extend(block);
    Bad { bytes }
}

fn noise(random: &mut Xoshiro256pp, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.next_u64() as u8).collect()
}

fn any_message(random: &mut Xoshiro256pp, sender: Sender) -> &'static MessageInfo {
    loop {
        let message = &TABLE[random.below(TABLE.len() as u64) as usize];
        if message.sender == sender {
            return message;
        }
    }
}

/// A whole frame that is no message which may come now: it is refused, and the session goes on.
fn refused(random: &mut Xoshiro256pp, is_member: bool) -> Bad {
    let (template_id, block_len) = match random.below(4) {
        // Numbers of no message.
        0 => (random.between(1_000, 65_535) as u16, random.below(BLOCK_BYTES_MAX as u64 + 1) as usize),
        // Of the exchange's own.
        1 => {
            let message = any_message(random, Sender::Server);
            (message.template_id, message.block_len)
        }
        // A logon where none is due.
        2 if is_member => *random
            .pick(&[(Hello::TEMPLATE_ID, size_of::<Hello>()), (Logon::TEMPLATE_ID, size_of::<Logon>())]),
        // A request cut short.
        _ => loop {
            let message = any_message(random, Sender::Client);
            if 0 < message.block_min {
                break (message.template_id, random.below(message.block_min as u64) as usize);
            }
        },
    };
    let block = noise(random, block_len);
    frame(block_len, template_id, SCHEMA_ID, VERSION, block)
}

/// A request whose every field is noise. It may even be taken: it is its sender's own account that it is about.
fn noisy_request(random: &mut Xoshiro256pp) -> Bad {
    let message = loop {
        let message = any_message(random, Sender::Client);
        // The messages of sessions end them, and those of the exchange are refused: both come elsewhere.
        if (20..60).contains(&message.template_id) {
            break message;
        }
    };
    let mut block = noise(random, message.block_len);
    // Half of them have small numbers in most places, which come further.
    if random.chance(1, 2) {
        block.iter_mut().filter(|byte| 8 < **byte).for_each(|byte| *byte = 0);
    }
    frame(message.block_len, message.template_id, SCHEMA_ID, VERSION, block)
}

/// Bytes after which nothing can be trusted to be a frame.
fn unframed(random: &mut Xoshiro256pp) -> Bad {
    let template_id = *random.pick(&[Hello::TEMPLATE_ID, NewOrder::TEMPLATE_ID, 77]);
    match random.below(4) {
        // Whatever the rest is, this is another schema.
        0 => {
            let schema_id = SCHEMA_ID ^ random.between(1, 65_535) as u16;
            let block = noise(random, 1_000);
            frame(random.below(2_000) as usize, template_id, schema_id, VERSION, block)
        }
        1 => frame(8, template_id, SCHEMA_ID, 0, vec![0; 8]),
        // Longer than any frame may be. The header alone must do: nobody waits for the rest.
        2 => frame(BLOCK_BYTES_MAX + 1, template_id, SCHEMA_ID, VERSION, Vec::new()),
        _ => {
            let block_len = random.between(BLOCK_BYTES_MAX as u64 + 1, 65_535) as usize;
            frame(block_len, template_id, SCHEMA_ID, VERSION, Vec::new())
        }
    }
}

/// What an attacker did, and saw.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    frames: u64,
    streams: u64,
    refusals: u64,
    requests: u64,
}

/// One stream's life: refused frames, noisy requests if it is logged on, and an end with a reason.
async fn attack_once(mut stream: RawStream, is_member: bool, random: &mut Xoshiro256pp, tally: &mut Tally) {
    let wanted = random.below(REFUSED_MAX);
    let mut bytes = Vec::new();
    (0..wanted).for_each(|_| bytes.extend(refused(random, is_member).bytes));
    stream.send_bytes(&bytes).await.expect("the stream takes them");
    for _ in 0..wanted {
        let answer = stream.until(|received| refusal(received).is_some()).await;
        let reason = refusal(&answer).expect("just looked at");
        assert!([RejectReason::Malformed, RejectReason::Unexpected].contains(&reason), "{answer:?}");
    }
    let mut bytes = Vec::new();
    let requests = if is_member { random.below(20) } else { 0 };
    (0..requests).for_each(|_| bytes.extend(noisy_request(random).bytes));
    let (last, reason) = match random.below(8) {
        // A frame that ends before it is whole.
        0 => {
            (frame(100, NewOrder::TEMPLATE_ID, SCHEMA_ID, VERSION, vec![0; 50]), CloseReason::ConnectionLost)
        }
        _ => (unframed(random), CloseReason::ProtocolError),
    };
    bytes.extend(last.bytes);
    // It may be told to stop in the middle.
    let _ = stream.send_bytes(&bytes).await;
    if reason == CloseReason::ConnectionLost {
        let _ = stream.send.finish();
    }
    let end = stream.until(|received| received.terminate().is_some()).await;
    assert_eq!(end.terminate(), Some(reason));
    assert!(matches!(stream.next().await, Received::End(_)), "the stream goes on");
    tally.frames += wanted + requests + 1;
    tally.streams += 1;
    tally.refusals += wanted;
    tally.requests += requests;
}

fn refusal(received: &Received) -> Option<RejectReason> {
    match received {
        Received::Session(SessionMessage::RequestRefused(refused)) => RejectReason::from_raw(refused.reason),
        _ => None,
    }
}

/// Attacks until it has sent so many bad frames, mostly as a stranger.
async fn attack(connection: RawConnection, signer: Signer, worker: u64, frames: u64) -> Tally {
    let mut random = Xoshiro256pp::from_seed(worker);
    let (mut tally, mut last_event_seq) = (Tally::default(), 0);
    while tally.frames < frames {
        let is_member = tally.streams % 8 == 7;
        let stream = if is_member {
            let logon = Logon { last_event_seq, ..Logon::default() };
            let (stream, accepted) = connection.log_on(&signer, worker as u32, logon).await;
            last_event_seq = accepted.last_event_seq;
            stream
        } else {
            connection.stream().await
        };
        attack_once(stream, is_member, &mut random, &mut tally).await;
    }
    tally
}

/// Sends and never reads, until it is dropped.
async fn never_read(daemon: &Daemon) {
    let connection = RawConnection::with_window(daemon, 4 << 10).await;
    let mut stream = connection.stream().await;
    let mut random = Xoshiro256pp::from_seed(99);
    let batch: Vec<u8> = (0..200).flat_map(|_| refused(&mut random, false).bytes).collect();
    // In the end the exchange stops reading, or says that it has enough.
    while stream.send_bytes(&batch).await.is_ok() {}
}

/// Places and cancels until told to stop. Every request must be answered, and as it should be.
async fn trade_honestly(client: &Client, instrument: InstrumentId, is_over: &AtomicBool) -> u64 {
    let mut answered = 0;
    while !is_over.load(Ordering::Relaxed) {
        let order =
            in_time(client.place(limit(instrument, Side::Buy, 1, 200))).await.expect("an honest order");
        let cancel =
            CancelOrder { order_id: order.order_id, slot: SlotHint::UNKNOWN, ..CancelOrder::default() };
        in_time(client.cancel(cancel)).await.expect("an honest cancel");
        answered += 2;
    }
    answered
}

fn resident_bytes(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of the kernel's");
    let kib = line.trim().trim_end_matches("kB").trim();
    kib.parse::<u64>().expect("a number") << 10
}

#[test]
fn bad_frames_by_the_thousand_harm_nobody() {
    let wanted = size("JOULEBOOK_BAD_FRAMES", 100_000);
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let market = Market::open(&daemon).await;
        let instrument = market.list(Market::hour("H200S", ahead_minute(24))).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let mut honest = Vec::new();
        for name in ["alice", "bob"] {
            let (client, _events) = connect(&daemon, name, 1, |_| ()).await;
            // What an exchange needs once, it needs before it is measured.
            for _ in 0..50 {
                client.place(limit(instrument, Side::Buy, 1, 100)).await.expect("an order");
            }
            let is_over = Arc::clone(&is_over);
            honest.push(tokio::spawn(async move {
                let answered = trade_honestly(&client, instrument, &is_over).await;
                client.close().await;
                answered
            }));
        }
        let before = resident_bytes(&daemon);

        let holder = RawConnection::open(&daemon).await;
        let mut held = Vec::new();
        for _ in 0..HALF_FRAMES {
            let mut stream = holder.stream().await;
            let half = frame(BLOCK_BYTES_MAX, NewOrder::TEMPLATE_ID, SCHEMA_ID, VERSION, vec![1; 1_000]);
            stream.send_bytes(&half.bytes).await.expect("sent");
            held.push(stream);
        }
        let mut attackers = Vec::new();
        for worker in 1..=ATTACKERS {
            let (connection, carol) = (RawConnection::open(&daemon).await, Signer::of(&daemon, "carol"));
            attackers.push(tokio::spawn(attack(connection, carol, worker, wanted.div_ceil(ATTACKERS))));
        }
        never_read(&daemon).await;
        let mut total = Tally::default();
        for attacker in attackers {
            let tally = attacker.await.expect("it saw what it should");
            total.frames += tally.frames;
            total.streams += tally.streams;
            total.refusals += tally.refusals;
            total.requests += tally.requests;
        }
        // Frames that never became whole are ended like everybody who does not log on in time.
        for mut stream in held {
            let end = stream.until(|received| received.terminate().is_some()).await;
            assert_eq!(end.terminate(), Some(CloseReason::LogonTimeout));
        }
        let grown = resident_bytes(&daemon).saturating_sub(before);
        is_over.store(true, Ordering::Relaxed);
        let mut answered = 0;
        for client in honest {
            answered += client.await.expect("every honest request is answered");
        }
        let bound = HELD_BYTES + (answered + total.requests) * REQUEST_BYTES;
        println!("{total:?}; {answered} honest requests answered; {grown} bytes grown, at most {bound}");
        assert!(wanted <= total.frames && 100 < answered);
        assert!(grown <= bound, "the exchange grew by {grown} bytes, at most {bound} are its limits'");
    });
    let log = daemon.stderr();
    assert!(!log.contains("panicked"), "{log}");
    let (status, printed) = daemon.stop();
    assert!(status.success() && printed.contains("stopped at sequence"), "{printed}");
}
