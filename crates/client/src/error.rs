use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use joulebook_protocol::messages::{RequestRefused, RequestRejected};
use joulebook_protocol::{CloseReason, Refusal, RejectReason};
use joulebook_session::RequestError;
use joulebook_types::{AccountId, ClientOrderId, OrderId, SessionId};

use crate::Sha256;

/// Why there is no session. Each says what to look at first.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "no reply from udp {addr} within {after:?}: is the exchange running there, and does a firewall pass UDP?"
    )]
    UdpNoReply { addr: SocketAddr, after: Duration },
    #[error("{addr} does not speak {ours}: another service, or an exchange of another version")]
    AlpnMismatch { addr: SocketAddr, ours: String },
    #[error(
        "{addr} showed a certificate (sha256 {got}) that the trusted one (sha256 {trusted}) does not vouch for: {why}"
    )]
    CertUntrusted { addr: SocketAddr, got: Sha256, trusted: Sha256, why: String },
    #[error("{addr} takes no more connections now")]
    Refused { addr: SocketAddr },
    #[error("the exchange does not know account {account}, or its key is another one")]
    BadKey { account: AccountId },
    #[error("the exchange refused the logon of account {account}, session {session}: {reason}")]
    LogonRejected { account: AccountId, session: SessionId, reason: RejectReason },
    #[error("{addr} accepted the connection but did not answer the logon within {after:?}")]
    LogonTimeout { addr: SocketAddr, after: Duration },
    #[error("the exchange ended the session: {reason}")]
    Closed { reason: CloseReason },
    #[error("the connection to {addr} failed: {what}")]
    Connection { addr: SocketAddr, what: String },
    #[error("the configuration is not usable: {0}")]
    Config(String),
}

impl ClientError {
    /// Trying again later may help.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::UdpNoReply { .. }
            | Self::Refused { .. }
            | Self::LogonTimeout { .. }
            | Self::Connection { .. } => true,
            Self::LogonRejected { reason, .. } => *reason == RejectReason::Busy,
            // Whoever logged on elsewhere with this session would be thrown out in turn, and so on for ever.
            Self::Closed { reason } => !matches!(reason, CloseReason::Superseded | CloseReason::Logout),
            Self::AlpnMismatch { .. }
            | Self::CertUntrusted { .. }
            | Self::BadKey { .. }
            | Self::Config(_) => false,
        }
    }
}

/// Why a request has no good answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Rejection {
    /// The exchange refused it; nothing changed.
    #[error("{}", Refusal::from(.0))]
    Rejected(RequestRejected),
    /// The gateway refused it before it reached the exchange; nothing changed.
    #[error("refused at the gateway: {}", reason_name(.0.reason))]
    Refused(RequestRefused),
    /// The answer came before, in an earlier life of the session, and its details are not retained: this is its outcome.
    #[error("{client_order_id} was answered before: {outcome}")]
    Repeated { client_order_id: ClientOrderId, order_id: OrderId, outcome: Repeat },
    /// The order ended at once instead: for a replace that left nothing.
    #[error("request {client_order_id} ended the order")]
    Ended { client_order_id: ClientOrderId },
    /// Not sent.
    #[error("not sent: {0}")]
    NotSent(#[from] RequestError),
    /// The deadline passed. The request stays open and is answered exactly once; watch the events for it.
    #[error(
        "request {client_order_id} has no answer yet after {after:?}; it stays open and cannot be doubled"
    )]
    NoAnswerYet { client_order_id: ClientOrderId, after: Duration },
    /// The session is over for good.
    #[error(transparent)]
    SessionOver(ClientError),
}

/// What became of a request that was answered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    Accepted,
    Rejected(Option<RejectReason>),
    NeverSeen,
    TooOld,
}

impl std::fmt::Display for Repeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Rejected(Some(reason)) => write!(f, "rejected, {reason}"),
            Self::Rejected(None) => f.write_str("rejected"),
            Self::NeverSeen => f.write_str("it never arrived"),
            Self::TooOld => f.write_str("too long ago to be retained; query the order"),
        }
    }
}

fn reason_name(reason: u16) -> String {
    match RejectReason::from_raw(reason) {
        Some(reason) => format!("{reason}. {}", reason.explanation().trim()),
        None => format!("reason {reason}, unknown to this version"),
    }
}

/// Why an account key is not usable.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read {}: {error}", .path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{path} is readable by others (mode {mode:04o}): run `chmod 600 {path}`", path = .path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} is no key file: {what}", .path.display())]
    Format { path: PathBuf, what: &'static str },
    #[error("account 0 is nobody's")]
    NoAccount,
    #[error("the system has no randomness for a key")]
    NoRandomness,
}

/// Why the exchange's folder is not usable.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error(
        "no exchange was found: start `joulebook demo --keep` here, or set JOULEBOOK_DIR to a data folder"
    )]
    NotFound,
    #[error("cannot read {}: {error}", .path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{}: {what}", .path.display())]
    Format { path: PathBuf, what: String },
    #[error(transparent)]
    Key(#[from] KeyError),
}
