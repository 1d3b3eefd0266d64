//! `cargo xtask fuzz`: hostile bytes for every decoder.

use std::path::Path;

use crate::cargo;

/// Executions of a change, over all targets, and of a release.
pub const EXECS: u64 = 5_000_000;
pub const EXECS_LONG: u64 = 100_000_000;

/// How to run the fuzzer.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    way: Way,
    /// For the runner, or for libFuzzer.
    arguments: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The runner in release, as everything else is built there.
    Plain,
    /// The runner with overflow checks and debug assertions, in a folder of its own.
    Checked,
    /// One target under libFuzzer, which follows what code an input reaches.
    Coverage,
}

/// What the compiler has to add so that libFuzzer sees where an input went. These options exist on the stable toolchain.
const COVERAGE_FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1 -Cdebug-assertions \
    -Coverflow-checks";

impl Plan {
    pub fn parse(options: &[&str]) -> Result<Self, String> {
        let mut way = Way::Plain;
        let mut arguments = Vec::new();
        for option in options {
            match *option {
                "--long" => arguments.extend(["--execs".to_owned(), EXECS_LONG.to_string()]),
                "--checked" => way = Way::Checked,
                "--coverage" => way = Way::Coverage,
                other => arguments.push(other.to_owned()),
            }
        }
        if way == Way::Coverage && arguments.first().is_none_or(|target| target.starts_with('-')) {
            return Err(
                "--coverage needs the name of one target; options of libFuzzer may follow it".to_owned()
            );
        }
        Ok(Self { way, arguments })
    }

    /// As the step of `cargo xtask test`.
    pub fn step(execs: u64) -> Self {
        Self { way: Way::Plain, arguments: vec!["--execs".to_owned(), execs.to_string()] }
    }
}

pub fn run(root: &Path, plan: &Plan) -> Result<(), String> {
    let runner = ["run", "--release", "--locked", "--package", "joulebook-fuzz-targets", "--bin", "fuzz"];
    let mut command = match plan.way {
        Way::Plain | Way::Checked => cargo::command(root, &runner),
        Way::Coverage => cargo::command(
            root,
            &["run", "--release", "--locked", "--manifest-path", "crates/fuzz/Cargo.toml"],
        ),
    };
    match plan.way {
        Way::Plain => {
            command.arg("--").args(&plan.arguments);
        }
        Way::Checked => {
            command.arg("--target-dir").arg(cargo::target_dir(root).join("fuzz-checked"));
            command.env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
            command
                .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")
                .env("CARGO_PROFILE_RELEASE_LTO", "off");
            command.arg("--").args(&plan.arguments);
        }
        Way::Coverage => {
            let (target, options) = plan.arguments.split_first().ok_or("no target")?;
            // Named, so that build scripts and procedural macros are spared the flags.
            let host = host()?;
            command.arg("--target-dir").arg(cargo::target_dir(root).join("fuzz-coverage"));
            command.args(["--target", &host, "--bin", target]).env("RUSTFLAGS", COVERAGE_FLAGS);
            let corpus = root.join("crates/fuzz/corpus").join(target);
            // What fails is kept beside what passes, as the runner does it.
            let prefix = format!("-artifact_prefix={}/", corpus.display());
            command.arg("--").arg(corpus).arg(prefix).args(options);
        }
    }
    let status = command.status().map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the fuzzer ended with {status}")) }
}

/// The machine's own target triple, as the compiler calls it.
fn host() -> Result<String, String> {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(compiler).arg("-vV").output();
    let output = output.map_err(|error| format!("cannot start rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say what machine this is".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_choose_the_way_and_the_rest_goes_to_the_fuzzer() {
        let plan = Plan::parse(&["--checked", "--execs", "1000", "frames"]).expect("options");
        assert_eq!(
            (plan.way, plan.arguments),
            (Way::Checked, ["--execs", "1000", "frames"].map(str::to_owned).to_vec())
        );
        let plan = Plan::parse(&["--long"]).expect("long");
        assert_eq!(plan.arguments, ["--execs", "100000000"]);
        let plan = Plan::parse(&["--coverage", "journal", "-runs=10"]).expect("coverage");
        assert_eq!((plan.way, plan.arguments.len()), (Way::Coverage, 2));
        assert!(Plan::parse(&["--coverage", "-runs=10"]).expect_err("no target").contains("name"));
    }
}
