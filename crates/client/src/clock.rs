use std::time::{Duration, Instant};

use joulebook_types::TimeNs;

/// A steady clock in the session's unit. Its zero has no meaning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    zero: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        // Away from zero, where a deadline "in the past" could not be expressed.
        let now = Instant::now();
        Self { zero: now.checked_sub(Duration::from_secs(1)).unwrap_or(now) }
    }

    pub(crate) fn now(&self) -> TimeNs {
        TimeNs::new(u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// `None` for "never".
    pub(crate) fn instant(&self, time: TimeNs) -> Option<Instant> {
        self.zero.checked_add(Duration::from_nanos(time.raw()))
    }
}
