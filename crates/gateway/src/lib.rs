//! The exchange's door: QUIC connections on one side, two rings on the other.
//!
//! [`Gateway::turn`] is one non-blocking step: it takes a batch of datagrams, turns frames into authenticated and
//! throttled commands for the core, passes events on to their sessions and market data to its subscribers, and sends.
//! Nothing here waits: while the ring to the core is full, streams are not read; who does not read is conflated (market
//! data) or dropped (events). No session can slow another.
#![forbid(unsafe_code)]

mod accounts;
mod config;
mod counts;
mod door;
mod egress;
mod floor;
mod gateway;
mod ingress;
mod streams;
mod timers;

pub use config::{CoreLink, GatewayConfig, GatewayError, GatewayLimits, ListenerConfig};
pub use gateway::Gateway;
