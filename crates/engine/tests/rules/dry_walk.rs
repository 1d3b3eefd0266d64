//! All-or-nothing orders against quotes that a protection would pull on the way.

use joulebook_protocol::messages::{NewOrder, SetProtection};
use joulebook_types::MicroEc;

use crate::market::*;
use crate::quotes::{DEALER, market, pair, quote};

/// Asks of instrument 1 at 27.00: the dealer's quote of 5 lots, then an iceberg of 3 lots that shows one; 9 lots more
/// at 28.00.
fn protected(limits: SetProtection) -> Market {
    let mut market = market();
    let class = symbol(HOUR).class;
    market.send(DEALER, SetProtection { class, window_ms: 1_000, ..limits });
    market.send(DEALER, quote(&[pair(1, (0, "1"), (5, "27.00"))]));
    market.send(SELLER, NewOrder { display_qty: 1, ..sell(3, "27.00") });
    market.send(SELLER_2, sell(9, "28.00"));
    market
}

const NO_LIMIT: SetProtection = SetProtection {
    client_order_id: joulebook_types::ClientOrderId::NONE,
    class: joulebook_types::ClassCode::NONE,
    credits_max: MicroEc::ZERO,
    lots_max: 0,
    window_ms: 0,
    fills_max: 10_000,
};

#[test]
fn a_quote_counts_as_far_as_its_protection_lets_it() {
    let cases: &[(&str, SetProtection, u32)] = &[
        ("far away", NO_LIMIT, 8),
        ("the fill that takes the quote reaches it", SetProtection { fills_max: 1, ..NO_LIMIT }, 8),
        ("lots", SetProtection { lots_max: 5, ..NO_LIMIT }, 8),
        ("credits", SetProtection { credits_max: MicroEc::from_ec(1), ..NO_LIMIT }, 8),
    ];
    for (name, limits, fillable) in cases {
        for (qty, accepted) in [(*fillable, true), (fillable + 1, false)] {
            let mut market = protected(*limits);
            let said = market.send(BUYER, fok(buy(qty, "27.00")));
            assert_eq!(said[0].contains("accepted"), accepted, "{name} {qty}: {said:?}");
        }
    }
}

#[test]
fn quotes_that_a_fill_of_the_walk_would_pull_are_passed_over() {
    let cases: &[(&str, SetProtection, bool)] = &[
        (
            "the first fill pulls what is left of the second quote",
            SetProtection { fills_max: 1, ..NO_LIMIT },
            false,
        ),
        ("two fills may be had", SetProtection { fills_max: 2, ..NO_LIMIT }, true),
        ("the lots reach it", SetProtection { lots_max: 5, ..NO_LIMIT }, false),
        ("a lot less does not", SetProtection { lots_max: 6, ..NO_LIMIT }, true),
        ("the credits reach it", SetProtection { credits_max: MicroEc::from_ec(1_080), ..NO_LIMIT }, false),
        ("a credit less does not", SetProtection { credits_max: MicroEc::from_ec(1_081), ..NO_LIMIT }, true),
    ];
    for (name, limits, accepted) in cases {
        let mut market = protected(*limits);
        // A second session of the dealer quotes 4 lots behind the iceberg.
        market.send_from(DEALER, 2, quote(&[pair(1, (0, "1"), (4, "27.00"))]));
        let said = market.send(BUYER, fok(buy(12, "27.00")));
        assert_eq!(said[0].contains("accepted"), *accepted, "{name}: {said:?}");
        let said = market.send(BUYER_2, fok(buy(8, "27.00")));
        assert_eq!(said[0].contains("accepted"), !accepted, "{name}: strangers' lots remain: {said:?}");
    }
}

#[test]
fn what_was_filled_before_within_the_window_counts() {
    for (wait_ms, accepted) in [(999, false), (1_000, true)] {
        let mut market = protected(SetProtection { fills_max: 2, ..NO_LIMIT });
        market.send_from(DEALER, 2, quote(&[pair(1, (0, "1"), (4, "27.00"))]));
        market.send(BUYER, ioc(buy(1, "27.00")));
        market.advance_ms(wait_ms);
        let said = market.send(BUYER, fok(buy(11, "27.00")));
        assert_eq!(said[0].contains("accepted"), accepted, "{wait_ms}: {said:?}");
    }
}
