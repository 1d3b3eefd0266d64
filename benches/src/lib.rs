//! What the benchmark programs share: recorded command streams, made once by driving an engine and then replayed on fresh
//! ones, and how figures are taken and printed.
#![forbid(unsafe_code)]

mod arguments;
mod book_run;
mod floor;
pub mod flow;
mod lifecycle;
pub mod machine;
pub mod misses;
pub mod operations;
mod percentiles;
mod plain_mix;
mod recorder;
mod recording;
mod rerun;
mod tape;
mod venue;
mod verdict;
mod war;

pub use arguments::Arguments;
pub use book_run::BookRun;
pub use floor::Floor;
pub use lifecycle::Venue;
pub use percentiles::Percentiles;
pub use plain_mix::{PlainMix, Stream, grown, plain_mix, prepared, run};
pub use recorder::{mass_cancel, record};
pub use recording::{Outcome, Recording};
pub use rerun::Rerun;
pub use tape::Tape;
pub use venue::{Tables, VenuePlan, Window};
pub use verdict::{Verdict, load_average};
pub use war::record_war;

/// Commands per batch in all in-process figures.
pub const BATCH_COMMANDS: usize = 64;
