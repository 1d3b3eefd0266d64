//! The gateway's half of a session against a client that sends anything.

use joulebook_protocol::messages::{Hello, Logon, LogonAccepted};
use joulebook_protocol::pipe::COMMAND_FRAME_BYTES_MAX;
use joulebook_protocol::{
    CloseReason, FRAME_BYTES_MAX, Frame, FrameHeader, Origin, RejectReason, SCHEMA_ID, Sender,
    SequencedCommand, TABLE, VERSION, encode,
};
use joulebook_session::{Intake, Now, ServerOutput, ServerSession, SessionLimits};
use joulebook_types::{AccountId, ConnectionId, SessionId, TimeNs};
use zerocopy::IntoBytes;

use crate::Traits;
use crate::conversation::Step;
use crate::input::Input;

/// Choices of the first byte.
const ANONYMOUS: u8 = 1;
const LOGGED_ON: u8 = 2;
const SLOW: u8 = 4;
const NARROW: u8 = 8;
const IN_PIECES: u8 = 16;

const ACCOUNT: AccountId = AccountId::new(7);
const SESSION: SessionId = SessionId::new(3);

pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    let choices = input.first().copied().unwrap_or_default();
    let whole = converse(input, usize::MAX, traits);
    // How a stream is cut into reads says nothing, as long as nothing had to wait outside for room.
    if choices & IN_PIECES != 0 && !whole.was_full {
        let pieces = converse(input, 1 + usize::from(choices >> 5), &mut Traits::default());
        assert!(!pieces.was_full, "what had room at once has room in pieces");
        assert_eq!((pieces.written, pieces.said), (whole.written, whole.said), "the same in pieces");
    }
}

fn converse(input: &[u8], piece_bytes: usize, traits: &mut Traits) -> Server {
    let mut input = Input::new(input);
    let mut server = Server::new(input.byte(), piece_bytes, traits);
    while let Some(step) = Step::read(&mut input) {
        server.step(step, traits);
        server.check();
    }
    server.finish(traits);
    server
}

/// A session with what its owner knows.
struct Server {
    session: ServerSession,
    limits: SessionLimits,
    now: Now,
    intake: Intake,
    piece_bytes: usize,
    /// Bytes that the stream has taken so far.
    written: Vec<u8>,
    /// What the owner was told to do, in short.
    said: Vec<u64>,
    verifying: bool,
    ended: bool,
    was_full: bool,
}

impl Server {
    fn new(choices: u8, piece_bytes: usize, traits: &mut Traits) -> Self {
        let mut limits = SessionLimits { unsent_bytes_max: 16 << 10, ..SessionLimits::default() };
        if choices & SLOW != 0 {
            limits = SessionLimits {
                orders_per_s: 5,
                order_burst: 3,
                cancels_per_s: 7,
                cancel_burst: 2,
                ..limits
            };
        }
        if choices & NARROW != 0 {
            limits = SessionLimits { unsent_bytes_max: 200, unhandled_bytes_max: 100, ..limits };
        }
        let now = Now { steady: TimeNs::new(1_000_000_000), wall: TimeNs::new(5_000_000_000) };
        let connection = ConnectionId::of_gateway(1, 9);
        let mut server = Self {
            session: ServerSession::new(limits, connection, [9; 32], now),
            limits,
            now,
            intake: Intake::Open,
            piece_bytes,
            written: Vec::new(),
            said: Vec::new(),
            verifying: false,
            ended: false,
            was_full: false,
        };
        if choices & ANONYMOUS != 0 {
            server.say(&Hello::default(), traits);
        } else if choices & LOGGED_ON != 0 {
            server.say(&Hello { account: ACCOUNT, session: SESSION }, traits);
            server.say(&Logon::default(), traits);
            server.verdict(Ok(()), traits);
            let mut accepted = Vec::new();
            encode(&LogonAccepted::default(), &mut accepted);
            server.session.on_event(&accepted, now);
            assert!(server.session.is_open(), "the engine let it in");
        }
        server
    }

    fn say<M: joulebook_protocol::Message>(&mut self, message: &M, traits: &mut Traits) {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        self.receive(&bytes, traits);
    }

    fn step(&mut self, step: Step<'_>, traits: &mut Traits) {
        match step {
            Step::Bytes(bytes) => self.receive(bytes, traits),
            Step::Wait(power) => self.wait(1 << power),
            Step::Act(0, _) => self.verdict(Ok(()), traits),
            Step::Act(1, _) => self.verdict(Err(RejectReason::BadSignature), traits),
            Step::Act(2, _) => self.intake = Intake::ReadOnly,
            Step::Act(3, _) => self.intake = Intake::Open,
            Step::Act(4, _) => self.session.excuse_silence(self.now),
            Step::Act(_, event) => self.engine_says(event),
            Step::Sent(eighths) => {
                let unsent = self.session.unsent();
                let count = unsent.len().min(8 * usize::from(eighths));
                self.written.extend_from_slice(&unsent[..count]);
                self.session.sent(count);
            }
            Step::Lost(choice) => {
                let reason = CloseReason::from_raw(choice.into()).unwrap_or(CloseReason::Fault);
                self.session.close(reason, self.now);
            }
        }
        self.drain(traits);
    }

    /// As much as there is room for; a stream would keep the rest.
    fn receive(&mut self, bytes: &[u8], traits: &mut Traits) {
        for piece in bytes.chunks(self.piece_bytes.min(bytes.len().max(1))) {
            let room = self.session.room();
            assert!(room <= self.limits.unhandled_bytes_max.max(COMMAND_FRAME_BYTES_MAX));
            self.was_full |= room < piece.len();
            self.session.on_bytes(&piece[..piece.len().min(room)], self.now);
            self.drain(traits);
        }
    }

    fn wait(&mut self, ns: u64) {
        let later = |time: TimeNs| TimeNs::new(time.raw() + ns);
        self.now = Now { steady: later(self.now.steady), wall: later(self.now.wall) };
        if self.session.deadline().is_some_and(|deadline| deadline <= self.now.steady) {
            self.session.on_timeout(self.now);
            let due = self.session.deadline().is_some_and(|deadline| deadline <= self.now.steady);
            assert!(!due, "what was due is done");
        }
    }

    fn verdict(&mut self, verdict: Result<(), RejectReason>, traits: &mut Traits) {
        let was_verifying = core::mem::take(&mut self.verifying) && !self.session.is_closed();
        let origin = self.session.verified(verdict, self.now);
        assert_eq!(
            origin.is_some(),
            was_verifying && verdict.is_ok(),
            "only a good logon goes to the engine"
        );
        if let Some(origin) = origin {
            self.command(origin, traits);
        }
        self.drain(traits);
    }

    /// The engine's message: the first byte chooses it from the table, the rest is its block.
    fn engine_says(&mut self, event: &[u8]) {
        let said = TABLE.iter().filter(|info| info.sender == Sender::Server && info.template_id != 2);
        let choice = event.first().copied().unwrap_or_default();
        let info = said.clone().nth(usize::from(choice) % said.count()).expect("one of them");
        let mut block = event.get(1..).unwrap_or_default().to_vec();
        block.resize(info.block_len, 0);
        let header = FrameHeader {
            block_len: info.block_len as u16,
            template_id: info.template_id,
            schema_id: SCHEMA_ID,
            version: VERSION,
        };
        self.session.on_event(&[header.as_bytes(), &block].concat(), self.now);
    }

    fn drain(&mut self, traits: &mut Traits) {
        while let Some(output) = self.session.poll(self.now, self.intake) {
            assert!(!self.ended, "nothing follows the end");
            let is_end = matches!(output, ServerOutput::Close(_));
            assert!(!self.verifying || is_end, "nothing but the end comes before the verdict");
            let note = match output {
                ServerOutput::Verify(verify) => {
                    self.verifying = true;
                    assert!(self.session.identity() == Some((verify.account, verify.session)));
                    1
                }
                ServerOutput::Command(origin) => {
                    assert!(self.session.is_open(), "a command before the logon");
                    self.command(origin, traits);
                    2
                }
                ServerOutput::Subscribe(subscribe) => {
                    assert!(self.session.is_open(), "a subscription before the logon");
                    3 + (u64::from(subscribe.kinds) << 8)
                }
                ServerOutput::Unsubscribe(_) => 4,
                ServerOutput::Anonymous => {
                    assert!(self.session.is_open() && !self.session.is_known_to_engine());
                    5
                }
                ServerOutput::Refused(reason) => 6 + (u64::from(reason.raw()) << 8),
                ServerOutput::Close(reason) => {
                    assert!(self.session.is_closed());
                    self.ended = true;
                    7 + (u64::from(reason.raw()) << 8)
                }
            };
            traits.saw("server says", note);
            self.said.push(note);
        }
    }

    fn command(&mut self, origin: Origin, traits: &mut Traits) {
        let frame = self.session.command();
        assert!(frame.len() <= COMMAND_FRAME_BYTES_MAX);
        assert!(!origin.account.is_none(), "a command of nobody");
        assert_eq!(Some((origin.account, origin.session)), self.session.identity());
        let record = [origin.as_bytes(), frame].concat();
        let sequenced = SequencedCommand::decode(&record).expect("what goes to the engine can be read");
        traits.saw("command", sequenced.command.template_id().into());
        self.said.push(u64::from(sequenced.command.template_id()) << 16 | frame.len() as u64);
    }

    fn check(&self) {
        let unsent = self.session.unsent().len();
        assert!(unsent <= 4 * self.limits.unsent_bytes_max + FRAME_BYTES_MAX, "{unsent} bytes are unsent");
        assert!(!self.session.is_known_to_engine() || !self.session.is_closed());
    }

    /// Whatever happened, the client can read all that was written.
    fn finish(&mut self, traits: &mut Traits) {
        self.written.extend_from_slice(self.session.unsent());
        self.session.on_disconnected();
        self.drain(traits);
        assert!(self.ended && self.session.unsent().is_empty() && self.session.deadline().is_none());
        let mut rest = self.written.as_slice();
        while let Some((frame, after)) = Frame::split(rest).expect("frames of ours") {
            let sender = TABLE.iter().find(|info| info.template_id == frame.header.template_id);
            let sender = sender.map(|info| info.sender);
            assert!(!matches!(sender, None | Some(Sender::Client)), "a server does not say that");
            rest = after;
        }
        assert!(rest.is_empty(), "whole frames");
        traits.counted("frames in", self.session.take_frames_in() as usize);
        traits.counted("written", self.written.len());
    }
}
