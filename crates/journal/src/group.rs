//! Verifying one group after the other.

use core::ops::Range;

use joulebook_types::{SeqNum, TimeNs};

use crate::{
    EventDigest, JournalReader, Storage,
    batch::verify_records,
    error::JournalError,
    format::{
        BLOCK_BYTES, BatchHeader, FORMAT_VERSION, FORMAT_WITH_DIGESTS, GroupHeader, HeaderBlock,
        SEGMENT_HEADER_BYTES, SegmentHeader, chain_origin, is_blank,
    },
    reader::{Damage, Position, ReadState, Step},
    storage::SegmentNumber,
};

impl<S: Storage> JournalReader<S> {
    /// Goes one good group on, if there is one, in this segment or at the start of the next.
    pub(crate) fn step(&mut self) -> Result<Step, JournalError> {
        match self.try_group()? {
            Step::Blank => self.try_next_segment(),
            other => Ok(other),
        }
    }

    /// The next segment continues the journal if its header says so and its first group is good.
    pub(crate) fn try_next_segment(&mut self) -> Result<Step, JournalError> {
        let Some(next) = self.segment(self.at.segment + 1) else { return Ok(Step::Blank) };
        let segment = next.number;
        let header = match self.read_header(segment)? {
            None => return Ok(Step::Blank),
            Some(HeaderBlock::Valid(header)) => header,
            Some(HeaderBlock::OtherVersion(found)) => return Err(self.other_version(segment, found)),
            Some(HeaderBlock::Damaged) => {
                let what = "the segment header is damaged";
                return Ok(Step::Damaged(Damage { segment, offset: 0, what }));
            }
        };
        self.check_header(&header, segment, next.bytes)?;
        self.check_rest_is_blank()?;

        let (before, state) = (self.at, self.state);
        let begin = SEGMENT_HEADER_BYTES as u64;
        self.at = Position { segment, offset: begin, segment_bytes: next.bytes };
        self.state.version = header.version;
        if self.state.journal_id.is_none() {
            self.state.journal_id = Some(header.journal_id);
            self.state.chain = header.chain;
        }
        let found = self.try_group();
        if let Ok(Step::Group) = found {
            self.used.push((segment, header.first_seq));
            return found;
        }
        // The header and the first group are one write: without the group, the header does not count either.
        (self.at, self.state) = (before, state);
        match found? {
            Step::Group | Step::Blank => {
                Ok(Step::Damaged(Damage { segment, offset: begin, what: "the first group is missing" }))
            }
            damaged @ Step::Damaged(_) => Ok(damaged),
        }
    }

    /// Reads and verifies the group at the current position, and steps behind it.
    fn try_group(&mut self) -> Result<Step, JournalError> {
        let at = self.at;
        let room = at.segment_bytes - at.offset;
        if room == 0 {
            return Ok(Step::Blank);
        }
        let block =
            self.window.load(&mut self.storage, at.segment, at.offset, BLOCK_BYTES, at.segment_bytes)?;
        let Some(header) = GroupHeader::read(&self.window.bytes[block.clone()]) else {
            if is_blank(&self.window.bytes[block]) {
                return Ok(Step::Blank);
            }
            return Ok(Step::Damaged(self.damage(0, "the group header is damaged")));
        };
        self.check_group(&header, room)?;
        let payload = header.payload_bytes as usize;
        let length = (size_of::<GroupHeader>() + payload).next_multiple_of(BLOCK_BYTES);
        let group = self.window.load(&mut self.storage, at.segment, at.offset, length, at.segment_bytes)?;
        let start = group.start + size_of::<GroupHeader>();
        let state = match self.verify_content(&header, start..start + payload)? {
            Ok(state) => state,
            Err(damage) => return Ok(Step::Damaged(damage)),
        };
        if !is_blank(&self.window.bytes[start + payload..group.end]) {
            return Ok(Step::Damaged(self.damage(length as u64 - 1, "the padding of a group is not zero")));
        }
        self.state = ReadState { last_group: header.group, watermark: header.watermark, ..state };
        self.at.offset += length as u64;
        self.pending = start..start + payload;
        if header.batches == 0 {
            self.pending.start = self.pending.end;
            if payload > 0 {
                self.take_marker_digest(start..start + payload);
            }
        }
        Ok(Step::Group)
    }

    /// Walks the batches of a group, or looks at what a marker says. The outer error is a group that is whole but does
    /// not belong here, which no torn write can produce; the inner one is a group that is not whole.
    fn verify_content(
        &self,
        group: &GroupHeader,
        payload: Range<usize>,
    ) -> Result<Result<ReadState, Damage>, JournalError> {
        let bytes = &self.window.bytes[payload];
        let begin = size_of::<GroupHeader>() as u64;
        let mut state = self.state;
        if group.batches == 0 {
            if !bytes.is_empty()
                && let Err(damage) = self.verify_digest(bytes, &state, begin)?
            {
                return Ok(Err(damage));
            }
            return Ok(Ok(state));
        }
        let mut offset = 0;
        for _ in 0..group.batches {
            let place = begin + offset as u64;
            let rest = &bytes[offset..];
            let Some(header) = BatchHeader::read(rest) else {
                return Ok(Err(self.damage(place, "a batch header is damaged")));
            };
            let Some(batch) = rest.get(..header.batch_bytes()) else {
                return Err(self.corrupt(place, "a batch is longer than its group"));
            };
            if let Err(damage) = self.verify_batch(&header, batch, &state, place)? {
                return Ok(Err(damage));
            }
            self.check_batch(&header, &state, group, place)?;
            state.chain = *blake3::hash(batch).as_bytes();
            state.last_seq = SeqNum::new(state.last_seq.raw() + u64::from(header.count));
            state.last_time = TimeNs::new(header.time_ns);
            offset += batch.len();
        }
        if offset != bytes.len() {
            return Err(self.corrupt(begin + offset as u64, "a group goes on after its last batch"));
        }
        Ok(Ok(state))
    }

    /// The digest and the records of a batch that begins at `place` of its group.
    fn verify_batch(
        &self,
        header: &BatchHeader,
        batch: &[u8],
        state: &ReadState,
        place: u64,
    ) -> Result<Result<(), Damage>, JournalError> {
        let (digest, records) = batch[size_of::<BatchHeader>()..].split_at(header.digest_bytes as usize);
        let place = place + size_of::<BatchHeader>() as u64;
        if !digest.is_empty()
            && let Err(damage) = self.verify_digest(digest, state, place)?
        {
            return Ok(Err(damage));
        }
        Ok(verify_records(records, header.count)
            .map_err(|damage| self.damage(place + (digest.len() + damage.offset_bytes) as u64, damage.what)))
    }

    fn verify_digest(
        &self,
        section: &[u8],
        state: &ReadState,
        place: u64,
    ) -> Result<Result<(), Damage>, JournalError> {
        match EventDigest::verify(section) {
            Err(what) => Ok(Err(self.damage(place, what))),
            Ok(_) if state.version < FORMAT_WITH_DIGESTS => {
                Err(self.corrupt(place, "an event digest, which this segment's format does not have"))
            }
            Ok(seq) if seq == SeqNum::NONE || seq > state.last_seq => {
                Err(self.corrupt(place, "an event digest of a batch that is not before it"))
            }
            Ok(_) => Ok(Ok(())),
        }
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
        } else if !header.is_consistent(self.state.version) {
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
        } else if header.version < state.version && state.last_group > 0 {
            "this segment has an older format than the one before it"
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

    /// The header block of a segment that exists, `None` if it was never written.
    pub(crate) fn read_header(
        &mut self,
        segment: SegmentNumber,
    ) -> Result<Option<HeaderBlock>, JournalError> {
        let mut block = [0; SEGMENT_HEADER_BYTES];
        self.storage.read_at(segment, 0, &mut block)?;
        Ok(if is_blank(&block) { None } else { Some(SegmentHeader::from_block(&block)) })
    }

    pub(crate) fn other_version(&self, segment: SegmentNumber, found: u32) -> JournalError {
        JournalError::Version { file: self.storage.file_name(segment), found, supported: FORMAT_VERSION }
    }

    pub(crate) fn load_block(&mut self, at: Position) -> Result<&[u8], JournalError> {
        let range =
            self.scan.load(&mut self.storage, at.segment, at.offset, BLOCK_BYTES, at.segment_bytes)?;
        Ok(&self.scan.bytes[range])
    }

    fn damage(&self, offset_in_group: u64, what: &'static str) -> Damage {
        Damage { segment: self.at.segment, offset: self.at.offset + offset_in_group, what }
    }

    fn corrupt(&self, offset_in_group: u64, what: &str) -> JournalError {
        self.corrupt_at(self.at, offset_in_group, what)
    }
}
