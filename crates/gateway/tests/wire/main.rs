//! A real gateway with real clients over real QUIC.

mod market_data;
mod sessions;
mod world;
