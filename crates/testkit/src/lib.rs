//! What the tests of several crates share. Only ever a dev-dependency: `cargo xtask tidy` checks that.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod allocator;
mod environment;
mod random;
pub mod script;

pub use allocator::{
    CountingAllocator, allocated_bytes_of_this_thread, allocations_of_this_thread, count_allocated_bytes,
    count_allocations, held_bytes_of_this_thread, peak_bytes,
};
pub use environment::{data_dir, joulebook_binary, print_skipped, size};
pub use random::Xoshiro256pp;
