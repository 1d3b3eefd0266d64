//! Questions and their unnumbered answers.

use joulebook_protocol::messages::{AccountQuery, OrderQuery};
use joulebook_protocol::{Event, Origin, RejectReason, SequencedCommand};
use joulebook_types::{AccountId, ClientOrderId, OrderId, SessionId};

use crate::market::*;

#[test]
fn an_order_is_found_by_id_or_request_and_only_by_its_account() {
    let mut market = Market::trading();
    market.send(BUYER, buy(3, "27.00"));
    market.send(SELLER, sell(1, "27.00"));
    let by = |order_id, target| OrderQuery {
        order_id: OrderId::new(order_id),
        target: ClientOrderId::new(target),
        ..Default::default()
    };
    let status = "20: status 1 buy 3@27.00 leaves 2";
    for (name, account, query, line) in [
        ("by id", BUYER, by(1, 0), status),
        ("by request", BUYER, by(0, 1), status),
        ("somebody else's", BUYER_2, by(1, 0), "21: rejected UnknownOrder"),
        ("gone", SELLER, by(2, 0), "10: rejected UnknownOrder"),
        ("no name", BUYER, by(0, 0), "20: rejected UnknownOrder"),
    ] {
        assert_eq!(market.send_raw(account, 1, query), [line], "{name}");
    }
}

#[test]
fn answers_are_not_numbered_and_change_nothing() {
    let mut market = Market::trading();
    market.send(BUYER, buy(3, "27.00"));
    let query = AccountQuery { client_order_id: ClientOrderId::new(1) };
    let said = market.send_raw(BUYER, 1, query);
    assert_eq!(
        said,
        ["20: status 1 buy 3@27.00 leaves 3", "20: credits 999352.00 648.00 0.00", "20: snapshot end 1"]
    );
    let said = market.send(SELLER, AccountQuery::default());
    assert_eq!(said[0], "10: credits 0.00 0.00 0.00");
    assert_eq!(said[1], "10: capacity H200S 20261124T1400 free 800 held 0 registered 800");
    assert_eq!(said.len(), 6);
    assert_eq!(market.send(BUYER, cancel(1)), ["20: canceled 3 of 1 Requested"]);
    let Event::OrderCanceled(event) = market.private_events()[0] else { panic!() };
    assert_eq!(event.stamp.event_seq, 2, "the answers took no number");
}

#[test]
fn the_answers_of_one_batch_do_not_grow_without_bound() {
    let mut market = Market::trading();
    market.register(SELLER, "H200S.DE.20261125T0000.D", 8);
    market.register(SELLER, "H200S.DE.20261126T0000.D", 8);
    let one_answer = {
        market.send(SELLER, AccountQuery::default());
        market.events.bytes_len()
    };
    let origin = Origin {
        account: AccountId::new(SELLER),
        session: SessionId::new(1),
        received: market.engine.time(),
    };
    let question = SequencedCommand { origin, command: AccountQuery::default().into() };
    market.events.clear();
    market.engine.begin_batch(market.engine.last_seq().next(), market.engine.time(), &mut market.events);
    for _ in 0..512 {
        market.engine.apply(&question, &mut market.events);
    }
    market.engine.end_batch(&mut market.events);
    assert!(one_answer > 15_000, "the test asks for more than fits");
    assert!(market.events.bytes_len() < (4 << 20) + one_answer + 512 * 128, "{}", market.events.bytes_len());
    let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
    assert_eq!((event.reason, event.stamp.event_seq), (RejectReason::Busy.raw(), 0));
    assert!(market.send(SELLER, AccountQuery::default()).len() > 192, "the next batch has room");
}
