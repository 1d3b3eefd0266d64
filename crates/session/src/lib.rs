//! The conversation of one stream, without the stream: logon, heartbeats, throttle, numbered events, resume.
//!
//! [`ServerSession`] is the gateway's half and [`ClientSession`] the SDK's. Both take bytes and times, and give back
//! bytes and decisions; neither owns a socket, a clock or a key. Times are readings of any clock that never goes back.
#![forbid(unsafe_code)]

mod backlog;
mod buffer;
mod client;
mod limits;
mod liveness;
mod logon;
mod server;
mod stamp;
mod template;
mod throttle;
mod unanswered;

pub use client::{ClientConfig, ClientOutput, ClientSession, RequestError};
pub use limits::SessionLimits;
pub use liveness::HEARTBEAT_MS_DEFAULT;
pub use logon::{LOGON_BYTES, logon_bytes};
pub use server::{Intake, Now, ServerOutput, ServerSession, Verify};
