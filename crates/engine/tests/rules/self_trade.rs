//! Nobody trades with its own group: the taker goes, what rests stays.

use joulebook_types::{Role, Roles, Side};

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
