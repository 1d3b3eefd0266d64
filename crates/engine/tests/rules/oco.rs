//! One cancels the other.

use core::mem::offset_of;

use joulebook_protocol::Event;
use joulebook_protocol::messages::{CancelOrder, ListInstrument, MassCancel, NewOrder, OcoOrder};
use joulebook_types::{ClientOrderId, InstrumentId, Price, Side, SlotHint, TimeInForce, TimeNs};

use crate::market::*;

/// A limit order at `limit`, and a stop that waits for `trigger` with the limit `stop`.
fn oco(side: Side, qty: u32, limit: &str, trigger: &str, stop: &str) -> OcoOrder {
    OcoOrder {
        price: price(limit),
        trigger_price: price(trigger),
        stop_price: price(stop),
        instrument: InstrumentId::new(1),
        qty,
        side: side.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        ..Default::default()
    }
}

/// Nothing has printed; the buyer bids 5 at 26.00 or buys at up to 28.50 once 28.00 has printed.
fn linked() -> Market {
    let mut market = Market::trading();
    let said = market.send_all(BUYER, oco(Side::Buy, 5, "26.00", "28.00", "28.50"));
    assert_eq!(
        said,
        ["20: accepted 1 buy 5@26.00", "20: accepted 2 buy 5@28.50", "* added 1 leaves 5, buy 26.00: 5 in 1"]
    );
    market
}

const HELD: i64 = 5 * 8 * 28_500_000;

#[test]
fn the_legs_hold_the_larger_of_the_two_once() {
    let mut market = linked();
    let free = 1_000_000_000_000;
    assert_eq!(market.credits(BUYER), (free - HELD, HELD, 0));
    market.send(BUYER, cancel(1));
    assert_eq!(market.credits(BUYER), (free, 0, 0));
    market.send(BUYER, oco(Side::Buy, 5, "26.00", "20.00", "21.00"));
    assert_eq!(market.credits(BUYER).1, 5 * 8 * 26_000_000, "here the limit leg holds it all");
    market.send(BUYER, cancel(4));
    assert_eq!(market.credits(BUYER), (free, 0, 0));
    market.send(SELLER, oco(Side::Sell, 100, "29.00", "25.00", "0"));
    assert_eq!(market.send(SELLER, sell(1, "29.00")), ["10: rejected InsufficientCapacity"]);
    market.send(SELLER, cancel(5));
    assert_eq!(market.send(SELLER, sell(100, "29.00")), ["10: accepted 7 sell 100@29.00"]);
}

#[test]
fn a_fill_of_the_limit_leg_ends_the_stop() {
    let mut market = linked();
    assert_eq!(
        market.send_all(SELLER, ioc(sell(2, "26.00"))),
        [
            "10: accepted 3 sell 2@26.00",
            "* trade 1 2@26.00 sell",
            "20: filled 1 2@26.00 leaves 3 maker fee 0.00",
            "10: filled 3 2@26.00 leaves 0 taker fee 0.00",
            "* filled 1 leaves 3, buy 26.00: 3 in 1",
            "20: canceled 5 of 2 LinkedOrder",
        ]
    );
    assert_eq!(market.credits(BUYER).1, 3 * 8 * 26_000_000);
    let mut market = linked();
    let said = market.send(SELLER, ioc(sell(5, "26.00")));
    assert_eq!(said.last().unwrap(), "20: canceled 5 of 2 LinkedOrder", "filled whole too");
    assert_eq!((market.credits(BUYER).1, market.engine.open_order_count()), (0, 0));
}

#[test]
fn a_limit_leg_that_takes_ends_the_stop_with_its_first_trade() {
    let mut market = Market::trading();
    market.send(SELLER, sell(1, "25.00"));
    market.send(SELLER_2, sell(1, "26.00"));
    let said = market.send(BUYER, oco(Side::Buy, 5, "26.00", "25.00", "28.50"));
    let said: Vec<_> = said.iter().filter(|line| line.starts_with("20:")).collect();
    assert_eq!(
        said,
        [
            "20: accepted 3 buy 5@26.00",
            "20: accepted 4 buy 5@28.50",
            "20: filled 3 1@25.00 leaves 4 taker fee 0.00",
            "20: canceled 5 of 4 LinkedOrder",
            "20: filled 3 1@26.00 leaves 3 taker fee 0.00",
        ],
        "the print reached the stop, but it was gone before its turn"
    );
    assert_eq!(market.credits(BUYER).1, 3 * 8 * 26_000_000);
}

#[test]
fn the_stop_ends_the_limit_leg_when_it_triggers() {
    let mut market = linked();
    market.send(SELLER, sell(1, "28.40"));
    market.send(SELLER, sell(1, "28.00"));
    let said = market.send_all(BUYER_2, ioc(buy(1, "28.00")));
    assert_eq!(
        said[5..],
        [
            "20: triggered 2 at 28.00 by 28.00",
            "20: canceled 5 of 1 LinkedOrder",
            "* removed 1 leaves 0, buy 26.00: 0 in 0",
            "* trade 2 1@28.40 buy",
            "10: filled 3 1@28.40 leaves 0 maker fee 0.00",
            "20: filled 2 1@28.40 leaves 4 taker fee 0.00",
            "* filled 3 leaves 0, sell 28.40: 0 in 0",
            "* added 2 leaves 4, buy 28.50: 4 in 1",
        ]
    );
    assert_eq!(market.credits(BUYER).1, 4 * 8 * 28_500_000);
}

#[test]
fn a_stop_leg_that_the_last_print_satisfies_acts_after_the_limit_leg() {
    let mut market = Market::trading();
    market.send(SELLER, sell(1, "28.00"));
    market.send(BUYER_2, buy(1, "28.00"));
    assert_eq!(
        market.send_all(BUYER, oco(Side::Buy, 5, "26.00", "28.00", "0")),
        [
            "20: accepted 3 buy 5@26.00",
            "20: accepted 4 buy 5@0.00",
            "* added 3 leaves 5, buy 26.00: 5 in 1",
            "20: triggered 4 at 28.00 by 28.00",
            "20: canceled 5 of 3 LinkedOrder",
            "* removed 3 leaves 0, buy 26.00: 0 in 0",
            "20: canceled 5 of 4 ImmediateRemainder",
        ]
    );
    assert_eq!(market.credits(BUYER).1, 0);
}

#[test]
fn whatever_ends_one_leg_ends_the_other() {
    let mut market = linked();
    let said = market.send_all(BUYER, cancel(2));
    assert_eq!(
        said,
        [
            "20: canceled 5 of 2 Requested",
            "20: canceled 5 of 1 LinkedOrder",
            "* removed 1 leaves 0, buy 26.00: 0 in 0"
        ]
    );
    let mut market = linked();
    market.send(BUYER, buy(1, "20.00"));
    let scope = MassCancel::SCOPE_SESSION;
    let said = market.send(BUYER, MassCancel { scope, ..Default::default() });
    assert_eq!(
        said,
        [
            "20: canceled 5 of 1 MassCanceled",
            "20: canceled 5 of 2 LinkedOrder",
            "20: canceled 1 of 3 MassCanceled",
            "20: mass canceled 2",
        ]
    );
    let mut market = linked();
    let said = market.advance_minutes(115);
    let said: Vec<_> = said.iter().filter(|line| line.starts_with("20:")).collect();
    assert_eq!(said, ["20: canceled 5 of 1 GateClosed", "20: canceled 5 of 2 LinkedOrder"]);
    let mut market = linked();
    let said = market.send(BUYER, ioc(sell(1, "26.00")));
    assert_eq!(said, ["20: rejected InsufficientCapacity"]);
    assert_eq!(market.engine.open_order_count(), 2, "a refused order touches neither");
}

#[test]
fn both_legs_expire_together() {
    let mut market = Market::trading();
    let expires = market.engine.time().saturating_add_ms(1_000);
    let until = OcoOrder {
        time_in_force: TimeInForce::Gtd.raw(),
        expires,
        ..oco(Side::Buy, 5, "26.00", "28.00", "28.50")
    };
    market.send(BUYER, until);
    let said = market.advance_ms(1_000);
    let said: Vec<_> = said.iter().filter(|line| line.starts_with("20:")).collect();
    assert_eq!(said, ["20: canceled 5 of 1 Expired", "20: canceled 5 of 2 LinkedOrder"]);
    assert_eq!(market.credits(BUYER).1, 0);
}

#[test]
fn a_linked_order_uses_two_ids_whatever_the_answer() {
    let mut market = linked();
    let target =
        |id| CancelOrder { target: ClientOrderId::new(id), slot: SlotHint::UNKNOWN, ..Default::default() };
    assert_eq!(
        market.send_raw(BUYER, 1, with_id(2, buy(1, "26.00"))),
        ["20: repeated 2 Accepted order 2 reason 0"]
    );
    assert_eq!(market.send(BUYER, target(2))[0], "20: canceled 5 of 2 Requested", "named by its own id");
    let refused = OcoOrder { qty: 0, ..oco(Side::Buy, 5, "26.00", "28.00", "28.50") };
    assert_eq!(market.send(BUYER, refused), ["20: rejected QtyZero"]);
    for id in [4, 5] {
        let said = market.send_raw(BUYER, 1, with_id(id, buy(1, "26.00")));
        assert_eq!(said, [format!("20: repeated {id} Rejected order 0 reason 23")]);
    }
    assert_eq!(market.send(BUYER, buy(1, "20.00")), ["20: accepted 3 buy 1@20.00"]);
    let last = OcoOrder { client_order_id: ClientOrderId::new(u64::MAX), ..refused };
    assert_eq!(market.send_raw(BUYER, 1, last), ["20: rejected InvalidCount"]);
    let said = market.send_raw(BUYER, 1, last);
    assert_eq!(said, ["20: repeated 18446744073709551615 Rejected order 0 reason 14"]);
}

fn with_id(id: u64, order: NewOrder) -> NewOrder {
    NewOrder { client_order_id: ClientOrderId::new(id), ..order }
}

#[test]
fn the_lowest_code_of_both_legs_is_the_answer() {
    let good = oco(Side::Buy, 5, "26.00", "28.00", "28.50");
    let cases: &[(&str, OcoOrder, &str, usize, i64, i64)] = &[
        ("side", OcoOrder { side: 3, ..good }, "InvalidChoice", offset_of!(OcoOrder, side), 0, 3),
        (
            "neither leg takes and goes",
            OcoOrder { time_in_force: 2, ..good },
            "InvalidChoice",
            offset_of!(OcoOrder, time_in_force),
            0,
            2,
        ),
        (
            "no trigger",
            OcoOrder { trigger_price: Price::ZERO, ..good },
            "InvalidTrigger",
            offset_of!(OcoOrder, trigger_price),
            0,
            0,
        ),
        (
            "a date that has passed",
            OcoOrder { time_in_force: 4, expires: TimeNs::new(7), ..good },
            "ExpiryPassed",
            offset_of!(OcoOrder, expires),
            i64::MIN,
            7,
        ),
        (
            "the stop's code is lower",
            OcoOrder { price: price("26.005"), stop_price: price("-1"), ..good },
            "PriceNotPositive",
            offset_of!(OcoOrder, stop_price),
            1,
            -1_000_000,
        ),
        (
            "the limit leg goes first",
            OcoOrder { price: price("26.005"), stop_price: price("28.505"), ..good },
            "PriceOffTick",
            offset_of!(OcoOrder, price),
            10_000,
            26_005_000,
        ),
        (
            "the stop needs more than there is",
            OcoOrder { qty: 4_500, ..good },
            "InsufficientCredits",
            offset_of!(OcoOrder, qty),
            1_000_000_000_000,
            4_500 * 8 * 28_500_000,
        ),
    ];
    for (name, order, reason, offset, limit, value) in cases {
        let mut market = Market::trading();
        assert_eq!(market.send_all(BUYER, *order), [format!("20: rejected {reason}")], "{name}");
        let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
        assert_eq!((usize::from(event.field_offset), event.value), (*offset, *value), "{name}");
        assert!(event.limit == *limit || *limit == i64::MIN, "{name}: {}", event.limit);
        assert_eq!((event.template_id, market.credits(BUYER).1), (36, 0), "{name}");
    }
}

#[test]
fn two_places_are_needed() {
    let mut market = Market::with_limits(joulebook_protocol::messages::Genesis { orders_max: 3, ..GENESIS });
    market.list(HOUR);
    market.fund();
    market.send(BUYER, buy(1, "20.00"));
    market.send(BUYER, buy(1, "21.00"));
    let linked = oco(Side::Buy, 5, "26.00", "28.00", "28.50");
    assert_eq!(market.send(BUYER, linked), ["20: rejected OrderLimit"]);
    let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
    assert_eq!((event.limit, event.value), (3, 4));
    market.send(BUYER, cancel(1));
    assert_eq!(market.send(BUYER, linked).len(), 2);
}

#[test]
fn a_leg_is_not_replaced() {
    let mut market = linked();
    for (order_id, qty) in [(1, 6), (1, 0), (2, 6), (2, 0)] {
        assert_eq!(market.send(BUYER, replace(order_id, qty, "26.01")), ["20: rejected NotReplaceable"]);
    }
    assert_eq!(market.engine.open_order_count(), 2);
}

#[test]
fn a_limit_leg_that_shrinks_leaves_the_larger_hold() {
    let mut market = Market::trading();
    market.send(MAKER, oco(Side::Buy, 5, "26.00", "28.00", "28.50"));
    market.register(SELLER, HOUR, 8);
    market.send(SELLER, sell(1, "26.50"));
    market.send(MAKER, ioc(buy(1, "26.50")));
    let shrink = NewOrder { self_trade: 3, ..ioc(sell(1, "26.00")) };
    let held = 5 * 8 * 28_500_000;
    assert_eq!(market.credits(MAKER).1, held);
    assert_eq!(
        market.send_all(MAKER, shrink),
        [
            "30: accepted 5 sell 1@26.00",
            "30: replaced 1 4@26.00 leaves 4 kept",
            "* reduced 1 leaves 4, buy 26.00: 4 in 1",
            "30: canceled 1 of 5 SelfTrade",
        ]
    );
    assert_eq!(market.credits(MAKER).1, held, "the stop still needs five lots");
    market.send(MAKER, cancel(2));
    assert_eq!(market.credits(MAKER).1, 0);
}

#[test]
fn two_legs_together_may_be_worth_more_than_a_balance() {
    let mut market = Market::new();
    let most = Price::new(i64::MAX / 10_000 * 10_000);
    let list = ListInstrument { band_high: most, accelerators_per_lot: 1, ..list_instrument(HOUR) };
    market.list_with(list);
    market.register(SELLER, HOUR, 1);
    let huge = OcoOrder { price: most, stop_price: most, ..oco(Side::Sell, 1, "1", "1", "1") };
    assert_eq!(market.send(SELLER, huge).len(), 2);
}
