//! Nobody trades with its own group: the order that takes says who gives way.

use joulebook_protocol::messages::NewOrder;
use joulebook_types::{Role, Roles, SelfTradeMode, Side};

use crate::market::*;

/// A maker that may also sell: it bought ten lots.
fn market() -> Market {
    let mut market = Market::trading();
    market.send(SELLER, sell(10, "20.00"));
    market.send(MAKER, buy(10, "20.00"));
    market
}

#[test]
fn strangers_ahead_fill_first_then_the_taker_is_canceled() {
    let mut market = market();
    market.send(SELLER, sell(2, "27.00"));
    market.send(MAKER, sell(3, "27.00"));
    market.send(SELLER, sell(2, "27.00"));
    assert_eq!(
        market.send(MAKER, buy(5, "27.00")),
        [
            "30: accepted 6 buy 5@27.00",
            "10: filled 3 2@27.00 leaves 0 maker fee 0.00",
            "30: filled 6 2@27.00 leaves 3 taker fee 0.00",
            "30: canceled 3 of 6 SelfTrade",
        ]
    );
    assert_eq!(market.resting(1, Side::Sell), ["5 at 27.00 in 2"]);
    assert!(market.resting(1, Side::Buy).is_empty());
}

#[test]
fn an_own_order_that_is_not_reached_does_not_matter() {
    let mut market = market();
    market.send(SELLER, sell(2, "27.00"));
    market.send(MAKER, sell(3, "27.00"));
    assert!(market.send(MAKER, buy(2, "27.00"))[2].starts_with("30: filled 5 2@27.00 leaves 0"));
    assert_eq!(market.send(MAKER, buy(2, "26.99")), ["30: accepted 6 buy 2@26.99"]);
}

#[test]
fn fill_or_kill_counts_nothing_behind_an_own_order() {
    let mut market = market();
    market.send(SELLER, sell(2, "27.00"));
    market.send(MAKER, sell(3, "27.00"));
    market.send(SELLER, sell(9, "27.00"));
    assert_eq!(market.send(MAKER, fok(buy(3, "27.00"))), ["30: rejected FokNotFillable"]);
    assert!(market.send(MAKER, fok(buy(2, "27.00")))[2].contains("leaves 0"));
}

#[test]
fn a_replace_that_meets_its_own_group_is_canceled() {
    let mut market = market();
    market.send(MAKER, sell(3, "27.00"));
    market.send(MAKER, buy(3, "26.00"));
    assert_eq!(
        market.send(MAKER, replace(4, 3, "27.00")),
        ["30: replaced 4 3@27.00 leaves 3 back", "30: canceled 3 of 4 SelfTrade"]
    );
    assert_eq!(market.engine.open_order_count(), 1);
}

#[test]
fn groups_span_accounts_and_zero_is_no_group() {
    let mut market = market();
    let maker = Roles::NONE.with(Role::Maker);
    for (account, group) in [(40, 7), (41, 7), (42, 8)] {
        market.system(open_account(account, maker, group));
        market.log_on(account, 1);
        market.deposit(account, 1_000_000);
    }
    market.send(SELLER, sell(1, "20.00"));
    market.send(41, buy(1, "20.00"));
    market.send(41, sell(1, "27.00"));
    assert_eq!(market.send(40, buy(1, "27.00"))[1], "40: canceled 1 of 6 SelfTrade", "a sibling");
    assert!(market.send(42, buy(1, "27.00"))[2].starts_with("42: filled"), "another group");
}

fn with(mode: SelfTradeMode, order: NewOrder) -> NewOrder {
    NewOrder { self_trade: mode.raw(), ..order }
}

/// Asks at 27.00: a stranger's 2 lots (3), 3 of its own (4), a stranger's 4 (5).
fn between_strangers() -> Market {
    let mut market = market();
    market.send(SELLER, sell(2, "27.00"));
    market.send(MAKER, sell(3, "27.00"));
    market.send(SELLER_2, sell(4, "27.00"));
    market
}

#[test]
fn cancel_resting_takes_the_own_order_out_and_goes_on() {
    let mut market = between_strangers();
    assert_eq!(
        market.send_all(MAKER, with(SelfTradeMode::CancelResting, buy(7, "27.00"))),
        [
            "30: accepted 6 buy 7@27.00",
            "* trade 2 2@27.00 buy",
            "10: filled 3 2@27.00 leaves 0 maker fee 0.00",
            "30: filled 6 2@27.00 leaves 5 taker fee 0.00",
            "* filled 3 leaves 0, sell 27.00: 7 in 2",
            "30: canceled 3 of 4 SelfTrade",
            "* removed 4 leaves 0, sell 27.00: 4 in 1",
            "* trade 3 4@27.00 buy",
            "11: filled 5 4@27.00 leaves 0 maker fee 0.00",
            "30: filled 6 4@27.00 leaves 1 taker fee 0.00",
            "* filled 5 leaves 0, sell 27.00: 0 in 0",
            "* added 6 leaves 1, buy 27.00: 1 in 1",
        ]
    );
}

#[test]
fn cancel_both_ends_the_resting_order_first() {
    let mut market = between_strangers();
    assert_eq!(
        market.send_all(MAKER, with(SelfTradeMode::CancelBoth, buy(7, "27.00")))[5..],
        [
            "30: canceled 3 of 4 SelfTrade",
            "* removed 4 leaves 0, sell 27.00: 4 in 1",
            "30: canceled 5 of 6 SelfTrade",
        ]
    );
    assert_eq!(market.resting(1, Side::Sell), ["4 at 27.00 in 1"]);
    assert_eq!(market.credits(MAKER).1, 0, "nothing is held any more");
}

#[test]
fn decrement_takes_the_smaller_size_off_both() {
    let cases: &[(&str, u32, &[&str])] = &[
        (
            "the taker is larger",
            7,
            &[
                "30: canceled 3 of 4 SelfTrade",
                "* removed 4 leaves 0, sell 27.00: 4 in 1",
                "30: replaced 6 4@27.00 leaves 2 kept",
                "* trade 3 2@27.00 buy",
                "11: filled 5 2@27.00 leaves 2 maker fee 0.00",
                "30: filled 6 2@27.00 leaves 0 taker fee 0.00",
                "* filled 5 leaves 2, sell 27.00: 2 in 1",
            ],
        ),
        (
            "they are equal",
            5,
            &[
                "30: canceled 3 of 4 SelfTrade",
                "* removed 4 leaves 0, sell 27.00: 4 in 1",
                "30: canceled 3 of 6 SelfTrade",
            ],
        ),
        (
            "the resting order is larger",
            4,
            &[
                "30: replaced 4 1@27.00 leaves 1 kept",
                "* reduced 4 leaves 1, sell 27.00: 5 in 2",
                "30: canceled 2 of 6 SelfTrade",
            ],
        ),
    ];
    for (name, qty, end) in cases {
        let mut market = between_strangers();
        let said = market.send_all(MAKER, with(SelfTradeMode::Decrement, buy(*qty, "27.00")));
        assert_eq!(said[5..], **end, "{name}");
        assert_eq!(market.credits(MAKER).1, 0, "{name}");
    }
}

#[test]
fn all_or_nothing_sees_what_its_mode_would_do() {
    use SelfTradeMode::*;
    let cases = [
        (CancelAggressor, 2, true),
        (CancelAggressor, 3, false),
        (CancelResting, 6, true),
        (CancelResting, 7, false),
        (CancelBoth, 2, true),
        (CancelBoth, 3, false),
        (Decrement, 9, true),
        (Decrement, 4, true),
        (Decrement, 10, false),
    ];
    for (mode, qty, accepted) in cases {
        let mut market = between_strangers();
        let said = market.send(MAKER, with(mode, fok(buy(qty, "27.00"))));
        assert_eq!(said[0].contains("accepted"), accepted, "{mode} {qty}: {said:?}");
        let rested = market.engine.open_orders().any(|order| order.order_id.raw() > 5);
        assert!(!rested, "{mode} {qty}");
    }
}

#[test]
fn a_minimum_counts_only_what_trades() {
    for (min_qty, accepted) in [(4, true), (5, false)] {
        let mut market = between_strangers();
        let order = NewOrder { min_qty, ..with(SelfTradeMode::Decrement, buy(7, "27.00")) };
        assert_eq!(market.send(MAKER, order)[0].contains("accepted"), accepted, "{min_qty}");
    }
}

#[test]
fn an_own_iceberg_is_taken_off_once_whatever_it_shows() {
    for (min_qty, accepted) in [(16, true), (17, false)] {
        let mut market = market();
        market.send(MAKER, NewOrder { display_qty: 2, ..sell(4, "27.00") });
        market.send(SELLER, sell(2, "27.00"));
        market.send(SELLER, sell(20, "28.00"));
        let order = NewOrder { min_qty, ..with(SelfTradeMode::Decrement, buy(20, "28.00")) };
        assert_eq!(market.send(MAKER, order)[0].contains("accepted"), accepted, "{min_qty}");
    }
}

#[test]
fn a_replaced_order_keeps_its_mode() {
    let mut market = market();
    market.send(MAKER, sell(3, "27.00"));
    market.send(MAKER, with(SelfTradeMode::CancelResting, buy(3, "26.00")));
    assert_eq!(
        market.send(MAKER, replace(4, 3, "27.00")),
        ["30: replaced 4 3@27.00 leaves 3 back", "30: canceled 3 of 3 SelfTrade"]
    );
    assert_eq!(market.resting(1, Side::Buy), ["3 at 27.00 in 1"]);
}
