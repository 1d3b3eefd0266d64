//! Orders without a price of their own: market orders and market orders by budget. Minimum quantities.

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{ListInstrument, NewOrder, SetBands};
use joulebook_types::{MicroEc, OrderType, Phase, Price, SelfTradeMode, Side, TimeInForce};

use crate::market::*;

fn at_market(side: Side, qty: u32) -> NewOrder {
    let order = NewOrder { order_type: OrderType::Market.raw(), price: Price::ZERO, ..order(side, qty, "0") };
    ioc(order)
}

/// Spends at most `budget` EC.
fn spend(budget: &str) -> NewOrder {
    let budget: MicroEc = budget.parse().unwrap();
    NewOrder { order_type: OrderType::Budget.raw(), budget, ..at_market(Side::Buy, 0) }
}

fn at_least(min_qty: u32, order: NewOrder) -> NewOrder {
    NewOrder { min_qty, ..order }
}

/// Asks of 2 lots at 27.00 and 3 at 28.00: 216 and 224 EC a lot. No fees.
fn asks() -> Market {
    let mut market = Market::trading();
    market.send(SELLER, sell(2, "27.00"));
    market.send(SELLER_2, sell(3, "28.00"));
    market
}

#[test]
fn a_market_order_takes_what_there_is_and_never_rests() {
    let mut market = asks();
    assert_eq!(
        market.send(BUYER, at_market(Side::Buy, 4)),
        [
            "20: accepted 3 buy 4@0.00",
            "10: filled 1 2@27.00 leaves 0 maker fee 0.00",
            "20: filled 3 2@27.00 leaves 2 taker fee 0.00",
            "11: filled 2 2@28.00 leaves 1 maker fee 0.00",
            "20: filled 3 2@28.00 leaves 0 taker fee 0.00",
        ]
    );
    assert_eq!(market.send(BUYER, at_market(Side::Buy, 4))[3..], ["20: canceled 3 of 4 ImmediateRemainder"]);
    assert_eq!(
        market.send(BUYER, at_market(Side::Buy, 4)),
        ["20: accepted 5 buy 4@0.00", "20: canceled 4 of 5 ImmediateRemainder"]
    );
    market.send(BUYER, buy(1, "26.00"));
    assert_eq!(
        market.send(SELLER, at_market(Side::Sell, 3)),
        [
            "10: accepted 7 sell 3@0.00",
            "20: filled 6 1@26.00 leaves 0 maker fee 0.00",
            "10: filled 7 1@26.00 leaves 2 taker fee 0.00",
            "10: canceled 2 of 7 ImmediateRemainder",
        ]
    );
    assert_eq!(market.engine.open_order_count(), 0);
}

#[test]
fn a_market_buy_is_paid_from_free_credits_trade_by_trade() {
    let mut market = Market::new();
    let list = list_instrument(HOUR);
    market.list_with(ListInstrument { taker_fee_ppm: 10_000, ..list });
    market.register(SELLER, HOUR, 800);
    market.deposit(BUYER, 700);
    market.send(SELLER, sell(2, "27.00"));
    market.send(SELLER, sell(3, "28.00"));
    // Two lots cost 432 + 4.32; what is left pays for one at 224 + 2.24 and not for two.
    assert_eq!(
        market.send(BUYER, at_market(Side::Buy, 5)),
        [
            "20: accepted 3 buy 5@0.00",
            "10: filled 1 2@27.00 leaves 0 maker fee 0.00",
            "20: filled 3 2@27.00 leaves 3 taker fee 4.32",
            "10: filled 2 1@28.00 leaves 2 maker fee 0.00",
            "20: filled 3 1@28.00 leaves 2 taker fee 2.24",
            "20: canceled 2 of 3 CreditsExhausted",
        ]
    );
    assert_eq!(market.credits(BUYER), (37_440_000, 0, 0));
}

#[test]
fn a_market_sell_holds_what_it_sells() {
    let mut market = Market::trading();
    assert_eq!(market.send(SELLER, at_market(Side::Sell, 101)), ["10: rejected InsufficientCapacity"]);
    assert_eq!(market.send(BUYER, at_market(Side::Sell, 1)), ["20: rejected InsufficientCapacity"]);
}

#[test]
fn all_or_nothing_at_market_counts_what_the_credits_pay_for() {
    for (credits, filled) in [(655, false), (656, true)] {
        let mut market = Market::new();
        market.list(HOUR);
        market.register(SELLER, HOUR, 800);
        market.deposit(BUYER, credits);
        market.send(SELLER, sell(2, "27.00"));
        market.send(SELLER, sell(3, "28.00"));
        let said = market.send(BUYER, fok(at_market(Side::Buy, 3)));
        assert_eq!(said.len(), if filled { 5 } else { 1 }, "{credits}: {said:?}");
        if !filled {
            assert_eq!(market.last_reject(), (RejectReason::FokNotFillable, WHOLE, 2, 3));
        }
    }
}

#[test]
fn a_minimum_trades_at_once_or_nothing_does() {
    let mut market = asks();
    assert_eq!(market.send(BUYER, at_least(3, buy(5, "27.00"))), ["20: rejected MinQtyNotFillable"]);
    let offset = core::mem::offset_of!(NewOrder, min_qty);
    assert_eq!(market.last_reject(), (RejectReason::MinQtyNotFillable, offset, 2, 3));
    let said = market.send_all(BUYER, at_least(2, buy(5, "27.00")));
    assert_eq!(said.last().unwrap(), "* added 3 leaves 3, buy 27.00: 3 in 1", "what rests has no minimum");
    assert_eq!(
        market.send(BUYER_2, at_least(2, ioc(buy(5, "28.00"))))[1..],
        [
            "11: filled 2 3@28.00 leaves 0 maker fee 0.00",
            "21: filled 4 3@28.00 leaves 2 taker fee 0.00",
            "21: canceled 2 of 4 ImmediateRemainder",
        ]
    );
    let mut market = asks();
    assert_eq!(market.send(BUYER, at_least(6, at_market(Side::Buy, 6))), ["20: rejected MinQtyNotFillable"]);
    assert_eq!(market.send(BUYER, at_least(5, at_market(Side::Buy, 6))).len(), 6);
}

#[test]
fn a_budget_buys_whole_lots_from_the_best_ask_on() {
    // 216 EC a lot at 27.00, two of them, then 224 EC at 28.00, three of them.
    let cases = [
        ("less than a lot", "215.99", "swept bought 0.00 sold 0.00 + 0.00 avg 0.00 in 0 done"),
        ("a lot exactly", "216", "swept bought 216.00 sold 0.00 + 0.00 avg 27.00 in 1 done"),
        ("a lot and something", "431", "swept bought 216.00 sold 0.00 + 0.00 avg 27.00 in 1 done"),
        ("across levels", "660", "swept bought 656.00 sold 0.00 + 0.00 avg 27.333333 in 2 done"),
        ("all there is", "5000", "swept bought 1104.00 sold 0.00 + 0.00 avg 27.60 in 2 ImmediateRemainder"),
    ];
    for (name, budget, done) in cases {
        let mut market = asks();
        let said = market.send(BUYER, spend(budget));
        assert_eq!(said[0], "20: accepted 3 buy 0@0.00", "{name}");
        assert_eq!(said.last().unwrap(), &format!("20: {done}"), "{name}: {said:?}");
        assert!(said.iter().filter(|line| line.contains("taker")).all(|line| line.contains("leaves 0")));
        assert_eq!(market.credits(BUYER).1, 0, "{name}: nothing is held");
    }
}

#[test]
fn a_budget_pays_the_fee_too_and_never_more_than_the_free_credits() {
    let cases = [
        ("the budget ends it", 1_000, "436.31", "bought 216.00 sold 0.00 + 2.16 avg 27.00 in 1 done"),
        ("two lots and their fee", 1_000, "436.32", "bought 432.00 sold 0.00 + 4.32 avg 27.00 in 2 done"),
        ("the credits end it", 436, "500", "bought 216.00 sold 0.00 + 2.16 avg 27.00 in 1 CreditsExhausted"),
        ("as much as the budget", 436, "436", "bought 216.00 sold 0.00 + 2.16 avg 27.00 in 1 done"),
    ];
    for (name, credits, budget, done) in cases {
        let mut market = Market::new();
        let list = list_instrument(HOUR);
        market.list_with(ListInstrument { taker_fee_ppm: 10_000, ..list });
        market.register(SELLER, HOUR, 800);
        market.deposit(BUYER, credits);
        market.send(SELLER, sell(1, "27.00"));
        market.send(SELLER, sell(49, "27.00"));
        let said = market.send(BUYER, spend(budget));
        assert_eq!(said.last().unwrap(), &format!("20: swept {done}"), "{name}");
    }
}

#[test]
fn a_budget_buys_at_most_the_lots_of_one_order() {
    let mut market = Market::new();
    market.list_with(ListInstrument { qty_max: 4, ..list_instrument(HOUR) });
    market.fund();
    for seller in [SELLER, SELLER_2] {
        market.send(seller, sell(3, "27.00"));
    }
    let said = market.send(BUYER, spend("5000"));
    assert_eq!(
        said.last().unwrap(),
        "20: swept bought 864.00 sold 0.00 + 0.00 avg 27.00 in 2 ImmediateRemainder"
    );
}

#[test]
fn a_budget_that_meets_its_own_group_does_as_its_mode_says() {
    let cases = [
        (SelfTradeMode::CancelAggressor, "in 1 SelfTrade", 2),
        (SelfTradeMode::CancelResting, "in 2 ImmediateRemainder", 0),
        (SelfTradeMode::CancelBoth, "in 1 SelfTrade", 1),
    ];
    for (mode, end, left) in cases {
        let mut market = Market::trading();
        market.send(SELLER, sell(1, "20.00"));
        market.send(MAKER, buy(1, "20.00"));
        market.send(SELLER, sell(1, "27.00"));
        market.send(MAKER, sell(1, "27.00"));
        market.send(SELLER, sell(1, "27.00"));
        let said = market.send(MAKER, NewOrder { self_trade: mode.raw(), ..spend("5000") });
        assert!(said.last().unwrap().ends_with(end), "{mode}: {said:?}");
        assert_eq!(market.engine.open_order_count(), left, "{mode}");
        let own = said.contains(&"30: canceled 1 of 4 SelfTrade".to_string());
        assert_eq!(own, mode != SelfTradeMode::CancelAggressor, "{mode}");
    }
}

#[test]
fn phases_take_the_orders_that_suit_them() {
    let mut market = Market::new();
    let opens = market.engine.time().saturating_add_ms(60_000);
    market.list_with(ListInstrument { opens, ..list_instrument(HOUR) });
    market.fund();
    for order in [buy(1, "27.00"), at_market(Side::Buy, 1), spend("500"), at_least(1, buy(1, "27.00"))] {
        assert_eq!(market.send(BUYER, order), ["20: rejected NotOpen"], "pending");
        let (open, pending) = (i64::from(Phase::Open.raw()), i64::from(Phase::Pending.raw()));
        assert_eq!(market.last_reject(), (RejectReason::NotOpen, WHOLE, open, pending));
    }
    market.advance_minutes(1);
    let resting = NewOrder { time_in_force: TimeInForce::Gtc.raw(), ..at_market(Side::Buy, 1) };
    assert_eq!(market.send(BUYER, resting), ["20: rejected NotOpen"], "it waits for an uncross");
}

/// Asks of a lot each; after that the bands are set, with 100 EC as what they refer to.
fn banded(asks: &[&str], bands: SetBands) -> Market {
    let mut market = Market::new();
    let reference_price = price("100");
    market.list_with(ListInstrument { reference_price, ..list_instrument(HOUR) });
    market.fund();
    for at in asks {
        market.send(SELLER, sell(1, at));
    }
    assert_eq!(market.send(OPERATOR, bands), ["1: done 0"]);
    market
}

#[test]
fn nothing_beyond_a_band_counts() {
    let ten_percent = SetBands { dynamic_bps: 1_000, ..bands() };
    let five_ec =
        SetBands { velocity_move: price("10"), velocity_window_ms: 1_000, auction_ms: 1_000, ..bands() };
    for bands in [ten_percent, five_ec] {
        let mut market = banded(&["109.00", "110.00", "110.01"], bands);
        assert_eq!(market.send(BUYER, fok(at_market(Side::Buy, 3))), ["20: rejected FokNotFillable"]);
        assert_eq!(market.last_reject(), (RejectReason::FokNotFillable, WHOLE, 2, 3));
        assert_eq!(
            market.send(BUYER, at_least(3, at_market(Side::Buy, 3))),
            ["20: rejected MinQtyNotFillable"]
        );
        let said = market.send(BUYER, spend("5000"));
        assert!(said.last().unwrap().ends_with("in 2 PriceBand"), "{said:?}");
        assert_eq!(market.resting(1, Side::Sell), ["1 at 110.01 in 1"]);
    }
}

const WHOLE: usize = u16::MAX as usize;
