//! Latency of one stage: cheap to record, merged and read elsewhere.

use crate::sync::{AtomicU64, Ordering};

/// Each power of two is cut into this many buckets, so a bucket is at most 1/32 = 3.1 % of its value wide.
const SUB_BUCKETS: u64 = 1 << SUB_BUCKET_BITS;
const SUB_BUCKET_BITS: u32 = 5;

/// Values from 2^37 ns (137 s) on share the last bucket; a stage that slow has other problems.
const VALUE_BITS: u32 = 37;

/// One bucket per nanosecond below 32, then 32 per power of two.
const BUCKETS: usize = ((VALUE_BITS - SUB_BUCKET_BITS + 1) as u64 * SUB_BUCKETS) as usize;

/// Powers of two that a scrape shows as bucket bounds: 64 ns to 17 s. All buckets would be a thousand lines.
const SCRAPED_BOUNDS: std::ops::RangeInclusive<u32> = 6..=34;

/// Log-linear histogram of nanoseconds with one writer, at about 3 % resolution up to 137 s. Recording is three
/// loads and stores in memory that was allocated at the start (8.4 KB).
#[derive(Debug)]
pub struct StageHistogram {
    counts: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
    max_ns: AtomicU64,
}

/// A copy to compute with: merge the copies of several threads, subtract an older copy, ask for quantiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramSnapshot {
    counts: Vec<u64>,
    sum_ns: u64,
    max_ns: u64,
}

impl StageHistogram {
    /// An empty histogram; allocates here and never again.
    pub fn new() -> Self {
        let counts = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { counts, sum_ns: AtomicU64::new(0), max_ns: AtomicU64::new(0) }
    }

    /// Records one duration. Only from the histogram's one writing thread.
    #[inline]
    pub fn record(&self, duration_ns: u64) {
        let count = &self.counts[bucket_of(duration_ns)];
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let sum_ns = self.sum_ns.load(Ordering::Relaxed);
        self.sum_ns.store(sum_ns.wrapping_add(duration_ns), Ordering::Relaxed);
        if self.max_ns.load(Ordering::Relaxed) < duration_ns {
            self.max_ns.store(duration_ns, Ordering::Relaxed);
        }
    }

    /// Records the time between two readings of one clock; a reading that went backwards counts as 0.
    #[inline]
    pub fn record_between(&self, from_ns: u64, to_ns: u64) {
        self.record(to_ns.saturating_sub(from_ns));
    }

    /// A copy of the current counts, from any thread. A record in progress may be missing from one of the numbers.
    pub fn snapshot(&self) -> HistogramSnapshot {
        HistogramSnapshot {
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum_ns: self.sum_ns.load(Ordering::Relaxed),
            max_ns: self.max_ns.load(Ordering::Relaxed),
        }
    }
}

impl Default for StageHistogram {
    fn default() -> Self {
        Self::new()
    }
}

impl HistogramSnapshot {
    /// No values yet.
    pub fn empty() -> Self {
        Self { counts: vec![0; BUCKETS], sum_ns: 0, max_ns: 0 }
    }

    /// Adds the values of another thread's histogram of the same stage.
    pub fn merge(&mut self, other: &HistogramSnapshot) {
        for (mine, others) in self.counts.iter_mut().zip(&other.counts) {
            *mine += others;
        }
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// The values recorded after `earlier` was taken from the same histogram: what a live display shows. The
    /// maximum of that time is not known exactly, so it becomes the upper end of the highest bucket in use.
    pub fn since(&self, earlier: &HistogramSnapshot) -> HistogramSnapshot {
        let counts: Vec<u64> =
            self.counts.iter().zip(&earlier.counts).map(|(now, then)| now.saturating_sub(*then)).collect();
        let highest = counts.iter().rposition(|count| *count != 0);
        HistogramSnapshot {
            max_ns: highest.map_or(0, |bucket| highest_value_of(bucket).min(self.max_ns)),
            sum_ns: self.sum_ns.wrapping_sub(earlier.sum_ns),
            counts,
        }
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all values in nanoseconds, exact.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// The largest value in nanoseconds, exact.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The mean in nanoseconds; 0 without values.
    pub fn mean_ns(&self) -> f64 {
        match self.count() {
            0 => 0.0,
            count => self.sum_ns as f64 / count as f64,
        }
    }

    /// The value in nanoseconds that the share `quantile` (0.0 to 1.0) of all values does not exceed, `None`
    /// without values. Never below the exact value and at most 3.1 % above it; beyond 137 s it is the maximum.
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        let count = self.count();
        let rank = ((quantile.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        for (bucket, in_bucket) in self.counts.iter().enumerate() {
            seen += in_bucket;
            if rank <= seen {
                return Some(highest_value_of(bucket).min(self.max_ns));
            }
        }
        None
    }

    /// Bounds in seconds, each with the number of values above the bound before it: the buckets of a scrape, which
    /// adds them up. The last bound is `f64::MAX`, for everything. A value that equals a bound to the nanosecond
    /// counts above it.
    pub fn buckets_seconds(&self) -> Vec<(f64, u64)> {
        let mut start = 0;
        let mut bounds = Vec::new();
        for power in SCRAPED_BOUNDS {
            let end = bucket_of(1 << power);
            bounds.push(((1_u64 << power) as f64 / 1e9, self.counts[start..end].iter().sum()));
            start = end;
        }
        bounds.push((f64::MAX, self.counts[start..].iter().sum()));
        bounds
    }
}

#[inline]
fn bucket_of(value_ns: u64) -> usize {
    let value_ns = value_ns.min((1 << VALUE_BITS) - 1);
    if value_ns < SUB_BUCKETS {
        return value_ns as usize;
    }
    // The top six bits of the value: the leading one says which power of two, the five below it which part.
    let shift = value_ns.ilog2() - SUB_BUCKET_BITS;
    (u64::from(shift) * SUB_BUCKETS + (value_ns >> shift)) as usize
}

fn highest_value_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    if bucket as usize == BUCKETS - 1 {
        return u64::MAX;
    }
    let shift = bucket / SUB_BUCKETS - 1;
    let top_bits = bucket - shift * SUB_BUCKETS;
    ((top_bits + 1) << shift) - 1
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_the_range_without_gap_or_overlap() {
        let mut lowest = 0_u64;
        for bucket in 0..BUCKETS - 1 {
            let highest = highest_value_of(bucket);
            assert_eq!(bucket_of(lowest), bucket);
            assert_eq!(bucket_of(highest), bucket);
            assert!((highest - lowest) as f64 <= lowest as f64 / 32.0, "bucket {bucket} is too wide");
            lowest = highest + 1;
        }
        assert_eq!(bucket_of(lowest), BUCKETS - 1);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_stay_within_their_bound_of_an_exact_sort() {
        // From 1 ns to beyond the range, log-uniform, by a multiplicative generator.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut values: Vec<u64> = (0..20_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 27) >> (state % 37)
            })
            .collect();
        let histogram = StageHistogram::new();
        values.iter().for_each(|value| histogram.record(*value));
        values.sort_unstable();

        let snapshot = histogram.snapshot();
        for quantile in [0.0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0] {
            let rank = ((quantile * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1];
            let read = snapshot.quantile_ns(quantile).expect("has values");
            assert!(exact <= read, "quantile {quantile}: {read} is below the exact {exact}");
            assert!(read as f64 <= exact as f64 * 33.0 / 32.0, "quantile {quantile}: {read} for {exact}");
        }
        assert_eq!(snapshot.quantile_ns(1.0), values.last().copied());
        assert_eq!(snapshot.max_ns(), *values.last().expect("has values"));
        assert_eq!(snapshot.sum_ns(), values.iter().sum::<u64>());
        assert_eq!(snapshot.count(), 20_000);
    }

    #[test]
    fn beyond_the_range_the_maximum_still_counts() {
        let histogram = StageHistogram::new();
        histogram.record(200_000_000_000);
        assert_eq!(histogram.snapshot().quantile_ns(0.5), Some(200_000_000_000));
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        let snapshot = StageHistogram::new().snapshot();
        assert_eq!(snapshot, HistogramSnapshot::empty());
        assert_eq!(snapshot.quantile_ns(0.5), None);
        assert_eq!(snapshot.mean_ns(), 0.0);
    }

    #[test]
    fn a_reading_that_went_backwards_counts_as_zero() {
        let histogram = StageHistogram::new();
        histogram.record_between(10, 7);
        histogram.record_between(10, 35);
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.quantile_ns(0.5), snapshot.quantile_ns(1.0)), (Some(0), Some(25)));
        assert_eq!(snapshot.mean_ns(), 12.5);
    }

    #[test]
    fn merged_snapshots_read_like_one_histogram() {
        let (odd, even, both) = (StageHistogram::new(), StageHistogram::new(), StageHistogram::new());
        for value in 0..5_000 {
            if value % 2 == 0 {
                even.record(value)
            } else {
                odd.record(value)
            }
            both.record(value);
        }
        let mut merged = odd.snapshot();
        merged.merge(&even.snapshot());
        assert_eq!(merged, both.snapshot());
    }

    #[test]
    fn a_difference_holds_only_what_came_after() {
        let histogram = StageHistogram::new();
        histogram.record(1_000_000);
        let before = histogram.snapshot();
        histogram.record(20);
        histogram.record(30);
        let recent = histogram.snapshot().since(&before);
        assert_eq!((recent.count(), recent.sum_ns(), recent.max_ns()), (2, 50, 30));
        assert_eq!(recent.since(&recent), HistogramSnapshot::empty());
    }

    #[test]
    fn scraped_buckets_hold_every_value_once() {
        let histogram = StageHistogram::new();
        for value in [63, 64, 1 << 20, 1 << 36] {
            histogram.record(value);
        }
        let bounds = histogram.snapshot().buckets_seconds();
        assert_eq!(bounds[..2], [(64e-9, 1), (128e-9, 1)]);
        assert_eq!(bounds.last(), Some(&(f64::MAX, 1)));
        assert_eq!(bounds.iter().map(|(_, count)| count).sum::<u64>(), 4);
        assert!(bounds.is_sorted_by(|lower, upper| lower.0 < upper.0));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[test]
    fn each_number_of_a_snapshot_is_one_that_was_stored() {
        loom::model(|| {
            let histogram = Arc::new(StageHistogram::new());
            let writer = thread::spawn({
                let histogram = Arc::clone(&histogram);
                move || [5, 7].into_iter().for_each(|duration_ns| histogram.record(duration_ns))
            });
            let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
            let (fives, sum, max) =
                (read(&histogram.counts[5]), read(&histogram.sum_ns), read(&histogram.max_ns));
            assert!(fives <= 1 && [0, 5, 12].contains(&sum) && [0, 5, 7].contains(&max));
            assert!(
                fives <= read(&histogram.counts[5]) && sum <= read(&histogram.sum_ns),
                "nothing goes back"
            );
            writer.join().unwrap();
            assert_eq!((read(&histogram.sum_ns), read(&histogram.max_ns)), (12, 7), "nothing is lost");
        });
    }
}
