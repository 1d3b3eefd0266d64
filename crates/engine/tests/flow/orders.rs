//! New orders of every kind.

use proptest::prelude::*;

use super::numbers::{expires_ms, instrument, lots, rarely, self_trade, ticks};

#[derive(Clone, Debug, Default)]
pub struct New {
    pub instrument: u32,
    pub sell: bool,
    pub ticks: i64,
    pub lots: u32,
    pub time_in_force: u8,
    pub flags: u8,
    pub order_type: u8,
    pub trigger: u8,
    pub self_trade: u8,
    pub expires_ms: u32,
    pub budget: i64,
    pub trigger_ticks: i64,
    pub trail_ticks: i64,
    pub trail_bps: u32,
    pub activation_ticks: i64,
    pub min_qty: u32,
    pub display: u32,
}

#[derive(Clone, Debug)]
pub struct Oco {
    pub instrument: u32,
    pub sell: bool,
    pub ticks: i64,
    pub trigger_ticks: i64,
    pub stop_ticks: i64,
    pub lots: u32,
    pub time_in_force: u8,
    pub expires_ms: u32,
    pub self_trade: u8,
}

/// A plain limit order, with now and then an iceberg, a minimum or an end.
pub fn limit() -> BoxedStrategy<New> {
    let time_in_force = prop_oneof![12 => Just(1u8), 5 => 1..5u8, 1 => 0..7u8];
    let extras = (
        expires_ms(),
        prop_oneof![5 => Just(0u32), 1 => 1..4u32],
        prop_oneof![3 => Just(0u32), 1 => 1..4u32],
        prop_oneof![8 => Just(0u8), 1 => Just(1u8), 1 => 0..3u8],
    );
    (instrument(), any::<bool>(), ticks(), lots(), time_in_force, self_trade(), extras)
        .prop_map(|(instrument, sell, ticks, lots, time_in_force, self_trade, extras)| {
            let (expires_ms, min_qty, display, flags) = extras;
            let stays = matches!(time_in_force, 1 | 4);
            New {
                instrument,
                sell,
                ticks,
                lots,
                time_in_force,
                self_trade,
                flags: if stays && min_qty == 0 { flags } else { 0 },
                expires_ms: if time_in_force == 4 { expires_ms } else { 0 },
                min_qty: if time_in_force == 3 { 0 } else { min_qty },
                display: if stays { display } else { 0 },
                ..New::default()
            }
        })
        .boxed()
}

pub fn market() -> BoxedStrategy<New> {
    let time_in_force = prop_oneof![6 => Just(1u8), 3 => 2..4u8, 1 => 0..5u8];
    (instrument(), any::<bool>(), lots(), time_in_force, self_trade(), rarely(0u32, 1..4u32))
        .prop_map(|(instrument, sell, lots, time_in_force, self_trade, min_qty)| New {
            instrument,
            sell,
            lots,
            time_in_force,
            self_trade,
            min_qty,
            order_type: 1,
            ..New::default()
        })
        .boxed()
}

pub fn budget() -> BoxedStrategy<New> {
    (instrument(), rarely(0u8, 0..4u8), 0..2_500_000i64, rarely(2u8, 0..5u8))
        .prop_map(|(instrument, self_trade, budget, time_in_force)| New {
            instrument,
            time_in_force,
            self_trade,
            budget,
            order_type: 2,
            ..New::default()
        })
        .boxed()
}

pub fn stop() -> BoxedStrategy<New> {
    let waits = (rarely(1u8, 0..5u8), expires_ms(), self_trade(), prop_oneof![2 => Just(0u32), 1 => 1..3u32]);
    (instrument(), any::<bool>(), ticks(), lots(), ticks(), any::<bool>(), waits)
        .prop_map(|(instrument, sell, ticks, lots, trigger_ticks, market, waits)| {
            let (time_in_force, expires_ms, self_trade, display) = waits;
            New {
                instrument,
                sell,
                ticks: if market { 0 } else { ticks },
                lots,
                time_in_force,
                self_trade,
                expires_ms: if time_in_force == 4 { expires_ms } else { 0 },
                order_type: u8::from(market),
                trigger: 1,
                trigger_ticks,
                display: if market { 0 } else { display },
                ..New::default()
            }
        })
        .boxed()
}

pub fn trailing() -> BoxedStrategy<New> {
    let trail = (
        prop_oneof![2 => (1..4i64, Just(0u32)), 1 => (Just(0i64), 1..400u32), 1 => (-1..2i64, 0..10_001u32)],
        prop_oneof![2 => Just(0i64), 1 => 97..104i64, 1 => -1..2i64],
    );
    (stop(), trail)
        .prop_map(|(stop, ((trail_ticks, trail_bps), activation_ticks))| New {
            trigger: 2,
            trigger_ticks: if stop.lots == 5 { stop.trigger_ticks } else { 0 },
            trail_ticks,
            trail_bps,
            activation_ticks,
            ..stop
        })
        .boxed()
}

/// Fields that do not go together.
pub fn odd() -> BoxedStrategy<New> {
    let kinds = (0..6u8, 0..3u8, 0..4u8, 0..4u8, 0..5u8, any::<bool>());
    let fields = (
        prop_oneof![Just(0i64), 98..103i64],
        prop_oneof![Just(0i64), Just(500_000i64), Just(-1i64)],
        prop_oneof![Just(0i64), 98..103i64, Just(-1i64)],
        prop_oneof![Just(0i64), 1..3i64],
        prop_oneof![Just(0u32), 1..3u32],
        prop_oneof![Just(0i64), 98..103i64],
        prop_oneof![Just(0u32), 1..7u32],
        prop_oneof![Just(0u32), 1..7u32],
        prop_oneof![Just(0u32), 1..2_000u32],
        0..6u32,
    );
    (instrument(), kinds, fields)
        .prop_map(|(instrument, kinds, fields)| New {
            instrument,
            sell: kinds.5,
            time_in_force: kinds.0,
            flags: kinds.1,
            order_type: kinds.2,
            trigger: kinds.3,
            self_trade: kinds.4,
            ticks: fields.0,
            budget: fields.1,
            trigger_ticks: fields.2,
            trail_ticks: fields.3,
            trail_bps: fields.4,
            activation_ticks: fields.5,
            min_qty: fields.6,
            display: fields.7,
            expires_ms: fields.8,
            lots: fields.9,
        })
        .boxed()
}

pub fn oco() -> impl Strategy<Value = Oco> {
    let stop_ticks = prop_oneof![1 => Just(0i64), 2 => ticks()];
    let stays = (rarely(1u8, prop_oneof![3 => Just(4u8), 1 => 0..6u8]), expires_ms(), self_trade());
    (instrument(), any::<bool>(), ticks(), ticks(), stop_ticks, lots(), stays).prop_map(
        |(instrument, sell, ticks, trigger_ticks, stop_ticks, lots, stays)| Oco {
            instrument,
            sell,
            ticks,
            trigger_ticks,
            stop_ticks,
            lots,
            time_in_force: stays.0,
            expires_ms: if stays.0 == 4 || lots == 7 { stays.1 } else { 0 },
            self_trade: stays.2,
        },
    )
}
