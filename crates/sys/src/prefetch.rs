//! Asking for a cache line before it is needed.

/// Asks for the cache line at the beginning of `place`, which will be read soon. Only when, never what, is affected;
/// nothing on processors other than x86-64.
#[inline(always)]
pub fn prefetch_read<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch neither faults nor changes memory, whatever the address; this one is even valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// The same for a line that will be written: no other core keeps a copy of it, where the processor knows how to ask.
#[inline(always)]
pub fn prefetch_write<T>(place: &T) {
    prefetch_line(core::ptr::from_ref(place).cast());
}

/// The same for the first line of an element of a list. Where the list has none of that index, something else is asked for,
/// or nothing: a guess needs no check, which would cost as much as asking does.
#[inline(always)]
pub fn prefetch_write_at<T>(list: &[T], index: usize) {
    prefetch_line(list.as_ptr().wrapping_add(index).cast());
}

/// The same for every line of an element that begins with one.
#[inline(always)]
pub fn prefetch_write_all_of<T>(list: &[T], index: usize) {
    let element: *const i8 = list.as_ptr().wrapping_add(index).cast();
    for line in 0..const { size_of::<T>().div_ceil(LINE_BYTES) } {
        prefetch_line(element.wrapping_add(line * LINE_BYTES));
    }
}

const LINE_BYTES: usize = 64;

#[inline(always)]
fn prefetch_line(address: *const i8) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: as in `prefetch_read`; the address may be any.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(address) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_changes_at_either_end_of_a_block() {
        let block: Vec<u64> = (0..4_096).collect();
        for place in [&block[0], &block[4_095]] {
            prefetch_read(place);
            prefetch_write(place);
        }
        for index in [0, 4_095, 4_096, 1 << 40, usize::MAX] {
            prefetch_write_at(&block, index);
            prefetch_write_all_of(&block, index);
        }
        assert!(block.iter().copied().eq(0..4_096));
    }
}
