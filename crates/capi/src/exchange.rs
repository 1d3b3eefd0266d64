//! The engine with what a program without a gateway needs around it: batches, numbers of requests, who gets what.

use joulebook_engine::{Destination, Engine, Events, Record};
use joulebook_protocol::messages::{LogonRejected, SessionOpened};
use joulebook_protocol::{
    Command, Event, Frame, FrameHeader, HEADER_BYTES, Message, MessageInfo, Origin, SCHEMA_ID,
    SequencedCommand, SessionMessage, TABLE, VERSION,
};
use joulebook_types::{AccountId, ClientOrderId, ConnectionId, SessionId, TimeNs};

use crate::answer::Asked;
use crate::structs::CResult;
use crate::{BLOCK_WORDS_MAX, Status};

/// One market in this process.
pub struct Exchange {
    engine: Engine,
    /// Of the call in hand, or of the last one.
    events: Events,
    in_batch: bool,
    /// Counts the connections that were made up here.
    connections: u64,
}

/// No gateway has so high a number.
const GATEWAY: u16 = 0xFFFE;
/// The engine takes it for everybody.
const NO_CONNECTION: u64 = u64::MAX;

impl Exchange {
    /// An engine that waits for its `Genesis`.
    pub fn empty() -> Self {
        Self { engine: Engine::new(), events: Events::new(), in_batch: false, connections: 0 }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn begin(&mut self, time: TimeNs) -> Result<(), Status> {
        if self.in_batch {
            return Err(Status::Batch);
        }
        self.in_batch = true;
        self.engine.begin_batch(self.engine.last_seq().next(), time, &mut self.events);
        Ok(())
    }

    pub fn end(&mut self) -> Result<(), Status> {
        if !self.in_batch {
            return Err(Status::Batch);
        }
        self.in_batch = false;
        self.engine.end_batch(&mut self.events);
        Ok(())
    }

    /// Runs a command in the open batch, or in one of its own, and says what became of it.
    pub fn apply(&mut self, account: u32, session: u32, command: Command) -> Result<CResult, Status> {
        let (start, first) = self.run(account, session, command)?;
        Ok(Asked { account, session, id: first }.answer(self.told_since(start), &self.engine))
    }

    /// The same for a command that stands for several requests: what became of each.
    pub fn apply_many(
        &mut self,
        account: u32,
        session: u32,
        command: Command,
    ) -> Result<Vec<CResult>, Status> {
        let count = command.client_order_ids();
        let (start, first) = self.run(account, session, command)?;
        let answer = |id| Asked { account, session, id }.answer(self.told_since(start), &self.engine);
        Ok((0..count).map(|index| answer(first.saturating_add(index))).collect())
    }

    /// Adds what everybody may know to the events of the call.
    pub fn publish_state(&mut self) {
        self.engine.publish_state(&mut self.events);
    }

    pub(crate) fn clear_events(&mut self) {
        self.events.clear();
    }

    /// What happened in the call in hand, or in the last one.
    pub fn told(&self) -> impl Iterator<Item = Told<'_>> + Clone {
        self.told_since(0)
    }

    /// Where the command's events start, and under which number it went.
    fn run(&mut self, account: u32, session: u32, mut command: Command) -> Result<(usize, u64), Status> {
        let origin = Origin {
            account: AccountId::new(account),
            session: SessionId::new(session),
            received: TimeNs::ZERO,
        };
        self.connect(origin, &mut command)?;
        self.number(origin, &mut command);
        let id = command.client_order_id().map_or(0, ClientOrderId::raw);
        let alone = !self.in_batch;
        if alone {
            self.begin(self.engine.time())?;
        }
        let start = self.events.bytes_len();
        let ignored = self.engine.ignored_commands();
        let received = if account == 0 { TimeNs::ZERO } else { self.engine.time() };
        self.engine
            .apply(&SequencedCommand { origin: Origin { received, ..origin }, command }, &mut self.events);
        if alone {
            self.end()?;
        }
        if self.engine.ignored_commands() != ignored {
            return Err(Status::Origin);
        }
        Ok((start, id))
    }

    /// Numbers a request that has no number yet. Where no session is, there is no number, and the engine ignores it.
    fn number(&self, origin: Origin, command: &mut Command) {
        if command.client_order_id() == Some(ClientOrderId::NONE)
            && let Some(session) = self.engine.session(origin.account, origin.session)
        {
            let next = session.last_client_order_id.raw().saturating_add(1);
            command.set_client_order_id(ClientOrderId::new(next));
        }
    }

    /// Logons get a connection, and logouts name theirs, unless the caller did.
    fn connect(&mut self, origin: Origin, command: &mut Command) -> Result<(), Status> {
        if let Command::SessionOpened(SessionOpened { connection, .. }) = command {
            if connection.raw() == NO_CONNECTION {
                return Err(Status::Value);
            }
            if connection.is_none() {
                self.connections += 1;
                *connection = ConnectionId::of_gateway(GATEWAY, self.connections);
            }
        }
        if let Command::SessionClosed(closed) = command
            && closed.connection.is_none()
            && let Some(session) = self.engine.session(origin.account, origin.session)
        {
            closed.connection = session.connection;
        }
        Ok(())
    }

    fn told_since(&self, start: usize) -> impl Iterator<Item = Told<'_>> + Clone {
        Records { events: &self.events, offset: start }.map(|record| self.addressed(record))
    }

    fn addressed<'a>(&self, record: Record<'a>) -> Told<'a> {
        let block = &record.frame[HEADER_BYTES..];
        let mut told = Told { account: 0, session: 0, template_id: record.template_id, block };
        if record.destination == Destination::Public {
            return told;
        }
        if let Some((account, session)) = self.engine.session_identity(record.session) {
            (told.account, told.session) = (account.raw(), session.raw());
        } else if let Ok(rejected) = LogonRejected::decode(block) {
            // Who may not log on has no session yet.
            (told.account, told.session) = (rejected.account.raw(), rejected.session.raw());
        }
        told
    }
}

/// The records from a place on.
#[derive(Clone)]
struct Records<'a> {
    events: &'a Events,
    offset: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (record, next) = self.events.record_at(self.offset)?;
        self.offset = next;
        Some(record)
    }
}

/// One event and whom it is for; account zero means everybody.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub account: u32,
    pub session: u32,
    pub template_id: u16,
    /// Without the zeros at its end.
    block: &'a [u8],
}

impl Told<'_> {
    /// Copies the whole struct of the event, its zeros included, and returns its size in bytes.
    pub(crate) fn copy_block(&self, to: &mut [u64; BLOCK_WORDS_MAX]) -> u16 {
        let size = message_info(self.template_id).map_or(self.block.len(), |info| info.block_len);
        let bytes = zerocopy::IntoBytes::as_mut_bytes(to);
        bytes[..self.block.len()].copy_from_slice(self.block);
        bytes[self.block.len()..size].fill(0);
        size as u16
    }

    /// `None` for what is no event of an account.
    pub(crate) fn event(&self) -> Option<Event> {
        if self.account == 0 { None } else { Event::decode(&frame(self.template_id, self.block)).ok() }
    }

    pub(crate) fn session_message(&self) -> Option<SessionMessage> {
        SessionMessage::decode(&frame(self.template_id, self.block)).ok()
    }
}

/// A block with the header that it travels under.
pub fn frame(template_id: u16, block: &[u8]) -> Frame<'_> {
    let block_len = block.len() as u16;
    Frame { header: FrameHeader { block_len, template_id, schema_id: SCHEMA_ID, version: VERSION }, block }
}

/// The row of a message in the table, which is sorted.
pub fn message_info(template_id: u16) -> Option<&'static MessageInfo> {
    let row = TABLE.binary_search_by_key(&template_id, |info| info.template_id).ok()?;
    Some(&TABLE[row])
}
