//! Exchange time on a real machine.
//!
//! A machine's real-time clock may be set at any moment, and gates, expiry and grace must not notice: a step forward would
//! close gates early for good, a step back would stop every timer until the clock had caught up. So exchange time starts
//! at real time and then runs on the steady clock, and moves towards real time only by a small part of what has
//! passed.

use joulebook_sequencer::Clock;
use joulebook_types::TimeNs;

/// Exchange time: never goes back, and runs between 99.5 % and 100.5 % of the steady clock's speed.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeClock {
    exchange_ns: u64,
    /// What the steady clock said then.
    steady_ns: u64,
}

/// A two-hundredth of the time that passes may go into catching up or waiting: 18 s an hour, far more than any
/// oscillator is off by.
const SLEW_DIVISOR: u64 = 200;

impl ExchangeClock {
    /// Starts at real time, or at the engine's last time if that is later: the real clock was set back while the exchange
    /// was down.
    pub fn starting_after(last: TimeNs) -> Self {
        Self {
            exchange_ns: joulebook_sys::realtime_ns().max(last.raw()),
            steady_ns: joulebook_sys::boottime_ns(),
        }
    }

    fn advance(&mut self, steady_ns: u64, real_ns: u64) -> TimeNs {
        let passed = steady_ns.saturating_sub(self.steady_ns);
        self.steady_ns = self.steady_ns.max(steady_ns);
        let unadjusted = self.exchange_ns.saturating_add(passed);
        // Rounded up, so that clocks which are read often also converge.
        let slew_max = passed.div_ceil(SLEW_DIVISOR);
        self.exchange_ns =
            real_ns.clamp(unadjusted - slew_max.min(passed), unadjusted.saturating_add(slew_max));
        TimeNs::new(self.exchange_ns)
    }
}

impl Clock for ExchangeClock {
    fn now(&mut self) -> TimeNs {
        self.advance(joulebook_sys::boottime_ns(), joulebook_sys::realtime_ns())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const HOUR: u64 = 3_600 * SECOND;

    fn at(real_ns: u64) -> ExchangeClock {
        ExchangeClock { exchange_ns: real_ns, steady_ns: 0 }
    }

    #[test]
    fn it_follows_a_clock_that_behaves() {
        let mut clock = at(100 * HOUR);
        for second in 1..100 {
            let now = clock.advance(second * SECOND, 100 * HOUR + second * SECOND);
            assert_eq!(now.raw(), 100 * HOUR + second * SECOND);
        }
    }

    #[test]
    fn steps_of_an_hour_move_it_by_milliseconds_a_second() {
        for step in [HOUR as i64, -(HOUR as i64)] {
            let mut clock = at(100 * HOUR);
            let mut last = 0;
            for second in 1..=60 {
                let real = (100 * HOUR + second * SECOND).saturating_add_signed(step);
                let now = clock.advance(second * SECOND, real).raw();
                assert!(last < now, "time never goes back");
                last = now;
            }
            let error = last.abs_diff(100 * HOUR + 60 * SECOND);
            assert_eq!(error, 60 * SECOND / SLEW_DIVISOR, "step {step}");
        }
    }

    #[test]
    fn a_frozen_or_backward_steady_clock_stops_time_but_breaks_nothing() {
        let mut clock = at(HOUR);
        clock.advance(SECOND, HOUR + SECOND);
        assert_eq!(clock.advance(SECOND, HOUR + 5 * SECOND).raw(), HOUR + SECOND);
        assert_eq!(clock.advance(0, HOUR).raw(), HOUR + SECOND);
        assert!(clock.advance(2 * SECOND, HOUR + 2 * SECOND).raw() > HOUR + SECOND);
    }

    #[test]
    fn it_starts_no_earlier_than_the_engine_was() {
        let future = TimeNs::new(joulebook_sys::realtime_ns() + HOUR);
        assert!(ExchangeClock::starting_after(future).now() >= future);
    }
}
