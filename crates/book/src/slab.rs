//! Where orders lie.

use joulebook_types::SlotHint;

/// A place in the slab. Reused after its order has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

impl Slot {
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    pub const fn raw(self) -> u32 {
        self.0
    }

    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// As clients see it.
    pub const fn hint(self) -> SlotHint {
        SlotHint::new(self.0)
    }
}
