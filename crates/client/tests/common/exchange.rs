//! The exchange in one process: the real engine, feed and sessions behind a QUIC server that can be told to misbehave.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use joulebook_client::{AccountKey, Client, ClientConfig, ClientError, Events, Sha256, Venue};
use joulebook_engine::{Destination, Engine, Events as EngineEvents};
use joulebook_feed::{FeedPublisher, SubscriberId, Subscribers};
use joulebook_protocol::messages::{
    DepositCredits, Genesis, ListInstrument, MintCredits, OpenAccount, RegisterCapacity, SessionClosed,
    SessionOpened,
};
use joulebook_protocol::{ALPN, Command, Frame, Origin, PublicEvent, RejectReason, SequencedCommand};
use joulebook_session::{Intake, Now, ServerOutput, ServerSession, SessionLimits, Verify, logon_bytes};
use joulebook_types::{
    AccountId, ClientOrderId, ConnectionId, InstrumentId, MicroEc, Price, Role, Roles, SessionId, TimeNs,
};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use ring::signature::{ED25519, UnparsedPublicKey};
use tokio::sync::Notify;

use crate::common::Certificate;

pub const ALICE: AccountId = AccountId::new(10);
pub const BOB: AccountId = AccountId::new(11);
const OPERATOR: AccountId = AccountId::new(1);
const ISSUER: AccountId = AccountId::new(2);
/// The only instrument, open, tick 0.01 EC.
pub const BOOK: InstrumentId = InstrumentId::new(1);

pub struct Exchange {
    hub: Arc<Hub>,
    certificate: Certificate,
    endpoint: Endpoint,
    addr: SocketAddr,
}

struct Hub {
    core: Mutex<Core>,
    connections: Mutex<Vec<Connection>>,
    /// Newcomers are turned away meanwhile.
    is_down: AtomicBool,
}

struct Core {
    engine: Engine,
    events: EngineEvents,
    publisher: FeedPublisher,
    desks: BTreeMap<ConnectionId, Desk>,
    keys: BTreeMap<AccountId, [u8; 32]>,
    leaf: Sha256,
    started: Instant,
    last_connection: u64,
    commands: u64,
}

/// One stream.
struct Desk {
    session: ServerSession,
    wake: Arc<Notify>,
    /// What the engine knows the session as, from the logon on.
    origin: Option<Origin>,
    closed: bool,
}

struct Desks<'a>(&'a mut BTreeMap<ConnectionId, Desk>, Now);

impl Subscribers for Desks<'_> {
    fn is_lagging(&self, _subscriber: SubscriberId) -> bool {
        false
    }

    fn send(&mut self, subscriber: SubscriberId, frames: &[u8]) {
        let connection = ConnectionId::of_gateway(1, u64::from(subscriber.0));
        if let Some(desk) = self.0.get_mut(&connection) {
            desk.session.send_frames(frames, self.1);
            desk.wake.notify_one();
        }
    }
}

pub fn key(account: AccountId) -> AccountKey {
    AccountKey::from_seed(account, &[account.raw() as u8; 32]).unwrap()
}

impl Exchange {
    /// Alice and Bob have 1,000,000 EC and 8,000 accelerators each.
    pub fn start() -> Self {
        let certificate = Certificate::new();
        let (endpoint, addr) = certificate.server(ALPN);
        let mut core = Core {
            engine: Engine::new(),
            events: EngineEvents::new(),
            publisher: FeedPublisher::new(1),
            desks: BTreeMap::new(),
            keys: BTreeMap::new(),
            leaf: Sha256::of(&certificate.der),
            started: Instant::now(),
            last_connection: 0,
            commands: 0,
        };
        core.open_exchange();
        let hub = Arc::new(Hub {
            core: Mutex::new(core),
            connections: Mutex::new(Vec::new()),
            is_down: AtomicBool::new(false),
        });
        tokio::spawn(hub.clone().serve(endpoint.clone()));
        Self { hub, certificate, endpoint, addr }
    }

    pub fn venue(&self) -> Venue {
        self.certificate.venue(self.addr)
    }

    pub async fn connect(&self, account: AccountId) -> Result<(Client, Events), ClientError> {
        Client::connect(ClientConfig::new(self.venue(), key(account))).await
    }

    /// Cuts every connection, as a crash would: nobody is told why.
    pub fn cut(&self) {
        for connection in self.hub.connections.lock().unwrap().drain(..) {
            connection.close(0u32.into(), b"cut");
        }
    }

    /// While down, nobody gets a connection.
    pub fn set_down(&self, down: bool) {
        self.hub.is_down.store(down, Ordering::Release);
        if down {
            self.cut();
        }
    }

    /// Commands of clients that the engine has had.
    pub fn commands(&self) -> u64 {
        self.hub.core().commands
    }

    pub fn look<T>(&self, look: impl FnOnce(&Engine) -> T) -> T {
        look(&self.hub.core().engine)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.endpoint.close(0u32.into(), b"");
    }
}

impl Hub {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap()
    }

    async fn serve(self: Arc<Self>, endpoint: Endpoint) {
        while let Some(incoming) = endpoint.accept().await {
            if self.is_down.load(Ordering::Acquire) {
                incoming.refuse();
                continue;
            }
            let hub = self.clone();
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                hub.connections.lock().unwrap().push(connection.clone());
                while let Ok((send, recv)) = connection.accept_bi().await {
                    tokio::spawn(hub.clone().desk(send, recv));
                }
            });
        }
    }

    async fn desk(self: Arc<Self>, mut send: SendStream, mut recv: RecvStream) {
        let (id, wake) = self.core().open_desk();
        let mut buffer = vec![0; 16 << 10];
        loop {
            let (unsent, closed) = self.core().pump(id);
            if send.write_all(&unsent).await.is_err() {
                break;
            }
            if closed {
                let _ = send.finish();
                let _ = send.stopped().await;
                break;
            }
            let pause = self.core().until_deadline(id);
            tokio::select! {
                read = recv.read(&mut buffer) => match read {
                    Ok(Some(count)) => self.core().on_bytes(id, &buffer[..count]),
                    Ok(None) | Err(_) => break,
                },
                _ = tokio::time::timeout(pause, wake.notified()) => self.core().on_timeout(id),
            }
        }
        self.core().close_desk(id);
    }
}

impl Core {
    fn open_exchange(&mut self) {
        self.apply(
            Origin::SYSTEM,
            Genesis {
                accounts_max: 100,
                sessions_max: 100,
                instruments_max: 100,
                orders_max: 10_000,
                outbox_events_max: 10_000,
                session_outcomes_max: 1_000,
                outcomes_max: 10_000,
                ..Genesis::default()
            },
        );
        let trader = [Role::Seller, Role::Buyer, Role::Maker].into_iter().collect();
        self.open_account(OPERATOR, Roles::NONE.with(Role::Operator));
        self.open_account(ISSUER, Roles::NONE.with(Role::Issuer));
        let start_minute = self.now().wall.minutes().next_multiple_of(1_440) + 1_440;
        let id = ClientOrderId::new;
        self.apply(
            origin(OPERATOR),
            ListInstrument {
                client_order_id: id(1),
                class: "H200S".parse().unwrap(),
                area: "DE".parse().unwrap(),
                start_minute,
                window_minutes: 60,
                accelerators_per_lot: 8,
                tick: Price::new(10_000),
                band_low: Price::new(10_000),
                band_high: Price::new(1_000_000_000),
                gate: TimeNs::from_minutes(start_minute),
                qty_max: 1_000,
                ..ListInstrument::default()
            },
        );
        for (index, account) in [ALICE, BOB].into_iter().enumerate() {
            self.open_account(account, trader);
            let (mint, deposit) = (id(1 + 2 * index as u64), id(2 + 2 * index as u64));
            let amount = MicroEc::from_ec(1_000_000);
            self.apply(origin(ISSUER), MintCredits { client_order_id: mint, amount, attestation: 1 });
            let to = account;
            self.apply(origin(ISSUER), DepositCredits { client_order_id: deposit, amount, to, reserved: 0 });
            let register = RegisterCapacity {
                client_order_id: id(1),
                class: "H200S".parse().unwrap(),
                area: "DE".parse().unwrap(),
                start_minute,
                window_minutes: 60,
                accelerators: 8_000,
                ..RegisterCapacity::default()
            };
            // In a session of its own, so that the clients' sessions are new.
            let other = Origin { session: SessionId::new(99), ..origin(account) };
            self.open_session(other);
            self.apply(other, register);
        }
        assert!(self.engine.instrument(BOOK).is_some(), "the window is listed");
        self.commands = 0;
    }

    fn open_account(&mut self, account: AccountId, roles: Roles) {
        let public_key = key(account).public_key();
        self.keys.insert(account, public_key);
        self.apply(
            Origin::SYSTEM,
            OpenAccount { account, roles: roles.bits(), public_key, ..OpenAccount::default() },
        );
        if account == OPERATOR || account == ISSUER {
            self.open_session(origin(account));
        }
    }

    fn open_session(&mut self, origin: Origin) {
        let connection = ConnectionId::of_gateway(2, u64::from(origin.account.raw()));
        self.apply(origin, SessionOpened { connection, ..SessionOpened::default() });
    }

    fn now(&self) -> Now {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Now {
            steady: TimeNs::new(self.started.elapsed().as_nanos() as u64),
            wall: TimeNs::new(since_epoch.as_nanos() as u64),
        }
    }

    fn open_desk(&mut self) -> (ConnectionId, Arc<Notify>) {
        self.last_connection += 1;
        let id = ConnectionId::of_gateway(1, self.last_connection);
        let nonce = [self.last_connection as u8; 32];
        let session = ServerSession::new(SessionLimits::default(), id, nonce, self.now());
        let wake = Arc::new(Notify::new());
        self.desks.insert(id, Desk { session, wake: wake.clone(), origin: None, closed: false });
        (id, wake)
    }

    fn close_desk(&mut self, id: ConnectionId) {
        let Some(desk) = self.desks.remove(&id) else { return };
        self.publisher.remove(subscriber(id));
        if let Some(origin) = desk.origin {
            self.apply(origin, SessionClosed { connection: id, reason: 9, reserved: [0; 6] });
        }
    }

    fn until_deadline(&self, id: ConnectionId) -> Duration {
        let deadline = self.desks.get(&id).and_then(|desk| desk.session.deadline()).unwrap_or(TimeNs::MAX);
        Duration::from_nanos(deadline.raw().saturating_sub(self.now().steady.raw()))
    }

    fn on_timeout(&mut self, id: ConnectionId) {
        let now = self.now();
        if let Some(desk) = self.desks.get_mut(&id) {
            desk.session.on_timeout(now);
        }
    }

    fn on_bytes(&mut self, id: ConnectionId, bytes: &[u8]) {
        let now = self.now();
        if let Some(desk) = self.desks.get_mut(&id) {
            desk.session.on_bytes(bytes, now);
        }
    }

    /// Does what the session of this stream wants; gives back what it sends and whether that is all.
    fn pump(&mut self, id: ConnectionId) -> (Vec<u8>, bool) {
        let now = self.now();
        while let Some(output) = self.desks.get_mut(&id).and_then(|desk| desk.session.poll(now, Intake::Open))
        {
            match output {
                ServerOutput::Verify(verify) => {
                    let verdict = self.verify(&verify);
                    let desk = self.desks.get_mut(&id).unwrap();
                    if let Some(origin) = desk.session.verified(verdict, now) {
                        desk.origin = Some(origin);
                        self.on_command(id, origin);
                    }
                }
                ServerOutput::Command(origin) => {
                    self.commands += 1;
                    self.on_command(id, origin);
                }
                ServerOutput::Subscribe(subscribe) => {
                    self.publisher.subscribe(subscriber(id), &subscribe).unwrap();
                    while self.publisher.serve(&mut Desks(&mut self.desks, now)) {}
                }
                ServerOutput::Unsubscribe(unsubscribe) => {
                    self.publisher.unsubscribe(subscriber(id), &unsubscribe)
                }
                ServerOutput::Close(_) => self.desks.get_mut(&id).unwrap().closed = true,
                ServerOutput::Anonymous | ServerOutput::Refused(_) => {}
            }
        }
        let Some(desk) = self.desks.get_mut(&id) else { return (Vec::new(), true) };
        let unsent = desk.session.unsent().to_vec();
        desk.session.sent(unsent.len());
        (unsent, desk.closed)
    }

    fn verify(&self, verify: &Verify) -> Result<(), RejectReason> {
        let key = self.keys.get(&verify.account).ok_or(RejectReason::UnknownAccount)?;
        let bytes = logon_bytes(&verify.nonce, &self.leaf.0, verify.account, verify.session);
        let verified = UnparsedPublicKey::new(&ED25519, key).verify(&bytes, &verify.signature);
        verified.map_err(|_| RejectReason::BadSignature)
    }

    fn on_command(&mut self, id: ConnectionId, origin: Origin) {
        let (frame, _) = Frame::split(self.desks[&id].session.command()).unwrap().unwrap();
        let command = Command::decode(&frame).unwrap();
        self.apply(origin, command);
    }

    fn apply(&mut self, origin: Origin, command: impl Into<Command>) {
        let now = self.now();
        let command = SequencedCommand { origin, command: command.into() };
        self.events.clear();
        self.engine.begin_batch(self.engine.last_seq().next(), now.wall, &mut self.events);
        self.engine.apply(&command, &mut self.events);
        self.engine.end_batch(&mut self.events);
        for record in self.events.iter() {
            match record.destination {
                Destination::Public => {
                    let (frame, _) = Frame::split(record.frame).unwrap().unwrap();
                    let event = PublicEvent::decode(&frame).unwrap();
                    self.publisher.publish(&event, &mut Desks(&mut self.desks, now));
                }
                Destination::Connection(connection) => {
                    if let Some(desk) = self.desks.get_mut(&connection) {
                        desk.session.on_event(record.frame, now);
                        desk.wake.notify_one();
                    }
                }
            }
        }
        while self.publisher.serve(&mut Desks(&mut self.desks, now)) {}
    }
}

fn origin(account: AccountId) -> Origin {
    Origin { account, session: SessionId::new(1), received: TimeNs::ZERO }
}

fn subscriber(id: ConnectionId) -> SubscriberId {
    SubscriberId((id.raw() & 0xffff_ffff) as u32)
}
