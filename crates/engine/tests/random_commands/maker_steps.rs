//! What makers and those who watch over them do: quotes, protections, kill switches, caps.

use joulebook_protocol::Command;
use joulebook_protocol::messages::*;
use joulebook_types::*;
use proptest::prelude::*;

/// Small numbers that `command` turns into fields, some of them wrong on purpose.
#[derive(Clone, Debug)]
pub enum MakerStep {
    Quote(Wanted),
    Protect { window_ms: u32, fills_max: u32, lots_max: u64 },
    Unfreeze,
    Switch { scope: u8, enable: bool },
    Limit { orders: u32, order_ec: i64, open_ec: i64, window: u32 },
    MassCancel { scope: u8, instrument: u32, side: u8, low: i64, high: i64 },
}

/// The same pair for each of some neighbouring instruments.
#[derive(Clone, Debug)]
pub struct Wanted {
    instrument: u32,
    pairs: u8,
    ticks: i64,
    spread: i64,
    bid: u32,
    ask: u32,
    flags: u8,
    self_trade: u8,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let prices = (97..103i64, prop_oneof![9 => 1..4i64, 1 => -1..1i64]);
    let flags = prop_oneof![6 => Just(0u8), 2 => Just(1u8), 1 => 0..4u8];
    let self_trade = prop_oneof![20 => 0..4u8, 1 => Just(9u8)];
    let fields = (1..5u32, 1..4u8, prices, (0..5u32, 0..5u32), flags, self_trade);
    fields.prop_map(|(instrument, pairs, (ticks, spread), (bid, ask), flags, self_trade)| Wanted {
        instrument,
        pairs,
        ticks,
        spread,
        bid,
        ask,
        flags,
        self_trade,
    })
}

pub fn maker_step() -> impl Strategy<Value = MakerStep> {
    let window_ms = prop_oneof![5 => 1..3_000u32, 1 => Just(0u32), 1 => Just(70_000u32)];
    let cap = |range: core::ops::Range<u32>| prop_oneof![2 => Just(0u32), 1 => range];
    let price = || prop_oneof![3 => Just(0i64), 2 => 97..104i64];
    prop_oneof![
        7 => wanted().prop_map(MakerStep::Quote),
        1 => (window_ms, 0..5u32, 0..9u64).prop_map(|(window_ms, fills_max, lots_max)| {
            MakerStep::Protect { window_ms, fills_max, lots_max }
        }),
        1 => Just(MakerStep::Unfreeze),
        1 => (0..6u8, prop::bool::weighted(0.7))
            .prop_map(|(scope, enable)| MakerStep::Switch { scope, enable }),
        1 => (cap(1..8), cap(1..3), cap(1..9), cap(10..60)).prop_map(|(orders, order, open, window)| {
            MakerStep::Limit { orders, order_ec: order.into(), open_ec: open.into(), window }
        }),
        1 => (0..3u8, 0..4u32, 0..4u8, price(), price()).prop_map(|(scope, instrument, side, low, high)| {
            MakerStep::MassCancel { scope, instrument, side, low, high }
        }),
    ]
}

impl MakerStep {
    /// Whether the operator does it; kill switches may come from either.
    pub fn is_the_operators(&self) -> bool {
        match self {
            Self::Limit { .. } => true,
            Self::Switch { scope, enable } => *scope > 2 || *enable,
            Self::Quote(_) | Self::Protect { .. } | Self::Unfreeze | Self::MassCancel { .. } => false,
        }
    }

    /// The command, which is about a session of a trader whoever sends it.
    pub fn command(&self, client_order_id: ClientOrderId, account: u32, session: u32) -> Command {
        let named = AccountId::new(account);
        let class: ClassCode = "H200S".parse().unwrap();
        match *self {
            Self::Quote(ref wanted) => wanted.message(client_order_id).into(),
            Self::Protect { window_ms, fills_max, lots_max } => {
                let credits_max = MicroEc::new(i64::from(window_ms % 3) * 700_000);
                SetProtection { client_order_id, class, credits_max, lots_max, window_ms, fills_max }.into()
            }
            Self::Unfreeze => ResetProtection { client_order_id, class }.into(),
            Self::Switch { scope, enable } => KillSwitch {
                client_order_id,
                class,
                account: named,
                session: SessionId::new(session),
                scope,
                action: 1 + u8::from(enable),
                ..Default::default()
            }
            .into(),
            Self::Limit { orders, order_ec, open_ec, window } => SetLimits {
                client_order_id,
                order_value_max: MicroEc::from_ec(order_ec),
                open_value_max: MicroEc::from_ec(open_ec),
                account: named,
                open_orders_max: orders,
                window_accelerators_max: window,
                ..Default::default()
            }
            .into(),
            Self::MassCancel { scope, instrument, side, low, high } => MassCancel {
                client_order_id,
                instrument: InstrumentId::new(instrument),
                scope,
                side,
                price_low: Price::new(low * 1_000),
                price_high: Price::new(high * 1_000),
                ..Default::default()
            }
            .into(),
        }
    }
}

impl Wanted {
    fn message(&self, client_order_id: ClientOrderId) -> MassQuote {
        let Self { instrument, pairs, ticks, spread, bid, ask, flags, self_trade } = *self;
        let mut quote = MassQuote { client_order_id, count: pairs, flags, self_trade, ..Default::default() };
        for (index, pair) in quote.pairs.iter_mut().take(pairs.into()).enumerate() {
            *pair = QuotePair {
                bid: Price::new(ticks * 1_000),
                ask: Price::new((ticks + spread) * 1_000),
                instrument: InstrumentId::new(instrument + index as u32),
                bid_qty: bid,
                ask_qty: ask,
                reserved: 0,
            };
        }
        quote
    }
}
