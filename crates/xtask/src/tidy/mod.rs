//! `cargo xtask tidy`: rules of the project that no compiler checks. Each rule can fail, and its test shows it.

mod code;
mod edges;
mod files;
mod links;
mod lock;
mod mutants;
mod sources;
pub mod tree;

use std::fmt;
use std::path::Path;

use tree::Tree;

/// One broken rule: where, what, and how to mend it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from 1; 1 also stands for the whole file.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

pub fn run(root: &Path) -> Result<(), String> {
    let tree = Tree::load(root).map_err(|error| format!("cannot read the checkout: {error}"))?;
    let findings = findings(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("{} files follow the rules", tree.files.len());
            Ok(())
        }
        broken => Err(format!("{broken} places break a rule")),
    }
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    edges::check(tree, &mut findings);
    sources::check(tree, &mut findings);
    files::check(tree, &mut findings);
    links::check(tree, &mut findings);
    lock::check(tree, &mut findings);
    mutants::check(tree, &mut findings);
    findings.sort();
    findings.dedup();
    findings
}
