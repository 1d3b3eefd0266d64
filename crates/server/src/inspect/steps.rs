//! A replay that stops at every command to look at what it caused.

use joulebook_engine::{Engine, Events, Record};
use joulebook_journal::BatchView;
use joulebook_protocol::SequencedCommand;
use joulebook_protocol::messages::InstrumentDefinition;
use joulebook_sequencer::ReplayError;
use joulebook_types::{InstrumentId, SeqNum, Symbol, TimeNs, Window};

/// Applies batches like any replay, but hands out the events of each command by themselves, those of sessions
/// included that nobody was logged on to.
#[derive(Debug)]
pub struct Stepper {
    engine: Engine,
    events: Events,
    command: SequencedCommand,
}

/// What happened at once.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The command; of timers, the command before which they ran.
    pub seq: SeqNum,
    pub time: TimeNs,
    pub cause: Cause<'a>,
    pub events: &'a Events,
}

/// Why something happened.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// The time of a batch made gates, timers and grace periods run.
    Timers,
    Command(&'a SequencedCommand),
}

impl Stepper {
    /// Goes on from the state that `engine` has.
    pub fn new(mut engine: Engine) -> Self {
        engine.tell_all();
        Self { engine, events: Events::default(), command: SequencedCommand::default() }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// Applies the commands of a batch up to and including `until`, one step after another. A batch that is not
    /// applied to its end stays open, so nothing may follow it.
    pub fn apply(
        &mut self,
        batch: &BatchView<'_>,
        until: SeqNum,
        mut on_step: impl FnMut(&Engine, &Step<'_>),
    ) -> Result<(), ReplayError> {
        let time = batch.time;
        self.events.clear();
        self.engine.begin_batch(batch.first_seq, time, &mut self.events);
        if !self.events.is_empty() {
            let step = Step { seq: batch.first_seq, time, cause: Cause::Timers, events: &self.events };
            on_step(&self.engine, &step);
        }
        let mut seq = batch.first_seq;
        for record in batch.records() {
            if until < seq {
                return Ok(());
            }
            self.command.read(record).map_err(|error| ReplayError::Unreadable { seq, error })?;
            self.events.clear();
            self.engine.apply(&self.command, &mut self.events);
            let step = Step { seq, time, cause: Cause::Command(&self.command), events: &self.events };
            on_step(&self.engine, &step);
            seq = seq.next();
        }
        self.engine.end_batch(&mut self.events);
        Ok(())
    }
}

impl Step<'_> {
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.events.iter()
    }
}

/// The symbol of an instrument that the engine has.
pub fn symbol_of(engine: &Engine, id: InstrumentId) -> Option<String> {
    let InstrumentDefinition { class, area, start_minute, window_minutes, .. } = engine.instrument(id)?;
    let window = Window::new(start_minute, window_minutes).ok()?;
    Some(Symbol { class, area, window }.to_string())
}
