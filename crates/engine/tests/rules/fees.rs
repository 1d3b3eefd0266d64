//! Fees and rebates: parts per million of the notional, rounded toward zero per trade.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::ListInstrument;
use joulebook_types::Price;

use crate::market::*;

/// A tick of four micro-EC, one accelerator for a quarter hour; takers pay 1,999 ppm, makers get `rebate_ppm`.
fn market(rebate_ppm: i32) -> Market {
    let mut market = Market::new();
    let name = "L40S.DE.20261124T1400.Q";
    market.list_with(ListInstrument {
        accelerators_per_lot: 1,
        tick: Price::new(4),
        band_low: Price::new(4),
        taker_fee_ppm: 1_999,
        maker_fee_ppm: -rebate_ppm,
        ..list_instrument(name)
    });
    market.register(SELLER, name, 1_000);
    market.deposit(BUYER, 1);
    market
}

const EC: i64 = 1_000_000;

#[test]
fn a_bid_holds_the_makers_fee_when_that_is_dearer() {
    let mut market = market(-3_000);
    // 3,000 ppm of 75,030 are 225.09.
    market.send(BUYER, buy(30, "0.010004"));
    assert_eq!(market.credits(BUYER), (EC - 75_030 - 225, 75_030 + 225, 0));
    market.send(SELLER, sell(30, "0.01"));
    assert_eq!(market.credits(BUYER), (EC - 75_030 - 225, 0, 0));
    assert_eq!(market.credits(SELLER), (0, 0, 75_030 - 149));
}

#[test]
fn a_buying_maker_gets_its_rebate_from_the_takers_fee() {
    let mut market = market(777);
    // 30 lots at 10,004 are 75,030; the bid holds the taker's fee on top: 149.98 rounded down.
    market.send(BUYER, buy(30, "0.010004"));
    assert_eq!(market.credits(BUYER), (EC - 75_030 - 149, 75_030 + 149, 0));
    let said = market.send(SELLER, sell(30, "0.01"));
    assert!(said[1].ends_with("maker fee -0.000058"), "58.3 rounded toward zero: {said:?}");
    assert!(said[2].ends_with("taker fee 0.000149"), "{said:?}");
    assert_eq!(market.credits(BUYER), (EC - 75_030 + 58, 0, 0));
    assert_eq!(market.credits(SELLER), (0, 0, 75_030 - 149));
    assert_eq!(market.engine.totals().fees.raw(), 149 - 58);
}

#[test]
fn a_selling_maker_has_its_rebate_at_once() {
    let mut market = market(1_999);
    market.send(SELLER, sell(30, "0.010004"));
    market.send(BUYER, buy(30, "0.010004"));
    assert_eq!(market.credits(BUYER), (EC - 75_030 - 149, 0, 0));
    assert_eq!(
        market.credits(SELLER),
        (149, 0, 75_030),
        "the proceeds wait for delivery, the rebate does not"
    );
    assert_eq!(market.engine.totals().fees.raw(), 0, "all of the taker's fee went to the maker");
}

#[test]
fn a_rebate_is_at_most_the_takers_fee() {
    let mut market = Market::new();
    let fees = |taker_fee_ppm, maker_fee_ppm| ListInstrument {
        taker_fee_ppm,
        maker_fee_ppm,
        ..list_instrument(HOUR)
    };
    let (taker, maker) =
        (offset_of!(ListInstrument, taker_fee_ppm), offset_of!(ListInstrument, maker_fee_ppm));
    let cases = [
        ("no taker fee to pay it from", fees(0, -1), maker, 0, -1),
        ("one more than the taker pays", fees(200, -201), maker, -200, -201),
        ("too dear for makers", fees(200, 100_001), maker, 100_000, 100_001),
        ("too dear for takers", fees(100_001, 0), taker, 100_000, 100_001),
        ("takers get none", fees(-1, 0), taker, 0, -1),
        ("the taker's comes first", fees(-1, -2), taker, 0, -1),
        ("no number is too small", fees(200, i32::MIN), maker, -200, i64::from(i32::MIN)),
    ];
    for (name, list, offset, limit, value) in cases {
        market.send(OPERATOR, list);
        assert_eq!(market.last_reject(), (RejectReason::InvalidFee, offset, limit, value), "{name}");
    }
    market.list_with(fees(100_000, -100_000));
}
