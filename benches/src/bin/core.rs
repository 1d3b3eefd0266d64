//! The whole core in process: journal records in; exactly-once check, reject checks, holds, matching, postings; events
//! encoded, hashed and kept for resending. One thread, batches of 64, by the function that the daemon and recovery use.
//!
//! `cargo run --release -p joulebook-benches --bin core -- --table` prints all rows; `--stream w2` one of them, with
//! `--window hour` for four slots of capacity. Every row is of a process of its own, so that its memory is its own.
//! `--count 100000` runs that many commands and nothing else, for callgrind; with `--layer book` on the books alone, with
//! `--layer floor` what no engine can avoid.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use joulebook_benches::flow::Workload;
use joulebook_benches::machine::{describe, resident_mib, thousands};
use joulebook_benches::{
    Arguments, BATCH_COMMANDS, BookRun, Floor, Percentiles, Recording, Rerun, Tables, VenuePlan, Window,
    record, record_war,
};

/// Enough that the daemon's tables of outcomes and events are full and their memory is used again.
const WARM_UP: usize = 1_100_000;
const COMMANDS: usize = 1_000_000;
/// Parts that are timed by themselves: the machine does other things at times.
const PARTS: usize = 100;
/// Commands that are timed one by one.
const SINGLE: usize = 500_000;
/// The warm-up of `--count`, where tables are short.
const COUNT_WARM_UP: usize = 20_000;
const WAR: &str = "war";
const TABLE: [(&str, &str); 10] = [
    ("w1", "quarter"),
    ("w2", "quarter"),
    ("w3", "quarter"),
    ("w4", "quarter"),
    (WAR, "quarter"),
    ("w1", "hour"),
    ("w2", "hour"),
    ("w3", "hour"),
    ("w4", "hour"),
    (WAR, "hour"),
];

fn main() {
    let flags = ["--stream", "--window", "--commands", "--warm-up", "--record", "--count", "--layer"];
    let arguments = Arguments::read_with_switches(&flags, &["--table", "--row", "--short"]);
    if arguments.has("--table") {
        return table();
    }
    let run = Run::of(&arguments);
    if arguments.has("--record") {
        return run.record(Path::new(&arguments.value("--record", String::new())));
    }
    if arguments.has("--count") {
        return match arguments.value("--layer", "engine".to_owned()).as_str() {
            "book" => run.count_book(),
            "floor" => run.count_floor(),
            _ => run.count_engine(),
        };
    }
    if !arguments.has("--row") {
        print_head();
    }
    run.measure();
}

fn print_head() {
    println!("{}; one thread, batches of {BATCH_COMMANDS}", describe());
    println!(
        "after a warm-up of {} commands: {} in {PARTS} parts, the fastest (and the median); then up to {} one by one",
        thousands(WARM_UP as u64),
        thousands(COMMANDS as u64),
        thousands(SINGLE as u64),
    );
    println!();
    println!(
        "| stream | ns a command | M/s | floor ns | to floor | events | fills | p50 ns | p99 ns | p99.9 ns | engine MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
}

fn table() {
    print_head();
    for (stream, window) in TABLE {
        let status = this_program().args(["--row", "--stream", stream, "--window", window]).status();
        assert!(status.expect("this program").success(), "{stream} could not be measured");
    }
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().expect("this program"))
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
    fn of(arguments: &Arguments) -> Self {
        let count = arguments.has("--count").then(|| arguments.value("--count", 0));
        let is_short = count.is_some() || arguments.has("--short");
        Self {
            stream: arguments.value("--stream", "w2".to_owned()),
            window: match arguments.value("--window", "quarter".to_owned()).as_str() {
                "hour" => Window::Hour,
                _ => Window::Quarter,
            },
            commands: count.unwrap_or_else(|| arguments.value("--commands", COMMANDS)),
            warm_up: arguments.value("--warm-up", if is_short { COUNT_WARM_UP } else { WARM_UP }),
            tables: if is_short { Tables::Short } else { Tables::Daemon },
        }
    }

    fn workload(&self) -> &'static Workload {
        let found = Workload::ALL.iter().find(|workload| workload.name == self.stream);
        found.unwrap_or_else(|| panic!("{}: streams are w1, w2, w3, w4 and {WAR}", self.stream))
    }

    /// Made in a process of its own: the measured one never holds the recorder's engine, and valgrind does not follow.
    fn recording(&self) -> Recording {
        let folder = tempfile::tempdir().expect("a folder for the stream");
        let path = folder.path().join("stream");
        let mut recorder = this_program();
        recorder.arg("--record").arg(&path).args(["--stream", &self.stream]);
        recorder.args(["--window", if self.window == Window::Hour { "hour" } else { "quarter" }]);
        recorder.args((self.tables == Tables::Short).then_some("--short"));
        recorder.args(["--commands", &self.commands.to_string(), "--warm-up", &self.warm_up.to_string()]);
        assert!(recorder.status().expect("this program").success(), "the stream could not be recorded");
        Recording::read(&path).expect("a stream that was just written")
    }

    fn record(&self, path: &Path) {
        let commands = self.warm_up + self.commands;
        let recording = if self.stream == WAR {
            record_war(&VenuePlan::classes(8, self.window, self.tables), commands)
        } else {
            let flow = self.workload().flow(commands);
            record(&flow, &VenuePlan::windows(flow.books, self.window, self.tables))
        };
        recording.write(path).expect("room for the stream");
    }

    fn count_engine(&self) {
        let recording = self.recording();
        let mut rerun = Rerun::new(&recording);
        rerun.advance(self.warm_up);
        println!("{} commands", rerun.measured_part(self.commands));
        rerun.check();
    }

    fn count_book(&self) {
        let flow = self.workload().flow(self.warm_up + self.commands);
        let (warm_up, measured) = flow.measured.split_at(self.warm_up);
        let mut run = BookRun::new(flow.books);
        run.make_room(&flow.measured);
        flow.prelude.iter().chain(warm_up).for_each(|message| run.apply(message));
        run.measured_part(measured);
        assert_eq!(run.totals(), flow.totals, "the books trade something else than the plain ones");
        println!("{} commands", measured.len());
    }

    fn count_floor(&self) {
        let recording = self.recording();
        let mut floor = Floor::new(&recording, self.window.slots());
        floor.advance(self.warm_up);
        println!("{} commands", floor.measured_part(self.commands));
        floor.check();
    }

    fn measure(&self) {
        let recording = self.recording();
        let before = resident_mib();
        let mut rerun = Rerun::new(&recording);
        rerun.advance(self.warm_up);
        let parts = self.parts(|commands| rerun.advance(commands));
        rerun.check();
        let engine_mib = resident_mib() - before;
        drop(rerun);
        let floor = self.floor(&recording);

        let mut rerun = Rerun::new(&recording);
        rerun.advance(self.warm_up);
        let mut durations = rerun.advance_singly(SINGLE.min(self.commands));
        let single = Percentiles::of(&mut durations);
        let outcome = &recording.outcome;
        let per_command = |count: u64| count as f64 / outcome.commands as f64;
        println!(
            "| {}, {} | {:.0} ({:.0}) | {:.2} | {floor:.0} | {:.1} | {:.2} | {:.3} | {} | {} | {} | {engine_mib:.0} |",
            self.stream,
            self.window.name(),
            parts[0],
            parts[parts.len() / 2],
            1e3 / parts[0],
            parts[0] / floor,
            per_command(outcome.events),
            per_command(outcome.trades),
            single.ns(50.0),
            single.ns(99.0),
            single.ns(99.9),
        );
    }

    /// Nanoseconds a command of each part of the commands that are measured, fastest first.
    fn parts(&self, mut advance: impl FnMut(usize) -> (u64, Duration)) -> Vec<f64> {
        let mut parts: Vec<f64> = Vec::new();
        while let (commands @ 1.., took) = advance(self.commands.div_ceil(PARTS)) {
            parts.push(took.as_nanos() as f64 / commands as f64);
        }
        parts.sort_by(f64::total_cmp);
        parts
    }

    /// What the same commands would take at least, of the fastest part.
    fn floor(&self, recording: &Recording) -> f64 {
        let mut floor = Floor::new(recording, self.window.slots());
        floor.advance(self.warm_up);
        let parts = self.parts(|commands| floor.advance(commands));
        floor.check();
        parts[0]
    }
}
