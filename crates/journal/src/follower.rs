//! Reads a journal while it is being written.

use joulebook_types::{SeqNum, ShardId};

use crate::{
    BatchView, EventDigest, JournalMark, JournalReader, SegmentNumber, Storage,
    error::JournalError,
    format::{BLOCK_BYTES, GroupHeader, HeaderBlock, is_blank},
    reader::Step,
};

/// Hands out only what a later write proves durable, so nothing that a crash could still take back; never settles a
/// tail, and can be asked again. Since a marker follows every idle time, all commands are proven soon.
///
/// What is incomplete at the frontier is "not yet". Damage with a later write behind it is
/// [`JournalError::Corrupt`], as for a [`JournalReader`].
#[derive(Debug)]
pub struct JournalFollower<S> {
    pub(crate) reader: JournalReader<S>,
    /// The group in hand is durable: something later was seen.
    is_proven: bool,
}

impl<S: Storage> JournalFollower<S> {
    /// Follows from the first batch on, or from right behind `mark`.
    pub fn new(storage: S, shard: ShardId, mark: Option<&JournalMark>) -> Result<Self, JournalError> {
        let reader = JournalReader::over(storage, shard)?;
        let reader = match mark {
            None => reader.at_first()?,
            Some(mark) => reader.behind(mark)?,
        };
        Ok(Self { reader, is_proven: false })
    }

    /// Follows from the oldest batch on that the folder still has; see [`JournalReader::from_oldest`].
    pub fn from_oldest(storage: S, shard: ShardId) -> Result<Self, JournalError> {
        Ok(Self { reader: JournalReader::over(storage, shard)?.at_oldest()?, is_proven: false })
    }

    /// The next durable batch, or `None` as long as there is no other.
    pub fn next_batch(&mut self) -> Result<Option<BatchView<'_>>, JournalError> {
        while self.reader.pending.is_empty() {
            if !self.advance()? {
                return Ok(None);
            }
            self.is_proven = false;
        }
        if !self.is_proven && !self.prove()? {
            return Ok(None);
        }
        self.is_proven = true;
        Ok(Some(self.reader.hand_out()))
    }

    /// See [`JournalReader::end_of_group`].
    pub fn end_of_group(&self) -> u64 {
        self.reader.end_of_group()
    }

    /// See [`JournalReader::newest_digest`].
    pub fn newest_digest(&self) -> Option<&EventDigest> {
        self.reader.newest_digest()
    }

    /// See [`JournalReader::mark`].
    pub fn mark(&self) -> Option<JournalMark> {
        self.reader.mark()
    }

    /// The last command that was handed out or skipped.
    pub fn last_seq(&self) -> SeqNum {
        self.reader.mark().map_or(SeqNum::NONE, |mark| mark.seq)
    }

    /// The segment of the last group that was read. Every segment before it ends with what was handed out, or earlier.
    pub fn segment(&self) -> SegmentNumber {
        self.reader.at.segment
    }

    /// Reads one more group. What seems damaged may be in the middle of being written, and what is in memory older than
    /// the disk: only what a fresh look shows again is believed.
    fn advance(&mut self) -> Result<bool, JournalError> {
        for look in 0..3 {
            let (at, state) = (self.reader.at, self.reader.state);
            let found = match self.reader.step() {
                // Later writes behind the damage make it an error.
                Ok(Step::Damaged(damage)) if look > 0 => {
                    self.reader.settle_tail(Some(damage)).map(|_| Step::Blank)
                }
                found => found,
            };
            match found {
                Ok(Step::Group) => return Ok(true),
                Ok(Step::Blank) if look > 0 => return Ok(false),
                Ok(Step::Blank | Step::Damaged(_)) => {}
                Err(JournalError::Corrupt { .. }) if look < 2 => {
                    (self.reader.at, self.reader.state) = (at, state);
                }
                Err(error) => return Err(error),
            }
            self.look_again()?;
        }
        Ok(false)
    }

    /// Forgets what was read ahead of the group in hand, and learns of new segments at the end of the present one.
    fn look_again(&mut self) -> Result<(), JournalError> {
        self.reader.window.forget();
        self.list_segments()
    }

    fn list_segments(&mut self) -> Result<(), JournalError> {
        self.reader.scan.forget();
        let next = self.reader.at.segment + 1;
        if self.reader.segment(next).is_some() {
            return Ok(());
        }
        let listed = self.reader.storage.segments()?;
        let Some(oldest) = listed.first().copied() else { return Ok(()) };
        if oldest.number > next {
            // Whoever retires segments did not wait for this follower.
            let (file, header) = (self.reader.file_name(oldest.number), self.reader.valid_header(oldest)?);
            return Err(JournalError::Retired { file, first_seq: header.first_seq });
        }
        self.reader.segments = listed;
        self.reader.check_segments()
    }

    /// Whether anything follows the group in hand. That alone shows that the group is durable: a group is written only
    /// after the one before it was synced.
    fn prove(&mut self) -> Result<bool, JournalError> {
        let at = self.reader.at;
        // While catching up, most often it is in memory already.
        if self
            .reader
            .window
            .held(at.segment, at.offset, BLOCK_BYTES)
            .is_some_and(|block| self.follows(block))
        {
            return Ok(true);
        }
        if at.offset < at.segment_bytes {
            let mut block = [0; BLOCK_BYTES];
            self.reader.storage.read_at(at.segment, at.offset, &mut block)?;
            if self.follows(&block) {
                return Ok(true);
            }
            if !is_blank(&block) {
                // Being written, or damaged; then whatever is later shows it.
                self.reader.scan.forget();
                return match self.reader.settle_tail(None) {
                    Ok(_) => Ok(false),
                    Err(JournalError::Corrupt { .. }) => Ok(true),
                    Err(error) => Err(error),
                };
            }
        }
        self.list_segments()?;
        self.next_segment_has_begun()
    }

    /// A block that begins the next group.
    fn follows(&self, block: &[u8]) -> bool {
        let state = &self.reader.state;
        GroupHeader::read(block).is_some_and(|header| {
            header.group == state.last_group + 1 && Some(header.journal_id) == state.journal_id
        })
    }

    fn next_segment_has_begun(&mut self) -> Result<bool, JournalError> {
        let Some(next) = self.reader.segment(self.reader.at.segment + 1) else { return Ok(false) };
        let state = self.reader.state;
        Ok(match self.reader.read_header(next.number)? {
            Some(HeaderBlock::Valid(header)) => {
                header.first_group == state.last_group + 1 && Some(header.journal_id) == state.journal_id
            }
            Some(HeaderBlock::OtherVersion(_) | HeaderBlock::Damaged) | None => false,
        })
    }
}
