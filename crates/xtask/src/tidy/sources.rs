//! Rules for Rust text: where `unsafe` may live, what a pure crate must not mention, what must not be left behind.

use super::Finding;
use super::code::{Parts, has_word};
use super::edges::PURE;
use super::tree::{File, Tree, numbered};

/// The crates that may contain `unsafe`; all others forbid it at their root.
const UNSAFE_ALLOWED: &[&str] = &["rings", "sys", "capi", "testkit"];

const FORBID_UNSAFE: &str = "#![forbid(unsafe_code)]";

/// What would let time, files, sockets or chance into a crate that must be deterministic.
const IMPURE_WORDS: &[&str] =
    &["std::net", "std::fs", "SystemTime", "Instant::now", "rand::", "tokio", "quinn", "quinn_proto"];

/// Crates in which money is counted.
const FLOAT_FREE: &[&str] = &["types", "protocol", "book", "ledger", "engine"];

const SLEEPS: &[&str] = &["thread::sleep", "time::sleep"];

pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files.iter().filter(|file| file.extension() == "rs") {
        let mut source =
            Source { file, folder: folder_of(&file.path), parts: Parts::of(&file.text), findings };
        source.unsafe_code();
        source.purity();
        source.leftovers();
        source.sleeps();
    }
}

struct Source<'a> {
    file: &'a File,
    /// The crate's folder name; empty for a file outside of any crate.
    folder: &'a str,
    parts: Parts,
    findings: &'a mut Vec<Finding>,
}

impl Source<'_> {
    fn unsafe_code(&mut self) {
        if UNSAFE_ALLOWED.contains(&self.folder) {
            return;
        }
        if is_crate_root(&self.file.path) && !self.parts.code.contains(FORBID_UNSAFE) {
            self.find(
                1,
                format!("crate root without {FORBID_UNSAFE}: add it below the crate's documentation"),
            );
        }
        let allowed = UNSAFE_ALLOWED.join(", ");
        self.find_words(
            &["unsafe"],
            &format!("unsafe lives in {allowed} only: wrap it there in a safe function"),
        );
    }

    fn purity(&mut self) {
        if !self.in_sources() {
            return;
        }
        // A program is an edge, also one that runs a pure crate.
        if PURE.contains(&self.folder) && !self.file.path.contains("/src/bin/") {
            let what = format!("{} is deterministic: take it as a value from the edge", self.folder);
            self.find_words(IMPURE_WORDS, &what);
            for (number, line) in numbered(&self.parts.code.clone()) {
                if line.contains("std::{") && (has_word(line, "fs") || has_word(line, "net")) {
                    self.find(number, format!("std::fs or std::net: {what}"));
                }
            }
        }
        if FLOAT_FREE.contains(&self.folder) {
            self.find_words(&["f32", "f64"], "no floats where money is counted: use integers");
        }
    }

    fn leftovers(&mut self) {
        self.find_words(&["todo!(", "unimplemented!(", "dbg!("], "unfinished code: finish it or take it out");
        self.find_words(&["#[ignore"], "a test that never runs: mend it or delete it");
        for (number, line) in numbered(&self.parts.comments.clone()) {
            for mark in unfinished_marks().iter().filter(|mark| has_word(line, mark)) {
                self.find(number, format!("{mark}: do it now or describe it in an issue"));
            }
        }
    }

    fn sleeps(&mut self) {
        let path = &self.file.path;
        let all_tests = path.starts_with("tests/") || path.contains("/tests/");
        let tests = if all_tests { self.parts.code.clone() } else { self.parts.test_code() };
        for (number, line) in numbered(&tests) {
            for sleep in SLEEPS.iter().filter(|sleep| has_word(line, sleep)) {
                self.find(number, format!("{sleep} in a test: wait for the event instead"));
            }
        }
    }

    fn in_sources(&self) -> bool {
        self.file.path.contains("/src/")
    }

    fn find(&mut self, line: usize, what: String) {
        self.findings.push(Finding::new(&self.file.path, line, what));
    }

    fn find_words(&mut self, words: &[&str], what: &str) {
        for (number, line) in numbered(&self.parts.code.clone()) {
            for word in words.iter().filter(|word| has_word(line, word)) {
                self.find(number, format!("{word}: {what}"));
            }
        }
    }
}

/// Written apart, or this file would break its own rule.
pub fn unfinished_marks() -> [&'static str; 3] {
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")]
}

fn folder_of(path: &str) -> &str {
    let inner = path.strip_prefix("crates/").unwrap_or(path);
    inner.split_once('/').map_or("", |(folder, _)| folder)
}

/// `lib.rs`, `main.rs`, and every program under `src/bin`.
fn is_crate_root(path: &str) -> bool {
    let inner = path.strip_prefix("crates/").unwrap_or(path);
    let Some((_, inside)) = inner.split_once('/') else { return false };
    matches!(inside, "src/lib.rs" | "src/main.rs")
        || inside
            .strip_prefix("src/bin/")
            .is_some_and(|rest| !rest.contains('/') || rest.ends_with("/main.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&Tree::of(&[(path, text)]), &mut findings);
        findings.iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect()
    }

    #[test]
    fn each_rule_can_fail() {
        let cases = [
            ("crates/book/src/lib.rs", "//! A book.\n", "1: crate root without"),
            ("crates/server/src/bin/tool.rs", "fn main() {}\n", "1: crate root without"),
            ("crates/book/src/level.rs", "fn f() {\n    unsafe { g() }\n}\n", "2: unsafe: "),
            ("crates/engine/src/apply.rs", "let now = Instant::now();\n", "1: Instant::now: engine is"),
            ("crates/journal/src/file.rs", "use std::{fs, io};\n", "1: std::fs or std::net"),
            ("crates/agents/src/maker.rs", "use tokio::sync;\n", "1: tokio: agents is"),
            ("crates/ledger/src/fee.rs", "fn fee(rate: f64) {}\n", "1: f64: no floats"),
            ("crates/server/src/main_loop.rs", "todo!()\n", "1: todo!(: unfinished"),
            (
                "crates/server/src/main_loop.rs",
                "#[ignore = \"slow\"]\n",
                "1: #[ignore: a test that never runs",
            ),
            ("tests/tests/demo.rs", "std::thread::sleep(d);\n", "1: thread::sleep in a test"),
            (
                "crates/server/src/wait.rs",
                "#[cfg(test)]\nmod tests {\n    fn f() { tokio::time::sleep(d).await }\n}\n",
                "3: time::sleep in a test",
            ),
        ];
        for (path, text, want) in cases {
            let found = findings(path, text);
            assert_eq!(found.len(), 1, "{path}: {found:?}");
            assert!(found[0].starts_with(want), "{path}: {}", found[0]);
        }
        for mark in unfinished_marks() {
            let found = findings("crates/server/src/wait.rs", &format!("// {mark}: later\n"));
            assert_eq!(found, [format!("1: {mark}: do it now or describe it in an issue")]);
        }
    }

    #[test]
    fn what_is_allowed_passes() {
        let cases = [
            ("crates/book/src/lib.rs", "//! No unsafe, no f64.\n#![forbid(unsafe_code)]\n"),
            ("crates/sys/src/lib.rs", "unsafe { g() }\n"),
            (
                "crates/engine/src/apply.rs",
                "// Never std::fs, Instant::now or tokio.\nlet operand = operand::new();\n",
            ),
            ("crates/engine/tests/speed.rs", "let started = Instant::now();\n"),
            ("crates/sim/src/bin/sim.rs", "#![forbid(unsafe_code)]\nlet started = Instant::now();\n"),
            ("crates/metrics/src/mean.rs", "fn mean() -> f64 { 0.0 }\n"),
            (
                "crates/server/src/wait.rs",
                "fn pause() { std::thread::sleep(d) }\n#[cfg(test)]\nmod tests {}\n",
            ),
            ("crates/server/src/help.rs", "let text = \"todo!( dbg!( unsafe\";\n"),
        ];
        for (path, text) in cases {
            assert_eq!(findings(path, text), [""; 0], "{path}");
        }
    }
}
