//! The journal as a whole, on a disk in memory.

use std::io::Write;

use joulebook_testkit::Xoshiro256pp;
use joulebook_types::{SeqNum, ShardId, TimeNs};
use proptest::prelude::*;

use crate::{
    Batch, CommandLog, EventDigest, JournalError, JournalReader, LocalConfig, LocalJournal, LogEvent,
    LogFault, MIN_SEGMENT_BYTES, MemoryLog, RefusalReason, Storage, Term, conformance, testing::MemStorage,
};

mod digests;
mod flips;
mod following;
mod format;
mod memory;
mod power;
mod space;

const SHARD: ShardId = ShardId::new(3);
const TERM: Term = Term::new(1);
const BLOCK: u64 = 4096;

fn config() -> LocalConfig {
    let mut config = LocalConfig::new(SHARD, 0x1234_5678_9ABC_DEF0);
    config.segment_bytes = MIN_SEGMENT_BYTES;
    config.group_bytes_max = 16 << 10;
    config
}

/// A journal with its own clock and what it has said.
struct Run {
    journal: LocalJournal<MemStorage>,
    now: u64,
    committed: SeqNum,
    faults: Vec<LogFault>,
}

impl Run {
    fn open(disk: &MemStorage) -> Self {
        Self::with(disk, config())
    }

    fn with(disk: &MemStorage, config: LocalConfig) -> Self {
        let reader = JournalReader::new(disk.clone(), SHARD).unwrap();
        Self::over(LocalJournal::open(reader, config).unwrap())
    }

    fn over(journal: LocalJournal<MemStorage>) -> Self {
        Self { journal, now: 1, committed: SeqNum::NONE, faults: Vec::new() }
    }

    fn propose(&mut self, batch: &Batch) -> Result<(), RefusalReason> {
        self.journal.propose(TERM, batch.clone()).map(drop).map_err(|refused| refused.reason)
    }

    fn poll(&mut self) {
        let mut events = Vec::new();
        self.journal.poll(TimeNs::new(self.now), &mut events);
        for event in events {
            match event {
                // As the core does: what came of a batch is told before the next is proposed.
                LogEvent::Appended { first_seq, batch, .. } => {
                    self.journal.attest(&digest_of(first_seq, &batch))
                }
                LogEvent::Committed { seq, .. } => {
                    assert!(self.faults.is_empty(), "nothing is committed after a fault");
                    self.committed = seq;
                }
                LogEvent::Fault(fault) => self.faults.push(fault),
                _ => {}
            }
        }
    }

    /// One group, durable.
    fn commit(&mut self, batch: &Batch) {
        self.propose(batch).unwrap();
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..6 {
            self.poll();
        }
        assert_eq!(self.journal.durable_seq(), self.journal.last_seq());
    }

    fn stop(mut self) {
        self.journal.shutdown();
        while !self.journal.is_stopped() {
            self.poll();
        }
    }
}

/// The size of a test: `default`, or what the environment says.
fn runs(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|runs| runs.parse().ok()).unwrap_or(default)
}

/// Says past the test runner's capture what was done: these numbers are promised.
fn report(what: &str) {
    // A closed output only loses the note.
    let _ = writeln!(std::io::stdout().lock(), "journal: {what}");
}

/// Stands for what an engine says about a batch.
fn digest_of(first_seq: SeqNum, batch: &Batch) -> EventDigest {
    let first = first_seq.raw();
    let last = first + u64::from(batch.count()) - 1;
    let steps = (first..=last + 1).map(|step| (step as u32).wrapping_mul(0x0101_0101)).collect();
    EventDigest { seq: SeqNum::new(last), chain: [last * 3, !last], steps }
}

fn batch(number: u64, sizes: &[usize]) -> Batch {
    let mut batch = Batch::new();
    batch.clear(TimeNs::new(number));
    for (index, size) in sizes.iter().enumerate() {
        batch.push(&vec![(number * 31 + index as u64) as u8 | 1; *size]);
    }
    batch
}

/// All records, or why they cannot be read.
fn read(disk: &MemStorage) -> Result<Vec<Vec<u8>>, JournalError> {
    let mut reader = JournalReader::new(disk.clone(), SHARD)?;
    let mut records = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        assert_eq!(batch.first_seq.raw(), records.len() as u64 + 1);
        assert_eq!(batch.records().count(), batch.count as usize);
        records.extend(batch.records().map(<[u8]>::to_vec));
    }
    assert_eq!(reader.last_seq().raw(), records.len() as u64);
    Ok(records)
}

fn records_of(batches: &[Batch]) -> Vec<Vec<u8>> {
    batches.iter().flat_map(|batch| batch.records().map(<[u8]>::to_vec)).collect()
}

/// Three groups, the middle one of two blocks, with a clean stop or without.
fn small_journal(clean: bool) -> (MemStorage, Vec<Batch>) {
    let disk = MemStorage::new();
    let batches = [batch(1, &[5, 20]), batch(2, &[3000, 1200, 1]), batch(3, &[100])];
    let mut run = Run::open(&disk);
    for batch in &batches {
        run.commit(batch);
    }
    if clean {
        run.stop();
    }
    (disk, batches.to_vec())
}

#[test]
fn every_log_conforms() {
    conformance::check(TERM, || Run::open(&MemStorage::new()).journal, || {});
    conformance::check(TERM, || MemoryLog::new(TERM, 10_000), || {});
}

#[test]
fn an_empty_storage_is_a_new_journal() {
    let disk = MemStorage::new();
    assert_eq!(read(&disk).unwrap(), Vec::<Vec<u8>>::new());
    let mut run = Run::open(&disk);
    assert_eq!(run.journal.last_seq(), SeqNum::NONE);
    run.commit(&batch(1, &[8]));
    drop(run);
    assert_eq!(read(&disk).unwrap().len(), 1);
}

#[test]
fn what_arrives_during_a_sync_shares_the_next_one() {
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    run.commit(&batch(0, &[1]));
    disk.hold(true);
    for number in 1..=50 {
        run.propose(&batch(number, &[64])).unwrap();
        run.poll();
    }
    assert_eq!(run.committed.raw(), 1, "outputs wait for the disk");
    disk.hold(false);
    run.settle();
    assert_eq!((run.committed.raw(), disk.syncs()), (51, 3), "one group for the first, one for the other 49");
}

#[test]
fn commands_wait_for_a_segment_and_are_not_lost() {
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    disk.hold(true);
    let mut taken = 0;
    let refusal = loop {
        match run.propose(&batch(taken + 1, &[500, 500])) {
            Ok(()) => taken += 1,
            Err(reason) => break reason,
        }
        run.poll();
    };
    assert_eq!((refusal, disk.syncs()), (RefusalReason::Busy, 0), "there is no segment yet to write to");
    disk.hold(false);
    run.settle();
    assert_eq!(run.committed.raw(), taken * 2);
    assert_eq!(read(&disk).unwrap().len() as u64, taken * 2);
}

#[test]
fn a_marker_comes_after_the_idle_time_and_only_once() {
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    run.commit(&batch(1, &[10]));
    assert_eq!(run.journal.next_deadline(), Some(TimeNs::new(10_000_001)));
    run.now = 10_000_000;
    run.poll();
    assert_eq!(disk.syncs(), 1, "too early");
    run.now = 10_000_001;
    run.settle();
    assert_eq!(disk.syncs(), 2);
    run.now += 1_000_000_000;
    run.settle();
    assert_eq!((disk.syncs(), run.journal.next_deadline()), (2, None), "an idle journal writes nothing");
    let reader = {
        let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
        while reader.next_batch().unwrap().is_some() {}
        reader
    };
    assert_eq!(reader.watermark(), SeqNum::new(1));
    assert_eq!(reader.tail().unwrap().torn, None);
}

#[test]
fn after_a_crash_a_marker_vouches_for_the_last_group() {
    let disk = MemStorage::new();
    Run::open(&disk).commit(&batch(1, &[10]));
    let mut run = Run::open(&disk);
    run.poll();
    run.now += 20_000_000;
    run.settle();
    let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
    while reader.next_batch().unwrap().is_some() {}
    assert_eq!((disk.syncs(), reader.watermark()), (2, SeqNum::new(1)), "nobody had to send anything");
}

#[test]
fn a_clock_that_goes_back_does_not_put_the_marker_off() {
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    run.now = 1 << 50;
    run.commit(&batch(1, &[10]));
    run.now = 5;
    run.poll();
    assert_eq!(run.journal.next_deadline(), Some(TimeNs::new(10_000_005)));
}

#[test]
fn reopening_continues_numbers_chain_and_place() {
    let disk = MemStorage::new();
    let mut all = Vec::new();
    let mut chain = None;
    for life in 0..40 {
        let mut run = Run::open(&disk);
        assert!(chain.is_none_or(|chain| chain == run.journal.chain_hash()));
        for number in 0..3 {
            let batch = batch(life * 3 + number, &[700, 40]);
            run.commit(&batch);
            all.push(batch);
        }
        chain = Some(run.journal.chain_hash());
        if life % 2 == 0 {
            run.stop();
        }
        assert_eq!(read(&disk).unwrap(), records_of(&all), "life {life}");
    }
    assert!(disk.clone().segments().unwrap().len() > 10, "the test crosses many segments");
}

#[test]
fn a_failed_sync_ends_all_commits() {
    for nth in 1..=30 {
        let disk = MemStorage::new();
        disk.fail_sync(nth);
        let mut run = Run::open(&disk);
        for number in 1..=30 {
            let _ = run.propose(&batch(number, &[900]));
            for _ in 0..4 {
                run.poll();
            }
        }
        assert_eq!((run.committed.raw(), run.faults.len(), disk.syncs()), (nth - 1, 1, nth));
        assert_eq!(run.propose(&batch(99, &[1])), Err(RefusalReason::ReadOnly));
        assert_eq!(run.journal.next_deadline(), None);
        run.journal.shutdown();
        run.poll();
        assert!(run.journal.is_stopped(), "a failed journal does not hold up the exit");
        // The bytes may be there or not; either way the next start has no commit to honour beyond `nth - 1`.
        assert!(read(&disk).unwrap().len() as u64 >= nth - 1);
    }
}

#[test]
fn a_full_disk_makes_it_read_only_until_there_is_room() {
    let disk = MemStorage::new();
    disk.limit_space(Some(MIN_SEGMENT_BYTES));
    let mut run = Run::open(&disk);
    let mut taken = 0;
    let refusal = loop {
        // Two to a group, which then is two blocks long: seven blocks hold three and a half.
        match run.propose(&batch(taken + 1, &[3000])) {
            Ok(()) => taken += 1,
            Err(reason) => break reason,
        }
        if taken % 2 == 0 {
            (0..4).for_each(|_| run.poll());
        }
    };
    assert_eq!((refusal, run.faults.len()), (RefusalReason::ReadOnly, 0));
    assert_eq!((run.committed.raw(), taken), (6, 8), "what fits the segment is committed, the rest waits");
    assert!(run.journal.is_short_of_space());
    let retry_at = run.journal.next_deadline().expect("the disk is asked again");
    disk.limit_space(None);
    run.now = retry_at.raw();
    run.settle();
    assert_eq!(run.committed.raw(), 8, "what waited is committed, without a restart");
    assert!(!run.journal.is_short_of_space());
    run.commit(&batch(99, &[1]));
    assert_eq!(read(&disk).unwrap().len(), 9);
}

#[test]
fn a_journal_on_a_full_disk_waits_quietly_and_stops() {
    let disk = MemStorage::new();
    disk.limit_space(Some(MIN_SEGMENT_BYTES));
    let mut run = Run::open(&disk);
    for number in 1..=7 {
        // One block each: the segment is full to its last one, and the marker has no place.
        run.commit(&batch(number, &[100]));
    }
    assert!(run.journal.is_short_of_space());
    run.now += 20_000_000;
    run.poll();
    let next = run.journal.next_deadline().expect("the disk is asked again");
    assert!(next > TimeNs::new(run.now), "a marker without a place makes nobody spin");
    run.propose(&batch(8, &[100])).unwrap_err();
    run.stop();
    assert_eq!(read(&disk).unwrap().len(), 7);
}

#[test]
fn the_error_says_where_and_what_to_do() {
    let (disk, _) = small_journal(true);
    disk.flip_bit(1, 2 * BLOCK + 3000, 0);
    let error = read(&disk).unwrap_err();
    let JournalError::Corrupt { offset_bytes, last_good_seq, cut_at_bytes, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((*cut_at_bytes, last_good_seq.raw()), (2 * BLOCK, 2));
    assert!(
        (2 * BLOCK + 56..2 * BLOCK + 3000).contains(offset_bytes),
        "the damaged record begins before the bit"
    );
    let text = error.to_string();
    for part in ["segment 1, byte ", "checksum", "up to number 2 are intact", "backup", "from byte 8192"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The second repair choice does what it says.
    let mut bytes = disk.bytes(1);
    bytes[*cut_at_bytes as usize..].fill(0);
    disk.set_bytes(1, bytes);
    assert_eq!(read(&disk).unwrap().len(), 2);
}

#[test]
fn a_torn_last_group_is_cut_and_the_journal_goes_on() {
    // Every subset that a power cut can leave of the last group's sectors, for the group's position at the end of a
    // segment and at the start of one (where the segment header is part of the write).
    for before in [2, 6] {
        let intact: Vec<Batch> = (1..=before).map(|number| batch(number, &[4000])).collect();
        let last = batch(9, &[4000, 300]);
        let torn = |survives: &dyn Fn(usize) -> bool| {
            let disk = MemStorage::new();
            let mut run = Run::open(&disk);
            intact.iter().for_each(|batch| run.commit(batch));
            disk.hold(true);
            run.propose(&last).unwrap();
            run.poll();
            drop(run);
            disk.hold(false);
            disk.crash(survives);

            let found = read(&disk).unwrap();
            let whole = records_of(&intact).len() + 2 == found.len();
            assert_eq!(found[..intact.len()], records_of(&intact));
            assert!(whole || found.len() == intact.len(), "a group counts as a whole or not at all");

            let mut run = Run::open(&disk);
            run.commit(&batch(10, &[2000]));
            run.commit(&batch(11, &[10]));
            run.stop();
            let again = read(&disk).unwrap();
            assert_eq!(again[..found.len()], found);
            assert_eq!(again.len(), found.len() + 2);
            let mut reader = JournalReader::new(disk, SHARD).unwrap();
            while reader.next_batch().unwrap().is_some() {}
            assert_eq!(reader.tail().unwrap().torn, None, "nothing torn is left");
            whole
        };
        let sectors = if before == 2 { 16 } else { 24 };
        for kept in 0..=sectors {
            let whole = torn(&|sector| sector < kept);
            // The last sectors of the group are its padding.
            assert_eq!(whole, kept >= sectors - 7, "prefix of {kept}");
            torn(&|sector| sector >= kept);
            assert!(!torn(&|sector| sector == kept), "one sector alone");
        }
        for mask in (0..1_u64 << sectors).step_by((1_usize << sectors) / 300 + 7) {
            torn(&|sector| mask >> sector & 1 == 1);
        }
    }
}

#[test]
fn a_cut_tail_that_is_interrupted_is_cut_again() {
    let (disk, batches) = small_journal(false);
    disk.flip_bit(1, 4 * BLOCK + 20, 3);
    disk.flip_bit(1, 5 * BLOCK + 20, 3);
    disk.flip_bit(1, 7 * BLOCK + 20, 3);
    let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
    while reader.next_batch().unwrap().is_some() {}
    let tail = reader.tail().unwrap().clone();
    assert_eq!((tail.segment, tail.offset_bytes, tail.cuts.len()), (1, 4 * BLOCK, 2));
    assert!(tail.torn.unwrap().contains("segment 1, byte 16384"));
    // The power goes again after the first of the two zeroings.
    disk.clone().write_zeros(1, tail.cuts[0].range.clone()).unwrap();
    assert_eq!(read(&disk).unwrap(), records_of(&batches[..2]));
    Run::open(&disk).stop();
    assert!(disk.bytes(1)[7 * BLOCK as usize..].iter().all(|byte| *byte == 0));
}

#[test]
fn files_that_do_not_belong_are_refused() {
    // With another ninth batch, if so wanted.
    let journal = |shard, id: u64, ninth: u64| {
        let disk = MemStorage::new();
        let config = LocalConfig { shard, new_journal_id: id, ..config() };
        let reader = JournalReader::new(disk.clone(), shard).unwrap();
        let journal = LocalJournal::open(reader, config).unwrap();
        let mut run = Run { journal, now: 1, committed: SeqNum::NONE, faults: Vec::new() };
        let numbers = (1..=25).map(|number| if number == 9 { ninth } else { number });
        numbers.for_each(|number| run.commit(&batch(number, &[3000])));
        run.stop();
        disk
    };
    let disk = journal(SHARD, 1, 9);
    let twin = journal(SHARD, 2, 9);
    let other_past = journal(SHARD, 1, 90);
    type Edit<'a> = &'a dyn Fn(&MemStorage);
    let cases: &[(&str, Edit<'_>, &str)] = &[
        ("a segment is missing", &|disk| disk.remove(2), "missing"),
        ("a segment of another journal", &|disk| disk.set_bytes(2, twin.bytes(2)), "another journal"),
        ("a segment twice", &|disk| disk.set_bytes(3, disk.bytes(2)), "not its number"),
        ("an emptied segment", &|disk| disk.set_bytes(2, vec![0; 32 << 10]), "missing"),
        ("a truncated segment", &|disk| disk.set_bytes(2, disk.bytes(2)[..100].to_vec()), "this length"),
        (
            "a longer segment",
            &|disk| disk.set_bytes(2, [disk.bytes(2), vec![0; 4096]].concat()),
            "the length that it was made with",
        ),
        (
            "a removed group",
            &|disk| {
                let mut bytes = disk.bytes(2);
                bytes.copy_within(8192.., 4096);
                disk.set_bytes(2, bytes);
            },
            "a group is missing",
        ),
        (
            "a whole batch with other orders",
            &|disk| {
                let mut bytes = disk.bytes(2);
                bytes[8192..12_288].copy_from_slice(&other_past.bytes(2)[8192..12_288]);
                disk.set_bytes(2, bytes);
            },
            "hash chain is broken",
        ),
        (
            "a group in the unused end of a full segment",
            &|disk| disk.flip_bit(1, (32 << 10) - 1, 0),
            "checksum|padding|not blank|damaged",
        ),
    ];
    for (name, edit, wanted) in cases {
        let disk = disk.fork();
        edit(&disk);
        let error = read(&disk).expect_err(name);
        assert!(matches!(error, JournalError::Corrupt { .. }), "{name}: {error:?}");
        let text = error.to_string();
        assert!(wanted.split('|').any(|part| text.contains(part)), "{name}: {text}");
    }
    let other = journal(ShardId::new(4), 1, 9);
    assert_eq!(
        read(&other).unwrap_err(),
        JournalError::Shard { file: "segment 1".into(), found: ShardId::new(4), expected: SHARD }
    );
}

#[test]
fn records_that_look_like_a_group_do_not_fool_the_cut() {
    // A participant sends what would be a group header of this journal, if only its random name were known.
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    run.commit(&batch(1, &[10]));
    let forged: Vec<u8> = {
        let other = MemStorage::new();
        let mut run = Run::with(&other, LocalConfig { new_journal_id: 99, ..config() });
        (1..=3).for_each(|number| run.commit(&batch(number, &[10])));
        other.bytes(1)[3 * BLOCK as usize..4 * BLOCK as usize].to_vec()
    };
    // Behind the batch's header and the first batch's digest, padded so that the forged header falls on a block of the segment.
    let mut record = vec![1; 4096 - 56 - 88 - 40 - 8];
    record.extend_from_slice(&forged);
    let mut bait = Batch::new();
    bait.push(&record);
    disk.hold(true);
    run.propose(&bait).unwrap();
    run.poll();
    drop(run);
    disk.hold(false);
    disk.crash(|sector| sector >= 8);
    assert_eq!(disk.bytes(1)[3 * BLOCK as usize..][..56], forged[..56], "the bait lies where a group would");
    assert_eq!(read(&disk).unwrap().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is proposed, polled, held back, crashed and reopened: commits are kept, in order, and nothing else
    /// than what was proposed is ever read.
    #[test]
    fn any_history_keeps_its_commits(
        steps in prop::collection::vec((0_u8..12, prop::collection::vec(1_usize..2_500, 1..4), any::<u64>()), 1..80),
    ) {
        let disk = MemStorage::new();
        let mut run = Run::open(&disk);
        let mut proposed: Vec<Batch> = Vec::new();
        let mut committed = 0;
        for (number, (step, sizes, random)) in steps.into_iter().enumerate() {
            match step {
                0..=5 => {
                    let batch = batch(number as u64, &sizes);
                    if run.propose(&batch).is_ok() {
                        proposed.push(batch);
                    }
                }
                6..=8 => run.poll(),
                9 => {
                    run.now += 20_000_000;
                    run.poll();
                }
                10 => disk.hold(random % 2 == 0),
                _ => {
                    committed = committed.max(run.committed.raw() as usize);
                    disk.hold(false);
                    disk.crash(|sector| random >> (sector % 64) & 1 == 1);
                    run = Run::open(&disk);
                    let kept = run.journal.last_seq().raw() as usize;
                    prop_assert!(kept >= committed);
                    prop_assert_eq!(&read(&disk).unwrap(), &records_of(&proposed)[..kept]);
                    committed = kept;
                    let mut count = 0;
                    proposed.retain(|batch| {
                        count += batch.count() as usize;
                        count <= kept
                    });
                }
            }
            committed = committed.max(run.committed.raw() as usize);
        }
        disk.hold(false);
        run.stop();
        prop_assert_eq!(read(&disk).unwrap(), records_of(&proposed));
    }

    /// A disk can hold anything. Reading it may fail, but never panics, and opening it never invents commands.
    #[test]
    fn arbitrary_bytes_never_panic(
        noise in prop::collection::vec((0_usize..32 << 10, any::<[u8; 8]>()), 0..40),
        from_journal in any::<bool>(),
    ) {
        let (disk, batches) = if from_journal { small_journal(true) } else { (MemStorage::new(), Vec::new()) };
        let mut bytes = if from_journal { disk.bytes(1) } else { vec![0; 32 << 10] };
        for (offset, value) in noise {
            let end = (offset + 8).min(bytes.len());
            bytes[offset..end].copy_from_slice(&value[..end - offset]);
        }
        disk.set_bytes(1, bytes);
        if let Ok(records) = read(&disk) {
            prop_assert!(records_of(&batches).starts_with(&records));
        }
    }
}
