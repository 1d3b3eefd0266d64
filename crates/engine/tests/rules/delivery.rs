//! Escrow, delivery and the end of an instrument.

use joulebook_engine::Engine;
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{AccountQuery, Basket, BasketLeg, DeliverSlot, SetPhase};
use joulebook_types::{InstrumentId, Phase, QuarterSlot};

use crate::market::*;

fn deliver(name: &str, quarter: usize) -> DeliverSlot {
    let symbol = symbol(name);
    let slot = symbol.window.slots().nth(quarter).unwrap();
    DeliverSlot { class: symbol.class, area: symbol.area, slot, ..Default::default() }
}

const EC: i64 = 1_000_000;

/// Ten lots sold for 2,160 EC, and the gate has closed.
fn sold() -> Market {
    let mut market = Market::trading();
    market.send(SELLER, sell(10, "27.00"));
    market.send(BUYER, buy(10, "27.00"));
    market
}

#[test]
fn escrow_is_released_slot_by_slot_and_the_last_one_settles() {
    let mut market = sold();
    assert_eq!(market.credits(SELLER), (0, 0, 2_160 * EC));
    assert_eq!(market.send(METER, deliver(HOUR, 0)), ["3: rejected SlotStillTrading"]);
    market.advance_minutes(60 * HOURS_BEFORE);
    for quarter in 0..4 {
        let said = market.send_all(METER, deliver(HOUR, quarter));
        assert_eq!(said[0], format!("3: done {}", 540 * EC));
        let settled = said.get(1).map(String::as_str);
        assert_eq!(settled, (quarter == 3).then_some("* phase 1 settled"), "{said:?}");
        let released = 540 * EC * (quarter as i64 + 1);
        assert_eq!(market.credits(SELLER), (released, 0, 2_160 * EC - released));
    }
    assert_eq!(market.send(OPERATOR, deliver(HOUR, 0)), ["1: rejected NothingToDeliver"], "once");
    assert_eq!(market.send(SELLER, register_capacity(HOUR, 8)), ["10: rejected GateClosed"]);
}

#[test]
fn what_cannot_be_delivered_is_refused() {
    let mut market = sold();
    market.list("H200S.DE.20261124T1445.Q");
    let other = "H200S.NO2.20261124T1400.H";
    let cases: &[(&str, u32, DeliverSlot, &str)] = &[
        ("a seller does not meter itself", SELLER, deliver(HOUR, 0), "NotAuthorised"),
        ("bad code", METER, DeliverSlot { class: Default::default(), ..deliver(HOUR, 0) }, "InvalidCode"),
        ("bad area", METER, DeliverSlot { area: Default::default(), ..deliver(HOUR, 0) }, "InvalidCode"),
        ("still trading", METER, deliver(HOUR, 0), "SlotStillTrading"),
        ("a slot that nobody named", METER, deliver(other, 0), "NothingToDeliver"),
        (
            "the last slot",
            METER,
            DeliverSlot { slot: QuarterSlot::new(u32::MAX), ..deliver(HOUR, 0) },
            "NothingToDeliver",
        ),
    ];
    for (name, account, command, reason) in cases {
        assert_eq!(market.send(*account, *command), [format!("{account}: rejected {reason}")], "{name}");
    }
    // The hour's gate passes at 13:55, its last quarter trades until 14:40.
    market.advance_minutes(60 * HOURS_BEFORE);
    assert_eq!(market.send(METER, deliver(HOUR, 3)), ["3: rejected SlotStillTrading"]);
    assert_eq!(market.send(METER, deliver(HOUR, 0)), [format!("3: done {}", 540 * EC)]);
}

#[test]
fn a_reseller_is_paid_at_once_and_its_seller_on_delivery() {
    let mut market = sold();
    market.send(BUYER, sell(4, "30.00"));
    market.send(BUYER_2, buy(4, "30.00"));
    assert_eq!(market.credits(BUYER).0, 1_000_000 * EC - 2_160 * EC + 960 * EC);
    assert_eq!(market.credits(SELLER).2, 2_160 * EC);
}

#[test]
fn a_seller_that_sells_beyond_its_registration_is_paid_for_the_part_that_it_bought() {
    let mut market = sold();
    // The second seller registered 800 accelerators, buys nothing, sells one lot: escrow.
    market.send(SELLER_2, sell(1, "27.00"));
    market.send(BUYER, buy(1, "27.00"));
    assert_eq!(market.credits(SELLER_2), (0, 0, 216 * EC));
    // It buys two lots back, so it has 8 accelerators beyond its registration: a sale of three is one lot of resale.
    market.deposit(SELLER_2, 1_000);
    market.send(BUYER, sell(2, "27.00"));
    market.send(SELLER_2, buy(2, "27.00"));
    let free = market.credits(SELLER_2).0;
    market.send(SELLER_2, sell(3, "30.00"));
    market.send(BUYER_2, buy(3, "30.00"));
    assert_eq!(market.credits(SELLER_2), (free + 240 * EC, 0, 216 * EC + 480 * EC));
}

#[test]
fn a_quarter_hour_that_nobody_bought_is_gone_when_it_is_over() {
    let mut market = Market::trading();
    market.list("H200S.DE.20261124T1415.Q");
    market.send(SELLER, on(2, sell(1, "27.00")));
    market.send(BUYER, on(2, buy(1, "27.00")));
    let positions = |market: &mut Market, account| {
        let said = market.send(account, AccountQuery::default());
        said.iter().filter(|line| line.contains("capacity")).count()
    };
    market.advance_minutes(60 * HOURS_BEFORE + 14);
    assert_eq!(positions(&mut market, SELLER), 4);
    market.advance_minutes(1);
    assert_eq!(positions(&mut market, SELLER), 3);
    // The second quarter was sold: it waits for its delivery, and with it both instruments.
    assert!(market.advance_minutes(60).is_empty());
    assert_eq!((positions(&mut market, SELLER), positions(&mut market, BUYER)), (1, 1));
    let quarter = 216 * EC / 4;
    assert_eq!(
        market.send_all(METER, deliver(HOUR, 1)),
        [format!("3: done {quarter}"), "* phase 1 settled".into(), "* phase 2 settled".into()]
    );
    assert_eq!((positions(&mut market, SELLER), positions(&mut market, BUYER)), (0, 0));
}

/// Nothing is known of a settled window but that it was: whatever else is wrong with a request, or would be.
#[test]
fn a_settled_window_is_answered_like_a_closed_one_whose_gate_nobody_knows() {
    let mut market = Market::new();
    let settled = market.list("H200S.DE.20261124T1230.Q");
    market.list(HOUR);
    market.fund();
    assert_eq!(market.advance_minutes(45).last().map(String::as_str), Some("* phase 1 settled"));
    assert_eq!(market.engine.instruments().count(), 1);
    let now = market.engine.time().raw() as i64;
    let closed = (RejectReason::GateClosed, usize::from(u16::MAX), 0, now);
    let phase = SetPhase { instrument: InstrumentId::new(settled), ..set_phase(Phase::Halted) };
    market.send(OPERATOR, phase);
    assert_eq!(market.last_reject(), closed);
    for order in [on(settled, buy(0, "0")), on(settled, buy(1, "26.00"))] {
        market.send(BUYER, order);
        assert_eq!(market.last_reject(), closed);
    }
    // Of several names the lowest code is the answer: one that nobody has comes before one that is gone.
    let leg = |id, qty| BasketLeg {
        instrument: InstrumentId::new(id),
        qty,
        side: 1,
        price: price("26.00"),
        ..Default::default()
    };
    let mut basket = Basket { count: 2, ..Default::default() };
    (basket.legs[0], basket.legs[1]) = (leg(settled, 0), leg(9, 1));
    market.send(BUYER, basket);
    assert_eq!(market.last_reject().0, RejectReason::UnknownInstrument);
    basket.legs[1] = leg(2, 1);
    market.send(BUYER, basket);
    assert_eq!(market.last_reject(), closed);
    // Its id goes to nobody else.
    assert_eq!(market.list("H200S.DE.20261124T1500.H"), 3);
}

/// Nothing that waited for a settled window comes to the one that has its place now.
#[test]
fn what_is_delivered_before_its_time_leaves_no_timer_behind() {
    let mut market = Market::new();
    let name = "H200S.DE.20261124T1230.Q";
    market.list(name);
    market.register(SELLER, name, 80);
    market.deposit(BUYER, 1_000);
    market.send(SELLER, sell(1, "27.00"));
    market.send(BUYER, buy(1, "27.00"));
    market.advance_minutes(29);
    assert_eq!(
        market.send_all(METER, deliver(name, 0)).last().map(String::as_str),
        Some("* phase 1 settled")
    );
    market.list(HOUR);
    // Loading looks whether every timer is one that somebody waits for, and every slot one that is still to come.
    let load_what_is_saved = |market: &Market| {
        let mut saved = Vec::new();
        market.engine.save(&mut |piece| saved.extend_from_slice(piece));
        let loaded = Engine::load(&saved).map(|engine| engine.state_hash());
        assert_eq!(loaded, Ok(market.engine.state_hash()));
    };
    load_what_is_saved(&market);
    assert!(market.advance_minutes(40).is_empty());
    assert_eq!(market.engine.instruments().count(), 1);
    load_what_is_saved(&market);
}
