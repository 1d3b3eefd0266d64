//! Configured limits refuse with a code and never abort.

use joulebook_protocol::messages::{Genesis, ListInstrument, MintCredits};
use joulebook_types::{MicroEc, Role, Roles, TimeNs};

use crate::market::*;

#[test]
fn a_full_exchange_takes_no_resting_order_but_still_trades() {
    let mut market = Market::with_limits(Genesis { orders_max: 2, ..GENESIS });
    market.list(HOUR);
    market.fund();
    market.send(SELLER, sell(5, "27.00"));
    market.send(BUYER, buy(5, "20.00"));
    assert_eq!(market.send(BUYER, buy(5, "27.00")), ["20: rejected OrderLimit"]);
    assert!(market.send(BUYER, ioc(buy(5, "27.00")))[2].starts_with("20: filled"));
    assert_eq!(market.send(BUYER, buy(5, "21.00")).len(), 1, "a place became free");
    assert_eq!(market.send(BUYER, replace(2, 6, "20.50")).len(), 1, "a replace needs no new place");
}

#[test]
fn books_are_limited_and_a_closed_one_gives_its_place_back() {
    let mut market = Market::with_limits(Genesis { instruments_max: 1, ..GENESIS });
    market.list(HOUR);
    let next = list_instrument("H200S.DE.20261124T1700.H");
    assert_eq!(market.send(OPERATOR, next), ["1: rejected InstrumentLimit"]);
    market.advance_minutes(60 * HOURS_BEFORE);
    assert_eq!(market.send(OPERATOR, next), ["1: done 2"]);
}

#[test]
fn accounts_are_limited() {
    let mut market = Market::with_limits(Genesis { accounts_max: 8, ..GENESIS });
    let open = open_account(50, Roles::NONE.with(Role::Buyer), 0);
    assert_eq!(market.send(OPERATOR, open), ["1: rejected AccountLimit"]);
    let again = open_account(BUYER, Roles::NONE.with(Role::Buyer), 0);
    assert_eq!(market.send(OPERATOR, again), ["1: rejected AccountExists"]);
}

#[test]
fn the_supply_fits_one_balance() {
    let mut market = Market::new();
    let mint = |amount| MintCredits { amount, ..Default::default() };
    assert_eq!(market.send(ISSUER, mint(MicroEc::MAX)), [format!("2: done {}", i64::MAX)]);
    assert_eq!(market.send(ISSUER, mint(MicroEc::new(1))), ["2: rejected BalanceOverflow"]);
}

#[test]
fn a_seller_cannot_register_without_bound() {
    let mut market = Market::with_limits(Genesis { instruments_max: 2, ..GENESIS });
    let days = ["20270101", "20270102", "20270103"].map(|day| format!("H200S.DE.{day}T0000.D"));
    market.register(SELLER, &days[0], 8);
    market.register(SELLER, &days[1], 8);
    let refused = market.send(SELLER, register_capacity(&days[2], 8));
    assert_eq!(refused, ["10: rejected InstrumentLimit"]);
    market.register(SELLER_2, &days[1], 8);
    market.list(HOUR);
}

#[test]
fn hours_that_are_over_cannot_be_registered() {
    let mut market = Market::new();
    // Nobody ever named these slots, so nothing but the time can say that they are over.
    let over = ["A100S.DE.20261124T1145.Q", "A100S.DE.20261124T1100.H", "A100S.DE.20261123T0000.D"];
    for name in over {
        assert_eq!(market.send(SELLER, register_capacity(name, 8)), ["10: rejected GateClosed"], "{name}");
    }
    assert!(market.advance_minutes(60).is_empty());
    market.register(SELLER, "A100S.DE.20261124T1300.Q", 8);
    market.advance_minutes(15);
    let again = register_capacity("A100S.DE.20261124T1300.Q", 8);
    assert_eq!(market.send(SELLER, again), ["10: rejected GateClosed"]);
}

#[test]
fn windows_beyond_64_bits_of_nanoseconds_are_no_problem() {
    let mut market = Market::new();
    let far = "H200S.DE.99991231T2300.H";
    market.list_with(ListInstrument { gate: TimeNs::MAX, ..list_instrument(HOUR_OF_YEAR_3000) });
    market.register(SELLER, HOUR_OF_YEAR_3000, 8);
    market.register(SELLER, far, 8);
    market.send(SELLER, sell(1, "27.00"));
    market.advance_to(TimeNs::MAX);
    assert_eq!(market.engine.open_order_count(), 0);
}

const HOUR_OF_YEAR_3000: &str = "H200S.DE.30000101T0000.H";
