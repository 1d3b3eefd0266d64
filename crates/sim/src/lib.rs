//! The whole exchange in one thread, on a virtual clock, a bad network and a forgetful disk: one seed is one run.
#![forbid(unsafe_code)]

mod audit;
mod checks;
mod client;
mod clock;
mod dice;
mod disk;
mod exchange;
mod flow;
mod log;
mod minimise;
mod net;
mod plan;
mod scan;
mod scene;
mod trace;
mod war;
mod world;

pub use checks::{Check, Violation};
pub use exchange::SnapshotPlan;
pub use minimise::{Minimal, minimise, minimise_by};
pub use plan::{Fault, FaultSet, Plan};
pub use scene::Counts;
pub use war::{WarOutcome, WarPlan, WarShell, fight};
pub use world::{Outcome, run};
