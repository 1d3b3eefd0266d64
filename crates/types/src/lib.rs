//! The domain's newtypes and the few formulas that must exist only once.
//!
//! Everything here is an integer with a stated unit; decimal text exists only at the edge ([`decimal`]).
//! All types are plain data with a fixed little-endian layout, so the protocol uses them as wire fields.
#![forbid(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("the wire and journal layout is little-endian; this target is big-endian");

mod code;
pub mod decimal;
mod ids;
mod lot;
mod money;
mod side;
mod symbol;
mod time;
mod tokens;

pub use code::{AreaCode, ClassCode, CodeError};
pub use ids::{
    AccountId, ClientOrderId, ConnectionId, InstrumentId, ModelId, OrderId, SeqNum, SessionId, ShardId,
    SlotHint, TradeId,
};
pub use lot::{LotSize, LotSizeError};
pub use money::{MicroEc, Price, Qty};
pub use side::{OrderType, Phase, Role, Roles, SelfTradeMode, Side, TimeInForce, Trigger};
pub use symbol::{Symbol, SymbolError};
pub use time::{QuarterSlot, TimeNs, Window, WindowError};
pub use tokens::{KiloTokens, TokenMinutes, TokenPrice, Yield};
