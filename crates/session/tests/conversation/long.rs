//! Requests that stand for several, and requests of two kilobytes.

use joulebook_protocol::messages::{
    BatchEntry, LogonAccepted, MassQuote, MassQuoteAck, OcoOrder, OrderBatch, OrderCanceled, QuotePair,
    RequestRejected, RequestRepeated,
};
use joulebook_protocol::{Command, RejectReason};
use joulebook_session::{Intake, SessionLimits};
use joulebook_types::{ClientOrderId, InstrumentId, OrderId, Price, TimeNs};

use crate::pipe::*;

fn quotes(client_order_id: ClientOrderId, count: usize) -> MassQuote {
    let mut quote = MassQuote { client_order_id, count: count as u8, ..Default::default() };
    for (number, pair) in (1..).zip(&mut quote.pairs[..count]) {
        let (bid, ask) = (Price::new(100), Price::new(200));
        *pair = QuotePair {
            bid,
            ask,
            instrument: InstrumentId::new(number),
            bid_qty: 1,
            ask_qty: 2,
            reserved: 0,
        };
    }
    quote
}

fn batch(client_order_id: ClientOrderId) -> OrderBatch {
    let mut batch = OrderBatch { client_order_id, count: 3, ..Default::default() };
    batch.entries[0] = BatchEntry { kind: BatchEntry::NEW, side: 1, qty: 5, ..Default::default() };
    let order_id = OrderId::new(70);
    batch.entries[1] = BatchEntry { kind: BatchEntry::CANCEL, order_id, ..Default::default() };
    batch.entries[2] = BatchEntry { kind: 99, ..Default::default() };
    batch
}

fn ask(pipe: &mut Pipe, request: impl Into<Command>) -> ClientOrderId {
    let id = pipe.client.request(&request.into(), TimeNs::new(pipe.now_ns)).expect("room");
    pipe.settle();
    id
}

#[test]
fn requests_of_every_length_arrive_as_they_were_sent() {
    let mut pipe = Pipe::trading();
    let mut sent = Vec::new();
    for count in 1..=MassQuote::PAIRS_MAX {
        let id = pipe.client.next_client_order_id().unwrap();
        sent.push(Command::from(quotes(id, count)));
        pipe.client.request(&sent[count - 1], TimeNs::new(pipe.now_ns)).expect("room");
    }
    pipe.settle();
    assert_eq!(pipe.commands, sent);
    let ack = MassQuoteAck { stamp: stamp(1), client_order_id: id(1), ..Default::default() };
    pipe.event(&ack);
    assert_eq!((pipe.answers(), pipe.client.unanswered()), (vec![id(1)], 63));

    pipe.reconnect();
    pipe.accept(LogonAccepted { last_event_seq: 1, last_client_order_id: id(64), ..accepted() });
    pipe.settle();
    assert_eq!(pipe.commands, sent[1..], "what has no answer is sent again, whole");
}

#[test]
fn entries_of_a_batch_are_answered_one_by_one() {
    let mut pipe = Pipe::trading();
    assert_eq!(ask(&mut pipe, batch(id(1))), id(1));
    assert_eq!((pipe.client.unanswered(), pipe.place()), (3, id(4)), "it takes three numbers");
    pipe.settle();
    pipe.event(&ack(1, id(1)));
    let wrong =
        OrderCanceled { stamp: stamp(2), request: id(2), order_id: OrderId::new(71), ..Default::default() };
    pipe.event(&wrong);
    assert_eq!(
        (pipe.answers(), pipe.client.unanswered()),
        (vec![id(1)], 3),
        "the cancel hit its order's partner"
    );

    pipe.reconnect();
    pipe.accept(LogonAccepted { last_event_seq: 2, last_client_order_id: id(1), ..accepted() });
    pipe.settle();
    assert_eq!(pipe.commands[0], batch(id(1)).into(), "two entries have no answer");
    pipe.event(&RequestRepeated { stamp: stamp(3), client_order_id: id(1), ..Default::default() });
    pipe.event(&OrderCanceled { stamp: stamp(4), order_id: OrderId::new(70), ..wrong });
    pipe.event(&RequestRejected { stamp: stamp(5), client_order_id: id(3), ..Default::default() });
    assert_eq!((pipe.answers(), pipe.client.unanswered()), (vec![id(2), id(3)], 1));
}

#[test]
fn a_refused_batch_is_refused_whole() {
    let mut pipe = Pipe::trading();
    pipe.intake = Intake::ReadOnly;
    ask(&mut pipe, batch(id(1)));
    assert_eq!(pipe.refusals(), [(id(1), RejectReason::ReadOnly.raw())]);
    assert_eq!((pipe.client.unanswered(), pipe.commands.len()), (0, 0));
    let empty = OrderBatch { client_order_id: id(4), ..Default::default() };
    ask(&mut pipe, empty);
    assert_eq!(pipe.place(), id(5), "without entries it is one request");
}

#[test]
fn a_batch_costs_as_much_as_its_entries() {
    let limits = SessionLimits { orders_per_s: 10, order_burst: 5, ..Default::default() };
    let mut pipe = Pipe::new(trader(), limits);
    pipe.accept(accepted());
    ask(&mut pipe, batch(id(1)));
    ask(&mut pipe, batch(id(4)));
    assert_eq!(pipe.refusals(), [(id(4), RejectReason::Throttled.raw())], "two are left, three are wanted");
    assert_eq!((pipe.commands.len(), pipe.client.unanswered()), (1, 3));
    pipe.pass_time(100);
    ask(&mut pipe, batch(id(7)));
    assert_eq!(pipe.commands.len(), 2);
    pipe.pass_time(500);
    let entry = BatchEntry { kind: BatchEntry::NEW, qty: 1, ..Default::default() };
    let full = OrderBatch { client_order_id: id(10), count: 16, entries: [entry; 16], ..Default::default() };
    ask(&mut pipe, full);
    assert_eq!(pipe.commands.len(), 3, "more than the burst is taken by a full bucket");
}

#[test]
fn two_orders_that_cancel_each_other_take_two_numbers_and_one_answer() {
    let mut pipe = Pipe::new(trader(), SessionLimits::default());
    pipe.accept(accepted());
    ask(&mut pipe, OcoOrder { client_order_id: id(1), qty: 3, ..Default::default() });
    assert_eq!(pipe.place(), id(3));
    pipe.settle();
    pipe.event(&ack(1, id(1)));
    pipe.event(&ack(2, id(2)));
    pipe.event(&ack(3, id(3)));
    assert_eq!((pipe.answers(), pipe.client.unanswered()), (vec![id(1), id(3)], 0));
}
