//! Orders, books and balances from the command line.

mod cancel;
mod desk;
mod linked;
mod order;
mod print;
mod quote;
mod show;

use clap::{Args, Subcommand};
use joulebook_types::InstrumentId;

use crate::Failure;
use crate::connect::FolderArgs;
pub use desk::Listed;
use desk::{Names, Trader, send, show_account};

#[derive(Subcommand)]
pub enum TradeCommand {
    /// Enter an order: `joulebook order buy H200S.DE.20261224T1400.H 4 27.00`.
    Order(order::OrderArgs),
    /// Change price and size of an order: `joulebook replace 17 4 27.50`.
    Replace(order::ReplaceArgs),
    /// Take lots off an order, which keeps its place: `joulebook reduce 17 2`.
    Reduce(order::ReduceArgs),
    /// Enter a limit order and a stop, of which one cancels the other.
    Oco(order::OcoArgs),
    /// Cancel an order, or all that match: `joulebook cancel --all --side sell`.
    Cancel(cancel::CancelArgs),
    /// Buy inference tokens wherever they are cheapest: `joulebook buy-tokens 500 1.60 SYMBOL`.
    BuyTokens(linked::TokenArgs),
    /// Trade several instruments, all or nothing: `joulebook basket buy:SYMBOL:4:26.00`.
    Basket(linked::BasketArgs),
    /// Trade consecutive windows, all or nothing: `joulebook sweep buy SYMBOL 4 2 27.00`.
    Sweep(linked::SweepArgs),
    /// Quote both sides of instruments: `joulebook quote SYMBOL:4@26.90/4@27.10`.
    Quote(quote::QuoteArgs),
    /// Limit what may hit quotes: `joulebook protect H200S --within 1s --fills 10`.
    Protect(quote::ProtectArgs),
    /// Cancel everything and take no new orders of the account: `joulebook kill`.
    Kill(cancel::KillArgs),
    /// Take orders again: `joulebook enable`.
    Enable(cancel::EnableArgs),
    /// Cancel the command line's orders unless repeated in time: `joulebook dead-man 30s`.
    DeadMan(cancel::DeadManArgs),
    /// Show the instruments, their phases and what auctions would trade.
    Instruments(FolderArgs),
    /// Show an instrument's book: `joulebook book H200S.DE.20261224T1400.H`.
    Book(show::BookArgs),
    /// Show an account's balances and its open orders: `joulebook account --as bob`.
    Account(AccountArgs),
}

#[derive(Args)]
pub struct AccountArgs {
    #[command(flatten)]
    trader: Trader,
}

pub fn run(command: TradeCommand) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            TradeCommand::Order(args) => {
                let listed = Listed::open(&args.trader.folder).await?;
                let order = args.request(listed.id(args.symbol)?)?;
                send(&args.trader, listed.names(), order.into()).await
            }
            TradeCommand::Replace(args) => send(&args.trader, Names::default(), args.request().into()).await,
            TradeCommand::Reduce(args) => send(&args.trader, Names::default(), args.request().into()).await,
            TradeCommand::Oco(args) => {
                let listed = Listed::open(&args.trader.folder).await?;
                let order = args.request(listed.id(args.symbol)?);
                send(&args.trader, listed.names(), order.into()).await
            }
            TradeCommand::Cancel(args) => {
                let symbol = match args.symbol {
                    Some(symbol) => Listed::open(&args.trader.folder).await?.id(symbol)?,
                    None => InstrumentId::NONE,
                };
                send(&args.trader, Names::default(), args.request(symbol)).await
            }
            TradeCommand::BuyTokens(args) => {
                let listed = Listed::open(&args.trader.folder).await?;
                send(&args.trader, listed.names(), args.request(&listed)?.into()).await
            }
            TradeCommand::Basket(args) => {
                let listed = Listed::open(&args.trader.folder).await?;
                send(&args.trader, listed.names(), args.request(&listed)?.into()).await
            }
            TradeCommand::Sweep(args) => {
                let names = Listed::open(&args.trader.folder).await?.names();
                send(&args.trader, names, args.request().into()).await
            }
            TradeCommand::Quote(args) => {
                let listed = Listed::open(&args.trader.folder).await?;
                send(&args.trader, listed.names(), args.request(&listed)?.into()).await
            }
            TradeCommand::Protect(args) => send(&args.trader, Names::default(), args.request()).await,
            TradeCommand::Kill(args) => send(&args.trader, Names::default(), args.request().into()).await,
            TradeCommand::Enable(args) => send(&args.trader, Names::default(), args.request().into()).await,
            TradeCommand::DeadMan(args) => send(&args.trader, Names::default(), args.request().into()).await,
            TradeCommand::Instruments(folder) => show::instruments(&folder).await,
            TradeCommand::Book(args) => show::book(&args).await,
            TradeCommand::Account(args) => {
                let names = Listed::open(&args.trader.folder).await?.names();
                show_account(&args.trader, names).await
            }
        }
    })
}
