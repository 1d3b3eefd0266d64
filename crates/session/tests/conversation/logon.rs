//! Beginnings, ends, and the beats between.

use joulebook_protocol::messages::{LogonAccepted, NewOrder, Terminate};
use joulebook_protocol::{CloseReason, Command, Event, RejectReason, encode};
use joulebook_session::{ClientConfig, ClientOutput, ClientSession, RequestError, SessionLimits};
use joulebook_types::{AccountId, InstrumentId, SessionId, TimeNs};

use crate::pipe::*;

#[test]
fn logon_orders_and_stamps() {
    let mut pipe = Pipe::new(trader(), SessionLimits::default());
    assert_eq!(pipe.client.next_client_order_id(), None, "nobody knows yet which ids are free");
    assert_eq!(
        pipe.client.request(&NewOrder { client_order_id: id(1), ..Default::default() }.into(), TimeNs::ZERO),
        Err(RequestError::NotLoggedOn)
    );
    pipe.accept(LogonAccepted { last_client_order_id: id(41), ..accepted() });
    assert!(matches!(
        pipe.seen.as_slice(),
        [ClientOutput::Sign(_), ClientOutput::LoggedOn(_), ClientOutput::CaughtUp]
    ));

    assert_eq!(pipe.place(), id(42));
    pipe.settle();
    assert_eq!(pipe.commands, [NewOrder { client_order_id: id(42), ..Default::default() }.into()]);
    pipe.event(&ack(1, id(42)));
    let Some(ClientOutput::Event { event: Event::OrderAccepted(ack), answers }) = pipe.seen.last() else {
        panic!("{:?}", pipe.seen)
    };
    assert_eq!((*answers, pipe.client.unanswered()), (Some(id(42)), 0));
    assert_eq!(ack.stamp.sent, at(pipe.now_ns).wall);
    assert_eq!((ack.stamp.order_credits, ack.stamp.cancel_credits), (199_999, 400_000));
}

#[test]
fn refused_logons_say_why() {
    for reason in [RejectReason::UnknownAccount, RejectReason::BadSignature, RejectReason::WrongEndpoint] {
        let mut pipe = Pipe::new(trader(), SessionLimits::default());
        pipe.verdict = Err(reason);
        pipe.settle();
        assert!(pipe.commands.is_empty());
        assert_eq!(pipe.closed(), Some(CloseReason::LogonRefused));
        assert_eq!(pipe.server_closed, Some(CloseReason::LogonRefused));
        let [.., ClientOutput::LogonRejected(rejected), ClientOutput::Closed(_)] = pipe.seen.as_slice()
        else {
            panic!("{:?}", pipe.seen)
        };
        assert_eq!((rejected.reason, rejected.account), (reason.raw(), AccountId::new(3)));
    }
}

#[test]
fn nothing_is_news_before_the_logon() {
    let mut trade = Vec::new();
    encode(&ack(1, id(42)), &mut trade);
    let mut update = Vec::new();
    encode(&joulebook_protocol::messages::L2Update::default(), &mut update);
    for message in [trade, update] {
        let mut client = ClientSession::new(ClientConfig::new(AccountId::new(3), SessionId::new(1)));
        client.start([0; 32], TimeNs::ZERO);
        client.on_bytes(&message, TimeNs::ZERO);
        let said = client.poll(TimeNs::ZERO);
        assert_eq!(said, Some(ClientOutput::Closed(CloseReason::ProtocolError)));
        assert_eq!(client.last_event_seq(), 0, "the next logon asks for all events");
    }
}

#[test]
fn what_was_meant_for_a_connection_of_the_last_life_reaches_nobody() {
    let stale = ack(7, id(42));
    let mut pipe = Pipe::new(trader(), SessionLimits::default());
    pipe.event(&stale);
    pipe.settle();
    assert!(matches!(pipe.commands.as_slice(), [Command::SessionOpened(_)]), "the engine is asked");
    pipe.event(&stale);
    pipe.event(&Terminate::default());
    pipe.event(&accepted());
    let seen = pipe.seen.as_slice();
    assert!(
        matches!(seen, [ClientOutput::Sign(_), ClientOutput::LoggedOn(_), ClientOutput::CaughtUp]),
        "{seen:?}"
    );

    let mut pipe = Pipe::new(ClientConfig::anonymous(), SessionLimits::default());
    pipe.event(&stale);
    pipe.settle();
    assert!(pipe.server.is_open());
    pipe.event(&stale);
    assert_eq!(pipe.seen.last(), Some(&ClientOutput::CaughtUp));
}

#[test]
fn the_engine_may_refuse_a_logon_too() {
    let mut pipe = Pipe::new(trader(), SessionLimits::default());
    pipe.settle();
    assert!(pipe.server.is_known_to_engine());
    let reason = RejectReason::SessionLimit.raw();
    pipe.event(&joulebook_protocol::messages::LogonRejected { reason, ..Default::default() });
    assert_eq!(pipe.closed(), Some(CloseReason::LogonRefused));
    assert!(!pipe.server.is_known_to_engine());
}

#[test]
fn a_session_number_is_needed_to_trade() {
    let config = ClientConfig::new(AccountId::new(3), SessionId::NONE);
    let mut pipe = Pipe::new(config, SessionLimits::default());
    pipe.settle();
    assert_eq!(pipe.closed(), Some(CloseReason::LogonRefused));
}

#[test]
fn anonymous_sessions_get_market_data_and_nothing_else() {
    let mut pipe = Pipe::new(ClientConfig::anonymous(), SessionLimits::default());
    pipe.settle();
    assert!(pipe.client.is_ready() && pipe.server.is_open() && !pipe.server.is_known_to_engine());
    let now = TimeNs::new(pipe.now_ns);
    assert!(pipe.client.subscribe(InstrumentId::NONE, 3, now));
    let order = NewOrder { client_order_id: id(1), ..Default::default() };
    assert_eq!(pipe.client.request(&order.into(), now), Err(RequestError::Anonymous));
    let mut bytes = Vec::new();
    encode(&order, &mut bytes);
    pipe.server.on_bytes(&bytes, at(pipe.now_ns));
    pipe.settle();
    assert_eq!((pipe.subscriptions, pipe.commands.len()), (1, 0));
    assert_eq!(pipe.refusals(), [(id(1), RejectReason::NotAuthorised.raw())]);
    let trade = joulebook_protocol::messages::FeedTrade { seq: 5, ..Default::default() };
    let mut frame = Vec::new();
    encode(&trade, &mut frame);
    pipe.server.send_frames(&frame, at(pipe.now_ns));
    pipe.settle();
    assert_eq!(pipe.seen.last(), Some(&ClientOutput::Feed(trade.into())));
}

#[test]
fn logons_have_a_time_limit_on_both_sides() {
    let mut pipe = Pipe::new(trader(), SessionLimits::default());
    pipe.settle();
    assert_eq!(pipe.server.deadline(), Some(TimeNs::new(1_000 + 3_000_000_000)));
    pipe.pass_time(2_999);
    assert_eq!(pipe.server_closed, None);
    pipe.pass_time(1);
    assert_eq!(pipe.server_closed, Some(CloseReason::LogonTimeout));
    assert_eq!(pipe.closed(), Some(CloseReason::LogonTimeout));

    let mut silent = ClientSession::new(trader());
    silent.start(LEAF, TimeNs::ZERO);
    let deadline = silent.deadline().unwrap();
    assert_eq!(deadline, TimeNs::new(5_000_000_000));
    silent.on_timeout(deadline);
    assert_eq!(silent.poll(deadline), Some(ClientOutput::Closed(CloseReason::LogonTimeout)));
    assert_eq!(silent.poll(deadline), None, "once");
}

#[test]
fn heartbeats_keep_an_idle_session() {
    let mut pipe = Pipe::trading();
    pipe.pass_time(60_000);
    assert!(pipe.client.is_ready() && pipe.server.is_open());
    assert!(pipe.seen.is_empty() && pipe.commands.is_empty());
}

#[test]
fn silence_ends_a_session() {
    let mut pipe = Pipe::trading();
    let silent_since = pipe.now_ns;
    let end = silent_since + 3 * 3_000_000_000;
    for now_ns in [silent_since + 3_000_000_000, end - 1] {
        pipe.server.on_timeout(at(now_ns));
        pipe.client.on_timeout(TimeNs::new(now_ns));
        assert!(pipe.server.is_open() && pipe.client.is_ready());
    }
    pipe.server.on_timeout(at(end));
    pipe.client.on_timeout(TimeNs::new(end));
    pipe.poll();
    assert_eq!(pipe.server_closed, Some(CloseReason::HeartbeatTimeout));
    assert_eq!(pipe.closed(), Some(CloseReason::HeartbeatTimeout));

    let mut pipe = Pipe::trading();
    pipe.server.excuse_silence(at(silent_since + 5_000_000_000));
    pipe.server.on_timeout(at(end));
    assert!(pipe.server.is_open(), "we did not read, so it was not the client that was silent");
}

#[test]
fn proposed_heartbeats_are_clamped() {
    for (proposed, want) in [(0, 3_000), (1, 100), (250, 250), (u32::MAX, 60_000)] {
        let config = ClientConfig { heartbeat_ms: proposed, cancel_on_disconnect_ms: 40_000, ..trader() };
        let mut pipe = Pipe::new(config, SessionLimits::default());
        pipe.settle();
        let Some(Command::SessionOpened(opened)) = pipe.commands.pop() else { panic!() };
        assert_eq!((opened.heartbeat_ms, opened.cancel_on_disconnect_ms), (want, 30_000));
    }
}

#[test]
fn the_engine_may_end_a_session() {
    let mut pipe = Pipe::trading();
    pipe.event(&Terminate { reason: CloseReason::Superseded.raw(), ..Default::default() });
    assert_eq!(pipe.closed(), Some(CloseReason::Superseded));
    assert_eq!(pipe.server_closed, Some(CloseReason::Superseded));
    assert!(!pipe.server.is_known_to_engine());
}

#[test]
fn a_logout_ends_both_sides() {
    let mut pipe = Pipe::trading();
    pipe.place();
    assert!(pipe.client.logout(TimeNs::new(pipe.now_ns)));
    pipe.settle();
    assert_eq!(pipe.commands.len(), 1, "what came before it counts");
    assert_eq!((pipe.closed(), pipe.server_closed), (Some(CloseReason::Logout), Some(CloseReason::Logout)));
}
