//! The SDK: a trading session and market data as async Rust, on tokio.
//!
//! [`Client`] trades in one session of one account. It reconnects and resumes by itself: requests that have no answer
//! are sent again under the same client order ids, which cannot double them, and events that were missed come again.
//! [`MarketData`] keeps books, trades and definitions up to date and needs no account.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use joulebook_client::{AccountKey, Client, ClientConfig, Folder};
//! use joulebook_protocol::messages::NewOrder;
//! use joulebook_types::{InstrumentId, Side, TimeInForce};
//!
//! let folder = Folder::find()?;
//! let (client, mut events) = Client::connect(ClientConfig::new(folder.venue()?, folder.key("alice")?)).await?;
//! let order = NewOrder {
//!     instrument: InstrumentId::new(1),
//!     side: Side::Sell.raw(),
//!     qty: 4,
//!     price: "27.00".parse()?,
//!     time_in_force: TimeInForce::Gtc.raw(),
//!     ..NewOrder::default()
//! };
//! let accepted = client.place(order).await?;
//! println!("order {} rests", accepted.order_id);
//! while let Some(notice) = events.next().await {
//!     println!("{notice:?}");
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod client;
mod clock;
mod dial;
mod error;
mod folder;
mod key;
mod line;
mod market_data;
mod several;
mod trading;
mod venue;

pub use client::{Client, ClientConfig, Events, Notice};
pub use error::{ClientError, FolderError, KeyError, Rejection, Repeat};
pub use folder::Folder;
pub use joulebook_session::RequestError;
pub use key::AccountKey;
pub use market_data::{Changes, MarketData, MarketNotice, Subscription};
pub use several::EntryOutcome;
pub use venue::{Sha256, Venue};
