//! Frames in and frames out of a byte stream.

use core::ops::Range;

use joulebook_protocol::{Frame, FrameError, FrameHeader, HEADER_BYTES, Message, encode};

/// Puts frames together from the pieces in which they arrive.
#[derive(Debug, Default)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    /// Everything before was taken.
    taken: usize,
}

/// Where a frame lies in its buffer, until the next push.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) header: FrameHeader,
    range: Range<usize>,
}

impl FrameBuffer {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.taken == self.bytes.len() {
            self.clear();
        } else if self.bytes.len() - self.taken < self.taken {
            // What moves is shorter than what was taken, so each byte moves at most once on average.
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next whole frame; its bytes can be read until the next push.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Span>, FrameError> {
        let Some((frame, _)) = Frame::split(&self.bytes[self.taken..])? else { return Ok(None) };
        let (header, end) = (frame.header, self.taken + frame.bytes_len());
        let range = self.taken..end;
        self.taken = end;
        Ok(Some(Span { header, range }))
    }

    pub(crate) fn frame(&self, span: &Span) -> Frame<'_> {
        Frame { header: span.header, block: &self.bytes(span)[HEADER_BYTES..] }
    }

    /// Header and block.
    pub(crate) fn bytes(&self, span: &Span) -> &[u8] {
        &self.bytes[span.range.clone()]
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.taken = 0;
    }
}

/// Frames that wait to be written to the stream.
#[derive(Debug, Default)]
pub(crate) struct OutBuffer {
    /// Starts with a frame, so that whole frames can be told apart at any time.
    bytes: Vec<u8>,
    /// Bytes that the stream has taken. May lie within a frame.
    sent: usize,
}

/// A burst may leave this much memory with a session; more is given back.
const KEPT_BYTES: usize = 64 << 10;

impl OutBuffer {
    pub(crate) fn message<M: Message>(&mut self, message: &M) {
        encode(message, &mut self.bytes);
    }

    /// Appends encoded frames and gives access to them, for what is filled in last.
    pub(crate) fn frames(&mut self, frames: &[u8]) -> &mut [u8] {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frames);
        &mut self.bytes[start..]
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The stream took the first `count` unsent bytes.
    pub(crate) fn advance(&mut self, count: usize) {
        assert!(count <= self.unsent().len(), "the stream took bytes that it was not given");
        self.sent += count;
        if self.sent == self.bytes.len() {
            self.clear();
        } else if KEPT_BYTES < self.sent && self.bytes.len() < 2 * self.sent {
            let boundary = self.boundary(|end, sent| end <= sent);
            self.bytes.drain(..boundary);
            self.sent -= boundary;
        }
    }

    /// Drops every frame of which nothing was sent yet.
    pub(crate) fn abandon(&mut self) {
        let boundary = self.boundary(|end, sent| end < sent);
        let started = if boundary < self.sent { boundary + self.frame_len(boundary) } else { boundary };
        self.bytes.truncate(started);
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.sent = 0;
        if 4 * KEPT_BYTES < self.bytes.capacity() {
            self.bytes.shrink_to(KEPT_BYTES);
        }
    }

    /// The end of the last frame that ends where `keeps` still says yes.
    fn boundary(&self, keeps: impl Fn(usize, usize) -> bool) -> usize {
        let mut boundary = 0;
        while boundary < self.bytes.len() {
            let end = boundary + self.frame_len(boundary);
            if !keeps(end, self.sent) {
                break;
            }
            boundary = end;
        }
        boundary
    }

    fn frame_len(&self, start: usize) -> usize {
        HEADER_BYTES + usize::from(u16::from_le_bytes([self.bytes[start], self.bytes[start + 1]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use joulebook_protocol::messages::{Heartbeat, LogonAccepted, Terminate};

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let mut stream = Vec::new();
        for _ in 0..50 {
            encode(&Heartbeat::default(), &mut stream);
            encode(&LogonAccepted::default(), &mut stream);
        }
        for piece_bytes in 1..70 {
            let (mut buffer, mut ids) = (FrameBuffer::default(), Vec::new());
            for piece in stream.chunks(piece_bytes) {
                buffer.push(piece);
                while let Some(span) = buffer.next_frame().unwrap() {
                    assert_eq!(buffer.frame(&span).bytes_len(), buffer.bytes(&span).len());
                    ids.push(span.header.template_id);
                }
                assert!(buffer.len() < 64, "only a part of a frame stays");
            }
            assert_eq!(ids, [6, 4].repeat(50), "in pieces of {piece_bytes}");
        }
    }

    #[test]
    fn abandoned_frames_leave_a_frame_boundary() {
        let frame_bytes = HEADER_BYTES + size_of::<Heartbeat>();
        for sent in 0..=3 * frame_bytes {
            let mut out = OutBuffer::default();
            (0..3).for_each(|_| out.message(&Heartbeat::default()));
            out.advance(sent);
            out.abandon();
            let rest = (frame_bytes - sent % frame_bytes) % frame_bytes;
            assert_eq!(out.unsent().len(), rest, "after {sent} bytes");
            out.message(&Terminate::default());
            assert_eq!(out.unsent()[rest + 2], Terminate::TEMPLATE_ID as u8);
        }
    }

    #[test]
    fn a_long_backlog_is_compacted_at_frames() {
        let mut out = OutBuffer::default();
        let mut frame = Vec::new();
        encode(&Heartbeat::default(), &mut frame);
        for _ in 0..40_000 {
            out.frames(&frame);
        }
        while !out.unsent().is_empty() {
            let count = 7_777.min(out.unsent().len());
            out.advance(count);
            assert!(
                out.bytes.len() < KEPT_BYTES + 2 * out.unsent().len() + frame.len() * 2
                    || out.sent <= KEPT_BYTES
            );
            assert!(out.bytes.is_empty() || out.bytes[2] == Heartbeat::TEMPLATE_ID as u8);
        }
    }
}
