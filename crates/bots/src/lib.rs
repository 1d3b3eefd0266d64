//! Agents on the wire: every bot is a session of its own, and all look at one market.
//!
//! [`Stage`] opens the accounts, windows and yields of a price war and logs everybody on; [`Stage::start`] lets them trade
//! and gives back a [`Fleet`], which knows latencies, counts and the facts of the war.
#![forbid(unsafe_code)]

mod bot;
mod clock;
mod fleet;
mod observer;
mod stage;
mod tally;

pub use clock::FleetClock;
pub use fleet::{Fleet, FleetReport};
pub use observer::WarView;
pub use stage::{Performer, Stage, StageError};
pub use tally::{Counts, Latencies};
