//! The load generator against the exchange that it starts itself: counts, not speeds.
#![forbid(unsafe_code)]

use joulebook_tests::joulebook;
use serde_json::Value;

/// Runs a benchmark. Exit code 4 says that the machine was too busy for the numbers; the counts hold all the same.
fn bench(args: &[&str]) -> Value {
    let output = joulebook(&["bench"]).args(args).args(["--json", "-"]).output().expect("the bench runs");
    let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 4)), "{error}\n{text}");
    serde_json::from_str(&text).unwrap_or_else(|problem| panic!("{problem}: {text}\n{error}"))
}

fn assert_answered(report: &Value) {
    for run in report["runs"].as_array().expect("runs") {
        assert_eq!((&run["lost"], &run["unsent"]), (&0.into(), &0.into()), "{run:#}");
        assert!(run["answered"].as_u64().is_some_and(|answered| answered > 0), "{run:#}");
    }
}

#[test]
fn open_and_closed_loops_answer_every_request() {
    for args in [
        &["mix", "--rate", "1k", "--duration", "1"][..],
        &["mix", "--rate", "1k", "--duration", "1", "--ack", "memory", "--wiring", "threaded"],
        &["price-war", "--rate", "500", "--duration", "1"],
        &["ping-pong", "--duration", "1", "--wiring", "inline"],
        &["peak", "--duration", "1", "--window", "32"],
    ] {
        let report = bench(args);
        assert_answered(&report);
        let ack = if args.contains(&"memory") { "memory" } else { "durable" };
        assert_eq!(report["exchange"]["ack"], ack, "every report says how it was acknowledged");
    }
}

#[test]
fn a_real_recording_ends_in_the_recorded_book() {
    let folder = joulebook_testkit::data_dir_or_skip!();
    let file = folder.join("order-flow/bitstamp-btcusd-2015-05-01-l3.part1.csv.xz");
    let report = bench(&["replay", file.to_str().expect("a plain path")]);
    let replay = &report["replay"];
    assert_eq!(replay["counts"]["rejects"], 0, "{replay:#}");
    assert_eq!(replay["open_at_end"], 169, "{replay:#}");
    assert_eq!(replay["same_ids"], true, "{replay:#}");
    assert_eq!(replay["complaint"], Value::Null, "{replay:#}");
    assert_eq!(replay["counts"]["trades"], 305, "{replay:#}");
}

#[test]
fn a_file_that_is_no_recording_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("notes.csv");
    std::fs::write(&file, "hello,world\n1,2\n").unwrap();
    let output = joulebook(&["bench", "replay"]).arg(&file).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("notes.csv"), "{error}");
}

#[test]
fn options_that_cannot_be_are_refused() {
    for (args, expected) in [
        (&["bench", "mix", "--rate", "fast"][..], "no rate"),
        (&["bench", "mix", "--rate", "0"], "at least 1"),
        (&["bench", "mix", "--target", "127.0.0.1:1"], "--dir"),
        (&["demo", "--seconds", "3"], "10..=120"),
    ] {
        let output = joulebook(args).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(expected), "{args:?}: {error}");
    }
}
