//! Orders of every kind, and changes to them.

use joulebook_protocol::Command;
use joulebook_protocol::messages::{
    AccountQuery, Basket, BasketLeg, BatchEntry, BlockSweep, CancelOrder, MassCancel, NewOrder, OcoOrder,
    OrderBatch, OrderQuery, ReduceOrder, ReplaceOrder, TokenOrder,
};
use joulebook_types::{
    ClientOrderId, InstrumentId, KiloTokens, MicroEc, ModelId, OrderId, Price, SlotHint, TimeNs, TokenPrice,
};

use super::{START_MINUTE, View, area, class, instrument, lots, near, price, rarely, self_trade};
use crate::dice::Dice;

const GTD: u8 = 4;
const MARKET: u8 = 1;
const BUDGET: u8 = 2;
const STOP: u8 = 1;
const TRAILING: u8 = 2;

fn side(dice: &mut Dice) -> u8 {
    1 + dice.below(2) as u8
}

fn soon(dice: &mut Dice, view: &View<'_>) -> TimeNs {
    view.now.saturating_add_ms(dice.between(1, 3_000) as u32)
}

pub(super) fn new_order(dice: &mut Dice, view: &View<'_>, client_order_id: ClientOrderId) -> Command {
    let order = NewOrder {
        client_order_id,
        instrument: instrument(dice),
        side: side(dice),
        qty: lots(dice),
        self_trade: self_trade(dice),
        ..Default::default()
    };
    match dice.weighted(&[40, 10, 6, 8, 6]) {
        0 => limit(dice, view, order),
        1 => NewOrder {
            order_type: MARKET,
            time_in_force: dice.pick(&[1, 1, 2, 3]),
            min_qty: rarely(dice, 0, |dice| dice.between(1, 3) as u32),
            ..order
        },
        2 => NewOrder {
            order_type: BUDGET,
            side: 1,
            qty: 0,
            time_in_force: rarely(dice, 2, |dice| dice.below(5) as u8),
            budget: MicroEc::new(dice.below(2_500_000) as i64),
            ..order
        },
        3 => stop(dice, view, order),
        _trailing => trailing(dice, view, order),
    }
    .into()
}

fn limit(dice: &mut Dice, view: &View<'_>, order: NewOrder) -> NewOrder {
    let time_in_force = dice.pick(&[1, 1, 1, 1, 1, 1, 2, 3, 4, 4]);
    let stays = matches!(time_in_force, 1 | GTD);
    let min_qty = if time_in_force != 3 && dice.chance(1, 8) { dice.between(1, 3) as u32 } else { 0 };
    NewOrder {
        price: near(dice),
        time_in_force,
        min_qty,
        flags: u8::from(stays && min_qty == 0 && dice.chance(1, 10)),
        display_qty: if stays && dice.chance(1, 5) { dice.between(1, 3) as u32 } else { 0 },
        expires: if time_in_force == GTD { soon(dice, view) } else { TimeNs::ZERO },
        ..order
    }
}

fn stop(dice: &mut Dice, view: &View<'_>, order: NewOrder) -> NewOrder {
    let is_market = dice.chance(1, 2);
    let time_in_force = dice.pick(&[1, 1, 1, GTD, 2]);
    NewOrder {
        price: if is_market { Price::ZERO } else { near(dice) },
        order_type: u8::from(is_market),
        trigger: STOP,
        trigger_price: near(dice),
        time_in_force,
        expires: if time_in_force == GTD { soon(dice, view) } else { TimeNs::ZERO },
        ..order
    }
}

fn trailing(dice: &mut Dice, view: &View<'_>, order: NewOrder) -> NewOrder {
    let (trail_distance, trail_bps) = if dice.chance(1, 2) {
        (price(dice.between(1, 3)), 0)
    } else {
        (Price::ZERO, dice.between(1, 400) as u32)
    };
    NewOrder {
        trigger: TRAILING,
        trigger_price: Price::ZERO,
        trail_distance,
        trail_bps,
        activation_price: if dice.chance(1, 3) { near(dice) } else { Price::ZERO },
        ..stop(dice, view, order)
    }
}

pub(super) fn oco(dice: &mut Dice, view: &View<'_>, client_order_id: ClientOrderId) -> Command {
    let time_in_force = dice.pick(&[1, 1, GTD]);
    OcoOrder {
        client_order_id,
        price: near(dice),
        trigger_price: near(dice),
        stop_price: if dice.chance(1, 3) { Price::ZERO } else { near(dice) },
        expires: if time_in_force == GTD { soon(dice, view) } else { TimeNs::ZERO },
        instrument: instrument(dice),
        qty: lots(dice),
        side: side(dice),
        time_in_force,
        self_trade: self_trade(dice),
        ..Default::default()
    }
    .into()
}

pub(super) fn batch(dice: &mut Dice, view: &View<'_>, client_order_id: ClientOrderId) -> Command {
    let count = rarely(dice, 3, |dice| dice.below(17)) as u8;
    let mut batch = OrderBatch { client_order_id, count, ..Default::default() };
    for entry in batch.entries.iter_mut().take(usize::from(count)) {
        let usual = dice.between(1, 4) as u8;
        let kind = rarely(dice, usual, |dice| dice.below(6) as u8);
        *entry = BatchEntry {
            kind,
            side: side(dice),
            time_in_force: rarely(dice, 1, |dice| dice.below(5) as u8),
            flags: 0,
            instrument: instrument(dice),
            qty: lots(dice),
            slot: SlotHint::UNKNOWN,
            order_id: if kind == BatchEntry::NEW { OrderId::NONE } else { view.order(dice) },
            target: ClientOrderId::NONE,
            price: near(dice),
        };
    }
    batch.into()
}

/// A cancel, a reduction, a replace, or a mass cancel.
pub(super) fn change(dice: &mut Dice, view: &View<'_>, client_order_id: ClientOrderId) -> Command {
    let (order_id, target) = if dice.chance(1, 5) {
        (OrderId::NONE, ClientOrderId::new(client_order_id.raw().saturating_sub(dice.between(1, 20))))
    } else {
        (view.order(dice), ClientOrderId::NONE)
    };
    let slot = if dice.chance(1, 4) { SlotHint::new(dice.below(20) as u32) } else { SlotHint::UNKNOWN };
    match dice.weighted(&[8, 4, 10, 1]) {
        0 => CancelOrder { client_order_id, order_id, target, slot, ..Default::default() }.into(),
        1 => {
            let lots = lots(dice);
            ReduceOrder { client_order_id, order_id, target, slot, lots }.into()
        }
        2 => ReplaceOrder {
            client_order_id,
            order_id,
            target,
            price: near(dice),
            slot,
            qty: lots(dice),
            trigger_price: rarely(dice, Price::ZERO, near),
        }
        .into(),
        _mass => MassCancel {
            client_order_id,
            scope: rarely(dice, 1, |dice| dice.below(4) as u8),
            instrument: if dice.chance(1, 2) { instrument(dice) } else { InstrumentId::NONE },
            side: rarely(dice, 0, |dice| dice.below(4) as u8),
            ..Default::default()
        }
        .into(),
    }
}

pub(super) fn token(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    let count = rarely(dice, 2, |dice| dice.below(18)) as u8;
    let first = rarely(dice, 1, |dice| dice.between(1, 4)) as u32;
    TokenOrder {
        client_order_id,
        quantity: KiloTokens::new(dice.below(1_500)),
        limit: TokenPrice::new(dice.below(9_000) as i64 * 1_000),
        model: ModelId::new(1),
        time_in_force: rarely(dice, 2, |dice| dice.below(5) as u8),
        flags: dice.below(2) as u8,
        count,
        self_trade: dice.below(3) as u8,
        instruments: core::array::from_fn(|index| InstrumentId::new(first + index as u32)),
        ..Default::default()
    }
    .into()
}

pub(super) fn basket(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    let count = rarely(dice, 2, |dice| dice.below(18)) as u8;
    let mut basket = Basket { client_order_id, count, self_trade: dice.below(3) as u8, ..Default::default() };
    for leg in basket.legs.iter_mut().take(usize::from(count)) {
        *leg = BasketLeg {
            price: near(dice),
            instrument: instrument(dice),
            qty: lots(dice),
            side: side(dice),
            ..Default::default()
        };
    }
    basket.into()
}

pub(super) fn sweep(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    BlockSweep {
        client_order_id,
        price: near(dice),
        class: class(0),
        area: area(),
        start_minute: START_MINUTE + rarely(dice, 0, |dice| dice.below(3) as u32) * 15,
        qty: dice.between(1, 2) as u32,
        window_minutes: dice.pick(&[15, 15, 15, 60]),
        windows: rarely(dice, 2, |dice| dice.below(9)) as u16,
        side: side(dice),
        self_trade: dice.below(3) as u8,
        ..Default::default()
    }
    .into()
}

pub(super) fn query(dice: &mut Dice, view: &View<'_>, client_order_id: ClientOrderId) -> Command {
    if dice.chance(1, 2) {
        return AccountQuery { client_order_id }.into();
    }
    OrderQuery { client_order_id, order_id: view.order(dice), ..Default::default() }.into()
}
