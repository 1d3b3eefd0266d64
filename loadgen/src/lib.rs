//! Load for a joulebook exchange, and honest numbers about it.
//!
//! The hot client is one thread that spins over one QUIC driver with many sessions. Its load is open: the schedule is
//! fixed before the run, a command is sent when it is due, and nothing waits for answers, so a slow exchange cannot
//! slow down the questions that would show it. Latency runs from the *intended* send time. The generator measures its
//! own lag, and a run in which that lag could have coloured the result says so.
#![forbid(unsafe_code)]

mod closed;
mod environment;
mod error;
mod exchange;
mod frames;
mod hlog;
mod hot;
mod keys;
mod load;
mod market;
mod mix;
mod plan;
mod recorder;
pub mod replay;
mod report;
mod stage;
mod table;
mod war;
mod wire;

pub use closed::{PeakOptions, PingPongOptions, peak, ping_pong};
pub use environment::Environment;
pub use error::BenchError;
pub use exchange::{Ack, ExchangeOptions, OwnExchange, TargetExchange, Wiring};
pub use load::{LoadFlow, LoadOptions, run as load};
pub use plan::{Arrivals, Operation};
pub use replay::{ReplayOptions, ReplayResult, run as replay_file};
pub use report::{ExchangeFacts, Latency, OperationRun, Report, Run, Verdict};
