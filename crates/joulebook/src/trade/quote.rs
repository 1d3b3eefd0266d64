//! Quotes of market makers, and what protects them.

use std::str::FromStr;

use clap::Args;
use joulebook_protocol::Command;
use joulebook_protocol::messages::{MassQuote, QuotePair, ResetProtection, SetProtection};
use joulebook_types::{ClassCode, MicroEc, Price, Symbol};

use super::desk::{Listed, Trader};
use super::order::SelfTradeArg;
use crate::Failure;
use crate::span::Span;

#[derive(Args)]
#[command(after_help = "Examples; `-` takes a side out, quotes that are not named stay as they are:
  joulebook quote H200S.DE.20261224T1400.H:4@26.90/4@27.10 --as carol
  joulebook quote H200S.DE.20261224T1400.H:-/4@27.20 H200S.DE.20261224T1500.H:-/- --as carol")]
pub struct QuoteArgs {
    #[command(flatten)]
    pub trader: Trader,
    /// SYMBOL:LOTS@BID/LOTS@ASK, up to 64; prices in EC per accelerator-hour.
    #[arg(required = true, value_name = "QUOTE")]
    pairs: Vec<PairArg>,
    /// Refuse pairs of which a side would trade at once.
    #[arg(long)]
    post_only: bool,
    /// When a quote meets an order of its own group.
    #[arg(long, value_name = "MODE", default_value = "cancel-aggressor")]
    self_trade: SelfTradeArg,
}

#[derive(Args)]
#[command(after_help = "Examples:
  joulebook protect H200S --within 1s --fills 10 --lots 40 --as carol
  joulebook protect H200S --reset --as carol
  joulebook protect H200S --off --as carol")]
pub struct ProtectArgs {
    #[command(flatten)]
    pub trader: Trader,
    /// Of accelerators, such as H200S.
    class: ClassCode,
    /// What is counted: the fills of quotes within this time, up to 60s.
    #[arg(long, value_name = "TIME", required_unless_present_any = ["reset", "off"])]
    within: Option<Span>,
    /// Pull all quotes of the class at this many fills.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    fills: u32,
    /// ... or at this many lots; 0 is no limit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    lots: u64,
    /// ... or at these EC; 0 is no limit.
    #[arg(long, value_name = "EC", default_value = "0")]
    credits: MicroEc,
    /// Let quotes in again after they were pulled.
    #[arg(long, conflicts_with_all = ["within", "off"])]
    reset: bool,
    /// Remove the protection.
    #[arg(long, conflicts_with = "within")]
    off: bool,
}

/// `H200S.DE.20261224T1400.H:4@26.90/4@27.10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PairArg {
    symbol: Symbol,
    bid: Option<(u32, Price)>,
    ask: Option<(u32, Price)>,
}

impl FromStr for PairArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || format!("`{text}` is no quote such as H200S.DE.20261224T1400.H:4@26.90/4@27.10");
        let (symbol, sides) = text.split_once(':').ok_or_else(shape)?;
        let (bid, ask) = sides.split_once('/').ok_or_else(shape)?;
        let side = |text: &str| -> Result<Option<(u32, Price)>, String> {
            if text == "-" {
                return Ok(None);
            }
            let (lots, price) = text.split_once('@').ok_or_else(shape)?;
            let lots = lots.parse().map_err(|error| format!("{}: lots: {error}", shape()))?;
            let price = price.parse().map_err(|error| format!("{}: price: {error}", shape()))?;
            Ok(Some((lots, price)))
        };
        let symbol = symbol.parse().map_err(|error| format!("{}: {error}", shape()))?;
        Ok(Self { symbol, bid: side(bid)?, ask: side(ask)? })
    }
}

impl QuoteArgs {
    pub fn request(&self, listed: &Listed) -> Result<MassQuote, Failure> {
        if self.pairs.len() > MassQuote::PAIRS_MAX {
            return Err(Failure::new(format!("at most {} quotes", MassQuote::PAIRS_MAX)));
        }
        let flags = if self.post_only { MassQuote::POST_ONLY } else { 0 };
        let (count, self_trade) = (self.pairs.len() as u8, self.self_trade.raw());
        let mut quote = MassQuote { count, flags, self_trade, ..MassQuote::default() };
        for (slot, pair) in quote.pairs.iter_mut().zip(&self.pairs) {
            let (bid_qty, bid) = pair.bid.unwrap_or((0, Price::ZERO));
            let (ask_qty, ask) = pair.ask.unwrap_or((0, Price::ZERO));
            *slot =
                QuotePair { bid, ask, instrument: listed.id(pair.symbol)?, bid_qty, ask_qty, reserved: 0 };
        }
        Ok(quote)
    }
}

impl ProtectArgs {
    pub fn request(&self) -> Command {
        let class = self.class;
        if self.reset {
            return ResetProtection { class, ..ResetProtection::default() }.into();
        }
        SetProtection {
            class,
            credits_max: self.credits,
            lots_max: self.lots,
            window_ms: if self.off { 0 } else { self.within.map_or(0, |span| span.0) },
            fills_max: self.fills,
            ..SetProtection::default()
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_have_two_sides() {
        let pair: PairArg = "H200S.DE.20261224T1400.H:4@26.90/5@27.10".parse().unwrap();
        let want = (Some((4, Price::new(26_900_000))), Some((5, Price::new(27_100_000))));
        assert_eq!((pair.bid, pair.ask), want);
        let pair: PairArg = "H200S.DE.20261224T1400.H:-/5@27.10".parse().unwrap();
        assert_eq!((pair.bid, pair.ask), (None, want.1));
        for wrong in [
            "H200S.DE.20261224T1400.H",
            "H200S.DE.20261224T1400.H:4@26.90",
            "H200S:4@26.90/-",
            "H200S.DE.20261224T1400.H:4/-",
            "H200S.DE.20261224T1400.H:x@1/-",
        ] {
            assert!(wrong.parse::<PairArg>().unwrap_err().contains("no quote such as"), "{wrong}");
        }
    }
}
