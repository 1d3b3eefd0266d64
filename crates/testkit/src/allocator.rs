//! Proves that a hot path does not allocate, and that hostile input does not make a decoder take much memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system allocator with a counter per thread. A test binary installs it and then counts around the path
/// under test; other tests of the same binary run on other threads and do not disturb the count.
///
/// ```
/// use joulebook_testkit::{CountingAllocator, count_allocations};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// let mut orders: Vec<u64> = Vec::with_capacity(8);
/// let ((), allocations) = count_allocations(|| orders.push(1));
/// assert_eq!(allocations, 0);
/// ```
pub struct CountingAllocator;

/// How often this thread has asked for memory so far: new blocks and grown ones, not frees.
/// Always 0 unless the binary installed [`CountingAllocator`].
pub fn allocations_of_this_thread() -> u64 {
    ALLOCATIONS.get()
}

/// How many bytes this thread has asked for so far: new blocks, and the whole size of grown ones; frees take nothing off.
/// Always 0 unless the binary installed [`CountingAllocator`].
pub fn allocated_bytes_of_this_thread() -> u64 {
    BYTES.get()
}

/// How many bytes this thread holds: what it asked for less what it freed, where all of it stays on this thread.
/// Always 0 unless the binary installed [`CountingAllocator`].
pub fn held_bytes_of_this_thread() -> usize {
    usize::try_from(HELD_BYTES.get()).unwrap_or_default()
}

/// Runs `work` and says how many bytes it asked for on this thread.
pub fn count_allocated_bytes<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = allocated_bytes_of_this_thread();
    let result = work();
    (result, allocated_bytes_of_this_thread() - before)
}

/// Runs `work` and says how many allocations it made on this thread.
pub fn count_allocations<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = allocations_of_this_thread();
    let result = work();
    (result, allocations_of_this_thread() - before)
}

/// Runs `work` and says by how many bytes the memory that this thread holds grew at its highest point meanwhile.
/// Memory that comes from or goes to other threads is not understood: for work of one thread only. Calls do not nest.
/// Always 0 unless the binary installed [`CountingAllocator`].
pub fn peak_bytes<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD_BYTES.get();
    PEAK_BYTES.set(before);
    let result = work();
    (result, usize::try_from(PEAK_BYTES.get() - before).unwrap_or_default())
}

thread_local! {
    // Const-initialised and without a destructor, so touching it never allocates: it is used inside the allocator.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
    /// Allocated minus freed. Negative when this thread frees what others allocated.
    static HELD_BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count_one(bytes: usize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    BYTES.set(BYTES.get() + bytes as u64);
    let held = HELD_BYTES.get().wrapping_add(bytes as isize);
    HELD_BYTES.set(held);
    if PEAK_BYTES.get() < held {
        PEAK_BYTES.set(held);
    }
}

fn count_freed(bytes: usize) {
    HELD_BYTES.set(HELD_BYTES.get().wrapping_sub(bytes as isize));
}

#[allow(unsafe_code)]
mod forward {
    use super::{CountingAllocator, GlobalAlloc, Layout, System, count_freed, count_one};

    // SAFETY: every call goes to `System` with the caller's own arguments, so `System`'s guarantees carry over;
    // counting neither allocates nor unwinds.
    unsafe impl GlobalAlloc for CountingAllocator {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count_one(layout.size());
            // SAFETY: the caller upholds the contract of `alloc`, which is that of `System::alloc`.
            unsafe { System.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            count_one(layout.size());
            // SAFETY: as in `alloc`.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            // While it moves, both blocks exist.
            count_one(new_size);
            count_freed(layout.size());
            // SAFETY: `block` came from `System` through the methods above, with this layout.
            unsafe { System.realloc(block, layout, new_size) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            count_freed(layout.size());
            // SAFETY: `block` came from `System` through the methods above, with this layout.
            unsafe { System.dealloc(block, layout) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: CountingAllocator = CountingAllocator;

    #[test]
    fn counts_new_zeroed_and_grown_blocks_but_not_frees() {
        let (block, boxed) = count_allocations(|| Box::new(7_u64));
        let ((), freed) = count_allocations(|| drop(block));
        let (mut zeroed, zeroes) = count_allocations(|| vec![0_u8; 4096]);
        let ((), grown) = count_allocations(|| zeroed.reserve_exact(8192));
        assert_eq!((boxed, freed, zeroes, grown), (1, 0, 1, 1));
        let (block, asked) = count_allocated_bytes(|| vec![0_u8; 4096]);
        let ((), freed) = count_allocated_bytes(|| drop(block));
        assert_eq!((asked, freed), (4096, 0));
    }

    #[test]
    fn the_peak_is_what_was_held_at_once() {
        let ((), peak) = peak_bytes(|| {
            drop(vec![0_u8; 1_000]);
            drop(vec![0_u8; 3_000]);
        });
        assert_eq!(peak, 3_000);
        let (kept, peak) = peak_bytes(|| {
            let mut grown = vec![1_u8; 100];
            grown.reserve_exact(900);
            grown
        });
        assert_eq!((kept.len(), peak), (100, 1_100), "a block that grows may have to move");
        assert_eq!(peak_bytes(|| drop(kept)).1, 0);
    }

    #[test]
    fn another_thread_does_not_disturb_the_count() {
        let before = allocations_of_this_thread();
        let of_other = std::thread::scope(|scope| {
            let other = scope.spawn(|| count_allocations(|| drop(vec![1_u8; 64])).1);
            let spawned = allocations_of_this_thread();
            let of_other = other.join().expect("the other thread does not panic");
            assert_eq!(allocations_of_this_thread(), spawned, "only the other thread allocated");
            of_other
        });
        assert_eq!(of_other, 1);
        assert!(before <= allocations_of_this_thread());
    }
}
