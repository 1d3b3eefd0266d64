//! The segments around the one that is being written: blank ones that wait behind it, and old ones that may be retired.

use std::collections::VecDeque;

use joulebook_types::{SeqNum, TimeNs};

use crate::{Segment, SegmentNumber};

/// Segments that are kept ready: the next one, and the reserve behind it.
const AHEAD: usize = 2;

/// A segment is asked for when so much of the present one is full: an eighth. An exchange that was only tried does not
/// write zeros that it never needs, and a busy one has seven eighths of a segment's time.
const ASK_AT: u64 = 8;

/// How soon a full disk is asked again.
const FULL_RETRY_MS: u32 = 1_000;

/// Decides what to ask of the storage. While the disk has room there are two segments ahead. When it has none, the one
/// that is left is the reserve, in which cancels go on although new orders should be refused.
#[derive(Debug)]
pub(crate) struct Space {
    /// Blank and durable, in order.
    ready: VecDeque<Segment>,
    is_preparing: bool,
    /// Nothing was asked yet since the start. The exchange before may have found the disk full, and how much of the present
    /// segment is in use does not tell.
    is_new: bool,
    /// The disk was full when it was last asked: when to ask again.
    full: Option<TimeNs>,
    /// Segments before the present one, oldest first, with the last command of each.
    old: VecDeque<(SegmentNumber, SeqNum)>,
    /// Segments that end with this command or before may go.
    retire_upto: SeqNum,
    is_removing: bool,
}

impl Space {
    /// `old` and `ready` lie around the present segment, in order.
    pub(crate) fn new(old: VecDeque<(SegmentNumber, SeqNum)>, ready: VecDeque<Segment>) -> Self {
        Self {
            ready,
            is_preparing: false,
            is_new: true,
            full: None,
            old,
            retire_upto: SeqNum::NONE,
            is_removing: false,
        }
    }

    /// No segment could be made when the disk was last asked. At most the reserve is left behind the present one.
    pub(crate) fn is_short(&self) -> bool {
        self.full.is_some()
    }

    /// There is nothing behind the present segment, and no room to make anything.
    pub(crate) fn is_out(&self) -> bool {
        self.is_short() && self.ready.is_empty()
    }

    pub(crate) fn has_next(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Moves on to the next segment. `last_seq` is the last command of the present one, which is `current`.
    pub(crate) fn take_next(&mut self, current: SegmentNumber, last_seq: SeqNum) -> Option<Segment> {
        let next = self.ready.pop_front()?;
        if current > 0 {
            self.old.push_back((current, last_seq));
        }
        Some(next)
    }

    /// The segment to be prepared now, if any. The present segment is `current`, of `bytes`, and in use up to `offset`.
    pub(crate) fn prepare(
        &mut self,
        now: TimeNs,
        current: SegmentNumber,
        offset: u64,
        bytes: u64,
    ) -> Option<SegmentNumber> {
        let wanted = match current {
            // The first acknowledgement waits for one segment, not for three.
            0 => self.ready.is_empty(),
            // A full disk is asked again however little of the present one is in use: while orders are refused, that may
            // never become more.
            _ => {
                let is_due = bytes <= offset.saturating_mul(ASK_AT) || self.is_new && current > 1;
                self.ready.len() < AHEAD && (self.is_short() || is_due)
            }
        };
        if !wanted || self.is_preparing || self.full.is_some_and(|retry_at| now < retry_at) {
            return None;
        }
        (self.is_preparing, self.is_new) = (true, false);
        Some(self.ready.back().map_or(current, |last| last.number) + 1)
    }

    pub(crate) fn prepared(&mut self, segment: Segment, current: SegmentNumber) {
        let expected = self.ready.back().map_or(current, |last| last.number) + 1;
        assert_eq!(segment.number, expected, "segments are made in order, one at a time");
        (self.is_preparing, self.full) = (false, None);
        self.ready.push_back(segment);
    }

    pub(crate) fn found_full(&mut self, now: TimeNs) {
        self.is_preparing = false;
        self.full = Some(now.saturating_add_ms(FULL_RETRY_MS));
    }

    /// When the disk should be asked again.
    pub(crate) fn retry_at(&self) -> Option<TimeNs> {
        self.full.filter(|_| !self.is_preparing)
    }

    pub(crate) fn retire(&mut self, upto: SeqNum) {
        self.retire_upto = self.retire_upto.max(upto);
    }

    /// The segment to be removed now, if any: the oldest first, so that a crash leaves no gap, and only before
    /// `durable`, which holds a durable group. What is left after a crash thus always begins with a whole group.
    pub(crate) fn remove(&mut self, durable: SegmentNumber) -> Option<SegmentNumber> {
        let (oldest, last_seq) = *self.old.front()?;
        if self.is_removing || oldest >= durable || last_seq > self.retire_upto {
            return None;
        }
        self.is_removing = true;
        Some(oldest)
    }

    pub(crate) fn removed(&mut self, segment: SegmentNumber) {
        let oldest = self.old.pop_front().map(|(number, _)| number);
        assert_eq!(oldest, Some(segment), "one segment is removed at a time, the oldest first");
        self.is_removing = false;
        if self.full.is_some() {
            // There is room now.
            self.full = Some(TimeNs::ZERO);
        }
    }

    /// The next compaction tries again.
    pub(crate) fn remove_failed(&mut self) {
        (self.is_removing, self.retire_upto) = (false, SeqNum::NONE);
    }
}
