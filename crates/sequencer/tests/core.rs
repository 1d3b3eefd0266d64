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
use joulebook_protocol::pipe::{CommandFrame, EventFrame};
use joulebook_protocol::{Command, Message, Origin, PublicEvent, messages};
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
        1 << 20
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
    commands: Producer<CommandFrame>,
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
    core.submit_system(&[
        Command::Genesis(Genesis {
            shard: ShardId::new(1),
            accounts_max: 10,
            sessions_max: 10,
            instruments_max: 10,
            orders_max: 10,
            outbox_events_max: 64,
            session_outcomes_max: 64,
            outcomes_max: 64,
            reserved: 0,
        }),
        Command::OpenAccount(OpenAccount {
            account: OPERATOR,
            roles: Roles::from_iter([Role::Operator]).bits(),
            ..OpenAccount::default()
        }),
    ]);
    Rig { core, log, clock, commands, events }
}

impl Rig {
    fn settle(&mut self) {
        while self.core.turn() == Turn::Busy {}
    }

    fn send(&mut self, command: Command) {
        let origin = Origin { account: OPERATOR, session: SessionId::new(1), received: TimeNs::new(900) };
        assert!(self.commands.try_push(CommandFrame::new(origin, &command)).is_ok());
    }

    fn received(&mut self) -> Vec<EventFrame> {
        std::iter::from_fn(|| self.events.pop()).collect()
    }
}

fn logon(counter: u64) -> Command {
    Command::SessionOpened(SessionOpened {
        connection: ConnectionId::of_gateway(0, counter),
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
