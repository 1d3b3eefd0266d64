//! Stops: what they wait for, when they act, and what they hold meanwhile.

use joulebook_protocol::messages::{NewOrder, OrderQuery, ReplaceOrder};
use joulebook_types::{OrderId, OrderType, Price, Side, TimeInForce, Trigger};

use crate::market::*;

/// Waits for a trade at `at`, then is the order that it was.
pub fn stop(order: NewOrder, at: &str) -> NewOrder {
    NewOrder { trigger: Trigger::Stop.raw(), trigger_price: price(at), ..order }
}

/// The same without a limit of its own.
pub fn market_stop(side: Side, qty: u32, at: &str) -> NewOrder {
    let order = NewOrder { order_type: OrderType::Market.raw(), price: Price::ZERO, ..order(side, qty, "1") };
    stop(order, at)
}

/// A market whose last trade was one lot at `at`; order ids go on from 3.
fn printed(at: &str) -> Market {
    let mut market = Market::trading();
    print(&mut market, at);
    market
}

/// Trades one lot at a price.
fn print(market: &mut Market, at: &str) {
    market.send(SELLER_2, sell(1, at));
    let said = market.send_all(BUYER_2, ioc(buy(1, at)));
    assert!(said.iter().any(|line| line.contains(&format!("1@{at} buy"))), "{said:?}");
}

#[test]
fn a_stop_waits_outside_the_book_until_a_trade_reaches_its_trigger() {
    let mut market = printed("27.00");
    assert_eq!(market.send_all(BUYER, stop(buy(5, "28.50"), "28.00")), ["20: accepted 3 buy 5@28.50"]);
    assert_eq!(market.resting(1, Side::Buy), [""; 0]);
    market.send(SELLER, sell(2, "28.20"));
    assert_eq!(market.send_all(SELLER_2, sell(1, "28.00")).len(), 2, "an offer is no trade");
    assert_eq!(
        market.send_all(BUYER_2, ioc(buy(1, "28.00"))),
        [
            "21: accepted 6 buy 1@28.00",
            "* trade 2 1@28.00 buy",
            "11: filled 5 1@28.00 leaves 0 maker fee 0.00",
            "21: filled 6 1@28.00 leaves 0 taker fee 0.00",
            "* filled 5 leaves 0, sell 28.00: 0 in 0",
            "20: triggered 3 at 28.00 by 28.00",
            "* trade 3 2@28.20 buy",
            "10: filled 4 2@28.20 leaves 0 maker fee 0.00",
            "20: filled 3 2@28.20 leaves 3 taker fee 0.00",
            "* filled 4 leaves 0, sell 28.20: 0 in 0",
            "* added 3 leaves 3, buy 28.50: 3 in 1",
        ]
    );
}

#[test]
fn a_market_stop_holds_at_the_band_and_never_rests() {
    let mut market = printed("27.00");
    let free = market.credits(BUYER).0;
    let said = market.send(BUYER, market_stop(Side::Buy, 5, "28.00"));
    assert_eq!(said, ["20: accepted 3 buy 5@0.00"]);
    // Five lots of eight accelerators for an hour at the band of 1,000 EC.
    assert_eq!(market.credits(BUYER), (free - 40_000_000_000, 40_000_000_000, 0));
    market.send(SELLER, sell(2, "28.20"));
    market.send(SELLER_2, sell(1, "28.00"));
    let said = market.send(BUYER_2, ioc(buy(1, "28.00")));
    let of_stop: Vec<_> = said.iter().filter(|line| line.starts_with("20:")).collect();
    assert_eq!(
        of_stop,
        [
            "20: triggered 3 at 28.00 by 28.00",
            "20: filled 3 2@28.20 leaves 3 taker fee 0.00",
            "20: canceled 3 of 3 ImmediateRemainder"
        ]
    );
    assert_eq!(market.credits(BUYER), (free - 451_200_000, 0, 0));
}

#[test]
fn a_stop_that_the_last_print_satisfies_acts_at_once() {
    let cases: &[(&str, &str, Side, &str, bool)] = &[
        ("a buy order at the print", "27.00", Side::Buy, "27.00", true),
        ("a buy order below the print", "27.00", Side::Buy, "26.99", true),
        ("a buy order above the print", "27.00", Side::Buy, "27.01", false),
        ("a sell order at the print", "27.00", Side::Sell, "27.00", true),
        ("a sell order above the print", "27.00", Side::Sell, "27.01", true),
        ("a sell order below the print", "27.00", Side::Sell, "26.99", false),
    ];
    for (name, print, side, trigger, acts) in cases {
        let mut market = printed(print);
        let account = if *side == Side::Buy { BUYER } else { SELLER };
        let said = market.send(account, stop(order(*side, 1, "27.00"), trigger));
        let triggered = said.iter().any(|line| line.contains("triggered 3"));
        assert_eq!(triggered, *acts, "{name}: {said:?}");
        assert_eq!(market.resting(1, *side).len(), usize::from(*acts), "{name}");
    }
    let mut market = Market::trading();
    assert_eq!(market.send(BUYER, stop(buy(1, "27.00"), "1")).len(), 1, "nothing has printed");
}

#[test]
fn a_later_print_of_the_same_order_takes_no_mark_back() {
    let mut market = printed("27.00");
    market.send(BUYER, stop(buy(1, "30.00"), "28.00"));
    for at in ["28.00", "27.50"] {
        market.send(BUYER_2, buy(1, at));
    }
    // The seller prints 28.00, then 27.50: the stop saw the first.
    let said = market.send(SELLER, ioc(sell(2, "27.00")));
    assert!(said.contains(&"20: triggered 3 at 28.00 by 28.00".into()), "{said:?}");
}

#[test]
fn marked_stops_act_after_the_order_in_hand_and_the_oldest_first() {
    let mut market = printed("27.00");
    market.send(BUYER, stop(buy(1, "30.00"), "28.10"));
    market.send(BUYER_2, stop(buy(1, "30.00"), "28.00"));
    for at in ["28.00", "28.10", "28.20", "28.30"] {
        market.send(SELLER, sell(1, at));
    }
    let said = market.send(MAKER, ioc(buy(2, "28.10")));
    let said: Vec<_> = said.iter().filter(|line| !line.starts_with("10:")).map(String::as_str).collect();
    assert_eq!(
        said,
        [
            "30: accepted 9 buy 2@28.10",
            "30: filled 9 1@28.00 leaves 1 taker fee 0.00",
            "30: filled 9 1@28.10 leaves 0 taker fee 0.00",
            "20: triggered 3 at 28.10 by 28.10",
            "20: filled 3 1@28.20 leaves 0 taker fee 0.00",
            "21: triggered 4 at 28.00 by 28.00",
            "21: filled 4 1@28.30 leaves 0 taker fee 0.00",
        ]
    );
}

#[test]
fn stops_chain_within_one_command() {
    let mut market = printed("27.00");
    for (at, limit) in [("28.20", "28.40"), ("28.10", "28.30"), ("28.00", "28.20")] {
        market.send(BUYER, stop(buy(1, limit), at));
    }
    for at in ["28.00", "28.10", "28.20", "28.30"] {
        market.send(SELLER, sell(1, at));
    }
    let said = market.send(BUYER_2, ioc(buy(1, "28.00")));
    let triggered: Vec<_> = said.iter().filter(|line| line.contains("triggered")).collect();
    assert_eq!(
        triggered,
        [
            "20: triggered 5 at 28.00 by 28.00",
            "20: triggered 4 at 28.10 by 28.10",
            "20: triggered 3 at 28.20 by 28.20"
        ]
    );
    assert_eq!(market.resting(1, Side::Sell), [""; 0]);
}

#[test]
fn a_waiting_stop_holds_what_its_limit_needs_and_counts_as_open() {
    let mut market = Market::trading();
    let free = market.credits(BUYER).0;
    market.send(BUYER, stop(buy(5, "28.50"), "28.00"));
    assert_eq!(market.credits(BUYER), (free - 1_140_000_000, 1_140_000_000, 0));
    market.send(SELLER, stop(sell(60, "26.00"), "26.50"));
    assert_eq!(market.send(SELLER, sell(41, "27.00")), ["10: rejected InsufficientCapacity"]);
    assert_eq!(market.engine.open_order_count(), 2);
    assert_eq!(market.send(BUYER, cancel(1)), ["20: canceled 5 of 1 Requested"]);
    assert_eq!(market.credits(BUYER), (free, 0, 0));
    assert_eq!(market.send_all(SELLER, cancel(2)), ["10: canceled 60 of 2 Requested"], "no book has changed");
    assert_eq!(market.send(SELLER, sell(100, "27.00")).len(), 1);
}

#[test]
fn queries_show_what_waits() {
    let mut market = printed("27.00");
    market.send(BUYER, stop(buy(5, "28.50"), "28.00"));
    market.send(BUYER, market_stop(Side::Buy, 1, "29.00"));
    let query = |order_id| OrderQuery { order_id: OrderId::new(order_id), ..Default::default() };
    assert_eq!(market.send(BUYER, query(3)), ["20: status 3 buy 5@28.50 leaves 5"]);
    let Some(joulebook_protocol::Event::OrderStatus(status)) = market.private_events().pop() else {
        panic!()
    };
    assert_eq!((status.order_type, status.trigger, status.trigger_price), (0, 1, price("28.00")));
    market.send(BUYER, query(4));
    let Some(joulebook_protocol::Event::OrderStatus(status)) = market.private_events().pop() else {
        panic!()
    };
    assert_eq!((status.order_type, status.trigger, status.price), (1, 1, Price::ZERO));
    let pending: Vec<_> =
        market.engine.pending_stops().map(|stop| (stop.order.order_id.raw(), stop.trigger_price)).collect();
    assert_eq!(pending, [(3, Some(price("28.00"))), (4, Some(price("29.00")))]);
    print(&mut market, "28.00");
    market.send(BUYER, query(3));
    let Some(joulebook_protocol::Event::OrderStatus(status)) = market.private_events().pop() else {
        panic!()
    };
    assert_eq!((status.trigger, status.trigger_price), (0, Price::ZERO), "it rests now");
}

#[test]
fn the_gate_cancels_waiting_stops_after_what_rests() {
    let mut market = Market::trading();
    market.send(BUYER, stop(buy(1, "29.00"), "28.00"));
    market.send(SELLER, stop(sell(2, "25.00"), "26.00"));
    market.send(SELLER, sell(3, "28.00"));
    market.send(BUYER, stop(buy(4, "31.00"), "27.00"));
    let said = market.advance_minutes(115);
    assert_eq!(
        said,
        [
            "10: canceled 3 of 3 GateClosed",
            "* removed 3 leaves 0, sell 28.00: 0 in 0",
            "20: canceled 1 of 1 GateClosed",
            "10: canceled 2 of 2 GateClosed",
            "20: canceled 4 of 4 GateClosed",
            "* phase 1 closed",
        ]
    );
    assert_eq!(market.credits(BUYER).1, 0);
}

#[test]
fn a_mass_cancel_takes_waiting_stops_along() {
    let mut market = Market::trading();
    market.send(BUYER, stop(buy(1, "29.00"), "28.00"));
    market.send(BUYER, buy(2, "26.00"));
    market.send(BUYER, market_stop(Side::Buy, 3, "28.50"));
    let scope = joulebook_protocol::messages::MassCancel::SCOPE_SESSION;
    let said = market.send(BUYER, joulebook_protocol::messages::MassCancel { scope, ..Default::default() });
    assert_eq!(
        said,
        [
            "20: canceled 1 of 1 MassCanceled",
            "20: canceled 2 of 2 MassCanceled",
            "20: canceled 3 of 3 MassCanceled",
            "20: mass canceled 3",
        ]
    );
}

#[test]
fn a_stop_takes_with_its_self_trade_rule() {
    let mut market = printed("27.00");
    market.send(MAKER, stop(buy(1, "29.00"), "28.00"));
    market.send(MAKER, buy(1, "26.00"));
    print(&mut market, "28.00");
    assert_eq!(market.resting(1, Side::Buy), ["1 at 29.00 in 1", "1 at 26.00 in 1"]);
}

#[test]
fn a_good_till_date_stop_expires_waiting_or_at_rest() {
    let mut market = printed("27.00");
    let expires = market.engine.time().saturating_add_ms(5_000);
    let until = |order| NewOrder { time_in_force: TimeInForce::Gtd.raw(), expires, ..order };
    market.send(BUYER, until(stop(buy(1, "28.50"), "28.00")));
    market.send(BUYER, until(stop(buy(1, "29.50"), "29.00")));
    print(&mut market, "28.00");
    assert_eq!(market.advance_ms(4_999), [""; 0]);
    assert_eq!(
        market.advance_ms(1),
        [
            "20: canceled 1 of 3 Expired",
            "* removed 3 leaves 0, buy 28.50: 0 in 0",
            "20: canceled 1 of 4 Expired",
        ]
    );
    assert_eq!(market.credits(BUYER).1, 0);
}

#[test]
fn a_waiting_stop_changes_its_price_size_and_trigger() {
    let mut market = printed("27.00");
    market.send(BUYER, stop(buy(5, "28.50"), "28.00"));
    let change = |qty, limit: &str, trigger: &str| ReplaceOrder {
        trigger_price: price(trigger),
        ..replace(3, qty, limit)
    };
    assert_eq!(market.send(BUYER, change(5, "28.50", "0")), ["20: rejected NothingToReplace"]);
    assert_eq!(market.send(BUYER, change(5, "28.50", "28.00")), ["20: rejected NothingToReplace"]);
    let said = market.send_all(BUYER, change(7, "29.00", "0"));
    assert_eq!(said, ["20: replaced 3 7@29.00 leaves 7 back"]);
    assert_eq!(market.credits(BUYER).1, 7 * 8 * 29_000_000);
    market.send(BUYER, change(2, "29.00", "28.20"));
    assert_eq!(market.credits(BUYER).1, 2 * 8 * 29_000_000);
    print(&mut market, "28.00");
    assert_eq!(market.engine.pending_stops().count(), 1);
    let said = market.send(BUYER, change(2, "29.00", "27.50"));
    assert_eq!(said, ["20: replaced 3 2@29.00 leaves 2 back", "20: triggered 3 at 27.50 by 28.00"]);
    assert_eq!(market.resting(1, Side::Buy), ["2 at 29.00 in 1"]);
    assert_eq!(
        market.send(BUYER, change(2, "28.00", "27.00")),
        ["20: rejected InvalidTrigger"],
        "it rests now"
    );
}

#[test]
fn a_refused_change_of_a_stop_changes_nothing() {
    let cases: &[(&str, u32, &str, &str, &str)] = &[
        ("a market stop has no price", 5, "28.00", "0", "InvalidChoice"),
        ("a negative trigger", 5, "0", "-1", "InvalidTrigger"),
        ("too many lots", 10_001, "0", "0", "QtyAboveMax"),
        ("more than it can pay", 126, "0", "0", "InsufficientCredits"),
    ];
    for (name, qty, limit, trigger, reason) in cases {
        let mut market = printed("27.00");
        market.send(BUYER, market_stop(Side::Buy, 5, "28.00"));
        let before = (market.engine.pending_stops().collect::<Vec<_>>(), market.credits(BUYER));
        let change = ReplaceOrder { trigger_price: price(trigger), ..replace(3, *qty, limit) };
        assert_eq!(market.send(BUYER, change), [format!("20: rejected {reason}")], "{name}");
        let after = (market.engine.pending_stops().collect::<Vec<_>>(), market.credits(BUYER));
        assert_eq!(before, after, "{name}");
    }
    let mut market = printed("27.00");
    market.send(BUYER, market_stop(Side::Buy, 5, "28.00"));
    assert_eq!(market.send(BUYER, replace(3, 125, "0")), ["20: replaced 3 125@0.00 leaves 125 back"]);
    assert_eq!(market.send(BUYER, replace(3, 0, "0")), ["20: canceled 125 of 3 ReducedToZero"]);
    assert_eq!(market.credits(BUYER).1, 0);
}

#[test]
fn a_waiting_stop_gets_smaller_in_its_place() {
    let mut market = printed("27.00");
    market.send(BUYER, stop(buy(5, "28.50"), "28.00"));
    assert_eq!(market.send_all(BUYER, reduce(3, 2)), ["20: replaced 3 3@28.50 leaves 3 kept"]);
    assert_eq!(market.credits(BUYER).1, 3 * 8 * 28_500_000);
    assert_eq!(market.send(BUYER, reduce(3, 3)), ["20: canceled 3 of 3 ReducedToZero"]);
    assert_eq!(market.credits(BUYER).1, 0);
}

#[test]
fn a_stop_that_triggers_may_be_an_iceberg() {
    let mut market = printed("27.00");
    market.send(BUYER, NewOrder { display_qty: 2, ..stop(buy(5, "28.50"), "28.00") });
    print(&mut market, "28.00");
    assert_eq!(market.resting(1, Side::Buy), ["2 at 28.50 in 1"]);
}
