//! A session's dead-man timer.

use joulebook_protocol::messages::SetDeadMan;

use crate::market::*;

fn dead_man(timeout_ms: u32) -> SetDeadMan {
    SetDeadMan { timeout_ms, ..Default::default() }
}

#[test]
fn a_silent_session_loses_its_orders_once() {
    let mut market = Market::trading();
    market.log_on(BUYER, 2);
    assert_eq!(market.send(BUYER, dead_man(2_000)), ["20: done 2000"]);
    market.send(BUYER, buy(1, "20.00"));
    market.send(BUYER, buy(2, "21.00"));
    market.send_from(BUYER, 2, buy(3, "22.00"));
    assert_eq!(market.advance_ms(1_999), [""; 0]);
    assert_eq!(
        market.advance_ms(1),
        [
            "20: canceled 1 of 1 DeadMan",
            "* removed 1 leaves 0, buy 20.00: 0 in 0",
            "20: canceled 2 of 2 DeadMan",
            "* removed 2 leaves 0, buy 21.00: 0 in 0",
        ],
        "the orders of the other session stay"
    );
    market.send(BUYER, buy(1, "20.00"));
    market.advance_ms(60_000);
    assert_eq!(market.engine.open_order_count(), 2, "the timer runs once");
}

#[test]
fn setting_it_again_starts_it_anew_and_zero_ends_it() {
    let mut market = Market::trading();
    market.send(BUYER, dead_man(2_000));
    market.send(BUYER, buy(1, "20.00"));
    market.advance_ms(1_500);
    market.send(BUYER, dead_man(1_000));
    market.advance_ms(999);
    market.send(BUYER, dead_man(0));
    market.advance_ms(100_000);
    assert_eq!(market.engine.open_order_count(), 1);
    assert_eq!(market.engine.next_deadline(), market.engine.instruments().next().map(|it| it.gate));
}

#[test]
fn a_timeout_out_of_range_changes_nothing() {
    let mut market = Market::trading();
    market.send(BUYER, dead_man(86_400_000));
    market.send(BUYER, dead_man(1_000));
    market.send(BUYER, buy(1, "20.00"));
    for timeout_ms in [1, 999, 86_400_001, u32::MAX] {
        assert_eq!(market.send(BUYER, dead_man(timeout_ms)), ["20: rejected InvalidChoice"]);
    }
    assert_eq!(market.send(OPERATOR, dead_man(1_000)), ["1: rejected NotAuthorised"]);
    assert_eq!(market.advance_ms(1_000).len(), 2, "the timer that ran before still runs");
}
