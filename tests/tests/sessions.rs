//! A session's life on the real daemon: lost and resumed, superseded, silent, slow, throttled, sent home.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use joulebook_client::{ClientError, Folder, MarketData, Notice, Subscription};
use joulebook_protocol::messages::{
    CancelOrder, Heartbeat, Logon, NewOrder, OrderFilled, OrderStatus, RequestRefused,
};
use joulebook_protocol::{CancelReason, CloseReason, Event, RejectReason, SessionMessage};
use joulebook_tests::{
    Daemon, Market, RawConnection, RawStream, Received, Signer, ahead_minute, block_on, connect, in_time,
    limit, now,
};
use joulebook_types::{ClientOrderId, InstrumentId, Side, TimeNs};

const WIRINGS: [&str; 2] = ["inline", "threaded"];
/// Orders stay when the connection is lost.
const KEEP: Logon =
    Logon { signature: [0; 64], last_event_seq: 0, heartbeat_ms: 0, cancel_on_disconnect_ms: u32::MAX };

/// An hour that Alice may sell 100 lots of.
async fn one_hour(daemon: &Daemon) -> InstrumentId {
    let market = Market::open(daemon).await;
    let hour = Market::hour("H200S", ahead_minute(24));
    let instrument = market.list(hour).await;
    let (alice, _events) = connect(daemon, "alice", 901, |_| ()).await;
    market.register(&alice, &hour, 100).await;
    instrument
}

/// Places an order under the given number; it is accepted at once.
async fn place(stream: &mut RawStream, id: u64, order: NewOrder) {
    stream.command(NewOrder { client_order_id: ClientOrderId::new(id), ..order }).await;
    let answer = stream.next().await;
    assert!(matches!(answer, Received::Event(Event::OrderAccepted(_))), "{answer:?}");
}

fn ids(open: &[OrderStatus]) -> Vec<u64> {
    open.iter().map(|status| status.client_order_id.raw()).collect()
}

#[test]
fn fills_missed_while_away_come_first() {
    for wiring in WIRINGS {
        let dir = tempfile::tempdir().expect("a folder");
        let daemon = Daemon::start(dir.path(), &["--wiring", wiring]);
        block_on(async {
            let instrument = one_hour(&daemon).await;
            let alice = Signer::of(&daemon, "alice");
            let line = RawConnection::open(&daemon).await;
            let (mut stream, _) = line.log_on(&alice, 1, KEEP).await;
            place(&mut stream, 1, limit(instrument, Side::Sell, 30, 1_000)).await;
            line.connection.close(9_u32.into(), b"gone");

            let (bob, _events) = connect(&daemon, "bob", 1, |_| ()).await;
            for lots in [5, 6, 7] {
                bob.place(limit(instrument, Side::Buy, lots, 1_000)).await.expect("accepted");
            }
            let line = RawConnection::open(&daemon).await;
            let (mut stream, accepted) = line.log_on(&alice, 1, Logon { last_event_seq: 1, ..KEEP }).await;
            assert_eq!((accepted.resend_from_seq, accepted.last_event_seq, accepted.snapshot), (2, 4, 0));
            bob.place(limit(instrument, Side::Buy, 8, 1_000)).await.expect("accepted");
            let mut leaves = 30;
            for (event_seq, lots) in [(2, 5), (3, 6), (4, 7), (5, 8)] {
                let received = stream.next().await;
                let Received::Event(Event::OrderFilled(OrderFilled { stamp, qty, leaves_qty, .. })) =
                    received
                else {
                    panic!("{received:?}");
                };
                leaves -= lots;
                assert_eq!((stamp.event_seq, qty, leaves_qty), (event_seq, lots, leaves), "{wiring}");
            }
        });
    }
}

#[test]
fn orders_go_after_the_grace_and_stay_within_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let instrument = one_hour(&daemon).await;
        let alice = Signer::of(&daemon, "alice");
        let lines = [RawConnection::open(&daemon).await, RawConnection::open(&daemon).await];
        let (brief, long) = (graceful(300), graceful(30_000));
        let (mut goes, _) = lines[0].log_on(&alice, 1, brief).await;
        let (mut stays, _) = lines[1].log_on(&alice, 2, long).await;
        place(&mut goes, 1, limit(instrument, Side::Buy, 3, 500)).await;
        place(&mut stays, 1, limit(instrument, Side::Buy, 4, 400)).await;
        let left = now();
        for line in &lines {
            line.connection.close(9_u32.into(), b"gone");
        }
        until_best_bid_is(&daemon, instrument, 4).await;

        let line = RawConnection::open(&daemon).await;
        let (mut stays, _) = line.log_on(&alice, 2, Logon { last_event_seq: 1, ..long }).await;
        assert_eq!(ids(&stays.query().await.0), [1], "back in time");
        let (mut goes, accepted) = line.log_on(&alice, 1, Logon { last_event_seq: 1, ..brief }).await;
        assert_eq!(accepted.last_event_seq, 2);
        canceled_for_absence(goes.next().await, left, 300);
        assert!(goes.query().await.0.is_empty());
    });
}

#[test]
fn the_grace_survives_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let instrument = one_hour(&daemon).await;
        let alice = Signer::of(&daemon, "alice");
        let line = RawConnection::open(&daemon).await;
        let (mut goes, _) = line.log_on(&alice, 1, graceful(500)).await;
        let (mut stays, _) = line.log_on(&alice, 2, KEEP).await;
        place(&mut goes, 1, limit(instrument, Side::Buy, 3, 500)).await;
        place(&mut stays, 1, limit(instrument, Side::Buy, 4, 400)).await;
        let killed = now();
        daemon.kill();

        let daemon = Daemon::start(dir.path(), &[]);
        until_best_bid_is(&daemon, instrument, 4).await;
        let line = RawConnection::open(&daemon).await;
        let (mut goes, _) = line.log_on(&alice, 1, Logon { last_event_seq: 1, ..KEEP }).await;
        canceled_for_absence(goes.next().await, killed, 500);
        let (mut stays, accepted) = line.log_on(&alice, 2, Logon { last_event_seq: 1, ..KEEP }).await;
        assert_eq!(accepted.last_event_seq, 1, "nothing happened to it");
        assert_eq!(ids(&stays.query().await.0), [1]);
    });
}

fn graceful(cancel_on_disconnect_ms: u32) -> Logon {
    Logon { cancel_on_disconnect_ms, ..KEEP }
}

fn canceled_for_absence(received: Received, left: TimeNs, grace_ms: u32) {
    let Received::Event(Event::OrderCanceled(canceled)) = received else { panic!("{received:?}") };
    assert_eq!(CancelReason::from_raw(canceled.reason), Some(CancelReason::Disconnected));
    assert!(left.saturating_add_ms(grace_ms) <= canceled.stamp.sequenced, "sooner than the grace");
}

/// Waits for the market data to say so.
async fn until_best_bid_is(daemon: &Daemon, instrument: InstrumentId, lots: u64) {
    let venue = Folder::new(&daemon.dir).venue().expect("a venue");
    let (mut data, _changes) = MarketData::connect(venue, Subscription::All).await.expect("market data");
    in_time(data.synced()).await.expect("synced");
    while data.best(instrument, Side::Buy).map(|level| level.qty) != Some(lots) {
        in_time(data.changed()).await.expect("market data goes on");
    }
}

#[test]
fn a_second_logon_supersedes_the_first() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let instrument = one_hour(&daemon).await;
        let (first, mut events) = connect(&daemon, "alice", 1, |_| ()).await;
        first.place(limit(instrument, Side::Buy, 1, 500)).await.expect("accepted");
        let line = RawConnection::open(&daemon).await;
        let (mut second, accepted) = line.log_on(&Signer::of(&daemon, "alice"), 1, KEEP).await;
        assert_eq!(accepted.last_client_order_id, ClientOrderId::new(1));
        let end = loop {
            match in_time(events.next()).await.expect("a last notice") {
                Notice::Ended(end) => break end,
                Notice::Event { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        // The SDK does not fight for the session.
        assert!(matches!(end, ClientError::Closed { reason: CloseReason::Superseded }), "{end}");
        let missed = second.next().await;
        assert!(matches!(missed, Received::Event(Event::OrderAccepted(_))), "{missed:?}");
        assert_eq!(ids(&second.query().await.0), [1], "the order is the session's, not the connection's");
    });
}

#[test]
fn silence_ends_a_session_and_heartbeats_keep_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let line = RawConnection::open(&daemon).await;
        let logon = Logon { heartbeat_ms: 200, ..KEEP };
        let (mut stream, accepted) = line.log_on(&Signer::of(&daemon, "alice"), 1, logon).await;
        assert_eq!(accepted.heartbeat_ms, 200);
        // Five rounds are longer than the silence that is allowed.
        for _ in 0..5 {
            let heartbeat = stream.next_or_heartbeat().await;
            assert!(matches!(heartbeat, Received::Session(SessionMessage::Heartbeat(_))), "{heartbeat:?}");
            stream.send(&Heartbeat::default()).await;
        }
        let fell_silent = Instant::now();
        assert_eq!(stream.next().await.terminate(), Some(CloseReason::HeartbeatTimeout));
        assert!(Duration::from_millis(500) < fell_silent.elapsed(), "sooner than three intervals");
    });
}

#[test]
fn a_stop_says_goodbye_and_keeps_everything() {
    for wiring in WIRINGS {
        let dir = tempfile::tempdir().expect("a folder");
        let mut daemon = Daemon::start(dir.path(), &["--wiring", wiring]);
        let (status, printed) = block_on(async {
            let instrument = one_hour(&daemon).await;
            let line = RawConnection::open(&daemon).await;
            let (mut stream, _) = line.log_on(&Signer::of(&daemon, "alice"), 1, KEEP).await;
            place(&mut stream, 1, limit(instrument, Side::Buy, 1, 500)).await;
            daemon.terminate();
            let goodbye = stream.next().await;
            assert_eq!(goodbye.terminate(), Some(CloseReason::GoingAway), "{wiring}: {goodbye:?}");
            daemon.wait()
        });
        assert_eq!(status.code(), Some(0), "{wiring}: {printed}");
        let sequence = printed.split("stopped at sequence ").nth(1).and_then(|rest| rest.split(' ').next());
        let sequence: u64 = sequence.and_then(|text| text.parse().ok()).expect("a number");
        let replay = joulebook_tests::run(&["replay", dir.path().to_str().expect("UTF-8")]);
        let replayed = String::from_utf8_lossy(&replay.stdout).into_owned();
        assert!(replayed.contains(&format!("commands   {sequence} in ")), "{wiring}: {printed}{replayed}");

        let daemon = Daemon::start(dir.path(), &["--wiring", wiring]);
        block_on(async {
            let line = RawConnection::open(&daemon).await;
            let (mut stream, _) =
                line.log_on(&Signer::of(&daemon, "alice"), 1, Logon { last_event_seq: 1, ..KEEP }).await;
            assert_eq!(ids(&stream.query().await.0), [1], "{wiring}");
        });
    }
}

#[test]
fn a_slow_reader_is_dropped_and_nobody_waits_for_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &["--set", "limits.unread_bytes=65536"]);
    block_on(async {
        let instrument = one_hour(&daemon).await;
        let line = RawConnection::with_window(&daemon, 64 << 10).await;
        let (mut slow, _) = line.log_on(&Signer::of(&daemon, "alice"), 1, KEEP).await;
        let (bob, _events) = connect(&daemon, "bob", 1, |_| ()).await;
        for round in 0..40 {
            // Two megabytes of answers in all; the client takes 64 KiB and reads none of them.
            for id in 1..=500 {
                let client_order_id = ClientOrderId::new(round * 500 + id);
                let order = NewOrder { client_order_id, ..limit(instrument, Side::Buy, 0, 500) };
                let mut bytes = Vec::new();
                joulebook_protocol::encode(&order, &mut bytes);
                // Refused as soon as the exchange has given the session up.
                let _ = slow.send_bytes(&bytes).await;
            }
            bob.place(limit(instrument, Side::Buy, 1, 500)).await.expect("the others are served");
        }
        let last = loop {
            match slow.next().await {
                Received::Event(Event::RequestRejected(_)) => {}
                other => break other,
            }
        };
        let by_message = last.terminate() == Some(CloseReason::SlowConsumer);
        let code = u64::from(CloseReason::SlowConsumer.raw());
        assert!(by_message || last == Received::End(Some(code)), "{last:?}");
    });
}

#[test]
fn the_throttle_counts_down_and_lets_cancels_pass() {
    let dir = tempfile::tempdir().expect("a folder");
    let limits = ["--set", "limits.orders_per_s=1", "--set", "limits.orders_burst=10"];
    let setup = Daemon::start(dir.path(), &[]);
    let instrument = block_on(one_hour(&setup));
    assert!(setup.stop().0.success());
    let daemon = Daemon::start(dir.path(), &limits);
    block_on(async {
        let line = RawConnection::open(&daemon).await;
        let logon = Logon { heartbeat_ms: 1_000, ..KEEP };
        let (mut stream, _) = line.log_on(&Signer::of(&daemon, "alice"), 1, logon).await;
        let began = Instant::now();
        for id in 1..=5_u32 {
            let client_order_id = ClientOrderId::new(id.into());
            stream.command(NewOrder { client_order_id, ..limit(instrument, Side::Buy, 1, 500) }).await;
            let answer = stream.next().await;
            let Received::Event(Event::OrderAccepted(accepted)) = answer else { panic!("{answer:?}") };
            let (least, refilled) = (10 - id, 1 + began.elapsed().as_secs() as u32);
            let credits = accepted.stamp.order_credits;
            assert!((least..=(least + refilled).min(10)).contains(&credits), "{credits} after {id} orders");
        }
        let refused = flood(&mut stream, instrument, 6).await;
        assert_eq!(
            (refused.limit, RejectReason::from_raw(refused.reason)),
            (1, Some(RejectReason::Throttled))
        );
        assert!((1..=1_000_000_000).contains(&refused.value), "{refused:?}");

        let cancel = CancelOrder { target: ClientOrderId::new(1), ..CancelOrder::default() };
        stream.command(CancelOrder { client_order_id: ClientOrderId::new(1_000), ..cancel }).await;
        let answer =
            stream.until(|it| !matches!(it, Received::Session(SessionMessage::RequestRefused(_)))).await;
        assert!(matches!(answer, Received::Event(Event::OrderCanceled(_))), "{answer:?}");

        // The wait that it named is a second at most, and the exchange says something after a second of silence.
        let heartbeat = |it: &Received| matches!(it, Received::Session(SessionMessage::Heartbeat(_)));
        while !heartbeat(&stream.next_or_heartbeat().await) {}
        place(&mut stream, 1_001, limit(instrument, Side::Buy, 1, 500)).await;
    });
}

/// Twenty orders at once where five are left, and the last refusal.
async fn flood(stream: &mut RawStream, instrument: InstrumentId, first: u64) -> RequestRefused {
    let mut bytes = Vec::new();
    for id in first..first + 20 {
        let client_order_id = ClientOrderId::new(id);
        joulebook_protocol::encode(
            &NewOrder { client_order_id, ..limit(instrument, Side::Buy, 1, 500) },
            &mut bytes,
        );
    }
    stream.send_bytes(&bytes).await.expect("sent");
    let mut last = None;
    for _ in 0..20 {
        match stream.next().await {
            Received::Session(SessionMessage::RequestRefused(refused)) => last = Some(refused),
            Received::Event(Event::OrderAccepted(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    last.expect("a refusal")
}
