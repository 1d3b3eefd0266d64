//! A file as the page cache has it and as the disk has it.

use std::collections::BTreeSet;
use std::ops::Range;

/// What a power cut keeps or loses as a whole.
pub const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug)]
pub(super) struct File {
    /// What a read shows.
    cache: Vec<u8>,
    /// What is certain to survive.
    durable: Vec<u8>,
    /// Sectors in which the two may differ.
    dirty: BTreeSet<usize>,
    /// Sectors that the disk did not take, of which only the cache has what was written. Nobody will write them once more.
    stale: BTreeSet<usize>,
}

impl File {
    /// Durable zeros.
    pub fn zeros(bytes: usize) -> Self {
        Self {
            cache: vec![0; bytes],
            durable: vec![0; bytes],
            dirty: BTreeSet::new(),
            stale: BTreeSet::new(),
        }
    }

    /// The file as a power cut would leave it that loses all that it may.
    pub fn as_durable(&self) -> Self {
        Self {
            cache: self.durable.clone(),
            durable: self.durable.clone(),
            dirty: BTreeSet::new(),
            stale: BTreeSet::new(),
        }
    }

    pub fn len(&self) -> u64 {
        self.cache.len() as u64
    }

    pub fn read(&self, offset: usize, bytes: usize) -> Option<&[u8]> {
        self.cache.get(offset..offset + bytes)
    }

    pub fn durable(&self) -> &[u8] {
        &self.durable
    }

    /// # Panics
    /// When the bytes reach beyond the end.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.cache[offset..offset + bytes.len()].copy_from_slice(bytes);
        let end = offset + bytes.len();
        for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            self.dirty.insert(sector);
            self.stale.remove(&sector);
        }
    }

    pub fn sync(&mut self) {
        self.fail_sync(|| true);
    }

    /// Of each dirty sector, what is in the cache has come to the disk or has not. The cache goes on showing it.
    pub fn fail_sync(&mut self, mut came: impl FnMut() -> bool) {
        for sector in core::mem::take(&mut self.dirty) {
            let range = self.range(sector);
            if came() {
                self.durable[range.clone()].copy_from_slice(&self.cache[range]);
            } else if self.cache[range.clone()] != self.durable[range] {
                self.stale.insert(sector);
            }
        }
    }

    /// The cache shows the disk again, of which dirty sectors are a part or not. Gives the number of sectors that were lost.
    pub fn lose(&mut self, came: impl FnMut() -> bool) -> u64 {
        self.fail_sync(came);
        let lost = core::mem::take(&mut self.stale);
        for sector in &lost {
            let range = self.range(*sector);
            self.cache[range.clone()].copy_from_slice(&self.durable[range]);
        }
        lost.len() as u64
    }

    fn range(&self, sector: usize) -> Range<usize> {
        sector * SECTOR_BYTES..((sector + 1) * SECTOR_BYTES).min(self.cache.len())
    }

    pub fn flip_bit(&mut self, offset: usize, bit: u8) {
        self.cache[offset] ^= 1 << bit;
        self.durable[offset] ^= 1 << bit;
    }
}
