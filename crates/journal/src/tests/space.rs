//! Segments ahead, the reserve, and segments that are retired.

use super::*;
use crate::{JournalMark, SnapshotId};

/// Fills the journal with groups of one block until it takes no more, or until `enough`. Returns the last number taken.
fn fill(run: &mut Run, first: u64, enough: impl Fn(&Run) -> bool) -> u64 {
    for number in first.. {
        if enough(run) || run.propose(&batch(number, &[100])).is_err() {
            return number - 1;
        }
        (0..6).for_each(|_| run.poll());
    }
    unreachable!("numbers do not end")
}

fn numbers(disk: &MemStorage) -> Vec<u64> {
    disk.clone().segments().unwrap().iter().map(|segment| segment.number).collect()
}

#[test]
fn the_first_acknowledgement_waits_for_one_segment() {
    let disk = MemStorage::new();
    let config = LocalConfig { segment_bytes: 256 << 10, ..config() };
    let mut run = Run::with(&disk, config);
    run.settle();
    run.commit(&batch(1, &[100]));
    assert_eq!(numbers(&disk), [1], "an exchange that was only tried makes no more");
    let until = |blocks: usize| move |run: &Run| run.journal.last_seq().raw() as usize >= blocks;
    fill(&mut run, 2, until(6));
    assert_eq!(numbers(&disk), [1]);
    fill(&mut run, 7, until(7));
    assert_eq!(numbers(&disk), [1, 2, 3], "an eighth is full: the next segment and the reserve are made");
    fill(&mut run, 8, until(64));
    assert_eq!(numbers(&disk), [1, 2, 3], "the second one is begun");
    fill(&mut run, 65, until(70));
    assert_eq!(numbers(&disk), [1, 2, 3, 4]);
}

#[test]
fn a_group_that_does_not_fit_asks_for_the_segment_that_it_waits_for() {
    let disk = MemStorage::new();
    let segment_bytes = 256 << 10;
    let mut run = Run::with(&disk, LocalConfig { segment_bytes, ..config() });
    run.commit(&batch(1, &[100]));
    assert_eq!(numbers(&disk), [1], "hardly begun");
    let longest = run.journal.batch_bytes_max() - Batch::record_bytes(0) - 8;
    run.propose(&batch(2, &[longest])).unwrap();
    (0..20).for_each(|_| run.poll());
    assert_eq!(run.committed.raw(), 2);
}

#[test]
fn cancels_go_on_into_the_reserve() {
    let disk = MemStorage::new();
    disk.limit_space(Some(3 * MIN_SEGMENT_BYTES));
    let mut run = Run::open(&disk);
    let at_short = fill(&mut run, 1, |run| run.journal.is_short_of_space());
    assert_eq!(
        (at_short, numbers(&disk)),
        (8, vec![1, 2, 3]),
        "the second segment is begun, the third is the reserve"
    );
    // The gateway refuses orders now; cancels come all the same.
    let last = fill(&mut run, at_short + 1, |_| false);
    assert_eq!((run.committed.raw(), last), (21, 21), "all three segments are full");
    assert_eq!(run.propose(&batch(99, &[1])), Err(RefusalReason::ReadOnly));
    assert!(run.faults.is_empty());

    // A retry that finds the disk still full changes nothing.
    let retry_at = run.journal.next_deadline().expect("the disk is asked again").raw();
    run.now = retry_at;
    (0..4).for_each(|_| run.poll());
    assert_eq!(run.propose(&batch(99, &[1])), Err(RefusalReason::ReadOnly));
    assert!(run.journal.is_short_of_space() && run.journal.next_deadline().unwrap().raw() > retry_at);

    disk.limit_space(None);
    run.now = run.journal.next_deadline().unwrap().raw();
    run.settle();
    assert!(!run.journal.is_short_of_space(), "without a restart");
    run.commit(&batch(22, &[100]));
    assert_eq!(numbers(&disk), [1, 2, 3, 4, 5, 6], "and there is a reserve again");
    assert_eq!(read(&disk).unwrap().len(), 22);
}

#[test]
fn a_full_disk_is_asked_again_from_a_segment_that_is_hardly_begun() {
    const SEGMENT_BYTES: u64 = 256 << 10;
    let disk = MemStorage::new();
    disk.limit_space(Some(3 * SEGMENT_BYTES));
    let mut run = Run::with(&disk, LocalConfig { segment_bytes: SEGMENT_BYTES, ..config() });
    run.settle();
    let at_short = fill(&mut run, 1, |run| run.journal.is_short_of_space());
    // Cancels fill the second segment and begin the reserve. Each segment has a block for its header.
    let blocks = SEGMENT_BYTES / crate::BLOCK_BYTES as u64;
    let into_reserve = 2 * (blocks - 1) + 1;
    assert!(at_short < into_reserve);
    fill(&mut run, at_short + 1, |run| run.journal.last_seq().raw() == into_reserve);
    assert_eq!((numbers(&disk), run.journal.is_short_of_space()), (vec![1, 2, 3], true));

    disk.limit_space(None);
    run.now += 2_000_000_000;
    run.settle();
    assert!(!run.journal.is_short_of_space(), "nobody has to use the reserve up first");
    assert_eq!(numbers(&disk), [1, 2, 3, 4]);
}

#[test]
fn a_start_on_a_full_disk_finds_out_before_the_first_order() {
    const SEGMENT_BYTES: u64 = 256 << 10;
    let config = LocalConfig { segment_bytes: SEGMENT_BYTES, ..config() };
    let disk = MemStorage::new();
    disk.limit_space(Some(2 * SEGMENT_BYTES));
    let mut run = Run::with(&disk, config.clone());
    run.settle();
    // The second segment is hardly begun: by how much is in use, nobody would have to ask yet.
    let blocks = SEGMENT_BYTES / crate::BLOCK_BYTES as u64;
    fill(&mut run, 1, |run| run.journal.last_seq().raw() == blocks + 1);
    assert!(run.journal.is_short_of_space());
    drop(run);
    let mut run = Run::with(&disk, config.clone());
    run.settle();
    assert!(run.journal.is_short_of_space());

    // Where there is room, there is a reserve at once; the one behind it has time.
    drop(run);
    disk.limit_space(None);
    let mut run = Run::with(&disk, config);
    run.settle();
    assert!(!run.journal.is_short_of_space());
    assert_eq!(numbers(&disk), [1, 2, 3]);
}

#[test]
fn a_start_on_a_full_disk_uses_the_reserve() {
    let disk = MemStorage::new();
    disk.limit_space(Some(3 * MIN_SEGMENT_BYTES));
    let mut run = Run::open(&disk);
    // The second segment is full to its last block.
    fill(&mut run, 1, |run| run.journal.last_seq().raw() == 14);
    drop(run);
    let mut run = Run::open(&disk);
    assert!(!run.journal.is_short_of_space(), "it has not asked yet");
    run.commit(&batch(15, &[100]));
    assert!(run.journal.is_short_of_space());
    assert_eq!((numbers(&disk), read(&disk).unwrap().len()), (vec![1, 2, 3], 15));
}

#[test]
fn retired_segments_make_room_at_once() {
    let disk = MemStorage::new();
    disk.limit_space(Some(3 * MIN_SEGMENT_BYTES));
    let mut run = Run::open(&disk);
    fill(&mut run, 1, |_| false);
    assert!(run.journal.is_short_of_space());
    let durable = run.journal.durable_seq();
    run.journal.compact(durable, SnapshotId::new(1)).unwrap();
    run.settle();
    assert!(!run.journal.is_short_of_space(), "no second passes");
    run.commit(&batch(22, &[100]));
    assert_eq!(numbers(&disk), [4, 5, 6], "what is full and contained in the snapshot is gone");
}

/// A journal of at least ten segments, not stopped, and the mark behind each batch.
fn retirable() -> (MemStorage, Run, Vec<JournalMark>) {
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    (1..=75).for_each(|number| run.commit(&batch(number, &[100, 100])));
    let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
    let mut marks = Vec::new();
    while reader.next_batch().unwrap().is_some() {
        marks.push(reader.mark().unwrap());
    }
    (disk, run, marks)
}

#[test]
fn only_what_the_snapshot_contains_is_retired() {
    let (disk, mut run, marks) = retirable();
    // Seven batches of two commands to a segment.
    for (upto, oldest) in [(13, 1), (14, 2), (15, 2), (55, 4), (14, 4), (56, 5), (150, 11)] {
        run.journal.compact(SeqNum::new(upto), SnapshotId::new(upto)).unwrap();
        run.settle();
        run.settle();
        assert_eq!(numbers(&disk)[0], oldest, "up to {upto}");
        assert_eq!(*numbers(&disk).last().unwrap(), 13, "what is ready stays");
        let first_kept = (oldest - 1) * 14;
        let mark = marks.iter().find(|mark| mark.seq.raw() >= first_kept).expect("a batch ends there");
        let mut reader = JournalReader::after(disk.clone(), SHARD, mark).unwrap();
        assert_eq!(reader.first_seq(), Some(SeqNum::new(first_kept + 1)));
        let mut last = mark.seq;
        while let Some(batch) = reader.next_batch().unwrap() {
            assert_eq!(batch.first_seq, last.next());
            last = batch.last_seq();
        }
        assert_eq!(last.raw(), 150);
    }
    // Life goes on after a restart from the last mark, and so does retiring.
    drop(run);
    let reader = JournalReader::after(disk.clone(), SHARD, &marks[74]).unwrap();
    let mut run = Run::over(LocalJournal::open(reader, config()).unwrap());
    (76..=100).for_each(|number| run.commit(&batch(number, &[100, 100])));
    run.journal.compact(SeqNum::new(200), SnapshotId::new(2)).unwrap();
    (0..4).for_each(|_| run.settle());
    assert_eq!(numbers(&disk)[0], 15);
    run.stop();
}

#[test]
fn a_restart_knows_what_the_older_segments_hold() {
    let (disk, run, marks) = retirable();
    drop(run);
    let reader = JournalReader::after(disk.clone(), SHARD, &marks[60]).unwrap();
    assert_eq!(reader.first_seq(), Some(SeqNum::new(1)), "older segments are known by their headers");
    let mut run = Run::over(LocalJournal::open(reader, config()).unwrap());
    run.journal.compact(SeqNum::new(70), SnapshotId::new(1)).unwrap();
    (0..8).for_each(|_| run.settle());
    assert_eq!(numbers(&disk)[0], 6);
    // A segment whose header is gone leaves with its neighbours and makes no gap.
    drop(run);
    disk.set_bytes(7, vec![3; MIN_SEGMENT_BYTES as usize]);
    let reader = JournalReader::after(disk.clone(), SHARD, &marks[74]).unwrap();
    let mut run = Run::over(LocalJournal::open(reader, config()).unwrap());
    run.journal.compact(SeqNum::new(84), SnapshotId::new(2)).unwrap();
    (0..4).for_each(|_| run.settle());
    assert_eq!(numbers(&disk)[0], 6, "the unreadable segment may hold commands up to 98");
    run.journal.compact(SeqNum::new(98), SnapshotId::new(3)).unwrap();
    (0..4).for_each(|_| run.settle());
    assert_eq!(numbers(&disk)[0], 8);
}

#[test]
fn a_segment_that_cannot_be_removed_is_no_fault() {
    let (disk, mut run, _) = retirable();
    disk.refuse_removals(true);
    run.journal.compact(SeqNum::new(150), SnapshotId::new(1)).unwrap();
    (0..4).for_each(|_| run.settle());
    assert_eq!((numbers(&disk)[0], run.faults.len()), (1, 0));
    run.commit(&batch(76, &[1]));
    disk.refuse_removals(false);
    (0..4).for_each(|_| run.settle());
    assert_eq!(numbers(&disk)[0], 1, "the next snapshot tries again");
    run.journal.compact(SeqNum::new(20), SnapshotId::new(2)).unwrap();
    (0..4).for_each(|_| run.settle());
    assert_eq!(numbers(&disk)[0], 2);
}

#[test]
fn the_last_durable_group_is_never_retired() {
    // The group that begins a segment is not durable yet: without the segment before it nothing would be left of the
    // journal after a crash.
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    (1..=7).for_each(|number| run.commit(&batch(number, &[100])));
    disk.hold_groups(true);
    run.propose(&batch(8, &[100])).unwrap();
    run.poll();
    run.journal.compact(SeqNum::new(7), SnapshotId::new(1)).unwrap();
    (0..4).for_each(|_| run.poll());
    drop(run);
    disk.crash(|_| false);
    disk.hold_groups(false);
    assert_eq!((numbers(&disk)[0], read(&disk).unwrap().len()), (1, 7));
    let mut run = Run::open(&disk);
    run.commit(&batch(8, &[100]));
    run.journal.compact(SeqNum::new(7), SnapshotId::new(1)).unwrap();
    run.settle();
    assert_eq!(numbers(&disk)[0], 2, "when it is durable, the segment may go");
}
