use std::{os::unix::fs::PermissionsExt, time::Duration};

use crossbeam::sync::{Parker, Unparker};
use joulebook_journal::{
    Batch, CommandLog, JournalError, JournalReader, LocalConfig, LocalJournal, LogEvent, LogFault,
    SnapshotId, Term, conformance,
};
use joulebook_types::{ShardId, TimeNs};
use tempfile::TempDir;

use super::*;

const SHARD: ShardId = ShardId::new(1);
const TERM: Term = Term::new(1);

/// A journal on real files, driven as the core drives it: parked until its disk wakes it.
struct Daemon {
    journal: LocalJournal<FileStorage>,
    parker: Parker,
    events: Vec<LogEvent>,
}

impl Daemon {
    fn start(dir: &Path) -> Result<Self, JournalError> {
        let parker = Parker::new();
        let storage = open(dir, parker.unparker()).unwrap();
        let mut config = LocalConfig::new(SHARD, 77);
        config.segment_bytes = 1 << 20;
        let journal = LocalJournal::open(JournalReader::new(storage, SHARD)?, config)?;
        Ok(Self { journal, parker, events: Vec::new() })
    }

    fn poll(&mut self, now: u64) {
        self.journal.poll(TimeNs::new(now), &mut self.events);
        for event in self.events.drain(..) {
            assert!(!matches!(event, LogEvent::Fault(_)), "{event:?}");
        }
    }

    /// Proposes one record and sleeps until it is durable.
    fn commit(&mut self, record: &[u8]) {
        let mut batch = Batch::new();
        batch.push(record);
        self.journal.propose(TERM, batch).unwrap();
        self.poll(1);
        while self.journal.durable_seq() < self.journal.last_seq() {
            self.parker.park();
            self.poll(1);
        }
    }

    fn stop(mut self) {
        self.journal.shutdown();
        self.poll(2);
        while !self.journal.is_stopped() {
            self.parker.park();
            self.poll(2);
        }
    }
}

fn open(dir: &Path, waker: &Unparker) -> Result<FileStorage, OpenError> {
    FileStorage::open(dir, Arc::new(waker.clone()))
}

fn records(dir: &Path) -> Result<Vec<Vec<u8>>, JournalError> {
    let storage = FileStorage::open_read_only(dir).unwrap();
    let mut reader = JournalReader::new(storage, SHARD)?;
    let mut records = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        records.extend(batch.records().map(<[u8]>::to_vec));
    }
    Ok(records)
}

fn segment(dir: &TempDir, number: u64) -> PathBuf {
    segment_path(&dir.path().join("journal"), number)
}

#[test]
fn commits_are_found_again_with_and_without_a_clean_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for life in 0..6_u8 {
        let mut daemon = Daemon::start(dir.path()).unwrap();
        for number in 0..20 {
            // Large enough to cross several segments.
            let record = vec![life * 20 + number; 40_000];
            daemon.commit(&record);
            expected.push(record);
        }
        assert_eq!(records(dir.path()).unwrap(), expected, "life {life}, beside the daemon");
        if life % 2 == 0 {
            daemon.stop();
            assert_eq!(records(dir.path()).unwrap(), expected, "life {life}");
        }
    }
    assert!(segment(&dir, 5).exists(), "several segments were used");
}

#[test]
fn the_local_journal_conforms_on_real_files() {
    let dir = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    let make = || {
        next.set(next.get() + 1);
        let dir = dir.path().join(next.get().to_string());
        Daemon::start(&dir).unwrap().journal
    };
    conformance::check(TERM, make, thread::yield_now);
}

#[test]
fn retired_segments_leave_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path()).unwrap();
    while !segment(&dir, 4).exists() {
        daemon.commit(&[1; 40_000]);
    }
    let durable = daemon.journal.durable_seq();
    daemon.journal.compact(durable, SnapshotId::new(1)).unwrap();
    daemon.poll(1);
    while segment(&dir, 1).exists() {
        daemon.parker.park_timeout(Duration::from_secs(1));
        daemon.poll(1);
    }
    daemon.commit(b"goes on");
    daemon.stop();
    let storage = FileStorage::open_read_only(dir.path()).unwrap();
    let error = JournalReader::new(storage, SHARD).unwrap_err();
    assert!(matches!(error, JournalError::Retired { .. }), "{error}");
    let storage = FileStorage::open_read_only(dir.path()).unwrap();
    let mut reader = JournalReader::from_oldest(storage, SHARD).unwrap();
    while reader.next_batch().unwrap().is_some() {}
    assert_eq!(reader.last_seq(), durable.next());
}

#[test]
fn a_segment_that_is_gone_already_keeps_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path()).unwrap();
    while !segment(&dir, 4).exists() {
        daemon.commit(&[1; 40_000]);
    }
    std::fs::remove_file(segment(&dir, 1)).unwrap();
    let durable = daemon.journal.durable_seq();
    daemon.journal.compact(durable, SnapshotId::new(1)).unwrap();
    daemon.poll(1);
    // Several segments' worth of commits, each of which hears what was removed.
    for _ in 0..100 {
        daemon.commit(&[1; 40_000]);
        daemon.journal.compact(daemon.journal.durable_seq(), SnapshotId::new(1)).unwrap();
    }
    assert!(!segment(&dir, 2).exists());
    daemon.stop();
}

#[test]
fn a_new_segment_leaves_room_for_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let parker = Parker::new();
    let mut storage = open(dir.path(), parker.unparker()).unwrap();
    let prepare = |storage: &mut FileStorage, number, spared: u64| {
        storage.snapshot_room().keep(spared, number);
        storage.prepare_segment(number, 1 << 20);
        loop {
            match storage.poll() {
                Some(Completion::Prepared(segment)) => break Ok(segment.number),
                Some(Completion::PrepareFailed(error)) => break Err(error.kind),
                Some(other) => panic!("{other:?}"),
                None => parker.park(),
            }
        }
    };
    // No disk has so much, and nothing works without the first.
    assert_eq!(prepare(&mut storage, 1, u64::MAX), Ok(1));
    assert_eq!(prepare(&mut storage, 2, u64::MAX), Err(StorageErrorKind::NoSpace));
    assert!(!segment(&dir, 2).exists() && !segment(&dir, 2).with_extension("tmp").exists());
    assert_eq!(prepare(&mut storage, 2, 1), Ok(2));
    storage.snapshot_room().concede();
    assert_eq!(prepare(&mut storage, 3, u64::MAX), Ok(3));
    assert_eq!(prepare(&mut storage, 4, u64::MAX), Err(StorageErrorKind::NoSpace), "that was for one");
}

#[test]
fn a_second_daemon_is_told_who_has_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let parker = Parker::new();
    let first = open(dir.path(), parker.unparker()).unwrap();
    let error = open(dir.path(), parker.unparker()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }));
    let text = error.to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    drop(first);
    open(dir.path(), parker.unparker()).unwrap();
}

#[test]
fn a_folder_of_another_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    Daemon::start(dir.path()).unwrap().commit(b"order");
    let version = dir.path().join("VERSION");
    for (text, found) in [("joulebook data 2\n", "2"), ("", ""), ("\u{0}\u{1}", "\u{0}\u{1}")] {
        std::fs::write(&version, text).unwrap();
        let error = open(dir.path(), Parker::new().unparker()).unwrap_err();
        assert!(matches!(&error, OpenError::Version { found: is, .. } if is == found), "{error:?}");
        assert!(error.to_string().contains("uses version 1"));
    }
    std::fs::remove_file(&version).unwrap();
    for opened in [open(dir.path(), Parker::new().unparker()), FileStorage::open_read_only(dir.path())] {
        assert!(matches!(opened.unwrap_err(), OpenError::NoVersion { .. }));
    }
    std::fs::write(&version, "joulebook data 1\n").unwrap();
    assert_eq!(records(dir.path()).unwrap(), [b"order"]);
}

#[test]
fn a_flipped_bit_is_refused_with_the_path_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path()).unwrap();
    daemon.commit(b"first");
    daemon.commit(b"second");
    daemon.stop();
    let path = segment(&dir, 1);
    let mut bytes = std::fs::read(&path).unwrap();
    // Within the first group's record: behind the headers of group, batch and record.
    bytes[4096 + 56 + 88 + 8] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let Err(error) = Daemon::start(dir.path()) else { panic!("opened a damaged journal") };
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()) && text.contains("byte 4"), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was changed");
}

#[test]
fn files_are_private_written_out_and_leftovers_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/b");
    Daemon::start(&data).unwrap().commit(b"order");
    let journal = data.join("journal");
    let first = segment_path(&journal, 1);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&journal)), (0o700, 0o700));
    for file in [&data.join("VERSION"), &data.join("LOCK"), &first] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&first).unwrap());
    assert!(blocks * 512 >= 1 << 20, "the segment is written, not a hole");

    std::fs::write(journal.join("00000000000000000002.tmp"), b"half a segment").unwrap();
    std::fs::write(journal.join("2.seg"), b"a copy that someone made").unwrap();
    assert_eq!(records(&data).unwrap(), [b"order"]);
}

#[test]
fn what_the_kernel_took_and_the_disk_did_not_is_never_committed() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path()).unwrap();
    drop(daemon);
    let (folder, zeros) = (dir.path().join("journal"), vec![0; 1 << 20]);
    std::fs::write(segment(&dir, 1), zeros).unwrap();
    let mut daemon = Daemon::start(dir.path()).unwrap();
    // A device that takes every byte and refuses to sync.
    std::fs::remove_file(segment(&dir, 1)).unwrap();
    std::os::unix::fs::symlink("/dev/null", segment_path(&folder, 1)).unwrap();
    let mut batch = Batch::new();
    batch.push(b"lost");
    daemon.journal.propose(TERM, batch).unwrap();
    let mut events = Vec::new();
    while !events.iter().any(|event| matches!(event, LogEvent::Fault(_) | LogEvent::Committed { .. })) {
        daemon.journal.poll(TimeNs::new(1), &mut events);
        daemon.parker.park_timeout(Duration::from_secs(1));
    }
    let Some(LogEvent::Fault(LogFault::Storage(error))) = events.last() else { panic!("{events:?}") };
    assert!(error.to_string().contains("cannot sync"), "{error}");
    assert_eq!(daemon.journal.durable_seq().raw(), 0);
}

#[test]
fn the_end_is_read_around_the_page_cache_by_who_goes_on_and_by_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path()).unwrap();
    daemon.commit(b"order");
    drop(daemon);
    let path = segment(&dir, 1);
    let Some(_) = DirectFile::open(&path).unwrap() else { return };
    let mut beside = FileStorage::open_read_only(dir.path()).unwrap();
    beside.forget_memory(1).unwrap();
    assert!(beside.direct.is_empty(), "what a daemon is writing is left alone");

    let mut storage = open(dir.path(), Parker::new().unparker()).unwrap();
    storage.forget_memory(1).unwrap();
    let mut block = [0; 4096];
    storage.read_at(1, 4096, &mut block).unwrap();
    assert_eq!(block, std::fs::read(&path).unwrap()[4096..8192]);
    // What such a file shows is what is believed.
    let other = dir.path().join("other");
    std::fs::write(&other, [7; 8192]).unwrap();
    assert_eq!(storage.direct[0].0, 1);
    storage.direct[0].1 = DirectFile::open(&other).unwrap().unwrap();
    storage.read_at(1, 4096, &mut block).unwrap();
    assert_eq!(block, [7; 4096]);

    // Nobody reads any more once the first group is written.
    drop(storage);
    let mut daemon = Daemon::start(dir.path()).unwrap();
    daemon.commit(b"another");
    assert_eq!(records(dir.path()).unwrap(), [&b"order"[..], b"another"]);
}

#[test]
fn a_disk_that_refuses_is_reported_once_and_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(dir.path()).unwrap();
    daemon.commit(b"order");
    drop(daemon);
    let mut daemon = Daemon::start(dir.path()).unwrap();
    // The journal thread opens the segment with its first group, and cannot.
    std::fs::rename(segment(&dir, 1), dir.path().join("gone")).unwrap();
    let mut batch = Batch::new();
    batch.push(b"lost");
    daemon.journal.propose(TERM, batch.clone()).unwrap();
    let mut events = Vec::new();
    while !events.iter().any(|event| matches!(event, LogEvent::Fault(_))) {
        daemon.journal.poll(TimeNs::new(1), &mut events);
        daemon.parker.park_timeout(Duration::from_secs(1));
    }
    let Some(LogEvent::Fault(LogFault::Storage(error))) = events.last() else { panic!("{events:?}") };
    assert!(error.to_string().contains("00000000000000000001.seg"), "{error}");
    assert!(!events.iter().any(|event| matches!(event, LogEvent::Committed { .. })));
    assert!(daemon.journal.propose(TERM, batch).is_err());
    daemon.journal.shutdown();
    assert!(daemon.journal.is_stopped());
}
