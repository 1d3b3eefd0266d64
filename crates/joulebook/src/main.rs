//! The command line: one binary for the daemon, the demo, the load generator and the operator.
#![forbid(unsafe_code)]

mod admin;
mod bench;
mod config;
mod connect;
mod demo;
mod doctor;
mod inspect;
mod out;
mod replay;
mod serve;
mod span;
mod text;
mod trade;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An exchange for compute: GPU and TPU capacity against energy credits.
#[derive(Parser)]
#[command(name = "joulebook", version, about, long_about = None, arg_required_else_help = true)]
#[command(after_help = "Start with `joulebook demo`: a running exchange with a price war on it.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a whole exchange with NVIDIA and Google sellers fighting over inference buyers.
    Demo(demo::DemoArgs),
    /// Run the daemon.
    Serve(serve::ServeArgs),
    /// Measure: latency under load, peak throughput, replay of a real recording.
    Bench(bench::BenchArgs),
    /// Enter, cancel and query orders; show books and balances.
    #[command(flatten)]
    Trade(trade::TradeCommand),
    /// Operate: instruments, accounts, credits, capacity, phases, bands, caps, kill switches.
    Admin(admin::AdminArgs),
    /// Replay a journal and compare what it says with what the exchange said when it ran.
    Replay(replay::ReplayArgs),
    /// Look into a data folder: its files, commands and events, the whole life of an order.
    Inspect(inspect::InspectArgs),
    /// Say what is wrong with a data folder, and what to do.
    Doctor(doctor::DoctorArgs),
    /// Print or check the configuration.
    Config(config::ConfigArgs),
}

/// Why a command ends without success. The message is the whole line that a person sees.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub fn new(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string(), code: 1 }
    }

    /// What was typed contradicts itself: the code that a misspelt option gives too.
    pub fn usage(message: impl std::fmt::Display) -> Self {
        Self::with_code(message, 2)
    }

    /// Whoever read our output has seen enough; there is nothing to say and nobody to hear it.
    pub fn reader_gone() -> Self {
        Self { message: String::new(), code: 0 }
    }

    /// The output has said what is wrong.
    pub fn said() -> Self {
        Self { message: String::new(), code: 1 }
    }

    pub fn with_code(message: impl std::fmt::Display, code: u8) -> Self {
        Self { message: message.to_string(), code }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Trade(command) => trade::run(command),
        Command::Admin(args) => admin::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Config(args) => config::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code: 0, .. }) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("error: {}", failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}
