//! The gateway over a network that is not QUIC, with clocks that a machine would not have.
#![forbid(unsafe_code)]

mod clock_jumps;
mod pipes;
mod windows;
