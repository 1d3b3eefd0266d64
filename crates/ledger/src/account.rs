//! What an account has in credits.

use joulebook_types::MicroEc;

/// The engine's dense number of an account, in the order of opening. Never on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountIx(u32);

impl AccountIx {
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    pub const fn raw(self) -> u32 {
        self.0
    }

    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The credits of one account. None is ever negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credits {
    pub free: MicroEc,
    /// Promised to open orders.
    pub held: MicroEc,
    /// Proceeds that wait for delivery, all slots together.
    pub escrow: MicroEc,
}
