//! Random flow over everything that the exchange takes.

pub mod script;
pub mod steps;
