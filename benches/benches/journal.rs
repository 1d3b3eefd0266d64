//! The journal against a bare program that writes and syncs the same bytes in the same groups on the same disk.
//!
//! `cargo bench -p joulebook-benches --bench journal [-- --dir DIR]`; the disk of DIR decides. Both write into files of
//! zeros that were made before the clock started. Rounds of both alternate, so what else the machine does meets both.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam::sync::Parker;
use joulebook_benches::{Arguments, Percentiles};
use joulebook_journal::{
    Batch, CommandLog, EventDigest, JournalReader, LocalConfig, LocalJournal, LogEvent, Term,
};
use joulebook_server::recovery::SHARD;
use joulebook_server::storage::FileStorage;
use joulebook_types::{SeqNum, TimeNs};

const TERM: Term = Term::new(1);
/// The clock stands still, so that no marker comes between the groups.
const NOW: TimeNs = TimeNs::new(1);
/// About as long as an order in the journal.
const RECORD: [u8; 96] = [0x5a; 96];
/// Rounds of each program.
const ROUNDS: usize = 12;
const BLOCK: usize = 4 << 10;
/// A file is so many times as long as what is written to it, so that no other is made meanwhile.
const UNUSED: usize = 9;
const SIZES: [Size; 3] = [
    Size { name: "4 KiB", bytes: 4 << 10, groups: 300 },
    Size { name: "64 KiB", bytes: 64 << 10, groups: 100 },
    Size { name: "1 MiB", bytes: 1 << 20, groups: 16 },
];

/// Groups of one size; so many make a round.
struct Size {
    name: &'static str,
    bytes: usize,
    groups: usize,
}

fn main() {
    let dir = Arguments::read(&["--dir"]).folder("--dir");
    println!("one group in flight; us per group from the batch to the answer; MB/s of groups back to back");
    println!("| groups | program | p50 | p99 | MB/s |");
    println!("|---|---|---|---|---|");
    for size in &SIZES {
        let scratch = tempfile::tempdir_in(&dir).expect("a folder for files");
        compare(size, scratch.path()).expect("a disk that works");
    }
}

fn compare(size: &Size, scratch: &Path) -> io::Result<()> {
    let bytes = 2 * ROUNDS * size.groups * size.bytes;
    let mut bare = Bare::new(&scratch.join("bare"), bytes, size.bytes)?;
    let mut journal = Journal::new(&scratch.join("journal"), bytes, size);
    let (mut ours, mut theirs) = (Measured::default(), Measured::default());
    for round in 0..ROUNDS {
        // Who goes first alternates too.
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                ours.add(size, journal.one_by_one(size.groups), journal.back_to_back(size.groups));
            } else {
                theirs.add(size, bare.one_by_one(size.groups)?, bare.back_to_back(size.groups)?);
            }
        }
    }
    journal.check_groups(1 + 2 * ROUNDS * size.groups);
    let (ours, theirs) = (ours.result(), theirs.result());
    let row = |program: &str, (p50, p99, mb): (f64, f64, f64), digits: usize| {
        println!("| {} | {program} | {p50:.digits$} | {p99:.digits$} | {mb:.digits$} |", size.name);
    };
    row("bare", theirs, 0);
    row("journal", ours, 0);
    row("journal / bare", (ours.0 / theirs.0, ours.1 / theirs.1, ours.2 / theirs.2), 2);
    Ok(())
}

#[derive(Default)]
struct Measured {
    latencies: Vec<Duration>,
    /// Of each round: the median resists a round in which the machine did something else.
    mb_per_s: Vec<f64>,
}

impl Measured {
    fn add(&mut self, size: &Size, latencies: Vec<Duration>, back_to_back: Duration) {
        self.latencies.extend(latencies);
        self.mb_per_s.push((size.groups * size.bytes) as f64 / 1e6 / back_to_back.as_secs_f64());
    }

    /// p50 and p99 in microseconds, MB/s.
    fn result(mut self) -> (f64, f64, f64) {
        let latency = Percentiles::of(&mut self.latencies);
        self.mb_per_s.sort_by(f64::total_cmp);
        (latency.us(50.0), latency.us(99.0), self.mb_per_s[self.mb_per_s.len() / 2])
    }
}

/// Writes and syncs, and nothing else.
struct Bare {
    file: File,
    group: Vec<u8>,
    offset: u64,
}

impl Bare {
    fn new(path: &Path, bytes: usize, group_bytes: usize) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).open(path)?;
        let zeros = vec![0; 1 << 20];
        for offset in (0..bytes).step_by(zeros.len()) {
            file.write_all_at(&zeros, offset as u64)?;
        }
        file.sync_all()?;
        Ok(Self { file, group: vec![0x5a; group_bytes], offset: 0 })
    }

    fn append(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.group, self.offset)?;
        self.offset += self.group.len() as u64;
        self.file.sync_data()
    }

    fn one_by_one(&mut self, groups: usize) -> io::Result<Vec<Duration>> {
        let one = |_| {
            let started = Instant::now();
            self.append().map(|()| started.elapsed())
        };
        (0..groups).map(one).collect()
    }

    fn back_to_back(&mut self, groups: usize) -> io::Result<Duration> {
        let started = Instant::now();
        (0..groups).try_for_each(|_| self.append())?;
        Ok(started.elapsed())
    }
}

/// The journal of the daemon: same threads, same files, same steps.
struct Journal {
    log: LocalJournal<FileStorage>,
    parker: Parker,
    segment: PathBuf,
    group_bytes: usize,
    records: usize,
    events: Vec<LogEvent>,
    batches: Vec<Batch>,
    digest: EventDigest,
    proposed: u64,
}

impl Journal {
    fn new(dir: &Path, bytes: usize, size: &Size) -> Self {
        let parker = Parker::new();
        let storage =
            FileStorage::open(dir, std::sync::Arc::new(parker.unparker().clone())).expect("a folder");
        let reader = JournalReader::new(storage, SHARD).expect("an empty journal");
        let config = LocalConfig {
            // All that is measured fits that part of the first file after which the journal makes the next.
            segment_bytes: (UNUSED * bytes + (2 << 20)).next_multiple_of(1 << 20) as u64,
            // A group is one batch.
            group_bytes_max: size.bytes.max(2 * BLOCK),
            ..LocalConfig::new(SHARD, 1)
        };
        let log = LocalJournal::open(reader, config).expect("a journal");
        // Each command takes its record, the header of that, and four bytes of the batch's digest; a group has its own
        // header, and so have batch and digest, for which 256 bytes are enough.
        let records = (size.bytes - 256) / (Batch::record_bytes(RECORD.len()) + 4);
        let mut journal = Self {
            log,
            parker,
            segment: dir.join("journal/00000000000000000001.seg"),
            group_bytes: size.bytes,
            records,
            events: Vec::new(),
            batches: Vec::new(),
            digest: EventDigest { steps: vec![0x5a5a_5a5a; records + 1], ..EventDigest::default() },
            proposed: 0,
        };
        // The file is made when the first batch waits for it, and no other before a part of it is in use.
        journal.one_by_one(1);
        journal
    }

    fn batch(&mut self) -> Batch {
        let mut batch = self.batches.pop().unwrap_or_default();
        batch.clear(NOW);
        (0..self.records).for_each(|_| batch.push(&RECORD));
        batch
    }

    /// As the core does: the batch, and what came of the one before it.
    fn propose(&mut self, batch: Batch) {
        self.proposed += u64::from(batch.count());
        assert!(self.log.propose(TERM, batch).is_ok(), "no more than two groups are under way");
        self.digest.seq = SeqNum::new(self.proposed);
        self.log.attest(&self.digest);
    }

    /// Polls until everything up to `seq` is durable.
    fn await_commit(&mut self, seq: u64) {
        loop {
            self.poll();
            if seq <= self.log.durable_seq().raw() {
                return;
            }
            self.parker.park();
        }
    }

    fn poll(&mut self) {
        self.log.poll(NOW, &mut self.events);
        for event in self.events.drain(..) {
            match event {
                LogEvent::Appended { batch, .. } => self.batches.push(batch),
                LogEvent::Fault(fault) => panic!("{fault}"),
                _ => {}
            }
        }
    }

    fn one_by_one(&mut self, groups: usize) -> Vec<Duration> {
        let mut latencies = Vec::with_capacity(groups);
        for _ in 0..groups {
            let batch = self.batch();
            let started = Instant::now();
            self.propose(batch);
            self.await_commit(self.proposed);
            latencies.push(started.elapsed());
        }
        latencies
    }

    /// One group is with the disk while the next fills, as under load.
    fn back_to_back(&mut self, groups: usize) -> Duration {
        let started = Instant::now();
        let records = self.records as u64;
        for _ in 0..groups {
            let batch = self.batch();
            while 2 * records <= self.proposed - self.log.durable_seq().raw() {
                self.await_commit(self.log.durable_seq().raw() + 1);
            }
            self.propose(batch);
            self.poll();
        }
        self.await_commit(self.proposed);
        started.elapsed()
    }

    /// Looks into the file: groups of the length that the bare program wrote, one after the other.
    fn check_groups(&self, groups: usize) {
        let file = File::open(&self.segment).expect("the first segment");
        let is_group = |offset: usize| {
            let mut magic = [0; 8];
            file.read_exact_at(&mut magic, offset as u64).expect("readable");
            magic == *b"JBKGROUP"
        };
        // The first is shorter: there was no batch before it whose digest it could carry.
        let second = (2 * BLOCK..).step_by(BLOCK).find(|offset| is_group(*offset)).expect("a second group");
        for number in 0..groups - 1 {
            let offset = second + number * self.group_bytes;
            assert!(is_group(offset), "group {number} does not begin at byte {offset}");
            let inside = (BLOCK..self.group_bytes).step_by(BLOCK).any(|further| is_group(offset + further));
            assert!(!inside, "group {number} is shorter than {} bytes", self.group_bytes);
        }
    }
}
