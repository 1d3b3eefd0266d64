//! Who owns what: energy credits, capacity per quarter hour, holds and escrow.
//!
//! Every change moves an amount between two balances, so conservation is one sum. Only minting and retiring change it.
#![forbid(unsafe_code)]

mod account;
mod key_map;

pub use account::AccountIx;
pub use key_map::{KeyMap, pair_key};
