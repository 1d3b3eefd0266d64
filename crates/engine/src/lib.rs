//! The deterministic middle of the exchange: commands in, events out.
//!
//! No clock, no random number, no float, no I/O, and nothing here walks a hash map: the same commands with the same
//! batch times give the same events, byte for byte. Time enters with [`Engine::begin_batch`] only.
#![forbid(unsafe_code)]

mod accounts;
mod basket;
mod batch;
mod block_sweep;
mod budget;
mod cancel;
mod capacity;
mod caps;
mod credits;
mod dead_man;
mod dry_walk;
mod engine;
mod events;
mod expiry;
mod hash;
mod heap;
mod holds;
mod hooks;
mod inspect;
mod inspect_order;
mod inspect_session;
mod instruments;
mod kill_switch;
mod legs;
mod links;
mod list_instrument;
mod logon;
mod matching;
mod new_order;
mod oco;
mod open_account;
mod order_checks;
mod order_choices;
mod order_index;
mod orders;
mod outbox;
mod outcomes;
mod phases;
mod policy;
mod protect;
mod protection;
mod publish;
mod query;
mod quote_table;
mod quotes;
mod random;
mod recount;
mod reduce;
mod replace;
mod replace_stop;
mod request;
mod self_trade;
mod sessions;
mod state_hash;
mod stop_book;
mod stop_checks;
mod stops;
mod tell;
mod timers;
mod token_order;
mod token_walk;
mod trade;
mod trailing;
mod yields;

pub use engine::Engine;
pub use events::{Destination, Events, Record};
pub use inspect::{OpenOrder, PendingStop};
pub use inspect_order::{OrderDetails, OrderPlace};
pub use inspect_session::SessionState;
pub use joulebook_book::{Level, LevelTotal};
pub use joulebook_ledger::{Credits, Position, SlotKey, Totals};
pub use recount::Imbalance;
