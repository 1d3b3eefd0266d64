//! Two drivers over real sockets, driven by one thread that parks when neither has anything to do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use joulebook_quic::transport::{TransportProfile, transport_config};
use joulebook_quic::{ClientConfig, ConnKey, Driver, DriverConfig, Event, ServerConfig, tls};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

pub const ALPN: &[u8] = b"test/1";

pub fn any_port() -> DriverConfig {
    DriverConfig::new("127.0.0.1:0".parse().expect("an address"))
}

/// A self-signed identity for "localhost".
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
        Self { certificate: made.cert.der().clone(), key: made.signing_key.serialize_der() }
    }

    pub fn server(&self, profile: &TransportProfile) -> ServerConfig {
        let key = PrivatePkcs8KeyDer::from(self.key.clone()).into();
        tls::server_config(vec![self.certificate.clone()], key, ALPN, transport_config(profile))
            .expect("a server")
    }

    pub fn client(&self, alpn: &[u8], profile: &TransportProfile) -> ClientConfig {
        tls::client_config([self.certificate.clone()], alpn, transport_config(profile)).expect("a client")
    }
}

/// A server, a client, and what happened to each since the last look.
pub struct Pair {
    pub server: Driver,
    pub client: Driver,
    pub client_config: ClientConfig,
    pub address: SocketAddr,
}

impl Pair {
    pub fn new() -> Self {
        Self::with(any_port(), &TransportProfile::server(), &TransportProfile::client())
    }

    pub fn with(config: DriverConfig, server: &TransportProfile, client: &TransportProfile) -> Self {
        let identity = Identity::new();
        let server = Driver::server(config, identity.server(server)).expect("a free port");
        Self {
            address: server.local_addr(),
            server,
            client: Driver::client(any_port()).expect("a free port"),
            client_config: identity.client(ALPN, client),
        }
    }

    pub fn connect(&mut self) -> ConnKey {
        self.client
            .connect(self.client_config.clone(), self.address, "localhost", Instant::now())
            .expect("room")
    }

    /// Connects and waits until both sides say so: (client's key, server's key).
    pub fn connected(&mut self) -> (ConnKey, ConnKey) {
        let ours = self.connect();
        let (mut client_done, mut theirs) = (false, None);
        self.run_until("both sides are connected", |_, side, event| {
            if let Event::Connected { conn, .. } = event {
                match side {
                    Side::Client => client_done = *conn == ours,
                    Side::Server => theirs = Some(*conn),
                }
            }
            client_done && theirs.is_some()
        });
        (ours, theirs.expect("connected"))
    }

    /// Drives both sides, handing each event to `on_event`, until it says true.
    pub fn run_until(&mut self, what: &str, mut on_event: impl FnMut(&mut Pair, Side, &Event) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            let arrived = self.server.receive(Instant::now()) + self.client.receive(Instant::now());
            while let Some(event) = self.server.next_event() {
                if on_event(self, Side::Server, &event) {
                    return;
                }
            }
            while let Some(event) = self.client.next_event() {
                if on_event(self, Side::Client, &event) {
                    return;
                }
            }
            self.server.transmit(Instant::now());
            self.client.transmit(Instant::now());
            if arrived == 0 {
                park(&[&self.server, &self.client], deadline);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Server,
    Client,
}

/// Blocks until a socket is ready or a timer is due.
pub fn park(drivers: &[&Driver], deadline: Instant) {
    if drivers.iter().any(|driver| driver.has_work()) {
        return;
    }
    let until = drivers.iter().filter_map(|driver| driver.next_timeout()).fold(deadline, Instant::min);
    let left = until.saturating_duration_since(Instant::now());
    let timeout = Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() };
    let mut fds: Vec<PollFd<'_>> = drivers
        .iter()
        .map(|driver| {
            let write = if driver.wants_write() { PollFlags::OUT } else { PollFlags::empty() };
            PollFd::from_borrowed_fd(driver.fd(), PollFlags::IN | write)
        })
        .collect();
    poll(&mut fds, Some(&timeout)).expect("poll");
}
