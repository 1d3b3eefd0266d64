//! Which event answers which request, for every kind of request.

use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Event};
use joulebook_session::ClientOutput;
use joulebook_types::{ClientOrderId, OrderId, TimeNs};

use crate::pipe::*;

/// A request with number 1 and what the engine says to it in turn, the last being the answer.
type Case = (Command, Vec<Event>);

const ORDER: OrderId = OrderId::new(70);

macro_rules! message {
    ($name:ident { $($field:ident: $value:expr),* }) => {
        $name { $($field: $value,)* ..$name::default() }.into()
    };
}

/// Requests that `RequestDone` answers.
fn done() -> Vec<Command> {
    let client_order_id = id(1);
    vec![
        message!(MintCredits { client_order_id: client_order_id }),
        message!(RetireCredits { client_order_id: client_order_id }),
        message!(DepositCredits { client_order_id: client_order_id }),
        message!(RegisterCapacity { client_order_id: client_order_id }),
        message!(DeliverSlot { client_order_id: client_order_id }),
        message!(ListInstrument { client_order_id: client_order_id }),
        message!(OpenAccount { client_order_id: client_order_id }),
        message!(SetYield { client_order_id: client_order_id }),
        message!(SetProtection { client_order_id: client_order_id }),
        message!(ResetProtection { client_order_id: client_order_id }),
        message!(SetDeadMan { client_order_id: client_order_id }),
        message!(KillSwitch { client_order_id: client_order_id }),
        message!(SetPhase { client_order_id: client_order_id }),
        message!(SetBands { client_order_id: client_order_id }),
        message!(SetLimits { client_order_id: client_order_id }),
    ]
}

fn cases() -> Vec<Case> {
    let (client_order_id, request, order_id) = (id(1), id(1), ORDER);
    let fill = || message!(OrderFilled { client_order_id: client_order_id, order_id: order_id });
    let canceled = |of: ClientOrderId, order: OrderId, request: ClientOrderId| {
        message!(OrderCanceled { client_order_id: of, order_id: order, request: request })
    };
    let replaced = |request: ClientOrderId| {
        message!(OrderReplaced { client_order_id: id(9), order_id: order_id, request: request })
    };
    let sweep = || message!(SweepDone { client_order_id: client_order_id });
    let leg = || message!(LegDone { client_order_id: client_order_id });
    let snapshot_end = || message!(SnapshotEnd { client_order_id: client_order_id });
    let mut cases: Vec<Case> = vec![
        (
            message!(NewOrder { client_order_id: client_order_id }),
            vec![message!(OrderAccepted { client_order_id: client_order_id })],
        ),
        (
            message!(CancelOrder { client_order_id: client_order_id, order_id: order_id }),
            // The order's partner first, which nobody named.
            vec![canceled(id(8), OrderId::new(71), id(0)), canceled(id(9), order_id, request)],
        ),
        (
            message!(ReplaceOrder { client_order_id: client_order_id, order_id: order_id }),
            // It shrank by self-trade prevention in between, which no request asked for.
            vec![replaced(id(0)), replaced(request)],
        ),
        (
            message!(ReplaceOrder { client_order_id: client_order_id, target: id(9) }),
            vec![canceled(id(9), order_id, request)],
        ),
        (message!(ReduceOrder { client_order_id: client_order_id, target: id(9) }), vec![replaced(request)]),
        (
            message!(ReduceOrder { client_order_id: client_order_id, order_id: order_id }),
            vec![canceled(id(9), order_id, request)],
        ),
        (
            message!(MassCancel { client_order_id: client_order_id }),
            vec![
                canceled(id(9), order_id, request),
                message!(MassCancelDone { client_order_id: client_order_id }),
            ],
        ),
        (
            message!(OcoOrder { client_order_id: client_order_id }),
            vec![message!(OrderAccepted { client_order_id: client_order_id })],
        ),
        (
            message!(TokenOrder { client_order_id: client_order_id }),
            vec![fill(), message!(TokenOrderDone { client_order_id: client_order_id })],
        ),
        (message!(Basket { client_order_id: client_order_id }), vec![fill(), fill(), leg(), leg(), sweep()]),
        (message!(BlockSweep { client_order_id: client_order_id }), vec![fill(), leg(), sweep()]),
        (
            message!(MassQuote { client_order_id: client_order_id }),
            vec![
                fill(),
                message!(QuoteRejected { pair: 1 }),
                message!(ProtectionTriggered { fills: 1 }),
                message!(MassQuoteAck { client_order_id: client_order_id }),
            ],
        ),
        (
            message!(OrderBatch { client_order_id: client_order_id, count: 17 }),
            vec![message!(RequestRejected { client_order_id: client_order_id })],
        ),
        (
            message!(OrderQuery { client_order_id: client_order_id, order_id: order_id }),
            vec![message!(OrderStatus { order_id: order_id })],
        ),
        (
            AccountQuery { client_order_id }.into(),
            vec![
                message!(OrderStatus { order_id: order_id }),
                message!(CreditBalance { free: joulebook_types::MicroEc::ZERO }),
                message!(CapacityBalance { free: 1 }),
                snapshot_end(),
            ],
        ),
    ];
    cases.extend(done().into_iter().map(|request| (request, vec![request_done()])));
    cases
}

fn request_done() -> Event {
    message!(RequestDone { client_order_id: id(1) })
}

/// Sends the event numbered, as the engine does, unless it is one that has no number.
fn tell(pipe: &mut Pipe, event_seq: u64, event: &Event) -> Option<ClientOrderId> {
    macro_rules! numbered {
        ($($kind:ident)*; $($query:ident)*) => {
            match event {
                $(Event::$kind(event) => pipe.event(&$kind { stamp: stamp(event_seq), ..*event }),)*
                $(Event::$query(event) => pipe.event(event),)*
            }
        };
    }
    numbered!(
        OrderAccepted RequestRejected OrderFilled OrderCanceled OrderReplaced MassCancelDone TokenOrderDone
        RequestDone RequestRepeated OrderTriggered LegDone SweepDone MassQuoteAck QuoteRejected
        ProtectionTriggered;
        OrderStatus CreditBalance CapacityBalance SnapshotEnd
    );
    match pipe.seen.last() {
        Some(ClientOutput::Event { answers, .. }) => *answers,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_request_has_its_answer() {
    for (request, events) in cases() {
        let mut pipe = Pipe::trading();
        pipe.client.request(&request, TimeNs::new(pipe.now_ns)).expect("room");
        pipe.settle();
        assert_eq!(pipe.commands, [request], "it arrives");
        let (answer, before) = events.split_last().expect("an answer");
        let mut seq = 0;
        for event in before {
            seq += u64::from(!is_unnumbered(event));
            assert_eq!(tell(&mut pipe, seq, event), None, "{}: {} is not it", request.name(), event.name());
        }
        assert_eq!(tell(&mut pipe, seq + 1, answer), Some(id(1)), "{}", request.name());
        assert_eq!(pipe.client.unanswered(), 0, "{}", request.name());
        if !is_unnumbered(answer) {
            assert_eq!(tell(&mut pipe, seq + 2, answer), None, "{}: once", request.name());
        }
    }
}

#[test]
fn every_request_may_be_refused_or_have_been_answered_before() {
    for (request, _) in cases() {
        let outcomes: [Event; 2] = [
            message!(RequestRejected { client_order_id: id(1) }),
            message!(RequestRepeated { client_order_id: id(1) }),
        ];
        for outcome in outcomes {
            let mut pipe = Pipe::trading();
            pipe.client.request(&request, TimeNs::new(pipe.now_ns)).expect("room");
            pipe.settle();
            assert_eq!(tell(&mut pipe, 1, &outcome), Some(id(1)), "{}", request.name());
            assert_eq!(pipe.client.unanswered(), 0, "{}", request.name());
        }
    }
}

#[test]
fn what_happens_to_orders_later_answers_nothing() {
    let mut pipe = Pipe::trading();
    // Market by budget: accepted, then filled, then done.
    pipe.place();
    pipe.settle();
    let order = (id(1), ORDER);
    let later: [Event; 5] = [
        message!(OrderTriggered { client_order_id: order.0, order_id: order.1 }),
        message!(OrderFilled { client_order_id: order.0, order_id: order.1 }),
        message!(SweepDone { client_order_id: order.0, order_id: order.1 }),
        message!(OrderCanceled { client_order_id: order.0, order_id: order.1 }),
        message!(OrderReplaced { client_order_id: order.0, order_id: order.1 }),
    ];
    for (seq, event) in (1..).zip(&later) {
        assert_eq!(tell(&mut pipe, seq, event), None, "{}", event.name());
    }
    assert_eq!(tell(&mut pipe, 6, &message!(OrderAccepted { client_order_id: id(1) })), Some(id(1)));
}

fn is_unnumbered(event: &Event) -> bool {
    matches!(
        event,
        Event::OrderStatus(_) | Event::CreditBalance(_) | Event::CapacityBalance(_) | Event::SnapshotEnd(_)
    )
}
