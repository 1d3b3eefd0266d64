use std::fmt;
use std::net::SocketAddr;

use quinn_proto::{ConnectionError, StreamId, TransportErrorCode};

use crate::ConnKey;

/// What happened on the network since the last question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The handshake is complete: streams can be opened and written.
    Connected { conn: ConnKey, remote: SocketAddr },
    /// The peer opened a stream. `Readable` follows.
    StreamOpened { conn: ConnKey, stream: StreamId },
    /// Bytes, the end, or a reset wait to be read. Said once: read until `Blocked` or more will not be announced.
    Readable { conn: ConnKey, stream: StreamId },
    /// A write that was cut short can go on.
    Writable { conn: ConnKey, stream: StreamId },
    /// Everything up to our `finish` has reached the peer.
    Delivered { conn: ConnKey, stream: StreamId },
    /// The peer no longer reads this stream.
    Stopped { conn: ConnKey, stream: StreamId, code: u64 },
    /// Last event of a connection; comes exactly once for each that was `Connected` or asked for
    /// by `connect`, whoever closed it. Unread bytes can be read until it is taken, after which the key is stale.
    Closed { conn: ConnKey, reason: CloseReason },
}

impl Event {
    /// The connection it is about.
    pub fn conn(&self) -> ConnKey {
        match self {
            Self::Connected { conn, .. }
            | Self::StreamOpened { conn, .. }
            | Self::Readable { conn, .. }
            | Self::Writable { conn, .. }
            | Self::Delivered { conn, .. }
            | Self::Stopped { conn, .. }
            | Self::Closed { conn, .. } => *conn,
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// We closed it.
    Local,
    /// The peer's application closed it.
    Peer { code: u64, reason: String },
    /// Nothing heard for the idle time.
    TimedOut,
    /// The handshake took longer than allowed.
    HandshakeTimedOut,
    /// The peer has no memory of this connection; most likely it restarted.
    Reset,
    /// The server takes no more connections from us now.
    Refused,
    /// The two sides share no application protocol (ALPN).
    NoCommonProtocol,
    /// A certificate was not accepted, by us or by the peer.
    CertificateRejected { detail: String },
    /// Any other failure of the TLS handshake, by alert number.
    Tls { alert: u8, detail: String },
    /// A violation of QUIC itself, by error code.
    Transport { code: u64, detail: String },
    /// No common QUIC version.
    VersionMismatch,
}

const CONNECTION_REFUSED: u64 = 0x2;
/// TLS alerts arrive as QUIC error codes 0x100 to 0x1ff.
const CRYPTO_FIRST: u64 = 0x100;
const CRYPTO_LAST: u64 = 0x1ff;
const ALERT_NO_APPLICATION_PROTOCOL: u8 = 120;
/// bad_certificate, unsupported, revoked, expired, unknown; then unknown_ca; then certificate_required.
const ALERTS_CERTIFICATE: [u8; 7] = [42, 43, 44, 45, 46, 48, 116];
/// How rustls begins its own verdict; a bad signature goes to the peer under a more general alert.
const REJECTED_BY_US: &str = "invalid peer certificate";

impl From<ConnectionError> for CloseReason {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::VersionMismatch => Self::VersionMismatch,
            ConnectionError::TransportError(error) => Self::from_code(error.code, error.reason),
            ConnectionError::ConnectionClosed(close) => {
                Self::from_code(close.error_code, text(&close.reason))
            }
            ConnectionError::ApplicationClosed(close) => {
                Self::Peer { code: close.error_code.into_inner(), reason: text(&close.reason) }
            }
            ConnectionError::Reset => Self::Reset,
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::LocallyClosed => Self::Local,
            ConnectionError::CidsExhausted => {
                Self::Transport { code: 0, detail: "connection ids are exhausted".into() }
            }
        }
    }
}

impl CloseReason {
    fn from_code(code: TransportErrorCode, detail: String) -> Self {
        match u64::from(code) {
            CONNECTION_REFUSED => Self::Refused,
            code @ CRYPTO_FIRST..=CRYPTO_LAST => match code as u8 {
                ALERT_NO_APPLICATION_PROTOCOL => Self::NoCommonProtocol,
                alert if ALERTS_CERTIFICATE.contains(&alert) || detail.starts_with(REJECTED_BY_US) => {
                    Self::CertificateRejected { detail }
                }
                alert => Self::Tls { alert, detail },
            },
            code => Self::Transport { code, detail },
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("closed by this side"),
            Self::Peer { code, reason } => write!(f, "closed by the peer with code {code}: {reason}"),
            Self::TimedOut => f.write_str("nothing heard from the peer for the idle time"),
            Self::HandshakeTimedOut => f.write_str("the handshake took too long"),
            Self::Reset => f.write_str("reset: the peer does not know this connection (restarted?)"),
            Self::Refused => f.write_str("refused: the server takes no more connections now"),
            Self::NoCommonProtocol => f.write_str("the two sides share no application protocol (ALPN)"),
            Self::CertificateRejected { detail } => write!(f, "certificate not accepted: {detail}"),
            Self::Tls { alert, detail } => write!(f, "TLS alert {alert}: {detail}"),
            Self::Transport { code, detail } => write!(f, "QUIC error {code:#x}: {detail}"),
            Self::VersionMismatch => f.write_str("no common QUIC version"),
        }
    }
}

/// Why a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// All that has arrived was handed over; `Readable` will announce more.
    Blocked,
    /// The budget is used up. `Readable` comes again after the next `receive`, so that others get their turn.
    More,
    /// The peer finished the stream and all of it was handed over.
    Finished,
    /// The peer abandoned the stream.
    Reset { code: u64 },
    /// No such connection or stream (any more).
    Gone,
}

/// How much of a write was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Every byte.
    All,
    /// Only the first `taken` bytes: the peer's window or our send window is full. `Writable` will come.
    Blocked { taken: usize },
    /// The peer no longer reads this stream.
    Stopped { code: u64 },
    /// No such connection or stream (any more).
    Gone,
}
