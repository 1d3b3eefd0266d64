//! Caps on what an account may have open.

use core::mem::offset_of;

use joulebook_protocol::RejectReason::*;
use joulebook_protocol::messages::{ListInstrument, NewOrder, OcoOrder, ReplaceOrder, SetLimits, TokenOrder};
use joulebook_types::{
    AccountId, InstrumentId, KiloTokens, MicroEc, ModelId, OrderType, Phase, Price, Side, TimeInForce,
};

use crate::market::*;
use crate::stops::{market_stop, stop};

const QUARTER: &str = "H200S.DE.20261124T1415.Q";
const WHOLE: usize = u16::MAX as usize;

/// Instrument 1 is an hour, instrument 2 its second quarter.
fn market() -> Market {
    let mut market = Market::trading();
    market.list(QUARTER);
    market
}

fn limits(account: u32) -> SetLimits {
    SetLimits { account: AccountId::new(account), ..Default::default() }
}

/// An order refused by a cap: reason, field, limit and value.
fn refused(market: &mut Market, account: u32, order: NewOrder) -> Refused {
    let before = market.engine.open_order_count();
    let said = market.send(account, order);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(market.engine.open_order_count(), before);
    market.last_reject()
}

fn value(lots: i64, ec: i64) -> i64 {
    MicroEc::from_ec(lots * 8 * ec).raw()
}

const QTY: usize = offset_of!(NewOrder, qty);

/// Open orders of the buyer and what they are worth, in micro-EC.
fn exposure(market: &Market) -> (u32, i128) {
    let exposure = market.engine.exposure(AccountId::new(BUYER)).unwrap();
    (exposure.open_orders, exposure.open_value)
}

#[test]
fn every_way_for_an_order_to_change_moves_the_running_figures() {
    let mut market = market();
    let worth = |lots, ec| i128::from(value(lots, ec));
    assert_eq!(exposure(&market), (0, 0));
    market.send(BUYER, buy(10, "20.00"));
    market.send(BUYER, NewOrder { display_qty: 1, ..buy(4, "19.00") });
    assert_eq!(exposure(&market), (2, worth(10, 20) + worth(4, 19)), "hidden lots too");
    market.send(SELLER, sell(3, "18.00"));
    assert_eq!(exposure(&market), (2, worth(7, 20) + worth(4, 19)));
    market.send(BUYER, reduce(1, 2));
    market.send(BUYER, replace(2, 3, "19.00"));
    assert_eq!(exposure(&market), (2, worth(5, 20) + worth(3, 19)));
    market.send(BUYER, replace(1, 10, "21.00"));
    assert_eq!(exposure(&market), (2, worth(7, 21) + worth(3, 19)), "three of the ten have traded");
    market.send(BUYER, fok(buy(1, "18.00")));
    market.send(BUYER, ioc(buy(1, "18.00")));
    market.send(BUYER, stop(buy(1, "30.00"), "29.00"));
    assert_eq!(exposure(&market), (3, worth(7, 21) + worth(3, 19) + worth(1, 30)));
    market.send(BUYER, cancel(1));
    market.advance_minutes(60 * HOURS_BEFORE);
    assert_eq!(exposure(&market), (0, 0));
    assert_eq!(market.engine.exposure(AccountId::new(999)), None);
}

#[test]
fn open_orders_count_while_they_are_open() {
    let mut market = market();
    assert_eq!(market.send(OPERATOR, SetLimits { open_orders_max: 2, ..limits(BUYER) }), ["1: done 20"]);
    assert_eq!(market.engine.exposure(AccountId::new(BUYER)).unwrap().open_orders_max, 2);
    market.log_on(BUYER, 2);
    market.send(BUYER, buy(1, "20.00"));
    market.send_from(BUYER, 2, buy(1, "20.00"));
    assert_eq!(refused(&mut market, BUYER, buy(1, "20.00")), (OpenOrderCap, WHOLE, 2, 3));
    assert_eq!(market.send(BUYER_2, buy(1, "20.00")).len(), 1, "other accounts have no cap");
    let said = market.send(BUYER, ioc(buy(1, "20.00")));
    assert_eq!(said[1], "20: canceled 1 of 4 ImmediateRemainder", "it never rests");
    market.send(BUYER, replace(1, 2, "20.00"));
    market.send(SELLER, sell(1, "20.00"));
    market.send(BUYER, buy(1, "20.00"));
    assert_eq!(market.engine.open_order_count(), 3, "a fill makes room");
    market.send(OPERATOR, limits(BUYER));
    assert_eq!(market.send(BUYER, buy(1, "20.00")).len(), 1, "zero is no cap");
}

#[test]
fn one_order_may_be_worth_so_much() {
    let mut market = market();
    market.send(OPERATOR, SetLimits { order_value_max: MicroEc::new(value(3, 20)), ..limits(BUYER) });
    market.send(OPERATOR, SetLimits { order_value_max: MicroEc::new(value(3, 20)), ..limits(SELLER) });
    assert_eq!(market.send(BUYER, buy(3, "20.00")).len(), 1, "the cap itself is allowed");
    let more = value(3, 20) + 240_000;
    assert_eq!(refused(&mut market, BUYER, buy(3, "20.01")), (OrderValueCap, QTY, value(3, 20), more));
    assert_eq!(
        refused(&mut market, BUYER, ioc(buy(4, "20.00"))),
        (OrderValueCap, QTY, value(3, 20), value(4, 20))
    );
    assert_eq!(
        refused(&mut market, SELLER, sell(4, "20.00")),
        (OrderValueCap, QTY, value(3, 20), value(4, 20))
    );
}

#[test]
fn all_open_orders_may_be_worth_so_much() {
    let mut market = market();
    market.send(SELLER, sell(5, "30.00"));
    market.send(OPERATOR, SetLimits { open_value_max: MicroEc::new(value(10, 20)), ..limits(SELLER) });
    assert_eq!(
        refused(&mut market, SELLER, sell(3, "20.00")),
        (OpenValueCap, QTY, value(10, 20), value(5, 30) + value(3, 20)),
        "what was open when the cap was set counts"
    );
    assert_eq!(market.send(SELLER, ioc(sell(3, "20.00"))).len(), 2, "an order that never rests does not");
    // A fill, at whatever price, takes the order's own price off.
    market.send(BUYER, buy(1, "31.00"));
    assert_eq!(market.send(SELLER, sell(4, "20.00")).len(), 1);
    assert_eq!(refused(&mut market, SELLER, sell(1, "1.00")).3, value(10, 20) + value(1, 1));
    market.send(SELLER, cancel(1));
    assert_eq!(market.send(SELLER, sell(1, "100.00")).len(), 1, "a cancel takes all of it off");
}

#[test]
fn a_window_may_hold_so_many_accelerators() {
    let mut market = market();
    market.send(BUYER, on(2, buy(1, "20.00")));
    market.send(SELLER, sell(2, "21.00"));
    market.send(BUYER, buy(1, "21.00"));
    // The buyer has 8 accelerators in all four quarters, and a bid for 8 more in the second.
    market.send(OPERATOR, SetLimits { window_accelerators_max: 31, ..limits(BUYER) });
    assert_eq!(refused(&mut market, BUYER, buy(2, "20.00")), (WindowCap, QTY, 31, 32), "the second quarter");
    assert_eq!(
        refused(&mut market, BUYER, ioc(buy(3, "20.00"))),
        (WindowCap, QTY, 31, 32),
        "the first quarter"
    );
    assert_eq!(market.send(BUYER, buy(1, "20.00")).len(), 1);
    assert_eq!(refused(&mut market, BUYER, on(2, buy(1, "20.00"))), (WindowCap, QTY, 31, 32));
    assert_eq!(market.send(BUYER, sell(1, "30.00")).len(), 1, "sells are not capped");
    assert_eq!(refused(&mut market, BUYER, on(2, buy(1, "20.00"))).3, 32, "what is offered is still there");
    market.send(SELLER_2, buy(1, "20.00"));
    market.send(BUYER_2, buy(1, "31.00"));
    market.send(BUYER_2, buy(1, "31.00"));
    assert_eq!(market.send(BUYER, on(2, buy(1, "20.00"))).len(), 1, "what was sold is not");
}

#[test]
fn a_seller_is_not_capped_by_what_it_registered() {
    let mut market = market();
    market.deposit(SELLER, 100_000);
    market.send(SELLER, sell(2, "21.00"));
    market.send(BUYER, buy(2, "21.00"));
    market.send(OPERATOR, SetLimits { window_accelerators_max: 8, ..limits(SELLER) });
    assert_eq!(
        market.send(SELLER, buy(3, "20.00")).len(),
        1,
        "two lots were sold, so three are one more than none"
    );
    assert_eq!(refused(&mut market, SELLER, buy(1, "20.00")), (WindowCap, QTY, 8, 16));
}

#[test]
fn bids_that_were_open_before_the_cap_count_and_one_that_is_taken_away_forgets_them() {
    let mut market = market();
    market.send(BUYER, buy(3, "20.00"));
    let cap = SetLimits { window_accelerators_max: 24, ..limits(BUYER) };
    for _ in 0..2 {
        market.send(OPERATOR, cap);
        assert_eq!(refused(&mut market, BUYER, buy(1, "20.00")), (WindowCap, QTY, 24, 32));
        market.send(OPERATOR, limits(BUYER));
        let said = market.send(BUYER, buy(1, "19.00"));
        assert_eq!(said.len(), 1);
        let id = market.engine.open_orders().map(|order| order.order_id.raw()).max().unwrap();
        market.send(BUYER, cancel(id));
    }
}

#[test]
fn a_replace_gives_back_its_old_part_and_is_checked_for_what_grows() {
    let qty = offset_of!(ReplaceOrder, qty);
    let mut market = market();
    market.send(BUYER, buy(10, "20.00"));
    let capped = SetLimits {
        order_value_max: MicroEc::new(value(5, 20)),
        open_value_max: MicroEc::new(value(6, 20)),
        window_accelerators_max: 40,
        open_orders_max: 1,
        ..limits(BUYER)
    };
    market.send(OPERATOR, capped);
    let said = market.send(BUYER, replace(1, 10, "19.00"));
    assert_eq!(said, ["20: replaced 1 10@19.00 leaves 10 back"], "less than before, if more than the cap");
    market.send(BUYER, replace(1, 10, "19.01"));
    assert_eq!(market.last_reject(), (OrderValueCap, qty, value(5, 20), 10 * 8 * 19_010_000));
    market.send(BUYER, replace(1, 11, "1.00"));
    assert_eq!(market.last_reject(), (WindowCap, qty, 40, 88), "worth less, but more lots");
    market.send(BUYER, replace(1, 4, "19.00"));
    assert_eq!(market.send(BUYER, replace(1, 5, "20.00")).len(), 1);
    let said = market.send(SELLER, sell(2, "20.00"));
    assert_eq!(said.len(), 3, "{said:?}");
    market.send(BUYER, replace(1, 8, "20.00"));
    assert_eq!(
        market.last_reject(),
        (OrderValueCap, qty, value(5, 20), value(6, 20)),
        "of what would be open"
    );
    market.send(OPERATOR, SetLimits { order_value_max: MicroEc::ZERO, ..capped });
    market.send(BUYER, replace(1, 9, "20.00"));
    assert_eq!(market.last_reject(), (OpenValueCap, qty, value(6, 20), value(7, 20)));
    market.send(BUYER, replace(1, 8, "20.00"));
    assert_eq!(market.last_reject(), (WindowCap, qty, 40, 64), "two lots are bought, six would be wanted");
}

#[test]
fn caps_are_checked_by_the_numbers_of_their_codes_and_after_all_other_rules() {
    let mut market = market();
    let all = SetLimits {
        open_orders_max: 1,
        order_value_max: MicroEc::new(1),
        open_value_max: MicroEc::new(1),
        window_accelerators_max: 1,
        ..limits(BUYER)
    };
    market.send(BUYER, buy(1, "20.00"));
    let steps = [
        (all, OpenOrderCap),
        (SetLimits { open_orders_max: 0, ..all }, OrderValueCap),
        (SetLimits { open_orders_max: 0, order_value_max: MicroEc::ZERO, ..all }, OpenValueCap),
        (SetLimits { window_accelerators_max: 1, ..limits(BUYER) }, WindowCap),
    ];
    for (set, reason) in steps {
        market.send(OPERATOR, set);
        assert_eq!(refused(&mut market, BUYER, buy(1, "20.00")).0, reason);
    }
    market.send(OPERATOR, all);
    assert_eq!(refused(&mut market, BUYER, fok(buy(1, "20.00"))).0, FokNotFillable);
    assert_eq!(refused(&mut market, BUYER, buy(10_000, "900.00")).0, InsufficientCredits);
}

#[test]
fn limits_name_an_account_and_are_not_negative() {
    let mut market = market();
    let (account, order) = (offset_of!(SetLimits, account), offset_of!(SetLimits, order_value_max));
    let open = offset_of!(SetLimits, open_value_max);
    let minus = MicroEc::new(-5);
    let cases = [
        ("nobody", OPERATOR, limits(999), (UnknownAccount, account, 0, 0)),
        (
            "order value",
            OPERATOR,
            SetLimits { order_value_max: minus, ..limits(BUYER) },
            (AmountNotPositive, order, 0, -5),
        ),
        (
            "open value",
            OPERATOR,
            SetLimits { open_value_max: minus, ..limits(BUYER) },
            (AmountNotPositive, open, 0, -5),
        ),
        ("a trader", BUYER, limits(BUYER), (NotAuthorised, WHOLE, 0, 0)),
    ];
    for (name, sender, set, expected) in cases {
        market.send(sender, set);
        assert_eq!(market.last_reject(), expected, "{name}");
    }
}

/// Buys one lot of an hour at 20 EC from the seller, so that the next trade has a last print.
fn print(market: &mut Market) {
    market.send(SELLER, sell(1, "20.00"));
    market.send(BUYER_2, buy(1, "20.00"));
}

#[test]
fn an_order_counts_at_what_it_may_pay_or_be_paid() {
    // Two lots, and what a lot counts at before there is a base and with a base of 20 EC.
    let cases = [
        ("buy", BUYER, buy(2, "30.00"), 30, 30),
        ("buy below the base", BUYER, buy(2, "10.00"), 10, 10),
        ("buy at once", BUYER, ioc(buy(2, "30.00")), 30, 30),
        ("sell", SELLER, sell(2, "30.00"), 30, 30),
        ("sell below the base", SELLER, sell(2, "10.00"), 10, 20),
        ("sell at once below the base", SELLER, ioc(sell(2, "10.00")), 10, 20),
        ("sell stop with a limit", SELLER, stop(sell(2, "10.00"), "15.00"), 10, 20),
        ("market buy", BUYER, ioc(market_order(Side::Buy, 2)), 1_000, 20),
        ("market sell", SELLER, ioc(market_order(Side::Sell, 2)), 1, 20),
        ("market-type buy stop", BUYER, market_stop(Side::Buy, 2, "40.00"), 1_000, 20),
        ("market-type sell stop", SELLER, market_stop(Side::Sell, 2, "15.00"), 1, 20),
    ];
    for (name, sender, order, without_base, with_base) in cases {
        for (printed, ec) in [(false, without_base), (true, with_base)] {
            let mut market = market();
            if printed {
                print(&mut market);
            }
            let capped = |cap| SetLimits { order_value_max: MicroEc::new(cap), ..limits(sender) };
            let worth = value(2, ec);
            market.send(OPERATOR, capped(worth - 1));
            let expected = (OrderValueCap, QTY, worth - 1, worth);
            assert_eq!(refused(&mut market, sender, order), expected, "{name}, printed: {printed}");
            market.send(OPERATOR, capped(worth));
            let said = market.send(sender, order);
            assert!(said[0].contains(": accepted"), "{name}, printed: {printed}: {said:?}");
        }
    }
}

#[test]
fn a_listing_s_reference_is_the_base_until_something_prints() {
    let mut market = Market::new();
    market.fund();
    market.list_with(ListInstrument { reference_price: price("40.00"), ..list_instrument(HOUR) });
    market.send(OPERATOR, SetLimits { order_value_max: MicroEc::new(1), ..limits(SELLER) });
    assert_eq!(refused(&mut market, SELLER, ioc(market_order(Side::Sell, 1))).3, value(1, 40));
    market.send(OPERATOR, limits(SELLER));
    print(&mut market);
    market.send(OPERATOR, SetLimits { order_value_max: MicroEc::new(1), ..limits(SELLER) });
    assert_eq!(refused(&mut market, SELLER, ioc(market_order(Side::Sell, 1))).3, value(1, 20));
}

#[test]
fn a_replaced_order_s_old_part_counts_by_the_same_rule() {
    let mut market = market();
    print(&mut market);
    market.send(SELLER, sell(2, "30.00"));
    market.send(SELLER, market_stop(Side::Sell, 2, "15.00"));
    market.send(OPERATOR, SetLimits { order_value_max: MicroEc::new(value(2, 20)), ..limits(SELLER) });
    let (order, waiting) = (3, 4);
    market.send(SELLER, replace(order, 3, "20.50"));
    let qty = offset_of!(ReplaceOrder, qty);
    assert_eq!(market.last_reject(), (OrderValueCap, qty, value(2, 20), 3 * 8 * 20_500_000));
    assert_eq!(market.send(SELLER, replace(order, 3, "10.00")).len(), 1, "three at 20 are two at 30");
    market.send(SELLER, replace(order, 4, "10.00"));
    assert_eq!(market.last_reject(), (OrderValueCap, qty, value(2, 20), value(4, 20)));
    market.send(SELLER, replace(waiting, 3, "0"));
    assert_eq!(market.last_reject(), (OrderValueCap, qty, value(2, 20), value(3, 20)));
}

#[test]
fn open_orders_are_worth_their_own_limits_whatever_the_base_is() {
    let mut market = market();
    print(&mut market);
    market.send(OPERATOR, SetLimits { open_value_max: MicroEc::new(value(2, 10)), ..limits(SELLER) });
    assert_eq!(market.send(SELLER, sell(2, "10.00")).len(), 1);
    assert_eq!(refused(&mut market, SELLER, sell(1, "10.00")).3, value(3, 10));
}

#[test]
fn a_budget_order_is_worth_its_budget_and_a_token_order_what_its_tokens_may_cost() {
    let mut market = market();
    market.send(OPERATOR, SetLimits { order_value_max: MicroEc::from_ec(100), ..limits(BUYER) });
    let by_budget = |ec: i64| NewOrder {
        order_type: OrderType::Budget.raw(),
        budget: MicroEc::from_ec(ec),
        ..ioc(NewOrder { price: Price::ZERO, ..buy(0, "1") })
    };
    let budget = offset_of!(NewOrder, budget);
    let limit = MicroEc::from_ec(100).raw();
    assert_eq!(
        refused(&mut market, BUYER, by_budget(101)),
        (OrderValueCap, budget, limit, limit + 1_000_000)
    );
    assert!(market.send(BUYER, by_budget(100))[0].starts_with("20: accepted"));
    // 50,000 ktok at 2 EC per million tokens are 100 EC; one ktok more is 0.002 EC more.
    let tokens = |ktok| TokenOrder {
        quantity: KiloTokens::new(ktok),
        limit: "2".parse().unwrap(),
        model: ModelId::new(1),
        time_in_force: TimeInForce::Ioc.raw(),
        count: 1,
        instruments: core::array::from_fn(|index| InstrumentId::new(u32::from(index == 0))),
        ..Default::default()
    };
    market.send(BUYER, tokens(50_001));
    let quantity = offset_of!(TokenOrder, quantity);
    assert_eq!(market.last_reject(), (OrderValueCap, quantity, limit, limit + 2_000));
    market.send(BUYER, tokens(50_000));
    assert_eq!(market.last_reject().0, NoYield, "the cap itself is allowed");
}

#[test]
fn waiting_and_linked_orders_count_each() {
    let mut market = market();
    print(&mut market);
    let capped = SetLimits {
        open_orders_max: 2,
        open_value_max: MicroEc::new(value(100, 20)),
        window_accelerators_max: 48,
        ..limits(BUYER)
    };
    market.send(OPERATOR, capped);
    assert_eq!(market.send(BUYER, stop(buy(1, "30.00"), "29.00")).len(), 1);
    let legs = |qty| OcoOrder {
        price: price("19.00"),
        trigger_price: price("25.00"),
        stop_price: price("26.00"),
        instrument: InstrumentId::new(1),
        qty,
        side: Side::Buy.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        ..Default::default()
    };
    market.send(BUYER, legs(1));
    assert_eq!(market.last_reject(), (OpenOrderCap, WHOLE, 2, 3), "it takes two places");
    let qty = offset_of!(OcoOrder, qty);
    market.send(OPERATOR, SetLimits { open_orders_max: 0, ..capped });
    market.send(BUYER, legs(3));
    assert_eq!(market.last_reject(), (WindowCap, qty, 48, 8 + 2 * 24), "both legs want them");
    market.send(OPERATOR, SetLimits { open_value_max: MicroEc::new(value(3, 30)), ..limits(BUYER) });
    market.send(BUYER, legs(2));
    let would_be = value(1, 30) + value(2, 19) + value(2, 26);
    assert_eq!(
        market.last_reject(),
        (OpenValueCap, qty, value(3, 30), would_be),
        "both legs are worth something"
    );
    assert_eq!(market.send(BUYER, legs(1)).len(), 2);
    // One leg's fill ends the other: their values go, and what was bought stays in the window.
    market.send(OPERATOR, SetLimits { window_accelerators_max: 32, ..limits(BUYER) });
    market.send(SELLER, sell(1, "19.00"));
    assert_eq!(market.send(BUYER, buy(2, "18.00")).len(), 1, "one bought, one waits, two are wanted");
    assert_eq!(refused(&mut market, BUYER, buy(1, "18.00")), (WindowCap, QTY, 32, 40));
}

#[test]
fn market_orders_that_wait_in_a_call_count_at_the_band() {
    let mut market = market();
    market.send(OPERATOR, set_phase(Phase::Auction));
    let capped = SetLimits {
        open_value_max: MicroEc::new(value(3, 1_000)),
        open_orders_max: 2,
        window_accelerators_max: 16,
        ..limits(BUYER)
    };
    market.send(OPERATOR, capped);
    assert_eq!(market.send(BUYER, market_order(Side::Buy, 2)).len(), 1);
    assert_eq!(refused(&mut market, BUYER, market_order(Side::Buy, 2)).3, value(4, 1_000));
    assert_eq!(refused(&mut market, BUYER, market_order(Side::Buy, 1)), (WindowCap, QTY, 16, 24));
    market.send(BUYER, cancel(1));
    assert_eq!(market.send(BUYER, market_order(Side::Buy, 1)).len(), 1);
    // The uncross fills or ends it, and nothing is open any more.
    market.send(SELLER, sell(5, "20.00"));
    market.send(OPERATOR, set_phase(Phase::Open));
    assert_eq!(refused(&mut market, BUYER, buy(2, "10.00")), (WindowCap, QTY, 16, 24), "it bought one");
    assert_eq!(market.send(BUYER, buy(1, "10.00")).len(), 1);
}
