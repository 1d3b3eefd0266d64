//! The whole core in process: journal records in; exactly-once check, reject checks, holds, matching, postings; events
//! encoded, hashed and kept for resending. One thread, batches of 64, by the function that the daemon and recovery use.
//!
//! `cargo run --release -p joulebook-benches --bin core -- --stream w2`, with `--window hour` for four slots of capacity.
//! For instructions, `valgrind --tool=callgrind .../core --stream w2 --count 50000`, and 150000, and the difference.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

use joulebook_benches::flow::Workload;
use joulebook_benches::machine::{describe, resident_mib, thousands};
use joulebook_benches::{
    Arguments, BATCH_COMMANDS, Percentiles, Recording, Rerun, Tables, VenuePlan, Window,
};

/// Enough that the daemon's tables of outcomes and events are full and their memory is used again.
const WARM_UP: usize = 1_100_000;
const COMMANDS: usize = 1_000_000;
/// Parts that are timed by themselves: the machine does other things at times.
const PARTS: usize = 20;
/// The same for `--count`, where tables are short and counts exact.
const COUNT_WARM_UP: usize = 20_000;
const COUNT_COMMANDS: usize = 200_000;
/// Commands that are timed one by one.
const SINGLE: usize = 500_000;

fn main() {
    let flags = ["--stream", "--window", "--commands", "--warm-up", "--record", "--count"];
    let arguments = Arguments::read_with_switches(&flags, &["--short"]);
    let counts = arguments.has("--count") || arguments.has("--short");
    let run = Run {
        stream: arguments.value("--stream", "w2".to_owned()),
        window: match arguments.value("--window", "quarter".to_owned()).as_str() {
            "hour" => Window::Hour,
            _ => Window::Quarter,
        },
        commands: arguments.value("--commands", if counts { COUNT_COMMANDS } else { COMMANDS }),
        warm_up: arguments.value("--warm-up", if counts { COUNT_WARM_UP } else { WARM_UP }),
        tables: if counts { Tables::Short } else { Tables::Daemon },
    };
    if arguments.has("--record") {
        return run.record(Path::new(&arguments.value("--record", String::new())));
    }
    if arguments.has("--count") {
        return run.count(arguments.value("--count", 0));
    }
    println!("{}; one thread, batches of {BATCH_COMMANDS}", describe());
    println!(
        "after a warm-up of {} commands: {} in {PARTS} parts, the fastest (and the median); then {} one by one",
        thousands(run.warm_up as u64),
        thousands(run.commands as u64),
        thousands(SINGLE.min(run.commands) as u64),
    );
    println!("| stream | ns a command | M/s | events | fills | p50 | p99 | p99.9 ns | engine MiB |");
    println!("|---|---|---|---|---|---|---|---|---|");
    run.measure();
}

/// What is to be measured.
struct Run {
    stream: String,
    window: Window,
    commands: usize,
    warm_up: usize,
    tables: Tables,
}

impl Run {
    /// In a process of its own, so that the measured one never held the recorder's engine.
    fn recording(&self) -> Recording {
        let folder = tempfile::tempdir().expect("a folder for the stream");
        let path = folder.path().join("stream");
        let program = std::env::current_exe().expect("this program");
        let mut recorder = Command::new(program);
        recorder.arg("--record").arg(&path).args(["--stream", &self.stream]);
        recorder.args(["--window", if self.window == Window::Hour { "hour" } else { "quarter" }]);
        recorder.args((self.tables == Tables::Short).then_some("--short"));
        recorder.args(["--commands", &self.commands.to_string(), "--warm-up", &self.warm_up.to_string()]);
        assert!(recorder.status().expect("this program").success(), "the stream could not be recorded");
        Recording::read(&path).expect("a stream that was just written")
    }

    fn record(&self, path: &Path) {
        let workload = Workload::ALL.iter().find(|workload| workload.name == self.stream);
        let workload = workload.expect("a stream is w1, w2, w3 or w4");
        let flow = workload.flow(self.warm_up + self.commands);
        let plan = VenuePlan::windows(flow.books, self.window, self.tables);
        joulebook_benches::record(&flow, &plan).write(path).expect("room for the stream");
    }

    /// Runs so many commands behind the warm-up and nothing else: the difference of two runs under callgrind is exact.
    /// Recording happens in another process, which valgrind does not look at.
    fn count(&self, commands: usize) {
        let recording = self.recording();
        let mut rerun = Rerun::new(&recording);
        rerun.advance(self.warm_up);
        println!("{} commands", rerun.advance(commands).0);
    }

    fn measure(&self) {
        let recording = self.recording();
        let before = resident_mib();
        let mut rerun = Rerun::new(&recording);
        rerun.advance(self.warm_up);
        let mut parts: Vec<f64> = Vec::new();
        while let (commands @ 1.., took) = rerun.advance(self.commands.div_ceil(PARTS)) {
            parts.push(took.as_nanos() as f64 / commands as f64);
        }
        rerun.check();
        let engine_mib = resident_mib() - before;
        parts.sort_by(f64::total_cmp);
        drop(rerun);

        let mut rerun = Rerun::new(&recording);
        rerun.advance(self.warm_up);
        let mut durations = rerun.advance_singly(SINGLE.min(self.commands));
        let single = Percentiles::of(&mut durations);
        let outcome = &recording.outcome;
        let per_command = |count: u64| count as f64 / outcome.commands as f64;
        println!(
            "| {}, {} | {:.0} ({:.0}) | {:.2} | {:.2} | {:.3} | {} | {} | {} | {engine_mib:.0} |",
            self.stream,
            self.window.name(),
            parts[0],
            parts[parts.len() / 2],
            1e3 / parts[0],
            per_command(outcome.events),
            per_command(outcome.trades),
            single.ns(50.0),
            single.ns(99.0),
            single.ns(99.9),
        );
    }
}
