//! The batches of a folder's journal, in order, for people.

use std::path::{Path, PathBuf};

use joulebook_engine::Engine;
use joulebook_journal::{
    BatchView, EventDigest, JournalError, JournalFollower, JournalMark, JournalReader, Tail,
};
use joulebook_protocol::SequencedCommand;
use joulebook_sequencer::ReplayError;
use joulebook_sys::lock_holder;
use joulebook_types::{SeqNum, TimeNs};

use super::order::OrderFinder;
use super::steps::{Step, Stepper};
use crate::recovery::{RecoveryError, SHARD};
use crate::storage::FileStorage;

/// Commands `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqRange {
    pub first: SeqNum,
    pub last: SeqNum,
}

impl SeqRange {
    pub const ALL: Self = Self { first: SeqNum::new(1), last: SeqNum::new(u64::MAX) };

    pub fn contains(self, seq: SeqNum) -> bool {
        self.first <= seq && seq <= self.last
    }
}

/// Where reading begins.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// With the first command there ever was.
    First,
    /// With the oldest command that the folder still has.
    Oldest,
    /// Behind a snapshot's mark.
    After(&'a JournalMark),
}

/// A journal that is read for people.
pub struct Journal {
    dir: PathBuf,
    reader: Reader,
}

enum Reader {
    /// Nobody writes: the end is looked at too.
    Whole(JournalReader<FileStorage>),
    /// A daemon writes: only what is proven durable is shown, and there may be more later.
    Live(JournalFollower<FileStorage>),
}

impl Journal {
    /// Beside a running daemon, or with `follow`, what is being written is left alone.
    pub fn open(dir: &Path, place: Place<'_>, follow: bool) -> Result<Self, RecoveryError> {
        let storage = FileStorage::open_read_only(dir)?;
        let is_live = follow || is_running(dir);
        let reader = match (is_live, place) {
            (false, Place::First) => Reader::Whole(JournalReader::new(storage, SHARD)?),
            (false, Place::Oldest) => Reader::Whole(JournalReader::from_oldest(storage, SHARD)?),
            (false, Place::After(mark)) => Reader::Whole(JournalReader::after(storage, SHARD, mark)?),
            (true, Place::First) => Reader::Live(JournalFollower::new(storage, SHARD, None)?),
            (true, Place::Oldest) => Reader::Live(JournalFollower::from_oldest(storage, SHARD)?),
            (true, Place::After(mark)) => Reader::Live(JournalFollower::new(storage, SHARD, Some(mark))?),
        };
        Ok(Self { dir: dir.to_owned(), reader })
    }

    pub fn next_batch(&mut self) -> Result<Option<BatchView<'_>>, JournalError> {
        match &mut self.reader {
            Reader::Whole(reader) => reader.next_batch(),
            Reader::Live(follower) => follower.next_batch(),
        }
    }

    /// Behind the last batch.
    pub fn mark(&self) -> Option<JournalMark> {
        match &self.reader {
            Reader::Whole(reader) => reader.mark(),
            Reader::Live(follower) => follower.mark(),
        }
    }

    /// Where in its segment the group ends that the last batch lies in.
    pub fn end_of_group(&self) -> u64 {
        match &self.reader {
            Reader::Whole(reader) => reader.end_of_group(),
            Reader::Live(follower) => follower.end_of_group(),
        }
    }

    /// The newest digest read so far: at the end, what a marker attested of the last batch.
    pub fn newest_digest(&self) -> Option<&EventDigest> {
        match &self.reader {
            Reader::Whole(reader) => reader.newest_digest(),
            Reader::Live(follower) => follower.newest_digest(),
        }
    }

    /// Where the journal ends, of a folder that nobody writes to, once it was read to its end.
    pub fn tail(&self) -> Option<&Tail> {
        match &self.reader {
            Reader::Whole(reader) => reader.tail(),
            Reader::Live(_) => None,
        }
    }

    /// Whether somebody writes to it.
    pub fn is_live(&self) -> bool {
        matches!(self.reader, Reader::Live(_))
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Shows the commands of `range` that there are, until `on_command` has seen enough and says false. True when no
    /// further one can come: the range is over. Needs no engine, so it also works where a replay would not.
    pub fn commands(
        &mut self,
        range: SeqRange,
        mut on_command: impl FnMut(SeqNum, TimeNs, &SequencedCommand) -> bool,
    ) -> Result<bool, RecoveryError> {
        let mut command = SequencedCommand::default();
        while let Some(batch) = self.next_batch()? {
            if range.last < batch.first_seq {
                return Ok(true);
            }
            let mut seq = batch.first_seq;
            for record in batch.records() {
                if range.contains(seq) {
                    command.read(record).map_err(|error| ReplayError::Unreadable { seq, error })?;
                    if !on_command(seq, batch.time, &command) {
                        return Ok(true);
                    }
                }
                seq = seq.next();
            }
        }
        Ok(false)
    }

    /// Applies batches up to `until` and shows each step; ends early, with a whole batch, when `on_step` says false.
    /// True when nothing more can come: that, or `until` was reached.
    pub fn replay(
        &mut self,
        stepper: &mut Stepper,
        until: SeqNum,
        mut on_step: impl FnMut(&Engine, &Step<'_>) -> bool,
    ) -> Result<bool, RecoveryError> {
        let mut goes_on = true;
        while let Some(batch) = self.next_batch()? {
            if until < batch.first_seq {
                return Ok(true);
            }
            stepper.apply(&batch, until, |engine, step| goes_on = goes_on && on_step(engine, step))?;
            if !goes_on || until <= batch.last_seq() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Looks for an order until nothing more can happen to it.
    pub fn find(&mut self, stepper: &mut Stepper, finder: &mut OrderFinder) -> Result<(), RecoveryError> {
        self.replay(stepper, SeqRange::ALL.last, |engine, step| {
            finder.on_step(engine, step);
            !finder.is_done()
        })?;
        Ok(())
    }
}

/// Whether a daemon uses the folder. Where the system does not say, it is taken for stopped.
pub fn is_running(dir: &Path) -> bool {
    lock_holder(&dir.join("LOCK")).is_ok_and(|holder| holder.is_some())
}
