//! Which exchange, and how its certificate is checked.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use joulebook_protocol::ALPN;
use joulebook_quic::tls::provider;
use joulebook_quic::transport::{TransportProfile, transport_config};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::ClientError;

/// An exchange's address and the certificate that it must be able to prove.
#[derive(Clone, Debug)]
pub struct Venue {
    pub addr: SocketAddr,
    /// A name of the gateway's certificate.
    pub server_name: String,
    /// From the first datagram to the answered logon.
    pub connect_timeout: Duration,
    trusted: Vec<CertificateDer<'static>>,
}

/// A SHA-256, shown as hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256(pub [u8; 32]);

impl Venue {
    /// An exchange at `addr` whose certificate is signed by, or is, one of those in `trusted_pem`.
    pub fn new(addr: SocketAddr, trusted_pem: &[u8]) -> Result<Self, ClientError> {
        let trusted = CertificateDer::pem_slice_iter(trusted_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ClientError::Config(format!("the trusted certificate is no PEM: {error:?}")))?;
        if trusted.is_empty() {
            return Err(ClientError::Config("the PEM text holds no certificate to trust".to_owned()));
        }
        Ok(Self {
            addr,
            server_name: "localhost".to_owned(),
            connect_timeout: Duration::from_secs(5),
            trusted,
        })
    }

    /// A QUIC configuration, and where its handshakes note why they refused a certificate.
    pub(crate) fn quic_config(&self) -> Result<(quinn::ClientConfig, Arc<Distrust>), ClientError> {
        let mut roots = RootCertStore::empty();
        for certificate in &self.trusted {
            let added = roots.add(certificate.clone());
            added.map_err(|error| {
                ClientError::Config(format!("a trusted certificate is not usable: {error}"))
            })?;
        }
        let config_error = |error: &dyn fmt::Display| ClientError::Config(format!("TLS set-up: {error}"));
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| config_error(&error))?;
        let distrust = Arc::new(Distrust::default());
        let noting = Arc::new(NotingVerifier { verifier, distrust: distrust.clone() });
        let mut tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| config_error(&error))?
            .dangerous()
            .with_custom_certificate_verifier(noting)
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        // An order sent twice by an attacker is an order too many: no 0-RTT.
        tls.enable_early_data = false;
        let crypto = QuicClientConfig::try_from(tls).map_err(|error| config_error(&error))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(transport_config(&TransportProfile::client()));
        Ok((config, distrust))
    }

    pub(crate) fn trusted_sha256(&self) -> Sha256 {
        Sha256::of(&self.trusted[0])
    }
}

impl Sha256 {
    pub fn of(bytes: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The last certificate that was refused. The transport reports a refusal as a number; people need to see which
/// certificate it was.
#[derive(Debug, Default)]
pub(crate) struct Distrust {
    last: Mutex<Option<(Sha256, String)>>,
}

impl Distrust {
    pub(crate) fn take(&self) -> Option<(Sha256, String)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The usual check of a certificate, which also notes what it refused.
#[derive(Debug)]
struct NotingVerifier {
    verifier: Arc<WebPkiServerVerifier>,
    distrust: Arc<Distrust>,
}

impl ServerCertVerifier for NotingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let verified =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if let Err(error) = &verified {
            let mut last = self.distrust.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some((Sha256::of(end_entity), error.to_string()));
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pem_without_a_certificate_is_refused() {
        let addr = "127.0.0.1:7717".parse().unwrap();
        for (pem, why) in [("", "holds no certificate"), ("-----BEGIN CERTIFICATE-----\n!\n", "no PEM")] {
            let error = Venue::new(addr, pem.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{pem:?}: {error}");
        }
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = Venue::new(addr, garbage.as_bytes()).unwrap().quic_config().unwrap_err().to_string();
        assert!(error.contains("not usable"), "{error}");
    }
}
