//! Listed instruments.

/// The engine's dense number of an instrument: its id minus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InstrumentIx(u32);
