//! Commands from where they cannot come: ignored, counted, never fatal.

use joulebook_engine::{Engine, Events};
use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Origin, SequencedCommand};
use joulebook_types::{ConnectionId, Role, Roles, TimeNs};

use crate::market::*;

#[test]
fn nothing_happens_before_genesis() {
    let mut engine = Engine::new();
    let mut events = Events::new();
    let commands: [Command; 3] = [
        open_account(1, Roles::NONE.with(Role::Operator), 0).into(),
        Restarted::default().into(),
        buy(1, "27.00").into(),
    ];
    engine.begin_batch(engine.last_seq().next(), TimeNs::new(9), &mut events);
    for command in commands {
        engine.apply(&SequencedCommand { origin: Origin::SYSTEM, command }, &mut events);
    }
    engine.end_batch(&mut events);
    assert!(events.is_empty() && !engine.is_started());
    assert_eq!(engine.ignored_commands(), 3);
}

#[test]
fn wrong_origins_are_ignored() {
    let mut market = Market::trading();
    let connection = ConnectionId::of_gateway(1, 2_001);
    let from_buyer: [Command; 5] = [
        GENESIS.into(),
        Restarted::default().into(),
        AdvanceTime::default().into(),
        SessionOpened { connection: ConnectionId::NONE, ..Default::default() }.into(),
        // It stands for everybody: what is meant for one session must not be published.
        SessionOpened { connection: ConnectionId::new(u64::MAX), ..Default::default() }.into(),
    ];
    for command in from_buyer {
        assert!(market.send_raw(BUYER, 1, command).is_empty());
    }
    let from_system: [Command; 5] = [
        GENESIS.into(),
        buy(1, "27.00").into(),
        SessionOpened { connection, ..Default::default() }.into(),
        SessionClosed { connection, ..Default::default() }.into(),
        AccountQuery::default().into(),
    ];
    for command in from_system {
        assert!(market.system(command).is_empty());
    }
    // Unknown account, unknown session, account that never logged on.
    for (account, session) in [(999, 1), (BUYER, 9)] {
        assert!(market.send_from(account, session, buy(1, "27.00")).is_empty());
        assert!(market.send_raw(account, session, AccountQuery::default()).is_empty());
        assert!(market.hang_up(account, session, 5).is_empty());
    }
    assert_eq!(market.engine.ignored_commands(), 5 + 5 + 6);
    let again = open_account(BUYER, Roles::NONE.with(Role::Buyer), 0);
    assert!(market.system(again).is_empty(), "the system has no session to be told");
    assert_eq!(market.engine.ignored_commands(), 17);
}
