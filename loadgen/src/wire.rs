//! Many sessions over few connections, on one thread: logon, frames in, commands out.
//!
//! The load generator keeps nothing for a resend and never reconnects: a broken connection ends the run, because
//! numbers measured across one would mean nothing. That makes its session much leaner than the SDK's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use joulebook_protocol::messages::{
    Heartbeat, Hello, Logon, LogonAccepted, LogonRejected, RequestRefused, RequestRejected, Terminate,
};
use joulebook_protocol::{ALPN, CloseReason, Command, Frame, Message, RejectReason, SessionMessage, encode};
use joulebook_quic::transport::{TransportProfile, transport_config};
use joulebook_quic::{
    ClientConfig, ConnKey, Driver, DriverConfig, Event as QuicEvent, ReadOutcome, StreamId, WriteOutcome, tls,
};
use joulebook_session::logon_bytes;
use joulebook_sys::{PollSet, Readiness};
use joulebook_types::{ClientOrderId, SessionId, TimeNs};
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;

use crate::BenchError;
use crate::frames::Frames;
use crate::keys::Signer;

/// The driver, its sessions, and who is who.
pub struct Wire {
    driver: Driver,
    client: ClientConfig,
    sessions: Vec<Session>,
    /// By the connection's slot: its streams and their sessions.
    routes: Vec<Vec<(StreamId, usize)>>,
    dirty: Vec<usize>,
    heartbeat_due: Instant,
    /// Writes that found the stream's window full.
    pub blocked_writes: u64,
    failure: Option<BenchError>,
}

struct Session {
    conn: ConnKey,
    stream: StreamId,
    frames: Frames,
    out: Vec<u8>,
    next_id: ClientOrderId,
    dirty: bool,
    blocked: bool,
    last_sent: Instant,
    heartbeat: Duration,
}

/// Nothing that a healthy exchange does takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
const READ_BUDGET_BYTES: usize = 1 << 20;
const HEARTBEAT_CHECK: Duration = Duration::from_millis(100);

impl Wire {
    /// A socket that trusts `ca` only and reaches addresses of the family of `peer`.
    pub fn new(ca: CertificateDer<'static>, peer: SocketAddr) -> Result<Self, BenchError> {
        let any: IpAddr =
            if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let any_port = SocketAddr::new(any, 0);
        let profile = TransportProfile::client();
        Ok(Self {
            driver: Driver::client(DriverConfig::new(any_port))?,
            client: tls::client_config([ca], ALPN, transport_config(&profile))?,
            sessions: Vec::new(),
            routes: Vec::new(),
            dirty: Vec::new(),
            heartbeat_due: Instant::now(),
            blocked_writes: 0,
            failure: None,
        })
    }

    /// Opens a connection and waits until it stands.
    pub fn connect(&mut self, address: SocketAddr) -> Result<ConnKey, BenchError> {
        let conn = self.driver.connect(self.client.clone(), address, "localhost", Instant::now())?;
        let deadline = Instant::now() + PATIENCE;
        let failed = |reason: String| BenchError::Connect { address, reason };
        while !self.driver.is_connected(conn) {
            if deadline < Instant::now() {
                return Err(failed("no reply to UDP datagrams".into()));
            }
            self.pump(|_, _| ()).map_err(|error| failed(error.to_string()))?;
            self.flush();
            self.park(deadline)?;
        }
        Ok(conn)
    }

    /// Opens a stream on `conn` and logs on; returns the session's number in this wire.
    pub fn log_on(
        &mut self,
        conn: ConnKey,
        signer: &Signer,
        session: SessionId,
    ) -> Result<usize, BenchError> {
        let failed = |reason: String| BenchError::Logon { account: signer.account.raw(), reason };
        let certificates = self.driver.peer_certificates(conn).unwrap_or_default();
        let leaf = certificates.first().ok_or_else(|| failed("the server showed no certificate".into()))?;
        let leaf_sha256: [u8; 32] = digest(&SHA256, leaf).as_ref().try_into().expect("SHA-256 has 32 bytes");
        let stream =
            self.driver.open_bi(conn).ok_or_else(|| failed("no further stream is allowed".into()))?;
        let number = self.adopt(conn, stream);

        encode(&Hello { account: signer.account, session }, self.out(number));
        let challenge = self.await_message(number, "a challenge", |message| match message {
            SessionMessage::Challenge(challenge) => Some(Ok(*challenge)),
            SessionMessage::LogonRejected(rejected) => Some(Err(*rejected)),
            _ => None,
        })?;
        let challenge = challenge.map_err(|rejected| failed(rejection(&rejected)))?;
        let text = logon_bytes(&challenge.nonce, &leaf_sha256, signer.account, session);
        let logon = Logon {
            signature: signer.sign(&text),
            last_event_seq: 0,
            heartbeat_ms: 0,
            // A run must not leave orders behind on an exchange that others use.
            cancel_on_disconnect_ms: 0,
        };
        encode(&logon, self.out(number));
        let answer = self.await_message(number, "the logon's answer", |message| match message {
            SessionMessage::LogonAccepted(accepted) => Some(Ok(*accepted)),
            SessionMessage::LogonRejected(rejected) => Some(Err(*rejected)),
            _ => None,
        })?;
        let accepted: LogonAccepted = answer.map_err(|rejected| failed(rejection(&rejected)))?;
        let session = &mut self.sessions[number];
        session.next_id = accepted.last_client_order_id.next();
        session.heartbeat = Duration::from_millis(u64::from(accepted.heartbeat_ms.max(100)) / 2);
        Ok(number)
    }

    /// Takes what has arrived and hands every frame but heartbeats to `on_frame`, with its session's number.
    /// Returns the number of datagrams.
    pub fn pump(&mut self, mut on_frame: impl FnMut(usize, &Frame<'_>)) -> Result<usize, BenchError> {
        let datagrams = self.driver.receive(Instant::now());
        while let Some(event) = self.driver.next_event() {
            match event {
                QuicEvent::Readable { conn, stream } => {
                    if let Some(number) = self.route(conn, stream) {
                        self.read(number, &mut on_frame)?;
                    }
                }
                QuicEvent::Writable { conn, stream } => {
                    if let Some(number) = self.route(conn, stream) {
                        self.sessions[number].blocked = false;
                        self.mark(number);
                    }
                }
                QuicEvent::Closed { conn, reason } => {
                    let session = self.sessions.iter().position(|session| session.conn == conn);
                    let (session, reason) = (session.unwrap_or_default(), reason.to_string());
                    return Err(BenchError::Closed { session, reason });
                }
                QuicEvent::Stopped { .. }
                | QuicEvent::Connected { .. }
                | QuicEvent::StreamOpened { .. }
                | QuicEvent::Delivered { .. } => {}
            }
        }
        match self.failure.take() {
            Some(error) => Err(error),
            None => Ok(datagrams),
        }
    }

    /// The client order id that the next [`queue`](Self::queue) of the session must carry.
    #[inline]
    pub fn next_id(&self, session: usize) -> ClientOrderId {
        self.sessions[session].next_id
    }

    /// Queues a command that carries [`next_id`](Self::next_id). It leaves with the next [`flush`](Self::flush).
    #[inline]
    pub fn queue(&mut self, session: usize, command: &Command) {
        command.encode(self.out(session));
        let session = &mut self.sessions[session];
        session.next_id = session.next_id.next();
    }

    /// Where the caller appends the frame of one command that carries [`next_id`](Self::next_id), which is used up.
    #[inline]
    pub(crate) fn queue_frame(&mut self, session: usize) -> &mut Vec<u8> {
        self.sessions[session].next_id = self.sessions[session].next_id.next();
        self.out(session)
    }

    /// Queues a question, which uses up no client order id.
    pub fn queue_question(&mut self, session: usize, command: &Command) {
        command.encode(self.out(session));
    }

    /// Sends what was queued, as far as the windows allow. Commands of one turn share datagrams.
    pub fn flush(&mut self) {
        let now = Instant::now();
        if self.heartbeat_due <= now {
            self.heartbeat_due = now + HEARTBEAT_CHECK;
            self.queue_heartbeats(now);
        }
        for index in 0..self.dirty.len() {
            self.write(self.dirty[index], now);
        }
        self.dirty.clear();
        self.driver.transmit(now);
    }

    /// Sends a request and awaits its answer: for what happens before and after a measurement.
    ///
    /// `read` looks at each event of the session and says what the answer is.
    pub fn request<T>(
        &mut self,
        session: usize,
        what: &'static str,
        make: impl FnOnce(ClientOrderId) -> Command,
        mut read: impl FnMut(ClientOrderId, &joulebook_protocol::Event) -> Option<T>,
    ) -> Result<T, BenchError> {
        let id = self.next_id(session);
        self.queue(session, &make(id));
        self.await_frame(session, what, |frame| match frame.header.template_id {
            RequestRejected::TEMPLATE_ID => {
                let rejected = RequestRejected::decode(frame.block).ok()?;
                (rejected.client_order_id == id)
                    .then(|| Err(refusal(what, rejected.reason, rejected.limit, rejected.value)))
            }
            RequestRefused::TEMPLATE_ID => {
                let refused = RequestRefused::decode(frame.block).ok()?;
                (refused.client_order_id == id)
                    .then(|| Err(refusal(what, refused.reason, refused.limit, refused.value)))
            }
            _ => read(id, &joulebook_protocol::Event::decode(frame).ok()?).map(Ok),
        })?
    }

    /// Waits until a frame of `session` means something to `read`.
    pub fn await_frame<T>(
        &mut self,
        session: usize,
        what: &str,
        mut read: impl FnMut(&Frame<'_>) -> Option<T>,
    ) -> Result<T, BenchError> {
        let deadline = Instant::now() + PATIENCE;
        let mut found = None;
        loop {
            self.flush();
            self.pump(|number, frame| {
                if number == session && found.is_none() {
                    found = read(frame);
                }
            })?;
            if let Some(answer) = found {
                return Ok(answer);
            }
            if deadline < Instant::now() {
                return Err(BenchError::Timeout { what: what.into(), seconds: PATIENCE.as_secs() });
            }
            self.park(deadline)?;
        }
    }

    /// Sleeps until something arrives, a timer is due, or `deadline` comes.
    pub fn park(&mut self, deadline: Instant) -> Result<(), BenchError> {
        if self.driver.has_work() {
            return Ok(());
        }
        let until =
            self.driver.next_timeout().into_iter().fold(deadline, Instant::min).min(self.heartbeat_due);
        let left = until.saturating_duration_since(Instant::now());
        let wanted = if self.driver.wants_write() { Readiness::BOTH } else { Readiness::READABLE };
        let mut set = PollSet::new();
        set.add(self.fd(), wanted);
        set.wait(Some(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)))?;
        // Timers are served by `transmit`.
        self.driver.transmit(Instant::now());
        Ok(())
    }

    /// Says goodbye on every connection.
    pub fn close(mut self) {
        let now = Instant::now();
        self.driver.close_all(u32::from(CloseReason::Logout.raw()), b"done", now);
        self.driver.transmit(now);
    }

    /// Packets that had to be repeated.
    pub fn lost_packets(&self) -> u64 {
        self.driver.stats().lost_packets
    }

    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.driver.fd()
    }

    fn adopt(&mut self, conn: ConnKey, stream: StreamId) -> usize {
        let number = self.sessions.len();
        self.sessions.push(Session {
            conn,
            stream,
            frames: Frames::default(),
            out: Vec::new(),
            next_id: ClientOrderId::new(1),
            dirty: false,
            blocked: false,
            last_sent: Instant::now(),
            heartbeat: Duration::from_secs(1),
        });
        if self.routes.len() <= conn.slot() {
            self.routes.resize_with(conn.slot() + 1, Vec::new);
        }
        self.routes[conn.slot()].push((stream, number));
        number
    }

    fn await_message<T>(
        &mut self,
        session: usize,
        what: &str,
        read: impl Fn(&SessionMessage) -> Option<T>,
    ) -> Result<T, BenchError> {
        self.await_frame(session, what, |frame| read(&SessionMessage::decode(frame).ok()?))
    }

    #[inline]
    fn out(&mut self, session: usize) -> &mut Vec<u8> {
        self.mark(session);
        &mut self.sessions[session].out
    }

    #[inline]
    fn mark(&mut self, number: usize) {
        let session = &mut self.sessions[number];
        if !session.dirty {
            session.dirty = true;
            self.dirty.push(number);
        }
    }

    fn route(&self, conn: ConnKey, stream: StreamId) -> Option<usize> {
        let streams = self.routes.get(conn.slot())?;
        streams.iter().find(|(other, _)| *other == stream).map(|(_, number)| *number)
    }

    fn read(
        &mut self,
        number: usize,
        on_frame: &mut impl FnMut(usize, &Frame<'_>),
    ) -> Result<(), BenchError> {
        let session = &mut self.sessions[number];
        let (conn, stream, frames) = (session.conn, session.stream, &mut session.frames);
        let (mut broken, mut terminated) = (None, None);
        let outcome = self.driver.read(conn, stream, READ_BUDGET_BYTES, |piece| {
            let fed = frames.feed(piece, |frame| match frame.header.template_id {
                Heartbeat::TEMPLATE_ID => {}
                Terminate::TEMPLATE_ID => terminated = Terminate::decode(frame.block).ok(),
                _ => on_frame(number, frame),
            });
            broken = broken.or(fed.err());
        });
        if let Some(error) = broken {
            return Err(BenchError::Frame { session: number, error });
        }
        if let Some(reason) = terminated.and_then(|message| CloseReason::from_raw(message.reason)) {
            return Err(BenchError::Terminated { session: number, reason });
        }
        match outcome {
            ReadOutcome::Blocked | ReadOutcome::More => Ok(()),
            ReadOutcome::Finished | ReadOutcome::Reset { .. } | ReadOutcome::Gone => {
                Err(BenchError::Closed { session: number, reason: format!("its stream ended ({outcome:?})") })
            }
        }
    }

    fn write(&mut self, number: usize, now: Instant) {
        let session = &mut self.sessions[number];
        session.dirty = false;
        if session.out.is_empty() || session.blocked {
            return;
        }
        session.last_sent = now;
        match self.driver.write(session.conn, session.stream, &session.out) {
            WriteOutcome::All => session.out.clear(),
            WriteOutcome::Blocked { taken } => {
                session.out.drain(..taken);
                session.blocked = true;
                self.blocked_writes += 1;
            }
            outcome @ (WriteOutcome::Stopped { .. } | WriteOutcome::Gone) => {
                let reason = format!("it takes no more bytes ({outcome:?})");
                self.failure.get_or_insert(BenchError::Closed { session: number, reason });
            }
        }
    }

    fn queue_heartbeats(&mut self, now: Instant) {
        for number in 0..self.sessions.len() {
            let session = &self.sessions[number];
            if session.heartbeat <= now.duration_since(session.last_sent) && session.out.is_empty() {
                let sent = TimeNs::new(joulebook_sys::realtime_ns());
                encode(&Heartbeat { sent }, self.out(number));
            }
        }
    }
}

fn rejection(rejected: &LogonRejected) -> String {
    RejectReason::from_raw(rejected.reason)
        .map_or_else(|| format!("reason {}", rejected.reason), |reason| reason.to_string())
}

fn refusal(what: &'static str, reason: u16, limit: i64, value: i64) -> BenchError {
    let reason = RejectReason::from_raw(reason).unwrap_or(RejectReason::Malformed);
    BenchError::Refused { what, reason, limit, value }
}
