//! Whatever the machine's clocks do, exchange time goes on, nothing expires early or late, and a replay sees the same.
//!
//! The real-time clock jumps by up to an hour, freezes and goes back; the steady clock freezes and now and then goes back
//! for a reading, which it never should. `JOULEBOOK_CLOCK_RUNS` says how many runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use joulebook_protocol::messages::{NewOrder, SessionClosed};
use joulebook_sequencer::{Clock, ExchangeClock, RawClock, SLEW_DIVISOR};
use joulebook_testkit::{Xoshiro256pp, size};
use joulebook_types::*;

use crate::rig::{BUYERS, OPERATOR, Rig, bid, hour, replay};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// 2026-11-24T09:00Z.
const START_NS: u64 = 1_795_510_800 * SECOND;
const STEPS: u64 = 120;

/// A machine whose clocks are played with.
#[derive(Default)]
struct Machine {
    steady_ns: u64,
    real_offset_ns: i64,
    /// What the real-time clock says for as long as it stands still.
    frozen_real_ns: Option<u64>,
    /// By how much readings of the steady clock are too low now.
    steady_lag_ns: u64,
    /// The highest reading of the steady clock: nothing else can be known of the time that has passed.
    steady_read_ns: u64,
}

#[derive(Clone)]
struct Clocks(Rc<RefCell<Machine>>);

impl RawClock for Clocks {
    fn real_ns(&mut self) -> u64 {
        let machine = self.0.borrow();
        let running = (START_NS + machine.steady_ns).saturating_add_signed(machine.real_offset_ns);
        machine.frozen_real_ns.unwrap_or(running)
    }

    fn steady_ns(&mut self) -> u64 {
        let mut machine = self.0.borrow_mut();
        let reading = machine.steady_ns.saturating_sub(machine.steady_lag_ns);
        machine.steady_read_ns = machine.steady_read_ns.max(reading);
        reading
    }
}

/// The exchange's clock, which the test may read too.
#[derive(Clone)]
struct Shared(Rc<RefCell<ExchangeClock<Clocks>>>);

impl Shared {
    fn starting_after(machine: &Rc<RefCell<Machine>>, last: TimeNs) -> Self {
        Self(Rc::new(RefCell::new(ExchangeClock::starting_after(Clocks(Rc::clone(machine)), last))))
    }
}

impl Clock for Shared {
    fn now(&mut self) -> TimeNs {
        self.0.borrow_mut().now()
    }
}

/// Something that exchange time will bring, and when it was said.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: TimeNs,
    said_at: TimeNs,
    said_steady_ns: u64,
}

/// How far exchange time may be off after so much steady time.
fn slew_max(passed_ns: u64) -> u64 {
    passed_ns.div_ceil(SLEW_DIVISOR)
}

impl Deadline {
    /// It may have come: exchange time was not faster than it may be.
    fn may_be_due(&self, steady_ns: u64) -> bool {
        let passed = steady_ns - self.said_steady_ns;
        self.at.raw() - self.said_at.raw() <= passed + slew_max(passed)
    }

    /// It must have come: exchange time was not slower than it may be.
    fn must_be_due(&self, steady_ns: u64) -> bool {
        let passed = steady_ns - self.said_steady_ns;
        self.at.raw() - self.said_at.raw() <= passed - slew_max(passed)
    }
}

#[derive(Clone, Copy)]
struct Order {
    session: u32,
    expires: Option<Deadline>,
    instrument: usize,
}

struct Listed {
    id: InstrumentId,
    gate: Deadline,
}

/// One run of one exchange on one machine.
struct Run {
    random: Xoshiro256pp,
    machine: Rc<RefCell<Machine>>,
    clock: Shared,
    rig: Rig<Shared>,
    ids: BTreeMap<(u32, u32), u64>,
    connections: u64,
    orders: BTreeMap<OrderId, Order>,
    listed: Vec<Listed>,
    /// Sessions of the first buyer that nobody is logged on to, with the end of their grace if they have any.
    away: BTreeMap<u32, Option<Deadline>>,
    seen: Seen,
}

/// What happened, so that a run in which nothing happens is noticed.
#[derive(Default, Debug)]
struct Seen {
    expired: u64,
    gates: u64,
    graces: u64,
    restarts: u64,
    jumps: u64,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.expired += other.expired;
        self.gates += other.gates;
        self.graces += other.graces;
        self.restarts += other.restarts;
        self.jumps += other.jumps;
    }
}

/// The first session's orders go some time after its connection, the second's stay.
const GRACE_MS: u32 = 20_000;
const TRADER: u32 = BUYERS[0];

impl Run {
    fn new(seed: u64) -> Self {
        let machine = Rc::new(RefCell::new(Machine::default()));
        let clock = Shared::starting_after(&machine, TimeNs::ZERO);
        let mut run = Self {
            random: Xoshiro256pp::from_seed(seed),
            machine,
            rig: Rig::new(clock.clone()),
            clock,
            ids: BTreeMap::new(),
            connections: 1,
            orders: BTreeMap::new(),
            listed: Vec::new(),
            away: BTreeMap::new(),
            seen: Seen::default(),
        };
        run.log_on(1);
        run.log_on(2);
        run.list();
        run
    }

    fn now(&mut self) -> TimeNs {
        self.clock.now()
    }

    fn deadline(&mut self, at: TimeNs) -> Deadline {
        let said_at = self.now();
        Deadline { at, said_at, said_steady_ns: self.machine.borrow().steady_read_ns }
    }

    fn next_id(&mut self, account: u32, session: u32) -> u64 {
        let last = self.ids.entry((account, session)).or_default();
        *last += 1;
        *last
    }

    fn log_on(&mut self, session: u32) {
        self.connections += 1;
        let grace_ms = if session == 1 { GRACE_MS } else { u32::MAX };
        self.rig.log_on(TRADER, session, self.connections, grace_ms);
        // What was due comes with this batch, before the logon.
        self.check();
        self.away.remove(&session);
    }

    fn hang_up(&mut self, session: u32) {
        let state = self.rig.core.engine().session(AccountId::new(TRADER), SessionId::new(session));
        let connection = state.expect("it logged on").connection;
        if !connection.is_none() {
            self.rig.send(TRADER, session, SessionClosed { connection, reason: 9, ..Default::default() });
            self.rig.settle();
            let grace = self.grace(session);
            self.away.insert(session, grace);
        }
    }

    /// The grace of a connection that is lost now.
    fn grace(&mut self, session: u32) -> Option<Deadline> {
        let ends = self.now().saturating_add_ms(GRACE_MS);
        (session == 1).then(|| self.deadline(ends))
    }

    fn list(&mut self) {
        if self.listed.len() == 150 {
            return;
        }
        // Each an hour of its own, all of them later than the run may come.
        let start_minute = TimeNs::new(START_NS + 100 * HOUR).minutes() + 60 * self.listed.len() as u32;
        let gate = self.now().saturating_add_ms(self.random.between(1_000, 5_400_000) as u32);
        let id = self.next_id(OPERATOR, 9);
        self.rig.send(OPERATOR, 9, hour(id, start_minute, gate));
        self.rig.settle();
        let id = self.rig.core.engine().instruments().last().expect("listed").instrument;
        assert_eq!(id.raw() as usize, self.listed.len() + 1, "refused");
        let gate = self.deadline(gate);
        self.listed.push(Listed { id, gate });
    }

    fn order(&mut self) {
        let session = self.random.between(1, 2) as u32;
        if self.away.contains_key(&session) || self.orders.len() == 200 {
            return;
        }
        let id = self.next_id(TRADER, session);
        let instrument = self.random.below(self.listed.len() as u64) as usize;
        let mut order = bid(id, self.listed[instrument].id, 1 + id as u32 % 5, 2 + (id % 50) as i64);
        let expires = self.now().saturating_add_ms(self.random.between(1, 1_800_000) as u32);
        let is_dated = self.random.chance(3, 4);
        if is_dated {
            order = NewOrder { time_in_force: TimeInForce::Gtd.raw(), expires, ..order };
        }
        let before = self.rig.core.engine().last_order_id();
        self.rig.send(TRADER, session, order);
        self.rig.settle();
        let order_id = self.rig.core.engine().last_order_id();
        if before < order_id {
            let expires = is_dated.then(|| self.deadline(expires));
            self.orders.insert(order_id, Order { session, expires, instrument });
        }
    }

    /// Lets time pass, mostly little.
    fn wait(&mut self) {
        let scale = *self.random.pick(&[1_000, 1_000_000, SECOND, 10 * SECOND, MINUTE, 10 * MINUTE]);
        let passed = self.random.below(scale);
        let mut machine = self.machine.borrow_mut();
        machine.steady_ns += passed;
        if self.random.chance(1, 2) {
            machine.steady_lag_ns = 0;
        }
    }

    /// Somebody plays with the clocks.
    fn jump(&mut self) {
        let mut machine = self.machine.borrow_mut();
        self.seen.jumps += 1;
        match self.random.below(7) {
            0 => machine.real_offset_ns = HOUR as i64,
            1 => machine.real_offset_ns = -(HOUR as i64),
            2 => machine.real_offset_ns += self.random.between(0, 2 * HOUR) as i64 - HOUR as i64,
            3 => machine.real_offset_ns = 0,
            4 => machine.frozen_real_ns = Some(START_NS + machine.steady_ns),
            5 => machine.frozen_real_ns = None,
            _ => machine.steady_lag_ns = self.random.below(SECOND),
        }
    }

    /// The power goes, the exchange comes back, and its clock starts anew at whatever real time is then: what is due counts
    /// from here.
    fn restart(&mut self) {
        self.seen.restarts += 1;
        self.machine.borrow_mut().steady_lag_ns = 0;
        let (random, machine) = (&mut self.random, &self.machine);
        let mut clock = None;
        let start = |last| clock.insert(Shared::starting_after(machine, last)).clone();
        self.rig.restart(|_| random.chance(1, 2), None, start);
        self.clock = clock.expect("a recovery starts a clock");
        let now = self.now();
        let from_here = self.deadline(now);
        let count_from_here = |deadline: &mut Deadline| {
            *deadline = Deadline { at: deadline.at.max(from_here.at), ..from_here };
        };
        self.listed.iter_mut().for_each(|listed| count_from_here(&mut listed.gate));
        self.orders.values_mut().filter_map(|order| order.expires.as_mut()).for_each(count_from_here);
        for session in [1, 2] {
            // Who was logged on is given the grace of a lost connection.
            let grace = self.grace(session);
            self.away.entry(session).or_insert(grace).iter_mut().for_each(count_from_here);
        }
        self.connections += 1;
        self.rig.log_on(OPERATOR, 9, self.connections, u32::MAX);
    }

    /// Compares what is gone with what may be, and what is there with what must be gone.
    fn check(&mut self) {
        self.rig.settle();
        let engine = self.rig.core.engine();
        let steady_ns = self.machine.borrow().steady_read_ns;
        for listed in &self.listed {
            let phase = engine.instrument(listed.id).expect("listed").phase;
            if phase == Phase::Open.raw() {
                assert!(!listed.gate.must_be_due(steady_ns), "a gate is late: {:?}", listed.gate);
            } else {
                assert!(listed.gate.may_be_due(steady_ns), "a gate closed early: {:?}", listed.gate);
            }
        }
        let (listed, away, seen) = (&self.listed, &self.away, &mut self.seen);
        self.orders.retain(|id, order| {
            let ends = [
                order.expires,
                Some(listed[order.instrument].gate),
                away.get(&order.session).copied().flatten(),
            ];
            if engine.open_order(*id).is_some() {
                let is_late = ends.iter().flatten().any(|end| end.must_be_due(steady_ns));
                assert!(!is_late, "order {id} is late to go: {ends:?}");
                return true;
            }
            let due = ends.map(|end| end.is_some_and(|end| end.may_be_due(steady_ns)));
            assert!(due.contains(&true), "order {id} went early: {ends:?}");
            for (count, due) in [&mut seen.expired, &mut seen.gates, &mut seen.graces].into_iter().zip(due) {
                *count += u64::from(due);
            }
            false
        });
    }

    fn play(&mut self) {
        for _ in 0..STEPS {
            match self.random.below(20) {
                0..7 => self.wait(),
                7..9 => self.jump(),
                9..14 => self.order(),
                14 => self.list(),
                15 => self.hang_up(1),
                16 => self.hang_up(2),
                17 => self.log_on(1),
                18 => self.log_on(2),
                _ => {
                    if self.random.chance(1, 4) {
                        self.restart();
                    }
                }
            }
            self.check();
        }
        let live = self.rig.core.engine();
        live.recount().expect("everything adds up");
        let mut times = Vec::new();
        let replayed = replay(&self.rig.storage, |time, _| times.push(time));
        assert!(times.is_sorted(), "a batch has an earlier time than the one before it");
        assert_eq!(replayed.last_seq(), live.last_seq());
        assert_eq!(replayed.state_hash(), live.state_hash(), "a replay comes to another state");
        assert_eq!(replayed.event_chain_hash(), live.event_chain_hash(), "a replay says something else");
    }
}

#[test]
fn nothing_is_early_or_late_and_a_replay_agrees_whatever_the_clocks_do() {
    let runs = size("JOULEBOOK_CLOCK_RUNS", 200);
    let mut seen = Seen::default();
    for seed in 0..runs {
        let run = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            run.play();
            run.seen
        });
        let run = run.unwrap_or_else(|cause| {
            eprintln!("the clocks of seed {seed}");
            std::panic::resume_unwind(cause)
        });
        seen.add(&run);
    }
    println!("{runs} runs: {seen:?}");
    let Seen { expired, gates, graces, restarts, jumps } = seen;
    let least = runs / 2;
    assert!([expired, gates, graces, restarts, jumps].iter().all(|count| least < *count), "{seen:?}");
}
