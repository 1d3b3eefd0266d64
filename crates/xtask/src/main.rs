//! `cargo xtask`: the commands of people who work on joulebook. Standard library only, so it builds in a second.

#![forbid(unsafe_code)]

mod cargo;
mod counts;
mod fuzz;
mod instructions;
mod mutants;
mod sim;
mod soak;
mod steps;
mod tidy;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  test     Everything that must pass: fmt, tidy, clippy, build, test, reference, fuzz, sim, mutant, counts, loom
             --only STEP   run one step (the test step builds the binary when JOULEBOOK_BIN is not set)
             --fast        leave out the release build, the end-to-end tests, the reference engine, the fuzzer, the simulator, the mutant, the counts and loom
             --long        100 million commands against the reference engine and executions of the fuzzer, not 5 million
           JOULEBOOK_DATA names the folder with recorded data; tests that need it are skipped without
  mutants  Plant defects in a copy of the checkout; each must be caught by the tests that it names
             NAME...            only these
             --rotate           one, which changes from commit to commit
             --table [NAME...]  write who caught them into docs/internals/testing.md
             --list             say what there is
  fuzz     Give every decoder what nobody should send; what fails is kept in crates/fuzz/corpus
             [TARGET...]   only these decoders
             --execs N     executions (5 million), --long for 100 million, --seed S for other ones
             --checked     with overflow checks and debug assertions
             --grow        keep the smallest inputs that did something new
             --replay FILE run one input again
             --coverage TARGET [OPTION...]  under libFuzzer, which needs a C++ compiler and runs until it is stopped
  sim      Run the whole exchange in one thread on simulated hardware; a seed is a run
             --seeds N --from S   these (100 from 1); the first that fails is printed, made smaller
             --seconds T --from S as many as the time allows
             --trace SEED         all that happens in one run
             --shrink SEED        the smallest run that fails like this one
             --war --seed S --seconds T   a price war of the agents in virtual time
  soak     The promises of reliability at the size of a release: hours, and a table of what each came to
             NAME...            only these rows
             --list             say what there is
  counts   Instructions per command of book and engine under valgrind, against benches/instructions.txt
             --bless            write that file anew; say in the commit what moved
  golden   Write the files that are generated from the message table: schema, byte tables, vectors, C header
  tidy     The project's own rules: edges between crates, pure crates, leftovers, links, stale mutants
  help     This text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = workspace_root();
    let outcome = match arguments.as_slice() {
        ["test", options @ ..] => steps::Plan::parse(options).and_then(|plan| steps::run(&root, &plan)),
        ["mutants", options @ ..] => {
            mutants::Plan::parse(options).and_then(|plan| mutants::run(&root, &plan))
        }
        ["fuzz", options @ ..] => fuzz::Plan::parse(options).and_then(|plan| fuzz::run(&root, &plan)),
        ["sim", options @ ..] => sim::run(&root, options),
        ["soak", options @ ..] => soak::run(&root, options),
        ["counts", options @ ..] => instructions::run(&root, options),
        ["golden"] => steps::golden(&root),
        ["tidy"] => tidy::run(&root),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(format!("unknown command: {}\n\n{USAGE}", other.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Cargo says where this crate lies; asked at run time, so a moved checkout needs no rebuild.
fn workspace_root() -> PathBuf {
    let manifest_dir = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let above = |dir: PathBuf| dir.ancestors().nth(2).map(Path::to_path_buf);
    manifest_dir.and_then(above).unwrap_or_else(|| PathBuf::from("."))
}
