//! What traders and the operator send: every request that the exchange takes, with small numbers so that they meet, and
//! some of them wrong.

mod controls;
mod listings;
mod orders;

use joulebook_protocol::Command;
use joulebook_protocol::messages::{DepositCredits, MintCredits, RegisterCapacity, SetYield};
use joulebook_types::{
    AccountId, AreaCode, ClassCode, ClientOrderId, InstrumentId, MicroEc, ModelId, OrderId, Price, TimeNs,
    Yield,
};

use crate::dice::Dice;

pub use listings::listings;

/// The minute in which the first listed hour begins: 2026-11-24T14:00Z.
pub const START_MINUTE: u32 = 29_925_480;
/// Operator and issuer in one.
pub const OPERATOR: AccountId = AccountId::new(1);
/// Sellers, buyers and makers in one. Two share a self-trade group.
pub const TRADERS: [AccountId; 5] =
    [AccountId::new(10), AccountId::new(11), AccountId::new(20), AccountId::new(21), AccountId::new(30)];

/// What a client knows when it makes a request.
#[derive(Debug)]
pub struct View<'a> {
    pub now: TimeNs,
    /// Its own open orders, or those that it takes for open.
    pub orders: &'a [OrderId],
}

impl View<'_> {
    /// An order that a client would name: one of its own, now and then any.
    fn order(&self, dice: &mut Dice) -> OrderId {
        if self.orders.is_empty() || dice.chance(1, 12) {
            return OrderId::new(1 + dice.below(300));
        }
        dice.pick(self.orders)
    }
}

/// A request of a trader.
pub fn trader_request(dice: &mut Dice, view: &View<'_>, id: ClientOrderId) -> Command {
    match dice.weighted(&[52, 4, 4, 14, 9, 3, 4, 4, 4, 2, 3, 2]) {
        0 => orders::new_order(dice, view, id),
        1 => orders::oco(dice, view, id),
        2 => orders::batch(dice, view, id),
        3 => orders::change(dice, view, id),
        4 => controls::mass_quote(dice, id),
        5 => controls::protection(dice, id),
        6 => orders::token(dice, id),
        7 => orders::basket(dice, id),
        8 => orders::sweep(dice, id),
        9 => controls::own_switch(dice, id),
        10 => orders::query(dice, view, id),
        _register => register(dice, id),
    }
}

/// A request of the operator.
pub fn operator_request(dice: &mut Dice, id: ClientOrderId) -> Command {
    controls::operator(dice, id)
}

/// What the operator does first.
pub fn opening(dice: &mut Dice) -> Vec<Box<dyn Fn(ClientOrderId) -> Command>> {
    let mut opening: Vec<Box<dyn Fn(ClientOrderId) -> Command>> = Vec::new();
    for list in listings() {
        opening.push(Box::new(move |client_order_id| {
            let mut list = list;
            list.client_order_id = client_order_id;
            list.into()
        }));
    }
    for (number, yield_ktok) in [(0, 40), (1, 30), (2, 90)] {
        opening.push(Box::new(move |id| set_yield(id, number, yield_ktok)));
    }
    opening.push(Box::new(|client_order_id| {
        let amount = MicroEc::from_ec(1_000);
        MintCredits { client_order_id, amount, ..Default::default() }.into()
    }));
    for to in TRADERS {
        // Some are rich and some are soon out of credits.
        let amount = MicroEc::new(dice.spread(500_000, 40_000_000) as i64);
        opening.push(Box::new(move |client_order_id| {
            DepositCredits { client_order_id, amount, to, ..Default::default() }.into()
        }));
    }
    opening
}

/// What a trader does first.
pub fn registration(client_order_id: ClientOrderId, number: u8, accelerators: u32) -> Command {
    RegisterCapacity {
        client_order_id,
        class: class(number),
        area: area(),
        start_minute: START_MINUTE,
        window_minutes: 60,
        accelerators,
        ..Default::default()
    }
    .into()
}

fn register(dice: &mut Dice, client_order_id: ClientOrderId) -> Command {
    let (number, accelerators) = (dice.below(4) as u8, dice.below(20) as u32);
    registration(client_order_id, number, accelerators)
}

fn set_yield(client_order_id: ClientOrderId, number: u8, yield_ktok: u32) -> Command {
    let (class, model) = (class(number), ModelId::new(1));
    SetYield { client_order_id, class, yield_ktok: Yield::new(yield_ktok), model, ..Default::default() }
        .into()
}

fn class(number: u8) -> ClassCode {
    let name = match number {
        0 => "H200S",
        1 => "TPU6E",
        2 => "B200S",
        _nothing => return ClassCode::default(),
    };
    name.parse().expect("a class")
}

fn area() -> AreaCode {
    "DE".parse().expect("a zone")
}

fn price(ticks: u64) -> Price {
    Price::new(ticks as i64 * 1_000)
}

/// Around a hundred ticks, now and then outside of every band.
fn near(dice: &mut Dice) -> Price {
    match dice.below(40) {
        0 => price(dice.between(90, 110)),
        1 => Price::ZERO,
        _usual => price(dice.between(97, 103)),
    }
}

fn lots(dice: &mut Dice) -> u32 {
    if dice.chance(1, 30) { dice.below(9) as u32 } else { dice.between(1, 5) as u32 }
}

/// Mostly the first hour, so that orders meet.
fn instrument(dice: &mut Dice) -> InstrumentId {
    InstrumentId::new(match dice.below(60) {
        0..30 => 1,
        30 => dice.below(9) as u32,
        _other => dice.between(2, 5) as u32,
    })
}

fn self_trade(dice: &mut Dice) -> u8 {
    if dice.chance(2, 5) { 0 } else { dice.between(1, 4) as u8 }
}

/// Now and then something else than usual.
fn rarely<T>(dice: &mut Dice, usual: T, other: impl FnOnce(&mut Dice) -> T) -> T {
    if dice.chance(1, 13) { other(dice) } else { usual }
}
