//! What people type after an option: prices, amounts, symbols, codes, spans, times.

use core::fmt::{Debug, Display};
use core::str::FromStr;

use joulebook_journal::SnapshotName;
use joulebook_types::{AreaCode, ClassCode, MicroEc, Price, Symbol, TimeNs, TokenPrice, decimal};

use crate::Traits;
use crate::span::{Span, Until};

pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    let text = String::from_utf8_lossy(input);
    let kinds = [
        reads_back::<Price>(&text),
        reads_back::<MicroEc>(&text),
        reads_back::<TokenPrice>(&text),
        reads_back::<Symbol>(&text),
        reads_back::<ClassCode>(&text),
        reads_back::<AreaCode>(&text),
        span(&text),
        until(&text),
        minute(&text),
        snapshot_name(&text),
    ];
    decimals(&text, traits);
    for (kind, read) in (0..).zip(kinds) {
        traits.saw(if read { "reads" } else { "does not read" }, kind);
    }
}

/// A value's own text gives the value; an error says something.
fn reads_back<T: FromStr<Err: Display> + Display + PartialEq + Debug>(text: &str) -> bool {
    match text.parse::<T>() {
        Ok(value) => {
            let shown = value.to_string();
            assert_eq!(shown.parse().ok(), Some(value), "{text:?} shown as {shown:?}");
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

fn span(text: &str) -> bool {
    match text.parse::<Span>() {
        Ok(Span(ms)) => {
            assert_eq!(format!("{ms}ms").parse(), Ok(Span(ms)));
            true
        }
        Err(error) => {
            assert!(error.contains(text), "the error shows what was typed");
            false
        }
    }
}

fn until(text: &str) -> bool {
    match text.parse::<Until>() {
        Ok(Until::In(span)) => {
            assert_eq!(text[1..].parse(), Ok(span));
            true
        }
        Ok(Until::At(time)) => {
            assert_eq!(TimeNs::parse_minute(text), Some(time));
            true
        }
        Err(_) => false,
    }
}

fn minute(text: &str) -> bool {
    let Some(time) = TimeNs::parse_minute(text) else { return false };
    if time == TimeNs::MAX {
        // Years that 64 bits of nanoseconds do not reach mean never.
        return true;
    }
    assert!(time.raw() % 60_000_000_000 == 0, "whole minutes");
    let shown = time.to_string();
    assert_eq!(
        shown.strip_suffix("00Z").and_then(TimeNs::parse_minute),
        Some(time),
        "{text:?} shown as {shown:?}"
    );
    true
}

fn snapshot_name(text: &str) -> bool {
    let Some(name) = SnapshotName::parse(text) else { return false };
    assert_eq!(name.to_string(), text, "a file has one name");
    true
}

fn decimals(text: &str, traits: &mut Traits) {
    match decimal::parse_micro(text) {
        Ok(micro) => {
            for places in 0..8 {
                let shown = decimal::format_micro(micro, places);
                assert_eq!(decimal::parse_micro(&shown), Ok(micro), "{text:?} shown as {shown:?}");
            }
        }
        Err(error) => traits.saw("decimal", error as u64),
    }
}

pub(crate) const WORDS: &[&str] = &[
    "27.00",
    "0.000001",
    "-",
    "+",
    ".",
    "9223372036854.775807",
    "-9223372036854.775808",
    "9999999999999",
    "000000",
    "H200S",
    "TPU6E",
    ".DE.",
    "NO2",
    "20261124T1400",
    "19700101T0000",
    "21060207T0628",
    "99991231T2359",
    ".H",
    ".Q",
    ".D",
    "0229",
    "T24",
    "ms",
    "s",
    "m",
    "h",
    "+15m",
    "4294967295",
    "4294967296",
    "-0123456789abcdef.snap",
    "00000000000000000042",
    "\u{e9}",
    "\u{0}",
    "T",
];
