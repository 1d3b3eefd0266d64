//! The market and its books as tables.

use clap::Args;
use joulebook_feed::Market;
use joulebook_types::{Phase, Side, Symbol};

use super::desk::{Listed, symbol_of};
use crate::Failure;
use crate::connect::FolderArgs;
use crate::text::{counted, grouped};

#[derive(Args)]
#[command(after_help = "Example: joulebook book H200S.DE.20261224T1400.H --levels 5")]
pub struct BookArgs {
    #[command(flatten)]
    folder: FolderArgs,
    symbol: Symbol,
    /// Levels of each side.
    #[arg(long, default_value_t = 10)]
    levels: usize,
}

pub async fn instruments(folder: &FolderArgs) -> Result<(), Failure> {
    let listed = Listed::open(folder).await?;
    println!("{:<28} {:>6} {:>12} {:>12} {:>8} phase", "symbol", "id", "bid EC/AH", "ask EC/AH", "tick");
    listed.market().read(|feed| {
        for (id, market) in feed.markets() {
            let Some(definition) = market.definition else { continue };
            let Some(symbol) = symbol_of(&definition) else { continue };
            let best = |side| market.book.best(side).map_or("-".into(), |level| level.price.to_string());
            let (bid, ask) = (best(Side::Buy), best(Side::Sell));
            println!(
                "{:<28} {:>6} {bid:>12} {ask:>12} {:>8} {}",
                symbol.to_string(),
                id.raw(),
                definition.tick,
                phase(market)
            );
        }
    });
    Ok(())
}

pub async fn book(args: &BookArgs) -> Result<(), Failure> {
    let listed = Listed::open(&args.folder).await?;
    let id = listed.id(args.symbol)?;
    listed.market().read(|feed| {
        let Some(market) = feed.market(id) else { return };
        println!("{}   {}", args.symbol, phase(market));
        println!("{:>12} {:>10} {:>7}   (EC per accelerator-hour, lots, orders)", "price", "lots", "orders");
        let asks: Vec<_> = market.book.levels(Side::Sell).take(args.levels).collect();
        for level in asks.iter().rev() {
            println!("{:>12} {:>10} {:>7}   ask", level.price, grouped(level.qty), level.orders);
        }
        for level in market.book.levels(Side::Buy).take(args.levels) {
            println!("{:>12} {:>10} {:>7}   bid", level.price, grouped(level.qty), level.orders);
        }
    });
    Ok(())
}

/// The phase, and what an auction would trade now.
fn phase(market: &Market) -> String {
    let name = market.phase().map_or("?", Phase::name);
    let Some(indication) = market.indication.filter(|_| market.phase() == Some(Phase::Auction)) else {
        return name.to_owned();
    };
    if indication.volume == 0 {
        return format!("{name}: nothing would trade");
    }
    let surplus = match indication.surplus {
        0 => String::new(),
        lots if lots > 0 => format!(", {} more to buy", grouped(lots.unsigned_abs())),
        lots => format!(", {} more to sell", grouped(lots.unsigned_abs())),
    };
    format!("{name}: {} would trade at {}{surplus}", counted(indication.volume, "lot"), indication.price)
}

#[cfg(test)]
mod tests {
    use super::*;
    use joulebook_protocol::messages::{FeedIndication, InstrumentDefinition};
    use joulebook_types::Price;

    #[test]
    fn an_auction_says_what_it_would_trade() {
        let phase_of = |kind: Phase, volume, surplus| {
            let definition = InstrumentDefinition { phase: kind.raw(), ..InstrumentDefinition::default() };
            let price = Price::new(27_000_000);
            let indication = FeedIndication { price, volume, surplus, ..FeedIndication::default() };
            let mut market = Market::default();
            (market.definition, market.indication) = (Some(definition), Some(indication));
            phase(&market)
        };
        assert_eq!(phase_of(Phase::Open, 4, 0), "open");
        assert_eq!(phase_of(Phase::Auction, 0, 0), "auction: nothing would trade");
        assert_eq!(phase_of(Phase::Auction, 4, 0), "auction: 4 lots would trade at 27.00");
        assert_eq!(phase_of(Phase::Auction, 4, -3), "auction: 4 lots would trade at 27.00, 3 more to sell");
    }
}
