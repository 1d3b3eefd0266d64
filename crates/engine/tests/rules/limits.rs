//! Configured limits refuse with a code and never abort.

use joulebook_protocol::messages::{Genesis, MintCredits};
use joulebook_types::{MicroEc, Role, Roles};

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
