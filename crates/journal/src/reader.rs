//! Reads a journal back, in order, and hands out only what is provably what was written.

use core::ops::Range;

use joulebook_types::{SeqNum, ShardId, TimeNs};

use crate::{
    EventDigest, JournalMark, Records, Segment, Storage, Tail, Term,
    error::JournalError,
    format::{BLOCK_BYTES, BatchHeader, ChainHash, FORMAT_VERSION, MIN_SEGMENT_BYTES},
    storage::SegmentNumber,
    window::Window,
};

/// Reads the batches of a journal in order. Changes nothing, so it also serves replay and inspection.
#[derive(Debug)]
pub struct JournalReader<S> {
    pub(crate) storage: S,
    pub(crate) shard: ShardId,
    /// What the folder has, without gaps, from its oldest on.
    pub(crate) segments: Vec<Segment>,
    /// Segments that hold commands, as far as they were met, and the first command of each.
    pub(crate) used: Vec<(SegmentNumber, SeqNum)>,
    /// Where groups are read.
    pub(crate) window: Window,
    /// Where single blocks are looked at, ahead of the groups.
    pub(crate) scan: Window,
    /// The end of the last good group.
    pub(crate) at: Position,
    pub(crate) state: ReadState,
    /// Batches of the last good group that were not handed out yet: their place in the window's bytes.
    pub(crate) pending: Range<usize>,
    handed: Option<Handed>,
    /// The newest event digest read so far; `digest.seq` is zero before the first.
    digest: EventDigest,
    /// It was read after the last batch was handed out.
    digest_is_new: bool,
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
    /// The segment that holds the batch, and where in it its header begins.
    pub segment: SegmentNumber,
    pub offset_bytes: u64,
    records: &'a [u8],
    digest: Option<&'a EventDigest>,
}

impl<'a> BatchView<'a> {
    pub fn records(&self) -> Records<'a> {
        Records(self.records)
    }

    pub fn last_seq(&self) -> SeqNum {
        // A batch holds at least one record: the reader has checked it.
        SeqNum::new(self.first_seq.raw() + u64::from(self.count) - 1)
    }

    /// What was attested between the batch before and this one, in this one or in a marker: always about an earlier
    /// batch.
    pub fn digest(&self) -> Option<&'a EventDigest> {
        self.digest
    }
}

/// A place between groups. Before the first group of a segment number `n` lies segment `n - 1`, with no bytes.
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
    /// The format of the segment that is being read.
    pub(crate) version: u32,
    pub(crate) last_group: u64,
    pub(crate) last_seq: SeqNum,
    pub(crate) last_time: TimeNs,
    pub(crate) watermark: SeqNum,
    pub(crate) chain: ChainHash,
}

/// The last batch that the reader's user got.
#[derive(Clone, Copy, Debug)]
struct Handed {
    term: Term,
    last_seq: SeqNum,
    time: TimeNs,
}

impl<S: Storage> JournalReader<S> {
    /// Begins to read the journal of `shard` with its first batch. An empty storage is a journal without batches.
    ///
    /// A journal whose first segments were retired is refused ([`JournalError::Retired`]): what is left makes sense
    /// only after a snapshot.
    pub fn new(storage: S, shard: ShardId) -> Result<Self, JournalError> {
        Self::over(storage, shard)?.trusting_the_disk()?.at_first()
    }

    /// Begins with the oldest batch that the folder still has: for inspection, which needs no state before it. The
    /// oldest segment's own header is believed about what went before.
    pub fn from_oldest(storage: S, shard: ShardId) -> Result<Self, JournalError> {
        Self::over(storage, shard)?.trusting_the_disk()?.at_oldest()
    }

    /// Begins right behind `mark` and hands out what follows it, once the batch at the mark has proven to be the one
    /// that was marked. Needs only the segments from the one that holds the command after the mark.
    pub fn after(storage: S, shard: ShardId, mark: &JournalMark) -> Result<Self, JournalError> {
        Self::over(storage, shard)?.trusting_the_disk()?.behind(mark)
    }

    /// See [`Self::new`].
    pub(crate) fn at_first(mut self) -> Result<Self, JournalError> {
        self.check_not_retired()?;
        Ok(self)
    }

    /// See [`Self::from_oldest`].
    pub(crate) fn at_oldest(mut self) -> Result<Self, JournalError> {
        if let Some(oldest) = self.segments.first().filter(|oldest| oldest.number > 1).copied() {
            let header = self.valid_header(oldest)?;
            self.begin_with(&header);
        }
        Ok(self)
    }

    /// See [`Self::after`].
    pub(crate) fn behind(mut self, mark: &JournalMark) -> Result<Self, JournalError> {
        self.seek(mark)?;
        self.handed = Some(Handed { term: mark.term, last_seq: mark.seq, time: mark.time });
        Ok(self)
    }

    /// What memory holds of the disk included: right only for who reads beside the writer.
    pub(crate) fn over(mut storage: S, shard: ShardId) -> Result<Self, JournalError> {
        let segments = storage.segments()?;
        let state = ReadState {
            journal_id: None,
            version: FORMAT_VERSION,
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
            used: Vec::new(),
            window: Window::default(),
            scan: Window::default(),
            at: Position::default(),
            state,
            pending: 0..0,
            handed: None,
            digest: EventDigest::default(),
            digest_is_new: false,
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
        Ok(Some(self.hand_out()))
    }

    /// The next batch of the group in hand. There must be one.
    pub(crate) fn hand_out(&mut self) -> BatchView<'_> {
        let bytes = &self.window.bytes[self.pending.clone()];
        let header = BatchHeader::read(bytes).expect("the whole group was verified");
        let (digest, records) =
            bytes[size_of::<BatchHeader>()..header.batch_bytes()].split_at(header.digest_bytes as usize);
        if !digest.is_empty() {
            self.digest.read(digest);
            self.digest_is_new = true;
        }
        let offset_bytes = self.window.offset_of(self.pending.start);
        self.pending.start += header.batch_bytes();
        let view = BatchView {
            first_seq: header.first_seq,
            term: Term::new(header.term),
            time: TimeNs::new(header.time_ns),
            count: header.count,
            segment: self.at.segment,
            offset_bytes,
            records,
            digest: self.digest_is_new.then_some(&self.digest),
        };
        self.digest_is_new = false;
        self.handed = Some(Handed { term: view.term, last_seq: view.last_seq(), time: view.time });
        view
    }

    /// Keeps what a marker says.
    pub(crate) fn take_marker_digest(&mut self, section: Range<usize>) {
        self.digest.read(&self.window.bytes[section]);
        self.digest_is_new = true;
    }

    /// The newest event digest read so far, from a batch or a marker. After the last batch it is what a clean stop
    /// or an idle time attested of it.
    pub fn newest_digest(&self) -> Option<&EventDigest> {
        (self.digest.seq != SeqNum::NONE).then_some(&self.digest)
    }

    /// The place right behind the last batch that was handed out, or where [`Self::after`] began.
    pub fn mark(&self) -> Option<JournalMark> {
        let Handed { term, last_seq, time } = self.handed?;
        let (journal_id, chain) = (self.state.journal_id?, self.chain_in_hand());
        Some(JournalMark { journal_id, shard: self.shard, term, seq: last_seq, time, chain })
    }

    /// The hash of the batch before the first one that was not handed out.
    pub(crate) fn chain_in_hand(&self) -> ChainHash {
        if self.pending.is_empty() {
            return self.state.chain;
        }
        let next = BatchHeader::read(&self.window.bytes[self.pending.clone()]);
        next.expect("the whole group was verified").previous
    }

    /// The oldest command that the folder still has, as far as its segments can tell; `None` without commands.
    pub fn first_seq(&self) -> Option<SeqNum> {
        self.used.first().map(|(_, first_seq)| *first_seq)
    }

    /// Where in its segment the group ends that the last batch lies in.
    pub fn end_of_group(&self) -> u64 {
        self.at.offset
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

    /// What the folder has under a number.
    pub(crate) fn segment(&self, number: SegmentNumber) -> Option<Segment> {
        let oldest = self.segments.first()?.number;
        self.segments.get(usize::try_from(number.checked_sub(oldest)?).ok()?).copied()
    }

    /// Goes one good group on; at the end, settles what the tail is.
    fn next_group(&mut self) -> Result<bool, JournalError> {
        let damage = match self.step()? {
            Step::Group => return Ok(true),
            Step::Damaged(damage) => Some(damage),
            Step::Blank => None,
        };
        self.tail = Some(self.settle_tail(damage)?);
        Ok(false)
    }

    /// Numbers without gaps, and lengths that a journal makes.
    pub(crate) fn check_segments(&self) -> Result<(), JournalError> {
        let oldest = self.segments.first().map_or(1, |segment| segment.number.max(1));
        for (number, segment) in (oldest..).zip(&self.segments) {
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

/// What lies where a group could begin.
pub(crate) enum Step {
    /// A good one; the reader stands behind it.
    Group,
    Blank,
    Damaged(Damage),
}

/// Damage at a place where the next group was looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Damage {
    pub(crate) segment: SegmentNumber,
    pub(crate) offset: u64,
    pub(crate) what: &'static str,
}
