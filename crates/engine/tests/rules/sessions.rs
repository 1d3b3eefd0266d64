//! Logon, resend, snapshot, takeover.

use joulebook_protocol::Event;
use joulebook_protocol::messages::Genesis;

use crate::market::*;

#[test]
fn a_client_gets_what_it_missed_before_anything_new() {
    let mut market = Market::trading();
    market.send(BUYER, buy(3, "27.00"));
    assert!(market.hang_up(BUYER, 1, 2_001).is_empty());
    market.send(SELLER, sell(1, "27.00"));
    market.send(SELLER, sell(1, "27.00"));
    assert_eq!(
        market.log_on_with(BUYER, 1, 2_002, 1, u32::MAX),
        [
            "20: welcome hwm 1 last 3 resend 2 snapshot 0",
            "20: filled 1 1@27.00 leaves 2 maker fee 0.00",
            "20: filled 1 1@27.00 leaves 1 maker fee 0.00",
        ]
    );
    let numbers: Vec<u64> = market
        .private_events()
        .iter()
        .map(|event| match event {
            Event::OrderFilled(event) => event.stamp.event_seq,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(numbers, [2, 3]);
    let said = market.send(SELLER, sell(1, "27.00"));
    assert_eq!(said[1], "20: filled 1 1@27.00 leaves 0 maker fee 0.00");
    let said = market.log_on_with(BUYER, 1, 2_003, 0, u32::MAX);
    assert_eq!(said[0..2], ["20: terminated 6", "20: welcome hwm 1 last 4 resend 1 snapshot 0"]);
    assert_eq!(said.len(), 6, "from the very first");
}

#[test]
fn a_client_that_is_up_to_date_gets_nothing_again() {
    let mut market = Market::trading();
    market.send(BUYER, buy(3, "27.00"));
    let said = market.log_on_with(BUYER, 1, 2_002, 1, u32::MAX);
    assert_eq!(said, ["20: terminated 6", "20: welcome hwm 1 last 1 resend 0 snapshot 0"]);
    let said = market.log_on_with(BUYER, 1, 2_002, 1, u32::MAX);
    assert_eq!(
        said,
        ["20: welcome hwm 1 last 1 resend 0 snapshot 0"],
        "the same connection is not its rival"
    );
}

#[test]
fn a_client_too_far_behind_gets_a_snapshot() {
    let mut market = Market::with_limits(Genesis { outbox_events_max: 2, ..GENESIS });
    market.list(HOUR);
    market.fund();
    market.send(SELLER, sell(5, "27.00"));
    market.send(BUYER, buy(2, "27.00"));
    market.send(BUYER, buy(3, "20.00"));
    let last_slot = symbol(HOUR).window.slots().next_back_slot();
    let said = market.log_on_with(BUYER, 1, 2_002, 0, u32::MAX);
    assert_eq!(said[1], "20: welcome hwm 2 last 3 resend 0 snapshot 1");
    assert_eq!(said[2], "20: status 3 buy 3@20.00 leaves 3");
    assert_eq!(said[3], "20: credits 999088.00 480.00 0.00");
    assert_eq!(said.len(), 9, "{said:?}");
    assert!(said[7].starts_with(&format!("20: capacity H200S {last_slot} free 16")), "{said:?}");
    assert_eq!(said[8], "20: snapshot end 3");
    // What follows is newer and numbered on.
    market.send(BUYER, cancel(3));
    let Some(Event::OrderCanceled(event)) = market.private_events().pop() else { panic!() };
    assert_eq!(event.stamp.event_seq, 4);
}

#[test]
fn a_client_from_another_past_gets_a_snapshot() {
    let mut market = Market::trading();
    let said = market.log_on_with(BUYER, 1, 2_002, 77, u32::MAX);
    assert_eq!(said[1], "20: welcome hwm 0 last 0 resend 0 snapshot 1");
    assert_eq!(said.last().unwrap(), "20: snapshot end 0");
}

#[test]
fn what_cannot_log_on_is_refused() {
    let mut market = Market::with_limits(Genesis { sessions_max: 9, ..GENESIS });
    assert_eq!(market.log_on(999, 1), ["999: logon rejected UnknownAccount"]);
    assert_eq!(market.log_on(BUYER, 0), ["20: logon rejected InvalidChoice"]);
    assert_eq!(market.log_on(BUYER, 2), ["20: welcome hwm 0 last 0 resend 0 snapshot 0"]);
    assert_eq!(market.log_on(BUYER, 3), ["20: logon rejected SessionLimit"]);
    assert_eq!(market.log_on(BUYER, 2).len(), 1, "a known session is no new one");
}

#[test]
fn no_account_uses_up_the_sessions_of_others() {
    let mut market = Market::with_limits(Genesis { sessions_max: 100, ..GENESIS });
    let welcome = "20: welcome hwm 0 last 0 resend 0 snapshot 0";
    for session in 2..=64 {
        assert_eq!(market.log_on_with(BUYER, session, 2_001, 0, u32::MAX), [welcome], "{session}");
    }
    assert_eq!(market.log_on_with(BUYER, 65, 2_001, 0, u32::MAX), ["20: logon rejected SessionLimit"]);
    assert_eq!(market.log_on_with(BUYER, 64, 2_001, 0, u32::MAX), [welcome], "a known one");
    assert_eq!(market.log_on(MAKER, 2), ["30: welcome hwm 0 last 0 resend 0 snapshot 0"]);
}

#[test]
fn stamps_say_when_and_in_which_order() {
    let mut market = Market::trading();
    market.send(SELLER, sell(1, "27.00"));
    market.send(BUYER, buy(1, "27.00"));
    let now = market.engine.time();
    for event in market.private_events() {
        let stamp = match event {
            Event::OrderAccepted(event) => event.stamp,
            Event::OrderFilled(event) => event.stamp,
            other => panic!("{other:?}"),
        };
        assert!(stamp.event_seq > 0);
        assert_eq!((stamp.sequenced, stamp.received), (now, now));
        assert_eq!((stamp.sent.raw(), stamp.order_credits, stamp.cancel_credits), (0, 0, 0));
    }
}

trait LastSlot {
    fn next_back_slot(self) -> String;
}

impl<I: Iterator<Item = joulebook_types::QuarterSlot>> LastSlot for I {
    fn next_back_slot(self) -> String {
        self.last().unwrap().to_string()
    }
}

#[test]
fn a_tool_hears_what_sessions_are_told_that_nobody_is_logged_on_to() {
    let run = |tell_all| {
        let mut market = Market::trading();
        if tell_all {
            market.engine.tell_all();
        }
        market.send(BUYER, buy(3, "27.00"));
        market.hang_up(BUYER, 1, 2_001);
        market.send(SELLER, sell(1, "27.00"));
        let fills =
            market.private_events().iter().filter(|event| matches!(event, Event::OrderFilled(_))).count();
        (fills, market.engine.event_chain_hash(), market.engine.state_hash())
    };
    let ((heard, chain, state), (all, same_chain, same_state)) = (run(false), run(true));
    assert_eq!((heard, all), (1, 2));
    assert_eq!((chain, state), (same_chain, same_state), "who listens changes nothing");
}
