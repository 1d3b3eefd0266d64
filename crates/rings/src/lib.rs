//! What two threads share on the hot path: a bounded ring with one writer per end, and a doorbell for the end that
//! sleeps. Nothing here locks, allocates after construction, or knows what it carries.
#![deny(unsafe_code)]

mod doorbell;
#[allow(unsafe_code)]
mod spsc;
mod sync;

pub use doorbell::{Doorbell, Wake};
pub use spsc::{Consumer, Full, Producer, ring};

#[cfg(all(test, loom))]
mod loom_tests;
