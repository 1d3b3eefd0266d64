//! Waking the other side if, and only if, it sleeps.
//!
//! A system call per message would cost more than the message, so the ringer looks at a flag first. Lost wake-ups are
//! excluded by the order of four steps: the sleeper raises the flag and *then* looks for work; the ringer publishes
//! work and *then* looks at the flag. A sequentially consistent fence stands between the two steps on each side, so at
//! least one of them sees what the other did.

use core::fmt;
use std::sync::Arc;

use crossbeam::utils::CachePadded;

use crate::sync::{AtomicBool, Ordering, fence};

/// Ends another thread's sleep. A wake that comes before the sleep begins must make that sleep return at once, as an
/// eventfd or a park token does.
pub trait Wake: Send + Sync {
    fn wake(&self);
}

/// Shared by one sleeper and any number of ringers.
///
/// The sleeper's loop:
///
/// ```
/// # use joulebook_rings::{Doorbell, ring};
/// # use crossbeam::sync::Parker;
/// # let parker = Parker::new();
/// # let doorbell = std::sync::Arc::new(Doorbell::new(std::sync::Arc::new(parker.unparker().clone())));
/// # let (mut producer, mut consumer) = ring::<u64>(2);
/// # let ringer = std::thread::spawn({
/// #     let doorbell = doorbell.clone();
/// #     move || { producer.try_push(7).unwrap(); doorbell.ring(); }
/// # });
/// let item = loop {
///     if let Some(item) = consumer.pop() {
///         break item;
///     }
///     doorbell.prepare_sleep();
///     if consumer.is_empty() {
///         parker.park();
///     }
///     doorbell.awake();
/// };
/// # assert_eq!(item, 7);
/// # ringer.join().unwrap();
/// ```
pub struct Doorbell {
    sleeping: CachePadded<AtomicBool>,
    waker: Arc<dyn Wake>,
}

impl Doorbell {
    /// `waker` ends the sleep of the one thread that will call [`Self::prepare_sleep`].
    pub fn new(waker: Arc<dyn Wake>) -> Self {
        Self { sleeping: CachePadded::new(AtomicBool::new(false)), waker }
    }

    /// To be called after work was published: a fence and a load while the other side is awake.
    #[inline]
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        // Only one of several ringers pays for the system call.
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// From here on a ringer will wake. The caller must look for work once more before it really sleeps.
    pub fn prepare_sleep(&self) {
        // A swap and not a store: all changes of the flag then stand in one order that both sides agree on, so a late
        // ringer cannot lower a flag that was raised after it looked without also waking.
        self.sleeping.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// The sleep is over, or was called off. A wake that was already on its way may cut the next sleep short.
    pub fn awake(&self) {
        self.sleeping.swap(false, Ordering::AcqRel);
    }
}

/// So a doorbell can be handed to a part that only knows how to wake.
impl Wake for Doorbell {
    fn wake(&self) {
        self.ring();
    }
}

impl Wake for crossbeam::sync::Unparker {
    fn wake(&self) {
        self.unpark();
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use crossbeam::sync::Parker;

    use super::*;
    use crate::ring;

    #[test]
    fn rings_only_for_a_sleeper_and_once() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(&self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let doorbell = Doorbell::new(count.clone());
        let wakes = || count.0.load(Ordering::Relaxed);
        doorbell.ring();
        assert_eq!(wakes(), 0, "nobody sleeps yet");
        doorbell.prepare_sleep();
        doorbell.ring();
        doorbell.ring();
        assert_eq!(wakes(), 1, "the second ring finds it awake");
        doorbell.prepare_sleep();
        doorbell.awake();
        doorbell.ring();
        assert_eq!(wakes(), 1, "called off");
    }

    #[test]
    fn a_parking_consumer_gets_everything() {
        const ITEMS: u64 = if cfg!(miri) { 100 } else { 100_000 };
        let (mut tx, mut rx) = ring::<u64>(8);
        let parker = Parker::new();
        let doorbell = Arc::new(Doorbell::new(Arc::new(parker.unparker().clone())));
        let ringer = std::thread::spawn({
            let doorbell = Arc::clone(&doorbell);
            move || {
                for n in 0..ITEMS {
                    while tx.try_push(n).is_err() {
                        std::thread::yield_now();
                    }
                    doorbell.ring();
                }
            }
        });
        // Parks without a timeout: one lost wake-up would hang here.
        for expected in 0..ITEMS {
            let got = loop {
                if let Some(got) = rx.pop() {
                    break got;
                }
                doorbell.prepare_sleep();
                if rx.is_empty() {
                    parker.park();
                }
                doorbell.awake();
            };
            assert_eq!(got, expected);
        }
        ringer.join().unwrap();
    }
}
