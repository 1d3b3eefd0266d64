//! Frames out of the pieces in which a stream hands over its bytes.

use joulebook_protocol::{Frame, FrameError};

/// Holds the bytes of a frame that is not complete yet; whole frames are read where they lie.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    partial: Vec<u8>,
}

impl Frames {
    /// Hands every frame that `piece` completes to `on_frame`.
    pub(crate) fn feed(
        &mut self,
        piece: &[u8],
        mut on_frame: impl FnMut(&Frame<'_>),
    ) -> Result<(), FrameError> {
        if self.partial.is_empty() {
            let rest = split_all(piece, &mut on_frame)?;
            self.partial.extend_from_slice(rest);
            return Ok(());
        }
        self.partial.extend_from_slice(piece);
        let left = split_all(&self.partial, &mut on_frame)?.len();
        let taken = self.partial.len() - left;
        self.partial.drain(..taken);
        Ok(())
    }
}

fn split_all<'a>(mut bytes: &'a [u8], on_frame: &mut impl FnMut(&Frame<'_>)) -> Result<&'a [u8], FrameError> {
    while let Some((frame, rest)) = Frame::split(bytes)? {
        on_frame(&frame);
        bytes = rest;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use joulebook_protocol::encode;
    use joulebook_protocol::messages::{Heartbeat, LogonAccepted};

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let mut stream = Vec::new();
        for _ in 0..20 {
            encode(&Heartbeat::default(), &mut stream);
            encode(&LogonAccepted::default(), &mut stream);
        }
        for piece_bytes in 1..130 {
            let (mut frames, mut ids) = (Frames::default(), Vec::new());
            for piece in stream.chunks(piece_bytes) {
                frames.feed(piece, |frame| ids.push(frame.header.template_id)).unwrap();
            }
            assert_eq!(ids, [6, 4].repeat(20), "in pieces of {piece_bytes}");
            assert!(frames.partial.is_empty());
        }
    }

    #[test]
    fn noise_is_an_error() {
        let mut frames = Frames::default();
        assert!(frames.feed(&[0xff; 7], |_| ()).is_ok(), "a header is not complete");
        assert!(frames.feed(&[0xff], |_| ()).is_err());
    }
}
