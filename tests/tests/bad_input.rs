//! What no honest client sends, over real QUIC: each gets its precise answer, and nobody else notices.
#![forbid(unsafe_code)]

use std::mem::offset_of;

use joulebook_client::{
    AccountKey, Client, ClientConfig, ClientError, Folder, MarketData, MarketNotice, Rejection, Subscription,
};
use joulebook_protocol::messages::{
    AccountDefinition, AdvanceTime, CancelOrder, Genesis, Hello, ListInstrument, Logon, MassQuote,
    MintCredits, NewOrder, OrderAccepted, QuotePair, RequestRefused, RequestRejected, Restarted,
    SessionClosed, SessionOpened, Terminate,
};
use joulebook_protocol::{
    ALPN, BLOCK_BYTES_MAX, CancelReason, CloseReason, Event, HEADER_BYTES, Message, RejectReason,
    RequestStatus, SessionMessage, encode,
};
use joulebook_tests::{
    ALICE, Daemon, Market, RawConnection, RawStream, Received, Signer, ahead_minute, block_on, connect,
    in_time, limit, now,
};
use joulebook_types::{AccountId, ClientOrderId, InstrumentId, MicroEc, OrderId, Phase, Price, Side, TimeNs};
use quinn::ConnectionError;

/// What must hold after every attack: an honest order is taken, the daemon has not panicked, and it stops in order.
async fn is_unharmed(daemon: Daemon, instrument: InstrumentId) {
    let bob = connect(&daemon, "bob", 77, |_| ()).await.0;
    bob.place(limit(instrument, Side::Buy, 1, 200)).await.expect("an honest order");
    bob.close().await;
    let log = daemon.stderr();
    assert!(!log.contains("panicked"), "{log}");
    let (status, printed) = daemon.stop();
    assert!(status.success() && printed.contains("stopped at sequence"), "{printed}");
}

async fn one_hour(daemon: &Daemon) -> (Market, ListInstrument, InstrumentId) {
    let market = Market::open(daemon).await;
    let hour = Market::hour("H200S", ahead_minute(24));
    let instrument = market.list(hour).await;
    (market, hour, instrument)
}

fn refusal(received: Received) -> (RejectReason, u16, u64) {
    match received {
        Received::Session(SessionMessage::RequestRefused(refused)) => {
            let RequestRefused { reason, template_id, client_order_id, .. } = refused;
            (RejectReason::from_raw(reason).expect("a known code"), template_id, client_order_id.raw())
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn bytes_that_are_no_frames_end_their_session() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let (_market, _, instrument) = one_hour(&daemon).await;
        let alice = Signer::of(&daemon, "alice");
        let connection = RawConnection::open(&daemon).await;
        let header = |block_len: u16, template_id: u16, schema_id: u16, version: u16| {
            [block_len, template_id, schema_id, version].map(u16::to_le_bytes).concat()
        };
        let schema = joulebook_protocol::SCHEMA_ID;
        let cases = [
            ("noise", vec![0xa5; 4_096]),
            ("an HTTP request", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
            ("another schema", header(8, Hello::TEMPLATE_ID, schema ^ 1, 1)),
            ("version 0", header(8, Hello::TEMPLATE_ID, schema, 0)),
            ("a block too long by 1 byte", header(BLOCK_BYTES_MAX as u16 + 1, Hello::TEMPLATE_ID, schema, 1)),
            ("a block of 65,535 bytes", header(u16::MAX, NewOrder::TEMPLATE_ID, schema, 1)),
        ];
        for (session, (name, bytes)) in (1..).zip(&cases) {
            // Before the logon, and from somebody who is trusted already.
            let stranger = connection.stream().await;
            let (member, _) = connection.log_on(&alice, session, Logon::default()).await;
            for mut stream in [stranger, member] {
                stream.send_bytes(bytes).await.expect("sent");
                let answer = stream.next().await;
                assert_eq!(answer.terminate(), Some(CloseReason::ProtocolError), "{name}: {answer:?}");
                assert!(matches!(stream.next().await, Received::End(_)), "{name}: the stream goes on");
            }
        }
        is_unharmed(daemon, instrument).await;
    });
}

#[test]
fn messages_that_may_not_be_sent_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let (_market, _, instrument) = one_hour(&daemon).await;
        let connection = RawConnection::open(&daemon).await;
        let alice = Signer::of(&daemon, "alice");

        let mut stranger = connection.stream().await;
        let order =
            NewOrder { client_order_id: ClientOrderId::new(7), ..limit(instrument, Side::Buy, 1, 200) };
        stranger.command(order).await;
        let unexpected = (RejectReason::Unexpected, NewOrder::TEMPLATE_ID, 7);
        assert_eq!(refusal(stranger.next().await), unexpected, "an order before the logon");
        stranger.send(&Logon::default()).await;
        let unexpected = (RejectReason::Unexpected, Logon::TEMPLATE_ID, 0);
        assert_eq!(refusal(stranger.next().await), unexpected, "a logon before the hello");
        stranger.send(&Hello::default()).await;
        assert!(matches!(stranger.next().await, Received::Session(SessionMessage::LogonAccepted(_))));
        stranger.command(order).await;
        let unauthorised = (RejectReason::NotAuthorised, NewOrder::TEMPLATE_ID, 7);
        assert_eq!(refusal(stranger.next().await), unauthorised, "an order without an account");

        let (mut member, _) = connection.log_on(&alice, 1, Logon::default()).await;
        for (name, bytes) in forbidden() {
            let template_id = u16::from_le_bytes([bytes[2], bytes[3]]);
            member.send_bytes(&bytes).await.expect("sent");
            let (reason, template, _) = refusal(member.next().await);
            assert_eq!((reason, template), (RejectReason::Malformed, template_id), "{name}");
        }
        for (name, message) in [("hello", Hello::TEMPLATE_ID), ("logon", Logon::TEMPLATE_ID)] {
            member.frame(96, message, &[0; 96]).await.expect("sent");
            let (reason, template, _) = refusal(member.next().await);
            assert_eq!((reason, template), (RejectReason::Unexpected, message), "a second {name}");
        }
        // The session stands all the while.
        member.command(order).await;
        assert!(matches!(member.next().await, Received::Event(Event::OrderAccepted(_))));
        // As a newer client may send it: with as much appended as a frame holds.
        let newer = NewOrder { client_order_id: ClientOrderId::new(8), ..order };
        let mut bytes = Vec::new();
        encode(&newer, &mut bytes);
        bytes.resize(HEADER_BYTES + size_of::<NewOrder>(), 0);
        bytes.resize(HEADER_BYTES + BLOCK_BYTES_MAX, 0xa5);
        let block = &bytes[HEADER_BYTES..];
        member.frame(BLOCK_BYTES_MAX as u16, NewOrder::TEMPLATE_ID, block).await.expect("sent");
        assert!(matches!(member.next().await, Received::Event(Event::OrderAccepted(_))));
        is_unharmed(daemon, instrument).await;
    });
}

/// The longest commands reach the engine, and a replay reads them again.
#[test]
fn the_longest_requests_are_answered_and_survive_a_crash() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    let instrument = block_on(async {
        let (_market, _, instrument) = one_hour(&daemon).await;
        let connection = RawConnection::open(&daemon).await;
        let (mut member, _) = connection.log_on(&Signer::of(&daemon, "alice"), 1, Logon::default()).await;
        for id in 1..=40 {
            let mut quote =
                MassQuote { client_order_id: ClientOrderId::new(id), count: 64, ..Default::default() };
            let longest = QuotePair { bid_qty: 1, ask_qty: 1, reserved: 1, ..Default::default() };
            quote.pairs = [QuotePair { instrument, ..longest }; 64];
            member.send(&quote).await;
        }
        let order =
            NewOrder { client_order_id: ClientOrderId::new(41), ..limit(instrument, Side::Buy, 1, 200) };
        member.command(order).await;
        let answer = member
            .until(|received| {
                assert!(!matches!(received, Received::Session(_)), "refused at the door: {received:?}");
                matches!(received, Received::Event(Event::OrderAccepted(_)))
            })
            .await;
        assert!(
            matches!(answer, Received::Event(Event::OrderAccepted(accepted)) if accepted.client_order_id.raw() == 41)
        );
        instrument
    });
    daemon.kill();
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(is_unharmed(daemon, instrument));
}

/// Frames that are well formed, and that no client may send.
fn forbidden() -> Vec<(&'static str, Vec<u8>)> {
    fn frame<M: Message>(message: M) -> (&'static str, Vec<u8>) {
        let mut bytes = Vec::new();
        encode(&message, &mut bytes);
        (M::NAME, bytes)
    }
    let mut short = frame(NewOrder::default()).1;
    short.truncate(HEADER_BYTES + 8);
    short[..2].copy_from_slice(&8_u16.to_le_bytes());
    let mut unknown = frame(Hello::default()).1;
    unknown[2..4].copy_from_slice(&9_999_u16.to_le_bytes());
    vec![
        ("an order cut short", short),
        ("a message of the future", unknown),
        frame(Genesis::default()),
        frame(SessionOpened::default()),
        frame(SessionClosed::default()),
        frame(Restarted::default()),
        frame(AdvanceTime::default()),
        frame(AccountDefinition::default()),
        frame(OrderAccepted::default()),
        frame(Terminate::default()),
    ]
}

#[test]
fn logons_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let (_market, _, instrument) = one_hour(&daemon).await;
        let public = RawConnection::open(&daemon).await;
        let operators = RawConnection::dial(&daemon.ca(), daemon.operator, ALPN).await.expect("a connection");
        let of = |name| Signer::of(&daemon, name);
        let forged = |account| Signer::new(account, &[42; 32]);
        let cases = [
            ("another key", &public, forged(ALICE), 1, RejectReason::BadSignature),
            ("no such account", &public, forged(AccountId::new(4_711)), 1, RejectReason::UnknownAccount),
            ("an operator in public", &public, of("operator"), 1, RejectReason::WrongEndpoint),
            ("a trader among operators", &operators, of("alice"), 1, RejectReason::WrongEndpoint),
            ("an issuer among operators", &operators, of("issuer"), 1, RejectReason::WrongEndpoint),
            ("session 0", &public, of("alice"), 0, RejectReason::Malformed),
        ];
        for (name, connection, signer, session, want) in cases {
            let mut stream = connection.stream().await;
            let answer = stream.log_on(&signer, session, Logon::default()).await;
            let Received::Session(SessionMessage::LogonRejected(rejected)) = answer else {
                panic!("{name}: {answer:?}");
            };
            assert_eq!(RejectReason::from_raw(rejected.reason), Some(want), "{name}");
            assert!(matches!(stream.next().await, Received::End(_)), "{name}: the stream goes on");
        }
        no_logon_in_time(&public).await;
        wrong_alpn(&daemon).await;
        sdk_says_why(&daemon).await;
        is_unharmed(daemon, instrument).await;
    });
}

/// Whoever opens a stream and says nothing loses it.
async fn no_logon_in_time(connection: &RawConnection) {
    let mut silent = connection.stream().await;
    // A stream exists for the other side from its first byte on.
    silent.send_bytes(&[8]).await.expect("sent");
    assert_eq!(silent.next().await.terminate(), Some(CloseReason::LogonTimeout));
}

async fn wrong_alpn(daemon: &Daemon) {
    for alpn in [&b"h3"[..], b"joulebook/2", b"joulebook"] {
        let refused = RawConnection::dial(&daemon.ca(), daemon.gateway, alpn).await.err();
        // TLS alert 120: no_application_protocol.
        let code = match refused.expect("another protocol is refused") {
            ConnectionError::ConnectionClosed(close) => u64::from(close.error_code),
            ConnectionError::TransportError(error) => u64::from(error.code),
            other => panic!("{alpn:?}: {other}"),
        };
        assert_eq!(code, 0x100 + 120, "{alpn:?}");
    }
}

/// The same through the SDK, in words.
async fn sdk_says_why(daemon: &Daemon) {
    let folder = Folder::new(&daemon.dir);
    let stranger = AccountKey::generate(AccountId::new(4_711)).expect("a key");
    let error = refused(ClientConfig::new(folder.venue().expect("a venue"), stranger)).await;
    assert_eq!(error, "the exchange does not know account 4711, or its key is another one");

    let operator = folder.key("operator").expect("a key");
    let error = refused(ClientConfig::new(folder.venue().expect("a venue"), operator)).await;
    assert_eq!(error, "the exchange refused the logon of account 1, session 1: WrongEndpoint");
}

async fn refused(config: ClientConfig) -> String {
    let refused: Result<_, ClientError> = Client::connect(config).await;
    refused.expect_err("a refusal").to_string()
}

#[test]
fn orders_that_break_a_rule_name_the_rule() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let market = Market::open(&daemon).await;
        let hour = Market::hour("H200S", ahead_minute(24));
        let instrument = market.list(hour).await;
        let wide = Market::hour("TPU6E", ahead_minute(24));
        let wide = ListInstrument { band_high: Price::new(1_000_000_000_000), qty_max: u32::MAX, ..wide };
        let wide = market.list(wide).await;
        let (alice, _events) = connect(&daemon, "alice", 1, |_| ()).await;
        market.register(&alice, &hour, 10).await;

        let buy = limit(instrument, Side::Buy, 1, 200);
        let (price, qty) = (offset_of!(NewOrder, price), offset_of!(NewOrder, qty));
        let whole = usize::from(u16::MAX);
        let max = i64::MAX;
        use RejectReason::*;
        let cases = [
            (
                "off tick",
                NewOrder { price: Price::new(2_000_001), ..buy },
                PriceOffTick,
                price,
                10_000,
                2_000_001,
            ),
            (
                "below the band",
                NewOrder { price: Price::new(990_000), ..buy },
                PriceOutsideBand,
                price,
                1_000_000,
                990_000,
            ),
            (
                "above the band",
                NewOrder { price: Price::new(1_000_010_000), ..buy },
                PriceOutsideBand,
                price,
                1_000_000_000,
                1_000_010_000,
            ),
            ("price 0", NewOrder { price: Price::ZERO, ..buy }, PriceNotPositive, price, 1, 0),
            (
                "a negative price",
                NewOrder { price: Price::new(-10_000), ..buy },
                PriceNotPositive,
                price,
                1,
                -10_000,
            ),
            ("no lots", NewOrder { qty: 0, ..buy }, QtyZero, qty, 1, 0),
            ("too many lots", NewOrder { qty: 1_000_001, ..buy }, QtyAboveMax, qty, 1_000_000, 1_000_001),
            (
                "an overflowing value",
                NewOrder { instrument: wide, qty: u32::MAX, price: Price::new(1_000_000_000_000), ..buy },
                NotionalOverflow,
                qty,
                max,
                i64::from(u32::MAX),
            ),
            (
                "no such instrument",
                NewOrder { instrument: InstrumentId::new(999), ..buy },
                UnknownInstrument,
                offset_of!(NewOrder, instrument),
                0,
                999,
            ),
            ("side 0", NewOrder { side: 0, ..buy }, InvalidChoice, offset_of!(NewOrder, side), -1, -1),
            (
                "time in force 200",
                NewOrder { time_in_force: 200, ..buy },
                InvalidChoice,
                offset_of!(NewOrder, time_in_force),
                -1,
                -1,
            ),
            (
                "unknown flags",
                NewOrder { flags: 0xfe, ..buy },
                InvalidChoice,
                offset_of!(NewOrder, flags),
                -1,
                -1,
            ),
            // 11 lots of 8 accelerators where 10 lots are registered.
            (
                "a naked short",
                NewOrder { qty: 11, side: Side::Sell.raw(), ..buy },
                InsufficientCapacity,
                qty,
                80,
                88,
            ),
            (
                "unpaid",
                NewOrder { qty: 1_000_000, price: Price::new(1_000_000_000), ..buy },
                InsufficientCredits,
                qty,
                -1,
                -1,
            ),
            ("fill or kill", NewOrder { time_in_force: 3, ..buy }, FokNotFillable, whole, 0, 1),
        ];
        for (name, order, reason, field, limit, value) in cases {
            let rejected = rejected(alice.place(order).await.err(), name);
            assert_eq!(RejectReason::from_raw(rejected.reason), Some(reason), "{name}: {rejected:?}");
            assert_eq!(usize::from(rejected.field_offset), field, "{name}: {rejected:?}");
            assert_eq!(rejected.template_id, NewOrder::TEMPLATE_ID, "{name}");
            // Where the numbers are the engine's business, -1 stands for any.
            assert!(limit == -1 || rejected.limit == limit, "{name}: {rejected:?}");
            assert!(value == -1 || rejected.value == value, "{name}: {rejected:?}");
        }
        let unknown = CancelOrder { order_id: OrderId::new(12_345), ..CancelOrder::default() };
        let rejected_cancel = rejected(alice.cancel(unknown).await.err(), "a cancel of nothing");
        assert_eq!(RejectReason::from_raw(rejected_cancel.reason), Some(UnknownOrder));
        let mint = alice
            .request(|client_order_id| {
                MintCredits { client_order_id, amount: MicroEc::from_ec(1), ..MintCredits::default() }.into()
            })
            .await;
        let rejected_mint = rejected(mint.err(), "a trader's mint");
        assert_eq!(RejectReason::from_raw(rejected_mint.reason), Some(NotAuthorised));
        is_unharmed(daemon, instrument).await;
    });
}

fn rejected(rejection: Option<Rejection>, name: &str) -> RequestRejected {
    match rejection {
        Some(Rejection::Rejected(rejected)) => rejected,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn client_order_ids_have_an_effect_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &["--set", "engine.session_outcomes_max=4"]);
    block_on(async {
        let (_market, _, instrument) = one_hour(&daemon).await;
        let connection = RawConnection::open(&daemon).await;
        let alice = Signer::of(&daemon, "alice");
        let (mut stream, accepted) = connection.log_on(&alice, 1, Logon::default()).await;
        assert_eq!(accepted.last_client_order_id, ClientOrderId::NONE);
        let mut orders = Vec::new();
        for id in [10, 11, 13, 14, 15] {
            orders.push(place(&mut stream, instrument, id).await.expect("accepted"));
        }
        let cases = [
            (15, RequestStatus::Accepted, orders[4]),
            (11, RequestStatus::Accepted, orders[1]),
            (12, RequestStatus::NeverSeen, OrderId::NONE),
            (10, RequestStatus::TooOld, OrderId::NONE),
            (1, RequestStatus::TooOld, OrderId::NONE),
        ];
        for (id, want, order_id) in cases {
            let repeated = place(&mut stream, instrument, id).await.expect_err("no new order");
            assert_eq!(repeated, (want, order_id), "client order id {id}");
        }
        // Also on another connection, and what is open is what was accepted once.
        let other = RawConnection::open(&daemon).await;
        let (mut stream, accepted) =
            other.log_on(&alice, 1, Logon { last_event_seq: 10, ..Logon::default() }).await;
        assert_eq!(accepted.last_client_order_id, ClientOrderId::new(15));
        let repeated = place(&mut stream, instrument, 14).await.expect_err("no new order");
        assert_eq!(repeated, (RequestStatus::Accepted, orders[3]));
        let (open, _) = stream.query().await;
        assert_eq!(open.iter().map(|status| status.order_id).collect::<Vec<_>>(), orders);
        stream.command(NewOrder::default()).await;
        let answer = stream.next().await;
        let Received::Event(Event::RequestRejected(rejected)) = answer else { panic!("{answer:?}") };
        assert_eq!(RejectReason::from_raw(rejected.reason), Some(RejectReason::ClientOrderIdZero));
        is_unharmed(daemon, instrument).await;
    });
}

/// A small bid under a number of the test's choosing: its order, or the answer to a repeat.
async fn place(
    stream: &mut RawStream,
    instrument: InstrumentId,
    id: u64,
) -> Result<OrderId, (RequestStatus, OrderId)> {
    let client_order_id = ClientOrderId::new(id);
    stream.command(NewOrder { client_order_id, ..limit(instrument, Side::Buy, 1, 200) }).await;
    match stream.next().await {
        Received::Event(Event::OrderAccepted(accepted)) => Ok(accepted.order_id),
        Received::Event(Event::RequestRepeated(repeated)) => {
            Err((RequestStatus::from_raw(repeated.status).expect("a status"), repeated.order_id))
        }
        other => panic!("client order id {id}: {other:?}"),
    }
}

#[test]
fn a_closed_gate_cancels_and_refuses() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let (market, hour, stays) = one_hour(&daemon).await;
        let venue = Folder::new(&daemon.dir).venue().expect("a venue");
        let (data, mut changes) = MarketData::connect(venue, Subscription::All).await.expect("market data");
        let (alice, mut events) = connect(&daemon, "alice", 1, |_| ()).await;
        let gate = now().saturating_add_ms(2_000);
        let closing =
            market.list(ListInstrument { gate, class: "TPU6E".parse().expect("a class"), ..hour }).await;
        let order = alice.place(limit(closing, Side::Buy, 3, 200)).await.expect("open until the gate");
        let kept = alice.place(limit(stays, Side::Buy, 3, 200)).await.expect("open");

        let canceled = loop {
            let notice = in_time(events.next()).await.expect("open");
            if let joulebook_client::Notice::Event { event: Event::OrderCanceled(canceled), .. } = notice {
                break canceled;
            }
        };
        assert_eq!((canceled.order_id, canceled.canceled_qty), (order.order_id, 3));
        assert_eq!(CancelReason::from_raw(canceled.reason), Some(CancelReason::GateClosed));
        assert!(gate <= canceled.stamp.sequenced, "not a moment early");

        let late = rejected(alice.place(limit(closing, Side::Buy, 1, 200)).await.err(), "after the gate");
        assert_eq!(RejectReason::from_raw(late.reason), Some(RejectReason::GateClosed));
        assert_eq!(late.limit, i64::try_from(gate.raw()).expect("before 2262"));
        let phase =
            || data.read(|feed| feed.market(closing).and_then(|market| market.definition).map(|it| it.phase));
        while phase() != Some(Phase::Closed.raw()) {
            let notice = in_time(changes.next()).await;
            assert!(matches!(notice, Some(MarketNotice::Change(_) | MarketNotice::Synced)), "{notice:?}");
        }
        let cancel = CancelOrder { order_id: kept.order_id, ..CancelOrder::default() };
        alice.cancel(cancel).await.expect("the other instrument's order still rests");

        let past = ListInstrument { gate: TimeNs::new(1), class: "B200".parse().expect("a class"), ..hour };
        let listed =
            market.operator.request(|client_order_id| ListInstrument { client_order_id, ..past }.into());
        let refused = rejected(listed.await.err(), "a gate in the past");
        assert_eq!(RejectReason::from_raw(refused.reason), Some(RejectReason::InvalidGate));
        is_unharmed(daemon, stays).await;
    });
}
