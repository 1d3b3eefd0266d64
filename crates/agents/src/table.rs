//! What an agent remembers of each of a few dozen things.

/// Values by key, in the order of keys: one sorted array. Nothing is allocated once it has grown, and keys that only grow
/// are entered at its end.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V>(Vec<(K, V)>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + Ord, V> Table<K, V> {
    pub fn get(&self, key: K) -> Option<&V> {
        self.place(key).ok().map(|place| &self.0[place].1)
    }

    /// The value of `key`, which `first` makes when there is none.
    pub fn entry(&mut self, key: K, first: impl FnOnce() -> V) -> &mut V {
        let place = self.place(key).unwrap_or_else(|place| {
            self.0.insert(place, (key, first()));
            place
        });
        &mut self.0[place].1
    }

    pub fn set(&mut self, key: K, value: V) {
        match self.place(key) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (key, value)),
        }
    }

    pub fn remove(&mut self, key: K) -> Option<V> {
        self.place(key).ok().map(|place| self.0.remove(place).1)
    }

    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.0.iter().map(|(key, _)| *key)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (*key, value))
    }

    fn place(&self, key: K) -> Result<usize, usize> {
        self.0.binary_search_by_key(&key, |(known, _)| *known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_map() {
        let mut table = Table::default();
        for key in [5, 1, 3] {
            table.set(key, key * 10);
        }
        table.set(3, 33);
        *table.entry(4, || 40) += 1;
        *table.entry(5, || unreachable!("it is there")) += 1;
        assert_eq!(
            [1, 2, 3, 4, 5].map(|key| table.get(key).copied()),
            [Some(10), None, Some(33), Some(41), Some(51)]
        );
        assert_eq!((table.remove(3), table.remove(3)), (Some(33), None));
        assert!(table.keys().eq([1, 4, 5]));
        table.iter_mut().for_each(|(key, value)| *value += key);
        assert_eq!((table.get(1), table.get(5)), (Some(&11), Some(&56)));
    }
}
