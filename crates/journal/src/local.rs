//! The journal of one node: proposing appends, a finished sync commits.

use std::collections::VecDeque;

use joulebook_types::{SeqNum, ShardId, TimeNs};
use zerocopy::IntoBytes;

use crate::{
    Batch, CommandLog, Completion, EventDigest, GroupBuffer, JournalReader, LogEvent, LogFault,
    RefusalReason, Refused, Segment, SegmentNumber, SnapshotId, Storage, StorageError, StorageErrorKind,
    Term, Ticket,
    error::JournalError,
    format::{
        BLOCK_BYTES, BatchHeader, ChainHash, FORMAT_VERSION, FORMAT_WITH_DIGESTS, GroupHeader,
        MIN_SEGMENT_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, chain_origin,
    },
    reader::Position,
    space::Space,
};

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    pub shard: ShardId,
    /// The one term of this journal's life; any other is fenced.
    pub term: Term,
    /// A random number that names the journal, used when the storage holds none yet.
    pub new_journal_id: u64,
    /// Length of new segments: whole blocks, at least [`MIN_SEGMENT_BYTES`].
    pub segment_bytes: u64,
    /// Bound of the batches that wait while a group is being written.
    pub group_bytes_max: usize,
    /// How long the last group may stay without a later one that vouches for it.
    pub idle_marker_ns: u64,
}

impl LocalConfig {
    pub fn new(shard: ShardId, new_journal_id: u64) -> Self {
        Self {
            shard,
            term: Term::new(1),
            new_journal_id,
            segment_bytes: 64 << 20,
            group_bytes_max: 8 << 20,
            idle_marker_ns: 10_000_000,
        }
    }
}

/// Numbers batches as they come and writes them in groups: while one group is being synced, everything that arrives
/// joins the next.
#[derive(Debug)]
pub struct LocalJournal<S> {
    storage: S,
    config: LocalConfig,
    journal_id: u64,
    last_seq: SeqNum,
    chain: ChainHash,
    last_ticket: Ticket,
    /// The newest that was attested, and whether it was written.
    attested: EventDigest,
    attested_is_new: bool,
    /// Events for the next poll.
    events: Vec<LogEvent>,
    filling: Filling,
    /// The other buffer, unless it is with the storage.
    spare: Option<GroupBuffer>,
    in_flight: Option<InFlight>,
    last_group: u64,
    /// Where the next group goes, if it fits.
    place: Position,
    /// The format of the segment that `place` is in.
    version: u32,
    space: Space,
    durable_seq: SeqNum,
    /// The segment of the last durable group.
    durable_segment: SegmentNumber,
    /// The watermark that the last durable group carries.
    marked_seq: SeqNum,
    /// Since when nothing is being written although the last group lacks a witness.
    idle_since: Option<TimeNs>,
    stopping: bool,
    failed: bool,
}

/// The group that collects batches.
#[derive(Debug)]
struct Filling {
    buffer: GroupBuffer,
    payload_bytes_max: usize,
    batches: u32,
    first_seq: SeqNum,
    /// The hash that its first batch carries, for the header of a segment that begins with it.
    chain_before: ChainHash,
}

/// What becomes true when the storage has synced a group.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    segment: SegmentNumber,
    last_seq: SeqNum,
    watermark: SeqNum,
}

/// What a batch needs besides its records: room for an event digest is always there, if without its steps.
const BATCH_OVERHEAD_BYTES: usize = size_of::<BatchHeader>() + EventDigest::BYTES_MIN;

impl<S: Storage> LocalJournal<S> {
    /// Continues the journal where the reader's input ends; what was not read yet is read (and verified) here.
    ///
    /// Torn bytes at the end are zeroed, and everything is synced before the first new group: what recovery saw may
    /// so far exist only in the disk's own memory, and what follows will vouch for it.
    ///
    /// # Panics
    /// When the configuration is impossible.
    pub fn open(mut reader: JournalReader<S>, config: LocalConfig) -> Result<Self, JournalError> {
        config.check();
        assert_eq!(reader.shard(), config.shard, "the reader and the journal are of one shard");
        while reader.next_batch()?.is_some() {}
        let tail = reader.tail().expect("a drained reader has settled the tail").clone();
        let (place, state) = (reader.at, reader.state);
        let (segments, used) = (core::mem::take(&mut reader.segments), core::mem::take(&mut reader.used));
        let mut storage = reader.into_storage();
        for cut in &tail.cuts {
            storage.write_zeros(cut.segment, cut.range.clone())?;
        }
        // The last good group may lie in the last segment but one when the cut emptied the last.
        for segment in segments.iter().filter(|segment| segment.number + 1 >= place.segment) {
            storage.sync(segment.number)?;
        }

        let journal_id = state.journal_id.unwrap_or(config.new_journal_id);
        let chain = if state.journal_id.is_some() { state.chain } else { chain_origin(journal_id) };
        let old = segments.iter().take_while(|segment| segment.number < place.segment);
        let old = old.filter_map(|segment| {
            // A segment ends where the next one that could be read begins.
            let (_, first_seq) = used.iter().find(|(number, _)| *number > segment.number)?;
            Some((segment.number, SeqNum::new(first_seq.raw() - 1)))
        });
        let old = old.collect();
        let blank: VecDeque<_> =
            segments.into_iter().filter(|segment| segment.number > place.segment).collect();
        let smallest = blank.iter().map(|segment| segment.bytes).fold(config.segment_bytes, u64::min);
        let payload_bytes_max = config.payload_bytes_max(smallest);
        Ok(Self {
            storage,
            journal_id,
            last_seq: state.last_seq,
            chain,
            last_ticket: Ticket::default(),
            attested: EventDigest::default(),
            attested_is_new: false,
            events: Vec::new(),
            filling: Filling {
                buffer: GroupBuffer::new(payload_bytes_max),
                payload_bytes_max,
                batches: 0,
                first_seq: SeqNum::NONE,
                chain_before: chain,
            },
            spare: Some(GroupBuffer::new(payload_bytes_max)),
            in_flight: None,
            last_group: state.last_group,
            place,
            version: state.version,
            space: Space::new(old, blank),
            durable_seq: state.last_seq,
            durable_segment: place.segment,
            marked_seq: state.watermark,
            idle_since: None,
            stopping: false,
            failed: false,
            config,
        })
    }

    /// The last command that has a number.
    pub fn last_seq(&self) -> SeqNum {
        self.last_seq
    }

    /// The last command that is durable.
    pub fn durable_seq(&self) -> SeqNum {
        self.durable_seq
    }

    /// The hash of the last batch.
    pub fn chain_hash(&self) -> [u8; 32] {
        self.chain
    }

    pub fn journal_id(&self) -> u64 {
        self.journal_id
    }

    fn refusal(&self, term: Term, batch: &Batch) -> Option<RefusalReason> {
        let bytes = BATCH_OVERHEAD_BYTES + batch.bytes_len();
        if self.stopping || self.failed || self.is_out_of_space() {
            Some(RefusalReason::ReadOnly)
        } else if term != self.config.term {
            Some(RefusalReason::Fenced)
        } else if self.filling.buffer.payload_len() + bytes > self.filling.payload_bytes_max {
            Some(RefusalReason::Busy)
        } else {
            None
        }
    }

    /// True when what already waits has no place to go until the disk has room again.
    fn is_out_of_space(&self) -> bool {
        self.space.is_out() && !self.group_fits_here()
    }

    /// What waits, or a marker if nothing does, fits the rest of the present segment.
    fn group_fits_here(&self) -> bool {
        self.place.offset + self.filling.buffer.group_len() as u64 <= self.place.segment_bytes
    }

    fn append(&mut self, batch: &Batch) {
        let header = BatchHeader::new(
            self.config.shard,
            self.config.term.raw(),
            self.last_seq.next(),
            self.durable_seq,
            self.chain,
        );
        let room = self.filling.payload_bytes_max
            - (self.filling.buffer.payload_len() + size_of::<BatchHeader>() + batch.bytes_len());
        let digest_bytes = self.digest_bytes_within(room);
        let header =
            header.sealed(batch.time().raw(), batch.count(), digest_bytes as u32, batch.bytes_len() as u32);
        let filling = &mut self.filling;
        if filling.batches == 0 {
            filling.first_seq = header.first_seq;
            filling.chain_before = self.chain;
        }
        let start = filling.buffer.payload_len();
        filling.buffer.extend(header.as_bytes());
        if digest_bytes > 0 {
            self.attested.write(digest_bytes, &mut filling.buffer);
            self.attested_is_new = false;
        }
        filling.buffer.extend(batch.bytes());
        filling.batches += 1;
        self.chain = *blake3::hash(filling.buffer.payload_from(start)).as_bytes();
        self.last_seq = SeqNum::new(self.last_seq.raw() + u64::from(batch.count()));
    }

    /// Bytes of the event digest to be written next, with its steps if they fit; zero when there is none.
    fn digest_bytes_within(&self, room: usize) -> usize {
        if self.attested_is_new && self.version >= FORMAT_WITH_DIGESTS {
            self.attested.section_bytes_within(room)
        } else {
            0
        }
    }

    fn complete(&mut self, completion: Completion, now: TimeNs) {
        match completion {
            Completion::Synced(buffer) => {
                let done = self.in_flight.take().expect("the storage syncs what was submitted");
                self.spare = Some(buffer);
                self.marked_seq = done.watermark;
                self.durable_segment = done.segment;
                self.idle_since = Some(now);
                if self.durable_seq < done.last_seq {
                    self.durable_seq = done.last_seq;
                    self.events.push(LogEvent::Committed { seq: done.last_seq, term: self.config.term });
                }
            }
            Completion::Prepared(segment) => self.space.prepared(segment, self.place.segment),
            Completion::PrepareFailed(error) if error.kind == StorageErrorKind::NoSpace => {
                self.space.found_full(now);
            }
            Completion::Removed(segment) => self.space.removed(segment),
            // It costs space and nothing else.
            Completion::RemoveFailed(_) => self.space.remove_failed(),
            Completion::PrepareFailed(error) | Completion::WriteFailed(error) => self.fail(error),
        }
    }

    /// From here on nothing is committed, whatever the disk still says.
    fn fail(&mut self, error: StorageError) {
        self.failed = true;
        self.events.push(LogEvent::Fault(LogFault::Storage(error)));
    }

    /// Has segments made ahead, and old ones removed.
    fn keep_space(&mut self, now: TimeNs) {
        let Position { segment, offset, segment_bytes } = self.place;
        // What waits and does not fit would wait for ever if nothing were made because little is in use.
        let in_use = if self.group_fits_here() { offset } else { segment_bytes };
        if let Some(number) = self.space.prepare(now, segment, in_use, segment_bytes) {
            self.storage.prepare_segment(number, self.config.segment_bytes);
        }
        if let Some(number) = self.space.remove(self.durable_segment) {
            self.storage.remove_segment(number);
        }
    }

    /// Hands the filling group to the storage if that is free and there is a place.
    fn submit(&mut self, now: TimeNs) {
        if self.in_flight.is_some() || self.filling.batches == 0 && !self.marker_is_due(now) {
            return;
        }
        let first_seq = if self.filling.batches == 0 { self.last_seq.next() } else { self.filling.first_seq };
        let segment_header = if self.group_fits_here() {
            None
        } else {
            let last_in_segment = SeqNum::new(first_seq.raw() - 1);
            // Without a place it waits and goes on growing; `Prepared` will come.
            let Some(next) = self.space.take_next(self.place.segment, last_in_segment) else { return };
            self.place = Position { segment: next.number, offset: 0, segment_bytes: next.bytes };
            self.version = FORMAT_VERSION;
            Some(self.segment_header(next, first_seq).to_block())
        };
        self.last_group += 1;
        if self.filling.batches == 0 {
            // A marker is one block: it must fit wherever a group does.
            let digest_bytes = self.digest_bytes_within(BLOCK_BYTES - size_of::<GroupHeader>());
            if digest_bytes > 0 {
                self.attested.write(digest_bytes, &mut self.filling.buffer);
                self.attested_is_new = false;
            }
        }
        let filling = &mut self.filling;
        let header = GroupHeader::new(self.journal_id, self.last_group, self.durable_seq, first_seq)
            .sealed(filling.buffer.payload_len() as u32, filling.batches);
        let spare = self.spare.take().expect("a buffer is with the storage only while a group is in flight");
        let mut group = core::mem::replace(&mut filling.buffer, spare);
        filling.buffer.clear();
        filling.batches = 0;
        group.seal(&header, segment_header.as_ref());

        let offset = self.place.offset;
        self.place.offset += group.as_bytes().len() as u64;
        assert!(self.place.offset <= self.place.segment_bytes, "a group fits every segment");
        self.in_flight = Some(InFlight {
            segment: self.place.segment,
            last_seq: self.last_seq,
            watermark: self.durable_seq,
        });
        self.storage.submit(self.place.segment, offset, group);
    }

    fn segment_header(&self, segment: Segment, first_seq: SeqNum) -> SegmentHeader {
        let mut header =
            SegmentHeader::new(self.journal_id, self.config.shard, segment.number, segment.bytes);
        header.first_group = self.last_group + 1;
        header.first_seq = first_seq;
        header.chain = if self.filling.batches == 0 { self.chain } else { self.filling.chain_before };
        header
    }

    /// A marker vouches for the last group; it is due after a while without another group that would.
    fn marker_is_due(&self, now: TimeNs) -> bool {
        self.marked_seq < self.durable_seq
            && (self.stopping || self.marker_deadline().is_some_and(|deadline| deadline <= now))
    }

    fn marker_deadline(&self) -> Option<TimeNs> {
        let waits =
            self.marked_seq < self.durable_seq && self.in_flight.is_none() && self.filling.batches == 0;
        // Without a place for it, the next segment is what is waited for, and that one wakes.
        let has_place = self.group_fits_here() || self.space.has_next();
        let since = self.idle_since.filter(|_| waits && has_place && !self.failed)?;
        Some(TimeNs::new(since.raw().saturating_add(self.config.idle_marker_ns)))
    }
}

impl<S: Storage> CommandLog for LocalJournal<S> {
    fn propose(&mut self, term: Term, batch: Batch) -> Result<Ticket, Refused> {
        assert!(!batch.is_empty(), "an empty batch");
        assert!(batch.bytes_len() <= self.batch_bytes_max(), "a batch longer than the journal's bound");
        if let Some(reason) = self.refusal(term, &batch) {
            return Err(Refused { reason, batch });
        }
        let first_seq = self.last_seq.next();
        self.append(&batch);
        self.events.push(LogEvent::Appended { first_seq, term, batch });
        self.last_ticket = self.last_ticket.next();
        Ok(self.last_ticket)
    }

    fn poll(&mut self, now: TimeNs, out: &mut Vec<LogEvent>) {
        while !self.failed
            && let Some(completion) = self.storage.poll()
        {
            self.complete(completion, now);
        }
        // A clock that was set back must not put the marker off.
        self.idle_since = Some(self.idle_since.map_or(now, |since| since.min(now)));
        if !self.failed {
            self.submit(now);
            self.keep_space(now);
        }
        out.append(&mut self.events);
    }

    fn attest(&mut self, digest: &EventDigest) {
        assert!(digest.seq <= self.last_seq, "only what was appended can be attested");
        self.attested.copy_from(digest);
        self.attested_is_new = true;
    }

    fn next_deadline(&self) -> Option<TimeNs> {
        let space = self.space.retry_at().filter(|_| !self.failed);
        [self.marker_deadline(), space].into_iter().flatten().min()
    }

    fn batch_bytes_max(&self) -> usize {
        self.filling.payload_bytes_max - BATCH_OVERHEAD_BYTES
    }

    fn is_short_of_space(&self) -> bool {
        self.space.is_short()
    }

    fn compact(&mut self, upto: SeqNum, _snapshot: SnapshotId) -> Result<(), LogFault> {
        assert!(upto <= self.durable_seq, "a snapshot contains only what is durable");
        self.space.retire(upto);
        Ok(())
    }

    fn shutdown(&mut self) {
        self.stopping = true;
    }

    fn is_stopped(&self) -> bool {
        let written =
            self.filling.batches == 0 && self.in_flight.is_none() && self.marked_seq == self.durable_seq;
        // Nothing that waits for space was ever committed, and recovery needs no marker.
        let stuck = self.in_flight.is_none() && self.is_out_of_space();
        self.events.is_empty() && (self.failed || self.stopping && (written || stuck))
    }
}

impl LocalConfig {
    fn check(&self) {
        assert!(self.segment_bytes >= MIN_SEGMENT_BYTES, "segments below {MIN_SEGMENT_BYTES} bytes");
        assert_eq!(self.segment_bytes % BLOCK_BYTES as u64, 0, "a segment is whole blocks");
        assert!(self.group_bytes_max >= 2 * BLOCK_BYTES, "a group holds at least a batch");
    }

    /// A group is bounded by the buffer and fits, with the segment header before it, in the smallest segment.
    fn payload_bytes_max(&self, smallest_segment_bytes: u64) -> usize {
        let segment = usize::try_from(smallest_segment_bytes).unwrap_or(usize::MAX) - SEGMENT_HEADER_BYTES;
        let group = self.group_bytes_max / BLOCK_BYTES * BLOCK_BYTES;
        // Lengths are stored in 32 bits.
        group.min(segment).min(1 << 30) - size_of::<GroupHeader>()
    }
}
