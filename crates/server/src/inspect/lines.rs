//! Commands and events as lines for people.

use core::fmt;

use joulebook_engine::{Destination, Engine, Record};
use joulebook_protocol::{Origin, SequencedCommand};
use joulebook_types::{AccountId, InstrumentId, SeqNum, SessionId, TimeNs};

use super::json::view_of;
use super::steps::{Cause, Step, symbol_of};

/// Who asked, or who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The exchange's own command.
    Exchange,
    Everybody,
    Session(AccountId, SessionId),
    /// A connection without a session: a logon that was refused.
    Connection,
}

impl Who {
    pub fn sent(origin: Origin) -> Self {
        if origin.account.is_none() { Self::Exchange } else { Self::Session(origin.account, origin.session) }
    }

    pub fn hears(engine: &Engine, record: &Record<'_>) -> Self {
        match record.destination {
            Destination::Public => Self::Everybody,
            Destination::Connection(_) => engine
                .session_identity(record.session)
                .map_or(Self::Connection, |(account, session)| Self::Session(account, session)),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange => f.pad("exchange"),
            Self::Everybody => f.pad("public"),
            Self::Session(account, session) => f.pad(&format!("{account}/{session}")),
            Self::Connection => f.pad("gateway"),
        }
    }
}

/// `        42  20261123T070102.118Z  10/1000   NewOrder buy 4 lots …`. Instruments are numbers: which symbol one has
/// only a replay can tell.
pub fn command_line(seq: SeqNum, time: TimeNs, command: &SequencedCommand) -> String {
    let mut frame = Vec::new();
    command.command.encode(&mut frame);
    let what = view_of(&frame).map_or_else(String::new, |view| view.line(&|_| None));
    format!("{:>10}  {}  {:<9} {what}", seq.raw(), time_text(time), Who::sent(command.origin))
}

/// As a command's line, with the command that caused the event, or before which timers did.
pub fn event_line(engine: &Engine, step: &Step<'_>, record: &Record<'_>) -> String {
    let symbols = |id: InstrumentId| symbol_of(engine, id);
    let what = view_of(record.frame).map_or_else(String::new, |view| view.line(&symbols));
    let cause = cause_text(step.cause, step.seq);
    format!("{cause:>10}  {}  {:<9} {what}", time_text(step.time), Who::hears(engine, record))
}

pub(super) fn cause_text(cause: Cause<'_>, seq: SeqNum) -> String {
    match cause {
        Cause::Timers => format!("before {seq}"),
        Cause::Command(_) => seq.to_string(),
    }
}

/// The time in UTC to the millisecond, always 20 characters.
pub fn time_text(time: TimeNs) -> String {
    let ms = time.raw() / 1_000_000 % 1_000;
    let text = time.to_string();
    if ms == 0 { format!("{}.000Z", text.trim_end_matches('Z')) } else { text }
}

/// The time in UTC to the second, always 16 characters.
pub fn minute_text(time: TimeNs) -> String {
    TimeNs::new(time.raw() / 1_000_000_000 * 1_000_000_000).to_string()
}

/// `15.9 MiB`
pub fn bytes_text(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let step = (0..units.len()).rev().find(|step| bytes >> (10 * step) != 0).unwrap_or(0);
    match step {
        0 => format!("{bytes} B"),
        step => format!("{:.1} {}", bytes as f64 / f64::from(1_u32 << 10).powi(step as i32), units[step]),
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::messages::AdvanceTime;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_ever_get() {
        let time = TimeNs::from_minutes(29_925_360);
        assert_eq!(time_text(time), "20261124T120000.000Z");
        assert_eq!(time_text(TimeNs::new(time.raw() + 7_999_999)), "20261124T120000.007Z");
        let command = SequencedCommand { origin: Origin::SYSTEM, command: AdvanceTime::default().into() };
        assert_eq!(
            command_line(SeqNum::new(7), time, &command),
            "         7  20261124T120000.000Z  exchange  AdvanceTime"
        );
        assert_eq!(minute_text(TimeNs::new(time.raw() + 7_999_999)), "20261124T120000Z");
        assert_eq!(
            [0, 1_023, 1_024, 16_672_358, u64::MAX].map(bytes_text),
            ["0 B", "1023 B", "1.0 KiB", "15.9 MiB", "16.0 EiB"]
        );
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(cause_text(Cause::Timers, SeqNum::new(7)), "before 7");
    }
}
