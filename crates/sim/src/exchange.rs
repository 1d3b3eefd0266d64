//! The exchange's process: started, turned and stopped as the daemon does it, on simulated hardware.

mod actor;
mod follower;
mod recovery;

use std::sync::Arc;

use joulebook_engine::Engine;
use joulebook_gateway::{
    CoreLink, Entropy, Gateway, GatewayConfig, GatewayLimits, Listener, Listeners, NoEntropy,
};
use joulebook_journal::{CommandLog, LogFault, SnapshotName, Term};
use joulebook_metrics::ServerMetrics;
use joulebook_protocol::Command;
use joulebook_protocol::pipe::{CommandSlot, EventFrame};
use joulebook_rings::{Doorbell, Gate, ring};
use joulebook_sequencer::{Clock, Core, Egress, EgressKind, ExchangeClock, NoObserver, SLEW_DIVISOR, Turn};
use joulebook_session::{Now, SessionLimits};
use joulebook_types::TimeNs;

use crate::checks::{Check, Violation};
use crate::client::LEAF_SHA256;
use crate::clock::Clocks;
use crate::dice::Dice;
use crate::disk::SimDisk;
use crate::exchange::actor::Actor;
use crate::exchange::follower::{Followed, Follower};
use crate::net::{Endpoint, EndpointConfig, Fabric, Host};
use crate::scene::Scene;

pub use follower::SnapshotPlan;
pub use recovery::{Medium, Recovered, SHARD, StartError, recover, recover_disk};

/// Where everybody but the operator finds the exchange.
pub const PUBLIC: Host = 1;
/// Where the operator does.
pub const OPERATORS: Host = 2;

/// How the exchange is set up.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeConfig {
    /// Gateway and core on one thread, or each on its own.
    pub is_inline: bool,
    pub command_slots: usize,
    pub event_slots: usize,
    /// Bytes that a session may leave unread.
    pub unread_bytes: usize,
    pub orders_per_s: u32,
    pub window_bytes: u32,
    /// Turns in a million after which the thread does not run for a while.
    pub stalls_ppm: u32,
}

/// A running process.
pub struct Exchange {
    scene: Scene,
    dice: Dice,
    config: ExchangeConfig,
    clocks: Clocks,
    time: ExchangeClock<Clocks>,
    /// Both at the start: exchange time, and the steady clock.
    began: (u64, u64),
    /// The newest reading of the steady clock: one that goes back is not believed.
    steady_ns: u64,
    fabric: Fabric,
    gateway: Gateway<Endpoint>,
    core: Core<Box<dyn CommandLog>, ExchangeClock<Clocks>, NoObserver>,
    /// The gateway's thread, and the only one when both run inline.
    front: Actor,
    back: Actor,
    /// The shadow's thread, if snapshots are taken.
    follower: Option<Follower>,
    order_gate: Arc<Gate>,
    doors: Arc<Gate>,
    stop: Stop,
}

/// How far a clean stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    /// What was received is finished first.
    Settling {
        patience_until: u64,
    },
    /// The sessions are told; they have until then.
    Goodbye {
        until: u64,
    },
    Closing,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Running,
    /// The log failed; the process ends.
    Faulted(LogFault),
    /// A clean stop is complete.
    Stopped,
    /// The process died by itself, in the middle of something.
    Died,
}

const SETTLE_NS: u64 = 1_000_000_000;
const GOODBYE_NS: u64 = 2_000_000_000;
const FULL_RING_RETRY_NS: u64 = 1_000_000;
const STOPPING_RETRY_NS: u64 = 5_000_000;
/// Each reading of the clock may round by one.
const READINGS_NS: u64 = 1_000;
/// What a turn takes.
const TURN_NS: (u64, u64) = (500, 20_000);
const STALL_NS: (u64, u64) = (100_000, 300_000_000);

impl Exchange {
    /// Opens the doors of a recovered exchange. `first` goes into the journal before all else.
    pub fn start(
        (scene, mut dice): (Scene, Dice),
        config: ExchangeConfig,
        clocks: Clocks,
        fabric: Fabric,
        recovered: Recovered,
        first: &[Command],
    ) -> Self {
        let Recovered { engine, log, .. } = recovered;
        let (front, back) = (Actor::new(scene.now()), Actor::new(scene.now()));
        let mut time = ExchangeClock::starting_after(clocks.clone(), engine.time());
        let (commands, ingress) = ring::<CommandSlot>(config.command_slots);
        let (to_gateway, events) = ring::<EventFrame>(config.event_slots);
        let (order_gate, doors) = (Arc::new(Gate::open()), Arc::new(Gate::shut()));
        let link = CoreLink {
            commands,
            core_bell: back.bell(),
            events,
            order_gate: Arc::clone(&order_gate),
            metrics: ServerMetrics::new(1).gateway(0),
        };
        let listener = |host| {
            let endpoint =
                EndpointConfig { window_bytes: config.window_bytes, ..EndpointConfig::new(host, true) };
            Listener { network: Endpoint::new(fabric.clone(), endpoint), leaf_sha256: LEAF_SHA256 }
        };
        let listeners = Listeners { public: listener(PUBLIC), operator: Some(listener(OPERATORS)) };
        let steady_ns = clocks.steady_ns();
        let now = Now { steady: TimeNs::new(steady_ns), wall: time.now() };
        let began = (now.wall.raw(), steady_ns);
        let entropy = Box::new(SimEntropy(Dice::new(dice.bits(), 0)));
        let gateway = Gateway::new(gateway_config(config, now), listeners, link, entropy, now);
        let mut gateway = gateway.expect("the simulated machine has what a gateway needs");
        gateway.open_doors_at(Arc::clone(&doors));
        let egress = Egress { kind: EgressKind::Gateway, ring: to_gateway, bell: front.bell() };
        let mut core = Core::new(engine, log, TERM, time.clone(), NoObserver, vec![ingress], vec![egress]);
        core.submit_system(first);
        let stop = Stop::No;
        Self {
            scene,
            dice,
            config,
            clocks,
            time,
            began,
            steady_ns,
            fabric,
            gateway,
            core,
            front,
            back,
            follower: None,
            order_gate,
            doors,
            stop,
        }
    }

    /// Lets a shadow follow the journal.
    pub fn follow(&mut self, disk: SimDisk, plan: SnapshotPlan, recovered: &Began) -> Result<(), Violation> {
        let parts = (self.scene.clone(), Dice::new(self.dice.bits(), 0));
        let Began { snapshot, damaged } = recovered.clone();
        self.follower = Some(Follower::begin(parts, disk, plan, snapshot, damaged)?);
        Ok(())
    }

    pub fn engine(&self) -> &Engine {
        self.core.engine()
    }

    /// What the core believes to be durable.
    pub fn committed(&self) -> joulebook_types::SeqNum {
        self.core.committed()
    }

    /// Everything that came in is durable and told.
    pub fn is_settled(&mut self) -> bool {
        let is_heard = self.gateway.networks().all(Endpoint::is_quiet);
        self.core.is_settled() && !self.gateway.has_work() && is_heard
    }

    /// For people.
    pub fn describe(&mut self) -> String {
        format!(
            "exchange: stop {:?}, front {:?}, back {:?}, settled {}, streams {}, last {} committed {}",
            self.stop,
            self.front,
            self.back,
            self.core.is_settled(),
            self.gateway.open_streams(),
            self.core.engine().last_seq(),
            self.core.committed()
        )
    }

    /// Exchange time since the start is the steady clock's, give or take what it may be slewed by.
    pub fn check_time(&mut self) -> Result<(), Violation> {
        self.steady_ns = self.steady_ns.max(self.clocks.steady_ns());
        let (exchange, steady) = (self.time.now().raw() - self.began.0, self.steady_ns - self.began.1);
        let off_max = steady / SLEW_DIVISOR + READINGS_NS;
        Check::Time.that(exchange.abs_diff(steady) <= off_max, || {
            format!("in {steady} ns of steady time, exchange time went {exchange} ns")
        })
    }

    /// No thread of it stalls any more.
    pub fn heal(&mut self) {
        self.config.stalls_ppm = 0;
        self.follower.iter_mut().for_each(Follower::heal);
        self.wake();
    }

    /// Stops politely.
    pub fn begin_stop(&mut self) {
        if self.stop == Stop::No {
            self.stop = Stop::Settling { patience_until: self.scene.now() + SETTLE_NS };
            self.wake();
        }
    }

    /// Something came for one of its sockets, or the disk is done: whoever sleeps looks.
    pub fn wake(&mut self) {
        let now = self.scene.now();
        self.front.wake(now);
        self.back.wake(now);
    }

    /// When it runs next.
    pub fn next_event(&self) -> Option<u64> {
        let back = if self.config.is_inline { None } else { self.back.next_event() };
        let follower = self.follower.as_ref().and_then(Follower::next_event);
        [self.front.next_event(), back, follower].into_iter().flatten().min()
    }

    /// Lets run whoever's time has come.
    pub fn step(&mut self) -> Result<Step, Violation> {
        let step = self.step_threads();
        let committed = self.core.committed();
        let Some(follower) = &mut self.follower else { return Ok(step) };
        follower.on_committed(committed);
        match follower.step(committed)? {
            Followed::Nothing => {}
            Followed::Compact(upto) => {
                self.scene.count("compactions");
                if let Err(error) = self.core.compact(upto) {
                    return Check::Snapshot.broken(format!("the log does not compact: {error}"));
                }
                self.back.wake(self.scene.now());
                self.front.wake(self.scene.now());
            }
            Followed::Dies => return Ok(Step::Died),
        }
        Ok(step)
    }

    fn step_threads(&mut self) -> Step {
        let now = self.scene.now();
        if self.config.is_inline {
            if self.front.is_due(now) {
                return self.step_inline();
            }
            return Step::Running;
        }
        if self.front.is_due(now) {
            self.step_gateway();
        }
        if self.back.is_due(now) {
            return self.step_core();
        }
        Step::Running
    }

    fn step_inline(&mut self) -> Step {
        self.front.begin();
        let mut moved = self.turn_gateway();
        match self.turn_core() {
            Turn::Busy => moved = true,
            Turn::Idle => {}
            Turn::Faulted => return self.faulted(),
        }
        let stopped = self.go_on_stopping(&mut moved);
        let is_awake = moved || self.gateway.has_work();
        let until = [self.gateway_deadline(), self.core_deadline(), self.stop_deadline()];
        self.end_turn(true, is_awake, until.into_iter().flatten().min());
        if stopped { Step::Stopped } else { Step::Running }
    }

    fn step_gateway(&mut self) {
        self.front.begin();
        let moved = self.turn_gateway();
        let mut is_awake = moved;
        if !moved {
            self.front.prepare_sleep();
            is_awake = self.gateway.has_work();
        }
        let until = self.gateway_deadline();
        self.end_turn(true, is_awake, until);
    }

    fn step_core(&mut self) -> Step {
        self.back.begin();
        let mut moved = match self.turn_core() {
            Turn::Busy => true,
            Turn::Idle => false,
            Turn::Faulted => return self.faulted(),
        };
        let stopped = self.go_on_stopping(&mut moved);
        let mut is_awake = moved;
        if !moved {
            self.back.prepare_sleep();
            is_awake = self.core.has_work();
        }
        let until = [self.core_deadline(), self.stop_deadline()].into_iter().flatten().min();
        self.end_turn(false, is_awake, until);
        if stopped { Step::Stopped } else { Step::Running }
    }

    fn turn_gateway(&mut self) -> bool {
        self.steady_ns = self.steady_ns.max(self.clocks.steady_ns());
        let now = Now { steady: TimeNs::new(self.steady_ns), wall: self.time.now() };
        self.scene.count("gateway turns");
        self.gateway.turn(now)
    }

    fn turn_core(&mut self) -> Turn {
        self.scene.count("core turns");
        let turn = self.core.turn();
        self.order_gate.set(!self.core.is_read_only());
        if !self.doors.is_open() && self.core.is_settled() {
            self.doors.set(true);
            self.front.wake(self.scene.now());
        }
        turn
    }

    fn end_turn(&mut self, is_front: bool, is_awake: bool, until: Option<u64>) {
        let now = self.scene.now();
        let mut took = self.dice.between(TURN_NS.0, TURN_NS.1);
        if self.dice.ppm(self.config.stalls_ppm) {
            self.scene.count("threads stalled");
            took = self.dice.spread(STALL_NS.0, STALL_NS.1);
        }
        let actor = if is_front { &mut self.front } else { &mut self.back };
        actor.end(now + took, is_awake, until);
    }

    fn gateway_deadline(&self) -> Option<u64> {
        self.gateway.next_timeout().map(|at| self.clocks.world_at(at.raw()))
    }

    fn core_deadline(&mut self) -> Option<u64> {
        let now = self.scene.now();
        let retry = self.core.is_behind().then_some(now + FULL_RING_RETRY_NS);
        // Exchange time is slewed: what it says to be a wait may be a little more.
        let wait = self.core.next_wait_ns().map(|wait| now.saturating_add(wait));
        [retry, wait].into_iter().flatten().min()
    }

    fn stop_deadline(&self) -> Option<u64> {
        match self.stop {
            Stop::No | Stop::Closing => None,
            Stop::Settling { patience_until } => Some(patience_until),
            // A gateway that ends rings no bell: look again soon.
            Stop::Goodbye { until } => Some(until.min(self.scene.now() + STOPPING_RETRY_NS)),
        }
    }

    /// True when the stop is complete.
    fn go_on_stopping(&mut self, moved: &mut bool) -> bool {
        let now = self.scene.now();
        match self.stop {
            Stop::No => false,
            Stop::Settling { patience_until } => {
                if (!*moved && self.core.is_settled()) || patience_until <= now {
                    self.gateway.begin_shutdown();
                    self.front.wake(now);
                    self.stop = Stop::Goodbye { until: now + GOODBYE_NS };
                    *moved = true;
                }
                false
            }
            Stop::Goodbye { until } => {
                if self.gateway.is_finished() || until <= now {
                    self.core.begin_shutdown();
                    self.core.close_log();
                    self.stop = Stop::Closing;
                    *moved = true;
                }
                false
            }
            Stop::Closing => self.core.is_closed(),
        }
    }

    fn faulted(&self) -> Step {
        let fault = self.core.fault().cloned();
        Step::Faulted(fault.unwrap_or(LogFault::NotSupported("an end without a fault")))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.fabric.forget(PUBLIC);
        self.fabric.forget(OPERATORS);
    }
}

/// Where a recovery began.
#[derive(Clone, Debug, Default)]
pub struct Began {
    pub snapshot: Option<SnapshotName>,
    pub damaged: Vec<SnapshotName>,
}

/// The one term of a journal of one node.
pub const TERM: Term = Term::new(1);

fn gateway_config(config: ExchangeConfig, now: Now) -> GatewayConfig {
    let session = SessionLimits {
        orders_per_s: config.orders_per_s,
        order_burst: config.orders_per_s,
        cancels_per_s: config.orders_per_s.saturating_mul(2),
        cancel_burst: config.orders_per_s.saturating_mul(2),
        unsent_bytes_max: config.unread_bytes,
        ..SessionLimits::default()
    };
    let limits = GatewayLimits {
        session,
        sessions_max: 64,
        feed_backlog_bytes: config.unread_bytes / 4,
        ..GatewayLimits::default()
    };
    GatewayConfig { number: 0, limits, feed_epoch: now.wall.raw() }
}

struct SimEntropy(Dice);

impl Entropy for SimEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.0.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Shared with the gateway, as the daemon's doorbells are.
type Bell = Arc<Doorbell>;
