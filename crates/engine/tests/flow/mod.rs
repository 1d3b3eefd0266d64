//! Random flow over everything that the exchange takes.

mod day;
mod numbers;
mod orders;
pub mod pair;
pub mod script;
pub mod steps;
