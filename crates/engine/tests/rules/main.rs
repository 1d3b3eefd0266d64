//! Table tests of the engine's rules, one file a feature. All of them drive the boundary: commands in, events out, and
//! a full recount after every command.

mod admin;
mod auction;
mod auction_self_trade;
mod bands;
mod baskets;
mod cancel;
mod capacity;
mod dead_man;
mod delivery;
mod disconnect;
mod exactly_once;
mod fees;
mod holds;
mod kill_switch;
mod limits;
mod market;
mod mass_cancel;
mod matching;
mod oco;
mod origins;
mod phases;
mod published;
mod queries;
mod quotes;
mod rejects;
mod replace;
mod self_trade;
mod sessions;
mod set_phase;
mod stops;
mod sweeps;
mod token_orders;
mod trailing;
