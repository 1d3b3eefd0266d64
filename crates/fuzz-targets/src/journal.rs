//! The journal on a disk that holds anything: read, opened, written on, and read again.

use joulebook_journal::{
    Batch, BatchView, CommandLog, EventDigest, JournalError, JournalFollower, JournalMark, JournalReader,
    LocalConfig, LocalJournal, LogEvent, MIN_SEGMENT_BYTES, Storage,
};
use joulebook_types::{SeqNum, ShardId, TimeNs};

use crate::Traits;
use crate::disk::Disk;
use crate::input::Input;
use crate::reseal::{Numbers, reseal};

/// Choices of the first byte: checksums and hashes are made right first, and all numbers too; the oldest segment was
/// retired. Its upper half chooses a place to begin in the middle.
pub(crate) const RESEAL: u8 = 1;
pub(crate) const CONTINUE: u8 = 2;
pub(crate) const RETIRE: u8 = 4;

const SHARD: ShardId = ShardId::new(1);

/// A batch that was read, and the place behind it.
#[derive(Clone, PartialEq, Eq)]
struct Read {
    first_seq: SeqNum,
    time: TimeNs,
    records: Vec<Vec<u8>>,
    /// The event digest that came with it.
    digest: Option<EventDigest>,
    mark: Option<JournalMark>,
}

/// The end of a journal: whether something was torn there, or why it cannot be read on.
type End = Result<bool, JournalError>;

pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    let mut input = Input::new(input);
    let choices = input.byte();
    let mut disk = Disk::of_input(&mut input);
    if choices & RESEAL != 0 {
        let numbers = if choices & CONTINUE != 0 { Numbers::Continued } else { Numbers::AsTheyAre };
        reseal(disk.segments.values_mut(), numbers);
    }
    if choices & RETIRE != 0 {
        disk.segments.pop_first();
        retired(&mut disk, traits);
        return;
    }
    let before = disk.segments.clone();
    let (batches, end) = drain(JournalReader::new(&mut disk, SHARD));
    check_numbers(&batches, 1);
    begin_in_the_middle(&mut disk, usize::from(choices >> 4), &batches, &end);
    follow(&mut disk, &batches, &end);
    assert!(disk.segments == before, "reading changes nothing");
    traits.counted("segments", disk.segments.len());
    traits.counted("batches", batches.len());
    traits.counted("digests", batches.iter().filter(|batch| batch.digest.is_some()).count());
    match end {
        Ok(torn) => {
            traits.saw("torn", torn.into());
            go_on(disk, batches);
        }
        Err(error) => {
            let last = batches.last().map_or(0, Read::last);
            check_error(&error, last, &disk, traits);
            let opened =
                JournalReader::new(&mut disk, SHARD).and_then(|reader| LocalJournal::open(reader, config()));
            assert_eq!(opened.err(), Some(error), "what cannot be read is not opened");
            assert!(disk.segments == before, "nothing of a damaged journal is touched");
        }
    }
}

impl Read {
    fn of(batch: &BatchView<'_>) -> Self {
        let records: Vec<Vec<u8>> = batch.records().map(<[u8]>::to_vec).collect();
        assert_eq!(records.len(), batch.count as usize);
        assert!(!records.is_empty() && records.iter().all(|record| !record.is_empty()));
        let BatchView { first_seq, time, .. } = *batch;
        Self { first_seq, time, records, digest: batch.digest().cloned(), mark: None }
    }

    /// The number of the last command.
    fn last(&self) -> u64 {
        self.first_seq.raw() + self.records.len() as u64 - 1
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

/// All batches in order, and the end.
fn drain<S: Storage>(reader: Result<JournalReader<S>, JournalError>) -> (Vec<Read>, End) {
    let mut batches: Vec<Read> = Vec::new();
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(error) => return (batches, Err(error)),
    };
    loop {
        match reader.next_batch() {
            Ok(Some(batch)) => {
                let mut batch = Read::of(&batch);
                batch.mark = reader.mark();
                batches.push(batch);
            }
            Ok(None) => break,
            Err(error) => {
                assert_eq!(reader.next_batch().err(), Some(error.clone()), "asked again it says the same");
                return (batches, Err(error));
            }
        }
    }
    if let Some(last) = batches.last() {
        assert_eq!((reader.last_seq().raw(), reader.last_time()), (last.last(), last.time));
    }
    assert!(reader.watermark() <= reader.last_seq(), "nothing unwritten is vouched for");
    assert!(reader.next_batch().is_ok_and(|batch| batch.is_none()), "an end is an end");
    let tail = reader.tail().expect("the end was reached");
    assert_eq!(tail.torn.is_some(), !tail.cuts.is_empty(), "what is cut has a reason");
    (batches, Ok(tail.torn.is_some()))
}

/// Commands are numbered without gaps, every batch has a mark at its end, and what is attested came before.
fn check_numbers(batches: &[Read], first: u64) {
    let mut next = first;
    for batch in batches {
        assert_eq!(batch.first_seq.raw(), next, "commands are numbered without gaps");
        next += batch.records.len() as u64;
        let mark = batch.mark.expect("there is a place behind every batch");
        assert_eq!((mark.seq.raw(), mark.time, mark.shard), (next - 1, batch.time, SHARD));
        let attested = batch.digest.as_ref().map_or(0, |digest| digest.seq.raw());
        assert!(attested < batch.first_seq.raw(), "an answer that was known before its question");
    }
}

/// From a mark on the rest of the journal is the same, and a mark that is a little wrong is refused.
fn begin_in_the_middle(disk: &mut Disk, choice: usize, batches: &[Read], end: &End) {
    let Some(batch) = batches.get(choice % batches.len().max(1)) else { return };
    let mark = batch.mark.expect("there is a place behind every batch");
    let (rest, rest_end) = drain(JournalReader::after(&mut *disk, SHARD, &mark));
    let expected = &batches[choice % batches.len() + 1..];
    // Segments before the one with the next command are not needed, so their damage is not seen.
    let begins_later = end.as_ref().is_err_and(|error| begins_after(error, disk, mark.seq));
    assert!(
        rest_end.is_ok() == end.is_ok() || begins_later,
        "the same end from the middle: {rest_end:?} and {end:?}"
    );
    if end.is_ok() {
        let plain = |batch: &Read| Read { digest: None, ..batch.clone() };
        assert!(rest.iter().map(plain).eq(expected.iter().map(plain)), "the same batches from the middle");
    }
    let mut foreign = mark;
    foreign.chain[choice % 32] ^= 1;
    let refused = JournalReader::after(&mut *disk, SHARD, &foreign);
    assert!(refused.is_err(), "a mark with another hash belongs to another journal");
}

/// Whether the command after `seq` begins a segment behind the damaged one; or that one, if nothing is wrong with it but what
/// comes before it.
fn begins_after(error: &JournalError, disk: &Disk, seq: SeqNum) -> bool {
    let JournalError::Corrupt { file, what, .. } = error else { return false };
    let Ok(damaged) = file.parse::<u64>() else { return false };
    let first_seq = |bytes: &Vec<u8>| bytes[48..].first_chunk().map(|seq| u64::from_le_bytes(*seq));
    let unseen = if what.contains("older format than the one before") { damaged } else { damaged + 1 };
    disk.segments.range(unseen..).any(|(_, bytes)| first_seq(bytes) == Some(seq.raw() + 1))
}

/// Who reads while the journal is written gets the same batches, perhaps not the last ones.
fn follow(disk: &mut Disk, batches: &[Read], end: &End) {
    let mut follower = match JournalFollower::new(disk, SHARD, None) {
        Ok(follower) => follower,
        Err(error) => return assert_eq!(Some(&error), end.as_ref().err()),
    };
    for expected in batches {
        let mut batch = match follower.next_batch() {
            Ok(Some(batch)) => Read::of(&batch),
            Ok(None) => break,
            Err(error) => {
                assert!(end.is_err(), "the follower refuses what the reader reads: {error}");
                return;
            }
        };
        batch.mark = follower.mark();
        assert!(batch == *expected, "the same batch");
    }
    match follower.next_batch() {
        Ok(batch) => assert!(batch.is_none(), "nothing but what the reader reads"),
        Err(error) => assert!(end.is_err(), "the follower refuses what the reader reads: {error}"),
    }
}

/// A journal whose oldest segment is gone is read for inspection only.
fn retired(disk: &mut Disk, traits: &mut Traits) {
    if disk.segments.is_empty() {
        return;
    }
    let (batches, end) = drain(JournalReader::new(&mut *disk, SHARD));
    assert!(batches.is_empty() && end.is_err(), "its first commands are missing");
    let (batches, end) = drain(JournalReader::from_oldest(&mut *disk, SHARD));
    if let Some(first) = batches.first() {
        check_numbers(&batches, first.first_seq.raw());
    }
    traits.counted("retired", batches.len());
    if let Err(error) = &end {
        check_error(error, batches.last().map_or(u64::MAX, Read::last), disk, traits);
    }
}

/// `last` is the last command that was handed out; `u64::MAX` when nobody can know it.
fn check_error(error: &JournalError, last: u64, disk: &Disk, traits: &mut Traits) {
    match error {
        JournalError::Corrupt { file, offset_bytes, what, last_good_seq, cut_at_bytes } => {
            let segment = file.parse().ok().and_then(|number: u64| disk.segments.get(&number));
            let bytes = segment.expect("a segment that is there").len() as u64;
            assert!(cut_at_bytes <= offset_bytes && *offset_bytes <= bytes, "byte {offset_bytes} of {bytes}");
            let is_last = last == u64::MAX || last_good_seq.raw() == last;
            assert!(is_last, "what was handed out is intact, and no more: {last_good_seq}, {last}");
            let words = what.split(',').next().unwrap_or_default().bytes();
            traits.saw("corrupt", words.fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % 65_521));
        }
        JournalError::Version { found, supported, .. } => {
            assert_ne!(found, supported);
            traits.saw("other version", 0);
        }
        JournalError::Shard { found, expected, .. } => {
            assert_ne!(found, expected);
            traits.saw("other shard", 0);
        }
        JournalError::Retired { .. } => panic!("nothing was retired"),
        JournalError::ForeignMark { what, .. } => panic!("nobody gave a mark: {what}"),
        JournalError::Storage(error) => panic!("the disk is sound: {error}"),
    }
}

/// What could be read is opened, one batch is added and attested, and everything is there.
fn go_on(mut disk: Disk, batches: Vec<Read>) {
    let reader = JournalReader::new(&mut disk, SHARD).expect("it was read");
    let mut journal = LocalJournal::open(reader, config()).expect("what can be read can be opened");
    let time = batches.last().map_or(TimeNs::new(1), |batch| batch.time);
    let next = batches.last().map_or(1, |batch| batch.last() + 1);
    let mut batch = Batch::new();
    batch.clear(time);
    batch.push(b"one more");
    let term = config().term;
    journal.propose(term, batch).expect("there is room for a batch");
    journal.attest(&EventDigest { seq: SeqNum::new(next), chain: [7, 8], steps: vec![1, 2] });
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
    assert_eq!(journal.durable_seq().raw(), next);
    drop(journal);
    let (again, end) = drain(JournalReader::new(&mut disk, SHARD));
    assert_eq!(end, Ok(false), "a clean stop leaves nothing torn");
    let (new, before) = again.split_last().expect("there is the new one");
    assert!(before == batches, "all that was there");
    assert!(
        (new.first_seq.raw(), new.time, &*new.records) == (next, time, &[b"one more".to_vec()][..]),
        "the new one"
    );
}
