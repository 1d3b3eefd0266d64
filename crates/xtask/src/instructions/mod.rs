//! `cargo xtask counts`: how many instructions a command takes, exactly, against what was recorded. Time depends on what
//! else a machine does; this does not.

mod baseline;
mod callgrind;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::{env, fs};

use crate::cargo;
use baseline::{Baseline, Count};

/// Where the recorded counts lie.
const FILE: &str = "benches/instructions.txt";
/// What is counted: a name, and how `core` of the benches is told so.
const ROWS: [(&str, &[&str]); 10] = [
    ("book w1", &["--layer", "book", "--stream", "w1"]),
    ("book w2", &["--layer", "book", "--stream", "w2"]),
    ("book w3-short", &["--layer", "book", "--stream", "w3-short"]),
    ("book w4-short", &["--layer", "book", "--stream", "w4-short"]),
    ("engine w1", &["--stream", "w1"]),
    ("engine w2", &["--stream", "w2"]),
    ("engine w2 hour", &["--stream", "w2", "--window", "hour"]),
    ("engine w3-short", &["--stream", "w3-short"]),
    ("engine w4-short", &["--stream", "w4-short"]),
    ("engine war", &["--stream", "war"]),
];
/// Commands that are counted, behind a warm-up.
const COMMANDS: &str = "40000";
/// The function of `core` below which instructions count.
const MEASURED: &str = "*measured_part*";

pub fn run(root: &Path, options: &[&str]) -> Result<(), String> {
    let blesses = match options {
        [] => false,
        ["--bless"] => true,
        other => return Err(format!("cannot read `{}`; there is --bless", other.join(" "))),
    };
    if let Some(reason) = why_not() {
        println!("skipped ({reason}): instructions per command");
        return Ok(());
    }
    let counted = count_all(&program(root)?)?;
    let file = root.join(FILE);
    if blesses {
        let cannot = |error| format!("{}: {error}", file.display());
        return fs::write(&file, counted.to_string()).map_err(cannot);
    }
    let recorded = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let (said, moved) = counted.compare(&Baseline::parse(&recorded)?);
    print!("{said}");
    if !moved {
        return Ok(());
    }
    Err(format!(
        "commands take more instructions than recorded; if that is meant, `cargo xtask counts --bless` and commit {FILE}"
    ))
}

fn why_not() -> Option<&'static str> {
    if !cfg!(target_arch = "x86_64") {
        return Some("counts are of x86-64");
    }
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if valgrind.is_ok_and(|status| status.success()) { None } else { Some("no valgrind") }
}

/// Builds the program that is counted.
fn program(root: &Path) -> Result<PathBuf, String> {
    let build = ["build", "--release", "--locked", "--package", "joulebook-benches", "--bin", "core"];
    let mut command = cargo::command(root, &build);
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo ended with {}", output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut programs = messages.lines().filter_map(|line| cargo::artifact_path(line, "executable"));
    programs.next_back().ok_or_else(|| "cargo named no executable".to_owned())
}

/// Counts all rows, as many at a time as there are processors.
fn count_all(program: &Path) -> Result<Baseline, String> {
    let waiting = Mutex::new(ROWS.iter());
    let done = Mutex::new(BTreeMap::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (waiting, done) = (&waiting, &done);
            scope.spawn(move || {
                while let Some((name, arguments)) = next(waiting) {
                    let counted = count(program, arguments, worker);
                    done.lock().expect("no worker panics").insert(*name, counted);
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no worker panics");
    let rows = ROWS.iter().map(|(name, _)| {
        let counted = done.remove(name).expect("every row was counted");
        counted.map(|count| (name.to_string(), count)).map_err(|reason| format!("{name}: {reason}"))
    });
    Ok(Baseline { rows: rows.collect::<Result<_, _>>()? })
}

fn next<'a, T>(waiting: &Mutex<impl Iterator<Item = &'a T>>) -> Option<&'a T> {
    waiting.lock().expect("no worker panics").next()
}

fn count(program: &Path, arguments: &[&str], worker: usize) -> Result<Count, String> {
    let folder = env::temp_dir().join(format!("joulebook-counts-{}-{worker}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let out = folder.join("callgrind");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--error-exitcode=9"]).arg(format!("--toggle-collect={MEASURED}"));
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(program).args(arguments).args(["--count", COMMANDS]);
    // Variables lie on the stack, and where it begins decides how some blocks are copied.
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
    let output = command.output().map_err(|error| format!("cannot start valgrind: {error}"))?;
    let counted = fs::read_to_string(&out);
    fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let commands = said.lines().find_map(|line| line.strip_suffix(" commands")?.parse::<u64>().ok());
    let commands = commands.ok_or("the program did not say how many commands it ran")?;
    let functions = callgrind::functions(&counted.map_err(|error| error.to_string())?);
    Ok(Count::new(functions, commands))
}
