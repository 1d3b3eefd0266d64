//! What the engine says, and to whom.

use joulebook_protocol::messages::Stamp;
use joulebook_protocol::{Event, PublicEvent, SessionMessage};
use joulebook_types::{AccountId, ConnectionId, SessionId};

/// One message that leaves the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// To a session's connection: an event or an answer that is not numbered.
    To { account: AccountId, session: SessionId, connection: ConnectionId, event: Event },
    /// To a connection: the end or the beginning of a session.
    Session { connection: ConnectionId, message: SessionMessage },
    /// To everybody.
    Public(PublicEvent),
}

/// What the market says before anybody numbers it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spoken {
    /// An event of the session with this index.
    Tell(usize, Event),
    /// An answer to the session with this index, which is not numbered.
    Answer(usize, Event),
    Publish(PublicEvent),
}

/// The stamp that every event begins with.
pub(crate) fn stamp_mut(event: &mut Event) -> &mut Stamp {
    match event {
        Event::OrderAccepted(event) => &mut event.stamp,
        Event::RequestRejected(event) => &mut event.stamp,
        Event::OrderFilled(event) => &mut event.stamp,
        Event::OrderCanceled(event) => &mut event.stamp,
        Event::OrderReplaced(event) => &mut event.stamp,
        Event::MassCancelDone(event) => &mut event.stamp,
        Event::TokenOrderDone(event) => &mut event.stamp,
        Event::RequestDone(event) => &mut event.stamp,
        Event::RequestRepeated(event) => &mut event.stamp,
        Event::OrderStatus(event) => &mut event.stamp,
        Event::CreditBalance(event) => &mut event.stamp,
        Event::CapacityBalance(event) => &mut event.stamp,
        Event::SnapshotEnd(event) => &mut event.stamp,
        Event::OrderTriggered(event) => &mut event.stamp,
        Event::LegDone(event) => &mut event.stamp,
        Event::SweepDone(event) => &mut event.stamp,
        Event::MassQuoteAck(event) => &mut event.stamp,
        Event::QuoteRejected(event) => &mut event.stamp,
        Event::ProtectionTriggered(event) => &mut event.stamp,
    }
}
