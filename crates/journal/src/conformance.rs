//! What every [`CommandLog`] must do, whatever it is made of.
//!
//! Besides numbering and committing what is proposed, in order: a log takes any digest of a batch that it has said to be
//! `Appended`, late, twice or never, and keeps at least the newest until the next batch, or nothing. It forgets, when told
//! to compact, what a snapshot contains, now, later or never, or says that it cannot; either way it goes on as before.

use joulebook_types::{SeqNum, TimeNs};

use crate::{Batch, CommandLog, EventDigest, LogEvent, LogFault, RefusalReason, SnapshotId, Term};

/// Runs the whole suite, each part on a fresh log of `term` that has no commands yet. `wait` is called between polls:
/// it may sleep until the log's storage has something to tell.
pub fn check<L: CommandLog>(term: Term, make: impl Fn() -> L, wait: impl Fn()) {
    numbers_follow_proposals(term, make(), &wait);
    another_term_is_fenced(term, make(), &wait);
    a_full_log_is_busy_and_recovers(term, make(), &wait);
    a_stopped_log_has_kept_everything(term, make(), &wait);
    attesting_changes_nothing(term, make(), &wait);
    a_compacted_log_goes_on(term, make(), &wait);
}

/// Drives a log and checks what must hold for every event.
struct Driver<'a, L> {
    log: L,
    term: Term,
    wait: &'a dyn Fn(),
    now: TimeNs,
    proposed: Vec<Batch>,
    appended: Vec<Batch>,
    appended_seq: SeqNum,
    committed_seq: SeqNum,
}

impl<'a, L: CommandLog> Driver<'a, L> {
    fn new(term: Term, log: L, wait: &'a dyn Fn()) -> Self {
        Self {
            log,
            term,
            wait,
            now: TimeNs::new(1),
            proposed: Vec::new(),
            appended: Vec::new(),
            appended_seq: SeqNum::NONE,
            committed_seq: SeqNum::NONE,
        }
    }

    fn propose(&mut self, batch: &Batch) -> Result<(), RefusalReason> {
        match self.log.propose(self.term, batch.clone()) {
            Ok(_) => {
                self.proposed.push(batch.clone());
                Ok(())
            }
            Err(refused) => {
                assert_eq!(refused.batch, *batch, "a refusal gives the batch back");
                Err(refused.reason)
            }
        }
    }

    fn poll(&mut self) {
        let mut events = Vec::new();
        self.now = TimeNs::new(self.now.raw() + 1_000_000);
        self.log.poll(self.now, &mut events);
        for event in events {
            match event {
                LogEvent::Appended { first_seq, term, batch } => {
                    assert_eq!((first_seq, term), (self.appended_seq.next(), self.term), "no gap, one term");
                    self.appended_seq = SeqNum::new(self.appended_seq.raw() + u64::from(batch.count()));
                    self.appended.push(batch);
                }
                LogEvent::Committed { seq, term } => {
                    assert_eq!(term, self.term);
                    assert!(seq > self.committed_seq, "commits go forward");
                    assert!(seq <= self.appended_seq, "nothing is committed that was not appended");
                    self.committed_seq = seq;
                }
                LogEvent::Role { .. } => {}
                LogEvent::Install(_) | LogEvent::Unknown(_) | LogEvent::Fault(_) => panic!("{event:?}"),
            }
        }
    }

    /// Polls until everything proposed is committed, and checks that it is what was proposed.
    fn settle(&mut self) {
        let count: u64 = self.proposed.iter().map(|batch| u64::from(batch.count())).sum();
        while self.committed_seq.raw() < count {
            self.poll();
            (self.wait)();
        }
        assert_eq!(self.appended, self.proposed);
        assert_eq!(self.appended_seq.raw(), count);
    }
}

fn batch(number: u64, records: usize, record_bytes: usize) -> Batch {
    let mut batch = Batch::new();
    batch.clear(TimeNs::new(1_000 + number));
    for index in 0..records {
        let byte = (number as usize + index) as u8;
        batch.push(&vec![byte; record_bytes]);
    }
    batch
}

fn numbers_follow_proposals<L: CommandLog>(term: Term, log: L, wait: &dyn Fn()) {
    let mut driver = Driver::new(term, log, wait);
    for number in 0..200 {
        let batch = batch(number, 1 + number as usize % 5, 1 + number as usize * 7 % 90);
        while let Err(reason) = driver.propose(&batch) {
            assert_eq!(reason, RefusalReason::Busy);
            driver.poll();
            wait();
        }
        if number % 3 == 0 {
            driver.poll();
        }
    }
    driver.settle();
}

fn another_term_is_fenced<L: CommandLog>(term: Term, log: L, wait: &dyn Fn()) {
    let mut driver = Driver::new(term, log, wait);
    driver.propose(&batch(1, 2, 10)).unwrap();
    let stranger = batch(2, 3, 10);
    let refused = driver.log.propose(Term::new(term.raw() + 1), stranger.clone()).unwrap_err();
    assert_eq!((refused.reason, refused.batch), (RefusalReason::Fenced, stranger));
    driver.propose(&batch(3, 1, 10)).unwrap();
    driver.settle();
}

fn a_full_log_is_busy_and_recovers<L: CommandLog>(term: Term, log: L, wait: &dyn Fn()) {
    let mut driver = Driver::new(term, log, wait);
    let record_bytes = driver.log.batch_bytes_max() - Batch::record_bytes(0) - 8;
    let large = batch(1, 1, record_bytes);
    for _ in 0..3 {
        // Without a poll in between there is room for a bounded number of these.
        let before = driver.proposed.len();
        let reason = (0..100).find_map(|_| driver.propose(&large).err());
        assert_eq!(reason, Some(RefusalReason::Busy));
        assert!(driver.proposed.len() > before, "a batch of the longest kind fits an idle log");
        driver.settle();
    }
}

fn a_stopped_log_has_kept_everything<L: CommandLog>(term: Term, log: L, wait: &dyn Fn()) {
    let mut driver = Driver::new(term, log, wait);
    for number in 0..20 {
        driver.propose(&batch(number, 3, 50)).unwrap();
    }
    driver.log.shutdown();
    assert_eq!(driver.propose(&batch(99, 1, 1)), Err(RefusalReason::ReadOnly));
    while !driver.log.is_stopped() {
        driver.poll();
        wait();
    }
    assert_eq!((driver.committed_seq.raw(), driver.appended.len()), (60, 20));
    driver.settle();
}

fn digest(seq: SeqNum, steps: usize) -> EventDigest {
    EventDigest { seq, chain: [seq.raw(), 7], steps: vec![9; steps] }
}

fn attesting_changes_nothing<L: CommandLog>(term: Term, log: L, wait: &dyn Fn()) {
    let mut driver = Driver::new(term, log, wait);
    let bytes_max = driver.log.batch_bytes_max();
    for number in 0..25 {
        // Now and then the longest batch that the log takes: a digest must not take its room.
        let records = if number % 8 == 0 { (1, bytes_max - Batch::record_bytes(0) - 8) } else { (3, 20) };
        driver.propose(&batch(number, records.0, records.1)).unwrap();
        driver.poll();
        let seq = driver.appended_seq;
        if seq != SeqNum::NONE && number % 5 != 0 {
            driver.log.attest(&digest(seq, 1 + number as usize * 40));
        }
        if number % 7 == 0 {
            driver.log.attest(&digest(SeqNum::new(1), 0));
            driver.log.attest(&digest(driver.appended_seq, 2));
        }
        driver.settle();
    }
    assert_eq!(driver.log.batch_bytes_max(), bytes_max);
}

fn a_compacted_log_goes_on<L: CommandLog>(term: Term, log: L, wait: &dyn Fn()) {
    let mut driver = Driver::new(term, log, wait);
    for number in 0..60 {
        driver.propose(&batch(number, 2, 3_000)).unwrap();
        driver.settle();
        if number % 10 == 9 {
            // All but the newest, then some of it once more, then all.
            for upto in [driver.committed_seq.raw() - 3, 2, driver.committed_seq.raw()] {
                let compacted = driver.log.compact(SeqNum::new(upto), SnapshotId::new(upto));
                assert!(matches!(compacted, Ok(()) | Err(LogFault::NotSupported(_))), "{compacted:?}");
                driver.poll();
            }
        }
    }
    driver.log.shutdown();
    while !driver.log.is_stopped() {
        driver.poll();
        wait();
    }
    assert_eq!(driver.committed_seq.raw(), 120);
}
