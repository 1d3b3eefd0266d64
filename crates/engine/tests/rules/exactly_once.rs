//! A client order id has an effect at most once, and the answer to a repeat is what happened the first time.

use joulebook_protocol::messages::{CancelOrder, Genesis, NewOrder, OrderQuery};
use joulebook_types::{ClientOrderId, SlotHint};

use crate::market::*;

fn numbered(id: u64, order: NewOrder) -> NewOrder {
    NewOrder { client_order_id: ClientOrderId::new(id), ..order }
}

#[test]
fn a_repeat_has_no_effect_and_says_what_happened() {
    let mut market = Market::trading();
    let mut send = |id, order| market.send_raw(BUYER, 1, numbered(id, order));
    assert_eq!(send(5, buy(1, "20.00"))[0], "20: accepted 1 buy 1@20.00");
    assert_eq!(send(7, buy(0, "20.00")), ["20: rejected QtyZero"]);
    let cases: &[(&str, u64, &str)] = &[
        ("accepted", 5, "20: repeated 5 Accepted order 1 reason 0"),
        ("rejected", 7, "20: repeated 7 Rejected order 0 reason 23"),
        ("a gap", 6, "20: repeated 6 NeverSeen order 0 reason 0"),
        ("accepted, again", 5, "20: repeated 5 Accepted order 1 reason 0"),
    ];
    for (name, id, line) in cases {
        assert_eq!(send(*id, buy(9, "25.00")), [*line], "{name}");
    }
    assert_eq!(send(8, buy(1, "20.00"))[0], "20: accepted 2 buy 1@20.00");
    assert_eq!(market.engine.open_order_count(), 2);
}

#[test]
fn zero_is_refused_and_not_remembered() {
    let mut market = Market::trading();
    assert_eq!(market.send_raw(BUYER, 1, numbered(0, buy(0, "0"))), ["20: rejected ClientOrderIdZero"]);
    assert_eq!(market.send_raw(BUYER, 1, numbered(0, buy(0, "0"))), ["20: rejected ClientOrderIdZero"]);
    assert_eq!(market.send_raw(METER, 1, numbered(0, buy(0, "0"))), ["3: rejected NotAuthorised"]);
    assert_eq!(market.send_raw(BUYER, 1, numbered(1, buy(1, "20.00")))[0], "20: accepted 1 buy 1@20.00");
}

#[test]
fn what_is_no_longer_retained_is_too_old() {
    let mut market = Market::with_limits(Genesis { session_outcomes_max: 3, ..GENESIS });
    market.list(HOUR);
    market.deposit(BUYER, 1_000_000);
    for id in [10, 20, 30, 40, 50] {
        market.send_raw(BUYER, 1, numbered(id, buy(1, "20.00")));
    }
    for (id, status) in [
        (5, "TooOld"),
        (20, "TooOld"),
        (25, "NeverSeen"),
        (30, "Accepted"),
        (45, "NeverSeen"),
        (50, "Accepted"),
    ] {
        let said = market.send_raw(BUYER, 1, numbered(id, buy(1, "20.00")));
        assert!(said[0].starts_with(&format!("20: repeated {id} {status}")), "{said:?}");
    }
    // Too old to remember, but still open: the order query is the way on.
    let query = OrderQuery { order_id: joulebook_types::OrderId::new(1), ..Default::default() };
    assert_eq!(market.send_raw(BUYER, 1, query), ["20: status 1 buy 1@20.00 leaves 1"]);
}

#[test]
fn a_full_exchange_still_knows_the_newest_requests_of_every_session() {
    let mut market = Market::with_limits(Genesis { outcomes_max: 1, ..GENESIS });
    market.list(HOUR);
    market.deposit(BUYER, 1_000_000);
    market.send_raw(BUYER, 1, numbered(5, buy(1, "20.00")));
    let again = market.send_raw(BUYER, 1, numbered(5, buy(1, "20.00")));
    assert_eq!(again, ["20: repeated 5 Accepted order 1 reason 0"]);
    let by_request = CancelOrder {
        client_order_id: ClientOrderId::new(6),
        target: ClientOrderId::new(5),
        slot: SlotHint::UNKNOWN,
        ..Default::default()
    };
    assert_eq!(market.send_raw(BUYER, 1, by_request)[0], "20: canceled 1 of 1 Requested");
}

#[test]
fn ids_are_per_logical_session_and_survive_reconnects_and_restarts() {
    let mut market = Market::trading();
    market.send_raw(BUYER, 1, numbered(5, buy(1, "20.00")));
    market.log_on(BUYER, 2);
    assert_eq!(market.send_raw(BUYER, 2, numbered(5, buy(1, "20.00")))[0], "20: accepted 2 buy 1@20.00");
    market.system(joulebook_protocol::messages::Restarted::default());
    let said = market.log_on_with(BUYER, 1, 2_099, 1, u32::MAX);
    assert_eq!(said, ["20: welcome hwm 5 last 1 resend 0 snapshot 0"]);
    let said = market.send_raw(BUYER, 1, numbered(5, buy(1, "20.00")));
    assert_eq!(said, ["20: repeated 5 Accepted order 1 reason 0"]);
    assert_eq!(market.engine.open_order_count(), 2);
}
