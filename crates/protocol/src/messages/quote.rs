//! Market makers: quotes by the dozen, and what protects them.

use joulebook_types::{ClassCode, ClientOrderId, InstrumentId, MicroEc, Price};

use crate::field::composite;
use crate::message::message;

message! {
    /// Both sides of one instrument in a `MassQuote`.
    QuotePair {
        bid: Price,
        ask: Price,
        instrument: InstrumentId,
        /// Lots wanted open from now on; zero removes the bid.
        bid_qty: u32,
        /// Lots wanted open from now on; zero removes the ask.
        ask_qty: u32,
        reserved: u32,
    }

    /// Sets the quotes of up to 64 instruments: replaced in place where they stand, one answer for all.
    MassQuote {
        client_order_id: ClientOrderId,
        /// Pairs below, 1 to 64.
        count: u8,
        /// Bit 0: post-only.
        flags: u8,
        /// As in `NewOrder`.
        self_trade: u8,
        reserved: [u8; 5],
        pairs: [QuotePair; 64],
    }

    /// Limits what may hit the account's quotes of a class within a rolling window. Beyond it all of them are pulled.
    SetProtection {
        client_order_id: ClientOrderId,
        class: ClassCode,
        /// Notional of the fills; zero: no limit.
        credits_max: MicroEc,
        /// Lots filled; zero: no limit.
        lots_max: u64,
        /// 1 to 60,000; zero removes the protection.
        window_ms: u32,
        /// Fills, 1 to 10,000.
        fills_max: u32,
    }

    /// Lets quotes of a class in again after the protection pulled them.
    ResetProtection {
        client_order_id: ClientOrderId,
        class: ClassCode,
    }
}

composite! { QuotePair }

impl MassQuote {
    pub const POST_ONLY: u8 = 1;
    pub const PAIRS_MAX: usize = 64;
}
