//! Which instruments there are, by id. Ids rise from listing to listing and are never given twice, while what is
//! settled is forgotten: so memory follows what is listed, however far apart its ids lie.

use core::ops::Bound;
use std::collections::BTreeMap;

use joulebook_sys::reserve_exact_in_large_pages;
use joulebook_types::InstrumentId;

use crate::instruments::InstrumentIx;

/// Who an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Listed(InstrumentIx),
    /// It was listed once. Nothing else is known of it any more.
    Settled,
    /// No instrument has had this id yet.
    Nobody,
}

#[derive(Debug, Default)]
pub(crate) struct InstrumentDirectory {
    /// For the order of listing, which no request waits for.
    by_id: BTreeMap<InstrumentId, InstrumentIx>,
    places: PlaceTable,
    /// The last id that was given.
    last: InstrumentId,
}

impl InstrumentDirectory {
    #[inline(always)]
    pub(crate) fn find(&self, id: InstrumentId) -> Option<InstrumentIx> {
        self.places.get(id)
    }

    pub(crate) fn named(&self, id: InstrumentId) -> Named {
        match self.find(id) {
            Some(ix) => Named::Listed(ix),
            None if id.is_none() || id > self.last => Named::Nobody,
            None => Named::Settled,
        }
    }

    /// The last id that was given; `InstrumentId::NONE` before the first listing.
    pub(crate) fn last(&self) -> InstrumentId {
        self.last
    }

    /// Instruments that are listed now.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Gives an id after the last one.
    pub(crate) fn insert(&mut self, id: InstrumentId, ix: InstrumentIx) {
        assert!(id > self.last, "an id is given once");
        self.last = id;
        self.by_id.insert(id, ix);
        self.places.make_room(self.by_id.len());
        self.places.insert(id, ix);
    }

    pub(crate) fn remove(&mut self, id: InstrumentId) {
        assert!(self.by_id.remove(&id).is_some(), "only what is listed is forgotten");
        self.places.remove(id);
    }

    /// Ids up to this one were given, whether their instruments are still listed or not.
    pub(crate) fn restore_last(&mut self, last: InstrumentId) {
        assert!(self.last <= last, "an id is given once");
        self.last = last;
    }

    /// In listing order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = InstrumentIx> {
        self.by_id.values().copied()
    }

    /// The instrument that was listed next after an id, as far as it is there.
    pub(crate) fn next_listed(&self, after: InstrumentId) -> Option<(InstrumentId, InstrumentIx)> {
        let mut later = self.by_id.range((Bound::Excluded(after), Bound::Unbounded));
        later.next().map(|(id, ix)| (*id, *ix))
    }
}

/// From id to place by open addressing: one multiplication and, at most half full, little more than one entry to look
/// at. Every order that names an instrument comes through here.
#[derive(Debug, Default)]
struct PlaceTable {
    /// A power of two of them, or none. An entry lies at its home or behind it with no vacant one in between.
    entries: Vec<PlaceEntry>,
    /// What is left of a hash when only as many bits as number the entries are kept.
    shift: u32,
}

/// Without an id it is vacant.
#[derive(Clone, Copy, Debug, Default)]
struct PlaceEntry {
    id: InstrumentId,
    place: u32,
}

impl PlaceTable {
    const LEN_MIN: usize = 16;

    #[inline(always)]
    fn get(&self, id: InstrumentId) -> Option<InstrumentIx> {
        if id.is_none() {
            return None;
        }
        let mut index = self.home(id);
        // None of no entries at all.
        while let Some(entry) = self.entries.get(index) {
            if entry.id == id {
                return Some(InstrumentIx::new(entry.place));
            }
            if entry.id.is_none() {
                return None;
            }
            index = self.next(index);
        }
        None
    }

    /// Grows so that so many entries fill at most half of it.
    fn make_room(&mut self, listed: usize) {
        if 2 * listed <= self.entries.len() {
            return;
        }
        let len = (2 * self.entries.len()).max(Self::LEN_MIN);
        let mut entries = Vec::new();
        reserve_exact_in_large_pages(&mut entries, len);
        entries.resize(len, PlaceEntry::default());
        let old = core::mem::replace(&mut self.entries, entries);
        self.shift = u32::BITS - len.trailing_zeros();
        for entry in old.into_iter().filter(|entry| !entry.id.is_none()) {
            self.insert(entry.id, InstrumentIx::new(entry.place));
        }
    }

    fn insert(&mut self, id: InstrumentId, ix: InstrumentIx) {
        let mut index = self.home(id);
        while !self.entries[index].id.is_none() {
            index = self.next(index);
        }
        self.entries[index] = PlaceEntry { id, place: ix.raw() };
    }

    /// Takes an entry out and moves up what would no longer be found behind the gap.
    fn remove(&mut self, id: InstrumentId) {
        let mut gap = self.home(id);
        while self.entries[gap].id != id {
            gap = self.next(gap);
        }
        let mask = self.entries.len() - 1;
        let mut index = self.next(gap);
        while !self.entries[index].id.is_none() {
            let from_home = index.wrapping_sub(self.home(self.entries[index].id)) & mask;
            if from_home >= index.wrapping_sub(gap) & mask {
                self.entries[gap] = self.entries[index];
                gap = index;
            }
            index = self.next(index);
        }
        self.entries[gap] = PlaceEntry::default();
    }

    /// Where an entry lies unless others were there before. Multiplying by the golden ratio spreads a run of ids evenly.
    fn home(&self, id: InstrumentId) -> usize {
        (id.raw().wrapping_mul(0x9E37_79B9) >> self.shift) as usize
    }

    fn next(&self, index: usize) -> usize {
        (index + 1) & (self.entries.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_while_they_are_listed() {
        let mut directory = InstrumentDirectory::default();
        let id = |raw: u32| InstrumentId::new(raw);
        assert_eq!(directory.named(id(1)), Named::Nobody);
        let (mut listed, mut state) = (Vec::new(), 1_u64);
        for raw in 1..=20_000 {
            directory.insert(id(raw), InstrumentIx::new(raw ^ 5));
            listed.push(raw);
            // Between 0 and some hundreds are listed at a time; some stay for long.
            state = state * 48_271 % 2_147_483_647;
            let stay = if raw / 3_000 % 2 == 0 { 300 } else { 0 };
            while listed.len() > stay {
                let index = state as usize % listed.len().min(50);
                directory.remove(id(listed.remove(index)));
            }
            if raw % 100 == 0 {
                let found = directory.iter().map(InstrumentIx::raw).collect::<Vec<_>>();
                assert_eq!(found, listed.iter().map(|raw| raw ^ 5).collect::<Vec<_>>());
                for raw in 1..=raw {
                    let there = listed.binary_search(&raw).is_ok();
                    let named =
                        if there { Named::Listed(InstrumentIx::new(raw ^ 5)) } else { Named::Settled };
                    assert_eq!(directory.named(id(raw)), named);
                }
                assert_eq!(directory.named(id(raw + 1)), Named::Nobody);
                assert_eq!(directory.named(id(0)), Named::Nobody);
            }
        }
        assert!(directory.places.entries.len() <= 1_024, "as large as what was ever listed at a time");
        let mut after = InstrumentId::NONE;
        while let Some((next, ix)) = directory.next_listed(after) {
            assert_eq!((next.raw(), ix.raw()), (listed.remove(0), next.raw() ^ 5));
            after = next;
        }
        assert!(listed.is_empty());
    }

    #[test]
    fn ids_may_lie_far_apart() {
        let mut directory = InstrumentDirectory::default();
        directory.insert(InstrumentId::new(7), InstrumentIx::new(0));
        directory.insert(InstrumentId::new(u32::MAX), InstrumentIx::new(1));
        assert_eq!(directory.find(InstrumentId::new(7)), Some(InstrumentIx::new(0)));
        assert_eq!(directory.find(InstrumentId::new(u32::MAX)), Some(InstrumentIx::new(1)));
        assert_eq!(directory.named(InstrumentId::new(8)), Named::Settled);
        assert_eq!(directory.len(), 2);
    }

    #[test]
    fn whoever_stands_behind_others_is_found_when_they_have_gone() {
        let mut table = PlaceTable::default();
        table.make_room(8);
        let home = |raw: u32| table.home(InstrumentId::new(raw));
        // Four that want the last entry and four that want the first: they stand around the end, in a row.
        let of_last = (1..).filter(|raw| home(*raw) == PlaceTable::LEN_MIN - 1).take(4);
        let of_first = (1..).filter(|raw| home(*raw) == 0).take(4);
        let ids: Vec<InstrumentId> = of_last.chain(of_first).map(InstrumentId::new).collect();
        for first in 0..ids.len() {
            for (place, id) in (0..).zip(&ids) {
                table.insert(*id, InstrumentIx::new(place));
            }
            // In an order of their own for each of them that goes first.
            let mut left: Vec<usize> = (0..ids.len()).collect();
            left.rotate_left(first);
            while let Some(gone) = left.pop() {
                table.remove(ids[gone]);
                let found = |place: &usize| table.get(ids[*place]).map(|ix| ix.index());
                assert!(left.iter().all(|place| found(place) == Some(*place)), "{gone} of {left:?}");
                assert_eq!(found(&gone), None);
            }
        }
    }
}
