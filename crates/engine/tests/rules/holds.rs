//! What open orders hold, to the micro-EC.

use joulebook_engine::SlotKey;
use joulebook_protocol::messages::ListInstrument;
use joulebook_types::{AccountId, Price};

use crate::market::*;

/// One accelerator for a quarter hour, a tick of four micro-EC, and fees that round: 1,999 ppm taker, 777 ppm maker.
fn market() -> Market {
    let mut market = Market::new();
    let name = "L40S.DE.20261124T1400.Q";
    market.list_with(ListInstrument {
        accelerators_per_lot: 1,
        tick: Price::new(4),
        band_low: Price::new(4),
        taker_fee_ppm: 1_999,
        maker_fee_ppm: 777,
        ..list_instrument(name)
    });
    market.register(SELLER, name, 1_000);
    market.deposit(BUYER, 1);
    market
}

/// A quarter of the price per lot.
fn notional(lots: i64, price: i64) -> i64 {
    lots * price / 4
}

fn taker_fee(notional: i64) -> i64 {
    notional * 1_999 / 1_000_000
}

fn maker_fee(notional: i64) -> i64 {
    notional * 777 / 1_000_000
}

const EC: i64 = 1_000_000;

#[test]
fn a_bid_holds_its_limit_and_the_dearer_fee_and_fills_release_the_difference() {
    let mut market = market();
    // 70 lots at 10,004 micro-EC are 175,070, and 349 of fee: 349.96 rounded down.
    market.send(BUYER, buy(70, "0.010004"));
    assert_eq!(market.credits(BUYER), (EC - 175_070 - 349, 175_070 + 349, 0));
    // The seller hits it: the buyer is the maker now and pays the lower fee.
    market.send(SELLER, sell(30, "0.01"));
    let paid = notional(30, 10_004) + maker_fee(notional(30, 10_004));
    let held = notional(40, 10_004) + taker_fee(notional(40, 10_004));
    assert_eq!(market.credits(BUYER), (EC - paid - held, held, 0));
    let proceeds = notional(30, 10_004) - taker_fee(notional(30, 10_004));
    assert_eq!(market.credits(SELLER), (0, 0, proceeds));
    market.send(BUYER, replace(1, 50, "0.010004"));
    let held = notional(20, 10_004) + taker_fee(notional(20, 10_004));
    assert_eq!(market.credits(BUYER), (EC - paid - held, held, 0));
    market.send(BUYER, cancel(1));
    assert_eq!(market.credits(BUYER), (EC - paid, 0, 0));
    let totals = market.engine.totals();
    assert_eq!(totals.fees.raw(), maker_fee(75_030) + taker_fee(75_030));
    assert_eq!(totals.balances(), i128::from(EC));
}

#[test]
fn a_taker_pays_the_makers_price_and_gets_the_rest_back() {
    let mut market = market();
    market.send(SELLER, sell(10, "0.01"));
    market.send(BUYER, ioc(buy(11, "0.02")));
    let paid = notional(10, 10_000) + taker_fee(notional(10, 10_000));
    assert_eq!(market.credits(BUYER), (EC - paid, 0, 0), "limit, remainder and fee all come back");
}

#[test]
fn the_last_micro_ec_decides() {
    let mut market = market();
    // 399 lots at 10,004 cost 997,899 and 1,994 of fee; one micro-EC less than that is not enough.
    let cost = notional(399, 10_004) + taker_fee(notional(399, 10_004));
    for (spare, accepted) in [(0, true), (-1, false)] {
        let mut market = self::market();
        let retire = EC - cost - spare;
        market.send(BUYER, buy(1, "0.000004"));
        market.send(BUYER, cancel(1));
        // A second order eats what is not needed: price four micro-EC per lot-hour is one micro-EC a lot.
        market.send(BUYER, buy(retire as u32, "0.000004"));
        assert_eq!(market.credits(BUYER).0, cost + spare - taker_fee(retire));
        let spare_fee = taker_fee(retire);
        assert!(spare_fee == 0, "the eater costs no fee: {spare_fee}");
        let said = market.send(BUYER, buy(399, "0.010004"));
        assert_eq!(said[0].contains("accepted"), accepted, "{spare}: {said:?}");
    }
    assert_eq!(market.send(BUYER, cancel(7)), ["20: rejected UnknownOrder"]);
}

#[test]
fn an_ask_holds_capacity_in_every_slot() {
    let mut market = Market::trading();
    market.send(SELLER, sell(60, "27.00"));
    let window = symbol(HOUR).window;
    for slot in window.slots() {
        let key = SlotKey { class: symbol(HOUR).class, area: symbol(HOUR).area, slot };
        let position = market.engine.position(AccountId::new(SELLER), key).unwrap();
        assert_eq!((position.registered, position.free, position.held), (800, 320, 480));
    }
    assert_eq!(market.send(SELLER, sell(41, "27.00")), ["10: rejected InsufficientCapacity"]);
    market.send(BUYER, buy(10, "27.00"));
    market.send(SELLER, cancel(1));
    assert_eq!(market.send(SELLER, sell(90, "27.00")).len(), 1, "all that was not sold is free again");
    assert_eq!(market.send(SELLER, sell(1, "27.00")), ["10: rejected InsufficientCapacity"]);
}
