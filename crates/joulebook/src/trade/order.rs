//! Entering, changing and pairing orders.

use clap::{Args, ValueEnum};
use joulebook_protocol::messages::{NewOrder, OcoOrder, ReduceOrder, ReplaceOrder};
use joulebook_types::{
    InstrumentId, MicroEc, OrderId, OrderType, Price, SelfTradeMode, Side, SlotHint, Symbol, TimeInForce,
    TimeNs, Trigger,
};

use super::desk::Trader;
use crate::Failure;
use crate::span::Until;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SideArg {
    Buy,
    Sell,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TifArg {
    /// Until canceled or the gate closes. A market order: until the auction ends.
    Gtc,
    /// What does not trade at once is canceled.
    Ioc,
    /// All at once or not at all.
    Fok,
    /// Until the time that --until says.
    Gtd,
}

/// What happens when an order meets one of its own account or group.
#[derive(Clone, Copy, Default, ValueEnum)]
pub enum SelfTradeArg {
    /// What is left of the order that takes is canceled.
    #[default]
    CancelAggressor,
    /// The resting order is canceled.
    CancelResting,
    /// The resting order and what is left of the other.
    CancelBoth,
    /// Both shrink by the smaller of the two.
    Decrement,
}

#[derive(Args)]
#[command(after_help = "Examples:
  joulebook order buy H200S.DE.20261224T1400.H 4 27.00
  joulebook order buy H200S.DE.20261224T1400.H 4 --market
  joulebook order buy H200S.DE.20261224T1400.H --budget 500
  joulebook order sell H200S.DE.20261224T1400.H 40 27.00 --show 4 --until +15m
  joulebook order sell H200S.DE.20261224T1400.H 4 24.00 --stop 25.00
  joulebook order sell H200S.DE.20261224T1400.H 4 --market --trail-bps 300 --activate 30.00")]
pub struct OrderArgs {
    #[command(flatten)]
    pub trader: Trader,
    side: SideArg,
    /// Class, power zone, start in UTC and length: Q a quarter hour, H an hour, D a day.
    pub symbol: Symbol,
    /// Not with --budget.
    #[arg(required_unless_present = "budget")]
    lots: Option<u32>,
    /// EC per accelerator-hour, the worst price at which it trades. Not with --market or --budget.
    #[arg(required_unless_present_any = ["market", "budget"], allow_negative_numbers = true)]
    price: Option<Price>,
    /// Trade at any price within the band, at once; after a trigger; or, with `--tif gtc`, in the present auction.
    #[arg(long, conflicts_with = "price")]
    market: bool,
    /// Buy as many lots as these EC pay for, fees included, at once.
    #[arg(long, value_name = "EC", conflicts_with_all = ["lots", "price", "market"])]
    budget: Option<MicroEc>,
    /// How long it works: gtc, or ioc for market orders.
    #[arg(long)]
    tif: Option<TifArg>,
    /// When it ends: 20261224T1330 (UTC) or +15m. Implies `--tif gtd`.
    #[arg(long, value_name = "TIME")]
    until: Option<Until>,
    /// Refuse the order if it would trade at once.
    #[arg(long)]
    post_only: bool,
    /// Refuse the order unless this many lots trade at once.
    #[arg(long, value_name = "LOTS", default_value_t = 0, hide_default_value = true)]
    min_lots: u32,
    /// Show only this many lots at a time (iceberg).
    #[arg(long, value_name = "LOTS", default_value_t = 0, hide_default_value = true)]
    show: u32,
    /// Wait for a trade at this price or beyond (above for a buy, below for a sell); then the order acts.
    #[arg(long, value_name = "PRICE", conflicts_with_all = ["trail", "trail_bps"])]
    stop: Option<Price>,
    /// Wait for a trade this far, in EC, from the best one so far: the highest for a sell, the lowest for a buy.
    #[arg(long, value_name = "EC", conflicts_with = "trail_bps")]
    trail: Option<Price>,
    /// The same in basis points of the best price.
    #[arg(long, value_name = "BPS")]
    trail_bps: Option<u32>,
    /// Begin to trail only with a trade at this price or beyond.
    #[arg(long, value_name = "PRICE")]
    activate: Option<Price>,
    /// When it meets an order of its own group.
    #[arg(long, value_name = "MODE", default_value = "cancel-aggressor")]
    self_trade: SelfTradeArg,
}

#[derive(Args)]
#[command(after_help = "Example: joulebook replace 17 4 27.50")]
pub struct ReplaceArgs {
    #[command(flatten)]
    pub trader: Trader,
    /// As `joulebook account` shows it.
    order_id: u64,
    /// In total, what has been filled included.
    lots: u32,
    /// EC per accelerator-hour; 0 for a stop without a limit.
    price: Price,
    /// A new trigger price, for a stop that waits.
    #[arg(long, value_name = "PRICE")]
    stop: Option<Price>,
}

#[derive(Args)]
#[command(after_help = "Example: joulebook reduce 17 2")]
pub struct ReduceArgs {
    #[command(flatten)]
    pub trader: Trader,
    /// As `joulebook account` shows it.
    order_id: u64,
    /// Lots to take off.
    lots: u32,
}

#[derive(Args)]
#[command(after_help = "Example, take profit at 30 and stop the loss at 25:
  joulebook oco sell H200S.DE.20261224T1400.H 4 30.00 25.00")]
pub struct OcoArgs {
    #[command(flatten)]
    pub trader: Trader,
    side: SideArg,
    /// The instrument of both.
    pub symbol: Symbol,
    /// Of each of the two.
    lots: u32,
    /// Of the limit order, EC per accelerator-hour.
    price: Price,
    /// The other one waits for a trade at this price or beyond.
    stop: Price,
    /// The worst price of the stop once it acts; without it, a market order.
    #[arg(long, value_name = "PRICE")]
    stop_limit: Option<Price>,
    /// When both end: 20261224T1330 (UTC) or +15m.
    #[arg(long, value_name = "TIME")]
    until: Option<Until>,
    /// When one meets an order of its own group.
    #[arg(long, value_name = "MODE", default_value = "cancel-aggressor")]
    self_trade: SelfTradeArg,
}

impl SideArg {
    pub const fn raw(self) -> u8 {
        match self {
            Self::Buy => Side::Buy.raw(),
            Self::Sell => Side::Sell.raw(),
        }
    }
}

impl SelfTradeArg {
    pub const fn raw(self) -> u8 {
        match self {
            Self::CancelAggressor => SelfTradeMode::CancelAggressor,
            Self::CancelResting => SelfTradeMode::CancelResting,
            Self::CancelBoth => SelfTradeMode::CancelBoth,
            Self::Decrement => SelfTradeMode::Decrement,
        }
        .raw()
    }
}

impl OrderArgs {
    pub fn request(&self, instrument: InstrumentId) -> Result<NewOrder, Failure> {
        let (time_in_force, expires) = self.time_in_force()?;
        if self.activate.is_some() && self.trail.is_none() && self.trail_bps.is_none() {
            return Err(Failure::usage("--activate goes with --trail or --trail-bps"));
        }
        let order_type = match (self.market, self.budget) {
            (_, Some(_)) => OrderType::Budget,
            (true, None) => OrderType::Market,
            (false, None) => OrderType::Limit,
        };
        Ok(NewOrder {
            price: self.price.unwrap_or(Price::ZERO),
            instrument,
            qty: self.lots.unwrap_or(0),
            side: self.side.raw(),
            time_in_force: time_in_force.raw(),
            flags: if self.post_only { NewOrder::POST_ONLY } else { 0 },
            order_type: order_type.raw(),
            trigger: self.trigger().raw(),
            self_trade: self.self_trade.raw(),
            expires,
            budget: self.budget.unwrap_or(MicroEc::ZERO),
            trigger_price: self.stop.unwrap_or(Price::ZERO),
            trail_distance: self.trail.unwrap_or(Price::ZERO),
            activation_price: self.activate.unwrap_or(Price::ZERO),
            min_qty: self.min_lots,
            display_qty: self.show,
            trail_bps: self.trail_bps.unwrap_or(0),
            ..NewOrder::default()
        })
    }

    fn trigger(&self) -> Trigger {
        if self.stop.is_some() {
            Trigger::Stop
        } else if self.trail.is_some() || self.trail_bps.is_some() {
            Trigger::Trailing
        } else {
            Trigger::None
        }
    }

    fn time_in_force(&self) -> Result<(TimeInForce, TimeNs), Failure> {
        let is_immediate = self.budget.is_some() || self.market && self.trigger() == Trigger::None;
        let time_in_force = match (self.tif, self.until) {
            (None | Some(TifArg::Gtd), Some(until)) => return Ok((TimeInForce::Gtd, until.time())),
            (Some(TifArg::Gtd), None) => {
                return Err(Failure::usage("--tif gtd needs an end, such as --until +15m"));
            }
            (Some(_), Some(_)) => return Err(Failure::usage("--until goes with --tif gtd only")),
            (None, None) if is_immediate => TimeInForce::Ioc,
            (None | Some(TifArg::Gtc), None) => TimeInForce::Gtc,
            (Some(TifArg::Ioc), None) => TimeInForce::Ioc,
            (Some(TifArg::Fok), None) => TimeInForce::Fok,
        };
        Ok((time_in_force, TimeNs::ZERO))
    }
}

impl ReplaceArgs {
    pub fn request(&self) -> ReplaceOrder {
        ReplaceOrder {
            order_id: OrderId::new(self.order_id),
            price: self.price,
            slot: SlotHint::UNKNOWN,
            qty: self.lots,
            trigger_price: self.stop.unwrap_or(Price::ZERO),
            ..ReplaceOrder::default()
        }
    }
}

impl ReduceArgs {
    pub fn request(&self) -> ReduceOrder {
        let (order_id, slot) = (OrderId::new(self.order_id), SlotHint::UNKNOWN);
        ReduceOrder { order_id, slot, lots: self.lots, ..ReduceOrder::default() }
    }
}

impl OcoArgs {
    pub fn request(&self, instrument: InstrumentId) -> OcoOrder {
        OcoOrder {
            price: self.price,
            trigger_price: self.stop,
            stop_price: self.stop_limit.unwrap_or(Price::ZERO),
            expires: self.until.map_or(TimeNs::ZERO, Until::time),
            instrument,
            qty: self.lots,
            side: self.side.raw(),
            time_in_force: if self.until.is_some() { TimeInForce::Gtd } else { TimeInForce::Gtc }.raw(),
            self_trade: self.self_trade.raw(),
            ..OcoOrder::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        order: OrderArgs,
    }

    /// The order that this line enters, or what is said instead.
    fn typed(line: &str) -> Result<NewOrder, String> {
        let words = line.split(' ').map(|word| if word == "@" { "H200S.DE.20261224T1400.H" } else { word });
        let typed =
            Typed::try_parse_from(std::iter::once("order").chain(words)).map_err(|e| e.to_string())?;
        typed.order.request(InstrumentId::new(1)).map_err(|failure| failure.message)
    }

    #[test]
    fn lines_become_orders() {
        let limit = typed("buy @ 4 27.00").unwrap();
        assert_eq!(
            (limit.qty, limit.price.raw(), limit.time_in_force, limit.order_type),
            (4, 27_000_000, 1, 0)
        );
        let market = typed("sell @ 4 --market").unwrap();
        assert_eq!((market.side, market.order_type, market.time_in_force), (2, 1, 2));
        assert_eq!(typed("buy @ 4 --market --tif gtc").unwrap().time_in_force, 1);
        let budget = typed("buy @ --budget 500").unwrap();
        assert_eq!((budget.order_type, budget.qty, budget.budget), (2, 0, MicroEc::from_ec(500)));
        let until = typed("buy @ 4 27.00 --until 20261224T1330 --show 2 --min-lots 1").unwrap();
        assert_eq!((until.time_in_force, until.expires), (4, TimeNs::from_minutes(29_968_650)));
        assert_eq!((until.display_qty, until.min_qty), (2, 1));
        let stop = typed("sell @ 4 --market --stop 25.00").unwrap();
        assert_eq!((stop.trigger, stop.trigger_price.raw(), stop.time_in_force), (1, 25_000_000, 1));
        let trailing =
            typed("sell @ 4 24.00 --trail-bps 300 --activate 30.00 --self-trade decrement").unwrap();
        assert_eq!((trailing.trigger, trailing.trail_bps, trailing.self_trade), (2, 300, 3));
    }

    #[test]
    fn lines_that_contradict_themselves_are_refused() {
        let cases = [
            ("buy @ 4", "PRICE"),
            ("buy @", "LOTS"),
            ("buy @ 4 27.00 --market", "cannot be used with"),
            ("buy @ 4 --budget 500", "cannot be used with"),
            ("buy @ 4 27.00 --tif gtd", "--until"),
            ("buy @ 4 27.00 --tif ioc --until +1m", "--tif gtd"),
            ("buy @ 4 27.00 --stop 25 --trail 1", "cannot be used with"),
            ("buy @ 4 27.00 --activate 25", "--trail"),
            ("buy @ 4 27.00 --until soon", "+15m"),
        ];
        for (line, said) in cases {
            let error = typed(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
