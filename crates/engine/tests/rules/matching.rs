//! Limit orders, immediate-or-cancel, fill-or-kill, post-only.

use joulebook_types::Side;

use crate::market::*;

#[test]
fn trades_happen_at_the_makers_price_first_come_first_served() {
    let mut market = Market::trading();
    market.send(SELLER, sell(3, "27.00"));
    market.send(SELLER_2, sell(3, "27.00"));
    market.send(SELLER_2, sell(3, "26.50"));
    assert_eq!(
        market.send_all(BUYER, buy(7, "27.00")),
        [
            "20: accepted 4 buy 7@27.00",
            "* trade 1 3@26.50 buy",
            "11: filled 3 3@26.50 leaves 0 maker fee 0.00",
            "20: filled 4 3@26.50 leaves 4 taker fee 0.00",
            "* filled 3 leaves 0, sell 26.50: 0 in 0",
            "* trade 2 3@27.00 buy",
            "10: filled 1 3@27.00 leaves 0 maker fee 0.00",
            "20: filled 4 3@27.00 leaves 1 taker fee 0.00",
            "* filled 1 leaves 0, sell 27.00: 3 in 1",
            "* trade 3 1@27.00 buy",
            "11: filled 2 1@27.00 leaves 2 maker fee 0.00",
            "20: filled 4 1@27.00 leaves 0 taker fee 0.00",
            "* filled 2 leaves 2, sell 27.00: 2 in 1",
        ]
    );
    assert_eq!(market.resting(1, Side::Sell), ["2 at 27.00 in 1"]);
}

#[test]
fn a_partial_fill_does_not_move_the_maker() {
    let mut market = Market::trading();
    market.send(BUYER, buy(5, "27.00"));
    market.send(BUYER_2, buy(5, "27.00"));
    market.send(SELLER, sell(2, "27.00"));
    let said = market.send(SELLER, sell(4, "27.00"));
    assert_eq!(said[1], "20: filled 1 3@27.00 leaves 0 maker fee 0.00");
    assert_eq!(said[3], "21: filled 2 1@27.00 leaves 4 maker fee 0.00");
}

#[test]
fn a_remainder_rests_unless_it_may_not() {
    let mut market = Market::trading();
    market.send(SELLER, sell(2, "27.00"));
    assert_eq!(
        market.send_all(BUYER, ioc(buy(5, "27.00")))[5..],
        ["20: canceled 3 of 2 ImmediateRemainder".to_string()]
    );
    market.send(SELLER, sell(2, "27.00"));
    assert_eq!(
        market.send_all(BUYER, buy(5, "27.00")).last().unwrap(),
        "* added 4 leaves 3, buy 27.00: 3 in 1"
    );
    assert_eq!(
        market.send(BUYER_2, ioc(buy(1, "20.00"))),
        ["21: accepted 5 buy 1@20.00", "21: canceled 1 of 5 ImmediateRemainder"]
    );
    assert_eq!(market.engine.open_order_count(), 1);
}

#[test]
fn fill_or_kill_looks_across_makers_and_levels() {
    let mut market = Market::trading();
    market.send(SELLER, sell(2, "27.00"));
    market.send(SELLER_2, sell(2, "27.00"));
    market.send(SELLER_2, sell(2, "27.50"));
    for (name, qty, at, filled) in [
        ("more than there is at the price", 5, "27.00", false),
        ("more than there is at all", 7, "30.00", false),
        ("one lot of the second level", 5, "27.50", true),
    ] {
        let before = market.engine.open_orders().collect::<Vec<_>>();
        let said = market.send(BUYER, fok(buy(qty, at)));
        if filled {
            let fills = said.iter().filter(|line| line.starts_with("20: filled")).count();
            assert_eq!(fills, 3, "{name}: {said:?}");
        } else {
            assert_eq!(said, ["20: rejected FokNotFillable"], "{name}");
            assert_eq!(market.engine.open_orders().collect::<Vec<_>>(), before, "{name}");
        }
    }
    assert_eq!(market.resting(1, Side::Sell), ["1 at 27.50 in 1"]);
}

#[test]
fn post_only_never_takes() {
    let mut market = Market::trading();
    market.send(SELLER, sell(1, "27.00"));
    for (order, line) in [
        (buy(1, "27.01"), "20: rejected PostOnlyWouldTrade"),
        (buy(1, "27.00"), "20: rejected PostOnlyWouldTrade"),
        (buy(1, "26.99"), "20: accepted 2 buy 1@26.99"),
    ] {
        assert_eq!(market.send(BUYER, post_only(order)), [line]);
    }
    assert_eq!(market.send(SELLER, post_only(sell(1, "26.99"))), ["10: rejected PostOnlyWouldTrade"]);
}
