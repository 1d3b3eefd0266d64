//! A run: all parts in one thread, in the order of their times.

mod finish;
mod life;
mod troubles;

use std::collections::BTreeMap;
use std::rc::Rc;

use joulebook_types::{AccountId, SeqNum, SessionId, TimeNs};
use ring::signature::Ed25519KeyPair;

use crate::audit::Audit;
use crate::checks::{Check, Violation};
use crate::client::{Client, ClientPlace, Habits};
use crate::clock::Clocks;
use crate::dice::Dice;
use crate::disk::SimDisk;
use crate::exchange::{Exchange, OPERATORS, PUBLIC};
use crate::flow::{self, OPERATOR, START_MINUTE, TRADERS};
use crate::log::SimStore;
use crate::net::{Fabric, Host, NetProfile};
use crate::plan::{Plan, part};
use crate::scan::Scanner;
use crate::scene::{Counts, Scene};
use crate::world::troubles::Troubles;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    pub violation: Option<Violation>,
    /// Of everything that happened.
    pub trace_hash: [u64; 2],
    /// Of the engine's events and state at the end; zeros when the run failed.
    pub event_hash: [u64; 2],
    pub state_hash: [u8; 32],
    pub commands: u64,
    /// Virtual time.
    pub duration_ns: u64,
    pub counts: Counts,
    /// The trace, if it was to be kept.
    pub lines: Vec<String>,
}

/// The simulated world.
pub(crate) struct World {
    plan: Plan,
    scene: Scene,
    clocks: Clocks,
    fabric: Fabric,
    disk: SimDisk,
    store: SimStore,
    /// Batches of the store that were taken in.
    store_read: usize,
    scanner: Scanner,
    audit: Audit,
    exchange: Option<Exchange>,
    /// When the exchange, being down, is started.
    start_at: u64,
    starts: u64,
    exchange_dice: Dice,
    /// What is done about a disk that failed.
    fault_dice: Dice,
    flips: Dice,
    keys: BTreeMap<AccountId, Rc<Ed25519KeyPair>>,
    clients: Vec<Client>,
    by_host: BTreeMap<Host, usize>,
    /// Clients that something came to.
    touched: Vec<usize>,
    troubles: Troubles,
    /// Nothing goes wrong any more.
    is_healed: bool,
    turns: u64,
}

/// The first client's machine.
const FIRST_HOST: Host = 10;
/// More steps than any run needs.
const TURNS_MAX: u64 = 20_000_000;
/// After the last trouble, everything must be answered in this time.
const PATIENCE_NS: u64 = 120_000_000_000;

/// Runs a plan. With `recording`, the text of the trace is kept.
pub fn run(plan: &Plan, recording: bool) -> Outcome {
    let scene = Scene::new(recording);
    let mut world = World::new(plan.clone(), scene.clone());
    // A part of the world may be left half done; nothing but plain numbers is read of it afterwards.
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.play()));
    let violation = match played {
        Ok(result) => result.err(),
        Err(panic) => Some(Violation { check: Check::Assertion, what: words_of(&*panic) }),
    };
    let engine = world.audit.engine();
    let state_hash = if violation.is_none() { engine.state_hash() } else { [0; 32] };
    Outcome {
        seed: plan.seed,
        trace_hash: scene.hash(),
        event_hash: engine.event_chain_hash(),
        state_hash,
        commands: engine.last_seq().raw(),
        duration_ns: scene.now(),
        violation,
        counts: scene.counts(),
        lines: scene.lines(),
    }
}

fn words_of(panic: &(dyn core::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".into())
}

impl World {
    fn new(plan: Plan, scene: Scene) -> Self {
        let seed = plan.seed;
        let epoch_ns = TimeNs::from_minutes(START_MINUTE - plan.lead_minutes).raw();
        let clocks = Clocks::new(scene.time.clone(), epoch_ns);
        let fabric = Fabric::new(scene.clone(), Dice::new(seed, part::NET), plan.net);
        let disk = SimDisk::new(scene.clone(), Dice::new(seed, part::DISK), plan.disk);
        let troubles = Troubles::new(Dice::new(seed, part::TROUBLES), &plan);
        let mut world = Self {
            scene,
            clocks,
            fabric,
            disk,
            store: SimStore::default(),
            store_read: 0,
            scanner: Scanner::default(),
            audit: Audit::new(),
            exchange: None,
            start_at: 0,
            starts: 0,
            exchange_dice: Dice::new(seed, part::EXCHANGE),
            fault_dice: Dice::new(seed, part::FAULTS),
            flips: Dice::new(seed, part::FLIPS),
            keys: make_keys(seed),
            clients: Vec::new(),
            by_host: BTreeMap::new(),
            touched: Vec::new(),
            troubles,
            is_healed: false,
            turns: 0,
            plan,
        };
        world.people(epoch_ns);
        world
    }

    /// The operator, and traders whose accounts and sessions follow each other.
    fn people(&mut self, epoch_ns: u64) {
        let mut opening = Dice::new(self.plan.seed, part::OPENING);
        for index in 0..=self.plan.clients {
            let mut dice = Dice::new(self.plan.seed, part::CLIENTS + index as u64);
            let is_operator = index == 0;
            let who = if is_operator {
                (OPERATOR, SessionId::new(1))
            } else {
                let trader = TRADERS[(index - 1) % TRADERS.len()];
                (trader, SessionId::new(1 + ((index - 1) / TRADERS.len()) as u32))
            };
            let host = FIRST_HOST + index as Host;
            let key = Rc::clone(&self.keys[&who.0]);
            let server = if is_operator { OPERATORS } else { PUBLIC };
            let place = ClientPlace { host, server, who, key, epoch_ns };
            let requests = if is_operator { self.plan.requests / 4 } else { self.plan.requests };
            let habits = Habits::draw(&mut dice, requests, self.plan.gap_ns);
            let mut client = Client::new(self.scene.clone(), self.fabric.clone(), dice, place, habits);
            if is_operator {
                flow::opening(&mut opening).into_iter().for_each(|job| client.give_job(job));
            } else {
                for number in 0..3 {
                    let accelerators = opening.between(10, 120) as u32;
                    client.give_job(Box::new(move |id| flow::registration(id, number, accelerators)));
                }
            }
            self.by_host.insert(host, self.clients.len());
            self.clients.push(client);
        }
    }

    fn play(&mut self) -> Result<(), Violation> {
        let horizon = self.plan.horizon_ns;
        while !(self.is_over() || horizon <= self.scene.now()) {
            self.turn(horizon)?;
        }
        self.finish()
    }

    /// Nobody has anything more to do on his own account.
    fn is_over(&self) -> bool {
        self.clients.iter().all(|client| client.is_done() && client.is_settled())
    }

    /// Goes to the next moment at which anything happens, and lets it happen.
    fn turn(&mut self, limit: u64) -> Result<(), Violation> {
        self.turns += 1;
        Check::Liveness.that(self.turns < TURNS_MAX, || "the run does not come to an end".into())?;
        let now = self.scene.now();
        let next = self.next_event().unwrap_or(limit).clamp(now, limit.max(now));
        self.scene.time.advance_to(next);

        let (touched, by_host) = (&mut self.touched, &self.by_host);
        let mut for_exchange = false;
        self.fabric.deliver(|host| match by_host.get(&host) {
            Some(index) => touched.push(*index),
            None => for_exchange = true,
        });
        if self.disk.take_wake() {
            for_exchange = true;
            self.scan()?;
        }
        if !self.is_healed {
            self.trouble()?;
        }
        if for_exchange && let Some(exchange) = &mut self.exchange {
            exchange.wake();
        }
        self.run_exchange()?;
        self.run_clients()
    }

    fn next_event(&self) -> Option<u64> {
        let exchange = match &self.exchange {
            Some(exchange) => exchange.next_event(),
            None => Some(self.start_at),
        };
        let clients = self.clients.iter().filter_map(Client::next_event).min();
        let trouble = if self.is_healed { None } else { self.troubles.next_event() };
        let parts = [exchange, clients, trouble, self.fabric.next_event(), self.disk.next_event()];
        parts.into_iter().flatten().min()
    }

    fn run_clients(&mut self) -> Result<(), Violation> {
        let now = self.scene.now();
        let mut touched = core::mem::take(&mut self.touched);
        for (index, client) in self.clients.iter().enumerate() {
            if client.next_event().is_some_and(|at| at <= now) {
                touched.push(index);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for index in touched.drain(..) {
            self.clients[index].step(&mut self.audit)?;
        }
        self.touched = touched;
        Ok(())
    }

    /// Takes in what has become durable.
    fn scan(&mut self) -> Result<(), Violation> {
        let batches = match self.plan.store {
            None => self.scanner.next(&self.disk),
            Some(_) => self.store.committed(self.store_read),
        };
        self.store_read += batches.len();
        for batch in batches {
            self.scene.count("durable batches");
            self.scene.count_many("durable commands", batch.records.len() as u64);
            self.scene.note("durable", &[batch.first_seq.raw(), batch.time.raw()], || {
                format!("{} and {} more", batch.first_seq, batch.records.len() - 1)
            });
            self.audit.apply(&batch)?;
        }
        Ok(())
    }

    /// The core lets nothing out that is not on the disk.
    fn check_committed(&self) -> Result<(), Violation> {
        let committed = self.exchange.as_ref().map_or(SeqNum::NONE, Exchange::committed);
        let durable = self.audit.last_seq();
        Check::DurableBeforeAnswer.that(committed <= durable, || {
            format!(
                "the core lets out what came of command {committed}, and {durable} is the last durable one"
            )
        })
    }
}

fn make_keys(seed: u64) -> BTreeMap<AccountId, Rc<Ed25519KeyPair>> {
    let mut dice = Dice::new(seed, part::KEYS);
    let accounts = TRADERS.into_iter().chain([OPERATOR]);
    let pair = |_| {
        let mut seed = [0; 32];
        seed.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&dice.bits().to_le_bytes()));
        Rc::new(Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed"))
    };
    accounts
        .map(pair)
        .zip(TRADERS.into_iter().chain([OPERATOR]))
        .map(|(key, account)| (account, key))
        .collect()
}

impl NetProfile {
    /// What is left of it when nothing goes wrong any more.
    fn healed(self) -> Self {
        Self { lost_ppm: 0, doubled_ppm: 0, late_ppm: 0, ..self }
    }
}
