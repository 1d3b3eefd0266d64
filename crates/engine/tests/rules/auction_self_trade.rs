//! Orders of one group in a call: kept apart before anything trades.

use joulebook_protocol::messages::{ListInstrument, NewOrder};
use joulebook_types::*;

use crate::market::*;

/// A call in which account 30 may sell too: it has bought twenty lots. The last print is 100 EC; order ids go on from 3.
fn market() -> Market {
    let mut market = Market::new();
    market.fund();
    market.list_with(ListInstrument { reference_price: price("100"), ..list_instrument(HOUR) });
    market.send(SELLER, sell(20, "100.00"));
    market.send(MAKER, buy(20, "100.00"));
    market.send(OPERATOR, set_phase(Phase::Auction));
    market
}

fn with(self_trade: SelfTradeMode, order: NewOrder) -> NewOrder {
    NewOrder { self_trade: self_trade.raw(), ..order }
}

/// The maker's bid of five, then its ask of eight with a mode, and a stranger's bid of two behind.
fn uncross_own(self_trade: SelfTradeMode) -> Vec<String> {
    let mut market = market();
    market.send(MAKER, with(SelfTradeMode::CancelBoth, buy(5, "101.00")));
    market.send(MAKER, with(self_trade, sell(8, "100.00")));
    market.send(BUYER, buy(2, "100.00"));
    let said = market.send_all(OPERATOR, set_phase(Phase::Open));
    said[..said.len() - 2].to_vec()
}

#[test]
fn the_younger_order_gives_way() {
    let said = uncross_own(SelfTradeMode::CancelAggressor);
    assert_eq!(said, ["30: canceled 8 of 4 SelfTrade", "* removed 4 leaves 0, sell 100.00: 0 in 0"]);
}

#[test]
fn the_older_order_gives_way() {
    let said = uncross_own(SelfTradeMode::CancelResting);
    assert_eq!(
        said,
        [
            "30: canceled 5 of 3 SelfTrade",
            "* removed 3 leaves 0, buy 101.00: 0 in 0",
            "* trade 2 2@100.00 auction",
            "30: filled 4 2@100.00 leaves 6 auction fee 0.00",
            "20: filled 5 2@100.00 leaves 0 auction fee 0.00",
            "* filled 5 leaves 0, buy 100.00: 0 in 0",
            "* filled 4 leaves 6, sell 100.00: 6 in 1",
        ]
    );
}

#[test]
fn both_go_the_older_first() {
    let said = uncross_own(SelfTradeMode::CancelBoth);
    assert_eq!(
        said,
        [
            "30: canceled 5 of 3 SelfTrade",
            "* removed 3 leaves 0, buy 101.00: 0 in 0",
            "30: canceled 8 of 4 SelfTrade",
            "* removed 4 leaves 0, sell 100.00: 0 in 0",
        ]
    );
}

#[test]
fn both_shrink_and_the_rest_trades() {
    let said = uncross_own(SelfTradeMode::Decrement);
    assert_eq!(
        said[..4],
        [
            "30: canceled 5 of 3 SelfTrade",
            "* removed 3 leaves 0, buy 101.00: 0 in 0",
            "30: replaced 4 3@100.00 leaves 3 kept",
            "* reduced 4 leaves 3, sell 100.00: 3 in 1",
        ]
    );
    assert_eq!(said[4], "* trade 2 2@100.00 auction");
}

#[test]
fn market_orders_of_one_group_shrink_without_a_word_to_the_book() {
    let mut market = market();
    market.send(MAKER, market_order(Side::Buy, 5));
    market.send(MAKER, with(SelfTradeMode::Decrement, market_order(Side::Sell, 3)));
    market.send(SELLER_2, sell(1, "100.00"));
    let said = market.send_all(OPERATOR, set_phase(Phase::Open));
    assert_eq!(said[..2], ["30: replaced 3 2@0.00 leaves 2 kept", "30: canceled 3 of 4 SelfTrade"]);
    assert_eq!(said[2], "* trade 2 1@100.00 auction");
}

#[test]
fn the_price_is_found_anew_when_own_orders_are_gone() {
    let mut market = market();
    market.send(MAKER, buy(5, "110.00"));
    market.send(MAKER, with(SelfTradeMode::CancelBoth, sell(5, "110.00")));
    market.send(BUYER, buy(2, "95.00"));
    market.send(SELLER_2, sell(2, "90.00"));
    // With its own orders the most lots trade at 110; without them two do from 90 to 95, and the base is 100.
    let said = market.send_all(OPERATOR, set_phase(Phase::Open));
    assert_eq!(said[0], "30: canceled 5 of 3 SelfTrade");
    assert_eq!(said[4], "* trade 2 2@95.00 auction", "{said:?}");
}

#[test]
fn an_own_order_beyond_those_that_trade_is_left_alone() {
    let mut market = market();
    market.send(BUYER, buy(5, "101.00"));
    market.send(MAKER, buy(5, "100.00"));
    market.send(MAKER, sell(5, "100.00"));
    let said = market.send_all(OPERATOR, set_phase(Phase::Open));
    assert_eq!(said[0], "* trade 2 5@101.00 auction");
    assert_eq!(market.resting(1, Side::Buy), ["5 at 100.00 in 1"]);
}

#[test]
fn one_group_that_meets_because_a_buyer_cannot_pay_is_kept_apart_too() {
    let mut market = market();
    market.send(SELLER_2, market_order(Side::Buy, 4));
    market.send(MAKER, buy(4, "100.00"));
    market.send(MAKER, sell(4, "100.00"));
    let said = market.send_all(OPERATOR, set_phase(Phase::Open));
    assert_eq!(
        said[..3],
        [
            "11: canceled 4 of 3 CreditsExhausted",
            "30: canceled 4 of 5 SelfTrade",
            "* removed 5 leaves 0, sell 100.00: 0 in 0",
        ]
    );
}
