//! Market data as subscribers get it.

use joulebook_types::{InstrumentId, Price, TimeNs, TradeId};

use crate::message::message;

message! {
    /// A snapshot begins: forget what you know of the instrument.
    L2SnapshotBegin {
        /// Changes when the numbering starts anew (the exchange restarted). Updates of another epoch are void.
        epoch: u64,
        /// The number of the last change that the snapshot contains.
        seq: u64,
        instrument: InstrumentId,
        /// Levels that follow, both sides together.
        levels: u32,
    }

    /// One level of a snapshot, best first, bids before asks.
    L2SnapshotLevel {
        price: Price,
        qty: u64,
        instrument: InstrumentId,
        orders: u32,
        side: u8,
        reserved: [u8; 7],
    }

    /// The snapshot is complete: the book is right as of `seq`, and `seq` + 1 is next.
    L2SnapshotEnd {
        seq: u64,
        instrument: InstrumentId,
        /// Of the book, as in `L2Checksum`.
        checksum: u32,
    }

    /// A level has a new quantity.
    L2Update {
        /// Of the instrument, shared by all its feed messages: one more than the last.
        seq: u64,
        time: TimeNs,
        price: Price,
        /// Lots at the price now; zero removes the level.
        qty: u64,
        instrument: InstrumentId,
        orders: u32,
        side: u8,
        reserved: [u8; 7],
    }

    /// The checksum of the book after `seq`: CRC-32C over price, quantity (u64) and orders (u32), little-endian, of
    /// every level, bids best first, then asks best first.
    L2Checksum {
        seq: u64,
        instrument: InstrumentId,
        checksum: u32,
    }

    /// A trade, in the instrument's sequence.
    FeedTrade {
        seq: u64,
        time: TimeNs,
        trade_id: TradeId,
        price: Price,
        instrument: InstrumentId,
        qty: u32,
        /// The side that took: 1 buy, 2 sell; 0 in an auction.
        aggressor: u8,
        reserved: [u8; 7],
    }

    /// A subscription was refused.
    SubscribeRejected {
        instrument: InstrumentId,
        /// A `RejectReason`.
        reason: u16,
        reserved: u16,
    }

    /// All snapshots of a subscription have been sent.
    SnapshotsDone {
        /// As in the `Subscribe`.
        instrument: InstrumentId,
        reserved: u32,
    }

    /// What a call auction would trade if it ended now, in the instrument's sequence.
    FeedIndication {
        seq: u64,
        time: TimeNs,
        /// Zero when nothing would trade.
        price: Price,
        volume: u64,
        /// Lots at the price that would find nobody: positive to buy, negative to sell.
        surplus: i64,
        instrument: InstrumentId,
        reserved: u32,
    }
}
