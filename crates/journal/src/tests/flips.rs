//! Corruption is found and never applied: every bit of a small journal, and random ones of a large one.

use super::*;

/// What a single flipped bit may do, by where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flip {
    /// Refused, and the message names the segment.
    Refused,
    /// Opened, with the first so many groups.
    Cut(usize),
}

/// Flips every bit of the segment's eight blocks, one at a time; of blank blocks one bit in each byte.
fn flip_all(disk: &MemStorage, batches: &[Batch], expected: impl Fn(u64) -> Flip) {
    let bytes = disk.bytes(1);
    let mut flips = 0;
    for offset in 0..8 * BLOCK {
        let block = offset / BLOCK;
        let want = expected(block);
        let blank = bytes[(block * BLOCK) as usize..][..BLOCK as usize].iter().all(|byte| *byte == 0);
        for bit in if blank { offset % 8..offset % 8 + 1 } else { 0..8 } {
            disk.flip_bit(1, offset, bit as u8);
            flips += 1;
            let got = read(disk);
            match (want, &got) {
                (Flip::Refused, Err(JournalError::Corrupt { file, offset_bytes, cut_at_bytes, .. })) => {
                    assert_eq!(file, "segment 1");
                    assert!(*cut_at_bytes <= offset && *offset_bytes < (block + 1) * BLOCK, "byte {offset}");
                }
                (Flip::Cut(groups), Ok(records)) => {
                    assert_eq!(*records, records_of(&batches[..groups]), "byte {offset} bit {bit}");
                }
                _ => panic!("byte {offset} bit {bit}: wanted {want:?}, got {got:?}"),
            }
            disk.flip_bit(1, offset, bit as u8);
        }
    }
    assert_eq!(read(disk).unwrap(), records_of(batches), "the flips were undone");
    report(&format!("{flips} single flips in a small journal: each refused or cut as it must be"));
}

#[test]
fn every_flip_below_the_watermark_is_refused() {
    // Blocks: 0 segment header, 1 first group, 2-3 second, 4 third, 5 marker, 6-7 never written.
    let (disk, batches) = small_journal(true);
    flip_all(&disk, &batches, |block| match block {
        0..=4 => Flip::Refused,
        // The marker has no commands, and behind it nothing was ever written.
        _ => Flip::Cut(3),
    });
}

#[test]
fn a_flip_in_a_tail_without_a_witness_cuts_it() {
    let (disk, batches) = small_journal(false);
    flip_all(&disk, &batches, |block| match block {
        0..=3 => Flip::Refused,
        4 => Flip::Cut(2),
        _ => Flip::Cut(3),
    });
}

#[test]
fn a_flip_in_the_unused_end_of_a_full_segment_is_refused() {
    // Blocks: 0 segment header, 1-4 groups; the fifth group of four blocks has no place in 5-7.
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    (1..=4).for_each(|number| run.commit(&batch(number, &[100])));
    run.commit(&batch(5, &[13_000]));
    run.stop();
    for block in 5..8 {
        disk.flip_bit(1, block * BLOCK + 77, 2);
        match read(&disk) {
            Err(JournalError::Corrupt { file, offset_bytes, .. }) => {
                assert_eq!((file.as_str(), offset_bytes), ("segment 1", block * BLOCK));
            }
            other => panic!("block {block}: {other:?}"),
        }
        disk.flip_bit(1, block * BLOCK + 77, 2);
    }
    assert_eq!(read(&disk).unwrap().len(), 5);
}

/// A journal of many segments with groups of all sizes, cleanly stopped, and its batches.
fn large_journal() -> (MemStorage, Vec<Batch>) {
    let disk = MemStorage::new();
    let mut random = Xoshiro256pp::from_seed(1);
    let mut run = Run::open(&disk);
    let mut batches = Vec::new();
    for number in 0..300 {
        let sizes: Vec<usize> = (0..random.between(1, 30)).map(|_| random.between(1, 200) as usize).collect();
        let batch = batch(number, &sizes);
        while run.propose(&batch).is_err() {
            run.poll();
        }
        batches.push(batch);
        if random.chance(2, 3) {
            run.settle();
        }
    }
    run.settle();
    run.stop();
    (disk, batches)
}

#[test]
fn random_flips_in_a_large_journal_are_found() {
    let flips = runs("JOULEBOOK_JOURNAL_FLIPS", 1_000);
    let (disk, batches) = large_journal();
    let all = records_of(&batches);
    let segments = disk.clone().segments().unwrap();
    assert!(segments.len() > 30, "{}", segments.len());
    // The last segment that is in use ends with the marker; behind it nothing was ever written.
    let last = segments
        .iter()
        .rev()
        .find(|segment| disk.bytes(segment.number)[0] != 0)
        .expect("it is in use")
        .number;
    let blocks = |number| {
        disk.bytes(number).chunks(BLOCK as usize).filter(|block| block.iter().any(|b| *b != 0)).count()
    };
    let marker = (blocks(last) as u64 - 1) * BLOCK;
    let mut random = Xoshiro256pp::from_seed(runs("JOULEBOOK_SEED", 2));
    let (mut refused, mut cut) = (0_u64, 0_u64);
    for _ in 0..flips {
        let segment = random.pick(&segments).number;
        let offset = random.below(MIN_SEGMENT_BYTES);
        let bit = random.below(8) as u8;
        disk.flip_bit(segment, offset, bit);
        let covered = segment < last || segment == last && offset < marker;
        match read(&disk) {
            Err(JournalError::Corrupt { file, offset_bytes, last_good_seq, .. }) => {
                assert!(covered, "segment {segment}, byte {offset} was never acknowledged");
                assert_eq!(file, format!("segment {segment}"));
                assert!(offset_bytes <= offset + BLOCK, "byte {offset} is said to be at {offset_bytes}");
                assert!(last_good_seq.raw() <= all.len() as u64);
                refused += 1;
            }
            Ok(records) => {
                assert!(!covered, "segment {segment}, byte {offset}, bit {bit} goes unnoticed");
                assert_eq!(records, all, "what was acknowledged is not cut");
                cut += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        disk.flip_bit(segment, offset, bit);
    }
    assert_eq!(read(&disk).unwrap(), all, "the flips were undone");
    report(&format!(
        "{flips} random flips in {} segments: {refused} refused, {cut} in space without commands",
        segments.len()
    ));
}
