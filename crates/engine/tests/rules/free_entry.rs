//! Whatever keeps orders out keeps the plainest of them out too, from the next command on, and lets them in again.

use joulebook_protocol::Command;
use joulebook_protocol::messages::{KillSwitch, SetLimits};
use joulebook_types::{AccountId, ClassCode, MicroEc, SessionId};

use crate::market::*;

fn switch(scope: u8, action: u8) -> Command {
    let (account, session) = (AccountId::new(BUYER), SessionId::new(1));
    let class: ClassCode = "H200S".parse().unwrap();
    let named = KillSwitch { scope, action, ..Default::default() };
    match scope {
        KillSwitch::SCOPE_ACCOUNT => KillSwitch { account, ..named }.into(),
        KillSwitch::SCOPE_SESSION => KillSwitch { account, session, ..named }.into(),
        KillSwitch::SCOPE_CLASS => KillSwitch { class, ..named }.into(),
        _ => named.into(),
    }
}

fn caps(open_orders_max: u32, order_value_max: i64, open_value_max: i64, window: u32) -> Command {
    SetLimits {
        account: AccountId::new(BUYER),
        open_orders_max,
        order_value_max: MicroEc::new(order_value_max),
        open_value_max: MicroEc::new(open_value_max),
        window_accelerators_max: window,
        ..Default::default()
    }
    .into()
}

/// A market in which places of orders are free, so that plain orders go the short way.
fn market() -> Market {
    let mut market = Market::trading();
    for _ in 0..6 {
        market.send(BUYER, buy(1, "20.00"));
    }
    cancel_all(&mut market);
    market
}

fn cancel_all(market: &mut Market) {
    market.send(OPERATOR, switch(KillSwitch::SCOPE_EXCHANGE, KillSwitch::KILL));
    market.send(OPERATOR, switch(KillSwitch::SCOPE_EXCHANGE, KillSwitch::ENABLE));
    assert_eq!(market.engine.open_order_count(), 0);
}

#[test]
fn a_rare_command_counts_at_once() {
    let off = |scope| (switch(scope, KillSwitch::KILL), switch(scope, KillSwitch::ENABLE));
    let no_caps = caps(0, 0, 0, 0);
    let cases = [
        ("account", off(KillSwitch::SCOPE_ACCOUNT)),
        ("session", off(KillSwitch::SCOPE_SESSION)),
        ("class", off(KillSwitch::SCOPE_CLASS)),
        ("exchange", off(KillSwitch::SCOPE_EXCHANGE)),
        ("orders", (caps(1, 0, 0, 0), no_caps)),
        ("value of one", (caps(0, 1, 0, 0), no_caps)),
        ("value of all", (caps(0, 0, 1, 0), no_caps)),
        ("accelerators", (caps(0, 0, 0, 1), no_caps)),
    ];
    for (name, (keeps_out, lets_in)) in cases {
        let mut market = market();
        let open = |market: &Market| market.engine.open_order_count();
        for _ in 0..2 {
            market.send(BUYER, buy(1, "20.00"));
            market.send(BUYER, buy(2, "20.00"));
            assert_eq!(open(&market), 2, "{name}: taken in");
            market.send(OPERATOR, keeps_out);
            let before = open(&market);
            market.send(BUYER, buy(3, "20.00"));
            assert_eq!(open(&market), before, "{name}: kept out");
            market.send(SELLER, sell(1, "30.00"));
            let (before, escrow) = (open(&market), market.credits(BUYER).2);
            market.send(BUYER, buy(1, "30.00"));
            assert_eq!((open(&market), market.credits(BUYER).2), (before, escrow), "{name}: takes nothing");
            market.send(BUYER_2, buy(1, "19.00"));
            let others = !matches!(name, "class" | "exchange");
            assert_eq!(open(&market), before + usize::from(others), "{name}: others are not meant");
            market.send(OPERATOR, lets_in);
            let before = open(&market);
            market.send(BUYER, buy(3, "20.00"));
            market.send(BUYER_2, buy(1, "19.00"));
            assert_eq!(open(&market), before + 2, "{name}: let in again");
            cancel_all(&mut market);
        }
    }
}

#[test]
fn nobody_enters_without_a_connection() {
    let mut market = market();
    market.send(BUYER, buy(1, "20.00"));
    market.hang_up(BUYER, 1, u64::from(BUYER) * 100 + 1);
    assert_eq!(market.send(BUYER, buy(1, "20.00")), [""; 0], "nobody is there to be told");
    assert_eq!(market.engine.open_order_count(), 1);
    market.log_on(BUYER, 1);
    market.send(BUYER, buy(1, "20.00"));
    assert_eq!(market.engine.open_order_count(), 2);
}

#[test]
fn what_was_told_on_the_short_way_is_told_again() {
    let mut market = market();
    let mut said = market.send(BUYER, buy(1, "20.00"));
    said.extend(market.send(BUYER, buy(2, "21.00")));
    assert_eq!(said.len(), 2);
    market.hang_up(BUYER, 1, u64::from(BUYER) * 100 + 1);
    let again = market.log_on(BUYER, 1);
    assert!(again.ends_with(&said), "{again:?}");
}
