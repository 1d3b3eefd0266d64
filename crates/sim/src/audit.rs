//! The second bookkeeper: reads what is durable, applies it to the fast and to the slow engine, and knows what everybody
//! may have been told.

use std::collections::{BTreeMap, BTreeSet};

use joulebook_engine::{Destination, Engine, Events};
use joulebook_ledger::SlotKey;
use joulebook_protocol::messages::{OrderAccepted, Stamp};
use joulebook_protocol::{Command, Event, Frame, Message, PublicEvent, SequencedCommand, SessionMessage};
use joulebook_reference::{Position, Reference, Said};
use joulebook_types::{
    AccountId, ClientOrderId, ConnectionId, InstrumentId, Phase, Price, SeqNum, SessionId, Side, SlotHint,
    TimeNs,
};

use crate::checks::{Check, Violation};
use crate::scan::DurableBatch;

/// Whose session.
pub type Identity = (AccountId, SessionId);

/// What the durable commands make of an empty exchange. Nothing that it holds is ever taken back: durable is for good.
pub struct Audit {
    fast: Engine,
    slow: Reference,
    events: Events,
    time: TimeNs,
    /// The chain of events after each batch, by its last command.
    chains: BTreeMap<SeqNum, [u64; 2]>,
    /// What clients have sent, by its first number. A client that lost its memory may use a number again that never
    /// arrived.
    sent: BTreeMap<(Identity, ClientOrderId), Vec<Command>>,
    /// Requests with orders of their own.
    accepted: BTreeSet<(Identity, ClientOrderId)>,
    /// Requests that had their effect, each with the command that had it.
    effective: BTreeMap<(Identity, ClientOrderId), Command>,
    /// Requests that are in the journal, and those of which a gateway said that they had no effect.
    taken: BTreeSet<(Identity, ClientOrderId)>,
    refused: BTreeSet<(Identity, ClientOrderId)>,
}

impl Default for Audit {
    fn default() -> Self {
        Self::new()
    }
}

/// A question has no effect, and takes no number: whoever comes back uses it for something else.
fn is_query(command: &Command) -> bool {
    matches!(command, Command::OrderQuery(_) | Command::AccountQuery(_))
}

impl Audit {
    pub fn new() -> Self {
        Self {
            fast: Engine::new(),
            slow: Reference::new(),
            events: Events::new(),
            time: TimeNs::ZERO,
            chains: BTreeMap::from([(SeqNum::NONE, Engine::new().event_chain_hash())]),
            sent: BTreeMap::new(),
            accepted: BTreeSet::new(),
            effective: BTreeMap::new(),
            taken: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    /// The engine as the durable commands make it.
    pub fn engine(&self) -> &Engine {
        &self.fast
    }

    /// The last durable command.
    pub fn last_seq(&self) -> SeqNum {
        self.fast.last_seq()
    }

    /// The chain of events after the batch that ends with `seq`, if one does.
    pub fn chain_at(&self, seq: SeqNum) -> Option<[u64; 2]> {
        self.chains.get(&seq).copied()
    }

    /// A client sends this, now or when it can.
    pub fn on_sent(&mut self, who: Identity, first: ClientOrderId, command: Command) {
        self.refused.remove(&(who, first));
        self.sent.entry((who, first)).or_default().push(command);
    }

    /// A gateway said that a request had no effect.
    pub fn on_refused(&mut self, who: Identity, first: ClientOrderId) -> Result<(), Violation> {
        self.refused.insert((who, first));
        // A request of a connection that was over is journaled and has no effect: its number is still free.
        let used =
            self.fast.session(who.0, who.1).is_some_and(|session| first <= session.last_client_order_id);
        Check::ExactlyOnce.that(!(used && self.taken.contains(&(who, first))), || {
            format!("request {first} of {who:?} was refused and is in the journal")
        })
    }

    /// A batch has become durable.
    pub fn apply(&mut self, batch: &DurableBatch) -> Result<(), Violation> {
        let next = self.fast.last_seq().next();
        Check::Sequence.that(batch.first_seq == next, || {
            format!("a batch begins with {}, where {next} is due", batch.first_seq)
        })?;
        Check::Sequence.that(self.time <= batch.time, || {
            format!("time goes back from {} to {} at command {next}", self.time, batch.time)
        })?;
        self.time = batch.time;
        self.fast.begin_batch(batch.first_seq, batch.time, &mut self.events);
        self.slow.begin_batch(batch.first_seq, batch.time);
        self.compare("timers")?;
        for record in &batch.records {
            let Ok(command) = SequencedCommand::decode(record) else {
                return Check::Sequence.broken("a record in the journal is no command");
            };
            self.was_sent(&command)?;
            self.has_one_effect(&command)?;
            let heard = self.events.bytes_len();
            self.fast.apply(&command, &mut self.events);
            // Before the engines are compared: what breaks one of these says more than that they differ.
            self.makes_one_order(&command, heard)?;
            self.is_uncrossed()?;
            self.slow.apply(&command);
            self.compare(command.command.name())?;
        }
        self.fast.end_batch(&mut self.events);
        self.slow.end_batch();
        self.compare("end of batch")?;
        self.chains.insert(self.fast.last_seq(), self.fast.event_chain_hash());
        self.compare_state()
    }

    fn was_sent(&mut self, command: &SequencedCommand) -> Result<(), Violation> {
        let SequencedCommand { origin, command } = command;
        let Some(first) = command.client_order_id().filter(|_| !origin.account.is_none()) else {
            return Ok(());
        };
        let request = ((origin.account, origin.session), first);
        if !is_query(command) {
            self.taken.insert(request);
        }
        Check::ExactlyOnce.that(!self.refused.contains(&request), || {
            format!("request {first} of {:?} was refused and comes into the journal", request.0)
        })?;
        let known = self.sent.get(&request);
        Check::ExactlyOnce.that(known.is_some_and(|known| known.contains(command)), || {
            format!(
                "the journal has a request {first} of account {} that nobody sent: {command:?}",
                origin.account
            )
        })
    }

    /// A number stands for one command: another one under the same number would be told that it had its effect, and have
    /// none.
    fn has_one_effect(&mut self, command: &SequencedCommand) -> Result<(), Violation> {
        let SequencedCommand { origin, command } = command;
        let who = (origin.account, origin.session);
        let (Some(first), Some(session)) = (command.client_order_id(), self.fast.session(who.0, who.1))
        else {
            return Ok(());
        };
        if session.connection == ConnectionId::NONE || first.is_none() || is_query(command) {
            return Ok(());
        }
        if session.last_client_order_id < first {
            self.effective.insert((who, first), *command);
            return Ok(());
        }
        // One that was refused at the door is unknown, and so it is told when it is asked for later.
        let known = self.effective.get(&(who, first));
        Check::ExactlyOnce.that(known.is_none_or(|known| known == command), || {
            format!("request {first} of {who:?} was {known:?} and comes again as {command:?}")
        })
    }

    /// What the fast engine says behind `heard`: an order of its own comes once per request, which is no older one sent again.
    fn makes_one_order(&mut self, command: &SequencedCommand, heard: usize) -> Result<(), Violation> {
        let who = (command.origin.account, command.origin.session);
        let mut offset = heard;
        while let Some((record, next)) = self.events.record_at(offset) {
            offset = next;
            if record.template_id != OrderAccepted::TEMPLATE_ID || command.command.client_order_id().is_none()
            {
                continue;
            }
            let Ok(Some((frame, _))) = Frame::split(record.frame) else { continue };
            if let Ok(Event::OrderAccepted(event)) = Event::decode(&frame) {
                let is_new = self.accepted.insert((who, event.client_order_id));
                Check::ExactlyOnce.that(is_new, || {
                    format!("request {} of {who:?} made two orders", event.client_order_id)
                })?;
            }
        }
        Ok(())
    }

    /// No open instrument's best bid reaches its best ask.
    fn is_uncrossed(&self) -> Result<(), Violation> {
        for raw in 1..=self.fast.last_instrument_id().raw() {
            let instrument = InstrumentId::new(raw);
            let best = (self.fast.best_bid(instrument), self.fast.best_ask(instrument));
            let is_open = self.fast.phase(instrument) == Some(Phase::Open);
            Check::CrossedBook.that(!(is_open && is_crossed(best)), || {
                format!("instrument {instrument} is open and crossed after command {}", self.fast.last_seq())
            })?;
        }
        Ok(())
    }

    /// Both engines said the same since the last call.
    fn compare(&mut self, what: &str) -> Result<(), Violation> {
        let said = self.slow.take_events();
        let seq = self.fast.last_seq();
        let mut fast = self.events.iter();
        for (number, slow) in said.iter().enumerate() {
            let record = fast.next();
            let same = record.as_ref().is_some_and(|record| is_same(record.destination, record.frame, slow));
            Check::Rules.that(same, || {
                let fast = record.map_or("no more".to_owned(), |record| show(record.frame));
                format!(
                    "event {number} of command {seq} ({what}) differs: the slow engine says {slow:?}, the fast one {fast}"
                )
            })?;
        }
        Check::Rules.that(fast.next().is_none(), || {
            format!("the fast engine says more than the slow one to command {seq} ({what})")
        })?;
        drop(fast);
        self.events.clear();
        Ok(())
    }

    fn compare_state(&self) -> Result<(), Violation> {
        for account in self.slow.accounts() {
            let fast = self.fast.credits(account).map(|credits| (credits.free, credits.held, credits.escrow));
            Check::Rules.that(fast == self.slow.credits(account), || {
                format!("credits of account {account} differ")
            })?;
            self.compare_positions(account)?;
        }
        for instrument in self.slow.instruments() {
            self.compare_books(instrument)?;
        }
        let open = (self.fast.open_order_count(), self.slow.open_orders().len());
        Check::Rules.that(open.0 == open.1, || format!("open orders differ: {open:?}"))?;
        // Last, because it looks at books too, and what the checks above say is more to the point.
        match self.fast.recount() {
            Ok(()) => Ok(()),
            Err(error) => {
                let seq = self.fast.last_seq();
                Check::Conservation.broken(format!("after command {seq}: {error:?}"))
            }
        }
    }

    fn compare_positions(&self, account: AccountId) -> Result<(), Violation> {
        for position in self.slow.positions(account) {
            let Position { class, area, slot, registered, free, held, escrow } = position;
            let fast = self.fast.position(account, SlotKey { class, area, slot });
            let fast = fast.map(|fast| (fast.registered, fast.free, fast.held, fast.escrow));
            Check::Rules.that(fast == Some((registered, free, held, escrow)), || {
                format!("capacity of account {account} in {slot} differs")
            })?;
        }
        Ok(())
    }

    fn compare_books(&self, instrument: InstrumentId) -> Result<(), Violation> {
        for side in [Side::Buy, Side::Sell] {
            let levels = self.fast.levels(instrument, side);
            let fast = levels.map(|level| (level.price, level.total.qty.raw(), level.total.orders));
            Check::Rules.that(fast.eq(self.slow.levels(instrument, side)), || {
                format!("{side} levels of instrument {instrument} differ")
            })?;
        }
        Ok(())
    }

    /// A client was told this: the same must follow from what is durable.
    pub fn on_told(&self, who: Identity, event: &Event) -> Result<(), Violation> {
        let (told, stamp) = normal(*event);
        if stamp.event_seq == 0 {
            return Ok(());
        }
        let known = self.slow.session_events(who.0, who.1);
        let Some(known) = known.get(stamp.event_seq as usize - 1) else {
            return Check::DurableBeforeAnswer.broken(format!(
                "{who:?} was told its event {}, and only {} are durable: {event:?}",
                stamp.event_seq,
                known.len()
            ));
        };
        Check::Events.that(normal(*known).0 == told, || {
            format!("{who:?} was told {told:?}, and what is durable says {known:?}")
        })
    }
}

/// Best bid and best ask.
fn is_crossed(best: (Option<Price>, Option<Price>)) -> bool {
    match best {
        (Some(bid), Some(ask)) => ask <= bid,
        (Some(_), None) | (None, Some(_)) | (None, None) => false,
    }
}

fn is_same(destination: Destination, frame: &[u8], slow: &Said) -> bool {
    let Ok(Some((frame, []))) = Frame::split(frame) else { return false };
    match (destination, slow) {
        (Destination::Public, Said::Public(slow)) => PublicEvent::decode(&frame).as_ref() == Ok(slow),
        (Destination::Connection(to), Said::To { connection, event, .. }) => {
            to == *connection && Event::decode(&frame).is_ok_and(|fast| normal(fast).0 == normal(*event).0)
        }
        (Destination::Connection(to), Said::Session { connection, message }) => {
            to == *connection && SessionMessage::decode(&frame).as_ref() == Ok(message)
        }
        (Destination::Public | Destination::Connection(_), _other) => false,
    }
}

fn show(frame: &[u8]) -> String {
    match Frame::split(frame) {
        Ok(Some((frame, []))) => match (PublicEvent::decode(&frame), Event::decode(&frame)) {
            (Ok(event), _) => format!("{event:?}"),
            (_, Ok(event)) => format!("{event:?}"),
            (Err(_), Err(_)) => format!("a session's frame of template {}", frame.header.template_id),
        },
        _ => "bytes that are no frame".to_owned(),
    }
}

/// An event without what differs from one telling to the next, and its stamp.
pub fn normal(mut event: Event) -> (Event, Stamp) {
    let stamp = match &mut event {
        Event::OrderAccepted(event) => {
            event.slot = SlotHint::UNKNOWN;
            &mut event.stamp
        }
        Event::OrderReplaced(event) => {
            event.slot = SlotHint::UNKNOWN;
            &mut event.stamp
        }
        Event::RequestRepeated(event) => {
            event.slot = SlotHint::UNKNOWN;
            &mut event.stamp
        }
        Event::OrderStatus(event) => {
            event.slot = SlotHint::UNKNOWN;
            &mut event.stamp
        }
        Event::RequestRejected(event) => &mut event.stamp,
        Event::OrderFilled(event) => &mut event.stamp,
        Event::OrderCanceled(event) => &mut event.stamp,
        Event::MassCancelDone(event) => &mut event.stamp,
        Event::TokenOrderDone(event) => &mut event.stamp,
        Event::RequestDone(event) => &mut event.stamp,
        Event::CreditBalance(event) => &mut event.stamp,
        Event::CapacityBalance(event) => &mut event.stamp,
        Event::SnapshotEnd(event) => &mut event.stamp,
        Event::OrderTriggered(event) => &mut event.stamp,
        Event::LegDone(event) => &mut event.stamp,
        Event::SweepDone(event) => &mut event.stamp,
        Event::MassQuoteAck(event) => &mut event.stamp,
        Event::QuoteRejected(event) => &mut event.stamp,
        Event::ProtectionTriggered(event) => &mut event.stamp,
    };
    stamp.sent = TimeNs::ZERO;
    stamp.order_credits = 0;
    stamp.cancel_credits = 0;
    let stamp = *stamp;
    (event, stamp)
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::Origin;
    use joulebook_protocol::messages::CancelOrder;
    use joulebook_types::OrderId;

    use super::*;

    const WHO: Identity = (AccountId::new(7), SessionId::new(2));

    fn cancel(order: u64) -> Command {
        let client_order_id = ClientOrderId::new(3);
        CancelOrder { client_order_id, order_id: OrderId::new(order), ..CancelOrder::default() }.into()
    }

    fn check(audit: &mut Audit, command: Command) -> Option<Check> {
        let origin = Origin { account: WHO.0, session: WHO.1, ..Origin::SYSTEM };
        audit.was_sent(&SequencedCommand { origin, command }).err().map(|violation| violation.check)
    }

    #[test]
    fn a_request_in_the_journal_is_one_that_was_sent() {
        let mut audit = Audit::new();
        assert_eq!(check(&mut audit, cancel(1)), Some(Check::ExactlyOnce), "nobody sent it");
        audit.on_sent(WHO, ClientOrderId::new(3), cancel(1));
        assert_eq!(check(&mut audit, cancel(1)), None);
        assert_eq!(check(&mut audit, cancel(2)), Some(Check::ExactlyOnce), "another one with its number");
        audit.on_refused(WHO, ClientOrderId::new(3)).expect("no session has used the number");
        assert_eq!(check(&mut audit, cancel(1)), Some(Check::ExactlyOnce), "it was refused");
        audit.on_sent(WHO, ClientOrderId::new(3), cancel(1));
        assert_eq!(check(&mut audit, cancel(1)), None, "sent again after the refusal");
    }

    #[test]
    fn commands_without_their_number_or_time_are_refused() {
        let batch = |first, time| DurableBatch {
            first_seq: SeqNum::new(first),
            time: TimeNs::new(time),
            records: Vec::new(),
        };
        let mut audit = Audit::new();
        let broken = |found: Result<(), Violation>| found.err().map(|violation| violation.check);
        assert_eq!(broken(audit.apply(&batch(2, 5))), Some(Check::Sequence), "the first command is missing");
        audit.time = TimeNs::new(9);
        assert_eq!(broken(audit.apply(&batch(1, 8))), Some(Check::Sequence), "time goes back");
    }

    #[test]
    fn a_bid_that_reaches_the_ask_is_crossed() {
        let price = |raw| Some(Price::new(raw));
        assert!(is_crossed((price(5), price(4))) && is_crossed((price(5), price(5))));
        assert!(!is_crossed((price(4), price(5))) && !is_crossed((price(5), None)));
        assert!(!is_crossed((None, price(5))) && !is_crossed((None, None)));
    }
}
