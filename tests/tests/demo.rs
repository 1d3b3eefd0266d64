//! The newcomer's command: exit code 0 only if every check held, and the winner follows from the floors.
#![forbid(unsafe_code)]

use std::process::Output;

use joulebook_tests::joulebook;

fn demo(args: &[&str]) -> (Output, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = joulebook(&["demo", "--no-tui", "--seconds", "10"]);
    let output = command.args(args).current_dir(dir.path()).output().expect("the demo runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let left = dir.path().join(".joulebook").exists();
    assert!(!left, "the data is wiped at the end");
    (output, text)
}

fn assert_won(text: &str, output: &Output, winner: &str) {
    let printed = format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}");
    for expected in [
        "PASS",
        "ok   credits conserved",
        "ok   replay = live",
        "ok   no crossed book",
        "EC/Mtok",
        "EC/AH",
        "page ",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{printed}");
    }
    assert!(text.contains(&format!("{winner} has the lower floor per token")), "{printed}");
    assert!(!text.contains("FAIL"), "{printed}");
}

#[test]
fn the_lower_floor_wins_and_swapping_floors_swaps_the_winner() {
    // One after the other: two price wars at once on two cores would measure each other.
    let (output, text) = demo(&["--seed", "7"]);
    assert_won(&text, &output, "Google");
    let (output, text) = demo(&["--seed", "7", "--swap-floors"]);
    assert_won(&text, &output, "NVIDIA");
}

#[test]
fn a_folder_that_is_not_the_demos_own_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
    let output = joulebook(&["demo", "--seconds", "10", "--data"]).arg(dir.path()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("choose another --data DIR"), "{error}");
    assert!(dir.path().join("thesis.txt").exists());
}
