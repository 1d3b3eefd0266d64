use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use joulebook_protocol::{CloseReason, FrameError, RejectReason};
use joulebook_quic::QuicError;

/// Why a run has no result. A result that is bad is a report with a verdict, not an error.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("{0}")]
    Options(String),
    #[error("cannot {what} {path}: {error}", path = .path.display())]
    File { what: &'static str, path: PathBuf, error: io::Error },
    #[error("{path}: {what}", path = .path.display())]
    Content { path: PathBuf, what: String },
    #[error("cannot start the exchange ({program}): {what}", program = .program.display())]
    Spawn { program: PathBuf, what: String },
    #[error("the exchange did not stop cleanly: {0}")]
    Stop(String),
    #[error("QUIC: {0}")]
    Quic(#[from] QuicError),
    #[error("no connection to {address}: {reason}")]
    Connect { address: SocketAddr, reason: String },
    #[error("account {account} cannot log on: {reason}")]
    Logon { account: u32, reason: String },
    #[error("the connection of session {session} ended: {reason}")]
    Closed { session: usize, reason: String },
    #[error("the exchange ended session {session}: {reason}")]
    Terminated { session: usize, reason: CloseReason },
    #[error("session {session} received bytes that are no frames: {error}")]
    Frame { session: usize, error: FrameError },
    #[error("{what} was refused: {reason} (limit {limit}, value {value})")]
    Refused { what: &'static str, reason: RejectReason, limit: i64, value: i64 },
    #[error("no answer within {seconds} s: {what}")]
    Timeout { what: String, seconds: u64 },
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("replay, event {event}: {what}")]
    Replay { event: usize, what: String },
}

impl BenchError {
    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { what, path, error }
    }

    pub(crate) fn content(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Content { path: path.into(), what: what.into() }
    }
}
