//! Market data: the engine's public facts become numbered updates, and at the other end a book again.
//!
//! [`FeedPublisher`] is the gateway's half, [`FeedReceiver`] the subscriber's. A subscriber gets a snapshot at N and then
//! N+1, N+2 … on the same stream. One that reads too slowly loses updates, never its place: it gets a new snapshot.
#![forbid(unsafe_code)]

mod book;
mod publisher;
mod receiver;
mod subscriber;
mod yields;

pub use book::{L2Book, Level};
pub use publisher::{FeedPublisher, Listing, Subscribers};
pub use receiver::{FeedChange, FeedFault, FeedReceiver, Market};
pub use subscriber::SubscriberId;
pub use yields::YieldTable;

/// Bits of `Subscribe::kinds`.
pub const LEVELS: u8 = 1;
pub const TRADES: u8 = 2;
pub const LEVELS_AND_TRADES: u8 = LEVELS | TRADES;

/// A checksum follows every update whose number is a multiple of this.
pub const CHECKSUM_EVERY: u64 = 64;
