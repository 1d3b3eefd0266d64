//! A trader's machine: a process that keeps a session over whatever happens to network, exchange and itself.

mod habits;

use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use joulebook_engine::Engine;
use joulebook_feed::{FeedChange, FeedReceiver, LEVELS_AND_TRADES};
use joulebook_gateway::{Network, NetworkEvent, ReadOutcome, WriteOutcome};
use joulebook_protocol::messages::{AccountQuery, RequestRefused};
use joulebook_protocol::{CloseReason, Command, Event, RejectReason};
use joulebook_session::{ClientConfig, ClientOutput, ClientSession};
use joulebook_types::{ClientOrderId, InstrumentId, OrderId, Side, TimeNs};
use ring::signature::Ed25519KeyPair;

use crate::audit::{Audit, Identity, normal};
use crate::checks::{Check, Violation};
use crate::dice::Dice;
use crate::flow::{self, OPERATOR, View};
use crate::net::{ConnectionKey, Endpoint, EndpointConfig, Fabric, Host, StreamNumber};
use crate::scene::Scene;

pub use habits::Habits;

/// The certificate hash that every logon is bound to.
pub const LEAF_SHA256: [u8; 32] = [0x5a; 32];

/// Where a client runs and whom it is for.
pub struct ClientPlace {
    pub host: Host,
    pub server: Host,
    pub who: Identity,
    pub key: Rc<Ed25519KeyPair>,
    /// Exchange time at the world's start, for orders that expire.
    pub epoch_ns: u64,
}

/// A request that is waiting to be numbered.
pub type Job = Box<dyn Fn(ClientOrderId) -> Command>;

/// The machine. Its process may die and come back; what it had written down survives.
pub struct Client {
    scene: Scene,
    fabric: Fabric,
    dice: Dice,
    place: ClientPlace,
    habits: Habits,
    process: Option<Process>,
    restart_at: u64,
    /// The last event number that the process wrote down.
    remembered: u64,
    jobs: VecDeque<Job>,
    /// Requests that it still will make.
    requests_left: u32,
    act_at: u64,
    read_at: u64,
    /// It looks around once although nothing came.
    is_roused: bool,
    /// What [`Client::next_event`] last worked out, until anything is done to the client.
    due: Cell<Option<Option<u64>>>,
}

/// What is lost when the process dies.
struct Process {
    session: ClientSession,
    endpoint: Endpoint,
    line: Line,
    feed: FeedReceiver,
    /// Subscribed on the present stream.
    is_subscribed: bool,
    orders: Vec<OrderId>,
    /// Books that came on the present stream.
    books: BTreeSet<InstrumentId>,
    /// The newest event number that came, `None` before the first in this process.
    last_seen: Option<u64>,
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Down { retry_at: u64 },
    Dialing(ConnectionKey),
    Up(ConnectionKey, StreamNumber),
}

const BACKOFF_NS: u64 = 20_000_000;
const BACKOFF_NS_MAX: u64 = 1_000_000_000;
const READ_BYTES: usize = 16 << 10;
const RESTING_GAP_NS: u64 = 10_000_000;
/// Orders that a client keeps in mind.
const ORDERS_MAX: usize = 12;

impl Client {
    pub fn new(scene: Scene, fabric: Fabric, mut dice: Dice, place: ClientPlace, habits: Habits) -> Self {
        let act_at = dice.below(habits.gap_ns);
        Self {
            scene,
            fabric,
            dice,
            place,
            habits,
            process: None,
            restart_at: 0,
            remembered: 0,
            jobs: VecDeque::new(),
            requests_left: habits.requests,
            act_at,
            read_at: 0,
            is_roused: false,
            due: Cell::new(None),
        }
    }

    /// Something that it does before all else.
    pub fn give_job(&mut self, job: Job) {
        self.due.set(None);
        self.jobs.push_back(job);
    }

    pub fn host(&self) -> Host {
        self.place.host
    }

    /// The process dies. It comes back knowing what it had written down, or nothing.
    pub fn kill(&mut self, restart_at: u64, remembers: bool) {
        self.due.set(None);
        if let Some(process) = self.process.take() {
            self.remembered = if remembers { process.session.last_event_seq() } else { 0 };
            self.restart_at = restart_at;
            self.fabric.forget(self.place.host);
            let who = self.place.who;
            self.scene.note("client", &[u64::from(self.place.host)], || format!("{who:?} is killed"));
        }
    }

    /// It reads nothing before `until`.
    pub fn stall(&mut self, until: u64) {
        self.read_at = until;
    }

    /// Drops its connection and dials again.
    pub fn hang_up(&mut self) {
        self.due.set(None);
        if let Some(Process { line: Line::Up(connection, _), endpoint, .. }) = &mut self.process {
            endpoint.close(*connection);
        }
    }

    /// Makes no more requests but one: a question about its account, whose answer shows that its session works.
    pub fn rest(&mut self) {
        self.due.set(None);
        self.jobs.clear();
        self.jobs.push_back(Box::new(|client_order_id| AccountQuery { client_order_id }.into()));
        self.act_at = self.scene.now();
        self.habits.gap_ns = self.habits.gap_ns.min(RESTING_GAP_NS);
        self.requests_left = 0;
        self.read_at = 0;
        self.is_roused = true;
        self.restart_at = self.restart_at.min(self.scene.now());
    }

    /// Everything that it asked for is answered, and it is logged on.
    pub fn is_settled(&self) -> bool {
        self.process.as_ref().is_some_and(|process| {
            self.jobs.is_empty()
                && process.session.is_ready()
                && process.session.unanswered() == 0
                && process.endpoint.is_quiet()
        })
    }

    /// It has nothing more to send on its own account.
    pub fn is_done(&self) -> bool {
        self.jobs.is_empty() && self.requests_left == 0
    }

    /// For people: what it is doing.
    pub fn describe(&self) -> String {
        let who = self.place.who;
        match &self.process {
            None => format!("{who:?} is dead"),
            Some(process) => format!(
                "{who:?} line {:?}, ready {}, unanswered {}",
                process.line,
                process.session.is_ready(),
                process.session.unanswered()
            ),
        }
    }

    /// When it must be stepped, if nothing arrives.
    pub fn next_event(&self) -> Option<u64> {
        let due = self.due.get().unwrap_or_else(|| {
            let due = self.work_out_due();
            self.due.set(Some(due));
            due
        });
        let stall = (self.scene.now() < self.read_at).then_some(self.read_at);
        [due, stall.filter(|_| self.process.is_some())].into_iter().flatten().min()
    }

    /// All but the end of a stall: the world asks for it at each of its steps, and nearly every time nothing was done.
    fn work_out_due(&self) -> Option<u64> {
        let Some(process) = &self.process else { return Some(self.restart_at) };
        if self.is_roused || process.endpoint.has_work() {
            return Some(self.scene.now());
        }
        let retry = match process.line {
            Line::Down { retry_at } => Some(retry_at),
            Line::Dialing(_) | Line::Up(..) => None,
        };
        let act = (!self.is_done()).then_some(self.act_at);
        let session = process.session.deadline().map(TimeNs::raw);
        let endpoint = process.endpoint.next_timeout().map(TimeNs::raw);
        [retry, act, session, endpoint].into_iter().flatten().min()
    }

    /// Does all that can be done now.
    pub fn step(&mut self, audit: &mut Audit) -> Result<(), Violation> {
        self.due.set(None);
        let now = self.scene.now();
        if self.process.is_none() {
            if now < self.restart_at {
                return Ok(());
            }
            self.process = Some(self.start());
        }
        let time = TimeNs::new(now);
        self.is_roused = false;
        self.dial_if_due();
        loop {
            let process = self.process.as_mut().expect("it was started");
            let mut moved = process.endpoint.receive(time);
            while let Some(event) = self.process.as_mut().and_then(|process| process.endpoint.next_event()) {
                moved = true;
                self.on_network(event);
            }
            self.read();
            let process = self.process.as_mut().expect("it was started");
            if process.session.deadline().is_some_and(|deadline| deadline <= time) {
                process.session.on_timeout(time);
            }
            moved |= self.hear(audit)?;
            if !moved {
                break;
            }
        }
        self.act(audit);
        self.flush();
        Ok(())
    }

    fn start(&mut self) -> Process {
        let (account, session) = self.place.who;
        let config = ClientConfig {
            last_event_seq: self.remembered,
            heartbeat_ms: self.habits.heartbeat_ms,
            cancel_on_disconnect_ms: self.habits.cancel_on_disconnect_ms,
            logon_timeout_ms: 2_000,
            unanswered_max: self.habits.unanswered_max,
            ..ClientConfig::new(account, session)
        };
        let endpoint = EndpointConfig {
            window_bytes: self.habits.window_bytes,
            ..EndpointConfig::new(self.place.host, false)
        };
        Process {
            session: ClientSession::new(config),
            endpoint: Endpoint::new(self.fabric.clone(), endpoint),
            line: Line::Down { retry_at: self.scene.now() },
            feed: FeedReceiver::new(LEVELS_AND_TRADES),
            is_subscribed: false,
            orders: Vec::new(),
            books: BTreeSet::new(),
            last_seen: None,
            attempts: 0,
        }
    }

    fn dial_if_due(&mut self) {
        let now = self.scene.now();
        let Some(process) = &mut self.process else { return };
        if let Line::Down { retry_at } = process.line
            && retry_at <= now
        {
            self.scene.count("dials");
            process.line = Line::Dialing(process.endpoint.connect(self.place.server, TimeNs::new(now)));
        }
    }

    fn on_network(&mut self, event: NetworkEvent<ConnectionKey, StreamNumber>) {
        let now = TimeNs::new(self.scene.now());
        let Some(process) = &mut self.process else { return };
        match (event, process.line) {
            (NetworkEvent::Connected { connection }, Line::Dialing(dialing)) if connection == dialing => {
                let stream = process.endpoint.open_stream(connection).expect("a new connection has room");
                process.line = Line::Up(connection, stream);
                process.session.start(LEAF_SHA256, now);
            }
            (NetworkEvent::Closed { connection }, Line::Dialing(mine) | Line::Up(mine, _))
                if connection == mine =>
            {
                self.lost();
            }
            // Bytes are looked for whenever something came.
            _other => {}
        }
    }

    /// The connection is gone: again, after a while that grows.
    fn lost(&mut self) {
        let Some(process) = &mut self.process else { return };
        process.session.on_disconnected();
        process.feed.on_disconnected();
        process.is_subscribed = false;
        process.books.clear();
        let pause = (BACKOFF_NS << process.attempts.min(8)).min(BACKOFF_NS_MAX);
        process.attempts += 1;
        let retry_at = self.scene.now() + pause / 2 + self.dice.below(pause / 2);
        process.line = Line::Down { retry_at };
        self.scene.count("connections lost");
    }

    fn read(&mut self) {
        let now = self.scene.now();
        let Some(Process { line: Line::Up(connection, stream), endpoint, session, .. }) = &mut self.process
        else {
            return;
        };
        if now < self.read_at {
            // The exchange is not to blame for a silence while we do not read.
            session.on_bytes(&[], TimeNs::new(now));
            return;
        }
        loop {
            let outcome = endpoint.read(*connection, *stream, READ_BYTES, |bytes| {
                session.on_bytes(bytes, TimeNs::new(now));
            });
            match outcome {
                ReadOutcome::More => {}
                ReadOutcome::Blocked => return,
                ReadOutcome::Finished | ReadOutcome::Lost => {
                    return session.on_closed_by_server(u64::from(CloseReason::ConnectionLost.raw()));
                }
            }
        }
    }

    /// Carries out what the session decided. True when it decided anything.
    fn hear(&mut self, audit: &mut Audit) -> Result<bool, Violation> {
        let now = TimeNs::new(self.scene.now());
        let mut any = false;
        while let Some(output) = self.process.as_mut().and_then(|process| process.session.poll(now)) {
            any = true;
            self.on_output(output, now, audit)?;
        }
        Ok(any)
    }

    fn on_output(&mut self, output: ClientOutput, now: TimeNs, audit: &mut Audit) -> Result<(), Violation> {
        let who = self.place.who;
        let Some(process) = &mut self.process else { return Ok(()) };
        match output {
            ClientOutput::Sign(bytes) => {
                let signature = self.place.key.sign(&bytes);
                let signature = signature.as_ref().try_into().expect("Ed25519 signatures have 64 bytes");
                process.session.signed(signature, now);
            }
            ClientOutput::LoggedOn(accepted) => {
                self.scene.count("logons");
                self.scene.note("logon", &[u64::from(self.place.host), accepted.last_event_seq], || {
                    format!("{who:?} {accepted:?}")
                });
                process.attempts = 0;
                if accepted.snapshot != 0 {
                    process.last_seen = Some(accepted.last_event_seq);
                }
                if self.habits.subscribes {
                    process.is_subscribed =
                        process.session.subscribe(InstrumentId::NONE, LEVELS_AND_TRADES, now);
                }
            }
            ClientOutput::CaughtUp => {}
            ClientOutput::Event { event, answers } => self.on_event(&event, answers, audit)?,
            ClientOutput::Refused(refused) => self.on_refused(&refused, audit)?,
            ClientOutput::Public(event) => _ = process.feed.on_public(&event),
            ClientOutput::Feed(message) => match process.feed.on_feed(&message) {
                FeedChange::Resubscribe { instrument, fault } => {
                    return Check::Feed.broken(format!("the book of {instrument} at {who:?}: {fault:?}"));
                }
                FeedChange::Snapshot { instrument } if !process.books.insert(instrument) => {
                    self.scene.count("books sent anew to slow readers");
                }
                _usual => {}
            },
            ClientOutput::LogonRejected(rejected) => {
                return Check::Liveness.broken(format!("{who:?} may not log on: {rejected:?}"));
            }
            ClientOutput::Closed(reason) => return self.on_closed(reason),
        }
        Ok(())
    }

    fn on_event(
        &mut self,
        event: &Event,
        answers: Option<ClientOrderId>,
        audit: &mut Audit,
    ) -> Result<(), Violation> {
        let (who, Some(process)) = (self.place.who, &mut self.process) else { return Ok(()) };
        let stamp = normal(*event).1;
        self.scene.count("events told");
        self.scene.note(
            "told",
            &[u64::from(self.place.host), stamp.event_seq, stamp.sequenced.raw()],
            || format!("{who:?} {event:?}"),
        );
        if answers.is_some() {
            self.scene.count("requests answered");
        }
        if stamp.event_seq != 0 {
            let next = process.last_seen.map_or(stamp.event_seq, |last| last + 1);
            process.last_seen = Some(stamp.event_seq);
            Check::Events.that(stamp.event_seq == next, || {
                format!("{who:?} was told event {} where {next} was due", stamp.event_seq)
            })?;
            process.keep_orders(event);
        }
        audit.on_told(who, event)
    }

    fn on_refused(&mut self, refused: &RequestRefused, audit: &mut Audit) -> Result<(), Violation> {
        let who = self.place.who;
        self.scene.count("requests refused by the gateway");
        let reason = RejectReason::from_raw(refused.reason);
        Check::Liveness.that(
            matches!(reason, Some(RejectReason::ReadOnly | RejectReason::Throttled | RejectReason::Busy)),
            || format!("the gateway refuses {who:?}: {reason:?} {refused:?}"),
        )?;
        audit.on_refused(who, refused.client_order_id)
    }

    fn on_closed(&mut self, reason: CloseReason) -> Result<(), Violation> {
        let who = self.place.who;
        self.scene.note("closed", &[u64::from(self.place.host), u64::from(reason.raw())], || {
            format!("{who:?} {reason:?}")
        });
        let is_ours = matches!(reason, CloseReason::ProtocolError | CloseReason::Fault);
        Check::Events.that(!is_ours, || format!("the session of {who:?} ends with {reason:?}"))?;
        self.hang_up();
        Ok(())
    }

    /// Sends something if it is time.
    fn act(&mut self, audit: &mut Audit) {
        let now = self.scene.now();
        while self.act_at <= now && !self.is_done() {
            self.act_at = now + 1 + self.dice.below(2 * self.habits.gap_ns);
            let burst = if self.dice.chance(1, 20) { self.dice.spread(2, self.habits.burst_max) } else { 1 };
            for _ in 0..burst {
                self.request(audit);
            }
        }
    }

    fn request(&mut self, audit: &mut Audit) {
        let now = TimeNs::new(self.scene.now());
        let who = self.place.who;
        let Some(process) = &mut self.process else { return };
        if self.jobs.is_empty() && self.requests_left == 0 {
            return;
        }
        let Some(id) = process.session.next_client_order_id() else { return };
        let view = View { now: TimeNs::new(self.place.epoch_ns + now.raw()), orders: &process.orders };
        let command = match self.jobs.front() {
            Some(job) => job(id),
            None if who.0 == OPERATOR => flow::operator_request(&mut self.dice, id),
            None => flow::trader_request(&mut self.dice, &view, id),
        };
        if process.session.request(&command, now).is_err() {
            // Too many wait for their answers.
            return;
        }
        if self.jobs.pop_front().is_none() {
            self.requests_left -= 1;
        }
        self.scene.count("requests");
        self.scene.note("ask", &[u64::from(self.place.host), id.raw()], || format!("{who:?} {command:?}"));
        audit.on_sent(who, id, command);
    }

    fn flush(&mut self) {
        let time = TimeNs::new(self.scene.now());
        let Some(process) = &mut self.process else { return };
        if let Line::Up(connection, stream) = process.line {
            let unsent = process.session.unsent();
            if !unsent.is_empty() {
                let count = match process.endpoint.write(connection, stream, unsent) {
                    WriteOutcome::All => unsent.len(),
                    WriteOutcome::Blocked { taken } => taken,
                    // The reason comes on the other half of the stream.
                    WriteOutcome::Lost => unsent.len(),
                };
                process.session.sent(count);
            }
        }
        process.endpoint.transmit(time);
    }

    /// All is quiet: its books must be the engine's.
    pub fn check_feed(&self, engine: &Engine) -> Result<(), Violation> {
        let Some(process) = self.process.as_ref().filter(|process| process.is_subscribed) else {
            return Ok(());
        };
        for definition in engine.instruments() {
            let instrument = definition.instrument;
            let market = process.feed.market(instrument).filter(|market| market.is_synced());
            let Some(market) = market else {
                return Check::Feed.broken(format!("{:?} has no book of {instrument}", self.place.who));
            };
            self.scene.count("feed books compared");
            for side in Side::ALL {
                let levels = engine.levels(instrument, *side);
                let right = levels.map(|level| (level.price, level.total.qty.raw(), level.total.orders));
                let seen = market.book.levels(*side).map(|level| (level.price, level.qty, level.orders));
                Check::Feed.that(right.eq(seen), || {
                    format!("{:?} sees other {side} levels of {instrument} than there are", self.place.who)
                })?;
            }
            let phase = market.definition.map(|known| known.phase);
            Check::Feed.that(phase == Some(definition.phase), || {
                format!("{:?} sees {instrument} in phase {phase:?}", self.place.who)
            })?;
        }
        Ok(())
    }
}

impl Process {
    /// Keeps in mind what may be open.
    fn keep_orders(&mut self, event: &Event) {
        match event {
            Event::OrderAccepted(event) => {
                if self.orders.len() == ORDERS_MAX {
                    self.orders.remove(0);
                }
                self.orders.push(event.order_id);
            }
            Event::OrderCanceled(event) => self.orders.retain(|order| *order != event.order_id),
            Event::OrderFilled(event) if event.leaves_qty == 0 => {
                self.orders.retain(|order| *order != event.order_id);
            }
            _other => {}
        }
    }
}
