//! A number that only grows, and somebody who sleeps until it has grown far enough.
//!
//! **Memory ordering.** As with a doorbell, lost wake-ups are excluded by the order of four steps: the waiter says which
//! number it wants and *then* looks at the mark; the writer moves the mark and *then* looks at the wanted number. A
//! sequentially consistent fence stands between the two steps on each side, so at least one of them sees what the
//! other did. The mark itself is stored with `Release` and loaded with `Acquire`: whoever sees a number sees
//! everything that was done before it was published.

use core::fmt;
use std::sync::Arc;

use crossbeam::utils::CachePadded;

use crate::doorbell::Wake;
use crate::sync::{AtomicU64, Ordering, fence};

/// Published by one writer, awaited by one waiter, read by anybody.
///
/// The waiter's loop:
///
/// ```
/// # use joulebook_rings::Watermark;
/// # use crossbeam::sync::Parker;
/// # let parker = Parker::new();
/// # let mark = std::sync::Arc::new(Watermark::new(0, std::sync::Arc::new(parker.unparker().clone())));
/// # let writer = std::thread::spawn({
/// #     let mark = mark.clone();
/// #     move || (1..=100).for_each(|number| mark.publish(number))
/// # });
/// let reached = loop {
///     let reached = mark.get();
///     if 100 <= reached {
///         break reached;
///     }
///     if mark.prepare_sleep(100) {
///         parker.park();
///     }
///     mark.awake();
/// };
/// # assert_eq!(reached, 100);
/// # writer.join().unwrap();
/// ```
pub struct Watermark {
    value: CachePadded<AtomicU64>,
    /// The number that the waiter sleeps for; [`NOBODY`] while it is awake.
    wanted: CachePadded<AtomicU64>,
    waker: Arc<dyn Wake>,
}

/// No mark comes this far.
const NOBODY: u64 = u64::MAX;

impl Watermark {
    /// `waker` ends the sleep of the one thread that will call [`Self::prepare_sleep`].
    ///
    /// # Panics
    /// When `value` is `u64::MAX`.
    pub fn new(value: u64, waker: Arc<dyn Wake>) -> Self {
        assert!(value < NOBODY, "a watermark at the end of all numbers");
        Self {
            value: CachePadded::new(AtomicU64::new(value)),
            wanted: CachePadded::new(AtomicU64::new(NOBODY)),
            waker,
        }
    }

    /// Where the mark is.
    #[inline]
    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Acquire)
    }

    /// Moves the mark, and wakes the waiter if it sleeps for this number or a smaller one. Costs two stores' worth and
    /// a fence while nobody waits for it. For the one writer alone.
    ///
    /// # Panics
    /// When the mark would go back, or come to `u64::MAX`.
    #[inline]
    pub fn publish(&self, value: u64) {
        // The only writer sees its own last store whatever the ordering.
        let last = self.value.load(Ordering::Relaxed);
        assert!(last <= value && value < NOBODY, "a watermark went from {last} to {value}");
        self.value.store(value, Ordering::Release);
        fence(Ordering::SeqCst);
        let mut wanted = self.wanted.load(Ordering::Relaxed);
        while wanted <= value {
            match self.wanted.compare_exchange(wanted, NOBODY, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return self.waker.wake(),
                // It woke by itself, and may sleep for another number by now: only that one counts.
                Err(newer) => wanted = newer,
            }
        }
    }

    /// From here on the writer will wake who waits for `wanted`. False when the mark is there already: do not sleep. In
    /// both cases [`Self::awake`] comes next, after the sleep if there is one.
    pub fn prepare_sleep(&self, wanted: u64) -> bool {
        // A swap and not a store: all changes then stand in one order that both sides agree on, so a writer that looked
        // before cannot take this number away without also waking.
        self.wanted.swap(wanted, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        self.value.load(Ordering::Acquire) < wanted
    }

    /// The sleep is over, or was called off. A wake that was already on its way may cut the next sleep short.
    pub fn awake(&self) {
        self.wanted.swap(NOBODY, Ordering::AcqRel);
    }
}

impl fmt::Debug for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watermark").field("value", &self.get()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use crossbeam::sync::Parker;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn wakes_once_and_only_who_waits_for_this_number() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let mark = Watermark::new(5, count.clone());
        let wakes = || count.0.load(Ordering::Relaxed);
        mark.publish(6);
        assert_eq!(wakes(), 0, "nobody waits");
        assert!(mark.prepare_sleep(8));
        mark.publish(7);
        assert_eq!(wakes(), 0, "not there yet");
        mark.publish(9);
        mark.publish(10);
        assert_eq!(wakes(), 1, "told once");
        mark.awake();
        assert!(!mark.prepare_sleep(10), "it is there");
        mark.awake();
        mark.publish(11);
        assert_eq!((wakes(), mark.get()), (1, 11), "called off");
    }

    #[test]
    #[should_panic(expected = "went from 5 to 4")]
    fn it_never_goes_back() {
        Watermark::new(5, Arc::new(Count(AtomicUsize::new(0)))).publish(4);
    }

    #[test]
    fn a_sleeper_is_there_for_every_step() {
        const STEPS: u64 = if cfg!(miri) { 20 } else { 5_000 };
        const STEP: u64 = 7;
        let parker = Parker::new();
        let mark = Arc::new(Watermark::new(0, Arc::new(parker.unparker().clone())));
        let writer = std::thread::spawn({
            let mark = Arc::clone(&mark);
            move || (1..=STEPS * STEP).for_each(|number| mark.publish(number))
        });
        // Parks without a timeout: one lost wake-up would hang here.
        for wanted in (STEP..=STEPS * STEP).step_by(STEP as usize) {
            while mark.get() < wanted {
                if mark.prepare_sleep(wanted) {
                    parker.park();
                }
                mark.awake();
            }
        }
        writer.join().unwrap();
    }
}
