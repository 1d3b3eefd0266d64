//! Latencies as people quote them.

use std::time::Duration;

/// Sorted latencies.
pub struct Percentiles<'a>(&'a [Duration]);

impl<'a> Percentiles<'a> {
    /// # Panics
    /// When there are none.
    pub fn of(latencies: &'a mut [Duration]) -> Self {
        assert!(!latencies.is_empty(), "percentiles of nothing");
        latencies.sort_unstable();
        Self(latencies)
    }

    /// Microseconds that `percent` of the latencies do not exceed.
    pub fn us(&self, percent: f64) -> f64 {
        self.ns(percent) as f64 / 1e3
    }

    /// The same in nanoseconds.
    pub fn ns(&self, percent: f64) -> u64 {
        let rank = (self.0.len() as f64 * percent / 100.0).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1].as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_latency_that_occurred() {
        let mut latencies: Vec<_> = (1..=200).rev().map(Duration::from_micros).collect();
        let latency = Percentiles::of(&mut latencies);
        assert_eq!((latency.us(50.0), latency.us(99.0), latency.us(100.0)), (100.0, 198.0, 200.0));
        assert_eq!(Percentiles::of(&mut [Duration::from_micros(3)]).us(50.0), 3.0);
    }
}
