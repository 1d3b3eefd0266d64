//! What is due when.

use joulebook_types::{OrderId, TimeNs};

use crate::ledger::SlotKey;

/// Something that happens when batch time reaches it. Numbers are indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    Open(usize),
    Gate(usize),
    /// The delivery window of the instrument begins.
    Start(usize),
    /// The running phase of the instrument ends.
    Phase(usize),
    Indication(usize),
    Expiry(OrderId),
    /// The session did not come back in time.
    Grace(usize),
    DeadMan(usize),
    SlotEnd(SlotKey),
}

/// All timers that wait, in the order in which they were set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers(Vec<(TimeNs, Timer)>);

impl Timers {
    pub(crate) fn set(&mut self, due: TimeNs, timer: Timer) {
        self.0.push((due, timer));
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.0.retain(|(_, waiting)| *waiting != timer);
    }

    /// Takes the timer that is due first, if one is due; of those due at one time the first set.
    pub(crate) fn take_due(&mut self, now: TimeNs) -> Option<Timer> {
        let due = self.next_deadline().filter(|due| *due <= now)?;
        let index = self.0.iter().position(|(time, _)| *time == due)?;
        Some(self.0.remove(index).1)
    }

    pub(crate) fn next_deadline(&self) -> Option<TimeNs> {
        self.0.iter().map(|(due, _)| *due).min()
    }
}
