//! Starts on a machine that went on: what its memory holds of the journal and the disk does not have, because a sync of it
//! failed, is not believed. No later sync writes it or says so.

use super::*;
use crate::{Cut, StorageErrorKind};

#[test]
fn a_group_that_only_memory_has_is_not_believed() {
    let mut segments = 0;
    for nth in 1..=30 {
        let disk = MemStorage::new();
        disk.fail_sync(nth);
        let mut run = Run::open(&disk);
        for number in 1..=nth {
            run.propose(&batch(number, &[900])).unwrap();
            (0..4).for_each(|_| run.poll());
        }
        assert_eq!((run.committed.raw(), run.faults.len()), (nth - 1, 1));
        drop(run);
        disk.restart();

        let mut run = Run::open(&disk);
        assert_eq!(run.journal.last_seq().raw(), nth - 1, "sync {nth} failed");
        for number in 100..110 {
            run.commit(&batch(number, &[1_800]));
        }
        drop(run);
        disk.crash(|_| false);
        let found = read(&disk).unwrap();
        let kept = (1..nth).map(|number| batch(number, &[900]));
        let all: Vec<Batch> = kept.chain((100..110).map(|number| batch(number, &[1_800]))).collect();
        assert_eq!(found, records_of(&all), "sync {nth} failed");
        segments = disk.clone().segments().unwrap().len();
    }
    assert!(segments > 5, "also the first group of a segment is lost");
}

/// Two syncs fail, one start after the other, and memory forgets nothing: the first group of a segment stays in it, and a
/// shorter one that still goes into the segment before is believed no more than that.
#[test]
fn memory_that_forgets_nothing_does_not_say_where_the_journal_ends() {
    let mut beginnings = 0;
    for nth in 1..=30 {
        let disk = MemStorage::new();
        disk.keep_memory(true);
        disk.fail_sync(nth);
        let mut run = Run::open(&disk);
        for number in 1..=nth {
            run.propose(&batch(number, &[5_000])).unwrap();
            (0..4).for_each(|_| run.poll());
        }
        drop(run);
        disk.restart();
        let segments_before = begun(&disk);

        disk.fail_sync(nth + 1);
        let mut run = Run::open(&disk);
        run.propose(&batch(200, &[10])).unwrap();
        (0..4).for_each(|_| run.poll());
        assert_eq!(run.faults.len(), 1, "sync {nth} failed");
        drop(run);
        disk.restart();
        beginnings += usize::from(begun(&disk) == segments_before && segments_before > 1);

        let mut run = Run::open(&disk);
        assert_eq!(run.journal.last_seq().raw(), nth - 1, "sync {nth} failed, and the one after it");
        run.commit(&batch(300, &[20]));
        drop(run);
        disk.crash(|_| false);
        let kept = (1..nth).map(|number| batch(number, &[5_000]));
        let all: Vec<Batch> = kept.chain([batch(300, &[20])]).collect();
        assert_eq!(read(&disk).unwrap(), records_of(&all), "sync {nth} failed, and the one after it");
    }
    assert!(beginnings > 3, "also the first group of a segment is lost");
}

/// Segments that memory shows to be begun.
fn begun(disk: &MemStorage) -> usize {
    let mut disk = disk.clone();
    let mut count = 0;
    for segment in disk.segments().unwrap() {
        let mut header = [0; 8];
        disk.read_at(segment.number, 0, &mut header).unwrap();
        count += usize::from(header != [0; 8]);
    }
    count
}

#[test]
fn a_cut_that_only_memory_has_is_made_again() {
    // The torn group is the last of a segment, and the first of one.
    for before in [2, 6] {
        let disk = MemStorage::new();
        let mut run = Run::open(&disk);
        let intact: Vec<Batch> = (1..=before).map(|number| batch(number, &[4_000])).collect();
        intact.iter().for_each(|batch| run.commit(batch));
        disk.hold(true);
        run.propose(&batch(9, &[4_000, 300])).unwrap();
        run.poll();
        drop(run);
        disk.hold(false);
        disk.crash(|sector| sector % 8 != 3);

        disk.fail_opening(true);
        let reader = JournalReader::new(disk.clone(), SHARD).unwrap();
        let error = LocalJournal::open(reader, config()).unwrap_err();
        let JournalError::Storage(error) = error else { panic!("{error}") };
        assert_eq!((error.kind, error.doing), (StorageErrorKind::Io, "sync"));
        disk.fail_opening(false);

        let mut run = Run::open(&disk);
        run.commit(&batch(10, &[10]));
        drop(run);
        disk.crash(|_| false);
        let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
        while reader.next_batch().unwrap().is_some() {}
        assert_eq!(reader.last_seq().raw(), before + 1);
        assert_eq!(reader.tail().unwrap().cuts, Vec::<Cut>::new(), "nothing torn is left");
    }
}
