//! The gateway's half of a session.

use joulebook_protocol::messages::{
    Challenge, Heartbeat, Hello, Logon, LogonAccepted, LogonRejected, RequestRefused, SessionOpened,
    Subscribe, SubscribeRejected, Terminate, Unsubscribe,
};
use joulebook_protocol::pipe::COMMAND_FRAME_BYTES_MAX;
use joulebook_protocol::{
    CloseReason, Command, HEADER_BYTES, Message, Origin, RejectReason, SessionMessage, VERSION, encode,
};
use joulebook_types::{AccountId, ClientOrderId, ConnectionId, SessionId, TimeNs};

use crate::buffer::{FrameBuffer, OutBuffer, Span};
use crate::limits::SessionLimits;
use crate::liveness::{HEARTBEAT_MS_DEFAULT, Liveness};
use crate::stamp::patch_stamp;
use crate::template::{Kind, Template, is_cancel, requests_in, template};
use crate::throttle::TokenBucket;

/// One stream of a client, from its first byte to its last.
///
/// The owner pushes bytes in ([`Self::on_bytes`]), polls decisions ([`Self::poll`]), passes on what the engine says
/// ([`Self::on_event`]), writes [`Self::unsent`] to the stream, and calls [`Self::on_timeout`] at [`Self::deadline`].
#[derive(Debug)]
pub struct ServerSession {
    limits: SessionLimits,
    connection: ConnectionId,
    nonce: [u8; 32],
    state: State,
    /// Of the state that waits for a logon.
    logon_deadline: TimeNs,
    heartbeat_ms: u32,
    liveness: Liveness,
    orders: TokenBucket,
    cancels: TokenBucket,
    input: FrameBuffer,
    output: OutBuffer,
    /// The stream did not take all that it was last given.
    is_stream_full: bool,
    close_reported: bool,
    frames_in: u64,
    announced: Announced,
    /// A frame that is not in `input` as it goes to the engine.
    written: Vec<u8>,
}

/// A reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Never goes back: for deadlines and throttles.
    pub steady: TimeNs,
    /// Exchange time: for what clients read.
    pub wall: TimeNs,
}

/// What to do with new orders at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    Open,
    /// New orders are refused, cancels and questions are not.
    ReadOnly,
}

/// What the owner must do.
#[derive(Clone, Debug)]
pub enum ServerOutput {
    /// Check a signature and call [`ServerSession::verified`]. Nothing else comes before that.
    Verify(Verify),
    /// Hand [`ServerSession::command`] to the engine, as coming from here, before anything else is done with the session.
    Command(Origin),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    /// An anonymous client is logged on; no engine needs to know.
    Anonymous,
    /// A request was refused and answered; for the counters.
    Refused(RejectReason),
    /// The session is over: send what is unsent, then end the stream. Comes once, last.
    Close(CloseReason),
}

/// A logon to check: the signature covers [`logon_bytes`](crate::logon_bytes) of the rest.
#[derive(Clone, Copy, Debug)]
pub struct Verify {
    pub account: AccountId,
    pub session: SessionId,
    pub nonce: [u8; 32],
    pub signature: [u8; 64],
}

/// Where the command lies that the owner was told of last.
#[derive(Debug)]
enum Announced {
    Nothing,
    Input(Span),
    Written,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    AwaitHello,
    AwaitLogon {
        account: AccountId,
        session: SessionId,
    },
    Verifying {
        account: AccountId,
        session: SessionId,
        opened: SessionOpened,
    },
    /// The engine was asked to open the session.
    Opening {
        account: AccountId,
        session: SessionId,
    },
    /// Logged on; account 0 is anonymous.
    Open {
        account: AccountId,
        session: SessionId,
    },
    Closed(CloseReason),
}

const HEARTBEAT_MS_MIN: u32 = 100;
const HEARTBEAT_MS_MAX: u32 = 60_000;
/// The longest that orders survive a lost connection, unless they are kept for good.
const GRACE_MS_MAX: u32 = 30_000;
const KEEP_ORDERS: u32 = u32::MAX;

impl ServerSession {
    /// `nonce` must be random and used for this session only.
    pub fn new(limits: SessionLimits, connection: ConnectionId, nonce: [u8; 32], now: Now) -> Self {
        Self {
            limits,
            connection,
            nonce,
            state: State::AwaitHello,
            logon_deadline: now.steady.saturating_add_ms(limits.logon_timeout_ms),
            heartbeat_ms: HEARTBEAT_MS_DEFAULT,
            liveness: Liveness::new(HEARTBEAT_MS_DEFAULT, now.steady),
            orders: TokenBucket::new(limits.orders_per_s, limits.order_burst, now.steady),
            cancels: TokenBucket::new(limits.cancels_per_s, limits.cancel_burst, now.steady),
            input: FrameBuffer::default(),
            output: OutBuffer::default(),
            is_stream_full: false,
            close_reported: false,
            frames_in: 0,
            announced: Announced::Nothing,
            written: Vec::new(),
        }
    }

    /// Bytes that [`Self::on_bytes`] may be given now.
    pub fn room(&self) -> usize {
        // With less room than the longest frame takes, such a frame would never come whole.
        let unhandled_bytes_max = self.limits.unhandled_bytes_max.max(COMMAND_FRAME_BYTES_MAX);
        match self.state {
            // Whatever still arrives is dropped, so that it does not block the stream.
            State::Closed(_) => unhandled_bytes_max,
            _ => unhandled_bytes_max.saturating_sub(self.input.len()),
        }
    }

    pub fn on_bytes(&mut self, bytes: &[u8], now: Now) {
        self.announced = Announced::Nothing;
        self.liveness.heard(now.steady);
        if !self.is_closed() {
            self.input.push(bytes);
        }
    }

    /// The client is not to blame for a silence: we are not reading.
    pub fn excuse_silence(&mut self, now: Now) {
        self.liveness.heard(now.steady);
    }

    /// What to do next; call until `None`. Each output may need room for one command on its way to the engine.
    pub fn poll(&mut self, now: Now, intake: Intake) -> Option<ServerOutput> {
        loop {
            match self.state {
                State::Closed(reason) => {
                    let first = !core::mem::replace(&mut self.close_reported, true);
                    return first.then_some(ServerOutput::Close(reason));
                }
                // What was sent ahead waits for the verdict.
                State::Verifying { .. } => return None,
                State::AwaitHello | State::AwaitLogon { .. } | State::Opening { .. } | State::Open { .. } => {
                }
            }
            match self.input.next_frame() {
                Ok(None) => return None,
                Ok(Some(span)) => {
                    self.frames_in += 1;
                    let output = self.on_frame(&span, now, intake);
                    if output.is_some() {
                        return output;
                    }
                }
                // After bytes that are no frame, nothing that follows can be trusted to be one.
                Err(_) => self.close(CloseReason::ProtocolError, now),
            }
        }
    }

    fn on_frame(&mut self, span: &Span, now: Now, intake: Intake) -> Option<ServerOutput> {
        let header = span.header;
        let known = template(header.template_id);
        let Some(known) = known.filter(|known| known.from_client && known.block_min <= header.block_len)
        else {
            return Some(self.refuse(span, RejectReason::Malformed, 0, 0, now));
        };
        if known.kind == Kind::Command {
            return Some(self.on_command(span, known, now, intake));
        }
        let Ok(message) = SessionMessage::decode(&self.input.frame(span)) else {
            return Some(self.refuse(span, RejectReason::Malformed, 0, 0, now));
        };
        match (message, self.state) {
            (SessionMessage::Hello(hello), State::AwaitHello) => self.on_hello(hello, now),
            (SessionMessage::Logon(logon), State::AwaitLogon { account, session }) => {
                Some(self.on_logon(logon, account, session))
            }
            (SessionMessage::Heartbeat(_), _) => None,
            (SessionMessage::Logout(_), _) => {
                self.end(CloseReason::Logout);
                None
            }
            (SessionMessage::Subscribe(subscribe), State::Open { .. }) => {
                Some(self.on_subscribe(subscribe, now))
            }
            (SessionMessage::Unsubscribe(unsubscribe), State::Open { .. }) => {
                Some(ServerOutput::Unsubscribe(unsubscribe))
            }
            _ => Some(self.refuse(span, RejectReason::Unexpected, 0, 0, now)),
        }
    }

    fn on_hello(&mut self, hello: Hello, now: Now) -> Option<ServerOutput> {
        let Hello { account, session } = hello;
        if account.is_none() {
            let accepted = LogonAccepted {
                server_time: now.wall,
                heartbeat_ms: self.heartbeat_ms,
                ..LogonAccepted::default()
            };
            self.send(&accepted, now);
            self.open(AccountId::NONE, SessionId::NONE, self.heartbeat_ms, now);
            return Some(ServerOutput::Anonymous);
        }
        self.state = State::AwaitLogon { account, session };
        if session.is_none() {
            self.reject_logon(RejectReason::Malformed, now);
            return Some(ServerOutput::Refused(RejectReason::Malformed));
        }
        self.send(&Challenge { nonce: self.nonce, server_time: now.wall }, now);
        None
    }

    fn on_logon(&mut self, logon: Logon, account: AccountId, session: SessionId) -> ServerOutput {
        self.heartbeat_ms = match logon.heartbeat_ms {
            0 => HEARTBEAT_MS_DEFAULT,
            proposed => proposed.clamp(HEARTBEAT_MS_MIN, HEARTBEAT_MS_MAX),
        };
        let grace_ms = match logon.cancel_on_disconnect_ms {
            KEEP_ORDERS => KEEP_ORDERS,
            proposed => proposed.min(GRACE_MS_MAX),
        };
        let opened = SessionOpened {
            connection: self.connection,
            last_event_seq: logon.last_event_seq,
            heartbeat_ms: self.heartbeat_ms,
            cancel_on_disconnect_ms: grace_ms,
        };
        self.state = State::Verifying { account, session, opened };
        ServerOutput::Verify(Verify { account, session, nonce: self.nonce, signature: logon.signature })
    }

    /// The answer to [`ServerOutput::Verify`]. When the logon is good, the engine must get [`Self::command`], as coming
    /// from the origin that is given back.
    #[must_use]
    pub fn verified(&mut self, verdict: Result<(), RejectReason>, now: Now) -> Option<Origin> {
        let State::Verifying { account, session, opened } = self.state else { return None };
        match verdict {
            Ok(()) => {
                self.state = State::Opening { account, session };
                self.written.clear();
                encode(&opened, &mut self.written);
                self.announced = Announced::Written;
                Some(Origin { account, session, received: now.wall })
            }
            Err(reason) => {
                self.reject_logon(reason, now);
                None
            }
        }
    }

    /// Header and block of the command that the owner was told of last, as they go into the journal.
    ///
    /// # Panics
    /// When no command was announced, or the session got bytes or ended since.
    pub fn command(&self) -> &[u8] {
        match &self.announced {
            Announced::Input(span) => self.input.bytes(span),
            Announced::Written => &self.written,
            Announced::Nothing => panic!("a command is read before the session goes on"),
        }
    }

    fn reject_logon(&mut self, reason: RejectReason, now: Now) {
        let (account, session) = self.identity().unwrap_or_default();
        let reason = reason.raw();
        self.send(&LogonRejected { account, session, reason, ..LogonRejected::default() }, now);
        self.end(CloseReason::LogonRefused);
    }

    fn on_command(&mut self, span: &Span, known: Template, now: Now, intake: Intake) -> ServerOutput {
        let State::Open { account, session } = self.state else {
            return self.refuse(span, RejectReason::Unexpected, 0, 0, now);
        };
        if account.is_none() {
            return self.refuse(span, RejectReason::NotAuthorised, 0, 0, now);
        }
        let template_id = span.header.template_id;
        let bucket = if is_cancel(template_id) { &mut self.cancels } else { &mut self.orders };
        let requests = requests_in(&self.input.frame(span));
        if let Err(wait_ns) = bucket.take(requests, now.steady) {
            let per_s = bucket.per_s();
            return self.refuse(span, RejectReason::Throttled, per_s, wait_ns, now);
        }
        if intake == Intake::ReadOnly && !is_cancel(template_id) && !crate::template::is_query(template_id) {
            return self.refuse(span, RejectReason::ReadOnly, 0, 0, now);
        }
        let origin = Origin { account, session, received: now.wall };
        // A newer peer's longer block is cut to what this version journals and understands.
        if known.knows_all_of(span.header.block_len) && span.header.version == VERSION {
            self.announced = Announced::Input(span.clone());
            return ServerOutput::Command(origin);
        }
        let Ok(command) = Command::decode(&self.input.frame(span)) else {
            return self.refuse(span, RejectReason::Malformed, 0, 0, now);
        };
        self.written.clear();
        command.encode(&mut self.written);
        self.announced = Announced::Written;
        ServerOutput::Command(origin)
    }

    fn on_subscribe(&mut self, subscribe: Subscribe, now: Now) -> ServerOutput {
        // A snapshot costs more than an order, so subscriptions use up the same credits.
        if self.orders.take(1, now.steady).is_err() {
            self.refuse_subscription(subscribe, RejectReason::Throttled, now);
            return ServerOutput::Refused(RejectReason::Throttled);
        }
        ServerOutput::Subscribe(subscribe)
    }

    /// Answers a subscription that the owner cannot serve.
    pub fn refuse_subscription(&mut self, subscribe: Subscribe, reason: RejectReason, now: Now) {
        let instrument = subscribe.instrument;
        self.send(&SubscribeRejected { instrument, reason: reason.raw(), reserved: 0 }, now);
    }

    fn refuse(
        &mut self,
        span: &Span,
        reason: RejectReason,
        limit: u64,
        value: u64,
        now: Now,
    ) -> ServerOutput {
        let template_id = span.header.template_id;
        let is_request = template(template_id).is_some_and(|known| known.kind == Kind::Command);
        let first = self.input.frame(span).block.first_chunk::<8>();
        let client_order_id = match first {
            Some(first) if is_request => ClientOrderId::new(u64::from_le_bytes(*first)),
            _ => ClientOrderId::NONE,
        };
        let refused = RequestRefused {
            client_order_id,
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            value: i64::try_from(value).unwrap_or(i64::MAX),
            reason: reason.raw(),
            template_id,
            reserved: [0; 4],
        };
        self.send(&refused, now);
        ServerOutput::Refused(reason)
    }

    /// Passes on a frame that the engine addressed to this session.
    ///
    /// The engine's first word to a session is the verdict on its logon. What comes before was meant for another one:
    /// an exchange that starts again may still speak to a connection of its last life, which had this one's number.
    pub fn on_event(&mut self, frame: &[u8], now: Now) {
        let template_id = frame.get(2..4).map_or(0, |id| u16::from_le_bytes([id[0], id[1]]));
        if !self.may_hear(template_id) {
            return;
        }
        let known = template(template_id);
        if known.is_some_and(|known| known.kind == Kind::Event) {
            let (orders, cancels) = (&mut self.orders, &mut self.cancels);
            orders.refill(now.steady);
            cancels.refill(now.steady);
            let credits = (orders.credits(), cancels.credits());
            patch_stamp(self.output.frames(frame), now.wall, credits);
        } else {
            self.output.frames(frame);
        }
        self.liveness.sent(now.steady);
        self.on_verdict(template_id, frame, now);
        self.check_backlog(now);
    }

    fn may_hear(&self, template_id: u16) -> bool {
        let is_verdict = matches!(template_id, LogonAccepted::TEMPLATE_ID | LogonRejected::TEMPLATE_ID);
        self.is_known_to_engine() && (self.is_open() || is_verdict)
    }

    /// What the engine's own session messages mean for this side.
    fn on_verdict(&mut self, template_id: u16, frame: &[u8], now: Now) {
        match (template_id, self.state) {
            (LogonAccepted::TEMPLATE_ID, State::Opening { account, session }) => {
                self.open(account, session, self.heartbeat_ms, now);
            }
            (LogonRejected::TEMPLATE_ID, _) => self.end(CloseReason::LogonRefused),
            (Terminate::TEMPLATE_ID, _) => {
                let reason = frame.get(HEADER_BYTES..).and_then(|block| Terminate::decode(block).ok());
                let reason = reason.and_then(|terminate| CloseReason::from_raw(terminate.reason));
                self.end(reason.unwrap_or(CloseReason::Fault));
            }
            _ => {}
        }
    }

    /// Appends public frames, encoded already. They do not make a slow consumer: whoever sends them looks at
    /// [`Self::unsent`] first and leaves out what can be told later.
    pub fn send_frames(&mut self, frames: &[u8], now: Now) {
        if self.is_closed() {
            return;
        }
        self.output.frames(frames);
        self.liveness.sent(now.steady);
    }

    /// Ends the session from our side, and tells the client why.
    pub fn close(&mut self, reason: CloseReason, now: Now) {
        if self.is_closed() {
            return;
        }
        if reason == CloseReason::SlowConsumer {
            // What it did not read it gets again when it logs on; the reason must not wait behind it.
            self.output.abandon();
        }
        self.output.message(&Terminate { reason: reason.raw(), reserved: [0; 6] });
        self.liveness.sent(now.steady);
        self.end(reason);
    }

    /// The stream or its connection is gone: nothing more can be sent.
    pub fn on_disconnected(&mut self) {
        self.output.clear();
        if !self.is_closed() {
            self.end(CloseReason::ConnectionLost);
        }
    }

    /// To be called at [`Self::deadline`]; earlier calls do nothing.
    pub fn on_timeout(&mut self, now: Now) {
        match self.state {
            State::AwaitHello
            | State::AwaitLogon { .. }
            | State::Verifying { .. }
            | State::Opening { .. } => {
                if self.logon_deadline <= now.steady {
                    self.close(CloseReason::LogonTimeout, now);
                }
            }
            State::Open { .. } => {
                if self.liveness.silent_at() <= now.steady {
                    self.close(CloseReason::HeartbeatTimeout, now);
                } else if self.liveness.heartbeat_at() <= now.steady {
                    // Behind a backlog a heartbeat says nothing that the backlog will not say.
                    if self.output.unsent().is_empty() {
                        self.output.message(&Heartbeat { sent: now.wall });
                    }
                    self.liveness.sent(now.steady);
                }
            }
            State::Closed(_) => {}
        }
    }

    /// When time alone makes something happen.
    pub fn deadline(&self) -> Option<TimeNs> {
        match self.state {
            State::AwaitHello
            | State::AwaitLogon { .. }
            | State::Verifying { .. }
            | State::Opening { .. } => Some(self.logon_deadline),
            State::Open { .. } => Some(self.liveness.deadline()),
            State::Closed(_) => None,
        }
    }

    /// Bytes for the stream.
    pub fn unsent(&self) -> &[u8] {
        self.output.unsent()
    }

    /// The stream was given [`Self::unsent`] and took the first `count` bytes.
    pub fn sent(&mut self, count: usize) {
        self.output.advance(count);
        self.is_stream_full = !self.output.unsent().is_empty();
    }

    /// Account and session that were named in `Hello`, proven or not; `None` before it, after the end, and for
    /// anonymous sessions.
    pub fn identity(&self) -> Option<(AccountId, SessionId)> {
        match self.state {
            State::AwaitLogon { account, session }
            | State::Verifying { account, session, .. }
            | State::Opening { account, session }
            | State::Open { account, session } => (!account.is_none()).then_some((account, session)),
            State::AwaitHello | State::Closed(_) => None,
        }
    }

    /// The engine was asked to open the session, or has opened it: it must learn of the session's end.
    pub fn is_known_to_engine(&self) -> bool {
        match self.state {
            State::Opening { .. } => true,
            State::Open { account, .. } => !account.is_none(),
            State::AwaitHello | State::AwaitLogon { .. } | State::Verifying { .. } | State::Closed(_) => {
                false
            }
        }
    }

    /// The logon is complete, and the session is not over.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// Frames that came since the last call.
    pub fn take_frames_in(&mut self) -> u64 {
        core::mem::take(&mut self.frames_in)
    }

    fn open(&mut self, account: AccountId, session: SessionId, heartbeat_ms: u32, now: Now) {
        self.state = State::Open { account, session };
        self.liveness = Liveness::new(heartbeat_ms, now.steady);
    }

    fn send<M: Message>(&mut self, message: &M, now: Now) {
        self.output.message(message);
        self.liveness.sent(now.steady);
        self.check_backlog(now);
    }

    fn check_backlog(&mut self, now: Now) {
        let unsent_max = match self.is_stream_full {
            true => self.limits.unsent_bytes_max,
            false => self.limits.unsent_bytes_max.saturating_mul(4),
        };
        if unsent_max < self.output.unsent().len() {
            self.close(CloseReason::SlowConsumer, now);
        }
    }

    fn end(&mut self, reason: CloseReason) {
        self.state = State::Closed(reason);
        self.announced = Announced::Nothing;
        self.input.clear();
    }
}
