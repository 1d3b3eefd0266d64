//! Frames that arrive each once and in order, whatever becomes of their datagrams.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::net::endpoint::StreamNumber;

/// What the two ends of a connection tell each other.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    /// The client's first.
    Hello,
    /// The server's first.
    Welcome,
    Data {
        stream: StreamNumber,
        bytes: Rc<Vec<u8>>,
        fin: bool,
    },
    /// How many bytes of a stream may be sent in all.
    Credit {
        stream: StreamNumber,
        upto: u64,
    },
    /// The sender gives the stream up.
    Reset {
        stream: StreamNumber,
    },
    /// The receiver reads no more.
    Stop {
        stream: StreamNumber,
    },
}

/// One direction's sender and the other's receiver.
#[derive(Debug)]
pub(super) struct Channel {
    /// Frames that the peer may lack, and the number of the first.
    out: VecDeque<Frame>,
    base: u64,
    /// How many of `out` have been sent since they were last given up for lost.
    sent: usize,
    /// The next frame that is wanted from the peer.
    expected: u64,
    /// Frames that came too early.
    early: BTreeMap<u64, Frame>,
    ack_due: bool,
    retry_at: Option<u64>,
    /// Times that nothing was heard of what was sent.
    retries: u32,
}

const RETRY_NS: u64 = 50_000_000;
const RETRY_NS_MAX: u64 = 1_000_000_000;
/// Bytes of data in one datagram, about.
const DATAGRAM_BYTES: usize = 1_200;
/// Frames beyond this are not worth keeping before their time.
const EARLY_MAX: u64 = 1_024;

impl Channel {
    pub fn new() -> Self {
        Self {
            out: VecDeque::new(),
            base: 0,
            sent: 0,
            expected: 0,
            early: BTreeMap::new(),
            ack_due: false,
            retry_at: None,
            retries: 0,
        }
    }

    pub fn push(&mut self, frame: Frame) {
        self.out.push_back(frame);
    }

    /// Appends data, in the last datagram if that has not left.
    pub fn push_data(&mut self, stream: StreamNumber, bytes: &[u8]) {
        let unsent = self.out.len() > self.sent;
        if unsent
            && let Some(Frame::Data { stream: last, bytes: waiting, fin: false }) = self.out.back_mut()
            && *last == stream
            && waiting.len() + bytes.len() <= DATAGRAM_BYTES
            && let Some(waiting) = Rc::get_mut(waiting)
        {
            return waiting.extend_from_slice(bytes);
        }
        for bytes in bytes.chunks(DATAGRAM_BYTES) {
            self.push(Frame::Data { stream, bytes: Rc::new(bytes.to_vec()), fin: false });
        }
    }

    /// Frames that the peer may not have.
    pub fn unacknowledged(&self) -> usize {
        self.out.len()
    }

    /// Takes what the peer has sent; new frames come out in their order.
    pub fn on_frames(&mut self, first: u64, frames: Vec<Frame>, out: &mut Vec<Frame>) {
        self.ack_due |= !frames.is_empty();
        for (number, frame) in (first..).zip(frames) {
            if (self.expected..self.expected + EARLY_MAX).contains(&number) {
                self.early.insert(number, frame);
            }
        }
        while let Some(frame) = self.early.remove(&self.expected) {
            self.expected += 1;
            out.push(frame);
        }
    }

    /// The peer has everything below `ack`; frames that it needs no more come out.
    pub fn on_ack(&mut self, ack: u64, done: &mut Vec<Frame>) {
        let count = ack.saturating_sub(self.base).min(self.out.len() as u64) as usize;
        if count == 0 {
            return;
        }
        done.extend(self.out.drain(..count));
        self.base += count as u64;
        self.sent = self.sent.saturating_sub(count);
        self.retries = 0;
        // What was sent later has its own time to be heard of.
        self.retry_at = None;
    }

    /// Everything below has come.
    pub fn acknowledges(&self) -> u64 {
        self.expected
    }

    /// The next datagram's frames with the number of the first; an empty one only acknowledges.
    pub fn next_datagram(&mut self) -> Option<(u64, Vec<Frame>)> {
        let mut bytes = 0;
        let frames: Vec<Frame> = self
            .out
            .iter()
            .skip(self.sent)
            .take_while(|frame| {
                let before = bytes;
                bytes += 16 + if let Frame::Data { bytes, .. } = frame { bytes.len() } else { 0 };
                before == 0 || bytes <= DATAGRAM_BYTES
            })
            .cloned()
            .collect();
        if frames.is_empty() && !self.ack_due {
            return None;
        }
        let first = self.base + self.sent as u64;
        self.sent += frames.len();
        self.ack_due = false;
        Some((first, frames))
    }

    /// To be called when datagrams may have left: what is not heard of has its time from now on.
    pub fn start_retry(&mut self, now: u64) {
        if self.sent > 0 && self.retry_at.is_none() {
            self.retry_at = Some(now + (RETRY_NS << self.retries.min(16)).min(RETRY_NS_MAX));
        }
    }

    /// What was sent and not heard of is sent again when it is time.
    pub fn on_time(&mut self, now: u64) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.retries += 1;
            self.sent = 0;
        }
    }

    pub fn deadline(&self) -> Option<u64> {
        self.retry_at
    }

    /// Something can be sent now.
    pub fn has_work(&self) -> bool {
        self.ack_due || self.sent < self.out.len()
    }
}
