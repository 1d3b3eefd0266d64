//! Beginnings and ends of connections: limits, refusals, strangers, silence.
#![forbid(unsafe_code)]

mod common;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use common::{ALPN, Identity, Pair, Side, any_port};
use joulebook_quic::transport::TransportProfile;
use joulebook_quic::{
    CloseReason, ConnKey, Driver, DriverConfig, Event, QuicError, ReadOutcome, ResetKey, WriteOutcome,
};

#[test]
fn a_wrong_protocol_is_named() {
    let identity = Identity::new();
    let mut pair = Pair::new();
    pair.server =
        Driver::server(any_port(), identity.server(&TransportProfile::server())).expect("a free port");
    pair.address = pair.server.local_addr();
    pair.client_config = identity.client(b"other/1", &TransportProfile::client());
    let ours = pair.connect();
    let reason = client_end(&mut pair, ours);
    assert_eq!(reason, CloseReason::NoCommonProtocol);
    assert!(reason.to_string().contains("ALPN"));
    assert_eq!(pair.server.open_connections(), 0, "the server keeps nothing of it");
}

#[test]
fn a_certificate_of_strangers_is_rejected() {
    let mut pair = Pair::new();
    pair.client_config = Identity::new().client(ALPN, &TransportProfile::client());
    let ours = pair.connect();
    let reason = client_end(&mut pair, ours);
    let CloseReason::CertificateRejected { detail } = reason else { panic!("{reason}") };
    assert!(detail.contains("UnknownIssuer") || detail.contains("BadSignature"), "{detail}");
}

#[test]
fn the_client_sees_the_certificate_it_trusted() {
    let mut pair = Pair::new();
    let identity = Identity::new();
    pair.server =
        Driver::server(any_port(), identity.server(&TransportProfile::server())).expect("a free port");
    pair.address = pair.server.local_addr();
    pair.client_config = identity.client(ALPN, &TransportProfile::client());
    let (ours, theirs) = pair.connected();
    assert_eq!(pair.client.peer_certificates(ours), Some(vec![identity.certificate]));
    assert_eq!(pair.server.peer_certificates(theirs), None);
    assert_eq!(pair.server.remote_addr(theirs), Some(pair.client.local_addr()));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let error = Driver::client(DriverConfig::new(address)).err().expect("the port is taken");
    assert!(matches!(error, QuicError::AddressInUse(named) if named == address));
    assert!(error.to_string().contains(&address.to_string()));
}

#[test]
fn one_connection_too_many_is_refused_and_a_free_place_is_given_again() {
    let cases: &[(&str, DriverConfig)] = &[
        ("in all", DriverConfig { max_connections: 2, ..any_port() }),
        ("of one address", DriverConfig { max_connections_per_address: 2, ..any_port() }),
    ];
    for (name, config) in cases {
        let mut pair = Pair::with(config.clone(), &TransportProfile::server(), &TransportProfile::client());
        let (first, first_at_server) = pair.connected();
        pair.connected();
        let third = pair.connect();
        assert_eq!(client_end(&mut pair, third), CloseReason::Refused, "{name}");
        assert_eq!(pair.server.stats().refused, 1, "{name}");

        pair.client.close(first, 0, b"", Instant::now());
        pair.run_until("the server knows of the goodbye", |_, side, event| {
            side == Side::Server && matches!(event, Event::Closed { conn, .. } if *conn == first_at_server)
        });
        pair.connected();
        assert_eq!(pair.server.open_connections(), 2, "{name}");
    }
}

#[test]
fn the_client_has_a_limit_too() {
    let mut pair = Pair::new();
    pair.client = Driver::client(DriverConfig { max_connections: 1, ..any_port() }).expect("a free port");
    pair.connect();
    let error = pair.client.connect(pair.client_config.clone(), pair.address, "localhost", Instant::now());
    assert!(matches!(error, Err(QuicError::TooManyConnections(1))));
}

#[test]
fn newcomers_prove_their_address_when_many_are_pending() {
    let config = DriverConfig { retry_above_pending: 0, ..any_port() };
    let mut pair = Pair::with(config, &TransportProfile::server(), &TransportProfile::client());
    pair.connected();
    assert_eq!(pair.server.stats().retried, 1);
}

#[test]
fn stale_keys_are_harmless() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected();
    let stream = pair.client.open_bi(ours).expect("a stream");
    pair.client.close(ours, 0, b"done", Instant::now());
    assert_eq!(pair.client.write(ours, stream, b"late"), WriteOutcome::Gone);
    assert_eq!(client_end(&mut pair, ours), CloseReason::Local);
    // Both sides forget, and a newcomer takes the slots.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !(pair.client.is_drained() && pair.server.is_drained()) {
        assert!(Instant::now() < deadline);
        pair.client.receive(Instant::now());
        pair.server.receive(Instant::now());
        while pair.client.next_event().is_some() {}
        while pair.server.next_event().is_some() {}
        pair.client.transmit(Instant::now());
        pair.server.transmit(Instant::now());
        common::park(&[&pair.client, &pair.server], deadline.min(Instant::now() + Duration::from_millis(50)));
    }
    let (again, again_at_server) = pair.connected();
    assert_eq!(
        (again.slot(), again_at_server.slot()),
        (ours.slot(), theirs.slot()),
        "the slots are used again"
    );

    for (driver, stale, fresh) in
        [(&mut pair.client, ours, again), (&mut pair.server, theirs, again_at_server)]
    {
        assert_ne!(stale, fresh);
        assert_eq!(driver.write(stale, stream, b"late"), WriteOutcome::Gone);
        assert_eq!(driver.read(stale, stream, 1, |_| panic!("nothing to read")), ReadOutcome::Gone);
        assert_eq!(driver.open_bi(stale), None);
        assert!(!driver.finish(stale, stream) && !driver.reset(stale, stream, 0));
        assert!(!driver.stop_sending(stale, stream, 0) && !driver.is_connected(stale));
        assert_eq!(driver.remote_addr(stale), None);
        driver.grow_window(stale, 1 << 20);
        driver.close(stale, 0, b"", Instant::now());
        assert!(driver.is_connected(fresh), "closing a stale key closed its successor");
    }
}

#[test]
fn garbage_is_ignored_and_service_goes_on() {
    let mut pair = Pair::new();
    let (ours, _) = pair.connected();
    let vandal = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for size in (0..1_400).step_by(7) {
        let bytes: Vec<u8> = (0..size)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        // Answers would be lost here, which is what a spoofed sender deserves.
        vandal.send_to(&bytes, pair.address).expect("sent");
    }
    let stream = pair.client.open_bi(ours).expect("a stream");
    assert_eq!(pair.client.write(ours, stream, b"order"), WriteOutcome::All);
    pair.run_until("the order arrives", |_, side, event| {
        side == Side::Server && matches!(event, Event::Readable { .. })
    });
    assert_eq!(pair.server.open_connections(), 1);
    assert!(200 <= pair.server.stats().datagrams_in);
}

#[test]
fn a_client_that_vanishes_times_out() {
    let idle = Duration::from_millis(300);
    let profile = TransportProfile { idle_timeout: idle, ..TransportProfile::server() };
    let mut pair = Pair::with(any_port(), &profile, &TransportProfile::client());
    let (_, theirs) = pair.connected();
    // A new client takes its place; the old one's socket is gone without a word.
    let began = Instant::now();
    pair.client = Driver::client(any_port()).expect("a free port");
    let mut end = None;
    pair.run_until("the server gives up", |_, _, event| {
        if let Event::Closed { conn, reason } = event {
            assert_eq!(*conn, theirs);
            end = Some(reason.clone());
        }
        end.is_some()
    });
    assert_eq!(end, Some(CloseReason::TimedOut));
    assert!(began.elapsed() < 10 * idle, "{:?}", began.elapsed());
    assert_eq!(pair.server.open_connections(), 0);
    assert!(pair.server.is_drained());
}

#[test]
fn keep_alives_hold_a_silent_connection() {
    let idle = Duration::from_millis(300);
    let server = TransportProfile { idle_timeout: idle, ..TransportProfile::server() };
    let client = TransportProfile { keep_alive: Some(idle / 6), ..TransportProfile::client() };
    let mut pair = Pair::with(any_port(), &server, &client);
    let (ours, theirs) = pair.connected();
    let until = Instant::now() + 4 * idle;
    while Instant::now() < until {
        pair.client.receive(Instant::now());
        pair.server.receive(Instant::now());
        pair.client.transmit(Instant::now());
        pair.server.transmit(Instant::now());
        common::park(&[&pair.client, &pair.server], until);
    }
    assert!(pair.client.is_connected(ours) && pair.server.is_connected(theirs));
}

#[test]
fn an_idle_connection_lets_its_thread_sleep() {
    let mut pair = Pair::new();
    pair.connected();
    let (mut turns, until) = (0, Instant::now() + Duration::from_millis(500));
    while Instant::now() < until {
        turns += 1;
        pair.client.receive(Instant::now());
        pair.server.receive(Instant::now());
        while pair.client.next_event().is_some() || pair.server.next_event().is_some() {}
        pair.client.transmit(Instant::now());
        pair.server.transmit(Instant::now());
        common::park(&[&pair.client, &pair.server], until);
    }
    // MTU discovery and the last acknowledgements take some turns; a timer that never moves on takes millions.
    assert!(turns < 200, "{turns} turns with nothing to do");
}

#[test]
fn a_driver_can_move_to_the_thread_that_will_run_it() {
    let mut pair = Pair::new();
    let (ours, _) = pair.connected();
    let client = std::thread::spawn(move || pair.client).join().expect("no panic");
    assert!(client.is_connected(ours));
}

#[test]
fn an_unfinished_handshake_times_out_on_both_sides() {
    let short = Duration::from_millis(200);
    let mut pair = Pair::with(
        DriverConfig { handshake_timeout: short, ..any_port() },
        &TransportProfile::server(),
        &TransportProfile::client(),
    );
    // The client asks a socket that never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    pair.client =
        Driver::client(DriverConfig { handshake_timeout: short, ..any_port() }).expect("a free port");
    let server = std::mem::replace(&mut pair.address, silent.local_addr().expect("bound"));
    let ours = pair.connect();
    assert_eq!(client_end(&mut pair, ours), CloseReason::HandshakeTimedOut);

    // The server hears a first datagram and then nothing.
    let mut first = [0; 2_048];
    let (bytes, _) = silent.recv_from(&mut first).expect("the client's first datagram");
    silent.send_to(&first[..bytes], server).expect("sent");
    let deadline = Instant::now() + Duration::from_secs(30);
    while pair.server.stats().handshakes_failed == 0 {
        assert!(Instant::now() < deadline);
        pair.server.receive(Instant::now());
        assert_eq!(pair.server.next_event(), None, "nobody is told of a connection that never was");
        pair.server.transmit(Instant::now());
        common::park(&[&pair.server], deadline);
    }
    assert_eq!(pair.server.open_connections(), 0);
    assert_eq!(pair.server.stats().accepted, 1);
}

#[test]
fn shutdown_tells_everyone_and_drains() {
    let mut pair = Pair::new();
    let connections: Vec<_> = (0..3).map(|_| pair.connected()).collect();
    pair.server.close_all(3, b"closing for the day", Instant::now());
    let (mut told, mut ended) = (0, 0);
    pair.run_until("all are told", |_, side, event| {
        if let Event::Closed { reason, .. } = event {
            match side {
                Side::Server => {
                    assert_eq!(*reason, CloseReason::Local);
                    ended += 1;
                }
                Side::Client => {
                    assert_eq!(*reason, CloseReason::Peer { code: 3, reason: "closing for the day".into() });
                    told += 1;
                }
            }
        }
        (told, ended) == (connections.len(), connections.len())
    });
    let late = pair.connect();
    assert_eq!(client_end(&mut pair, late), CloseReason::Refused);
    assert_eq!(pair.server.open_connections(), 0);
}

#[test]
fn a_restarted_server_resets_the_clients_of_its_former_life() {
    let config = DriverConfig { reset_key: Some(ResetKey([7; 32])), ..any_port() };
    let mut pair = Pair::with(config.clone(), &TransportProfile::server(), &TransportProfile::client());
    let (ours, _) = pair.connected();
    // A server that dies before the client knows its handshake as confirmed leaves it to the timeouts.
    let first = pair.client.open_bi(ours).expect("a stream");
    assert_eq!(pair.client.write(ours, first, b"hello"), WriteOutcome::All);
    assert!(pair.client.finish(ours, first));
    pair.run_until("the hello is delivered", |_, _, event| matches!(event, Event::Delivered { .. }));
    let stream = pair.client.open_bi(ours).expect("a stream");
    // The port is free again only when the old driver is gone.
    pair.server = Driver::client(any_port()).expect("a free port");
    let identity = Identity::new();
    let restarted = DriverConfig { bind: pair.address, ..config };
    pair.server = Driver::server(restarted, identity.server(&TransportProfile::server())).expect("its port");
    assert_eq!(pair.client.write(ours, stream, b"order"), WriteOutcome::All);
    assert_eq!(client_end(&mut pair, ours), CloseReason::Reset);
}

/// The reason that the client's connection ends with.
fn client_end(pair: &mut Pair, ours: ConnKey) -> CloseReason {
    let mut end = None;
    pair.run_until("the client's connection is over", |_, side, event| {
        if let (Side::Client, Event::Closed { conn, reason }) = (side, event) {
            assert_eq!(*conn, ours);
            end = Some(reason.clone());
        }
        end.is_some()
    });
    end.expect("just seen")
}
