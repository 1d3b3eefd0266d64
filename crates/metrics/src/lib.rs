//! Counters and per-stage histograms that hot threads write without locks.
//!
//! Every block belongs to one thread, its only writer, so a write is a plain load and store. Readers may look at
//! any time; each number they see is one that the writer stored, but two numbers may be from different moments.
//! There is no clock and no rendering here: threads hand in nanoseconds, the console turns [`Family`]s into text.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod counter;
mod family;
mod histogram;
mod server;
mod sync;

pub use counter::{Counter, Gauge};
pub use family::{Family, Kind, Label, Sample, Value};
pub use histogram::{HistogramSnapshot, StageHistogram};
pub use server::{
    CommandOutcome, CoreMetrics, GatewayMetrics, JournalMetrics, REJECT_CODES, RejectCounters, ServerMetrics,
    SnapshotMetrics,
};
