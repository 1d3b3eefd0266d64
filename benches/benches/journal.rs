//! The journal against a bare program that writes and syncs as many bytes in as many groups on the same disk.
//!
//! `cargo bench -p joulebook-benches --bench journal [-- --dir DIR]`; the disk of DIR decides. Both write into files of
//! zeros that were made before the clock started, and have what they write in memory by then: the journal its batches,
//! the bare program its groups. Rounds of both alternate, and each ratio is the median of the rounds' ratios, so what
//! else the machine does meets both.
//!
//! The promise is the throughput with the pipeline full: one group with the disk and the next one filling, by a core that
//! has always more to propose and so never sleeps. The other rows say where the time of a single group goes: with a core
//! that looks until the group is durable, and with one that sleeps meanwhile and has to be woken.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam::sync::Parker;
use joulebook_benches::{Arguments, Percentiles, Verdict, load_average};
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
const ROUNDS: usize = 16;
const BLOCK: usize = 4 << 10;
/// A file is so many times as long as what is written to it, so that no other is made meanwhile.
const UNUSED: usize = 9;
const SIZES: [Size; 3] = [
    Size { name: "4 KiB", bytes: 4 << 10, groups: 200 },
    Size { name: "64 KiB", bytes: 64 << 10, groups: 60 },
    Size { name: "1 MiB", bytes: 1 << 20, groups: 8 },
];
/// The promise, within a tenth of the bare program: so much of its throughput at least, or so many times its time at most.
const GOAL: f64 = 0.9;
const AT_MOST: f64 = 1.11;

/// Groups of one size; so many make one measurement of a round.
struct Size {
    name: &'static str,
    bytes: usize,
    groups: usize,
}

/// How the core spends the time until a group is durable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// It looks again and again, as one does that has other work between two looks.
    Awake,
    /// It sleeps until the journal thread wakes it.
    Asleep,
}

fn main() {
    let dir = Arguments::read(&["--dir"]).folder("--dir");
    let load = load_average();
    println!("| groups | one in flight: bare p50, p99 us | journal, core awake | journal, core asleep |");
    println!("|---|---|---|---|");
    let mut full = Vec::new();
    for size in &SIZES {
        let scratch = tempfile::tempdir_in(&dir).expect("a folder for files");
        full.push((size, compare(size, scratch.path()).expect("a disk that works")));
    }
    println!();
    println!("| groups | pipeline full: bare MB/s | journal MB/s | journal / bare | at least |");
    println!("|---|---|---|---|---|");
    for (size, Full { bare, journal, ratio }) in &full {
        println!("| {} | {bare:.0} | {journal:.0} | **{ratio:.2}** | {GOAL} |", size.name);
    }
    println!();
    for (size, Full { ratio, .. }) in &full {
        // How much longer than the bare program: its throughput divided by the journal's.
        let promise = &format!("bare / journal, pipeline full, groups of {}", size.name);
        println!("{}", Verdict { promise, measured: 1.0 / ratio, at_most: AT_MOST, load });
    }
}

/// Medians of the rounds.
struct Full {
    bare: f64,
    journal: f64,
    ratio: f64,
}

/// Prints the row of one group in flight, and gives what came of the full pipeline.
fn compare(size: &Size, scratch: &Path) -> io::Result<Full> {
    // A round of the journal writes three times: twice one by one, once back to back.
    let bytes = 3 * ROUNDS * size.groups * size.bytes;
    let mut bare = Bare::new(&scratch.join("bare"), bytes, size.bytes)?;
    let mut journal = Journal::new(&scratch.join("journal"), bytes, size);
    let mut latencies = <[Vec<Duration>; 3]>::default();
    let mut full = <[Vec<f64>; 3]>::default();
    let mb_per_s = |took: Duration| (size.groups * size.bytes) as f64 / 1e6 / took.as_secs_f64();
    for round in 0..ROUNDS {
        let mut speed = [0.0; 2];
        // Who goes first alternates too.
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                latencies[0].extend(bare.one_by_one(size.groups)?);
                speed[0] = mb_per_s(bare.back_to_back(size.groups)?);
            } else {
                latencies[1].extend(journal.one_by_one(size.groups, Waits::Awake));
                latencies[2].extend(journal.one_by_one(size.groups, Waits::Asleep));
                speed[1] = mb_per_s(journal.back_to_back(size.groups));
            }
        }
        let [theirs, ours] = speed;
        full.iter_mut().zip([theirs, ours, ours / theirs]).for_each(|(all, one)| all.push(one));
    }
    journal.check_groups(3 * ROUNDS * size.groups);
    let [bare, awake, asleep] = latencies.map(|mut all| {
        let found = Percentiles::of(&mut all);
        (found.us(50.0), found.us(99.0))
    });
    let against =
        |(p50, p99): (f64, f64)| format!("{p50:.0}, {p99:.0} (x {:.2}, {:.2})", p50 / bare.0, p99 / bare.1);
    println!("| {} | {:.0}, {:.0} | {} | {} |", size.name, bare.0, bare.1, against(awake), against(asleep));
    let [bare, journal, ratio] = full.map(median);
    Ok(Full { bare, journal, ratio })
}

/// Resists a round in which the machine did something else.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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
        journal.one_by_one(1, Waits::Asleep);
        journal
    }

    /// What is proposed: all batches are equal, and those that come back are proposed again.
    fn batch(&mut self) -> Batch {
        self.batches.pop().unwrap_or_else(|| {
            let mut batch = Batch::new();
            batch.clear(NOW);
            (0..self.records).for_each(|_| batch.push(&RECORD));
            batch
        })
    }

    /// As the core does: the batch, and what came of the one before it.
    fn propose(&mut self, batch: Batch) {
        self.proposed += u64::from(batch.count());
        assert!(self.log.propose(TERM, batch).is_ok(), "no more than two groups are under way");
        self.digest.seq = SeqNum::new(self.proposed);
        self.log.attest(&self.digest);
    }

    /// Polls until everything up to `seq` is durable.
    fn await_commit(&mut self, seq: u64, waits: Waits) {
        loop {
            self.poll();
            if seq <= self.log.durable_seq().raw() {
                return;
            }
            match waits {
                // A busy core gives way to what the kernel has to do for the disk, as long as it takes.
                Waits::Awake => std::thread::yield_now(),
                Waits::Asleep => self.parker.park(),
            }
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

    fn one_by_one(&mut self, groups: usize, waits: Waits) -> Vec<Duration> {
        let mut latencies = Vec::with_capacity(groups);
        for _ in 0..groups {
            let batch = self.batch();
            let started = Instant::now();
            self.propose(batch);
            self.await_commit(self.proposed, waits);
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
                self.await_commit(self.log.durable_seq().raw() + 1, Waits::Awake);
            }
            self.propose(batch);
            self.poll();
        }
        self.await_commit(self.proposed, Waits::Awake);
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
