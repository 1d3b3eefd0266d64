//! What a gateway is told at its start.

use std::sync::Arc;

use crossbeam::utils::CachePadded;
use joulebook_metrics::GatewayMetrics;
use joulebook_protocol::pipe::{COMMAND_SLOTS_MAX, CommandSlot, EventFrame};
use joulebook_quic::QuicError;
use joulebook_rings::{Consumer, Doorbell, Gate, Producer};
use joulebook_session::SessionLimits;

/// Everything that is decided before the first turn.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Goes into connection ids: gateways of one exchange must differ.
    pub number: u16,
    pub limits: GatewayLimits,
    /// Tells this run's market data from that of earlier runs, such as the time of the start.
    pub feed_epoch: u64,
}

/// Where clients come in.
#[derive(Debug)]
pub struct Listeners<N> {
    /// For everybody but operators.
    pub public: Listener<N>,
    /// For operators alone; without it no operator can log on here.
    pub operator: Option<Listener<N>>,
}

/// One way in.
#[derive(Debug)]
pub struct Listener<N> {
    pub network: N,
    /// Who the exchange is on it: SHA-256 of its leaf certificate (DER). Clients sign it at logon.
    pub leaf_sha256: [u8; 32],
}

/// What peers may make this gateway hold.
#[derive(Clone, Copy, Debug)]
pub struct GatewayLimits {
    /// Of each session: throttle, bytes not handled, bytes not taken.
    pub session: SessionLimits,
    /// Logged-on sessions, anonymous ones included.
    pub sessions_max: usize,
    pub sessions_per_account_max: u32,
    /// Streams of one connection.
    pub streams_per_connection_max: usize,
    /// Bytes that wait for a subscriber before its market data is conflated.
    pub feed_backlog_bytes: usize,
    /// Connections that get the large window which comes with a logon.
    pub large_windows_max: usize,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            session: SessionLimits::default(),
            sessions_max: 8_192,
            sessions_per_account_max: 64,
            streams_per_connection_max: 16,
            feed_backlog_bytes: 256 << 10,
            large_windows_max: 1_024,
        }
    }
}

/// The gateway's ends of what it shares with other threads.
#[derive(Debug)]
pub struct CoreLink {
    /// At least [`COMMAND_SLOTS_MAX`] slots, so that the longest command fits.
    pub commands: Producer<CommandSlot>,
    /// Rung when commands were pushed.
    pub core_bell: Arc<Doorbell>,
    pub events: Consumer<EventFrame>,
    /// While it is shut, new orders are refused; cancels are not.
    pub order_gate: Arc<Gate>,
    pub metrics: Arc<CachePadded<GatewayMetrics>>,
}

/// Why a gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("public endpoint: {0}")]
    Public(QuicError),
    #[error("operator endpoint: {0}")]
    Operator(QuicError),
    #[error("there are no random numbers")]
    Random,
    /// The longest command would wait for ever.
    #[error("a command ring of {slots} slots, at least {COMMAND_SLOTS_MAX} are needed")]
    CommandRing { slots: usize },
}
