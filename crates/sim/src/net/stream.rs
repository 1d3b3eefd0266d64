//! One end of a two-way byte stream.

use std::collections::VecDeque;

/// What is read, what may be written, and what was announced.
#[derive(Debug)]
pub(super) struct Stream {
    /// Bytes that came and were not read.
    pub input: VecDeque<u8>,
    /// Bytes that were read.
    consumed: u64,
    /// Bytes that the peer may send in all.
    granted: u64,
    window: u64,
    pub input_end: InputEnd,
    /// `Readable` is due when something comes.
    pub is_armed: bool,
    /// Bytes that we may send in all, and that we have.
    credit: u64,
    written: u64,
    pub output_end: OutputEnd,
    /// `Writable` is due when there is room.
    pub is_blocked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputEnd {
    Open,
    Finished,
    /// The peer gave it up.
    Reset,
    /// We read no more.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputEnd {
    Open,
    Finished,
    /// We gave it up, or the peer reads no more.
    Over,
}

impl Stream {
    pub fn new(window: u64, credit: u64) -> Self {
        Self {
            input: VecDeque::new(),
            consumed: 0,
            granted: window,
            window,
            input_end: InputEnd::Open,
            is_armed: true,
            credit,
            written: 0,
            output_end: OutputEnd::Open,
            is_blocked: false,
        }
    }

    /// Bytes that may be written now.
    pub fn room(&self) -> usize {
        (self.credit - self.written) as usize
    }

    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    pub fn on_credit(&mut self, upto: u64) {
        self.credit = self.credit.max(upto);
    }

    /// Hands out at most `budget` bytes, and gives their number.
    pub fn read(&mut self, budget: usize, mut out: impl FnMut(&[u8])) -> usize {
        let count = budget.min(self.input.len());
        let (first, second) = self.input.as_slices();
        let of_first = count.min(first.len());
        for piece in [&first[..of_first], &second[..count - of_first]] {
            if !piece.is_empty() {
                out(piece);
            }
        }
        self.input.drain(..count);
        self.consumed += count as u64;
        count
    }

    /// The window, when so much was read that the peer should know.
    pub fn take_credit(&mut self) -> Option<u64> {
        let upto = self.consumed + self.window;
        if upto < self.granted + self.window.div_ceil(2) {
            return None;
        }
        self.granted = upto;
        Some(upto)
    }

    /// Never smaller than before.
    pub fn grow_window(&mut self, bytes: u64) {
        self.window = self.window.max(bytes);
    }

    /// The peer sent more than it may.
    pub fn is_overrun(&self, more: usize) -> bool {
        self.granted < self.consumed + (self.input.len() + more) as u64
    }
}
