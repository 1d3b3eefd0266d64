//! Many executions on all cores: the same seed gives the same inputs, however many cores there are.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use joulebook_fuzz_targets::{Mutator, Target, Traits};

/// What to run.
pub struct Plan {
    pub targets: Vec<&'static Target>,
    /// Over all targets.
    pub execs: u64,
    pub seed: u64,
}

/// What came of it.
pub struct Outcome {
    done: Vec<Done>,
    /// For each target the inputs that did something new.
    pub grown: Vec<Vec<Vec<u8>>>,
    pub failure: Option<Failure>,
}

/// An input that a decoder did not survive, made as short as it gets.
pub struct Failure {
    pub target: &'static Target,
    pub message: String,
    pub input: Vec<u8>,
}

struct Done {
    name: &'static str,
    execs: u64,
    busy: Duration,
    facts: BTreeSet<u64>,
}

/// The executions of a target are cut into so many parts, each with its own stream of random numbers.
const PARTS: u64 = 8;
/// An execution takes microseconds; one that takes this long does not end.
const HANG: Duration = Duration::from_secs(60);
/// Inputs that a part keeps because they did something new.
const GROWN_MAX: usize = 4_000;

struct Part {
    target: usize,
    number: u64,
    execs: u64,
}

struct Report {
    target: usize,
    execs: u64,
    busy: Duration,
    facts: BTreeSet<u64>,
    grown: Vec<Vec<u8>>,
    failure: Option<Failure>,
}

impl Plan {
    /// `inputs` are those of each target to begin from.
    pub fn run(&self, inputs: &[Vec<Vec<u8>>]) -> Outcome {
        catch_messages();
        let parts = self.parts();
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let watches: Vec<Watch> = (0..cores).map(|_| Watch::default()).collect();
        let (sender, reports) = mpsc::channel();
        let mut outcome = Outcome::new(&self.targets);
        thread::scope(|scope| {
            for watch in &watches {
                let (sender, parts, next, stop) = (sender.clone(), &parts, &next, &stop);
                scope.spawn(move || {
                    while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed))
                        && !stop.load(Ordering::Relaxed)
                    {
                        let report = self.run_part(part, &inputs[part.target], watch, stop);
                        if sender.send(report).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            loop {
                match reports.recv_timeout(HANG / 4) {
                    Ok(report) => outcome.add(report),
                    Err(mpsc::RecvTimeoutError::Timeout) => self.look_for_hangs(&watches),
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
            }
        });
        outcome
    }

    fn parts(&self) -> Vec<Part> {
        let shares: u64 = self.targets.iter().map(|target| target.permille).sum();
        let mut parts = Vec::new();
        for (index, target) in self.targets.iter().enumerate() {
            let execs = u128::from(self.execs) * u128::from(target.permille) / u128::from(shares);
            let execs = (execs as u64).div_ceil(PARTS);
            parts.extend((0..PARTS).map(|number| Part { target: index, number, execs }));
        }
        parts
    }

    fn run_part(&self, part: &Part, corpus: &[Vec<u8>], watch: &Watch, stop: &AtomicBool) -> Report {
        let target = self.targets[part.target];
        let began = Instant::now();
        let mut report = Report::of(part);
        let mut mutator = Mutator::new(self.seed_of(part));
        let mut traits = Traits::default();
        let mut pool = corpus.to_vec();
        for number in 0..part.execs {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            watch.begin(part, number);
            let input = if number < corpus.len() as u64 {
                corpus[number as usize].clone()
            } else {
                let (parent, other) = (choose(&mut mutator, &pool), choose(&mut mutator, &pool));
                mutator.mutate(target.shape, &pool[parent], &pool[other], target.input_bytes_max)
            };
            report.execs += 1;
            if let Err(message) = survives(target, &input, &mut traits) {
                stop.store(true, Ordering::Relaxed);
                report.failure = Some(shortened(target, input, message));
                break;
            }
            let before = report.facts.len();
            report.facts.extend(traits.facts());
            if report.facts.len() > before && number >= corpus.len() as u64 && report.grown.len() < GROWN_MAX
            {
                pool.push(input.clone());
                report.grown.push(input);
            }
        }
        watch.end();
        report.busy = began.elapsed();
        report
    }

    /// Every part of every target draws numbers of its own.
    fn seed_of(&self, part: &Part) -> u64 {
        let name = self.targets[part.target].name.bytes();
        name.fold(self.seed ^ part.number << 48, |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
        })
    }

    /// Ends the program when one execution takes far too long: its thread cannot be stopped otherwise.
    fn look_for_hangs(&self, watches: &[Watch]) {
        for watch in watches {
            if let Some((target, part, number)) = watch.hangs() {
                let name = self.targets[target].name;
                eprintln!("fuzz: {name} does not end: execution {number} of part {part}, seed {}", self.seed);
                std::process::exit(1);
            }
        }
    }
}

/// What did something new later is tried more often.
fn choose(mutator: &mut Mutator, pool: &[Vec<u8>]) -> usize {
    let (one, other) = (mutator.below(pool.len()), mutator.below(pool.len()));
    one.max(other)
}

thread_local! {
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What a panic says is kept for the report instead of being printed.
fn catch_messages() {
    panic::set_hook(Box::new(|info| MESSAGE.with(|message| *message.borrow_mut() = info.to_string())));
}

fn survives(target: &Target, input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let run = AssertUnwindSafe(|| target.check(input, traits));
    panic::catch_unwind(run).map_err(|_| MESSAGE.with(|message| message.take()))
}

/// Takes pieces out of a failing input as long as it fails at the same place.
fn shortened(target: &'static Target, mut input: Vec<u8>, message: String) -> Failure {
    let place = |message: &str| message.lines().next().unwrap_or_default().to_owned();
    let wanted = place(&message);
    let mut traits = Traits::default();
    let mut piece = input.len().next_power_of_two() / 2;
    let mut message = message;
    while piece > 0 {
        let mut at = 0;
        while at < input.len() {
            let mut shorter = input.clone();
            shorter.drain(at..(at + piece).min(input.len()));
            match survives(target, &shorter, &mut traits) {
                Err(again) if place(&again) == wanted => (input, message) = (shorter, again),
                _ => at += piece,
            }
        }
        piece /= 2;
    }
    Failure { target, message, input }
}

/// What a thread is doing, for whoever looks whether it still moves.
#[derive(Default)]
struct Watch {
    /// Target, part and execution, each plus one; zero while nothing runs.
    target: AtomicUsize,
    part: AtomicU64,
    number: AtomicU64,
    /// The execution that was seen at the last look.
    last_look: AtomicU64,
    looks: AtomicU64,
}

impl Watch {
    fn begin(&self, part: &Part, number: u64) {
        self.part.store(part.number, Ordering::Relaxed);
        self.number.store(number, Ordering::Relaxed);
        self.target.store(part.target + 1, Ordering::Relaxed);
    }

    fn end(&self) {
        self.target.store(0, Ordering::Relaxed);
    }

    /// True when four looks in a row saw the same execution.
    fn hangs(&self) -> Option<(usize, u64, u64)> {
        let target = self.target.load(Ordering::Relaxed).checked_sub(1)?;
        let (part, number) = (self.part.load(Ordering::Relaxed), self.number.load(Ordering::Relaxed));
        let seen = (target as u64) << 56 | part << 48 | number;
        if self.last_look.swap(seen, Ordering::Relaxed) != seen {
            self.looks.store(0, Ordering::Relaxed);
        }
        (self.looks.fetch_add(1, Ordering::Relaxed) >= 4).then_some((target, part, number))
    }
}

impl Report {
    fn of(part: &Part) -> Self {
        let (facts, grown) = (BTreeSet::new(), Vec::new());
        Self { target: part.target, execs: 0, busy: Duration::ZERO, facts, grown, failure: None }
    }
}

impl Outcome {
    fn new(targets: &[&'static Target]) -> Self {
        let done = |target: &&'static Target| Done {
            name: target.name,
            execs: 0,
            busy: Duration::ZERO,
            facts: BTreeSet::new(),
        };
        Self {
            done: targets.iter().map(done).collect(),
            grown: vec![Vec::new(); targets.len()],
            failure: None,
        }
    }

    fn add(&mut self, report: Report) {
        let done = &mut self.done[report.target];
        done.execs += report.execs;
        done.busy += report.busy;
        done.facts.extend(report.facts);
        self.grown[report.target].extend(report.grown);
        self.failure = self.failure.take().or(report.failure);
    }

    pub fn print(&self) {
        println!("{:<16}{:>14}{:>12}{:>9}{:>8}", "target", "executions", "per second", "seconds", "facts");
        for done in &self.done {
            let seconds = done.busy.as_secs_f64();
            let per_second = done.execs as f64 / seconds.max(1e-9);
            println!(
                "{:<16}{:>14}{per_second:>12.0}{seconds:>9.1}{:>8}",
                done.name,
                done.execs,
                done.facts.len()
            );
        }
        let total: u64 = self.done.iter().map(|done| done.execs).sum();
        println!("{:<16}{total:>14}", "all");
    }
}
