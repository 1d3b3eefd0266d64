//! What happens to orders when their session is gone.

use joulebook_protocol::messages::Restarted;

use crate::market::*;
use crate::stops::stop;

fn market(cancel_on_disconnect_ms: u32) -> Market {
    let mut market = Market::trading();
    market.log_on_with(BUYER, 1, 2_001, 0, cancel_on_disconnect_ms);
    market.send(BUYER, buy(1, "20.00"));
    market.send(BUYER, buy(2, "21.00"));
    market
}

#[test]
fn orders_stay_for_good_when_the_session_said_so() {
    let mut market = market(u32::MAX);
    market.hang_up(BUYER, 1, 2_001);
    market.advance_ms(60_000);
    assert_eq!(market.engine.open_order_count(), 2);
}

#[test]
fn without_grace_they_go_at_once() {
    let mut market = market(0);
    let said = market.hang_up(BUYER, 1, 2_001);
    assert_eq!(
        said,
        ["* removed 1 leaves 0, buy 20.00: 0 in 0", "* removed 2 leaves 0, buy 21.00: 0 in 0"],
        "nobody is there to be told"
    );
    let said = market.log_on_with(BUYER, 1, 2_002, 2, 0);
    assert_eq!(said[1..], ["20: canceled 1 of 1 Disconnected", "20: canceled 2 of 2 Disconnected"]);
}

#[test]
fn grace_runs_out_with_batch_time() {
    let mut market = market(5_000);
    let deadline = market.engine.time().saturating_add_ms(5_000);
    market.hang_up(BUYER, 1, 2_001);
    assert_eq!(market.engine.next_deadline(), Some(deadline));
    assert!(market.advance_ms(4_999).is_empty());
    assert_eq!(market.advance_ms(1).len(), 2);
    assert_eq!(market.engine.open_order_count(), 0);
}

#[test]
fn whoever_comes_back_in_time_keeps_its_orders() {
    let mut market = market(5_000);
    market.hang_up(BUYER, 1, 2_001);
    market.advance_ms(4_999);
    market.log_on_with(BUYER, 1, 2_002, 2, 5_000);
    market.advance_ms(60_000);
    assert_eq!(market.engine.open_order_count(), 2);
    // The old connection's end says nothing about the new one.
    market.hang_up(BUYER, 1, 2_001);
    market.advance_ms(60_000);
    assert_eq!(market.engine.open_order_count(), 2);
    assert_eq!(market.engine.ignored_commands(), 1);
}

#[test]
fn a_session_without_orders_starts_no_timer() {
    let mut market = market(5_000);
    market.send(BUYER, cancel(1));
    market.send(BUYER, cancel(2));
    let gate = market.engine.next_deadline();
    market.hang_up(BUYER, 1, 2_001);
    assert_eq!(market.engine.next_deadline(), gate);
}

#[test]
fn a_restart_is_a_disconnect_of_everybody() {
    let mut market = market(5_000);
    market.send(BUYER_2, buy(1, "19.00"));
    market.system(Restarted::default());
    assert_eq!(market.send(BUYER, buy(1, "20.00")), Vec::<String>::new(), "nobody is logged on");
    assert_eq!(market.advance_ms(5_000).len(), 2);
    let open: Vec<u64> = market.engine.open_orders().map(|order| order.order_id.raw()).collect();
    assert_eq!(open, [3], "the other session keeps its orders for good");
}

#[test]
fn who_is_there_hears_of_a_trade_with_somebody_who_is_not() {
    let mut market = market(u32::MAX);
    market.send(BUYER, stop(buy(1, "25.00"), "22.00"));
    market.hang_up(BUYER, 1, 2_001);
    assert_eq!(
        market.send_all(SELLER, sell(1, "21.00")),
        [
            "10: accepted 4 sell 1@21.00",
            "* trade 1 1@21.00 sell",
            "10: filled 4 1@21.00 leaves 0 taker fee 0.00",
            "* filled 2 leaves 1, buy 21.00: 1 in 1",
        ]
    );
    market.send(SELLER, sell(1, "22.00"));
    market.send(SELLER_2, sell(1, "23.00"));
    assert_eq!(
        market.send_all(BUYER_2, ioc(buy(1, "22.00")))[5..],
        [
            "* trade 3 1@23.00 buy",
            "11: filled 6 1@23.00 leaves 0 maker fee 0.00",
            "* filled 6 leaves 0, sell 23.00: 0 in 0",
        ]
    );
    let said = market.log_on_with(BUYER, 1, 2_002, 3, 0);
    assert_eq!(
        said[1..],
        [
            "20: filled 2 1@21.00 leaves 1 maker fee 0.00",
            "20: triggered 3 at 22.00 by 22.00",
            "20: filled 3 1@23.00 leaves 0 taker fee 0.00",
        ]
    );
}
