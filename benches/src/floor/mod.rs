//! The floor of the whole core: the memory traffic and the encoding that no exchange with these semantics can do without, in
//! a straight loop that knows every place beforehand. It says what a machine leaves an engine to win.
//!
//! Per command it reads the record; writes to both lines of its order, to its level (a replace to both levels), to its
//! hold and to its session; writes the outcome; encodes the events, as many as the engine said and as long, to the arena,
//! the private ones to the outbox too; and absorbs them into a hash of the engine's kind. Per fill it writes the same lines
//! of the maker, and four events. It asks for lines that lie ahead. It finds nothing, checks nothing, reckons nothing, and
//! keeps no list: no neighbors, no best price, no tree, no bands.

mod script;

use std::hint::black_box;
use std::time::{Duration, Instant};

use joulebook_journal::Batch;
use joulebook_sys::{prefetch_write, reserve_exact_in_large_pages};

use crate::recording::Recording;
use script::{Places, Script};

/// The daemon's tables.
const OUTBOX_EVENTS: usize = 131_072;
const SESSION_OUTCOMES: usize = 65_536;
/// Places are asked for so many commands, fills, events and outcomes of a session ahead.
const COMMANDS_AHEAD: usize = 8;
const FILLS_AHEAD: usize = 2;
const EVENTS_AHEAD: usize = 6;
const OUTCOMES_AHEAD: usize = 4;
/// Words that every record has: origin, header, and the shortest block.
const RECORD: usize = 7;
const KEY: u64 = 0x9E37_79B9_7F4A_7C15;

/// 64 bytes, as a cache keeps them.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line([u64; 8]);

/// Two of them: an order, or an event that is kept for a resend.
#[derive(Clone, Copy, Default)]
#[repr(align(128))]
struct Lines([u64; 16]);

/// A recording, and memory for it.
pub struct Floor<'a> {
    recording: &'a Recording,
    script: Script,
    memory: Memory,
    batch: usize,
}

impl<'a> Floor<'a> {
    /// At the beginning of the measured part; so many `slots` of capacity are held for a sale.
    pub fn new(recording: &'a Recording, slots: u16) -> Self {
        let script = Script::of(recording, slots);
        let memory = Memory::of(&script);
        Self { recording, script, memory, batch: 0 }
    }

    /// Goes on by about so many commands, as [`crate::Rerun::advance`] does.
    pub fn advance(&mut self, commands: usize) -> (u64, Duration) {
        let started = Instant::now();
        let mut counted = 0;
        while counted < commands
            && let Some(batch) = self.recording.measured.get(self.batch)
        {
            self.memory.carry_out(batch, &self.script);
            counted += batch.count() as usize;
            self.batch += 1;
        }
        (counted as u64, started.elapsed())
    }

    /// As [`crate::Rerun::measured_part`], for profiles.
    #[inline(never)]
    pub fn measured_part(&mut self, commands: usize) -> u64 {
        self.advance(commands).0
    }

    /// # Panics
    /// When it did not say as much as the engine.
    pub fn check(&self) {
        let (outcome, Memory { command, said, fill, .. }) = (&self.recording.outcome, &self.memory);
        assert_eq!(
            (*command as u64, *said, *fill as u64),
            (outcome.commands, outcome.events, outcome.trades)
        );
        black_box(&self.memory.hash);
    }
}

/// What the steps are done to.
struct Memory {
    orders: Vec<Lines>,
    /// Half a line each.
    levels: Vec<[u64; 4]>,
    holds: Vec<Line>,
    sessions: Vec<Line>,
    /// Half a line each, of each session in turn.
    outcomes: Vec<[u64; 4]>,
    outbox: Vec<Lines>,
    arena: Vec<u64>,
    hash: [u64; 2],
    /// How far it has come: commands, fills, events, and private events.
    command: usize,
    fill: usize,
    said: u64,
    kept: usize,
}

impl Memory {
    fn of(script: &Script) -> Self {
        Self {
            orders: in_large_pages(script.orders),
            levels: in_large_pages(script.levels),
            holds: in_large_pages(script.holds),
            sessions: vec![Line::default(); script.sessions],
            outcomes: vec![[0; 4]; script.sessions * SESSION_OUTCOMES],
            outbox: vec![Lines::default(); OUTBOX_EVENTS],
            // More than any batch says; what is not used is not touched.
            arena: vec![0; 1 << 20],
            hash: [KEY, 1],
            command: 0,
            fill: 0,
            said: 0,
            kept: 0,
        }
    }

    #[inline(never)]
    fn carry_out(&mut self, batch: &Batch, script: &Script) {
        let mut arena = std::mem::take(&mut self.arena);
        let mut rest = arena.as_mut_slice();
        for record in batch.records() {
            let step = &script.steps[self.command];
            if let Some(ahead) = script.steps.get(self.command + COMMANDS_AHEAD) {
                self.prepare(&ahead.own);
                prefetch_write(&self.levels[ahead.to_level as usize]);
            }
            self.command += 1;
            let (words, _) = record.as_chunks();
            let words: [u64; RECORD] = std::array::from_fn(|word| u64::from_le_bytes(words[word]));
            let said = Said { time: batch.time().raw(), words };
            self.touch(&step.own, &said);
            self.levels[step.to_level as usize][1] += 1;
            self.outcome(step.own.session, &said);
            for _ in 0..step.told {
                self.tell_own(step.own.session, &said, &mut rest);
            }
            for _ in 0..step.fills {
                if let Some(ahead) = script.makers.get(self.fill + FILLS_AHEAD) {
                    self.prepare(ahead);
                }
                let maker = &script.makers[self.fill];
                self.fill += 1;
                self.touch(maker, &said);
                self.publish(&said, &mut rest);
                self.tell_fill(maker.session, &said, &mut rest);
                self.tell_fill(step.own.session, &said, &mut rest);
                self.publish(&said, &mut rest);
            }
            for _ in 0..step.facts {
                self.publish(&said, &mut rest);
            }
        }
        self.arena = arena;
    }

    #[inline(always)]
    fn prepare(&self, places: &Places) {
        let Places { order, level, hold, .. } = *places;
        let Lines(order) = &self.orders[order as usize];
        prefetch_write(&order[0]);
        prefetch_write(&order[8]);
        prefetch_write(&self.levels[level as usize]);
        prefetch_write(&self.holds[hold as usize]);
    }

    /// The lines of an order that comes, changes or goes.
    #[inline(always)]
    fn touch(&mut self, places: &Places, said: &Said) {
        let Lines(order) = &mut self.orders[places.order as usize];
        let [_, _, _, id, price, lots, ..] = said.words;
        [order[0], order[1], order[2], order[8], order[9]] = [id, price, order[2] ^ lots, said.time, id];
        let [lots_there, orders_there, ..] = &mut self.levels[places.level as usize];
        (*lots_there, *orders_there) = (lots_there.wrapping_add(lots), orders_there.wrapping_add(1));
        for Line([free, held, ..]) in &mut self.holds[places.hold as usize..][..usize::from(places.holds)] {
            (*free, *held) = (free.wrapping_sub(lots), held.wrapping_add(lots));
        }
    }

    /// What a request came to.
    #[inline(always)]
    fn outcome(&mut self, session: u16, said: &Said) {
        let Line([_, _, _, _, next, high_water_mark, ..]) = &mut self.sessions[usize::from(session)];
        let [_, _, _, id, price, lots, choices] = said.words;
        (*next, *high_water_mark) = (*next + 1, id);
        let place =
            |number: u64| usize::from(session) * SESSION_OUTCOMES + number as usize % SESSION_OUTCOMES;
        prefetch_write(&self.outcomes[place(*next + OUTCOMES_AHEAD as u64)]);
        self.outcomes[place(*next)] = [id, price, lots, choices];
    }

    /// A request's private event.
    #[inline(always)]
    fn tell_own(&mut self, session: u16, said: &Said, rest: &mut &mut [u64]) {
        let [_, _, _, id, price, lots, choices] = said.words;
        self.tell(session, said, [id, price, lots, choices, said.time], rest);
    }

    /// A fill's, for one side.
    #[inline(always)]
    fn tell_fill(&mut self, session: u16, said: &Said, rest: &mut &mut [u64]) {
        let [origin, received, _, id, price, lots, choices] = said.words;
        self.tell(session, said, [id, price, lots, choices, said.time, origin, received], rest);
    }

    /// An event of a session, to its connection and for a resend.
    #[inline(always)]
    fn tell<const OWN: usize>(&mut self, session: u16, said: &Said, own: [u64; OWN], rest: &mut &mut [u64]) {
        let Line([seq, newest, connection, whose, ..]) = &mut self.sessions[usize::from(session)];
        let [_, received, header, ..] = said.words;
        *seq += 1;
        let stamped = [header, *seq, said.time, received, 0, 0];
        let lead = whose.wrapping_add(*seq).wrapping_add(said.time ^ received.rotate_left(32));
        append([*connection, u64::from(session)], rest);
        append(stamped, rest);
        append(own, rest);
        let previous = std::mem::replace(newest, self.kept as u64);
        let Lines(coming) = &self.outbox[(self.kept + EVENTS_AHEAD) % OUTBOX_EVENTS];
        prefetch_write(&coming[0]);
        prefetch_write(&coming[8]);
        let Lines(kept) = &mut self.outbox[self.kept % OUTBOX_EVENTS];
        let mut kept = kept.as_mut_slice();
        append([previous, u64::from(session)], &mut kept);
        append(stamped, &mut kept);
        append(own, &mut kept);
        self.kept += 1;
        self.absorb(lead, own);
    }

    /// An event for everybody.
    #[inline(always)]
    fn publish(&mut self, said: &Said, rest: &mut &mut [u64]) {
        let [origin, _, header, id, price, lots, choices] = said.words;
        append([u64::MAX, u64::MAX, header, said.time, id, price, lots, choices, origin], rest);
        self.absorb(said.time, [id, price, lots, choices, origin]);
    }

    /// In two lanes that do not wait for each other, which meet behind each event.
    #[inline(always)]
    fn absorb<const WORDS: usize>(&mut self, lead: u64, words: [u64; WORDS]) {
        let into_lane = |lane: u64, word: u64| (lane ^ word).rotate_left(29).wrapping_mul(KEY);
        let [mut a, mut b] = self.hash;
        a = into_lane(a, lead);
        let (pairs, last) = words.as_chunks();
        for [first, second] in pairs {
            b = into_lane(b, *first);
            a = into_lane(a, *second);
        }
        for word in last {
            b = into_lane(b, *word);
        }
        a = a.wrapping_add(b.rotate_left(32));
        self.hash = [a, b ^ a.rotate_left(17)];
        self.said += 1;
    }
}

/// As the engine keeps what is drawn from at random.
fn in_large_pages<T: Clone + Default>(len: usize) -> Vec<T> {
    let mut places = Vec::new();
    reserve_exact_in_large_pages(&mut places, len);
    places.resize(len, T::default());
    places
}

/// What a command's events say: its record, and when that was.
struct Said {
    time: u64,
    words: [u64; RECORD],
}

#[inline(always)]
fn append<const WORDS: usize>(words: [u64; WORDS], rest: &mut &mut [u64]) {
    let (place, after) = std::mem::take(rest).split_first_chunk_mut().expect("room for a batch");
    *place = words;
    *rest = after;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Workload;
    use crate::{Tables, VenuePlan, Window, record};

    #[test]
    fn the_floor_says_as_much_as_the_engine() {
        for (workload, window, slots) in [(Workload::W1, Window::Quarter, 1), (Workload::W2, Window::Hour, 4)]
        {
            let flow = workload.flow(5_000);
            let recording = record(&flow, &VenuePlan::windows(flow.books, window, Tables::Short));
            let mut floor = Floor::new(&recording, slots);
            assert_eq!(floor.advance(2_000).0, 2_048, "whole batches");
            assert_eq!(floor.advance(usize::MAX).0, 5_000 - 2_048);
            floor.check();
            let Script { orders, holds, sessions, .. } = floor.script;
            // Eight buyers have one line each, eight sellers as many as there are slots.
            assert_eq!(holds, 17 * usize::from(slots));
            assert!(
                (16..24).contains(&sessions) && workload.resting as usize <= orders,
                "{sessions}, {orders}"
            );
        }
    }
}
