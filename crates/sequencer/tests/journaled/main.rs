//! The core on a journal, through long random lives with crashes and restarts.
#![forbid(unsafe_code)]

mod clock_jumps;
mod resends;
mod rig;
