//! Logons, orders, ends of sessions, over real QUIC.

use std::sync::Arc;
use std::time::Duration;

use crate::world::{Client, OPERATOR, Setup, TRADER, World, key};
use joulebook_gateway::GatewayLimits;
use joulebook_protocol::messages::{LogonRejected, MassQuote, NewOrder, OrderAccepted, Stamp};
use joulebook_protocol::pipe::COMMAND_SLOTS_MAX;
use joulebook_protocol::{CloseReason, Command, Event, RejectReason, encode};
use joulebook_quic::WriteOutcome;
use joulebook_quic::transport::TransportProfile;
use joulebook_rings::Gate;
use joulebook_session::{ClientConfig, ClientOutput, SessionLimits};
use joulebook_types::{AccountId, ClientOrderId, ConnectionId, SessionId, TimeNs};

fn trader(session: u32) -> ClientConfig {
    ClientConfig::new(TRADER, SessionId::new(session))
}

fn ack(event_seq: u64, received: TimeNs) -> OrderAccepted {
    OrderAccepted {
        stamp: Stamp { event_seq, received, ..Stamp::default() },
        client_order_id: ClientOrderId::new(event_seq),
        ..OrderAccepted::default()
    }
}

#[test]
fn the_doors_stay_shut_until_the_core_has_said_what_there_is() {
    let mut world = World::new();
    let told = Arc::new(Gate::shut());
    world.gateway.open_doors_at(Arc::clone(&told));
    let mut client = world.dial(false, &TransportProfile::client());
    let mut turns = 0;
    world.until("connected", &mut [&mut client], |_, clients| {
        turns += 1;
        // So many would be enough for a handshake.
        assert!(!clients[0].is_connected || 200 < turns, "let in after {turns} turns");
        told.set(200 <= turns);
        clients[0].is_connected
    });
}

#[test]
fn an_order_goes_in_and_its_answer_comes_out() {
    let mut world = World::new();
    let mut client = world.trader(1);
    assert_eq!(world.connection(0).gateway(), 7);
    assert_eq!(world.opened[0].0, TRADER);
    let before = world.wall();
    let id = client.place(0, before);
    world.until("the order is in the core", &mut [&mut client], |world, _| !world.taken.is_empty());
    let origin = world.taken[0].origin;
    assert_eq!((origin.account, origin.session), (TRADER, SessionId::new(1)));
    assert!(before <= origin.received && origin.received <= world.wall());
    assert!(matches!(world.taken[0].command, Command::NewOrder(order) if order.client_order_id == id));

    world.tell(world.connection(0), &ack(1, origin.received));
    world.until("the answer is here", &mut [&mut client], |_, clients| {
        clients[0].sessions[0].machine.unanswered() == 0
    });
    let Some(ClientOutput::Event { event: Event::OrderAccepted(ack), answers }) =
        client.sessions[0].seen.last()
    else {
        panic!("{:?}", client.sessions[0].seen)
    };
    assert_eq!(*answers, Some(id));
    assert!(ack.stamp.received < ack.stamp.sent && ack.stamp.order_credits > 0);
    let metrics = &world.metrics;
    assert_eq!((metrics.logons.value(), metrics.sessions.value(), metrics.ack.snapshot().count()), (1, 1, 1));
}

#[test]
fn refused_logons_say_why() {
    let anybody = AccountId::new(77);
    let cases = [
        ("wrong key", false, TRADER, key(OPERATOR), RejectReason::BadSignature),
        ("unknown account", false, anybody, key(anybody), RejectReason::UnknownAccount),
        ("operator at the public endpoint", false, OPERATOR, key(OPERATOR), RejectReason::WrongEndpoint),
        ("trader at the operators' endpoint", true, TRADER, key(TRADER), RejectReason::WrongEndpoint),
    ];
    let mut world = World::new();
    for (name, operator, account, key, reason) in cases {
        let mut client = world.client(operator);
        assert!(client.open_signed_by(&world, ClientConfig::new(account, SessionId::new(1)), key));
        world.until(name, &mut [&mut client], |_, clients| clients[0].sessions[0].closed().is_some());
        let seen = &client.sessions[0].seen;
        let rejected = seen.iter().find_map(|output| match output {
            ClientOutput::LogonRejected(LogonRejected { reason, .. }) => Some(*reason),
            _ => None,
        });
        assert_eq!(rejected, Some(reason.raw()), "{name}");
        assert_eq!(client.sessions[0].closed(), Some(CloseReason::LogonRefused), "{name}");
        world.until("the stream is gone", &mut [&mut client], |world, _| world.gateway.open_streams() == 0);
    }
    assert!(world.opened.is_empty() && world.taken.is_empty(), "the core heard of none of them");
    assert_eq!(world.metrics.logons_refused.value(), 4);
}

#[test]
fn operators_log_on_at_their_own_endpoint() {
    let mut world = World::new();
    let mut client = world.client(true);
    client.open(&world, ClientConfig::new(OPERATOR, SessionId::new(1)));
    world.until("logged on", &mut [&mut client], |_, clients| clients[0].sessions[0].machine.is_ready());
}

#[test]
fn bytes_that_are_no_frames_end_their_session_alone() {
    let oversized = [0xFF, 0x0F, 20, 0, 0x42, 0x4A, 1, 0];
    for bytes in [&oversized[..], &[0xAA; 300], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut world = World::new();
        let mut client = world.trader(1);
        client.open(&world, trader(2));
        world
            .until("both are on", &mut [&mut client], |_, clients| clients[0].sessions[1].machine.is_ready());
        let stream = client.sessions[0].stream;
        assert_eq!(client.driver.write(client.conn, stream, bytes), WriteOutcome::All);
        world.until("the session is over", &mut [&mut client], |world, clients| {
            clients[0].sessions[0].closed().is_some() && !world.ends().is_empty()
        });
        assert_eq!(client.sessions[0].closed(), Some(CloseReason::ProtocolError));
        assert_eq!(world.ends(), [(world.connection(0), CloseReason::ProtocolError)]);

        client.place(1, world.wall());
        world.until("the other goes on", &mut [&mut client], |world, _| world.order_ids() == [1]);
        assert_eq!(client.closed, None);
    }
}

#[test]
fn streams_of_a_connection_are_limited() {
    let mut world = World::new();
    let mut client = world.client(false);
    (1..=16).for_each(|session| client.open(&world, trader(session)));
    assert_eq!(client.driver.open_bi(client.conn), None, "the 17th stream");
    world.until("all are on", &mut [&mut client], |_, clients| {
        clients[0].sessions.iter().all(|session| session.machine.is_ready())
    });
    // New places are announced by the eighth of the limit, so one logout alone would not show.
    for session in 4..8 {
        assert!(client.sessions[session].machine.logout(world.wall()));
    }
    world.until("places are free again", &mut [&mut client], |world, clients| {
        let client = &mut clients[0];
        client.sessions.len() == 17 || client.try_open(world, trader(17))
    });
    world.until("and is taken", &mut [&mut client], |_, clients| clients[0].sessions[16].machine.is_ready());

    let limits =
        GatewayLimits { streams_per_connection_max: 2, sessions_per_account_max: 3, ..Default::default() };
    let mut world = World::with(Setup { limits, ..Setup::default() });
    let mut client = world.client(false);
    (1..=3).for_each(|session| client.open(&world, trader(session)));
    world
        .until("the third is reset", &mut [&mut client], |_, clients| clients[0].sessions[2].reset.is_some());
    assert_eq!(client.sessions[2].reset, Some(u64::from(CloseReason::TooManySessions.raw())));
    assert_eq!(client.sessions[2].closed(), Some(CloseReason::TooManySessions));

    let mut other = world.client(false);
    (4..=5).for_each(|session| other.open(&world, trader(session)));
    world.until("one of them is refused", &mut [&mut client, &mut other], |_, clients| {
        clients[1].sessions.iter().all(|session| session.machine.is_ready() || session.closed().is_some())
    });
    let refused = other.sessions.iter().flat_map(|session| &session.seen).find_map(|output| match output {
        ClientOutput::LogonRejected(rejected) => Some(rejected.reason),
        _ => None,
    });
    assert_eq!(refused, Some(RejectReason::SessionLimit.raw()));
}

/// Slots of a ring that is soon full.
const SMALL_RING: usize = COMMAND_SLOTS_MAX.next_power_of_two();
/// How many orders it takes: an order needs one slot, but enters only while there is room for any command.
const SMALL_RING_FULL: usize = SMALL_RING - COMMAND_SLOTS_MAX + 1;

#[test]
fn a_full_ring_holds_orders_back_and_loses_none() {
    let mut world = World::with(Setup { commands: SMALL_RING, ..Setup::default() });
    let mut client = world.trader(1);
    world.core_reads = false;
    for _ in 0..3_000 {
        client.place(0, world.wall());
    }
    world.until("the ring is full and the client has sent all", &mut [&mut client], |world, clients| {
        world.commands.len() == SMALL_RING_FULL && clients[0].sessions[0].machine.unsent().is_empty()
    });
    world.core_reads = true;
    world.until("all have come", &mut [&mut client], |world, _| world.taken.len() == 3_000);
    assert!(world.order_ids().iter().copied().eq(1..=3_000), "in order");
}

#[test]
fn long_and_short_requests_of_two_sessions_stay_whole_and_in_order() {
    let mut world = World::with(Setup { commands: SMALL_RING, ..Setup::default() });
    let mut client = world.trader(1);
    client.open(&world, trader(2));
    world.until("both are on", &mut [&mut client], |_, clients| clients[0].sessions[1].machine.is_ready());
    let mut sent = [Vec::new(), Vec::new()];
    for round in 0..400 {
        for (session, sent) in sent.iter_mut().enumerate() {
            let id = client.place(session, world.wall());
            sent.push(Command::from(NewOrder { client_order_id: id, ..Default::default() }));
            let machine = &mut client.sessions[session].machine;
            let client_order_id = machine.next_client_order_id().expect("logged on");
            let count = 1 + (round + 31 * session) % MassQuote::PAIRS_MAX;
            let mut quote = MassQuote { client_order_id, count: count as u8, ..Default::default() };
            quote.pairs[count - 1].ask_qty = round as u32 + 1;
            machine.request(&quote.into(), world.wall()).expect("room");
            sent.push(quote.into());
        }
    }
    world.until("all have come", &mut [&mut client], |world, _| world.taken.len() == 1_600);
    for (session, sent) in (1..).map(SessionId::new).zip(&sent) {
        let taken = world.taken.iter().filter(|taken| taken.origin.session == session);
        assert!(taken.map(|taken| &taken.command).eq(sent), "session {session}");
    }
}

#[test]
fn a_ring_that_is_too_small_for_the_longest_command_is_refused() {
    let made =
        std::panic::catch_unwind(|| World::with(Setup { commands: SMALL_RING / 2, ..Setup::default() }));
    let message = made.err().expect("refused");
    let message = message.downcast_ref::<String>().expect("a message");
    assert!(message.contains(&format!("CommandRing {{ slots: {} }}", SMALL_RING / 2)), "{message}");
}

#[test]
fn the_core_learns_of_lost_sessions_even_when_the_ring_was_full() {
    let mut world = World::with(Setup { commands: SMALL_RING, ..Setup::default() });
    let mut client = world.trader(1);
    client.open(&world, trader(2));
    world.until("both are on", &mut [&mut client], |_, clients| clients[0].sessions[1].machine.is_ready());
    world.core_reads = false;
    (0..2 * SMALL_RING).for_each(|_| _ = client.place(0, world.wall()));
    world.until("the ring is full", &mut [&mut client], |world, _| world.commands.len() == SMALL_RING_FULL);
    client.driver.close(client.conn, 0, b"gone", world.instant());
    world.until("the streams are gone", &mut [&mut client], |world, _| world.gateway.open_streams() == 0);
    assert!(world.gateway.next_timeout().is_some(), "it will look again by itself");
    world.core_reads = true;
    world.until("the ends have come", &mut [&mut client], |world, _| world.ends().len() == 2);
    for (connection, reason) in world.ends() {
        assert_eq!(reason, CloseReason::ConnectionLost);
        assert!([world.connection(0), world.connection(1)].contains(&connection));
    }
    assert_eq!(world.metrics.sessions.value(), 0);
}

#[test]
fn an_event_for_a_session_that_is_gone_goes_nowhere() {
    let mut world = World::new();
    let mut client = world.trader(1);
    assert!(client.sessions[0].machine.logout(world.wall()));
    world.until("the core knows", &mut [&mut client], |world, _| world.gateway.open_streams() == 0);
    assert_eq!(world.ends(), [(world.connection(0), CloseReason::Logout)]);

    let mut next = world.trader(2);
    assert_ne!(world.connection(0), world.connection(1), "the slot is used again, the id is not");
    world.tell(world.connection(0), &ack(1, TimeNs::ZERO));
    world.tell(ConnectionId::of_gateway(8, 1 << 20), &ack(1, TimeNs::ZERO));
    world.tell(ConnectionId::new(1), &ack(1, TimeNs::ZERO));
    world.tell(world.connection(1), &ack(1, TimeNs::ZERO));
    world.until("its own event is here", &mut [&mut next], |_, clients| {
        clients[0].sessions[0].machine.last_event_seq() == 1
    });
    assert_eq!(next.sessions[0].closed(), None, "a second event 1 would have been a fault or a repeat");
    let events = next.sessions[0].seen.iter().filter(|output| matches!(output, ClientOutput::Event { .. }));
    assert_eq!(events.count(), 1);
}

#[test]
fn a_newer_logon_takes_the_session_over() {
    let mut world = World::new();
    let mut old = world.trader(1);
    let mut new = world.client(false);
    new.open(&world, trader(1));
    world.until("the old one is out", &mut [&mut old, &mut new], |_, clients| {
        clients[0].sessions[0].closed().is_some() && clients[1].sessions[0].machine.is_ready()
    });
    assert_eq!(old.sessions[0].closed(), Some(CloseReason::Superseded));
    assert_eq!(world.ends(), [], "told of an end, the core would cancel the orders");
    new.place(0, world.wall());
    world.until("the new one trades", &mut [&mut old, &mut new], |world, _| world.order_ids() == [1]);
    drop(old);
    new.driver.close(new.conn, 0, b"", world.instant());
    world.until("the end has come", &mut [&mut new], |world, _| !world.ends().is_empty());
    assert_eq!(world.ends(), [(world.connection(1), CloseReason::ConnectionLost)]);
}

#[test]
fn who_does_not_log_on_is_sent_away() {
    let mut world = World::new();
    world.core_accepts = false;
    let mut client = world.client(false);
    client.open(&world, trader(1));
    world.until("the core was asked", &mut [&mut client], |world, _| world.opened.len() == 1);
    world.skip(Duration::from_secs(3));
    world.until("the time is over", &mut [&mut client], |world, clients| {
        clients[0].sessions[0].closed().is_some() && !world.ends().is_empty()
    });
    assert_eq!(client.sessions[0].closed(), Some(CloseReason::LogonTimeout));
    assert_eq!(world.ends(), [(world.connection(0), CloseReason::LogonTimeout)]);
}

#[test]
fn a_silent_session_ends_and_a_beating_one_does_not() {
    let mut world = World::new();
    let mut beating = world.trader(1);
    let silent = world.trader(2);
    // A client whose thread hangs: nobody drives its driver any more.
    for _ in 0..3 {
        world.skip(Duration::from_secs(3));
        let (sent, sessions) = (beating.driver.stats().datagrams_out, &mut [&mut beating]);
        world.until("a heartbeat went out", sessions, |_, clients| {
            clients[0].driver.stats().datagrams_out > sent
        });
    }
    world.until("the silent one is out", &mut [&mut beating], |world, _| !world.ends().is_empty());
    assert_eq!(world.ends(), [(world.connection(1), CloseReason::HeartbeatTimeout)]);
    assert!(beating.sessions[0].machine.is_ready());
    drop(silent);
}

#[test]
fn a_slow_consumer_is_dropped_and_slows_nobody() {
    let limits = GatewayLimits {
        session: SessionLimits { unsent_bytes_max: 100_000, ..SessionLimits::default() },
        ..GatewayLimits::default()
    };
    let mut world = World::with(Setup { limits, ..Setup::default() });
    let narrow = TransportProfile {
        stream_window_bytes: 20_000,
        connection_window_bytes: 20_000,
        ..TransportProfile::client()
    };
    let mut slow = world.client_with(false, &narrow);
    slow.open(&world, trader(1));
    world.until("logged on", &mut [&mut slow], |_, clients| clients[0].sessions[0].machine.is_ready());
    let mut quick = world.trader(2);
    slow.sessions[0].reads = false;
    for event_seq in 1..=1_500 {
        world.tell(world.connection(0), &ack(event_seq, TimeNs::ZERO));
        world.tell(world.connection(1), &ack(event_seq, TimeNs::ZERO));
        if event_seq % 500 == 0 {
            world.until("passed on", &mut [&mut slow, &mut quick], |_, clients| {
                clients[1].sessions[0].machine.last_event_seq() == event_seq
            });
        }
    }
    world.until("the slow one is out", &mut [&mut slow, &mut quick], |world, clients| {
        !world.ends().is_empty() && clients[1].sessions[0].machine.last_event_seq() == 1_500
    });
    assert_eq!(world.ends(), [(world.connection(0), CloseReason::SlowConsumer)]);
    assert_eq!(world.metrics.slow_consumers_dropped.value(), 1);
    slow.sessions[0].reads = true;
    world.until("it reads why", &mut [&mut slow, &mut quick], |_, clients| {
        clients[0].sessions[0].closed().is_some()
    });
    assert_eq!(slow.sessions[0].closed(), Some(CloseReason::SlowConsumer));
    assert!(slow.sessions[0].machine.last_event_seq() < 1_500);
}

#[test]
fn a_read_only_exchange_refuses_orders() {
    let mut world = World::new();
    let mut client = world.trader(1);
    world.set_read_only(true);
    client.place(0, world.wall());
    world.until("refused", &mut [&mut client], |_, clients| !clients[0].sessions[0].refusals().is_empty());
    assert_eq!(client.sessions[0].refusals(), [RejectReason::ReadOnly.raw()]);
    world.set_read_only(false);
    client.place(0, world.wall());
    world.until("open again", &mut [&mut client], |world, _| world.order_ids() == [2]);
    assert_eq!(world.metrics.rejects.value(RejectReason::ReadOnly.raw()), 1);
}

#[test]
fn a_request_before_the_logon_is_answered() {
    let mut world = World::new();
    let mut client: Client = world.client(false);
    client.open(&world, trader(1));
    let mut early = Vec::new();
    encode(&NewOrder { client_order_id: ClientOrderId::new(5), ..Default::default() }, &mut early);
    client.driver.write(client.conn, client.sessions[0].stream, &early);
    world.until("refused", &mut [&mut client], |_, clients| {
        clients[0].sessions[0].refusals() == [RejectReason::Unexpected.raw()]
    });
}

#[test]
fn a_shutdown_tells_everybody_and_waits_until_they_know() {
    let mut world = World::new();
    let mut first = world.trader(1);
    let mut second = world.trader(2);
    let mut anonymous = world.client(false);
    anonymous.open(&world, ClientConfig::anonymous());
    world.until("on", &mut [&mut anonymous], |_, clients| clients[0].sessions[0].machine.is_ready());
    world.gateway.begin_shutdown();
    world.until("all are out", &mut [&mut first, &mut second, &mut anonymous], |world, clients| {
        clients.iter().all(|client| client.closed.is_some()) && world.gateway.open_streams() == 0
    });
    for client in [&first, &second, &anonymous] {
        assert_eq!(client.sessions[0].closed(), Some(CloseReason::GoingAway));
        let Some(joulebook_quic::CloseReason::Peer { code, .. }) = &client.closed else {
            panic!("{:?}", client.closed)
        };
        assert_eq!(*code, u64::from(CloseReason::GoingAway.raw()));
    }
    world.until("the doors are shut", &mut [], |world, _| world.gateway.is_finished());
    assert_eq!(world.ends().len(), 2);
}
