//! Canceling everything.

use joulebook_protocol::messages::MassCancel;
use joulebook_types::{AccountId, InstrumentId};

use crate::market::*;

const QUARTER: &str = "H200S.DE.20261124T1415.Q";

/// The buyer has orders 1 and 2 in session 1 (instruments 1 and 2) and 3 in session 2; another buyer has 4.
fn market() -> Market {
    let mut market = Market::trading();
    market.list(QUARTER);
    market.log_on(BUYER, 2);
    market.send(BUYER, buy(1, "20.00"));
    market.send(BUYER, on(2, buy(2, "20.00")));
    market.send_from(BUYER, 2, buy(3, "20.00"));
    market.send(BUYER_2, buy(4, "20.00"));
    market
}

fn mass_cancel(scope: u8, instrument: u32, account: u32) -> MassCancel {
    let (instrument, account) = (InstrumentId::new(instrument), AccountId::new(account));
    MassCancel { instrument, account, scope, ..Default::default() }
}

#[test]
fn scope_and_instrument_choose_the_orders() {
    let cases: &[(&str, u32, MassCancel, &[u64])] = &[
        ("session", BUYER, mass_cancel(1, 0, 0), &[3, 4]),
        ("account", BUYER, mass_cancel(2, 0, 0), &[4]),
        ("account, one instrument", BUYER, mass_cancel(2, 1, 0), &[4, 2]),
        ("session, one instrument", BUYER, mass_cancel(1, 2, 0), &[1, 3, 4]),
        ("operator", OPERATOR, mass_cancel(2, 0, BUYER), &[4]),
        ("operator, one instrument", OPERATOR, mass_cancel(2, 2, BUYER), &[1, 3, 4]),
        ("operator, nothing of its own", OPERATOR, mass_cancel(2, 0, 0), &[1, 3, 4, 2]),
    ];
    for (name, sender, command, left) in cases {
        let mut market = market();
        let said = market.send(*sender, *command);
        let canceled = 4 - left.len();
        assert_eq!(said.len(), canceled + 1, "{name}: {said:?}");
        assert_eq!(said.last().unwrap(), &format!("{sender}: mass canceled {canceled}"), "{name}");
        let open: Vec<u64> = market.engine.open_orders().map(|order| order.order_id.raw()).collect();
        assert_eq!(open, *left, "{name}");
    }
}

#[test]
fn what_it_may_not_mean_is_refused() {
    let cases: &[(&str, u32, MassCancel, &str)] = &[
        ("no scope", BUYER, mass_cancel(0, 0, 0), "InvalidChoice"),
        ("unknown scope", BUYER, mass_cancel(3, 0, 0), "InvalidChoice"),
        ("unknown instrument", BUYER, mass_cancel(1, 9, 0), "UnknownInstrument"),
        ("somebody else's", BUYER, mass_cancel(2, 0, BUYER_2), "NotAuthorised"),
        ("nobody's", OPERATOR, mass_cancel(2, 0, 999), "UnknownAccount"),
        ("somebody else's session", OPERATOR, mass_cancel(1, 0, BUYER), "InvalidChoice"),
        ("an issuer has no orders", ISSUER, mass_cancel(1, 0, 0), "NotAuthorised"),
    ];
    for (name, sender, command, reason) in cases {
        let mut market = market();
        assert_eq!(market.send(*sender, *command), [format!("{sender}: rejected {reason}")], "{name}");
        assert_eq!(market.engine.open_order_count(), 4, "{name}");
    }
}
