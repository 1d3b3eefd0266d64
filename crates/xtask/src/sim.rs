//! `cargo xtask sim`: builds the simulator in release and runs it; and what of it runs on every change.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo;

/// Seeds that failed once: they run on every change.
const FAILED_SEEDS: &str = "crates/sim/failed-seeds.txt";

/// Seconds of fresh seeds on every change.
const SECONDS: &str = "60";
/// Seeds that a debug build and a release build must run alike.
const COMPARED_SEEDS: &str = "3";

/// Runs the simulator with `options`; without any, a hundred seeds.
pub fn run(root: &Path, options: &[&str]) -> Result<(), String> {
    let words: Vec<&str> = match options {
        ["--trace", seed] => vec!["trace", seed],
        ["--shrink", seed] => vec!["shrink", seed],
        ["--war", rest @ ..] => ["war"].iter().chain(rest).copied().collect(),
        options => ["run"].iter().chain(options).copied().collect(),
    };
    let program = build(root, &["--release"])?;
    succeed(Command::new(program).args(words).current_dir(root))
}

/// Every seed that ever failed, a minute of fresh ones, a price war in each shell, and a few seeds in a debug build, which
/// must do the same. `commit` chooses the fresh ones.
pub fn check(root: &Path, commit: u64) -> Result<(), String> {
    let release = build(root, &["--release"])?;
    let sim = |words: &[&str]| succeed(Command::new(&release).args(words).current_dir(root));
    sim(&["run", "--list", FAILED_SEEDS])?;
    let from = commit.to_string();
    sim(&["run", "--seconds", SECONDS, "--from", &from])?;
    for (shell, seconds) in [("direct", "120"), ("journaled", "120"), ("wired", "60")] {
        sim(&["war", "--seed", "42", "--seconds", seconds, "--shell", shell])?;
    }
    let debug = build(root, &[])?;
    let hashes = [release, debug].map(|program| hashes(root, &program, &from));
    let [release, debug] = hashes;
    let (release, debug) = (release?, debug?);
    if release != debug {
        return Err(format!("a debug build runs other than a release build:\n{debug}\nand\n{release}"));
    }
    println!("the same in a debug build:\n{debug}");
    Ok(())
}

/// What the runs of a few seeds come to.
fn hashes(root: &Path, program: &Path, from: &str) -> Result<String, String> {
    let words = ["run", "--seeds", COMPARED_SEEDS, "--from", from, "--hashes"];
    let output = Command::new(program).args(words).current_dir(root).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{text}\nthe simulator ended with {}", output.status));
    }
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("seed ")).collect();
    if lines.len().to_string() != COMPARED_SEEDS {
        return Err(format!("the simulator printed {} hashes", lines.len()));
    }
    Ok(lines.join("\n"))
}

fn build(root: &Path, profile: &[&str]) -> Result<PathBuf, String> {
    let mut command =
        cargo::command(root, &["build", "--locked", "--package", "joulebook-sim", "--bin", "sim"]);
    command.args(profile).arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo ended with {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let program = text.lines().filter(|line| line.contains(r#""name":"sim""#));
    let program = program.filter_map(|line| cargo::artifact_path(line, "executable")).next_back();
    program.ok_or_else(|| "cargo named no executable".to_owned())
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot start the simulator: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the simulator ended with {status}")) }
}
