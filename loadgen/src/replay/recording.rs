//! A recording of single orders: one line per event, as the Bitstamp exchange published them.

use std::collections::BTreeSet;
use std::path::Path;

use joulebook_types::Side;

use crate::BenchError;

/// One line of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The recorded exchange's order id.
    pub id: u64,
    pub action: Action,
    pub side: Side,
    /// Hundredths of a US dollar per bitcoin.
    pub price_cents: i64,
    /// What remains of the order, in hundred-millionths of a bitcoin.
    pub volume: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Created,
    /// Filled in part.
    Changed,
    /// Filled or canceled.
    Deleted,
}

const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";
const HEADER: &str = "id,timestamp,exchange.timestamp,price,volume,action,direction";

/// Reads a csv file, plain or compressed with xz.
pub fn read(path: &Path) -> Result<Vec<Recorded>, BenchError> {
    let bytes = std::fs::read(path).map_err(BenchError::file("read", path))?;
    let text = if bytes.starts_with(XZ_MAGIC) {
        let mut text = Vec::new();
        lzma_rs::xz_decompress(&mut bytes.as_slice(), &mut text)
            .map_err(|error| BenchError::content(path, format!("no xz file: {error}")))?;
        text
    } else {
        bytes
    };
    let text = std::str::from_utf8(&text).map_err(|error| BenchError::content(path, error.to_string()))?;
    parse(text).map_err(|what| BenchError::content(path, what))
}

/// The ids that rest when the recording ends: created in it and not deleted.
pub fn alive(events: &[Recorded]) -> BTreeSet<u64> {
    let mut alive = BTreeSet::new();
    for event in events {
        match event.action {
            Action::Created => alive.insert(event.id),
            Action::Deleted => alive.remove(&event.id),
            Action::Changed => continue,
        };
    }
    alive
}

fn parse(text: &str) -> Result<Vec<Recorded>, String> {
    let mut lines = text.lines();
    match lines.next() {
        Some(header) if header.trim() == HEADER => {}
        other => return Err(format!("line 1 is {other:?}, expected {HEADER:?}")),
    }
    lines
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            parse_line(line.trim()).ok_or_else(|| format!("line {}: not an event: {line:?}", index + 2))
        })
        .collect()
}

fn parse_line(line: &str) -> Option<Recorded> {
    let mut fields = line.split(',');
    let id = fields.next()?.parse().ok()?;
    let (_received, _exchange) = (fields.next()?, fields.next()?);
    let price_cents = cents(fields.next()?)?;
    let volume = fields.next()?.parse().ok()?;
    let action = match fields.next()? {
        "created" => Action::Created,
        "changed" => Action::Changed,
        "deleted" => Action::Deleted,
        _ => return None,
    };
    let side = match fields.next()? {
        "bid" => Side::Buy,
        "ask" => Side::Sell,
        _ => return None,
    };
    fields.next().is_none().then_some(Recorded { id, action, side, price_cents, volume })
}

/// A positive decimal of at most two places.
fn cents(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 2 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let cents: i64 = format!("{fraction:0<2}").parse().ok()?;
    let whole: i64 = whole.parse().ok().filter(|whole| (0..1_000_000_000).contains(whole))?;
    Some(whole * 100 + cents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_events() {
        let text = format!("{HEADER}\n7,1,2,236.4,200,created,bid\n7,3,2,236.47,100,changed,ask\n");
        let events = parse(&text).unwrap();
        let first =
            Recorded { id: 7, action: Action::Created, side: Side::Buy, price_cents: 23_640, volume: 200 };
        assert_eq!(events[0], first);
        assert_eq!(
            (events[1].action, events[1].side, events[1].price_cents),
            (Action::Changed, Side::Sell, 23_647)
        );
    }

    #[test]
    fn what_is_no_event_is_named_by_its_line() {
        for broken in [
            "x",
            "7,1,2,3,4,created,up",
            "7,1,2,1.234,4,created,bid",
            "7,1,2,-1,4,created,bid",
            "7,1,2,3,4,created,bid,9",
        ] {
            let error = parse(&format!("{HEADER}\n{broken}\n")).unwrap_err();
            assert!(error.starts_with("line 2"), "{error}");
        }
        assert!(parse("id,price\n").is_err());
    }
}
