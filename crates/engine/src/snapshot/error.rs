//! Why bytes are no engine.

use core::fmt;

/// Where saved state stops making sense, and what is wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// From the first byte of the state: where the record starts that is wrong, or where the bytes end.
    pub offset_bytes: usize,
    /// The rule that it breaks, as a sentence without a full stop.
    pub what: &'static str,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "saved state, byte {}: {}", self.offset_bytes, self.what)
    }
}

impl core::error::Error for LoadError {}
