use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use joulebook_types::TimeNs;

/// The agents' clock: starts at the system's time of day and never goes back.
#[derive(Clone, Copy, Debug)]
pub struct FleetClock {
    started: Instant,
    started_ns: u64,
}

impl FleetClock {
    #[allow(clippy::new_without_default, reason = "a clock is started, not defaulted")]
    pub fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_ns: nanoseconds(since_epoch) }
    }

    pub fn now(&self) -> TimeNs {
        TimeNs::new(self.started_ns.saturating_add(nanoseconds(self.started.elapsed())))
    }

    /// `None` for a time too far away to wait for.
    pub(crate) fn instant(&self, time: TimeNs) -> Option<Instant> {
        self.started.checked_add(Duration::from_nanos(time.raw().saturating_sub(self.started_ns)))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
