//! Exchange time, made from a machine's clocks.
//!
//! A machine's real-time clock may be set at any moment, and gates, expiry and grace must not notice: a step forward would
//! close gates early for good, a step back would stop every timer until the clock had caught up. So exchange time starts
//! at real time and then runs on the steady clock, and moves towards real time only by a small part of what has
//! passed.

use joulebook_types::TimeNs;

/// Where exchange time comes from. The core makes it monotonic.
pub trait Clock {
    fn now(&mut self) -> TimeNs;
}

/// A machine's clocks, as they are: either may say anything at any time.
pub trait RawClock {
    /// Nanoseconds since 1970-01-01T00:00Z. Jumps when somebody sets the clock.
    fn real_ns(&mut self) -> u64;

    /// Nanoseconds since some moment before the first question. Runs while the machine sleeps, and is never set.
    fn steady_ns(&mut self) -> u64;
}

/// Exchange time: never goes back, and between any two readings it runs between 99.5 % and 100.5 % of the steady clock's
/// speed, to the nanosecond, whatever the real-time clock does.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeClock<R> {
    raw: R,
    exchange_ns: u64,
    /// The latest that the steady clock ever said.
    steady_ns: u64,
    /// Time that has passed and was too short yet to allow a nanosecond's slew.
    unslewed_ns: u64,
}

/// A two-hundredth of the time that passes may go into catching up or waiting: 18 s an hour, far more than any
/// oscillator is off by.
pub const SLEW_DIVISOR: u64 = 200;

impl<R: RawClock> ExchangeClock<R> {
    /// Starts at real time, or at the engine's last time if that is later: the real clock was set back while the exchange
    /// was down.
    pub fn starting_after(mut raw: R, last: TimeNs) -> Self {
        let (exchange_ns, steady_ns) = (raw.real_ns().max(last.raw()), raw.steady_ns());
        Self { raw, exchange_ns, steady_ns, unslewed_ns: 0 }
    }
}

impl<R: RawClock> Clock for ExchangeClock<R> {
    fn now(&mut self) -> TimeNs {
        let (steady_ns, real_ns) = (self.raw.steady_ns(), self.raw.real_ns());
        let passed = steady_ns.saturating_sub(self.steady_ns);
        self.steady_ns = self.steady_ns.max(steady_ns);
        let unadjusted = self.exchange_ns.saturating_add(passed);
        // The rest is kept: a clock that is read often slews as fast as one that is read seldom, and no faster.
        let slewable = self.unslewed_ns.saturating_add(passed);
        self.unslewed_ns = slewable % SLEW_DIVISOR;
        let slew_max = slewable / SLEW_DIVISOR;
        self.exchange_ns =
            real_ns.clamp(unadjusted.saturating_sub(slew_max), unadjusted.saturating_add(slew_max));
        TimeNs::new(self.exchange_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const HOUR: u64 = 3_600 * SECOND;

    #[derive(Clone, Copy)]
    struct Hands {
        real_ns: u64,
        steady_ns: u64,
    }

    impl RawClock for Hands {
        fn real_ns(&mut self) -> u64 {
            self.real_ns
        }

        fn steady_ns(&mut self) -> u64 {
            self.steady_ns
        }
    }

    fn at(real_ns: u64) -> ExchangeClock<Hands> {
        ExchangeClock::starting_after(Hands { real_ns, steady_ns: 0 }, TimeNs::ZERO)
    }

    fn read(clock: &mut ExchangeClock<Hands>, steady_ns: u64, real_ns: u64) -> u64 {
        clock.raw = Hands { real_ns, steady_ns };
        clock.now().raw()
    }

    #[test]
    fn it_follows_a_clock_that_behaves() {
        let mut clock = at(100 * HOUR);
        for second in 1..100 {
            let real = 100 * HOUR + second * SECOND;
            assert_eq!(read(&mut clock, second * SECOND, real), real);
        }
    }

    #[test]
    fn steps_of_an_hour_move_it_by_milliseconds_a_second() {
        for step in [HOUR as i64, -(HOUR as i64)] {
            let mut clock = at(100 * HOUR);
            let mut last = 0;
            for second in 1..=60 {
                let real = (100 * HOUR + second * SECOND).saturating_add_signed(step);
                let now = read(&mut clock, second * SECOND, real);
                assert!(last < now, "time never goes back");
                last = now;
            }
            let error = last.abs_diff(100 * HOUR + 60 * SECOND);
            assert_eq!(error, 60 * SECOND / SLEW_DIVISOR, "step {step}");
        }
    }

    #[test]
    fn it_slews_by_the_same_however_often_it_is_read() {
        for (apart_ns, step) in [(1, HOUR as i64), (7, -(HOUR as i64)), (30, HOUR as i64), (199, 1_000)] {
            let mut clock = at(100 * HOUR);
            let mut last = 0;
            for reading in 1..=20_000 {
                let real = (100 * HOUR + reading * apart_ns).saturating_add_signed(step);
                last = read(&mut clock, reading * apart_ns, real);
            }
            let passed = 20_000 * apart_ns;
            let wanted = (passed / SLEW_DIVISOR).min(step.unsigned_abs());
            assert_eq!(last.abs_diff(100 * HOUR + passed), wanted, "every {apart_ns} ns, step {step}");
        }
    }

    #[test]
    fn a_frozen_or_backward_steady_clock_stops_time_but_breaks_nothing() {
        let mut clock = at(HOUR);
        read(&mut clock, SECOND, HOUR + SECOND);
        assert_eq!(read(&mut clock, SECOND, HOUR + 5 * SECOND), HOUR + SECOND);
        assert_eq!(read(&mut clock, 0, HOUR), HOUR + SECOND);
        // What it took back does not count again.
        assert_eq!(read(&mut clock, 2 * SECOND, HOUR + 2 * SECOND), HOUR + 2 * SECOND);
    }

    #[test]
    fn it_starts_no_earlier_than_the_engine_was() {
        let hands = Hands { real_ns: 5 * HOUR, steady_ns: 0 };
        let mut clock = ExchangeClock::starting_after(hands, TimeNs::new(6 * HOUR));
        assert_eq!(clock.now(), TimeNs::new(6 * HOUR));
    }
}
