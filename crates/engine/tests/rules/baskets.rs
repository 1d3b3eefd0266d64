//! Baskets: every leg whole, or nothing at all.

use core::mem::offset_of;

use joulebook_protocol::messages::{Basket, BasketLeg, ListInstrument, NewOrder, SetLimits, SetProtection};
use joulebook_protocol::{Event, RejectReason};
use joulebook_types::{AccountId, InstrumentId, MicroEc, Side};

use crate::market::*;
use crate::quotes::{pair, quote};

const NEXT_HOUR: &str = "H200S.DE.20261124T1500.H";

/// Two hours, with fees of 200 ppm; sellers have 100 lots of each.
fn market() -> Market {
    let mut market = Market::new();
    for name in [HOUR, NEXT_HOUR] {
        market.list_with(ListInstrument { taker_fee_ppm: 200, ..list_instrument(name) });
        for seller in [SELLER, SELLER_2] {
            market.register(seller, name, 800);
        }
    }
    for account in [BUYER, BUYER_2, SELLER_2] {
        market.deposit(account, 1_000_000);
    }
    market
}

fn leg(side: Side, instrument: u32, qty: u32, at: &str) -> BasketLeg {
    let instrument = InstrumentId::new(instrument);
    BasketLeg { price: price(at), instrument, qty, side: side.raw(), ..Default::default() }
}

fn basket(legs: &[BasketLeg]) -> Basket {
    let mut basket = Basket { count: legs.len() as u8, ..Default::default() };
    basket.legs[..legs.len()].copy_from_slice(legs);
    basket
}

use Side::{Buy, Sell};

#[test]
fn every_leg_is_filled_in_turn_under_one_order_id() {
    let mut market = market();
    market.send(SELLER, sell(2, "27.00"));
    market.send(SELLER_2, sell(4, "27.50"));
    market.send(SELLER, on(2, sell(5, "30.00")));
    let said = market.send_all(BUYER, basket(&[leg(Buy, 2, 5, "31.00"), leg(Buy, 1, 3, "28.00")]));
    assert_eq!(
        said,
        [
            "* trade 1 5@30.00 buy",
            "10: filled 3 5@30.00 leaves 0 maker fee 0.00",
            "20: filled 4 5@30.00 leaves 0 taker fee 0.24",
            "* filled 3 leaves 0, sell 30.00: 0 in 0",
            "* trade 2 2@27.00 buy",
            "10: filled 1 2@27.00 leaves 0 maker fee 0.00",
            "20: filled 4 2@27.00 leaves 1 taker fee 0.0864",
            "* filled 1 leaves 0, sell 27.00: 0 in 0",
            "* trade 3 1@27.50 buy",
            "11: filled 2 1@27.50 leaves 3 maker fee 0.00",
            "20: filled 4 1@27.50 leaves 0 taker fee 0.044",
            "* filled 2 leaves 3, sell 27.50: 3 in 1",
            "20: leg buy 5 of 2 for 1200.00 + 0.24 avg 30.00",
            "20: leg buy 3 of 1 for 652.00 + 0.1304 avg 27.166666",
            "20: swept bought 1852.00 sold 0.00 + 0.3704 avg 28.9375 in 3 done",
        ]
    );
    assert_eq!(market.credits(BUYER), (1_000_000_000_000 - 1_852_370_400, 0, 0));
}

#[test]
fn a_basket_may_buy_one_hour_and_sell_another() {
    let mut market = market();
    market.send(SELLER, sell(3, "27.00"));
    market.send(BUYER, on(2, buy(3, "30.00")));
    let said = market.send(SELLER_2, basket(&[leg(Sell, 2, 3, "29.00"), leg(Buy, 1, 3, "27.00")]));
    assert_eq!(
        said[4..],
        [
            "11: leg sell 3 of 2 for 720.00 + 0.144 avg 30.00",
            "11: leg buy 3 of 1 for 648.00 + 0.1296 avg 27.00",
            "11: swept bought 648.00 sold 720.00 + 0.2736 avg 28.50 in 2 done",
        ]
    );
    assert_eq!(market.send(SELLER_2, on(2, sell(98, "40.00"))), ["11: rejected InsufficientCapacity"]);
    assert_eq!(market.send(SELLER_2, on(2, sell(97, "40.00"))).len(), 1);
}

#[test]
fn legs_that_share_a_quarter_hour_share_its_capacity() {
    let mut market = market();
    market.list("H200S.DE.20261124T1415.Q");
    market.send(BUYER, buy(60, "27.00"));
    market.send(BUYER, on(3, buy(41, "27.00")));
    let order = |lots| basket(&[leg(Sell, 1, 60, "27.00"), leg(Sell, 3, lots, "27.00")]);
    assert_eq!(market.send(SELLER, order(41)), ["10: rejected InsufficientCapacity"]);
    let second_qty = offset_of!(Basket, legs) + size_of::<BasketLeg>() + offset_of!(BasketLeg, qty);
    assert_eq!(market.last_reject(), (RejectReason::InsufficientCapacity, second_qty, 800, 808));
    assert!(market.send(SELLER, order(40)).last().unwrap().ends_with("in 2 done"));
}

#[test]
fn a_leg_counts_no_quotes_that_the_legs_before_it_would_pull() {
    for (fills_max, filled) in [(1, false), (2, true)] {
        let mut market = market();
        market.deposit(MAKER, 1_000_000);
        let class = symbol(HOUR).class;
        market.send(MAKER, SetProtection { class, window_ms: 1_000, fills_max, ..Default::default() });
        let bid = |instrument| pair(instrument, (5, "20.00"), (0, "0"));
        market.send(MAKER, quote(&[bid(1), bid(2)]));
        let said = market.send(SELLER, basket(&[leg(Sell, 1, 1, "20.00"), leg(Sell, 2, 1, "20.00")]));
        assert_eq!(said.len() > 1, filled, "{said:?}");
        assert!(filled || said[0] == "10: rejected FokNotFillable", "{said:?}");
    }
}

#[test]
fn one_leg_too_large_and_nothing_happens() {
    let mut market = market();
    market.send(SELLER, sell(3, "27.00"));
    market.send(SELLER, on(2, sell(5, "30.00")));
    let before = (market.engine.open_orders().collect::<Vec<_>>(), market.credits(BUYER));
    let order = basket(&[leg(Buy, 1, 3, "27.00"), leg(Buy, 2, 6, "30.00")]);
    assert_eq!(market.send_all(BUYER, order), ["20: rejected FokNotFillable"]);
    let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
    assert_eq!((event.limit, event.value, event.instrument.raw()), (5, 6, 2));
    assert_eq!((market.engine.open_orders().collect::<Vec<_>>(), market.credits(BUYER)), before);
    assert_eq!(market.send(BUYER, buy(1, "20.00")), ["20: accepted 3 buy 1@20.00"], "no order id was used");
}

#[test]
fn a_basket_counts_all_of_an_iceberg() {
    let mut market = market();
    market.send(SELLER, NewOrder { display_qty: 2, ..sell(7, "27.00") });
    assert_eq!(market.send(BUYER, basket(&[leg(Buy, 1, 8, "27.00")])), ["20: rejected FokNotFillable"]);
    let said = market.send(BUYER, basket(&[leg(Buy, 1, 7, "27.00")]));
    assert_eq!(said.last().unwrap(), "20: swept bought 1512.00 sold 0.00 + 0.3024 avg 27.00 in 4 done");
}

#[test]
fn own_orders_in_reach_end_it_or_go() {
    let cases: &[(&str, u8, &str)] = &[
        ("the basket gives way", 0, "11: rejected FokNotFillable"),
        ("both would go", 2, "11: rejected FokNotFillable"),
        ("baskets do not shrink", 3, "11: rejected InvalidChoice"),
    ];
    let own_first = || {
        let mut market = market();
        market.send(SELLER_2, sell(1, "26.00"));
        market.send(SELLER, sell(3, "27.00"));
        market
    };
    for (name, self_trade, answer) in cases {
        let mut market = own_first();
        let order = Basket { self_trade: *self_trade, ..basket(&[leg(Buy, 1, 3, "27.00")]) };
        assert_eq!(market.send_all(SELLER_2, order), [*answer], "{name}");
        assert_eq!(market.engine.open_order_count(), 2, "{name}");
    }
    let mut market = own_first();
    let order = Basket { self_trade: 1, ..basket(&[leg(Buy, 1, 3, "27.00")]) };
    let said = market.send(SELLER_2, order);
    assert_eq!(said[0], "11: canceled 1 of 1 SelfTrade");
    assert_eq!(said.last().unwrap(), "11: swept bought 648.00 sold 0.00 + 0.1296 avg 27.00 in 1 done");
}

#[test]
fn the_lowest_code_of_all_legs_is_the_answer() {
    let mut market = market();
    market.send(SELLER, sell(50, "27.00"));
    market.send(SELLER, on(2, sell(50, "27.00")));
    let good = leg(Buy, 1, 1, "27.00");
    let other = leg(Buy, 2, 1, "27.00");
    let at = |number: usize, field: usize| offset_of!(Basket, legs) + number * size_of::<BasketLeg>() + field;
    let (qty, limit) = (offset_of!(BasketLeg, qty), offset_of!(BasketLeg, price));
    let instrument = offset_of!(BasketLeg, instrument);
    let whole = usize::from(u16::MAX);
    let mut seventeen = basket(&[good, other]);
    seventeen.count = 17;
    seventeen.legs = [good; 16];
    let cases: &[(&str, Basket, &str, usize, i64, i64)] = &[
        (
            "no side",
            basket(&[good, BasketLeg { side: 0, ..other }]),
            "InvalidChoice",
            at(1, offset_of!(BasketLeg, side)),
            0,
            0,
        ),
        (
            "unknown",
            basket(&[leg(Buy, 1, 0, "0"), leg(Buy, 9, 1, "1")]),
            "UnknownInstrument",
            at(1, instrument),
            0,
            9,
        ),
        ("no lots", basket(&[leg(Buy, 1, 1, "0"), leg(Buy, 2, 0, "27.00")]), "QtyZero", at(1, qty), 1, 0),
        ("too many lots", basket(&[leg(Buy, 1, 10_001, "0")]), "QtyAboveMax", at(0, qty), 10_000, 10_001),
        ("no price", basket(&[good, leg(Buy, 2, 1, "0")]), "PriceNotPositive", at(1, limit), 1, 0),
        (
            "off tick",
            basket(&[leg(Buy, 1, 1, "27.001"), other]),
            "PriceOffTick",
            at(0, limit),
            10_000,
            27_001_000,
        ),
        (
            "off band",
            basket(&[good, leg(Buy, 2, 1, "1001")]),
            "PriceOutsideBand",
            at(1, limit),
            1_000_000_000,
            1_001_000_000,
        ),
        (
            "each has the credits, not both",
            basket(&[leg(Buy, 1, 80, "1000"), leg(Buy, 2, 80, "1000")]),
            "InsufficientCredits",
            at(1, qty),
            1_000_000_000_000,
            2 * 640_128_000_000,
        ),
        ("short", basket(&[leg(Sell, 1, 1, "27.00")]), "InsufficientCapacity", at(0, qty), 0, 8),
        ("too little", basket(&[leg(Buy, 1, 51, "27.00"), other]), "FokNotFillable", whole, 50, 51),
        ("no legs", basket(&[]), "InstrumentCount", offset_of!(Basket, count), 16, 0),
        ("too many legs", seventeen, "InstrumentCount", offset_of!(Basket, count), 16, 17),
        ("one twice", basket(&[good, good]), "DuplicateInstrument", at(1, instrument), 0, 0),
        (
            "one twice and not enough for both",
            basket(&[leg(Buy, 1, 30, "27.00"), leg(Buy, 1, 30, "27.00")]),
            "FokNotFillable",
            whole,
            20,
            30,
        ),
    ];
    for (name, order, reason, offset, limit, value) in cases {
        assert_eq!(market.send_all(BUYER, *order), [format!("20: rejected {reason}")], "{name}");
        let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
        assert_eq!((event.limit, event.value), (*limit, *value), "{name}");
        assert_eq!((usize::from(event.field_offset), event.template_id), (*offset, 41), "{name}");
    }
}

#[test]
fn a_leg_that_sells_counts_at_the_base() {
    let mut market = market();
    market.send(SELLER, sell(1, "27.00"));
    market.send(BUYER, buy(5, "27.00"));
    let capped =
        |cap| SetLimits { account: AccountId::new(SELLER), order_value_max: cap, ..Default::default() };
    let order = basket(&[leg(Sell, 1, 4, "10.00")]);
    let worth: MicroEc = "864".parse().unwrap();
    market.send(OPERATOR, capped(worth - MicroEc::new(1)));
    assert_eq!(market.send(SELLER, order), ["10: rejected OrderValueCap"]);
    market.send(OPERATOR, capped(worth));
    assert!(market.send(SELLER, order)[0].starts_with("20: filled"), "the bid of five lots");
}

#[test]
fn caps_bind_each_leg_and_their_sum() {
    let mut market = market();
    market.send(SELLER, sell(50, "27.00"));
    market.send(SELLER, on(2, sell(50, "27.00")));
    let caps = SetLimits { account: AccountId::new(BUYER), ..Default::default() };
    market.send(OPERATOR, SetLimits { order_value_max: "1000".parse().unwrap(), ..caps });
    let order = basket(&[leg(Buy, 1, 4, "27.00"), leg(Buy, 2, 5, "27.00")]);
    assert_eq!(market.send(BUYER, order), ["20: rejected OrderValueCap"]);
    market.send(OPERATOR, SetLimits { window_accelerators_max: 39, ..caps });
    assert_eq!(market.send(BUYER, order), ["20: rejected WindowCap"]);
    let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
    assert_eq!((event.limit, event.value, event.instrument.raw()), (39, 40, 2));
    market.send(OPERATOR, SetLimits { window_accelerators_max: 40, ..caps });
    assert_eq!(market.send(BUYER, order).len(), 7);
    assert_eq!(market.send(BUYER, basket(&[leg(Buy, 2, 1, "27.00")])), ["20: rejected WindowCap"]);
}

#[test]
fn stops_fire_after_all_legs() {
    let mut market = market();
    market.send(SELLER, sell(3, "27.00"));
    market.send(SELLER, on(2, sell(3, "30.00")));
    let stop = NewOrder { trigger: 1, trigger_price: price("27.00"), ..buy(1, "26.00") };
    market.send(BUYER_2, stop);
    let said = market.send(BUYER, basket(&[leg(Buy, 1, 3, "27.00"), leg(Buy, 2, 3, "30.00")]));
    assert_eq!(said.last().unwrap(), "21: triggered 3 at 27.00 by 27.00");
}
