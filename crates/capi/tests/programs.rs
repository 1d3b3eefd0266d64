//! C programs against the library: one that tests what the header offers, and the one of the README.
#![forbid(unsafe_code)]

mod compiler;

use std::path::{Path, PathBuf};

use compiler::{Compiler, Link};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(here().join("tests/c")).unwrap();
    let mut sources: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    sources
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_c_program_uses_all_of_it() {
    let Some(compiler) = Compiler::c() else { return };
    let folder = tempfile::tempdir().unwrap();
    let said = compiler.build_and_run(&sources(), folder.path(), Link::Shared);
    println!("{said}");
    assert!(said.ends_with(" 0 failed\n"), "{said}");
}

/// The first block of `language` after `heading`.
fn block(page: &str, heading: &str, language: &str) -> String {
    let (_, rest) = page.split_once(heading).expect(heading);
    let (_, rest) = rest.split_once(&format!("```{language}\n")).expect(language);
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_example_of_the_readme_says_what_the_readme_says() {
    let Some(compiler) = Compiler::c() else { return };
    let page = read(&here().join("README.md"));
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("example.c");
    std::fs::write(&source, block(&page, "## Example", "c")).unwrap();
    for link in [Link::Shared, Link::Static] {
        let said = compiler.build_and_run(std::slice::from_ref(&source), folder.path(), link);
        assert_eq!(said, block(&page, "## Example", "text"));
    }
}
