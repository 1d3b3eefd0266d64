//! TLS 1.3 with ring, for both ends. 0-RTT stays off: an order sent twice by an attacker is an order too many.

use std::sync::Arc;

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{ClientConfig, ServerConfig, TransportConfig, ValidationTokenConfig};
use rustls::crypto::{CryptoProvider, ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::QuicError;

/// The one crypto provider of the project, AES-128-GCM first because it is the fastest on hardware with AES.
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(provider)
}

/// TLS of a server that speaks `alpn` only and asks for no client certificate.
pub fn server_tls(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    alpn: &[u8],
) -> Result<rustls::ServerConfig, rustls::Error> {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.max_early_data_size = 0;
    Ok(tls)
}

/// TLS of a client that trusts `roots` only and speaks `alpn` only.
pub fn client_tls(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
    alpn: &[u8],
) -> Result<rustls::ClientConfig, rustls::Error> {
    let mut store = rustls::RootCertStore::empty();
    for root in roots {
        store.add(root)?;
    }
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(store)
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.enable_early_data = false;
    Ok(tls)
}

/// A server's QUIC configuration; what strangers may make us hold before they are accepted is bounded here.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    alpn: &[u8],
    transport: Arc<TransportConfig>,
) -> Result<ServerConfig, QuicError> {
    let crypto =
        QuicServerConfig::try_from(server_tls(chain, key, alpn)?).map_err(|_| QuicError::NoInitialCipher)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    // Retry proves addresses when it matters; tokens for later visits would be state to keep and a thing to steal.
    let mut tokens = ValidationTokenConfig::default();
    tokens.sent(0);
    config
        .transport_config(transport)
        .validation_token_config(tokens)
        .migration(true)
        .max_incoming(1_024)
        .incoming_buffer_size(64 << 10)
        .incoming_buffer_size_total(16 << 20);
    Ok(config)
}

/// A client's QUIC configuration; cheap to clone, one serves any number of connections.
pub fn client_config(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
    alpn: &[u8],
    transport: Arc<TransportConfig>,
) -> Result<ClientConfig, QuicError> {
    let crypto =
        QuicClientConfig::try_from(client_tls(roots, alpn)?).map_err(|_| QuicError::NoInitialCipher)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport);
    Ok(config)
}
