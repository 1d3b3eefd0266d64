//! How many tests ran, read from what `cargo test` prints.

use std::fmt;

/// Sums over all test binaries of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TestCounts {
    /// Reported as passed by the runner, also those that skipped themselves.
    ok: u64,
    failed: u64,
    ignored: u64,
    /// Tests that said they skipped themselves, which they do before the runner reports them.
    skipped_themselves: u64,
}

impl TestCounts {
    /// Takes one line of output into account.
    pub fn read_line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(result) = line.strip_prefix("test result: ") {
            self.add_result(result);
        } else if is_skip_note(line) {
            self.skipped_themselves += 1;
        }
    }

    pub fn add(&mut self, other: TestCounts) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.skipped_themselves += other.skipped_themselves;
    }

    /// Tests that ran to their end.
    pub fn passed(&self) -> u64 {
        self.ok.saturating_sub(self.skipped_themselves)
    }

    fn add_result(&mut self, result: &str) {
        for part in result.split(['.', ';']) {
            let Some((number, what)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.ok += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// A test that does not run says `skipped (reason): name`. With one test thread the runner has already printed
/// `test name ... ` on that line.
fn is_skip_note(line: &str) -> bool {
    let note = match line.strip_prefix("test ") {
        Some(rest) => rest.split_once(" ... ").map_or("", |(_, note)| note),
        None => line,
    };
    note.starts_with("skipped (")
}

impl fmt::Display for TestCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.ignored + self.skipped_themselves;
        write!(formatter, "{} passed, {} failed, {skipped} skipped", self.passed(), self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lines: &[&str]) -> String {
        let mut counts = TestCounts::default();
        lines.iter().for_each(|line| counts.read_line(line));
        counts.to_string()
    }

    #[test]
    fn sums_the_results_of_all_binaries() {
        let lines = [
            "running 3 tests",
            "test passed_on_the_first_try ... ok",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.01s",
            "test result: FAILED. 4 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.50s\n",
        ];
        assert_eq!(counts(&lines), "7 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn a_test_that_skips_itself_is_not_a_pass() {
        let lines = [
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "skipped (no data): replays_the_recording",
            "test the_page_loads ... skipped (no browser): the_page_loads",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ];
        assert_eq!(counts(&lines), "2 passed, 0 failed, 2 skipped");
    }

    #[test]
    fn names_and_messages_do_not_count() {
        let lines = ["test skipped (odd) ... ok", "a note: skipped (not at the start)", "test result: what?"];
        assert_eq!(counts(&lines), "0 passed, 0 failed, 0 skipped");
    }
}
