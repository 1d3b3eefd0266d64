//! Every command of the README, in its order, as a reader would type them.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use joulebook_tests::{Daemon, joulebook, shown_commands};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_command_works() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("joulebook-data");
    std::fs::create_dir(&data).unwrap();
    let mut daemon = None;
    let mut ran = 0;
    for line in shown_commands(&root().join("README.md")).into_iter().map(|shown| shown.command) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            // The demo has a test of its own, and the tests are what is running here.
            ["cargo", "run", "--release", "--", "demo"] | ["cargo", "xtask", "test"] => {}
            // In the background, as in a terminal of its own, and on free ports.
            ["joulebook", "serve"] => daemon = Some(Daemon::start(&data, &[])),
            ["joulebook", args @ ..] => {
                let output = joulebook(args).current_dir(dir.path()).output().expect("the binary runs");
                // A busy machine makes a benchmark say so with code 4: that is the command working.
                let codes: &[i32] = if args[0] == "bench" { &[0, 4] } else { &[0] };
                let code = output.status.code().unwrap_or(-1);
                assert!(codes.contains(&code), "`{line}`: {}", String::from_utf8_lossy(&output.stderr));
            }
            [
                "cargo",
                "run",
                "--release",
                "--package",
                "joulebook-client",
                "--example",
                "quote",
                "--",
                symbol,
            ] => {
                quote(symbol, &data);
            }
            _ => panic!("the README has a command that this test does not know: {line}"),
        }
        ran += 1;
    }
    assert!(ran > 15 && daemon.is_some(), "only {ran} commands were found");
}

#[test]
fn the_quoter_is_short() {
    let text = std::fs::read_to_string(root().join("crates/client/examples/quote.rs")).unwrap();
    assert!(text.lines().count() < 60, "the README promises under 60 lines");
}

/// The example as the workspace's tests have built it. It runs until it is killed: two lines say that both quotes were
/// answered.
fn quote(symbol: &str, data: &Path) {
    let built = std::env::current_exe().expect("a test has a path");
    let built = built.ancestors().nth(2).expect("a target folder").join("examples/quote");
    assert!(built.exists(), "{} is not built: run the tests of the whole workspace", built.display());
    let mut child = Command::new(built)
        .arg(symbol)
        .env("JOULEBOOK_DIR", data)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example runs");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let answers: Vec<String> = lines.take(2).map(|line| line.expect("text")).collect();
    child.kill().and_then(|()| child.wait()).expect("it ran");
    assert!(answers.iter().any(|line| line.starts_with("sell 2 at 27.03 rests")), "{answers:?}");
    // Alice has capacity but was given no credits: the refusal says so.
    assert!(answers.iter().any(|line| line.contains("InsufficientCredits")), "{answers:?}");
}
