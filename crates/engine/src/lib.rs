//! The deterministic middle of the exchange: commands in, events out.
//!
//! No clock, no random number, no float, no I/O, and nothing here walks a hash map: the same commands with the same
//! batch times give the same events, byte for byte. Time enters with [`Engine::begin_batch`] only.
#![forbid(unsafe_code)]

mod accounts;
mod engine;
mod events;
mod hash;
mod instruments;
mod logon;
mod open_account;
mod outbox;
mod outcomes;
mod policy;
mod publish;
mod request;
mod sessions;
mod state_hash;
mod tell;
mod timers;

pub use engine::Engine;
pub use events::{Destination, Events, Record};
