//! A third command log: no disk, but what a replicated log does to its user - a number comes late, durability later, and a
//! crash leaves of the rest what the others happened to have.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use joulebook_journal::{
    Batch, CommandLog, LogEvent, LogFault, NodeId, RefusalReason, Refused, SnapshotId, Term, Ticket,
};
use joulebook_types::{SeqNum, TimeNs};

use crate::dice::Dice;
use crate::scan::DurableBatch;

/// What survives the process; clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct SimStore(Rc<RefCell<Store>>);

#[derive(Debug, Default)]
struct Store {
    committed: Vec<DurableBatch>,
    /// Numbered, and perhaps with others already.
    appended: VecDeque<DurableBatch>,
}

impl SimStore {
    /// Committed batches from the `from`th on.
    pub fn committed(&self, from: usize) -> Vec<DurableBatch> {
        self.0.borrow().committed[from..].to_vec()
    }

    /// The process is gone. Of what was numbered and not committed, the first few had come to enough others.
    pub fn crash(&self, dice: &mut Dice) {
        let store = &mut *self.0.borrow_mut();
        let kept = dice.below(store.appended.len() as u64 + 1) as usize;
        store.committed.extend(store.appended.drain(..kept));
        store.appended.clear();
    }

    fn last_seq(&self) -> SeqNum {
        let store = self.0.borrow();
        let last = store.committed.last();
        last.map_or(SeqNum::NONE, |batch| SeqNum::new(batch.first_seq.raw() + batch.records.len() as u64 - 1))
    }
}

/// How late things come.
#[derive(Clone, Copy, Debug)]
pub struct LogDelays {
    /// From the proposal to its number, at most.
    pub append_ns: u64,
    /// From there to durability, at most.
    pub commit_ns: u64,
}

/// The log of one process over a store.
#[derive(Debug)]
pub struct SimLog {
    store: SimStore,
    dice: Dice,
    term: Term,
    delays: LogDelays,
    pending_bytes: usize,
    pending_bytes_max: usize,
    last_seq: SeqNum,
    last_ticket: u64,
    /// Taken, not numbered yet.
    proposed: VecDeque<Proposed>,
    /// Numbered, not durable yet: the last number, the bytes, and when.
    appended: VecDeque<(SeqNum, usize, u64)>,
    has_said_role: bool,
    stopping: bool,
}

#[derive(Debug)]
struct Proposed {
    batch: Batch,
    /// Of the number and of durability; set by the first poll.
    due: Option<(u64, u64)>,
}

impl SimLog {
    /// Goes on where the store ends. Takes up to `pending_bytes_max` that are not durable.
    pub fn new(store: SimStore, dice: Dice, term: Term, delays: LogDelays, pending_bytes_max: usize) -> Self {
        let last_seq = store.last_seq();
        Self {
            store,
            dice,
            term,
            delays,
            pending_bytes: 0,
            pending_bytes_max,
            last_seq,
            last_ticket: 0,
            proposed: VecDeque::new(),
            appended: VecDeque::new(),
            has_said_role: false,
            stopping: false,
        }
    }

    /// Gives what has no time yet its time; nothing overtakes.
    fn plan(&mut self, now: u64) {
        let mut last = self.appended.back().map_or((now, now), |(_, _, commit_at)| (now, *commit_at));
        for proposed in &mut self.proposed {
            let due = proposed.due.get_or_insert_with(|| {
                let append_at = now + self.dice.below(self.delays.append_ns + 1);
                (append_at.max(last.0), append_at + self.dice.below(self.delays.commit_ns + 1))
            });
            *due = (due.0.max(last.0), due.1.max(last.1).max(due.0));
            last = *due;
        }
    }

    fn append(&mut self, batch: Batch, commit_at: u64, out: &mut Vec<LogEvent>) {
        let first_seq = self.last_seq.next();
        self.last_seq = SeqNum::new(self.last_seq.raw() + u64::from(batch.count()));
        let records = batch.records().map(<[u8]>::to_vec).collect();
        let durable = DurableBatch { first_seq, time: batch.time(), records };
        self.store.0.borrow_mut().appended.push_back(durable);
        self.appended.push_back((self.last_seq, batch.bytes_len(), commit_at));
        out.push(LogEvent::Appended { first_seq, term: self.term, batch });
    }
}

impl CommandLog for SimLog {
    fn propose(&mut self, term: Term, batch: Batch) -> Result<Ticket, Refused> {
        assert!(!batch.is_empty(), "an empty batch");
        assert!(batch.bytes_len() <= self.batch_bytes_max(), "a batch longer than the log's bound");
        let reason = if self.stopping {
            RefusalReason::ReadOnly
        } else if term != self.term {
            RefusalReason::Fenced
        } else if self.pending_bytes + batch.bytes_len() > self.pending_bytes_max {
            RefusalReason::Busy
        } else {
            self.pending_bytes += batch.bytes_len();
            self.proposed.push_back(Proposed { batch, due: None });
            self.last_ticket += 1;
            return Ok(Ticket::new(self.last_ticket));
        };
        Err(Refused { reason, batch })
    }

    fn poll(&mut self, now: TimeNs, out: &mut Vec<LogEvent>) {
        let now = now.raw();
        if !core::mem::replace(&mut self.has_said_role, true) {
            out.push(LogEvent::Role { term: self.term, leader: Some(NodeId::new(1)), me: true });
        }
        self.plan(now);
        let is_due = |proposed: &Proposed| proposed.due.is_some_and(|due| due.0 <= now);
        while self.proposed.front().is_some_and(is_due) {
            let Some(proposed) = self.proposed.pop_front() else { break };
            let commit_at = proposed.due.map_or(now, |due| due.1);
            self.append(proposed.batch, commit_at, out);
        }
        let mut committed = None;
        while self.appended.front().is_some_and(|(_, _, commit_at)| *commit_at <= now) {
            let Some((seq, bytes, _)) = self.appended.pop_front() else { break };
            committed = Some(seq);
            self.pending_bytes -= bytes;
            let store = &mut *self.store.0.borrow_mut();
            store.committed.extend(store.appended.pop_front());
        }
        if let Some(seq) = committed {
            out.push(LogEvent::Committed { seq, term: self.term });
        }
    }

    fn next_deadline(&self) -> Option<TimeNs> {
        let append = self.proposed.front().map(|proposed| proposed.due.map_or(0, |due| due.0));
        let commit = self.appended.front().map(|(_, _, commit_at)| *commit_at);
        [append, commit].into_iter().flatten().min().map(TimeNs::new)
    }

    fn batch_bytes_max(&self) -> usize {
        self.pending_bytes_max
    }

    fn compact(&mut self, _upto: SeqNum, _snapshot: SnapshotId) -> Result<(), LogFault> {
        Err(LogFault::NotSupported("compaction"))
    }

    fn shutdown(&mut self) {
        self.stopping = true;
    }

    fn is_stopped(&self) -> bool {
        self.stopping && self.proposed.is_empty() && self.appended.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use joulebook_journal::{JournalReader, LocalConfig, LocalJournal, conformance};

    use super::*;
    use crate::disk::{DiskProfile, SimDisk};
    use crate::exchange::{SHARD, TERM};
    use crate::scene::Scene;

    #[test]
    fn the_simulated_log_does_what_every_log_does() {
        for seed in 0..20 {
            let delays = LogDelays { append_ns: (seed % 3) * 2_000_000, commit_ns: seed * 1_000_000 };
            let make = || SimLog::new(SimStore::default(), Dice::new(seed, 1), TERM, delays, 32 << 10);
            conformance::check(TERM, make, || {});
        }
    }

    #[test]
    fn a_journal_on_the_simulated_disk_does_what_every_log_does() {
        for seed in 0..20 {
            // Each journal has its world; the newest is the one that waits.
            let newest = Cell::new(None::<Scene>);
            let make = || {
                let scene = Scene::default();
                let sync_ns = (1_000, 1_001 + seed * 500_000);
                let profile =
                    DiskProfile { sync_ns, stalls_ppm: 20_000, sync_errors_ppm: 0, snapshot_errors_ppm: 0 };
                let disk = SimDisk::new(scene.clone(), Dice::new(seed, 1), profile);
                newest.set(Some(scene));
                let config = LocalConfig {
                    segment_bytes: 64 << 10,
                    group_bytes_max: 16 << 10,
                    ..LocalConfig::new(SHARD, 7)
                };
                LocalJournal::open(JournalReader::new(disk, SHARD).unwrap(), config).unwrap()
            };
            let wait = || {
                let scene = newest.take().unwrap();
                scene.time.advance_to(scene.now() + 1_000_000);
                newest.set(Some(scene));
            };
            conformance::check(TERM, make, wait);
        }
    }

    #[test]
    fn a_crash_keeps_the_first_of_what_was_not_committed() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let (store, mut dice) = (SimStore::default(), Dice::new(seed, 2));
            let delays = LogDelays { append_ns: 0, commit_ns: 1_000_000 };
            let mut log = SimLog::new(store.clone(), Dice::new(seed, 1), TERM, delays, 4_096);
            for number in 0..5 {
                let mut batch = Batch::new();
                batch.push(&[number; 9]);
                log.propose(TERM, batch).unwrap();
            }
            log.poll(TimeNs::new(1), &mut Vec::new());
            store.crash(&mut dice);
            let kept = store.committed(0);
            let numbers = kept.iter().map(|batch| batch.first_seq.raw());
            assert!(numbers.eq(1..=kept.len() as u64));
            lengths.insert(kept.len());
        }
        assert!(lengths.contains(&0) && lengths.contains(&5), "{lengths:?}");
    }
}
