//! Numbers, answers, and what happens to both when a stream breaks.

use joulebook_protocol::messages::{
    CancelOrder, LogonAccepted, MassCancel, NewOrder, OrderCanceled, OrderQuery, OrderStatus,
    RequestRejected, SnapshotEnd,
};
use joulebook_protocol::{CloseReason, Command, HEADER_BYTES, Message};
use joulebook_session::{ClientConfig, ClientOutput, RequestError, SessionLimits};
use joulebook_types::{AccountId, ClientOrderId, ConnectionId, OrderId, TimeNs};

use crate::pipe::*;

#[test]
fn answers_find_their_requests() {
    let mut pipe = Pipe::trading();
    let now = TimeNs::new(pipe.now_ns);
    let requests: [Command; 5] = [
        NewOrder { client_order_id: id(1), ..Default::default() }.into(),
        CancelOrder { client_order_id: id(2), order_id: OrderId::new(70), ..Default::default() }.into(),
        MassCancel { client_order_id: id(3), ..Default::default() }.into(),
        OrderQuery { client_order_id: id(4), target: id(1), ..Default::default() }.into(),
        NewOrder { client_order_id: id(5), ..Default::default() }.into(),
    ];
    for request in &requests {
        pipe.client.request(request, now).unwrap();
    }
    assert_eq!(
        pipe.client.request(&requests[0], now),
        Err(RequestError::StaleId { last: id(5) }),
        "an id is used once"
    );
    pipe.event(&RequestRejected { stamp: stamp(1), client_order_id: id(5), ..Default::default() });
    pipe.event(&ack(2, id(1)));
    let canceled = |event_seq, order, request| OrderCanceled {
        stamp: stamp(event_seq),
        order_id: OrderId::new(order),
        request: id(request),
        ..Default::default()
    };
    pipe.event(&canceled(3, 71, 2));
    assert_eq!(pipe.answers(), [id(5), id(1)], "another session's request 2 canceled another order");
    pipe.event(&canceled(4, 70, 2));
    pipe.event(&canceled(5, 72, 3));
    pipe.event(&joulebook_protocol::messages::MassCancelDone {
        stamp: stamp(6),
        client_order_id: id(3),
        ..Default::default()
    });
    pipe.event(&OrderStatus { client_order_id: id(1), ..Default::default() });
    assert_eq!(pipe.answers(), [id(5), id(1), id(2), id(3), id(4)]);
    assert_eq!(pipe.client.unanswered(), 0);
}

#[test]
fn a_resumed_session_gets_what_it_missed_and_repeats_what_has_no_answer() {
    let mut pipe = Pipe::trading();
    let ids: Vec<ClientOrderId> = (0..4).map(|_| pipe.place()).collect();
    pipe.settle();
    pipe.event(&ack(1, ids[0]));
    pipe.reconnect();
    let while_away = pipe.place();
    pipe.accept(LogonAccepted {
        last_event_seq: 3,
        resend_from_seq: 1,
        last_client_order_id: ids[2],
        ..accepted()
    });
    assert!(pipe.commands.is_empty(), "what is missing may hold the answers");
    pipe.event(&ack(1, ids[0]));
    pipe.event(&ack(2, ids[1]));
    assert!(pipe.commands.is_empty());
    pipe.event(&ack(3, ids[2]));
    assert_eq!(pipe.seen.last(), Some(&ClientOutput::CaughtUp));
    assert_eq!(pipe.answers(), [ids[1], ids[2]], "event 1 was known already");
    let resent: Vec<Command> =
        [ids[3], while_away].map(|id| NewOrder { client_order_id: id, ..Default::default() }.into()).into();
    assert_eq!(pipe.commands, resent, "in order, with the same ids");
    assert!(ids.len() as u64 == 4 && pipe.place() > while_away);
}

#[test]
fn the_logon_carries_the_last_number() {
    let mut pipe = Pipe::trading();
    for event_seq in 1..=9 {
        pipe.event(&ack(event_seq, id(1_000)));
    }
    pipe.reconnect();
    pipe.settle();
    let Some(Command::SessionOpened(opened)) = pipe.commands.pop() else { panic!() };
    assert_eq!(opened.last_event_seq, 9);
    assert_eq!(opened.connection, ConnectionId::of_gateway(1, 2));
}

#[test]
fn a_snapshot_stands_in_for_events_that_are_gone() {
    let mut pipe = Pipe::trading();
    pipe.event(&ack(1, id(1)));
    let query = OrderQuery { client_order_id: id(1), target: id(7), ..Default::default() };
    pipe.client.request(&query.into(), TimeNs::new(pipe.now_ns)).unwrap();
    pipe.settle();
    pipe.reconnect();
    pipe.accept(LogonAccepted { last_event_seq: 500, snapshot: 1, ..accepted() });
    pipe.event(&OrderStatus { client_order_id: id(7), ..Default::default() });
    assert_eq!(pipe.answers(), [], "a state within the snapshot is no answer");
    assert!(pipe.commands.is_empty() && !pipe.client.is_ready());
    pipe.event(&SnapshotEnd { last_event_seq: 500, ..Default::default() });
    assert_eq!(pipe.commands, [query.into()]);
    pipe.event(&ack(501, id(1)));
    assert_eq!((pipe.client.last_event_seq(), pipe.closed()), (501, None));
}

#[test]
fn gaps_are_faults() {
    let mut pipe = Pipe::trading();
    pipe.event(&ack(2, id(1)));
    assert_eq!(pipe.closed(), Some(CloseReason::ProtocolError));

    for wrong in [
        LogonAccepted { last_event_seq: 5, ..accepted() },
        LogonAccepted { last_event_seq: 5, resend_from_seq: 3, ..accepted() },
        LogonAccepted { account: AccountId::new(4), ..accepted() },
    ] {
        let mut pipe = Pipe::new(trader(), SessionLimits::default());
        pipe.accept(wrong);
        assert_eq!(pipe.closed(), Some(CloseReason::ProtocolError));
    }
}

#[test]
fn unanswered_requests_are_bounded() {
    let mut pipe = Pipe::new(ClientConfig { unanswered_max: 10, ..trader() }, SessionLimits::default());
    pipe.accept(accepted());
    (0..10).for_each(|_| _ = pipe.place());
    let order = NewOrder { client_order_id: id(11), ..Default::default() };
    let now = TimeNs::new(pipe.now_ns);
    assert_eq!(pipe.client.request(&order.into(), now), Err(RequestError::TooManyUnanswered));
    pipe.event(&ack(1, id(1)));
    assert_eq!(pipe.client.request(&order.into(), now), Ok(id(11)));
}

#[test]
fn bytes_of_unanswered_requests_are_bounded() {
    let order_bytes = HEADER_BYTES + NewOrder::BLOCK_MIN;
    let config = ClientConfig { unanswered_bytes_max: 3 * order_bytes, ..trader() };
    let mut pipe = Pipe::new(config, SessionLimits::default());
    pipe.accept(accepted());
    (0..3).for_each(|_| _ = pipe.place());
    let order = NewOrder { client_order_id: id(4), ..Default::default() };
    let now = TimeNs::new(pipe.now_ns);
    assert_eq!(pipe.client.request(&order.into(), now), Err(RequestError::TooManyUnanswered));
    pipe.event(&ack(1, id(1)));
    assert_eq!(pipe.client.request(&order.into(), now), Ok(id(4)));
}
