//! The client's half of a session. It outlives connections.

use joulebook_protocol::messages::{
    Heartbeat, Hello, Logon, LogonAccepted, LogonRejected, Logout, RequestRefused, Subscribe, Unsubscribe,
};
use joulebook_protocol::{CloseReason, Command, Event, FeedMessage, Message, PublicEvent, SessionMessage};
use joulebook_types::{AccountId, ClientOrderId, InstrumentId, SessionId, TimeNs};

use crate::buffer::{FrameBuffer, OutBuffer, Span};
use crate::liveness::{HEARTBEAT_MS_DEFAULT, Liveness};
use crate::logon::{LOGON_BYTES, logon_bytes};
use crate::template::{Kind, template};
use crate::unanswered::Unanswered;

/// A logical session: what it asked, what it was told, and the conversation on its present stream.
///
/// Call [`Self::start`] when a stream is open and [`Self::on_disconnected`] when it is lost; after the next `start` the
/// session resumes by itself: missed events come first, then whatever has no answer is sent again with the same ids, so
/// nothing is lost and nothing happens twice.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    state: State,
    leaf_sha256: [u8; 32],
    logon_deadline: TimeNs,
    liveness: Liveness,
    /// Number of the newest event received.
    last_event_seq: u64,
    /// `None` before the first logon: only the exchange knows which ids were used.
    next_id: Option<ClientOrderId>,
    unanswered: Unanswered,
    input: FrameBuffer,
    output: OutBuffer,
    close_reported: bool,
}

/// Who logs on, and how.
#[derive(Clone, Copy, Debug)]
pub struct ClientConfig {
    /// Zero for anonymous market data.
    pub account: AccountId,
    /// 1 and up; zero for anonymous market data.
    pub session: SessionId,
    /// The number of the last event received in an earlier life of this client; 0 for none.
    pub last_event_seq: u64,
    /// Proposed heartbeat interval; 0 leaves it to the server.
    pub heartbeat_ms: u32,
    /// How long orders survive a lost connection: 0 to 30,000; `u32::MAX` keeps them for good.
    pub cancel_on_disconnect_ms: u32,
    /// From [`ClientSession::start`] to the server's answer.
    pub logon_timeout_ms: u32,
    /// Requests that may wait for their answers at once.
    pub unanswered_max: usize,
    /// Bytes that these requests may take. The last one taken may exceed it by its own length.
    pub unanswered_bytes_max: usize,
}

impl ClientConfig {
    /// Usual settings for a trading session.
    pub fn new(account: AccountId, session: SessionId) -> Self {
        Self {
            account,
            session,
            last_event_seq: 0,
            heartbeat_ms: 0,
            cancel_on_disconnect_ms: 0,
            logon_timeout_ms: 5_000,
            unanswered_max: 65_536,
            unanswered_bytes_max: 16 << 20,
        }
    }

    /// Market data without an account.
    pub fn anonymous() -> Self {
        Self::new(AccountId::NONE, SessionId::NONE)
    }
}

/// What the owner must do or know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientOutput {
    /// Sign these bytes with the account's Ed25519 key and call [`ClientSession::signed`].
    Sign([u8; LOGON_BYTES]),
    /// The server let us in. Missed events follow, or a snapshot.
    LoggedOn(LogonAccepted),
    /// Everything missed has been received; requests without an answer have been sent again.
    CaughtUp,
    /// An event, each numbered one exactly once and in order, and the request that it is the first answer to.
    Event {
        event: Event,
        answers: Option<ClientOrderId>,
    },
    /// The gateway refused a request; it had no effect.
    Refused(RequestRefused),
    Public(PublicEvent),
    Feed(FeedMessage),
    /// The server does not let us in; `Closed` follows.
    LogonRejected(LogonRejected),
    /// The conversation on this stream is over. Comes once per stream, last.
    Closed(CloseReason),
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Before the first logon nobody knows which client order ids are free.
    NotLoggedOn,
    /// An anonymous session has no account to trade for.
    Anonymous,
    /// Ids must grow; this one does not exceed the last.
    StaleId { last: ClientOrderId },
    /// As many requests wait for answers as are allowed.
    TooManyUnanswered,
    /// Clients do not send this command.
    NotARequest,
}

impl core::fmt::Display for RequestError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotLoggedOn => f.write_str("the session has not logged on yet"),
            Self::Anonymous => f.write_str("an anonymous session cannot send requests"),
            Self::StaleId { last } => write!(f, "the client order id does not exceed the last one, {last}"),
            Self::TooManyUnanswered => f.write_str("too many requests wait for their answers"),
            Self::NotARequest => f.write_str("clients do not send this command"),
        }
    }
}

impl core::error::Error for RequestError {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No stream.
    Idle,
    AwaitChallenge,
    Signing,
    AwaitVerdict,
    /// Logged on; events up to this one were missed and come first.
    Resending {
        until_seq: u64,
    },
    /// Logged on; the state of orders and balances comes first.
    Snapshot,
    Ready,
    Closed(CloseReason),
}

impl ClientSession {
    pub fn new(config: ClientConfig) -> Self {
        Self {
            config,
            state: State::Idle,
            leaf_sha256: [0; 32],
            logon_deadline: TimeNs::MAX,
            liveness: Liveness::new(HEARTBEAT_MS_DEFAULT, TimeNs::ZERO),
            last_event_seq: config.last_event_seq,
            next_id: None,
            unanswered: Unanswered::default(),
            input: FrameBuffer::default(),
            output: OutBuffer::default(),
            close_reported: false,
        }
    }

    /// A stream is open: logs on. The hash is the SHA-256 of the server's leaf certificate (DER) on this connection.
    pub fn start(&mut self, leaf_sha256: [u8; 32], now: TimeNs) {
        self.leaf_sha256 = leaf_sha256;
        self.state = State::AwaitChallenge;
        self.close_reported = false;
        self.logon_deadline = now.saturating_add_ms(self.config.logon_timeout_ms);
        self.liveness = Liveness::new(HEARTBEAT_MS_DEFAULT, now);
        self.input.clear();
        self.output.clear();
        let ClientConfig { account, session, .. } = self.config;
        self.send(&Hello { account, session }, now);
    }

    /// The stream is gone. Requests without an answer are kept; further ones may be added.
    pub fn on_disconnected(&mut self) {
        self.state = State::Idle;
        self.input.clear();
        self.output.clear();
    }

    /// The server reset the stream or closed the connection with this application code. `Closed` follows.
    pub fn on_closed_by_server(&mut self, code: u64) {
        let reason = u16::try_from(code).ok().and_then(CloseReason::from_raw);
        if !matches!(self.state, State::Idle | State::Closed(_)) {
            self.end(reason.unwrap_or(CloseReason::ConnectionLost));
        }
    }

    pub fn on_bytes(&mut self, bytes: &[u8], now: TimeNs) {
        if !matches!(self.state, State::Idle | State::Closed(_)) {
            self.liveness.heard(now);
            self.input.push(bytes);
        }
    }

    /// What came; call until `None` after every [`Self::on_bytes`] and [`Self::on_timeout`].
    pub fn poll(&mut self, now: TimeNs) -> Option<ClientOutput> {
        loop {
            match self.state {
                State::Closed(reason) => {
                    let first = !core::mem::replace(&mut self.close_reported, true);
                    return first.then_some(ClientOutput::Closed(reason));
                }
                State::Resending { until_seq } if until_seq <= self.last_event_seq => {
                    self.catch_up(now);
                    return Some(ClientOutput::CaughtUp);
                }
                State::Idle | State::Signing => return None,
                State::AwaitChallenge
                | State::AwaitVerdict
                | State::Resending { .. }
                | State::Snapshot
                | State::Ready => {}
            }
            match self.input.next_frame() {
                Ok(None) => return None,
                Ok(Some(span)) => {
                    let output = self.on_frame(&span, now);
                    if output.is_some() {
                        return output;
                    }
                }
                Err(_) => self.end(CloseReason::ProtocolError),
            }
        }
    }

    fn on_frame(&mut self, span: &Span, now: TimeNs) -> Option<ClientOutput> {
        // A message that this version does not know comes from a newer server, which can do without our attention.
        let known = template(span.header.template_id)?;
        if known.kind != Kind::Session && !self.is_logged_on() {
            // Numbers of events mean something only from the logon on: what comes before it must not move them.
            self.end(CloseReason::ProtocolError);
            return None;
        }
        let frame = self.input.frame(span);
        // The stamp stands first in every event, and its number first in the stamp.
        let event_seq = frame.block.first_chunk::<8>().map_or(0, |seq| u64::from_le_bytes(*seq));
        let output = match known.kind {
            Kind::Event => Event::decode(&frame).map(|event| self.on_event(event, event_seq)),
            Kind::Feed => FeedMessage::decode(&frame).map(|message| Some(ClientOutput::Feed(message))),
            Kind::Public => PublicEvent::decode(&frame).map(|event| Some(ClientOutput::Public(event))),
            Kind::Session => SessionMessage::decode(&frame).map(|message| self.on_message(message, now)),
            Kind::Command => {
                self.end(CloseReason::ProtocolError);
                return None;
            }
        };
        output.unwrap_or_else(|_| {
            self.end(CloseReason::ProtocolError);
            None
        })
    }

    fn on_message(&mut self, message: SessionMessage, now: TimeNs) -> Option<ClientOutput> {
        match (message, self.state) {
            (SessionMessage::Challenge(challenge), State::AwaitChallenge) => {
                self.state = State::Signing;
                let ClientConfig { account, session, .. } = self.config;
                let bytes = logon_bytes(&challenge.nonce, &self.leaf_sha256, account, session);
                Some(ClientOutput::Sign(bytes))
            }
            (SessionMessage::LogonAccepted(accepted), State::AwaitChallenge | State::AwaitVerdict) => {
                self.on_accepted(accepted, now)
            }
            (SessionMessage::LogonRejected(rejected), _) => {
                self.end(CloseReason::LogonRefused);
                Some(ClientOutput::LogonRejected(rejected))
            }
            (SessionMessage::Heartbeat(_), _) => None,
            (SessionMessage::Terminate(terminate), _) => {
                self.end(CloseReason::from_raw(terminate.reason).unwrap_or(CloseReason::Fault));
                None
            }
            (SessionMessage::RequestRefused(refused), _) => {
                self.unanswered.refuse(refused.client_order_id);
                Some(ClientOutput::Refused(refused))
            }
            _ => {
                self.end(CloseReason::ProtocolError);
                None
            }
        }
    }

    /// The signature over what [`ClientOutput::Sign`] asked for.
    pub fn signed(&mut self, signature: [u8; 64], now: TimeNs) {
        if self.state != State::Signing {
            return;
        }
        self.state = State::AwaitVerdict;
        let ClientConfig { heartbeat_ms, cancel_on_disconnect_ms, .. } = self.config;
        let last_event_seq = self.last_event_seq;
        self.send(&Logon { signature, last_event_seq, heartbeat_ms, cancel_on_disconnect_ms }, now);
    }

    fn on_accepted(&mut self, accepted: LogonAccepted, now: TimeNs) -> Option<ClientOutput> {
        if (accepted.account, accepted.session) != (self.config.account, self.config.session) {
            self.end(CloseReason::ProtocolError);
            return None;
        }
        self.liveness = Liveness::new(accepted.heartbeat_ms, now);
        let first_free = ClientOrderId::new(accepted.last_client_order_id.raw().saturating_add(1));
        self.next_id = Some(self.next_id.unwrap_or(first_free).max(first_free));
        if accepted.snapshot != 0 {
            // Older events are gone for good: the snapshot stands in their place.
            self.last_event_seq = accepted.last_event_seq;
            self.state = State::Snapshot;
        } else if self.closes_the_gap(&accepted) {
            self.state = State::Resending { until_seq: accepted.last_event_seq };
        } else {
            self.end(CloseReason::ProtocolError);
            return None;
        }
        Some(ClientOutput::LoggedOn(accepted))
    }

    /// What the server will send again joins on to what we have.
    fn closes_the_gap(&self, accepted: &LogonAccepted) -> bool {
        match accepted.resend_from_seq {
            0 => accepted.last_event_seq == self.last_event_seq,
            from => from <= self.last_event_seq.saturating_add(1),
        }
    }

    fn on_event(&mut self, event: Event, event_seq: u64) -> Option<ClientOutput> {
        if event_seq != 0 {
            if event_seq <= self.last_event_seq {
                return None;
            }
            if event_seq != self.last_event_seq + 1 {
                self.end(CloseReason::ProtocolError);
                return None;
            }
            self.last_event_seq = event_seq;
        }
        let in_snapshot = self.state == State::Snapshot;
        if in_snapshot && matches!(event, Event::SnapshotEnd(_)) {
            self.state = State::Resending { until_seq: self.last_event_seq };
        }
        // States within a logon's snapshot answer no question, even if one waits for its turn.
        let answers = if in_snapshot { None } else { self.unanswered.answered_by(&event) };
        Some(ClientOutput::Event { event, answers })
    }

    /// Nothing is missing any more. What still has no answer either never arrived or is answered as a repeat.
    fn catch_up(&mut self, now: TimeNs) {
        self.state = State::Ready;
        let mut any = false;
        for frame in self.unanswered.frames() {
            self.output.frames(frame);
            any = true;
        }
        if any {
            self.liveness.sent(now);
        }
    }

    /// A number for the next request. Numbers may be skipped, never repeated. `None` before the first logon.
    pub fn next_client_order_id(&mut self) -> Option<ClientOrderId> {
        let id = self.next_id?;
        // The highest number would leave none for the next request.
        self.next_id = Some(ClientOrderId::new(id.raw().checked_add(1)?));
        Some(id)
    }

    /// Sends a request, now or as soon as the session is caught up, and keeps it until it is answered.
    pub fn request(&mut self, command: &Command, now: TimeNs) -> Result<ClientOrderId, RequestError> {
        let id = command.client_order_id().ok_or(RequestError::NotARequest)?;
        if self.config.account.is_none() {
            return Err(RequestError::Anonymous);
        }
        let next = self.next_id.ok_or(RequestError::NotLoggedOn)?;
        let last = self.unanswered.last_id();
        if id <= last {
            return Err(RequestError::StaleId { last });
        }
        if self.config.unanswered_max <= self.unanswered.len()
            || self.config.unanswered_bytes_max <= self.unanswered.frame_bytes()
        {
            return Err(RequestError::TooManyUnanswered);
        }
        let after = id.raw().saturating_add(command.client_order_ids());
        self.next_id = Some(next.max(ClientOrderId::new(after)));
        let frame = self.unanswered.push(id, command);
        if self.state == State::Ready {
            self.output.frames(frame);
            self.liveness.sent(now);
        }
        Ok(id)
    }

    /// Asks for market data of an instrument, or of all with id zero. Subscriptions end with the stream: ask again after
    /// `LoggedOn`. False when the session is not logged on.
    pub fn subscribe(&mut self, instrument: InstrumentId, kinds: u8, now: TimeNs) -> bool {
        self.send_when_on(&Subscribe { instrument, kinds, reserved: [0; 3] }, now)
    }

    /// Ends a subscription, or all with id zero.
    pub fn unsubscribe(&mut self, instrument: InstrumentId, now: TimeNs) -> bool {
        self.send_when_on(&Unsubscribe { instrument, reserved: 0 }, now)
    }

    /// Says goodbye. Send what is unsent, then finish the stream.
    pub fn logout(&mut self, now: TimeNs) -> bool {
        let sent = self.send_when_on(&Logout::default(), now);
        if sent {
            self.end(CloseReason::Logout);
        }
        sent
    }

    /// To be called at [`Self::deadline`]; earlier calls do nothing.
    pub fn on_timeout(&mut self, now: TimeNs) {
        match self.state {
            State::Idle | State::Closed(_) => {}
            State::AwaitChallenge | State::Signing | State::AwaitVerdict => {
                if self.logon_deadline <= now {
                    self.end(CloseReason::LogonTimeout);
                }
            }
            State::Resending { .. } | State::Snapshot | State::Ready => {
                if self.liveness.silent_at() <= now {
                    self.end(CloseReason::HeartbeatTimeout);
                } else if self.liveness.heartbeat_at() <= now {
                    if self.output.unsent().is_empty() {
                        self.output.message(&Heartbeat { sent: now });
                    }
                    self.liveness.sent(now);
                }
            }
        }
    }

    /// When time alone makes something happen.
    pub fn deadline(&self) -> Option<TimeNs> {
        match self.state {
            State::Idle | State::Closed(_) => None,
            State::AwaitChallenge | State::Signing | State::AwaitVerdict => Some(self.logon_deadline),
            State::Resending { .. } | State::Snapshot | State::Ready => Some(self.liveness.deadline()),
        }
    }

    /// Bytes for the stream.
    pub fn unsent(&self) -> &[u8] {
        self.output.unsent()
    }

    /// The stream took the first `count` bytes of [`Self::unsent`].
    pub fn sent(&mut self, count: usize) {
        self.output.advance(count);
    }

    /// Number of the newest event received: what a later life of this client logs on with.
    pub fn last_event_seq(&self) -> u64 {
        self.last_event_seq
    }

    /// Requests without an answer.
    pub fn unanswered(&self) -> usize {
        self.unanswered.open()
    }

    /// Logged on, nothing missing: requests leave at once.
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// The conversation on the present stream is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    fn is_logged_on(&self) -> bool {
        matches!(self.state, State::Resending { .. } | State::Snapshot | State::Ready)
    }

    fn send_when_on<M: Message>(&mut self, message: &M, now: TimeNs) -> bool {
        let on = self.is_logged_on();
        if on {
            self.send(message, now);
        }
        on
    }

    fn send<M: Message>(&mut self, message: &M, now: TimeNs) {
        self.output.message(message);
        self.liveness.sent(now);
    }

    fn end(&mut self, reason: CloseReason) {
        self.state = State::Closed(reason);
        self.input.clear();
    }
}
