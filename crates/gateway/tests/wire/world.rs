//! A real gateway and real clients over real sockets; the test plays the core at the other ends of the rings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::sync::Parker;
use crossbeam::utils::CachePadded;
use joulebook_gateway::{
    CoreLink, Gateway, GatewayConfig, GatewayLimits, ListenerConfig, Listeners, SteadyClock, SystemEntropy,
};
use joulebook_metrics::GatewayMetrics;
use joulebook_protocol::messages::{AccountDefinition, LogonAccepted, NewOrder, SessionOpened};
use joulebook_protocol::pipe::{CommandAssembler, CommandSlot, EventFrame};
use joulebook_protocol::{ALPN, CloseReason, Command, Message, SequencedCommand};
use joulebook_quic::transport::{TransportProfile, transport_config};
use joulebook_quic::{
    ClientConfig as QuicClientConfig, ConnKey, Driver, DriverConfig, Event, ReadOutcome, StreamId,
    WriteOutcome, tls,
};
use joulebook_rings::{Consumer, Doorbell, Gate, Producer, ring};
use joulebook_session::{ClientConfig, ClientOutput, ClientSession, Now};
use joulebook_sys::{PollSet, Readiness};
use joulebook_types::{AccountId, ClientOrderId, ConnectionId, Role, Roles, SessionId, TimeNs};
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

pub const TRADER: AccountId = AccountId::new(3);
pub const OPERATOR: AccountId = AccountId::new(9);

/// The exchange as far as it concerns the gateway.
pub struct World {
    pub gateway: Gateway,
    pub commands: Consumer<CommandSlot>,
    pub events: Producer<EventFrame>,
    pub order_gate: Arc<Gate>,
    pub metrics: Arc<CachePadded<GatewayMetrics>>,
    /// What the core took from the ring, logons that it answered by itself excepted.
    pub taken: Vec<SequencedCommand>,
    assembler: CommandAssembler,
    pub core_reads: bool,
    pub core_accepts: bool,
    pub opened: Vec<(AccountId, SessionOpened)>,
    certificate: CertificateDer<'static>,
    leaf_sha256: [u8; 32],
    /// Time that was skipped so far.
    skipped: Duration,
    origin: Instant,
    clock: SteadyClock,
}

/// What a test may change.
pub struct Setup {
    pub limits: GatewayLimits,
    pub commands: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self { limits: GatewayLimits::default(), commands: 1_024 }
    }
}

/// One client: a driver with a connection, and sessions on its streams.
pub struct Client {
    pub driver: Driver,
    pub conn: ConnKey,
    pub sessions: Vec<Session>,
    pub is_connected: bool,
    pub closed: Option<joulebook_quic::CloseReason>,
    leaf_sha256: [u8; 32],
}

pub struct Session {
    pub stream: StreamId,
    pub machine: ClientSession,
    pub seen: Vec<ClientOutput>,
    /// A client that does not read leaves the bytes in the connection.
    pub reads: bool,
    pub reset: Option<u64>,
    key: Ed25519KeyPair,
    is_readable: bool,
    is_finished: bool,
}

/// The key of an account, or another one.
pub fn key(account: AccountId) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[account.raw() as u8; 32]).expect("32 bytes")
}

impl World {
    pub fn new() -> Self {
        Self::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
        let certificate = made.cert.der().clone();
        let key_der = made.signing_key.serialize_der();
        let mut leaf_sha256 = [0; 32];
        leaf_sha256.copy_from_slice(digest(&SHA256, &certificate).as_ref());
        let listener = || ListenerConfig {
            driver: any_port(),
            server: tls::server_config(
                vec![certificate.clone()],
                PrivatePkcs8KeyDer::from(key_der.clone()).into(),
                ALPN,
                transport_config(&TransportProfile::server()),
            )
            .expect("a server"),
            leaf_sha256,
        };
        let (commands_in, commands) = ring(setup.commands);
        let (events, events_out) = ring(1 << 16);
        let order_gate = Arc::new(Gate::open());
        let metrics: Arc<CachePadded<GatewayMetrics>> = Arc::default();
        let link = CoreLink {
            commands: commands_in,
            core_bell: Arc::new(Doorbell::new(Arc::new(Parker::new().unparker().clone()))),
            events: events_out,
            order_gate: Arc::clone(&order_gate),
            metrics: Arc::clone(&metrics),
        };
        let config = GatewayConfig { number: 7, limits: setup.limits, feed_epoch: 1 };
        let origin = Instant::now();
        let clock = SteadyClock::starting_at(origin, TimeNs::new(WALL_NS));
        let listeners = Listeners::bind(listener(), Some(listener()), clock).expect("free ports");
        let now = Now { steady: clock.time(origin), wall: TimeNs::new(WALL_NS) };
        let gateway = Gateway::new(config, listeners, link, Box::new(SystemEntropy::default()), now);
        let gateway = gateway.expect("rings that are long enough");
        let mut world = Self {
            gateway,
            commands,
            events,
            order_gate,
            metrics,
            taken: Vec::new(),
            assembler: CommandAssembler::default(),
            core_reads: true,
            core_accepts: true,
            opened: Vec::new(),
            certificate,
            leaf_sha256,
            skipped: Duration::ZERO,
            origin,
            clock,
        };
        world.define(TRADER, [Role::Seller, Role::Maker].into_iter().collect());
        world.define(OPERATOR, [Role::Operator].into_iter().collect());
        world
    }

    pub fn define(&mut self, account: AccountId, roles: Roles) {
        let mut public_key = [0; 32];
        public_key.copy_from_slice(key(account).public_key().as_ref());
        self.publish(&AccountDefinition { account, roles: roles.bits(), public_key, ..Default::default() });
    }

    pub fn publish<M: Message>(&mut self, message: &M) {
        self.events.try_push(EventFrame::of(None, message)).expect("room for an event");
    }

    pub fn tell<M: Message>(&mut self, connection: ConnectionId, message: &M) {
        self.events.try_push(EventFrame::of(Some(connection), message)).expect("room for an event");
    }

    /// A client with a connection to the public endpoint, or to the operators'.
    pub fn client(&mut self, operator: bool) -> Client {
        self.client_with(operator, &TransportProfile::client())
    }

    pub fn client_with(&mut self, operator: bool, profile: &TransportProfile) -> Client {
        let mut client = self.dial(operator, profile);
        self.until("connected", &mut [&mut client], |_, clients| clients[0].is_connected);
        client
    }

    /// A client whose connection is on its way.
    pub fn dial(&mut self, operator: bool, profile: &TransportProfile) -> Client {
        let config: QuicClientConfig =
            tls::client_config([self.certificate.clone()], ALPN, transport_config(profile))
                .expect("a client");
        let address = if operator {
            self.gateway.operator_addr().expect("an operators' endpoint")
        } else {
            self.gateway.public_addr()
        };
        let mut driver = Driver::client(any_port()).expect("a free port");
        let conn = driver.connect(config, address, "localhost", self.instant()).expect("room");
        let leaf_sha256 = self.leaf_sha256;
        Client { driver, conn, sessions: Vec::new(), is_connected: false, closed: None, leaf_sha256 }
    }

    /// A client whose one session is logged on.
    pub fn trader(&mut self, session: u32) -> Client {
        let mut client = self.client(false);
        client.open(self, ClientConfig::new(TRADER, SessionId::new(session)));
        self.until("logged on", &mut [&mut client], |_, clients| clients[0].sessions[0].machine.is_ready());
        client
    }

    /// Connection ids of sessions that were opened, oldest first.
    pub fn connection(&self, index: usize) -> ConnectionId {
        self.opened[index].1.connection
    }

    /// Lets time pass at once for everybody.
    pub fn skip(&mut self, time: Duration) {
        self.skipped += time;
    }

    pub fn instant(&self) -> Instant {
        Instant::now() + self.skipped
    }

    pub fn wall(&self) -> TimeNs {
        TimeNs::new(WALL_NS + (self.instant() - self.origin).as_nanos() as u64)
    }

    pub fn turn(&mut self) -> bool {
        let now = Now { steady: self.clock.time(self.instant()), wall: self.wall() };
        let progress = self.gateway.turn(now);
        let mut took = false;
        while let Some(slot) = self.core_reads.then(|| self.commands.pop()).flatten() {
            took = true;
            let Some(record) = self.assembler.push(&slot) else { continue };
            let command = SequencedCommand::decode(record).expect("a journal record");
            match command.command {
                Command::SessionOpened(opened) => {
                    let account = command.origin.account;
                    self.opened.push((account, opened));
                    let session = command.origin.session;
                    let heartbeat_ms = opened.heartbeat_ms;
                    if self.core_accepts {
                        let accepted = LogonAccepted { account, session, heartbeat_ms, ..Default::default() };
                        self.tell(opened.connection, &accepted);
                    }
                }
                _ => self.taken.push(command),
            }
        }
        progress | took
    }

    /// Drives everybody until `done`.
    pub fn until(
        &mut self,
        what: &str,
        clients: &mut [&mut Client],
        mut done: impl FnMut(&mut World, &mut [&mut Client]) -> bool,
    ) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            let mut progress = self.turn();
            let instant = self.instant();
            for client in clients.iter_mut() {
                progress |= client.turn(self.wall(), instant);
            }
            if done(self, clients) {
                return;
            }
            if !progress {
                self.park(clients);
            }
        }
    }

    /// Sleeps until a socket is ready or a timer is due.
    fn park(&mut self, clients: &[&mut Client]) {
        if self.gateway.has_work() || clients.iter().any(|client| client.driver.has_work()) {
            return;
        }
        let sessions = clients.iter().flat_map(|client| client.sessions.iter());
        let session_deadlines = sessions.filter_map(|session| session.machine.deadline());
        let session_deadlines =
            session_deadlines.map(|at| self.origin + Duration::from_nanos(at.raw().saturating_sub(WALL_NS)));
        let network = clients.iter().filter_map(|client| client.driver.next_timeout());
        let gateway = self.gateway.next_timeout().map(|at| self.clock.instant(at));
        let until = network.chain(gateway).chain(session_deadlines).min();
        let left =
            until.map_or(Duration::from_secs(1), |until| until.saturating_duration_since(self.instant()));
        let mut poll = PollSet::new();
        for (fd, wants_write) in self.gateway.poll_fds() {
            poll.add(fd, if wants_write { Readiness::BOTH } else { Readiness::READABLE });
        }
        for client in clients {
            poll.add(client.driver.fd(), Readiness::READABLE);
        }
        poll.wait(Some(left.as_nanos() as u64)).expect("poll");
    }

    pub fn set_read_only(&self, read_only: bool) {
        self.order_gate.set(!read_only);
    }

    /// The commands that the core took, orders by their ids.
    pub fn order_ids(&self) -> Vec<u64> {
        let ids = self.taken.iter().filter_map(|command| match command.command {
            Command::NewOrder(order) => Some(order.client_order_id.raw()),
            _ => None,
        });
        ids.collect()
    }

    /// Ends of sessions that the core learned of.
    pub fn ends(&self) -> Vec<(ConnectionId, CloseReason)> {
        let ends = self.taken.iter().filter_map(|command| match command.command {
            Command::SessionClosed(closed) => {
                Some((closed.connection, CloseReason::from_raw(closed.reason).expect("a reason")))
            }
            _ => None,
        });
        ends.collect()
    }
}

/// 2026-11-23T00:00Z.
const WALL_NS: u64 = 1_795_392_000_000_000_000;

fn any_port() -> DriverConfig {
    DriverConfig::new("127.0.0.1:0".parse().expect("an address"))
}

impl Client {
    /// Opens a stream with a session on it; its key is the account's.
    pub fn open(&mut self, world: &World, config: ClientConfig) {
        assert!(self.try_open(world, config), "no stream is left");
    }

    /// The same; false while the server allows no further stream.
    pub fn try_open(&mut self, world: &World, config: ClientConfig) -> bool {
        self.open_signed_by(world, config, key(config.account))
    }

    pub fn open_signed_by(&mut self, world: &World, config: ClientConfig, key: Ed25519KeyPair) -> bool {
        let Some(stream) = self.driver.open_bi(self.conn) else { return false };
        let mut machine = ClientSession::new(config);
        machine.start(self.leaf_sha256, world.wall());
        let (seen, reads, reset) = (Vec::new(), true, None);
        let (is_readable, is_finished) = (false, false);
        self.sessions.push(Session { stream, machine, seen, reads, reset, key, is_readable, is_finished });
        true
    }

    /// Places an order on a session and says which id it has.
    pub fn place(&mut self, session: usize, now: TimeNs) -> ClientOrderId {
        let machine = &mut self.sessions[session].machine;
        let client_order_id = machine.next_client_order_id().expect("logged on");
        machine.request(&NewOrder { client_order_id, ..Default::default() }.into(), now).expect("room")
    }

    fn turn(&mut self, wall: TimeNs, instant: Instant) -> bool {
        let mut progress = self.driver.receive(instant) > 0;
        while let Some(event) = self.driver.next_event() {
            progress = true;
            match event {
                Event::Connected { .. } => self.is_connected = true,
                Event::Readable { stream, .. } => {
                    if let Some(session) = self.sessions.iter_mut().find(|session| session.stream == stream) {
                        session.is_readable = true;
                    }
                }
                Event::Closed { reason, .. } => self.closed = Some(reason),
                Event::StreamOpened { .. }
                | Event::Writable { .. }
                | Event::Delivered { .. }
                | Event::Stopped { .. } => {}
            }
        }
        for session in &mut self.sessions {
            progress |= session.turn(&mut self.driver, self.conn, wall);
        }
        self.driver.transmit(instant);
        progress
    }
}

impl Session {
    fn turn(&mut self, driver: &mut Driver, conn: ConnKey, now: TimeNs) -> bool {
        let mut progress = false;
        while self.reads && self.is_readable {
            progress = true;
            let machine = &mut self.machine;
            match driver.read(conn, self.stream, 1 << 20, |bytes| machine.on_bytes(bytes, now)) {
                ReadOutcome::Blocked | ReadOutcome::More | ReadOutcome::Finished | ReadOutcome::Gone => {
                    self.is_readable = false;
                }
                ReadOutcome::Reset { code } => {
                    self.is_readable = false;
                    self.reset = Some(code);
                    machine.on_closed_by_server(code);
                }
            }
        }
        self.machine.on_timeout(now);
        while let Some(output) = self.machine.poll(now) {
            progress = true;
            if let ClientOutput::Sign(bytes) = output {
                let signature = self.key.sign(&bytes);
                self.machine.signed(signature.as_ref().try_into().expect("64 bytes"), now);
            }
            self.seen.push(output);
        }
        if !self.machine.unsent().is_empty() {
            match driver.write(conn, self.stream, self.machine.unsent()) {
                WriteOutcome::All => self.machine.sent(self.machine.unsent().len()),
                WriteOutcome::Blocked { taken } => self.machine.sent(taken),
                WriteOutcome::Stopped { .. } | WriteOutcome::Gone => {
                    self.machine.sent(self.machine.unsent().len());
                }
            }
        }
        if self.machine.is_closed() && self.machine.unsent().is_empty() && !self.is_finished {
            // Without this the stream would count as open for ever.
            self.is_finished = true;
            driver.finish(conn, self.stream);
        }
        progress
    }

    pub fn closed(&self) -> Option<CloseReason> {
        self.seen.iter().find_map(|output| match output {
            ClientOutput::Closed(reason) => Some(*reason),
            _ => None,
        })
    }

    /// Reason codes of requests that the gateway refused.
    pub fn refusals(&self) -> Vec<u16> {
        let refusals = self.seen.iter().filter_map(|output| match output {
            ClientOutput::Refused(refused) => Some(refused.reason),
            _ => None,
        });
        refusals.collect()
    }
}
