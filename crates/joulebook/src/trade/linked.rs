//! Orders over several books at once: tokens, baskets, sweeps.

use std::str::FromStr;

use clap::Args;
use joulebook_protocol::messages::{Basket, BasketLeg, BlockSweep, TokenOrder};
use joulebook_types::{InstrumentId, KiloTokens, ModelId, Price, Side, Symbol, TimeInForce, TokenPrice};

use super::desk::{Listed, Trader};
use super::order::{SelfTradeArg, SideArg};
use crate::Failure;

#[derive(Args)]
#[command(after_help = "Example, 500 million tokens at up to 1.60 EC per million:
  joulebook buy-tokens 500 1.60 H200S.DE.20261224T1400.H TPU6E.DE.20261224T1400.H")]
pub struct TokenArgs {
    #[command(flatten)]
    pub trader: Trader,
    /// Million tokens of the reference model.
    mtok: u64,
    /// EC per million tokens, fees excluded.
    limit: TokenPrice,
    /// One zone and window, up to 16.
    #[arg(required = true)]
    symbols: Vec<Symbol>,
    /// The reference model whose yields count, by number.
    #[arg(long, default_value_t = 1)]
    model: u16,
    /// All at once or not at all.
    #[arg(long)]
    fok: bool,
    /// The last lot may overshoot.
    #[arg(long)]
    overshoot: bool,
    /// When it meets an order of its own group; not decrement.
    #[arg(long, value_name = "MODE", default_value = "cancel-aggressor")]
    self_trade: SelfTradeArg,
}

#[derive(Args)]
#[command(after_help = "Example, sell an hour and buy the next one, both or neither:
  joulebook basket sell:H200S.DE.20261224T1400.H:4:27.00 buy:H200S.DE.20261224T1500.H:4:26.00")]
pub struct BasketArgs {
    #[command(flatten)]
    pub trader: Trader,
    /// SIDE:SYMBOL:LOTS:PRICE, up to 16; prices in EC per accelerator-hour.
    #[arg(required = true, value_name = "LEG")]
    legs: Vec<LegArg>,
    /// When it meets an order of its own group; not decrement.
    #[arg(long, value_name = "MODE", default_value = "cancel-aggressor")]
    self_trade: SelfTradeArg,
}

#[derive(Args)]
#[command(after_help = "Example, 2 lots in each of four hours from 14:00 on, at 27.00 on average or better:
  joulebook sweep buy H200S.DE.20261224T1400.H 4 2 27.00")]
pub struct SweepArgs {
    #[command(flatten)]
    pub trader: Trader,
    side: SideArg,
    /// The first window.
    first: Symbol,
    /// How many windows of that length, one after another: 2 to 96.
    windows: u16,
    /// In each window.
    lots: u32,
    /// The worst average over all windows, EC per accelerator-hour.
    price: Price,
    /// When it meets an order of its own group; not decrement.
    #[arg(long, value_name = "MODE", default_value = "cancel-aggressor")]
    self_trade: SelfTradeArg,
}

/// `sell:H200S.DE.20261224T1400.H:4:27.00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LegArg {
    side: Side,
    symbol: Symbol,
    lots: u32,
    price: Price,
}

impl FromStr for LegArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || format!("`{text}` is no leg such as buy:H200S.DE.20261224T1400.H:4:27.00");
        let mut parts = text.split(':');
        let mut part = || parts.next().ok_or_else(shape);
        let side = match part()? {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            _ => return Err(shape()),
        };
        let symbol = part()?.parse().map_err(|error| format!("{}: {error}", shape()))?;
        let lots = part()?.parse().map_err(|error| format!("{}: lots: {error}", shape()))?;
        let price = part()?.parse().map_err(|error| format!("{}: price: {error}", shape()))?;
        if parts.next().is_some() { Err(shape()) } else { Ok(Self { side, symbol, lots, price }) }
    }
}

impl TokenArgs {
    pub fn request(&self, listed: &Listed) -> Result<TokenOrder, Failure> {
        let mut instruments = [InstrumentId::NONE; TokenOrder::INSTRUMENTS_MAX];
        if self.symbols.len() > instruments.len() {
            return Err(Failure::new(format!("at most {} instruments", instruments.len())));
        }
        for (slot, symbol) in instruments.iter_mut().zip(&self.symbols) {
            *slot = listed.id(*symbol)?;
        }
        Ok(TokenOrder {
            quantity: KiloTokens::new(self.mtok.saturating_mul(1_000)),
            limit: self.limit,
            model: ModelId::new(self.model),
            time_in_force: if self.fok { TimeInForce::Fok } else { TimeInForce::Ioc }.raw(),
            flags: if self.overshoot { TokenOrder::OVERSHOOT } else { 0 },
            count: self.symbols.len() as u8,
            self_trade: self.self_trade.raw(),
            instruments,
            ..TokenOrder::default()
        })
    }
}

impl BasketArgs {
    pub fn request(&self, listed: &Listed) -> Result<Basket, Failure> {
        if self.legs.len() > Basket::LEGS_MAX {
            return Err(Failure::new(format!("at most {} legs", Basket::LEGS_MAX)));
        }
        let (count, self_trade) = (self.legs.len() as u8, self.self_trade.raw());
        let mut basket = Basket { count, self_trade, ..Basket::default() };
        for (slot, LegArg { side, symbol, lots, price }) in basket.legs.iter_mut().zip(&self.legs) {
            let (instrument, side) = (listed.id(*symbol)?, side.raw());
            *slot = BasketLeg { price: *price, instrument, qty: *lots, side, ..BasketLeg::default() };
        }
        Ok(basket)
    }
}

impl SweepArgs {
    pub fn request(&self) -> BlockSweep {
        BlockSweep {
            price: self.price,
            class: self.first.class,
            area: self.first.area,
            start_minute: self.first.window.start_minute(),
            qty: self.lots,
            window_minutes: self.first.window.minutes(),
            windows: self.windows,
            side: self.side.raw(),
            self_trade: self.self_trade.raw(),
            ..BlockSweep::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_have_four_parts() {
        let leg: LegArg = "sell:H200S.DE.20261224T1400.H:4:27.00".parse().unwrap();
        assert_eq!((leg.side, leg.lots, leg.price), (Side::Sell, 4, Price::new(27_000_000)));
        for wrong in [
            "",
            "hold:H200S.DE.20261224T1400.H:4:27.00",
            "sell:H200S:4:27.00",
            "sell:H200S.DE.20261224T1400.H:x:27.00",
            "sell:H200S.DE.20261224T1400.H:4",
            "sell:H200S.DE.20261224T1400.H:4:27.00:9",
        ] {
            assert!(wrong.parse::<LegArg>().unwrap_err().contains("no leg such as"), "{wrong}");
        }
    }
}
