//! The journal on a disk that holds anything: read, opened, written on, and read again.

use joulebook_journal::{
    Batch, CommandLog, JournalError, JournalReader, LocalConfig, LocalJournal, LogEvent, MIN_SEGMENT_BYTES,
    Storage,
};
use joulebook_types::{SeqNum, ShardId, TimeNs};

use crate::Traits;
use crate::disk::Disk;
use crate::input::Input;
use crate::reseal::{Numbers, reseal};

/// Choices of the first byte: checksums and hashes are made right first, and all numbers too.
pub(crate) const RESEAL: u8 = 1;
pub(crate) const CONTINUE: u8 = 2;

const SHARD: ShardId = ShardId::new(1);

/// A batch that was read: first number, time, records.
type Read = (SeqNum, TimeNs, Vec<Vec<u8>>);

pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    let mut input = Input::new(input);
    let choices = input.byte();
    let mut disk = Disk::of_input(&mut input);
    if choices & RESEAL != 0 {
        let numbers = if choices & CONTINUE != 0 { Numbers::Continued } else { Numbers::AsTheyAre };
        reseal(disk.segments.values_mut(), numbers);
    }
    let before = disk.segments.clone();
    let (batches, end) = read(&mut disk);
    assert!(disk.segments == before, "reading changes nothing");
    traits.counted("segments", disk.segments.len());
    traits.counted("batches", batches.len());
    match end {
        Ok(torn) => {
            traits.saw("torn", torn.into());
            go_on(disk, batches);
        }
        Err(error) => {
            check_error(&error, &batches, &disk, traits);
            let opened =
                JournalReader::new(&mut disk, SHARD).and_then(|reader| LocalJournal::open(reader, config()));
            assert_eq!(opened.err(), Some(error), "what cannot be read is not opened");
            assert!(disk.segments == before, "nothing of a damaged journal is touched");
        }
    }
}

fn config() -> LocalConfig {
    let config = LocalConfig::new(SHARD, 77);
    LocalConfig {
        segment_bytes: MIN_SEGMENT_BYTES,
        group_bytes_max: 4 * joulebook_journal::BLOCK_BYTES,
        ..config
    }
}

/// All batches in order, and then the tail (whether something was torn there) or why it does not go on.
fn read<S: Storage>(storage: S) -> (Vec<Read>, Result<bool, JournalError>) {
    let mut batches: Vec<Read> = Vec::new();
    let mut reader = match JournalReader::new(storage, SHARD) {
        Ok(reader) => reader,
        Err(error) => return (batches, Err(error)),
    };
    let (mut next, mut time) = (1, TimeNs::ZERO);
    loop {
        match reader.next_batch() {
            Ok(Some(batch)) => {
                assert_eq!(batch.first_seq.raw(), next, "commands are numbered without gaps");
                let records: Vec<Vec<u8>> = batch.records().map(<[u8]>::to_vec).collect();
                assert_eq!(records.len(), batch.count as usize);
                assert!(!records.is_empty() && records.iter().all(|record| !record.is_empty()));
                next += u64::from(batch.count);
                time = batch.time;
                batches.push((batch.first_seq, batch.time, records));
            }
            Ok(None) => break,
            Err(error) => {
                assert_eq!(reader.next_batch().err(), Some(error.clone()), "asked again it says the same");
                return (batches, Err(error));
            }
        }
    }
    assert_eq!((reader.last_seq().raw(), reader.last_time()), (next - 1, time));
    assert!(reader.watermark() <= reader.last_seq(), "nothing unwritten is vouched for");
    assert!(reader.next_batch().is_ok_and(|batch| batch.is_none()), "an end is an end");
    let tail = reader.tail().expect("the end was reached");
    assert_eq!(tail.torn.is_some(), !tail.cuts.is_empty(), "what is cut has a reason");
    (batches, Ok(tail.torn.is_some()))
}

fn check_error(error: &JournalError, batches: &[Read], disk: &Disk, traits: &mut Traits) {
    match error {
        JournalError::Corrupt { file, offset_bytes, what, last_good_seq, cut_at_bytes } => {
            let segment = file.parse().ok().and_then(|number: u64| disk.segments.get(&number));
            let bytes = segment.expect("a segment that is there").len() as u64;
            assert!(cut_at_bytes <= offset_bytes && *offset_bytes <= bytes, "byte {offset_bytes} of {bytes}");
            let last = batches.last().map_or(0, |(first, _, records)| first.raw() + records.len() as u64 - 1);
            assert_eq!(last_good_seq.raw(), last, "what was handed out is intact, and no more");
            let length = what.find(',').unwrap_or(what.len());
            traits.counted("corrupt", batches.len());
            traits.saw(
                "what",
                what[..length].bytes().map(u64::from).fold(0, |sum, byte| sum * 31 % 65_521 + byte),
            );
        }
        JournalError::Version { found, supported, .. } => {
            assert_ne!(found, supported);
            traits.saw("other version", 0);
        }
        JournalError::Shard { found, expected, .. } => {
            assert_ne!(found, expected);
            traits.saw("other shard", 0);
        }
        JournalError::Storage(error) => panic!("the disk is sound: {error}"),
    }
}

/// What could be read is opened, one batch is added, and everything is there.
fn go_on(mut disk: Disk, mut batches: Vec<Read>) {
    let reader = JournalReader::new(&mut disk, SHARD).expect("it was read");
    let mut journal = LocalJournal::open(reader, config()).expect("what can be read can be opened");
    let time = batches.last().map_or(TimeNs::new(1), |(_, time, _)| *time);
    let mut batch = Batch::new();
    batch.clear(time);
    batch.push(b"one more");
    let term = config().term;
    journal.propose(term, batch).expect("there is room for a batch");
    let mut events = Vec::new();
    for now in (0..1_000_000_000).step_by(10_000_000).map(TimeNs::new) {
        journal.poll(now, &mut events);
        if events.iter().any(|event| matches!(event, LogEvent::Committed { .. })) {
            journal.shutdown();
        }
        if journal.is_stopped() {
            break;
        }
    }
    assert!(journal.is_stopped(), "it commits and stops: {events:?}");
    let next = batches.last().map_or(1, |(first, _, records)| first.raw() + records.len() as u64);
    assert_eq!(journal.durable_seq().raw(), next);
    drop(journal);
    batches.push((SeqNum::new(next), time, vec![b"one more".to_vec()]));
    let (again, end) = read(&mut disk);
    assert!(again == batches, "all that was there and the new one");
    assert_eq!(end, Ok(false), "a clean stop leaves nothing torn");
}
