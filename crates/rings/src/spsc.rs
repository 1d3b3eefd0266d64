//! A bounded single-producer single-consumer ring.
//!
//! **Memory ordering.** `tail` is written only by the producer and `head` only by the consumer; each is a count that
//! never wraps back (a slot is its count modulo the capacity). The producer writes a slot and then stores `tail` with
//! `Release`; the consumer loads `tail` with `Acquire` before it reads the slot, so it sees the whole value. The
//! consumer reads a slot and then stores `head` with `Release`; the producer loads `head` with `Acquire` before it
//! overwrites the slot, so no read is still under way. Each end keeps the last value that it saw of the other's index
//! and looks again only when that one says full or empty: in steady state an end touches the other's cache line once
//! per lap or per batch, not once per item.

use core::{fmt, mem::MaybeUninit};

use crossbeam::utils::CachePadded;

use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering, UnsafeCell};

/// Makes a ring of `capacity` items and hands out its two ends.
///
/// # Panics
/// Unless `capacity` is a power of two.
pub fn ring<T: Copy + Send>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity.is_power_of_two(), "ring capacity {capacity} is not a power of two");
    let shared = Arc::new(Shared {
        head: CachePadded::new(AtomicUsize::new(0)),
        tail: CachePadded::new(AtomicUsize::new(0)),
        producer_gone: AtomicBool::new(false),
        consumer_gone: AtomicBool::new(false),
        slots: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
    });
    let producer = Producer { shared: Arc::clone(&shared), tail: 0, head_seen: 0 };
    (producer, Consumer { shared, head: 0, tail_seen: 0 })
}

/// The writing end.
pub struct Producer<T: Copy + Send> {
    shared: Arc<Shared<T>>,
    tail: usize,
    head_seen: usize,
}

/// The reading end.
pub struct Consumer<T: Copy + Send> {
    shared: Arc<Shared<T>>,
    head: usize,
    tail_seen: usize,
}

/// The ring had no room; here is the item back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

struct Shared<T> {
    /// Items taken so far.
    head: CachePadded<AtomicUsize>,
    /// Items published so far.
    tail: CachePadded<AtomicUsize>,
    producer_gone: AtomicBool,
    consumer_gone: AtomicBool,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a slot is reached only through the one `Producer` (between `head + capacity` and `tail`) or the one
// `Consumer` (between `head` and `tail`); the indices keep those ranges disjoint and order the accesses.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: the ring owns its items, and they may move between threads.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T: Copy + Send> Producer<T> {
    /// Publishes one item, or gives it back when the ring is full.
    #[inline]
    pub fn try_push(&mut self, item: T) -> Result<(), Full<T>> {
        if self.free_seen() == 0 && self.free() == 0 {
            return Err(Full(item));
        }
        self.shared.write(self.tail, item);
        self.publish(1);
        Ok(())
    }

    /// Publishes as many leading `items` as there is room for, all at once, and says how many.
    pub fn push_slice(&mut self, items: &[T]) -> usize {
        let free = if self.free_seen() < items.len() { self.free() } else { self.free_seen() };
        let count = free.min(items.len());
        for (offset, item) in items[..count].iter().enumerate() {
            self.shared.write(self.tail.wrapping_add(offset), *item);
        }
        if count > 0 {
            self.publish(count);
        }
        count
    }

    /// Items that surely fit now. The consumer can only make it more.
    #[inline]
    pub fn free(&mut self) -> usize {
        self.head_seen = self.shared.head.load(Ordering::Acquire);
        self.free_seen()
    }

    /// Items that the ring holds when full.
    pub fn capacity(&self) -> usize {
        self.shared.slots.len()
    }

    /// True once the consumer was dropped: nothing that is pushed will ever be read.
    pub fn is_abandoned(&self) -> bool {
        self.shared.consumer_gone.load(Ordering::Acquire)
    }

    #[inline]
    fn free_seen(&self) -> usize {
        self.shared.slots.len() - self.tail.wrapping_sub(self.head_seen)
    }

    #[inline]
    fn publish(&mut self, count: usize) {
        self.tail = self.tail.wrapping_add(count);
        self.shared.tail.store(self.tail, Ordering::Release);
    }
}

impl<T: Copy + Send> Consumer<T> {
    /// Takes the oldest item.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let item = *self.peek()?;
        self.advance();
        Some(item)
    }

    /// The oldest item, left in place.
    #[inline]
    pub fn peek(&mut self) -> Option<&T> {
        if self.head == self.tail_seen && self.refresh() == 0 {
            return None;
        }
        // SAFETY: `head < tail_seen`, and `tail_seen` was loaded with `Acquire`.
        Some(unsafe { self.shared.read(self.head) })
    }

    /// Drops the item that [`Self::peek`] showed.
    ///
    /// # Panics
    /// When nothing was shown: an item nobody looked at must not vanish.
    #[inline]
    pub fn advance(&mut self) {
        assert!(self.head != self.tail_seen, "advance without an item");
        self.release(1);
    }

    /// Shows up to `max` items to `visit`, oldest first and in place, then frees all their slots at once.
    /// Says how many they were. Items that arrive meanwhile wait for the next call.
    pub fn drain_with(&mut self, max: usize, mut visit: impl FnMut(&T)) -> usize {
        let count = if self.len_seen() < max { self.refresh() } else { self.len_seen() }.min(max);
        for offset in 0..count {
            // SAFETY: `head + offset < tail_seen`, and `tail_seen` was loaded with `Acquire`.
            visit(unsafe { self.shared.read(self.head.wrapping_add(offset)) });
        }
        if count > 0 {
            self.release(count);
        }
        count
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items that wait. The producer can only make it more.
    #[inline]
    pub fn len(&self) -> usize {
        self.shared.tail.load(Ordering::Acquire).wrapping_sub(self.head)
    }

    /// Items that the ring holds when full.
    pub fn capacity(&self) -> usize {
        self.shared.slots.len()
    }

    /// True once the producer was dropped. What it pushed before can still be read: the stream has ended when this
    /// is true and, asked *afterwards*, the ring is empty.
    pub fn is_abandoned(&self) -> bool {
        self.shared.producer_gone.load(Ordering::Acquire)
    }

    #[inline]
    fn refresh(&mut self) -> usize {
        self.tail_seen = self.shared.tail.load(Ordering::Acquire);
        self.len_seen()
    }

    #[inline]
    fn len_seen(&self) -> usize {
        self.tail_seen.wrapping_sub(self.head)
    }

    #[inline]
    fn release(&mut self, count: usize) {
        self.head = self.head.wrapping_add(count);
        self.shared.head.store(self.head, Ordering::Release);
    }
}

impl<T: Copy> Shared<T> {
    /// The producer's half: `index` lies in `tail .. head + capacity`.
    #[inline]
    fn write(&self, index: usize, item: T) {
        self.slots[index & (self.slots.len() - 1)].with_mut(|slot| {
            // SAFETY: the consumer does not look at a slot beyond `tail`, and it has left this one: `head` was
            // loaded with `Acquire` past it. There is one producer, and it is borrowed exclusively.
            unsafe { slot.write(MaybeUninit::new(item)) }
        });
    }

    /// The consumer's half.
    ///
    /// # Safety
    /// `index` lies in `head .. tail`, where `tail` was loaded with `Acquire`, and `head` is not published past
    /// `index` while the reference lives.
    #[inline]
    unsafe fn read(&self, index: usize) -> &T {
        self.slots[index & (self.slots.len() - 1)].with(|slot| {
            // SAFETY: the producer wrote this slot before it published `tail`, and will not write it again before
            // `head` has passed it.
            unsafe { (*slot).assume_init_ref() }
        })
    }
}

impl<T: Copy + Send> Drop for Producer<T> {
    fn drop(&mut self) {
        self.shared.producer_gone.store(true, Ordering::Release);
    }
}

impl<T: Copy + Send> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.shared.consumer_gone.store(true, Ordering::Release);
    }
}

impl<T: Copy + Send> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("pushed", &self.tail).field("capacity", &self.capacity()).finish()
    }
}

impl<T: Copy + Send> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("taken", &self.head).field("capacity", &self.capacity()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn order_bounds_and_wrap_around() {
        let (mut tx, mut rx) = ring::<u64>(4);
        let mut next_in = 0;
        let mut next_out = 0;
        for lap in 0..10 {
            while tx.try_push(next_in).is_ok() {
                next_in += 1;
            }
            assert_eq!(tx.try_push(next_in), Err(Full(next_in)), "lap {lap}");
            assert_eq!((tx.free(), rx.len()), (0, 4), "lap {lap}");
            for _ in 0..3 {
                assert_eq!(rx.peek().copied(), Some(next_out));
                assert_eq!(rx.pop(), Some(next_out));
                next_out += 1;
            }
            assert_eq!((tx.free(), rx.len()), (3, 1), "lap {lap}");
        }
    }

    #[test]
    fn batches_take_what_fits_and_no_more() {
        let (mut tx, mut rx) = ring::<u32>(8);
        assert_eq!(tx.push_slice(&[0, 1, 2, 3, 4]), 5);
        assert_eq!(tx.push_slice(&[5, 6, 7, 8, 9]), 3);
        assert_eq!(tx.push_slice(&[8]), 0);
        let mut seen = Vec::new();
        assert_eq!(rx.drain_with(3, |item| seen.push(*item)), 3);
        assert_eq!(tx.push_slice(&[8, 9]), 2);
        assert_eq!(rx.drain_with(usize::MAX, |item| seen.push(*item)), 7);
        assert_eq!(rx.drain_with(1, |_| unreachable!()), 0);
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn each_end_notices_that_the_other_left() {
        let (mut tx, mut rx) = ring::<u8>(2);
        tx.try_push(1).unwrap();
        assert!(!rx.is_abandoned());
        drop(tx);
        assert!(rx.is_abandoned() && !rx.is_empty());
        assert_eq!((rx.pop(), rx.pop()), (Some(1), None));

        let (tx, rx) = ring::<u8>(2);
        assert!(!tx.is_abandoned());
        drop(rx);
        assert!(tx.is_abandoned());
    }

    #[test]
    #[should_panic(expected = "advance without an item")]
    fn advancing_past_the_end_is_our_mistake() {
        ring::<u8>(2).1.advance();
    }

    #[test]
    #[should_panic(expected = "power of two")]
    fn odd_capacities_are_refused() {
        ring::<u8>(6);
    }

    #[test]
    fn a_million_items_cross_two_threads_in_order() {
        const ITEMS: u64 = if cfg!(miri) { 1_000 } else { 1_000_000 };
        // An item of several words, so a torn read could not go unnoticed.
        let (mut tx, mut rx) = ring::<[u64; 4]>(256);
        let producer = std::thread::spawn(move || {
            let mut next = 0;
            while next < ITEMS {
                let burst = (next % 7 + 1).min(ITEMS - next);
                let items: Vec<_> = (next..next + burst).map(|n| [n, !n, n << 1, n ^ 7]).collect();
                let pushed = tx.push_slice(&items) as u64;
                if pushed == 0 {
                    std::thread::yield_now();
                }
                next += pushed;
            }
        });
        let mut expected = 0;
        loop {
            let ended = rx.is_abandoned();
            let even = expected % 2 == 0;
            let mut check = |item: &[u64; 4]| {
                assert_eq!(*item, [expected, !expected, expected << 1, expected ^ 7]);
                expected += 1;
            };
            let taken = if even { rx.drain_with(64, check) } else { rx.pop().iter().map(&mut check).count() };
            if taken == 0 {
                if ended {
                    break;
                }
                std::thread::yield_now();
            }
        }
        assert_eq!(expected, ITEMS);
        producer.join().unwrap();
    }
}
