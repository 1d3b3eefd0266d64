//! The plain structs of the C interface that are no messages of the protocol: events, answers to queries.

use core::ffi::c_void;

use crate::declare::c_structs;

c_structs! {
    /// One event, as the callback gets it. The pointers are good until the callback returns.
    CEvent as "jb_event" {
        /// The struct of the event: `jb_order_filled` for JB_MSG_ORDER_FILLED and so on, aligned for it.
        data: *const c_void,
        /// The number of the newest command: the one that caused the event, unless a timer did.
        command_seq: u64,
        /// Whom it is for; zero: everybody.
        account: u32,
        /// The logical session that it is for; zero: every session, or none.
        session: u32,
        /// Which event it is: a JB_MSG_ constant.
        template_id: u16,
        /// Bytes behind `data`: the size of the event's struct.
        size: u16,
        reserved: u32,
    }

    /// What became of a request, read from its events. Passing NULL where one is wanted is allowed.
    CResult as "jb_result" {
        /// The number under which the request was sent.
        client_order_id: u64,
        /// The order that the request made or touched; zero: none.
        order_id: u64,
        /// What else it made: an instrument id, an amount in micro-EC, orders canceled, a bit map of quotes in place.
        result: u64,
        /// The limit that a refused request met, in the unit of the field.
        limit: i64,
        /// The value that met it.
        value: i64,
        /// Lots that the order traded within the call.
        filled_qty: u32,
        /// Lots of the order that are open after the call.
        leaves_qty: u32,
        /// Where the order lies: a hint that cancel and replace may carry; 4,294,967,295: unknown.
        slot: u32,
        /// The byte offset of the offending field in the request's struct; 65,535: the request as a whole.
        field_offset: u16,
        /// The JB_MSG_ constant of the event that answered; zero: none did.
        answer: u16,
        /// Why it was refused: a JB_REJECT_ constant. Zero: it was accepted.
        reject_reason: u16,
        /// Why what was left of the order ended within the call: a JB_CANCEL_ constant. Zero: it did not.
        cancel_reason: u8,
        /// For a number that was used before: a JB_REPEATED_ constant. Zero: it was new.
        repeated: u8,
        reserved: u32,
    }

    /// An open order.
    COrder as "jb_order" {
        order_id: u64,
        /// The request that entered it.
        client_order_id: u64,
        /// Micro-EC per accelerator-hour; zero for market orders that wait.
        price: i64,
        /// What a stop waits for now; zero: nothing, or a trailing stop that is not active yet.
        trigger_price: i64,
        account: u32,
        session: u32,
        instrument: u32,
        /// Total lots.
        qty: u32,
        /// Lots still open.
        leaves_qty: u32,
        /// Lots that show in the book: fewer than are open for an iceberg, none while it waits.
        shown_qty: u32,
        /// As in a result.
        slot: u32,
        /// JB_BUY or JB_SELL.
        side: u8,
        /// JB_ORDER_RESTING, JB_ORDER_WAITING or JB_ORDER_CALL.
        state: u8,
        /// A JB_ORDER_TYPE_ constant.
        order_type: u8,
        /// A JB_TRIGGER_ constant, as long as it waits.
        trigger: u8,
    }

    /// One price of a book.
    CLevel as "jb_level" {
        /// Micro-EC per accelerator-hour.
        price: i64,
        /// Lots that show.
        qty: u64,
        /// Orders that show.
        orders: u32,
        reserved: u32,
    }

    /// The best price of each side. A side without orders is all zeros.
    CBest as "jb_best" {
        bid: CLevel,
        ask: CLevel,
    }

    /// An account's credits, in micro-EC.
    CCredits as "jb_credits" {
        /// What it can spend.
        free: i64,
        /// Held by open orders.
        held: i64,
        /// Proceeds that wait for delivery.
        escrow: i64,
    }

    /// What an account has in one quarter hour, in accelerators.
    CPosition as "jb_position" {
        /// Quarter hours since 1970-01-01T00:00Z.
        slot: u32,
        /// What it registered as a seller.
        registered: u32,
        /// What it could sell now.
        free: u32,
        /// Held by open orders.
        held: u32,
        /// Proceeds that wait for delivery, in micro-EC.
        escrow: i64,
    }

    /// What a call auction would trade if it ended now; all zero when nothing.
    CIndication as "jb_indication" {
        /// Micro-EC per accelerator-hour.
        price: i64,
        /// Lots.
        volume: u64,
        /// Lots at the price that would find nobody: positive to buy, negative to sell.
        surplus: i64,
    }

    /// Where all credits are, in micro-EC: minted less retired is the sum of the others.
    CTotals as "jb_totals" {
        minted: i64,
        retired: i64,
        free: i64,
        held: i64,
        escrow: i64,
        fees: i64,
        rounding: i64,
    }
}
