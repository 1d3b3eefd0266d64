//! Who keeps the market orderly, and with what: phases, bands, caps, kill switch, dead-man timer.

use joulebook_types::{
    AccountId, AreaCode, ClassCode, ClientOrderId, InstrumentId, MicroEc, Price, SessionId,
};

use crate::message::message;

message! {
    /// Cancels the session's open orders unless it is sent again in time.
    SetDeadMan {
        client_order_id: ClientOrderId,
        /// 1,000 to 86,400,000; zero disarms the timer.
        timeout_ms: u32,
        reserved: u32,
    }

    /// Cancels all orders of an account, a session, a class or the exchange and keeps new ones out, or lets them in again.
    KillSwitch {
        client_order_id: ClientOrderId,
        /// For scope 3.
        class: ClassCode,
        /// For scopes 1 and 2. Zero means the sender's.
        account: AccountId,
        /// For scope 2.
        session: SessionId,
        /// 1 account, 2 session, 3 class, 4 exchange.
        scope: u8,
        /// 1 kill, 2 enable again.
        action: u8,
        reserved: [u8; 6],
    }

    /// Moves instruments to another phase.
    SetPhase {
        client_order_id: ClientOrderId,
        /// When `instrument` is zero: of this class. Zero bytes mean every class.
        class: ClassCode,
        /// When `instrument` is zero: of this zone. Zero bytes mean every zone.
        area: AreaCode,
        instrument: InstrumentId,
        /// How long a call auction lasts; zero: until the next command.
        duration_ms: u32,
        /// A random time up to this is added, so that nobody can aim at the end.
        random_ms: u32,
        /// A `Phase`: 2 pre-open, 3 open, 4 halted, 5 auction.
        phase: u8,
        reserved: [u8; 3],
    }

    /// Sets how far and how fast an instrument's price may move.
    SetBands {
        client_order_id: ClientOrderId,
        /// The lowest price allowed, a multiple of the tick.
        band_low: Price,
        /// The highest price allowed, a multiple of the tick.
        band_high: Price,
        /// A trade further than this from the price a window ago halts the instrument; zero: off.
        velocity_move: Price,
        instrument: InstrumentId,
        /// Orders may not be priced further than this beyond the last trade, in basis points; zero: off.
        dynamic_bps: u32,
        velocity_window_ms: u32,
        /// How long a halt takes no orders before the auction.
        halt_ms: u32,
        /// How long the auction after a halt takes orders.
        auction_ms: u32,
        /// A random time up to this is added.
        auction_random_ms: u32,
    }

    /// Sets what an account may have at risk. Zero means no cap.
    SetLimits {
        client_order_id: ClientOrderId,
        /// Of one order: price times quantity.
        order_value_max: MicroEc,
        /// Of all open orders together.
        open_value_max: MicroEc,
        account: AccountId,
        open_orders_max: u32,
        /// Accelerators bought, less those sold, with open bids, in any quarter hour.
        window_accelerators_max: u32,
        reserved: u32,
    }
}

impl KillSwitch {
    pub const SCOPE_ACCOUNT: u8 = 1;
    pub const SCOPE_SESSION: u8 = 2;
    pub const SCOPE_CLASS: u8 = 3;
    pub const SCOPE_EXCHANGE: u8 = 4;
    pub const KILL: u8 = 1;
    pub const ENABLE: u8 = 2;
}
