//! Connections, streams and sessions, and how they become commands.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crossbeam::utils::CachePadded;
use joulebook_feed::FeedPublisher;
use joulebook_metrics::GatewayMetrics;
use joulebook_protocol::messages::SessionClosed;
use joulebook_protocol::pipe::{COMMAND_SLOTS_MAX, CommandSlot};
use joulebook_protocol::{CloseReason, Command, Origin, RejectReason};
use joulebook_rings::{Doorbell, Producer};
use joulebook_session::{Intake, Now, ServerOutput, ServerSession, Verify};
use joulebook_types::{AccountId, SessionId, TimeNs};

use crate::accounts::{Accounts, Endpoint};
use crate::config::{GatewayConfig, GatewayError, GatewayLimits, Listeners};
use crate::counts::Counts;
use crate::door::Door;
use crate::entropy::Entropy;
use crate::ingress::Ingress;
use crate::network::{Network, NetworkEvent, ReadOutcome};
use crate::streams::{Ending, Stream, StreamKey, Streams};
use crate::timers::Timers;

/// What the gateway owns besides the ring of events.
pub(crate) struct Floor<N: Network> {
    pub(crate) number: u16,
    pub(crate) limits: GatewayLimits,
    pub(crate) doors: Vec<Door<N>>,
    pub(crate) streams: Streams<N>,
    pub(crate) timers: Timers,
    pub(crate) accounts: Accounts,
    pub(crate) feed: FeedPublisher,
    pub(crate) ingress: Ingress,
    /// Streams whose next command found no room in the ring, longest waiting first.
    waiting: VecDeque<StreamKey>,
    /// Where each session is logged on, or about to be.
    by_session: HashMap<(AccountId, SessionId), StreamKey>,
    pub(crate) large_windows: usize,
    entropy: Box<dyn Entropy + Send>,
    pub(crate) counts: Counts,
    pub(crate) intake: Intake,
    is_closing: bool,
    are_doors_closed: bool,
}

/// What one stream may bring per read; the rest of the unhandled bytes' limit is its reserve.
const READ_BYTES: usize = 32 << 10;
/// How long the last bytes of a stream may take to be fetched.
const LINGER_MS: u32 = 3_000;

impl<N: Network> Floor<N> {
    pub(crate) fn new(
        config: GatewayConfig,
        listeners: Listeners<N>,
        (commands, core_bell): (Producer<CommandSlot>, Arc<Doorbell>),
        metrics: Arc<CachePadded<GatewayMetrics>>,
        mut entropy: Box<dyn Entropy + Send>,
        now: Now,
    ) -> Result<Self, GatewayError> {
        let GatewayConfig { number, limits, feed_epoch } = config;
        if commands.capacity() < COMMAND_SLOTS_MAX {
            return Err(GatewayError::CommandRing { slots: commands.capacity() });
        }
        let Listeners { public, operator } = listeners;
        let mut doors = vec![Door::new(public, Endpoint::Public)];
        doors.extend(operator.map(|operator| Door::new(operator, Endpoint::Operator)));
        Ok(Self {
            number,
            limits,
            doors,
            streams: Streams::new(limits.sessions_max, limits.feed_backlog_bytes, now),
            timers: Timers::default(),
            accounts: Accounts::new(&mut *entropy)?,
            feed: FeedPublisher::new(feed_epoch),
            ingress: Ingress::new(commands, core_bell),
            waiting: VecDeque::new(),
            by_session: HashMap::new(),
            large_windows: 0,
            entropy,
            counts: Counts::new(metrics),
            intake: Intake::Open,
            is_closing: false,
            are_doors_closed: false,
        })
    }

    pub(crate) fn now(&self) -> Now {
        self.streams.now
    }

    /// Takes one batch per listener.
    pub(crate) fn receive(&mut self) -> bool {
        let now = self.now().steady;
        let mut progress = false;
        for door in 0..self.doors.len() {
            progress |= self.doors[door].network.receive(now);
            while let Some(event) = self.doors[door].network.next_event() {
                progress = true;
                self.on_network_event(door, event);
            }
        }
        progress
    }

    fn on_network_event(&mut self, door: usize, event: NetworkEvent<N::Connection, N::Stream>) {
        match event {
            NetworkEvent::Connected { connection } => self.doors[door].connected(connection),
            NetworkEvent::StreamOpened { connection, stream } => self.open_stream(door, connection, stream),
            NetworkEvent::Readable { connection, stream } => {
                if let Some(key) = self.doors[door].stream(connection, stream) {
                    if let Some(stream) = self.streams.get(key) {
                        stream.is_readable = true;
                    }
                    self.pump(key);
                }
            }
            NetworkEvent::Writable { connection, stream } => {
                if let Some(key) = self.doors[door].stream(connection, stream) {
                    if let Some(stream) = self.streams.get(key) {
                        stream.is_write_blocked = false;
                    }
                    self.streams.mark_dirty(key);
                }
            }
            NetworkEvent::Delivered { connection, stream } => {
                if let Some(key) = self.doors[door].stream(connection, stream) {
                    self.forget(key);
                }
            }
            NetworkEvent::Stopped { connection, stream } => {
                if let Some(key) = self.doors[door].stream(connection, stream) {
                    self.lose(key);
                }
            }
            NetworkEvent::Closed { connection } => {
                self.large_windows -= usize::from(self.doors[door].has_large_window(connection));
                while let Some(key) = self.doors[door].disconnected(connection) {
                    self.lose(key);
                }
            }
        }
    }

    fn open_stream(&mut self, door: usize, connection: N::Connection, id: N::Stream) {
        let mut nonce = [0; 32];
        let reason = if self.is_closing {
            CloseReason::GoingAway
        } else if self.limits.streams_per_connection_max <= self.doors[door].streams(connection) {
            CloseReason::TooManySessions
        } else if self.entropy.fill(&mut nonce).is_err() {
            CloseReason::Fault
        } else {
            let (now, number, limits) = (self.now(), self.number, self.limits.session);
            let inserted = self.streams.insert(|key| {
                let session = ServerSession::new(limits, key.connection(number), nonce, now);
                Stream::new(key, door, connection, id, session)
            });
            if let Some(key) = inserted {
                self.doors[door].add_stream(connection, id, key);
                return self.schedule(key);
            }
            CloseReason::TooManySessions
        };
        let code = u32::from(reason.raw());
        self.doors[door].network.reset(connection, id, code);
        self.doors[door].network.stop_sending(connection, id, code);
    }

    /// Lets streams go on that waited for room in the ring.
    pub(crate) fn resume_waiting(&mut self) -> bool {
        self.ingress.flush();
        let mut progress = false;
        for _ in 0..self.waiting.len() {
            if !self.ingress.has_room() {
                break;
            }
            let Some(key) = self.waiting.pop_front() else { break };
            if let Some(stream) = self.streams.get(key) {
                stream.is_waiting = false;
                progress = true;
                self.pump(key);
            }
        }
        progress
    }

    /// Handles what has arrived on a stream, as long as the ring has room.
    fn pump(&mut self, key: StreamKey) {
        loop {
            if !self.ingress.has_room() {
                self.wait_for_room(key);
                break;
            }
            let (now, intake) = (self.now(), self.intake);
            let Some(stream) = self.streams.get(key) else { return };
            match stream.session.poll(now, intake) {
                Some(output) => self.on_output(key, output),
                None if self.read(key) => {}
                None => break,
            }
        }
        self.after(key);
    }

    fn wait_for_room(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key).filter(|stream| !stream.is_waiting) {
            stream.is_waiting = true;
            self.waiting.push_back(key);
        }
    }

    /// Moves bytes from the connection to the session. False when nothing new is to be polled for.
    fn read(&mut self, key: StreamKey) -> bool {
        let now = self.now();
        let Some(stream) = self.streams.get(key) else { return false };
        if stream.is_read_to_end && !stream.session.is_closed() {
            // It left without a logout, but may still be there to read why.
            stream.session.close(CloseReason::ConnectionLost, now);
            return true;
        }
        let budget = stream.session.room().min(READ_BYTES);
        if !stream.is_readable || stream.session.is_closed() || budget == 0 {
            return false;
        }
        let session = &mut stream.session;
        let mut came = false;
        let network = &mut self.doors[stream.listener].network;
        let outcome = network.read(stream.connection, stream.id, budget, |bytes| {
            session.on_bytes(bytes, now);
            came = true;
        });
        match outcome {
            // `Readable` comes again in both cases; after `More` in the next turn, so that others get theirs.
            ReadOutcome::Blocked | ReadOutcome::More => stream.is_readable = false,
            ReadOutcome::Finished => {
                stream.is_readable = false;
                stream.is_read_to_end = true;
            }
            ReadOutcome::Lost => {
                self.lose(key);
                return false;
            }
        }
        // What came before the end counts: the end is acted upon when nothing is left to handle.
        came || outcome == ReadOutcome::Finished
    }

    fn on_output(&mut self, key: StreamKey, output: ServerOutput) {
        let now = self.now();
        let Some(stream) = self.streams.get(key) else { return };
        match output {
            ServerOutput::Verify(verify) => self.on_verify(key, &verify),
            ServerOutput::Command(origin) => self.ingress.push(origin, stream.session.command()),
            ServerOutput::Subscribe(request) => {
                stream.is_subscribed = true;
                if let Err(reason) = self.feed.subscribe(key.subscriber(), &request) {
                    stream.session.refuse_subscription(request, reason, now);
                    self.counts.refused(reason);
                }
            }
            ServerOutput::Unsubscribe(request) => self.feed.unsubscribe(key.subscriber(), &request),
            ServerOutput::Anonymous => {}
            ServerOutput::Refused(reason) => self.counts.refused(reason),
            ServerOutput::Close(reason) => self.end_stream(key, reason),
        }
    }

    fn on_verify(&mut self, key: StreamKey, verify: &Verify) {
        let now = self.now();
        let Some(stream) = self.streams.get(key) else { return };
        let door = &self.doors[stream.listener];
        let identity = (verify.account, verify.session);
        let verdict = self.accounts.verify(verify, &door.leaf_sha256, door.endpoint).and_then(|()| {
            let of_account = self.accounts.sessions(verify.account);
            let is_one_more = !self.by_session.contains_key(&identity);
            if is_one_more && self.limits.sessions_per_account_max <= of_account {
                return Err(RejectReason::SessionLimit);
            }
            Ok(())
        });
        let Some(origin) = stream.session.verified(verdict, now) else {
            return self.counts.metrics.logons_refused.increment();
        };
        // A stream that the client left behind must not bring older requests after newer ones.
        if let Some(older) = self.by_session.get(&identity).copied() {
            self.close(older, CloseReason::Superseded);
        }
        self.by_session.insert(identity, key);
        self.accounts.session_began(verify.account);
        if let Some(stream) = self.streams.get(key) {
            stream.in_core = Some(identity);
            self.ingress.push(origin, stream.session.command());
        }
    }

    /// Ends a session from our side.
    fn close(&mut self, key: StreamKey, reason: CloseReason) {
        let now = self.now();
        if let Some(stream) = self.streams.get(key) {
            stream.session.close(reason, now);
            self.after(key);
        }
    }

    /// To be called after anything that may have given a session something to send, a nearer deadline, or its end.
    pub(crate) fn after(&mut self, key: StreamKey) {
        let (now, intake) = (self.now(), self.intake);
        let Some(stream) = self.streams.get(key) else { return };
        self.counts.metrics.frames_in.add(stream.session.take_frames_in());
        if stream.session.is_closed()
            && stream.ending.is_none()
            && let Some(ServerOutput::Close(reason)) = stream.session.poll(now, intake)
        {
            self.end_stream(key, reason);
        }
        self.streams.mark_dirty(key);
        self.schedule(key);
    }

    /// The session is over: tells core and feed. The stream lives on until its last bytes are fetched.
    fn end_stream(&mut self, key: StreamKey, reason: CloseReason) {
        let now = self.now();
        let Some(stream) = self.streams.get(key) else { return };
        let code = u32::from(reason.raw());
        stream.ending =
            Some(Ending { code, until: now.steady.saturating_add_ms(LINGER_MS), is_finished: false });
        self.doors[stream.listener].network.stop_sending(stream.connection, stream.id, code);
        if std::mem::take(&mut stream.is_subscribed) {
            self.feed.remove(key.subscriber());
        }
        if std::mem::take(&mut stream.is_counted) {
            self.counts.metrics.sessions.add(-1);
        }
        if reason == CloseReason::SlowConsumer {
            self.counts.metrics.slow_consumers_dropped.increment();
        }
        if let Some(identity) = stream.in_core.take() {
            self.leave_core(key, identity, reason);
        }
        self.streams.mark_dirty(key);
        self.schedule(key);
    }

    fn leave_core(&mut self, key: StreamKey, identity: (AccountId, SessionId), reason: CloseReason) {
        if self.by_session.get(&identity) == Some(&key) {
            self.by_session.remove(&identity);
        }
        let (account, session) = identity;
        self.accounts.session_ended(account);
        match reason {
            // The core knows already, or learns it from the session's next logon. Told of an end first, it would
            // cancel the orders of a client that merely came back on a new connection.
            CloseReason::Superseded | CloseReason::LogonRefused => {}
            _ => {
                let connection = key.connection(self.number);
                let closed = SessionClosed { connection, reason: reason.raw(), reserved: [0; 6] };
                let origin = Origin { account, session, received: self.now().wall };
                self.ingress.push_end(CommandSlot::new(origin, &Command::SessionClosed(closed)));
            }
        }
    }

    /// The peer or the network took the stream away.
    pub(crate) fn lose(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        stream.session.on_disconnected();
        self.after(key);
        self.abandon(key);
    }

    /// Gives up what is still unsent.
    fn abandon(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        let code = stream.ending.map_or(0, |ending| ending.code);
        self.doors[stream.listener].network.reset(stream.connection, stream.id, code);
        self.forget(key);
    }

    /// Frees the slot.
    pub(crate) fn forget(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.remove(key) {
            assert!(
                stream.in_core.is_none(),
                "the core must learn of a session's end before its stream goes"
            );
            self.doors[stream.listener].remove_stream(stream.connection, stream.id);
        }
    }

    /// Serves sessions whose deadline has passed.
    pub(crate) fn run_timers(&mut self) -> bool {
        let now = self.now();
        let mut progress = false;
        while let Some((at, key)) = self.timers.pop_due(now.steady) {
            let Some(stream) = self.streams.get(key).filter(|stream| stream.scheduled == at) else {
                continue;
            };
            stream.scheduled = TimeNs::MAX;
            if stream.deadline().is_some_and(|deadline| now.steady < deadline) {
                self.schedule(key);
                continue;
            }
            progress = true;
            if stream.ending.is_some() {
                self.abandon(key);
                continue;
            }
            if stream.is_waiting {
                stream.session.excuse_silence(now);
            }
            stream.session.on_timeout(now);
            self.after(key);
        }
        progress
    }

    pub(crate) fn schedule(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        if let Some(deadline) = stream.deadline().filter(|deadline| *deadline < stream.scheduled) {
            stream.scheduled = deadline;
            self.timers.set(deadline, key);
        }
    }

    /// Commands wait for room in the ring.
    pub(crate) fn is_held_up(&self) -> bool {
        !self.waiting.is_empty() || self.ingress.has_waiting()
    }

    pub(crate) fn has_work(&mut self) -> bool {
        self.doors.iter().any(|door| door.network.has_work())
            || (self.is_held_up() && self.ingress.has_place())
            || (self.is_closing && !self.are_doors_closed && self.streams.is_empty())
    }

    pub(crate) fn transmit(&mut self) {
        let now = self.now().steady;
        if self.is_closing && self.streams.is_empty() && !std::mem::replace(&mut self.are_doors_closed, true)
        {
            for door in &mut self.doors {
                let code = u32::from(CloseReason::GoingAway.raw());
                door.network.close_all(code, CloseReason::GoingAway.name().as_bytes(), now);
            }
        }
        self.doors.iter_mut().for_each(|door| door.network.transmit(now));
        self.count_network();
    }

    pub(crate) fn begin_shutdown(&mut self) {
        self.is_closing = true;
        self.doors.iter_mut().for_each(|door| door.network.stop_accepting());
        let keys: Vec<StreamKey> = self.streams.keys().collect();
        for key in keys {
            self.close(key, CloseReason::GoingAway);
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.are_doors_closed && self.doors.iter().all(|door| door.network.is_drained())
    }
}
