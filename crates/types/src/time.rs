//! Exchange time and delivery windows.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Nanoseconds since 1970-01-01T00:00Z, without leap seconds.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
)]
#[repr(transparent)]
pub struct TimeNs(u64);

impl TimeNs {
    pub const ZERO: Self = Self(0);
    /// "Never".
    pub const MAX: Self = Self(u64::MAX);

    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Saturates where 64 bits of nanoseconds end, in the year 2554: windows may lie beyond it.
    pub const fn from_minutes(minutes: u32) -> Self {
        Self((minutes as u64).saturating_mul(60_000_000_000))
    }

    pub const fn saturating_add_ms(self, ms: u32) -> Self {
        Self(self.0.saturating_add(ms as u64 * 1_000_000))
    }

    /// From `YYYYMMDDThhmm` in UTC, the form that symbols have; `None` when it is no such time.
    pub fn parse_minute(text: &str) -> Option<Self> {
        parse_minute(text).map(Self::from_minutes)
    }

    /// Whole minutes since the epoch, saturating.
    pub const fn minutes(self) -> u32 {
        let minutes = self.0 / 60_000_000_000;
        if minutes > u32::MAX as u64 { u32::MAX } else { minutes as u32 }
    }
}

/// `20261124T140005Z`, with milliseconds where there are any.
impl fmt::Display for TimeNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_minute(f, self.minutes())?;
        let ms = self.0 / 1_000_000 % 60_000;
        write!(f, "{:02}", ms / 1_000)?;
        match ms % 1_000 {
            0 => f.write_str("Z"),
            fraction => write!(f, ".{fraction:03}Z"),
        }
    }
}

/// A quarter hour of delivery: quarters since 1970-01-01T00:00Z. Capacity is an asset per quarter.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
)]
#[repr(transparent)]
pub struct QuarterSlot(u32);

impl QuarterSlot {
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    pub const fn raw(self) -> u32 {
        self.0
    }
}

impl fmt::Display for QuarterSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_minute(f, self.0.saturating_mul(15))
    }
}

/// A delivery window in UTC: whole quarter hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    start_minute: u32,
    minutes: u16,
}

/// Why a window was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowError {
    /// The start does not lie on a multiple of the window's own length.
    Unaligned,
    /// Only quarters (15), hours (60) and days (1440) are listed.
    BadLength,
    /// The start lies beyond the calendar that symbols can write (year 9999).
    TooFar,
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unaligned => "a window starts on a multiple of its own length",
            Self::BadLength => "a window is a quarter (Q), an hour (H) or a day (D)",
            Self::TooFar => "the window lies beyond the year 9999",
        })
    }
}

impl core::error::Error for WindowError {}

/// Minutes from 1970 to the end of the year 9999.
const MINUTES_MAX: u32 = 2_932_897 * 1_440 - 1;

impl Window {
    /// A window that starts `start_minute` minutes after 1970-01-01T00:00Z.
    pub const fn new(start_minute: u32, minutes: u16) -> Result<Self, WindowError> {
        if !matches!(minutes, 15 | 60 | 1_440) {
            return Err(WindowError::BadLength);
        }
        if !start_minute.is_multiple_of(minutes as u32) {
            return Err(WindowError::Unaligned);
        }
        if start_minute > MINUTES_MAX {
            return Err(WindowError::TooFar);
        }
        Ok(Self { start_minute, minutes })
    }

    /// Minutes since 1970-01-01T00:00Z.
    pub const fn start_minute(self) -> u32 {
        self.start_minute
    }

    pub const fn minutes(self) -> u16 {
        self.minutes
    }

    pub const fn start(self) -> TimeNs {
        TimeNs::from_minutes(self.start_minute)
    }

    pub const fn end(self) -> TimeNs {
        TimeNs::from_minutes(self.start_minute + self.minutes as u32)
    }

    /// The quarter hours that the window covers, in order.
    pub fn slots(self) -> impl ExactSizeIterator<Item = QuarterSlot> + Clone {
        let first = self.start_minute / 15;
        (first..first + u32::from(self.minutes) / 15).map(QuarterSlot)
    }

    /// `Q`, `H` or `D`.
    pub const fn length_code(self) -> char {
        match self.minutes {
            15 => 'Q',
            60 => 'H',
            _ => 'D',
        }
    }
}

/// `YYYYMMDDThhmm`.
pub(crate) fn write_minute(f: &mut fmt::Formatter<'_>, minute: u32) -> fmt::Result {
    let (year, month, day) = civil_from_days(minute / 1_440);
    let minute_of_day = minute % 1_440;
    write!(f, "{year:04}{month:02}{day:02}T{:02}{:02}", minute_of_day / 60, minute_of_day % 60)
}

/// The inverse of [`write_minute`]; `None` when it is no such time.
pub(crate) fn parse_minute(text: &str) -> Option<u32> {
    let bytes = text.as_bytes();
    if bytes.len() != 13 || bytes[8] != b'T' {
        return None;
    }
    let number = |range: core::ops::Range<usize>| -> Option<u32> {
        let digits = text.get(range)?;
        if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
    };
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute) = (number(9..11)?, number(11..13)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    (civil_from_days(days) == (year, month, day)).then_some(days * 1_440 + hour * 60 + minute)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, 1970 and later. Years are counted from March, so a
/// leap day is the last of its year.
fn days_from_civil(year: u32, month: u32, day: u32) -> u32 {
    let march_year = if month <= 2 { year - 1 } else { year };
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + day_of_year - DAYS_TO_1970
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: u32 = 719_468;

fn civil_from_days(days: u32) -> (u32, u32, u32) {
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_round_trips_every_day_to_9999() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..=MINUTES_MAX / 1_440 {
            assert_eq!(civil_from_days(days), (year, month, day));
            assert_eq!(days_from_civil(year, month, day), days);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length =
                [31, 28 + u32::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1];
            (day, month) = if day == length { (1, month + 1) } else { (day + 1, month) };
            if month == 13 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!((year, month, day), (10_000, 1, 1), "MINUTES_MAX is the last minute of 9999");
    }

    #[test]
    fn windows_lie_on_the_grid() {
        assert_eq!(Window::new(7, 15), Err(WindowError::Unaligned));
        assert_eq!(Window::new(15, 60), Err(WindowError::Unaligned));
        assert_eq!(Window::new(0, 30), Err(WindowError::BadLength));
        assert_eq!(Window::new(u32::MAX - 15, 15), Err(WindowError::TooFar));
        let hour = Window::new(120, 60).unwrap();
        assert_eq!(hour.slots().map(QuarterSlot::raw).collect::<Vec<_>>(), [8, 9, 10, 11]);
        assert_eq!(hour.end(), TimeNs::from_minutes(180));
    }
}
