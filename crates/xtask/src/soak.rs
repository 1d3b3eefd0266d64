//! `cargo xtask soak`: every promise of reliability at the size of a release, one row each.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{cargo, steps};

/// A promise, and how it is tested for hours instead of seconds.
struct Row {
    name: &'static str,
    promise: &'static str,
    size: &'static str,
    way: Way,
}

enum Way {
    /// Tests whose size the variable sets. Those of the package `joulebook-tests` get the release binary.
    Tests {
        package: &'static str,
        target: &'static str,
        only: &'static str,
        size: Option<(&'static str, &'static str)>,
    },
    /// Another command of this program.
    Task(&'static [&'static str]),
    /// A benchmark program, which prints figures.
    Bench(&'static str),
}

const END_TO_END: &str = "joulebook-tests";

const fn tests(
    package: &'static str,
    target: &'static str,
    only: &'static str,
    variable: &'static str,
    size: &'static str,
) -> Way {
    Way::Tests { package, target, only, size: Some((variable, size)) }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "kills", promise: "an acknowledged order survives SIGKILL, once", size: "2,000 kills",
        way: tests(END_TO_END, "recovery", "", "JOULEBOOK_KILLS", "2000") },
    Row { name: "snapshot-kills", promise: "… also with snapshots on the way", size: "200 kills",
        way: tests(END_TO_END, "snapshots", "", "JOULEBOOK_SNAPSHOT_KILLS", "200") },
    Row { name: "crash-points", promise: "… and power loss: the whole exchange on simulated disks", size: "20,000 seeds",
        way: Way::Task(&["sim", "--seeds", "20000", "--from", "1"]) },
    Row { name: "journal-crash-points", promise: "… of the journal alone, sector by sector", size: "100,000 power cuts",
        way: tests("joulebook-journal", "lib", "power", "JOULEBOOK_CRASH_POINTS", "100000") },
    Row { name: "journal-flips", promise: "a flipped bit is found, never applied", size: "10,000 in a large journal",
        way: tests("joulebook-journal", "lib", "flip", "JOULEBOOK_JOURNAL_FLIPS", "10000") },
    Row { name: "snapshot-flips", promise: "… nor in a snapshot", size: "10,000 in a large snapshot",
        way: tests("joulebook-journal", "lib", "flip", "JOULEBOOK_FLIPS", "10000") },
    Row { name: "disk-errors", promise: "nothing is acknowledged after a disk error, nor before a sync", size: "all calls",
        way: Way::Tests { package: END_TO_END, target: "disk", only: "", size: None } },
    Row { name: "full-disk", promise: "a full disk takes cancels, and is no end", size: "50 cycles",
        way: tests(END_TO_END, "full_disk", "", "JOULEBOOK_DISK_CYCLES", "50") },
    Row { name: "recovery", promise: "10 M commands in 10 s, 2 s with a snapshot", size: "10 M commands",
        way: Way::Bench("recovery") },
    Row { name: "determinism", promise: "live, replay, from each snapshot, debug: the same", size: "10 M commands",
        way: tests(END_TO_END, "determinism", "", "JOULEBOOK_REPLAY_COMMANDS", "10000000") },
    Row { name: "saved-states", promise: "a loaded state goes on like the saved one", size: "2 M commands",
        way: tests("joulebook-engine", "saved_state", "", "JOULEBOOK_SAVED_COMMANDS", "2000000") },
    Row { name: "reference", promise: "conserved, within limits, and what the slow engine says", size: "100 M commands",
        way: Way::Task(&["test", "--only", "reference", "--long"]) },
    Row { name: "fuzz", promise: "hostile bytes stop no decoder", size: "100 M executions",
        way: Way::Task(&["fuzz", "--long"]) },
    Row { name: "live-bad-frames", promise: "… nor the exchange, and honest clients do not notice", size: "1 M bad frames",
        way: tests(END_TO_END, "hostile", "bad_frames", "JOULEBOOK_BAD_FRAMES", "1000000") },
    Row { name: "clocks", promise: "clocks that jump change nothing", size: "10,000 runs",
        way: tests("joulebook-sequencer", "journaled", "clock", "JOULEBOOK_CLOCK_RUNS", "10000") },
    Row { name: "resends", promise: "a request has one effect, for ever", size: "1 M resends",
        way: tests("joulebook-sequencer", "journaled", "resend", "JOULEBOOK_RESENDS", "1000000") },
    Row { name: "live-resends", promise: "… also over QUIC, through kills and snapshots", size: "40,000 resends",
        way: tests(END_TO_END, "hostile", "resent", "JOULEBOOK_LIVE_RESENDS", "40000") },
    Row { name: "journal", promise: "the journal keeps up with a bare program", size: "3 sizes of groups",
        way: Way::Bench("journal") },
    Row { name: "snapshot-effect", promise: "a snapshot disturbs nobody", size: "10 rounds",
        way: Way::Bench("snapshots") },
];

/// What a row came to.
struct Outcome {
    row: &'static Row,
    passed: bool,
    took: Duration,
    /// What it printed about itself.
    said: Vec<String>,
}

/// Runs the rows that are named, or all, and prints a table. All run, also after one that failed.
pub fn run(root: &Path, options: &[&str]) -> Result<(), String> {
    if options == ["--list"] {
        ROWS.iter().for_each(|row| println!("{:<16} {:<64} {}", row.name, row.promise, row.size));
        return Ok(());
    }
    let rows = chosen(options)?;
    let binary = match rows.iter().any(|row| matches!(row.way, Way::Tests { package: END_TO_END, .. })) {
        true => Some(steps::release_binary(root)?),
        false => None,
    };
    let mut outcomes = Vec::new();
    for row in rows {
        println!("\n== {}: {} ({})", row.name, row.promise, row.size);
        let started = Instant::now();
        let (passed, said) = run_and_listen(command(root, row, binary.as_deref()))?;
        let took = started.elapsed();
        println!("== {} {} in {:.0} s", row.name, verdict(passed), took.as_secs_f64());
        outcomes.push(Outcome { row, passed, took, said });
    }
    print_table(&outcomes);
    match outcomes.iter().filter(|outcome| !outcome.passed).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} rows failed", outcomes.len())),
    }
}

fn chosen(names: &[&str]) -> Result<Vec<&'static Row>, String> {
    if names.is_empty() {
        return Ok(ROWS.iter().collect());
    }
    let row = |name: &&str| {
        let row = ROWS.iter().find(|row| row.name == *name);
        row.ok_or_else(|| format!("no row is called {name}; `cargo xtask soak --list` says what there is"))
    };
    names.iter().map(row).collect()
}

fn command(root: &Path, row: &Row, binary: Option<&Path>) -> Command {
    match &row.way {
        Way::Tests { package, target, only, size } => {
            let mut command = cargo::command(root, &["test", "--locked", "--package", package]);
            match *target {
                "lib" => command.arg("--lib"),
                test => command.args(["--test", test]),
            };
            match binary {
                Some(binary) if *package == END_TO_END => command.env(steps::BINARY_VARIABLE, binary),
                // Nothing but speed: these tests have no other process.
                _ => command.arg("--release"),
            };
            command.args(["--", "--nocapture"]).args((!only.is_empty()).then_some(*only));
            command.envs(*size);
            command
        }
        Way::Task(arguments) => {
            let mut command = Command::new(env::current_exe().unwrap_or_else(|_| PathBuf::from("xtask")));
            command.args(*arguments).current_dir(root);
            command
        }
        Way::Bench(name) => {
            cargo::command(root, &["bench", "--locked", "--package", "joulebook-benches", "--bench", name])
        }
    }
}

/// Passes on what the command prints, and keeps what is not the test runner's.
fn run_and_listen(mut command: Command) -> Result<(bool, Vec<String>), String> {
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let output = BufReader::new(child.stdout.take().ok_or("it has no output")?);
    let mut said = Vec::new();
    for line in output.lines() {
        let line = line.map_err(|error| error.to_string())?;
        println!("{line}");
        if is_news(&line) {
            said.push(line);
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok((status.success(), said))
}

/// Not what every run of a test says.
fn is_news(line: &str) -> bool {
    let usual = ["running ", "test ", "seed ", "==", "   ", "failures:"];
    !line.trim().is_empty() && !usual.iter().any(|start| line.starts_with(start))
}

fn print_table(outcomes: &[Outcome]) {
    const LINES: usize = 8;
    println!("\n| row | promise | size | outcome | seconds |\n|---|---|---|---|---|");
    for Outcome { row, passed, took, .. } in outcomes {
        let seconds = took.as_secs_f64();
        println!("| {} | {} | {} | {} | {seconds:.0} |", row.name, row.promise, row.size, verdict(*passed));
    }
    for outcome in outcomes.iter().filter(|outcome| !outcome.said.is_empty()) {
        println!("\n{}", outcome.row.name);
        let begin = outcome.said.len().saturating_sub(LINES);
        outcome.said[begin..].iter().for_each(|line| println!("  {line}"));
    }
}

fn verdict(passed: bool) -> &'static str {
    if passed { "passed" } else { "FAILED" }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn rows_are_chosen_by_name() {
        assert_eq!(chosen(&[]).expect("all").len(), ROWS.len());
        let two = chosen(&["kills", "fuzz"]).expect("two");
        assert_eq!(two.iter().map(|row| row.name).collect::<Vec<_>>(), ["kills", "fuzz"]);
        assert!(chosen(&["kils"]).err().expect("no such row").contains("kils"));
        assert!(
            ROWS.iter().enumerate().all(|(at, row)| ROWS[..at].iter().all(|other| other.name != row.name))
        );
    }

    /// A size that no test reads would run the small one and look like the large one.
    #[test]
    fn every_size_is_read_by_its_test() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two levels down");
        for row in ROWS {
            let Way::Tests { package, target, size, .. } = &row.way else { continue };
            let folder = match package.strip_prefix("joulebook-").expect("one of ours") {
                "tests" => root.join("tests"),
                name => root.join("crates").join(name),
            };
            let sources = match *target {
                "lib" => source_of(&folder.join("src")),
                test => {
                    let file =
                        fs::read_to_string(folder.join(format!("tests/{test}.rs"))).unwrap_or_default();
                    file + &source_of(&folder.join("tests").join(test))
                }
            };
            assert!(!sources.is_empty(), "{}: no test {target} in {}", row.name, folder.display());
            if let Some((variable, _)) = size {
                assert!(sources.contains(variable), "{}: nothing reads {variable}", row.name);
            }
        }
    }

    fn source_of(folder: &Path) -> String {
        let Ok(entries) = fs::read_dir(folder) else { return String::new() };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .map(
                |path| {
                    if path.is_dir() {
                        source_of(&path)
                    } else {
                        fs::read_to_string(path).unwrap_or_default()
                    }
                },
            )
            .collect()
    }

    #[test]
    fn what_a_test_says_of_itself_is_news() {
        assert!(is_news("inline: 1000 kills, 0 lost, 0 doubled"));
        for usual in ["", "running 2 tests", "test a ... ok", "seed 0x1", "test result: ok. 1 passed"] {
            assert!(!is_news(usual), "{usual}");
        }
    }
}
