//! A small language for markets: commands in, events out, a line each.
//!
//! The same script runs on any [`Exchange`], so a rule is written down once and every engine is held to it.
//! `docs/market-rules.md` is written in this language; its blocks are run by [`run_page`].
//!
//! A script plays in a standard market unless its first line says otherwise: the hour `H200S.DE.20261124T1400.H` is open
//! (lots of 8, tick 0.01, band 1 to 1,000, no fees), it is 12:00, `alice` and `bob` sell, `carol` and `dave` buy, `mia`
//! and `max` make markets. Who sells has registered 800 accelerators, everybody has 1,000,000 EC. Then there are
//! `operator`, `issuer` and `meter`. Further accounts (`erin`, `frank`, `gina`, `account-99`) are opened by a script.
//!
//! ```text
//! market empty | market fees 500/-200 reference 27.00 with orders_max=2
//! alice sells 5 at 27.00 post-only          carol buys 3 at market          carol buys for 1000 EC
//!     ioc, fok, until 13:30, min 3, show 2, stop 26.50, trail 0.50, trail 100 bps, from 28.00, self-trade cancel-both
//! carol cancels #3      carol replaces #3 to 5 at 27.01     carol reduces #3 by 2     carol mass-cancels bids of H200S
//! alice oco sells 5 at 28.00 or stop 26.00 at 25.90         carol batch: buys 5 at 27.00; cancels #3
//! mia quotes 5 at 26.90 / 4 at 27.10; 0 / 0 on TPU6E         mia protects H200S 3 fills 20 lots 1000 EC in 10 s
//! carol basket: buys 2 at 27.00; buys 1 at 12.00 on TPU6E   carol sweep buys 2 at 27.00 in 4 windows from H200S.DE.1400.Q
//! carol buys tokens 500000 ktok at 1.80 on H200S TPU6E fok overshoot
//! operator halts | opens | pre-opens | auctions H200S for 10 s random 2 s      operator kills carol | class H200S
//! operator bands 20.00..40.00 dynamic 500 bps velocity 1.00 in 10 s halt 2 s auction 5 s
//! carol asks for credits | orders | capacity | everything | #3                carol/2 connects grace 5 s
//! wait 5 s | wait until 13:55      book      show all | private | clear        system seed 42 | system restarts
//! ```
//!
//! `as 7` gives a request its client order id. `with side=9 legs[1].qty=0` sets any field of the message by name, so
//! that wrong requests can be written too.

mod document;
mod exchange;
mod fields;
mod line;
mod market;
mod names;
mod orders;
mod requests;
mod show;
mod show_public;
#[cfg(test)]
mod tests;
mod words;

pub use document::{Block, Run, Runner, blocks, run_page};
pub use exchange::{Exchange, Heard};
pub use market::{Answer, Market};
pub use names::STANDARD_SYMBOL;
