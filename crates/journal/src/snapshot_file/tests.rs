use proptest::prelude::*;

use super::*;
use crate::StorageErrorKind;
use crate::testing::MemSnapshots;

const GOLDEN: &[u8] = include_bytes!("../../golden/snapshot-v1.snap");

fn header() -> SnapshotHeader {
    SnapshotHeader {
        mark: JournalMark {
            journal_id: 0x1234_5678_9ABC_DEF0,
            shard: ShardId::new(3),
            term: Term::new(1),
            seq: SeqNum::new(1_000_000),
            time: TimeNs::new(1_700_000_000_000_000_000),
            chain: [0xC4; 32],
        },
        events: [7, 8],
        state_hash: core::array::from_fn(|at| at as u8 + 1),
        state_version: 5,
        unattested: false,
    }
}

/// Bytes in which a piece taken for another would show.
fn body(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 251) as u8 ^ at as u8).collect()
}

/// The file of a snapshot, whose body came in pieces of `step` bytes.
fn file(header: &SnapshotHeader, body: &[u8], step: usize) -> Vec<u8> {
    let shelf = MemSnapshots::new();
    let mut writer = SnapshotWriter::begin(shelf.clone(), header).unwrap();
    body.chunks(step).for_each(|piece| writer.write(piece));
    let name = writer.finish().unwrap();
    assert_eq!(name, header.name());
    assert!(!shelf.is_writing());
    shelf.bytes(name)
}

/// `block` with the checksum that its content asks for.
fn reseal(file: &mut [u8], block: usize) {
    let crc = header_crc(&file[..BLOCK_BYTES]);
    let block = &mut file[block * BLOCK_BYTES..][..BLOCK_BYTES];
    let crc = block_crc(crc, block);
    block[..4].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn what_is_written_is_read_whatever_its_length() {
    for bytes in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 4096, 3 * PIECE_BYTES, 1_500_000] {
        let body = body(bytes);
        for step in [7, PIECE_BYTES, 1 << 20] {
            let file = file(&header(), &body, step);
            assert_eq!(file.len(), (2 + bytes.div_ceil(PIECE_BYTES)) * BLOCK_BYTES);
            assert!(read_snapshot(&file) == Ok((header(), body.clone())), "{bytes} bytes by {step}");
        }
    }
}

#[test]
fn the_format_is_what_it_always_was() {
    let now = file(&header(), &body(5_000), 100);
    let difference = now.iter().zip(GOLDEN).position(|(now, golden)| now != golden);
    assert_eq!((difference, now.len()), (None, GOLDEN.len()), "first differing byte");
    assert!(read_snapshot(GOLDEN) == Ok((header(), body(5_000))));
    assert_eq!((size_of::<RawHeader>(), size_of::<BlockHeader>(), size_of::<End>()), (136, 16, 40));
}

#[test]
fn every_flipped_bit_is_found_and_its_block_named() {
    let file = file(&header(), &body(4096), 4096);
    assert_eq!(file.len(), 4 * BLOCK_BYTES);
    let mut damaged = file.clone();
    for bit in 0..file.len() * 8 {
        damaged[bit / 8] ^= 1 << (bit % 8);
        let damage = read_snapshot(&damaged).expect_err("a flipped bit");
        assert_eq!(damage.offset_bytes as usize / BLOCK_BYTES, bit / 8 / BLOCK_BYTES, "bit {bit}: {damage}");
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(damaged == file);
}

/// `JOULEBOOK_FLIPS` says how many; a release tries 10,000.
#[test]
fn random_flips_of_a_large_one_are_found() {
    let flips = std::env::var("JOULEBOOK_FLIPS").map_or(1_000, |flips| flips.parse().expect("a number"));
    let mut file = file(&header(), &body(256 << 10), 60_000);
    let mut random = 0x5eed_u64;
    for flip in 0..flips {
        // Steps of a full-period generator: which bits does not matter, that they differ does.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = (random >> 16) as usize % (file.len() * 8);
        file[bit / 8] ^= 1 << (bit % 8);
        let damage = read_snapshot(&file).expect_err("a flipped bit");
        assert_eq!(
            damage.offset_bytes as usize / BLOCK_BYTES,
            bit / 8 / BLOCK_BYTES,
            "flip {flip}: {damage}"
        );
        file[bit / 8] ^= 1 << (bit % 8);
    }
    println!("{flips} flips in {} KiB", file.len() >> 10);
}

#[test]
fn every_other_length_is_refused_where_it_shows() {
    let whole = file(&header(), &body(9_000), 9_000);
    for length in 0..whole.len() {
        let damage = read_snapshot(&whole[..length]).expect_err("a part");
        assert_eq!(damage.offset_bytes as usize, length, "{damage}");
    }
    for more in [1, 100, BLOCK_BYTES - 1, BLOCK_BYTES, 3 * BLOCK_BYTES] {
        for what in [0, 0xA5] {
            let longer = [whole.as_slice(), &vec![what; more]].concat();
            let damage = read_snapshot(&longer).expect_err("more than a snapshot");
            assert_eq!(damage.offset_bytes as usize, whole.len(), "{more} more: {damage}");
        }
    }
}

#[test]
fn another_kind_of_file_and_another_version_are_told_apart() {
    let whole = file(&header(), &body(100), 100);
    let mut other = whole.clone();
    other[..8].copy_from_slice(b"JBKSEGMT");
    let damage = read_snapshot(&other).unwrap_err();
    assert_eq!((damage.offset_bytes, damage.what.contains("no snapshot")), (0, true), "{damage}");

    let mut newer = whole;
    newer[8] = 2;
    assert!(read_snapshot(&newer).unwrap_err().what.contains("checksum"), "a flip is no version");
    let crc = header_crc(&newer[..BLOCK_BYTES]);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    let damage = read_snapshot(&newer).unwrap_err();
    assert_eq!(damage.to_string(), "byte 8: this is snapshot format 2, and this program reads 1");
}

/// A file whose every checksum is right, and which is wrong all the same: no disk does that, but a person may.
#[test]
fn blocks_that_were_moved_or_made_up_are_refused() {
    let whole = file(&header(), &body(3 * PIECE_BYTES + 10), 1 << 20);
    let block = |number: usize| number * BLOCK_BYTES..(number + 1) * BLOCK_BYTES;
    let refusal = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = whole.clone();
        change(&mut changed);
        read_snapshot(&changed).expect_err("changed")
    };

    let later = SnapshotHeader { events: [7, 9], ..header() };
    let foreign = file(&later, &body(3 * PIECE_BYTES + 10), 1 << 20);
    let damage = refusal(&|file| file[block(2)].copy_from_slice(&foreign[block(2)]));
    assert_eq!((damage.offset_bytes, damage.what.contains("checksum")), (2 * 4096, true), "{damage}");

    let damage = refusal(&|file| file.copy_within(block(2), BLOCK_BYTES));
    assert_eq!((damage.offset_bytes, damage.what.contains("out of place")), (4096, true), "{damage}");
    let damage = refusal(&|file| drop(file.drain(block(3))));
    assert_eq!((damage.offset_bytes, damage.what.contains("out of place")), (3 * 4096, true), "{damage}");

    // A byte of the body, and its block made right again: the hash over all of it tells.
    let damage = refusal(&|file| {
        file[2 * BLOCK_BYTES + 500] ^= 1;
        reseal(file, 2);
    });
    assert_eq!((damage.offset_bytes, damage.what.contains("hash")), (5 * 4096, true), "{damage}");
    for length in [PIECE_BYTES as u32 - 1, PIECE_BYTES as u32 + 1, u32::MAX] {
        let damage = refusal(&|file| {
            file[2 * BLOCK_BYTES + 4..][..4].copy_from_slice(&length.to_le_bytes());
            reseal(file, 2);
        });
        assert!(matches!(damage.offset_bytes / 4096, 2 | 3), "{damage}");
    }
    let damage = refusal(&|file| {
        file[5 * BLOCK_BYTES + 16] ^= 1;
        reseal(file, 5);
    });
    assert_eq!((damage.offset_bytes, damage.what.contains("length")), (5 * 4096, true), "{damage}");
}

#[test]
fn damage_of_the_body_is_named_by_its_place_in_the_file() {
    let body = body(3 * PIECE_BYTES);
    let file = file(&header(), &body, 1000);
    for at in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES + 77] {
        let offset = SnapshotDamage::in_body(at, "").offset_bytes as usize;
        assert_eq!(file[offset..][..1], body[at..][..1], "{at}");
    }
}

#[test]
fn a_refusing_disk_leaves_no_snapshot() {
    let body = body(3 << 20);
    let attempt = |shelf: &MemSnapshots| {
        let mut writer = SnapshotWriter::begin(shelf.clone(), &header())?;
        body.chunks(10_000).for_each(|piece| writer.write(piece));
        writer.finish()
    };
    let writes = {
        let shelf = MemSnapshots::new();
        attempt(&shelf).unwrap();
        shelf.writes()
    };
    assert_eq!(writes, 5, "three full steps, a last one, the end");
    for nth in 1..=writes {
        for kind in [StorageErrorKind::Io, StorageErrorKind::NoSpace] {
            let mut shelf = MemSnapshots::new();
            shelf.fail_write(nth, kind);
            assert_eq!(attempt(&shelf).map_err(|error| error.kind), Err(kind), "write {nth}");
            assert_eq!(shelf.writes(), nth, "nothing is written after a refusal");
            assert!(!shelf.is_writing() && shelf.list().unwrap().is_empty());
            assert_eq!(attempt(&shelf), Ok(header().name()), "the next one is not disturbed");
        }
    }
    let shelf = MemSnapshots::new();
    shelf.limit_space(Some(2 << 20));
    assert_eq!(attempt(&shelf).map_err(|error| error.kind), Err(StorageErrorKind::NoSpace));
    shelf.limit_space(None);
    let mut writer = SnapshotWriter::begin(shelf.clone(), &header()).unwrap();
    writer.write(&body);
    drop(writer);
    assert!(!shelf.is_writing(), "an unfinished one is abandoned");
}

#[test]
fn names_sort_as_their_numbers_and_come_back() {
    let name = header().name();
    assert_eq!(name.to_string(), "00000000000001000000-0102030405060708.snap");
    assert_eq!(SnapshotName::parse(&name.to_string()), Some(name));
    let (small, large) = (SeqNum::new(9), SeqNum::new(u64::MAX));
    assert!(SnapshotName { seq: small, ..name } < name && name < SnapshotName { seq: large, ..name });
    for wrong in [
        "",
        "00000000000001000000-0102030405060708",
        "00000000000001000000-0102030405060708.tmp",
        "0000000000001000000-0102030405060708.snap",
        "+0000000000001000000-0102030405060708.snap",
        "00000000000001000000-010203040506070.snap",
        "00000000000001000000-010203040506070A.snap",
        "00000000000001000000-+10203040506070a.snap",
        "99999999999999999999-0102030405060708.snap",
        "a copy of 00000000000001000000-0102030405060708.snap",
    ] {
        assert_eq!(SnapshotName::parse(wrong), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..3 * BLOCK_BYTES), sound in 0..4_usize) {
        // Some of the files begin as a sound one does, so that what is behind the header is looked at too.
        let whole = file(&header(), &body(5_000), 5_000);
        let length = (sound * BLOCK_BYTES).min(bytes.len());
        bytes[..length].copy_from_slice(&whole[..length]);
        if let Ok((found, body)) = read_snapshot(&bytes) {
            prop_assert!(found == header() && body.len() == 5_000);
        }
    }
}

#[test]
fn a_header_says_whether_it_was_compared_and_nothing_unknown() {
    for unattested in [false, true] {
        let header = SnapshotHeader { unattested, ..header() };
        let mut block = header.to_block();
        assert_eq!(SnapshotHeader::from_block(&block), Ok(header));
        // Whole in its checksum, with a flag of a later program.
        block[FLAGS_AT] |= 2;
        let crc = header_crc(&block);
        block[12..16].copy_from_slice(&crc.to_le_bytes());
        let damage = SnapshotHeader::from_block(&block).unwrap_err();
        assert_eq!(damage.offset_bytes, 134);
        assert!(damage.what.contains("flag"), "{damage}");
    }
}
