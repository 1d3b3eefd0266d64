//! Trailing stops: a trigger price that follows the market at a distance.

use core::mem::offset_of;

use joulebook_protocol::Event;
use joulebook_protocol::messages::{NewOrder, ReplaceOrder};
use joulebook_types::{OrderType, Price, Side, Trigger};

use crate::market::*;

/// Follows at a distance in EC.
fn trailing(order: NewOrder, distance: &str) -> NewOrder {
    NewOrder { trigger: Trigger::Trailing.raw(), trail_distance: price(distance), ..order }
}

/// Follows at basis points of the peak.
fn trailing_bps(order: NewOrder, trail_bps: u32) -> NewOrder {
    NewOrder { trail_bps, ..trailing(order, "0") }
}

fn from(order: NewOrder, activation: &str) -> NewOrder {
    NewOrder { activation_price: price(activation), ..order }
}

/// Trades one lot at a price.
fn print(market: &mut Market, at: &str) -> Vec<String> {
    market.send(SELLER_2, sell(1, at));
    let said = market.send(BUYER_2, ioc(buy(1, at)));
    assert!(said.iter().any(|line| line.contains(&format!("1@{at} "))), "{said:?}");
    said.into_iter().filter(|line| line.contains("triggered")).collect()
}

/// What the only waiting stop waits for.
fn waits_for(market: &Market) -> Option<Price> {
    let mut stops = market.engine.pending_stops();
    let stop = stops.next().expect("a stop waits");
    assert!(stops.next().is_none());
    stop.trigger_price
}

/// A stop of one lot and the trigger price after each print; the last print triggers it.
fn follow(order: NewOrder, first: Option<&str>, steps: &[(&str, Option<&str>)], last: &str) {
    let mut market = Market::trading();
    if let Some(first) = first {
        print(&mut market, first);
    }
    let account = if order.side == Side::Buy.raw() { BUYER } else { SELLER };
    market.send(account, order);
    for (at, want) in steps {
        assert_eq!(print(&mut market, at), [""; 0], "{at}");
        assert_eq!(waits_for(&market), want.map(price), "{at}");
    }
    let said = print(&mut market, last);
    assert_eq!(said.len(), 1, "{last}");
    assert!(said[0].ends_with(&format!("by {last}")), "{said:?}");
}

#[test]
fn it_follows_the_best_print_and_never_comes_back() {
    let steps = [("27.00", Some("26.00")), ("28.00", Some("27.00")), ("27.50", Some("27.00"))];
    follow(trailing(sell(1, "20.00"), "1"), None, &steps, "27.00");
    let steps = [("27.00", Some("28.00")), ("26.00", Some("27.00")), ("26.50", Some("27.00"))];
    follow(trailing(buy(1, "40.00"), "1"), None, &steps, "27.50");
}

#[test]
fn it_starts_from_the_last_print() {
    follow(trailing(sell(1, "20.00"), "1"), Some("27.00"), &[("26.50", Some("26.00"))], "26.00");
    let mut market = Market::trading();
    print(&mut market, "27.00");
    let said = market.send(SELLER, trailing(sell(1, "20.00"), "1"));
    assert_eq!(said.len(), 1, "it never triggers when it comes in");
    assert_eq!(waits_for(&market), Some(price("26.00")));
}

#[test]
fn basis_points_are_of_the_peak_and_rounded_down() {
    // 150 basis points of 27.01 are 0.40515.
    let steps = [("27.01", Some("26.60485")), ("27.00", Some("26.60485")), ("40.00", Some("39.40"))];
    follow(trailing_bps(sell(1, "20.00"), 150), None, &steps, "39.00");
}

#[test]
fn it_sleeps_until_its_activation_price_has_printed() {
    let order = from(trailing(sell(1, "20.00"), "1"), "28.00");
    let steps = [("20.00", None), ("27.99", None), ("28.50", Some("27.50")), ("28.00", Some("27.50"))];
    follow(order, Some("27.00"), &steps, "27.50");
    let order = from(trailing(buy(1, "40.00"), "1"), "26.00");
    follow(order, Some("27.00"), &[("26.01", None), ("25.50", Some("26.50"))], "26.50");
    let order = from(trailing(sell(1, "20.00"), "1"), "27.00");
    follow(order, Some("27.00"), &[("26.50", Some("26.00"))], "26.00");
}

#[test]
fn a_trigger_price_at_zero_or_below_never_fires() {
    let steps = [("27.00", Some("-3.00")), ("1.00", Some("-3.00")), ("40.00", Some("10.00"))];
    follow(trailing(sell(1, "1.00"), "30"), None, &steps, "10.00");
}

#[test]
fn a_trailing_market_stop_sells_what_is_bid() {
    let mut market = Market::trading();
    print(&mut market, "27.00");
    let order = NewOrder { order_type: OrderType::Market.raw(), price: Price::ZERO, ..sell(3, "1") };
    assert_eq!(market.send(SELLER, trailing(order, "1")), ["10: accepted 3 sell 3@0.00"]);
    market.send(BUYER, buy(2, "25.00"));
    market.send(BUYER_2, buy(1, "26.00"));
    let said = market.send(SELLER_2, ioc(sell(1, "26.00")));
    let said: Vec<_> = said.iter().filter(|line| line.starts_with("10:")).collect();
    assert_eq!(
        said,
        [
            "10: triggered 3 at 26.00 by 26.00",
            "10: filled 3 2@25.00 leaves 1 taker fee 0.00",
            "10: canceled 1 of 3 ImmediateRemainder",
        ]
    );
}

#[test]
fn a_change_of_price_and_size_keeps_what_it_has_seen() {
    let mut market = Market::trading();
    print(&mut market, "27.00");
    market.send(SELLER, trailing(sell(1, "20.00"), "1"));
    print(&mut market, "29.00");
    print(&mut market, "28.50");
    assert_eq!(market.send(SELLER, replace(3, 2, "21.00")), ["10: replaced 3 2@21.00 leaves 2 back"]);
    assert_eq!(waits_for(&market), Some(price("28.00")));
    let change = ReplaceOrder { trigger_price: price("27.00"), ..replace(3, 3, "21.00") };
    assert_eq!(market.send(SELLER, change), ["10: rejected InvalidTrigger"]);
    assert_eq!(market.send(SELLER, replace(3, 2, "21.00")), ["10: rejected NothingToReplace"]);
}

#[test]
fn the_fields_of_a_stop_go_together() {
    let plain = buy(1, "27.00");
    let stop = NewOrder { trigger: Trigger::Stop.raw(), trigger_price: price("28"), ..plain };
    let trail = trailing(plain, "1");
    let (one, minus) = (price("1"), price("-1"));
    let (trigger, distance) = (offset_of!(NewOrder, trigger_price), offset_of!(NewOrder, trail_distance));
    let (bps, activation) = (offset_of!(NewOrder, trail_bps), offset_of!(NewOrder, activation_price));
    let cases: &[(&str, NewOrder, usize, i64)] = &[
        ("a trigger price without a trigger", NewOrder { trigger_price: one, ..plain }, trigger, 1_000_000),
        ("a distance without a trigger", NewOrder { trail_distance: minus, ..plain }, distance, -1_000_000),
        ("basis points without a trigger", NewOrder { trail_bps: 7, ..plain }, bps, 7),
        (
            "an activation without a trigger",
            NewOrder { activation_price: one, ..plain },
            activation,
            1_000_000,
        ),
        ("a stop without a price", NewOrder { trigger_price: Price::ZERO, ..stop }, trigger, 0),
        ("a stop below zero", NewOrder { trigger_price: minus, ..stop }, trigger, -1_000_000),
        ("a stop with a distance", NewOrder { trail_distance: one, ..stop }, distance, 1_000_000),
        ("a stop with basis points", NewOrder { trail_bps: 10_000, ..stop }, bps, 10_000),
        ("a stop with an activation", NewOrder { activation_price: one, ..stop }, activation, 1_000_000),
        ("a trailing stop with a price", NewOrder { trigger_price: one, ..trail }, trigger, 1_000_000),
        ("no distance at all", trailing(plain, "0"), distance, 0),
        ("a negative distance", NewOrder { trail_bps: 5, ..trailing(plain, "-1") }, distance, -1_000_000),
        ("both distances", NewOrder { trail_bps: 5, ..trail }, bps, 5),
        ("all of the peak", trailing_bps(plain, 10_000), bps, 10_000),
        ("a negative activation", NewOrder { activation_price: minus, ..trail }, activation, -1_000_000),
        (
            "the instrument comes later",
            on(9, NewOrder { activation_price: minus, ..trail }),
            activation,
            -1_000_000,
        ),
    ];
    for (name, order, offset, value) in cases {
        let mut market = Market::trading();
        assert_eq!(market.send(BUYER, *order), ["20: rejected InvalidTrigger"], "{name}");
        let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
        assert_eq!(
            (usize::from(event.field_offset), event.limit, event.value),
            (*offset, 0, *value),
            "{name}"
        );
    }
    let mut market = Market::trading();
    assert_eq!(market.send(BUYER, trailing_bps(plain, 9_999)).len(), 1);
    assert_eq!(market.send(BUYER, ioc(stop)), ["20: rejected InvalidChoice"]);
    assert_eq!(market.send(BUYER, fok(trail)), ["20: rejected InvalidChoice"]);
    assert_eq!(market.send(BUYER, post_only(stop)), ["20: rejected InvalidChoice"]);
    assert_eq!(market.send(BUYER, NewOrder { trigger: 3, ..plain }), ["20: rejected InvalidChoice"]);
}
