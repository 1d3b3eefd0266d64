//! Orders, cancels, replaces, and questions about them.

use joulebook_types::{
    AccountId, ClientOrderId, InstrumentId, KiloTokens, ModelId, OrderId, Price, SlotHint, TokenPrice,
};

use crate::message::message;

message! {
    /// Enters a limit order.
    NewOrder {
        client_order_id: ClientOrderId,
        /// Micro-EC per accelerator-hour: the worst price at which it trades.
        price: Price,
        instrument: InstrumentId,
        /// Lots.
        qty: u32,
        /// 1 buy, 2 sell.
        side: u8,
        /// 1 good till canceled, 2 immediate or cancel, 3 fill or kill.
        time_in_force: u8,
        /// Bit 0: post-only (refused when it would trade).
        flags: u8,
        reserved: [u8; 5],
    }

    /// Cancels an open order, named by its order id or by the client order id that entered it.
    CancelOrder {
        /// The number of this request.
        client_order_id: ClientOrderId,
        /// Zero names the order by `target`.
        order_id: OrderId,
        /// The client order id of the order, when `order_id` is zero.
        target: ClientOrderId,
        /// The slot of the acknowledgement, or 4,294,967,295.
        slot: SlotHint,
        reserved: u32,
    }

    /// Changes price and total quantity. Keeps its place only when the price stays and the size shrinks.
    ReplaceOrder {
        /// The number of this request.
        client_order_id: ClientOrderId,
        /// Zero names the order by `target`.
        order_id: OrderId,
        /// The client order id of the order, when `order_id` is zero.
        target: ClientOrderId,
        price: Price,
        /// The slot of the acknowledgement, or 4,294,967,295.
        slot: SlotHint,
        /// Total quantity in lots, what has been filled included: at or below that, the order is canceled.
        qty: u32,
    }

    /// Cancels all open orders of the session or of the account.
    MassCancel {
        client_order_id: ClientOrderId,
        /// Zero means every instrument.
        instrument: InstrumentId,
        /// Only for operators: whose orders. Zero means the sender's.
        account: AccountId,
        /// 1 this session, 2 the whole account.
        scope: u8,
        reserved: [u8; 7],
    }

    /// Buys inference tokens at a price per million over up to 16 instruments of one zone and window.
    TokenOrder {
        client_order_id: ClientOrderId,
        quantity: KiloTokens,
        /// Micro-EC per million tokens, fees excluded: no level above it is taken.
        limit: TokenPrice,
        model: ModelId,
        /// 2 immediate or cancel, 3 fill or kill.
        time_in_force: u8,
        /// Bit 0: the last lot may overshoot the quantity.
        flags: u8,
        /// Instruments named below, 1 to 16.
        count: u8,
        reserved: [u8; 3],
        instruments: [InstrumentId; 16],
    }

    /// Asks for the state of one order. The answer is not numbered.
    OrderQuery {
        client_order_id: ClientOrderId,
        /// Zero names the order by `target`.
        order_id: OrderId,
        target: ClientOrderId,
    }

    /// Asks for open orders of the session, balances, and `SnapshotEnd`. The answers are not numbered.
    AccountQuery {
        client_order_id: ClientOrderId,
    }
}

impl NewOrder {
    pub const POST_ONLY: u8 = 1;
}

impl TokenOrder {
    pub const OVERSHOOT: u8 = 1;
    pub const INSTRUMENTS_MAX: usize = 16;
}

impl MassCancel {
    pub const SCOPE_SESSION: u8 = 1;
    pub const SCOPE_ACCOUNT: u8 = 2;
}
