//! A priority queue that gives up any of its entries. It allocates nothing once it has been as long as it gets.

/// Where every entry stands in the queue that holds it, by the entry's number. Queues of one kind share it: an entry is
/// in one of them at most.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<u32>);

/// Entries by key, lowest first. A key is never in the queue twice, so the order of two entries is never open.
#[derive(Clone, Debug)]
pub(crate) struct Heap<K> {
    entries: Vec<(K, u32)>,
}

impl<K> Default for Heap<K> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl Places {
    /// The place that was last set for an entry, if one ever was. Who keeps entries elsewhere may set it too.
    pub(crate) fn get(&self, entry: u32) -> Option<usize> {
        self.0.get(entry as usize).map(|place| *place as usize)
    }

    pub(crate) fn set(&mut self, entry: u32, place: usize) {
        let index = entry as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, u32::MAX);
        }
        self.0[index] = u32::try_from(place).expect("fewer than 2^32 entries");
    }
}

impl<K: Copy + Ord> Heap<K> {
    /// The entry with the lowest key.
    pub(crate) fn first(&self) -> Option<(K, u32)> {
        self.entries.first().copied()
    }

    pub(crate) fn push(&mut self, places: &mut Places, key: K, entry: u32) {
        let place = self.entries.len();
        self.entries.push((key, entry));
        places.set(entry, place);
        self.sift_up(places, place);
    }

    /// Takes an entry out that this queue holds.
    pub(crate) fn remove(&mut self, places: &mut Places, entry: u32) -> K {
        let place = places.get(entry).filter(|place| self.holds(*place, entry));
        let place = place.expect("an entry is removed from the queue that holds it");
        let (key, _) = self.entries.swap_remove(place);
        if let Some((_, moved)) = self.entries.get(place) {
            places.set(*moved, place);
            self.sift_down(places, place);
            self.sift_up(places, place);
        }
        key
    }

    /// The key of an entry; `None` when this queue does not hold it.
    pub(crate) fn key(&self, places: &Places, entry: u32) -> Option<K> {
        let place = places.get(entry).filter(|place| self.holds(*place, entry))?;
        self.entries.get(place).map(|(key, _)| *key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Gives all of its entries to another queue, and keeps its memory.
    pub(crate) fn move_into(&mut self, other: &mut Self, places: &mut Places) {
        self.entries.drain(..).for_each(|(key, entry)| other.push(places, key, entry));
    }

    /// Whether it ever had an entry.
    pub(crate) fn has_memory(&self) -> bool {
        self.entries.capacity() > 0
    }

    /// In no particular order, but the same for the same history.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, u32)> {
        self.entries.iter().copied()
    }

    fn holds(&self, place: usize, entry: u32) -> bool {
        self.entries.get(place).is_some_and(|(_, held)| *held == entry)
    }

    fn sift_up(&mut self, places: &mut Places, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.entries[parent].0 <= self.entries[place].0 {
                break;
            }
            self.swap(places, parent, place);
            place = parent;
        }
    }

    fn sift_down(&mut self, places: &mut Places, mut place: usize) {
        loop {
            let children = 2 * place + 1..(2 * place + 3).min(self.entries.len());
            let Some(child) = children.min_by_key(|child| self.entries[*child].0) else { break };
            if self.entries[place].0 <= self.entries[child].0 {
                break;
            }
            self.swap(places, place, child);
            place = child;
        }
    }

    fn swap(&mut self, places: &mut Places, a: usize, b: usize) {
        self.entries.swap(a, b);
        places.set(self.entries[a].1, a);
        places.set(self.entries[b].1, b);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Multiplies by a primitive root modulo a prime, so that a long run of numbers comes without a pattern.
    fn next(state: &mut u64) -> u64 {
        *state = *state * 48_271 % 2_147_483_647;
        *state
    }

    #[test]
    fn any_entry_leaves_and_the_rest_stays_in_order() {
        let (mut heap, mut places) = (Heap::default(), Places::default());
        let mut sorted = BTreeSet::new();
        let mut state = 7;
        for round in 0..2_000u32 {
            let key = (next(&mut state) % 50, round);
            heap.push(&mut places, key, round);
            sorted.insert((key, round));
            if !next(&mut state).is_multiple_of(3) {
                let index = next(&mut state) as usize % sorted.len();
                let (key, entry) = *sorted.iter().nth(index).unwrap();
                assert_eq!(heap.remove(&mut places, entry), key);
                sorted.remove(&(key, entry));
            }
            assert_eq!(heap.first(), sorted.first().copied());
        }
        assert_eq!(heap.iter().collect::<BTreeSet<_>>(), sorted);
        assert!(sorted.iter().all(|(key, entry)| heap.key(&places, *entry) == Some(*key)));
        while let Some((key, entry)) = sorted.pop_first() {
            assert_eq!(heap.first(), Some((key, entry)));
            heap.remove(&mut places, entry);
        }
        assert!(heap.is_empty());
    }

    #[test]
    #[should_panic(expected = "the queue that holds it")]
    fn an_entry_of_another_queue_is_not_removed() {
        let (mut first, mut second, mut places) = (Heap::default(), Heap::default(), Places::default());
        first.push(&mut places, 1, 0);
        second.push(&mut places, 1, 1);
        second.remove(&mut places, 0);
    }
}
