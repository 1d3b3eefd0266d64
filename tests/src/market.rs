//! A small market to trade in, set up over the SDK like any operator would.

use std::time::{SystemTime, UNIX_EPOCH};

use joulebook_client::{Client, ClientConfig, Events, Folder};
use joulebook_protocol::messages::{
    DepositCredits, ListInstrument, MintCredits, NewOrder, RegisterCapacity, SetYield,
};
use joulebook_types::{
    AccountId, AreaCode, ClassCode, ClientOrderId, InstrumentId, MicroEc, ModelId, Price, SessionId, Side,
    Symbol, TimeInForce, TimeNs, Window, Yield,
};

use crate::{Daemon, PATIENCE};

/// The traders that every new exchange has.
pub const ALICE: AccountId = AccountId::new(10);
pub const BOB: AccountId = AccountId::new(11);
pub const CAROL: AccountId = AccountId::new(12);

/// Runs a test's conversation with the exchange.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// What `future` comes to.
///
/// # Panics
/// When it does not come in time.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

/// The exchange's clock.
pub fn now() -> TimeNs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    TimeNs::new(u64::try_from(since.as_nanos()).expect("a clock before 2554"))
}

/// The start of an hour at least `hours` ahead, in minutes since 1970.
pub fn ahead_minute(hours: u32) -> u32 {
    (now().minutes() / 60 + 1 + hours) * 60
}

/// A good-till-canceled limit order over some lots at a price in hundredths of a credit.
pub fn limit(instrument: InstrumentId, side: Side, lots: u32, cents: i64) -> NewOrder {
    NewOrder {
        instrument,
        side: side.raw(),
        qty: lots,
        price: Price::new(cents * 10_000),
        time_in_force: TimeInForce::Gtc.raw(),
        ..NewOrder::default()
    }
}

/// A session of the account whose key is `keys/<name>.key`. The operator goes through its own door.
pub async fn connect(
    daemon: &Daemon,
    name: &str,
    session: u32,
    change: impl FnOnce(&mut ClientConfig),
) -> (Client, Events) {
    let folder = Folder::new(&daemon.dir);
    let venue = if name == "operator" { folder.operator_venue() } else { folder.venue() };
    let mut config = ClientConfig::new(venue.expect("a venue"), folder.key(name).expect("a key"));
    config.session = SessionId::new(session);
    change(&mut config);
    Client::connect(config).await.expect("a session")
}

/// Sessions of those who set a market up.
pub struct Market {
    pub operator: Client,
    pub issuer: Client,
}

impl Market {
    /// Alice, Bob and Carol get ten million credits each.
    pub async fn open(daemon: &Daemon) -> Self {
        // A high number: tests use the low ones for sessions of their own.
        let operator = connect(daemon, "operator", 900, |_| ()).await.0;
        let issuer = connect(daemon, "issuer", 900, |_| ()).await.0;
        let amount = MicroEc::from_ec(100_000_000);
        let minted = issuer
            .request(|client_order_id| {
                MintCredits { client_order_id, amount, ..MintCredits::default() }.into()
            })
            .await;
        minted.expect("minted");
        for to in [ALICE, BOB, CAROL] {
            let amount = MicroEc::from_ec(10_000_000);
            let deposited = issuer
                .request(|client_order_id| {
                    DepositCredits { client_order_id, amount, to, ..DepositCredits::default() }.into()
                })
                .await;
            deposited.expect("deposited");
        }
        Self { operator, issuer }
    }

    /// An hour of `class` in zone DE; ticks of 0.01 EC, a band from 1 to 1,000 EC, lots of 8 accelerators.
    pub fn hour(class: &str, start_minute: u32) -> ListInstrument {
        ListInstrument {
            class: class.parse().expect("a class"),
            area: "DE".parse().expect("a zone"),
            start_minute,
            window_minutes: 60,
            accelerators_per_lot: 8,
            tick: Price::new(10_000),
            band_low: Price::new(1_000_000),
            band_high: Price::new(1_000_000_000),
            gate: TimeNs::from_minutes(start_minute),
            qty_max: 1_000_000,
            ..ListInstrument::default()
        }
    }

    pub async fn list(&self, list: ListInstrument) -> InstrumentId {
        let listed = self
            .operator
            .request(|client_order_id| ListInstrument { client_order_id, ..list }.into())
            .await
            .expect("listed");
        InstrumentId::new(u32::try_from(listed.result).expect("an instrument id"))
    }

    pub async fn set_yield(&self, class: &str, ktok_per_hour: u32) {
        let class: ClassCode = class.parse().expect("a class");
        let set = self
            .operator
            .request(|client_order_id: ClientOrderId| {
                let (model, yield_ktok) = (ModelId::new(1), Yield::new(ktok_per_hour));
                SetYield { client_order_id, class, model, yield_ktok, ..SetYield::default() }.into()
            })
            .await;
        set.expect("a yield");
    }

    /// Registers lots of the listed hour for the account of `seller`.
    pub async fn register(&self, seller: &Client, list: &ListInstrument, lots: u32) {
        let registered = seller
            .request(|client_order_id| {
                RegisterCapacity {
                    client_order_id,
                    class: list.class,
                    area: list.area,
                    start_minute: list.start_minute,
                    window_minutes: list.window_minutes,
                    accelerators: lots * u32::from(list.accelerators_per_lot),
                    ..RegisterCapacity::default()
                }
                .into()
            })
            .await;
        registered.expect("registered");
    }

    pub fn symbol(list: &ListInstrument) -> Symbol {
        let window = Window::new(list.start_minute, list.window_minutes).expect("a window");
        let area: AreaCode = list.area;
        Symbol { class: list.class, area, window }
    }
}
