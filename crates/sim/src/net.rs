//! A network that loses, doubles, reorders, delays and cuts, and reliable streams over it.
//!
//! [`Fabric`] moves datagrams. [`Endpoint`] makes connections with streams of them, for both sides; the gateway runs on
//! one as it does on QUIC. What QUIC proves by encryption, a simulated datagram has by construction: nobody forges or
//! damages one, so damage is loss.

mod channel;
mod endpoint;
mod fabric;
mod stream;
#[cfg(test)]
mod tests;

pub use endpoint::{ConnectionKey, Endpoint, EndpointConfig, StreamNumber};
pub use fabric::{Fabric, Host, NetProfile};
