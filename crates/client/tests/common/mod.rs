//! The other end of a connection, on real QUIC.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::SocketAddr;
use std::sync::Arc;

use joulebook_client::{AccountKey, Venue};
use joulebook_quic::tls::server_config;
use joulebook_quic::transport::{TransportProfile, transport_config};
use joulebook_types::AccountId;
use quinn::Endpoint;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// A self-signed certificate for localhost.
pub struct Certificate {
    pub der: CertificateDer<'static>,
    pub pem: String,
    key: Vec<u8>,
}

impl Certificate {
    pub fn new() -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Self {
            der: certified.cert.der().clone(),
            pem: certified.cert.pem(),
            key: certified.signing_key.serialize_der(),
        }
    }

    /// A QUIC server that shows this certificate and speaks `alpn`.
    pub fn server(&self, alpn: &[u8]) -> (Endpoint, SocketAddr) {
        let key = PrivatePkcs8KeyDer::from(self.key.clone()).into();
        let transport = transport_config(&TransportProfile::server());
        let config = server_config(vec![self.der.clone()], key, alpn, transport).unwrap();
        let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = endpoint.local_addr().unwrap();
        (endpoint, addr)
    }

    pub fn venue(&self, addr: SocketAddr) -> Venue {
        Venue::new(addr, self.pem.as_bytes()).unwrap()
    }
}

pub const ALICE: AccountId = AccountId::new(10);

pub fn alice() -> AccountKey {
    AccountKey::from_seed(ALICE, &[7; 32]).unwrap()
}

/// Accepts connections and their handshakes, and nothing else.
pub fn accept_all(endpoint: Endpoint) -> Arc<tokio::sync::Mutex<Vec<quinn::Connection>>> {
    let accepted = Arc::new(tokio::sync::Mutex::new(Vec::new()));
    let kept = accepted.clone();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            if let Ok(connection) = incoming.await {
                kept.lock().await.push(connection);
            }
        }
    });
    accepted
}
