//! Capacity is per quarter hour, so windows that overlap cannot sell it twice.

use joulebook_protocol::messages::ListInstrument;

use crate::market::*;

const QUARTER: &str = "H200S.DE.20261124T1415.Q";

/// The hour is instrument 1, its second quarter instrument 2.
fn market() -> Market {
    let mut market = Market::trading();
    market.list(QUARTER);
    market
}

#[test]
fn an_hour_and_its_quarter_share_capacity() {
    let mut market = market();
    market.send(SELLER, sell(60, "27.00"));
    assert_eq!(market.send(SELLER, on(2, sell(41, "27.00"))), ["10: rejected InsufficientCapacity"]);
    assert_eq!(market.send(SELLER, on(2, sell(40, "27.00"))).len(), 1);
    assert_eq!(market.send(SELLER, sell(1, "27.00")), ["10: rejected InsufficientCapacity"]);
    market.send(BUYER, on(2, buy(40, "27.00")));
    assert_eq!(market.send(SELLER, sell(1, "27.00")), ["10: rejected InsufficientCapacity"], "sold is gone");
    market.send(SELLER, cancel(1));
    assert_eq!(market.send(SELLER, sell(60, "27.00")).len(), 1);
}

#[test]
fn a_bought_hour_may_be_resold_as_quarters() {
    let mut market = market();
    market.send(SELLER, sell(10, "27.00"));
    market.send(MAKER, buy(10, "27.00"));
    assert_eq!(market.send(MAKER, on(2, sell(10, "30.00"))).len(), 1);
    assert_eq!(
        market.send(MAKER, sell(1, "30.00")),
        ["30: rejected InsufficientCapacity"],
        "one quarter is out"
    );
    let before = market.credits(MAKER);
    market.send(BUYER, on(2, buy(10, "30.00")));
    let gained = 10 * 8 * 30_000_000 / 4;
    assert_eq!(market.credits(MAKER), (before.0 + gained, 0, 0), "resale proceeds are free at once");
}

#[test]
fn lots_of_different_sizes_share_accelerators() {
    let mut market = market();
    // Three accelerators a lot in another window over the same hour.
    market
        .list_with(ListInstrument { accelerators_per_lot: 3, ..list_instrument("H200S.DE.20261124T1400.Q") });
    market.send(SELLER, sell(99, "27.00"));
    assert_eq!(market.send(SELLER, on(3, sell(3, "27.00"))), ["10: rejected InsufficientCapacity"]);
    assert_eq!(market.send(SELLER, on(3, sell(2, "27.00"))).len(), 1);
}
