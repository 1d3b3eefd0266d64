//! Who owns what: energy credits, capacity per quarter hour, holds and escrow.
//!
//! Every change moves an amount between two balances, so conservation is one sum:
//! `minted − retired = Σ free + Σ held + Σ escrow + fees + rounding`, to the micro-EC. Only minting and retiring have
//! one side. Capacity moves the same way: per slot, what accounts have is what was registered. Both are checked by running
//! totals after every batch, and counted again on demand.
#![forbid(unsafe_code)]

mod account;
mod capacity;
mod hold;
mod key_map;
mod ledger;
mod position_table;
mod posting;
mod restore;
mod settlement;
mod totals;

pub use account::{AccountIx, Credits};
pub use capacity::{AssetIx, CapacityError, CapacityTotals, Position, PositionIx, SlotKey};
pub use hold::{bid_hold, fee, with_fee};
pub use key_map::{KeyMap, pair_key};
pub use ledger::{CreditError, Ledger};
pub use restore::PositionBalances;
pub use settlement::Settlement;
pub use totals::{Imbalance, Totals};
