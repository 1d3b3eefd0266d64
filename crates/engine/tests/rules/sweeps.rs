//! Block sweeps: the same lots in every window, at an average, or nothing at all.

use core::mem::offset_of;

use joulebook_protocol::Event;
use joulebook_protocol::messages::{BlockSweep, ListInstrument, NewOrder, SetLimits};
use joulebook_types::{AccountId, Side};

use crate::market::*;

const HOURS: [&str; 3] = ["H200S.DE.20261124T1400.H", "H200S.DE.20261124T1500.H", "H200S.DE.20261124T1600.H"];

/// Three hours with a fee of 200 ppm; the second seller also buys.
fn market() -> Market {
    let mut market = Market::new();
    for name in HOURS {
        market.list_with(ListInstrument { taker_fee_ppm: 200, ..list_instrument(name) });
        for seller in [SELLER, SELLER_2] {
            market.register(seller, name, 800);
        }
    }
    for account in [BUYER, BUYER_2, SELLER_2] {
        market.deposit(account, 1_000_000);
    }
    market
}

/// Asks of 5 lots at 27, 30 and 24 EC in the three hours.
fn offered() -> Market {
    let mut market = market();
    for (instrument, at) in [(1, "27.00"), (2, "30.00"), (3, "24.00")] {
        market.send(SELLER, on(instrument, sell(5, at)));
    }
    market
}

fn sweep(side: Side, windows: u16, qty: u32, at: &str) -> BlockSweep {
    let first = symbol(HOURS[0]);
    BlockSweep {
        price: price(at),
        class: first.class,
        area: first.area,
        start_minute: first.window.start_minute(),
        qty,
        window_minutes: 60,
        windows,
        side: side.raw(),
        ..Default::default()
    }
}

#[test]
fn every_window_is_filled_and_only_the_average_is_limited() {
    let mut market = offered();
    let said = market.send(BUYER, sweep(Side::Buy, 3, 5, "27.00"));
    let said: Vec<_> = said.iter().filter(|line| line.starts_with("20:")).collect();
    assert_eq!(
        said,
        [
            "20: filled 4 5@27.00 leaves 0 taker fee 0.216",
            "20: filled 4 5@30.00 leaves 0 taker fee 0.24",
            "20: filled 4 5@24.00 leaves 0 taker fee 0.192",
            "20: leg buy 5 of 1 for 1080.00 + 0.216 avg 27.00",
            "20: leg buy 5 of 2 for 1200.00 + 0.24 avg 30.00",
            "20: leg buy 5 of 3 for 960.00 + 0.192 avg 24.00",
            "20: swept bought 3240.00 sold 0.00 + 0.648 avg 27.00 in 3 done",
        ]
    );
    assert_eq!(market.credits(BUYER), (1_000_000_000_000 - 3_240_648_000, 0, 0));
}

#[test]
fn a_seller_sweeps_at_an_average_or_above() {
    let mut market = market();
    for (instrument, at) in [(1, "27.00"), (2, "30.00"), (3, "24.00")] {
        market.send(BUYER, on(instrument, buy(5, at)));
    }
    assert_eq!(market.send(SELLER, sweep(Side::Sell, 3, 5, "27.01")), ["10: rejected AveragePriceNotMet"]);
    let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
    assert_eq!((event.limit, event.value), (27_010_000, 27_000_000));
    let said = market.send(SELLER, sweep(Side::Sell, 3, 5, "27.00"));
    assert_eq!(said.last().unwrap(), "10: swept bought 0.00 sold 3240.00 + 0.648 avg 27.00 in 3 done");
    assert_eq!(market.send(SELLER, sell(96, "27.00")), ["10: rejected InsufficientCapacity"]);
    assert_eq!(market.send(SELLER, sell(95, "27.00")).len(), 1);
}

#[test]
fn an_average_that_is_not_met_changes_nothing() {
    let mut market = offered();
    let before = (market.engine.open_orders().collect::<Vec<_>>(), market.credits(BUYER));
    assert_eq!(market.send_all(BUYER, sweep(Side::Buy, 3, 5, "26.99")), ["20: rejected AveragePriceNotMet"]);
    let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
    assert_eq!((event.limit, event.value), (26_990_000, 27_000_000));
    assert_eq!((market.engine.open_orders().collect::<Vec<_>>(), market.credits(BUYER)), before);
    assert_eq!(market.send_all(BUYER, sweep(Side::Buy, 3, 6, "99")), ["20: rejected FokNotFillable"]);
    let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
    assert_eq!((event.limit, event.value, event.instrument.raw()), (5, 6, 1));
}

#[test]
fn own_orders_in_reach_end_it_or_go() {
    let mut market = offered();
    market.send(SELLER_2, on(2, sell(1, "20.00")));
    for self_trade in [0, 2] {
        let order = BlockSweep { self_trade, ..sweep(Side::Buy, 3, 5, "27.00") };
        assert_eq!(market.send(SELLER_2, order), ["11: rejected FokNotFillable"]);
    }
    let order = BlockSweep { self_trade: 1, ..sweep(Side::Buy, 3, 5, "27.00") };
    let said = market.send(SELLER_2, order);
    assert!(said.contains(&"11: canceled 1 of 4 SelfTrade".into()), "{said:?}");
    assert_eq!(said.last().unwrap(), "11: swept bought 3240.00 sold 0.00 + 0.648 avg 27.00 in 3 done");
}

#[test]
fn quarters_are_swept_too_and_icebergs_give_all() {
    let mut market = Market::new();
    let quarters = ["H200S.DE.20261124T1400.Q", "H200S.DE.20261124T1415.Q"];
    for name in quarters {
        market.list(name);
        market.register(SELLER, name, 800);
    }
    market.deposit(BUYER, 1_000);
    market.send(SELLER, NewOrder { display_qty: 1, ..sell(3, "20.00") });
    market.send(SELLER, on(2, sell(3, "24.00")));
    let order = BlockSweep { window_minutes: 15, ..sweep(Side::Buy, 2, 3, "22.00") };
    let said = market.send(BUYER, order);
    assert_eq!(said.last().unwrap(), "20: swept bought 264.00 sold 0.00 + 0.00 avg 22.00 in 4 done");
}

#[test]
fn the_first_code_that_applies_is_the_answer() {
    let mut market = offered();
    let first = symbol(HOURS[0]).window.start_minute();
    let good = sweep(Side::Buy, 3, 5, "27.00");

    let whole = usize::from(u16::MAX);
    let cases: &[(&str, BlockSweep, &str, usize, i64, i64)] = &[
        (
            "no side",
            BlockSweep { side: 0, windows: 9, ..good },
            "InvalidChoice",
            offset_of!(BlockSweep, side),
            0,
            0,
        ),
        (
            "it does not shrink",
            BlockSweep { self_trade: 3, ..good },
            "InvalidChoice",
            offset_of!(BlockSweep, self_trade),
            0,
            3,
        ),
        (
            "a window that is not listed",
            BlockSweep { windows: 4, qty: 0, ..good },
            "UnknownInstrument",
            offset_of!(BlockSweep, start_minute),
            0,
            i64::from(first) + 180,
        ),
        (
            "no lots",
            BlockSweep { qty: 0, price: price("0"), ..good },
            "QtyZero",
            offset_of!(BlockSweep, qty),
            1,
            0,
        ),
        (
            "too many lots",
            BlockSweep { qty: 10_001, ..good },
            "QtyAboveMax",
            offset_of!(BlockSweep, qty),
            10_000,
            10_001,
        ),
        (
            "no price",
            BlockSweep { price: price("-1"), ..good },
            "PriceNotPositive",
            offset_of!(BlockSweep, price),
            1,
            -1_000_000,
        ),
        (
            "no balance is so large",
            BlockSweep { price: price("9000000000000"), ..good },
            "NotionalOverflow",
            offset_of!(BlockSweep, qty),
            i64::MAX,
            5,
        ),
        (
            "the total with its fee",
            sweep(Side::Buy, 3, 5_000, "8.34"),
            "InsufficientCredits",
            offset_of!(BlockSweep, qty),
            1_000_000_000_000,
            1_000_800_000_000 + 200_160_000,
        ),
        (
            "short",
            sweep(Side::Sell, 3, 5, "27.00"),
            "InsufficientCapacity",
            offset_of!(BlockSweep, qty),
            0,
            40,
        ),
        ("not enough in the first", sweep(Side::Buy, 3, 6, "27.00"), "FokNotFillable", whole, 5, 6),
        (
            "one window",
            sweep(Side::Buy, 1, 5, "27.00"),
            "InstrumentCount",
            offset_of!(BlockSweep, windows),
            96,
            1,
        ),
        (
            "no window",
            sweep(Side::Buy, 0, 5, "27.00"),
            "InstrumentCount",
            offset_of!(BlockSweep, windows),
            96,
            0,
        ),
    ];
    for (name, order, reason, offset, limit, value) in cases {
        assert_eq!(market.send_all(BUYER, *order), [format!("20: rejected {reason}")], "{name}");
        let Some(Event::RequestRejected(event)) = market.private_events().pop() else { panic!() };
        assert_eq!((event.limit, event.value), (*limit, *value), "{name}");
        assert_eq!((usize::from(event.field_offset), event.template_id), (*offset, 42), "{name}");
    }
}

#[test]
fn windows_of_other_lengths_and_lots_are_refused() {
    let mut market = market();
    let days = ["H200S.DE.20261125T0000.D", "H200S.DE.20261126T0000.D"];
    for name in days {
        let id = market.list(name);
        market.register(SELLER, name, 800);
        market.send(SELLER, on(id, sell(5, "20.00")));
    }
    let start_minute = symbol(days[0]).window.start_minute();
    let order = BlockSweep { start_minute, window_minutes: 1_440, ..sweep(Side::Buy, 2, 5, "20.00") };
    assert_eq!(market.send(BUYER, order), ["20: rejected InvalidWindow"]);
    let other = "H200S.DE.20261124T1700.H";
    let id = market.list_with(ListInstrument { accelerators_per_lot: 4, ..list_instrument(other) });
    market.register(SELLER, other, 800);
    market.send(SELLER, on(id, sell(5, "20.00")));
    market.send(SELLER, on(3, sell(5, "20.00")));
    let start_minute = symbol(HOURS[2]).window.start_minute();
    let order = BlockSweep { start_minute, ..sweep(Side::Buy, 2, 5, "20.00") };
    assert_eq!(market.send(BUYER, order), ["20: rejected MixedWindow"]);
}

#[test]
fn caps_bind_the_total_and_each_slot() {
    let mut market = offered();
    let caps = SetLimits { account: AccountId::new(BUYER), ..Default::default() };
    market.send(OPERATOR, SetLimits { order_value_max: "3239".parse().unwrap(), ..caps });
    assert_eq!(market.send(BUYER, sweep(Side::Buy, 3, 5, "27.00")), ["20: rejected OrderValueCap"]);
    market.send(OPERATOR, SetLimits { window_accelerators_max: 39, ..caps });
    assert_eq!(market.send(BUYER, sweep(Side::Buy, 3, 5, "27.00")), ["20: rejected WindowCap"]);
    market.send(OPERATOR, SetLimits { window_accelerators_max: 40, ..caps });
    assert_eq!(market.send(BUYER, sweep(Side::Buy, 3, 5, "27.00")).len(), 10);
}

#[test]
fn a_buyer_needs_credits_for_the_dearest_fee() {
    let mut market = Market::new();
    for (name, taker_fee_ppm) in [(HOURS[0], 200), (HOURS[1], 5_000)] {
        market.list_with(ListInstrument { taker_fee_ppm, ..list_instrument(name) });
        market.register(SELLER, name, 800);
    }
    for instrument in [1, 2] {
        market.send(SELLER, on(instrument, sell(5, "25.00")));
    }
    market.deposit(BUYER, 2_009);
    assert_eq!(market.send(BUYER, sweep(Side::Buy, 2, 5, "25.00")), ["20: rejected InsufficientCredits"]);
    let (_, _, limit, value) = market.last_reject();
    assert_eq!((limit, value), (2_009_000_000, 2_010_000_000), "5,000 ppm of 2,000 EC on top");
    market.deposit(BUYER, 1);
    assert!(market.send(BUYER, sweep(Side::Buy, 2, 5, "25.00")).last().unwrap().ends_with("in 2 done"));
}
