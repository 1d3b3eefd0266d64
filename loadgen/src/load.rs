//! Open-loop load at one rate or a row of rates.

use std::time::Duration;

use joulebook_agents::price_war::PriceWar;

use crate::environment::Environment;
use crate::exchange::ExchangeOptions;
use crate::hot::{Flow, Pace};
use crate::mix::{self, MixShape};
use crate::plan::{Arrivals, Plan};
use crate::report::{Report, Run};
use crate::stage::{self, Span, Stage};
use crate::{BenchError, war};

/// What is sent.
#[derive(Clone, Debug)]
pub enum LoadFlow {
    /// 9 % new orders, 3 % immediate-or-cancel, 6 % cancels, 82 % moves.
    Mix {
        /// Instruments.
        books: usize,
        /// Orders that rest per book when the run begins.
        resting_orders: usize,
    },
    /// Repricing sellers and token orders, in the scenario's proportions.
    PriceWar(Box<PriceWar>),
}

/// What to run.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    pub exchange: ExchangeOptions,
    pub flow: LoadFlow,
    /// Requests per second; each rate is a run of its own, an own exchange starts anew for each.
    pub rates: Vec<u64>,
    /// QUIC connections. The mix has one session on each, at least two in all; the price war spreads its sellers and
    /// buyers over them.
    pub connections: usize,
    /// Per rate, after the warm-up.
    pub duration: Duration,
    pub warmup: Duration,
    pub arrivals: Arrivals,
    pub seed: u64,
}

impl LoadOptions {
    /// The mix on one book at 10,000 requests per second for 10 seconds.
    pub fn new(exchange: ExchangeOptions) -> Self {
        Self {
            exchange,
            flow: LoadFlow::Mix { books: 1, resting_orders: 1_000 },
            rates: vec![10_000],
            connections: 4,
            duration: Duration::from_secs(10),
            warmup: Duration::from_secs(1),
            arrivals: Arrivals::Even,
            seed: 1,
        }
    }

    fn span(&self) -> Span {
        Span { warmup: self.warmup, duration: self.duration }
    }

    fn check(&self) -> Result<(), BenchError> {
        let wrong = |what: &str| Err(BenchError::Options(what.to_owned()));
        if self.rates.is_empty() || self.rates.contains(&0) {
            return wrong("every rate must be at least 1 request per second");
        }
        if self.connections == 0 || 1_000 < self.connections {
            return wrong("between 1 and 1,000 connections");
        }
        if self.duration.is_zero() {
            return wrong("the duration must not be zero");
        }
        match &self.flow {
            LoadFlow::Mix { books, .. } if *books == 0 || 10_000 < *books => {
                wrong("between 1 and 10,000 books")
            }
            LoadFlow::Mix { .. } => Ok(()),
            LoadFlow::PriceWar(scenario) => {
                let sessions = (2 * scenario.sellers_per_bloc + scenario.buyers) as usize;
                if scenario.buyers == 0 || scenario.sellers_per_bloc == 0 || scenario.windows == 0 {
                    wrong("a price war needs sellers, buyers and windows")
                } else if self.connections * STREAMS_PER_CONNECTION < sessions {
                    wrong("too few connections: each carries at most 16 sessions")
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// Sessions that the exchange allows on one connection.
const STREAMS_PER_CONNECTION: usize = 16;

/// Runs every rate in turn.
pub fn run(options: &LoadOptions) -> Result<Report, BenchError> {
    options.check()?;
    let environment = Environment::read();
    let mut report: Option<Report> = None;
    for &rate in &options.rates {
        let (facts, run) = match &options.flow {
            LoadFlow::Mix { books, resting_orders } => mix(options, rate, *books, *resting_orders)?,
            LoadFlow::PriceWar(scenario) => price_war(options, rate, scenario)?,
        };
        let report = report.get_or_insert_with(|| {
            Report::new(options.flow.name(), options.seed, facts, environment.clone())
        });
        report.runs.push(run);
    }
    let mut report = report.expect("there is at least one rate");
    report.notes = options.flow.notes();
    report.notes.push(format!(
        "open loop, no coordinated omission: latency runs from the intended send time; arrivals {}, warm-up {:.1} s",
        match options.arrivals {
            Arrivals::Even => "even",
            Arrivals::Poisson => "Poisson",
        },
        options.warmup.as_secs_f64()
    ));
    Ok(report)
}

type Outcome = (crate::report::ExchangeFacts, Run);

fn mix(options: &LoadOptions, rate: u64, books: usize, resting: usize) -> Result<Outcome, BenchError> {
    let shape = MixShape { sessions: options.connections.max(2), books, resting };
    let plan = mix::plan(options.arrivals, rate, options.span().total_ns(), options.seed, shape);
    let mut stage = stage::mix(&options.exchange, options.connections, shape, options.seed)?;
    stage.preload(mix::preload(options.seed, shape))?;
    finish(options, stage, rate, &plan)
}

fn price_war(options: &LoadOptions, rate: u64, scenario: &PriceWar) -> Result<Outcome, BenchError> {
    let scenario = PriceWar { seed: options.seed, ..scenario.clone() };
    let plan = war::plan(options.arrivals, rate, options.span().total_ns(), &scenario);
    let scaled = war::scaled(scenario, rate);
    let seconds = (options.span().total_ns() / 1_000_000_000) as u32 + 60;
    let mut stage = stage::war(&options.exchange, options.connections, &scaled, seconds)?;
    stage.preload(war::preload(&scaled))?;
    finish(options, stage, rate, &plan)
}

fn finish<F: Flow + Send>(
    options: &LoadOptions,
    mut stage: Stage<F>,
    rate: u64,
    plan: &Plan,
) -> Result<Outcome, BenchError> {
    let facts = stage::facts(&options.exchange, &stage.exchange);
    let run = stage.measure(plan, Pace::Open { rate }, options.span())?;
    stage.close()?;
    Ok((facts, run))
}

impl LoadFlow {
    fn name(&self) -> &'static str {
        match self {
            Self::Mix { .. } => "mix",
            Self::PriceWar(_) => "price-war",
        }
    }

    fn notes(&self) -> Vec<String> {
        match self {
            Self::Mix { books, resting_orders } => vec![format!(
                "mix of 9 % new orders, 3 % immediate-or-cancel, 6 % cancels, 82 % moves on {books} book(s) of {resting_orders} resting orders"
            )],
            Self::PriceWar(scenario) => vec![format!(
                "{} sellers reprice in {} windows, {} buyers send token orders, in the scenario's proportions; the war \
                 begins again when both blocs rest on their floors",
                2 * scenario.sellers_per_bloc,
                scenario.windows,
                scenario.buyers
            )],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::OwnExchange;

    #[test]
    fn options_that_make_no_sense_are_refused_before_anything_starts() {
        let mut exchange = OwnExchange::current().unwrap();
        exchange.program = "/nowhere".into();
        let good = LoadOptions::new(ExchangeOptions::Own(exchange));
        let war = || LoadFlow::PriceWar(Box::new(PriceWar::new(1)));
        let cases: &[(&str, LoadOptions)] = &[
            ("rate", LoadOptions { rates: vec![10, 0], ..good.clone() }),
            ("rate", LoadOptions { rates: vec![], ..good.clone() }),
            ("connections", LoadOptions { connections: 0, ..good.clone() }),
            ("duration", LoadOptions { duration: Duration::ZERO, ..good.clone() }),
            ("books", LoadOptions { flow: LoadFlow::Mix { books: 0, resting_orders: 1 }, ..good.clone() }),
            ("too few connections", LoadOptions { flow: war(), connections: 1, ..good.clone() }),
            ("/nowhere", good),
        ];
        for (named, options) in cases {
            let error = run(options).err().unwrap().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
