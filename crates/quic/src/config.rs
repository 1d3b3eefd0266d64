use std::net::SocketAddr;
use std::time::Duration;

/// Limits of one [`Driver`](crate::Driver).
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// Address of the UDP socket; port 0 lets the system choose.
    pub bind: SocketAddr,
    /// Wanted size of the socket's receive and of its send buffer. The usual 208 KiB lose datagrams
    /// at saturation, and one lost datagram costs tens of milliseconds at the far percentiles.
    pub socket_buffer_bytes: usize,
    /// Open connections, handshakes included; one more is refused.
    pub max_connections: usize,
    /// Open connections accepted from one IP address; one more is refused.
    pub max_connections_per_address: usize,
    /// While this many handshakes from unproven addresses are under way, newcomers must first show
    /// that they own their address (a Retry costs us no memory).
    pub retry_above_pending: usize,
    /// Time from the first datagram to the established connection, for both sides.
    pub handshake_timeout: Duration,
    /// Kept over restarts, it lets a restarted server tell clients of its former life at once that their
    /// connections are gone; `None` leaves them to their timeouts.
    pub reset_key: Option<ResetKey>,
}

/// Secret from which stateless reset tokens are made.
#[derive(Clone)]
pub struct ResetKey(pub [u8; 32]);

impl std::fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResetKey(secret)")
    }
}

impl DriverConfig {
    /// The limits of a server on `bind`.
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            socket_buffer_bytes: 4 << 20,
            max_connections: 4_096,
            max_connections_per_address: 1_024,
            retry_above_pending: 64,
            handshake_timeout: Duration::from_secs(3),
            reset_key: None,
        }
    }
}

/// Why a driver could not start, or a connection could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum QuicError {
    #[error("UDP address {0} is in use: stop the other process or choose another port")]
    AddressInUse(SocketAddr),
    #[error("cannot bind UDP address {address}: {source}")]
    Bind { address: SocketAddr, source: std::io::Error },
    #[error("cannot set up the UDP socket: {0}")]
    Socket(std::io::Error),
    #[error("all {0} connections are in use")]
    TooManyConnections(usize),
    #[error("cannot connect: {0}")]
    Connect(#[from] quinn_proto::ConnectError),
    #[error("TLS set-up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("TLS set-up: no cipher suite that QUIC can start with")]
    NoInitialCipher,
}
