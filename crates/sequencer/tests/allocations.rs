//! Appending, attesting and reading back allocate nothing once warm.
#![forbid(unsafe_code)]

use joulebook_journal::testing::MemStorage;
use joulebook_journal::{
    Batch, CommandLog, EventDigest, JournalReader, LocalConfig, LocalJournal, LogEvent, Term,
};
use joulebook_testkit::{CountingAllocator, count_allocations};
use joulebook_types::{SeqNum, ShardId, TimeNs};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const SHARD: ShardId = ShardId::new(1);
const COMMANDS: u64 = 64;

/// A journal, driven as the core drives it, with the memory that the core keeps.
struct Run {
    journal: LocalJournal<MemStorage>,
    events: Vec<LogEvent>,
    batch: Option<Batch>,
    digest: EventDigest,
}

impl Run {
    fn group(&mut self, number: u64) {
        let now = TimeNs::new(number);
        let mut batch = self.batch.take().expect("the last one came back");
        batch.clear(now);
        for _ in 0..COMMANDS {
            batch.push(&[7; 100]);
        }
        self.journal.propose(Term::new(1), batch).expect("there is room");
        while self.batch.is_none() || self.journal.durable_seq() < self.journal.last_seq() {
            self.journal.poll(now, &mut self.events);
            for event in self.events.drain(..) {
                if let LogEvent::Appended { first_seq, batch, .. } = event {
                    self.digest.seq = SeqNum::new(first_seq.raw() + COMMANDS - 1);
                    self.digest.steps.clear();
                    self.digest.steps.extend(0..=COMMANDS as u32);
                    self.journal.attest(&self.digest);
                    self.batch = Some(batch);
                }
            }
        }
    }
}

#[test]
fn a_warm_journal_allocates_nothing() {
    let disk = MemStorage::new();
    let reader = JournalReader::new(disk.clone(), SHARD).expect("an empty disk");
    // One segment, so that the disk in memory does not grow.
    let config = LocalConfig { segment_bytes: 16 << 20, ..LocalConfig::new(SHARD, 7) };
    let mut run = Run {
        journal: LocalJournal::open(reader, config).expect("an empty disk"),
        events: Vec::new(),
        batch: Some(Batch::new()),
        digest: EventDigest::default(),
    };
    (0..10).for_each(|number| run.group(number));
    let ((), allocations) = count_allocations(|| (10..110).for_each(|number| run.group(number)));
    assert_eq!(allocations, 0, "writing");

    let mut reader = JournalReader::new(disk.fork(), SHARD).expect("a journal");
    let mut read = |batches: usize| {
        for _ in 0..batches {
            let batch = reader.next_batch().expect("no damage").expect("a batch");
            assert_eq!(batch.records().count() as u64, COMMANDS);
        }
    };
    read(10);
    let ((), allocations) = count_allocations(|| read(100));
    assert_eq!(allocations, 0, "reading");
}
