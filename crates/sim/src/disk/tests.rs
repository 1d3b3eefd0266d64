use joulebook_journal::{Batch, CommandLog, EventDigest, JournalReader, LocalConfig, LocalJournal, LogEvent};
use joulebook_types::{SeqNum, TimeNs};

use super::*;
use crate::exchange::{SHARD, TERM};
use crate::scan::Scanner;

const PROFILE: DiskProfile =
    DiskProfile { sync_ns: (100_000, 200_000), stalls_ppm: 0, sync_errors_ppm: 0, snapshot_errors_ppm: 0 };

fn config() -> LocalConfig {
    LocalConfig { segment_bytes: 64 << 10, group_bytes_max: 16 << 10, ..LocalConfig::new(SHARD, 7) }
}

fn open(disk: &SimDisk) -> LocalJournal<SimDisk> {
    LocalJournal::open(JournalReader::new(disk.clone(), SHARD).unwrap(), config()).unwrap()
}

/// Time goes on by `ns`, and the journal looks every microsecond hundred.
fn run(scene: &Scene, journal: &mut LocalJournal<SimDisk>, ns: u64) -> Vec<LogEvent> {
    let (end, mut events) = (scene.now() + ns, Vec::new());
    while scene.now() < end {
        scene.time.advance_to((scene.now() + 50_000).min(end));
        journal.poll(TimeNs::new(scene.now()), &mut events);
    }
    events
}

fn propose(journal: &mut LocalJournal<SimDisk>, number: u8) {
    let mut batch = Batch::new();
    batch.clear(TimeNs::new(u64::from(number)));
    batch.push(&[number; 3_000]);
    journal.propose(TERM, batch).unwrap();
}

fn read(disk: &SimDisk) -> u64 {
    let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
    while reader.next_batch().unwrap().is_some() {}
    reader.last_seq().raw()
}

#[test]
fn what_was_committed_survives_every_crash_and_the_rest_may() {
    let mut found = std::collections::BTreeSet::new();
    // `JOULEBOOK_CRASH_POINTS` says how many; a release does 100,000.
    let wanted = std::env::var("JOULEBOOK_CRASH_POINTS").ok().and_then(|count| count.parse().ok());
    for seed in 0..wanted.unwrap_or(5_000u64) {
        let scene = Scene::default();
        let disk = SimDisk::new(scene.clone(), Dice::new(seed, 3), PROFILE);
        let mut journal = open(&disk);
        propose(&mut journal, 1);
        let events = run(&scene, &mut journal, 2_000_000);
        assert!(events.iter().any(|event| matches!(event, LogEvent::Committed { .. })));
        propose(&mut journal, 2);
        run(&scene, &mut journal, 10_000 + seed % 300 * 1_000);
        drop(journal);
        disk.crash(if seed % 2 == 0 { Crash::PowerLoss } else { Crash::Kill });
        let last = read(&disk);
        assert!(last >= 1, "seed {seed}");
        found.insert(last);
        // What recovery took over is durable from then on.
        drop(open(&disk));
        disk.crash(Crash::PowerLoss);
        assert_eq!(read(&disk), last, "seed {seed}");
    }
    assert_eq!(found.len(), 2, "the second came at times, and at times not");
}

#[test]
fn the_scanner_sees_what_a_reader_sees() {
    let scene = Scene::default();
    let disk = SimDisk::new(scene.clone(), Dice::new(1, 3), PROFILE);
    let (mut journal, mut scanner, mut seen) = (open(&disk), Scanner::default(), 0);
    for number in 0..60 {
        propose(&mut journal, number);
        run(&scene, &mut journal, if number % 7 == 0 { 20_000_000 } else { 500_000 });
        for batch in scanner.next(&disk) {
            assert_eq!((batch.first_seq.raw(), batch.time.raw()), (seen + 1, seen));
            assert_eq!(batch.records, [vec![seen as u8; 3_000]]);
            seen += 1;
        }
    }
    run(&scene, &mut journal, 2_000_000);
    seen += scanner.next(&disk).len() as u64;
    assert_eq!((seen, read(&disk)), (60, 60));
    assert!(disk.durable_segments().len() >= 4, "segments were crossed");
}

#[test]
fn the_scanner_passes_over_what_a_reader_cuts() {
    let mut cut = [0; 2];
    for seed in 0..200 {
        let scene = Scene::default();
        let disk = SimDisk::new(scene.clone(), Dice::new(seed, 3), PROFILE);
        let (mut journal, mut scanner) = (open(&disk), Scanner::default());
        propose(&mut journal, 1);
        run(&scene, &mut journal, 2_000_000);
        // Longer than a sector, in a marker or in the next batch, whose own words may have come where it did not.
        journal.attest(&EventDigest { seq: SeqNum::new(1), chain: [7, 9], steps: vec![1; 400] });
        let in_marker = seed % 2 == 0;
        if !in_marker {
            propose(&mut journal, 2);
        }
        while !disk.is_writing() {
            run(&scene, &mut journal, 50_000);
        }
        run(&scene, &mut journal, 10_000);
        drop(journal);
        disk.crash(Crash::PowerLoss);
        let mut seen = scanner.next(&disk).len() as u64;
        assert_eq!(seen, read(&disk), "seed {seed}");

        let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
        while reader.next_batch().unwrap().is_some() {}
        cut[usize::from(in_marker)] += u64::from(reader.tail().unwrap().torn.is_some());
        let mut journal = LocalJournal::open(reader, config()).unwrap();
        propose(&mut journal, 3);
        run(&scene, &mut journal, 2_000_000);
        seen += scanner.next(&disk).len() as u64;
        assert_eq!(seen, read(&disk), "seed {seed}: what takes the place of a cut group is seen");
    }
    assert!(cut.iter().all(|torn| (30..100).contains(torn)), "{cut:?} were torn");
}

#[test]
fn a_sync_that_fails_is_the_last() {
    let scene = Scene::default();
    let profile = DiskProfile { sync_errors_ppm: 1_000_000, ..PROFILE };
    let disk = SimDisk::new(scene.clone(), Dice::new(1, 3), profile);
    let mut journal = open(&disk);
    propose(&mut journal, 1);
    let events = run(&scene, &mut journal, 5_000_000);
    assert!(matches!(events[..], [LogEvent::Appended { .. }, LogEvent::Fault(_)]), "{events:?}");
    drop(journal);
    disk.crash(Crash::PowerLoss);
    disk.set_profile(PROFILE);
    drop(open(&disk));
}

#[test]
fn what_the_disk_did_not_take_memory_shows_until_it_is_made_to_forget() {
    let mut came = 0;
    for seed in 0..200 {
        let scene = Scene::default();
        let disk = SimDisk::new(scene.clone(), Dice::new(seed, 3), PROFILE);
        let mut journal = open(&disk);
        propose(&mut journal, 1);
        run(&scene, &mut journal, 2_000_000);
        disk.set_profile(DiskProfile { sync_errors_ppm: 1_000_000, ..PROFILE });
        let mut batch = Batch::new();
        batch.clear(TimeNs::new(2));
        batch.push(&[2; 300]);
        journal.propose(TERM, batch).unwrap();
        run(&scene, &mut journal, 2_000_000);
        drop(journal);
        disk.crash(Crash::Kill);
        disk.set_profile(PROFILE);

        let mut group = [0; 4_096];
        disk.clone().read_at(1, 2 * 4_096, &mut group).unwrap();
        assert!(group[..8].iter().any(|byte| *byte != 0), "memory has all of it");
        let durable = disk.fork();
        let journal = open(&disk);
        assert_eq!(journal.last_seq().raw(), read(&durable), "seed {seed}");
        came += journal.last_seq().raw() - 1;
        drop(journal);
        disk.crash(Crash::PowerLoss);
        assert_eq!(read(&disk), read(&durable), "seed {seed}");
    }
    assert!((20..180).contains(&came), "the disk had taken {came} of 200 groups although it said otherwise");
}

#[test]
fn a_full_disk_makes_no_segment_and_a_dying_process_no_call() {
    let scene = Scene::default();
    let disk = SimDisk::new(scene.clone(), Dice::new(1, 3), PROFILE);
    disk.limit_space(Some(64 << 10));
    let mut journal = open(&disk);
    for number in 0..40 {
        propose(&mut journal, number);
        run(&scene, &mut journal, 1_000_000);
        if journal.is_short_of_space() {
            break;
        }
    }
    assert!(journal.is_short_of_space());
    disk.limit_space(None);
    run(&scene, &mut journal, 3_000_000_000);
    assert!(!journal.is_short_of_space());
    drop(journal);
    disk.crash(Crash::Kill);
    disk.fail_after(3);
    let mut reader = JournalReader::new(disk.clone(), SHARD);
    assert!(
        reader.as_mut().is_err() || reader.unwrap().next_batch().is_err() || disk.clone().segments().is_err()
    );
    disk.crash(Crash::Kill);
    read(&disk);
}

#[test]
fn a_fork_is_a_disk_of_its_own() {
    let scene = Scene::default();
    let disk = SimDisk::new(scene.clone(), Dice::new(1, 3), PROFILE);
    let mut journal = open(&disk);
    propose(&mut journal, 1);
    run(&scene, &mut journal, 20_000_000);
    let fork = disk.fork();
    fork.flip_bit(1, 4_096 + 100, 3);
    assert!(JournalReader::new(fork, SHARD).unwrap().next_batch().is_err());
    assert_eq!(read(&disk), 1);
}
