//! The engine for other languages: a C interface in process, without network, journal or threads.
//!
//! `include/joulebook.h` is generated from the message table and from the exported functions themselves; a test compares
//! the checked-in file. `README.md` beside it tells C programmers how to use it. Here: [`Exchange`] is the engine with
//! batches, request numbers and house accounts, in safe Rust; `ffi` exports it.
#![deny(unsafe_code)]

mod answer;
mod declare;
mod exchange;
mod ffi;
mod header;
mod house;
mod queries;
mod status;
mod structs;

pub use exchange::{Exchange, Told};
pub use header::{function_names, header};
pub use status::Status;

/// Raised when a program that was compiled with an older header would no longer work.
pub const ABI_VERSION: u32 = 1;

/// Room for every struct, in words of eight bytes.
const BLOCK_WORDS_MAX: usize = joulebook_protocol::BLOCK_BYTES_MAX.div_ceil(8);
