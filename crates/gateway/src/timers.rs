//! When sessions need attention although nothing arrives.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use joulebook_types::TimeNs;

use crate::streams::StreamKey;

/// Deadlines of streams. A deadline that moves further away, as every message does to the next heartbeat, costs
/// nothing: the old entry comes up, finds that it is too early, and is set anew.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(TimeNs, StreamKey)>>);

impl Timers {
    pub(crate) fn set(&mut self, at: TimeNs, key: StreamKey) {
        self.0.push(Reverse((at, key)));
    }

    pub(crate) fn pop_due(&mut self, now: TimeNs) -> Option<(TimeNs, StreamKey)> {
        let Reverse((at, _)) = self.0.peek()?;
        if *at <= now { self.0.pop().map(|Reverse(entry)| entry) } else { None }
    }

    pub(crate) fn next(&self) -> Option<TimeNs> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }
}
