//! The book of one instrument: price-time priority over orders that lie in one shared slab.
//!
//! [`Book`] is the fast one. [`reference::ReferenceBook`] says the same in the slowest and plainest way; tests compare
//! the two on random commands.
#![forbid(unsafe_code)]

mod book;
mod ladder;
mod level;
mod price_tree;
mod queue;
pub mod reference;
mod slab;
mod tick;
mod tick_index;

pub use book::{Book, Entering, Filled, Moved, reaches};
pub use level::{Level, LevelTotal};
pub use slab::{Order, OrderSlab, SharedMemory, Slot};
pub use tick_index::TickIndex;
