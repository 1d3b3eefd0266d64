//! A client order id has one effect, however often it is sent, over however many connections and crashes.
//!
//! Sessions send new requests and, far more often, old ones again. The power goes now and then with requests in
//! flight, and recovery takes the whole journal or a snapshot and what follows. A model knows what each answer must be:
//! the original outcome, never seen, or too old. `JOULEBOOK_RESENDS` says how many.

use std::collections::{BTreeMap, VecDeque};

use joulebook_engine::Destination;
use joulebook_protocol::messages::{CancelOrder, NewOrder};
use joulebook_protocol::pipe::EventFrame;
use joulebook_protocol::{Command, Event, Frame, RejectReason, RequestStatus};
use joulebook_sequencer::Clock;
use joulebook_testkit::{Xoshiro256pp, size};
use joulebook_types::*;

use crate::rig::{BUYERS, GENESIS, OPERATOR, Rig, Snapshot, bid, connection_of, hour, replay};

/// 2026-11-24T09:00Z.
const START_NS: u64 = 1_795_510_800_000_000_000;
/// Resends to one exchange; then a new one begins, so that journals stay short.
const RESENDS_PER_EXCHANGE: u64 = 25_000;
const CRASHES_PER_EXCHANGE: u64 = 4;
const SESSIONS: [u32; 3] = [1, 2, 3];
const INSTRUMENT: InstrumentId = InstrumentId::new(1);

/// Time passes with every look.
struct Ticks(u64);

impl Clock for Ticks {
    fn now(&mut self) -> TimeNs {
        self.0 += 1_000;
        TimeNs::new(self.0)
    }
}

/// Account and session.
type Key = (u32, u32);

/// What came of a request the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outcome {
    status: RequestStatus,
    order_id: OrderId,
    reason: u16,
}

const NEVER_SEEN: Outcome = Outcome { status: RequestStatus::NeverSeen, order_id: OrderId::NONE, reason: 0 };
const TOO_OLD: Outcome = Outcome { status: RequestStatus::TooOld, order_id: OrderId::NONE, reason: 0 };

/// What a session's client knows.
#[derive(Default)]
struct Session {
    connection: u64,
    /// The highest id that was ever sent.
    last_id: u64,
    retained: VecDeque<(u64, Outcome)>,
    /// Ids up to here were forgotten by the exchange.
    dropped_through: u64,
    /// Sent and not answered, oldest first.
    unanswered: VecDeque<u64>,
    /// The order that each accepted bid made.
    orders: BTreeMap<u64, OrderId>,
}

impl Session {
    /// What a repeat of `id` is answered, when its first sending was answered.
    fn recall(&self, id: u64) -> Outcome {
        match self.retained.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(index) => self.retained[index].1,
            Err(_) if id <= self.dropped_through => TOO_OLD,
            Err(_) => NEVER_SEEN,
        }
    }

    /// Ids up to here may be forgotten already, if every request in doubt had its effect before the crash.
    fn dropped_at_most(&self) -> u64 {
        let mut last = self.retained.back().map_or(0, |(last, _)| *last);
        let mut news = 0;
        for id in &self.unanswered {
            news += usize::from(last < *id);
            last = last.max(*id);
        }
        let drops = (self.retained.len() + news).saturating_sub(GENESIS.session_outcomes_max as usize);
        self.retained.iter().take(drops).next_back().map_or(self.dropped_through, |(id, _)| *id)
    }

    /// Nothing is known of it yet: the answer is its outcome, whether this sending carried it out or one before a crash.
    fn is_news(&self, id: u64) -> bool {
        self.retained.back().is_none_or(|(last, _)| *last < id)
    }

    fn learn(&mut self, id: u64, outcome: Outcome) {
        if self.retained.len() == GENESIS.session_outcomes_max as usize {
            self.dropped_through = self.retained.pop_front().expect("it is full").0;
        }
        self.retained.push_back((id, outcome));
        if outcome.status == RequestStatus::Accepted && is_bid(id) {
            self.orders.insert(id, outcome.order_id);
        }
    }
}

/// What an id asks for is a matter of its number, so that the same is asked every time. One in five cancels, one in
/// seven of the others is refused.
fn command(id: u64) -> Command {
    if !is_bid(id) {
        return CancelOrder {
            client_order_id: ClientOrderId::new(id),
            target: ClientOrderId::new(id - 1),
            slot: SlotHint::UNKNOWN,
            ..CancelOrder::default()
        }
        .into();
    }
    let qty = if id.is_multiple_of(7) { 0 } else { 1 + id as u32 % 9 };
    NewOrder { qty, ..bid(id, INSTRUMENT, 1, 2 + (id % 40) as i64) }.into()
}

fn is_bid(id: u64) -> bool {
    !id.is_multiple_of(5)
}

#[derive(Debug, Default)]
struct Seen {
    resends: u64,
    crashes: u64,
    /// Requests whose answer came only after a crash, and that were found to have had their effect before it.
    rescued: u64,
    lost: u64,
    never_seen: u64,
    too_old: u64,
    known: u64,
}

struct World {
    random: Xoshiro256pp,
    rig: Rig<Ticks>,
    sessions: BTreeMap<Key, Session>,
    snapshot: Option<Snapshot>,
    connections: u64,
    /// After a crash, what was in flight is in doubt until it is answered.
    is_in_doubt: bool,
    seen: Seen,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rig = Rig::new(Ticks(START_NS));
        let start_minute = TimeNs::new(START_NS).minutes() + 60;
        rig.send(OPERATOR, 9, hour(1, start_minute, TimeNs::from_minutes(start_minute)));
        rig.settle();
        let keys = BUYERS.iter().flat_map(|account| SESSIONS.map(|session| (*account, session)));
        let mut world = Self {
            random: Xoshiro256pp::from_seed(seed),
            rig,
            sessions: keys.map(|key| (key, Session::default())).collect(),
            snapshot: None,
            connections: 1,
            is_in_doubt: false,
            seen: Seen::default(),
        };
        world.log_all_on();
        world
    }

    fn log_all_on(&mut self) {
        let keys: Vec<Key> = self.sessions.keys().copied().collect();
        keys.into_iter().for_each(|key| self.log_on(key));
        self.rig.settle();
    }

    fn log_on(&mut self, key: Key) {
        self.connections += 1;
        let session = self.sessions.get_mut(&key).expect("a session");
        session.connection = self.connections;
        self.rig.log_on(key.0, key.1, self.connections, u32::MAX);
    }

    fn any_key(&mut self) -> Key {
        (*self.random.pick(&BUYERS), *self.random.pick(&SESSIONS))
    }

    /// A client comes back on a new connection; everything it sent over the old one is answered.
    fn reconnect(&mut self) {
        let key = self.any_key();
        self.log_on(key);
        self.rig.settle();
    }

    /// Sends a handful, most of them again.
    fn send_some(&mut self) {
        for _ in 0..self.random.between(1, 60) {
            let key = self.any_key();
            let random = &mut self.random;
            let session = self.sessions.get_mut(&key).expect("a session");
            let id = if session.last_id == 0 || random.chance(1, 5) {
                // Numbers may be left out.
                session.last_id += 1 + u64::from(random.chance(1, 8)) * random.between(1, 3);
                session.last_id
            } else {
                self.seen.resends += 1;
                let back = *random.pick(&[1, 10, 100, 400, session.last_id]);
                session.last_id - random.below(back.min(session.last_id))
            };
            session.unanswered.push_back(id);
            self.rig.send(key.0, key.1, command(id));
        }
    }

    /// Everything is answered, each request by one answer, in order.
    fn hear(&mut self) {
        let events = self.rig.settle();
        let connections: BTreeMap<ConnectionId, Key> = self
            .sessions
            .iter()
            .map(|(key, session)| (connection_of(key.0, key.1, session.connection), *key))
            .collect();
        for event in &events {
            let key = event.destination().and_then(|connection| connections.get(&connection));
            if let (Some(key), Some((id, outcome, is_repeat))) = (key, answer(event)) {
                self.on_answer(*key, id, outcome, is_repeat);
            }
        }
        for (key, session) in &self.sessions {
            assert!(session.unanswered.is_empty(), "{key:?} waits for {:?}", session.unanswered);
        }
        self.is_in_doubt = false;
    }

    fn on_answer(&mut self, key: Key, id: u64, outcome: Outcome, is_repeat: bool) {
        let session = self.sessions.get_mut(&key).expect("a session");
        assert_eq!(session.unanswered.pop_front(), Some(id), "{key:?}: answers come in order");
        if !session.is_news(id) {
            assert!(is_repeat, "{key:?}: {id} had an effect again: {outcome:?}");
            if !self.is_in_doubt || outcome != TOO_OLD || session.dropped_at_most() < id {
                assert_eq!(outcome, session.recall(id), "{key:?}: the answer to a repeat of {id}");
            }
            match outcome.status {
                RequestStatus::NeverSeen => self.seen.never_seen += 1,
                RequestStatus::TooOld => self.seen.too_old += 1,
                RequestStatus::Accepted | RequestStatus::Rejected => self.seen.known += 1,
            }
            return;
        }
        // A gap that was left out for good.
        if outcome == NEVER_SEEN || outcome == TOO_OLD {
            panic!("{key:?}: {id} was sent in order and is {outcome:?}");
        }
        assert!(self.is_in_doubt || !is_repeat, "{key:?}: {id} was never sent before, yet {outcome:?}");
        self.seen.rescued += u64::from(is_repeat);
        self.seen.lost += u64::from(self.is_in_doubt && !is_repeat);
        session.learn(id, outcome);
    }

    /// The power goes while requests are on their way. Every client comes back and sends again what was not answered.
    fn crash(&mut self) {
        self.seen.crashes += 1;
        if self.random.chance(1, 2) {
            self.hear();
            self.snapshot = Some(self.rig.snapshot());
        }
        self.send_some();
        for _ in 0..self.random.below(12) {
            self.rig.core.turn();
        }
        self.rig.storage.hold(true);
        self.send_some();
        for _ in 0..self.random.below(6) {
            self.rig.core.turn();
        }
        let (random, snapshot) = (&mut self.random, self.snapshot.as_ref());
        let after = self.rig.core.engine().time().raw() + 1_000_000;
        self.rig.restart(|_| random.chance(1, 2), snapshot, |last| Ticks(last.raw().max(after)));
        self.is_in_doubt = true;
        self.log_all_on();
        for (key, session) in &self.sessions {
            for id in &session.unanswered {
                self.rig.send(key.0, key.1, command(*id));
            }
        }
        self.hear();
    }

    fn play(&mut self, resends: u64) {
        let crash_every = resends / (CRASHES_PER_EXCHANGE + 1) + 1;
        while self.seen.resends < resends {
            self.send_some();
            self.hear();
            if self.random.chance(1, 2) {
                self.reconnect();
            }
            if self.seen.crashes < self.seen.resends / crash_every {
                self.crash();
            }
        }
        self.check_journal();
    }

    /// From the first command on, the journal holds each effect once, and no other.
    fn check_journal(&mut self) {
        let mut made: BTreeMap<(Key, u64), Vec<OrderId>> = BTreeMap::new();
        let replayed = replay(&self.rig.storage, |_, replayer| {
            for record in replayer.events().iter() {
                let Destination::Connection(connection) = record.destination else { continue };
                let (frame, _) = Frame::split(record.frame).expect("a frame").expect("a whole frame");
                if let Ok(Event::OrderAccepted(accepted)) = Event::decode(&frame) {
                    let raw = connection.raw();
                    let key = ((raw >> 8 & 0xFF) as u32, (raw & 0xFF) as u32);
                    made.entry((key, accepted.client_order_id.raw())).or_default().push(accepted.order_id);
                }
            }
        });
        let known = self.sessions.iter().flat_map(|(key, session)| {
            session.orders.iter().map(|(id, order_id)| ((*key, *id), vec![*order_id]))
        });
        let known: BTreeMap<(Key, u64), Vec<OrderId>> = known.collect();
        assert_eq!(made.len(), known.len());
        assert_eq!(made, known, "orders that the journal makes, and orders that clients were told of");
        let live = self.rig.core.engine();
        live.recount().expect("everything adds up");
        assert_eq!(replayed.last_order_id().raw(), made.len() as u64);
        assert_eq!(replayed.state_hash(), live.state_hash());
        assert_eq!(replayed.event_chain_hash(), live.event_chain_hash());
    }
}

/// The one answer that each request gets: its number, what came of it, and whether that is a repeat's answer.
fn answer(event: &EventFrame) -> Option<(u64, Outcome, bool)> {
    let outcome = |status, order_id, reason| Outcome { status, order_id, reason };
    let accepted = |order_id| outcome(RequestStatus::Accepted, order_id, 0);
    Some(match Event::decode(&event.frame()).ok()? {
        Event::OrderAccepted(e) => (e.client_order_id.raw(), accepted(e.order_id), false),
        Event::OrderCanceled(e) => (e.request.raw(), accepted(e.order_id), false),
        Event::RequestRejected(e) => {
            assert!(RejectReason::from_raw(e.reason).is_some());
            (e.client_order_id.raw(), outcome(RequestStatus::Rejected, e.order_id, e.reason), false)
        }
        Event::RequestRepeated(e) => {
            let status = RequestStatus::from_raw(e.status).expect("a status");
            (e.client_order_id.raw(), outcome(status, e.order_id, e.reason), true)
        }
        other => panic!("a bid or a cancel is not answered like this: {other:?}"),
    })
}

#[test]
fn a_request_has_one_effect_however_often_it_is_sent() {
    let wanted = size("JOULEBOOK_RESENDS", 100_000);
    let mut total = Seen::default();
    for exchange in 0..wanted.div_ceil(RESENDS_PER_EXCHANGE) {
        let mut world = World::new(exchange);
        world.play(RESENDS_PER_EXCHANGE.min(wanted - exchange * RESENDS_PER_EXCHANGE));
        let Seen { resends, crashes, rescued, lost, never_seen, too_old, known } = world.seen;
        total.resends += resends;
        total.crashes += crashes;
        total.rescued += rescued;
        total.lost += lost;
        total.never_seen += never_seen;
        total.too_old += too_old;
        total.known += known;
    }
    println!("{total:?}");
    assert!(wanted <= total.resends);
    // Each kind of answer came often, or the test tests less than it says.
    let Seen { crashes, rescued, lost, never_seen, too_old, known, .. } = total;
    assert!(crashes < rescued && crashes < lost, "{total:?}");
    assert!([never_seen * 50, too_old * 50, known * 2].iter().all(|count| wanted < *count), "{total:?}");
}
