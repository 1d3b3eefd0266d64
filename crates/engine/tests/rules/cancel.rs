//! Canceling one order.

use joulebook_protocol::messages::CancelOrder;
use joulebook_types::{ClientOrderId, OrderId, SlotHint};

use crate::market::*;

#[test]
fn an_order_is_named_by_id_by_slot_or_by_its_request() {
    let mut market = Market::trading();
    let by = |order_id, target, slot| CancelOrder {
        order_id: OrderId::new(order_id),
        target: ClientOrderId::new(target),
        slot: SlotHint::new(slot),
        ..Default::default()
    };
    // Orders 1 to 5 lie in slots 0 to 4 and were entered by requests 1 to 5.
    for lots in 1..=5 {
        market.send(BUYER, buy(lots, "20.00"));
    }
    for (name, cancel, line) in [
        ("id and right slot", by(2, 0, 1), "20: canceled 2 of 2 Requested"),
        ("id and wrong slot", by(3, 0, 0), "20: canceled 3 of 3 Requested"),
        ("id and slot out of range", by(4, 0, 77), "20: canceled 4 of 4 Requested"),
        ("request", by(0, 5, u32::MAX), "20: canceled 5 of 5 Requested"),
        ("gone", by(5, 0, 4), "20: rejected UnknownOrder"),
        ("request of a cancel", by(0, 6, u32::MAX), "20: rejected UnknownOrder"),
        ("request that never was", by(0, 99, u32::MAX), "20: rejected UnknownOrder"),
        ("no name at all", by(0, 0, 0), "20: rejected UnknownOrder"),
        ("never entered", by(1_000_000_000_000, 0, 0), "20: rejected UnknownOrder"),
    ] {
        assert_eq!(market.send(BUYER, cancel), [line], "{name}");
    }
    assert_eq!(market.engine.open_order_count(), 1);
}

#[test]
fn a_replace_gives_the_order_no_second_name() {
    let mut market = Market::trading();
    let by_request = |target| CancelOrder { target: ClientOrderId::new(target), ..cancel(0) };
    market.send(BUYER, buy(5, "20.00"));
    market.send(BUYER, replace(1, 4, "20.00"));
    assert_eq!(market.send(BUYER, by_request(2)), ["20: rejected UnknownOrder"]);
    assert_eq!(market.send(BUYER, by_request(1)), ["20: canceled 4 of 1 Requested"]);
}

#[test]
fn a_reused_slot_does_not_name_the_new_order() {
    let mut market = Market::trading();
    market.send(BUYER, buy(1, "20.00"));
    market.send(BUYER, cancel(1));
    market.send(BUYER, buy(1, "20.00"));
    let stale = CancelOrder { slot: SlotHint::new(0), ..cancel(1) };
    assert_eq!(market.send(BUYER, stale), ["20: rejected UnknownOrder"]);
}

#[test]
fn orders_of_other_accounts_do_not_exist() {
    let mut market = Market::trading();
    market.send(BUYER, buy(1, "20.00"));
    assert_eq!(market.send(BUYER_2, cancel(1)), ["21: rejected UnknownOrder"]);
    let with_slot = CancelOrder { slot: SlotHint::new(0), ..cancel(1) };
    assert_eq!(market.send(BUYER_2, with_slot), ["21: rejected UnknownOrder"]);
}

#[test]
fn any_session_of_the_account_may_cancel_and_both_hear_of_it() {
    let mut market = Market::trading();
    market.log_on(BUYER, 2);
    market.send(BUYER, buy(4, "20.00"));
    let said = market.send_from(BUYER, 2, cancel(1));
    assert_eq!(
        said,
        [
            "20: canceled 4 of 1 Requested",
            "* removed 1 leaves 0, buy 20.00: 0 in 0",
            "20: canceled 4 of 1 Requested"
        ]
    );
    let requests: Vec<_> = market
        .private_events()
        .into_iter()
        .map(|event| match event {
            joulebook_protocol::Event::OrderCanceled(event) => {
                (event.client_order_id.raw(), event.request.raw())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(requests, [(1, 0), (0, 1)], "each in its own numbers");
}
