//! The daemon's HTTP side: the dashboard and its WebSocket, `/metrics`, `/healthz`, `/readyz` and read-only JSON.
//!
//! [`ConsoleState`] is fed by the daemon and read by the handlers; [`Console`] serves it on one thread of its own. Nothing
//! here can change the exchange: every route is GET, and the WebSocket only takes which book to show.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod assets;
mod frame;
mod health;
mod history;
mod latency;
mod listener;
mod market;
mod openmetrics;
mod routes;
mod server;
mod socket;
mod sold;
mod state;
mod vendor;

pub use health::{Check, Health};
pub use latency::{Latency, LatencySource};
pub use server::Console;
pub use state::{AckMode, ConsoleState, RunInfo, Wiring};
pub use vendor::Vendor;
