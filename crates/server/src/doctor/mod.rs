//! `joulebook doctor`: everything about a data folder that can be wrong, looked at without changing anything.
//!
//! Each check ends in findings: what is, and what to do if it is not as it should be.

mod folder;
mod journal;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Ok,
    /// The exchange works, and yet somebody should look at it.
    Warn,
    /// The exchange would not start, or would lose something.
    Fail,
}

impl Status {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub status: Status,
    /// The check: one word.
    pub check: &'static str,
    pub what: String,
    /// Never missing where something is wrong.
    pub to_do: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { status: Status::Ok, check, what: what.into(), to_do: None }
    }

    fn warn(check: &'static str, what: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self { status: Status::Warn, check, what: what.into(), to_do: Some(to_do.into()) }
    }

    fn fail(check: &'static str, what: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self { status: Status::Fail, check, what: what.into(), to_do: Some(to_do.into()) }
    }
}

/// `warn tail: what it is; what to do`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<4} {}: {}", self.status.name(), self.check, self.what)?;
        self.to_do.as_ref().map_or(Ok(()), |to_do| write!(f, "; {to_do}"))
    }
}

/// Looks at everything, tells each finding as soon as it is known, and says how bad the worst is. `deep` also replays
/// the whole journal and compares what the engine says with what it said.
pub fn examine(dir: &Path, deep: bool, mut tell: impl FnMut(&Finding)) -> Status {
    let mut worst = Status::Ok;
    let mut told = |finding: Finding| {
        worst = worst.max(finding.status);
        tell(&finding);
    };
    if let Some(folder) = Folder::open(dir, &mut told) {
        let is_ours = folder.check_version(&mut told);
        folder.check_keys(&mut told);
        folder.check_lock(&mut told);
        if is_ours {
            journal::check(&folder, deep, &mut told);
        }
        folder.check_leftovers(&mut told);
        folder.check_space(&mut told);
    }
    worst
}

/// A folder that can be read.
struct Folder {
    dir: PathBuf,
    /// The daemon that runs on it.
    daemon: Option<u32>,
}

type Tell<'a> = &'a mut dyn FnMut(Finding);
