//! The client's half of a session against a server that sends anything.

use std::collections::BTreeSet;

use joulebook_protocol::messages::{
    BatchEntry, CancelOrder, Challenge, LogonAccepted, MassCancel, NewOrder, OcoOrder, OrderBatch, OrderQuery,
};
use joulebook_protocol::{
    Command, Event, FRAME_BYTES_MAX, Frame, HEADER_BYTES, Message, Sender, TABLE, encode,
};
use joulebook_session::{ClientConfig, ClientOutput, ClientSession, RequestError};
use joulebook_types::{AccountId, ClientOrderId, InstrumentId, SessionId, TimeNs};

use crate::Traits;
use crate::conversation::Step;
use crate::input::Input;

/// Choices of the first byte.
const ANONYMOUS: u8 = 1;
const LOGGED_ON: u8 = 2;
const FEW_REQUESTS: u8 = 4;

const ACCOUNT: AccountId = AccountId::new(7);
const SESSION: SessionId = SessionId::new(3);

pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    let mut input = Input::new(input);
    let mut client = Client::new(input.byte(), traits);
    while let Some(step) = Step::read(&mut input) {
        client.step(step, traits);
        client.check();
    }
    client.finish(traits);
}

/// A session with what its owner knows.
struct Client {
    session: ClientSession,
    now: TimeNs,
    last_event_seq: u64,
    /// Ids without an answer.
    open: BTreeSet<ClientOrderId>,
    answered: BTreeSet<ClientOrderId>,
    /// Of the present stream.
    written: Vec<u8>,
    logged_on: bool,
    ended: bool,
    events: usize,
}

impl Client {
    fn new(choices: u8, traits: &mut Traits) -> Self {
        let mut config = if choices & ANONYMOUS != 0 {
            ClientConfig::anonymous()
        } else {
            ClientConfig::new(ACCOUNT, SESSION)
        };
        config.last_event_seq = u64::from(choices >> 4);
        if choices & FEW_REQUESTS != 0 {
            (config.unanswered_max, config.unanswered_bytes_max) = (3, 400);
        }
        let mut client = Self {
            session: ClientSession::new(config),
            now: TimeNs::new(1_000_000_000),
            last_event_seq: config.last_event_seq,
            open: BTreeSet::new(),
            answered: BTreeSet::new(),
            written: Vec::new(),
            logged_on: false,
            ended: false,
            events: 0,
        };
        client.session.start([4; 32], client.now);
        if choices & LOGGED_ON != 0 {
            client.hear(&Challenge::default(), traits);
            let (account, session) = (config.account, config.session);
            let last_event_seq = config.last_event_seq;
            client.hear(
                &LogonAccepted { account, session, last_event_seq, ..LogonAccepted::default() },
                traits,
            );
            assert!(client.session.is_ready(), "nothing is missing");
        }
        client
    }

    fn hear<M: Message>(&mut self, message: &M, traits: &mut Traits) {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        self.session.on_bytes(&bytes, self.now);
        self.drain(traits);
    }

    fn step(&mut self, step: Step<'_>, traits: &mut Traits) {
        match step {
            Step::Bytes(bytes) => self.session.on_bytes(bytes, self.now),
            Step::Wait(power) => {
                self.now = TimeNs::new(self.now.raw() + (1 << power));
                if self.session.deadline().is_some_and(|deadline| deadline <= self.now) {
                    self.session.on_timeout(self.now);
                    let due = self.session.deadline().is_some_and(|deadline| deadline <= self.now);
                    assert!(!due, "what was due is done");
                }
            }
            Step::Act(choice, words) => self.act(choice, words, traits),
            Step::Sent(eighths) => {
                let unsent = self.session.unsent();
                let count = unsent.len().min(8 * usize::from(eighths));
                self.written.extend_from_slice(&unsent[..count]);
                self.session.sent(count);
            }
            Step::Lost(choice @ 0..16) => self.session.on_closed_by_server(choice.into()),
            Step::Lost(_) => {
                self.hang_up(traits);
                self.session.start([5; 32], self.now);
                (self.logged_on, self.ended) = (false, false);
            }
        }
        self.drain(traits);
    }

    fn act(&mut self, choice: u8, words: &[u8], traits: &mut Traits) {
        match choice {
            0 => _ = self.session.subscribe(InstrumentId::new(1), 3, self.now),
            1 => _ = self.session.unsubscribe(InstrumentId::new(1), self.now),
            2 => _ = self.session.logout(self.now),
            3 => self.session.signed([1; 64], self.now),
            _ => self.request(choice, words, traits),
        }
    }

    fn request(&mut self, choice: u8, words: &[u8], traits: &mut Traits) {
        let Some(id) = self.session.next_client_order_id() else { return };
        let word = |index: usize| u64::from(words.get(index).copied().unwrap_or_default());
        let target = ClientOrderId::new(word(0));
        let mut command: Command = match choice % 6 {
            0 => NewOrder { qty: word(0) as u32, ..NewOrder::default() }.into(),
            1 => CancelOrder { target, ..CancelOrder::default() }.into(),
            2 => OrderQuery { target, ..OrderQuery::default() }.into(),
            3 => MassCancel::default().into(),
            4 => OcoOrder::default().into(),
            _ => {
                let mut batch = OrderBatch { count: word(0) as u8, ..OrderBatch::default() };
                for (index, entry) in batch.entries.iter_mut().enumerate() {
                    *entry = BatchEntry { kind: word(index + 1) as u8 % 5, target, ..*entry };
                }
                batch.into()
            }
        };
        command.set_client_order_id(id);
        let ids = command.client_order_ids();
        match self.session.request(&command, self.now) {
            Ok(taken) => {
                assert_eq!(taken, id);
                let entries = if matches!(command, Command::OcoOrder(_)) { 1 } else { ids };
                for offset in 0..entries {
                    let new = self.open.insert(ClientOrderId::new(id.raw().saturating_add(offset)));
                    // The last number of all is given to every entry that has no other.
                    assert!(new || id.raw() > u64::MAX - 256, "an id is used once");
                }
            }
            Err(error) => traits.saw("request", u64::from(error == RequestError::TooManyUnanswered)),
        }
    }

    fn drain(&mut self, traits: &mut Traits) {
        while let Some(output) = self.session.poll(self.now) {
            assert!(!self.ended, "nothing follows the end");
            let note = match output {
                ClientOutput::Sign(_) => {
                    self.session.signed([2; 64], self.now);
                    1
                }
                ClientOutput::LoggedOn(accepted) => {
                    assert!(!core::mem::replace(&mut self.logged_on, true), "one logon in a stream");
                    if accepted.snapshot != 0 {
                        self.last_event_seq = accepted.last_event_seq;
                    }
                    2
                }
                ClientOutput::CaughtUp => {
                    assert!(self.session.is_ready());
                    3
                }
                ClientOutput::Event { event, answers } => {
                    self.event(&event, answers);
                    4 + (u64::from(event.template_id()) << 8) + (u64::from(answers.is_some()) << 24)
                }
                ClientOutput::Refused(refused) => {
                    self.refused(refused.client_order_id);
                    5
                }
                ClientOutput::Public(event) => 6 + (u64::from(event.template_id()) << 8),
                ClientOutput::Feed(message) => 7 + (u64::from(message.template_id()) << 8),
                ClientOutput::LogonRejected(_) => 8,
                ClientOutput::Closed(reason) => {
                    assert!(self.session.is_closed());
                    self.ended = true;
                    9 + (u64::from(reason.raw()) << 8)
                }
            };
            traits.saw("client hears", note);
        }
    }

    fn event(&mut self, event: &Event, answers: Option<ClientOrderId>) {
        assert!(self.logged_on, "an event before the logon");
        let mut frame = Vec::new();
        event.encode(&mut frame);
        let seq = frame[HEADER_BYTES..].first_chunk::<8>().map_or(0, |seq| u64::from_le_bytes(*seq));
        if seq != 0 {
            assert_eq!(seq, self.last_event_seq + 1, "each numbered event once and in order");
            self.last_event_seq = seq;
        }
        if let Some(id) = answers {
            assert!(self.open.remove(&id), "an answer to what was not asked: {id}");
            assert!(self.answered.insert(id), "a request has one answer");
        }
        self.events += 1;
    }

    /// A frame is refused whole, and with it every entry of a batch: how many is what the session says.
    fn refused(&mut self, first: ClientOrderId) {
        if self.session.unanswered() < self.open.len() {
            let gone = self.open.len() - self.session.unanswered();
            let ids: Vec<ClientOrderId> = self.open.range(first..).take(gone).copied().collect();
            assert_eq!(ids.first(), Some(&first), "what was refused had been asked");
            self.open.retain(|id| !ids.contains(id));
        }
    }

    fn check(&self) {
        assert_eq!(self.session.last_event_seq(), self.last_event_seq);
        assert_eq!(self.session.unanswered(), self.open.len(), "what has no answer");
        assert!(!self.session.is_ready() || self.logged_on);
    }

    fn hang_up(&mut self, traits: &mut Traits) {
        self.written.extend_from_slice(self.session.unsent());
        let mut rest = self.written.as_slice();
        while let Some((frame, after)) = Frame::split(rest).expect("frames of ours") {
            let sender = TABLE.iter().find(|info| info.template_id == frame.header.template_id);
            let sender = sender.map(|info| info.sender);
            assert!(matches!(sender, Some(Sender::Client | Sender::Either)), "a client does not say that");
            assert!(frame.bytes_len() <= FRAME_BYTES_MAX);
            rest = after;
        }
        assert!(rest.is_empty(), "whole frames");
        traits.counted("written", self.written.len());
        self.written.clear();
        self.session.on_disconnected();
        assert!(self.session.unsent().is_empty() && self.session.deadline().is_none());
    }

    fn finish(&mut self, traits: &mut Traits) {
        self.hang_up(traits);
        assert!(self.session.poll(self.now).is_none(), "a client without a stream has nothing to do");
        traits.counted("events", self.events);
        traits.counted("open", self.open.len());
    }
}
