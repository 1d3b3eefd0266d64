//! A number that several may ask for and one carries out: only the largest counts.
//!
//! **Memory ordering.** Asking is one `fetch_max` and taking one `swap`, so no demand falls between a look and a
//! clearing. Both are `AcqRel`: whoever takes a number sees everything that was done before it was asked for. Like a
//! gate it wakes nobody; who asks wakes the other side afterwards.

use crossbeam::utils::CachePadded;

use crate::sync::{AtomicU64, Ordering};

/// The largest number that was asked for since it was last taken, if any was.
#[derive(Debug)]
pub struct Demand {
    /// Zero is no demand.
    largest: CachePadded<AtomicU64>,
}

impl Default for Demand {
    fn default() -> Self {
        Self { largest: CachePadded::new(AtomicU64::new(0)) }
    }
}

impl Demand {
    /// Asks for `number`; zero asks for nothing.
    pub fn ask(&self, number: u64) {
        self.largest.fetch_max(number, Ordering::AcqRel);
    }

    /// What was asked for since the last call.
    #[inline]
    pub fn take(&self) -> Option<u64> {
        // Read first: it is asked often and hardly ever is there anything, so the line stays in the caches of both. A
        // demand that this look misses is there at the next.
        let is_asked = self.largest.load(Ordering::Relaxed) != 0;
        is_asked.then(|| self.largest.swap(0, Ordering::AcqRel))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_taken_once() {
        let demand = Demand::default();
        assert_eq!(demand.take(), None);
        [3, 9, 7].into_iter().for_each(|number| demand.ask(number));
        assert_eq!((demand.take(), demand.take()), (Some(9), None));
        demand.ask(2);
        assert_eq!(demand.take(), Some(2));
    }
}
