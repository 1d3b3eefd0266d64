//! Runs the simulator: seeds in, failures out.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use joulebook_sim::{Counts, Minimal, Outcome, Plan, WarOutcome, WarPlan, WarShell, fight, minimise, run};

const HELP: &str = "\
sim run [--from SEED] [--seeds N | --seconds T] [--jobs N] [--hashes]   runs seeds from SEED on (default: 100 from 1)
sim run --list FILE                                                     runs the seeds of a file, one a line
sim trace SEED                                                          prints all that happens in one run
sim shrink SEED                                                         makes a failing run smaller
sim war [--seed SEED] [--seconds T] [--shell direct|journaled|wired]    plays a price war of T virtual seconds (120)

A failing seed ends it with exit code 1, after the seed, the broken check and the end of a minimised trace.";

/// Smaller runs that a failure is tried with.
const SHRINK_RUNS: u32 = 400;
/// Lines of a minimised trace that are printed.
const LINES: usize = 60;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["run", ref options @ ..] => Options::parse(options).and_then(|options| options.run()),
        ["trace", seed] => number(seed).map(trace),
        ["shrink", seed] => number(seed).map(shrink),
        ["war", ref options @ ..] => war(options),
        _ => Err(HELP.to_owned()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

struct Options {
    from: u64,
    seeds: Option<u64>,
    seconds: Option<u64>,
    list: Option<Vec<u64>>,
    jobs: usize,
    hashes: bool,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self, String> {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut options = Self { from: 1, seeds: None, seconds: None, list: None, jobs, hashes: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match *word {
                "--from" => options.from = number(value()?)?,
                "--seeds" => options.seeds = Some(number(value()?)?),
                "--seconds" => options.seconds = Some(number(value()?)?),
                "--jobs" => options.jobs = number(value()?)?.max(1) as usize,
                "--list" => options.list = Some(read_list(value()?)?),
                "--hashes" => options.hashes = true,
                other => return Err(format!("cannot read `{other}`\n{HELP}")),
            }
        }
        if options.seeds.is_none() && options.seconds.is_none() {
            options.seeds = Some(100);
        }
        Ok(options)
    }

    /// Runs them all, or up to the first that fails. True when none did.
    fn run(&self) -> Result<bool, String> {
        let (started, next, failed) = (Instant::now(), AtomicU64::new(0), AtomicBool::new(false));
        let end = self.seconds.map(|seconds| started + Duration::from_secs(seconds));
        let count = self.list.as_ref().map(|list| list.len() as u64).or(self.seeds).unwrap_or(u64::MAX);
        let sums = Mutex::new(Sums::default());
        std::panic::set_hook(Box::new(|_| {}));
        std::thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(|| {
                    while !failed.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if count <= index {
                            return;
                        }
                        let seed = match &self.list {
                            Some(list) => list[index as usize],
                            None => self.from.wrapping_add(index),
                        };
                        let outcome = run(&Plan::from_seed(seed), false);
                        failed.fetch_or(outcome.violation.is_some(), Ordering::Relaxed);
                        sums.lock().expect("no holder panics").add(outcome, self.hashes);
                    }
                });
            }
        });
        let _ = std::panic::take_hook();
        let sums = sums.into_inner().expect("no holder panics");
        sums.print(started.elapsed());
        match sums.failed {
            None => Ok(true),
            Some(outcome) => {
                report(&outcome);
                Ok(false)
            }
        }
    }
}

/// What all runs came to.
#[derive(Default)]
struct Sums {
    seeds: u64,
    commands: u64,
    virtual_ns: u64,
    counts: Counts,
    hashes: BTreeMap<u64, String>,
    /// The one with the lowest seed.
    failed: Option<Outcome>,
}

impl Sums {
    fn add(&mut self, outcome: Outcome, hashes: bool) {
        self.seeds += 1;
        self.commands += outcome.commands;
        self.virtual_ns += outcome.duration_ns;
        for (what, times) in &outcome.counts {
            *self.counts.entry(what).or_default() += times;
        }
        if hashes {
            self.hashes.insert(outcome.seed, hashes_of(&outcome));
        }
        let is_first = self.failed.as_ref().is_none_or(|failed| outcome.seed < failed.seed);
        if outcome.violation.is_some() && is_first {
            self.failed = Some(outcome);
        }
    }

    fn print(&self, took: Duration) {
        self.hashes.values().for_each(|line| println!("{line}"));
        let seconds = took.as_secs_f64();
        for (what, times) in &self.counts {
            println!("{times:>12} {what}");
        }
        println!(
            "{} seeds in {seconds:.1} s: {:.1} seeds/s, {:.0} commands/s, {:.0} times faster than life",
            self.seeds,
            self.seeds as f64 / seconds,
            self.commands as f64 / seconds,
            self.virtual_ns as f64 / 1e9 / seconds
        );
    }
}

/// All that two builds of one version must agree about.
fn hashes_of(outcome: &Outcome) -> String {
    let [trace, events] = [outcome.trace_hash, outcome.event_hash].map(|[a, b]| format!("{a:016x}{b:016x}"));
    format!("seed {} trace {trace} events {events} state {}", outcome.seed, hex(&outcome.state_hash))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn report(outcome: &Outcome) {
    let seed = outcome.seed;
    let words = outcome.violation.as_ref().map_or_else(String::new, ToString::to_string);
    println!("\nseed {seed} FAILED: {words}");
    shrink(seed);
    println!("again: cargo xtask sim --trace {seed}");
}

fn shrink(seed: u64) -> bool {
    std::panic::set_hook(Box::new(|_| {}));
    let plan = Plan::from_seed(seed);
    let outcome = run(&plan, false);
    let Minimal { plan, outcome, runs } = minimise(&plan, &outcome, SHRINK_RUNS);
    let _ = std::panic::take_hook();
    let faults: Vec<&str> = plan.faults.iter().map(|fault| fault.name()).collect();
    println!(
        "after {runs} runs: {} clients, {} requests each, {} troubles, faults: {}",
        plan.clients,
        plan.requests,
        plan.troubles,
        faults.join(" ")
    );
    let skipped = outcome.lines.len().saturating_sub(LINES);
    if skipped > 0 {
        println!("({skipped} lines before)");
    }
    outcome.lines.iter().skip(skipped).for_each(|line| println!("{line}"));
    match &outcome.violation {
        Some(violation) => println!("{violation}"),
        None => println!("seed {seed} does not fail"),
    }
    outcome.violation.is_none()
}

fn war(options: &[&str]) -> Result<bool, String> {
    let (mut seed, mut seconds, mut shell) = (42, 120, WarShell::Direct);
    for pair in options.chunks(2) {
        match *pair {
            ["--seed", value] => seed = number(value)?,
            ["--seconds", value] => seconds = number(value)?.clamp(1, 1 << 20) as u32,
            ["--shell", "direct"] => shell = WarShell::Direct,
            ["--shell", "journaled"] => shell = WarShell::Journaled,
            ["--shell", "wired"] => shell = WarShell::Wired,
            _ => return Err(format!("cannot read `{}`\n{HELP}", pair.join(" "))),
        }
    }
    let (started, ran_before) = (Instant::now(), processor_seconds());
    let fought = fight(&WarPlan { shell, ..WarPlan::new(seed, seconds) });
    let took = started.elapsed().as_secs_f64();
    let ran = processor_seconds().zip(ran_before).map(|(after, before)| after - before);
    match fought {
        Ok(WarOutcome { outcome, commands, event_hash: [a, b], state_hash }) => {
            outcome.checks.iter().for_each(|check| println!("{}: {}", check.name, check.detail));
            println!(
                "war {seed}: {seconds} s in {took:.3} s, {:.0} times faster than life; {commands} commands, {:.0} \
                 commands/s, {} trades",
                f64::from(seconds) / took,
                commands as f64 / took,
                outcome.trades
            );
            if let Some(ran) = ran {
                println!("on a processor for {ran:.3} s of it: {:.0} times", f64::from(seconds) / ran);
            }
            println!("events {a:016x}{b:016x} state {}", hex(&state_hash));
            Ok(true)
        }
        Err(violation) => {
            println!("war {seed} FAILED: {violation}");
            Ok(false)
        }
    }
}

/// What this thread has run for, without what it waited for a processor; `None` where the system does not say.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let ns: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(ns as f64 / 1e9)
}

fn trace(seed: u64) -> bool {
    let outcome = run(&Plan::from_seed(seed), true);
    outcome.lines.iter().for_each(|line| println!("{line}"));
    if let Some(violation) = &outcome.violation {
        println!("{violation}");
    }
    println!("{}", hashes_of(&outcome));
    outcome.violation.is_none()
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

/// Seeds of a file: the first word of each line, unless it begins with `#`.
fn read_list(path: &str) -> Result<Vec<u64>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| number(line.split_whitespace().next().unwrap_or_default())).collect()
}
