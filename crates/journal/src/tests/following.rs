//! Reading from the middle, and reading beside the writer.

use super::*;
use crate::{BatchView, JournalFollower, JournalMark};

/// A journal of several segments, with a clean stop, and the mark behind each of its batches.
fn long_journal() -> (MemStorage, Vec<Batch>, Vec<JournalMark>) {
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    let batches: Vec<Batch> = (1..=60).map(|number| batch(number, &[900, 30])).collect();
    for (index, batch) in batches.iter().enumerate() {
        run.propose(batch).unwrap();
        // Groups of one, two and three batches.
        if index % 6 == 0 || index % 6 == 2 || index % 6 == 5 {
            run.settle();
        }
    }
    run.stop();
    let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
    assert_eq!(reader.mark(), None);
    let mut marks = Vec::new();
    while let Some(last_seq) = reader.next_batch().unwrap().map(|batch| batch.last_seq()) {
        marks.push(reader.mark().unwrap());
        assert_eq!(marks.last().unwrap().seq, last_seq);
    }
    assert_eq!(reader.mark(), marks.last().copied(), "markers do not move the mark");
    assert!(disk.clone().segments().unwrap().len() > 4);
    (disk, batches, marks)
}

fn records_after(disk: &MemStorage, mark: &JournalMark) -> Result<Vec<Vec<u8>>, JournalError> {
    let mut reader = JournalReader::after(disk.clone(), SHARD, mark)?;
    assert_eq!(reader.mark(), Some(*mark));
    let mut records = Vec::new();
    let mut next = mark.seq.next();
    while let Some(batch) = reader.next_batch()? {
        assert_eq!(batch.first_seq, next);
        next = batch.last_seq().next();
        records.extend(batch.records().map(<[u8]>::to_vec));
    }
    Ok(records)
}

#[test]
fn a_mark_is_where_reading_goes_on() {
    let (disk, batches, marks) = long_journal();
    for (index, mark) in marks.iter().enumerate() {
        assert_eq!(mark.time, batches[index].time());
        assert_eq!(
            records_after(&disk, mark).unwrap(),
            records_of(&batches[index + 1..]),
            "after {}",
            mark.seq
        );
    }
}

#[test]
fn only_the_segments_behind_a_mark_are_needed() {
    let (disk, batches, marks) = long_journal();
    let first_seqs: Vec<u64> = {
        let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
        while reader.next_batch().unwrap().is_some() {}
        reader.used.iter().map(|(_, first_seq)| first_seq.raw()).collect()
    };
    for retired in 1..first_seqs.len() as u64 {
        disk.remove(retired);
        let first = first_seqs[retired as usize];
        for (index, mark) in marks.iter().enumerate() {
            let found = records_after(&disk, mark);
            if mark.seq.raw() + 1 < first {
                let text = found.unwrap_err().to_string();
                assert!(text.contains(&format!("left is number {first}")), "{text}");
            } else {
                assert_eq!(found.unwrap(), records_of(&batches[index + 1..]));
            }
        }
        let error = JournalReader::new(disk.clone(), SHARD).unwrap_err();
        let file = format!("segment {}", retired + 1);
        assert_eq!(error, JournalError::Retired { file, first_seq: SeqNum::new(first) });

        let mut oldest = JournalReader::from_oldest(disk.clone(), SHARD).unwrap();
        assert_eq!(oldest.next_batch().unwrap().unwrap().first_seq.raw(), first);
        while oldest.next_batch().unwrap().is_some() {}
        assert_eq!((oldest.mark(), oldest.first_seq()), (marks.last().copied(), Some(SeqNum::new(first))));
    }
}

#[test]
fn a_foreign_mark_is_refused() {
    let (disk, _, marks) = long_journal();
    let mark = marks[30];
    let mut chain = mark.chain;
    chain[31] ^= 1;
    let cases = [
        ("another journal", JournalMark { journal_id: 5, ..mark }, "another name"),
        ("another shard", JournalMark { shard: ShardId::new(9), ..mark }, "made of shard 9"),
        ("another history", JournalMark { chain, ..mark }, "another hash"),
        ("inside a batch", JournalMark { seq: SeqNum::new(mark.seq.raw() - 1), ..mark }, "no batch"),
        ("beyond the end", JournalMark { seq: SeqNum::new(121), ..mark }, "ends with command 120"),
        ("far beyond", JournalMark { seq: SeqNum::new(u64::MAX), ..mark }, "ends with command 120"),
    ];
    for (name, mark, wanted) in cases {
        let error = records_after(&disk, &mark).expect_err(name);
        assert!(matches!(error, JournalError::ForeignMark { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains(wanted), "{name}: {error}");
    }
    let error = records_after(&MemStorage::new(), &mark).unwrap_err();
    assert!(error.to_string().contains("no segment"), "{error}");
    // Damage on the way to the mark is damage.
    disk.flip_bit(4, 2 * BLOCK + 700, 1);
    assert!(matches!(records_after(&disk, &marks[59]), Ok(records) if records.is_empty()));
    let in_fourth =
        marks.iter().rfind(|mark| records_after(&disk, mark).is_err()).expect("some need segment 4");
    assert!(
        matches!(records_after(&disk, in_fourth), Err(JournalError::Corrupt { file, .. }) if file == "segment 4")
    );
}

#[test]
fn damage_of_what_a_mark_needs_is_named_by_its_place() {
    let (disk, _, marks) = long_journal();
    let segments = disk.clone().segments().unwrap();
    let used: Vec<u64> = {
        let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
        while reader.next_batch().unwrap().is_some() {}
        reader.used.iter().map(|(segment, _)| *segment).collect()
    };
    for oldest in &used {
        // Whatever is retired: the header of the oldest segment that is left.
        let copy = disk.fork();
        segments.iter().filter(|segment| segment.number < *oldest).for_each(|it| copy.remove(it.number));
        copy.flip_bit(*oldest, 30, 3);
        let mut damaged = 0;
        for mark in &marks {
            let Err(error) = records_after(&copy, mark) else { continue };
            let JournalError::Corrupt { file, offset_bytes, .. } = &error else { panic!("{error}") };
            assert_eq!((file.as_str(), *offset_bytes), (format!("segment {oldest}").as_str(), 0));
            damaged += 1;
        }
        assert!(damaged > 0, "no mark needs segment {oldest}");
    }
    assert!(used.len() > 4);
}

#[test]
fn a_torn_group_that_a_mark_knows_of_is_damage() {
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    (1..=3).for_each(|number| run.commit(&batch(number, &[100])));
    drop(run);
    let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
    while reader.next_batch().unwrap().is_some() {}
    let mark = reader.mark().unwrap();
    let last = reader.end_of_group() - BLOCK;
    disk.flip_bit(1, last + 200, 0);
    assert_eq!(read(&disk).unwrap().len(), 2, "nothing else vouches for the last group");
    let error = records_after(&disk, &mark).unwrap_err();
    let JournalError::Corrupt { file, offset_bytes, what, last_good_seq, cut_at_bytes } = &error else {
        panic!("{error}")
    };
    assert_eq!((file.as_str(), *cut_at_bytes, last_good_seq.raw()), ("segment 1", last, 2));
    assert!((last..last + BLOCK).contains(offset_bytes), "{error}");
    assert!(what.contains("a snapshot knows of command 3"), "{error}");
}

#[test]
fn a_torn_segment_is_not_where_the_mark_is() {
    // The power goes while the first group of a segment is written: the mark is at the end of the one before.
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    for number in 1..=7 {
        run.commit(&batch(number, &[100]));
    }
    disk.hold(true);
    run.propose(&batch(8, &[100])).unwrap();
    run.poll();
    drop(run);
    disk.hold(false);
    disk.crash(|sector| sector < 8);
    let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
    while reader.next_batch().unwrap().is_some() {}
    let mark = reader.mark().unwrap();
    assert!(disk.bytes(2)[0] != 0, "the second segment has its header");
    let reader = JournalReader::after(disk.clone(), SHARD, &mark).unwrap();
    assert_eq!((reader.last_seq().raw(), reader.at.segment), (7, 1));
    let damaged = disk.fork();
    damaged.flip_bit(1, 30, 3);
    let error = records_after(&damaged, &mark).unwrap_err();
    let JournalError::Corrupt { file, offset_bytes, .. } = &error else { panic!("{error}") };
    assert_eq!(
        (file.as_str(), *offset_bytes),
        ("segment 1", 0),
        "the second has nothing that could be damaged"
    );
    let journal = LocalJournal::open(reader, config()).unwrap();
    let mut run = Run { journal, now: 1, committed: SeqNum::NONE, faults: Vec::new() };
    run.commit(&batch(8, &[100]));
    assert_eq!(read(&disk).unwrap().len(), 8);
}

/// What a follower handed out.
fn drain(follower: &mut JournalFollower<MemStorage>) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(batch) = follower.next_batch().unwrap() {
        seqs.push(batch.last_seq().raw());
    }
    seqs
}

#[test]
fn a_follower_gets_what_a_later_write_proves() {
    let disk = MemStorage::new();
    let mut follower = JournalFollower::new(disk.clone(), SHARD, None).unwrap();
    assert_eq!(drain(&mut follower), [], "there is no journal yet");
    let mut run = Run::open(&disk);
    let mut expected = Vec::new();
    for number in 1..=40 {
        run.commit(&batch(number, &[1_000, 1_000]));
        let got = drain(&mut follower);
        assert_eq!(got, expected, "batch {number} is durable, but nothing later shows it");
        assert!(drain(&mut follower).is_empty());
        expected = vec![number * 2];
    }
    assert_eq!(follower.last_seq().raw(), 78);
    run.now += 20_000_000;
    run.settle();
    assert_eq!(drain(&mut follower), [80], "the idle marker shows it");
    assert_eq!(follower.newest_digest(), None.or(Some(&digest_of(SeqNum::new(79), &batch(40, &[1, 1])))));
    let mark = follower.mark().unwrap();
    let mut second = JournalFollower::new(disk.clone(), SHARD, Some(&mark)).unwrap();
    assert_eq!(drain(&mut second), []);
    run.commit(&batch(41, &[5]));
    run.stop();
    assert_eq!((drain(&mut follower), drain(&mut second)), (vec![81], vec![81]));
}

#[test]
fn a_follower_waits_while_a_group_is_being_written() {
    // Whatever part of the next group is on the disk, and whether it begins a segment or not.
    for before in [2, 6] {
        for kept in 0..48 {
            let disk = MemStorage::new();
            let mut run = Run::open(&disk);
            (1..=before).for_each(|number| run.commit(&batch(number, &[4000])));
            let mut follower = JournalFollower::new(disk.clone(), SHARD, None).unwrap();
            drain(&mut follower);
            disk.hold(true);
            run.propose(&batch(9, &[4000, 300])).unwrap();
            run.poll();
            disk.crash(|sector| if kept < 24 { sector <= kept } else { sector >= kept - 24 });
            let got = drain(&mut follower);
            assert!(got.is_empty() || got == [before], "{got:?}");
            assert!(follower.last_seq().raw() <= before);
        }
    }
}

#[test]
fn damage_below_the_watermark_stops_a_follower() {
    for bit in (8 * 4096..8 * 4 * 4096).step_by(37) {
        let (disk, batches) = small_journal(true);
        disk.flip_bit(1, bit / 8, (bit % 8) as u8);
        let mut follower = JournalFollower::new(disk.clone(), SHARD, None).unwrap();
        let mut seen = Vec::new();
        let error = loop {
            match follower.next_batch() {
                Ok(Some(batch)) => seen.extend(batch.records().map(<[u8]>::to_vec)),
                Ok(None) => panic!("bit {bit} goes unnoticed"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, JournalError::Corrupt { .. }), "{error:?}");
        assert!(records_of(&batches).starts_with(&seen), "nothing else than what was written");
    }
}

#[test]
fn a_follower_that_was_left_behind_says_so() {
    let (disk, _, marks) = long_journal();
    let mut follower = JournalFollower::new(disk.clone(), SHARD, Some(&marks[0])).unwrap();
    assert_eq!(
        follower.next_batch().unwrap().map(|batch: BatchView<'_>| batch.first_seq),
        Some(marks[0].seq.next())
    );
    (1..=3).for_each(|number| disk.remove(number));
    follower.reader.segments.truncate(1);
    let error = loop {
        match follower.next_batch() {
            Ok(batch) => assert!(batch.is_some(), "it waits for ever"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, JournalError::Retired { .. }), "{error:?}");
}
