//! The daemon as a library: configuration, identity, threads, storage, shutdown.
#![forbid(unsafe_code)]

pub mod config;
pub mod identity;
pub mod storage;
