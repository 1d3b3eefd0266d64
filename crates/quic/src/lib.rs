//! One thread, one UDP socket, many QUIC connections, no runtime.
//!
//! [`Driver`] feeds datagrams to `quinn-proto`, hands out events, and sends what the connections
//! want to send. It never blocks and never sleeps: the thread that owns it decides when to spin and
//! when to park. The gateway uses the server half, the load generator the client half; neither
//! knows more of UDP, GSO or ECN than what stands here, and nothing here knows what the bytes mean.
//!
//! A turn of the owner's loop:
//!
//! ```text
//! driver.receive(now);
//! while let Some(event) = driver.next_event() { /* read, decide, write */ }
//! driver.transmit(now);
//! if idle && !driver.has_work() { poll(driver.fd(), until driver.next_timeout()) }
//! ```
#![forbid(unsafe_code)]

mod admission;
mod config;
mod connections;
mod driver;
mod event;
mod hub;
mod inbox;
mod socket;
mod timers;
pub mod tls;
pub mod transport;

pub use config::{DriverConfig, QuicError, ResetKey};
pub use connections::ConnKey;
pub use driver::{ConnectionStats, Driver, DriverStats};
pub use event::{CloseReason, Event, ReadOutcome, WriteOutcome};
pub use quinn_proto::{ClientConfig, ServerConfig, StreamId, TransportConfig};
