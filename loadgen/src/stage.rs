//! A run from curtain to curtain: start the exchange, set up its market, load it, read the meters, stop it.

use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use joulebook_agents::price_war::{Participant, PriceWar};
use joulebook_types::{InstrumentId, MicroEc, Role, TimeNs, Window};

use crate::BenchError;
use crate::environment::{cpu_ns_of, stolen_ticks};
use crate::exchange::{Ack, Exchange, ExchangeOptions};
use crate::hot::{Flow, HotClient, Pace, RunEnd};
use crate::market::{Admin, Listing, connect, is_taken, request_done};
use crate::mix::{Mix, MixShape, TICK};
use crate::plan::{Plan, Planned};
use crate::recorder::Recorder;
use crate::report::{ExchangeFacts, Run};
use crate::war::War;
use crate::wire::Wire;

/// An exchange with a market and sessions that are logged on.
pub(crate) struct Stage<F> {
    pub(crate) exchange: Exchange,
    pub(crate) wire: Wire,
    pub(crate) flow: F,
    pub(crate) connections: usize,
}

/// How long, warm-up apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
}

impl Span {
    pub(crate) fn total_ns(self) -> u64 {
        ns(self.warmup + self.duration)
    }
}

/// Micro-EC: a thousandth of what a balance can hold, and more than any run can spend.
const PLENTY: MicroEc = MicroEc::new(i64::MAX / 1_000);
/// A slot holds at most 2^32 accelerators of all sellers together.
const CAPACITY_PER_BOOK: u32 = 4_000_000_000;

/// A market for the mix: `books` quarter hours, one account per session.
pub(crate) fn mix(
    options: &ExchangeOptions,
    connections: usize,
    shape: MixShape,
    seed: u64,
) -> Result<Stage<Mix>, BenchError> {
    let exchange = Exchange::start(options)?;
    let mut admin = Admin::log_on(&exchange, seed)?;
    let listing = Listing {
        class: "BENCH".parse().expect("a valid class"),
        area: "DE".parse().expect("a valid zone"),
        tick: TICK,
        accelerators_per_lot: 8,
        qty_max: 1_000_000,
        taker_fee_ppm: 200,
    };
    let mut books: Vec<(InstrumentId, u32)> = Vec::new();
    for book in 0..shape.books {
        books.push(admin.list_fresh(&listing, book as u32)?);
    }
    let signers = (0..shape.sessions)
        .map(|number| {
            let (name, role) = match number % 2 {
                0 => (format!("bench-buyer-{number}"), Role::Buyer),
                _ => (format!("bench-seller-{number}"), Role::Seller),
            };
            let credits = if number % 2 == 0 { PLENTY } else { MicroEc::ZERO };
            admin.open_account(number, &name, &[role], credits)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut wire = connect(&exchange, connections, &signers)?;
    let sellers = (shape.sessions / 2).max(1) as u32;
    for session in (1..shape.sessions).step_by(2) {
        for (_, start_minute) in &books {
            listing.register(&mut wire, session, *start_minute, CAPACITY_PER_BOOK / sellers)?;
        }
    }
    admin.close();
    let flow = Mix::new(books.into_iter().map(|(id, _)| id).collect(), shape.sessions);
    Ok(Stage { exchange, wire, flow, connections })
}

/// A market for the price war: both blocs in every front window, sellers, buyers.
pub(crate) fn war(
    options: &ExchangeOptions,
    connections: usize,
    scenario: &PriceWar,
    run_seconds: u32,
) -> Result<Stage<War>, BenchError> {
    let exchange = Exchange::start(options)?;
    let mut admin = Admin::log_on(&exchange, scenario.seed)?;
    for bloc in &scenario.blocs {
        admin.set_yield(|id| scenario.yield_entry(bloc, id))?;
    }
    let (windows, instruments) = list_war(&mut admin, scenario, run_seconds)?;
    let traders: Vec<Participant> = scenario
        .participants()
        .into_iter()
        .filter(|participant| !matches!(participant, Participant::Maker(_)))
        .collect();
    let signers = traders
        .iter()
        .enumerate()
        .map(|(index, trader)| {
            let role = if matches!(trader, Participant::Seller { .. }) { Role::Seller } else { Role::Buyer };
            let credits = scenario.credits(*trader, run_seconds);
            admin.open_account(index, &trader.to_string(), &[role], credits)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut wire = connect(&exchange, connections, &signers)?;
    for (session, trader) in traders.iter().enumerate() {
        let Participant::Seller { bloc, .. } = trader else { continue };
        for window in &windows {
            request_done(&mut wire, session, "registering capacity", |id| {
                scenario.registration(&scenario.blocs[*bloc], *window, id).into()
            })?;
        }
    }
    admin.close();
    let flow = War::new(scenario.clone(), instruments);
    Ok(Stage { exchange, wire, flow, connections })
}

/// Lists both blocs in a row of windows; where some are taken, in the row after it.
fn list_war(
    admin: &mut Admin,
    scenario: &PriceWar,
    run_seconds: u32,
) -> Result<(Vec<Window>, Vec<[InstrumentId; 2]>), BenchError> {
    const ROWS: u64 = 100;
    let row_ns = u64::from(scenario.windows) * u64::from(scenario.window_minutes) * 60_000_000_000;
    'rows: for row in 0..ROWS {
        let now = TimeNs::new(joulebook_sys::realtime_ns() + row * row_ns);
        let windows: Vec<Window> = scenario.front_windows(now, run_seconds).collect();
        let mut instruments = Vec::new();
        for window in &windows {
            let mut pair = [InstrumentId::NONE; 2];
            for (place, bloc) in pair.iter_mut().zip(&scenario.blocs) {
                match admin.list(|id| scenario.listing(bloc, *window, id)) {
                    Err(error) if is_taken(&error) => continue 'rows,
                    listed => *place = listed?,
                }
            }
            instruments.push(pair);
        }
        return Ok((windows, instruments));
    }
    Err(BenchError::Options(format!("no free row of windows within {ROWS}")))
}

impl<F: Flow> Stage<F> {
    /// Sends `orders` in order, not measured, and waits for all answers.
    pub(crate) fn preload(&mut self, orders: Vec<Planned>) -> Result<(), BenchError> {
        const IN_FLIGHT: usize = 256;
        let mut recorder = Recorder::new(u64::MAX, u64::MAX);
        for batch in orders.chunks(IN_FLIGHT) {
            let plan = Plan { requests: batch.to_vec() };
            let client = HotClient::new(&mut self.wire, &mut self.flow, &mut recorder);
            let end = client.open_loop(&plan, 0)?;
            if 0 < end.lost {
                return Err(BenchError::Timeout { what: "the orders before the run".into(), seconds: 10 });
            }
        }
        Ok(())
    }

    /// Plays `plan` and reads the meters.
    pub(crate) fn measure(&mut self, plan: &Plan, pace: Pace, span: Span) -> Result<Run, BenchError>
    where
        F: Send,
    {
        let warmup_ns = ns(span.warmup);
        let mut recorder = Recorder::new(warmup_ns, span.total_ns());
        let plan_sha256 = plan.hash();
        let before = Meters::read(self.exchange.pid());
        let started = SystemTime::now() + span.warmup;
        let client = HotClient::new(&mut self.wire, &mut self.flow, &mut recorder);
        let end = on_yielding_thread(|| match pace {
            Pace::Open { .. } => client.open_loop(plan, warmup_ns),
            Pace::Closed { window } => client.closed_loop(plan, window, span.total_ns(), warmup_ns),
        })?;
        let used = before.until(&Meters::read(self.exchange.pid()));
        Ok(Run { plan_sha256, started, ..self.run(recorder, pace, end, &used) })
    }

    pub(crate) fn close(self) -> Result<(), BenchError> {
        self.wire.close();
        self.exchange.stop()
    }
}

/// Runs `work` on a thread that lets every other thread go first. A spinner of normal priority would keep the
/// exchange's journal, whose work is short and rare, waiting for milliseconds when the two share a processor; if the
/// spinner has to wait in turn, its lag says so.
fn on_yielding_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    const NICE_MAX: u8 = 19;
    let run = || {
        // Where that is not allowed the result is worse, not wrong.
        let _ = joulebook_sys::lower_current_thread_priority(NICE_MAX);
        work()
    };
    thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// Processor time and the like, at one moment.
struct Meters {
    at: Instant,
    exchange_cpu_ns: Option<u64>,
    own_cpu_ns: u64,
    stolen: Option<(u64, u64)>,
}

/// What was used between two readings.
struct Used {
    exchange_cores: Option<f64>,
    generator_cores: f64,
    stolen_share: Option<f64>,
}

impl Meters {
    fn read(exchange: Option<u32>) -> Self {
        Self {
            at: Instant::now(),
            exchange_cpu_ns: exchange.and_then(cpu_ns_of),
            own_cpu_ns: joulebook_sys::process_cpu_ns(),
            stolen: stolen_ticks(),
        }
    }

    fn until(&self, later: &Self) -> Used {
        let wall_ns = (later.at - self.at).as_nanos().max(1) as f64;
        let exchange = self.exchange_cpu_ns.zip(later.exchange_cpu_ns);
        let stolen = self.stolen.zip(later.stolen);
        Used {
            exchange_cores: exchange.map(|(from, to)| to.saturating_sub(from) as f64 / wall_ns),
            generator_cores: later.own_cpu_ns.saturating_sub(self.own_cpu_ns) as f64 / wall_ns,
            stolen_share: stolen
                .map(|(from, to)| (to.0 - from.0) as f64 / to.1.saturating_sub(from.1).max(1) as f64),
        }
    }
}

impl<F: Flow> Stage<F> {
    fn run(&self, recorder: Recorder, pace: Pace, end: RunEnd, used: &Used) -> Run {
        Run {
            connections: self.connections,
            sessions: self.wire.session_count(),
            fallbacks: self.flow.fallbacks(),
            resting_at_end: self.flow.resting(),
            lost_packets: self.wire.lost_packets(),
            blocked_writes: self.wire.blocked_writes,
            exchange_cores: used.exchange_cores,
            generator_cores: used.generator_cores,
            stolen_share: used.stolen_share,
            ..Run::new(recorder, pace, end)
        }
    }
}

/// What a latency of this load generator contains.
pub(crate) fn facts(options: &ExchangeOptions, exchange: &Exchange) -> ExchangeFacts {
    let own = if let ExchangeOptions::Own(own) = options { Some(own) } else { None };
    let mut includes: Vec<String> =
        ["encoding", "QUIC with TLS 1.3 over UDP", "gateway", "risk checks and ledger", "matching", "events"]
            .map(str::to_owned)
            .to_vec();
    let mut excludes = vec!["a network (loopback)".to_owned(), "logon and set-up".to_owned()];
    match own.map(|own| own.ack) {
        Some(Ack::Durable) => includes.push("journal with fdatasync before each answer".to_owned()),
        Some(Ack::Memory) => excludes.push("the journal (ack memory: nothing survives a restart)".to_owned()),
        None => excludes[0] = "nothing that lies between here and the target".to_owned(),
    }
    ExchangeFacts {
        own: own.is_some(),
        ack: own.map(|own| own.ack.name()),
        wiring: own.map(|own| own.wiring.name()),
        startup: exchange.startup.clone(),
        includes,
        excludes,
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
