//! The end of a journal: what may be cut there, and what must not.

use core::ops::Range;

use crate::{
    JournalReader, Segment, Storage,
    error::JournalError,
    format::{BLOCK_BYTES, GroupHeader, HeaderBlock, SEGMENT_HEADER_BYTES, SegmentHeader, is_blank},
    reader::{Damage, Position},
    storage::SegmentNumber,
};

/// Where a journal ends, and what lies behind that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The segment with the last good group; 0 when there is none.
    pub segment: SegmentNumber,
    /// Where in it the next group would go.
    pub offset_bytes: u64,
    /// What an interrupted write left: to be zeroed before anything is appended.
    pub cuts: Vec<Cut>,
    /// What was wrong with the first of the cut bytes, for the log; `None` after a clean end.
    pub torn: Option<String>,
}

/// Bytes that were written but never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub segment: SegmentNumber,
    pub range: Range<u64>,
}

impl<S: Storage> JournalReader<S> {
    /// Has memory forgotten where a write of an earlier life may have failed, that of a group or that of a cut's zeros:
    /// what memory shows there need not be on the disk, and a sync that finds nothing to write proves nothing. A segment is
    /// begun when all before it is durable, so that is in the last one that is begun, or in those behind it. Which one that
    /// is the disk itself must say: so from the end on each is forgotten before it is looked at.
    pub(crate) fn trusting_the_disk(mut self) -> Result<Self, JournalError> {
        for at in (0..self.segments.len()).rev() {
            let segment = self.segments[at].number;
            self.storage.forget_memory(segment)?;
            if let Some(HeaderBlock::Valid(_) | HeaderBlock::OtherVersion(_)) = self.read_header(segment)? {
                break;
            }
        }
        Ok(self)
    }

    /// Looks at everything behind the last good group. Succeeds when nothing there proves that damage is older than
    /// the last write.
    pub(crate) fn settle_tail(&mut self, damage: Option<Damage>) -> Result<Tail, JournalError> {
        let mut cuts: Vec<Cut> = Vec::new();
        let mut at = self.at;
        loop {
            while at.offset < at.segment_bytes {
                if !is_blank(self.load_block(at)?) {
                    self.check_not_later(at, damage, &cuts)?;
                    extend_cuts(&mut cuts, at);
                }
                at.offset += BLOCK_BYTES as u64;
            }
            let Some(Segment { number, bytes }) = self.segment(at.segment + 1) else { break };
            at = Position { segment: number, offset: 0, segment_bytes: bytes };
        }
        let torn = damage.map(|Damage { segment, offset, what }| {
            format!("{}, byte {offset}: {what}", self.file_name(segment))
        });
        let torn = torn.or_else(|| {
            let cut = cuts.first()?;
            let file = self.file_name(cut.segment);
            Some(format!("{file}, byte {}: bits in space that was never written", cut.range.start))
        });
        Ok(Tail { segment: self.at.segment, offset_bytes: self.at.offset, cuts, torn })
    }

    /// A block behind the last good group may be a piece of the group that was being written, which is at the end
    /// of the last segment or, with the segment's header, at the start of the next. Any other group or header that
    /// is whole was written later, and so proves that what is missing before it had been durable.
    fn check_not_later(
        &mut self,
        at: Position,
        damage: Option<Damage>,
        cuts: &[Cut],
    ) -> Result<(), JournalError> {
        let (end, state) = (self.at, self.state);
        let in_next = at.segment == end.segment + 1 && cuts.iter().all(|cut| cut.segment != end.segment);
        let block = self.load_block(at)?;
        let later = if at.segment != end.segment && at.offset == 0 {
            match SegmentHeader::from_block(block) {
                HeaderBlock::Valid(header) => !(in_next && header.first_group == state.last_group + 1),
                HeaderBlock::OtherVersion(_) => true,
                HeaderBlock::Damaged => false,
            }
        } else {
            GroupHeader::read(block).is_some_and(|header| {
                let ours = state.journal_id.is_none_or(|id| id == header.journal_id);
                let unfinished = header.group == state.last_group + 1
                    && (at == end || in_next && at.offset == SEGMENT_HEADER_BYTES as u64);
                ours && !unfinished
            })
        };
        if !later {
            return Ok(());
        }
        let proof = format!("{} holds a later write at byte {}", self.file_name(at.segment), at.offset);
        let (place, what) = match damage {
            Some(damage) => (damage, damage.what),
            None => {
                (Damage { segment: end.segment.max(1), offset: end.offset, what: "" }, "a group is missing")
            }
        };
        // The intact part ends with the last good group, or with nothing at all of the segment after it.
        let cut_at = if place.segment == end.segment { end.offset } else { 0 };
        let intact = Position { segment: place.segment, offset: cut_at, segment_bytes: 0 };
        Err(self.corrupt_at(intact, place.offset - cut_at, &format!("{what}, and {proof}")))
    }
}

fn extend_cuts(cuts: &mut Vec<Cut>, at: Position) {
    let range = at.offset..at.offset + BLOCK_BYTES as u64;
    match cuts.last_mut() {
        Some(last) if last.segment == at.segment && last.range.end == range.start => {
            last.range.end = range.end
        }
        _ => cuts.push(Cut { segment: at.segment, range }),
    }
}
