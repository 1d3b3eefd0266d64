//! Looking into a table at a place that is known to be there.

/// As `&table[place]`. Of the check no more than the comparison stays on the way: nothing is kept in a register for the case
/// that it fails, which is a bug of ours.
#[inline(always)]
pub(crate) fn at<T>(table: &[T], place: usize) -> &T {
    match table.get(place) {
        Some(found) => found,
        None => outside(),
    }
}

/// As `&mut table[place]`.
#[inline(always)]
pub(crate) fn at_mut<T>(table: &mut [T], place: usize) -> &mut T {
    match table.get_mut(place) {
        Some(found) => found,
        None => outside(),
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn outside() -> ! {
    panic!("a place outside of its table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_place_is_inside() {
        let mut table = [1, 2, 3];
        *at_mut(&mut table, 2) += 1;
        assert_eq!(*at(&table, 2), 4);
    }

    #[test]
    #[should_panic(expected = "a place outside of its table")]
    fn the_place_behind_it_is_not() {
        at(&[1, 2, 3], 3);
    }
}
