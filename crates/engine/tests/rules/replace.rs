//! Changing an open order.

use joulebook_protocol::Command;
use joulebook_protocol::messages::{CancelOrder, NewOrder, ReduceOrder, ReplaceOrder};
use joulebook_types::{AccountId, OrderId, Side, SlotHint};

use crate::market::*;

/// Three buyers' orders at 27.00: 1 (5 lots), 2 (5 lots), and an ask at 28.00: 3.
fn queue() -> Market {
    let mut market = Market::trading();
    market.send(BUYER, buy(5, "27.00"));
    market.send(BUYER_2, buy(5, "27.00"));
    market.send(SELLER, sell(5, "28.00"));
    market
}

#[test]
fn the_place_is_kept_only_when_the_size_shrinks() {
    let cases: &[(&str, u32, &str, &str, u64)] = &[
        ("smaller", 3, "27.00", "20: replaced 1 3@27.00 leaves 3 kept", 1),
        ("larger", 6, "27.00", "20: replaced 1 6@27.00 leaves 6 back", 2),
        ("worse price", 5, "26.00", "20: replaced 1 5@26.00 leaves 5 back", 2),
        ("better price", 5, "27.10", "20: replaced 1 5@27.10 leaves 5 back", 1),
    ];
    for (name, qty, at, line, first) in cases {
        let mut market = queue();
        assert_eq!(market.send(BUYER, replace(1, *qty, at)), [*line], "{name}");
        let said = market.send(SELLER, sell(1, "26.00"));
        assert!(said[1].contains(&format!("filled {first} ")), "{name}: {said:?}");
    }
}

#[test]
fn quantity_is_total_so_a_race_with_a_fill_cannot_double_it() {
    let mut market = queue();
    market.send(SELLER, sell(3, "27.00"));
    assert_eq!(market.send(BUYER, replace(1, 4, "27.00")), ["20: replaced 1 4@27.00 leaves 1 kept"]);
    assert_eq!(market.send(BUYER, replace(1, 10, "27.00")), ["20: replaced 1 10@27.00 leaves 7 back"]);
    assert_eq!(
        market.send(BUYER, replace(1, 3, "27.00")),
        ["20: canceled 7 of 1 ReducedToZero"],
        "as much as has traded"
    );
    assert_eq!(market.send(BUYER_2, replace(2, 0, "27.00")), ["21: canceled 5 of 2 ReducedToZero"]);
}

#[test]
fn a_replaced_order_may_take() {
    let mut market = queue();
    assert_eq!(
        market.send_all(BUYER, replace(1, 7, "28.00")),
        [
            "20: replaced 1 7@28.00 leaves 7 back",
            "* removed 1 leaves 0, buy 27.00: 5 in 1",
            "* trade 1 5@28.00 buy",
            "10: filled 3 5@28.00 leaves 0 maker fee 0.00",
            "20: filled 1 5@28.00 leaves 2 taker fee 0.00",
            "* filled 3 leaves 0, sell 28.00: 0 in 0",
            "* added 1 leaves 2, buy 28.00: 2 in 1",
        ]
    );
    market.send(SELLER, sell(1, "29.00"));
    let said = market.send(BUYER, replace(1, 6, "29.00"));
    assert_eq!(said[2], "20: filled 1 1@29.00 leaves 0 taker fee 0.00");
    assert_eq!(market.send(BUYER, replace(1, 9, "29.00")), ["20: rejected UnknownOrder"]);
}

#[test]
fn a_refused_replace_leaves_the_original_untouched() {
    let cases: &[(&str, u32, &str, &str)] = &[
        ("nothing changes", 5, "27.00", "NothingToReplace"),
        ("too many lots", 10_001, "27.00", "QtyAboveMax"),
        ("price of zero", 5, "0", "PriceNotPositive"),
        ("off the tick", 5, "27.005", "PriceOffTick"),
        ("below the band", 5, "0.99", "PriceOutsideBand"),
        ("above the band", 5, "1000.01", "PriceOutsideBand"),
        ("more than it can pay", 9_999, "999.00", "InsufficientCredits"),
    ];
    for (name, qty, at, reason) in cases {
        let mut market = queue();
        let before = (market.engine.open_orders().collect::<Vec<_>>(), market.credits(BUYER));
        assert_eq!(market.send(BUYER, replace(1, *qty, at)), [format!("20: rejected {reason}")], "{name}");
        let after = (market.engine.open_orders().collect::<Vec<_>>(), market.credits(BUYER));
        assert_eq!(before, after, "{name}");
    }
    let mut market = queue();
    assert_eq!(market.send(SELLER, replace(3, 101, "28.00")), ["10: rejected InsufficientCapacity"]);
    assert_eq!(market.send(SELLER, replace(3, 100, "28.00")), ["10: replaced 3 100@28.00 leaves 100 back"]);
}

#[test]
fn a_post_only_order_stays_post_only() {
    let mut market = queue();
    market.send(BUYER, NewOrder { price: price("26.00"), ..post_only(buy(1, "26.00")) });
    assert_eq!(market.send(BUYER, replace(4, 1, "28.00")), ["20: rejected PostOnlyWouldTrade"]);
    assert_eq!(market.send(BUYER, replace(4, 1, "27.99")), ["20: replaced 4 1@27.99 leaves 1 back"]);
    assert_eq!(market.resting(1, Side::Buy), ["1 at 27.99 in 1", "10 at 27.00 in 2"]);
}

#[test]
fn another_session_may_replace_and_both_hear_of_it() {
    let mut market = queue();
    market.log_on(BUYER, 2);
    let said = market.send_from(BUYER, 2, replace(1, 2, "27.00"));
    assert_eq!(
        said,
        [
            "20: replaced 1 2@27.00 leaves 2 kept",
            "20: replaced 1 2@27.00 leaves 2 kept",
            "* reduced 1 leaves 2, buy 27.00: 7 in 2"
        ]
    );
    let said = market.send_from(BUYER, 2, replace(1, 0, "27.00"));
    assert_eq!(said.iter().filter(|line| line.contains("ReducedToZero")).count(), 2);
    assert_eq!(market.send(BUYER_2, replace(1, 2, "27.00")), ["21: rejected UnknownOrder"]);
}

/// The same request with the slot of its order: the n-th order lies in the n-th slot while none is used again.
fn with_slot(command: Command) -> Command {
    let slot = |id: OrderId| SlotHint::new(id.raw() as u32 - 1);
    match command {
        Command::ReplaceOrder(replace) => ReplaceOrder { slot: slot(replace.order_id), ..replace }.into(),
        Command::CancelOrder(cancel) => CancelOrder { slot: slot(cancel.order_id), ..cancel }.into(),
        Command::ReduceOrder(reduce) => ReduceOrder { slot: slot(reduce.order_id), ..reduce }.into(),
        other => other,
    }
}

/// What accounts have, hold and have open.
fn figures(market: &Market) -> Vec<((i64, i64, i64), u32, i128)> {
    let figures = |account| {
        let exposure = market.engine.exposure(AccountId::new(account)).unwrap();
        (market.credits(account), exposure.open_orders, exposure.open_value)
    };
    [BUYER, BUYER_2, SELLER].map(figures).to_vec()
}

/// Two markets with the same orders, in which requests are said with and without the slot of their order.
fn say_by_id_and_by_slot(commands: impl IntoIterator<Item = (u32, Command)>) {
    let (mut by_id, mut by_slot) = (queue(), queue());
    for (account, command) in commands {
        let said = by_id.send_all(account, command);
        assert_eq!(by_slot.send_all(account, with_slot(command)), said);
        assert_eq!(figures(&by_slot), figures(&by_id), "{said:?}");
        assert_eq!(by_slot.engine.recount(), Ok(()));
        assert_eq!(by_slot.engine.event_chain_hash(), by_id.engine.event_chain_hash());
    }
}

#[test]
fn whoever_names_the_slot_of_a_reduced_order_gets_the_same() {
    let commands: [(u32, Command); 12] = [
        (BUYER, reduce(1, 2).into()),
        (SELLER, reduce(3, 1).into()),
        (BUYER_2, reduce(1, 1).into()),
        (BUYER, reduce(1, 0).into()),
        (SELLER, sell(1, "27.00").into()),
        (BUYER, reduce(1, 1).into()),
        (BUYER_2, reduce(2, 4).into()),
        (SELLER, reduce(3, 1).into()),
        (BUYER, replace(1, 6, "27.00").into()),
        (BUYER, reduce(1, 99).into()),
        (BUYER, reduce(1, 1).into()),
        (BUYER_2, reduce(2, 1).into()),
    ];
    say_by_id_and_by_slot(commands);
}

#[test]
fn whoever_names_the_slot_too_gets_the_same() {
    let commands: [(u32, Command); 20] = [
        (BUYER, replace(1, 5, "27.50").into()),
        (BUYER, replace(1, 8, "27.50").into()),
        (BUYER, replace(1, 8, "26.00").into()),
        (BUYER, replace(1, 3, "26.00").into()),
        (SELLER, replace(3, 9, "29.00").into()),
        (SELLER, replace(3, 4, "28.50").into()),
        (BUYER, replace(1, 1_000_000, "27.00").into()),
        (SELLER, replace(3, 1_000_000, "28.00").into()),
        (BUYER, replace(1, 3, "0.00").into()),
        (SELLER, sell(2, "26.50").into()),
        (BUYER_2, replace(2, 6, "26.50").into()),
        (BUYER_2, replace(1, 6, "26.50").into()),
        (BUYER_2, replace(2, 2, "26.00").into()),
        (BUYER_2, cancel(1).into()),
        (BUYER, replace(1, 3, "29.00").into()),
        (BUYER_2, cancel(2).into()),
        (SELLER, cancel(3).into()),
        (SELLER, cancel(3).into()),
        (BUYER, cancel(1).into()),
        (BUYER, buy(1, "27.00").into()),
    ];
    say_by_id_and_by_slot(commands);
}
