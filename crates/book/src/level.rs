//! Price levels as anybody may see them.

use joulebook_types::{Price, Qty};

/// A price level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub price: Price,
    pub total: LevelTotal,
}

/// What rests at a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelTotal {
    /// Lots of all orders together.
    pub qty: Qty,
    pub orders: u32,
}
