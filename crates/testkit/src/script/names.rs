//! Who and what scripts name: accounts, sessions, instruments, times of the day.

use std::collections::BTreeMap;

use joulebook_types::{AccountId, ConnectionId, InstrumentId, SessionId, Symbol, TimeNs};

use super::words::Parsed;

/// The hour that scripts trade unless they name another instrument. All scripts play on its day.
pub const STANDARD_SYMBOL: &str = "H200S.DE.20261124T1400.H";
/// How short symbols of that day are told from others.
const STANDARD_DAY: &str = "20261124T";

/// Everybody who may be named, with the number of the account.
const ACCOUNTS: &[(&str, u32)] = &[
    ("operator", 1),
    ("issuer", 2),
    ("meter", 3),
    ("alice", 10),
    ("bob", 11),
    ("carol", 20),
    ("dave", 21),
    ("mia", 30),
    ("max", 31),
    ("erin", 40),
    ("frank", 41),
    ("gina", 42),
];

/// Somebody's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Party {
    pub(super) account: AccountId,
    pub(super) session: SessionId,
}

impl Party {
    pub(super) const fn new(account: AccountId, session: u32) -> Self {
        Self { account, session: SessionId::new(session) }
    }

    /// `carol`, or `carol/2` for her second session.
    pub(super) fn parse(word: &str) -> Parsed<Self> {
        let (name, session) = word.split_once('/').unwrap_or((word, "1"));
        let session = session.parse().ok().filter(|session| (1..100).contains(session));
        let session =
            session.ok_or_else(|| format!("'{word}' names no session from 1 to 99, such as carol/2"))?;
        Ok(Self::new(account(name)?, session))
    }

    /// Connections of scripts are account * 100 + session.
    pub(super) fn connection(self) -> ConnectionId {
        let counter = u64::from(self.account.raw()) * 100 + u64::from(self.session.raw());
        ConnectionId::of_gateway(1, counter)
    }

    pub(super) fn of_connection(connection: ConnectionId) -> Self {
        let counter = connection.raw() & 0xFFFF_FFFF;
        Self::new(AccountId::new((counter / 100) as u32), (counter % 100) as u32)
    }
}

impl core::fmt::Display for Party {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&account_name(self.account))?;
        if self.session.raw() == 1 { Ok(()) } else { write!(f, "/{}", self.session) }
    }
}

/// A name of the list, or `account-99`.
pub(super) fn account(name: &str) -> Parsed<AccountId> {
    let listed = ACCOUNTS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let number = listed.or_else(|| name.strip_prefix("account-")?.parse().ok());
    number.map(AccountId::new).ok_or_else(|| {
        let names: Vec<&str> = ACCOUNTS.iter().map(|(name, _)| *name).collect();
        format!("'{name}' is nobody: expected account-NUMBER or one of {}", names.join(", "))
    })
}

pub(super) fn account_name(account: AccountId) -> String {
    let listed = ACCOUNTS.iter().find(|(_, number)| *number == account.raw());
    listed.map_or_else(|| format!("account-{account}"), |(name, _)| (*name).to_owned())
}

/// What a line means depends on this: what is listed, and what time it is.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) now: TimeNs,
    pub(super) instruments: BTreeMap<InstrumentId, Symbol>,
}

impl Scene {
    /// The first instrument is the one that needs no name.
    pub(super) const STANDARD: InstrumentId = InstrumentId::new(1);

    /// A number, a symbol, or a class of which one instrument is listed.
    pub(super) fn instrument(&self, word: &str) -> Parsed<InstrumentId> {
        if let Ok(number) = word.parse() {
            return Ok(InstrumentId::new(number));
        }
        if let Ok(wanted) = symbol(word) {
            let listed = self.instruments.iter().find(|(_, symbol)| **symbol == wanted);
            return listed.map(|(id, _)| *id).ok_or_else(|| format!("{word} is not listed"));
        }
        let mut of_class = self.instruments.iter().filter(|(_, symbol)| symbol.class.as_str() == word);
        match (of_class.next(), of_class.next()) {
            (Some((id, _)), None) => Ok(*id),
            (Some(_), Some(_)) => {
                Err(format!("more than one instrument of {word} is listed: write its symbol"))
            }
            (None, _) => Err(format!("'{word}' is no instrument: expected a symbol such as H200S.DE.1400.H")),
        }
    }

    /// The symbol without the day, when it is the scripts' day.
    pub(super) fn name(&self, instrument: InstrumentId) -> String {
        match self.instruments.get(&instrument) {
            Some(symbol) => symbol.to_string().replacen(STANDARD_DAY, "", 1),
            None => instrument.to_string(),
        }
    }

    /// ` on TPU6E.DE.1400.H`, or nothing for the standard instrument.
    pub(super) fn on(&self, instrument: InstrumentId) -> String {
        if instrument == Self::STANDARD { String::new() } else { format!(" on {}", self.name(instrument)) }
    }
}

/// `H200S.DE.1400.H` means an hour of the scripts' day.
pub(super) fn symbol(text: &str) -> Parsed<Symbol> {
    let long = match text.split('.').collect::<Vec<_>>()[..] {
        [class, area, start, length] if start.len() == 4 => {
            format!("{class}.{area}.{STANDARD_DAY}{start}.{length}")
        }
        _ => text.to_owned(),
    };
    long.parse().map_err(|error| format!("'{text}' is no symbol: {error}"))
}

fn standard_symbol() -> Symbol {
    STANDARD_SYMBOL.parse().expect("the standard symbol is one")
}

/// Midnight before the standard hour.
fn day_start() -> TimeNs {
    TimeNs::from_minutes(standard_symbol().window.start_minute() / 1_440 * 1_440)
}

/// Two hours before the standard hour starts.
pub(super) fn script_start() -> TimeNs {
    TimeNs::from_minutes(standard_symbol().window.start_minute() - 120)
}

pub(super) fn parse_time(text: &str) -> Option<TimeNs> {
    let mut parts = text.split(':');
    let hours: u32 = parts.next()?.parse().ok()?;
    let minutes: u32 = parts.next()?.parse().ok()?;
    let (seconds, fraction) =
        parts.next().map_or(("0", ""), |part| part.split_once('.').unwrap_or((part, "")));
    let seconds: u32 = seconds.parse().ok()?;
    let nanoseconds: u32 = if fraction.is_empty() { 0 } else { format!("{fraction:0<9}").parse().ok()? };
    let valid = parts.next().is_none() && hours < 24 && minutes < 60 && seconds < 60 && fraction.len() <= 9;
    let from_midnight =
        u64::from(hours * 3_600 + minutes * 60 + seconds) * 1_000_000_000 + u64::from(nanoseconds);
    valid.then(|| TimeNs::new(day_start().raw() + from_midnight))
}

/// `13:30:05.25`; another day in plain nanoseconds.
pub(super) fn show_time(time: TimeNs) -> String {
    const DAY_NS: u64 = 86_400_000_000_000;
    let Some(of_day) = time.raw().checked_sub(day_start().raw()).filter(|ns| *ns < DAY_NS) else {
        return format!("{} ns", time.raw());
    };
    let (seconds, nanoseconds) = (of_day / 1_000_000_000, of_day % 1_000_000_000);
    let fraction = format!(".{nanoseconds:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{:02}:{:02}:{:02}{fraction}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
