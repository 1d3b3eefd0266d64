//! Closed loops: one request in flight for the shortest round trip, many for the highest rate.

use std::time::Duration;

use crate::BenchError;
use crate::environment::Environment;
use crate::exchange::ExchangeOptions;
use crate::hot::Pace;
use crate::mix::{self, MixShape};
use crate::plan::Arrivals;
use crate::report::Report;
use crate::stage::{self, Span};

/// One session that sends an order, awaits the answer, cancels it, awaits the answer, and so on.
#[derive(Clone, Debug)]
pub struct PingPongOptions {
    pub exchange: ExchangeOptions,
    pub duration: Duration,
    pub warmup: Duration,
    pub seed: u64,
}

/// The mix, as fast as the answers come.
#[derive(Clone, Debug)]
pub struct PeakOptions {
    pub exchange: ExchangeOptions,
    /// Each carries one session; at least two.
    pub connections: usize,
    /// Requests that each session has in flight; each entry is a run of its own.
    pub windows: Vec<usize>,
    pub books: usize,
    pub resting_orders: usize,
    pub duration: Duration,
    pub warmup: Duration,
    pub seed: u64,
}

impl PingPongOptions {
    pub fn new(exchange: ExchangeOptions) -> Self {
        Self { exchange, duration: Duration::from_secs(5), warmup: Duration::from_secs(1), seed: 1 }
    }
}

impl PeakOptions {
    pub fn new(exchange: ExchangeOptions) -> Self {
        Self {
            exchange,
            connections: 4,
            windows: vec![512],
            books: 1,
            resting_orders: 1_000,
            duration: Duration::from_secs(5),
            warmup: Duration::from_secs(1),
            seed: 1,
        }
    }
}

/// More in flight than this would only fill buffers.
const WINDOW_MAX: usize = 65_536;
/// Requests of a peak's plan, which is played round and round.
const PLAN_RATE: u64 = 1_000_000;
const PLAN_SPAN_NS: u64 = 1_000_000_000;

/// Round trips with one request in flight.
pub fn ping_pong(options: &PingPongOptions) -> Result<Report, BenchError> {
    check(options.duration, &[1])?;
    let environment = Environment::read();
    let shape = MixShape { sessions: 1, books: 1, resting: 0 };
    let mut stage = stage::mix(&options.exchange, 1, shape, options.seed)?;
    let facts = stage::facts(&options.exchange, &stage.exchange);
    let span = Span { warmup: options.warmup, duration: options.duration };
    let run = stage.measure(&mix::ping_pong_plan(options.seed), Pace::Closed { window: 1 }, span)?;
    stage.close()?;
    let mut report = Report::new("ping-pong", options.seed, facts, environment);
    report
        .notes
        .push("an order that rests, then its cancel, one in flight; latency is service time".to_owned());
    report.runs.push(run);
    Ok(report)
}

/// The most that the exchange answers with so many requests in flight.
pub fn peak(options: &PeakOptions) -> Result<Report, BenchError> {
    check(options.duration, &options.windows)?;
    let environment = Environment::read();
    let sessions = options.connections.max(2);
    let shape = MixShape { sessions, books: options.books.max(1), resting: options.resting_orders };
    let plan = mix::plan(Arrivals::Even, PLAN_RATE, PLAN_SPAN_NS, options.seed, shape);
    let mut report: Option<Report> = None;
    for &window in &options.windows {
        let mut stage = stage::mix(&options.exchange, options.connections.max(1), shape, options.seed)?;
        let facts = stage::facts(&options.exchange, &stage.exchange);
        stage.preload(mix::preload(options.seed, shape))?;
        let span = Span { warmup: options.warmup, duration: options.duration };
        let run = stage.measure(&plan, Pace::Closed { window }, span)?;
        stage.close()?;
        report
            .get_or_insert_with(|| Report::new("peak", options.seed, facts, environment.clone()))
            .runs
            .push(run);
    }
    let mut report = report.expect("there is at least one window");
    report.notes.push("closed loop: latency is service time and says nothing about a given rate".to_owned());
    Ok(report)
}

fn check(duration: Duration, windows: &[usize]) -> Result<(), BenchError> {
    let wrong = |what: String| Err(BenchError::Options(what));
    if duration.is_zero() {
        return wrong("the duration must not be zero".into());
    }
    if windows.is_empty() || !windows.iter().all(|window| (1..=WINDOW_MAX).contains(window)) {
        return wrong(format!("between 1 and {WINDOW_MAX} requests in flight"));
    }
    Ok(())
}
