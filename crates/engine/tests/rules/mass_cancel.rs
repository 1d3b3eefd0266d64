//! Canceling everything.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{MassCancel, NewOrder, OcoOrder};
use joulebook_types::{AccountId, InstrumentId, OrderType, Phase, Price, Side, TimeInForce};

use crate::market::*;
use crate::stops::{market_stop, stop};

const QUARTER: &str = "H200S.DE.20261124T1415.Q";

/// The buyer has orders 1 and 2 in session 1 (instruments 1 and 2) and 3 in session 2; another buyer has 4.
fn market() -> Market {
    let mut market = Market::trading();
    market.list(QUARTER);
    market.log_on(BUYER, 2);
    market.send(BUYER, buy(1, "20.00"));
    market.send(BUYER, on(2, buy(2, "20.00")));
    market.send_from(BUYER, 2, buy(3, "20.00"));
    market.send(BUYER_2, buy(4, "20.00"));
    market
}

fn mass_cancel(scope: u8, instrument: u32, account: u32) -> MassCancel {
    let (instrument, account) = (InstrumentId::new(instrument), AccountId::new(account));
    MassCancel { instrument, account, scope, ..Default::default() }
}

#[test]
fn scope_and_instrument_choose_the_orders() {
    let cases: &[(&str, u32, MassCancel, &[u64])] = &[
        ("session", BUYER, mass_cancel(1, 0, 0), &[3, 4]),
        ("account", BUYER, mass_cancel(2, 0, 0), &[4]),
        ("account, one instrument", BUYER, mass_cancel(2, 1, 0), &[4, 2]),
        ("session, one instrument", BUYER, mass_cancel(1, 2, 0), &[1, 3, 4]),
        ("operator", OPERATOR, mass_cancel(2, 0, BUYER), &[4]),
        ("operator, one instrument", OPERATOR, mass_cancel(2, 2, BUYER), &[1, 3, 4]),
        ("operator, nothing of its own", OPERATOR, mass_cancel(2, 0, 0), &[1, 3, 4, 2]),
    ];
    for (name, sender, command, left) in cases {
        let mut market = market();
        let said = market.send(*sender, *command);
        let canceled = 4 - left.len();
        assert_eq!(said.len(), canceled + 1, "{name}: {said:?}");
        assert_eq!(said.last().unwrap(), &format!("{sender}: mass canceled {canceled}"), "{name}");
        let open: Vec<u64> = market.engine.open_orders().map(|order| order.order_id.raw()).collect();
        assert_eq!(open, *left, "{name}");
    }
}

#[test]
fn what_it_may_not_mean_is_refused() {
    let cases: &[(&str, u32, MassCancel, &str)] = &[
        ("no scope", BUYER, mass_cancel(0, 0, 0), "InvalidChoice"),
        ("unknown scope", BUYER, mass_cancel(3, 0, 0), "InvalidChoice"),
        ("unknown instrument", BUYER, mass_cancel(1, 9, 0), "UnknownInstrument"),
        ("somebody else's", BUYER, mass_cancel(2, 0, BUYER_2), "NotAuthorised"),
        ("nobody's", OPERATOR, mass_cancel(2, 0, 999), "UnknownAccount"),
        ("somebody else's session", OPERATOR, mass_cancel(1, 0, BUYER), "InvalidChoice"),
        ("an issuer has no orders", ISSUER, mass_cancel(1, 0, 0), "NotAuthorised"),
    ];
    for (name, sender, command, reason) in cases {
        let mut market = market();
        assert_eq!(market.send(*sender, *command), [format!("{sender}: rejected {reason}")], "{name}");
        assert_eq!(market.engine.open_order_count(), 4, "{name}");
    }
}

/// A seller with bids 1 to 3 at 18, 19 and 20 EC, 4 in another class at 19, and asks 5 and 6 at 21 and 22.
fn levels() -> Market {
    let mut market = Market::trading();
    market.list("B200.DE.20261124T1400.H");
    market.deposit(SELLER, 100_000);
    for price in ["18.00", "19.00", "20.00"] {
        market.send(SELLER, buy(1, price));
    }
    market.send(SELLER, on(2, buy(1, "19.00")));
    for price in ["21.00", "22.00"] {
        market.send(SELLER, sell(1, price));
    }
    market
}

#[test]
fn class_side_and_price_choose_among_them() {
    let all = MassCancel { scope: 2, ..Default::default() };
    let class = |code: &str| MassCancel { class: code.parse().unwrap(), ..all };
    let side = |side: Side| MassCancel { side: side.raw(), ..all };
    let low = |text: &str| MassCancel { price_low: price(text), ..all };
    let high = |text: &str| MassCancel { price_high: price(text), ..all };
    let cases: &[(&str, MassCancel, &[u64])] = &[
        ("a class", class("H200S"), &[1, 2, 3, 5, 6]),
        ("another class", class("B200"), &[4]),
        ("a class that nobody listed", class("NONE"), &[]),
        ("bids", side(Side::Buy), &[1, 2, 3, 4]),
        ("asks", side(Side::Sell), &[5, 6]),
        ("from a price on, included", low("20.00"), &[3, 5, 6]),
        ("up to a price, included", high("19.00"), &[1, 2, 4]),
        ("between", MassCancel { price_low: price("19.00"), ..high("21.00") }, &[2, 3, 4, 5]),
        ("bids between", MassCancel { price_low: price("19.00"), ..side(Side::Buy) }, &[2, 3, 4]),
        ("bounds that nothing lies between", MassCancel { price_low: price("22.00"), ..high("18.00") }, &[]),
        ("class and instrument", MassCancel { instrument: InstrumentId::new(2), ..class("H200S") }, &[]),
        ("all of it", all, &[1, 2, 3, 4, 5, 6]),
    ];
    for (name, command, canceled) in cases {
        let mut market = levels();
        let said = market.send(SELLER, *command);
        let mut expected: Vec<String> =
            canceled.iter().map(|id| format!("{SELLER}: canceled 1 of {id} MassCanceled")).collect();
        expected.push(format!("{SELLER}: mass canceled {}", canceled.len()));
        assert_eq!(said, expected, "{name}");
    }
}

#[test]
fn choices_are_checked_in_order() {
    use RejectReason::*;
    let (scope, side) = (offset_of!(MassCancel, scope), offset_of!(MassCancel, side));
    let bad = MassCancel { side: 3, ..mass_cancel(1, 9, 0) };
    let cases = [
        ("unknown side before the instrument", BUYER, bad, (InvalidChoice, side, 0, 3)),
        ("the scope before the side", BUYER, MassCancel { scope: 7, ..bad }, (InvalidChoice, scope, 0, 7)),
        (
            "the instrument at last",
            BUYER,
            MassCancel { side: 2, ..bad },
            (UnknownInstrument, offset_of!(MassCancel, instrument), 0, 9),
        ),
    ];
    for (name, sender, command, refused) in cases {
        let mut market = levels();
        market.send(sender, command);
        assert_eq!(market.last_reject(), refused, "{name}");
    }
}

#[test]
fn orders_that_wait_are_canceled_too_and_market_orders_have_no_price() {
    let mut market = Market::trading();
    market.send(SELLER, sell(1, "27.00"));
    market.send(BUYER_2, buy(1, "27.00"));
    market.send(BUYER, stop(buy(1, "30.00"), "29.00"));
    market.send(BUYER, market_stop(Side::Buy, 1, "29.00"));
    market.send(BUYER, buy(1, "26.00"));
    let from = MassCancel { scope: 1, price_low: price("0.01"), ..Default::default() };
    let said = market.send(BUYER, from);
    assert_eq!(
        said,
        ["20: canceled 1 of 3 MassCanceled", "20: canceled 1 of 5 MassCanceled", "20: mass canceled 2"],
        "a market-type stop holds at the band, but that is no price of its own"
    );
    let said = market.send(BUYER, mass_cancel(1, 0, 0));
    assert_eq!(said, ["20: canceled 1 of 4 MassCanceled", "20: mass canceled 1"]);

    market.send(OPERATOR, set_phase(Phase::Auction));
    market.send(BUYER, NewOrder { order_type: OrderType::Market.raw(), price: Price::ZERO, ..buy(2, "1") });
    assert_eq!(market.send(BUYER, from), ["20: mass canceled 0"]);
    let said = market.send(BUYER, mass_cancel(1, 0, 0));
    assert_eq!(said, ["20: canceled 2 of 6 MassCanceled", "20: mass canceled 1"]);
}

#[test]
fn the_other_leg_goes_along_and_does_not_count() {
    let mut market = Market::trading();
    let legs = OcoOrder {
        price: price("26.00"),
        trigger_price: price("28.00"),
        stop_price: price("28.50"),
        instrument: InstrumentId::new(1),
        qty: 1,
        side: Side::Buy.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        ..Default::default()
    };
    market.send(BUYER, legs);
    market.send(BUYER, buy(1, "25.00"));
    let said = market.send(BUYER, mass_cancel(1, 0, 0));
    assert_eq!(
        said,
        [
            "20: canceled 1 of 1 MassCanceled",
            "20: canceled 1 of 2 LinkedOrder",
            "20: canceled 1 of 3 MassCanceled",
            "20: mass canceled 2",
        ]
    );
    market.send(BUYER, legs);
    let said = market.send(BUYER, MassCancel { price_low: price("28.00"), ..mass_cancel(1, 0, 0) });
    assert_eq!(said[..2], ["20: canceled 1 of 5 MassCanceled", "20: canceled 1 of 4 LinkedOrder"]);
}
