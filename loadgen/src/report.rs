//! The result of a run: numbers, what they include, and whether they may be believed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::environment::Environment;
use crate::hot::{Pace, RunEnd};
use crate::plan::Operation;
use crate::recorder::{Interval, Recorder};
use crate::replay::ReplayResult;
use crate::{BenchError, hlog, table};

/// What `--json` writes. Fields are only added; a changed meaning raises `schema_version`.
#[derive(Debug, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub schema_version: u32,
    /// `mix`, `price-war`, `ping-pong`, `peak` or `replay`.
    pub mode: String,
    pub seed: u64,
    pub environment: Environment,
    pub exchange: ExchangeFacts,
    /// One per offered rate or window.
    pub runs: Vec<Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayResult>,
    /// What a reader must know to compare the numbers.
    pub notes: Vec<String>,
}

/// What was under load, and which of its parts a latency contains.
#[derive(Clone, Debug, Serialize)]
pub struct ExchangeFacts {
    /// A child process of this run; otherwise somebody else's exchange.
    pub own: bool,
    /// `durable` or `memory`; unknown for a target.
    pub ack: Option<&'static str>,
    /// As asked for; `auto` was decided by the exchange, see `startup`.
    pub wiring: Option<&'static str>,
    /// What the exchange printed until it was ready.
    pub startup: Vec<String>,
    pub includes: Vec<String>,
    pub excludes: Vec<String>,
}

/// One measurement.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Requests per second of the schedule; `None` in a closed loop.
    pub offered_per_s: Option<u64>,
    pub connections: usize,
    pub sessions: usize,
    /// Requests that a session has in flight in a closed loop.
    pub window: Option<usize>,
    /// Of the schedule: SHA-256 over the exogenous requests.
    pub plan_sha256: String,
    pub seconds: f64,
    /// Warm-up excluded, here and below.
    pub sent: u64,
    pub answered: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub reject_reasons: BTreeMap<String, u64>,
    /// Never answered. Zero, or something is wrong.
    pub lost: u64,
    /// Due and never sent, because too many requests were unanswered.
    pub unsent: u64,
    /// Cancels and moves that found nothing to name and became new orders, warm-up included.
    pub fallbacks: u64,
    /// Fill messages received, two per trade between sessions of this run, warm-up included.
    pub fills: u64,
    pub resting_at_end: usize,
    pub answered_per_s: f64,
    pub accepted_per_s: f64,
    /// From the intended send time to the answer.
    pub latency: Latency,
    /// From the actual send time to the answer.
    pub service: Latency,
    /// From the intended to the actual send time: the generator's own delay.
    pub lag: Latency,
    pub operations: BTreeMap<&'static str, OperationRun>,
    /// Turns of the generator's loop that found nothing to do.
    pub empty_poll_share: f64,
    /// Packets that the generator's side had to repeat, since the connections were made.
    pub lost_packets: u64,
    pub blocked_writes: u64,
    /// Processors that the exchange kept busy on average; unknown for a target.
    pub exchange_cores: Option<f64>,
    pub generator_cores: f64,
    /// Of all processors of this machine, taken by its host.
    pub stolen_share: Option<f64>,
    pub verdict: Verdict,
    #[serde(skip)]
    pub(crate) intervals: Vec<Interval>,
    #[serde(skip)]
    pub(crate) started: SystemTime,
}

#[derive(Clone, Debug, Serialize)]
pub struct OperationRun {
    pub sent: u64,
    pub latency: Latency,
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    pub count: u64,
    pub mean: f64,
    pub p50: u64,
    pub p90: u64,
    pub p95: u64,
    pub p99: u64,
    pub p999: u64,
    pub p9999: u64,
    pub max: u64,
}

/// Whether a measurement says something about the exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    Valid,
    /// The generator's own delay is too large a part of the result.
    Invalid {
        lag_p99_ns: u64,
        latency_p99_ns: u64,
    },
    /// A peak at which the generator had no time left: the exchange may be able to do more.
    GeneratorLimited {
        empty_poll_percent: u64,
    },
    /// The exchange fell so far behind that requests were given up.
    Overloaded {
        lost: u64,
        unsent: u64,
    },
}

impl Verdict {
    /// For an open loop: lag may be a tenth of what is reported.
    pub(crate) fn of_open_loop(lag: &Latency, latency: &Latency, lost: u64, unsent: u64) -> Self {
        if 0 < lost + unsent {
            Self::Overloaded { lost, unsent }
        } else if latency.p99 < lag.p99.saturating_mul(10) {
            Self::Invalid { lag_p99_ns: lag.p99, latency_p99_ns: latency.p99 }
        } else {
            Self::Valid
        }
    }

    /// For a peak: the generator must have had a tenth of its turns to spare.
    pub(crate) fn of_peak(empty_poll_share: f64, lost: u64) -> Self {
        if 0 < lost {
            Self::Overloaded { lost, unsent: 0 }
        } else if empty_poll_share < 0.1 {
            Self::GeneratorLimited { empty_poll_percent: (empty_poll_share * 100.0) as u64 }
        } else {
            Self::Valid
        }
    }

    pub fn is_valid(&self) -> bool {
        *self == Self::Valid
    }
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            mean: histogram.mean(),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
        }
    }
}

/// Latencies by operation, those that occurred.
fn operations(recorder: &Recorder) -> BTreeMap<&'static str, OperationRun> {
    Operation::ALL
        .into_iter()
        .filter(|operation| 0 < recorder.sent[*operation as usize])
        .map(|operation| {
            let latency = Latency::of(&recorder.latency_of(operation));
            (operation.name(), OperationRun { sent: recorder.sent[operation as usize], latency })
        })
        .collect()
}

impl Run {
    /// What the recorder knows; what the stage knows is zero or unknown yet.
    pub(crate) fn new(recorder: Recorder, pace: Pace, end: RunEnd) -> Self {
        let (latency, service) = (Latency::of(&recorder.latency()), Latency::of(&recorder.service));
        let lag = Latency::of(&recorder.lag);
        let empty_poll_share = recorder.empty_polls as f64 / recorder.polls.max(1) as f64;
        let (offered_per_s, window, verdict) = match pace {
            Pace::Open { rate } => {
                (Some(rate), None, Verdict::of_open_loop(&lag, &latency, end.lost, end.unsent))
            }
            Pace::Closed { window } => (None, Some(window), Verdict::of_peak(empty_poll_share, end.lost)),
        };
        let seconds = end.span_ns.max(1) as f64 / 1e9;
        let accepted = recorder.answered - recorder.rejected;
        Self {
            offered_per_s,
            connections: 0,
            sessions: 0,
            window,
            plan_sha256: String::new(),
            seconds,
            sent: recorder.sent.iter().sum(),
            answered: recorder.answered,
            accepted,
            rejected: recorder.rejected,
            reject_reasons: recorder.reasons().collect(),
            lost: end.lost,
            unsent: end.unsent,
            fallbacks: 0,
            fills: recorder.fills,
            resting_at_end: 0,
            answered_per_s: recorder.answered as f64 / seconds,
            accepted_per_s: accepted as f64 / seconds,
            latency,
            service,
            lag,
            operations: operations(&recorder),
            empty_poll_share,
            lost_packets: 0,
            blocked_writes: 0,
            exchange_cores: None,
            generator_cores: 0.0,
            stolen_share: None,
            verdict,
            intervals: recorder.intervals,
            started: SystemTime::now(),
        }
    }
}

impl Report {
    pub(crate) fn new(mode: &str, seed: u64, exchange: ExchangeFacts, environment: Environment) -> Self {
        Self {
            schema: "joulebook.bench",
            schema_version: 1,
            mode: mode.to_owned(),
            seed,
            environment,
            exchange,
            runs: Vec::new(),
            replay: None,
            notes: Vec::new(),
        }
    }

    /// False when a number in the report must not be quoted: the command line exits with code 4 then.
    pub fn is_valid(&self) -> bool {
        self.runs.iter().all(|run| run.verdict.is_valid())
            && self.replay.as_ref().is_none_or(ReplayResult::is_as_expected)
    }

    /// The table and what belongs to it, for people.
    pub fn text(&self) -> String {
        table::render(self)
    }

    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("the report holds nothing that JSON cannot say")
    }

    /// Writes one interval log per run into `dir` and returns the files.
    pub fn write_hlogs(&self, dir: &Path) -> Result<Vec<PathBuf>, BenchError> {
        fs::create_dir_all(dir).map_err(BenchError::file("create", dir))?;
        self.runs
            .iter()
            .map(|run| {
                let load = match (run.offered_per_s, run.window) {
                    (Some(rate), _) => format!("{rate}-per-s"),
                    (None, Some(window)) => format!("{}x{window}-in-flight", run.sessions),
                    (None, None) => "run".to_owned(),
                };
                let path = dir.join(format!("{}-{load}.hlog", self.mode));
                let file = File::create(&path).map_err(BenchError::file("create", &path))?;
                let title = format!("joulebook {} {load}, seed {}, nanoseconds", self.mode, self.seed);
                hlog::write(&mut BufWriter::new(file), &title, run.started, &run.intervals)
                    .map_err(BenchError::file("write", &path))?;
                Ok(path)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p99(ns: u64) -> Latency {
        Latency { p99: ns, ..Latency::default() }
    }

    #[test]
    fn lag_beyond_a_tenth_of_the_result_makes_it_invalid() {
        let verdict = |lag, latency| Verdict::of_open_loop(&p99(lag), &p99(latency), 0, 0);
        assert_eq!(verdict(10, 100), Verdict::Valid);
        assert_eq!(verdict(11, 100), Verdict::Invalid { lag_p99_ns: 11, latency_p99_ns: 100 });
        assert_eq!(
            Verdict::of_open_loop(&p99(11), &p99(100), 1, 2),
            Verdict::Overloaded { lost: 1, unsent: 2 }
        );
    }

    #[test]
    fn a_busy_generator_measures_itself() {
        assert_eq!(Verdict::of_peak(0.10, 0), Verdict::Valid);
        assert_eq!(Verdict::of_peak(0.0999, 0), Verdict::GeneratorLimited { empty_poll_percent: 9 });
        assert_eq!(Verdict::of_peak(0.5, 3), Verdict::Overloaded { lost: 3, unsent: 0 });
    }
}
