//! Mass quotes: placed, moved, shrunk and removed in place, pair by pair.

use core::mem::offset_of;

use joulebook_protocol::messages::{KillSwitch, MassCancel, MassQuote, QuotePair, SetLimits};
use joulebook_protocol::{Event, RejectReason};
use joulebook_types::{AccountId, ClientOrderId, InstrumentId, MicroEc, Role, Roles, Side};

use crate::market::*;

const OTHER_CLASS: &str = "B200.DE.20261124T1400.H";
const QUARTER: &str = "H200S.DE.20261124T1415.Q";
const WHOLE: usize = u16::MAX as usize;

/// A maker that also registers capacity: 100 lots of instruments 1, an hour, and 2, another class. Instrument 3 is a
/// quarter of 1.
pub const DEALER: u32 = 31;

pub fn market() -> Market {
    let mut market = Market::trading();
    market.list(OTHER_CLASS);
    market.list(QUARTER);
    market.system(open_account(DEALER, Roles::NONE.with(Role::Seller).with(Role::Maker), 0));
    market.log_on(DEALER, 1);
    market.log_on(DEALER, 2);
    market.deposit(DEALER, 100_000);
    for name in [HOUR, OTHER_CLASS] {
        market.register(DEALER, name, 800);
    }
    market
}

/// Lots and price of the bid, then of the ask; no lots remove a side.
pub fn pair(instrument: u32, (bid_qty, bid): (u32, &str), (ask_qty, ask): (u32, &str)) -> QuotePair {
    let (bid, ask) = (price(bid), price(ask));
    QuotePair { bid, ask, instrument: InstrumentId::new(instrument), bid_qty, ask_qty, reserved: 0 }
}

pub fn quote(pairs: &[QuotePair]) -> MassQuote {
    let mut message = MassQuote { count: pairs.len() as u8, ..Default::default() };
    message.pairs[..pairs.len()].copy_from_slice(pairs);
    message
}

fn one(bid: (u32, &str), ask: (u32, &str)) -> MassQuote {
    quote(&[pair(1, bid, ask)])
}

/// Of the last command: pair, reason, field within the pair, limit and value of each pair that was refused.
fn refused(market: &Market) -> Vec<(u8, RejectReason, usize, i64, i64)> {
    let of_pair = |offset: u16, pair: u8| match usize::from(offset) {
        WHOLE => WHOLE,
        offset => offset - offset_of!(MassQuote, pairs) - usize::from(pair) * size_of::<QuotePair>(),
    };
    let events = market.private_events();
    let rejected = events.iter().filter_map(|event| match event {
        Event::QuoteRejected(e) => Some((
            e.pair,
            RejectReason::from_raw(e.reason).unwrap(),
            of_pair(e.field_offset, e.pair),
            e.limit,
            e.value,
        )),
        _ => None,
    });
    rejected.collect()
}

const ACCEPTED: &str = "31: quoted 1: 1 accepted 0 rejected";

#[test]
fn a_quote_is_placed_changed_and_removed_in_place() {
    let mut market = market();
    let steps: &[(&str, MassQuote, &[&str])] = &[
        (
            "both sides are new",
            one((5, "20.00"), (6, "21.00")),
            &["* added 1 leaves 5, buy 20.00: 5 in 1", "* added 2 leaves 6, sell 21.00: 6 in 1"],
        ),
        (
            "fewer lots keep the place, more lose it",
            one((4, "20.00"), (7, "21.00")),
            &[
                "* reduced 1 leaves 4, buy 20.00: 4 in 1",
                "* removed 2 leaves 0, sell 21.00: 0 in 0",
                "* added 2 leaves 7, sell 21.00: 7 in 1",
            ],
        ),
        ("what stays as it is says nothing", one((4, "20.00"), (7, "21.00")), &[]),
        (
            "all that moves leaves before anything enters",
            one((4, "22.00"), (7, "23.00")),
            &[
                "* removed 1 leaves 0, buy 20.00: 0 in 0",
                "* removed 2 leaves 0, sell 21.00: 0 in 0",
                "* added 1 leaves 4, buy 22.00: 4 in 1",
                "* added 2 leaves 7, sell 23.00: 7 in 1",
            ],
        ),
        (
            "no lots remove a side, whatever its price says",
            one((0, "-1"), (6, "23.00")),
            &["* removed 1 leaves 0, buy 22.00: 0 in 0", "* reduced 2 leaves 6, sell 23.00: 6 in 1"],
        ),
        (
            "a side that comes back has a new id",
            one((1, "22.00"), (6, "23.00")),
            &["* added 3 leaves 1, buy 22.00: 1 in 1"],
        ),
        (
            "removing both",
            one((0, "0"), (0, "0")),
            &["* removed 3 leaves 0, buy 22.00: 0 in 0", "* removed 2 leaves 0, sell 23.00: 0 in 0"],
        ),
        ("removing what is not there", one((0, "0"), (0, "0")), &[]),
    ];
    for (name, message, expected) in steps {
        let mut expected: Vec<&str> = expected.to_vec();
        expected.push(ACCEPTED);
        assert_eq!(market.send_all(DEALER, *message), expected, "{name}");
    }
    assert_eq!(market.credits(DEALER), (100_000_000_000, 0, 0), "all holds are back");
}

#[test]
fn a_quote_holds_what_its_sides_need_and_may_use_what_it_gives_back() {
    let mut market = market();
    // 625 lots of 8 accelerators at 20 EC take all credits; 100 lots are all capacity.
    market.send(DEALER, one((625, "20.00"), (100, "21.00")));
    assert_eq!(market.credits(DEALER), (0, 100_000_000_000, 0));
    assert_eq!(market.send(DEALER, one((1_250, "10.00"), (100, "11.00"))), [ACCEPTED]);
    market.send(DEALER, one((1_251, "10.00"), (101, "11.00")));
    let bid_qty = offset_of!(QuotePair, bid_qty);
    let (free, wanted) = (100_000_000_000, 1_251 * 80_000_000);
    assert_eq!(refused(&market), [(0, RejectReason::InsufficientCredits, bid_qty, free, wanted)]);
    assert_eq!(market.resting(1, Side::Buy), ["1250 at 10.00 in 1"], "the old quote still stands");
    market.send(DEALER, one((1_250, "10.00"), (101, "11.00")));
    let ask_qty = offset_of!(QuotePair, ask_qty);
    assert_eq!(refused(&market), [(0, RejectReason::InsufficientCapacity, ask_qty, 800, 808)]);
    assert_eq!(market.resting(1, Side::Sell), ["100 at 11.00 in 1"]);
}

#[test]
fn sides_take_what_they_reach_and_rest_with_what_is_left() {
    let mut market = market();
    market.send(SELLER, sell(2, "20.00"));
    market.send(BUYER, buy(3, "20.00"));
    market.send(BUYER, buy(1, "19.50"));
    // Order 1 was filled by order 2, whose last lot rests at 20.00.
    assert_eq!(market.resting(1, Side::Buy), ["1 at 20.00 in 1", "1 at 19.50 in 1"]);
    let said = market.send(DEALER, one((5, "19.00"), (4, "19.75")));
    assert_eq!(
        said,
        [
            "20: filled 2 1@20.00 leaves 0 maker fee 0.00",
            "31: filled 5 1@20.00 leaves 3 taker fee 0.00",
            ACCEPTED,
        ],
        "the bid was entered first"
    );
    assert_eq!(market.resting(1, Side::Sell), ["3 at 19.75 in 1"]);
    // What traded counts over the life of the id.
    let said = market.send(DEALER, one((5, "18.00"), (4, "19.00")));
    assert_eq!(said[1], "31: filled 5 1@19.50 leaves 3 taker fee 0.00");
    let said = market.send(DEALER, MassCancel { scope: 1, ..Default::default() });
    assert_eq!(
        said,
        ["31: canceled 5 of 4 MassCanceled", "31: canceled 3 of 5 MassCanceled", "31: mass canceled 2"]
    );
    let events = market.private_events();
    let Event::OrderCanceled(ask) = events[1] else { panic!("{events:?}") };
    assert_eq!(
        (ask.filled_qty, ask.client_order_id.raw()),
        (2, 4),
        "of both quotes; the newest request's id"
    );
}

#[test]
fn a_side_that_traded_away_comes_back_under_a_new_id() {
    let mut market = market();
    market.send(DEALER, one((5, "20.00"), (4, "21.00")));
    market.send(BUYER, buy(4, "21.00"));
    let said = market.send_all(DEALER, one((5, "20.00"), (4, "21.00")));
    assert_eq!(said, ["* added 4 leaves 4, sell 21.00: 4 in 1", ACCEPTED]);
}

#[test]
fn every_session_has_a_quote_of_its_own() {
    let mut market = market();
    market.send(DEALER, one((5, "20.00"), (5, "21.00")));
    market.send_from(DEALER, 2, one((3, "20.00"), (3, "21.00")));
    assert_eq!(market.resting(1, Side::Buy), ["8 at 20.00 in 2"]);
    market.send_from(DEALER, 2, one((0, "0"), (0, "0")));
    assert_eq!(market.resting(1, Side::Buy), ["5 at 20.00 in 1"]);
}

#[test]
fn a_quote_is_an_order_that_may_be_canceled_and_reduced_but_not_replaced() {
    let mut market = market();
    market.send(DEALER, one((5, "20.00"), (6, "21.00")));
    market.send(DEALER, replace(1, 4, "20.00"));
    assert_eq!(market.last_reject(), (RejectReason::NotReplaceable, WHOLE, 0, 0));
    assert_eq!(market.send(DEALER, reduce(1, 2)), ["31: replaced 1 3@20.00 leaves 3 kept"]);
    assert_eq!(market.send(DEALER, cancel(2)), ["31: canceled 6 of 2 Requested"]);
    let said = market.send_all(DEALER, one((3, "20.00"), (6, "21.00")));
    assert_eq!(said, ["* added 3 leaves 6, sell 21.00: 6 in 1", ACCEPTED], "the ask is new, the bid stands");
}

#[test]
fn self_trade_takes_the_mode_of_the_request() {
    let cases: &[(u8, &[&str])] = &[
        (0, &["31: canceled 5 of 2 SelfTrade"]),
        (1, &["31: canceled 2 of 1 SelfTrade"]),
        (2, &["31: canceled 2 of 1 SelfTrade", "31: canceled 5 of 2 SelfTrade"]),
        (3, &["31: canceled 2 of 1 SelfTrade", "31: replaced 2 3@20.00 leaves 3 kept"]),
    ];
    for (mode, expected) in cases {
        let mut market = market();
        market.send(DEALER, sell(2, "20.00"));
        let message = MassQuote { self_trade: *mode, ..one((5, "20.00"), (5, "21.00")) };
        let said = market.send(DEALER, message);
        let (ack, before) = said.split_last().unwrap();
        assert_eq!(before, *expected, "{mode}");
        assert_eq!(ack, ACCEPTED, "{mode}: the pair was accepted, whatever became of it");
    }
}

#[test]
fn a_quote_never_meets_its_own_other_side() {
    let mut market = market();
    for flags in [0, MassQuote::POST_ONLY] {
        market.send(DEALER, MassQuote { flags, ..one((5, "20.00"), (5, "21.00")) });
        let said = market.send(DEALER, MassQuote { flags, ..one((5, "22.00"), (5, "23.00")) });
        assert_eq!(said, [ACCEPTED], "the bid passes the old ask");
        let said = market.send(DEALER, MassQuote { flags, ..one((5, "18.00"), (5, "19.00")) });
        assert_eq!(said, [ACCEPTED], "the ask passes the old bid");
    }
}

#[test]
fn a_refused_pair_leaves_its_quote_and_the_others_go_on() {
    let mut market = market();
    market.send(DEALER, quote(&[pair(1, (1, "20.00"), (1, "21.00")), pair(2, (1, "20.00"), (1, "21.00"))]));
    let message = quote(&[
        pair(2, (2, "19.00"), (2, "20.005")),
        pair(9, (2, "19.00"), (2, "20.00")),
        pair(1, (2, "19.00"), (2, "20.00")),
        pair(2, (3, "19.00"), (3, "20.00")),
    ]);
    let said = market.send(DEALER, message);
    assert_eq!(
        said,
        [
            "31: quote 0 rejected PriceOffTick",
            "31: quote 1 rejected UnknownInstrument",
            "31: quote 3 rejected DuplicateInstrument",
            "31: quoted 100: 1 accepted 3 rejected",
        ]
    );
    let instrument = offset_of!(QuotePair, instrument);
    assert_eq!(
        refused(&market),
        [
            (0, RejectReason::PriceOffTick, offset_of!(QuotePair, ask), 10_000, 20_005_000),
            (1, RejectReason::UnknownInstrument, instrument, 0, 9),
            (3, RejectReason::DuplicateInstrument, instrument, 0, 0),
        ]
    );
    assert_eq!(market.resting(1, Side::Buy), ["2 at 19.00 in 1"]);
    assert_eq!(market.resting(2, Side::Buy), ["1 at 20.00 in 1"]);
}

#[test]
fn sixty_four_pairs_have_one_answer() {
    let mut market = market();
    let pairs: Vec<QuotePair> = (1..=64).map(|id| pair(id, (1, "20.00"), (1, "21.00"))).collect();
    let said = market.send(DEALER, quote(&pairs));
    assert_eq!(
        said.len(),
        62,
        "three instruments are listed, and the dealer cannot sell the third: {said:?}"
    );
    assert_eq!(said.last().unwrap(), "31: quoted 111: 3 accepted 61 rejected");
}

#[test]
fn the_lowest_code_of_both_sides_is_the_answer() {
    use RejectReason::*;
    let (bid, ask) = (offset_of!(QuotePair, bid), offset_of!(QuotePair, ask));
    let (bid_qty, ask_qty) = (offset_of!(QuotePair, bid_qty), offset_of!(QuotePair, ask_qty));
    let cases: &[(&str, MassQuote, Refused)] = &[
        ("crossed", one((1, "21.00"), (1, "20.00")), (QuoteCrossed, bid, 20_000_000, 21_000_000)),
        ("locked", one((1, "20.00"), (1, "20.00")), (QuoteCrossed, bid, 20_000_000, 20_000_000)),
        ("crossed first", one((10_001, "21"), (1, "20.00")), (QuoteCrossed, bid, 20_000_000, 21_000_000)),
        ("too many", one((1, "20.00"), (10_001, "21.00")), (QtyAboveMax, ask_qty, 10_000, 10_001)),
        ("the lower code", one((1, "20.005"), (10_001, "21.00")), (QtyAboveMax, ask_qty, 10_000, 10_001)),
        ("the bid first", one((10_001, "20"), (10_002, "21")), (QtyAboveMax, bid_qty, 10_000, 10_001)),
        ("no price", one((1, "0"), (1, "20.00")), (PriceNotPositive, bid, 1, 0)),
        ("off tick", one((1, "20.00"), (1, "20.005")), (PriceOffTick, ask, 10_000, 20_005_000)),
        ("below the band", one((1, "0.99"), (1, "20.00")), (PriceOutsideBand, bid, 1_000_000, 990_000)),
        ("above", one((1, "20"), (1, "1001")), (PriceOutsideBand, ask, 1_000_000_000, 1_001_000_000)),
        (
            "no credits",
            one((626, "20"), (101, "21")),
            (InsufficientCredits, bid_qty, 100_000_000_000, 100_160_000_000),
        ),
        ("no capacity", one((1, "20.00"), (101, "21.00")), (InsufficientCapacity, ask_qty, 800, 808)),
    ];
    for (name, message, (reason, field, limit, value)) in cases {
        let mut market = market();
        let said = market.send_all(DEALER, *message);
        assert_eq!(said.len(), 2, "{name}: {said:?}");
        assert_eq!(said[1], "31: quoted 0: 0 accepted 1 rejected", "{name}");
        assert_eq!(refused(&market), [(0, *reason, *field, *limit, *value)], "{name}");
    }
}

#[test]
fn a_side_without_lots_is_not_checked() {
    let mut market = market();
    assert_eq!(market.send(DEALER, one((1, "20.00"), (0, "0.005"))), [ACCEPTED]);
    assert_eq!(market.send(DEALER, one((0, "30.00"), (1, "21.00"))), [ACCEPTED], "it is not crossed either");
}

#[test]
fn post_only_quotes_do_not_trade() {
    let mut market = market();
    market.send(SELLER, sell(1, "20.00"));
    let post_only = |message| MassQuote { flags: MassQuote::POST_ONLY, ..message };
    market.send(DEALER, post_only(one((1, "20.00"), (1, "21.00"))));
    let would_trade = RejectReason::PostOnlyWouldTrade;
    assert_eq!(refused(&market), [(0, would_trade, WHOLE, 20_000_000, 20_000_000)]);
    assert_eq!(market.send(DEALER, post_only(one((1, "19.99"), (1, "20.00")))), [ACCEPTED]);
    // Its own ask is the better one, but moves along; the seller's behind it does not.
    market.send(DEALER, post_only(one((1, "20.01"), (1, "22.00"))));
    assert_eq!(refused(&market), [(0, would_trade, WHOLE, 20_000_000, 20_010_000)]);
}

#[test]
fn the_message_as_a_whole_is_checked_first() {
    use RejectReason::*;
    let good = one((1, "20.00"), (1, "21.00"));
    let (flags, self_trade) = (offset_of!(MassQuote, flags), offset_of!(MassQuote, self_trade));
    let count = offset_of!(MassQuote, count);
    let cases = [
        ("unknown flag", DEALER, MassQuote { flags: 2, ..good }, (InvalidChoice, flags, 0, 2)),
        ("unknown mode", DEALER, MassQuote { self_trade: 4, ..good }, (InvalidChoice, self_trade, 0, 4)),
        ("no pairs", DEALER, MassQuote { count: 0, ..good }, (InvalidCount, count, 64, 0)),
        ("too many pairs", DEALER, MassQuote { count: 65, ..good }, (InvalidCount, count, 64, 65)),
        (
            "flags before mode and count",
            DEALER,
            MassQuote { flags: 4, self_trade: 9, count: 0, ..good },
            (InvalidChoice, flags, 0, 4),
        ),
        ("not a maker", SELLER, good, (NotAuthorised, WHOLE, 0, 0)),
    ];
    for (name, sender, message, expected) in cases {
        let mut market = market();
        market.send(sender, message);
        assert_eq!(market.last_reject(), expected, "{name}");
        assert_eq!(market.engine.open_order_count(), 0, "{name}");
    }
}

#[test]
fn disabled_entry_keeps_quotes_out_but_lets_them_be_removed() {
    let kill = |scope, code: &str| KillSwitch {
        scope,
        action: KillSwitch::KILL,
        account: AccountId::new(DEALER),
        class: code.parse().unwrap(),
        ..Default::default()
    };
    let mut market = market();
    market.send(OPERATOR, kill(KillSwitch::SCOPE_ACCOUNT, "H200S"));
    market.send(DEALER, MassQuote { count: 0, ..one((1, "20.00"), (1, "21.00")) });
    assert_eq!(market.last_reject(), (RejectReason::EntryDisabled, WHOLE, 1, 0), "before the count");
    market.send(
        OPERATOR,
        KillSwitch { action: KillSwitch::ENABLE, ..kill(KillSwitch::SCOPE_ACCOUNT, "H200S") },
    );
    market.send(OPERATOR, kill(KillSwitch::SCOPE_CLASS, "H200S"));
    let pairs = [
        pair(1, (1, "20.00"), (1, "21.00")),
        pair(2, (1, "20.00"), (1, "21.00")),
        pair(3, (0, "0"), (0, "0")),
        pair(1, (1, "20.00"), (1, "21.00")),
    ];
    let said = market.send(DEALER, quote(&pairs));
    assert_eq!(said.last().unwrap(), "31: quoted 110: 2 accepted 2 rejected", "{said:?}");
    let disabled = RejectReason::EntryDisabled;
    assert_eq!(
        refused(&market),
        [(0, disabled, WHOLE, 3, 0), (3, disabled, WHOLE, 3, 0)],
        "before duplicates"
    );
}

#[test]
fn quotes_count_as_orders_of_the_exchange_and_of_the_account() {
    let mut market = market();
    let limits = |open_orders_max| SetLimits {
        account: AccountId::new(DEALER),
        open_orders_max,
        ..Default::default()
    };
    market.send(OPERATOR, limits(3));
    market.send(DEALER, one((1, "20.00"), (1, "21.00")));
    market.send(DEALER, quote(&[pair(2, (1, "20.00"), (1, "21.00"))]));
    assert_eq!(refused(&market), [(0, RejectReason::OpenOrderCap, WHOLE, 3, 4)]);
    let said =
        market.send(DEALER, quote(&[pair(2, (1, "20.00"), (0, "0")), pair(1, (2, "20.00"), (2, "22.00"))]));
    assert_eq!(said, ["31: quoted 11: 2 accepted 0 rejected"], "a third, and two that stand already");

    let genesis = GENESIS;
    let mut small = Market::with_limits(joulebook_protocol::messages::Genesis { orders_max: 1, ..genesis });
    small.list(HOUR);
    small.deposit(MAKER, 1_000);
    small.send(MAKER, one((1, "20.00"), (1, "21.00")));
    assert_eq!(refused(&small), [(0, RejectReason::OrderLimit, WHOLE, 1, 2)], "before the missing capacity");
    assert_eq!(small.send(MAKER, one((1, "20.00"), (0, "0"))).len(), 1);
    assert_eq!(small.send(MAKER, one((2, "21.00"), (0, "0"))), ["30: quoted 1: 1 accepted 0 rejected"]);
}

#[test]
fn an_ask_counts_at_the_base_or_above() {
    let mut market = market();
    let value = |lots: i64, ec: i64| MicroEc::from_ec(lots * 8 * ec).raw();
    market.send(SELLER, sell(1, "30.00"));
    market.send(BUYER, buy(1, "30.00"));
    let order_value_max = MicroEc::new(value(10, 20));
    market
        .send(OPERATOR, SetLimits { account: AccountId::new(DEALER), order_value_max, ..Default::default() });
    let (bid_qty, ask_qty) = (offset_of!(QuotePair, bid_qty), offset_of!(QuotePair, ask_qty));
    market.send(DEALER, one((0, "0"), (7, "20.00")));
    let too_dear = |offset, worth| [(0, RejectReason::OrderValueCap, offset, value(10, 20), worth)];
    assert_eq!(refused(&market), too_dear(ask_qty, value(7, 30)));
    market.send(DEALER, one((7, "29.00"), (5, "41.00")));
    assert_eq!(refused(&market), too_dear(bid_qty, value(7, 29)), "the bid first");
    assert_eq!(market.send(DEALER, one((10, "19.00"), (6, "20.00"))), [ACCEPTED], "a bid at its price");
}

#[test]
fn caps_look_at_what_grows_and_count_what_is_given_back() {
    let mut market = market();
    let value = |lots: i64, ec: i64| MicroEc::from_ec(lots * 8 * ec).raw();
    let limits = SetLimits {
        account: AccountId::new(DEALER),
        order_value_max: MicroEc::from_ec(10 * 8 * 20),
        open_value_max: MicroEc::from_ec(18 * 8 * 20),
        window_accelerators_max: 80,
        ..Default::default()
    };
    market.send(DEALER, one((12, "20.00"), (0, "0")));
    market.send(OPERATOR, limits);
    let (bid_qty, ask_qty) = (offset_of!(QuotePair, bid_qty), offset_of!(QuotePair, ask_qty));
    assert_eq!(market.send(DEALER, one((12, "19.00"), (0, "0"))), [ACCEPTED], "it is worth less than before");
    market.send(DEALER, one((12, "19.50"), (0, "0")));
    let too_dear = (0, RejectReason::OrderValueCap, bid_qty, value(10, 20), 12 * 8 * 19_500_000);
    assert_eq!(refused(&market), [too_dear]);
    assert_eq!(market.send(DEALER, one((10, "20.00"), (0, "0"))), [ACCEPTED]);
    market.send(DEALER, one((10, "20.00"), (9, "20.01")));
    let would_be = value(10, 20) + 9 * 8 * 20_010_000;
    assert_eq!(refused(&market), [(0, RejectReason::OpenValueCap, ask_qty, value(18, 20), would_be)]);
    // The bid gives back what the ask takes.
    assert_eq!(market.send(DEALER, one((8, "20.00"), (9, "20.01"))), [ACCEPTED]);
    market.send(DEALER, one((0, "0"), (0, "0")));
    market.send(DEALER, one((11, "10.00"), (0, "0")));
    assert_eq!(refused(&market), [(0, RejectReason::WindowCap, bid_qty, 80, 88)]);
}

#[test]
fn quotes_end_with_the_gate_and_with_their_session() {
    let mut market = market();
    market.send(DEALER, one((1, "20.00"), (1, "21.00")));
    let said = market.advance_minutes(60 * HOURS_BEFORE - 5);
    assert!(said.contains(&"31: canceled 1 of 1 GateClosed".to_owned()), "{said:?}");
    assert!(said.contains(&"31: canceled 1 of 2 GateClosed".to_owned()), "{said:?}");
    market.send(DEALER, one((1, "20.00"), (1, "21.00")));
    assert_eq!(refused(&market)[0].1, RejectReason::GateClosed);
    market.send(DEALER, one((0, "0"), (0, "0")));
    assert_eq!(refused(&market)[0].1, RejectReason::GateClosed, "there is nothing to remove any more");
}

#[test]
fn a_repeated_mass_quote_has_no_effect() {
    let mut market = market();
    let message = MassQuote { client_order_id: ClientOrderId::new(7), ..one((1, "20.00"), (1, "21.00")) };
    market.send_raw(DEALER, 1, message);
    let said = market.send_raw(DEALER, 1, MassQuote { count: 0, ..message });
    assert_eq!(said, ["31: repeated 7 Accepted order 0 reason 0"]);
    assert_eq!(market.engine.open_order_count(), 2);
}

#[test]
fn only_the_same_instrument_is_named_twice() {
    let mut market = market();
    let of = |instrument| pair(instrument, (5, "20.00"), (5, "21.00"));
    // Ids that differ by 64 look alike at first.
    market.send(DEALER, quote(&[of(65), of(1), of(66), of(2), of(1)]));
    let reasons: Vec<_> = refused(&market).into_iter().map(|(pair, reason, ..)| (pair, reason)).collect();
    use RejectReason::{DuplicateInstrument, UnknownInstrument};
    assert_eq!(reasons, [(0, UnknownInstrument), (2, UnknownInstrument), (4, DuplicateInstrument)]);
}
