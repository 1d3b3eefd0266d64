//! What must hold, whatever happens: the words for its violation.

use core::fmt;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub check: Check,
    /// What was seen, for people.
    pub what: String,
}

/// The promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Nobody hears of what is not on the disk.
    DurableBeforeAnswer,
    /// A session's events have numbers without gaps, each once, and say what the rules of the market say.
    Events,
    /// Commands have numbers without gaps, and batch times never go back.
    Sequence,
    /// The engine says and has what the slow engine says and has: price, then time.
    Rules,
    /// Credits and capacity are neither made nor lost.
    Conservation,
    /// An open instrument's best bid is below its best ask.
    CrossedBook,
    /// A command in the journal is one that its sender sent, and each has one effect.
    ExactlyOnce,
    /// What is replayed from the disk is what ran.
    Replay,
    /// A state from a snapshot and the tail is the state from all commands.
    Snapshot,
    /// Damage is refused, with its place.
    Damage,
    /// What a subscriber of the feed sees is the book.
    Feed,
    /// Time goes on at the right pace, whatever somebody does to the clocks.
    Time,
    /// When all troubles are over, every request is answered.
    Liveness,
    /// The journal begins again after every crash.
    Recovery,
    /// One of our own assertions failed.
    Assertion,
    /// The war ends as its parameters say.
    Economics,
}

impl Check {
    /// A name for people and for comparisons.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DurableBeforeAnswer => "durable before answer",
            Self::Events => "events",
            Self::Sequence => "sequence",
            Self::Rules => "rules",
            Self::Conservation => "conservation",
            Self::CrossedBook => "crossed book",
            Self::ExactlyOnce => "exactly once",
            Self::Replay => "replay",
            Self::Snapshot => "snapshot",
            Self::Damage => "damage",
            Self::Feed => "feed",
            Self::Time => "time",
            Self::Liveness => "liveness",
            Self::Recovery => "recovery",
            Self::Assertion => "assertion",
            Self::Economics => "economics",
        }
    }

    /// Fails with words for people unless `holds`.
    pub fn that(self, holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
        if holds { Ok(()) } else { self.broken(what()) }
    }

    /// Fails.
    pub fn broken<T>(self, what: impl Into<String>) -> Result<T, Violation> {
        Err(Violation { check: self, what: what.into() })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check.name(), self.what)
    }
}
