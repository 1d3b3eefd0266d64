//! The latency that the page shows.

use joulebook_metrics::HistogramSnapshot;
use serde::Serialize;

/// Quantiles in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Half of all answers were at least this fast.
    #[serde(rename = "p50")]
    pub p50_us: f64,
    /// 99 % were.
    #[serde(rename = "p99")]
    pub p99_us: f64,
    /// 99.9 % were.
    #[serde(rename = "p999")]
    pub p999_us: f64,
}

/// Somebody who measures from the outside, such as the bots of a demo.
pub trait LatencySource: Send + Sync {
    /// Of about the last second; `None` when nothing was answered in it.
    fn latency(&self) -> Option<Latency>;

    /// From where to where, and over which time: a sentence under the numbers.
    fn description(&self) -> String;
}

/// The server's own view: the `ack` stage over the last tick.
#[derive(Debug)]
pub(crate) struct AckLatency {
    earlier: HistogramSnapshot,
    last_tick: Option<Latency>,
}

impl AckLatency {
    pub(crate) const DESCRIPTION: &'static str = "Order received to answer sent, last second.";

    pub(crate) fn new() -> Self {
        Self { earlier: HistogramSnapshot::empty(), last_tick: None }
    }

    /// Takes the histogram as it is now; what came since the last call is what is shown until the next.
    pub(crate) fn tick(&mut self, now: HistogramSnapshot) {
        self.last_tick = Latency::of(&now.since(&self.earlier));
        self.earlier = now;
    }

    pub(crate) fn latency(&self) -> Option<Latency> {
        self.last_tick
    }
}

impl Latency {
    /// The quantiles of a histogram; `None` when it is empty.
    pub fn of(histogram: &HistogramSnapshot) -> Option<Self> {
        let us = |quantile| histogram.quantile_ns(quantile).map(|ns| ns as f64 / 1_000.0);
        Some(Self { p50_us: us(0.5)?, p99_us: us(0.99)?, p999_us: us(0.999)? })
    }
}

#[cfg(test)]
mod tests {
    use joulebook_metrics::StageHistogram;

    use super::*;

    #[test]
    fn only_the_last_tick_counts() {
        let histogram = StageHistogram::new();
        let mut ack = AckLatency::new();
        (0..1_000).for_each(|_| histogram.record(1_000_000));
        ack.tick(histogram.snapshot());
        assert_eq!(ack.latency().unwrap().p50_us, 1_000.0);

        (0..10).for_each(|_| histogram.record(50_000));
        ack.tick(histogram.snapshot());
        let latency = ack.latency().unwrap();
        assert!((50.0..52.0).contains(&latency.p50_us) && latency.p999_us < 52.0, "{latency:?}");

        ack.tick(histogram.snapshot());
        assert_eq!(ack.latency(), None);
    }
}
