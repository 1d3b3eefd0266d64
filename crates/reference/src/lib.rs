//! The slow, obvious engine: the same commands in, the same events out, from vectors, maps and linear scans.
//!
//! It is written from the market rules alone, so that a mistake of the fast engine is not repeated here. Nothing is
//! kept that can be counted again: free credits are what an account has less what its open orders hold, price levels
//! are added up when somebody asks, and what must happen as a whole or not at all happens on a copy of the market first.
//!
//! Two things differ from the fast engine on purpose. Slot hints mean nothing here: every event carries
//! [`SlotHint::UNKNOWN`](joulebook_types::SlotHint::UNKNOWN), and comparisons mask them. And nothing is forgotten:
//! events for a resend and outcomes of requests are kept for good, and an account query is never refused as too much
//! for one batch, so comparisons run with limits that are not reached.
#![forbid(unsafe_code)]

mod auction;
mod bands;
mod baskets;
mod batch;
mod budget;
mod cancel;
mod capacity;
mod caps;
mod clients;
mod controls;
mod credits;
mod entry;
mod exactly_once;
mod inspect;
mod ledger;
mod listing;
mod market;
mod matching;
mod oco;
mod orders;
mod phases;
mod policy;
mod protection;
mod queries;
mod quote_rules;
mod quotes;
mod reference;
mod rejection;
mod replace;
mod said;
mod self_trade;
mod stops;
mod sweeps;
mod timers;
mod tokens;
mod triggers;
mod uncross;

pub use inspect::{OpenOrder, Position, State};
pub use reference::Reference;
pub use said::Said;
