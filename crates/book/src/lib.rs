//! The book of one instrument: price-time priority over orders that lie in one shared slab.
#![forbid(unsafe_code)]

mod slab;

pub use slab::Slot;
