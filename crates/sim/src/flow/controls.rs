//! Quotes, protections, switches, and what operators do to a market.

use joulebook_protocol::Command;
use joulebook_protocol::messages::{
    DeliverSlot, DepositCredits, KillSwitch, MassQuote, MintCredits, QuotePair, ResetProtection,
    RetireCredits, SetBands, SetDeadMan, SetLimits, SetPhase, SetProtection,
};
use joulebook_types::{
    AccountId, AreaCode, ClassCode, ClientOrderId, InstrumentId, MicroEc, Price, QuarterSlot, SessionId,
};

use super::{START_MINUTE, TRADERS, area, class, instrument, price, rarely, self_trade, set_yield};
use crate::dice::Dice;

pub(super) fn mass_quote(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    let count = rarely(dice, 2, |dice| dice.below(65)) as u8;
    let flags = rarely(dice, 0, |dice| dice.below(3) as u8);
    let mut quote =
        MassQuote { client_order_id, count, flags, self_trade: self_trade(dice), ..Default::default() };
    for pair in quote.pairs.iter_mut().take(usize::from(count)) {
        let bid = dice.between(97, 101);
        *pair = QuotePair {
            bid: price(bid),
            ask: price(bid + dice.between(1, 3)),
            instrument: instrument(dice),
            bid_qty: rarely(dice, 2, |dice| dice.below(5) as u32),
            ask_qty: rarely(dice, 2, |_| 0),
            ..Default::default()
        };
    }
    quote.into()
}

pub(super) fn protection(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    let class = class(dice.below(4) as u8);
    if dice.chance(2, 5) {
        return ResetProtection { client_order_id, class }.into();
    }
    SetProtection {
        client_order_id,
        class,
        credits_max: MicroEc::new(rarely(dice, 0, |dice| dice.below(1_000_000) as i64)),
        lots_max: dice.below(8),
        window_ms: dice.between(1, 3_000) as u32,
        fills_max: dice.between(1, 4) as u32,
    }
    .into()
}

/// A dead man's timer, or a switch on one's own account.
pub(super) fn own_switch(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    if dice.chance(1, 2) {
        let timeout_ms = dice.pick(&[0, 1_000, 1_500, 5_000]);
        return SetDeadMan { client_order_id, timeout_ms, ..Default::default() }.into();
    }
    kill(dice, client_order_id, AccountId::NONE)
}

fn kill(dice: &mut Dice, client_order_id: ClientOrderId, account: AccountId) -> Command {
    KillSwitch {
        client_order_id,
        class: class(dice.below(4) as u8),
        account,
        session: SessionId::new(dice.between(1, 3) as u32),
        scope: rarely(dice, 2, |dice| dice.below(6) as u8),
        // Mostly allowing again what was killed.
        action: dice.pick(&[1, 2, 2, 2]),
        ..Default::default()
    }
    .into()
}

pub(super) fn operator(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    match dice.weighted(&[8, 5, 4, 2, 2, 3, 2]) {
        0 => phase(dice, client_order_id),
        1 => bands(dice, client_order_id),
        2 => limits(dice, client_order_id),
        3 => {
            let account = dice.pick(&TRADERS);
            kill(dice, client_order_id, account)
        }
        4 => set_yield(client_order_id, dice.below(3) as u8, dice.below(50) as u32),
        5 => credits(dice, client_order_id),
        _deliver => {
            let slot = QuarterSlot::new(START_MINUTE / 15 + dice.below(4) as u32);
            DeliverSlot {
                client_order_id,
                class: class(dice.below(3) as u8),
                area: area(),
                slot,
                ..Default::default()
            }
            .into()
        }
    }
}

fn phase(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    // Open, auction, halted, pre-open, and what does not exist.
    let phase = match dice.weighted(&[12, 5, 2, 2, 1]) {
        0 => 3,
        1 => 5,
        2 => 4,
        3 => 2,
        _odd => dice.below(10) as u8,
    };
    let is_timed = phase == 5;
    SetPhase {
        client_order_id,
        class: ClassCode::default(),
        area: AreaCode::default(),
        instrument: if dice.chance(1, 4) { InstrumentId::NONE } else { instrument(dice) },
        duration_ms: if is_timed { dice.below(3_000) as u32 } else { 0 },
        random_ms: if is_timed { dice.below(2_000) as u32 } else { 0 },
        phase,
        ..Default::default()
    }
    .into()
}

fn bands(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    SetBands {
        client_order_id,
        band_low: price(dice.between(95, 99)),
        band_high: price(dice.between(101, 105)),
        velocity_move: if dice.chance(1, 2) { price(dice.between(1, 3)) } else { Price::ZERO },
        instrument: instrument(dice),
        dynamic_bps: if dice.chance(1, 2) { dice.between(50, 300) as u32 } else { 0 },
        velocity_window_ms: dice.between(1, 3_000) as u32,
        halt_ms: dice.below(600) as u32,
        auction_ms: dice.below(1_500) as u32,
        auction_random_ms: dice.below(1_000) as u32,
    }
    .into()
}

fn limits(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    SetLimits {
        client_order_id,
        order_value_max: MicroEc::new(rarely(dice, 0, |dice| dice.below(1_500_000) as i64)),
        open_value_max: MicroEc::new(rarely(dice, 0, |dice| dice.below(3_000_000) as i64)),
        account: dice.pick(&TRADERS),
        open_orders_max: rarely(dice, 0, |dice| dice.below(8) as u32),
        window_accelerators_max: rarely(dice, 0, |dice| dice.below(16) as u32),
        ..Default::default()
    }
    .into()
}

fn credits(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    let amount = MicroEc::new(dice.below(500_000) as i64);
    match dice.below(4) {
        0 => MintCredits { client_order_id, amount, ..Default::default() }.into(),
        1 => RetireCredits { client_order_id, amount }.into(),
        _deposit => {
            let to = dice.pick(&TRADERS);
            DepositCredits { client_order_id, amount, to, ..Default::default() }.into()
        }
    }
}
