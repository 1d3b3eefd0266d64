//! The two kinds of plain number.

use crate::sync::{AtomicI64, AtomicU64, Ordering};

/// A number that only grows. **One thread writes it**: an addition is a load and a store rather than a locked
/// instruction, so a second writer would lose counts. Not padded, because the counters of a block share their
/// writer; the block as a whole is padded against its neighbours.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts `amount`. Wraps after 2^64, as scrapers expect of a counter.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// The count so far, from any thread.
    #[inline]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down, such as open connections. One thread writes it, as with [`Counter`].
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Replaces the value.
    #[inline]
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Moves the value by `change`.
    #[inline]
    pub fn add(&self, change: i64) {
        self.set(self.value().wrapping_add(change));
    }

    /// The current value, from any thread.
    #[inline]
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_and_wraps() {
        let counter = Counter::default();
        counter.increment();
        counter.add(u64::MAX);
        assert_eq!(counter.value(), 0);
        counter.add(41);
        assert_eq!(counter.value(), 41);
    }

    #[test]
    fn a_gauge_goes_both_ways() {
        let gauge = Gauge::default();
        gauge.add(2);
        gauge.add(-3);
        assert_eq!(gauge.value(), -1);
        gauge.set(9);
        assert_eq!(gauge.value(), 9);
    }

    #[test]
    fn a_reader_on_another_thread_never_sees_the_count_go_back() {
        const COUNTS: u64 = 100_000;
        let counter = Counter::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..COUNTS).for_each(|_| counter.increment()));
            let mut seen = 0;
            while seen < COUNTS {
                let now = counter.value();
                assert!(seen <= now);
                seen = now;
                std::hint::spin_loop();
            }
        });
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[test]
    fn readers_see_counts_that_were_stored_and_never_go_back() {
        loom::model(|| {
            let (counter, gauge) = (Arc::new(Counter::default()), Arc::new(Gauge::default()));
            let writer = thread::spawn({
                let (counter, gauge) = (Arc::clone(&counter), Arc::clone(&gauge));
                move || {
                    counter.increment();
                    gauge.add(1);
                    counter.add(2);
                    gauge.add(-1);
                }
            });
            let (first, open) = (counter.value(), gauge.value());
            let second = counter.value();
            assert!([0, 1, 3].contains(&first) && first <= second && [0, 1].contains(&open));
            writer.join().unwrap();
            assert_eq!((counter.value(), gauge.value()), (3, 0), "nothing is lost");
        });
    }
}
