//! Which choices of a new order go together, and in which order they are looked at.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::NewOrder;
use joulebook_types::{MicroEc, Price, TimeInForce, TimeNs};

use crate::market::*;

const LIMIT: u8 = 0;
const MARKET: u8 = 1;
const BUDGET: u8 = 2;
const IOC: u8 = 2;
const FOK: u8 = 3;
const GTD: u8 = 4;

fn limit() -> NewOrder {
    buy(10, "27.00")
}

fn typed(order_type: u8) -> NewOrder {
    match order_type {
        MARKET => NewOrder { order_type, price: Price::ZERO, ..ioc(limit()) },
        BUDGET => NewOrder { order_type, qty: 0, budget: MicroEc::from_ec(1), ..typed(MARKET) },
        _ => limit(),
    }
}

fn stop(order: NewOrder) -> NewOrder {
    NewOrder { trigger: 1, trigger_price: price("30.00"), ..order }
}

/// Everything that is wrong with each field, in the order of the rules: the first wins.
#[test]
fn what_does_not_go_together_is_an_invalid_choice() {
    let gtc = limit().time_in_force;
    let cases: &[(&str, NewOrder, usize, i64)] = &[
        ("no side", NewOrder { side: 0, time_in_force: 9, ..limit() }, offset_of!(NewOrder, side), 0),
        (
            "no tif",
            NewOrder { time_in_force: 9, flags: 2, ..limit() },
            offset_of!(NewOrder, time_in_force),
            9,
        ),
        ("flag", NewOrder { flags: 2, order_type: 3, ..limit() }, offset_of!(NewOrder, flags), 2),
        ("type", NewOrder { order_type: 3, trigger: 3, ..limit() }, offset_of!(NewOrder, order_type), 3),
        ("trigger", NewOrder { trigger: 3, self_trade: 4, ..limit() }, offset_of!(NewOrder, trigger), 3),
        (
            "mode",
            NewOrder { self_trade: 4, budget: MicroEc::new(1), ..limit() },
            offset_of!(NewOrder, self_trade),
            4,
        ),
        ("post-only ioc", post_only(ioc(limit())), offset_of!(NewOrder, flags), 1),
        ("post-only fok", post_only(fok(limit())), offset_of!(NewOrder, flags), 1),
        (
            "post-only market",
            post_only(NewOrder { time_in_force: gtc, ..typed(MARKET) }),
            offset_of!(NewOrder, flags),
            1,
        ),
        ("post-only stop", post_only(stop(limit())), offset_of!(NewOrder, flags), 1),
        ("post-only minimum", post_only(NewOrder { min_qty: 1, ..limit() }), offset_of!(NewOrder, flags), 1),
        ("priced market", NewOrder { price: Price::new(5), ..typed(MARKET) }, offset_of!(NewOrder, price), 5),
        (
            "priced budget",
            NewOrder { price: Price::new(5), side: 2, ..typed(BUDGET) },
            offset_of!(NewOrder, price),
            5,
        ),
        (
            "budget sell",
            NewOrder { side: 2, time_in_force: FOK, ..typed(BUDGET) },
            offset_of!(NewOrder, side),
            2,
        ),
        (
            "budget fok",
            NewOrder { time_in_force: FOK, qty: 1, ..typed(BUDGET) },
            offset_of!(NewOrder, time_in_force),
            3,
        ),
        ("budget lots", NewOrder { qty: 1, self_trade: 3, ..typed(BUDGET) }, offset_of!(NewOrder, qty), 1),
        ("budget stop", NewOrder { self_trade: 3, ..stop(typed(BUDGET)) }, offset_of!(NewOrder, trigger), 1),
        (
            "budget mode",
            NewOrder { self_trade: 3, min_qty: 1, ..typed(BUDGET) },
            offset_of!(NewOrder, self_trade),
            3,
        ),
        (
            "limit with budget",
            NewOrder { budget: MicroEc::new(7), ..stop(ioc(limit())) },
            offset_of!(NewOrder, budget),
            7,
        ),
        ("stop ioc", NewOrder { min_qty: 1, ..stop(ioc(limit())) }, offset_of!(NewOrder, time_in_force), 2),
        ("stop fok", stop(fok(limit())), offset_of!(NewOrder, time_in_force), 3),
        (
            "market gtd",
            NewOrder { time_in_force: GTD, display_qty: 1, ..typed(MARKET) },
            offset_of!(NewOrder, time_in_force),
            4,
        ),
        (
            "minimum fok",
            NewOrder { min_qty: 1, display_qty: 1, ..fok(limit()) },
            offset_of!(NewOrder, min_qty),
            1,
        ),
        ("minimum stop", NewOrder { min_qty: 1, ..stop(limit()) }, offset_of!(NewOrder, min_qty), 1),
        ("minimum budget", NewOrder { min_qty: 1, ..typed(BUDGET) }, offset_of!(NewOrder, min_qty), 1),
        ("display ioc", NewOrder { display_qty: 1, ..ioc(limit()) }, offset_of!(NewOrder, display_qty), 1),
        (
            "display market",
            NewOrder { display_qty: 1, time_in_force: gtc, ..typed(MARKET) },
            offset_of!(NewOrder, display_qty),
            1,
        ),
        ("dated gtc", NewOrder { expires: TimeNs::new(8), ..limit() }, offset_of!(NewOrder, expires), 8),
    ];
    for (name, order, offset, value) in cases {
        let mut market = Market::trading();
        let order = NewOrder { instrument: joulebook_types::InstrumentId::new(99), ..*order };
        market.send(BUYER, order);
        assert_eq!(market.last_reject(), (RejectReason::InvalidChoice, *offset, 0, *value), "{name}");
    }
}

#[test]
fn sizes_are_looked_at_before_the_instrument_by_the_numbers_of_their_codes() {
    let past = NewOrder { time_in_force: GTD, expires: TimeNs::new(1), ..limit() };
    let cases: &[(&str, NewOrder, RejectReason, usize, i64, i64)] = &[
        (
            "expiry",
            NewOrder { display_qty: 11, ..past },
            RejectReason::ExpiryPassed,
            offset_of!(NewOrder, expires),
            0,
            1,
        ),
        (
            "display",
            NewOrder { display_qty: 11, min_qty: 11, ..limit() },
            RejectReason::InvalidDisplay,
            offset_of!(NewOrder, display_qty),
            10,
            11,
        ),
        (
            "minimum",
            NewOrder { min_qty: 11, ..limit() },
            RejectReason::MinQtyAboveQty,
            offset_of!(NewOrder, min_qty),
            10,
            11,
        ),
        (
            "budget",
            NewOrder { budget: MicroEc::new(-1), ..typed(BUDGET) },
            RejectReason::BudgetNotPositive,
            offset_of!(NewOrder, budget),
            1,
            -1,
        ),
        (
            "none of them",
            typed(LIMIT),
            RejectReason::UnknownInstrument,
            offset_of!(NewOrder, instrument),
            0,
            99,
        ),
        (
            "nor of an immediate one",
            NewOrder { time_in_force: IOC, ..limit() },
            RejectReason::UnknownInstrument,
            offset_of!(NewOrder, instrument),
            0,
            99,
        ),
    ];
    for (name, order, reason, offset, limit, value) in cases {
        let mut market = Market::trading();
        let order = NewOrder { instrument: joulebook_types::InstrumentId::new(99), ..*order };
        market.send(BUYER, order);
        let limit =
            if *reason == RejectReason::ExpiryPassed { market.engine.time().raw() as i64 } else { *limit };
        assert_eq!(market.last_reject(), (*reason, *offset, limit, *value), "{name}");
    }
}

#[test]
fn a_date_lies_ahead() {
    let mut market = Market::trading();
    let now = market.engine.time().raw();
    let until = |expires| NewOrder {
        time_in_force: TimeInForce::Gtd.raw(),
        expires: TimeNs::new(expires),
        ..buy(1, "20.00")
    };
    assert_eq!(market.send(BUYER, until(now)), ["20: rejected ExpiryPassed"]);
    assert_eq!(market.send(BUYER, until(now + 1)), ["20: accepted 1 buy 1@20.00"]);
}
