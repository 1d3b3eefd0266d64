//! What the engine tells an account.

use joulebook_types::{
    AreaCode, ClassCode, ClientOrderId, InstrumentId, MicroEc, OrderId, Price, QuarterSlot, SlotHint, TimeNs,
    TokenPrice, TradeId,
};

use crate::field::composite;
use crate::message::message;

message! {
    /// Stands first in every event.
    Stamp {
        /// The event's number in its logical session, 1 and up, without gaps. Zero: an answer that is not numbered.
        event_seq: u64,
        /// Exchange time of the batch that caused it.
        sequenced: TimeNs,
        /// When the gateway received the command that caused it; zero when no command did.
        received: TimeNs,
        /// When the gateway sent it; filled in last, and again on a resend.
        sent: TimeNs,
        /// Orders that the session may send now before it is throttled; filled in by the gateway.
        order_credits: u32,
        /// The same for cancels.
        cancel_credits: u32,
    }
}

composite! { Stamp }

message! {
    /// An order was accepted. Fills, if any, follow.
    OrderAccepted {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        order_id: OrderId,
        price: Price,
        instrument: InstrumentId,
        /// Lots of the order.
        qty: u32,
        /// Echo it in cancel and replace to spare the engine a look-up.
        slot: SlotHint,
        side: u8,
        time_in_force: u8,
        flags: u8,
        /// As in `NewOrder`.
        order_type: u8,
    }

    /// A request was refused and changed nothing.
    RequestRejected {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        /// The order that the request named, if it is the sender's.
        order_id: OrderId,
        /// The limit that the request met, in the unit of the field.
        limit: i64,
        /// The value that met it.
        value: i64,
        instrument: InstrumentId,
        /// A `RejectReason`.
        reason: u16,
        /// The template id of the request.
        template_id: u16,
        /// The byte offset of the offending field in the request's block; 65,535 for the request as a whole.
        field_offset: u16,
        reserved: [u8; 6],
    }

    /// An order traded.
    OrderFilled {
        stamp: Stamp,
        /// The request that entered the order.
        client_order_id: ClientOrderId,
        order_id: OrderId,
        trade_id: TradeId,
        /// The resting order's price.
        price: Price,
        /// What this side paid as a fee.
        fee: MicroEc,
        instrument: InstrumentId,
        /// Lots of this trade.
        qty: u32,
        /// Lots still open.
        leaves_qty: u32,
        side: u8,
        /// 1 maker (it rested), 2 taker, 3 auction.
        liquidity: u8,
        reserved: u16,
    }

    /// An order, or what was left of it, ended without a fill.
    OrderCanceled {
        stamp: Stamp,
        /// The request that entered the order.
        client_order_id: ClientOrderId,
        order_id: OrderId,
        /// The request that canceled it; zero when none did.
        request: ClientOrderId,
        instrument: InstrumentId,
        /// Lots that were open.
        canceled_qty: u32,
        /// Lots that traded over the order's life.
        filled_qty: u32,
        /// A `CancelReason`.
        reason: u8,
        side: u8,
        reserved: u16,
    }

    /// An order has a new price or size. Fills, if any, follow.
    OrderReplaced {
        stamp: Stamp,
        /// The request that entered the order.
        client_order_id: ClientOrderId,
        order_id: OrderId,
        /// The replace request.
        request: ClientOrderId,
        price: Price,
        instrument: InstrumentId,
        /// Total lots.
        qty: u32,
        leaves_qty: u32,
        slot: SlotHint,
        /// 1 when the order kept its place in the queue.
        kept_priority: u8,
        reserved: [u8; 7],
    }

    /// A mass cancel is complete; each order had its own `OrderCanceled` before.
    MassCancelDone {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        canceled_orders: u32,
        reserved: u32,
    }

    /// A token order is complete; its fills came before, one `OrderFilled` each.
    TokenOrderDone {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        order_id: OrderId,
        /// Kilo-token minutes bought: 60 are one kilo-token. Exact.
        filled_ktok_minutes: u64,
        /// Paid to sellers, fees excluded.
        notional: MicroEc,
        fees: MicroEc,
        /// Notional per million tokens, rounded toward zero; zero without fills.
        average_price: TokenPrice,
        fills: u32,
        /// Zero when the order was filled as far as whole lots allow, else a `CancelReason`.
        reason: u8,
        reserved: [u8; 3],
    }

    /// Any other request was carried out.
    RequestDone {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        /// What the request made: an instrument id, an account id, or an amount in micro-EC.
        result: u64,
        /// The template id of the request.
        template_id: u16,
        reserved: [u8; 6],
    }

    /// The answer to a client order id that was used before: the request had no effect now.
    RequestRepeated {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        /// The order of the original request, if it made or touched one.
        order_id: OrderId,
        /// The highest client order id of the session.
        last_client_order_id: ClientOrderId,
        slot: SlotHint,
        /// The original `RejectReason`, or zero.
        reason: u16,
        /// A `RequestStatus`.
        status: u8,
        reserved: u8,
    }

    /// The state of an open order.
    OrderStatus {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        order_id: OrderId,
        price: Price,
        instrument: InstrumentId,
        /// Total lots.
        qty: u32,
        leaves_qty: u32,
        slot: SlotHint,
        side: u8,
        /// As in `NewOrder`.
        order_type: u8,
        /// As in `NewOrder`: not zero while it waits for its trigger price.
        trigger: u8,
        reserved: [u8; 5],
        /// What a stop waits for now.
        trigger_price: Price,
    }

    /// The account's credits.
    CreditBalance {
        stamp: Stamp,
        free: MicroEc,
        /// Held by open orders.
        held: MicroEc,
        /// Proceeds that wait for delivery.
        escrow: MicroEc,
    }

    /// The account's capacity in one quarter hour.
    CapacityBalance {
        stamp: Stamp,
        class: ClassCode,
        area: AreaCode,
        escrow: MicroEc,
        slot: QuarterSlot,
        /// Accelerators that the account registered.
        registered: u32,
        /// Accelerators that it could sell now.
        free: u32,
        /// Accelerators held by open orders.
        held: u32,
    }

    /// The end of an answer of several messages.
    SnapshotEnd {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        /// The number of the session's newest event: what follows is newer.
        last_event_seq: u64,
    }

    /// A stop order's trigger price has printed: it acts now.
    OrderTriggered {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        order_id: OrderId,
        trigger_price: Price,
        /// The trade price that reached it.
        print_price: Price,
        instrument: InstrumentId,
        reserved: u32,
    }

    /// One leg of a basket, or one window of a block sweep, was filled; its fills came before.
    LegDone {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        order_id: OrderId,
        /// Fees excluded.
        notional: MicroEc,
        fees: MicroEc,
        /// Per accelerator-hour, rounded toward zero.
        average_price: Price,
        instrument: InstrumentId,
        /// Lots.
        qty: u32,
        side: u8,
        reserved: [u8; 7],
    }

    /// A basket, a block sweep or a budget order is complete.
    SweepDone {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        order_id: OrderId,
        /// Paid to sellers, fees excluded.
        bought: MicroEc,
        /// Received from buyers, fees excluded.
        sold: MicroEc,
        fees: MicroEc,
        /// Of all fills of both sides, per accelerator-hour, rounded toward zero; zero without fills.
        average_price: Price,
        fills: u32,
        /// Zero when it got all that it wanted, else a `CancelReason`.
        reason: u8,
        reserved: [u8; 3],
    }

    /// A mass quote is in place; pairs that were refused had their `QuoteRejected` before.
    MassQuoteAck {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        /// Bit n: pair n is in place.
        accepted_pairs: u64,
        accepted: u32,
        rejected: u32,
    }

    /// A pair of a mass quote was refused: the quote that stood there before still stands.
    QuoteRejected {
        stamp: Stamp,
        client_order_id: ClientOrderId,
        /// The limit that the pair met, in the unit of the field.
        limit: i64,
        /// The value that met it.
        value: i64,
        instrument: InstrumentId,
        /// A `RejectReason`.
        reason: u16,
        /// The byte offset of the offending field in the block; 65,535 for the pair as a whole.
        field_offset: u16,
        /// The number of the pair, from zero.
        pair: u8,
        reserved: [u8; 7],
    }

    /// Fills reached the account's protection: its quotes of the class are pulled and kept out until it is reset.
    ProtectionTriggered {
        stamp: Stamp,
        class: ClassCode,
        /// Lots within the window.
        lots: u64,
        /// Notional within the window.
        credits: MicroEc,
        /// Fills within the window.
        fills: u32,
        /// Quotes pulled.
        canceled_orders: u32,
    }
}
