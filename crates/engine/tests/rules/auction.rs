//! Call auctions: what gathers, what is said meanwhile, and how the book uncrosses.

use joulebook_protocol::messages::*;
use joulebook_types::*;

use crate::market::*;

/// Instrument 1 in a call that ends when the operator says so, with a reference price of 100 EC and fees of 0.1 %
/// for takers and nothing for makers.
fn market() -> Market {
    market_of(ListInstrument { reference_price: price("100"), ..list_instrument(HOUR) })
}

fn market_of(list: ListInstrument) -> Market {
    let mut market = Market::new();
    market.fund();
    market.list_with(list);
    market.send(OPERATOR, set_phase(Phase::Auction));
    market
}

/// What the uncross says, its answer left out.
fn uncross(market: &mut Market) -> Vec<String> {
    let mut said = market.send_all(OPERATOR, set_phase(Phase::Open));
    let answer = said.iter().position(|line| line == "1: done 1").expect("the operator is answered");
    said.remove(answer);
    said
}

fn timed(duration_ms: u32, random_ms: u32) -> SetPhase {
    SetPhase { duration_ms, random_ms, ..set_phase(Phase::Auction) }
}

#[test]
fn a_call_gathers_orders_and_uncrosses_at_one_price() {
    let mut market = market();
    assert_eq!(
        market.send_all(BUYER, buy(5, "101.00")),
        ["20: accepted 1 buy 5@101.00", "* added 1 leaves 5, buy 101.00: 5 in 1"]
    );
    market.send(BUYER_2, buy(4, "99.00"));
    market.send(SELLER, sell(3, "98.00"));
    market.send(SELLER_2, sell(6, "100.00"));
    // At 100 and 101 five lots trade and four are left to sell; at 99 and below only three.
    assert_eq!(
        uncross(&mut market),
        [
            "* trade 1 3@100.00 auction",
            "20: filled 1 3@100.00 leaves 2 auction fee 0.00",
            "10: filled 3 3@100.00 leaves 0 auction fee 0.00",
            "* filled 1 leaves 2, buy 101.00: 2 in 1",
            "* filled 3 leaves 0, sell 98.00: 0 in 0",
            "* trade 2 2@100.00 auction",
            "20: filled 1 2@100.00 leaves 0 auction fee 0.00",
            "11: filled 4 2@100.00 leaves 4 auction fee 0.00",
            "* filled 1 leaves 0, buy 101.00: 0 in 0",
            "* filled 4 leaves 4, sell 100.00: 4 in 1",
            "* phase 1 open",
        ]
    );
    assert_eq!(market.resting(1, Side::Buy), ["4 at 99.00 in 1"]);
    assert_eq!(market.resting(1, Side::Sell), ["4 at 100.00 in 1"]);
    let (_, held, _) = market.credits(BUYER);
    assert_eq!(held, 0, "what the better price saved is free again");
}

#[test]
fn nothing_to_trade_just_opens_the_book() {
    let mut market = market();
    market.send(BUYER, buy(5, "99.00"));
    market.send(SELLER, sell(5, "100.00"));
    assert_eq!(uncross(&mut market), ["* phase 1 open"]);
}

#[test]
fn the_indication_is_said_at_once_and_when_it_has_changed() {
    let mut market = market();
    market.send(OPERATOR, set_phase(Phase::Halted));
    let said = market.send_all(OPERATOR, timed(10_000, 0));
    assert_eq!(said, ["* phase 1 auction", "* indication 1 0@0.00 surplus 0", "1: done 1"]);
    assert!(market.advance_ms(1_000).is_empty(), "nothing has changed");
    market.send(BUYER, buy(5, "101.00"));
    market.send(SELLER, sell(3, "100.00"));
    assert!(market.advance_ms(999).is_empty());
    assert_eq!(market.advance_ms(1), ["* indication 1 3@101.00 surplus 2"]);
    market.send(SELLER_2, sell(4, "101.00"));
    market.send(SELLER_2, cancel(3));
    assert!(market.advance_ms(1_000).is_empty(), "it is as it was");
    market.send(SELLER, cancel(2));
    assert_eq!(market.advance_ms(5_000), ["* indication 1 0@0.00 surplus 0"]);
    assert_eq!(market.advance_ms(2_000), ["* phase 1 open"]);
    let gate = market.engine.instrument(InstrumentId::new(1)).unwrap().gate;
    assert_eq!(market.engine.next_deadline(), Some(gate), "its timers went with the call");
}

#[test]
fn the_end_wins_over_the_last_indication() {
    let mut market = market();
    market.send(OPERATOR, set_phase(Phase::Halted));
    market.send(OPERATOR, timed(1_000, 0));
    market.send(BUYER, buy(5, "101.00"));
    market.send(SELLER, sell(5, "101.00"));
    assert_eq!(market.advance_ms(1_000)[0], "* trade 1 5@101.00 auction");
}

#[test]
fn the_random_end_is_the_seed_s() {
    let mut ends = Vec::new();
    for seed in 0..8 {
        let mut market = market();
        market.system(Seed { seed });
        market.send(OPERATOR, set_phase(Phase::Halted));
        let began = market.engine.time();
        market.send(OPERATOR, timed(10_000, 500));
        market.advance_ms(9_999);
        let end = market.engine.next_deadline().unwrap();
        let after_ms = (end.raw() - began.raw()) / 1_000_000;
        assert!((10_000..=10_500).contains(&after_ms), "{after_ms}");
        ends.push(after_ms);
    }
    // Draw one of seed zero is the mix of 1, remainder by 501.
    assert_eq!(ends[0], 10_000 + 10_451_216_379_200_822_465 % 501);
    ends.sort_unstable();
    ends.dedup();
    assert!(ends.len() > 4, "seeds give different ends: {ends:?}");
}

#[test]
fn draws_go_on_until_the_next_seed() {
    let mut market = market();
    market.system(Seed { seed: 3 });
    let end_of = |market: &mut Market| {
        market.send(OPERATOR, set_phase(Phase::Halted));
        market.send(OPERATOR, timed(500, 400));
        market.engine.next_deadline().unwrap()
    };
    let (first, second) = (end_of(&mut market), end_of(&mut market));
    assert_ne!(first, second);
    market.system(Seed { seed: 3 });
    assert_eq!(end_of(&mut market), first);
}

#[test]
fn market_orders_come_first_and_end_with_the_call() {
    let mut market = market();
    market.send(BUYER, buy(2, "101.00"));
    assert_eq!(market.send_all(BUYER_2, market_order(Side::Buy, 3)), ["21: accepted 2 buy 3@0.00"]);
    market.send(SELLER, sell(4, "100.00"));
    market.send(SELLER_2, market_order(Side::Sell, 9));
    assert_eq!(market.credits(BUYER_2).1, 0, "a market order to buy holds nothing");
    // Thirteen to sell, five to buy: the lowest price at which five trade.
    assert_eq!(
        uncross(&mut market),
        [
            "* trade 1 3@100.00 auction",
            "21: filled 2 3@100.00 leaves 0 auction fee 0.00",
            "11: filled 4 3@100.00 leaves 6 auction fee 0.00",
            "* trade 2 2@100.00 auction",
            "20: filled 1 2@100.00 leaves 0 auction fee 0.00",
            "11: filled 4 2@100.00 leaves 4 auction fee 0.00",
            "* filled 1 leaves 0, buy 101.00: 0 in 0",
            "11: canceled 4 of 4 AuctionEnded",
            "* phase 1 open",
        ]
    );
}

#[test]
fn market_orders_alone_trade_at_the_reference_price() {
    let mut market = market();
    market.send(BUYER, market_order(Side::Buy, 3));
    market.send(SELLER, market_order(Side::Sell, 2));
    assert_eq!(uncross(&mut market)[0], "* trade 1 2@100.00 auction");
    let mut market = market_of(list_instrument(HOUR));
    market.send(BUYER, market_order(Side::Buy, 3));
    market.send(SELLER, market_order(Side::Sell, 2));
    assert_eq!(
        uncross(&mut market),
        ["20: canceled 3 of 1 AuctionEnded", "10: canceled 2 of 2 AuctionEnded", "* phase 1 open"],
        "without one they do not"
    );
}

#[test]
fn market_orders_wait_through_a_halt_and_end_with_the_gate() {
    let mut market = market();
    market.send(BUYER, market_order(Side::Buy, 3));
    market.send(SELLER, market_order(Side::Sell, 2));
    market.send(BUYER_2, buy(1, "90.00"));
    market.send(OPERATOR, set_phase(Phase::Halted));
    let gate = market.engine.instrument(InstrumentId::new(1)).unwrap().gate;
    assert_eq!(
        market.advance_to(gate),
        [
            "21: canceled 1 of 3 GateClosed",
            "* removed 3 leaves 0, buy 90.00: 0 in 0",
            "20: canceled 3 of 1 GateClosed",
            "10: canceled 2 of 2 GateClosed",
            "* phase 1 closed",
        ]
    );
}

#[test]
fn a_buyer_without_a_limit_pays_from_what_is_free() {
    let mut market = market();
    // Two lots of eight accelerator-hours at 100 EC are 1,600 EC.
    market.deposit(SELLER_2, 1_700);
    market.send(SELLER_2, market_order(Side::Buy, 5));
    market.send(BUYER, buy(1, "100.00"));
    market.send(SELLER, sell(6, "100.00"));
    assert_eq!(
        uncross(&mut market),
        [
            "11: replaced 1 2@0.00 leaves 2 kept",
            "* trade 1 2@100.00 auction",
            "11: filled 1 2@100.00 leaves 0 auction fee 0.00",
            "10: filled 3 2@100.00 leaves 4 auction fee 0.00",
            "* filled 3 leaves 4, sell 100.00: 4 in 1",
            "* trade 2 1@100.00 auction",
            "20: filled 2 1@100.00 leaves 0 auction fee 0.00",
            "10: filled 3 1@100.00 leaves 3 auction fee 0.00",
            "* filled 2 leaves 0, buy 100.00: 0 in 0",
            "* filled 3 leaves 3, sell 100.00: 3 in 1",
            "* phase 1 open",
        ]
    );
}

#[test]
fn a_buyer_who_cannot_pay_for_a_lot_trades_nothing() {
    let mut market = market();
    market.send(SELLER_2, market_order(Side::Buy, 5));
    market.send(SELLER, sell(6, "100.00"));
    assert_eq!(uncross(&mut market), ["11: canceled 5 of 1 CreditsExhausted", "* phase 1 open"]);
    assert_eq!(market.send(BUYER, stop_at("100.00")).len(), 1, "nothing has printed");
}

/// What nobody can pay for must not make the price, or bids below it would still reach asks at the opening.
#[test]
fn lots_that_nobody_can_pay_for_do_not_count() {
    let mut market = market();
    market.send(SELLER_2, market_order(Side::Buy, 4));
    market.send(BUYER, buy(1, "98.00"));
    market.send(SELLER, sell(1, "97.00"));
    market.send(SELLER, sell(4, "105.00"));
    assert_eq!(
        uncross(&mut market),
        [
            "11: canceled 4 of 1 CreditsExhausted",
            "* trade 1 1@98.00 auction",
            "20: filled 2 1@98.00 leaves 0 auction fee 0.00",
            "10: filled 3 1@98.00 leaves 0 auction fee 0.00",
            "* filled 2 leaves 0, buy 98.00: 0 in 0",
            "* filled 3 leaves 0, sell 97.00: 0 in 0",
            "* phase 1 open",
        ]
    );
}

/// Two market orders of one account share its credits.
#[test]
fn credits_are_spent_once() {
    let mut market = market();
    market.deposit(SELLER_2, 2_500);
    market.send(SELLER_2, market_order(Side::Buy, 2));
    market.send(SELLER_2, market_order(Side::Buy, 2));
    market.send(SELLER, sell(4, "100.00"));
    let said = uncross(&mut market);
    assert_eq!(said[0], "11: replaced 2 1@0.00 leaves 1 kept");
    assert_eq!(market.credits(SELLER_2), (100_000_000, 0, 0));
    assert_eq!(market.resting(1, Side::Sell), ["1 at 100.00 in 1"]);
}

fn stop_at(at: &str) -> NewOrder {
    NewOrder { trigger: 1, trigger_price: price(at), ..buy(1, at) }
}

#[test]
fn a_buyer_who_cannot_pay_does_not_move_the_price() {
    let mut market = market();
    market.send(SELLER_2, market_order(Side::Buy, 9));
    market.send(BUYER, buy(1, "110.00"));
    market.send(BUYER_2, buy(3, "95.00"));
    market.send(SELLER, sell(3, "90.00"));
    // With nine lots more to buy the price would be 110, and 95 and 90 would be left standing against each other.
    let said = uncross(&mut market);
    assert_eq!(said[0], "11: canceled 9 of 1 CreditsExhausted");
    assert_eq!(said[1], "* trade 1 1@95.00 auction", "{said:?}");
    assert_eq!(said[6], "* trade 2 2@95.00 auction", "{said:?}");
}

#[test]
fn two_market_orders_of_a_buyer_share_what_is_free() {
    let mut market = market();
    market.deposit(SELLER_2, 2_500);
    market.send(SELLER_2, market_order(Side::Buy, 2));
    market.send(SELLER_2, market_order(Side::Buy, 2));
    market.send(SELLER, sell(6, "100.00"));
    let said = uncross(&mut market);
    assert_eq!(said[0], "11: replaced 2 1@0.00 leaves 1 kept");
    assert_eq!(said[1], "* trade 1 2@100.00 auction");
    assert_eq!(said[5], "* trade 2 1@100.00 auction");
    assert_eq!(market.credits(SELLER_2).0, 100_000_000);
}

#[test]
fn an_iceberg_takes_part_whole_and_renews_behind() {
    let mut market = market();
    market.send(SELLER, NewOrder { display_qty: 4, ..sell(10, "100.00") });
    market.send(SELLER_2, sell(2, "100.00"));
    market.send(BUYER, buy(3, "100.00"));
    market.send(BUYER_2, buy(5, "100.00"));
    assert_eq!(
        uncross(&mut market),
        [
            "* trade 1 3@100.00 auction",
            "10: filled 1 3@100.00 leaves 7 auction fee 0.00",
            "20: filled 3 3@100.00 leaves 0 auction fee 0.00",
            "* filled 3 leaves 0, buy 100.00: 5 in 1",
            "* filled 1 leaves 1, sell 100.00: 3 in 2",
            "* trade 2 5@100.00 auction",
            "10: filled 1 5@100.00 leaves 2 auction fee 0.00",
            "21: filled 4 5@100.00 leaves 0 auction fee 0.00",
            "* filled 4 leaves 0, buy 100.00: 0 in 0",
            "* filled 1 leaves 0, sell 100.00: 2 in 1",
            "* added 1 leaves 2, sell 100.00: 4 in 2",
            "* phase 1 open",
        ]
    );
    let said = market.send(BUYER, ioc(buy(1, "100.00")));
    assert!(said[1].starts_with("11: filled 2"), "the slice stands behind now: {said:?}");
}

#[test]
fn hidden_lots_count_for_the_price() {
    let mut market = market();
    market.send(SELLER, NewOrder { display_qty: 1, ..sell(10, "90.00") });
    market.send(BUYER, buy(5, "100.00"));
    market.send(OPERATOR, set_phase(Phase::Halted));
    let said = market.send_all(OPERATOR, set_phase(Phase::Auction));
    assert_eq!(said[1], "* indication 1 5@90.00 surplus -5");
}

#[test]
fn both_sides_pay_the_taker_s_fee() {
    let fees = ListInstrument { taker_fee_ppm: 1_000, maker_fee_ppm: -500, ..list_instrument(HOUR) };
    let mut market = market_of(fees);
    market.send(BUYER, buy(1, "100.00"));
    market.send(SELLER, sell(1, "100.00"));
    let said = uncross(&mut market);
    assert_eq!(said[1], "20: filled 1 1@100.00 leaves 0 auction fee 0.80");
    assert_eq!(said[2], "10: filled 2 1@100.00 leaves 0 auction fee 0.80");
}

#[test]
fn the_auction_price_is_one_print_that_stops_wait_for() {
    let mut market = market();
    market.send(SELLER_2, sell(3, "105.00"));
    market.send(BUYER, stop_at("102.00"));
    market.send(BUYER, NewOrder { price: price("105.00"), ..stop_at("100.00") });
    market.send(BUYER_2, buy(1, "101.00"));
    market.send(SELLER, sell(1, "100.00"));
    // One lot trades at 100 and at 101; the reference is 100.
    assert_eq!(
        uncross(&mut market)[5..],
        [
            "* phase 1 open",
            "20: triggered 3 at 100.00 by 100.00",
            "* trade 2 1@105.00 buy",
            "11: filled 1 1@105.00 leaves 2 maker fee 0.00",
            "20: filled 3 1@105.00 leaves 0 taker fee 0.00",
            "* filled 1 leaves 2, sell 105.00: 2 in 1",
            "20: triggered 2 at 102.00 by 105.00",
            "* added 2 leaves 1, buy 102.00: 1 in 1",
        ]
    );
}

#[test]
fn velocity_is_measured_from_the_auction_price() {
    let mut market = market();
    let velocity =
        SetBands { velocity_move: price("5"), velocity_window_ms: 10_000, auction_ms: 60_000, ..bands() };
    market.send(OPERATOR, velocity);
    market.send(BUYER, buy(1, "120.00"));
    market.send(SELLER, sell(1, "120.00"));
    uncross(&mut market);
    market.send(SELLER, sell(1, "125.00"));
    market.send(SELLER, sell(1, "125.01"));
    let said = market.send(BUYER, ioc(buy(2, "126.00")));
    assert_eq!(said[2..], ["20: filled 5 1@125.00 leaves 1 taker fee 0.00", "20: canceled 1 of 5 PriceBand"]);
}

#[test]
fn a_call_needs_no_trade_to_take_replaces_and_cancels() {
    let mut market = market();
    market.send(SELLER, sell(1, "100.00"));
    market.send(BUYER, buy(1, "90.00"));
    assert_eq!(market.send(BUYER, cancel(2)), ["20: canceled 1 of 2 Requested"]);
    market.send(BUYER, market_order(Side::Buy, 2));
    assert_eq!(market.send(BUYER, replace(3, 1, "0")), ["20: rejected NotReplaceable"]);
}

#[test]
fn a_call_is_part_of_the_state() {
    let mut market = market();
    let hash = |market: &Market| market.engine.state_hash();
    let before = hash(&market);
    market.send(SELLER, market_order(Side::Sell, 1));
    let with_one = hash(&market);
    assert_ne!(before, with_one);
    assert_eq!(market.engine.open_order(OrderId::new(1)).map(|order| order.leaves), Some(1));
    let mut state = joulebook_engine::Events::new();
    market.engine.publish_state(&mut state);
    assert!(state.iter().any(|record| record.template_id == 87), "the indication is published");
}

#[test]
fn quotes_trade_in_a_call_and_are_protected_after_it() {
    let mut market = Market::new();
    market.fund();
    market.list_with(ListInstrument { reference_price: price("100"), ..list_instrument(HOUR) });
    let class = symbol(HOUR).class;
    market.send(MAKER, SetProtection { class, window_ms: 1_000, fills_max: 1, ..Default::default() });
    let mut quote = MassQuote { count: 1, ..Default::default() };
    let instrument = InstrumentId::new(1);
    quote.pairs[0] = QuotePair { bid: price("100"), instrument, bid_qty: 9, ..Default::default() };
    market.send(MAKER, quote);
    market.send(OPERATOR, set_phase(Phase::Auction));
    assert_eq!(
        market.send(MAKER, quote),
        ["30: quote 0 rejected NotOpen", "30: quoted 0: 0 accepted 1 rejected"]
    );
    market.send(SELLER, sell(2, "100.00"));
    market.send(SELLER_2, sell(3, "100.00"));
    let said = uncross(&mut market);
    assert_eq!(said[0], "* trade 1 2@100.00 auction");
    assert_eq!(said[5], "* trade 2 3@100.00 auction", "the second fill comes before the protection");
    assert_eq!(
        said[10..],
        [
            "* phase 1 open",
            "30: protected H200S: 2 fills 5 lots 4000.00 credits, pulled 1",
            "30: canceled 4 of 1 Protected",
            "* removed 1 leaves 0, buy 100.00: 0 in 0",
        ]
    );
}

#[test]
fn a_link_ends_with_a_fill_in_the_call() {
    let mut market = market();
    let oco = OcoOrder {
        price: price("100"),
        trigger_price: price("110"),
        stop_price: price("110"),
        instrument: InstrumentId::new(1),
        qty: 5,
        side: Side::Buy.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        ..Default::default()
    };
    market.send(BUYER, oco);
    market.send(SELLER, sell(2, "100.00"));
    assert_eq!(
        uncross(&mut market),
        [
            "* trade 1 2@100.00 auction",
            "20: filled 1 2@100.00 leaves 3 auction fee 0.00",
            "10: filled 3 2@100.00 leaves 0 auction fee 0.00",
            "* filled 1 leaves 3, buy 100.00: 3 in 1",
            "* filled 3 leaves 0, sell 100.00: 0 in 0",
            "20: canceled 5 of 2 LinkedOrder",
            "* phase 1 open",
        ]
    );
}
