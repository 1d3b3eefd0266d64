//! Frames that are kept, back to back: a short request takes few bytes although some are long.

use joulebook_protocol::{Command, HEADER_BYTES};

/// A queue of frames in one piece of memory.
#[derive(Debug, Default)]
pub(crate) struct FrameBacklog {
    bytes: Vec<u8>,
    /// Everything before was popped.
    popped: usize,
}

impl FrameBacklog {
    /// Appends the frame of a command and gives it back.
    pub(crate) fn push(&mut self, command: &Command) -> &[u8] {
        let start = self.bytes.len();
        command.encode(&mut self.bytes);
        &self.bytes[start..]
    }

    /// Drops the oldest frame.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn pop(&mut self) {
        self.popped += frame_len(&self.bytes[self.popped..]);
        if self.popped == self.bytes.len() {
            self.bytes.clear();
            self.popped = 0;
        } else if self.bytes.len() - self.popped < self.popped {
            // What moves is shorter than what was popped, so each byte moves at most once on average.
            self.bytes.drain(..self.popped);
            self.popped = 0;
        }
    }

    /// The frames, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[self.popped..];
        core::iter::from_fn(move || {
            let (frame, after) = rest.split_at(if rest.is_empty() { return None } else { frame_len(rest) });
            rest = after;
            Some(frame)
        })
    }

    pub(crate) fn len_bytes(&self) -> usize {
        self.bytes.len() - self.popped
    }
}

/// Of the first of our own frames.
fn frame_len(frames: &[u8]) -> usize {
    HEADER_BYTES + usize::from(u16::from_le_bytes([frames[0], frames[1]]))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use joulebook_protocol::messages::{NewOrder, OpenAccount, OrderQuery};
    use joulebook_testkit::Xoshiro256pp;

    use super::*;

    #[test]
    fn frames_leave_in_order_and_memory_follows_what_is_kept() {
        let commands: [Command; 3] =
            [NewOrder::default().into(), OpenAccount::default().into(), OrderQuery::default().into()];
        let mut random = Xoshiro256pp::from_seed(4);
        let (mut backlog, mut expected) = (FrameBacklog::default(), VecDeque::new());
        let mut longest = 0;
        for round in 0..20_000 {
            // It grows for a while, shrinks for a while, and is empty at times.
            if expected.is_empty() || random.chance(if round % 400 < 200 { 2 } else { 1 }, 3) {
                let command = &commands[random.below(3) as usize];
                let frame = backlog.push(command).to_vec();
                let mut encoded = Vec::new();
                command.encode(&mut encoded);
                assert_eq!(frame, encoded);
                expected.push_back(frame);
            } else {
                backlog.pop();
                expected.pop_front();
            }
            let kept: usize = expected.iter().map(Vec::len).sum();
            longest = longest.max(kept);
            assert_eq!(backlog.len_bytes(), kept);
            assert!(backlog.bytes.len() <= 2 * kept, "popped frames go before they are the larger part");
            assert!(round % 50 != 0 || backlog.iter().eq(expected.iter().map(Vec::as_slice)));
        }
        assert!(longest > 2_000);
    }
}
