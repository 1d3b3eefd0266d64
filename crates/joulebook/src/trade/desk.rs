//! A session for one command, and the market that it names.

use std::collections::BTreeMap;

use clap::Args;
use joulebook_client::{Client, ClientConfig, Events, MarketData, Notice, Subscription};
use joulebook_protocol::messages::{
    AccountQuery, Basket, BlockSweep, InstrumentDefinition, RequestRejected, TokenOrder,
};
use joulebook_protocol::{Command, Event, Message, Refusal};
use joulebook_types::{InstrumentId, SessionId, Symbol, Window};

use super::print::{print_event, reason};
use crate::Failure;
use crate::connect::{Endpoint, FolderArgs, HEADING};

#[derive(Args)]
pub struct Trader {
    #[command(flatten)]
    pub folder: FolderArgs,
    /// Whose key: a name in the folder's `keys`.
    #[arg(long = "as", default_value = "alice", global = true, help_heading = HEADING)]
    who: String,
}

/// Command line orders outlive the command; bots choose otherwise.
const KEEP_ORDERS: u32 = u32::MAX;
/// The logical session of the command line, apart from those of bots with the same key.
const SESSION: SessionId = SessionId::new(1_000);

/// The market as it is now, which names what a command is about.
pub struct Listed {
    market: MarketData,
}

/// Symbols for what events call by number.
#[derive(Default)]
pub struct Names(BTreeMap<InstrumentId, Symbol>);

impl Listed {
    pub async fn open(folder: &FolderArgs) -> Result<Self, Failure> {
        let venue = folder.open()?.venue(Endpoint::Public)?;
        let (mut market, _changes) = MarketData::connect(venue, Subscription::All).await?;
        market.synced().await?;
        Ok(Self { market })
    }

    pub fn id(&self, symbol: Symbol) -> Result<InstrumentId, Failure> {
        let definition = self.market.instrument(symbol);
        let definition = definition.ok_or_else(|| {
            Failure::new(format!("{symbol} is not listed; `joulebook instruments` shows what is"))
        })?;
        Ok(definition.instrument)
    }

    pub fn names(&self) -> Names {
        self.market.read(|feed| {
            let named = feed.markets().filter_map(|(id, market)| Some((id, symbol_of(&market.definition?)?)));
            Names(named.collect())
        })
    }

    pub fn market(&self) -> &MarketData {
        &self.market
    }
}

impl Names {
    pub fn of(&self, instrument: InstrumentId) -> String {
        self.0.get(&instrument).map_or_else(|| format!("instrument {instrument}"), Symbol::to_string)
    }
}

pub fn symbol_of(definition: &InstrumentDefinition) -> Option<Symbol> {
    let window = Window::new(definition.start_minute, definition.window_minutes).ok()?;
    Some(Symbol { class: definition.class, area: definition.area, window })
}

/// Sends one request and prints what the session is told until everything that it caused has happened.
pub async fn send(trader: &Trader, names: Names, command: Command) -> Result<(), Failure> {
    let (client, mut events) = log_on(trader).await?;
    client.submit(|id| numbered(command, id)).map_err(Failure::new)?;
    let outcome = report(&client, &mut events, &names, false).await;
    client.close().await;
    outcome
}

/// Prints balances and open orders.
pub async fn show_account(trader: &Trader, names: Names) -> Result<(), Failure> {
    let (client, mut events) = log_on(trader).await?;
    let outcome = report(&client, &mut events, &names, true).await;
    client.close().await;
    outcome
}

fn numbered(mut command: Command, id: joulebook_types::ClientOrderId) -> Command {
    command.set_client_order_id(id);
    command
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
                return Err(Failure::new(Refusal::from(&event)));
            }
            Notice::Ended(error) => return Err(error.into()),
            Notice::Event { .. } | Notice::Refused(_) | Notice::Disconnected(_) | Notice::Resumed { .. } => {}
        }
    }
    Ok((client, events))
}

/// Why a request was refused; of an order over several books, in which of them.
fn refusal(event: &RequestRejected, names: &Names) -> String {
    let refusal = Refusal::from(event);
    let is_of_several =
        matches!(event.template_id, Basket::TEMPLATE_ID | BlockSweep::TEMPLATE_ID | TokenOrder::TEMPLATE_ID);
    if is_of_several && event.instrument != InstrumentId::NONE {
        return format!("{refusal} Instrument: {}.", names.of(event.instrument));
    }
    refusal.to_string()
}

/// Balances and open orders, as opposed to what happened.
const fn is_state(event: &Event) -> bool {
    matches!(event, Event::OrderStatus(_) | Event::CreditBalance(_) | Event::CapacityBalance(_))
}

/// Prints what the session is told up to the answer of a query, which stands behind everything asked before.
async fn report(
    client: &Client,
    events: &mut Events,
    names: &Names,
    with_state: bool,
) -> Result<(), Failure> {
    let query = client.submit(|id| AccountQuery { client_order_id: id }.into()).map_err(Failure::new)?;
    let mut rejected = None;
    while let Some(notice) = events.next().await {
        match notice {
            Notice::Event { event: Event::SnapshotEnd(end), .. } if end.client_order_id == query => break,
            Notice::Event { event: Event::RequestRejected(event), .. } => {
                rejected.get_or_insert(refusal(&event, names));
                if event.client_order_id == query {
                    break;
                }
            }
            Notice::Event { event, .. } if with_state || !is_state(&event) => print_event(&event, names),
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
