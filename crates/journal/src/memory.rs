//! A log that keeps nothing: ack mode `memory`, for benchmarks that say so.

use joulebook_types::{SeqNum, TimeNs};

use crate::{
    Batch, CommandLog, LogEvent, LogFault, RefusalReason, Refused, SnapshotId, Term, Ticket,
    batch::RECORD_HEADER_BYTES,
};

/// Numbers batches and calls them committed at the next poll. A restart begins from nothing.
#[derive(Debug)]
pub struct MemoryLog {
    term: Term,
    last_seq: SeqNum,
    last_ticket: Ticket,
    events: Vec<LogEvent>,
    pending_bytes: usize,
    pending_bytes_max: usize,
    stopping: bool,
}

impl MemoryLog {
    /// A log that takes up to `pending_bytes_max` of batches between two polls.
    pub fn new(term: Term, pending_bytes_max: usize) -> Self {
        assert!(pending_bytes_max > RECORD_HEADER_BYTES, "no batch would ever fit");
        Self {
            term,
            last_seq: SeqNum::NONE,
            last_ticket: Ticket::default(),
            events: Vec::new(),
            pending_bytes: 0,
            pending_bytes_max,
            stopping: false,
        }
    }
}

impl CommandLog for MemoryLog {
    fn propose(&mut self, term: Term, batch: Batch) -> Result<Ticket, Refused> {
        assert!(!batch.is_empty(), "an empty batch");
        assert!(batch.bytes_len() <= self.batch_bytes_max(), "a batch longer than the log's bound");
        let reason = if self.stopping {
            RefusalReason::ReadOnly
        } else if term != self.term {
            RefusalReason::Fenced
        } else if self.pending_bytes + batch.bytes_len() > self.pending_bytes_max {
            RefusalReason::Busy
        } else {
            let first_seq = self.last_seq.next();
            self.last_seq = SeqNum::new(self.last_seq.raw() + u64::from(batch.count()));
            self.pending_bytes += batch.bytes_len();
            self.events.push(LogEvent::Appended { first_seq, term, batch });
            self.last_ticket = self.last_ticket.next();
            return Ok(self.last_ticket);
        };
        Err(Refused { reason, batch })
    }

    fn poll(&mut self, _now: TimeNs, out: &mut Vec<LogEvent>) {
        if self.events.is_empty() {
            return;
        }
        out.append(&mut self.events);
        self.pending_bytes = 0;
        out.push(LogEvent::Committed { seq: self.last_seq, term: self.term });
    }

    fn next_deadline(&self) -> Option<TimeNs> {
        None
    }

    fn batch_bytes_max(&self) -> usize {
        self.pending_bytes_max
    }

    fn compact(&mut self, _upto: SeqNum, _snapshot: SnapshotId) -> Result<(), LogFault> {
        // Nothing was ever kept.
        Ok(())
    }

    fn shutdown(&mut self) {
        self.stopping = true;
    }

    fn is_stopped(&self) -> bool {
        self.stopping && self.events.is_empty()
    }
}
