//! The format on disk, and those before it.

use super::*;

/// Journals as they were first written, with what they hold: [`small_journal`]. A new version of the format adds a file;
/// none is ever changed.
const GOLDEN_V1: &[u8] = include_bytes!("../../golden/v1.seg");
const GOLDEN_V2: &[u8] = include_bytes!("../../golden/v2.seg");

#[test]
fn the_format_is_what_it_always_was() {
    let bytes = small_journal(true).0.bytes(1);
    let difference = bytes.iter().zip(GOLDEN_V2).position(|(now, golden)| now != golden);
    assert_eq!((difference, bytes.len()), (None, GOLDEN_V2.len()), "first differing byte");
}

#[test]
fn every_format_is_read() {
    for golden in [GOLDEN_V1, GOLDEN_V2] {
        let disk = MemStorage::new();
        disk.set_bytes(1, golden.to_vec());
        assert_eq!(read(&disk).unwrap(), records_of(&small_journal(true).1));
    }
}

#[test]
fn a_journal_of_format_1_goes_on() {
    let disk = MemStorage::new();
    disk.set_bytes(1, GOLDEN_V1.to_vec());
    let mut expected = records_of(&small_journal(true).1);
    let mut run = Run::open(&disk);
    for number in 10..40 {
        let batch = batch(number, &[1_000, 900]);
        run.commit(&batch);
        expected.extend(records_of(&[batch]));
        if number == 10 {
            // Still in the old segment; from here on it goes through the new ones without a restart.
            drop(run);
            run = Run::open(&disk);
        }
    }
    run.stop();
    assert_eq!(read(&disk).unwrap(), expected);
    let version = |segment| disk.bytes(segment)[8];
    assert_eq!(
        (version(1), version(2), version(3)),
        (1, 2, 2),
        "a segment keeps the format that it began with"
    );

    let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
    let mut attested = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        attested.push((batch.segment, batch.digest().is_some()));
    }
    let in_first = attested.iter().filter(|(segment, _)| *segment == 1).count();
    // The group that begins a segment may have been filled when the one before it was still in use.
    assert!(attested[..in_first].iter().all(|(_, has)| !has), "format 1 has no digests: {attested:?}");
    assert!(attested[in_first + 1..].iter().all(|(_, has)| *has), "from then on every batch is attested");
}

#[test]
fn another_format_version_is_named() {
    let (disk, _) = small_journal(true);
    let mut bytes = disk.bytes(1);
    bytes[8..12].copy_from_slice(&7_u32.to_le_bytes());
    seal_header(&mut bytes);
    disk.set_bytes(1, bytes);
    let error = read(&disk).unwrap_err();
    assert_eq!(error, JournalError::Version { file: "segment 1".into(), found: 7, supported: 2 });
    assert!(error.to_string().contains("format 7") && error.to_string().contains("formats up to 2"));
}

#[test]
fn a_segment_of_format_1_has_no_digests() {
    let (disk, _) = small_journal(true);
    let mut bytes = disk.bytes(1);
    bytes[8] = 1;
    seal_header(&mut bytes);
    disk.set_bytes(1, bytes);
    let text = read(&disk).unwrap_err().to_string();
    assert!(text.contains("this segment's format does not have"), "{text}");
}

fn seal_header(bytes: &mut [u8]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..4096]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
}
