//! Reads a journal back, in order, and hands out only what is provably what was written.

use joulebook_types::{SeqNum, ShardId, TimeNs};

use crate::{
    Records, Segment, Storage, Tail, Term,
    batch::verify_records,
    error::JournalError,
    format::{
        BLOCK_BYTES, BatchHeader, ChainHash, FORMAT_VERSION, GroupHeader, HeaderBlock, MIN_SEGMENT_BYTES,
        SEGMENT_HEADER_BYTES, SegmentHeader, chain_origin, is_blank,
    },
    storage::SegmentNumber,
};

/// Reads the batches of a journal from the first on. Changes nothing, so it also serves replay and inspection.
#[derive(Debug)]
pub struct JournalReader<S> {
    storage: S,
    shard: ShardId,
    pub(crate) segments: Vec<Segment>,
    window: Window,
    /// The end of the last good group.
    pub(crate) at: Position,
    pub(crate) state: ReadState,
    /// Batches of the last good group that were not handed out yet: their place in the window's bytes.
    pending: core::ops::Range<usize>,
    tail: Option<Tail>,
}

/// A batch as it was proposed.
#[derive(Clone, Debug)]
pub struct BatchView<'a> {
    pub first_seq: SeqNum,
    pub term: Term,
    pub time: TimeNs,
    /// Records, one per sequence number.
    pub count: u32,
    records: &'a [u8],
}

impl<'a> BatchView<'a> {
    pub fn records(&self) -> Records<'a> {
        Records(self.records)
    }
}

/// A place between groups. Segment 0, with no bytes, is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) segment: SegmentNumber,
    pub(crate) offset: u64,
    pub(crate) segment_bytes: u64,
}

/// What everything read so far adds up to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadState {
    pub(crate) journal_id: Option<u64>,
    pub(crate) last_group: u64,
    pub(crate) last_seq: SeqNum,
    pub(crate) last_time: TimeNs,
    pub(crate) watermark: SeqNum,
    pub(crate) chain: ChainHash,
}

/// Damage at a place where the next group was looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Damage {
    pub(crate) segment: SegmentNumber,
    pub(crate) offset: u64,
    pub(crate) what: &'static str,
}

/// What lies where a group could begin.
enum Found {
    Group,
    Blank,
    Damaged(Damage),
}

impl<S: Storage> JournalReader<S> {
    /// Begins to read the journal of `shard`. An empty storage is a journal without batches.
    pub fn new(mut storage: S, shard: ShardId) -> Result<Self, JournalError> {
        let segments = storage.segments()?;
        let state = ReadState {
            journal_id: None,
            last_group: 0,
            last_seq: SeqNum::NONE,
            last_time: TimeNs::ZERO,
            watermark: SeqNum::NONE,
            chain: [0; 32],
        };
        let reader = Self {
            storage,
            shard,
            segments,
            window: Window::default(),
            at: Position::default(),
            state,
            pending: 0..0,
            tail: None,
        };
        reader.check_segments()?;
        Ok(reader)
    }

    /// The next batch, or `None` at the journal's end; then [`Self::tail`] says what lies there.
    pub fn next_batch(&mut self) -> Result<Option<BatchView<'_>>, JournalError> {
        while self.pending.is_empty() {
            if self.tail.is_some() || !self.next_group()? {
                return Ok(None);
            }
        }
        let bytes = &self.window.bytes[self.pending.clone()];
        let header = BatchHeader::read(bytes).expect("the whole group was verified");
        let end = size_of::<BatchHeader>() + header.records_bytes as usize;
        self.pending.start += end;
        Ok(Some(BatchView {
            first_seq: header.first_seq,
            term: Term::new(header.term),
            time: TimeNs::new(header.time_ns),
            count: header.count,
            records: &bytes[size_of::<BatchHeader>()..end],
        }))
    }

    /// Where the journal ends, once `next_batch` has said `None`.
    pub fn tail(&self) -> Option<&Tail> {
        self.tail.as_ref()
    }

    /// The last command that was read or skipped so far.
    pub fn last_seq(&self) -> SeqNum {
        self.state.last_seq
    }

    /// The time of the last batch read so far.
    pub fn last_time(&self) -> TimeNs {
        self.state.last_time
    }

    /// The last command that a later group proves to have been durable.
    pub fn watermark(&self) -> SeqNum {
        self.state.watermark
    }

    /// The hash of the last batch, which vouches for all batches before it.
    pub fn chain_hash(&self) -> [u8; 32] {
        self.state.chain
    }

    /// The journal's random name; `None` as long as nothing was read.
    pub fn journal_id(&self) -> Option<u64> {
        self.state.journal_id
    }

    pub fn into_storage(self) -> S {
        self.storage
    }

    pub(crate) fn file_name(&self, segment: SegmentNumber) -> String {
        self.storage.file_name(segment)
    }

    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }

    /// Goes one good group on; at the end, settles what the tail is.
    fn next_group(&mut self) -> Result<bool, JournalError> {
        let damage = match self.try_group()? {
            Found::Group => return Ok(true),
            Found::Damaged(damage) => Some(damage),
            Found::Blank => match self.try_next_segment()? {
                Found::Group => return Ok(true),
                Found::Damaged(damage) => Some(damage),
                Found::Blank => None,
            },
        };
        self.tail = Some(self.settle_tail(damage)?);
        Ok(false)
    }

    /// The next segment continues the journal if its header says so and its first group is good.
    fn try_next_segment(&mut self) -> Result<Found, JournalError> {
        let segment = self.at.segment + 1;
        let Some(&Segment { bytes, .. }) = self.segments.get(self.at.segment as usize) else {
            return Ok(Found::Blank);
        };
        let header = match self.read_header(segment)? {
            None => return Ok(Found::Blank),
            Some(HeaderBlock::Valid(header)) => header,
            Some(HeaderBlock::OtherVersion(found)) => {
                let file = self.storage.file_name(segment);
                return Err(JournalError::Version { file, found, supported: FORMAT_VERSION });
            }
            Some(HeaderBlock::Damaged) => {
                return Ok(Found::Damaged(Damage {
                    segment,
                    offset: 0,
                    what: "the segment header is damaged",
                }));
            }
        };
        self.check_header(&header, segment, bytes)?;
        self.check_rest_is_blank()?;

        let (before, state) = (self.at, self.state);
        self.at = Position { segment, offset: SEGMENT_HEADER_BYTES as u64, segment_bytes: bytes };
        if self.state.journal_id.is_none() {
            self.state.journal_id = Some(header.journal_id);
            self.state.chain = header.chain;
        }
        Ok(match self.try_group()? {
            Found::Group => Found::Group,
            // The header and the first group are one write: without the group, the header does not count either.
            other => {
                let offset = self.at.offset;
                (self.at, self.state) = (before, state);
                match other {
                    Found::Damaged(damage) => Found::Damaged(damage),
                    _ => Found::Damaged(Damage { segment, offset, what: "the first group is missing" }),
                }
            }
        })
    }

    /// Reads and verifies the group at the current position, and steps behind it.
    fn try_group(&mut self) -> Result<Found, JournalError> {
        let at = self.at;
        let room = at.segment_bytes - at.offset;
        if room == 0 {
            return Ok(Found::Blank);
        }
        let block =
            self.window.load(&mut self.storage, at.segment, at.offset, BLOCK_BYTES, at.segment_bytes)?;
        if is_blank(&self.window.bytes[block.clone()]) {
            return Ok(Found::Blank);
        }
        let Some(header) = GroupHeader::read(&self.window.bytes[block]) else {
            return Ok(Found::Damaged(self.damage(0, "the group header is damaged")));
        };
        self.check_group(&header, room)?;
        let payload = header.payload_bytes as usize;
        let length = (size_of::<GroupHeader>() + payload).next_multiple_of(BLOCK_BYTES);
        let group = self.window.load(&mut self.storage, at.segment, at.offset, length, at.segment_bytes)?;
        let start = group.start + size_of::<GroupHeader>();
        let state = match self.verify_batches(&header, start..start + payload)? {
            Ok(state) => state,
            Err(damage) => return Ok(Found::Damaged(damage)),
        };
        if !is_blank(&self.window.bytes[start + payload..group.end]) {
            return Ok(Found::Damaged(self.damage(length as u64 - 1, "the padding of a group is not zero")));
        }
        self.state = ReadState { last_group: header.group, watermark: header.watermark, ..state };
        self.at.offset += length as u64;
        self.pending = start..start + payload;
        Ok(Found::Group)
    }

    /// Walks the batches of a group. The outer error is a group that is whole but does not belong here, which no
    /// torn write can produce; the inner one is a group that is not whole.
    fn verify_batches(
        &self,
        group: &GroupHeader,
        payload: core::ops::Range<usize>,
    ) -> Result<Result<ReadState, Damage>, JournalError> {
        let bytes = &self.window.bytes[payload];
        let mut state = self.state;
        let mut offset = 0;
        for _ in 0..group.batches {
            let place = (size_of::<GroupHeader>() + offset) as u64;
            let rest = &bytes[offset..];
            let Some(header) = BatchHeader::read(rest) else {
                return Ok(Err(self.damage(place, "a batch header is damaged")));
            };
            let Some(batch) = rest.get(..size_of::<BatchHeader>() + header.records_bytes as usize) else {
                return Err(self.corrupt(place, "a batch is longer than its group"));
            };
            let (header_bytes, records) = batch.split_at(size_of::<BatchHeader>());
            if let Err(damage) = verify_records(records, header.count) {
                let place = place + (header_bytes.len() + damage.offset_bytes) as u64;
                return Ok(Err(self.damage(place, damage.what)));
            }
            self.check_batch(&header, &state, group, place)?;
            state.chain = *blake3::hash(batch).as_bytes();
            state.last_seq = SeqNum::new(state.last_seq.raw() + u64::from(header.count));
            state.last_time = TimeNs::new(header.time_ns);
            offset += batch.len();
        }
        if offset != bytes.len() {
            let place = (size_of::<GroupHeader>() + offset) as u64;
            return Err(self.corrupt(place, "a group goes on after its last batch"));
        }
        Ok(Ok(state))
    }

    fn check_group(&self, header: &GroupHeader, room: u64) -> Result<(), JournalError> {
        let length = (size_of::<GroupHeader>() as u64 + u64::from(header.payload_bytes))
            .next_multiple_of(BLOCK_BYTES as u64);
        let wrong = if Some(header.journal_id) != self.state.journal_id {
            "this group belongs to another journal"
        } else if header.group != self.state.last_group + 1 {
            "a group is missing before this one, or it is out of place"
        } else if header.first_seq.raw() != self.state.last_seq.raw() + 1 {
            "commands are missing before this group"
        } else if header.watermark > self.state.last_seq || header.watermark < self.state.watermark {
            "the watermark of this group does not fit what is before it"
        } else if !header.is_consistent() {
            "the kind of this group does not fit its content"
        } else if length > room {
            "this group is longer than its segment"
        } else {
            return Ok(());
        };
        Err(self.corrupt(0, wrong))
    }

    fn check_batch(
        &self,
        header: &BatchHeader,
        state: &ReadState,
        group: &GroupHeader,
        place: u64,
    ) -> Result<(), JournalError> {
        let wrong = if header.shard != self.shard {
            "this batch belongs to another shard"
        } else if header.previous != state.chain {
            "the hash chain is broken: a batch before this one was changed, removed or swapped"
        } else if header.first_seq.raw() != state.last_seq.raw() + 1 || header.count == 0 {
            "the numbers of this batch do not continue those before it"
        } else if header.watermark > group.watermark {
            "the watermark of this batch is beyond that of its group"
        } else {
            return Ok(());
        };
        Err(self.corrupt(place, wrong))
    }

    fn check_header(
        &self,
        header: &SegmentHeader,
        segment: SegmentNumber,
        bytes: u64,
    ) -> Result<(), JournalError> {
        if header.shard != self.shard {
            let file = self.storage.file_name(segment);
            return Err(JournalError::Shard { file, found: header.shard, expected: self.shard });
        }
        let state = &self.state;
        let chain = if state.journal_id.is_none() { chain_origin(header.journal_id) } else { state.chain };
        let wrong = if state.journal_id.is_some_and(|id| id != header.journal_id) {
            "this segment belongs to another journal"
        } else if header.segment != segment {
            "this segment's name is not its number"
        } else if header.segment_bytes != bytes {
            "this segment does not have the length that it was made with"
        } else if header.first_group != state.last_group + 1
            || header.first_seq.raw() != state.last_seq.raw() + 1
            || header.chain != chain
        {
            "this segment does not continue the one before it"
        } else {
            return Ok(());
        };
        Err(self.corrupt_at(Position { segment, offset: 0, segment_bytes: bytes }, 0, wrong))
    }

    /// Numbers without gaps from 1, and lengths that a journal makes.
    fn check_segments(&self) -> Result<(), JournalError> {
        for (index, segment) in self.segments.iter().enumerate() {
            let number = index as u64 + 1;
            let at = Position { segment: number, ..Position::default() };
            if segment.number != number {
                return Err(self.corrupt_at(at, 0, "this segment is missing, but later ones exist"));
            }
            if segment.bytes < MIN_SEGMENT_BYTES || segment.bytes % BLOCK_BYTES as u64 != 0 {
                return Err(self.corrupt_at(at, segment.bytes, "no journal makes a segment of this length"));
            }
        }
        Ok(())
    }

    /// The end of a segment that has a successor was never written: anything there is a failing disk.
    fn check_rest_is_blank(&mut self) -> Result<(), JournalError> {
        let mut at = self.at;
        while at.offset < at.segment_bytes {
            if !is_blank(self.load_block(at)?) {
                return Err(self.corrupt_at(at, 0, "the unused end of a full segment is not blank"));
            }
            at.offset += BLOCK_BYTES as u64;
        }
        Ok(())
    }

    /// The header block of a segment, `None` if it was never written.
    pub(crate) fn read_header(
        &mut self,
        segment: SegmentNumber,
    ) -> Result<Option<HeaderBlock>, JournalError> {
        let segment_bytes = self.segments[segment as usize - 1].bytes;
        let block = self.load_block(Position { segment, offset: 0, segment_bytes })?;
        Ok(if is_blank(block) { None } else { Some(SegmentHeader::from_block(block)) })
    }

    pub(crate) fn load_block(&mut self, at: Position) -> Result<&[u8], JournalError> {
        let range =
            self.window.load(&mut self.storage, at.segment, at.offset, BLOCK_BYTES, at.segment_bytes)?;
        Ok(&self.window.bytes[range])
    }

    fn damage(&self, offset_in_group: u64, what: &'static str) -> Damage {
        Damage { segment: self.at.segment, offset: self.at.offset + offset_in_group, what }
    }

    fn corrupt(&self, offset_in_group: u64, what: &str) -> JournalError {
        self.corrupt_at(self.at, offset_in_group, what)
    }

    pub(crate) fn corrupt_at(&self, at: Position, offset_in_group: u64, what: &str) -> JournalError {
        JournalError::Corrupt {
            file: self.storage.file_name(at.segment),
            offset_bytes: at.offset + offset_in_group,
            what: what.to_owned(),
            last_good_seq: self.state.last_seq,
            cut_at_bytes: at.offset,
        }
    }
}

/// A stretch of one segment in memory: read in large steps, because a system call per group would cost more than
/// the group.
#[derive(Debug, Default)]
struct Window {
    segment: SegmentNumber,
    start: u64,
    bytes: Vec<u8>,
}

const WINDOW_BYTES: usize = 1 << 20;

impl Window {
    /// Makes `length` bytes at `offset` of a segment available and says where in `bytes` they are.
    fn load<S: Storage>(
        &mut self,
        storage: &mut S,
        segment: SegmentNumber,
        offset: u64,
        length: usize,
        segment_bytes: u64,
    ) -> Result<core::ops::Range<usize>, JournalError> {
        let end = offset + length as u64;
        let held = self.start..self.start + self.bytes.len() as u64;
        if self.segment != segment || offset < held.start || end > held.end {
            let wanted = length.max(WINDOW_BYTES).min((segment_bytes - offset) as usize);
            // A failed read must not leave stale bytes that look loaded.
            self.segment = 0;
            if self.bytes.len() < wanted {
                self.bytes = vec![0; wanted];
            }
            self.bytes.truncate(wanted);
            storage.read_at(segment, offset, &mut self.bytes)?;
            (self.segment, self.start) = (segment, offset);
        }
        let from = (offset - self.start) as usize;
        Ok(from..from + length)
    }
}
