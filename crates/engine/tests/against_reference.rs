//! The fast engine against the slow one: the same random commands in, the same events, books and balances out.
//!
//! `JOULEBOOK_COMMANDS` says how many commands to run, about.

mod flow;

use std::cell::RefCell;
use std::collections::BTreeMap;

use flow::script::{OPERATOR, START, Script, Sent, TRADERS, View};
use flow::steps::{Step, step};
use joulebook_engine::{Destination, Engine, Events};
use joulebook_ledger::SlotKey;
use joulebook_protocol::messages::Genesis;
use joulebook_protocol::{
    CancelReason, Command, Event, Frame, Origin, PublicEvent, SequencedCommand, SessionMessage,
};
use joulebook_reference::{Position, Reference, Said};
use joulebook_types::*;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Commands that a case runs on average, its opening included.
const COMMANDS_PER_CASE: u32 = 270;
const COMMANDS_DEFAULT: u32 = 60_000;

/// What both said, comparable: connection, and the message as text without what only the fast engine means.
type Line = String;

struct Pair<'a> {
    seen: &'a RefCell<Seen>,
    fast: Engine,
    events: Events,
    slow: Reference,
    time: TimeNs,
}

impl<'a> Pair<'a> {
    fn new(seen: &'a RefCell<Seen>) -> Self {
        let time = TimeNs::from_minutes(START - 60);
        let mut pair =
            Self { seen, fast: Engine::new(), events: Events::new(), slow: Reference::new(), time };
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
    fn batch(&mut self, commands: &[Sent]) -> Result<(), TestCaseError> {
        self.events.clear();
        let first_seq = self.fast.last_seq().next();
        self.fast.begin_batch(first_seq, self.time, &mut self.events);
        self.slow.begin_batch(first_seq, self.time);
        self.compare("timers", first_seq)?;
        for (account, session, command) in commands {
            let command = sequenced(*account, *session, self.time, *command);
            self.fast.apply(&command, &mut self.events);
            self.slow.apply(&command);
            self.compare(&format!("{:?}", command.command), self.fast.last_seq())?;
        }
        self.fast.end_batch(&mut self.events);
        self.slow.end_batch();
        self.compare("end of batch", self.fast.last_seq())?;
        self.compare_state()
    }

    fn compare(&mut self, what: &str, seq: SeqNum) -> Result<(), TestCaseError> {
        let fast: Vec<Line> =
            self.events.iter().map(|record| line_of(record.destination, record.frame)).collect();
        self.events.clear();
        let said = self.slow.take_events();
        self.seen.borrow_mut().see(&said);
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
        let mut queues = Vec::new();
        for instrument in self.slow.instruments() {
            let phase = self.fast.instrument(instrument).and_then(|fast| Phase::from_raw(fast.phase));
            prop_assert_eq!(phase, self.slow.phase(instrument), "phase of {}", instrument);
            prop_assert_eq!(self.fast.last_print(instrument), self.slow.last_print(instrument));
            for side in [Side::Buy, Side::Sell] {
                queues.extend(self.slow.queue(instrument, side));
                let levels = self.fast.levels(instrument, side);
                let fast = levels.map(|level| (level.price, level.total.qty.raw(), level.total.orders));
                let (fast, slow) = (fast.collect::<Vec<_>>(), self.slow.levels(instrument, side));
                prop_assert_eq!(fast, slow, "{} levels of {}", side, instrument);
            }
        }
        let fast: Vec<OrderId> = self.fast.open_orders().map(|order| order.order_id).collect();
        prop_assert_eq!(fast, queues, "price, then time");
        let slow = self.slow.open_orders();
        prop_assert_eq!(self.fast.open_order_count(), slow.len());
        for order in slow {
            let leaves = self.fast.open_order(order.order_id).map(|fast| fast.leaves);
            prop_assert_eq!(leaves, Some(order.leaves), "lots of {}", order.order_id);
        }
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

    fn view(&self) -> View {
        let orders = self.slow.open_orders();
        View { now: self.time, orders: orders.iter().map(|order| (order.order_id, order.account)).collect() }
    }
}

/// Through bytes, as from the journal.
fn sequenced(account: u32, session: u32, received: TimeNs, command: Command) -> SequencedCommand {
    let (account, session) = (AccountId::new(account), SessionId::new(session));
    let origin = Origin { account, session, received };
    let mut record = Vec::new();
    SequencedCommand { origin, command }.encode(&mut record);
    SequencedCommand::decode(&record).unwrap()
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

/// Steps in batches of up to three, then the end of all windows.
fn run(steps: &[(usize, bool, Step)], seen: &RefCell<Seen>) -> Result<(), TestCaseError> {
    let mut script = Script::default();
    let mut pair = Pair::new(seen);
    let opening = script.opening();
    pair.batch(&opening)?;
    assert_eq!(pair.slow.ignored_commands(), 0, "everything was set up");
    for group in steps.chunks(3) {
        let mut commands = Vec::new();
        for (trader, other_session, step) in group {
            if let Step::Wait { ms } = step {
                pair.time = pair.time.saturating_add_ms(*ms);
            }
            let session = if *other_session { 2 } else { 1 };
            commands.extend(script.commands(&pair.view(), (TRADERS[*trader], session), step));
        }
        pair.batch(&commands)?;
    }
    settle(&mut pair, &mut script)?;
    // A wrong byte may have listed any window.
    let spoiled = |(_, _, step): &(usize, bool, Step)| matches!(step, Step::Spoiled { .. });
    if steps.iter().any(spoiled) { Ok(()) } else { check_settled(&pair) }
}

/// Every gate passes and every slot is delivered.
fn settle(pair: &mut Pair<'_>, script: &mut Script) -> Result<(), TestCaseError> {
    pair.time = pair.time.max(TimeNs::from_minutes(START + 30));
    let mut commands = Vec::new();
    for class in 0..3 {
        for quarter in 0..8 {
            let client_order_id = script.next_id(OPERATOR, 1);
            commands.push((OPERATOR, 1, flow::script::deliver(client_order_id, class, quarter)));
        }
    }
    pair.batch(&commands)
}

/// Nothing is held and nothing waits any more.
fn check_settled(pair: &Pair<'_>) -> Result<(), TestCaseError> {
    prop_assert_eq!(pair.slow.open_orders(), []);
    for account in TRADERS {
        let (_, held, escrow) = pair.slow.credits(AccountId::new(account)).unwrap();
        prop_assert_eq!((held, escrow), (MicroEc::ZERO, MicroEc::ZERO), "of {}", account);
    }
    Ok(())
}

/// Commands to run.
fn commands() -> u32 {
    let wanted = std::env::var("JOULEBOOK_COMMANDS").ok().and_then(|commands| commands.parse().ok());
    wanted.unwrap_or(COMMANDS_DEFAULT)
}

fn config() -> ProptestConfig {
    let cases = commands().div_ceil(COMMANDS_PER_CASE);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

/// What came up, by number: the flow is worth something only if everything does.
#[derive(Default)]
struct Seen {
    messages: BTreeMap<u16, u64>,
    rejects: BTreeMap<u16, u64>,
    cancels: BTreeMap<u8, u64>,
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

    /// Every event, every reason to cancel, and what the flow is made to be refused for.
    fn check(&self) {
        let never = |template_id: &u16| !self.messages.contains_key(template_id);
        let missing: Vec<u16> = (60..=78).chain(80..=82).chain(84..=87).filter(never).collect();
        assert!(missing.is_empty(), "messages that never came up: {missing:?}");
        let never = |reason: &&CancelReason| !self.cancels.contains_key(&reason.raw());
        let missing: Vec<&CancelReason> = CancelReason::ALL.iter().filter(never).collect();
        assert!(missing.is_empty(), "reasons to cancel that never came up: {missing:?}");
    }
}

#[test]
fn the_fast_engine_does_what_the_slow_one_does() {
    let seen = RefCell::new(Seen::default());
    let who = (0..TRADERS.len(), prop::bool::weighted(0.2), step());
    let mut runner = TestRunner::new(config());
    let result = runner.run(&prop::collection::vec(who, 1..400), |steps| run(&steps, &seen));
    let seen = seen.into_inner();
    println!("messages {:?}\nrejects {:?}\ncancels {:?}", seen.messages, seen.rejects, seen.cancels);
    if let Err(error) = result {
        panic!("{error}");
    }
    // A few cases are not everything.
    if commands() >= COMMANDS_DEFAULT {
        seen.check();
    }
}
