//! Orders, books and balances from the command line.

use clap::{Args, Subcommand, ValueEnum};
use joulebook_client::{Client, ClientConfig, Events, MarketData, Notice, Subscription};
use joulebook_protocol::messages::{
    AccountQuery, CancelOrder, MassCancel, NewOrder, OrderFilled, RequestRejected, TokenOrder,
};
use joulebook_protocol::{CancelReason, Event, RejectReason};
use joulebook_types::{
    InstrumentId, KiloTokens, ModelId, OrderId, Price, SessionId, Side, SlotHint, Symbol, TimeInForce,
    TokenPrice,
};

use crate::Failure;
use crate::connect::{Endpoint, FolderArgs};
use crate::text::grouped;

#[derive(Subcommand)]
pub enum TradeCommand {
    /// Enter a limit order: `joulebook order buy H200S.DE.20261224T1400.H 4 27.00`.
    Order(OrderArgs),
    /// Cancel an order, or all of them with `--all`.
    Cancel(CancelArgs),
    /// Buy inference tokens wherever they are cheapest: `joulebook buy-tokens 500 1.60 SYMBOL SYMBOL`.
    BuyTokens(TokenArgs),
    /// Show the instruments.
    Instruments(FolderArgs),
    /// Show an instrument's book.
    Book(BookArgs),
    /// Show an account's balances and its open orders.
    Account(AccountArgs),
}

#[derive(Args)]
pub struct Trader {
    #[command(flatten)]
    folder: FolderArgs,
    /// Whose key: a name in the folder's `keys`.
    #[arg(long = "as", default_value = "alice", global = true)]
    who: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum SideArg {
    Buy,
    Sell,
}

#[derive(Clone, Copy, ValueEnum)]
enum TifArg {
    /// Until canceled or the gate closes.
    Gtc,
    /// What does not trade at once is canceled.
    Ioc,
    /// All at once or not at all.
    Fok,
}

#[derive(Args)]
pub struct OrderArgs {
    #[command(flatten)]
    trader: Trader,
    side: SideArg,
    symbol: Symbol,
    lots: u32,
    /// EC per accelerator-hour.
    price: Price,
    #[arg(long, default_value = "gtc")]
    tif: TifArg,
    /// Refuse the order if it would trade at once.
    #[arg(long)]
    post_only: bool,
}

#[derive(Args)]
pub struct CancelArgs {
    #[command(flatten)]
    trader: Trader,
    #[arg(required_unless_present = "all")]
    order_id: Option<u64>,
    /// Every open order of the account.
    #[arg(long, conflicts_with = "order_id")]
    all: bool,
}

#[derive(Args)]
pub struct TokenArgs {
    #[command(flatten)]
    trader: Trader,
    /// Million tokens of the reference model.
    mtok: u64,
    /// EC per million tokens, fees excluded.
    limit: TokenPrice,
    /// One zone and window, up to 16.
    #[arg(required = true)]
    symbols: Vec<Symbol>,
    #[arg(long, default_value_t = 1)]
    model: u16,
    /// All at once or not at all.
    #[arg(long)]
    fok: bool,
    /// The last lot may overshoot.
    #[arg(long)]
    overshoot: bool,
}

#[derive(Args)]
pub struct BookArgs {
    #[command(flatten)]
    folder: FolderArgs,
    symbol: Symbol,
    /// Levels of each side.
    #[arg(long, default_value_t = 10)]
    levels: usize,
}

#[derive(Args)]
pub struct AccountArgs {
    #[command(flatten)]
    trader: Trader,
}

/// Command line orders outlive the command; bots choose otherwise.
const KEEP_ORDERS: u32 = u32::MAX;
/// The logical session of the command line, apart from those of bots with the same key.
const SESSION: SessionId = SessionId::new(1_000);

pub fn run(command: TradeCommand) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            TradeCommand::Order(args) => order(args).await,
            TradeCommand::Cancel(args) => cancel(args).await,
            TradeCommand::BuyTokens(args) => buy_tokens(args).await,
            TradeCommand::Instruments(folder) => instruments(&folder).await,
            TradeCommand::Book(args) => book(args).await,
            TradeCommand::Account(args) => account(args).await,
        }
    })
}

async fn order(args: OrderArgs) -> Result<(), Failure> {
    let market = market(&args.trader.folder).await?;
    let order = NewOrder {
        price: args.price,
        instrument: instrument(&market, args.symbol)?,
        qty: args.lots,
        side: match args.side {
            SideArg::Buy => Side::Buy,
            SideArg::Sell => Side::Sell,
        }
        .raw(),
        time_in_force: match args.tif {
            TifArg::Gtc => TimeInForce::Gtc,
            TifArg::Ioc => TimeInForce::Ioc,
            TifArg::Fok => TimeInForce::Fok,
        }
        .raw(),
        flags: if args.post_only { NewOrder::POST_ONLY } else { 0 },
        ..NewOrder::default()
    };
    let (client, mut events) = log_on(&args.trader).await?;
    client.submit(|id| NewOrder { client_order_id: id, ..order }.into()).map_err(Failure::new)?;
    let outcome = report(&client, &mut events, false).await;
    client.close().await;
    outcome
}

async fn cancel(args: CancelArgs) -> Result<(), Failure> {
    let (client, mut events) = log_on(&args.trader).await?;
    match args.order_id {
        Some(order_id) => {
            let cancel = CancelOrder {
                order_id: OrderId::new(order_id),
                slot: SlotHint::UNKNOWN,
                ..CancelOrder::default()
            };
            client.submit(|id| CancelOrder { client_order_id: id, ..cancel }.into())
        }
        None => {
            let cancel = MassCancel { scope: MassCancel::SCOPE_ACCOUNT, ..MassCancel::default() };
            client.submit(|id| MassCancel { client_order_id: id, ..cancel }.into())
        }
    }
    .map_err(Failure::new)?;
    let outcome = report(&client, &mut events, false).await;
    client.close().await;
    outcome
}

async fn buy_tokens(args: TokenArgs) -> Result<(), Failure> {
    let market = market(&args.trader.folder).await?;
    let mut instruments = [InstrumentId::NONE; TokenOrder::INSTRUMENTS_MAX];
    if args.symbols.len() > instruments.len() {
        return Err(Failure::new(format!("at most {} instruments", instruments.len())));
    }
    for (slot, symbol) in instruments.iter_mut().zip(&args.symbols) {
        *slot = instrument(&market, *symbol)?;
    }
    let order = TokenOrder {
        quantity: KiloTokens::new(args.mtok.saturating_mul(1_000)),
        limit: args.limit,
        model: ModelId::new(args.model),
        time_in_force: if args.fok { TimeInForce::Fok } else { TimeInForce::Ioc }.raw(),
        flags: if args.overshoot { TokenOrder::OVERSHOOT } else { 0 },
        count: args.symbols.len() as u8,
        instruments,
        ..TokenOrder::default()
    };
    let (client, mut events) = log_on(&args.trader).await?;
    client.submit(|id| TokenOrder { client_order_id: id, ..order }.into()).map_err(Failure::new)?;
    let outcome = report(&client, &mut events, false).await;
    client.close().await;
    outcome
}

async fn account(args: AccountArgs) -> Result<(), Failure> {
    let (client, mut events) = log_on(&args.trader).await?;
    let outcome = report(&client, &mut events, true).await;
    client.close().await;
    outcome
}

async fn instruments(folder: &FolderArgs) -> Result<(), Failure> {
    let market = market(folder).await?;
    println!("{:<28} {:>6} {:>12} {:>12} {:>8} phase", "symbol", "id", "bid EC/AH", "ask EC/AH", "tick");
    market.read(|feed| {
        for (id, market) in feed.markets() {
            let Some(definition) = market.definition else { continue };
            let Some(symbol) = symbol_of(&definition) else { continue };
            let best = |side| market.book.best(side).map_or("-".into(), |level| level.price.to_string());
            let phase = joulebook_types::Phase::from_raw(definition.phase).map_or("?", |phase| phase.name());
            let (bid, ask) = (best(Side::Buy), best(Side::Sell));
            println!(
                "{:<28} {:>6} {bid:>12} {ask:>12} {:>8} {phase}",
                symbol.to_string(),
                id.raw(),
                definition.tick
            );
        }
    });
    Ok(())
}

async fn book(args: BookArgs) -> Result<(), Failure> {
    let market = market(&args.folder).await?;
    let id = instrument(&market, args.symbol)?;
    println!("{}", args.symbol);
    println!("{:>12} {:>10} {:>7}   (EC per accelerator-hour, lots, orders)", "price", "lots", "orders");
    market.read(|feed| {
        let Some(market) = feed.market(id) else { return };
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

async fn market(folder: &FolderArgs) -> Result<MarketData, Failure> {
    let venue = folder.open()?.venue(Endpoint::Public)?;
    let (mut market, _changes) = MarketData::connect(venue, Subscription::All).await?;
    market.synced().await?;
    Ok(market)
}

fn instrument(market: &MarketData, symbol: Symbol) -> Result<InstrumentId, Failure> {
    let definition = market.instrument(symbol);
    let definition = definition.ok_or_else(|| {
        Failure::new(format!("{symbol} is not listed; `joulebook instruments` shows what is"))
    })?;
    Ok(definition.instrument)
}

fn symbol_of(definition: &joulebook_protocol::messages::InstrumentDefinition) -> Option<Symbol> {
    let window = joulebook_types::Window::new(definition.start_minute, definition.window_minutes).ok()?;
    Some(Symbol { class: definition.class, area: definition.area, window })
}

async fn log_on(trader: &Trader) -> Result<(Client, Events), Failure> {
    let folder = trader.folder.open()?;
    let mut config = ClientConfig::new(folder.venue(Endpoint::Public)?, folder.key(&trader.who)?);
    config.session = SESSION;
    config.cancel_on_disconnect_ms = KEEP_ORDERS;
    // What earlier commands were told is not news to this one.
    config.last_event_seq = u64::MAX;
    let (client, mut events) = Client::connect(config).await?;
    let barrier = client.submit(|id| AccountQuery { client_order_id: id }.into()).map_err(Failure::new)?;
    while let Some(notice) = events.next().await {
        match notice {
            Notice::Event { event: Event::SnapshotEnd(end), .. } if end.client_order_id == barrier => break,
            Notice::Event { event: Event::RequestRejected(event), .. }
                if event.client_order_id == barrier =>
            {
                return Err(Failure::new(rejection(&event)));
            }
            Notice::Ended(error) => return Err(error.into()),
            Notice::Event { .. } | Notice::Refused(_) | Notice::Disconnected(_) | Notice::Resumed { .. } => {}
        }
    }
    Ok((client, events))
}

/// Balances and open orders, as opposed to what happened.
const fn is_state(event: &Event) -> bool {
    matches!(event, Event::OrderStatus(_) | Event::CreditBalance(_) | Event::CapacityBalance(_))
}

/// Prints what the session is told up to the answer of a query, which stands behind everything asked before.
async fn report(client: &Client, events: &mut Events, with_state: bool) -> Result<(), Failure> {
    let query = client.submit(|id| AccountQuery { client_order_id: id }.into()).map_err(Failure::new)?;
    let mut rejected = None;
    while let Some(notice) = events.next().await {
        match notice {
            Notice::Event { event: Event::SnapshotEnd(end), .. } if end.client_order_id == query => break,
            Notice::Event { event: Event::RequestRejected(event), .. } => {
                rejected.get_or_insert(rejection(&event));
                if event.client_order_id == query {
                    break;
                }
            }
            Notice::Event { event, .. } if with_state || !is_state(&event) => print_event(&event),
            Notice::Event { .. } => {}
            Notice::Refused(refused) => {
                rejected.get_or_insert(reason(refused.reason));
                if refused.client_order_id == query {
                    break;
                }
            }
            Notice::Ended(error) => return Err(error.into()),
            Notice::Disconnected(_) | Notice::Resumed { .. } => {}
        }
    }
    rejected.map_or(Ok(()), |text| Err(Failure::new(text)))
}

fn print_event(event: &Event) {
    match event {
        Event::OrderAccepted(accepted) => println!("accepted  order {}", accepted.order_id),
        Event::OrderFilled(fill) => print_fill(fill),
        Event::OrderCanceled(canceled) => {
            let reason = CancelReason::from_raw(canceled.reason).map_or("?", CancelReason::name);
            println!("canceled  order {}, {} lots ({reason})", canceled.order_id, canceled.canceled_qty);
        }
        Event::OrderReplaced(replaced) => {
            println!("replaced  order {}: {} lots at {}", replaced.order_id, replaced.qty, replaced.price);
        }
        Event::MassCancelDone(done) => println!("canceled  {} orders", done.canceled_orders),
        Event::TokenOrderDone(done) => println!(
            "tokens    {} ktok for {} EC and {} EC fees, {} EC/Mtok on average, {} fills",
            grouped(done.filled_ktok_minutes / 60),
            done.notional,
            done.fees,
            done.average_price,
            done.fills
        ),
        Event::OrderStatus(status) => {
            let side = Side::from_raw(status.side).map_or("?", Side::name);
            let (leaves, price, id) = (status.leaves_qty, status.price, status.order_id);
            println!("open      order {id}: {side} {leaves} of {} lots at {price}", status.qty);
        }
        Event::CreditBalance(credits) => {
            println!(
                "credits   {} EC free, {} held, {} in escrow",
                credits.free, credits.held, credits.escrow
            );
        }
        Event::CapacityBalance(capacity) => println!(
            "capacity  {}.{} {}: {} accelerators free, {} held, {} registered, {} EC in escrow",
            capacity.class,
            capacity.area,
            capacity.slot,
            capacity.free,
            capacity.held,
            capacity.registered,
            capacity.escrow
        ),
        Event::RequestDone(_)
        | Event::RequestRepeated(_)
        | Event::RequestRejected(_)
        | Event::OrderTriggered(_)
        | Event::LegDone(_)
        | Event::SweepDone(_)
        | Event::MassQuoteAck(_)
        | Event::QuoteRejected(_)
        | Event::ProtectionTriggered(_)
        | Event::SnapshotEnd(_) => {}
    }
}

fn print_fill(fill: &OrderFilled) {
    let side = Side::from_raw(fill.side).map_or("?", Side::name);
    let (qty, price, order) = (fill.qty, fill.price, fill.order_id);
    println!(
        "filled    order {order}: {side} {qty} lots at {price}, fee {} EC, trade {}",
        fill.fee, fill.trade_id
    );
}

fn rejection(event: &RequestRejected) -> String {
    let text = reason(event.reason);
    if event.limit == 0 && event.value == 0 {
        return text;
    }
    format!("{text} Limit {}, value {}.", event.limit, event.value)
}

fn reason(code: u16) -> String {
    match RejectReason::from_raw(code) {
        Some(reason) => format!("{}: {}", reason.name(), reason.explanation().trim().replace('\n', " ")),
        None => format!("refused with code {code}"),
    }
}
