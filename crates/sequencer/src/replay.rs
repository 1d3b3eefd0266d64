//! Applying a journaled batch: the same function live and in recovery, so that both do the same.

use joulebook_engine::{Engine, Events};
use joulebook_journal::Records;
use joulebook_protocol::{RecordError, SequencedCommand};
use joulebook_types::{SeqNum, TimeNs};

/// A journal record that is no command, although its checksum holds: it was written by another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayError {
    /// The sequence number of the record.
    pub seq: SeqNum,
    pub error: RecordError,
}

impl core::fmt::Display for ReplayError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { seq, error } = self;
        write!(f, "command {seq} of the journal cannot be read by this version: {error}")
    }
}

impl core::error::Error for ReplayError {}

/// Runs the timers that are due at the batch's time, then every command of the batch.
pub fn apply_batch(
    engine: &mut Engine,
    first_seq: SeqNum,
    time: TimeNs,
    records: Records<'_>,
    out: &mut Events,
) -> Result<(), ReplayError> {
    engine.begin_batch(first_seq, time, out);
    let mut seq = first_seq;
    let mut command = SequencedCommand::default();
    for record in records {
        command.read(record).map_err(|error| ReplayError { seq, error })?;
        engine.apply(&command, out);
        seq = seq.next();
    }
    engine.end_batch(out);
    Ok(())
}
