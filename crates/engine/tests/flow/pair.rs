//! Both engines side by side, fed from bytes: whatever differs between them fails the case.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use joulebook_engine::{Ahead, Destination, Engine, Events};
use joulebook_ledger::SlotKey;
use joulebook_protocol::messages::Genesis;
use joulebook_protocol::{Command, Event, Frame, Origin, PublicEvent, SequencedCommand, SessionMessage};
use joulebook_reference::{Position, Reference, Said};
use joulebook_types::*;
use proptest::prelude::*;

use super::script::{START, Sent, View};

/// What both said, comparable: connection, and the message as text without what only the fast engine means.
type Line = String;

/// What entered the engines: the time of a batch, and its records.
pub type Journal = Vec<(TimeNs, Vec<Vec<u8>>)>;

/// The fast engine and the slow one.
pub struct Pair<'a> {
    seen: &'a RefCell<Seen>,
    pub fast: Engine,
    /// What the fast engine has looked at ahead, oldest first.
    ahead: VecDeque<Ahead>,
    events: Events,
    pub slow: Reference,
    /// Instruments that were ever listed.
    pub listed: u32,
    pub time: TimeNs,
    pub journal: Journal,
}

impl<'a> Pair<'a> {
    pub fn new(seen: &'a RefCell<Seen>) -> Self {
        let time = TimeNs::from_minutes(START - 60);
        let mut pair = Self {
            seen,
            fast: Engine::new(),
            ahead: VecDeque::new(),
            events: Events::new(),
            slow: Reference::new(),
            listed: 0,
            time,
            journal: Journal::new(),
        };
        let genesis = Genesis {
            shard: ShardId::new(1),
            accounts_max: 10,
            sessions_max: 20,
            instruments_max: 10,
            orders_max: 40,
            outbox_events_max: 1_000_000,
            session_outcomes_max: 100_000,
            outcomes_max: 1_000_000,
            ..Default::default()
        };
        pair.batch(&[(0, 0, genesis.into())]).expect("nobody says anything yet");
        pair
    }

    /// Runs a batch through both. Fails when they say or have different things.
    pub fn batch(&mut self, commands: &[Sent]) -> Result<(), TestCaseError> {
        self.events.clear();
        let first_seq = self.fast.last_seq().next();
        self.fast.begin_batch(first_seq, self.time, &mut self.events);
        self.slow.begin_batch(first_seq, self.time);
        self.compare("timers", first_seq)?;
        self.journal.push((self.time, Vec::new()));
        for (account, session, command) in commands {
            let record = record(*account, *session, self.time, *command);
            let command = SequencedCommand::decode(&record).unwrap();
            self.look_ahead(&record);
            self.journal.last_mut().unwrap().1.push(record);
            self.fast.apply(&command, &mut self.events);
            self.slow.apply(&command);
            self.compare(&format!("{:?}", command.command), self.fast.last_seq())?;
        }
        self.fast.end_batch(&mut self.events);
        self.slow.end_batch();
        self.compare("end of batch", self.fast.last_seq())?;
        self.compare_state()
    }

    /// Looks at a command as if it came once more, in steps with two others between them. Whatever these do to what was
    /// found before, nothing comes of it.
    fn look_ahead(&mut self, record: &[u8]) {
        self.fast.look_around_order(self.fast.look_for_order(record));
        let before = self.ahead.back().copied().unwrap_or_default();
        self.ahead.push_back(self.fast.look_far_ahead(record, &before));
        if let Some(middle) = self.ahead.iter_mut().rev().nth(3) {
            self.fast.look_ahead(middle);
        }
        if self.ahead.len() > 6 {
            let near = self.ahead.pop_front().expect("there are some");
            self.fast.look_near_ahead(&near);
        }
    }

    /// The fast engine goes on as one that was saved and loaded.
    pub fn save_and_load(&mut self) -> Result<(), TestCaseError> {
        let mut bytes = Vec::new();
        self.fast.save(&mut |piece| bytes.extend_from_slice(piece));
        let loaded = Engine::load(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(self.fast.state_hash(), loaded.state_hash());
        self.fast = loaded;
        Ok(())
    }

    fn compare(&mut self, what: &str, seq: SeqNum) -> Result<(), TestCaseError> {
        let fast: Vec<Line> =
            self.events.iter().map(|record| line_of(record.destination, record.frame)).collect();
        self.events.clear();
        let said = self.slow.take_events();
        self.seen.borrow_mut().see(&said);
        self.listed += said.iter().filter(|said| is_listing(said)).count() as u32;
        let slow: Vec<Line> = said.iter().map(line_of_slow).collect();
        if fast == slow {
            return Ok(());
        }
        let same = fast.iter().zip(&slow).take_while(|(fast, slow)| fast == slow).count();
        let before = &fast[same.saturating_sub(3)..same];
        let (fast, slow) = (&fast[same..], &slow[same..]);
        let said = format!("{before:#?}\nthen the fast one {fast:#?}\nand the slow one {slow:#?}");
        Err(TestCaseError::fail(format!("{seq}: {what}\nboth said {said}")))
    }

    fn compare_state(&self) -> Result<(), TestCaseError> {
        self.fast.recount().unwrap();
        prop_assert_eq!(self.fast.next_deadline(), self.slow.next_deadline());
        for account in self.slow.accounts() {
            let fast = self.fast.credits(account).map(|credits| (credits.free, credits.held, credits.escrow));
            prop_assert_eq!(fast, self.slow.credits(account), "credits of {}", account);
            self.compare_positions(account)?;
        }
        let listed = self.fast.instruments().map(|definition| definition.instrument);
        prop_assert_eq!(listed.collect::<Vec<_>>(), self.slow.instruments());
        for instrument in self.slow.instruments() {
            for side in [Side::Buy, Side::Sell] {
                let levels = self.fast.levels(instrument, side);
                let fast = levels.map(|level| (level.price, level.total.qty.raw(), level.total.orders));
                let (fast, slow) = (fast.collect::<Vec<_>>(), self.slow.levels(instrument, side));
                prop_assert_eq!(fast, slow, "{} levels of {}", side, instrument);
            }
        }
        prop_assert_eq!(self.fast.open_order_count(), self.slow.open_orders().len());
        Ok(())
    }

    fn compare_positions(&self, account: AccountId) -> Result<(), TestCaseError> {
        for position in self.slow.positions(account) {
            let Position { class, area, slot, registered, free, held, escrow } = position;
            let fast = self.fast.position(account, SlotKey { class, area, slot });
            let fast = fast.map(|fast| (fast.registered, fast.free, fast.held, fast.escrow));
            prop_assert_eq!(fast, Some((registered, free, held, escrow)), "{} of {}", slot, account);
        }
        Ok(())
    }

    pub fn view(&self) -> View {
        let orders = self.slow.open_orders();
        View { now: self.time, orders: orders.iter().map(|order| (order.order_id, order.account)).collect() }
    }
}

fn is_listing(said: &Said) -> bool {
    matches!(said, Said::Public(PublicEvent::InstrumentDefinition(_)))
}

/// As the journal has it.
fn record(account: u32, session: u32, received: TimeNs, command: Command) -> Vec<u8> {
    let (account, session) = (AccountId::new(account), SessionId::new(session));
    let origin = Origin { account, session, received };
    let mut record = Vec::new();
    SequencedCommand { origin, command }.encode(&mut record);
    record
}

fn line_of(destination: Destination, frame: &[u8]) -> Line {
    let (frame, _) = Frame::split(frame).unwrap().unwrap();
    match destination {
        Destination::Public => format!("public {:?}", PublicEvent::decode(&frame).unwrap()),
        Destination::Connection(connection) => match Event::decode(&frame) {
            Ok(event) => format!("{connection} {:?}", without_slot(event)),
            Err(_) => format!("{connection} {:?}", SessionMessage::decode(&frame).unwrap()),
        },
    }
}

fn line_of_slow(said: &Said) -> Line {
    match said {
        Said::Public(event) => format!("public {event:?}"),
        Said::To { connection, event, .. } => format!("{connection} {event:?}"),
        Said::Session { connection, message } => format!("{connection} {message:?}"),
    }
}

/// Slot hints have no meaning.
fn without_slot(mut event: Event) -> Event {
    match &mut event {
        Event::OrderAccepted(event) => event.slot = SlotHint::UNKNOWN,
        Event::OrderReplaced(event) => event.slot = SlotHint::UNKNOWN,
        Event::RequestRepeated(event) => event.slot = SlotHint::UNKNOWN,
        Event::OrderStatus(event) => event.slot = SlotHint::UNKNOWN,
        Event::RequestRejected(_) | Event::OrderFilled(_) | Event::OrderCanceled(_) => {}
        Event::MassCancelDone(_) | Event::TokenOrderDone(_) | Event::RequestDone(_) => {}
        Event::CreditBalance(_) | Event::CapacityBalance(_) | Event::SnapshotEnd(_) => {}
        Event::OrderTriggered(_) | Event::LegDone(_) | Event::SweepDone(_) | Event::MassQuoteAck(_) => {}
        Event::QuoteRejected(_) | Event::ProtectionTriggered(_) => {}
    }
    event
}

/// What came up, by number: the flow is worth something only if everything does.
#[derive(Debug, Default)]
pub struct Seen {
    pub messages: BTreeMap<u16, u64>,
    pub rejects: BTreeMap<u16, u64>,
    pub cancels: BTreeMap<u8, u64>,
}

impl Seen {
    fn see(&mut self, said: &[Said]) {
        for said in said {
            let template_id = match said {
                Said::Public(event) => event.template_id(),
                Said::Session { message, .. } => message.template_id(),
                Said::To { event, .. } => event.template_id(),
            };
            *self.messages.entry(template_id).or_default() += 1;
            let Said::To { event, .. } = said else { continue };
            match event {
                Event::RequestRejected(event) => *self.rejects.entry(event.reason).or_default() += 1,
                Event::QuoteRejected(event) => *self.rejects.entry(event.reason).or_default() += 1,
                Event::OrderCanceled(event) => *self.cancels.entry(event.reason).or_default() += 1,
                Event::TokenOrderDone(event) => *self.cancels.entry(event.reason).or_default() += 1,
                Event::SweepDone(event) => *self.cancels.entry(event.reason).or_default() += 1,
                _without_a_reason => {}
            }
        }
    }
}
