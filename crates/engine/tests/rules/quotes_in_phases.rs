//! Quotes and their protection outside of the open market: before it, in calls and halts, and at the velocity bound.

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{MassQuote, SetBands, SetProtection};
use joulebook_types::{ClassCode, Phase, Side};

use crate::market::*;
use crate::quotes::{DEALER, market as quote_market, pair, quote};

const ACCEPTED: &str = "31: quoted 1: 1 accepted 0 rejected";

fn one(bid: (u32, &str), ask: (u32, &str)) -> MassQuote {
    quote(&[pair(1, bid, ask)])
}

fn protection(fills_max: u32) -> SetProtection {
    let class: ClassCode = "H200S".parse().unwrap();
    SetProtection { class, window_ms: 1_000, fills_max, ..Default::default() }
}

/// The market of the quotes, whose first instrument went through these phases.
fn in_phase(phases: &[Phase]) -> Market {
    let mut market = quote_market();
    for phase in phases {
        assert_eq!(market.send(OPERATOR, set_phase(*phase)).last().unwrap(), "1: done 1");
    }
    market
}

#[test]
fn before_the_opening_quotes_rest_and_may_not_cross() {
    let mut market = in_phase(&[Phase::Halted, Phase::PreOpen]);
    market.send(SELLER, sell(1, "20.00"));
    market.send(DEALER, one((5, "20.00"), (5, "21.00")));
    let said = market.send(DEALER, one((5, "20.00"), (5, "21.00")));
    assert_eq!(said[0], format!("31: quote 0 rejected {}", RejectReason::PostOnlyWouldTrade));
    assert_eq!(market.send(DEALER, one((5, "19.99"), (5, "20.00"))), [ACCEPTED]);
    market.send(OPERATOR, set_phase(Phase::Open));
    let said = market.send(BUYER, buy(2, "20.00"));
    assert_eq!(said[1], "10: filled 1 1@20.00 leaves 0 maker fee 0.00", "{said:?}");
    assert_eq!(said[3], "31: filled 3 1@20.00 leaves 4 maker fee 0.00", "{said:?}");
}

#[test]
fn halts_and_calls_take_no_quotes_but_let_those_that_stand_be_removed() {
    for phase in [Phase::Halted, Phase::Auction] {
        let mut market = quote_market();
        market.send(DEALER, one((5, "20.00"), (5, "21.00")));
        market.send(OPERATOR, set_phase(phase));
        for message in [one((4, "20.00"), (4, "21.00")), one((4, "20.00"), (0, "0"))] {
            let said = market.send(DEALER, message);
            assert_eq!(said[0], "31: quote 0 rejected NotOpen", "{phase}: {said:?}");
        }
        assert_eq!(market.engine.open_order_count(), 2);
        assert_eq!(market.send(DEALER, reduce(1, 1)), ["31: replaced 1 4@20.00 leaves 4 kept"]);
        assert_eq!(market.send(DEALER, cancel(2)), ["31: canceled 5 of 2 Requested"]);
        assert_eq!(market.send(DEALER, one((0, "0"), (0, "0"))), [ACCEPTED]);
        assert_eq!(market.engine.open_order_count(), 0);
    }
}

#[test]
fn an_uncross_pulls_quotes_only_when_it_is_over() {
    let mut market = quote_market();
    market.send(DEALER, protection(1));
    market.send(DEALER, quote(&[pair(1, (5, "20.00"), (5, "21.00")), pair(3, (5, "20.00"), (0, "0"))]));
    market.send(OPERATOR, set_phase(Phase::Auction));
    // Both sides of the quote and a second quote's bid trade; the first fill alone reaches the limit.
    market.send(SELLER, sell(3, "20.00"));
    market.send(SELLER_2, sell(1, "20.00"));
    let said = market.send_all(OPERATOR, set_phase(Phase::Open));
    let after: Vec<&str> =
        said.iter().map(String::as_str).skip_while(|line| *line != "* phase 1 open").collect();
    assert_eq!(
        after,
        [
            "* phase 1 open",
            "31: protected H200S: 2 fills 4 lots 640.00 credits, pulled 3",
            "31: canceled 1 of 1 Protected",
            "* removed 1 leaves 0, buy 20.00: 0 in 0",
            "31: canceled 5 of 2 Protected",
            "* removed 2 leaves 0, sell 21.00: 0 in 0",
            "31: canceled 5 of 3 Protected",
            "* removed 3 leaves 0, buy 20.00: 0 in 0",
            "1: done 1",
        ],
        "{said:?}"
    );
    assert_eq!(
        market.send(DEALER, one((5, "20.00"), (5, "21.00")))[0],
        "31: quote 0 rejected ProtectionFrozen"
    );
}

#[test]
fn a_quote_that_reaches_too_far_rests_halts_the_market_and_its_ask_rests_too() {
    let mut market = quote_market();
    let bands = SetBands {
        velocity_move: price("1"),
        velocity_window_ms: 10_000,
        halt_ms: 5_000,
        auction_ms: 60_000,
        ..bands()
    };
    market.send(OPERATOR, bands);
    market.send(SELLER, sell(1, "20.00"));
    market.send(SELLER, sell(1, "22.00"));
    market.send(BUYER, buy(2, "18.00"));
    market.send(BUYER, buy(1, "20.00"));
    market.advance_ms(1);
    let said = market.send_all(DEALER, one((4, "22.00"), (3, "23.00")));
    assert_eq!(
        said,
        [
            "* added 5 leaves 4, buy 22.00: 4 in 1",
            "* phase 1 halted",
            "* added 6 leaves 3, sell 23.00: 3 in 1",
            ACCEPTED,
        ],
        "the ask would not have traded; it rests in the halt"
    );
    assert_eq!(
        market.resting(1, Side::Sell),
        ["1 at 22.00 in 1", "3 at 23.00 in 1"],
        "halted books may cross"
    );
}

#[test]
fn a_quote_beyond_the_dynamic_band_is_refused() {
    let mut market = quote_market();
    market.send(OPERATOR, SetBands { dynamic_bps: 1_000, ..bands() });
    market.send(SELLER, sell(1, "20.00"));
    market.send(BUYER, buy(1, "20.00"));
    assert_eq!(
        market.send(DEALER, one((1, "22.00"), (1, "40.00"))),
        [ACCEPTED],
        "the bounds themselves are allowed"
    );
    let said = market.send(DEALER, one((1, "22.01"), (1, "40.00")));
    assert_eq!(said[0], "31: quote 0 rejected PriceOutsideBand");
    let said = market.send(DEALER, one((1, "15.00"), (1, "17.99")));
    assert_eq!(said[0], "31: quote 0 rejected PriceOutsideBand", "no ask below it");
}
