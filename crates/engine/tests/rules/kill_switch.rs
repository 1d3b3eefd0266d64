//! The kill switch: entry off, everything canceled, and who may switch it on again.

use core::mem::offset_of;

use joulebook_protocol::messages::{
    Basket, BatchEntry, BlockSweep, KillSwitch, MassQuote, OcoOrder, OrderBatch, TokenOrder,
};
use joulebook_protocol::{Command, RejectReason};
use joulebook_types::{AccountId, ClassCode, InstrumentId, OrderId, SessionId};

use crate::market::*;
use crate::stops::stop;

const OTHER_CLASS: &str = "B200.DE.20261124T1400.H";
const WHOLE: usize = u16::MAX as usize;

/// Orders 1 and 3 are the buyer's, 3 in another class; 2 comes from its second session, 4 from another buyer.
fn market() -> Market {
    let mut market = Market::trading();
    market.list(OTHER_CLASS);
    market.log_on(BUYER, 2);
    market.send(BUYER, buy(1, "20.00"));
    market.send_from(BUYER, 2, buy(2, "20.00"));
    market.send(BUYER, on(2, buy(3, "20.00")));
    market.send(BUYER_2, buy(4, "20.00"));
    market
}

fn kill(scope: u8) -> KillSwitch {
    KillSwitch { scope, action: KillSwitch::KILL, ..Default::default() }
}

fn enable(switch: KillSwitch) -> KillSwitch {
    KillSwitch { action: KillSwitch::ENABLE, ..switch }
}

fn account(account: u32) -> KillSwitch {
    KillSwitch { account: AccountId::new(account), ..kill(KillSwitch::SCOPE_ACCOUNT) }
}

fn session(account: u32, session: u32) -> KillSwitch {
    let (account, session) = (AccountId::new(account), SessionId::new(session));
    KillSwitch { account, session, ..kill(KillSwitch::SCOPE_SESSION) }
}

fn class(code: &str) -> KillSwitch {
    let class = if code.is_empty() { ClassCode::default() } else { code.parse().unwrap() };
    KillSwitch { class, ..kill(KillSwitch::SCOPE_CLASS) }
}

fn exchange() -> KillSwitch {
    kill(KillSwitch::SCOPE_EXCHANGE)
}

#[test]
fn a_kill_cancels_what_its_scope_covers() {
    let cases: &[(&str, u32, KillSwitch, &[u64])] = &[
        ("own account", BUYER, account(0), &[1, 3, 2]),
        ("own account by name", BUYER, account(BUYER), &[1, 3, 2]),
        ("own session", BUYER, session(0, 1), &[1, 3]),
        ("another session of its own", BUYER, session(0, 2), &[2]),
        ("operator, account", OPERATOR, account(BUYER_2), &[4]),
        ("operator, session", OPERATOR, session(BUYER, 2), &[2]),
        ("operator, class", OPERATOR, class("H200S"), &[1, 2, 4]),
        ("operator, other class", OPERATOR, class("B200"), &[3]),
        ("operator, a class that nobody listed", OPERATOR, class("NONE"), &[]),
        ("operator, exchange", OPERATOR, exchange(), &[1, 3, 2, 4]),
        ("operator, itself", OPERATOR, account(0), &[]),
    ];
    for (name, sender, switch, canceled) in cases {
        let mut market = market();
        let said = market.send(*sender, *switch);
        let (done, cancels) = said.split_last().unwrap();
        assert_eq!(done, &format!("{sender}: done {}", canceled.len()), "{name}");
        let expected: Vec<String> = canceled
            .iter()
            .map(|id| format!("{}: canceled {id} of {id} Killed", if *id == 4 { BUYER_2 } else { BUYER }))
            .collect();
        assert_eq!(cancels, expected, "{name}: accounts, then sessions, then oldest first");
    }
}

#[test]
fn entry_stays_off_until_it_is_enabled_again() {
    // What the buyer's session 1 hears in H200S and in B200, its session 2 in H200S, and another buyer.
    let cases: &[(&str, KillSwitch, [bool; 4], i64)] = &[
        ("account", account(BUYER), [false, false, false, true], 1),
        ("session", session(BUYER, 1), [false, false, true, true], 2),
        ("class", class("H200S"), [false, true, false, false], 3),
        ("exchange", exchange(), [false, false, false, false], 4),
    ];
    for (name, switch, enters, scope) in cases {
        let mut market = market();
        market.send(OPERATOR, *switch);
        let try_all = |market: &mut Market, enters: &[bool; 4]| {
            let orders = [(BUYER, 1, 1), (BUYER, 1, 2), (BUYER, 2, 1), (BUYER_2, 1, 1)];
            for ((account, session, instrument), enters) in orders.into_iter().zip(enters) {
                let said = market.send_from(account, session, on(instrument, buy(1, "20.00")));
                let accepted = said[0].starts_with(&format!("{account}: accepted"));
                assert_eq!(accepted, *enters, "{name} {account} {session} {instrument}: {said:?}");
                if !accepted {
                    assert_eq!(market.last_reject(), (RejectReason::EntryDisabled, WHOLE, *scope, 0));
                }
            }
        };
        try_all(&mut market, enters);
        let may_enter = market.engine.may_enter(AccountId::new(BUYER), SessionId::new(1));
        assert_eq!(may_enter, Some(enters[1]), "{name}: a class is not everything");
        assert_eq!(market.send(OPERATOR, enable(*switch)), ["1: done 0"], "{name}");
        try_all(&mut market, &[true; 4]);
        assert_eq!(market.send(OPERATOR, enable(*switch)), ["1: done 0"], "{name}: nothing to enable");
    }
}

#[test]
fn the_widest_reason_is_named_first() {
    let mut market = market();
    let switch = |market: &mut Market, switch: KillSwitch| {
        market.send(OPERATOR, switch);
        market.send(BUYER, buy(1, "20.00"));
        market.last_reject().2
    };
    assert_eq!(switch(&mut market, class("H200S")), 3);
    assert_eq!(switch(&mut market, session(BUYER, 1)), 2);
    assert_eq!(switch(&mut market, account(BUYER)), 1);
    assert_eq!(switch(&mut market, exchange()), 4);
    market.send(BUYER, on(99, buy(1, "20.00")));
    assert_eq!(market.last_reject().0, RejectReason::EntryDisabled, "before the instrument is looked at");
}

#[test]
fn a_disabled_class_is_checked_with_its_instrument() {
    let mut market = market();
    market.send(OPERATOR, class("H200S"));
    let cases = [
        ("unknown instrument", on(99, buy(1, "20.00")), RejectReason::UnknownInstrument),
        ("before the quantity", buy(0, "20.00"), RejectReason::EntryDisabled),
    ];
    for (name, order, reason) in cases {
        market.send(BUYER, order);
        assert_eq!(market.last_reject().0, reason, "{name}");
    }
}

#[test]
fn canceling_and_reducing_work_while_entry_is_off() {
    let mut market = market();
    market.send(OPERATOR, account(BUYER));
    market.send(OPERATOR, enable(account(BUYER)));
    market.send(BUYER, buy(5, "20.00"));
    market.send(OPERATOR, KillSwitch { action: KillSwitch::KILL, ..session(BUYER, 2) });
    market.send(BUYER, replace(5, 9, "20.00"));
    assert_eq!(market.send_from(BUYER, 2, replace(5, 10, "20.00")), ["20: rejected EntryDisabled"]);
    assert_eq!(market.last_reject(), (RejectReason::EntryDisabled, WHOLE, 2, 0));
    let said = market.send_from(BUYER, 2, reduce(5, 2));
    assert!(said.iter().any(|line| line.starts_with("20: replaced 5 7@20.00 leaves 7 kept")), "{said:?}");
    let said = market.send_from(BUYER, 2, cancel(5));
    assert!(said.contains(&"20: canceled 7 of 5 Requested".to_owned()), "{said:?}");
}

#[test]
fn a_trader_may_not_undo_what_an_operator_did() {
    let mut market = market();
    for switch in [account(BUYER), session(BUYER, 1)] {
        market.send(BUYER, switch);
        assert_eq!(market.send(BUYER, enable(switch)), ["20: done 0"], "its own doing");
        market.send(BUYER, switch);
        market.send(OPERATOR, switch);
        market.send(BUYER, switch);
        market.send(BUYER, enable(switch));
        let action = offset_of!(KillSwitch, action);
        assert_eq!(market.last_reject(), (RejectReason::NotAuthorised, action, 0, 0), "the operator's");
        market.send(OPERATOR, enable(switch));
        assert_eq!(market.send(BUYER, enable(switch)), ["20: done 0"], "nothing is off any more");
    }
}

#[test]
fn what_it_may_not_mean_is_refused() {
    use RejectReason::*;
    let (scope, action) = (offset_of!(KillSwitch, scope), offset_of!(KillSwitch, action));
    let (named, class_field) = (offset_of!(KillSwitch, account), offset_of!(KillSwitch, class));
    let session_field = offset_of!(KillSwitch, session);
    let cases: &[(&str, u32, KillSwitch, RejectReason, usize, i64)] = &[
        ("somebody else's account", BUYER, account(BUYER_2), NotAuthorised, named, 0),
        ("nobody's account", BUYER, account(999), NotAuthorised, named, 0),
        ("somebody else's session", BUYER, session(BUYER_2, 1), NotAuthorised, named, 0),
        ("a class", BUYER, class("H200S"), NotAuthorised, WHOLE, 0),
        ("the exchange", BUYER, exchange(), NotAuthorised, WHOLE, 0),
        ("an issuer has no entry", ISSUER, account(0), NotAuthorised, WHOLE, 0),
        ("operator, nobody's account", OPERATOR, account(999), UnknownAccount, named, 0),
        ("no scope", BUYER, kill(0), InvalidChoice, scope, 0),
        ("unknown scope", OPERATOR, kill(5), InvalidChoice, scope, 5),
        ("no action", BUYER, KillSwitch { action: 0, ..account(0) }, InvalidChoice, action, 0),
        ("unknown action", BUYER, KillSwitch { action: 3, ..account(0) }, InvalidChoice, action, 3),
        ("scope before action", BUYER, KillSwitch { action: 3, ..kill(9) }, InvalidChoice, scope, 9),
        ("unknown session", BUYER, session(0, 9), InvalidChoice, session_field, 9),
        ("no class", OPERATOR, class(""), InvalidCode, class_field, 0),
    ];
    for (name, sender, switch, reason, field, value) in cases {
        let mut market = market();
        market.send(*sender, *switch);
        assert_eq!(market.last_reject(), (*reason, *field, 0, *value), "{name}");
        assert_eq!(market.engine.open_order_count(), 4, "{name}");
    }
}

#[test]
fn an_account_that_is_ignored_may_be_anything() {
    let mut market = market();
    let switch = KillSwitch { account: AccountId::new(999), ..exchange() };
    assert_eq!(market.send(OPERATOR, switch).last().unwrap(), "1: done 4");
}

#[test]
fn disabled_entry_refuses_everything_that_could_trade() {
    let mut market = market();
    market.send(OPERATOR, account(BUYER));
    market.send(OPERATOR, account(MAKER));
    let commands: [(&str, u32, Command); 8] = [
        ("order", BUYER, buy(1, "20.00").into()),
        ("stop", BUYER, stop(buy(1, "20.00"), "21.00").into()),
        ("linked orders", BUYER, OcoOrder { side: 1, time_in_force: 1, ..Default::default() }.into()),
        ("replace", BUYER, replace(1, 5, "20.00").into()),
        ("token order", BUYER, TokenOrder { time_in_force: 2, ..Default::default() }.into()),
        ("basket", BUYER, Basket::default().into()),
        ("sweep", BUYER, BlockSweep { side: 1, ..Default::default() }.into()),
        ("quotes", MAKER, MassQuote::default().into()),
    ];
    for (name, sender, command) in commands {
        market.send(sender, command);
        assert_eq!(market.last_reject(), (RejectReason::EntryDisabled, WHOLE, 1, 0), "{name}");
    }
    let mut batch = OrderBatch { count: 2, ..Default::default() };
    let entry = BatchEntry { side: 1, time_in_force: 1, qty: 1, price: price("20.00"), ..Default::default() };
    batch.entries[0] = BatchEntry { kind: BatchEntry::NEW, instrument: InstrumentId::new(1), ..entry };
    batch.entries[1] = BatchEntry { kind: BatchEntry::CANCEL, order_id: OrderId::new(1), ..entry };
    let said = market.send(BUYER, batch);
    assert_eq!(said, ["20: rejected EntryDisabled", "20: rejected UnknownOrder"], "each entry by itself");
}

#[test]
fn stops_and_linked_orders_are_killed() {
    let mut market = Market::trading();
    market.send(BUYER, stop(buy(1, "30.00"), "29.00"));
    let legs = OcoOrder {
        price: price("26.00"),
        trigger_price: price("28.00"),
        stop_price: price("28.50"),
        instrument: InstrumentId::new(1),
        qty: 1,
        side: 1,
        time_in_force: 1,
        ..Default::default()
    };
    market.send(BUYER, legs);
    let said = market.send(BUYER, account(0));
    assert_eq!(
        said,
        [
            "20: canceled 1 of 1 Killed",
            "20: canceled 1 of 2 Killed",
            "20: canceled 1 of 3 LinkedOrder",
            "20: done 2",
        ]
    );
    assert_eq!(market.credits(BUYER).1, 0);
}
