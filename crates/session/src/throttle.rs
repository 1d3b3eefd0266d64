//! A token bucket in integers.

use joulebook_types::TimeNs;

/// Refills at a rate, holds at most a burst.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenBucket {
    per_s: u64,
    burst: u64,
    /// In billionths of a request, so that a refill is a multiplication and nothing is lost to rounding.
    level: u64,
    refilled: TimeNs,
}

const ONE: u64 = 1_000_000_000;

impl TokenBucket {
    pub(crate) fn new(per_s: u32, burst: u32, now: TimeNs) -> Self {
        let (per_s, burst) = (u64::from(per_s.max(1)), u64::from(burst.max(1)));
        Self { per_s, burst, level: burst * ONE, refilled: now }
    }

    /// Takes requests that come together, all or none, or says how many nanoseconds to wait for them. More than the burst
    /// count as the burst, or they could never be taken.
    pub(crate) fn take(&mut self, requests: u64, now: TimeNs) -> Result<(), u64> {
        self.refill(now);
        let wanted = requests.min(self.burst) * ONE;
        if self.level < wanted {
            return Err((wanted - self.level).div_ceil(self.per_s));
        }
        self.level -= wanted;
        Ok(())
    }

    /// Requests that could be taken at once as of the last refill.
    pub(crate) fn credits(&self) -> u32 {
        u32::try_from(self.level / ONE).unwrap_or(u32::MAX)
    }

    pub(crate) fn per_s(&self) -> u64 {
        self.per_s
    }

    pub(crate) fn refill(&mut self, now: TimeNs) {
        let elapsed_ns = now.raw().saturating_sub(self.refilled.raw());
        self.refilled = self.refilled.max(now);
        self.level = elapsed_ns.saturating_mul(self.per_s).saturating_add(self.level).min(self.burst * ONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let at = |ns| TimeNs::new(ns);
        let mut bucket = TokenBucket::new(1_000, 3, at(0));
        assert_eq!([0; 3].map(|ns| bucket.take(1, at(ns))), [Ok(()); 3]);
        assert_eq!(bucket.take(1, at(0)), Err(1_000_000));
        assert_eq!(bucket.take(1, at(999_999)), Err(1));
        assert_eq!(bucket.take(1, at(1_000_000)), Ok(()), "the wait that it named is enough");
        assert_eq!(bucket.take(1, at(1_000_000)), Err(1_000_000));
        bucket.refill(at(u64::MAX));
        assert_eq!(bucket.credits(), 3, "never more than the burst");
        assert_eq!(bucket.take(1, at(0)), Ok(()), "a clock that goes back gives nothing and takes nothing");
        assert_eq!(bucket.credits(), 2);
    }

    /// What was let through up to a moment, in any stretch of time, is at most the burst and what the rate allows since.
    #[test]
    fn no_stretch_of_time_lets_more_through_than_burst_and_rate() {
        let mut random = joulebook_testkit::Xoshiro256pp::from_seed(9);
        for _ in 0..400 {
            let (per_s, burst) = (random.between(1, 5_000), random.between(1, 40));
            let mut bucket = TokenBucket::new(per_s as u32, burst as u32, TimeNs::ZERO);
            let mut taken: Vec<(u64, u64)> = Vec::new();
            let mut now = 0;
            for _ in 0..150 {
                now += random.below(4_000_000_000 / per_s);
                let requests = random.between(1, 3);
                let counted = requests.min(burst);
                match bucket.take(requests, TimeNs::new(now)) {
                    Ok(()) => taken.push((now, counted)),
                    Err(wait_ns) => {
                        assert!(bucket.take(requests, TimeNs::new(now + wait_ns - 1)).is_err(), "not before");
                        now += wait_ns;
                        assert_eq!(bucket.take(requests, TimeNs::new(now)), Ok(()), "the wait is enough");
                        taken.push((now, counted));
                    }
                }
                // In billionths of a request: the stretches that end now, with every beginning.
                let mut sum = 0;
                for (began, count) in taken.iter().rev() {
                    sum += u128::from(*count) * u128::from(ONE);
                    let allowed = u128::from(burst * ONE) + u128::from(now - began) * u128::from(per_s);
                    assert!(
                        sum <= allowed,
                        "{per_s}/s with a burst of {burst}: too many from {began} to {now}"
                    );
                }
            }
        }
    }
}
