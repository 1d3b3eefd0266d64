//! A figure held against what was promised, in one line.

use std::fmt;

/// Above this load average figures of time say more about other programs.
const QUIET: f64 = 1.0;

/// The load average of the last minute, where the system says so. Ask before measuring: what is measured loads too.
pub fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// A promise with an upper bound, and what was measured.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    pub promise: &'a str,
    pub measured: f64,
    pub at_most: f64,
    /// The load average before the measurement.
    pub load: Option<f64>,
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { promise, measured, at_most, load } = *self;
        let verdict = if measured <= at_most { "kept" } else { "NOT kept" };
        write!(f, "{promise}: {measured:.2}, at most {at_most}: {verdict}")?;
        match load {
            Some(load) if load > QUIET => write!(f, " (beside other programs: load {load})"),
            Some(_) => Ok(()),
            None => write!(f, " (load unknown)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_kept_and_the_load_is_said() {
        let verdict = |measured, load| {
            Verdict { promise: "replay in seconds", measured, at_most: 10.0, load }.to_string()
        };
        assert_eq!(verdict(10.0, Some(0.5)), "replay in seconds: 10.00, at most 10: kept");
        assert_eq!(
            verdict(10.01, Some(3.25)),
            "replay in seconds: 10.01, at most 10: NOT kept (beside other programs: load 3.25)"
        );
        assert!(verdict(1.0, None).ends_with("kept (load unknown)"));
    }
}
