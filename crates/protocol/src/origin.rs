//! Who sent a command and when it arrived: what stands before every command in the journal.

use joulebook_types::{AccountId, SessionId, TimeNs};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::frame::FrameHeader;
use crate::messages::AdvanceTime;
use crate::{Command, DecodeError, Frame, FrameError};

/// The authenticated sender of a command. The gateway fills it in; a client cannot name another account.
///
/// System commands (restart, time) have no account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Origin {
    pub account: AccountId,
    pub session: SessionId,
    /// When the gateway read the command's last byte.
    pub received: TimeNs,
}

impl Origin {
    /// Of commands that the exchange itself issues.
    pub const SYSTEM: Self =
        Self { account: AccountId::NONE, session: SessionId::NONE, received: TimeNs::ZERO };

    /// Who sent the command of a journal record.
    #[inline]
    pub fn of_record(record: &[u8]) -> Result<Self, RecordError> {
        Ok(Self::split_record(record)?.0)
    }

    #[inline]
    fn split_record(record: &[u8]) -> Result<(Self, &[u8]), RecordError> {
        Self::read_from_prefix(record).map_err(|_| RecordError::ShortOrigin)
    }
}

/// A record of the journal: origin, then the command's frame as the wire had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequencedCommand {
    pub origin: Origin,
    pub command: Command,
}

/// Why a journal record is not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    ShortOrigin,
    Frame(FrameError),
    /// The frame ends before its block does, or bytes follow it.
    Length,
    Command(DecodeError),
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::ShortOrigin => f.write_str("the record is shorter than its origin"),
            Self::Frame(error) => error.fmt(f),
            Self::Length => f.write_str("the record does not end with its frame"),
            Self::Command(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RecordError {}

impl SequencedCommand {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.origin.as_bytes());
        self.command.encode(out);
    }

    /// Appends the record of a command that is a frame already: its header and block.
    pub fn encode_frame(origin: Origin, frame: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(origin.as_bytes());
        out.extend_from_slice(frame);
    }

    pub fn decode(record: &[u8]) -> Result<Self, RecordError> {
        let mut sequenced = Self::default();
        sequenced.read(record)?;
        Ok(sequenced)
    }

    /// Becomes the command of `record`. One place for many records saves moving the longest command that there is.
    /// After an error the content is of no use.
    #[inline]
    pub fn read(&mut self, record: &[u8]) -> Result<(), RecordError> {
        let (origin, frame) = Self::split(record)?;
        self.origin = origin;
        self.command.read(&frame).map_err(RecordError::Command)
    }

    /// The header of a record's frame as one number, as [`FrameHeader::word`]. Zero, which no header is, when there is none.
    #[inline]
    pub fn header_word(record: &[u8]) -> u64 {
        const START: usize = size_of::<Origin>();
        let header = record.get(START..START + size_of::<FrameHeader>()).and_then(<[u8]>::first_chunk);
        header.map_or(0, |header| u64::from_le_bytes(*header))
    }

    /// Origin and block of a record whose block has this length.
    #[inline]
    pub fn split_at_block<const BLOCK_BYTES: usize>(record: &[u8]) -> Option<(Origin, &[u8; BLOCK_BYTES])> {
        let (origin, frame) = Origin::split_record(record).ok()?;
        Some((origin, frame.get(size_of::<FrameHeader>()..)?.try_into().ok()?))
    }

    /// Origin and frame of a record, whose message is not looked at.
    #[inline]
    pub fn split(record: &[u8]) -> Result<(Origin, Frame<'_>), RecordError> {
        let (origin, rest) = Origin::split_record(record)?;
        // What our own gateways let in needs one look; all else is looked at piece by piece.
        match FrameHeader::read_from_prefix(rest) {
            Ok((header, block)) if header.is_ours() && usize::from(header.block_len) == block.len() => {
                Ok((origin, Frame { header, block }))
            }
            _ => Ok((origin, Self::split_frame(rest)?)),
        }
    }

    #[cold]
    fn split_frame(bytes: &[u8]) -> Result<Frame<'_>, RecordError> {
        match Frame::split(bytes).map_err(RecordError::Frame)? {
            Some((frame, [])) => Ok(frame),
            _ => Err(RecordError::Length),
        }
    }
}

impl Default for SequencedCommand {
    /// The exchange's own command that changes nothing but the time.
    fn default() -> Self {
        Self { origin: Origin::SYSTEM, command: Command::AdvanceTime(AdvanceTime::default()) }
    }
}
