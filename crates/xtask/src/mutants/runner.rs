//! Builds test binaries of the scratch copy and runs them under limits of time and memory.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::list::TestRun;
use crate::cargo;

/// For one test binary without its build. More than a minute, after which the runner says which tests still run.
const TIME_MAX: Duration = Duration::from_secs(150);

/// A defect can make a loop endless that grows a buffer.
const MEMORY_MAX_KIB: u64 = 4 * 1024 * 1024;

/// Optimized libraries would take four times as long to build, and the named tests are quick.
const UNOPTIMIZED: &str = r#"profile.dev.package."*".opt-level=0"#;

/// Few, because each thread takes some of the address space.
const TEST_THREADS: &str = "--test-threads=4";

/// Where builds of the scratch copy go. Shared by all mutants, so each builds only what it changed.
pub struct Runner<'a> {
    pub tree: &'a Path,
    pub target_dir: &'a Path,
}

/// What the tests of one binary said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub passed: usize,
    /// Paths of the tests that failed, or that still ran when time was up.
    pub failed: Vec<String>,
    pub end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    AllPassed,
    SomeFailed,
    /// The test process itself died: stack, memory, or a panic in a panic.
    Died,
    Hung,
}

impl Outcome {
    pub fn is_caught(&self) -> bool {
        self.end != End::AllPassed
    }

    fn read_line(&mut self, line: &str) {
        let Some(rest) = line.trim_end().strip_prefix("test ") else { return };
        if let Some((name, result)) = rest.rsplit_once(" ... ") {
            match result {
                "ok" => self.passed += 1,
                "FAILED" => self.failed.push(name.to_owned()),
                _ => {}
            }
        }
    }

    /// `slow` are the tests that were reported to run for long; of a hung process they are the culprits.
    fn finish(&mut self, end: End, slow: Vec<String>) {
        self.end = end;
        if end == End::Hung {
            self.failed.extend(slow);
        }
        self.failed.sort();
        self.failed.dedup();
    }
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AllPassed => "passed",
            Self::SomeFailed => "caught",
            Self::Died => "caught (died)",
            Self::Hung => "caught (hung)",
        })
    }
}

/// A test binary and the folder of its package, in which it runs.
pub struct Binary {
    program: PathBuf,
    package: PathBuf,
}

impl Runner<'_> {
    /// An error is what the compiler said.
    pub fn build(&self, run: &TestRun) -> Result<Binary, String> {
        let arguments =
            ["test", "--no-run", "--quiet", "--locked", "--message-format=json-render-diagnostics"];
        let mut command = cargo::command(self.tree, &arguments);
        command.arg("--package").arg(&run.package);
        match run.target.as_str() {
            "lib" => command.arg("--lib"),
            target => command.args(["--test", target]),
        };
        command.arg("--target-dir").arg(self.target_dir).args(["--config", UNOPTIMIZED]);
        // Nobody debugs these binaries.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        let built = command.output().map_err(|error| format!("cannot run cargo: {error}"))?;
        if !built.status.success() {
            return Err(String::from_utf8_lossy(&built.stderr).trim_end().to_owned());
        }
        let messages = String::from_utf8_lossy(&built.stdout);
        messages.lines().rev().find_map(binary_of).ok_or_else(|| format!("cargo named no test binary: {run}"))
    }

    pub fn run(&self, binary: &Binary, filters: &[String]) -> Result<Outcome, String> {
        let mut child = limited(&binary.program)
            .arg(TEST_THREADS)
            .args(filters)
            .current_dir(&binary.package)
            .env("CARGO_MANIFEST_DIR", &binary.package)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", binary.program.display()))?;
        watch(&mut child, TIME_MAX).map_err(|error| format!("cannot watch a test binary: {error}"))
    }
}

/// The program under the limit of memory, where the system knows one.
fn limited(program: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = format!(r#"ulimit -v {MEMORY_MAX_KIB} 2>/dev/null; exec "$0" "$@""#);
    command.arg("-c").arg(script).arg(program);
    command
}

/// Reads what the tests say until they end or time is up.
fn watch(child: &mut Child, time_max: Duration) -> std::io::Result<Outcome> {
    let deadline = Instant::now() + time_max;
    let (sender, lines) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
    }
    let mut outcome = Outcome::default();
    let mut slow = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                outcome.read_line(&line);
                slow.extend(slow_test(&line));
            }
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                child.wait()?;
                outcome.finish(End::Hung, slow);
                return Ok(outcome);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    outcome.finish(end_of(child.wait()?), slow);
    Ok(outcome)
}

/// 101 is the test runner's code for tests that failed.
fn end_of(status: ExitStatus) -> End {
    match status.code() {
        Some(0) => End::AllPassed,
        Some(101) => End::SomeFailed,
        Some(_) | None => End::Died,
    }
}

fn slow_test(line: &str) -> Option<String> {
    let (name, _) = line.strip_prefix("test ")?.split_once(" has been running for over ")?;
    Some(name.to_owned())
}

/// The last program that cargo names is the test binary, but for the package's own programs, which come at any time.
fn binary_of(message: &str) -> Option<Binary> {
    if message.contains(r#""kind":["bin"]"#) {
        return None;
    }
    let program = cargo::artifact_path(message, "executable")?;
    let manifest = cargo::artifact_path(message, "manifest_path")?;
    Some(Binary { program, package: manifest.parent()?.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, time_max: Duration) -> Outcome {
        let mut command = limited(Path::new("sh"));
        let child = command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        watch(&mut child.expect("a shell"), time_max).expect("it can be watched")
    }

    fn outcome(passed: usize, failed: &[&str], end: End) -> Outcome {
        Outcome { passed, failed: failed.iter().map(|name| (*name).to_owned()).collect(), end }
    }

    #[test]
    fn the_tests_that_failed_are_named() {
        let script = "echo 'test b::two ... FAILED'; echo 'test a::one - should panic ... FAILED'\n\
                      echo 'test c ... ok'; echo 'a test c ... ok'; echo 'test d ... ignored'; exit 101";
        let want = outcome(1, &["a::one - should panic", "b::two"], End::SomeFailed);
        assert_eq!(shell(script, TIME_MAX), want);
        assert_eq!(shell("echo 'test c ... ok'", TIME_MAX), outcome(1, &[], End::AllPassed));
    }

    #[test]
    fn a_process_that_dies_or_hangs_is_caught() {
        assert_eq!(shell("kill -ABRT $$", TIME_MAX), outcome(0, &[], End::Died));
        let slow = "echo 'test b has been running for over 60 seconds'; echo 'test b ... ok'";
        assert_eq!(shell(slow, TIME_MAX), outcome(1, &[], End::AllPassed));
        let hung = "echo 'test b has been running for over 60 seconds'; while :; do :; done";
        assert_eq!(shell(hung, Duration::from_secs(1)), outcome(0, &["b"], End::Hung));
    }

    #[test]
    fn the_binary_runs_in_the_folder_of_its_package() {
        let message = r#"{"reason":"compiler-artifact","manifest_path":"/t/crates/book/Cargo.toml","executable":"/d/x-1"}"#;
        let binary = binary_of(message).expect("it names a program");
        assert_eq!(
            (binary.program, binary.package),
            (PathBuf::from("/d/x-1"), PathBuf::from("/t/crates/book"))
        );
        assert!(binary_of(r#"{"reason":"compiler-artifact","executable":null}"#).is_none());
        let own_program = message.replace("artifact\",", "artifact\",\"target\":{\"kind\":[\"bin\"]},");
        assert!(own_program.contains("bin") && binary_of(&own_program).is_none());
    }
}
