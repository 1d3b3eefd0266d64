//! Several requests in one message, and lots taken off.

use core::mem::offset_of;

use joulebook_protocol::messages::{BatchEntry, NewOrder, OrderBatch, ReduceOrder};
use joulebook_protocol::{Event, Message, RejectReason};
use joulebook_types::{ClientOrderId, InstrumentId, OrderId, Side, SlotHint, Trigger};

use crate::market::*;

fn new(order: NewOrder) -> BatchEntry {
    let NewOrder { side, time_in_force, flags, instrument, qty, price, .. } = order;
    BatchEntry {
        kind: BatchEntry::NEW,
        side,
        time_in_force,
        flags,
        instrument,
        qty,
        price,
        ..Default::default()
    }
}

fn named(kind: u8, order_id: u64, qty: u32, at: &str) -> BatchEntry {
    let (order_id, slot) = (OrderId::new(order_id), SlotHint::UNKNOWN);
    BatchEntry { kind, order_id, slot, qty, price: price(at), ..Default::default() }
}

fn batch(entries: &[BatchEntry]) -> OrderBatch {
    let mut all = [BatchEntry::default(); 16];
    for (place, entry) in all.iter_mut().zip(entries) {
        *place = *entry;
    }
    OrderBatch { count: entries.len() as u8, entries: all, ..Default::default() }
}

#[test]
fn a_batch_says_what_its_entries_say_one_after_another() {
    let mut market = Market::trading();
    let entries = [
        new(buy(5, "27.00")),
        new(sell(1, "28.00")),
        named(BatchEntry::REPLACE, 1, 4, "27.00"),
        named(BatchEntry::REDUCE, 1, 1, "0"),
        named(BatchEntry::CANCEL, 1, 0, "0"),
        new(post_only(buy(2, "26.00"))),
    ];
    assert_eq!(
        market.send(BUYER, batch(&entries)),
        [
            "20: accepted 1 buy 5@27.00",
            "20: rejected InsufficientCapacity",
            "20: replaced 1 4@27.00 leaves 4 kept",
            "20: replaced 1 3@27.00 leaves 3 kept",
            "20: canceled 3 of 1 Requested",
            "20: accepted 2 buy 2@26.00",
        ]
    );
    let ids: Vec<u64> = market
        .private_events()
        .iter()
        .map(|event| match event {
            Event::OrderAccepted(e) => e.client_order_id.raw(),
            Event::RequestRejected(e) => e.client_order_id.raw(),
            Event::OrderReplaced(e) => e.request.raw(),
            Event::OrderCanceled(e) => e.request.raw(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6], "each entry has its own number");
}

#[test]
fn stops_that_an_entry_triggers_act_before_the_next_entry() {
    let mut market = Market::trading();
    let stop = NewOrder { trigger: Trigger::Stop.raw(), trigger_price: price("27.00"), ..buy(2, "28.00") };
    market.send(BUYER, stop);
    market.send(SELLER, sell(1, "27.00"));
    market.send(SELLER, sell(2, "27.50"));
    assert_eq!(
        market.send(BUYER_2, batch(&[new(ioc(buy(1, "27.00"))), new(ioc(buy(1, "27.50")))])),
        [
            "21: accepted 4 buy 1@27.00",
            "10: filled 2 1@27.00 leaves 0 maker fee 0.00",
            "21: filled 4 1@27.00 leaves 0 taker fee 0.00",
            "20: triggered 1 at 27.00 by 27.00",
            "10: filled 3 2@27.50 leaves 0 maker fee 0.00",
            "20: filled 1 2@27.50 leaves 0 taker fee 0.00",
            "21: accepted 5 buy 1@27.50",
            "21: canceled 1 of 5 ImmediateRemainder",
        ]
    );
}

#[test]
fn a_refused_entry_names_the_message_that_it_stands_for() {
    let mut market = Market::trading();
    let entries = [new(buy(0, "27.00")), named(BatchEntry::CANCEL, 9, 0, "0"), named(7, 0, 0, "0")];
    market.send(BUYER, batch(&entries));
    let refused: Vec<_> = market
        .private_events()
        .iter()
        .map(|event| match event {
            Event::RequestRejected(e) => (e.client_order_id.raw(), e.template_id, e.field_offset, e.value),
            other => panic!("{other:?}"),
        })
        .collect();
    let kind = offset_of!(OrderBatch, entries) + 2 * size_of::<BatchEntry>() + offset_of!(BatchEntry, kind);
    assert_eq!(
        refused,
        [
            (1, NewOrder::TEMPLATE_ID, offset_of!(NewOrder, qty) as u16, 0),
            (2, 21, 8, 0),
            (3, OrderBatch::TEMPLATE_ID, kind as u16, 7),
        ]
    );
}

#[test]
fn entries_are_carried_out_once_each() {
    let mut market = Market::trading();
    let batch = OrderBatch {
        client_order_id: ClientOrderId::new(5),
        ..batch(&[new(buy(1, "27.00")), new(buy(0, "27.00")), new(buy(1, "26.00"))])
    };
    market.send_raw(BUYER, 1, batch);
    assert_eq!(
        market.send_raw(BUYER, 1, batch),
        [
            "20: repeated 5 Accepted order 1 reason 0",
            "20: repeated 6 Rejected order 0 reason 23",
            "20: repeated 7 Accepted order 2 reason 0",
        ]
    );
    let overlapping = OrderBatch { client_order_id: ClientOrderId::new(7), ..batch };
    let said = market.send_raw(BUYER, 1, overlapping);
    assert!(said[0].starts_with("20: repeated 7"), "{said:?}");
    assert_eq!(said[1], "20: rejected QtyZero");
    assert!(said[2].starts_with("20: accepted 3 buy"), "{said:?}");
}

#[test]
fn a_count_out_of_range_refuses_all_as_one() {
    for count in [0, 17, 255] {
        let mut market = Market::trading();
        let said = market.send(BUYER, OrderBatch { count, ..batch(&[new(buy(1, "27.00")); 16]) });
        assert_eq!(said, ["20: rejected InvalidCount"]);
        let offset = offset_of!(OrderBatch, count);
        assert_eq!(market.last_reject(), (RejectReason::InvalidCount, offset, 16, i64::from(count)));
        assert!(market.send_raw(BUYER, 1, buy(1, "27.00")).len() == 1, "zero is no number");
        assert!(market.send_from(BUYER, 1, buy(1, "27.00"))[0].contains("accepted"), "one number is used up");
    }
    let mut market = Market::trading();
    let last = |back: u64| ClientOrderId::new(u64::MAX - back);
    let two = batch(&[new(buy(1, "27.00")); 2]);
    let said = market.send_raw(BUYER, 1, OrderBatch { client_order_id: last(0), ..two });
    assert_eq!(said, ["20: rejected InvalidCount"], "there is no number after the last");
    let said = market.send_raw(BUYER_2, 1, OrderBatch { client_order_id: last(1), ..two });
    assert_eq!(said.iter().filter(|line| line.contains("accepted")).count(), 2, "{said:?}");
    let said = market.send_raw(MAKER, 1, OrderBatch { client_order_id: ClientOrderId::NONE, ..two });
    assert_eq!(said, ["30: rejected ClientOrderIdZero"]);
}

#[test]
fn who_may_not_trade_hears_it_for_every_entry() {
    let mut market = Market::trading();
    let said = market.send(METER, batch(&[new(buy(1, "27.00")), named(BatchEntry::CANCEL, 1, 0, "0")]));
    assert_eq!(said, ["3: rejected NotAuthorised", "3: rejected NotAuthorised"]);
}

#[test]
fn an_order_is_named_by_an_earlier_entry() {
    let mut market = Market::trading();
    let cancel = BatchEntry { target: ClientOrderId::new(1), ..named(BatchEntry::CANCEL, 0, 0, "0") };
    let said = market.send(BUYER, batch(&[new(buy(3, "27.00")), cancel]));
    assert_eq!(said, ["20: accepted 1 buy 3@27.00", "20: canceled 3 of 1 Requested"]);
}

#[test]
fn reduce_keeps_the_place() {
    let mut market = Market::trading();
    market.send(BUYER, buy(5, "27.00"));
    market.send(BUYER_2, buy(5, "27.00"));
    assert_eq!(
        market.send_all(BUYER, reduce(1, 2)),
        ["20: replaced 1 3@27.00 leaves 3 kept", "* reduced 1 leaves 3, buy 27.00: 8 in 2"]
    );
    assert_eq!(market.credits(BUYER).1, 3 * 216_000_000, "what it held for them is free");
    market.send(SELLER, sell(1, "27.00"));
    assert_eq!(market.send(BUYER, reduce(1, 1)), ["20: replaced 1 2@27.00 leaves 1 kept"]);
    assert_eq!(market.send(BUYER, reduce(1, 1)), ["20: canceled 1 of 1 ReducedToZero"]);
    assert_eq!(market.send(BUYER_2, reduce(2, 99)), ["21: canceled 5 of 2 ReducedToZero"]);
    assert!(market.resting(1, Side::Buy).is_empty());
}

#[test]
fn reduce_is_refused_for_nothing_and_for_no_order() {
    let mut market = Market::trading();
    market.send(BUYER, buy(5, "27.00"));
    market.send(BUYER, reduce(1, 0));
    let lots = offset_of!(ReduceOrder, lots);
    assert_eq!(market.last_reject(), (RejectReason::QtyZero, lots, 1, 0));
    let Some(Event::RequestRejected(refused)) = market.private_events().pop() else { panic!() };
    assert_eq!((refused.order_id, refused.instrument), (OrderId::new(1), InstrumentId::new(1)));
    assert_eq!(market.send(BUYER_2, reduce(1, 1)), ["21: rejected UnknownOrder"]);
    assert_eq!(market.last_reject(), (RejectReason::UnknownOrder, 8, 0, 0));
}

#[test]
fn another_session_may_reduce_and_both_hear_of_it() {
    let mut market = Market::trading();
    market.send(BUYER, buy(5, "27.00"));
    market.log_on(BUYER, 2);
    let said = market.send_from(BUYER, 2, reduce(1, 2));
    assert_eq!(
        said,
        [
            "20: replaced 1 3@27.00 leaves 3 kept",
            "20: replaced 1 3@27.00 leaves 3 kept",
            "* reduced 1 leaves 3, buy 27.00: 3 in 1",
        ]
    );
    let said = market.send_from(BUYER, 2, reduce(1, 3));
    assert_eq!(said.iter().filter(|line| line.contains("ReducedToZero")).count(), 2);
}
