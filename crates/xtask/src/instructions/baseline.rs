//! The recorded counts as a file that people can read, and what is said about new ones.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// Rows with more instructions than this many thousandths above what was recorded fail.
const TOLERANCE_MILLI: u64 = 10;
/// Functions below this many hundredths of an instruction per command are left out of the file.
const FUNCTION_CENTI_MIN: u64 = 50;
/// Functions that are named when a row moved.
const NAMED: usize = 6;

/// In the order of the file.
pub struct Baseline {
    pub rows: Vec<(String, Count)>,
}

/// Instructions per command, in hundredths.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    centi: u64,
    functions: BTreeMap<String, u64>,
}

impl Count {
    /// `functions` are sums over so many commands.
    pub fn new(functions: BTreeMap<String, u64>, commands: u64) -> Self {
        let per_command = |sum: u64| (sum * 100).div_ceil(commands.max(1));
        let centi = per_command(functions.values().sum());
        let functions = functions.into_iter().map(|(name, sum)| (name, per_command(sum)));
        Self { centi, functions: functions.filter(|(_, centi)| *centi >= FUNCTION_CENTI_MIN).collect() }
    }
}

impl Baseline {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rows: Vec<(String, Count)> = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let wrong = || format!("line {} of the recorded counts is no count: {line}", number + 1);
            let (centi, name) = line.trim_start().split_once(' ').ok_or_else(wrong)?;
            let centi = parse_centi(centi).ok_or_else(wrong)?;
            if !line.starts_with(' ') {
                rows.push((name.to_owned(), Count { centi, functions: BTreeMap::new() }));
            } else {
                let (_, row) = rows.last_mut().ok_or_else(wrong)?;
                row.functions.insert(name.to_owned(), centi);
            }
        }
        Ok(Self { rows })
    }

    /// What there is to say about each row, and whether one has too many instructions, or was never recorded.
    pub fn compare(&self, recorded: &Self) -> (String, bool) {
        let (mut said, mut moved) = (String::new(), false);
        for (name, now) in &self.rows {
            let Some((_, before)) = recorded.rows.iter().find(|(recorded, _)| recorded == name) else {
                let _ = writeln!(said, "{name:<18}{:>9}  was never recorded", Centi(now.centi));
                moved = true;
                continue;
            };
            let is_more = now.centi * 1_000 > before.centi * (1_000 + TOLERANCE_MILLI);
            let is_less = now.centi * (1_000 + TOLERANCE_MILLI) < before.centi * 1_000;
            let change = now.centi as f64 / before.centi.max(1) as f64 * 100.0 - 100.0;
            let (count, was) = (Centi(now.centi), Centi(before.centi));
            let verdict = match (is_more, is_less) {
                (true, _) => "TOO MANY",
                (_, true) => "fewer: record them with --bless",
                _ => "ok",
            };
            let _ = writeln!(said, "{name:<18}{count:>9}  recorded {was:>9}  {change:>+6.1} %  {verdict}");
            if is_more || is_less {
                said.push_str(&now.functions_that_moved(before));
            }
            moved |= is_more;
        }
        (said, moved)
    }
}

impl Count {
    fn functions_that_moved(&self, before: &Self) -> String {
        let names: std::collections::BTreeSet<&String> =
            self.functions.keys().chain(before.functions.keys()).collect();
        let count = |count: &Self, name: &str| count.functions.get(name).copied().unwrap_or_default();
        let mut moved: Vec<(i64, &String)> = names
            .into_iter()
            .map(|name| (count(self, name) as i64 - count(before, name) as i64, name))
            .filter(|(difference, _)| *difference != 0)
            .collect();
        moved.sort_by_key(|(difference, name)| (-difference.abs(), *name));
        let mut said = String::new();
        for (difference, name) in moved.into_iter().take(NAMED) {
            let (now, was) = (Centi(count(self, name)), Centi(count(before, name)));
            let _ = writeln!(said, "  {:>+9.2}  {name}: {now}, was {was}", difference as f64 / 100.0);
        }
        said
    }
}

/// Shown as a decimal number.
struct Centi(u64);

impl fmt::Display for Centi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

fn parse_centi(text: &str) -> Option<u64> {
    let (whole, parts) = text.split_once('.')?;
    let parts = Some(parts).filter(|parts| parts.len() == 2)?;
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(parts.parse().ok()?)
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Instructions per command, exact, and the functions in which they are spent.")?;
        writeln!(f, "# `cargo xtask counts` compares, `cargo xtask counts --bless` writes this file.")?;
        for (name, count) in &self.rows {
            writeln!(f, "{} {name}", Centi(count.centi))?;
            let mut functions: Vec<_> = count.functions.iter().collect();
            functions.sort_by_key(|(name, centi)| (u64::MAX - **centi, *name));
            for (name, centi) in functions {
                writeln!(f, "  {} {name}", Centi(*centi))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(rows: &[(&str, &[(&str, u64)])]) -> Baseline {
        let count = |functions: &[(&str, u64)]| {
            Count::new(functions.iter().map(|(name, sum)| ((*name).to_owned(), *sum)).collect(), 1_000)
        };
        Baseline { rows: rows.iter().map(|(name, sums)| ((*name).to_owned(), count(sums))).collect() }
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let written = counted(&[
            ("book w1", &[("Book::add", 41_250), ("Book::remove", 30_000), ("rare", 300)]),
            ("engine w2 hour", &[("<Vec<u8> as Write>::write", 2_000_000)]),
        ]);
        let text = written.to_string();
        let read = Baseline::parse(&text).expect("own text");
        assert_eq!(read.rows, written.rows);
        assert!(
            text.contains("\n71.55 book w1\n  41.25 Book::add\n  30.00 Book::remove\n2000.00 engine"),
            "{text}"
        );
        for wrong in ["book w1", "1.5 book w1", "  1.50 a function of no row", "x.00 book"] {
            assert!(Baseline::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn more_than_one_in_a_hundred_fails_and_the_function_is_named() {
        let recorded = counted(&[("book w1", &[("Book::add", 40_000), ("Book::remove", 60_000)])]);
        let compare = |add, remove| {
            counted(&[("book w1", &[("Book::add", add), ("Book::remove", remove)])]).compare(&recorded)
        };
        assert!(!compare(40_000, 60_000).1);
        assert!(!compare(41_000, 60_000).1, "exactly the tolerance");
        let (said, moved) = compare(42_000, 60_000);
        assert!(
            moved && said.contains("TOO MANY") && said.contains("+2.00  Book::add: 42.00, was 40.00"),
            "{said}"
        );
        assert!(!said.contains("Book::remove"), "{said}");
        let (said, moved) = compare(40_000, 50_000);
        assert!(!moved && said.contains("--bless") && said.contains("-10.00  Book::remove"), "{said}");
        let (said, moved) = counted(&[("book w9", &[("a", 1_000)])]).compare(&recorded);
        assert!(moved && said.contains("never recorded"), "{said}");
    }
}
