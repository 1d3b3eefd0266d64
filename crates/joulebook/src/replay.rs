//! `joulebook replay`: runs a journal through the engine again.

use std::path::PathBuf;

use clap::Args;
use joulebook_server::inspect::{
    Explained, From, ReplayFailure, ReplayPlan, ReplayReport, check_folder, explain, replay_for_people,
};
use joulebook_types::SeqNum;
use serde_json::{Value, json};

use crate::Failure;
use crate::out::Out;
use crate::text::{counted, grouped, hex};

#[derive(Args)]
#[command(after_help = "Examples:
  joulebook replay joulebook-data
  joulebook replay joulebook-data --verify
  joulebook replay joulebook-data --until 120 --json
  joulebook replay joulebook-data --from 500000 --verify

Exits with 3 when a replay is not what the exchange did, and with 1 when it cannot be done.")]
pub struct ReplayArgs {
    /// The data folder of a daemon, running or not. Nothing is written to it.
    dir: PathBuf,
    /// Compare with what the exchange said when it ran, batch by batch, and with the snapshots on the way.
    #[arg(long)]
    verify: bool,
    /// Stop after this command.
    #[arg(long, value_name = "SEQ")]
    until: Option<u64>,
    /// A snapshot file; a command: the newest snapshot before it; or `none`: the first command.
    #[arg(long, value_name = "SNAPSHOT|SEQ|none")]
    from: Option<From>,
    /// Fail unless the replay ends in this state (64 hex digits).
    #[arg(long, value_name = "HEX")]
    expect_state: Option<String>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// What `--expect-state` or `--verify` found to be different.
const DIFFERENT: u8 = 3;

pub fn run(args: ReplayArgs) -> Result<(), Failure> {
    check_folder(&args.dir)?;
    let plan = ReplayPlan {
        from: args.from.clone().unwrap_or(From::Anywhere),
        until: args.until.map(SeqNum::new),
        verify: args.verify,
    };
    let mut out = Out::new();
    match replay_for_people(&args.dir, &plan) {
        Ok(report) => {
            if args.json {
                out.line(report_object(&report))?;
            } else {
                print(&report, &mut out)?;
            }
            out.flush()?;
            judge(&report, args.expect_state.as_deref())
        }
        Err(ReplayFailure::Differs(difference)) => {
            let explained = explain(&args.dir, &plan.from, &difference)?;
            if args.json {
                out.line(difference_object(&difference.to_string(), &explained))?;
            } else {
                print_explained(&explained, &mut out)?;
            }
            out.flush()?;
            Err(Failure::with_code(difference, DIFFERENT))
        }
        Err(error @ ReplayFailure::Snapshot { .. }) => Err(Failure::with_code(error, DIFFERENT)),
        Err(error) => Err(error.into()),
    }
}

fn judge(report: &ReplayReport, expected: Option<&str>) -> Result<(), Failure> {
    if let Err(imbalance) = report.recount {
        return Err(Failure::with_code(format!("the balances do not add up: {imbalance:?}"), DIFFERENT));
    }
    match expected {
        Some(expected) if expected != hex(&report.state_hash) => {
            Err(Failure::with_code("the state is not the expected one", DIFFERENT))
        }
        Some(_) | None => Ok(()),
    }
}

fn print(report: &ReplayReport, out: &mut Out) -> Result<(), Failure> {
    let commands = report.last_seq.raw() - report.begins_after.raw();
    let seconds = report.duration.as_secs_f64();
    let rate = commands as f64 / seconds.max(1e-9);
    out.line(format_args!("commands   {} in {}", grouped(commands), batches(report.batches)))?;
    out.line(format_args!("from       {}, up to command {}", report.from, report.last_seq))?;
    out.line(format_args!("time       {seconds:.3} s, {} commands/s", grouped(rate as u64)))?;
    out.line(format_args!("events     {:016x}{:016x}", report.event_hash[0], report.event_hash[1]))?;
    out.line(format_args!("state      {}", hex(&report.state_hash)))?;
    if let Some(chain) = &report.journal_hash {
        out.line(format_args!("journal    {}", hex(chain)))?;
    }
    if report.recount.is_ok() {
        out.line("balances   conserved to the micro-EC, capacity to the accelerator")?;
    }
    if let Some(compared) = &report.compared {
        let rest = report.last_seq.raw().saturating_sub(compared.seq.raw());
        let rest = match rest {
            0 => String::new(),
            rest => format!("; the last {} were not attested", counted(rest, "command")),
        };
        out.line(format_args!(
            "verified   {} say what they said when they ran{rest}",
            batches(compared.batches)
        ))?;
        if compared.snapshots > 0 {
            out.line(format_args!("snapshots  {} on the way, same state", grouped(compared.snapshots)))?;
        }
    }
    if let Some(torn) = &report.torn {
        out.line(format_args!("tail       an unfinished write, never acknowledged: {torn}"))?;
    }
    Ok(())
}

fn batches(number: u64) -> String {
    if number == 1 { "1 batch".to_owned() } else { format!("{} batches", grouped(number)) }
}

fn report_object(report: &ReplayReport) -> Value {
    let compared = report.compared.as_ref().map(|compared| {
        json!({ "batches": compared.batches, "seq": compared.seq.raw(), "snapshots": compared.snapshots })
    });
    json!({
        "from": report.from,
        "begins_after_seq": report.begins_after.raw(),
        "last_seq": report.last_seq.raw(),
        "batches": report.batches,
        "seconds": report.duration.as_secs_f64(),
        "events": format!("{:016x}{:016x}", report.event_hash[0], report.event_hash[1]),
        "state": hex(&report.state_hash),
        "journal": report.journal_hash.map(|chain| hex(&chain)),
        "balanced": report.recount.is_ok(),
        "verified": compared,
        "torn": report.torn,
    })
}

fn print_explained(explained: &Explained, out: &mut Out) -> Result<(), Failure> {
    if let Some(command) = &explained.command {
        out.line("the command")?;
        out.line(command)?;
    }
    if !explained.events.is_empty() {
        out.line("what this version says then")?;
    }
    explained.events.iter().try_for_each(|event| out.line(event))
}

fn difference_object(difference: &str, explained: &Explained) -> Value {
    json!({ "difference": difference, "command": explained.command, "events": explained.events })
}
