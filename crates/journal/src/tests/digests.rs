//! What was attested is kept, and comes back with the next batch or with a marker.

use super::*;

/// Every batch's last command and the digest that came with it, and the newest at the end.
fn attested(disk: &MemStorage) -> (Vec<(u64, Option<EventDigest>)>, Option<EventDigest>) {
    let mut reader = JournalReader::new(disk.clone(), SHARD).unwrap();
    let mut found = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        found.push((batch.last_seq().raw(), batch.digest().cloned()));
    }
    (found, reader.newest_digest().cloned())
}

#[test]
fn each_batch_carries_the_digest_of_the_one_before() {
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    let batches: Vec<Batch> = (1..=30).map(|number| batch(number, &[700, 40, 3])).collect();
    batches.iter().for_each(|batch| run.commit(batch));
    let (found, newest) = attested(&disk);
    assert_eq!(found.len(), 30);
    for (index, (last_seq, digest)) in found.iter().enumerate() {
        let before = index
            .checked_sub(1)
            .map(|before| digest_of(SeqNum::new(before as u64 * 3 + 1), &batches[before]));
        assert_eq!((*last_seq, digest), (index as u64 * 3 + 3, &before));
    }
    assert_eq!(newest.unwrap().seq.raw(), 87, "after a crash, the last batch is not attested");

    run.stop();
    let (again, newest) = attested(&disk);
    assert_eq!(again, found);
    assert_eq!(newest, Some(digest_of(SeqNum::new(88), &batches[29])), "a clean stop attests the last batch");
    let mut run = Run::open(&disk);
    run.commit(&batch(31, &[8]));
    let (found, _) = attested(&disk);
    assert_eq!(found[30], (91, newest), "the marker's digest is met with the batch behind it");
}

#[test]
fn an_idle_time_attests_the_last_batch() {
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    let only = batch(1, &[10, 20]);
    run.commit(&only);
    assert_eq!(attested(&disk).1, None);
    run.now += 20_000_000;
    run.settle();
    assert_eq!(attested(&disk).1, Some(digest_of(SeqNum::new(1), &only)));
}

#[test]
fn the_newest_of_several_is_kept_and_none_is_no_fault() {
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    let mut events = Vec::new();
    let mut append = |run: &mut Run, number: u64, attest: bool| {
        run.propose(&batch(number, &[8])).unwrap();
        run.journal.poll(TimeNs::new(number), &mut events);
        let seq = SeqNum::new(number);
        if attest {
            run.journal.attest(&EventDigest { seq, chain: [number, 0], steps: vec![1, 2] });
        }
        events.clear();
    };
    append(&mut run, 1, false);
    append(&mut run, 2, false);
    append(&mut run, 3, true);
    run.journal.attest(&EventDigest { seq: SeqNum::new(3), chain: [33, 0], steps: Vec::new() });
    append(&mut run, 4, false);
    append(&mut run, 5, false);
    run.stop();
    let seqs: Vec<_> =
        attested(&disk).0.into_iter().map(|(_, digest)| digest.map(|digest| digest.chain[0])).collect();
    assert_eq!(seqs, [None, None, None, Some(33), None]);
}

#[test]
fn steps_give_way_to_commands() {
    // The longest batch that the journal takes, behind one whose steps would need more room than there is.
    let disk = MemStorage::new();
    let mut run = Run::open(&disk);
    let many = batch(1, &[1; 600]);
    run.commit(&many);
    let largest = batch(2, &[run.journal.batch_bytes_max() - 8]);
    assert_eq!(largest.bytes_len(), run.journal.batch_bytes_max());
    run.commit(&largest);
    // A batch of so many commands that its steps do not fit the marker's block.
    let most = batch(3, &[1; 1_000]);
    assert!(most.bytes_len() < run.journal.batch_bytes_max());
    run.commit(&most);
    run.commit(&batch(4, &[1]));
    run.commit(&most);
    run.stop();

    let (found, newest) = attested(&disk);
    let steps: Vec<_> =
        found.iter().map(|(_, digest)| digest.as_ref().map(|digest| digest.steps.len())).collect();
    assert_eq!(steps, [None, Some(0), Some(2), Some(1_001), Some(2)]);
    assert_eq!(newest.map(|digest| (digest.seq.raw(), digest.steps.len())), Some((2_602, 1_001)));
}
