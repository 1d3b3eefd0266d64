//! Orders, cancels, replaces, and questions about them.

use joulebook_types::{
    AccountId, ClassCode, ClientOrderId, InstrumentId, KiloTokens, MicroEc, ModelId, OrderId, Price,
    SlotHint, TimeNs, TokenPrice,
};

use crate::field::composite;
use crate::message::message;

message! {
    /// Enters an order: limit, market or market by budget, at once or when a trigger price has printed.
    NewOrder {
        client_order_id: ClientOrderId,
        /// Micro-EC per accelerator-hour: the worst price at which it trades. Zero for market and budget orders.
        price: Price,
        instrument: InstrumentId,
        /// Lots. Zero for budget orders.
        qty: u32,
        /// 1 buy, 2 sell.
        side: u8,
        /// 1 good till canceled, 2 immediate or cancel, 3 fill or kill, 4 good till date.
        time_in_force: u8,
        /// Bit 0: post-only (refused when it would trade).
        flags: u8,
        /// 0 limit, 1 market, 2 market by budget.
        order_type: u8,
        /// 0 none, 1 stop, 2 trailing stop.
        trigger: u8,
        /// What happens when it meets its own group: 0 cancel this order, 1 the resting one, 2 both, 3 shrink both.
        self_trade: u8,
        reserved: [u8; 2],
        /// When a good-till-date order ends; else zero.
        expires: TimeNs,
        /// The most that a budget order spends, fees included; else zero.
        budget: MicroEc,
        /// A stop waits for a trade at this price or beyond.
        trigger_price: Price,
        /// A trailing stop follows the best price since its activation at this distance ...
        trail_distance: Price,
        /// The first trade at this price or beyond activates a trailing stop; zero: active at once.
        activation_price: Price,
        /// Refused unless at least this many lots trade at once; zero: no minimum.
        min_qty: u32,
        /// Lots that an iceberg order shows at a time; zero shows all.
        display_qty: u32,
        /// ... or at this many basis points of that price.
        trail_bps: u32,
        reserved2: u32,
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
        /// Of a stop that waits; zero keeps it.
        trigger_price: Price,
    }

    /// Takes lots off an open order, which keeps its place; with none left it is canceled.
    ReduceOrder {
        /// The number of this request.
        client_order_id: ClientOrderId,
        /// Zero names the order by `target`.
        order_id: OrderId,
        /// The client order id of the order, when `order_id` is zero.
        target: ClientOrderId,
        /// The slot of the acknowledgement, or 4,294,967,295.
        slot: SlotHint,
        /// Lots to take off.
        lots: u32,
    }

    /// Enters a limit order and a stop of which at most one trades: one cancels the other. Takes two client order ids.
    OcoOrder {
        /// Of the limit order; the stop's is the next one.
        client_order_id: ClientOrderId,
        /// Of the limit order.
        price: Price,
        trigger_price: Price,
        /// The limit of the stop; zero: it becomes a market order.
        stop_price: Price,
        /// When good-till-date orders end; else zero.
        expires: TimeNs,
        instrument: InstrumentId,
        /// Lots of either.
        qty: u32,
        /// 1 buy, 2 sell.
        side: u8,
        /// 1 good till canceled, 4 good till date.
        time_in_force: u8,
        /// As in `NewOrder`.
        self_trade: u8,
        reserved: [u8; 5],
    }

    /// One entry of an `OrderBatch`.
    BatchEntry {
        /// 1 new limit order, 2 cancel, 3 replace, 4 reduce.
        kind: u8,
        side: u8,
        time_in_force: u8,
        flags: u8,
        instrument: InstrumentId,
        /// Lots: of the order, its new total, or what to take off.
        qty: u32,
        slot: SlotHint,
        order_id: OrderId,
        target: ClientOrderId,
        price: Price,
    }

    /// Up to 16 requests in one message: the same as sending them one after another.
    OrderBatch {
        /// Of the first entry; entry n has this number plus n.
        client_order_id: ClientOrderId,
        /// Entries below, 1 to 16.
        count: u8,
        reserved: [u8; 7],
        entries: [BatchEntry; 16],
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
        /// 1 bids only, 2 asks only, 0 both.
        side: u8,
        reserved: [u8; 6],
        /// Zero bytes mean every class.
        class: ClassCode,
        /// Only orders at this price or above; zero: no bound.
        price_low: Price,
        /// Only orders at this price or below; zero: no bound.
        price_high: Price,
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
        /// As in `NewOrder`, 3 excepted.
        self_trade: u8,
        reserved: [u8; 2],
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

composite! { BatchEntry }

impl BatchEntry {
    pub const NEW: u8 = 1;
    pub const CANCEL: u8 = 2;
    pub const REPLACE: u8 = 3;
    pub const REDUCE: u8 = 4;
}

impl OrderBatch {
    pub const ENTRIES_MAX: usize = 16;
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
