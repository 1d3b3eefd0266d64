//! A session by hand: every byte is the test's, so it can say what no honest client says.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use joulebook_protocol::messages::{
    AccountQuery, Challenge, CreditBalance, Hello, Logon, LogonAccepted, OrderStatus,
};
use joulebook_protocol::{
    ALPN, CloseReason, Command, Event, FeedMessage, Frame, FrameHeader, Message, PublicEvent, SCHEMA_ID,
    SessionMessage, VERSION, encode,
};
use joulebook_quic::tls::client_config;
use joulebook_quic::transport::{TransportProfile, transport_config};
use joulebook_session::logon_bytes;
use joulebook_types::{AccountId, ClientOrderId, SessionId};
use quinn::{Connection, ConnectionError, Endpoint, ReadError, RecvStream, SendStream, WriteError};
use ring::digest::{SHA256, digest};
use ring::signature::Ed25519KeyPair;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::time::timeout;

use crate::{Daemon, PATIENCE};

/// An account and the key that it signs with, which need not be its own.
pub struct Signer {
    pub account: AccountId,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// The key of `keys/<name>.key`.
    pub fn of(daemon: &Daemon, name: &str) -> Self {
        let text = std::fs::read_to_string(daemon.key(name)).expect("a key file");
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.expect("a field of the key file").trim().to_owned()
        };
        let (account, seed) = (field("account "), field("seed "));
        let digit = |index: usize| u8::from_str_radix(&seed[2 * index..2 * index + 2], 16).expect("hex");
        let seed: [u8; 32] = std::array::from_fn(digit);
        Self::new(AccountId::new(account.parse().expect("a number")), &seed)
    }

    pub fn new(account: AccountId, seed: &[u8; 32]) -> Self {
        Self { account, pair: Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes are a seed") }
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.pair.sign(bytes).as_ref().try_into().expect("Ed25519 signatures have 64 bytes")
    }
}

/// A QUIC connection, also one that speaks the wrong protocol.
pub struct RawConnection {
    _endpoint: Endpoint,
    pub connection: Connection,
    leaf_sha256: [u8; 32],
}

/// What came on a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    Session(SessionMessage),
    Event(Event),
    Public(PublicEvent),
    Feed(FeedMessage),
    /// Nothing more comes: the stream was finished, reset, or its connection closed with a code.
    End(Option<u64>),
}

impl Received {
    /// The reason, when the exchange ends the session.
    pub fn terminate(&self) -> Option<CloseReason> {
        match self {
            Self::Session(SessionMessage::Terminate(terminate)) => CloseReason::from_raw(terminate.reason),
            _ => None,
        }
    }
}

pub struct RawStream {
    pub send: SendStream,
    recv: RecvStream,
    buffer: Vec<u8>,
    leaf_sha256: [u8; 32],
}

impl RawConnection {
    pub async fn open(daemon: &Daemon) -> Self {
        Self::dial(&daemon.ca(), daemon.gateway, ALPN).await.expect("a connection")
    }

    /// A client that takes no more than so many bytes before it reads them.
    pub async fn with_window(daemon: &Daemon, bytes: u32) -> Self {
        let (stream_window_bytes, connection_window_bytes) = (bytes, bytes);
        let profile =
            TransportProfile { stream_window_bytes, connection_window_bytes, ..TransportProfile::client() };
        Self::dial_with(&daemon.ca(), daemon.gateway, ALPN, &profile).await.expect("a connection")
    }

    pub async fn dial(ca: &Path, address: SocketAddr, alpn: &[u8]) -> Result<Self, ConnectionError> {
        Self::dial_with(ca, address, alpn, &TransportProfile::client()).await
    }

    async fn dial_with(
        ca: &Path,
        address: SocketAddr,
        alpn: &[u8],
        profile: &TransportProfile,
    ) -> Result<Self, ConnectionError> {
        let ca = CertificateDer::from_pem_file(ca).expect("a certificate");
        let transport = transport_config(profile);
        let config = client_config([ca], alpn, transport).expect("a configuration");
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a UDP socket");
        let connecting = endpoint.connect_with(config, address, "localhost").expect("an address");
        let connection = timeout(PATIENCE, connecting).await.expect("an answer in time")?;
        let identity = connection.peer_identity().expect("a certificate");
        let identity = identity.downcast::<Vec<CertificateDer<'static>>>().expect("a chain");
        let leaf = identity.first().expect("a leaf");
        let leaf_sha256 = digest(&SHA256, leaf).as_ref().try_into().expect("SHA-256 has 32 bytes");
        Ok(Self { _endpoint: endpoint, connection, leaf_sha256 })
    }

    pub async fn stream(&self) -> RawStream {
        let opened = timeout(PATIENCE, self.connection.open_bi()).await.expect("a stream in time");
        let (send, recv) = opened.expect("a stream");
        RawStream { send, recv, buffer: Vec::new(), leaf_sha256: self.leaf_sha256 }
    }

    /// A stream on which `signer` is logged on.
    pub async fn log_on(&self, signer: &Signer, session: u32, logon: Logon) -> (RawStream, LogonAccepted) {
        let mut stream = self.stream().await;
        match stream.log_on(signer, session, logon).await {
            Received::Session(SessionMessage::LogonAccepted(accepted)) => (stream, accepted),
            other => panic!("no logon: {other:?}"),
        }
    }
}

impl RawStream {
    pub async fn send<M: Message>(&mut self, message: &M) {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        self.send_bytes(&bytes).await.expect("sent");
    }

    pub async fn command(&mut self, command: impl Into<Command>) {
        let mut bytes = Vec::new();
        command.into().encode(&mut bytes);
        self.send_bytes(&bytes).await.expect("sent");
    }

    /// A header that says what the test wants it to say, and a block.
    pub async fn frame(&mut self, block_len: u16, template_id: u16, block: &[u8]) -> Result<(), WriteError> {
        let header = FrameHeader { block_len, template_id, schema_id: SCHEMA_ID, version: VERSION };
        let mut bytes = Vec::new();
        for field in [header.block_len, header.template_id, header.schema_id, header.version] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(block);
        self.send_bytes(&bytes).await
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        timeout(PATIENCE, self.send.write_all(bytes)).await.expect("sent in time")
    }

    /// Says hello, signs the challenge, and gives the answer.
    pub async fn log_on(&mut self, signer: &Signer, session: u32, logon: Logon) -> Received {
        let session = SessionId::new(session);
        self.send(&Hello { account: signer.account, session }).await;
        let challenge: Challenge = match self.next().await {
            Received::Session(SessionMessage::Challenge(challenge)) => challenge,
            other => return other,
        };
        let bytes = logon_bytes(&challenge.nonce, &self.leaf_sha256, signer.account, session);
        self.send(&Logon { signature: signer.sign(&bytes), ..logon }).await;
        self.next().await
    }

    /// The next message, heartbeats left out.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn next(&mut self) -> Received {
        loop {
            match self.next_or_heartbeat().await {
                Received::Session(SessionMessage::Heartbeat(_)) => {}
                other => return other,
            }
        }
    }

    /// The next message that is wanted; those before it are dropped.
    ///
    /// # Panics
    /// When the stream ends first.
    pub async fn until(&mut self, mut wanted: impl FnMut(&Received) -> bool) -> Received {
        loop {
            let received = self.next().await;
            if wanted(&received) {
                return received;
            }
            assert!(!matches!(received, Received::End(_)), "the stream ended early: {received:?}");
        }
    }

    /// The session's open orders and its account's credits, asked for.
    pub async fn query(&mut self) -> (Vec<OrderStatus>, CreditBalance) {
        self.command(AccountQuery { client_order_id: ClientOrderId::new(u64::MAX) }).await;
        let (mut open, mut credits) = (Vec::new(), CreditBalance::default());
        loop {
            match self.next().await {
                Received::Event(Event::OrderStatus(status)) => open.push(status),
                Received::Event(Event::CreditBalance(balance)) => credits = balance,
                Received::Event(Event::CapacityBalance(_)) => {}
                Received::Event(Event::SnapshotEnd(_)) => return (open, credits),
                other => panic!("in a snapshot: {other:?}"),
            }
        }
    }

    pub async fn next_or_heartbeat(&mut self) -> Received {
        loop {
            if let Some(received) = self.take() {
                return received;
            }
            let mut bytes = [0; 16_384];
            match timeout(PATIENCE, self.recv.read(&mut bytes)).await.expect("a message in time") {
                Ok(Some(count)) => self.buffer.extend_from_slice(&bytes[..count]),
                Ok(None) => return Received::End(None),
                Err(ReadError::Reset(code)) => return Received::End(Some(code.into_inner())),
                Err(ReadError::ConnectionLost(ConnectionError::ApplicationClosed(close))) => {
                    return Received::End(Some(close.error_code.into_inner()));
                }
                Err(error) => panic!("the stream broke: {error}"),
            }
        }
    }

    fn take(&mut self) -> Option<Received> {
        let (frame, _) = Frame::split(&self.buffer).expect("the exchange sends frames")?;
        let length = frame.bytes_len();
        let received = SessionMessage::decode(&frame)
            .map(Received::Session)
            .or_else(|_| Event::decode(&frame).map(Received::Event))
            .or_else(|_| PublicEvent::decode(&frame).map(Received::Public))
            .or_else(|_| FeedMessage::decode(&frame).map(Received::Feed))
            .expect("the exchange sends messages of the table");
        self.buffer.drain(..length);
        Some(received)
    }
}
