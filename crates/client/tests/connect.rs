//! Every way in which connecting fails names its cause, in time.

mod common;

use std::time::{Duration, Instant};

use common::{Certificate, accept_all, alice};
use joulebook_client::{Client, ClientConfig, ClientError, MarketData, Sha256, Subscription, Venue};
use joulebook_protocol::{ALPN, CloseReason};
use joulebook_types::SessionId;

async fn failure(venue: Venue) -> ClientError {
    match Client::connect(ClientConfig::new(venue, alice())).await {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn nobody_answers() {
    // Bound and never read: datagrams vanish, as behind a firewall.
    let deaf = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = deaf.local_addr().unwrap();
    let mut venue = Certificate::new().venue(addr);
    venue.connect_timeout = Duration::from_millis(300);
    let started = Instant::now();
    let error = failure(venue.clone()).await;
    assert!(matches!(error, ClientError::UdpNoReply { addr: named, .. } if named == addr), "{error}");
    assert!(error.to_string().contains("300ms"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3), "it took {:?}", started.elapsed());

    let error = MarketData::connect(venue, Subscription::All).await.unwrap_err();
    assert!(matches!(error, ClientError::UdpNoReply { .. }), "{error}");
}

#[tokio::test]
async fn an_untrusted_certificate() {
    let shown = Certificate::new();
    let (endpoint, addr) = shown.server(ALPN);
    let _accepted = accept_all(endpoint);
    let trusted = Certificate::new();
    let error = failure(trusted.venue(addr)).await;
    let ClientError::CertUntrusted { got, trusted: expected, .. } = &error else { panic!("{error}") };
    assert_eq!((*got, *expected), (Sha256::of(&shown.der), Sha256::of(&trusted.der)));
    assert!(error.to_string().contains(&Sha256::of(&shown.der).to_string()), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let certificate = Certificate::new();
    let (endpoint, addr) = certificate.server(ALPN);
    let _accepted = accept_all(endpoint);
    let mut venue = certificate.venue(addr);
    venue.server_name = "exchange.example".to_owned();
    let error = failure(venue).await;
    assert!(matches!(error, ClientError::CertUntrusted { .. }), "{error}");
    assert!(error.to_string().contains("exchange.example"), "the wrong name is named: {error}");
}

#[tokio::test]
async fn another_protocol() {
    let certificate = Certificate::new();
    let (endpoint, addr) = certificate.server(b"joulebook/2");
    let _accepted = accept_all(endpoint);
    let error = failure(certificate.venue(addr)).await;
    assert!(matches!(&error, ClientError::AlpnMismatch { ours, .. } if ours == "joulebook/1"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_the_logon() {
    let certificate = Certificate::new();
    let (endpoint, addr) = certificate.server(ALPN);
    let _accepted = accept_all(endpoint);
    let mut venue = certificate.venue(addr);
    venue.connect_timeout = Duration::from_millis(300);
    let error = failure(venue).await;
    assert!(matches!(error, ClientError::LogonTimeout { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_turns_clients_away() {
    let certificate = Certificate::new();
    let (endpoint, addr) = certificate.server(ALPN);
    let refusing = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = refusing.accept().await {
            incoming.refuse();
        }
    });
    let error = failure(certificate.venue(addr)).await;
    assert!(matches!(error, ClientError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_is_going_away() {
    let certificate = Certificate::new();
    let (endpoint, addr) = certificate.server(ALPN);
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let Ok(connection) = incoming.await else { continue };
            let _stream = connection.accept_bi().await;
            connection.close(u32::from(CloseReason::GoingAway.raw()).into(), b"");
        }
    });
    let error = failure(certificate.venue(addr)).await;
    assert!(matches!(error, ClientError::Closed { reason: CloseReason::GoingAway }), "{error}");
}

#[tokio::test]
async fn unusable_configurations() {
    let addr = "127.0.0.1:9".parse().unwrap();
    let certificate = Certificate::new();
    let mut config = ClientConfig::new(certificate.venue(addr), alice());
    config.session = SessionId::NONE;
    let error = Client::connect(config).await.unwrap_err();
    assert!(error.to_string().contains("numbered from 1"), "{error}");

    let mut venue = certificate.venue(addr);
    venue.server_name = "not a name".to_owned();
    let error = failure(venue).await;
    assert!(matches!(error, ClientError::Config(_)), "{error}");
}
