//! `cargo xtask mutants`: defects planted in a copy of the checkout, each of which a named test must catch.

pub mod list;
mod runner;
mod scratch;
pub mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::cargo;
use list::Mutant;
use runner::{End, Runner};
use scratch::{Scratch, Snapshot};
use table::Catch;

/// What to do with which mutants.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    List,
    Run {
        chosen: Chosen,
        /// Write who caught them into the page about testing.
        table: bool,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Chosen {
    All,
    Named(Vec<String>),
    /// One, which changes from commit to commit.
    OfThisCommit,
}

impl Plan {
    pub fn parse(options: &[&str]) -> Result<Self, String> {
        let named = |names: &[&str]| Chosen::Named(names.iter().map(|name| (*name).to_owned()).collect());
        match options {
            ["--list"] => Ok(Self::List),
            ["--rotate"] => Ok(Self::Run { chosen: Chosen::OfThisCommit, table: false }),
            [] => Ok(Self::Run { chosen: Chosen::All, table: false }),
            ["--table"] => Ok(Self::Run { chosen: Chosen::All, table: true }),
            ["--table", names @ ..] if !has_option(names) => {
                Ok(Self::Run { chosen: named(names), table: true })
            }
            names if !has_option(names) => Ok(Self::Run { chosen: named(names), table: false }),
            other => Err(format!("cannot read `{}`; `cargo xtask help` lists the options", other.join(" "))),
        }
    }
}

fn has_option(words: &[&str]) -> bool {
    words.iter().any(|word| word.starts_with('-'))
}

pub fn run(root: &Path, plan: &Plan) -> Result<(), String> {
    let snapshot = Snapshot::take(root).map_err(|error| format!("cannot read the checkout: {error}"))?;
    let mutants = load(&snapshot)?;
    match plan {
        Plan::List => {
            let width = mutants.iter().map(|mutant| mutant.name.len()).max().unwrap_or_default();
            mutants.iter().for_each(|mutant| println!("{:<width$}  {}", mutant.name, mutant.what));
            Ok(())
        }
        Plan::Run { chosen, table } => {
            let chosen = choose(&mutants, chosen, || commit_number(root))?;
            let report = Session::new(root, &snapshot)?.run(&chosen)?;
            if *table {
                write_table(root, &mutants, &report.catches)?;
            }
            report.verdict(chosen.len())
        }
    }
}

/// All files of the list, in the order of their names.
fn load(snapshot: &Snapshot) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for (path, text) in snapshot.texts_in(list::FOLDER) {
        mutants.extend(list::parse(text).map_err(|(line, what)| format!("{path}:{line}: {what}"))?);
    }
    Ok(mutants)
}

fn choose<'a>(
    mutants: &'a [Mutant],
    chosen: &Chosen,
    commit_number: impl Fn() -> u64,
) -> Result<Vec<&'a Mutant>, String> {
    match chosen {
        Chosen::All => Ok(mutants.iter().collect()),
        Chosen::Named(names) => {
            let find = |name: &String| {
                let found = mutants.iter().find(|mutant| mutant.name == *name);
                found.ok_or_else(|| format!("no mutant is called {name}; `cargo xtask mutants --list`"))
            };
            names.iter().map(find).collect()
        }
        Chosen::OfThisCommit if mutants.is_empty() => Err("the list of mutants is empty".to_owned()),
        Chosen::OfThisCommit => Ok(vec![&mutants[(commit_number() % mutants.len() as u64) as usize]]),
    }
}

/// The start of the commit's hash. Zero in a checkout that git does not know.
pub fn commit_number(root: &Path) -> u64 {
    let head = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root).output();
    let number = |text: &[u8]| u64::from_str_radix(std::str::from_utf8(text).ok()?.get(..15)?, 16).ok();
    head.ok().and_then(|output| number(&output.stdout)).unwrap_or_else(|| {
        println!("git names no commit: number zero it is");
        0
    })
}

fn write_table(root: &Path, mutants: &[Mutant], catches: &[Catch<'_>]) -> Result<(), String> {
    let path = root.join(table::PAGE);
    let cannot = |error| format!("cannot update {}: {error}", table::PAGE);
    let page = fs::read_to_string(&path).map_err(cannot)?;
    fs::write(path, table::rewrite(&page, mutants, catches)?).map_err(cannot)
}

/// The scratch copy and what builds in it.
struct Session<'a> {
    snapshot: &'a Snapshot,
    scratch: Scratch<'a>,
    target_dir: PathBuf,
    /// Held as long as the session: two runs in one copy would see each other's defects.
    _lock: fs::File,
}

#[derive(Default)]
struct Report<'a> {
    catches: Vec<Catch<'a>>,
    survivors: Vec<&'a str>,
    /// Mutants that do not fit the code, do not compile, or could not run.
    broken: Vec<&'a str>,
}

impl<'a> Session<'a> {
    fn new(root: &Path, snapshot: &'a Snapshot) -> Result<Self, String> {
        let folder = cargo::target_dir(root).join("mutants");
        let cannot = |error: std::io::Error| format!("cannot use {}: {error}", folder.display());
        fs::create_dir_all(&folder).map_err(cannot)?;
        let lock = fs::File::create(folder.join("lock")).map_err(cannot)?;
        lock.try_lock().map_err(|error| format!("another run in {}: {error}", folder.display()))?;
        let scratch = Scratch::fill(folder.join("tree"), snapshot).map_err(cannot)?;
        Ok(Self { snapshot, scratch, target_dir: folder.join("target"), _lock: lock })
    }

    fn run<'m>(&self, mutants: &[&'m Mutant]) -> Result<Report<'m>, String> {
        self.run_unpatched(mutants)?;
        let mut report = Report::default();
        for mutant in mutants {
            let started = Instant::now();
            let result = self.run_one(mutant);
            self.restore()?;
            print!("{:>6.1} s  ", started.elapsed().as_secs_f64());
            match result {
                Ok((End::AllPassed, _)) => {
                    println!("SURVIVED  {}: {}", mutant.name, mutant.what);
                    report.survivors.push(&mutant.name);
                }
                Ok((end, tests)) => {
                    let by = if tests.is_empty() {
                        "`the test process died`".to_owned()
                    } else {
                        table::caught_by(&tests)
                    };
                    println!("{end}  {}: {by}", mutant.name);
                    report.catches.push(Catch { mutant: &mutant.name, by });
                }
                Err(reason) => {
                    println!("BROKEN  {}: {reason}", mutant.name);
                    report.broken.push(&mutant.name);
                }
            }
        }
        Ok(report)
    }

    /// A test that fails anyway catches nothing.
    fn run_unpatched(&self, mutants: &[&Mutant]) -> Result<(), String> {
        let runner = self.runner();
        for tests in list::union_of_tests(mutants) {
            let started = Instant::now();
            let binary = runner.build(&tests)?;
            let built = started.elapsed().as_secs_f64();
            let outcome = runner.run(&binary, &tests.filters)?;
            if outcome.is_caught() {
                let failed = table::caught_by(&outcome.failed);
                return Err(format!("without any defect, {tests}: {failed} ({:?})", outcome.end));
            }
            let (package, target, passed) = (&tests.package, &tests.target, outcome.passed);
            let took = started.elapsed().as_secs_f64();
            println!(
                "{took:>6.1} s  without defects  {package} {target}: {passed} passed (build {built:.1} s)"
            );
        }
        Ok(())
    }

    /// How its tests ended and which of them failed.
    fn run_one(&self, mutant: &Mutant) -> Result<(End, Vec<String>), String> {
        for (path, text) in mutant.apply(|path| self.snapshot.text(path))? {
            self.scratch.write(&path, &text).map_err(|error| format!("cannot plant it: {error}"))?;
        }
        let runner = self.runner();
        let mut end = End::AllPassed;
        let mut failed = Vec::new();
        for tests in &mutant.tests {
            let binary = runner.build(tests).map_err(|errors| format!("does not compile\n{errors}"))?;
            let outcome = runner.run(&binary, &tests.filters)?;
            if outcome.end == End::AllPassed && outcome.passed == 0 {
                return Err(format!("no test matches {tests}"));
            }
            if outcome.is_caught() {
                end = outcome.end;
                failed.extend(outcome.failed.iter().map(|test| tests.full_name(test)));
            }
            if outcome.end == End::Hung {
                break;
            }
        }
        Ok((end, failed))
    }

    fn restore(&self) -> Result<(), String> {
        self.scratch.restore().map_err(|error| format!("cannot restore the scratch copy: {error}"))
    }

    fn runner(&self) -> Runner<'_> {
        Runner { tree: self.scratch.folder(), target_dir: &self.target_dir }
    }
}

impl Report<'_> {
    fn verdict(&self, total: usize) -> Result<(), String> {
        println!("{} of {total} mutants caught", self.catches.len());
        let mut wrong = Vec::new();
        if !self.survivors.is_empty() {
            wrong.push(format!("no named test catches {}", self.survivors.join(", ")));
        }
        if !self.broken.is_empty() {
            wrong.push(format!("mend {} in {}", self.broken.join(", "), list::FOLDER));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutants(names: &[&str]) -> Vec<Mutant> {
        names.iter().map(|name| Mutant { name: (*name).to_owned(), ..Mutant::default() }).collect()
    }

    #[test]
    fn options_choose_the_mutants() {
        let run = |chosen, table| Ok(Plan::Run { chosen, table });
        let named = |name: &str| Chosen::Named(vec![name.to_owned()]);
        assert_eq!(Plan::parse(&[]), run(Chosen::All, false));
        assert_eq!(Plan::parse(&["a"]), run(named("a"), false));
        assert_eq!(Plan::parse(&["--table"]), run(Chosen::All, true));
        assert_eq!(Plan::parse(&["--table", "a"]), run(named("a"), true));
        assert_eq!(Plan::parse(&["--rotate"]), run(Chosen::OfThisCommit, false));
        assert_eq!(Plan::parse(&["--list"]), Ok(Plan::List));
        assert!(Plan::parse(&["--list", "a"]).is_err() && Plan::parse(&["a", "--table"]).is_err());
    }

    #[test]
    fn each_commit_has_its_mutant() {
        let mutants = mutants(&["a", "b", "c"]);
        let chosen =
            |number| choose(&mutants, &Chosen::OfThisCommit, || number).map(|all| all[0].name.clone());
        assert_eq!([0, 4, 5].map(chosen), ["a", "b", "c"].map(|name| Ok(name.to_owned())));
        assert!(choose(&[], &Chosen::OfThisCommit, || 0).is_err());
        let named = |name: &str| choose(&mutants, &Chosen::Named(vec![name.to_owned()]), || 0);
        assert_eq!(named("b").map(|all| all.len()), Ok(1));
        assert!(named("d").is_err_and(|error| error.contains("called d")));
    }

    #[test]
    fn a_survivor_and_a_broken_mutant_fail_the_run() {
        let caught = || Catch { mutant: "a", by: "`t`".to_owned() };
        let report = |survivors, broken| Report { catches: vec![caught()], survivors, broken };
        assert_eq!(report(vec![], vec![]).verdict(1), Ok(()));
        assert!(report(vec!["b"], vec![]).verdict(2).is_err_and(|error| error.contains("catches b")));
        assert!(report(vec![], vec!["b", "c"]).verdict(3).is_err_and(|error| error.contains("mend b, c")));
    }
}
