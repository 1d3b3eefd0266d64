//! A flag that one side sets and others look at.
//!
//! **Memory ordering.** The store is `Release` and the load `Acquire`: whoever sees a change sees everything that was done
//! before it, such as the items that were pushed into a ring. There is no lost wake-up to fear, because a gate wakes
//! nobody: a sleeper that must notice is woken after the change, by a waker that keeps a wake which comes too early.

use crossbeam::utils::CachePadded;

use crate::sync::{AtomicBool, Ordering};

/// Open or shut. One thread changes it, or several that all change it to the same.
#[derive(Debug)]
pub struct Gate {
    is_open: CachePadded<AtomicBool>,
}

impl Gate {
    pub fn open() -> Self {
        Self { is_open: CachePadded::new(AtomicBool::new(true)) }
    }

    pub fn shut() -> Self {
        Self { is_open: CachePadded::new(AtomicBool::new(false)) }
    }

    #[inline]
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Opens or shuts it, and says whether that changed anything. Setting it to what it is writes nothing, so those who
    /// look keep it in their caches.
    #[inline]
    pub fn set(&self, is_open: bool) -> bool {
        // The only writer sees its own last store whatever the ordering.
        let is_changed = self.is_open.load(Ordering::Relaxed) != is_open;
        if is_changed {
            self.is_open.store(is_open, Ordering::Release);
        }
        is_changed
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once() {
        let gate = Gate::shut();
        let changes = [true, true, false, false, true].map(|is_open| (gate.set(is_open), gate.is_open()));
        assert_eq!(changes, [(true, true), (false, true), (true, false), (false, false), (true, true)]);
        assert!(Gate::open().is_open());
    }
}
