//! Questions and their unnumbered answers.

use joulebook_protocol::messages::{AccountQuery, OrderQuery};
use joulebook_types::{ClientOrderId, OrderId};

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
    let joulebook_protocol::Event::OrderCanceled(event) = market.private_events()[0] else { panic!() };
    assert_eq!(event.stamp.event_seq, 2, "the answers took no number");
}
