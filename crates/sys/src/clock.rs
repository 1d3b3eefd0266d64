//! Clocks, in nanoseconds. The only place where the exchange learns what time it is.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Time since an arbitrary start; never goes back. For intervals and timeouts.
#[inline]
pub fn monotonic_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// As [`monotonic_ns`], but it also counts the time that the machine was suspended.
#[inline]
pub fn boottime_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Boottime))
}

/// Time since 1970-01-01T00:00Z. May jump when the machine's clock is set.
#[inline]
pub fn realtime_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Realtime))
}

/// Processor time that all threads of this process have used.
pub fn process_cpu_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// A clock set before 1970 reads as zero: a time is never negative.
fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_advance() {
        let (monotonic, cpu) = (monotonic_ns(), process_cpu_ns());
        let mut sum = 0_u64;
        while process_cpu_ns() == cpu {
            sum = std::hint::black_box(sum.wrapping_mul(31) + 1);
        }
        assert!(monotonic_ns() > monotonic);
        // 2020-01-01: anything earlier means that the unit is wrong.
        assert!(realtime_ns() > 1_577_836_800_000_000_000);
    }
}
