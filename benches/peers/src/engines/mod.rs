//! The engines that are compared, each behind the same trait.

pub mod joulebook;
pub mod matchcore;
pub mod orderbook_rs;
pub mod plain;

use crate::stream::{Fills, Message, Stream};

/// An engine may use of a message what a client of it would send: a cancel is an id and its book, nothing else.
pub trait Engine {
    /// How many messages ahead [`Engine::prepare`] is called, if at all.
    const AHEAD: usize = 0;

    fn new(stream: &Stream) -> Self;

    /// A message that comes soon.
    fn prepare(&self, _message: &Message) {}

    /// Does what the message says, and reports each fill at the maker's price.
    fn apply(&mut self, message: &Message, fills: &mut Fills);

    /// Open orders.
    fn resting(&self) -> u64;
}
