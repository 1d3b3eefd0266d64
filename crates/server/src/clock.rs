//! The clocks of a real machine.

use joulebook_sequencer::RawClock;

/// What the operating system says.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl RawClock for SystemClock {
    fn real_ns(&mut self) -> u64 {
        joulebook_sys::realtime_ns()
    }

    fn steady_ns(&mut self) -> u64 {
        joulebook_sys::boottime_ns()
    }
}

#[cfg(test)]
mod tests {
    use joulebook_sequencer::{Clock, ExchangeClock};
    use joulebook_types::TimeNs;

    use super::*;

    #[test]
    fn exchange_time_is_the_time_of_day() {
        let before = SystemClock.real_ns();
        let mut clock = ExchangeClock::starting_after(SystemClock, TimeNs::ZERO);
        let (first, second) = (clock.now().raw(), clock.now().raw());
        assert!(before <= first && first <= second);
        assert!(second.abs_diff(SystemClock.real_ns()) < 60_000_000_000, "unless it is set during this test");
        assert!(0 < SystemClock.steady_ns());
    }
}
