//! Market-maker protection: fills within a window pull the quotes of a class, before anything else trades.

use core::mem::offset_of;

use joulebook_protocol::messages::{MassQuote, ResetProtection, SetProtection};
use joulebook_protocol::{Event, RejectReason};
use joulebook_types::{AccountId, MicroEc, Side};

use crate::market::*;
use crate::quotes::{DEALER, market as quote_market, pair, quote};

/// `market` of the quotes, in which the dealer quotes instruments 1 (H200S) and 2 (B200) in session 1, and 1 once more
/// in session 2; its plain bid 7 is no quote.
fn market() -> Market {
    let mut market = quote_market();
    let both = [pair(1, (5, "20.00"), (5, "21.00")), pair(2, (5, "20.00"), (5, "21.00"))];
    market.send(DEALER, quote(&both));
    market.send_from(DEALER, 2, quote(&[pair(1, (5, "19.00"), (5, "22.00"))]));
    market.send(DEALER, buy(1, "18.00"));
    market
}

fn protection(window_ms: u32, fills_max: u32, lots_max: u64, credits_max: i64) -> SetProtection {
    SetProtection {
        class: "H200S".parse().unwrap(),
        credits_max: MicroEc::from_ec(credits_max),
        lots_max,
        window_ms,
        fills_max,
        ..Default::default()
    }
}

fn reset(class: &str) -> ResetProtection {
    ResetProtection { class: class.parse().unwrap(), ..Default::default() }
}

fn requote() -> MassQuote {
    quote(&[pair(1, (5, "20.00"), (5, "21.00"))])
}

#[test]
fn a_limit_pulls_all_quotes_of_the_class_right_after_its_fill() {
    let mut market = market();
    assert_eq!(market.send(DEALER, protection(1_000, 1, 0, 0)), ["31: done 0"]);
    let said = market.send_all(BUYER, buy(8, "22.00"));
    assert_eq!(
        said,
        [
            "20: accepted 8 buy 8@22.00",
            "* trade 1 3@21.00 buy".replace('3', "5").as_str(),
            "31: filled 2 5@21.00 leaves 0 maker fee 0.00",
            "20: filled 8 5@21.00 leaves 3 taker fee 0.00",
            "* filled 2 leaves 0, sell 21.00: 0 in 0",
            "31: protected H200S: 1 fills 5 lots 840.00 credits, pulled 3",
            "31: canceled 5 of 1 Protected",
            "* removed 1 leaves 0, buy 20.00: 0 in 0",
            "31: canceled 5 of 5 Protected",
            "* removed 5 leaves 0, buy 19.00: 0 in 0",
            "31: canceled 5 of 6 Protected",
            "* removed 6 leaves 0, sell 22.00: 0 in 0",
            "* added 8 leaves 3, buy 22.00: 3 in 1",
        ],
        "the ask at 22 was pulled before the taker went on"
    );
    assert_eq!(market.resting(2, Side::Buy), ["5 at 20.00 in 1"], "other classes stay");
    assert_eq!(market.engine.open_orders().count(), 4, "so do orders that are no quotes");
}

#[test]
fn what_is_left_of_the_quote_that_was_hit_is_pulled_too() {
    let mut market = market();
    market.send(DEALER, protection(1_000, 1, 0, 0));
    let said = market.send(BUYER, buy(2, "21.00"));
    assert_eq!(said[3], "31: protected H200S: 1 fills 2 lots 336.00 credits, pulled 4");
    assert_eq!(
        said[4..],
        [1, 2, 5, 6].map(|id| format!("31: canceled {} of {id} Protected", if id == 2 { 3 } else { 5 }))
    );
}

#[test]
fn each_limit_counts_within_its_window() {
    // Milliseconds before each purchase of some lots at 21 EC, each worth 168 EC.
    type Case = (&'static str, SetProtection, &'static [(u32, u32)], bool);
    let cases: &[Case] = &[
        ("two fills", protection(1_000, 2, 0, 0), &[(0, 1), (999, 1)], true),
        ("the first has passed", protection(1_000, 2, 0, 0), &[(0, 1), (1_000, 1)], false),
        ("one lot fewer", protection(1_000, 9, 4, 0), &[(0, 1), (0, 2)], false),
        ("lots", protection(1_000, 9, 4, 0), &[(0, 1), (0, 3)], true),
        ("one lot's credits fewer", protection(1_000, 9, 0, 840), &[(0, 2), (0, 2)], false),
        ("credits", protection(1_000, 9, 0, 840), &[(0, 2), (0, 3)], true),
        ("a window that rolls", protection(1_000, 3, 0, 0), &[(0, 1), (600, 1), (600, 1)], false),
        ("and catches up", protection(1_000, 3, 0, 0), &[(0, 1), (600, 1), (500, 1), (50, 1)], true),
    ];
    for (name, set, purchases, pulled) in cases {
        let mut market = market();
        market.send(DEALER, *set);
        for (index, (wait_ms, lots)) in purchases.iter().enumerate() {
            market.advance_ms(*wait_ms);
            let said = market.send(BUYER, buy(*lots, "21.00"));
            let fired = said.iter().any(|line| line.starts_with("31: protected"));
            let last = index + 1 == purchases.len();
            assert_eq!(fired, *pulled && last, "{name} {index}: {said:?}");
        }
        let stands = market.resting(1, Side::Sell).iter().any(|level| level.contains("22.00"));
        assert_eq!(stands, !pulled, "{name}");
    }
}

#[test]
fn the_session_of_the_quote_that_was_hit_hears_of_it() {
    let mut market = market();
    market.send(DEALER, protection(1_000, 2, 0, 0));
    market.send(BUYER, buy(6, "22.00"));
    let events = market.events.iter().filter_map(|record| match record.destination {
        joulebook_engine::Destination::Connection(connection) => Some(connection.raw() & 0xFFFF_FFFF),
        joulebook_engine::Destination::Public => None,
    });
    // Of the dealer's: the fill of session 1, then session 2's fill and its protection, then the cancels.
    let of_dealer: Vec<u64> = events.filter(|connection| connection / 100 == u64::from(DEALER)).collect();
    assert_eq!(of_dealer, [3_101, 3_102, 3_102, 3_101, 3_102, 3_102]);
}

#[test]
fn frozen_quotes_are_kept_out_until_a_reset() {
    let mut market = market();
    market.send(DEALER, protection(1_000, 1, 0, 0));
    market.send(BUYER, buy(1, "21.00"));
    let frozen = RejectReason::ProtectionFrozen;
    let kept_out = |market: &mut Market| {
        let said = market.send(DEALER, requote());
        said[0] == format!("31: quote 0 rejected {frozen}")
            && said[1] == "31: quoted 0: 0 accepted 1 rejected"
    };
    assert!(kept_out(&mut market));
    let is_frozen = |market: &Market, class: &str| {
        market.engine.is_frozen(AccountId::new(DEALER), class.parse().unwrap())
    };
    assert_eq!((is_frozen(&market, "H200S"), is_frozen(&market, "B200")), (true, false));
    assert_eq!(
        market.send_from(DEALER, 2, requote())[0],
        "31: quote 0 rejected ProtectionFrozen",
        "every session"
    );
    assert_eq!(
        market.send(DEALER, quote(&[pair(1, (0, "0"), (0, "0"))])),
        ["31: quoted 1: 1 accepted 0 rejected"]
    );
    assert_eq!(market.send(DEALER, quote(&[pair(2, (6, "20.00"), (6, "21.00"))])).len(), 1, "other classes");
    assert_eq!(market.send(DEALER, buy(1, "18.00")).len(), 1, "orders that are no quotes");
    market.advance_ms(5_000);
    assert!(kept_out(&mut market), "time does not let them in");
    market.send(DEALER, protection(1_000, 9, 0, 0));
    assert!(kept_out(&mut market), "new limits do not either");
    assert_eq!(market.send(DEALER, reset("B200")), ["31: done 0"]);
    assert!(kept_out(&mut market), "another class's reset does not");
    assert_eq!(market.send(DEALER, reset("H200S")), ["31: done 1"]);
    assert_eq!(market.send(DEALER, requote()), ["31: quoted 1: 1 accepted 0 rejected"]);
    assert_eq!(market.send(DEALER, reset("H200S")), ["31: done 0"]);
}

#[test]
fn removing_the_protection_lets_quotes_in_again() {
    let mut market = market();
    market.send(DEALER, protection(1_000, 1, 0, 0));
    market.send(BUYER, buy(1, "21.00"));
    assert_eq!(market.send(DEALER, protection(0, 0, 0, 0)), ["31: done 0"]);
    market.send(DEALER, requote());
    market.send(BUYER, buy(5, "21.00"));
    assert_eq!(market.resting(1, Side::Buy)[0], "5 at 20.00 in 1", "nothing protects them any more");
}

#[test]
fn setting_it_anew_forgets_what_was_filled() {
    let mut market = market();
    market.send(DEALER, protection(1_000, 2, 0, 0));
    market.send(BUYER, buy(1, "21.00"));
    market.send(DEALER, protection(1_000, 2, 0, 0));
    let said = market.send(BUYER, buy(1, "21.00"));
    assert!(!said.iter().any(|line| line.starts_with("31: protected")), "{said:?}");
}

#[test]
fn only_fills_of_resting_quotes_count() {
    let mut market = market();
    market.send(DEALER, protection(1_000, 2, 0, 0));
    market.send(SELLER, sell(1, "18.00"));
    market.send(SELLER, sell(3, "20.50"));
    let said = market.send(DEALER, quote(&[pair(1, (3, "20.50"), (5, "21.00"))]));
    assert_eq!(said.last().unwrap(), "31: quoted 1: 1 accepted 0 rejected");
    assert!(!said.iter().any(|line| line.starts_with("31: protected")), "its own taking does not: {said:?}");
    let said = market.send(BUYER, buy(1, "21.00"));
    assert!(
        said.contains(&"31: protected H200S: 2 fills 2 lots 328.00 credits, pulled 3".to_owned()),
        "{said:?}"
    );
}

#[test]
fn fill_or_kill_counts_no_quote_that_its_own_fills_would_pull() {
    // Asks of the dealer: 5 at 21.00 and 5 at 22.00, of a seller: 5 at 22.00 behind them.
    let cases = [
        ("one fill", protection(1_000, 1, 0, 0), 10, 11),
        ("two fills", protection(1_000, 2, 0, 0), 15, 16),
        ("lots, the whole first quote", protection(1_000, 9, 3, 0), 10, 11),
        ("credits", protection(1_000, 9, 0, 841), 15, 16),
    ];
    for (name, set, fillable, too_many) in cases {
        let mut market = market();
        market.send(SELLER, sell(5, "22.00"));
        market.send(DEALER, set);
        assert_eq!(
            market.send(BUYER, fok(buy(too_many, "22.00"))),
            ["20: rejected FokNotFillable"],
            "{name}"
        );
        assert_eq!(market.last_reject().2, i64::from(fillable), "{name}");
        let said = market.send(BUYER, fok(buy(fillable, "22.00")));
        assert!(said.iter().any(|line| line.contains("leaves 0 taker")), "{name}: {said:?}");
    }
}

#[test]
fn limits_outside_what_is_allowed_are_refused() {
    use RejectReason::*;
    let good = protection(1_000, 1, 0, 0);
    let (window, fills) = (offset_of!(SetProtection, window_ms), offset_of!(SetProtection, fills_max));
    let (credits, class) = (offset_of!(SetProtection, credits_max), offset_of!(SetProtection, class));
    let whole = usize::from(u16::MAX);
    let cases = [
        (
            "window",
            DEALER,
            SetProtection { window_ms: 60_001, ..good },
            (InvalidProtection, window, 60_000, 60_001),
        ),
        ("no fills", DEALER, SetProtection { fills_max: 0, ..good }, (InvalidProtection, fills, 1, 0)),
        (
            "fills",
            DEALER,
            SetProtection { fills_max: 10_001, ..good },
            (InvalidProtection, fills, 10_000, 10_001),
        ),
        (
            "credits",
            DEALER,
            SetProtection { credits_max: MicroEc::new(-1), ..good },
            (InvalidProtection, credits, 0, -1),
        ),
        ("class", DEALER, SetProtection { class: Default::default(), ..good }, (InvalidCode, class, 0, 0)),
        ("not a maker", SELLER, good, (NotAuthorised, whole, 0, 0)),
    ];
    let mut market = market();
    for (name, sender, set, expected) in cases {
        market.send(sender, set);
        assert_eq!(market.last_reject(), expected, "{name}");
    }
    market.send(DEALER, ResetProtection::default());
    assert_eq!(market.last_reject(), (InvalidCode, offset_of!(ResetProtection, class), 0, 0));
    market.send(DEALER, SetProtection { class: Default::default(), window_ms: 0, ..good });
    assert_eq!(market.last_reject(), (InvalidCode, class, 0, 0), "also when it is to be removed");
    market.send(SELLER, reset("H200S"));
    assert_eq!(market.last_reject(), (NotAuthorised, whole, 0, 0));
    let bounds = SetProtection { window_ms: 60_000, fills_max: 10_000, lots_max: u64::MAX, ..good };
    assert_eq!(market.send(DEALER, bounds), ["31: done 0"], "the bounds themselves are allowed");
}

#[test]
fn an_account_protects_sixty_four_classes_at_most() {
    let mut market = market();
    let of = |n: u32| SetProtection { class: format!("C{n}").parse().unwrap(), ..protection(1, 1, 0, 0) };
    for n in 0..64 {
        assert_eq!(market.send(DEALER, of(n)), ["31: done 0"]);
    }
    market.send(DEALER, of(64));
    assert_eq!(market.last_reject(), (RejectReason::InvalidCount, offset_of!(SetProtection, class), 64, 65));
    market.send(DEALER, SetProtection { window_ms: 0, ..of(7) });
    assert_eq!(market.send(DEALER, of(64)), ["31: done 0"], "one was removed");
}

#[test]
fn the_event_carries_what_the_window_saw() {
    let mut market = market();
    market.send(DEALER, protection(1_000, 9, 4, 0));
    market.send(BUYER, buy(3, "21.00"));
    market.advance_ms(500);
    market.send(BUYER, buy(1, "21.00"));
    let events = market.private_events();
    let triggered = events.iter().find_map(|event| match event {
        Event::ProtectionTriggered(e) => Some((e.fills, e.lots, e.credits, e.canceled_orders)),
        _ => None,
    });
    assert_eq!(triggered, Some((2, 4, MicroEc::from_ec(4 * 8 * 21), 4)));
}
