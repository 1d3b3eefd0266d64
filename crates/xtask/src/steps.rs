//! `cargo xtask test`: one command for a person and for CI.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cargo;
use crate::counts::TestCounts;
use crate::fuzz;
use crate::instructions;
use crate::mutants;
use crate::sim;
use crate::tidy;

/// Which steps to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    steps: Vec<Step>,
    /// With the package of end-to-end tests; without, nothing needs the release binary.
    end_to_end: bool,
    /// Commands that the fast engine runs against the slow one.
    reference_commands: u32,
    /// Executions of the fuzzer over all targets.
    fuzz_execs: u64,
}

/// What every change runs against the slow engine, and what a release does.
const REFERENCE_COMMANDS: u32 = 5_000_000;
const REFERENCE_COMMANDS_LONG: u32 = 100_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Fmt,
    Tidy,
    Clippy,
    Build,
    Test,
    Reference,
    Fuzz,
    Sim,
    Mutant,
    Counts,
    Loom,
}

impl Plan {
    pub fn parse(options: &[&str]) -> Result<Self, String> {
        let all = |steps: &[Step]| Self {
            steps: steps.to_vec(),
            end_to_end: true,
            reference_commands: REFERENCE_COMMANDS,
            fuzz_execs: fuzz::EXECS,
        };
        match options {
            [rest @ .., "--long"] => {
                let plan = Self::parse(rest)?;
                Ok(Self { reference_commands: REFERENCE_COMMANDS_LONG, fuzz_execs: fuzz::EXECS_LONG, ..plan })
            }
            [] => Ok(all(&Step::ALL)),
            ["--fast"] => Ok(Self { end_to_end: false, ..all(&Step::FAST) }),
            ["--only", name] => match Step::ALL.into_iter().find(|step| step.name() == *name) {
                Some(Step::Test) if env::var_os(BINARY_VARIABLE).is_none() => {
                    Ok(all(&[Step::Build, Step::Test]))
                }
                Some(step) => Ok(all(&[step])),
                None => Err(format!("no step is called {name}; there are {}", step_names())),
            },
            other => Err(format!("cannot read `{}`; `cargo xtask help` lists the options", other.join(" "))),
        }
    }
}

/// Runs the steps in order and stops at the first that fails. The last line counts the tests.
pub fn run(root: &Path, plan: &Plan) -> Result<(), String> {
    let mut run = Run {
        root,
        end_to_end: plan.end_to_end,
        reference_commands: plan.reference_commands,
        fuzz_execs: plan.fuzz_execs,
        binary: None,
        counts: TestCounts::default(),
    };
    let mut durations: Vec<(Step, Duration)> = Vec::new();
    let mut outcome = Ok(());
    for step in &plan.steps {
        println!("\n== {}: {}", step.name(), step.purpose());
        let started = Instant::now();
        let result = run.step(*step);
        let took = started.elapsed();
        durations.push((*step, took));
        if let Err(reason) = result {
            println!("== {} FAILED after {:.1} s: {reason}", step.name(), took.as_secs_f64());
            outcome =
                Err(format!("step {} failed; again: cargo xtask test --only {}", step.name(), step.name()));
            break;
        }
        println!("== {} passed in {:.1} s", step.name(), took.as_secs_f64());
    }
    print_durations(&durations);
    println!("{}", run.counts);
    outcome
}

/// Writes the files that are generated from the message table and, for the header, from the functions of the C interface.
pub fn golden(root: &Path) -> Result<(), String> {
    let run = Run::without_plan(root);
    for package in ["joulebook-protocol", "joulebook-capi"] {
        let example = ["run", "--quiet", "--locked", "--package", package, "--example", "golden"];
        run.succeed(run.cargo(&example))?;
    }
    Ok(())
}

/// Builds the release binary, and says where it is.
pub fn release_binary(root: &Path) -> Result<PathBuf, String> {
    let mut run = Run::without_plan(root);
    run.build()?;
    run.binary.ok_or_else(|| "cargo named no executable".to_owned())
}

/// What the steps share.
struct Run<'a> {
    root: &'a Path,
    end_to_end: bool,
    reference_commands: u32,
    fuzz_execs: u64,
    binary: Option<PathBuf>,
    counts: TestCounts,
}

impl Step {
    const ALL: [Step; 11] = [
        Step::Fmt,
        Step::Tidy,
        Step::Clippy,
        Step::Build,
        Step::Test,
        Step::Reference,
        Step::Fuzz,
        Step::Sim,
        Step::Mutant,
        Step::Counts,
        Step::Loom,
    ];
    const FAST: [Step; 4] = [Step::Fmt, Step::Tidy, Step::Clippy, Step::Test];

    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Clippy => "clippy",
            Self::Build => "build",
            Self::Test => "test",
            Self::Reference => "reference",
            Self::Fuzz => "fuzz",
            Self::Sim => "sim",
            Self::Mutant => "mutant",
            Self::Counts => "counts",
            Self::Loom => "loom",
        }
    }

    fn purpose(self) -> &'static str {
        match self {
            Self::Fmt => "the formatting of rustfmt",
            Self::Tidy => "the project's own rules",
            Self::Clippy => "lints, warnings are errors",
            Self::Build => "the release binary that the end-to-end tests run",
            Self::Test => "unit, table, property and end-to-end tests",
            Self::Reference => {
                "random commands through the fast engine and the slow one, and against the limits"
            }
            Self::Fuzz => "hostile bytes for every decoder",
            Self::Sim => "the whole exchange on simulated hardware, seed by seed",
            Self::Mutant => "one planted defect, which its tests must catch",
            Self::Counts => "instructions per command of book and engine, against what was recorded",
            Self::Loom => "every interleaving of rings, gates, watermarks and counters",
        }
    }
}

fn step_names() -> String {
    Step::ALL.map(Step::name).join(", ")
}

/// Names the release binary for the end-to-end tests.
pub const BINARY_VARIABLE: &str = "JOULEBOOK_BIN";
const DATA_VARIABLE: &str = "JOULEBOOK_DATA";

impl<'a> Run<'a> {
    /// For single tasks.
    fn without_plan(root: &'a Path) -> Self {
        let (binary, counts) = (None, TestCounts::default());
        Self { root, end_to_end: false, reference_commands: 0, fuzz_execs: 0, binary, counts }
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Fmt => self.succeed(self.cargo(&["fmt", "--all", "--check"])),
            Step::Tidy => tidy::run(self.root),
            Step::Clippy => self.succeed(self.cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ])),
            Step::Build => self.build(),
            Step::Test => self.test(),
            Step::Reference => self.reference(),
            Step::Fuzz => fuzz::run(self.root, &fuzz::Plan::step(self.fuzz_execs)),
            Step::Sim => sim::check(self.root, mutants::commit_number(self.root)),
            Step::Mutant => mutants::run(
                self.root,
                &mutants::Plan::Run { chosen: mutants::Chosen::OfThisCommit, table: false },
            ),
            Step::Counts => instructions::run(self.root, &[]),
            Step::Loom => self.loom(),
        }
    }

    /// Release, because that is what users run, and because end-to-end tests of a debug build time out for nothing.
    fn build(&mut self) -> Result<(), String> {
        let mut command = self.cargo(&["build", "--release", "--locked", "--package", "joulebook"]);
        command.arg("--message-format=json-render-diagnostics");
        let mut binary = None;
        self.stream(command, &mut |line| {
            binary = executable_of(line).or(binary.take());
        })?;
        let binary = binary.ok_or("cargo named no executable")?;
        println!("{}", binary.display());
        self.binary = Some(binary);
        Ok(())
    }

    fn test(&mut self) -> Result<(), String> {
        let mut command = self.cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
        if !self.end_to_end {
            command.args(["--exclude", "joulebook-tests"]);
        }
        if let Some(binary) = &self.binary {
            command.env(BINARY_VARIABLE, binary);
        }
        if let Some(folder) = absolute_variable(DATA_VARIABLE)? {
            command.env(DATA_VARIABLE, folder);
        }
        self.count_tests(command)
    }

    /// In release, because millions of commands would take a debug build an hour.
    fn reference(&mut self) -> Result<(), String> {
        let mut command = self.cargo(&["test", "--release", "--locked", "--package", "joulebook-engine"]);
        command.args(["--test", "against_reference", "--test", "pretrade_limits", "--", "--nocapture"]);
        command.env("JOULEBOOK_COMMANDS", self.reference_commands.to_string());
        command.env("JOULEBOOK_LIMITED_ORDERS", (self.reference_commands / 5).to_string());
        self.count_tests(command)
    }

    /// A folder of its own: the flag would otherwise rebuild everything else each time it comes and goes.
    fn loom(&mut self) -> Result<(), String> {
        let mut command = self.cargo(&["test", "--locked", "--lib", "--tests"]);
        for package in ["joulebook-rings", "joulebook-metrics"] {
            command.args(["--package", package]);
        }
        command
            .env("RUSTFLAGS", "--cfg loom")
            .arg("--target-dir")
            .arg(cargo::target_dir(self.root).join("loom"));
        let before = self.counts.passed();
        self.count_tests(command)?;
        if self.counts.passed() == before {
            return Err("no test ran under loom".to_owned());
        }
        Ok(())
    }

    fn count_tests(&mut self, command: Command) -> Result<(), String> {
        let mut counts = TestCounts::default();
        let outcome = self.stream(command, &mut |line| {
            print!("{line}");
            counts.read_line(line);
        });
        self.counts.add(counts);
        outcome
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        cargo::command(self.root, arguments)
    }

    fn succeed(&self, mut command: Command) -> Result<(), String> {
        let status = command.status().map_err(|error| format!("cannot start cargo: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("cargo ended with {status}")) }
    }

    /// Hands over each line as it comes; the command's own error output goes to the terminal.
    fn stream(&self, mut command: Command, on_line: &mut dyn FnMut(&str)) -> Result<(), String> {
        let cannot = |error: std::io::Error| format!("cannot run cargo: {error}");
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
        let mut output = BufReader::new(child.stdout.take().ok_or("cargo has no output")?);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).map_err(cannot)? != 0 {
            on_line(&String::from_utf8_lossy(&line));
            std::io::stdout().flush().map_err(cannot)?;
            line.clear();
        }
        let status = child.wait().map_err(cannot)?;
        if status.success() { Ok(()) } else { Err(format!("cargo ended with {status}")) }
    }
}

/// Tests run in the folder of their package, where a relative path would mean something else.
fn absolute_variable(name: &str) -> Result<Option<PathBuf>, String> {
    let Some(value) = env::var_os(name) else { return Ok(None) };
    let path = PathBuf::from(value);
    let absolute = path.canonicalize();
    absolute.map(Some).map_err(|error| format!("{name} names {}: {error}", path.display()))
}

/// The `executable` of the binary's artifact message: cargo knows its target folder better than we do.
fn executable_of(message: &str) -> Option<PathBuf> {
    if !message.contains(r#""name":"joulebook""#) {
        return None;
    }
    cargo::artifact_path(message, "executable")
}

fn print_durations(durations: &[(Step, Duration)]) {
    println!("\n{:<10}{:>9}", "step", "seconds");
    for (step, took) in durations {
        println!("{:<10}{:>9.1}", step.name(), took.as_secs_f64());
    }
    let total: Duration = durations.iter().map(|(_, took)| *took).sum();
    println!("{:<10}{:>9.1}\n", "total", total.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_choose_the_steps() {
        let all = Plan::parse(&[]).expect("no options");
        assert_eq!(all.steps, Step::ALL);
        assert!(all.end_to_end && all.reference_commands == REFERENCE_COMMANDS);
        let long = Plan::parse(&["--only", "reference", "--long"]).expect("long");
        assert_eq!((long.steps, long.reference_commands), (vec![Step::Reference], REFERENCE_COMMANDS_LONG));
        let fast = Plan::parse(&["--fast"]).expect("fast");
        assert!(!fast.end_to_end && !fast.steps.contains(&Step::Build) && !fast.steps.contains(&Step::Loom));
        let only = Plan::parse(&["--only", "clippy"]).expect("only");
        assert_eq!(only.steps, [Step::Clippy]);
    }

    #[test]
    fn a_wrong_option_lists_what_there_is() {
        let error = Plan::parse(&["--only", "miri"]).expect_err("no such step");
        assert!(
            error.contains("miri")
                && error
                    .contains("fmt, tidy, clippy, build, test, reference, fuzz, sim, mutant, counts, loom"),
            "{error}"
        );
        assert!(Plan::parse(&["--quick"]).expect_err("no such option").contains("--quick"));
    }

    #[test]
    fn the_binary_is_the_one_that_cargo_names() {
        let binary = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"joulebook"},"executable":"/t/release/joulebook","fresh":true}"#;
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"joulebook"},"executable":null}"#;
        let other = r#"{"reason":"compiler-artifact","target":{"name":"build-script-build"},"executable":"/t/build"}"#;
        assert_eq!(executable_of(binary), Some(PathBuf::from("/t/release/joulebook")));
        assert_eq!(executable_of(library), None);
        assert_eq!(executable_of(other), None);
    }
}
