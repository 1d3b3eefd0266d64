//! Facts for everybody.

use joulebook_types::{
    AccountId, AreaCode, ClassCode, InstrumentId, ModelId, OrderId, Price, TimeNs, TradeId, Yield,
};

use crate::message::message;

message! {
    /// Everything that never changes about an instrument, and its phase at the time of sending.
    InstrumentDefinition {
        class: ClassCode,
        area: AreaCode,
        tick: Price,
        band_low: Price,
        band_high: Price,
        opens: TimeNs,
        gate: TimeNs,
        instrument: InstrumentId,
        start_minute: u32,
        window_minutes: u16,
        accelerators_per_lot: u16,
        qty_max: u32,
        taker_fee_ppm: i32,
        maker_fee_ppm: i32,
        /// A `Phase`.
        phase: u8,
        reserved: [u8; 7],
    }

    /// An instrument entered a phase.
    PhaseChanged {
        time: TimeNs,
        instrument: InstrumentId,
        /// A `Phase`.
        phase: u8,
        reserved: [u8; 3],
    }

    /// The yield of a class for a reference model.
    YieldDefinition {
        class: ClassCode,
        yield_ktok: Yield,
        model: ModelId,
        reserved: u16,
        model_name: [u8; 24],
    }

    /// An account, for the gateways that check logons. Never sent to clients.
    AccountDefinition {
        account: AccountId,
        roles: u16,
        reserved: u16,
        public_key: [u8; 32],
        name: [u8; 16],
    }

    /// One resting order changed, and with it its level.
    BookUpdate {
        time: TimeNs,
        order_id: OrderId,
        price: Price,
        /// Lots at the price after the change.
        level_qty: u64,
        instrument: InstrumentId,
        /// Lots of the order after the change; zero when it is gone.
        leaves_qty: u32,
        /// Orders at the price after the change.
        level_orders: u32,
        side: u8,
        /// 1 added, 2 filled, 3 reduced in place, 4 removed.
        action: u8,
        reserved: u16,
    }

    /// Two orders met.
    Trade {
        time: TimeNs,
        trade_id: TradeId,
        price: Price,
        /// The resting order; in an auction the older one.
        maker_order_id: OrderId,
        instrument: InstrumentId,
        qty: u32,
        /// The side that took: 1 buy, 2 sell; 0 in an auction.
        aggressor: u8,
        reserved: [u8; 7],
    }

    /// An instrument has new price bands.
    BandsChanged {
        time: TimeNs,
        band_low: Price,
        band_high: Price,
        /// Zero: off.
        velocity_move: Price,
        instrument: InstrumentId,
        /// Zero: off.
        dynamic_bps: u32,
        velocity_window_ms: u32,
        reserved: u32,
    }

    /// What a call auction would trade if it ended now.
    AuctionIndication {
        time: TimeNs,
        /// Zero when nothing would trade.
        price: Price,
        /// Lots that would trade.
        volume: u64,
        /// Lots at the price that would find nobody: positive to buy, negative to sell.
        surplus: i64,
        instrument: InstrumentId,
        reserved: u32,
    }
}

impl BookUpdate {
    pub const ADDED: u8 = 1;
    pub const FILLED: u8 = 2;
    pub const REDUCED: u8 = 3;
    pub const REMOVED: u8 = 4;
}
