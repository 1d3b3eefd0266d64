//! Every code that an order can be refused with, and which one wins.

use core::mem::offset_of;

use joulebook_protocol::Event;
use joulebook_protocol::messages::{ListInstrument, NewOrder};
use joulebook_types::{InstrumentId, Price, TimeNs};

use crate::market::*;

/// Instrument 1 trades, 2 is pending, 3 has closed.
fn market() -> Market {
    let mut market = Market::trading();
    let now = market.engine.time();
    let pending = TimeNs::new(now.raw() + 3_600_000_000_000);
    market.list_with(ListInstrument { opens: pending, ..list_instrument("H200S.DE.20261124T1500.H") });
    market.list_with(ListInstrument {
        gate: TimeNs::new(now.raw() + 1),
        ..list_instrument("H200S.DE.20261124T1600.H")
    });
    market.advance_ms(1);
    market.send(SELLER, sell(2, "27.00"));
    market
}

#[test]
fn the_first_code_that_applies_is_the_answer() {
    let good = buy(1, "27.00");
    let in_raw = |raw| Price::new(raw);
    let cases: &[(&str, u32, NewOrder, &str)] = &[
        ("an issuer does not trade", ISSUER, NewOrder { side: 9, ..good }, "NotAuthorised"),
        ("no side", BUYER, NewOrder { side: 0, ..on(9, good) }, "InvalidChoice"),
        ("unknown side", BUYER, NewOrder { side: 3, ..good }, "InvalidChoice"),
        ("no time in force", BUYER, NewOrder { time_in_force: 0, ..good }, "InvalidChoice"),
        ("unknown time in force", BUYER, NewOrder { time_in_force: 5, ..good }, "InvalidChoice"),
        ("unknown flag", BUYER, NewOrder { flags: 2, ..good }, "InvalidChoice"),
        ("post-only that must trade at once", BUYER, ioc(post_only(good)), "InvalidChoice"),
        ("post-only that must fill", BUYER, fok(post_only(good)), "InvalidChoice"),
        ("no instrument", BUYER, on(0, buy(0, "0")), "UnknownInstrument"),
        ("unknown instrument", BUYER, on(99, buy(0, "0")), "UnknownInstrument"),
        ("the largest instrument", BUYER, on(u32::MAX, good), "UnknownInstrument"),
        ("pending", BUYER, on(2, buy(0, "0")), "NotOpen"),
        ("closed", BUYER, on(3, buy(0, "0")), "GateClosed"),
        ("no lots, bad price", BUYER, buy(0, "0"), "QtyZero"),
        ("too many lots, bad price", BUYER, buy(10_001, "0"), "QtyAboveMax"),
        ("the most lots", SELLER, sell(10_000, "27.00"), "InsufficientCapacity"),
        ("price of zero", BUYER, buy(1, "0"), "PriceNotPositive"),
        ("negative price", BUYER, buy(1, "-27.00"), "PriceNotPositive"),
        ("the lowest price", BUYER, NewOrder { price: in_raw(i64::MIN), ..good }, "PriceNotPositive"),
        ("off the tick and the band", BUYER, buy(1, "5000.001"), "PriceOffTick"),
        ("below the band", BUYER, buy(1, "0.99"), "PriceOutsideBand"),
        ("above the band", BUYER, buy(1, "1000.01"), "PriceOutsideBand"),
        ("more than it has", BUYER, buy(9_999, "1000"), "InsufficientCredits"),
        ("more than it has, to be filled", BUYER, fok(buy(9_999, "1000")), "InsufficientCredits"),
        ("more than it registered", SELLER, sell(99, "27.00"), "InsufficientCapacity"),
        ("a naked short", BUYER, sell(1, "27.00"), "InsufficientCapacity"),
        ("would take", BUYER, post_only(good), "PostOnlyWouldTrade"),
        ("would not fill", BUYER, fok(buy(3, "27.00")), "FokNotFillable"),
    ];
    let mut market = market();
    for (name, account, order, reason) in cases {
        let before = market.engine.open_orders().count();
        let said = market.send_all(*account, *order);
        assert_eq!(said, [format!("{account}: rejected {reason}")], "{name}");
        assert_eq!(market.engine.open_orders().count(), before, "{name}: no effect");
    }
}

#[test]
fn the_bounds_themselves_are_allowed() {
    let mut market = market();
    assert_eq!(market.send(BUYER, buy(1, "1")), ["20: accepted 2 buy 1@1.00"]);
    assert_eq!(market.send(SELLER, sell(98, "1000")), ["10: accepted 3 sell 98@1000.00"]);
    market.send(BUYER, cancel(2));
    // 1,000,000 EC pay for 1,250 lots of 8 accelerators at 100 EC, and for not a micro-EC more.
    assert_eq!(market.send(BUYER, buy(1_250, "26.99")).len(), 1);
    assert_eq!(market.credits(BUYER).0, 1_000_000_000_000 - 1_250 * 8 * 26_990_000);
}

#[test]
fn a_notional_that_fits_no_balance_is_refused() {
    let mut market = Market::new();
    market.list_with(ListInstrument {
        band_high: Price::new(i64::MAX / 10_000 * 10_000),
        accelerators_per_lot: u16::MAX,
        qty_max: u32::MAX,
        ..list_instrument(HOUR)
    });
    market.deposit(BUYER, 1_000);
    let order = NewOrder { price: Price::new(i64::MAX / 10_000 * 10_000), ..buy(u32::MAX, "1") };
    assert_eq!(market.send(BUYER, order), ["20: rejected NotionalOverflow"]);
    let order = NewOrder { side: 2, ..order };
    assert_eq!(
        market.send(BUYER, order),
        ["20: rejected NotionalOverflow"],
        "asks too: a bid must be able to pay"
    );
}

#[test]
fn a_reject_says_which_field_met_which_limit() {
    let mut market = market();
    let cases: &[(NewOrder, usize, i64, i64)] = &[
        (buy(10_001, "27.00"), offset_of!(NewOrder, qty), 10_000, 10_001),
        (buy(1, "27.005"), offset_of!(NewOrder, price), 10_000, 27_005_000),
        (buy(1, "0.50"), offset_of!(NewOrder, price), 1_000_000, 500_000),
        (buy(1, "2000"), offset_of!(NewOrder, price), 1_000_000_000, 2_000_000_000),
        (sell(1, "27.00"), offset_of!(NewOrder, qty), 0, 8),
        (fok(buy(3, "27.00")), usize::from(u16::MAX), 2, 3),
    ];
    for (order, offset, limit, value) in cases {
        market.send(BUYER, *order);
        let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
        assert_eq!((event.limit, event.value), (*limit, *value), "{order:?}");
        assert_eq!(usize::from(event.field_offset), *offset, "{order:?}");
        assert_eq!((event.template_id, event.instrument), (20, InstrumentId::new(1)));
    }
}
