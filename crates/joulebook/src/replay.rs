//! `joulebook replay`: runs a journal through the engine again.

use std::path::PathBuf;

use clap::Args;
use joulebook_server::recovery::replay_folder;

use crate::Failure;
use crate::text::{grouped, hex};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  joulebook replay joulebook-data\n  joulebook replay joulebook-data --expect-state 6b1f…"
)]
pub struct ReplayArgs {
    /// The data folder of a daemon that does not run.
    dir: PathBuf,
    /// Fail unless the replay ends in this state (64 hex digits).
    #[arg(long, value_name = "HEX")]
    expect_state: Option<String>,
}

pub fn run(args: ReplayArgs) -> Result<(), Failure> {
    if !args.dir.is_dir() {
        return Err(Failure::new(format!("there is no folder {}", args.dir.display())));
    }
    let (engine, replayed) = replay_folder(&args.dir)?;
    let seconds = replayed.duration.as_secs_f64();
    let rate = replayed.last_seq.raw() as f64 / seconds.max(1e-9);
    println!("commands   {} in {} batches", grouped(replayed.last_seq.raw()), grouped(replayed.batches));
    println!("time       {seconds:.3} s, {} commands/s", grouped(rate as u64));
    println!("events     {:016x}{:016x}", replayed.event_hash[0], replayed.event_hash[1]);
    println!("state      {}", hex(&replayed.state_hash));
    println!("journal    {}", hex(&replayed.journal_hash));
    match engine.recount() {
        Ok(()) => println!("balances   conserved to the micro-EC, capacity to the accelerator"),
        Err(imbalance) => {
            return Err(Failure::with_code(format!("the balances do not add up: {imbalance:?}"), 3));
        }
    }
    match args.expect_state {
        Some(expected) if expected != hex(&replayed.state_hash) => {
            Err(Failure::with_code("the state is not the expected one", 3))
        }
        _ => Ok(()),
    }
}
