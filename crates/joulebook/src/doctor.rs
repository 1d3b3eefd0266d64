//! `joulebook doctor`: what is wrong with a data folder, and what to do.

use std::path::PathBuf;

use clap::Args;
use joulebook_server::doctor::{Finding, Status, examine};
use serde_json::json;

use crate::Failure;
use crate::out::Out;

#[derive(Args)]
#[command(after_help = "Examples:
  joulebook doctor joulebook-data
  joulebook doctor joulebook-data --deep --json

Exits with 1 when a check says FAIL.")]
pub struct DoctorArgs {
    /// The data folder of a daemon, running or not. Nothing is written to it.
    dir: PathBuf,
    /// Replay the whole journal too, and compare with what the exchange said when it ran.
    #[arg(long)]
    deep: bool,
    /// One JSON object per check.
    #[arg(long)]
    json: bool,
}

pub fn run(args: DoctorArgs) -> Result<(), Failure> {
    let mut out = Out::new();
    let mut told = Ok(());
    let worst = examine(&args.dir, args.deep, |finding| {
        if told.is_ok() {
            // At once: the next check may take a while.
            told = tell(finding, args.json, &mut out).and_then(|()| out.flush());
        }
    });
    told?;
    if worst == Status::Fail { Err(Failure::said()) } else { Ok(()) }
}

fn tell(finding: &Finding, json: bool, out: &mut Out) -> Result<(), Failure> {
    if !json {
        return out.line(finding);
    }
    let Finding { status, check, what, to_do } = finding;
    out.line(json!({ "status": status.name(), "check": check, "what": what, "to_do": to_do }))
}
