//! An engine, and beside it a tape with all that it was told.

use joulebook_engine::{Engine, Events};
use joulebook_journal::Batch;
use joulebook_protocol::messages::OrderFilled;
use joulebook_protocol::{Command, Event, Frame, Origin, SequencedCommand};
use joulebook_types::{AccountId, ClientOrderId};

use crate::BATCH_COMMANDS;
use crate::recording::{Batches, Outcome, batch_time};
use crate::venue::{VenuePlan, sender};

/// Whoever writes on it reads the answers at once; the batches are those that the core would have cut.
pub struct Tape {
    engine: Engine,
    events: Events,
    batches: Batches,
    /// Since the last cut.
    counted: Outcome,
    batch: usize,
    in_batch: usize,
    record: Vec<u8>,
    /// By account.
    next_id: Vec<u64>,
}

impl Tape {
    /// With the commands that make the venue.
    pub fn new(plan: &VenuePlan) -> Self {
        let mut tape = Self {
            engine: Engine::new(),
            events: Events::default(),
            batches: Batches::default(),
            counted: Outcome::default(),
            batch: 0,
            in_batch: 0,
            record: Vec::new(),
            next_id: Vec::new(),
        };
        for (origin, command) in plan.commands() {
            tape.write(origin, command, |_| {});
        }
        tape
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The number of an account's next request.
    pub fn id(&self, account: AccountId) -> ClientOrderId {
        ClientOrderId::new(self.next_id[account.raw() as usize])
    }

    /// Carries out a trader's command and hands over what the engine says.
    ///
    /// # Panics
    /// When the engine refuses it: a stream of refusals would be faster than one of orders.
    pub fn send(&mut self, account: AccountId, command: Command, on_event: impl FnMut(&Event)) {
        let received = batch_time(self.batch);
        self.write(sender(account, received), command, on_event);
    }

    fn write(&mut self, origin: Origin, command: Command, mut on_event: impl FnMut(&Event)) {
        self.count_id(&origin, &command);
        let command = SequencedCommand { origin, command };
        self.record.clear();
        command.encode(&mut self.record);
        self.batches.push(&self.record);
        if self.in_batch == 0 {
            let (seq, time) = (self.engine.last_seq().next(), batch_time(self.batch));
            self.engine.begin_batch(seq, time, &mut self.events);
        }
        self.engine.apply(&command, &mut self.events);
        for record in self.events.iter() {
            let (frame, _) = Frame::split(record.frame).expect("an own frame").expect("a whole frame");
            self.counted.events += 1;
            // What everybody sees is of another kind and says nothing that its own account is not told.
            let Ok(event) = Event::decode(&frame) else { continue };
            self.counted.add(&event);
            on_event(&event);
        }
        self.events.clear();
        self.counted.commands += 1;
        self.in_batch += 1;
        if self.in_batch == BATCH_COMMANDS {
            self.end_batch();
        }
    }

    fn count_id(&mut self, origin: &Origin, command: &Command) {
        let account = origin.account.raw() as usize;
        if self.next_id.len() <= account {
            self.next_id.resize(account + 1, 1);
        }
        if let Some(id) = command.client_order_id() {
            let next = id.raw() + command.client_order_ids().max(1);
            self.next_id[account] = self.next_id[account].max(next);
        }
    }

    fn end_batch(&mut self) {
        self.engine.end_batch(&mut self.events);
        self.batch += 1;
        self.in_batch = 0;
    }

    /// The batches since the last cut, and what they came to.
    pub fn cut(&mut self) -> (Vec<Batch>, Outcome) {
        if self.in_batch > 0 {
            self.end_batch();
        }
        assert_eq!(self.engine.ignored_commands(), 0, "every command has a sender who may send it");
        self.engine.recount().expect("credits and capacity are conserved");
        let outcome = Outcome {
            open_orders: self.engine.open_order_count() as u64,
            event_chain_hash: self.engine.event_chain_hash(),
            ..std::mem::take(&mut self.counted)
        };
        (self.batches.take(), outcome)
    }
}

/// Whether the order rested.
pub fn is_maker(fill: &OrderFilled) -> bool {
    fill.liquidity == 1
}

impl Outcome {
    fn add(&mut self, event: &Event) {
        match event {
            Event::RequestRejected(_) | Event::RequestRepeated(_) | Event::QuoteRejected(_) => {
                panic!("refused: {event:?}")
            }
            Event::OrderFilled(fill) if is_maker(fill) => self.trades += 1,
            _ => {}
        }
    }
}
