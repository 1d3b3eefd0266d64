//! Orders over several books: all of it or nothing.

use joulebook_types::{AreaCode, ClassCode, ClientOrderId, InstrumentId, Price};

use crate::field::composite;
use crate::message::message;

message! {
    /// One leg of a `Basket`.
    BasketLeg {
        /// The worst price at which the leg trades.
        price: Price,
        instrument: InstrumentId,
        /// Lots.
        qty: u32,
        /// 1 buy, 2 sell.
        side: u8,
        reserved: [u8; 7],
    }

    /// Fills every leg whole and at once, or does nothing.
    Basket {
        client_order_id: ClientOrderId,
        /// Legs below, 1 to 16.
        count: u8,
        /// As in `NewOrder`, 3 excepted.
        self_trade: u8,
        reserved: [u8; 6],
        legs: [BasketLeg; 16],
    }

    /// Fills the same lots in every one of consecutive windows at an average price, at once, or does nothing.
    BlockSweep {
        client_order_id: ClientOrderId,
        /// The worst average over all windows, per accelerator-hour.
        price: Price,
        class: ClassCode,
        area: AreaCode,
        /// Of the first window: minutes since 1970-01-01T00:00Z.
        start_minute: u32,
        /// Lots in each window.
        qty: u32,
        /// The length of each window, 15 or 60.
        window_minutes: u16,
        /// 2 to 96.
        windows: u16,
        /// 1 buy, 2 sell.
        side: u8,
        /// As in `NewOrder`, 3 excepted.
        self_trade: u8,
        reserved: [u8; 2],
    }
}

composite! { BasketLeg }

impl Basket {
    pub const LEGS_MAX: usize = 16;
}

impl BlockSweep {
    pub const WINDOWS_MAX: u16 = 96;
}
