//! The best prices of both vendors, second by second.

use std::collections::VecDeque;

use serde::Serialize;

use crate::market::Quote;
use crate::vendor::Vendor;

/// One hour of points.
pub(crate) const POINTS_MAX: usize = 3_600;

#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<Point>);

#[derive(Clone, Copy, Debug)]
struct Point {
    t_ms: u64,
    best: [Option<Quote>; Vendor::COUNT],
}

/// Columns, as the chart takes them: milliseconds since 1970, EC per Mtok and EC per accelerator-hour.
#[derive(Debug, Default, Serialize)]
pub(crate) struct HistoryColumns {
    t: Vec<u64>,
    nvidia: Vec<Option<f64>>,
    google: Vec<Option<f64>>,
    nvidia_ah: Vec<Option<f64>>,
    google_ah: Vec<Option<f64>>,
}

impl History {
    /// Adds a point; one that is not later than the last is left out, because a chart's time must grow.
    pub(crate) fn add(&mut self, t_ms: u64, best: [Option<Quote>; Vendor::COUNT]) {
        if self.0.back().is_some_and(|last| t_ms <= last.t_ms) {
            return;
        }
        if self.0.len() == POINTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Point { t_ms, best });
    }

    pub(crate) fn columns(&self) -> HistoryColumns {
        let mut columns = HistoryColumns::default();
        for point in &self.0 {
            let [nvidia, google] = point.best;
            columns.t.push(point.t_ms);
            columns.nvidia.push(nvidia.and_then(Quote::ec_per_mtok));
            columns.google.push(google.and_then(Quote::ec_per_mtok));
            columns.nvidia_ah.push(nvidia.map(Quote::ec_per_ah));
            columns.google_ah.push(google.map(Quote::ec_per_ah));
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_hour_is_dropped() {
        let mut history = History::default();
        for second in 0..POINTS_MAX as u64 + 5 {
            history.add(second * 1_000, [None; Vendor::COUNT]);
            history.add(second * 1_000, [None; Vendor::COUNT]);
        }
        let columns = history.columns();
        assert_eq!(columns.t.len(), POINTS_MAX);
        assert_eq!(columns.t[0], 5_000);
        assert_eq!(columns.google_ah.len(), POINTS_MAX);
    }
}
