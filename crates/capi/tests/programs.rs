//! C programs against the library: one that calls every function and sends every command, and the one of the README.
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

#[test]
fn the_c_program_leaves_nothing_out() {
    let text: String = sources().iter().map(|path| read(path)).collect();
    for function in joulebook_capi::function_names() {
        assert!(text.contains(&format!("{function}(")), "{function} is not called");
    }
    // Every command of clients has a function of its own; those of the exchange itself go by number.
    let header = joulebook_capi::header();
    for info in joulebook_protocol::TABLE.iter().filter(|info| (50..60).contains(&info.template_id)) {
        let is_its_number = |line: &&str| {
            line.contains("JB_MSG_")
                && line.trim_end_matches(',').ends_with(&format!(" = {}", info.template_id))
        };
        let name =
            header.lines().find(is_its_number).and_then(|line| line.split_whitespace().next()).unwrap();
        assert!(text.contains(&format!("{name},")), "{name} is not sent");
    }
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
