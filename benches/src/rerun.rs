//! A recording on a fresh engine, by the same function as live: records in, events into an arena.

use std::time::{Duration, Instant};

use joulebook_engine::{Engine, Events};
use joulebook_journal::{Batch, EventDigest};
use joulebook_sequencer::apply_batch;

use crate::recording::Recording;

/// An engine that stands somewhere in a recording.
pub struct Rerun<'a> {
    pub engine: Engine,
    recording: &'a Recording,
    batch: usize,
    events: Events,
    digest: EventDigest,
}

impl<'a> Rerun<'a> {
    /// At the beginning of the measured part.
    pub fn new(recording: &'a Recording) -> Self {
        let (events, digest) = (Events::default(), EventDigest::default());
        let mut rerun = Self { engine: Engine::new(), recording, batch: 0, events, digest };
        rerun.apply(&recording.prelude);
        rerun
    }

    /// Goes on by about so many commands, in whole batches. Gives back how many they were and how long they took.
    pub fn advance(&mut self, commands: usize) -> (u64, Duration) {
        let rest = &self.recording.measured[self.batch..];
        let mut counted = 0;
        let batches = rest.iter().take_while(|batch| {
            let goes_on = counted < commands as u64;
            counted += if goes_on { u64::from(batch.count()) } else { 0 };
            goes_on
        });
        let batches = &rest[..batches.count()];
        self.batch += batches.len();
        let started = Instant::now();
        self.apply(batches);
        (counted, started.elapsed())
    }

    /// Goes on by about so many commands and gives back how many. By itself in profiles: callgrind switches its counters on
    /// and off with this function.
    #[inline(never)]
    pub fn measured_part(&mut self, commands: usize) -> u64 {
        self.advance(commands).0
    }

    /// Goes on command by command, each a batch of its own, and times each.
    pub fn advance_singly(&mut self, commands: usize) -> Vec<Duration> {
        let overhead = (0..10_000).map(|_| Instant::now().elapsed()).min().unwrap_or_default();
        let (mut single, mut durations) = (Batch::new(), Vec::with_capacity(commands));
        while durations.len() < commands && self.batch < self.recording.measured.len() {
            let batch = &self.recording.measured[self.batch];
            for record in batch.records() {
                single.clear(batch.time());
                single.push(record);
                let started = Instant::now();
                self.apply_one(&single);
                durations.push(started.elapsed().saturating_sub(overhead));
                self.events.clear();
            }
            self.batch += 1;
        }
        durations
    }

    /// # Panics
    /// When the engine, at the end of the recording, is not what the recorded one was.
    pub fn check(&self) {
        assert_eq!(self.batch, self.recording.measured.len(), "checked at the end only");
        let outcome = &self.recording.outcome;
        assert_eq!(self.engine.open_order_count() as u64, outcome.open_orders);
        assert_eq!(self.engine.event_chain_hash(), outcome.event_chain_hash, "other events than recorded");
    }

    /// By itself in profiles.
    #[inline(never)]
    fn apply(&mut self, batches: &[Batch]) {
        for batch in batches {
            self.apply_one(batch);
            self.events.clear();
        }
    }

    fn apply_one(&mut self, batch: &Batch) {
        let first_seq = self.engine.last_seq().next();
        let (events, digest) = (&mut self.events, &mut self.digest);
        apply_batch(&mut self.engine, first_seq, batch.time(), batch.records(), events, digest)
            .expect("own records are commands");
    }
}
