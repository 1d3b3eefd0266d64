//! Beginning in the middle: behind a snapshot's mark, or with the oldest segment that is left.

use joulebook_types::SeqNum;

use crate::{
    JournalMark, JournalReader, Segment, Storage,
    error::JournalError,
    format::{BatchHeader, HeaderBlock, SegmentHeader},
    reader::{Damage, Position, ReadState, Step},
    storage::SegmentNumber,
};

const DAMAGED_HEADER: &str = "the segment header is damaged, and there is no segment before it";

/// The first blocks of a folder's segments.
struct Headers {
    whole: Vec<SegmentHeader>,
    /// The oldest segment whose first block was written and makes no sense.
    first_damaged: Option<SegmentNumber>,
}

/// No journal comes near; a header that says more must not make sums overflow.
const NUMBER_MAX: u64 = 1 << 62;

impl<S: Storage> JournalReader<S> {
    /// Without a snapshot, a journal can be read only from its very first batch.
    pub(crate) fn check_not_retired(&mut self) -> Result<(), JournalError> {
        let Some(oldest) = self.segments.first().filter(|oldest| oldest.number > 1).copied() else {
            return Ok(());
        };
        let header = self.valid_header(oldest)?;
        let file = self.file_name(oldest.number);
        Err(JournalError::Retired { file, first_seq: header.first_seq })
    }

    /// The header of a segment that must have one.
    pub(crate) fn valid_header(&mut self, segment: Segment) -> Result<SegmentHeader, JournalError> {
        let what = match self.read_header(segment.number)? {
            Some(HeaderBlock::Valid(header)) if is_plausible(&header) => return Ok(header),
            Some(HeaderBlock::OtherVersion(found)) => return Err(self.other_version(segment.number, found)),
            Some(HeaderBlock::Valid(_)) => "the numbers in the segment header are impossible",
            Some(HeaderBlock::Damaged) => DAMAGED_HEADER,
            None => "the oldest segment is blank although segments before it existed",
        };
        let at = Position { segment: segment.number, ..Position::default() };
        Err(self.corrupt_at(at, 0, what))
    }

    /// Stands before the first group of a segment, as if everything before it had been read.
    pub(crate) fn begin_with(&mut self, header: &SegmentHeader) {
        self.at = Position { segment: header.segment.saturating_sub(1), ..Position::default() };
        self.pending = 0..0;
        self.state = ReadState {
            journal_id: Some(header.journal_id),
            version: header.version,
            last_group: header.first_group.saturating_sub(1),
            last_seq: SeqNum::new(header.first_seq.raw().saturating_sub(1)),
            watermark: SeqNum::NONE,
            chain: header.chain,
            ..self.state
        };
    }

    /// Stands right behind the batch that `mark` names.
    pub(crate) fn seek(&mut self, mark: &JournalMark) -> Result<(), JournalError> {
        if mark.shard != self.shard {
            return Err(foreign(mark, format!("it was made of shard {}", mark.shard)));
        }
        let Headers { whole: headers, first_damaged } = self.headers()?;
        let next = mark.seq.raw().saturating_add(1);
        let oldest = headers.first().filter(|oldest| oldest.first_seq.raw() <= next);
        let before_all = first_damaged.filter(|it| headers.first().is_none_or(|first| *it < first.segment));
        if let (None, Some(segment)) = (oldest, before_all) {
            // What the mark is about may be in there, so it is the damage that has to be repaired.
            let at = Position { segment, ..Position::default() };
            return Err(self.corrupt_at(at, 0, DAMAGED_HEADER));
        }
        let Some(oldest) = oldest else {
            let Some(SegmentHeader { first_seq: first, .. }) = headers.first() else {
                return Err(foreign(mark, "no segment of the folder was ever used".to_owned()));
            };
            return Err(foreign(
                mark,
                format!("the oldest command that the journal has left is number {first}"),
            ));
        };
        for header in headers.iter().rev().filter(|header| header.first_seq.raw() <= next) {
            if header.journal_id != mark.journal_id {
                return Err(foreign(mark, "the journal has another name".to_owned()));
            }
            self.begin_with(header);
            // A segment of which not even the first group is whole was never reached: the place is in the one before.
            if matches!(self.try_next_segment()?, Step::Group) {
                self.note_older(&headers, header.segment);
                return self.skip_to(mark);
            }
        }
        let (segment, what) = match before_all {
            // What was never reached is sound; the mark is about the end of the segment before.
            Some(damaged) => (damaged, DAMAGED_HEADER),
            None => (oldest.segment, "the first group of the oldest segment is missing or damaged"),
        };
        let at = Position { segment, ..Position::default() };
        Err(self.corrupt_at(at, 0, what))
    }

    /// What the beginnings of all segments say, in order.
    fn headers(&mut self) -> Result<Headers, JournalError> {
        let mut headers = Headers { whole: Vec::new(), first_damaged: None };
        for index in 0..self.segments.len() {
            let segment = self.segments[index].number;
            match self.read_header(segment)? {
                Some(HeaderBlock::Valid(header)) if is_plausible(&header) && header.segment == segment => {
                    headers.whole.push(header);
                }
                Some(HeaderBlock::OtherVersion(found)) => return Err(self.other_version(segment, found)),
                Some(HeaderBlock::Valid(_) | HeaderBlock::Damaged) => {
                    headers.first_damaged.get_or_insert(segment);
                }
                None => {}
            }
        }
        Ok(headers)
    }

    /// Segments before the first one that is read are known by their headers only.
    fn note_older(&mut self, headers: &[SegmentHeader], first_read: u64) {
        let older = headers.iter().filter(|header| header.segment < first_read);
        self.used.splice(0..0, older.map(|header| (header.segment, header.first_seq)));
    }

    fn skip_to(&mut self, mark: &JournalMark) -> Result<(), JournalError> {
        while self.state.last_seq < mark.seq {
            let damage = match self.step()? {
                Step::Group => continue,
                Step::Damaged(damage) => Some(damage),
                Step::Blank => None,
            };
            self.settle_tail(damage)?;
            if let Some(Damage { segment, offset, what }) = damage {
                // No torn write: the mark was made of what was proven durable, and it lies behind the damage.
                let cut_at = if segment == self.at.segment { self.at.offset } else { 0 };
                let intact = Position { segment, offset: cut_at, segment_bytes: 0 };
                let what = format!("{what}, and a snapshot knows of command {} behind it", mark.seq);
                return Err(self.corrupt_at(intact, offset - cut_at, &what));
            }
            let last = self.state.last_seq;
            return Err(foreign(mark, format!("the journal ends with command {last}")));
        }
        while !self.pending.is_empty() {
            let header = BatchHeader::read(&self.window.bytes[self.pending.clone()]);
            let header = header.expect("the whole group was verified");
            if header.first_seq > mark.seq {
                break;
            }
            if header.first_seq.raw() + u64::from(header.count) - 1 > mark.seq.raw() {
                return Err(foreign(mark, "no batch of the journal ends there".to_owned()));
            }
            self.pending.start += header.batch_bytes();
        }
        if self.chain_in_hand() != mark.chain {
            return Err(foreign(mark, "the batch that ends there has another hash".to_owned()));
        }
        Ok(())
    }
}

fn is_plausible(header: &SegmentHeader) -> bool {
    let sane = 1..NUMBER_MAX;
    sane.contains(&header.first_seq.raw()) && sane.contains(&header.first_group)
}

fn foreign(mark: &JournalMark, what: String) -> JournalError {
    JournalError::ForeignMark { seq: mark.seq, what }
}
