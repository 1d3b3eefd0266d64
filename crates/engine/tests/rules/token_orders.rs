//! Buying tokens across books.

use joulebook_protocol::messages::{
    DepositCredits, Genesis, ListInstrument, MintCredits, NewOrder, SetBands, SetLimits, SetYield, TokenOrder,
};
use joulebook_types::{
    AccountId, InstrumentId, KiloTokens, MicroEc, ModelId, Side, TimeInForce, TokenPrice, Yield,
};

use crate::market::*;

const B200: &str = "B200S.DE.20261124T1400.H";
const TPU: &str = "TPU6E.DE.20261124T1400.H";

/// H200S (1), B200S (2) and TPU6E (3) for the same hour, with the yields of the contract specification; no fees.
fn market() -> Market {
    let mut market = Market::trading();
    for (name, yield_ktok) in [(HOUR, 15_387), (B200, 45_724), (TPU, 9_232)] {
        if name != HOUR {
            market.list(name);
            market.register(SELLER, name, 800);
            market.register(SELLER_2, name, 800);
        }
        set_yield(&mut market, name, yield_ktok);
    }
    market
}

fn set_yield(market: &mut Market, name: &str, yield_ktok: u32) {
    let (class, model) = (symbol(name).class, ModelId::new(1));
    let yield_ktok = Yield::new(yield_ktok);
    market.send(OPERATOR, SetYield { class, model, yield_ktok, ..Default::default() });
}

fn tokens(ktok: u64, limit: &str, named: &[u32]) -> TokenOrder {
    let mut instruments = [InstrumentId::NONE; 16];
    for (place, id) in instruments.iter_mut().zip(named) {
        *place = InstrumentId::new(*id);
    }
    TokenOrder {
        quantity: KiloTokens::new(ktok),
        limit: limit.parse::<TokenPrice>().unwrap(),
        model: ModelId::new(1),
        time_in_force: TimeInForce::Ioc.raw(),
        count: named.len() as u8,
        instruments,
        ..Default::default()
    }
}

fn overshoot(order: TokenOrder) -> TokenOrder {
    TokenOrder { flags: TokenOrder::OVERSHOOT, ..order }
}

fn fill_or_kill(order: TokenOrder) -> TokenOrder {
    TokenOrder { time_in_force: TimeInForce::Fok.raw(), ..order }
}

/// Kilo-tokens in an hour's lot of eight accelerators.
const H200_LOT: u64 = 8 * 15_387;
const B200_LOT: u64 = 8 * 45_724;

#[test]
fn of_equal_prices_the_lower_instrument_comes_first() {
    for named in [[1, 2], [2, 1]] {
        let mut market = Market::trading();
        market.list(B200);
        market.register(SELLER, B200, 800);
        for name in [HOUR, B200] {
            set_yield(&mut market, name, 15_387);
        }
        market.send(SELLER, sell(1, "27.00"));
        market.send(SELLER, on(2, sell(1, "27.00")));
        let said = market.send(BUYER, tokens(H200_LOT, "1.80", &named));
        assert_eq!(said[0], "10: filled 1 1@27.00 leaves 0 maker fee 0.00", "named as {named:?}");
    }
}

#[test]
fn the_dearer_accelerator_is_taken_first_when_its_tokens_are_cheaper() {
    let mut market = market();
    market.send(SELLER, sell(5, "27.00"));
    market.send(SELLER, on(2, sell(1, "70.00")));
    market.send(SELLER_2, on(2, sell(1, "70.00")));
    // B200S at 70.00 is 1.5309 EC/Mtok, H200S at 27.00 is 1.7547.
    assert_eq!(
        market.send(BUYER, tokens(2 * B200_LOT + 2 * H200_LOT, "1.80", &[1, 2])),
        [
            "10: filled 2 1@70.00 leaves 0 maker fee 0.00",
            "20: filled 4 1@70.00 leaves 0 taker fee 0.00",
            "11: filled 3 1@70.00 leaves 0 maker fee 0.00",
            "20: filled 4 1@70.00 leaves 0 taker fee 0.00",
            "10: filled 1 2@27.00 leaves 3 maker fee 0.00",
            "20: filled 4 2@27.00 leaves 0 taker fee 0.00",
            &format!(
                "20: tokens {} for 1552.00 + 0.00 avg 1.587275 in 3 done",
                60 * (2 * B200_LOT + 2 * H200_LOT)
            ),
        ]
    );
}

#[test]
fn the_limit_is_marginal_and_exact() {
    let cases: &[(&str, &str, u32, &str)] = &[
        ("between the two", "1.60", 1, "ImmediateRemainder"),
        ("below both", "1.50", 0, "ImmediateRemainder"),
        ("just below the second", "1.754727", 1, "ImmediateRemainder"),
        ("just above the second", "1.754729", 2, "done"),
    ];
    for (name, limit, fills, reason) in cases {
        let mut market = market();
        market.send(SELLER, sell(5, "27.00"));
        market.send(SELLER, on(2, sell(1, "70.00")));
        let said = market.send(BUYER, tokens(B200_LOT + H200_LOT, limit, &[1, 2]));
        assert!(said.last().unwrap().ends_with(&format!("in {fills} {reason}")), "{name}: {said:?}");
    }
}

#[test]
fn whole_lots_below_or_above_the_quantity() {
    let cases: &[(&str, u64, bool, &str)] = &[
        ("two lots exactly", 2 * H200_LOT, false, "in 1 done"),
        ("a token more than two lots", 2 * H200_LOT + 1, false, "in 1 done"),
        ("a token less than three", 3 * H200_LOT - 1, false, "in 1 done"),
        ("two lots exactly, may overshoot", 2 * H200_LOT, true, "in 1 done"),
        ("a token more, may overshoot", 2 * H200_LOT + 1, true, "in 1 done"),
    ];
    let lots = [2, 2, 2, 2, 3];
    for ((name, ktok, over, end), lots) in cases.iter().zip(lots) {
        let mut market = market();
        market.send(SELLER, sell(5, "27.00"));
        let order = tokens(*ktok, "1.80", &[1]);
        let said = market.send(BUYER, if *over { overshoot(order) } else { order });
        assert!(said[1].contains(&format!("20: filled 2 {lots}@27.00")), "{name}: {said:?}");
        assert!(said[2].starts_with(&format!("20: tokens {} ", lots * H200_LOT * 60)), "{name}: {said:?}");
        assert!(said[2].ends_with(end), "{name}: {said:?}");
    }
}

#[test]
fn a_book_whose_lot_is_too_large_leaves_and_the_others_go_on() {
    let mut market = market();
    market.send(SELLER, sell(5, "27.00"));
    market.send(SELLER, on(2, sell(5, "70.00")));
    // After one B200S lot, less than another one is wanted: two H200S lots fit, and none after that.
    let said = market.send(BUYER, tokens(B200_LOT + 2 * H200_LOT + 5, "1.80", &[1, 2]));
    assert!(said[1].starts_with("20: filled 3 1@70.00"), "{said:?}");
    assert!(said[3].starts_with("20: filled 3 2@27.00"), "{said:?}");
    assert!(said[4].ends_with("in 2 done"), "{said:?}");
    // With nothing in the book whose lot still fits, the remainder is one.
    let said = market.send(BUYER, tokens(B200_LOT + H200_LOT, "1.60", &[1, 2]));
    assert!(said.last().unwrap().ends_with("ImmediateRemainder"), "{said:?}");
}

#[test]
fn a_tie_goes_to_the_lower_instrument() {
    let mut market = market();
    set_yield(&mut market, B200, 2 * 15_387);
    market.send(SELLER, on(2, sell(1, "54.00")));
    market.send(SELLER_2, sell(1, "27.00"));
    let said = market.send(BUYER, tokens(H200_LOT * 3, "2.00", &[2, 1]));
    assert!(said[1].starts_with("20: filled 3 1@27.00"), "{said:?}");
    assert!(said[3].starts_with("20: filled 3 1@54.00"), "{said:?}");
}

#[test]
fn levels_are_taken_in_the_order_of_price_per_token() {
    let mut market = market();
    market.send(SELLER, sell(1, "20.00"));
    market.send(SELLER, sell(1, "24.00"));
    market.send(SELLER, on(2, sell(1, "65.00")));
    market.send(SELLER, on(3, sell(1, "13.00")));
    // Per Mtok: 1.2998, 1.5598, 1.4216, 1.4081.
    let said = market.send(BUYER, tokens(10_000_000, "1.60", &[3, 2, 1]));
    let prices: Vec<&str> = said
        .iter()
        .filter(|line| line.contains("taker"))
        .map(|line| line.split_once('@').unwrap().1.split(' ').next().unwrap())
        .collect();
    assert_eq!(prices, ["20.00", "13.00", "65.00", "24.00"]);
}

#[test]
fn fill_or_kill_is_asked_before_any_effect() {
    let cases: &[(&str, TokenOrder, bool)] = &[
        ("fits", tokens(2 * H200_LOT, "1.80", &[1]), true),
        ("fits with less than a lot to spare", tokens(3 * H200_LOT - 1, "1.80", &[1]), true),
        ("more than rests", tokens(4 * H200_LOT, "1.80", &[1]), false),
        ("above the limit", tokens(2 * H200_LOT, "1.70", &[1]), false),
        ("may overshoot what rests", overshoot(tokens(3 * H200_LOT - 5, "1.80", &[1])), true),
        ("more than rests, overshooting", overshoot(tokens(3 * H200_LOT + 1, "1.80", &[1])), false),
    ];
    for (name, order, fills) in cases {
        let mut market = market();
        market.send(SELLER, sell(1, "27.00"));
        market.send(SELLER_2, sell(2, "27.00"));
        let before = market.engine.open_orders().collect::<Vec<_>>();
        let said = market.send_all(BUYER, fill_or_kill(*order));
        if *fills {
            assert!(said.last().unwrap().ends_with("done"), "{name}: {said:?}");
        } else {
            assert_eq!(said, ["20: rejected FokNotFillable"], "{name}");
            assert_eq!(market.engine.open_orders().collect::<Vec<_>>(), before, "{name}");
        }
    }
}

#[test]
fn it_spends_what_it_has_fees_included_and_no_more() {
    let mut market = Market::new();
    market.list_with(ListInstrument { taker_fee_ppm: 200, ..list_instrument(HOUR) });
    market.register(SELLER, HOUR, 800);
    set_yield(&mut market, HOUR, 15_387);
    // Three lots are 648 EC and 0.1296 EC of fee.
    market.send(ISSUER, MintCredits { amount: amount("1000"), ..Default::default() });
    let pay = |market: &mut Market, account, ec| {
        let to = AccountId::new(account);
        let amount = amount(ec);
        market.send(ISSUER, DepositCredits { to, amount, ..Default::default() });
    };
    pay(&mut market, BUYER, "648.1295");
    market.send(SELLER, sell(50, "27.00"));
    let order = tokens(10 * H200_LOT, "1.80", &[1]);
    assert_eq!(market.send(BUYER, fill_or_kill(order)), ["20: rejected FokNotFillable"]);
    let said = market.send(BUYER, order);
    assert_eq!(said[1], "20: filled 2 2@27.00 leaves 0 taker fee 0.0864");
    assert!(said[2].contains("for 432.00 + 0.0864"), "{said:?}");
    assert!(said[2].ends_with("in 1 CreditsExhausted"), "{said:?}");
    pay(&mut market, BUYER, "0.0001");
    let said = market.send(BUYER, order);
    assert_eq!(said[1], "20: filled 3 1@27.00 leaves 0 taker fee 0.0432");
    assert_eq!(market.credits(BUYER), (0, 0, 0));
    let said = market.send(BUYER, order);
    assert!(said[0].ends_with("in 0 CreditsExhausted"), "{said:?}");
}

fn amount(ec: &str) -> MicroEc {
    ec.parse().unwrap()
}

#[test]
fn it_stops_at_an_order_of_its_own_group() {
    let mut market = market();
    market.send(SELLER, sell(5, "20.00"));
    market.send(BUYER, buy(5, "20.00"));
    market.send(SELLER, sell(1, "27.00"));
    market.send(BUYER, sell(1, "27.00"));
    market.send(SELLER, sell(1, "27.00"));
    let order = tokens(3 * H200_LOT, "1.80", &[1]);
    assert_eq!(market.send(BUYER, fill_or_kill(order)), ["20: rejected FokNotFillable"]);
    assert!(market.send(BUYER, order).last().unwrap().ends_with("in 1 SelfTrade"));
    assert_eq!(market.resting(1, Side::Sell), ["2 at 27.00 in 2"]);
}

#[test]
fn what_cannot_be_a_token_order_is_refused_in_the_order_of_codes() {
    let mut market = market();
    // 4: another zone; 5: another window; 6: no yield; 7: pending; 8: closed.
    market.list("H200S.NO2.20261124T1400.H");
    market.list("H200S.DE.20261124T1500.H");
    market.list("GB200.DE.20261124T1400.H");
    let opens = market.engine.time().saturating_add_ms(3_600_000);
    market.list_with(ListInstrument { opens, ..list_instrument("L40S.DE.20261124T1400.H") });
    let gate = market.engine.time().saturating_add_ms(1);
    market.list_with(ListInstrument { gate, ..list_instrument("A100S.DE.20261124T1400.H") });
    market.advance_ms(1);
    let sixteen_and_one = TokenOrder { count: 17, ..tokens(0, "0", &[1; 16]) };
    let good = tokens(1_000_000, "1.80", &[1]);
    let cases: &[(&str, TokenOrder, &str)] = &[
        ("rests", TokenOrder { time_in_force: 1, ..tokens(0, "0", &[]) }, "InvalidChoice"),
        ("no time in force", TokenOrder { time_in_force: 0, ..good }, "InvalidChoice"),
        ("unknown flag", TokenOrder { flags: 2, ..good }, "InvalidChoice"),
        ("unknown instrument before closed", tokens(0, "0", &[8, 99]), "UnknownInstrument"),
        ("pending before closed", tokens(0, "0", &[8, 7]), "NotOpen"),
        ("closed", tokens(0, "0", &[1, 8]), "GateClosed"),
        ("no tokens", tokens(0, "0", &[]), "QtyZero"),
        ("no instruments", tokens(1, "0", &[]), "InstrumentCount"),
        (
            "too many instruments",
            TokenOrder { quantity: KiloTokens::new(1), ..sixteen_and_one },
            "InstrumentCount",
        ),
        ("twice", tokens(1, "0", &[1, 4, 1]), "DuplicateInstrument"),
        ("another zone", tokens(1, "0", &[1, 4]), "MixedWindow"),
        ("another window", tokens(1, "0", &[5, 1]), "MixedWindow"),
        ("no yield for the class", tokens(1, "0", &[1, 6]), "NoYield"),
        ("no yield for the model", TokenOrder { model: ModelId::new(2), ..tokens(1, "0", &[1]) }, "NoYield"),
        ("less than the smallest lot", tokens(8 * 9_232 - 1, "0", &[1, 2, 3]), "BelowLot"),
        ("free tokens", tokens(8 * 9_232, "0", &[1, 2, 3]), "TokenPriceNotPositive"),
        ("negative price", tokens(8 * 9_232, "-1", &[1, 2, 3]), "TokenPriceNotPositive"),
    ];
    for (name, order, reason) in cases {
        assert_eq!(market.send_all(BUYER, *order), [format!("20: rejected {reason}")], "{name}");
    }
    assert_eq!(market.send(SELLER, good).len(), 1, "sellers may buy");
    assert_eq!(market.send(METER, good), ["3: rejected NotAuthorised"]);
    let said = market.send(BUYER, tokens(u64::MAX, "1.80", &[1, 2, 3]));
    assert!(said[0].ends_with("in 0 ImmediateRemainder"), "the largest quantity is no problem: {said:?}");
}

#[test]
fn a_yield_of_zero_removes_the_entry() {
    let mut market = market();
    set_yield(&mut market, HOUR, 0);
    assert_eq!(market.send(BUYER, tokens(1_000_000, "1.80", &[1])), ["20: rejected NoYield"]);
}

#[test]
fn it_does_as_its_self_trade_mode_says() {
    let cases = [
        (0, "in 1 SelfTrade", ["2 at 27.00 in 2"].as_slice(), false),
        (1, "in 2 done", &[], true),
        (2, "in 1 SelfTrade", &["1 at 27.00 in 1"], true),
    ];
    for (mode, end, left, own_canceled) in cases {
        let mut market = market();
        market.send(SELLER, sell(5, "20.00"));
        market.send(BUYER, buy(5, "20.00"));
        market.send(SELLER, sell(1, "27.00"));
        market.send(BUYER, sell(1, "27.00"));
        market.send(SELLER, sell(1, "27.00"));
        let order = TokenOrder { self_trade: mode, ..tokens(2 * H200_LOT, "1.80", &[1]) };
        let before = market.engine.open_order_count();
        let said = market.send(BUYER, fill_or_kill(order));
        assert_eq!(said[0] == "20: rejected FokNotFillable", mode != 1, "{mode}: {said:?}");
        if mode != 1 {
            assert_eq!(market.engine.open_order_count(), before, "{mode}");
        }
        let said = if mode == 1 { said } else { market.send(BUYER, order) };
        assert!(said.last().unwrap().ends_with(end), "{mode}: {said:?}");
        assert_eq!(said.contains(&"20: canceled 1 of 4 SelfTrade".to_string()), own_canceled, "{mode}");
        assert_eq!(market.resting(1, Side::Sell), left, "{mode}");
    }
    let mut market = market();
    let order = TokenOrder { self_trade: 3, ..tokens(1, "1.80", &[1]) };
    assert_eq!(market.send(BUYER, order), ["20: rejected InvalidChoice"], "it has no lots to take off");
}

#[test]
fn it_takes_slices_as_they_are_renewed() {
    let mut market = market();
    market.send(SELLER, NewOrder { display_qty: 2, ..sell(5, "27.00") });
    market.send(SELLER_2, sell(1, "27.00"));
    let said = market.send(BUYER, fill_or_kill(tokens(6 * H200_LOT, "1.80", &[1])));
    let makers: Vec<&str> =
        said.iter().filter(|line| line.contains("maker")).map(|line| &line[..15]).collect();
    assert_eq!(makers, ["10: filled 1 2@", "11: filled 2 1@", "10: filled 1 2@", "10: filled 1 1@"]);
    assert!(said.last().unwrap().ends_with("in 4 done"), "{said:?}");
    assert_eq!(market.engine.open_order_count(), 0);
}

#[test]
fn the_window_cap_cuts_it() {
    let mut market = market();
    let account = AccountId::new(BUYER);
    let limits = SetLimits { account, window_accelerators_max: 20, ..Default::default() };
    market.send(OPERATOR, limits);
    market.send(SELLER, sell(5, "27.00"));
    market.send(SELLER, on(3, sell(5, "17.00")));
    let order = tokens(4 * H200_LOT, "1.80", &[1]);
    assert_eq!(market.send(BUYER, fill_or_kill(order)), ["20: rejected FokNotFillable"]);
    let said = market.send(BUYER, order);
    assert_eq!(said[1], "20: filled 3 2@27.00 leaves 0 taker fee 0.00", "20 accelerators are two lots");
    assert!(said[2].ends_with("in 1 WindowCap"), "{said:?}");
    let said = market.send(BUYER, tokens(H200_LOT, "1.80", &[1, 3]));
    assert!(said.last().unwrap().ends_with("in 0 WindowCap"), "no token is to be had at the limit: {said:?}");
    let said = market.send(BUYER, tokens(H200_LOT, "2.00", &[1, 3]));
    let tpu = "20: filled 5 1@17.00 leaves 0 taker fee 0.00";
    assert_eq!(said[1], tpu, "the cap is on each quarter hour of each class");
    assert!(said.last().unwrap().ends_with("in 1 done"), "{said:?}");
}

#[test]
fn the_value_of_a_token_order_is_its_limit_times_its_quantity() {
    let mut market = market();
    let account = AccountId::new(BUYER);
    // Two H200S lots are 246,192 kilo-tokens: at 1.80 EC per million 443.1456 EC.
    for (cap, accepted) in [("443.145599", false), ("443.1456", true)] {
        let limits = SetLimits { account, order_value_max: amount(cap), ..Default::default() };
        market.send(OPERATOR, limits);
        let said = market.send(BUYER, tokens(2 * H200_LOT, "1.80", &[1]));
        assert_eq!(said[0] != "20: rejected OrderValueCap", accepted, "{cap}: {said:?}");
    }
    for below_zero in [-1, i64::MIN] {
        let limit = TokenPrice::new(below_zero);
        let said = market.send(BUYER, TokenOrder { limit, ..tokens(2 * H200_LOT, "1.80", &[1]) });
        assert_eq!(said, ["20: rejected TokenPriceNotPositive"], "{below_zero} is worth nothing");
    }
}

#[test]
fn a_book_whose_next_ask_is_beyond_a_band_is_left() {
    let mut market = market();
    market.send(SELLER, sell(1, "27.00"));
    market.send(BUYER, ioc(buy(1, "27.00")));
    market.send(SELLER, sell(1, "27.50"));
    market.send(SELLER, sell(1, "28.00"));
    market.send(SELLER, on(3, sell(1, "17.00")));
    // Two percent of 27.00 are 0.54: the ask at 28.00 is too far from the last trade.
    market.send(OPERATOR, SetBands { dynamic_bps: 200, ..bands() });
    let order = tokens(3 * H200_LOT, "1.90", &[1, 3]);
    assert_eq!(market.send(BUYER, fill_or_kill(order)), ["20: rejected FokNotFillable"]);
    let said = market.send(BUYER, order);
    let taken: Vec<&str> =
        said.iter().filter(|line| line.contains("taker")).map(|line| &line[13..20]).collect();
    assert_eq!(taken, ["1@27.50", "1@17.00"], "{said:?}");
    assert!(said.last().unwrap().ends_with("in 2 ImmediateRemainder"), "{said:?}");
    let said = market.send(BUYER, tokens(H200_LOT, "1.90", &[1]));
    assert_eq!(said.len(), 2 + 1, "now it is within two percent of 27.50: {said:?}");
}

/// Places that differ by 64 look alike at first.
#[test]
fn only_the_same_instrument_is_named_twice() {
    let mut market = Market::with_limits(Genesis { instruments_max: 65, ..GENESIS });
    market.list(HOUR);
    market.fund();
    let listed: Vec<u32> =
        (1..=64).map(|class| market.list(&format!("X{class}.DE.20261124T1400.H"))).collect();
    assert_eq!(listed.last(), Some(&65));
    set_yield(&mut market, HOUR, 15_387);
    set_yield(&mut market, "X64.DE.20261124T1400.H", 15_387);
    market.send(SELLER, sell(2, "27.00"));
    let said = market.send(BUYER, tokens(H200_LOT, "1.80", &[65, 1]));
    assert!(said.last().unwrap().ends_with("in 1 done"), "{said:?}");
    let said = market.send(BUYER, tokens(H200_LOT, "1.80", &[65, 1, 65]));
    assert!(said[0].contains("DuplicateInstrument"), "{said:?}");
}
