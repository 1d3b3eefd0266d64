//! What two threads share on the hot path: a bounded ring with one writer per end, a doorbell for the end that sleeps, a
//! gate that one side opens and shuts, a demand that is carried out once, and a watermark to sleep for. Nothing here
//! locks, allocates after construction, or knows what it carries.
#![deny(unsafe_code)]

mod demand;
mod doorbell;
mod gate;
#[allow(unsafe_code)]
mod spsc;
mod sync;
mod watermark;

pub use demand::Demand;
pub use doorbell::{Doorbell, Wake};
pub use gate::Gate;
pub use spsc::{Consumer, Full, Producer, ring};
pub use watermark::Watermark;

#[cfg(all(test, loom))]
mod loom_command_tests;
#[cfg(all(test, loom))]
mod loom_tests;
