//! What a script drives: anything that takes sequenced commands in batches and says what happened.

use joulebook_protocol::{Event, Frame, PublicEvent, SequencedCommand, SessionMessage};
use joulebook_types::{ConnectionId, SeqNum, SlotHint, TimeNs};

/// An engine behind its batches. Every engine of the workspace is driven through this.
pub trait Exchange {
    /// Starts a batch at `time`; what is due by then happens now.
    fn begin_batch(&mut self, first_seq: SeqNum, time: TimeNs);
    /// Applies the next command of the batch.
    fn apply(&mut self, command: &SequencedCommand);
    /// Ends the batch.
    fn end_batch(&mut self);
    /// What was said since the last call, in order.
    fn take_events(&mut self) -> Vec<Heard>;
}

/// One thing that an engine said, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// To everybody.
    Public(PublicEvent),
    /// To the session behind a connection.
    Private(ConnectionId, Event),
    /// About the session itself: logons and ends.
    Session(ConnectionId, SessionMessage),
}

impl Heard {
    /// Reads what came for `to`, or for everybody when that is `None`. Slot hints are left out: they have no meaning
    /// and differ between engines.
    ///
    /// # Panics
    /// When the bytes are not one message that an engine sends.
    pub fn read(to: Option<ConnectionId>, bytes: &[u8]) -> Self {
        let (frame, rest) = Frame::split(bytes).expect("a frame").expect("a whole frame");
        assert!(rest.is_empty(), "one record, one frame");
        let Some(connection) = to else {
            return Self::Public(PublicEvent::decode(&frame).expect("a public event"));
        };
        match Event::decode(&frame) {
            Ok(event) => Self::Private(connection, without_slot(event)),
            Err(_) => Self::Session(
                connection,
                SessionMessage::decode(&frame).expect("an event or a session message"),
            ),
        }
    }
}

fn without_slot(mut event: Event) -> Event {
    match &mut event {
        Event::OrderAccepted(e) => e.slot = SlotHint::UNKNOWN,
        Event::OrderReplaced(e) => e.slot = SlotHint::UNKNOWN,
        Event::RequestRepeated(e) => e.slot = SlotHint::UNKNOWN,
        Event::OrderStatus(e) => e.slot = SlotHint::UNKNOWN,
        Event::RequestRejected(_)
        | Event::OrderFilled(_)
        | Event::OrderCanceled(_)
        | Event::MassCancelDone(_)
        | Event::TokenOrderDone(_)
        | Event::RequestDone(_)
        | Event::CreditBalance(_)
        | Event::CapacityBalance(_)
        | Event::SnapshotEnd(_)
        | Event::OrderTriggered(_)
        | Event::LegDone(_)
        | Event::SweepDone(_)
        | Event::MassQuoteAck(_)
        | Event::QuoteRejected(_)
        | Event::ProtectionTriggered(_) => {}
    }
    event
}
