//! Random phases, bands, seeds, the orders that depend on prints (stops, links, dates, market orders that wait), and those
//! over several books.

use joulebook_protocol::Command;
use joulebook_protocol::messages::{
    Basket, BasketLeg, BlockSweep, NewOrder, OcoOrder, SetBands, SetDeadMan, SetPhase,
};
use joulebook_types::{ClientOrderId, InstrumentId, OrderType, Phase, Price, TimeInForce, TimeNs, Trigger};
use proptest::prelude::*;

/// Of any price here, in micro-EC.
const TICK: i64 = 1_000;

#[derive(Clone, Debug)]
pub enum MarketStep {
    Order { order: Plain, kind: Kind, trigger: i64 },
    Oco { order: Plain, trigger: i64, market: bool },
    Basket { order: Plain, count: u8, other_side: bool },
    Sweep { order: Plain, windows: u16, window_minutes: u16 },
    DeadMan { timeout_ms: u32 },
    Phase { instrument: u32, phase: u8, duration_ms: u32, random_ms: u32 },
    Bands { instrument: u32, low: i64, dynamic_bps: u32, velocity_ticks: i64, halt_ms: u32, auction_ms: u32 },
    Seed { seed: u64 },
}

#[derive(Clone, Copy, Debug)]
pub struct Plain {
    instrument: u32,
    side: u8,
    ticks: i64,
    lots: u32,
    self_trade: u8,
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Stop,
    MarketStop,
    Trailing,
    Iceberg,
    WaitingMarket,
    Dated,
}

pub fn market_step() -> impl Strategy<Value = MarketStep> {
    let kind = prop_oneof![
        1 => Just(Kind::Stop),
        1 => Just(Kind::MarketStop),
        1 => Just(Kind::Trailing),
        1 => Just(Kind::Iceberg),
        2 => Just(Kind::WaitingMarket),
        1 => Just(Kind::Dated),
    ];
    let trigger = 96..105i64;
    let phase = prop_oneof![8 => 2..6u8, 3 => Just(3u8), 1 => 0..9u8];
    let low = prop_oneof![4 => Just(97i64), 1 => 96..99i64];
    let dynamic_bps = prop_oneof![Just(0u32), 50..400u32];
    let halt_ms = prop_oneof![Just(0u32), 1..400u32];
    prop_oneof![
        16 => (plain(), kind, trigger.clone())
            .prop_map(|(order, kind, trigger)| MarketStep::Order { order, kind, trigger }),
        3 => (plain(), trigger, any::<bool>())
            .prop_map(|(order, trigger, market)| MarketStep::Oco { order, trigger, market }),
        3 => (plain(), 0..4u8, any::<bool>())
            .prop_map(|(order, count, other_side)| MarketStep::Basket { order, count, other_side }),
        2 => (plain(), 1..4u16, prop_oneof![3 => Just(15u16), 1 => Just(60u16)]).prop_map(
            |(order, windows, window_minutes)| MarketStep::Sweep { order, windows, window_minutes }
        ),
        1 => (0..6_000u32).prop_map(|timeout_ms| MarketStep::DeadMan { timeout_ms }),
        5 => (0..5u32, phase, 0..900u32, 0..300u32).prop_map(|(instrument, phase, duration_ms, random_ms)| {
            MarketStep::Phase { instrument, phase, duration_ms, random_ms }
        }),
        2 => (1..5u32, low, dynamic_bps, 0..4i64, halt_ms, 0..800u32).prop_map(
            |(instrument, low, dynamic_bps, velocity_ticks, halt_ms, auction_ms)| MarketStep::Bands {
                instrument, low, dynamic_bps, velocity_ticks, halt_ms, auction_ms,
            },
        ),
        1 => (0..3u64).prop_map(|seed| MarketStep::Seed { seed }),
    ]
}

fn plain() -> impl Strategy<Value = Plain> {
    (1..5u32, 1..3u8, 97..104i64, 1..6u32, 0..4u8).prop_map(|(instrument, side, ticks, lots, self_trade)| {
        Plain { instrument, side, ticks, lots, self_trade }
    })
}

impl MarketStep {
    pub fn is_the_operators(&self) -> bool {
        match self {
            Self::Order { .. } | Self::Oco { .. } | Self::Seed { .. } => false,
            Self::Basket { .. } | Self::Sweep { .. } | Self::DeadMan { .. } => false,
            Self::Phase { .. } | Self::Bands { .. } => true,
        }
    }

    /// The request of a client; a seed is the exchange's own.
    pub fn command(&self, client_order_id: ClientOrderId, now: TimeNs) -> Command {
        match *self {
            Self::Order { order, kind, trigger } => order.of_kind(client_order_id, kind, trigger, now).into(),
            Self::Oco { order, trigger, market } => order.linked(client_order_id, trigger, market).into(),
            Self::Basket { order, count, other_side } => {
                order.basket(client_order_id, count, other_side).into()
            }
            Self::Sweep { order, windows, window_minutes } => {
                order.sweep(client_order_id, windows, window_minutes).into()
            }
            Self::DeadMan { timeout_ms } => {
                SetDeadMan { client_order_id, timeout_ms, ..Default::default() }.into()
            }
            Self::Phase { instrument, phase, duration_ms, random_ms } => {
                // Now and then a time where none belongs.
                let call = phase == Phase::Auction.raw() || duration_ms.is_multiple_of(50);
                SetPhase {
                    client_order_id,
                    instrument: InstrumentId::new(instrument),
                    duration_ms: if call { duration_ms } else { 0 },
                    random_ms: if call { random_ms } else { 0 },
                    phase,
                    ..Default::default()
                }
                .into()
            }
            Self::Bands { instrument, low, dynamic_bps, velocity_ticks, halt_ms, auction_ms } => SetBands {
                client_order_id,
                band_low: Price::new(low * TICK),
                band_high: Price::new(103 * TICK),
                velocity_move: Price::new(velocity_ticks * TICK),
                instrument: InstrumentId::new(instrument),
                dynamic_bps,
                velocity_window_ms: 500,
                halt_ms,
                auction_ms,
                auction_random_ms: 50,
            }
            .into(),
            Self::Seed { .. } => unreachable!("the exchange's own"),
        }
    }
}

impl Plain {
    fn of_kind(&self, client_order_id: ClientOrderId, kind: Kind, trigger: i64, now: TimeNs) -> NewOrder {
        let limit = NewOrder {
            client_order_id,
            price: Price::new(self.ticks * TICK),
            instrument: InstrumentId::new(self.instrument),
            qty: self.lots,
            side: self.side,
            time_in_force: TimeInForce::Gtc.raw(),
            self_trade: self.self_trade,
            ..Default::default()
        };
        let market = NewOrder { order_type: OrderType::Market.raw(), price: Price::ZERO, ..limit };
        let (stop, trigger_price) = (Trigger::Stop.raw(), Price::new(trigger * TICK));
        match kind {
            Kind::Stop => NewOrder { trigger: stop, trigger_price, ..limit },
            Kind::MarketStop => NewOrder { trigger: stop, trigger_price, ..market },
            Kind::Trailing => {
                NewOrder { trigger: Trigger::Trailing.raw(), trail_distance: Price::new(2 * TICK), ..market }
            }
            Kind::Iceberg => NewOrder { display_qty: 1 + self.lots / 3, ..limit },
            Kind::WaitingMarket => market,
            Kind::Dated => {
                let expires = now.saturating_add_ms(400);
                NewOrder { time_in_force: TimeInForce::Gtd.raw(), expires, ..limit }
            }
        }
    }

    /// The same lots in consecutive instruments, the second one on the other side or not.
    fn basket(&self, client_order_id: ClientOrderId, count: u8, other_side: bool) -> Basket {
        let mut basket = Basket { client_order_id, count, self_trade: self.self_trade, ..Default::default() };
        for (index, leg) in (0..).zip(&mut basket.legs) {
            *leg = BasketLeg {
                price: Price::new(self.ticks * TICK),
                instrument: InstrumentId::new(self.instrument + index),
                qty: self.lots,
                side: if other_side && index == 1 { 3 - self.side } else { self.side },
                ..Default::default()
            };
        }
        basket
    }

    fn sweep(&self, client_order_id: ClientOrderId, windows: u16, window_minutes: u16) -> BlockSweep {
        BlockSweep {
            client_order_id,
            price: Price::new(self.ticks * TICK),
            class: "H200S".parse().unwrap(),
            area: "DE".parse().unwrap(),
            start_minute: crate::START,
            qty: self.lots,
            window_minutes,
            windows,
            side: self.side,
            self_trade: self.self_trade,
            ..Default::default()
        }
    }

    fn linked(&self, client_order_id: ClientOrderId, trigger: i64, market: bool) -> OcoOrder {
        let trigger_price = Price::new(trigger * TICK);
        OcoOrder {
            client_order_id,
            price: Price::new(self.ticks * TICK),
            trigger_price,
            stop_price: if market { Price::ZERO } else { trigger_price },
            instrument: InstrumentId::new(self.instrument),
            qty: self.lots,
            side: self.side,
            time_in_force: TimeInForce::Gtc.raw(),
            self_trade: self.self_trade,
            ..Default::default()
        }
    }
}
