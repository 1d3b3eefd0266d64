//! Bands: where prices may go, and how fast.

use core::mem::offset_of;

use joulebook_protocol::RejectReason::{GateClosed, InvalidBand, PriceOutsideBand, UnknownInstrument};
use joulebook_protocol::messages::{ListInstrument, MassCancel, NewOrder, SetBands};
use joulebook_types::*;

use crate::market::*;

/// A market that a listing gave a reference price of 100 EC.
fn market(bands: SetBands) -> Market {
    let mut market = Market::new();
    market.fund();
    market.list_with(ListInstrument { reference_price: price("100"), ..list_instrument(HOUR) });
    assert_eq!(market.send(OPERATOR, bands), ["1: done 0"]);
    market
}

/// Ten percent of the last print.
fn dynamic() -> SetBands {
    SetBands { dynamic_bps: 1_000, ..bands() }
}

/// Five EC in ten seconds, then a call of a minute.
fn velocity() -> SetBands {
    SetBands { velocity_move: price("5"), velocity_window_ms: 10_000, auction_ms: 60_000, ..bands() }
}

#[test]
fn bands_are_checked_like_a_listing_s() {
    let field =
        |offset, limit: &str, value: &str| (InvalidBand, offset, price(limit).raw(), price(value).raw());
    let (low, high) = (offset_of!(SetBands, band_low), offset_of!(SetBands, band_high));
    let moves = offset_of!(SetBands, velocity_move);
    let window = offset_of!(SetBands, velocity_window_ms);
    let cases: &[(&str, SetBands, Refused)] = &[
        (
            "unknown",
            SetBands { instrument: InstrumentId::new(7), band_low: price("0"), ..bands() },
            (UnknownInstrument, offset_of!(SetBands, instrument), 0, 7),
        ),
        ("low of zero", SetBands { band_low: price("0"), ..bands() }, field(low, "0.01", "0")),
        ("low off the tick", SetBands { band_low: price("1.001"), ..bands() }, field(low, "0.01", "1.001")),
        ("empty", SetBands { band_high: price("0.99"), ..bands() }, field(high, "1", "0.99")),
        ("high off the tick", SetBands { band_high: price("9.001"), ..bands() }, field(high, "1", "9.001")),
        (
            "more than the whole",
            SetBands { dynamic_bps: 10_001, velocity_move: price("-1"), ..bands() },
            (InvalidBand, offset_of!(SetBands, dynamic_bps), 10_000, 10_001),
        ),
        ("negative move", SetBands { velocity_move: price("-1"), ..velocity() }, field(moves, "0", "-1")),
        (
            "move off the tick",
            SetBands { velocity_move: price("1.001"), ..bands() },
            field(moves, "0", "1.001"),
        ),
        ("no window", SetBands { velocity_window_ms: 0, ..velocity() }, (InvalidBand, window, 0, 0)),
        (
            "no call",
            SetBands { auction_ms: 0, ..velocity() },
            (InvalidBand, offset_of!(SetBands, auction_ms), 0, 0),
        ),
    ];
    let mut market = market(bands());
    for (name, command, want) in cases {
        market.send(OPERATOR, *command);
        assert_eq!(market.last_reject(), *want, "{name}");
    }
    assert_eq!(market.send(SELLER, bands()), ["10: rejected NotAuthorised"]);
    let gate = market.engine.instrument(InstrumentId::new(1)).unwrap().gate;
    market.advance_to(gate);
    market.send(OPERATOR, bands());
    let at = gate.raw() as i64;
    assert_eq!(market.last_reject(), (GateClosed, usize::from(u16::MAX), at, at));
}

#[test]
fn a_listing_s_reference_price_lies_in_its_band() {
    let cases: &[(&str, &str)] = &[("99.999", "0.01"), ("-1", "1"), ("0.99", "1"), ("1000.01", "1000")];
    let mut market = Market::new();
    for (reference_price, limit) in cases {
        let reference_price = price(reference_price);
        market.send(OPERATOR, ListInstrument { reference_price, ..list_instrument(HOUR) });
        let field = offset_of!(ListInstrument, reference_price);
        let want = (InvalidBand, field, price(limit).raw(), reference_price.raw());
        assert_eq!(market.last_reject(), want, "{reference_price}");
    }
    market.list_with(ListInstrument { reference_price: price("1000"), ..list_instrument(HOUR) });
}

#[test]
fn orders_outside_a_new_band_are_canceled() {
    let mut market = market(bands());
    market.send(BUYER, buy(1, "89.99"));
    market.send(BUYER_2, buy(1, "90.00"));
    market.send(BUYER, buy(1, "80.00"));
    market.send(SELLER, sell(1, "120.00"));
    market.send(SELLER, sell(1, "110.00"));
    let stop = NewOrder { trigger: 1, trigger_price: price("115.00"), ..buy(1, "115.00") };
    market.send(BUYER, stop);
    let market_stop = NewOrder { order_type: 1, price: Price::ZERO, ..stop };
    market.send(BUYER, market_stop);
    let narrow = SetBands { band_low: price("90"), band_high: price("110"), ..bands() };
    assert_eq!(
        market.send_all(OPERATOR, narrow),
        [
            "* bands 1 90.00..110.00",
            "20: canceled 1 of 1 PriceBand",
            "* removed 1 leaves 0, buy 89.99: 0 in 0",
            "20: canceled 1 of 3 PriceBand",
            "* removed 3 leaves 0, buy 80.00: 0 in 0",
            "10: canceled 1 of 4 PriceBand",
            "* removed 4 leaves 0, sell 120.00: 0 in 0",
            "20: canceled 1 of 6 PriceBand",
            "1: done 0",
        ]
    );
    assert_eq!(market.send(BUYER, buy(1, "89.99")), ["20: rejected PriceOutsideBand"]);
    assert_eq!(market.send(SELLER, sell(1, "110.00")).len(), 1);
}

#[test]
fn the_dynamic_band_follows_the_last_print() {
    let mut market = market(dynamic());
    let (whole, above) = (offset_of!(NewOrder, price), price("110.01"));
    market.send(BUYER, buy(1, "110.01"));
    assert_eq!(market.last_reject(), (PriceOutsideBand, whole, price("110").raw(), above.raw()));
    market.send(SELLER, sell(1, "89.99"));
    assert_eq!(market.last_reject().2, price("90").raw());
    market.send(SELLER, sell(1, "110.00"));
    assert_eq!(market.send(BUYER, buy(1, "110.00")).len(), 3, "the bound itself is allowed");
    assert_eq!(market.send(BUYER, ioc(buy(1, "121.00"))).len(), 2, "of 110 now");
    assert_eq!(market.send(BUYER, buy(1, "121.01")), ["20: rejected PriceOutsideBand"]);
    assert_eq!(market.send(BUYER, replace(2, 1, "130.00")), ["20: rejected UnknownOrder"]);
    market.send(BUYER, buy(1, "100.00"));
    assert_eq!(market.send(BUYER, replace(4, 1, "121.01")), ["20: rejected PriceOutsideBand"]);
}

#[test]
fn the_band_s_room_is_rounded_down_and_the_static_band_comes_first() {
    let mut market = market(SetBands { dynamic_bps: 1, band_high: price("200"), ..bands() });
    assert_eq!(market.send(BUYER, buy(1, "100.01")).len(), 1, "a basis point of 100 is 0.01");
    assert_eq!(market.send(BUYER, buy(1, "100.02")), ["20: rejected PriceOutsideBand"]);
    market.send(BUYER, buy(1, "200.01"));
    assert_eq!(market.last_reject().2, price("200").raw());
}

#[test]
fn a_market_order_is_cut_at_the_dynamic_band() {
    let mut market = market(bands());
    market.send(SELLER, sell(1, "110.00"));
    market.send(SELLER, sell(1, "110.01"));
    market.send(OPERATOR, dynamic());
    let said = market.send(BUYER, ioc(market_order(Side::Buy, 2)));
    assert_eq!(said[2..], ["20: filled 3 1@110.00 leaves 1 taker fee 0.00", "20: canceled 1 of 3 PriceBand"]);
    assert_eq!(market.resting(1, Side::Sell), ["1 at 110.01 in 1"]);
}

#[test]
fn an_order_s_own_prints_give_it_no_more_room() {
    let mut market = market(bands());
    for at in ["105.00", "110.00", "115.00"] {
        market.send(SELLER, sell(1, at));
    }
    market.send(OPERATOR, dynamic());
    let said = market.send(BUYER, ioc(market_order(Side::Buy, 3)));
    assert_eq!(said.last().unwrap(), "20: canceled 1 of 4 PriceBand");
    let said = market.send(BUYER, ioc(market_order(Side::Buy, 1)));
    assert!(said[2].starts_with("20: filled 5 1@115.00"), "{said:?}");
}

#[test]
fn without_a_base_there_is_no_dynamic_band() {
    let mut market = Market::trading();
    market.send(OPERATOR, SetBands { velocity_move: price("5"), ..dynamic_and_velocity() });
    market.send(SELLER, sell(2, "27.00"));
    market.send(SELLER, sell(1, "900.00"));
    assert!(market.send(BUYER, buy(3, "900.00")).iter().any(|line| line.contains("1@900.00")));
    assert_eq!(market.send(BUYER, buy(1, "990.01")), ["20: rejected PriceOutsideBand"]);
}

fn dynamic_and_velocity() -> SetBands {
    SetBands { dynamic_bps: 1_000, ..velocity() }
}

#[test]
fn an_order_that_never_rests_ends_at_the_velocity_bound() {
    let mut market = market(velocity());
    market.send(SELLER, sell(1, "105.00"));
    market.send(SELLER, sell(1, "105.01"));
    let said = market.send_all(BUYER, ioc(buy(2, "110.00")));
    assert!(said.contains(&"20: filled 3 1@105.00 leaves 1 taker fee 0.00".into()));
    assert_eq!(said.last().unwrap(), "20: canceled 1 of 3 PriceBand", "the market stays open");
    assert_eq!(market.send(BUYER, fok(buy(1, "110.00"))), ["20: rejected FokNotFillable"]);
}

#[test]
fn an_order_that_may_rest_halts_a_market_that_is_too_fast() {
    let mut market = market(SetBands { halt_ms: 2_000, ..velocity() });
    market.send(SELLER, sell(1, "105.00"));
    market.send(SELLER, sell(1, "105.01"));
    let said = market.send_all(BUYER, buy(2, "110.00"));
    assert_eq!(
        said[4..],
        [
            "* filled 1 leaves 0, sell 105.00: 0 in 0",
            "* added 3 leaves 1, buy 110.00: 1 in 1",
            "* phase 1 halted",
        ]
    );
    assert_eq!(market.send(BUYER, buy(1, "100.00")), ["20: rejected NotOpen"]);
    assert!(market.advance_ms(1_999).is_empty());
    // The base is the print of 105: at 105.01 as at 110 one lot trades, and 105 lies below both.
    assert_eq!(market.advance_ms(1), ["* phase 1 auction", "* indication 1 1@105.01 surplus 0"]);
    assert!(market.advance_ms(59_999).is_empty(), "nothing changed, nothing is said");
    let said = market.advance_ms(1);
    assert_eq!(said[0], "* trade 2 1@105.01 auction");
    assert_eq!(said.last().unwrap(), "* phase 1 open");
}

#[test]
fn a_halt_of_no_time_is_a_call_at_once() {
    let mut market = market(velocity());
    market.send(SELLER, sell(1, "105.01"));
    let said = market.send_all(BUYER, buy(1, "110.00"));
    assert_eq!(said[2..], ["* phase 1 halted", "* phase 1 auction", "* indication 1 1@105.01 surplus 0",]);
}

#[test]
fn velocity_looks_both_ways() {
    let mut market = market(velocity());
    market.send(SELLER, sell(1, "94.99"));
    let said = market.send_all(BUYER, buy(1, "100.00"));
    assert_eq!(said[2], "* phase 1 halted", "a buyer finds the market too low: {said:?}");
}

#[test]
fn the_velocity_reference_is_the_price_of_a_window_ago() {
    let mut market = market(velocity());
    let print = |market: &mut Market, at: &str| {
        market.send(SELLER, sell(1, at));
        let printed = market.send(BUYER, ioc(buy(1, at))).len() == 3;
        market.send(SELLER, MassCancel { scope: MassCancel::SCOPE_SESSION, ..Default::default() });
        printed
    };
    assert!(print(&mut market, "104.00"), "anchors the base, 100");
    market.advance_ms(9_999);
    assert!(!print(&mut market, "106.00"), "six from 100");
    market.advance_ms(1);
    assert!(print(&mut market, "106.00"), "two from the last print, 104, which it anchors");
    market.advance_ms(9_999);
    assert!(print(&mut market, "109.00"), "five from 104");
    assert!(!print(&mut market, "109.01"));
}

#[test]
fn an_auction_ends_the_window_of_earlier_prints() {
    let mut market = market(velocity());
    market.send(SELLER, sell(1, "104.00"));
    market.send(BUYER, ioc(buy(1, "104.00")));
    market.send(OPERATOR, set_phase(Phase::Auction));
    market.send(SELLER, sell(1, "110.00"));
    market.send(BUYER, buy(1, "110.00"));
    market.send(OPERATOR, set_phase(Phase::Open));
    market.send(SELLER, sell(1, "115.00"));
    assert_eq!(market.send(BUYER, ioc(buy(1, "115.00"))).len(), 3, "five from 110, not fifteen from 100");
}

#[test]
fn bands_that_change_in_a_halt_leave_its_call_as_it_was() {
    for call_ms in [0, 1_000] {
        let mut market = market(SetBands { halt_ms: 2_000, ..velocity() });
        market.send(SELLER, sell(1, "105.01"));
        market.send(BUYER, buy(1, "110.00"));
        let changed = SetBands { auction_ms: call_ms, auction_random_ms: call_ms, ..bands() };
        assert_eq!(market.send(OPERATOR, changed), ["1: done 0"]);
        assert_eq!(market.advance_ms(2_000)[0], "* phase 1 auction");
        assert!(market.advance_ms(59_999).is_empty(), "the call lasts a minute");
        assert_eq!(market.advance_ms(1).last().unwrap(), "* phase 1 open");
    }
}

#[test]
fn an_operator_may_end_a_velocity_halt() {
    let mut market = market(SetBands { halt_ms: 2_000, ..velocity() });
    market.send(SELLER, sell(1, "105.01"));
    market.send(BUYER, buy(1, "110.00"));
    assert_eq!(market.send(OPERATOR, set_phase(Phase::Open)), ["1: rejected InvalidTransition"], "crossed");
    market.send(SELLER, cancel(1));
    assert_eq!(market.send(OPERATOR, set_phase(Phase::Open)), ["1: done 1"]);
    assert!(market.advance_ms(2_000).is_empty(), "the halt's timer went with it");
}

#[test]
fn the_dynamic_band_ends_an_order_before_the_velocity_halts() {
    let mut market = market(bands());
    market.send(SELLER, sell(1, "120.00"));
    market.send(SELLER, NewOrder { trigger: 1, trigger_price: price("90.00"), ..sell(1, "90.00") });
    market.send(OPERATOR, dynamic_and_velocity());
    let said = market.send(BUYER, ioc(market_order(Side::Buy, 1)));
    assert_eq!(said, ["20: accepted 3 buy 1@0.00", "20: canceled 1 of 3 PriceBand"]);
}

#[test]
fn the_dynamic_band_ends_a_triggered_stop_that_would_halt_the_market() {
    let mut market = market(bands());
    market.send(SELLER, sell(1, "101.00"));
    market.send(SELLER, sell(1, "120.00"));
    market.send(BUYER, NewOrder { trigger: 1, trigger_price: price("101.00"), ..buy(1, "130.00") });
    market.send(OPERATOR, dynamic_and_velocity());
    let said = market.send_all(BUYER_2, ioc(buy(1, "101.00")));
    assert_eq!(said[5..], ["20: triggered 3 at 101.00 by 101.00", "20: canceled 1 of 3 PriceBand"]);
}

#[test]
fn a_late_comer_is_told_the_bands() {
    let mut market = market(bands());
    let mut state = joulebook_engine::Events::new();
    market.engine.publish_state(&mut state);
    let count =
        |state: &joulebook_engine::Events| state.iter().filter(|record| record.template_id == 86).count();
    assert_eq!(count(&state), 0);
    market.send(OPERATOR, dynamic());
    state.clear();
    market.engine.publish_state(&mut state);
    assert_eq!(count(&state), 1);
}
