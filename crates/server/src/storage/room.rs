//! What new segments leave free for the next snapshot: a disk that is full of segments has room again only after one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use joulebook_journal::SegmentNumber;

/// Blank segments that lie between the one that is being written and one that is being made, at most.
const SEGMENTS_AHEAD: u64 = 2;
/// Bytes by which a snapshot may be larger than the one before, for each byte of the segments between them: the events of a
/// long request may take twice what it takes itself.
const GROWTH: u64 = 2;

/// Told by the shadow, obeyed by the thread that makes segments. The two numbers are read apart; what is wrong about that is
/// over when the disk is asked again.
#[derive(Debug, Default)]
pub struct SnapshotRoom {
    /// What a snapshot takes; 0 spares nothing.
    bytes: AtomicU64,
    /// The segment that the newest one ends in.
    segment: AtomicU64,
    /// One segment may take the room.
    conceded: AtomicBool,
}

impl SnapshotRoom {
    /// There is a snapshot of so many bytes, which ends in `segment`; 0 bytes: there will be none.
    pub fn keep(&self, bytes: u64, segment: SegmentNumber) {
        self.segment.store(segment, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Lets the next segment take the room: there is no other, and orders wait.
    pub fn concede(&self) {
        self.conceded.store(true, Ordering::Relaxed);
    }

    pub fn is_conceded(&self) -> bool {
        self.conceded.load(Ordering::Relaxed)
    }

    /// A segment was made: the one after it must leave room again.
    pub fn take_back(&self) {
        self.conceded.store(false, Ordering::Relaxed);
    }

    /// Bytes that segment `number`, which is `bytes` long like those before it, must leave free.
    pub fn spared_by(&self, number: SegmentNumber, bytes: u64) -> u64 {
        let newest = self.bytes.load(Ordering::Relaxed);
        if newest == 0 {
            return 0;
        }
        let filled_since =
            number.saturating_sub(self.segment.load(Ordering::Relaxed).saturating_add(SEGMENTS_AHEAD));
        let growth = bytes.saturating_mul(GROWTH).saturating_mul(filled_since);
        newest.saturating_add(newest / 2).saturating_add(growth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_grows_with_the_journal() {
        let room = SnapshotRoom::default();
        assert_eq!(room.spared_by(9, 100), 0, "nobody takes snapshots");
        room.keep(40, 5);
        // Segment 5 is being written when 6 and 7 are made ahead.
        let spared = [3, 6, 7, 8, 9].map(|number| room.spared_by(number, 100));
        assert_eq!(spared, [60, 60, 60, 260, 460]);
        room.keep(u64::MAX, 0);
        assert_eq!(room.spared_by(u64::MAX, u64::MAX), u64::MAX);
        room.keep(0, 0);
        assert_eq!(room.spared_by(9, 100), 0);
    }
}
