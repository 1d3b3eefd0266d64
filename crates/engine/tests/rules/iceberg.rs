//! Icebergs: one slice shows, the next joins the back of its price.

use joulebook_protocol::messages::NewOrder;
use joulebook_types::{SelfTradeMode, Side};

use crate::market::*;

/// Shows `display` lots at a time.
fn iceberg(display_qty: u32, order: NewOrder) -> NewOrder {
    NewOrder { display_qty, ..order }
}

/// Order 1 of the seller, 10 lots of which 4 show, and order 2 of another, 3 lots behind it.
fn market() -> Market {
    let mut market = Market::trading();
    market.send(SELLER, iceberg(4, sell(10, "27.00")));
    market.send(SELLER_2, sell(3, "27.00"));
    market
}

#[test]
fn one_slice_shows_and_its_owner_sees_all() {
    let mut market = Market::trading();
    assert_eq!(
        market.send_all(SELLER, iceberg(4, sell(10, "27.00"))),
        ["10: accepted 1 sell 10@27.00", "* added 1 leaves 4, sell 27.00: 4 in 1"]
    );
    assert_eq!(market.resting(1, Side::Sell), ["4 at 27.00 in 1"]);
    let order = market.engine.open_orders().next().unwrap();
    assert_eq!((order.qty, order.leaves), (10, 10));
    let held = 10 * 8;
    assert_eq!(market.engine.recount(), Ok(()));
    assert!(
        market.send(SELLER, sell(101 - 10, "28.00"))[0].contains("InsufficientCapacity"),
        "{held} are held"
    );
}

#[test]
fn the_next_slice_joins_the_back_of_its_price_when_one_is_exhausted() {
    let mut market = market();
    assert_eq!(
        market.send_all(BUYER, buy(9, "27.00")),
        [
            "20: accepted 3 buy 9@27.00",
            "* trade 1 4@27.00 buy",
            "10: filled 1 4@27.00 leaves 6 maker fee 0.00",
            "20: filled 3 4@27.00 leaves 5 taker fee 0.00",
            "* filled 1 leaves 0, sell 27.00: 3 in 1",
            "* added 1 leaves 4, sell 27.00: 7 in 2",
            "* trade 2 3@27.00 buy",
            "11: filled 2 3@27.00 leaves 0 maker fee 0.00",
            "20: filled 3 3@27.00 leaves 2 taker fee 0.00",
            "* filled 2 leaves 0, sell 27.00: 4 in 1",
            "* trade 3 2@27.00 buy",
            "10: filled 1 2@27.00 leaves 4 maker fee 0.00",
            "20: filled 3 2@27.00 leaves 0 taker fee 0.00",
            "* filled 1 leaves 2, sell 27.00: 2 in 1",
        ]
    );
    let said = market.send_all(BUYER, ioc(buy(9, "27.00")));
    assert!(said.contains(&"* added 1 leaves 2, sell 27.00: 2 in 1".to_string()), "the last slice: {said:?}");
    assert!(said.contains(&"10: filled 1 2@27.00 leaves 0 maker fee 0.00".to_string()));
    assert_eq!(market.engine.open_order_count(), 0);
}

#[test]
fn a_slice_that_is_not_exhausted_keeps_its_place() {
    let mut market = market();
    market.send(BUYER, ioc(buy(3, "27.00")));
    assert_eq!(market.resting(1, Side::Sell), ["4 at 27.00 in 2"]);
    let said = market.send(BUYER, ioc(buy(1, "27.00")));
    assert_eq!(said[1], "10: filled 1 1@27.00 leaves 6 maker fee 0.00");
}

#[test]
fn as_taker_the_whole_size_trades() {
    let mut market = Market::trading();
    market.send(SELLER, sell(7, "27.00"));
    assert_eq!(
        market.send_all(BUYER, iceberg(2, buy(10, "27.00")))[2..],
        [
            "10: filled 1 7@27.00 leaves 0 maker fee 0.00",
            "20: filled 2 7@27.00 leaves 3 taker fee 0.00",
            "* filled 1 leaves 0, sell 27.00: 0 in 0",
            "* added 2 leaves 2, buy 27.00: 2 in 1",
        ]
    );
}

#[test]
fn hidden_lots_count_for_all_or_nothing() {
    for (qty, filled) in [(13, true), (14, false)] {
        let mut market = market();
        let said = market.send(BUYER, fok(buy(qty, "27.00")));
        assert_eq!(said[0].contains("accepted"), filled, "{qty}: {said:?}");
        assert_eq!(market.engine.open_order_count(), if filled { 0 } else { 2 });
    }
}

#[test]
fn a_post_only_order_never_trades_with_hidden_lots() {
    let mut market = market();
    for bought in [0, 4, 3] {
        if bought > 0 {
            market.send(BUYER_2, ioc(buy(bought, "27.00")));
        }
        let said = market.send(BUYER, post_only(buy(1, "27.00")));
        assert_eq!(said, ["20: rejected PostOnlyWouldTrade"], "after {bought}");
    }
    assert_eq!(market.resting(1, Side::Sell), ["4 at 27.00 in 1"], "two more are hidden");
}

#[test]
fn a_smaller_size_takes_hidden_lots_first() {
    let mut market = market();
    assert_eq!(market.send_all(SELLER, reduce(1, 5)), ["10: replaced 1 5@27.00 leaves 5 kept"]);
    assert_eq!(
        market.send_all(SELLER, replace(1, 3, "27.00")),
        ["10: replaced 1 3@27.00 leaves 3 kept", "* reduced 1 leaves 3, sell 27.00: 6 in 2"],
        "one hidden lot and one of the slice"
    );
    assert_eq!(market.send(BUYER, buy(1, "27.00"))[1], "10: filled 1 1@27.00 leaves 2 maker fee 0.00");
    assert_eq!(market.send_all(SELLER, reduce(1, 2))[0], "10: canceled 2 of 1 ReducedToZero");
}

#[test]
fn a_larger_size_goes_to_the_back_with_a_fresh_slice() {
    let mut market = market();
    market.send(BUYER, ioc(buy(1, "27.00")));
    assert_eq!(
        market.send_all(SELLER, replace(1, 12, "27.00")),
        [
            "10: replaced 1 12@27.00 leaves 11 back",
            "* removed 1 leaves 0, sell 27.00: 3 in 1",
            "* added 1 leaves 4, sell 27.00: 7 in 2",
        ]
    );
    assert_eq!(market.send_all(SELLER, cancel(1))[0], "10: canceled 11 of 1 Requested");
}

#[test]
fn decrement_takes_hidden_lots_first_and_the_slice_when_it_must() {
    let decrement = |order| NewOrder { self_trade: SelfTradeMode::Decrement.raw(), ..order };
    let mut market = Market::trading();
    market.send(SELLER, sell(10, "20.00"));
    market.send(MAKER, buy(10, "20.00"));
    market.send(MAKER, iceberg(4, sell(10, "27.00")));
    assert_eq!(
        market.send_all(MAKER, decrement(buy(6, "27.00"))),
        [
            "30: accepted 4 buy 6@27.00",
            "30: replaced 3 4@27.00 leaves 4 kept",
            "30: canceled 6 of 4 SelfTrade",
        ]
    );
    assert_eq!(
        market.send_all(MAKER, decrement(buy(1, "27.00")))[1..],
        [
            "30: replaced 3 3@27.00 leaves 3 kept",
            "* reduced 3 leaves 3, sell 27.00: 3 in 1",
            "30: canceled 1 of 5 SelfTrade",
        ]
    );
}

#[test]
fn a_slice_is_a_hundredth_of_the_size_or_more_and_not_larger() {
    let cases = [(1, 100, true), (1, 101, false), (2, 101, true), (5, 5, true), (6, 5, false)];
    for (display, qty, accepted) in cases {
        let mut market = Market::trading();
        let said = market.send(BUYER, iceberg(display, buy(qty, "27.00")));
        assert_eq!(said[0].starts_with("20: accepted"), accepted, "{display} of {qty}: {said:?}");
    }
}
