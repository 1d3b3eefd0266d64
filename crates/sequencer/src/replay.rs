//! Applying a journaled batch: the same function live and in recovery, so that both do the same. And the proof that they
//! did: what the engine says is compared with what was attested when it ran.

use std::collections::VecDeque;

use joulebook_engine::{Ahead, Engine, Events, OrderAhead};
use joulebook_journal::{BatchView, EventDigest, Records, SnapshotHeader};
use joulebook_protocol::RecordError;
use joulebook_types::{SeqNum, TimeNs};

/// Why a journal cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A journal record that is no command, although its checksum holds: it was written by another version.
    #[error("command {seq} of the journal cannot be read by this version: {error}")]
    Unreadable {
        /// The sequence number of the record.
        seq: SeqNum,
        error: RecordError,
    },
    /// The engine says something else than the exchange said when it ran.
    #[error("{0}")]
    Differs(Difference),
}

/// The first place at which a replay says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The first command of the first batch that differs, or may: of batches that were not attested one by one, it is
    /// the first of them.
    pub first_seq: SeqNum,
    /// The last command of the batch that was attested.
    pub last_seq: SeqNum,
    pub at: DiffersAt,
}

/// Where inside a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffersAt {
    /// At its beginning, when timers ran, before its first command.
    Timers,
    /// This command.
    Command(SeqNum),
    /// It cannot be told: what was kept does not say more.
    Somewhere,
}

impl core::fmt::Display for Difference {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { first_seq, last_seq, at } = self;
        write!(
            f,
            "the events of commands {first_seq} to {last_seq} differ from what the exchange said when it ran"
        )?;
        match at {
            DiffersAt::Timers => write!(f, ", from the timers before command {first_seq} on"),
            DiffersAt::Command(seq) => write!(f, ", from command {seq} on"),
            DiffersAt::Somewhere => Ok(()),
        }
    }
}

/// Runs the timers that are due at the batch's time, then every command of the batch. `digest` becomes what the engine
/// said; its memory is used again.
pub fn apply_batch(
    engine: &mut Engine,
    first_seq: SeqNum,
    time: TimeNs,
    records: Records<'_>,
    out: &mut Events,
    digest: &mut EventDigest,
) -> Result<(), ReplayError> {
    digest.steps.clear();
    engine.begin_batch(first_seq, time, out);
    digest.steps.push(short_chain(engine));
    // Each way is compiled by itself, so a batch that asks for less does not pay for more.
    let applied = if engine.looks_ahead() && records.clone().nth(FAR).is_none() {
        look_at_all(engine, records.clone());
        apply_each(engine, records, out, &mut digest.steps, |_| {})
    } else if engine.looks_ahead() {
        let mut lookahead = Lookahead::new(engine, records.clone());
        apply_each(engine, records, out, &mut digest.steps, |engine| lookahead.step(engine))
    } else if !engine.looks_for_orders() {
        apply_each(engine, records, out, &mut digest.steps, |_| {})
    } else {
        let mut coming = records.clone();
        let [mut before_last, mut last] = [OrderAhead::default(); 2];
        let mut look = |engine: &Engine| {
            engine.look_around_order(before_last);
            before_last = last;
            last = coming.next().map_or_else(OrderAhead::default, |record| engine.look_for_order(record));
        };
        (0..ORDER_ALONE).for_each(|_| look(engine));
        apply_each(engine, records, out, &mut digest.steps, look)
    };
    // What cannot be read changes nothing, so the engine stands before it.
    applied.map_err(|error| ReplayError::Unreadable { seq: engine.last_seq().next(), error })?;
    engine.end_batch(out);
    (digest.seq, digest.chain) = (engine.last_seq(), engine.event_chain_hash());
    Ok(())
}

/// Carries out every command, each behind a call of `before`.
#[inline]
fn apply_each(
    engine: &mut Engine,
    records: Records<'_>,
    out: &mut Events,
    steps: &mut Vec<u32>,
    mut before: impl FnMut(&Engine),
) -> Result<(), RecordError> {
    for record in records {
        before(engine);
        engine.apply_record(record, out)?;
        steps.push(short_chain(engine));
    }
    Ok(())
}

/// How many commands ahead each step of looking ahead is taken: the times that loads from memory take, one after the
/// other, in commands.
const FAR: usize = 8;
const MIDDLE: usize = 5;
const NEAR: usize = 2;
/// How many ahead an order is asked for when only orders are: it comes from the next cache. Its neighbors follow when
/// half of that has passed.
const ORDER_ALONE: usize = 4;

/// Asks for the memory of all commands of a short batch, each step for all of them at once: they come too soon to be looked
/// at one by one, and an exchange with little to do has none but short batches.
#[inline(never)]
fn look_at_all(engine: &Engine, records: Records<'_>) {
    let mut coming = [Ahead::default(); FAR];
    let mut count = 0;
    let mut before = Ahead::default();
    for (ahead, record) in coming.iter_mut().zip(records) {
        *ahead = engine.look_far_ahead(record, &before);
        before = *ahead;
        count += 1;
    }
    let coming = &mut coming[..count];
    coming.iter_mut().for_each(|ahead| engine.look_ahead(ahead));
    coming.iter().for_each(|ahead| engine.look_near_ahead(ahead));
}

/// Asks for the memory of the commands that come next.
struct Lookahead<'a> {
    records: Records<'a>,
    /// The commands that come next, each in its turn.
    coming: [Ahead; FAR],
    /// The place there of the command in hand, until it is that of the one that comes last.
    at: usize,
}

impl<'a> Lookahead<'a> {
    fn new(engine: &Engine, records: Records<'a>) -> Self {
        let mut lookahead = Self { records, coming: [Ahead::default(); FAR], at: 0 };
        (0..FAR).for_each(|_| lookahead.step(engine));
        lookahead
    }

    #[inline]
    fn step(&mut self, engine: &Engine) {
        let place = |ahead: usize| (self.at + ahead) % FAR;
        let before = self.coming[place(FAR - 1)];
        self.coming[self.at] =
            self.records.next().map_or(before, |record| engine.look_far_ahead(record, &before));
        engine.look_ahead(&mut self.coming[place(MIDDLE)]);
        engine.look_near_ahead(&self.coming[place(NEAR)]);
        self.at = place(1);
    }
}

/// The chain in short: enough to find the command, once the chain has told the batch.
#[inline]
fn short_chain(engine: &Engine) -> u32 {
    let [first, second] = engine.event_chain_hash();
    let folded = first ^ second;
    (folded ^ folded >> 32) as u32
}

/// What a replay compares with what its engine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Everything that was attested, also of the batch that the engine stands behind at first.
    All,
    /// What was attested of batches that the replay applies. What came before is another program's.
    Later,
    /// Nothing: every digest is taken for right, by a program that says something else on purpose.
    Nothing,
}

impl Compare {
    /// The same, for a replay that begins behind a snapshot.
    pub fn behind(self, snapshot: &SnapshotHeader) -> Self {
        match self {
            Self::All if snapshot.unattested => Self::Later,
            same @ (Self::All | Self::Later | Self::Nothing) => same,
        }
    }
}

/// Applies batches of a journal to an engine and compares what it says with what was attested.
#[derive(Debug)]
pub struct Replayer {
    engine: Engine,
    events: Events,
    /// Applied batches that nothing has vouched for yet, oldest first.
    unattested: VecDeque<Applied>,
    /// Memory of batches that were compared.
    spare: Vec<EventDigest>,
    /// The last batch that was compared; at first, where the engine stood.
    compared_seq: SeqNum,
    /// `None` when nothing that was attested is about that place.
    compared_chain: Option<[u64; 2]>,
    compared_batches: u64,
    compare: Compare,
}

#[derive(Debug)]
struct Applied {
    first_seq: SeqNum,
    digest: EventDigest,
}

/// Batches that wait to be attested at most: a journal without digests must not collect them for ever. What a log attests
/// is about one of its last few batches.
const UNATTESTED_MAX: usize = 64;

impl Replayer {
    /// Goes on where the engine stands, and compares everything.
    pub fn new(engine: Engine) -> Self {
        Self::comparing(engine, Compare::All)
    }

    /// Goes on where the engine stands.
    pub fn comparing(engine: Engine, compare: Compare) -> Self {
        let compared_seq = engine.last_seq();
        let compared_chain = match compare {
            Compare::All => Some(engine.event_chain_hash()),
            Compare::Later | Compare::Nothing => None,
        };
        Self {
            engine,
            events: Events::default(),
            unattested: VecDeque::with_capacity(UNATTESTED_MAX + 1),
            spare: Vec::new(),
            compared_seq,
            compared_chain,
            compared_batches: 0,
            compare,
        }
    }

    /// Applies the next batch and gives its events. `Differs` names an earlier batch, whose events are not what was
    /// attested; then this batch was not applied.
    ///
    /// # Panics
    /// When the batch does not continue the engine.
    pub fn apply(&mut self, batch: &BatchView<'_>) -> Result<&Events, ReplayError> {
        if let Some(digest) = batch.digest() {
            self.check(digest)?;
        }
        if self.unattested.len() == UNATTESTED_MAX {
            self.spare.extend(self.unattested.pop_front().map(|applied| applied.digest));
        }
        let mut digest = self.spare.pop().unwrap_or_default();
        let (first_seq, records) = (batch.first_seq, batch.records());
        self.events.clear();
        apply_batch(&mut self.engine, first_seq, batch.time, records, &mut self.events, &mut digest)?;
        self.unattested.push_back(Applied { first_seq, digest });
        Ok(&self.events)
    }

    /// Compares with what was attested of a batch that was applied. A digest of a batch from before the start is not
    /// compared.
    pub fn check(&mut self, attested: &EventDigest) -> Result<(), ReplayError> {
        if self.compare == Compare::Nothing {
            return Ok(());
        }
        // Batches before it that were not attested themselves are covered by its hash.
        let mut skipped = None;
        while self.unattested.front().is_some_and(|applied| applied.digest.seq < attested.seq) {
            let applied = self.unattested.pop_front().expect("it was just there");
            skipped.get_or_insert(applied.first_seq);
            self.spare.push(applied.digest);
        }
        let Some(applied) = self.unattested.front().filter(|applied| applied.digest.seq == attested.seq)
        else {
            return self.check_old(attested, skipped);
        };
        if applied.digest.chain != attested.chain {
            return Err(ReplayError::Differs(difference(applied, skipped, attested)));
        }
        let applied = self.unattested.pop_front().expect("it was just there");
        (self.compared_seq, self.compared_chain) = (attested.seq, Some(attested.chain));
        self.compared_batches += 1;
        self.spare.push(applied.digest);
        Ok(())
    }

    /// A digest of a batch that is not in hand.
    fn check_old(&mut self, attested: &EventDigest, skipped: Option<SeqNum>) -> Result<(), ReplayError> {
        let differs = |first_seq| {
            Err(ReplayError::Differs(Difference {
                first_seq,
                last_seq: attested.seq,
                at: DiffersAt::Somewhere,
            }))
        };
        let is_other = self.compared_chain.is_some_and(|chain| chain != attested.chain);
        if attested.seq == self.compared_seq && is_other {
            return differs(attested.seq);
        }
        match skipped {
            // It lies inside one of our batches, or beyond all of them: the batches are not those that ran.
            Some(first_seq) => differs(first_seq),
            None => Ok(()),
        }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Goes on with another engine, which must stand where this one does.
    pub(crate) fn replace_engine(&mut self, engine: Engine) {
        assert_eq!(
            (engine.last_seq(), engine.event_chain_hash()),
            (self.engine.last_seq(), self.engine.event_chain_hash()),
            "an engine that did something else"
        );
        self.engine = engine;
    }

    /// The events of the last batch applied.
    pub fn events(&self) -> &Events {
        &self.events
    }

    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// The last command for which what was attested and what the engine says were compared and found equal; at first,
    /// where the engine stood.
    pub fn compared_seq(&self) -> SeqNum {
        self.compared_seq
    }

    /// Digests that were compared. Each vouches for all batches before it.
    pub fn compared_batches(&self) -> u64 {
        self.compared_batches
    }
}

/// Looks for the first step that is not the same.
fn difference(applied: &Applied, skipped: Option<SeqNum>, attested: &EventDigest) -> Difference {
    let steps = applied.digest.steps.iter().zip(&attested.steps);
    let first = steps.into_iter().position(|(ours, theirs)| ours != theirs);
    let of_this_batch = |at| Difference { first_seq: applied.first_seq, last_seq: attested.seq, at };
    match (first, skipped) {
        // The step before was the same, so this command is the first that differs.
        (Some(step @ 1..), _) => {
            let seq = SeqNum::new(applied.first_seq.raw() + step as u64 - 1);
            of_this_batch(DiffersAt::Command(seq))
        }
        (Some(0), None) => of_this_batch(DiffersAt::Timers),
        (None, None) => of_this_batch(DiffersAt::Somewhere),
        (Some(0) | None, Some(first_seq)) => {
            Difference { first_seq, last_seq: attested.seq, at: DiffersAt::Somewhere }
        }
    }
}

#[cfg(test)]
mod tests {
    use joulebook_journal::Batch;
    use joulebook_protocol::messages::{CancelOrder, NewOrder};
    use joulebook_protocol::{Command, Origin, SequencedCommand};

    use super::*;

    /// Of any length, and of orders and instruments that there are not.
    #[test]
    fn every_batch_is_looked_at() {
        let engine = Engine::new();
        let mut batch = Batch::new();
        for count in 0..=2 * FAR {
            batch.clear(TimeNs::new(1));
            for number in 0..count {
                let command = match number % 2 {
                    0 => Command::from(CancelOrder::default()),
                    _ => NewOrder { side: 1, ..NewOrder::default() }.into(),
                };
                let mut record = Vec::new();
                SequencedCommand { origin: Origin::SYSTEM, command }.encode(&mut record);
                batch.push(&record);
            }
            look_at_all(&engine, batch.records());
            let mut lookahead = Lookahead::new(&engine, batch.records());
            (0..count).for_each(|_| lookahead.step(&engine));
            assert!(lookahead.records.next().is_none(), "all of {count}");
        }
    }
}
