//! A real recording of single orders, played through the gateway.

mod mapper;
pub mod recording;

pub use mapper::{Counts, Mapper, Step, TICK, UNITS_PER_LOT};
