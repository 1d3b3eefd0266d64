//! What is due when: openings, gates, the grace of disconnected sessions, the end of quarter hours.

use std::collections::BTreeMap;

use joulebook_ledger::AssetIx;
use joulebook_types::TimeNs;

use crate::instruments::InstrumentIx;
use crate::sessions::SessionIx;

/// Something that happens when batch time reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    Open(InstrumentIx),
    Gate(InstrumentIx),
    /// The session's orders are canceled unless it came back.
    Grace(SessionIx),
    /// A quarter hour is over: capacity of it that nobody bought is gone.
    SlotEnd(AssetIx),
}

/// Names a timer, so that it can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    pub(crate) due: TimeNs,
    /// Timers of one instant fire in the order in which they were set.
    set: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    waiting: BTreeMap<TimerKey, Timer>,
    set_count: u64,
}

impl Timers {
    pub(crate) fn set(&mut self, due: TimeNs, timer: Timer) -> TimerKey {
        self.set_count += 1;
        let key = TimerKey { due, set: self.set_count };
        self.waiting.insert(key, timer);
        key
    }

    pub(crate) fn cancel(&mut self, key: TimerKey) {
        self.waiting.remove(&key);
    }

    /// Takes the next timer that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: TimeNs) -> Option<Timer> {
        let first = self.waiting.first_entry()?;
        if first.key().due <= now { Some(first.remove()) } else { None }
    }

    pub(crate) fn next_deadline(&self) -> Option<TimeNs> {
        self.waiting.first_key_value().map(|(key, _)| key.due)
    }

    /// In the order in which they will fire.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TimeNs, Timer)> {
        self.waiting.iter().map(|(key, timer)| (key.due, *timer))
    }
}
