//! A connection to the exchange, or the cause why there is none.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use joulebook_protocol::{ALPN, CloseReason};
use quinn::{Connection, ConnectionError, Endpoint, TransportErrorCode};
use rustls_pki_types::CertificateDer;

use crate::venue::Distrust;
use crate::{ClientError, Sha256, Venue};

/// TLS alert `no_application_protocol`.
const ALERT_NO_ALPN: u8 = 120;

/// Makes connections to one venue, again and again.
#[derive(Debug)]
pub(crate) struct Dialer {
    venue: Venue,
    endpoint: Endpoint,
    config: quinn::ClientConfig,
    distrust: Arc<Distrust>,
}

impl Dialer {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(venue: Venue) -> Result<Self, ClientError> {
        let (config, distrust) = venue.quic_config()?;
        let any: SocketAddr = match venue.addr {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let endpoint = Endpoint::client(any).map_err(|error| ClientError::Connection {
            addr: venue.addr,
            what: format!("no UDP socket: {error}"),
        })?;
        Ok(Self { venue, endpoint, config, distrust })
    }

    pub(crate) fn venue(&self) -> &Venue {
        &self.venue
    }

    /// A connection, and the hash of the certificate that the server proved.
    pub(crate) async fn dial(&self, within: Duration) -> Result<(Connection, Sha256), ClientError> {
        let addr = self.venue.addr;
        let connecting = self
            .endpoint
            .connect_with(self.config.clone(), addr, &self.venue.server_name)
            .map_err(|error| ClientError::Config(error.to_string()))?;
        let connection = match tokio::time::timeout(within, connecting).await {
            Err(_elapsed) => return Err(ClientError::UdpNoReply { addr, after: within }),
            Ok(Err(ConnectionError::TimedOut)) => {
                return Err(ClientError::UdpNoReply { addr, after: within });
            }
            Ok(Err(error)) => return Err(self.cause(error)),
            Ok(Ok(connection)) => connection,
        };
        let leaf = leaf_sha256(&connection).ok_or_else(|| ClientError::Connection {
            addr,
            what: "the server proved no certificate".to_owned(),
        })?;
        Ok((connection, leaf))
    }

    /// What a failed connection means to a person.
    pub(crate) fn cause(&self, error: ConnectionError) -> ClientError {
        let addr = self.venue.addr;
        if let Some((got, why)) = self.distrust.take() {
            return ClientError::CertUntrusted { addr, got, trusted: self.venue.trusted_sha256(), why };
        }
        match &error {
            ConnectionError::TransportError(ours) if is_alpn(ours.code) => self.alpn_mismatch(),
            ConnectionError::ConnectionClosed(theirs) if is_alpn(theirs.error_code) => self.alpn_mismatch(),
            ConnectionError::ConnectionClosed(theirs)
                if theirs.error_code == TransportErrorCode::CONNECTION_REFUSED =>
            {
                ClientError::Refused { addr }
            }
            ConnectionError::ApplicationClosed(close) => match close_reason(close.error_code.into_inner()) {
                Some(reason) => ClientError::Closed { reason },
                None => ClientError::Connection { addr, what: error.to_string() },
            },
            ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::VersionMismatch
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => ClientError::Connection { addr, what: error.to_string() },
        }
    }

    fn alpn_mismatch(&self) -> ClientError {
        ClientError::AlpnMismatch { addr: self.venue.addr, ours: String::from_utf8_lossy(ALPN).into_owned() }
    }

    /// Waits until the last packets have left.
    pub(crate) async fn finish(&self) {
        self.endpoint.wait_idle().await;
    }
}

fn is_alpn(code: TransportErrorCode) -> bool {
    code == TransportErrorCode::crypto(ALERT_NO_ALPN)
}

pub(crate) fn close_reason(code: u64) -> Option<CloseReason> {
    u16::try_from(code).ok().and_then(CloseReason::from_raw)
}

fn leaf_sha256(connection: &Connection) -> Option<Sha256> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    identity.first().map(|leaf| Sha256::of(leaf))
}
