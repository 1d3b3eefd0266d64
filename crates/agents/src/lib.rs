//! Trading strategies without I/O: market data and fills in, orders out.
//!
//! An [`Agent`] owns no socket and reads no clock. Its shell hands it events, market data and the time, and sends what
//! it put into [`Actions`]; so the same seller runs over QUIC against the real exchange and, thousands of times faster,
//! inside a simulation. Two runs with one seed draw the same demand.
#![forbid(unsafe_code)]

mod actions;
mod buyer;
mod maker;
mod market;
pub mod outcome;
pub mod price_war;
mod pricing;
mod quote;
mod random;
mod seller;
mod table;

use joulebook_protocol::Event;
use joulebook_protocol::messages::RequestRefused;
use joulebook_types::{InstrumentId, TimeNs};

pub use actions::{Actions, Request};
pub use buyer::{Buyer, BuyerConfig};
pub use maker::{Maker, MakerConfig};
pub use market::MarketView;
pub use pricing::{Ask, Reprice, ceil_to_tick, floor_to_tick};
pub use quote::{Change, QuoteBoard, QuoteIx, Resting, Target};
pub use random::Random;
pub use seller::{Seller, SellerConfig};

/// A strategy that trades in one session.
pub trait Agent: Send {
    /// A numbered event or an answer of the agent's session. Several agents may share a session: ignore what you did
    /// not ask for.
    fn on_event(&mut self, event: &Event, now: TimeNs, actions: &mut Actions);

    /// The gateway refused a request; nothing happened on the exchange.
    fn on_refused(&mut self, refused: &RequestRefused, now: TimeNs, actions: &mut Actions);

    /// Book, definition or phase of `changed` is new. Called often: note it, and act when the deadline comes.
    fn on_market(&mut self, changed: InstrumentId, market: &dyn MarketView, now: TimeNs);

    /// The deadline has come. Requests carry the time at which they were *due*, however late the call is.
    fn on_timer(&mut self, market: &dyn MarketView, now: TimeNs, actions: &mut Actions);

    /// When to call [`Agent::on_timer`], if ever.
    fn deadline(&self) -> Option<TimeNs>;
}
