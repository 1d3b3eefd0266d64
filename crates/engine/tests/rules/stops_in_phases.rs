//! Stops where nothing trades for a while: before the opening, in a halt, in a call; and at the bands.

use joulebook_protocol::messages::{NewOrder, OcoOrder, SetBands};
use joulebook_types::{InstrumentId, OrderType, Phase, Price, Side, TimeInForce, Trigger};

use crate::market::*;

fn stop(order: NewOrder, at: &str) -> NewOrder {
    NewOrder { trigger: Trigger::Stop.raw(), trigger_price: price(at), ..order }
}

fn market_stop(side: Side, qty: u32, at: &str) -> NewOrder {
    let order = NewOrder { order_type: OrderType::Market.raw(), price: Price::ZERO, ..order(side, qty, "1") };
    stop(order, at)
}

fn oco(side: Side, qty: u32, limit: &str, trigger: &str, stop: &str) -> OcoOrder {
    OcoOrder {
        price: price(limit),
        trigger_price: price(trigger),
        stop_price: price(stop),
        instrument: InstrumentId::new(1),
        qty,
        side: side.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        ..Default::default()
    }
}

/// One lot has traded at 28.00 under the order ids 1 and 2; then the market went to a phase.
fn printed_then(phases: &[Phase]) -> Market {
    let mut market = Market::trading();
    market.send(SELLER_2, sell(1, "28.00"));
    market.send(BUYER_2, buy(1, "28.00"));
    for phase in phases {
        assert_eq!(market.send(OPERATOR, set_phase(*phase)), ["1: done 1"]);
    }
    market
}

#[test]
fn a_satisfied_stop_is_only_marked_while_nothing_trades() {
    for phases in [&[Phase::Halted, Phase::PreOpen][..], &[Phase::Auction]] {
        let mut market = printed_then(phases);
        let said = market.send_all(BUYER, stop(buy(2, "28.50"), "28.00"));
        assert_eq!(said, ["20: accepted 3 buy 2@28.50"]);
        let marked_by = |market: &Market| market.engine.pending_stops().next().unwrap().marked_by;
        assert_eq!(marked_by(&market), Some(price("28.00")));
        assert_eq!(
            market.send_all(OPERATOR, set_phase(Phase::Open)),
            [
                "* phase 1 open",
                "1: done 1",
                "20: triggered 3 at 28.00 by 28.00",
                "* added 3 leaves 2, buy 28.50: 2 in 1",
            ],
            "{phases:?}"
        );
    }
}

#[test]
fn stops_enter_before_the_opening_and_in_a_call_but_not_in_a_halt() {
    let order = stop(buy(1, "29.00"), "28.50");
    let linked = oco(Side::Buy, 1, "20.00", "28.50", "0");
    for phase in [Phase::PreOpen, Phase::Auction, Phase::Halted] {
        let mut market = match phase {
            Phase::PreOpen => printed_then(&[Phase::Halted, Phase::PreOpen]),
            other => printed_then(&[other]),
        };
        let (one, two) = (market.send(BUYER, order), market.send(BUYER, linked));
        if phase == Phase::Halted {
            assert_eq!(
                (one, two),
                (vec!["20: rejected NotOpen".into()], vec!["20: rejected NotOpen".into()])
            );
        } else {
            assert_eq!((one.len(), two.len()), (1, 2), "{phase}");
        }
    }
    let mut market = printed_then(&[Phase::Halted, Phase::PreOpen]);
    market.send(SELLER, sell(1, "28.00"));
    let crossing = oco(Side::Buy, 1, "28.00", "28.50", "0");
    assert_eq!(market.send(BUYER, crossing), ["20: rejected PostOnlyWouldTrade"]);
}

#[test]
fn the_print_of_an_uncross_fires_stops_after_it() {
    let mut market = printed_then(&[]);
    market.send(BUYER, stop(buy(1, "31.00"), "29.00"));
    market.send(OPERATOR, set_phase(Phase::Auction));
    market.send(SELLER, sell(1, "29.50"));
    market.send(BUYER_2, buy(1, "29.50"));
    let said = market.send_all(OPERATOR, set_phase(Phase::Open));
    let phase = said.iter().position(|line| line == "* phase 1 open").unwrap();
    assert_eq!(
        said[phase..],
        [
            "* phase 1 open",
            "1: done 1",
            "20: triggered 3 at 29.00 by 29.50",
            "* added 3 leaves 1, buy 31.00: 1 in 1"
        ]
    );
}

#[test]
fn a_replace_of_a_marked_stop_looks_at_the_last_print_again() {
    let mut market = printed_then(&[Phase::Auction]);
    market.send(BUYER, stop(buy(2, "28.50"), "28.00"));
    let later = joulebook_protocol::messages::ReplaceOrder {
        trigger_price: price("28.10"),
        ..replace(3, 2, "28.50")
    };
    assert_eq!(market.send(BUYER, later), ["20: replaced 3 2@28.50 leaves 2 back"]);
    assert_eq!(market.engine.pending_stops().next().unwrap().marked_by, None);
    assert_eq!(market.send_all(OPERATOR, set_phase(Phase::Open)), ["* phase 1 open", "1: done 1"]);
}

#[test]
fn a_leg_that_trades_in_an_uncross_ends_the_other() {
    let mut market = printed_then(&[Phase::Auction]);
    market.send(BUYER, oco(Side::Buy, 2, "28.50", "28.00", "29.00"));
    let marked = market.engine.pending_stops().next().unwrap();
    assert_eq!(marked.marked_by, Some(price("28.00")), "it would act at the opening");
    market.send(SELLER, sell(1, "28.50"));
    let said = market.send_all(OPERATOR, set_phase(Phase::Open));
    assert_eq!(
        said,
        [
            "* trade 2 1@28.50 auction",
            "20: filled 3 1@28.50 leaves 1 auction fee 0.00",
            "10: filled 5 1@28.50 leaves 0 auction fee 0.00",
            "* filled 3 leaves 1, buy 28.50: 1 in 1",
            "* filled 5 leaves 0, sell 28.50: 0 in 0",
            "20: canceled 2 of 4 LinkedOrder",
            "* phase 1 open",
            "1: done 1",
        ]
    );
    assert_eq!(market.credits(BUYER).1, 8 * 28_500_000);
}

/// Five EC in ten seconds at most, then a halt of a second and a call of a minute.
fn velocity() -> SetBands {
    SetBands {
        velocity_move: price("5"),
        velocity_window_ms: 10_000,
        halt_ms: 1_000,
        auction_ms: 60_000,
        ..bands()
    }
}

#[test]
fn a_stop_that_would_move_the_market_too_fast_halts_it_and_others_wait() {
    let mut market = printed_then(&[]);
    market.send(OPERATOR, velocity());
    market.send(BUYER, stop(buy(1, "35.00"), "29.00"));
    market.send(BUYER, market_stop(Side::Buy, 1, "29.00"));
    market.send(SELLER, sell(1, "29.00"));
    market.send(SELLER, sell(1, "34.00"));
    let said = market.send_all(BUYER_2, ioc(buy(1, "29.00")));
    assert_eq!(
        said[5..],
        ["20: triggered 3 at 29.00 by 29.00", "* added 3 leaves 1, buy 35.00: 1 in 1", "* phase 1 halted",]
    );
    assert_eq!(market.engine.pending_stops().count(), 1, "the second is marked and waits");
    market.advance_ms(1_000);
    assert_eq!(market.engine.pending_stops().count(), 1, "in the call too");
    let said = market.advance_ms(60_000);
    assert_eq!(
        said[said.len() - 3..],
        ["* phase 1 open", "20: triggered 4 at 29.00 by 29.00", "20: canceled 1 of 4 ImmediateRemainder",]
    );
}

#[test]
fn a_replace_of_a_marked_trailing_stop_keeps_its_mark() {
    let mut market = printed_then(&[]);
    market.send(OPERATOR, velocity());
    let trailing =
        NewOrder { trigger: Trigger::Trailing.raw(), trail_distance: price("1.00"), ..sell(2, "20.00") };
    market.send(SELLER, trailing);
    market.send(BUYER, buy(1, "26.00"));
    market.send(BUYER, buy(1, "22.00"));
    let said = market.send_all(SELLER_2, sell(2, "22.00"));
    assert_eq!(said.last().unwrap(), "* phase 1 halted", "26 marks the stop, 22 is too far");
    market.advance_ms(1_000);
    assert_eq!(market.send(SELLER, replace(3, 1, "21.00")), ["10: replaced 3 1@21.00 leaves 1 back"]);
    market.send(SELLER_2, cancel(6));
    let said = market.send(OPERATOR, set_phase(Phase::Open));
    assert!(said.contains(&"10: triggered 3 at 27.00 by 26.00".to_owned()), "{said:?}");
}

#[test]
fn a_market_stop_is_cut_at_the_dynamic_band_of_the_steps_beginning() {
    let mut market = printed_then(&[]);
    // A tenth of 28.00: up to 30.80.
    market.send(OPERATOR, SetBands { dynamic_bps: 1_000, ..bands() });
    market.send(BUYER, market_stop(Side::Buy, 2, "30.00"));
    market.send(BUYER_2, stop(buy(2, "40.00"), "30.50"));
    for at in ["30.00", "30.50", "30.90", "31.00"] {
        market.send(SELLER, sell(1, at));
    }
    let said = market.send(BUYER_2, ioc(buy(1, "30.00")));
    let said: Vec<_> = said.iter().filter(|line| !line.starts_with("10:")).map(String::as_str).collect();
    assert_eq!(
        said[2..],
        [
            "20: triggered 3 at 30.00 by 30.00",
            "20: filled 3 1@30.50 leaves 1 taker fee 0.00",
            "20: canceled 1 of 3 PriceBand",
            "21: triggered 4 at 30.50 by 30.50",
            "21: canceled 2 of 4 PriceBand",
        ],
        "what the step prints widens nothing"
    );
}

#[test]
fn new_bands_cancel_stops_whose_limit_is_outside() {
    let mut market = printed_then(&[]);
    market.send(BUYER, stop(buy(1, "40.00"), "30.00"));
    market.send(BUYER, market_stop(Side::Buy, 1, "30.00"));
    market.send(BUYER, oco(Side::Buy, 1, "20.00", "30.00", "41.00"));
    market.send(BUYER, stop(buy(1, "35.00"), "30.00"));
    let said = market.send(OPERATOR, SetBands { band_high: price("35"), ..bands() });
    assert_eq!(
        said,
        [
            "20: canceled 1 of 3 PriceBand",
            "20: canceled 1 of 6 PriceBand",
            "20: canceled 1 of 5 LinkedOrder",
            "1: done 0",
        ]
    );
    assert_eq!(market.engine.pending_stops().count(), 2);
}

#[test]
fn marked_stops_of_several_markets_act_by_age() {
    let mut market = Market::trading();
    market.list("H200S.DE.20261124T1500.H");
    market.register(SELLER_2, "H200S.DE.20261124T1500.H", 800);
    for phase in [Phase::Halted, Phase::PreOpen] {
        let all =
            joulebook_protocol::messages::SetPhase { instrument: InstrumentId::new(0), ..set_phase(phase) };
        market.send(OPERATOR, all);
    }
    let all = |phase| joulebook_protocol::messages::SetPhase {
        instrument: InstrumentId::new(0),
        ..set_phase(phase)
    };
    market.send(BUYER, on(2, stop(buy(1, "29.00"), "28.00")));
    market.send(BUYER, stop(buy(1, "29.00"), "28.00"));
    market.send(OPERATOR, all(Phase::Auction));
    for instrument in [1, 2] {
        market.send(SELLER_2, on(instrument, sell(1, "28.00")));
        market.send(BUYER_2, on(instrument, buy(1, "28.00")));
    }
    let said = market.send(OPERATOR, all(Phase::Open));
    let triggered: Vec<_> = said.iter().filter(|line| line.contains("triggered")).collect();
    assert_eq!(triggered, ["20: triggered 1 at 28.00 by 28.00", "20: triggered 2 at 28.00 by 28.00"]);
    assert_eq!(said.iter().position(|line| line == "1: done 2"), Some(said.len() - 3), "after all uncrosses");
}
