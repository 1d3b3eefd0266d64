//! The operator's phases: which lead to which, and what each takes.

use core::mem::offset_of;

use joulebook_protocol::RejectReason::{
    self, GateClosed, InvalidChoice, InvalidTransition, UnknownInstrument,
};
use joulebook_protocol::messages::{ListInstrument, NewOrder, ReduceOrder, Seed, SetPhase};
use joulebook_types::*;

use crate::market::*;

const SETTABLE: [Phase; 4] = [Phase::PreOpen, Phase::Open, Phase::Halted, Phase::Auction];

/// Instrument 1 in a phase before its gate, with 100 lots and plenty of credits in the market.
fn market_in(phase: Phase) -> Market {
    let mut market = Market::new();
    market.fund();
    let opens = market.engine.time().saturating_add_ms(3_600_000);
    market.list_with(ListInstrument { opens, ..list_instrument(HOUR) });
    if phase != Phase::Pending {
        market.send(OPERATOR, set_phase(phase));
    }
    assert_eq!(phase_of(&market, 1), phase);
    market
}

fn phase_of(market: &Market, instrument: u32) -> Phase {
    let definition = market.engine.instrument(InstrumentId::new(instrument)).unwrap();
    Phase::from_raw(definition.phase).unwrap()
}

#[test]
fn each_phase_leads_only_to_some() {
    use Phase::{Auction, Halted, Open, Pending, PreOpen};
    let allowed: &[(Phase, &[Phase])] = &[
        (Pending, &[PreOpen, Open, Halted, Auction]),
        (PreOpen, &[Open, Halted, Auction]),
        (Open, &[Halted, Auction]),
        (Halted, &[PreOpen, Open, Auction]),
        (Auction, &[Open, Halted]),
    ];
    for (from, to) in allowed {
        for wanted in SETTABLE {
            let mut market = market_in(*from);
            let said = market.send(OPERATOR, set_phase(wanted));
            if to.contains(&wanted) {
                assert_eq!(
                    (said, phase_of(&market, 1)),
                    (vec!["1: done 1".into()], wanted),
                    "{from} {wanted}"
                );
            } else {
                let (limit, value) = (from.raw().into(), wanted.raw().into());
                let field = offset_of!(SetPhase, phase);
                assert_eq!(market.last_reject(), (InvalidTransition, field, limit, value), "{from} {wanted}");
                assert_eq!(phase_of(&market, 1), *from);
            }
        }
    }
}

#[test]
fn what_does_not_make_sense_is_refused() {
    let phase = |phase: u8| SetPhase { phase, ..set_phase(Phase::Open) };
    let named = |instrument| SetPhase { instrument: InstrumentId::new(instrument), ..set_phase(Phase::Open) };
    let timed = |duration_ms, random_ms| SetPhase { duration_ms, random_ms, ..named(9) };
    let (of_phase, of_duration) = (offset_of!(SetPhase, phase), offset_of!(SetPhase, duration_ms));
    let cases: &[(&str, SetPhase, Refused)] = &[
        ("no phase", phase(0), (InvalidChoice, of_phase, 0, 0)),
        ("pending", phase(1), (InvalidChoice, of_phase, 0, 1)),
        ("closed", phase(6), (InvalidChoice, of_phase, 0, 6)),
        (
            "unknown phase before a time",
            SetPhase { phase: 9, ..timed(1, 0) },
            (InvalidChoice, of_phase, 0, 9),
        ),
        ("a time without a call", timed(5, 0), (InvalidChoice, of_duration, 0, 5)),
        ("a random time without a call", timed(0, 5), (InvalidChoice, of_duration, 0, 0)),
        ("unknown", named(9), (UnknownInstrument, offset_of!(SetPhase, instrument), 0, 9)),
    ];
    let mut market = market_in(Phase::Open);
    for (name, command, want) in cases {
        market.send(OPERATOR, *command);
        assert_eq!(market.last_reject(), *want, "{name}");
    }
    assert_eq!(market.send(BUYER, set_phase(Phase::Halted)), ["20: rejected NotAuthorised"]);
    let gate = market.engine.instrument(InstrumentId::new(1)).unwrap().gate;
    market.advance_to(gate);
    market.send(OPERATOR, set_phase(Phase::Halted));
    let at = gate.raw() as i64;
    assert_eq!(market.last_reject(), (GateClosed, usize::from(u16::MAX), at, at));
}

#[test]
fn many_move_at_once_as_far_as_they_can() {
    let mut market = Market::new();
    let names = [HOUR, "H200S.FR.20261124T1400.H", "L40S.DE.20261124T1400.H", "H200S.DE.20261124T1500.H"];
    for name in names {
        market.list(name);
    }
    market.send(OPERATOR, SetPhase { instrument: InstrumentId::new(4), ..set_phase(Phase::Auction) });
    let every = SetPhase { instrument: InstrumentId::NONE, ..set_phase(Phase::Halted) };
    let (class, area) = (symbol(HOUR).class, symbol(HOUR).area);
    let said = market.send_all(OPERATOR, SetPhase { class, area, ..every });
    assert_eq!(said, ["* phase 1 halted", "* phase 4 halted", "1: done 2"]);
    let said = market.send_all(OPERATOR, SetPhase { area, ..every });
    assert_eq!(said, ["* phase 3 halted", "1: done 1"], "the others are halted already");
    let said = market.send_all(OPERATOR, SetPhase { class, phase: Phase::Open.raw(), ..every });
    assert_eq!(said, ["* phase 1 open", "* phase 4 open", "1: done 2"], "2 was open");
    assert_eq!(
        market.send_all(OPERATOR, every),
        ["* phase 1 halted", "* phase 2 halted", "* phase 4 halted", "1: done 3",]
    );
    let nowhere = SetPhase { area: "XX".parse().unwrap(), ..every };
    assert_eq!(market.send_all(OPERATOR, nowhere), ["1: done 0"]);
    let one = SetPhase { class, area: "XX".parse().unwrap(), ..set_phase(Phase::Open) };
    assert_eq!(market.send_all(OPERATOR, one), ["* phase 1 open", "1: done 1"], "an instrument says it all");
}

/// What an order is answered with, by phase: none when it is taken.
#[test]
fn each_phase_takes_its_own_orders() {
    use Phase::{Auction, Halted, Open, Pending, PreOpen};
    let stop = NewOrder { trigger: 1, trigger_price: price("30.00"), ..buy(2, "30.00") };
    let iceberg = NewOrder { display_qty: 1, ..buy(2, "20.00") };
    let min_qty = NewOrder { min_qty: 1, ..buy(2, "20.00") };
    let market_buy = market_order(Side::Buy, 1);
    let budget = NewOrder {
        order_type: OrderType::Budget.raw(),
        budget: MicroEc::from_ec(1_000),
        time_in_force: TimeInForce::Ioc.raw(),
        qty: 0,
        ..market_buy
    };
    let cases: &[(&str, NewOrder, &[Phase])] = &[
        ("limit", buy(2, "20.00"), &[PreOpen, Open, Auction]),
        ("iceberg", iceberg, &[PreOpen, Open, Auction]),
        ("stop", stop, &[PreOpen, Open, Auction]),
        ("post-only", post_only(buy(2, "20.00")), &[PreOpen, Open]),
        ("ioc", ioc(buy(2, "20.00")), &[Open]),
        ("ioc market", ioc(market_buy), &[Open]),
        ("waiting market", market_buy, &[Auction]),
        ("budget", budget, &[Open]),
    ];
    for (name, order, takes) in cases {
        for phase in [Pending, PreOpen, Open, Halted, Auction] {
            let mut market = market_in(phase);
            let said = market.send(BUYER, *order);
            let want = if takes.contains(&phase) { "20: accepted" } else { "20: rejected NotOpen" };
            assert!(said[0].starts_with(want), "{name} in {phase}: {said:?}");
            if !takes.contains(&phase) {
                let value = phase.raw().into();
                assert_eq!(market.last_reject(), (RejectReason::NotOpen, usize::from(u16::MAX), 3, value));
            }
        }
    }
    for phase in [PreOpen, Auction] {
        assert_eq!(market_in(phase).send(BUYER, min_qty), ["20: rejected NotOpen"], "in {phase}");
    }
}

#[test]
fn nothing_trades_before_the_opening() {
    let mut market = market_in(Phase::PreOpen);
    market.send(SELLER, sell(2, "27.00"));
    market.send(BUYER, buy(2, "27.00"));
    let best = price("27.00").raw();
    let whole = usize::from(u16::MAX);
    assert_eq!(market.last_reject(), (RejectReason::PostOnlyWouldTrade, whole, best, best));
    market.send(BUYER, buy(2, "26.99"));
    assert_eq!(market.send(BUYER, replace(2, 2, "27.00")), ["20: rejected PostOnlyWouldTrade"]);
    assert_eq!(market.advance_ms(3_600_000), ["* phase 1 open"], "the listing's own opening");
    assert_eq!(market.send_all(BUYER, replace(2, 2, "27.00")).len(), 6);
}

#[test]
fn a_halt_takes_only_what_makes_orders_smaller() {
    let mut market = market_in(Phase::Open);
    market.send(SELLER, sell(5, "27.00"));
    market.send(OPERATOR, set_phase(Phase::Halted));
    assert_eq!(market.send(SELLER, replace(1, 4, "27.00")), ["10: rejected NotOpen"]);
    let lots =
        ReduceOrder { order_id: OrderId::new(1), slot: SlotHint::UNKNOWN, lots: 2, ..Default::default() };
    assert_eq!(market.send(SELLER, lots), ["10: replaced 1 3@27.00 leaves 3 kept"]);
    assert_eq!(market.send(SELLER, cancel(1)), ["10: canceled 3 of 1 Requested"]);
}

#[test]
fn the_opening_does_not_end_a_halt_or_a_call() {
    for phase in [Phase::Open, Phase::Halted] {
        let mut market = market_in(phase);
        assert!(market.advance_ms(3_600_000).is_empty(), "{phase}");
        assert_eq!(phase_of(&market, 1), phase);
    }
    let mut market = market_in(Phase::Auction);
    market.advance_ms(3_600_000);
    assert_eq!(phase_of(&market, 1), Phase::Auction);
}

#[test]
fn only_a_call_opens_a_book_whose_sides_have_met() {
    let mut market = market_in(Phase::Auction);
    market.send(SELLER, sell(2, "26.00"));
    market.send(BUYER, buy(1, "27.00"));
    market.send(OPERATOR, set_phase(Phase::Halted));
    assert_eq!(market.send(OPERATOR, set_phase(Phase::Open)), ["1: rejected InvalidTransition"]);
    assert_eq!(market.send(OPERATOR, set_phase(Phase::PreOpen)), ["1: rejected InvalidTransition"]);
    market.send(SELLER, cancel(1));
    assert_eq!(market.send(OPERATOR, set_phase(Phase::PreOpen)), ["1: done 1"]);
}

#[test]
fn market_orders_keep_a_halt_from_opening() {
    let mut market = market_in(Phase::Auction);
    market.send(BUYER, market_order(Side::Buy, 1));
    market.send(OPERATOR, set_phase(Phase::Halted));
    assert_eq!(market.send(OPERATOR, set_phase(Phase::Open)), ["1: rejected InvalidTransition"]);
    assert_eq!(market.send(BUYER, cancel(1)), ["20: canceled 1 of 1 Requested"]);
    assert_eq!(market.send(OPERATOR, set_phase(Phase::Open)), ["1: done 1"]);
}

#[test]
fn delivery_starts_with_the_window() {
    let mut market = market_in(Phase::Open);
    let start = symbol(HOUR).window.start();
    assert_eq!(market.advance_to(TimeNs::new(start.raw() - 1)), ["* phase 1 closed"]);
    assert_eq!(market.advance_to(start), ["* phase 1 delivering"]);
    assert_eq!(market.advance_minutes(60), ["* phase 1 settled"]);
}

#[test]
fn a_seed_is_the_exchange_s_own() {
    let mut market = market_in(Phase::Open);
    let ignored = market.engine.ignored_commands();
    market.send_raw(OPERATOR, 1, Seed { seed: 5 });
    assert_eq!(market.engine.ignored_commands(), ignored + 1);
    let before = market.engine.state_hash();
    assert_eq!(market.system(Seed { seed: 5 }), [""; 0]);
    assert_ne!(market.engine.state_hash(), before);
}
