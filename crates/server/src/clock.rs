//! Exchange time on a real machine.

use joulebook_sequencer::Clock;
use joulebook_types::TimeNs;

/// The system's real-time clock. The core makes what it says monotonic.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    pub fn time(self) -> TimeNs {
        TimeNs::new(joulebook_sys::realtime_ns())
    }
}

impl Clock for SystemClock {
    fn now(&mut self) -> TimeNs {
        self.time()
    }
}
