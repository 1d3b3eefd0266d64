//! Openings and gates: time closes books before the batch's commands run.

use joulebook_protocol::messages::{AdvanceTime, ListInstrument};
use joulebook_protocol::{Command, Origin, SequencedCommand};
use joulebook_types::{AccountId, ClientOrderId, InstrumentId, SessionId, TimeNs};

use crate::market::*;

#[test]
fn the_gate_cancels_what_rests_and_frees_its_holds() {
    let mut market = Market::trading();
    market.send(BUYER, buy(1, "20.00"));
    market.send(BUYER_2, buy(1, "21.00"));
    market.send(SELLER, sell(1, "27.00"));
    let gate = market.engine.instrument(InstrumentId::new(1)).unwrap().gate;
    assert_eq!(market.engine.next_deadline(), Some(gate));
    assert!(market.advance_to(TimeNs::new(gate.raw() - 1)).is_empty());
    assert_eq!(
        market.advance_to(gate),
        [
            "21: canceled 1 of 2 GateClosed",
            "* removed 2 leaves 0, buy 21.00: 0 in 0",
            "20: canceled 1 of 1 GateClosed",
            "* removed 1 leaves 0, buy 20.00: 0 in 0",
            "10: canceled 1 of 3 GateClosed",
            "* removed 3 leaves 0, sell 27.00: 0 in 0",
            "* phase 1 closed",
        ]
    );
    assert_eq!(market.credits(BUYER), (1_000_000_000_000, 0, 0));
    let start = symbol(HOUR).window.start_minute();
    assert_eq!(market.engine.next_deadline(), Some(TimeNs::from_minutes(start)));
    assert_eq!(market.engine.best_bid(InstrumentId::new(1)), None);
    assert_eq!(market.send(BUYER, buy(1, "20.00")), ["20: rejected GateClosed"]);
    assert_eq!(market.advance_to(TimeNs::from_minutes(start)), ["* phase 1 delivering"]);
    assert_eq!(market.engine.next_deadline(), Some(TimeNs::from_minutes(start + 15)));
}

#[test]
fn an_instrument_opens_at_its_time() {
    let mut market = Market::new();
    market.fund();
    let opens = market.engine.time().saturating_add_ms(60_000);
    let said = market.send_all(OPERATOR, ListInstrument { opens, ..list_instrument(HOUR) });
    assert_eq!(said, ["* instrument 1 pending", "1: done 1"]);
    assert_eq!(market.send(BUYER, buy(1, "20.00")), ["20: rejected NotOpen"]);
    assert_eq!(market.engine.next_deadline(), Some(opens));
    assert_eq!(market.advance_ms(60_000), ["* phase 1 open"]);
    assert_eq!(market.send(BUYER, buy(1, "20.00")).len(), 1);
}

#[test]
fn a_batch_that_comes_at_the_gate_finds_it_closed() {
    let mut market = Market::trading();
    let gate = market.engine.instrument(InstrumentId::new(1)).unwrap().gate;
    let origin =
        Origin { account: AccountId::new(BUYER), session: SessionId::new(1), received: TimeNs::new(5) };
    market.events.clear();
    market.engine.begin_batch(market.engine.last_seq().next(), gate, &mut market.events);
    let order =
        joulebook_protocol::messages::NewOrder { client_order_id: ClientOrderId::new(1), ..buy(1, "20.00") };
    market.engine.apply(&SequencedCommand { origin, command: order.into() }, &mut market.events);
    market.engine.end_batch(&mut market.events);
    let last = market.private_events().pop().unwrap();
    assert!(matches!(last, joulebook_protocol::Event::RequestRejected(e) if e.reason == 22));
}

#[test]
fn time_never_runs_backwards() {
    let mut market = Market::trading();
    let now = market.engine.time();
    market.advance_to(TimeNs::ZERO);
    assert_eq!(market.engine.time(), now);
}

#[test]
#[should_panic(expected = "gap in the sequenced stream")]
fn a_gap_in_the_stream_is_our_fault() {
    let mut market = Market::trading();
    let next = market.engine.last_seq().next();
    market.engine.begin_batch(next.next(), market.engine.time(), &mut market.events);
    let command = Command::AdvanceTime(AdvanceTime::default());
    market.engine.apply(&SequencedCommand { origin: Origin::SYSTEM, command }, &mut market.events);
}
