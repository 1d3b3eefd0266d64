//! The core: takes commands from the rings, numbers and journals them in batches, applies them, and lets their events
//! out when, and only when, they are durable.
//!
//! [`Core::turn`] never blocks and owns no thread; the wiring decides where it runs. It is generic over the log and
//! the clock, so the same steps run on the local journal, in memory for benchmarks, and in a simulator.
#![forbid(unsafe_code)]

mod backlog;
mod clock;
mod core;
mod outputs;
mod recovery;
mod replay;
mod shadow;

pub use crate::clock::{Clock, ExchangeClock, RawClock, SLEW_DIVISOR};
pub use crate::core::{Core, CoreObserver, Ingress, NoObserver, Turn};
pub use outputs::{Egress, EgressKind};
pub use recovery::{
    RecoverError, Recovered, Skipped, SnapshotProblem, load_snapshot, open_snapshot, recover,
};
pub use replay::{Compare, Difference, DiffersAt, ReplayError, Replayer, apply_batch};
pub use shadow::{Shadow, ShadowConfig, ShadowError, ShadowTurn, distrust_newer, retire_snapshots};
