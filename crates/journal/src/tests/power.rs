//! Power cuts at any moment, and disks that fail: what was acknowledged is there afterwards, and nothing else than what was
//! proposed.

use super::*;
use crate::{JournalMark, SnapshotId, testing::SECTOR_BYTES};

/// A history on one disk, with what a participant was told.
struct History {
    disk: MemStorage,
    run: Run,
    random: Xoshiro256pp,
    /// Batches of this journal from its first on, kept or waiting.
    proposed: Vec<Batch>,
    /// Where a snapshot contains everything before, so that older segments may be gone.
    snapshot: Option<(JournalMark, usize)>,
}

impl History {
    fn new(seed: u64) -> Self {
        let disk = MemStorage::new();
        let run = Run::open(&disk);
        Self { disk, run, random: Xoshiro256pp::from_seed(seed), proposed: Vec::new(), snapshot: None }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..=9 => {
                let sizes: Vec<usize> =
                    (0..self.random.between(1, 4)).map(|_| self.random.between(1, 2_000) as usize).collect();
                let batch = batch(self.proposed.len() as u64, &sizes);
                if self.run.propose(&batch).is_ok() {
                    self.proposed.push(batch);
                }
            }
            10..=14 => self.run.poll(),
            15 => {
                self.run.now += 20_000_000;
                self.run.poll();
            }
            16 | 17 => self.disk.hold(true),
            18 => self.disk.hold(false),
            _ => self.run.settle_if_free(&self.disk),
        }
    }

    /// The power goes, and comes back; perhaps it goes again while the tail is being cut.
    fn crash(&mut self) {
        let committed = self.run.committed;
        self.disk.hold(false);
        let torn = self.random.below(4);
        let random = &mut self.random;
        self.disk.crash(|sector| match torn {
            0 => false,
            1 => sector < 9,
            _ => random.chance(1, 2),
        });
        while self.random.chance(1, 3) {
            self.interrupted_recovery();
        }
        let journal = LocalJournal::open(self.reader(), config()).unwrap();
        self.run = Run::over(journal);
        self.check(committed);
    }

    fn reader(&self) -> JournalReader<MemStorage> {
        match &self.snapshot {
            None => JournalReader::new(self.disk.clone(), SHARD).unwrap(),
            Some((mark, _)) => JournalReader::after(self.disk.clone(), SHARD, mark).unwrap(),
        }
    }

    /// Some sectors of the tail are zeroed when the power goes once more.
    fn interrupted_recovery(&mut self) {
        let mut reader = self.reader();
        while reader.next_batch().unwrap().is_some() {}
        for cut in &reader.tail().expect("it was read to its end").cuts {
            for sector in cut.range.clone().step_by(SECTOR_BYTES) {
                if self.random.chance(1, 2) {
                    let range = sector..sector + SECTOR_BYTES as u64;
                    self.disk.write_zeros(cut.segment, range).unwrap();
                }
            }
        }
    }

    /// What is on the disk is what was proposed, without a gap, at least up to what was committed.
    fn check(&mut self, committed: SeqNum) {
        let mut reader = self.reader();
        let mut kept = self.snapshot.as_ref().map_or(0, |(_, kept)| *kept);
        let mut marks = Vec::new();
        while let Some(found) = reader.next_batch().unwrap() {
            let proposed = self.proposed.get(kept).expect("nothing is there that was not proposed");
            assert_eq!(found.time, proposed.time());
            assert!(found.records().eq(proposed.records()), "batch {kept} is what it was");
            kept += 1;
            marks.push((reader.mark().expect("a batch was read"), kept));
        }
        assert!(
            committed <= reader.last_seq(),
            "{committed} was acknowledged, {} is there",
            reader.last_seq()
        );
        assert_eq!(self.run.journal.last_seq(), reader.last_seq());
        // What was never acknowledged and is gone will be proposed again by whoever sent it.
        self.proposed.truncate(kept);
        if !marks.is_empty() && self.random.chance(1, 4) {
            let snapshot = *self.random.pick(&marks);
            self.run.journal.compact(snapshot.0.seq, SnapshotId::new(1)).unwrap();
            self.snapshot = Some(snapshot);
        }
    }
}

impl Run {
    fn settle_if_free(&mut self, disk: &MemStorage) {
        disk.hold(false);
        self.settle();
    }
}

#[test]
fn no_power_cut_loses_what_was_acknowledged() {
    let points = runs("JOULEBOOK_CRASH_POINTS", 5_000);
    let seed = runs("JOULEBOOK_SEED", 1);
    let (mut cut, mut kept, mut groups, mut retired) = (0, 0, 0, 0_u64);
    let mut done = 0;
    while done < points {
        let mut history = History::new(seed.wrapping_add(done));
        for _ in 0..history.random.between(1, 40).min(points - done) {
            for _ in 0..history.random.between(1, 30) {
                history.step();
            }
            let before = (history.proposed.len(), history.disk.syncs());
            history.crash();
            done += 1;
            kept += u64::from(history.proposed.len() == before.0);
            cut += u64::from(history.proposed.len() < before.0);
        }
        groups += history.disk.syncs();
        retired += history.disk.clone().segments().unwrap().first().map_or(0, |oldest| oldest.number - 1);
    }
    assert!(
        cut > points / 10 && kept > points / 10 && retired > points / 100,
        "{cut} cut, {kept} whole, {retired} retired"
    );
    report(&format!(
        "{points} power cuts in {groups} groups, seed {seed}: 0 lost; {cut} took back what was never acknowledged, {kept} \
         nothing; {retired} segments were retired"
    ));
}

#[test]
fn a_fault_at_any_sync_ends_all_commits_and_loses_none() {
    const GROUPS: u64 = 1_000;
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    let mut random = Xoshiro256pp::from_seed(3);
    let mut sizes =
        || -> Vec<usize> { (0..random.between(1, 3)).map(|_| random.between(1, 3_000) as usize).collect() };
    let mut reader = None::<JournalMark>;
    let mut faults = 0;
    for number in 1..=GROUPS {
        let good = batch(number, &sizes());
        // The same disk, with a fault at this sync and another at the next but one.
        for after in [1, 3] {
            let fork = disk.fork();
            fault_after(&fork, reader.as_ref(), after, number, &good, &sizes());
            faults += 1;
        }
        run.commit(&good);
        let mut walk = open_at(&disk, reader.as_ref());
        while walk.next_batch().unwrap().is_some() {}
        assert_eq!(walk.last_seq(), run.committed);
        // Only the last few groups are looked at again, and the disk stays small.
        if number % 8 == 0 {
            reader = walk.mark();
            run.journal.compact(run.committed, SnapshotId::new(number)).unwrap();
        }
    }
    report(&format!(
        "{faults} failed syncs in a run of {GROUPS} groups: 0 commits after them, 0 commits lost"
    ));
}

fn open_at(disk: &MemStorage, mark: Option<&JournalMark>) -> JournalReader<MemStorage> {
    match mark {
        None => JournalReader::new(disk.clone(), SHARD).unwrap(),
        Some(mark) => JournalReader::after(disk.clone(), SHARD, mark).unwrap(),
    }
}

/// The journal on `disk` goes on, and its sync number `nth` fails.
fn fault_after(
    disk: &MemStorage,
    mark: Option<&JournalMark>,
    nth: u64,
    seed: u64,
    first: &Batch,
    sizes: &[usize],
) {
    let mut run = Run::over(LocalJournal::open(open_at(disk, mark), config()).unwrap());
    let begin = run.journal.last_seq();
    disk.fail_sync(nth);
    let mut proposed = vec![first.clone()];
    run.propose(first).unwrap();
    for number in 0..8 {
        (0..6).for_each(|_| run.poll());
        let batch = batch(seed * 10 + number, sizes);
        if run.propose(&batch).is_ok() {
            proposed.push(batch);
        }
    }
    (0..6).for_each(|_| run.poll());
    // Syncs are of groups of one batch each, so exactly those before the fault are acknowledged.
    let acknowledged: u64 = proposed[..nth as usize - 1].iter().map(|batch| u64::from(batch.count())).sum();
    let told = run.committed.raw().saturating_sub(begin.raw());
    assert_eq!((told, run.faults.len(), disk.syncs()), (acknowledged, 1, nth));
    assert_eq!(run.propose(first), Err(RefusalReason::ReadOnly));
    drop(run);

    // Of the group that failed, any sectors are there.
    let mut random = Xoshiro256pp::from_seed(seed);
    disk.crash(|_| random.chance(1, 2));
    let fork = disk.fork();
    let mut reader = open_at(&fork, mark);
    let mut found = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        if batch.first_seq > begin {
            found.extend(batch.records().map(<[u8]>::to_vec));
        }
    }
    assert!(found.len() as u64 >= acknowledged && records_of(&proposed).starts_with(&found));
}

#[test]
fn a_segment_that_cannot_be_made_for_another_reason_is_fatal() {
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    disk.fail_preparing(true);
    run.propose(&batch(1, &[10])).unwrap();
    (0..4).for_each(|_| run.poll());
    assert_eq!((run.faults.len(), run.committed), (1, SeqNum::NONE));
}
