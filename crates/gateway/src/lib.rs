//! The exchange's door: connections on one side, two rings on the other.
//!
//! [`Gateway::turn`] is one non-blocking step: it takes a batch of datagrams, turns frames into authenticated and
//! throttled commands for the core, passes events on to their sessions and market data to its subscribers, and sends.
//! Nothing here waits: while the ring to the core is full, streams are not read; who does not read is conflated (market
//! data) or dropped (events). No session can slow another.
//!
//! The gateway is generic over its [`Network`] and takes times and random bytes as they are given, so a simulator runs
//! the same one. The daemon's network is [`QuicNetwork`].
#![forbid(unsafe_code)]

mod accounts;
mod config;
mod counts;
mod door;
mod egress;
mod entropy;
mod floor;
mod gateway;
mod ingress;
mod network;
mod quic;
mod streams;
mod timers;

pub use config::{CoreLink, GatewayConfig, GatewayError, GatewayLimits, Listener, Listeners};
pub use entropy::{Entropy, NoEntropy, SystemEntropy};
pub use gateway::Gateway;
pub use network::{Network, NetworkEvent, NetworkTotals, ReadOutcome, WriteOutcome};
pub use quic::{ListenerConfig, QuicNetwork, SteadyClock};
