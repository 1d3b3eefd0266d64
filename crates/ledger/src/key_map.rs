//! A map that can only be asked by key, so that its order can never leak into what the engine decides.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// From a 64-bit key to a value. There is no way to walk it.
#[derive(Clone, Debug)]
pub struct KeyMap<V> {
    entries: HashMap<u64, V, BuildHasherDefault<KeyHasher>>,
}

impl<V> Default for KeyMap<V> {
    fn default() -> Self {
        Self { entries: HashMap::default() }
    }
}

impl<V> KeyMap<V> {
    pub fn get(&self, key: u64) -> Option<&V> {
        self.entries.get(&key)
    }

    pub fn insert(&mut self, key: u64, value: V) {
        self.entries.insert(key, value);
    }

    pub fn remove(&mut self, key: u64) -> Option<V> {
        self.entries.remove(&key)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Two 32-bit numbers as one key.
pub const fn pair_key(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// One multiplication, folded: keys are small dense numbers or come from authenticated peers.
#[derive(Clone, Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, key: u64) {
        let product = u128::from(key ^ self.0 ^ 0xA076_1D64_78BD_642F) * 0xE703_7ED1_A0B4_28DB;
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}
