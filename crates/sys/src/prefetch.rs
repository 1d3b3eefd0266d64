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
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: as in `prefetch_read`.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(core::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
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
        assert!(block.iter().copied().eq(0..4_096));
    }
}
