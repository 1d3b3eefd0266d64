//! The core against a log whose commits the test holds in its hand.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use joulebook_engine::Engine;
use joulebook_journal::{
    Batch, CommandLog, LogEvent, LogFault, RefusalReason, Refused, SnapshotId, StorageError,
    StorageErrorKind, Term, Ticket,
};
use joulebook_protocol::messages::{Genesis, ListInstrument, OpenAccount, SessionOpened};
use joulebook_protocol::pipe::{COMMAND_FRAME_BYTES_MAX, COMMAND_SLOTS_MAX, CommandSlot, EventFrame};
use joulebook_protocol::{Command, HEADER_BYTES, Message, Origin, PublicEvent, messages};
use joulebook_rings::{Consumer, Doorbell, Producer, Wake, ring};
use joulebook_sequencer::{Clock, Core, Egress, EgressKind, NoObserver, Turn};
use joulebook_types::{
    AccountId, ClientOrderId, ConnectionId, Price, Role, Roles, SeqNum, SessionId, ShardId, TimeNs,
};

/// Numbers at once, commits when told, fails when told.
#[derive(Default)]
struct Hand {
    next_seq: u64,
    numbered: VecDeque<LogEvent>,
    ends: VecDeque<SeqNum>,
    busy: bool,
    fault: bool,
    /// Zero means plenty.
    batch_bytes_max: usize,
    /// The commands of each batch.
    batches: Vec<u32>,
    /// The time of each batch.
    times: Vec<TimeNs>,
}

impl Hand {
    fn bytes_max(&self) -> usize {
        if self.batch_bytes_max == 0 { 1 << 20 } else { self.batch_bytes_max }
    }
}

#[derive(Clone, Default)]
struct HandLog(Rc<RefCell<Hand>>);

impl HandLog {
    fn commit_all(&self) {
        let mut hand = self.0.borrow_mut();
        while let Some(seq) = hand.ends.pop_front() {
            hand.numbered.push_back(LogEvent::Committed { seq, term: Term::new(1) });
        }
    }
}

impl CommandLog for HandLog {
    fn propose(&mut self, term: Term, batch: Batch) -> Result<Ticket, Refused> {
        let mut hand = self.0.borrow_mut();
        if hand.busy {
            return Err(Refused { reason: RefusalReason::Busy, batch });
        }
        let first_seq = SeqNum::new(hand.next_seq + 1);
        hand.next_seq += u64::from(batch.count());
        assert!(batch.bytes_len() <= hand.bytes_max(), "a batch longer than the log allows");
        hand.batches.push(batch.count());
        hand.times.push(batch.time());
        let end = SeqNum::new(hand.next_seq);
        hand.ends.push_back(end);
        hand.numbered.push_back(LogEvent::Appended { first_seq, term, batch });
        Ok(Ticket::new(hand.next_seq))
    }

    fn poll(&mut self, _now: TimeNs, out: &mut Vec<LogEvent>) {
        let mut hand = self.0.borrow_mut();
        out.extend(hand.numbered.drain(..));
        if std::mem::take(&mut hand.fault) {
            let error = StorageError {
                kind: StorageErrorKind::Io,
                doing: "sync",
                file: "1.seg".into(),
                reason: "input/output error".into(),
            };
            out.push(LogEvent::Fault(LogFault::Storage(error)));
        }
    }

    fn next_deadline(&self) -> Option<TimeNs> {
        None
    }

    fn batch_bytes_max(&self) -> usize {
        self.0.borrow().bytes_max()
    }

    fn compact(&mut self, _upto: SeqNum, _snapshot: SnapshotId) -> Result<(), LogFault> {
        Err(LogFault::NotSupported("compaction"))
    }

    fn shutdown(&mut self) {}

    fn is_stopped(&self) -> bool {
        true
    }
}

#[derive(Clone, Default)]
struct HandClock(Rc<RefCell<u64>>);

impl Clock for HandClock {
    fn now(&mut self) -> TimeNs {
        TimeNs::new(*self.0.borrow())
    }
}

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

struct Rig {
    core: Core<HandLog, HandClock>,
    log: HandLog,
    clock: HandClock,
    commands: Producer<CommandSlot>,
    events: Consumer<EventFrame>,
}

const OPERATOR: AccountId = AccountId::new(1);

fn rig(egress_capacity: usize) -> Rig {
    rig_with_taps(egress_capacity, Vec::new())
}

fn egress(kind: EgressKind, ring: Producer<EventFrame>) -> Egress {
    Egress { kind, ring, bell: Arc::new(Doorbell::new(Arc::new(Silent))) }
}

fn rig_with_taps(egress_capacity: usize, taps: Vec<Producer<EventFrame>>) -> Rig {
    let (log, clock) = (HandLog::default(), HandClock::default());
    *clock.0.borrow_mut() = 1_000;
    let (commands, ingress) = ring(64);
    let (producer, events) = ring(egress_capacity);
    let taps = taps.into_iter().map(|ring| egress(EgressKind::Tap, ring));
    let egress = std::iter::once(egress(EgressKind::Gateway, producer)).chain(taps).collect();
    let engine = Engine::new();
    let mut core =
        Core::new(engine, log.clone(), Term::new(1), clock.clone(), NoObserver, vec![ingress], egress);
    core.submit_system(&first_commands());
    Rig { core, log, clock, commands, events }
}

fn first_commands() -> [Command; 2] {
    [
        Command::Genesis(Genesis {
            shard: ShardId::new(1),
            accounts_max: 10,
            sessions_max: 10,
            instruments_max: 10,
            orders_max: 10,
            outbox_events_max: 64,
            session_outcomes_max: 64,
            outcomes_max: 64,
            area: joulebook_types::AreaCode::NONE,
            reserved: 0,
        }),
        Command::OpenAccount(OpenAccount {
            account: OPERATOR,
            roles: Roles::from_iter([Role::Operator]).bits(),
            ..OpenAccount::default()
        }),
    ]
}

impl Rig {
    fn settle(&mut self) {
        while self.core.turn() == Turn::Busy {}
    }

    fn send(&mut self, command: Command) {
        let origin = Origin { account: OPERATOR, session: SessionId::new(1), received: TimeNs::new(900) };
        assert!(self.commands.try_push(CommandSlot::new(origin, &command)).is_ok());
    }

    fn received(&mut self) -> Vec<EventFrame> {
        std::iter::from_fn(|| self.events.pop()).collect()
    }
}

/// The slots of a command as a newer peer may send it: its block is followed by bytes that this version skips.
fn long(origin: Origin, command: &Command, frame_bytes: usize) -> Vec<CommandSlot> {
    let mut frame = Vec::new();
    command.encode(&mut frame);
    frame.resize(frame_bytes, 0xAB);
    frame[..2].copy_from_slice(&((frame_bytes - HEADER_BYTES) as u16).to_le_bytes());
    let mut slots = Vec::new();
    CommandSlot::lay(origin, &frame, &mut slots);
    slots
}

fn logon(counter: u64) -> Command {
    logon_of(0, counter)
}

fn logon_of(gateway: u16, counter: u64) -> Command {
    Command::SessionOpened(SessionOpened {
        connection: ConnectionId::of_gateway(gateway, counter),
        cancel_on_disconnect_ms: 0,
        ..SessionOpened::default()
    })
}

#[test]
fn nothing_leaves_before_it_is_durable() {
    let mut rig = rig(64);
    rig.log.commit_all();
    rig.settle();
    rig.received();

    rig.send(logon(5));
    rig.settle();
    assert_eq!(rig.received().len(), 0, "applied, but not on disk yet");
    assert!(rig.core.committed() < rig.core.engine().last_seq());

    rig.log.commit_all();
    rig.settle();
    let events = rig.received();
    assert_eq!(events[0].destination(), Some(ConnectionId::of_gateway(0, 5)));
    assert_eq!(events[0].frame().header.template_id, messages::LogonAccepted::TEMPLATE_ID);
}

#[test]
fn a_full_ring_stops_ingress_and_loses_nothing() {
    let mut rig = rig(1);
    rig.log.commit_all();
    rig.settle();
    for counter in 1..=5 {
        rig.send(logon(counter));
    }
    let mut seen = Vec::new();
    // One event fits at a time; each logon also tells the connection before it that it was superseded.
    for _ in 0..50 {
        rig.log.commit_all();
        rig.settle();
        seen.extend(rig.received());
    }
    let accepted: Vec<_> = seen
        .iter()
        .filter(|event| event.frame().header.template_id == messages::LogonAccepted::TEMPLATE_ID)
        .map(|event| event.destination().unwrap())
        .collect();
    assert_eq!(accepted, (1..=5).map(|counter| ConnectionId::of_gateway(0, counter)).collect::<Vec<_>>());
}

#[test]
fn a_fault_lets_nothing_more_out() {
    let mut rig = rig(64);
    rig.log.commit_all();
    rig.settle();
    rig.received();
    rig.send(logon(1));
    rig.settle();
    rig.log.0.borrow_mut().fault = true;
    assert_eq!(rig.core.turn(), Turn::Faulted);
    rig.log.commit_all();
    assert_eq!(rig.core.turn(), Turn::Faulted);
    assert_eq!(rig.received().len(), 0);
    assert!(rig.core.fault().unwrap().to_string().contains("input/output error"));
}

#[test]
fn a_refused_batch_keeps_its_place() {
    let mut rig = rig(64);
    rig.log.commit_all();
    rig.settle();
    rig.received();
    rig.log.0.borrow_mut().busy = true;
    rig.send(logon(1));
    rig.settle();
    rig.send(logon(2));
    rig.settle();
    assert!(!rig.core.has_work(), "only the log can help: whoever asks may sleep");
    rig.log.0.borrow_mut().busy = false;
    rig.settle();
    rig.log.commit_all();
    rig.settle();
    let first = rig.received()[0].destination();
    assert_eq!(first, Some(ConnectionId::of_gateway(0, 1)));
}

#[test]
fn due_timers_make_a_batch_of_their_own() {
    let mut rig = rig(64);
    rig.send(logon(1));
    let list = ListInstrument {
        client_order_id: ClientOrderId::new(1),
        class: "H200S".parse().unwrap(),
        area: "DE".parse().unwrap(),
        start_minute: 60,
        window_minutes: 60,
        accelerators_per_lot: 8,
        tick: Price::new(10_000),
        band_low: Price::new(10_000),
        band_high: Price::new(100_000_000),
        gate: TimeNs::new(50_000),
        qty_max: 100,
        ..ListInstrument::default()
    };
    rig.send(Command::ListInstrument(list));
    rig.settle();
    assert_eq!(rig.core.next_deadline(), Some(TimeNs::new(50_000)));
    rig.log.0.borrow_mut().busy = true;
    rig.send(logon(2));
    rig.settle();
    assert_eq!(rig.core.next_deadline(), None, "a timer waits with the commands, and makes nobody spin");
    rig.log.0.borrow_mut().busy = false;
    rig.settle();
    let before = rig.core.engine().last_seq();
    *rig.clock.0.borrow_mut() = 49_999;
    rig.settle();
    assert_eq!(rig.core.engine().last_seq(), before, "not due yet");
    *rig.clock.0.borrow_mut() = 50_000;
    rig.settle();
    assert_eq!(rig.core.engine().last_seq(), before.next());
    rig.log.commit_all();
    rig.settle();
    let closed = rig.received().iter().any(|event| {
        matches!(PublicEvent::decode(&event.frame()), Ok(PublicEvent::PhaseChanged(change)) if change.time == TimeNs::new(50_000))
    });
    assert!(closed, "the gate closed at its time");
}

#[test]
fn exchange_time_never_goes_back() {
    let mut rig = rig(64);
    rig.settle();
    *rig.clock.0.borrow_mut() = 10;
    rig.send(logon(1));
    rig.settle();
    assert_eq!(rig.core.engine().time(), TimeNs::new(1_000));
    assert_eq!(rig.log.0.borrow().times, [TimeNs::new(1_000); 2], "nor in the journal");
}

#[test]
fn a_tap_that_does_not_read_holds_nobody_up() {
    let (tap, mut reader) = ring(1);
    let mut rig = rig_with_taps(64, vec![tap]);
    // Public events, more than the tap's ring takes: accounts.
    let account = |number| {
        Command::OpenAccount(OpenAccount {
            account: AccountId::new(number),
            roles: Roles::from_iter([Role::Buyer]).bits(),
            ..OpenAccount::default()
        })
    };
    rig.log.commit_all();
    rig.settle();
    rig.core.submit_system(&[account(2), account(3), account(4)]);
    rig.settle();
    rig.log.commit_all();
    rig.settle();
    let opened = |event: &EventFrame| match PublicEvent::decode(&event.frame()) {
        Ok(PublicEvent::AccountDefinition(definition)) => definition.account.raw(),
        other => panic!("{other:?}"),
    };
    let seen: Vec<u32> = rig.received().iter().map(opened).collect();
    assert_eq!(seen, [1, 2, 3, 4], "the gateway has all while the tap's ring is full");
    assert!(rig.core.is_behind(), "the owner must look again for the tap's sake");

    let mut late = Vec::new();
    for _ in 0..8 {
        late.extend(std::iter::from_fn(|| reader.pop()).map(|event| opened(&event)));
        rig.settle();
    }
    assert_eq!(late, [1, 2, 3, 4]);
    assert!(!rig.core.is_behind());
}

/// A core with two gateways, whose rings are as small as they may be.
struct Pair {
    core: Core<HandLog, HandClock>,
    log: HandLog,
    senders: Vec<Producer<CommandSlot>>,
    receivers: Vec<Consumer<EventFrame>>,
}

impl Pair {
    /// `batch_bytes_max` is the log's; zero means plenty.
    fn new(batch_bytes_max: usize) -> Self {
        let log = HandLog::default();
        log.0.borrow_mut().batch_bytes_max = batch_bytes_max;
        let (senders, ingress) = (0..2).map(|_| ring(COMMAND_SLOTS_MAX.next_power_of_two())).unzip();
        let (rings, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| ring(1_024)).unzip();
        let egress = rings.into_iter().map(|ring| egress(EgressKind::Gateway, ring)).collect();
        let (engine, clock) = (Engine::new(), HandClock::default());
        let mut core = Core::new(engine, log.clone(), Term::new(1), clock, NoObserver, ingress, egress);
        core.submit_system(&first_commands());
        Self { core, log, senders, receivers }
    }

    fn settle(&mut self) {
        while self.core.turn() == Turn::Busy {
            self.log.commit_all();
        }
    }

    /// The connections of a gateway that were let in since the last call.
    fn accepted(&mut self, gateway: usize) -> Vec<ConnectionId> {
        std::iter::from_fn(|| self.receivers[gateway].pop())
            .filter(|event| event.frame().header.template_id == messages::LogonAccepted::TEMPLATE_ID)
            .map(|event| event.destination().unwrap())
            .collect()
    }
}

fn origin_of(gateway: usize) -> Origin {
    Origin { account: OPERATOR, session: SessionId::new(gateway as u32 + 1), received: TimeNs::ZERO }
}

#[test]
fn long_commands_of_two_gateways_stay_whole_and_in_order() {
    const COMMANDS: u64 = 60;
    for batch_bytes_max in [0, 2_600, 5_000] {
        let mut pair = Pair::new(batch_bytes_max);
        let mut lengths = (0..).map(|step| 200 + (step * 397) % (COMMAND_FRAME_BYTES_MAX - 199));
        let mut sent = [0; 2];
        while sent != [COMMANDS; 2] {
            for (gateway, sender) in pair.senders.iter_mut().enumerate() {
                while sent[gateway] < COMMANDS && COMMAND_SLOTS_MAX <= sender.free() {
                    sent[gateway] += 1;
                    let command = logon_of(gateway as u16, sent[gateway]);
                    let slots = match sent[gateway] % 3 {
                        0 => vec![CommandSlot::new(origin_of(gateway), &command)],
                        _ => long(origin_of(gateway), &command, lengths.next().unwrap()),
                    };
                    assert_eq!(sender.push_slice(&slots), slots.len());
                }
            }
            pair.core.turn();
            pair.log.commit_all();
        }
        pair.settle();
        for gateway in 0..2 {
            let all = (1..=COMMANDS).map(|counter| ConnectionId::of_gateway(gateway as u16, counter));
            assert!(pair.accepted(gateway).into_iter().eq(all), "batches of {batch_bytes_max} bytes");
        }
        assert!(pair.core.is_settled());
        assert_eq!(pair.core.engine().last_seq().raw(), 2 + 2 * COMMANDS);
    }
}

#[test]
fn a_command_without_its_end_holds_nobody_up() {
    let mut pair = Pair::new(0);
    let slots = long(origin_of(0), &logon_of(0, 1), COMMAND_FRAME_BYTES_MAX);
    assert_eq!(slots.len(), COMMAND_SLOTS_MAX);
    // No gateway publishes a part of a command; the core does not rely on it.
    pair.senders[0].push_slice(&slots[..5]);
    pair.settle();
    pair.senders[1].try_push(CommandSlot::new(origin_of(1), &logon_of(1, 7))).unwrap();
    pair.settle();
    assert_eq!(pair.accepted(0), []);
    assert_eq!(pair.accepted(1), [ConnectionId::of_gateway(1, 7)], "the other gateway goes on");
    pair.senders[0].push_slice(&slots[5..]);
    pair.settle();
    assert_eq!(pair.accepted(0), [ConnectionId::of_gateway(0, 1)]);
}

#[test]
fn many_short_commands_do_not_exceed_the_logs_bound() {
    let mut pair = Pair::new(2_600);
    for counter in 1..=30 {
        pair.senders[0].try_push(CommandSlot::new(origin_of(0), &logon_of(0, counter))).unwrap();
    }
    pair.settle();
    let batches = pair.log.0.borrow().batches.clone();
    assert!(3 <= batches.len() && batches.iter().sum::<u32>() == 2 + 30, "{batches:?}");
}

#[test]
#[should_panic(expected = "a log that does not take the longest command")]
fn a_log_of_tiny_batches_is_refused() {
    Pair::new(2_000);
}
