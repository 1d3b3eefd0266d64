//! Room for lists that become large and are then read at random places.
//!
//! A processor remembers where a few thousand pages lie. With pages of 4 KiB that is a dozen megabytes, and whatever lies
//! beyond costs a walk through the page tables besides its cache line. With pages of 2 MiB it is gigabytes.

use core::mem::MaybeUninit;
use std::sync::OnceLock;

use rustix::mm::{Advice, madvise};
use rustix::process::{Resource, getrlimit};

/// A large page, of x86-64 and of most others.
const PAGE_BYTES: usize = 2 << 20;
/// Memory smaller than this stays in small pages: of a large one in use on average half is used, and many exchanges are small.
const LARGE_BYTES_MIN: usize = 2 * PAGE_BYTES;
/// What a list that becomes large reserves at once, the first of these that the system grants. They are addresses: memory
/// comes with what is written. Large pages cannot be moved without a copy, which stops whoever grows a list of a million
/// entries for a tenth of a second, so the list moves while it is small and then never again, up to this size.
const RESERVED_BYTES: [usize; 3] = [16 << 30, 4 << 30, 1 << 30];

/// Makes room for `additional` more items as [`Vec::reserve`] does, in large pages once the list is large.
pub fn reserve_in_large_pages<T>(list: &mut Vec<T>, additional: usize) {
    if list.capacity() - list.len() < additional && !moves_to_large_pages(list, additional) {
        list.reserve(additional);
        ask_for_large_pages(list.spare_capacity_mut());
    }
}

/// The same, but a list that is not large becomes only as long as it has to.
pub fn reserve_exact_in_large_pages<T>(list: &mut Vec<T>, additional: usize) {
    if list.capacity() - list.len() < additional && !moves_to_large_pages(list, additional) {
        list.reserve_exact(additional);
        ask_for_large_pages(list.spare_capacity_mut());
    }
}

/// Reserves for a list what it may ever need when it is about to become large. Not for one that is smaller, or large
/// already, and not on a system where addresses are counted as if they were memory.
#[cold]
fn moves_to_large_pages<T>(list: &mut Vec<T>, additional: usize) -> bool {
    let bytes = (list.len() + additional).saturating_mul(size_of::<T>());
    if bytes < LARGE_BYTES_MIN || !addresses_are_free() {
        return false;
    }
    for reserved in RESERVED_BYTES.into_iter().filter(|reserved| bytes < *reserved) {
        let mut longer = Vec::new();
        if longer.try_reserve_exact(reserved / size_of::<T>()).is_ok() {
            // Before anything is written: a page in use would have to be made large later, by copying it.
            ask_for_large_pages(longer.spare_capacity_mut());
            longer.append(list);
            *list = longer;
            return true;
        }
    }
    false
}

/// Whether addresses may be reserved without the memory for them: neither does the system answer for all that it has
/// promised (`vm.overcommit_memory = 2`), nor are the addresses of this process limited.
fn addresses_are_free() -> bool {
    static FREE: OnceLock<bool> = OnceLock::new();
    *FREE.get_or_init(|| {
        let overcommit = std::fs::read("/proc/sys/vm/overcommit_memory");
        let answers_for_all = overcommit.is_ok_and(|mode| mode.starts_with(b"2"));
        !answers_for_all && getrlimit(Resource::As).current.is_none()
    })
}

/// Asks that the whole large pages of this memory be backed as such. Only when, never what, is affected.
fn ask_for_large_pages<T>(memory: &mut [MaybeUninit<T>]) {
    let start: *mut u8 = memory.as_mut_ptr().cast();
    let skipped = start.align_offset(PAGE_BYTES);
    let bytes = size_of_val(memory).saturating_sub(skipped) / PAGE_BYTES * PAGE_BYTES;
    if bytes > 0 {
        let first = start.wrapping_add(skipped);
        // SAFETY: these pages lie within memory that is borrowed here for writing, and the advice leaves what is in them
        // as it is.
        let advised = unsafe { madvise(first.cast(), bytes, Advice::LinuxHugepage) };
        // Refused by a system that has none: small pages do the same, more slowly.
        let _ = advised;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One item after the other, through many moves from small into large memory and beyond.
    #[test]
    fn items_stay_what_they_are_while_the_list_grows() {
        let mut list: Vec<[u64; 8]> = Vec::new();
        let (mut moves, mut capacity) = (0, 0);
        for item in 0..200_000 {
            reserve_in_large_pages(&mut list, 1);
            list.push([item; 8]);
            moves += usize::from(list.capacity() != capacity);
            capacity = list.capacity();
        }
        assert!(list.iter().zip(0..).all(|(item, number)| *item == [number; 8]));
        assert!(list.len() * size_of::<[u64; 8]>() > LARGE_BYTES_MIN);
        let reserved = RESERVED_BYTES.contains(&(list.capacity() * size_of::<[u64; 8]>()));
        // Doubled from 4 items to 65,536, then reserved for good, or doubled twice more.
        assert_eq!((moves, reserved), if addresses_are_free() { (16, true) } else { (17, false) });
    }

    #[test]
    fn room_is_made_as_it_was_asked_for() {
        for bytes in [0, 1, LARGE_BYTES_MIN - 11, LARGE_BYTES_MIN, 3 * PAGE_BYTES + 5] {
            let mut list = vec![7_u8; bytes];
            reserve_exact_in_large_pages(&mut list, 10);
            let is_large = bytes + 10 >= LARGE_BYTES_MIN && addresses_are_free();
            let as_asked = if is_large {
                RESERVED_BYTES.contains(&list.capacity())
            } else {
                list.capacity() < bytes + 64
            };
            assert!(as_asked, "{bytes}");
            let capacity = list.capacity();
            reserve_exact_in_large_pages(&mut list, 10);
            assert_eq!(list.capacity(), capacity, "there was room");
            if !is_large {
                reserve_in_large_pages(&mut list, capacity - bytes + 1);
                assert!(list.capacity() >= 2 * capacity, "{bytes}");
            }
            assert!(list.iter().all(|byte| *byte == 7) && list.len() == bytes);
        }
    }

    /// On a system that gives large pages to who asks for them, they are there.
    #[test]
    fn the_system_was_asked() {
        let mut list: Vec<u8> = Vec::new();
        reserve_exact_in_large_pages(&mut list, 4 * PAGE_BYTES);
        let inside = list.spare_capacity_mut()[2 * PAGE_BYTES..].as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut within = false;
        let flags = maps.lines().find_map(|line| {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let bound = |text| usize::from_str_radix(text, 16).ok();
            if let Some((first, end)) = range.and_then(|(first, end)| Some((bound(first)?, bound(end)?))) {
                within = first <= inside && inside < end;
            }
            line.strip_prefix("VmFlags:").filter(|_| within)
        });
        let has_large = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists();
        assert_eq!(flags.expect("it is mapped").split(' ').any(|flag| flag == "hg"), has_large);
    }
}
