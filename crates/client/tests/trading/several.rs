//! Requests that stand for several orders, and what the operator does: through the client, over real QUIC, by the real
//! engine.

use joulebook_client::{Client, Events, Notice, Rejection};
use joulebook_protocol::messages::{
    Basket, BasketLeg, BatchEntry, BlockSweep, KillSwitch, MassQuote, NewOrder, OcoOrder, OrderBatch,
    QuotePair, ReduceOrder, SetDeadMan, SetProtection,
};
use joulebook_protocol::{Event, RejectReason};
use joulebook_types::{ClientOrderId, OrderType, Price, Side, TimeInForce};

use crate::exchange::{ALICE, BOB, BOOK, Exchange};

fn entry(kind: u8, side: Side, price: i64, qty: u32) -> BatchEntry {
    BatchEntry {
        kind,
        side: side.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        instrument: BOOK,
        qty,
        price: cents(price),
        ..BatchEntry::default()
    }
}

fn cents(cents: i64) -> Price {
    Price::new(cents * 10_000)
}

fn order(side: Side, price: i64, qty: u32) -> NewOrder {
    let (side, time_in_force) = (side.raw(), TimeInForce::Gtc.raw());
    NewOrder { price: cents(price), instrument: BOOK, qty, side, time_in_force, ..NewOrder::default() }
}

fn reason(rejection: Rejection) -> RejectReason {
    match rejection {
        Rejection::Rejected(rejected) => RejectReason::from_raw(rejected.reason).expect("a known code"),
        other => panic!("{other}"),
    }
}

async fn event(events: &mut Events) -> Event {
    match events.next().await.expect("the session goes on") {
        Notice::Event { event, .. } => event,
        other => panic!("{other:?}"),
    }
}

async fn alice_and_bob(exchange: &Exchange) -> ((Client, Events), Client) {
    (exchange.connect(ALICE).await.unwrap(), exchange.connect(BOB).await.unwrap().0)
}

#[tokio::test]
async fn entries_of_a_batch_have_outcomes_of_their_own() {
    let exchange = Exchange::start();
    let ((alice, _events), _bob) = alice_and_bob(&exchange).await;
    let mut batch = OrderBatch { count: 4, ..OrderBatch::default() };
    batch.entries[0] = entry(BatchEntry::NEW, Side::Sell, 2_700, 4);
    // Off the tick.
    batch.entries[1] =
        BatchEntry { price: Price::new(27_005_000), ..entry(BatchEntry::NEW, Side::Sell, 0, 4) };
    batch.entries[2] =
        BatchEntry { target: ClientOrderId::new(1), ..entry(BatchEntry::REDUCE, Side::Sell, 0, 1) };
    batch.entries[3] =
        BatchEntry { target: ClientOrderId::new(1), ..entry(BatchEntry::CANCEL, Side::Sell, 0, 0) };
    // Both are on their way before either is awaited, so their numbers must not overlap.
    let (batch, single) = (alice.batch(batch), alice.place(order(Side::Sell, 2_800, 1)));
    assert_eq!(single.await.unwrap().client_order_id, ClientOrderId::new(5));
    let outcomes = batch.await.unwrap();
    let [
        Ok(Event::OrderAccepted(new)),
        Err(off_tick),
        Ok(Event::OrderReplaced(less)),
        Ok(Event::OrderCanceled(gone)),
    ] = outcomes.as_slice()
    else {
        panic!("{outcomes:?}")
    };
    assert_eq!(reason(off_tick.clone()), RejectReason::PriceOffTick);
    assert_eq!((new.qty, less.leaves_qty, gone.canceled_qty), (4, 3, 3));
    assert_eq!(alice.unanswered(), 0);

    let empty = alice.batch(OrderBatch::default()).await.unwrap();
    assert_eq!(
        empty.into_iter().map(|outcome| reason(outcome.unwrap_err())).collect::<Vec<_>>(),
        [RejectReason::InvalidCount]
    );
}

#[tokio::test]
async fn a_pair_takes_two_numbers_and_shrinks_not() {
    let exchange = Exchange::start();
    let ((alice, mut events), bob) = alice_and_bob(&exchange).await;
    let pair = OcoOrder {
        price: cents(3_000),
        trigger_price: cents(2_500),
        instrument: BOOK,
        qty: 4,
        side: Side::Sell.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        ..OcoOrder::default()
    };
    let (pair, next) = (alice.place_oco(pair), alice.place(order(Side::Sell, 3_100, 2)));
    let (limit, next) = (pair.await.unwrap(), next.await.unwrap());
    assert_eq!((limit.client_order_id.raw(), next.client_order_id.raw()), (1, 3));
    assert!(
        matches!(event(&mut events).await, Event::OrderAccepted(accepted) if accepted.client_order_id.raw() == 1)
    );
    assert!(
        matches!(event(&mut events).await, Event::OrderAccepted(accepted) if accepted.client_order_id.raw() == 2)
    );

    let leg = ReduceOrder { order_id: limit.order_id, lots: 1, ..ReduceOrder::default() };
    assert_eq!(reason(alice.reduce(leg).await.unwrap_err()), RejectReason::NotReplaceable);
    let less = ReduceOrder { target: next.client_order_id, lots: 1, ..ReduceOrder::default() };
    assert_eq!(alice.reduce(less).await.unwrap().leaves_qty, 1);
    assert!(matches!(alice.reduce(less).await.unwrap_err(), Rejection::Ended { .. }), "none were left");

    // Market by budget: accepted at once, done as an event behind its fills.
    let budget = joulebook_types::MicroEc::from_ec(500);
    let spend = NewOrder {
        budget,
        order_type: OrderType::Budget.raw(),
        time_in_force: TimeInForce::Ioc.raw(),
        ..order(Side::Buy, 0, 0)
    };
    assert_eq!(bob.place(spend).await.unwrap().qty, 0);
}

#[tokio::test]
async fn quotes_baskets_and_sweeps_are_answered_whole() {
    let exchange = Exchange::start();
    let ((alice, mut events), bob) = alice_and_bob(&exchange).await;
    let mut quote = MassQuote { count: 2, ..MassQuote::default() };
    let (bid, ask) = (cents(2_600), cents(2_700));
    quote.pairs[0] = QuotePair { bid, ask, instrument: BOOK, bid_qty: 4, ask_qty: 5, reserved: 0 };
    quote.pairs[1] = QuotePair { instrument: BOOK, ..QuotePair::default() };
    let ack = alice.quote(quote).await.unwrap();
    assert_eq!((ack.accepted, ack.rejected, ack.accepted_pairs), (1, 1, 1));
    assert!(matches!(event(&mut events).await, Event::QuoteRejected(refused) if refused.pair == 1));

    let mut basket = Basket { count: 1, ..Basket::default() };
    basket.legs[0] = BasketLeg {
        price: cents(2_700),
        instrument: BOOK,
        qty: 2,
        side: Side::Buy.raw(),
        ..BasketLeg::default()
    };
    let done = bob.basket(basket).await.unwrap();
    assert_eq!((done.fills, done.average_price), (1, cents(2_700)));
    basket.legs[0].qty = 4;
    assert_eq!(reason(bob.basket(basket).await.unwrap_err()), RejectReason::FokNotFillable);
    let sweep =
        BlockSweep { windows: 2, window_minutes: 60, qty: 1, side: Side::Buy.raw(), ..BlockSweep::default() };
    assert!(matches!(bob.sweep(sweep).await.unwrap_err(), Rejection::Rejected(_)));

    let class = "H200S".parse().unwrap();
    let protect = |client_order_id| {
        let (window_ms, fills_max) = (1_000, 1);
        SetProtection { client_order_id, class, window_ms, fills_max, ..SetProtection::default() }.into()
    };
    alice.request(protect).await.unwrap();
    let set = |id| SetDeadMan { client_order_id: id, timeout_ms: 60_000, ..SetDeadMan::default() }.into();
    alice.request(set).await.unwrap();
    let kill = |client_order_id| {
        let (scope, action) = (KillSwitch::SCOPE_ACCOUNT, KillSwitch::KILL);
        KillSwitch { client_order_id, scope, action, ..KillSwitch::default() }.into()
    };
    assert_eq!(alice.request(kill).await.unwrap().result, 2, "both sides of the quote");
    assert_eq!(
        reason(alice.place(order(Side::Sell, 2_700, 1)).await.unwrap_err()),
        RejectReason::EntryDisabled
    );
    assert_eq!((alice.unanswered(), bob.unanswered()), (0, 0));
}
