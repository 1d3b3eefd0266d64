//! Transport settings that both ends share, whichever QUIC stack drives them.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::congestion::CubicConfig;
use quinn_proto::{AckFrequencyConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

/// What differs between the two ends, and between an exchange on a LAN and a test.
#[derive(Clone, Debug)]
pub struct TransportProfile {
    /// A connection from which nothing is heard for this long is closed; the smaller of both ends' values counts.
    pub idle_timeout: Duration,
    /// Ping when nothing else was sent for this long; `None` leaves liveness to the application's heartbeats.
    pub keep_alive: Option<Duration>,
    /// Bidirectional streams that the peer may have open at once; unidirectional ones are never allowed.
    pub bidi_streams_max: u32,
    /// Unread bytes that one stream may hold.
    pub stream_window_bytes: u32,
    /// Unread bytes that the whole connection may hold at first; `Driver::grow_window` raises it.
    pub connection_window_bytes: u32,
    /// Bytes that we hold for the peer, unsent or unacknowledged, before writes block.
    pub send_window_bytes: u64,
    /// Assumed round trip before the first measurement; a handshake datagram lost is repeated after three of these.
    pub initial_rtt: Duration,
}

/// Unread bytes a peer may make us hold before it has logged on.
pub const WINDOW_BYTES_BEFORE_LOGON: u32 = 64 << 10;
/// The same after it has logged on.
pub const WINDOW_BYTES_AFTER_LOGON: u32 = 1 << 20;

impl TransportProfile {
    /// For the exchange: strangers get a small window.
    pub fn server() -> Self {
        Self {
            idle_timeout: Duration::from_secs(15),
            keep_alive: None,
            bidi_streams_max: 16,
            stream_window_bytes: WINDOW_BYTES_AFTER_LOGON,
            connection_window_bytes: WINDOW_BYTES_BEFORE_LOGON,
            send_window_bytes: 8 << 20,
            initial_rtt: Duration::from_millis(1),
        }
    }

    /// For clients, which trust the exchange with large windows and never expect a stream from it.
    pub fn client() -> Self {
        Self {
            bidi_streams_max: 0,
            connection_window_bytes: 8 << 20,
            stream_window_bytes: 4 << 20,
            ..Self::server()
        }
    }
}

/// Settings measured to serve small messages at high rates: acknowledgements every ten packets or
/// after 1 ms, segments found by MTU discovery, streams served in the order they were written.
pub fn transport_config(profile: &TransportProfile) -> Arc<TransportConfig> {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(10));
    acks.max_ack_delay(Some(Duration::from_millis(1)));

    let idle_ms = u32::try_from(profile.idle_timeout.as_millis()).unwrap_or(u32::MAX);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(profile.bidi_streams_max.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle_ms))))
        .keep_alive_interval(profile.keep_alive)
        .stream_receive_window(profile.stream_window_bytes.into())
        .receive_window(profile.connection_window_bytes.into())
        .send_window(profile.send_window_bytes)
        .send_fairness(false)
        .initial_rtt(profile.initial_rtt)
        .ack_frequency_config(Some(acks))
        .mtu_discovery_config(Some(MtuDiscoveryConfig::default()))
        // Nobody reads unreliable datagrams, so nobody may make us buffer them.
        .datagram_receive_buffer_size(None)
        .congestion_controller_factory(Arc::new(CubicConfig::default()));
    Arc::new(transport)
}
