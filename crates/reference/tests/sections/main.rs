//! A few examples for every section of the market rules, on the slow engine alone: it is compared with the fast one, but
//! two engines can be wrong together.

mod market;

use joulebook_protocol::messages::*;
use joulebook_protocol::{CancelReason, Event, PublicEvent, RejectReason};
use joulebook_types::*;
use market::*;

#[test]
fn steps_refer_to_prices_at_their_beginning() {
    let mut market = Market::new();
    let bands = SetBands {
        instrument: HOUR,
        band_low: Price::new(1_000),
        band_high: Price::new(1_000_000),
        dynamic_bps: 1_000,
        ..Default::default()
    };
    market.send(OPERATOR, bands);
    // Nothing has printed and the listing has no reference, so nothing binds.
    market.send(SELLER, sell(1, 100));
    market.send(SELLER, sell(1, 120));
    let heard = market.send(BUYER, buy(2, 120));
    assert_eq!(fills(&heard), [(SELLER, 1, 100), (BUYER, 1, 100), (SELLER, 1, 120), (BUYER, 1, 120)]);
    // From now on 120 is the reference, with 12 on either side.
    assert_eq!(reject(&market.send(BUYER, buy(1, 133))), Some(RejectReason::PriceOutsideBand.raw()));
    assert_eq!(names(&market.send(BUYER, buy(1, 132))), ["20 OrderAccepted"]);
}

#[test]
fn the_lowest_code_is_the_answer() {
    let mut market = Market::new();
    let wrong = NewOrder { instrument: InstrumentId::new(9), min_qty: 3, ..buy(2, 100) };
    let cases = [
        (NewOrder { side: 9, ..wrong }, RejectReason::InvalidChoice),
        (NewOrder { trigger_price: Price::new(1), ..wrong }, RejectReason::InvalidTrigger),
        (wrong, RejectReason::MinQtyAboveQty),
        (NewOrder { min_qty: 2, ..wrong }, RejectReason::UnknownInstrument),
        (NewOrder { instrument: HOUR, min_qty: 2, ..wrong }, RejectReason::MinQtyNotFillable),
        (buy(0, 0), RejectReason::QtyZero),
        (buy(51, 0), RejectReason::QtyAboveMax),
        (buy(1, 1_001), RejectReason::PriceOutsideBand),
        (buy(50, 1_000), RejectReason::FokNotFillable),
    ];
    for (order, reason) in cases {
        let time_in_force = if reason == RejectReason::FokNotFillable { 3 } else { order.time_in_force };
        let heard = market.send(BUYER, NewOrder { time_in_force, ..order });
        assert_eq!(reject(&heard), Some(reason.raw()), "{reason}");
    }
}

#[test]
fn an_iceberg_shows_a_slice_and_joins_the_back_with_the_next() {
    let mut market = Market::new();
    market.send(SELLER, NewOrder { display_qty: 2, ..sell(5, 100) });
    market.send(MAKER, sell(1, 100));
    assert_eq!(market.levels(Side::Sell), [(100_000, 3, 2)]);
    let heard = market.send(BUYER, buy(4, 100));
    assert_eq!(
        fills(&heard),
        [
            (SELLER, 2, 100),
            (BUYER, 2, 100),
            (MAKER, 1, 100),
            (BUYER, 1, 100),
            (SELLER, 1, 100),
            (BUYER, 1, 100)
        ]
    );
    assert_eq!(market.levels(Side::Sell), [(100_000, 1, 1)], "one of the second slice");
    // A lot is 4 accelerator-hours: 400,000 micro-EC at 100,000.
    assert_eq!(
        market.credits(SELLER),
        (1_000_000_000, 0, 3 * 400_000),
        "registered capacity is paid on delivery"
    );
    assert_eq!((market.capacity(SELLER), market.capacity(BUYER)), ((80, 8), (116, 0)));
}

#[test]
fn market_and_budget_orders_spend_what_is_free() {
    let mut market = Market::new();
    market.send(SELLER, sell(2, 100));
    market.send(SELLER, sell(5, 200));
    let budget = NewOrder { order_type: 2, time_in_force: 2, budget: MicroEc::new(1_700_000), ..buy(0, 0) };
    let heard = market.send(BUYER, budget);
    assert_eq!(fills(&heard), [(SELLER, 2, 100), (BUYER, 2, 100), (SELLER, 1, 200), (BUYER, 1, 200)]);
    let Some((_, Event::SweepDone(done))) = heard.last() else { panic!("{heard:?}") };
    assert_eq!((done.bought.raw(), done.fills, done.reason), (1_600_000, 2, 0));
    assert_eq!(done.average_price, Price::new(133_333));
    let market_order = NewOrder { order_type: 1, time_in_force: 2, ..buy(9, 0) };
    let heard = market.send(BUYER, market_order);
    assert_eq!(cancels(&heard), [(4, 5, CancelReason::ImmediateRemainder.raw())]);
}

#[test]
fn only_a_smaller_size_keeps_the_place() {
    let mut market = Market::new();
    for account in [BUYER, MAKER] {
        market.send(account, buy(5, 100));
    }
    let replace = |order_id, qty, thousands: i64| ReplaceOrder {
        order_id: OrderId::new(order_id),
        qty,
        price: Price::new(1_000 * thousands),
        ..Default::default()
    };
    market.send(BUYER, replace(1, 4, 100));
    assert_eq!(market.reference.queue(HOUR, Side::Buy), [OrderId::new(1), OrderId::new(2)]);
    market.send(BUYER, replace(1, 5, 100));
    assert_eq!(market.reference.queue(HOUR, Side::Buy), [OrderId::new(2), OrderId::new(1)]);
    market.send(MAKER, ReduceOrder { order_id: OrderId::new(2), lots: 4, ..Default::default() });
    assert_eq!(market.levels(Side::Buy), [(100_000, 6, 2)]);
    assert_eq!(market.credits(MAKER).1, 400_000);
    let nothing = market.send(MAKER, replace(2, 1, 100));
    assert_eq!(nothing.len(), 1, "leaves 1 of 1: nothing to replace");
    assert_eq!(reject(&nothing), Some(RejectReason::NothingToReplace.raw()));
}

#[test]
fn phases_decide_what_is_taken() {
    let mut market = Market::new();
    market.send(OPERATOR, set_phase(Phase::Halted));
    assert_eq!(market.phases(), [Phase::Halted.raw()]);
    assert_eq!(reject(&market.send(BUYER, buy(1, 100))), Some(RejectReason::NotOpen.raw()));
    market.send(OPERATOR, set_phase(Phase::PreOpen));
    market.send(SELLER, sell(1, 100));
    assert_eq!(reject(&market.send(BUYER, buy(1, 100))), Some(RejectReason::PostOnlyWouldTrade.raw()));
    let pending = market.send(OPERATOR, set_phase(Phase::Pending));
    assert_eq!(reject(&pending), Some(RejectReason::InvalidChoice.raw()));
    market.send(OPERATOR, set_phase(Phase::Open));
    assert_eq!(fills(&market.send(BUYER, buy(1, 100))).len(), 2);
    market.send(BUYER, buy(1, 90));
    let heard = market.wait_ms(115 * 60_000);
    assert_eq!(cancels(&heard), [(3, 1, CancelReason::GateClosed.raw())]);
    assert_eq!(reject(&market.send(BUYER, buy(1, 100))), Some(RejectReason::GateClosed.raw()));
    market.wait_ms(5 * 60_000);
    assert_eq!(market.phases(), [Phase::Delivering.raw()]);
}

#[test]
fn too_fast_a_price_halts_and_a_call_follows() {
    let mut market = Market::new();
    market.send(SELLER, sell(1, 100));
    market.send(BUYER, buy(1, 100));
    let bands = SetBands {
        instrument: HOUR,
        band_low: Price::new(1_000),
        band_high: Price::new(1_000_000),
        velocity_move: Price::new(5_000),
        velocity_window_ms: 1_000,
        halt_ms: 500,
        auction_ms: 2_000,
        ..Default::default()
    };
    market.send(OPERATOR, bands);
    market.send(SELLER, sell(1, 105));
    market.send(SELLER, sell(1, 106));
    let heard = market.send(BUYER, buy(3, 110));
    assert_eq!(fills(&heard), [(SELLER, 1, 105), (BUYER, 1, 105)]);
    assert_eq!(market.phases(), [Phase::Halted.raw()]);
    assert_eq!(market.levels(Side::Buy), [(110_000, 2, 1)], "it rests, above the ask");
    market.wait_ms(500);
    assert_eq!(market.phases(), [Phase::Auction.raw()]);
    assert_eq!(market.reference.indication(HOUR), Some((Price::new(110_000), 1, 1)));
    let heard = market.wait_ms(2_000);
    assert_eq!(fills(&heard), [(SELLER, 1, 110), (BUYER, 1, 110)]);
    assert_eq!(market.phases(), [Phase::Open.raw()]);
}

#[test]
fn a_call_trades_the_most_lots_at_one_price() {
    let mut market = Market::new();
    market.send(OPERATOR, set_phase(Phase::Auction));
    for (account, order) in [
        (BUYER, buy(3, 102)),
        (BUYER, buy(2, 100)),
        (SELLER, sell(2, 99)),
        (SELLER, sell(4, 101)),
        (MAKER, NewOrder { order_type: 1, ..buy(1, 0) }),
    ] {
        market.send(account, order);
    }
    // At 101 and 102 four lots trade and two are left to sell, at 99 and 100 two: the lowest of the best.
    assert_eq!(market.reference.indication(HOUR), Some((Price::new(101_000), 4, -2)));
    let heard = market.send(OPERATOR, set_phase(Phase::Open));
    let trades: Vec<(u32, u8)> = market
        .public()
        .iter()
        .filter_map(|event| match event {
            PublicEvent::Trade(trade) => Some((trade.qty, trade.aggressor)),
            _other => None,
        })
        .collect();
    assert_eq!(trades, [(1, 0), (1, 0), (2, 0)], "market orders first");
    assert!(fills(&heard).iter().all(|(_, _, price)| *price == 101));
    assert_eq!(market.levels(Side::Sell), [(101_000, 2, 1)]);
    assert_eq!(market.reference.last_print(HOUR), Some(Price::new(101_000)));
}

#[test]
fn stops_fire_in_chains_and_trailing_stops_follow() {
    let mut market = Market::new();
    market.send(SELLER, sell(1, 100));
    market.send(SELLER, sell(1, 101));
    market.send(SELLER, sell(1, 102));
    let stop = |thousands: i64| NewOrder {
        order_type: 1,
        trigger: 1,
        trigger_price: Price::new(1_000 * thousands),
        ..buy(1, 0)
    };
    market.send(BUYER, stop(101));
    market.send(BUYER, stop(100));
    let heard = market.send(BUYER, buy(1, 100));
    let triggered: Vec<u64> = heard
        .iter()
        .filter_map(|(_, event)| match event {
            Event::OrderTriggered(triggered) => Some(triggered.order_id.raw()),
            _other => None,
        })
        .collect();
    assert_eq!(triggered, [5, 4], "the second one's trade reaches the first one");
    assert_eq!(market.reference.last_print(HOUR), Some(Price::new(102_000)));
    let trailing = NewOrder { order_type: 1, trigger: 2, trail_distance: Price::new(3_000), ..sell(1, 0) };
    market.send(MAKER, trailing);
    for thousands in [110, 108] {
        market.send(SELLER, sell(1, thousands));
        market.send(BUYER, buy(1, thousands));
    }
    assert!(market.reference.open_orders().iter().any(|order| order.waits), "107 is its trigger now");
    market.send(BUYER, buy(2, 107));
    let heard = market.send(SELLER, sell(1, 107));
    assert_eq!(fills(&heard)[2..], [(BUYER, 1, 107), (MAKER, 1, 107)]);
}

#[test]
fn one_cancels_the_other_and_both_hold_the_larger() {
    let mut market = Market::new();
    let oco = OcoOrder {
        price: Price::new(90_000),
        trigger_price: Price::new(110_000),
        stop_price: Price::new(120_000),
        instrument: HOUR,
        qty: 2,
        side: 1,
        time_in_force: 1,
        ..Default::default()
    };
    assert_eq!(names(&market.send(BUYER, oco)), ["20 OrderAccepted", "20 OrderAccepted"]);
    assert_eq!(market.credits(BUYER).1, 2 * 4 * 120_000);
    let heard = market.send(SELLER, sell(1, 90));
    assert_eq!(cancels(&heard), [(2, 2, CancelReason::LinkedOrder.raw())]);
    assert_eq!(market.credits(BUYER).1, 4 * 90_000);
}

#[test]
fn the_takers_mode_decides_between_its_own_orders() {
    let by_mode = |self_trade| {
        let mut market = Market::new();
        market.send(SISTER, sell(3, 100));
        market.send(SELLER, sell(1, 100));
        let heard = market.send(BUYER, NewOrder { self_trade, ..buy(5, 100) });
        (cancels(&heard), fills(&heard).len() / 2, market.levels(Side::Sell), market.levels(Side::Buy))
    };
    let reason = CancelReason::SelfTrade.raw();
    assert_eq!(by_mode(0), (vec![(3, 5, reason)], 0, vec![(100_000, 4, 2)], vec![]));
    assert_eq!(by_mode(1), (vec![(1, 3, reason)], 1, vec![], vec![(100_000, 4, 1)]));
    assert_eq!(by_mode(2), (vec![(1, 3, reason), (3, 5, reason)], 0, vec![(100_000, 1, 1)], vec![]));
    assert_eq!(by_mode(3), (vec![(1, 3, reason)], 1, vec![], vec![(100_000, 1, 1)]));
}

#[test]
fn quotes_are_replaced_in_place_and_pulled_together() {
    let mut market = Market::new();
    let quote = |bid: i64, ask: i64, lots| {
        let pair = QuotePair {
            bid: Price::new(1_000 * bid),
            ask: Price::new(1_000 * ask),
            instrument: HOUR,
            bid_qty: lots,
            ask_qty: lots,
            ..Default::default()
        };
        let mut quote = MassQuote { count: 1, ..Default::default() };
        quote.pairs[0] = pair;
        quote
    };
    assert_eq!(names(&market.send(MAKER, quote(99, 101, 5))), ["30 MassQuoteAck"]);
    market.send(MAKER, quote(99, 102, 4));
    assert_eq!(market.reference.queue(HOUR, Side::Buy), [OrderId::new(1)], "the same order");
    assert_eq!(
        (market.levels(Side::Buy), market.levels(Side::Sell)),
        (vec![(99_000, 4, 1)], vec![(102_000, 4, 1)])
    );
    let class = hour().class;
    market.send(MAKER, SetProtection { class, window_ms: 1_000, fills_max: 2, ..Default::default() });
    market.send(BUYER, buy(1, 102));
    let heard = market.send(BUYER, buy(1, 102));
    assert_eq!(names(&heard)[3..], ["30 ProtectionTriggered", "30 OrderCanceled", "30 OrderCanceled"]);
    let Event::QuoteRejected(rejected) = market.send(MAKER, quote(99, 102, 4))[0].1 else { panic!() };
    assert_eq!(rejected.reason, RejectReason::ProtectionFrozen.raw());
    market.send(MAKER, ResetProtection { class, ..Default::default() });
    market.send(MAKER, quote(99, 102, 4));
    assert_eq!(market.levels(Side::Buy), [(99_000, 4, 1)]);
}

#[test]
fn caps_and_switches_keep_orders_out() {
    let mut market = Market::new();
    let account = AccountId::new(BUYER);
    let limits = SetLimits {
        account,
        open_orders_max: 2,
        order_value_max: MicroEc::new(4_000_000),
        open_value_max: MicroEc::new(4_700_000),
        window_accelerators_max: 40,
        ..Default::default()
    };
    market.send(OPERATOR, limits);
    market.send(BUYER, buy(2, 100));
    for (order, reason) in [
        (buy(11, 100), RejectReason::OrderValueCap),
        (buy(9, 111), RejectReason::OpenValueCap),
        (buy(9, 100), RejectReason::WindowCap),
    ] {
        assert_eq!(reject(&market.send(BUYER, order)), Some(reason.raw()), "{reason}");
    }
    market.send(BUYER, buy(8, 100));
    assert_eq!(reject(&market.send(BUYER, buy(1, 100))), Some(RejectReason::OpenOrderCap.raw()));
    let kill =
        KillSwitch { scope: KillSwitch::SCOPE_ACCOUNT, action: KillSwitch::KILL, ..Default::default() };
    let heard = market.send(OPERATOR, KillSwitch { account, ..kill });
    let killed = CancelReason::Killed.raw();
    assert_eq!(cancels(&heard), [(1, 2, killed), (2, 8, killed)]);
    assert_eq!(reject(&market.send(BUYER, buy(1, 100))), Some(RejectReason::EntryDisabled.raw()));
    let enable = market.send(BUYER, KillSwitch { action: KillSwitch::ENABLE, ..kill });
    assert_eq!(reject(&enable), Some(RejectReason::NotAuthorised.raw()));
    market.send(MAKER, SetDeadMan { timeout_ms: 1_000, ..Default::default() });
    market.send(MAKER, buy(1, 100));
    assert_eq!(cancels(&market.wait_ms(1_000)), [(3, 1, CancelReason::DeadMan.raw())]);
}

#[test]
fn baskets_and_sweeps_fill_whole_or_do_nothing() {
    let mut market = Market::new();
    market.send(OPERATOR, ListInstrument { class: "TPU6E".parse().unwrap(), ..hour() });
    market.send(SELLER, sell(2, 100));
    let leg = |instrument, qty| BasketLeg {
        price: Price::new(100_000),
        instrument: InstrumentId::new(instrument),
        qty,
        side: 1,
        ..Default::default()
    };
    let basket = |second: BasketLeg| {
        let mut basket = Basket { count: 2, ..Default::default() };
        (basket.legs[0], basket.legs[1]) = (leg(1, 2), second);
        basket
    };
    let Event::RequestRejected(rejected) = market.send(BUYER, basket(leg(2, 1)))[0].1 else { panic!() };
    assert_eq!(
        (rejected.reason, rejected.instrument),
        (RejectReason::FokNotFillable.raw(), InstrumentId::new(2))
    );
    assert_eq!(market.levels(Side::Sell), [(100_000, 2, 1)], "nothing happened");
    let class = "TPU6E".parse().unwrap();
    market.send(SELLER, RegisterCapacity { class, ..register(40) });
    market.send(SELLER, NewOrder { instrument: InstrumentId::new(2), ..sell(1, 90) });
    let heard = market.send(BUYER, basket(leg(2, 1)));
    assert_eq!(fills(&heard).len(), 4);
    assert_eq!(names(&heard)[4..], ["20 LegDone", "20 LegDone", "20 SweepDone"]);
    let Some((_, Event::SweepDone(done))) = heard.last() else { panic!("{heard:?}") };
    assert_eq!((done.bought.raw(), done.average_price), (2 * 400_000 + 360_000, Price::new(96_666)));
}

#[test]
fn a_number_is_used_once_and_missed_events_come_again() {
    let mut market = Market::new();
    market.send(BUYER, buy(1, 100));
    let first = market.reference.clone();
    let query = market.send(BUYER, AccountQuery::default());
    assert_eq!(names(&query)[..2], ["20 OrderStatus", "20 CreditBalance"]);
    assert_eq!(names(&query).last().unwrap(), "20 SnapshotEnd");
    market.reference = first;
    let opened = SessionOpened {
        connection: ConnectionId::of_gateway(1, 77),
        last_event_seq: 1,
        ..Default::default()
    };
    let heard = market.send(BUYER, opened);
    assert_eq!(names(&heard), ["20 OrderAccepted"], "the first event told of the capacity");
    assert_eq!(market.reference.next_deadline(), Some(TimeNs::from_minutes(START - 5)));
}
