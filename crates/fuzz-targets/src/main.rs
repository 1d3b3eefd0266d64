//! The runner behind `cargo xtask fuzz`.
#![forbid(unsafe_code)]

mod runner;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use joulebook_fuzz_targets::{TARGETS, Target, Traits, corpus, seeds};
use joulebook_testkit::CountingAllocator;
use runner::{Failure, Plan};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const USAGE: &str = "\
Usage: fuzz [OPTIONS] [TARGET...]
  --execs N       executions, over all targets by their shares or over those that are named (default 5000000)
  --seed S        where the random numbers begin (default 1)
  --corpus DIR    folder with the inputs to begin from (default crates/fuzz/corpus)
  --grow          put the smallest inputs that did something new into the corpus
  --seeds         write the seeds into the corpus and end
  --replay FILE   run one input, whose folder is named after its target
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Call::parse(&arguments).and_then(|call| call.carry_out()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("fuzz: {message}");
            ExitCode::FAILURE
        }
    }
}

struct Call {
    plan: Plan,
    corpus: PathBuf,
    grow: bool,
    seeds: bool,
    replay: Option<PathBuf>,
}

impl Call {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut call = Self {
            plan: Plan { targets: Vec::new(), execs: 5_000_000, seed: 1 },
            corpus: PathBuf::from("crates/fuzz/corpus"),
            grow: false,
            seeds: false,
            replay: None,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
            match word.as_str() {
                "--execs" => call.plan.execs = number(value()?)?,
                "--seed" => call.plan.seed = number(value()?)?,
                "--corpus" => call.corpus = value()?.into(),
                "--replay" => call.replay = Some(value()?.into()),
                "--grow" => call.grow = true,
                "--seeds" => call.seeds = true,
                name => call.plan.targets.push(target(name)?),
            }
        }
        if call.plan.targets.is_empty() {
            call.plan.targets = TARGETS.iter().collect();
        }
        Ok(call)
    }

    fn carry_out(&self) -> Result<(), String> {
        if let Some(file) = &self.replay {
            return replay(file);
        }
        if self.seeds {
            return self.write_seeds();
        }
        let inputs = self.plan.targets.iter().map(|target| read(&self.corpus, target));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let outcome = self.plan.run(&inputs);
        outcome.print();
        if let Some(failure) = &outcome.failure {
            return Err(self.keep(failure));
        }
        if self.grow { self.grow(&inputs, &outcome.grown) } else { Ok(()) }
    }

    /// Saves what failed and says how to see it again.
    fn keep(&self, failure: &Failure) -> String {
        let Failure { target, message, input, .. } = failure;
        let saved = match corpus::add(&self.corpus, target, "failed", input) {
            Ok(path) => format!("saved; again: cargo xtask fuzz --replay {}", path.display()),
            Err(error) => format!("could not be saved: {error}\n{input:02x?}"),
        };
        format!("{}: {message}\n  {} bytes of input {saved}", target.name, input.len())
    }

    fn write_seeds(&self) -> Result<(), String> {
        for target in &self.plan.targets {
            for (name, input) in seeds(target.name) {
                corpus::write(&self.corpus, target, &name, &input).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn grow(&self, known: &[Vec<Vec<u8>>], grown: &[Vec<Vec<u8>>]) -> Result<(), String> {
        for ((target, known), grown) in self.plan.targets.iter().zip(known).zip(grown) {
            let kept = corpus::smallest(target, known, grown);
            for input in &kept {
                corpus::add(&self.corpus, target, "grown", input).map_err(|error| error.to_string())?;
            }
            println!("{}: {} inputs added", target.name, kept.len());
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| format!("`{text}` is no number"))
}

fn target(name: &str) -> Result<&'static Target, String> {
    Target::of_name(name).ok_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        format!("no target or option is called {name}; targets are {}\n{USAGE}", names.join(", "))
    })
}

fn read(corpus: &Path, target: &Target) -> Result<Vec<Vec<u8>>, String> {
    let inputs = corpus::read(corpus, target);
    let inputs = inputs.map_err(|error| format!("{}: {error}", corpus.join(target.name).display()))?;
    let mut inputs: Vec<Vec<u8>> = inputs.into_iter().map(|(_, input)| input).collect();
    // The corpus may be older than the formats; what is right today is a beginning in any case.
    for (_, seed) in seeds(target.name) {
        if !inputs.contains(&seed) {
            inputs.push(seed);
        }
    }
    Ok(inputs)
}

/// Runs one input without a net: the panic is what is wanted.
fn replay(file: &Path) -> Result<(), String> {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let target = target(&folder)?;
    let input = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut traits = Traits::default();
    target.check(&input, &mut traits);
    println!("{}: {} bytes pass, {} facts", target.name, input.len(), traits.facts().len());
    Ok(())
}
