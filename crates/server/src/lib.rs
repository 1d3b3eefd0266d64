//! The daemon as a library: configuration, identity, threads, storage, shutdown.
#![forbid(unsafe_code)]

pub mod config;
pub mod doctor;
pub mod identity;
pub mod inspect;
pub mod recovery;
pub mod snapshots;
pub mod storage;

mod clock;
mod control;
mod daemon;
mod genesis;
mod metered;
mod observer;
#[cfg(test)]
mod recorder;
mod restart;
mod shadow;
mod shortage;
mod tap;
mod wiring;

pub use control::Health;
pub use daemon::{Daemon, Info, Label, StartError, StopError, Stopped};
// What a daemon's owner meets in its interface, so that it need not depend on the crates behind it.
pub use joulebook_console::{Latency, LatencySource};
pub use joulebook_engine::Engine;
pub use joulebook_metrics::ServerMetrics;
