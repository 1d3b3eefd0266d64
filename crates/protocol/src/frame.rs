//! A frame is an 8-byte header and a block; frames follow each other on a stream without anything between.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub const HEADER_BYTES: usize = size_of::<FrameHeader>();
/// No message of this protocol has a longer block, and none ever will: a longer one is a hostile or broken peer.
pub const BLOCK_BYTES_MAX: usize = 2_296;
pub const FRAME_BYTES_MAX: usize = HEADER_BYTES + BLOCK_BYTES_MAX;
pub const SCHEMA_ID: u16 = 0x4A42;
pub const VERSION: u16 = 1;

/// The header of every message, as in FIX Simple Binary Encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FrameHeader {
    /// Bytes after this header. A newer peer may send more than we know: the rest is skipped.
    pub block_len: u16,
    pub template_id: u16,
    pub schema_id: u16,
    pub version: u16,
}

impl FrameHeader {
    /// All of it as one number.
    pub const fn word(self) -> u64 {
        let Self { block_len, template_id, schema_id, version } = self;
        let upper = (schema_id as u64) << 32 | (version as u64) << 48;
        upper | (template_id as u64) << 16 | block_len as u64
    }

    /// Whether it is of this version of the schema, and no longer than any of its messages.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.schema_id == SCHEMA_ID
            && self.version == VERSION
            && usize::from(self.block_len) <= BLOCK_BYTES_MAX
    }
}

/// One frame, still in the buffer that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub header: FrameHeader,
    pub block: &'a [u8],
}

/// Why bytes are not frames of this protocol. The stream cannot be resynchronised after any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The block is longer than [`BLOCK_BYTES_MAX`].
    Oversized { block_len: u16 },
    /// The bytes belong to another schema, or are noise.
    WrongSchema { schema_id: u16 },
    /// No such version exists.
    WrongVersion { version: u16 },
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Oversized { block_len } => {
                write!(f, "a block of {block_len} bytes, at most {BLOCK_BYTES_MAX} are allowed")
            }
            Self::WrongSchema { schema_id } => {
                write!(f, "schema {schema_id:#06x}, expected {SCHEMA_ID:#06x}")
            }
            Self::WrongVersion { version } => {
                write!(f, "message version {version}, expected {VERSION} or later")
            }
        }
    }
}

impl core::error::Error for FrameError {}

impl<'a> Frame<'a> {
    /// The first frame of `bytes` and the bytes after it; `None` while it is incomplete.
    #[inline]
    pub fn split(bytes: &'a [u8]) -> Result<Option<(Frame<'a>, &'a [u8])>, FrameError> {
        let Ok((header, rest)) = FrameHeader::read_from_prefix(bytes) else { return Ok(None) };
        // The header is checked before its block is awaited, so that noise cannot make us wait for 64 KiB.
        if header.schema_id != SCHEMA_ID {
            return Err(FrameError::WrongSchema { schema_id: header.schema_id });
        }
        if header.version == 0 {
            return Err(FrameError::WrongVersion { version: header.version });
        }
        let block_len = usize::from(header.block_len);
        if block_len > BLOCK_BYTES_MAX {
            return Err(FrameError::Oversized { block_len: header.block_len });
        }
        match rest.split_at_checked(block_len) {
            Some((block, rest)) => Ok(Some((Frame { header, block }, rest))),
            None => Ok(None),
        }
    }

    /// Header and block together.
    pub fn bytes_len(&self) -> usize {
        HEADER_BYTES + self.block.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(block_len: u16, schema_id: u16, version: u16, block: &[u8]) -> Vec<u8> {
        let mut bytes = FrameHeader { block_len, template_id: 9, schema_id, version }.as_bytes().to_vec();
        bytes.extend_from_slice(block);
        bytes
    }

    #[test]
    fn frames_split_from_a_stream() {
        let mut bytes = frame(3, SCHEMA_ID, VERSION, b"abc");
        bytes.extend(frame(0, SCHEMA_ID, VERSION + 1, b""));
        let (first, rest) = Frame::split(&bytes).unwrap().unwrap();
        assert_eq!(first.block, b"abc");
        let (second, rest) = Frame::split(rest).unwrap().unwrap();
        assert_eq!((second.block.len(), rest.len()), (0, 0));
        for cut in 0..first.bytes_len() {
            assert_eq!(Frame::split(&bytes[..cut]), Ok(None), "{cut} bytes are not a frame yet");
        }
    }

    #[test]
    fn noise_is_refused_at_the_header() {
        let cases = [
            (frame(2_297, SCHEMA_ID, VERSION, b""), FrameError::Oversized { block_len: 2_297 }),
            (frame(0, 1, VERSION, b""), FrameError::WrongSchema { schema_id: 1 }),
            (frame(0, SCHEMA_ID, 0, b""), FrameError::WrongVersion { version: 0 }),
        ];
        for (bytes, error) in cases {
            assert_eq!(Frame::split(&bytes), Err(error));
        }
    }
}
