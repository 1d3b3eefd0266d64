//! Spans and points of time as people type them.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use joulebook_types::TimeNs;

/// A span: `250ms`, `30s`, `15m` or `2h`, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u32);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let unit = match &text[end..] {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let ms = unit
            .zip(text[..end].parse().ok())
            .and_then(|(unit, number): (u32, u32)| number.checked_mul(unit));
        ms.map(Self).ok_or_else(|| format!("`{text}` is no time span such as 250ms, 30s, 15m or 2h"))
    }
}

/// A point of time: `20261224T1330` (UTC), or `+15m` from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    At(TimeNs),
    In(Span),
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(span) = text.strip_prefix('+') {
            return span.parse().map(Self::In);
        }
        let at = TimeNs::parse_minute(text).map(Self::At);
        at.ok_or_else(|| format!("`{text}` is no time such as 20261224T1330 (UTC) or +15m"))
    }
}

impl Until {
    /// By this machine's clock: the exchange's is the same on one machine, and close on others.
    pub fn time(self) -> TimeNs {
        match self {
            Self::At(time) => time,
            Self::In(span) => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                TimeNs::new(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)).saturating_add_ms(span.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        assert_eq!("250ms".parse(), Ok(Span(250)));
        assert_eq!("30s".parse(), Ok(Span(30_000)));
        assert_eq!("2h".parse(), Ok(Span(7_200_000)));
        for wrong in ["", "5", "s", "-5s", "5 s", "1.5s", "5000000h"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_absolute_or_from_now() {
        let at = "20261224T1330".parse::<Until>().unwrap();
        assert_eq!(at.time(), TimeNs::from_minutes(29_968_650));
        assert_eq!("+15m".parse(), Ok(Until::In(Span(900_000))));
        for wrong in ["", "+", "20261324T1330", "2026-12-24", "15m"] {
            assert!(wrong.parse::<Until>().is_err(), "{wrong}");
        }
    }
}
