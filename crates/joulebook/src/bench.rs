//! `joulebook bench`: the load generator's command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use joulebook_agents::price_war::PriceWar;
use joulebook_loadgen::{
    Ack, ExchangeOptions, LoadFlow, LoadOptions, OwnExchange, PeakOptions, PingPongOptions, ReplayOptions,
    Report, TargetExchange, Wiring, load, peak, ping_pong, replay_file,
};

use crate::Failure;

#[derive(Args)]
#[command(after_help = "Examples:
  joulebook bench mix --rate 10k --duration 5
  joulebook bench price-war --rate 1k,10k,50k --ack memory
  joulebook bench ping-pong
  joulebook bench peak --window 256
  joulebook bench replay bitstamp.csv.xz

Latency runs from the time at which a request was due, not from when it was sent. A run in which the generator's own lag
could have coloured the result says INVALID, and the exit code is 4.")]
pub struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Subcommand)]
enum BenchCommand {
    /// Open loop: 9 % new orders, 3 % immediate-or-cancel, 6 % cancels, 82 % moves.
    Mix(MixArgs),
    /// Open loop: sellers of two vendors reprice, buyers send token orders.
    PriceWar(OpenLoop),
    /// One order in flight: the shortest round trip.
    PingPong(Closed),
    /// As fast as the answers come: the highest rate.
    Peak(PeakArgs),
    /// Drive a real order-by-order recording through the exchange.
    Replay(ReplayArgs),
}

#[derive(Args)]
struct Common {
    /// Somebody else's exchange instead of an own one; needs --dir.
    #[arg(long, value_name = "ADDR", requires = "dir")]
    target: Option<SocketAddr>,
    /// Operator address of the target; what its folder says if not given.
    #[arg(long, value_name = "ADDR", requires = "target")]
    target_operator: Option<SocketAddr>,
    /// The target's data folder: certificate and keys.
    #[arg(long, value_name = "DIR", requires = "target")]
    dir: Option<PathBuf>,
    /// When the own exchange answers.
    #[arg(long, value_enum, default_value = "durable", conflicts_with = "target")]
    ack: AckArg,
    /// Threads of the own exchange.
    #[arg(long, value_enum, default_value = "auto", conflicts_with = "target")]
    wiring: WiringArg,
    /// Folder in which the own exchange keeps its data meanwhile: its disk decides durable latency.
    #[arg(long, value_name = "DIR", conflicts_with = "target")]
    scratch: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the report as JSON to FILE, or to standard output with `-`.
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
    /// Write HdrHistogram interval logs (.hlog) into DIR.
    #[arg(long, value_name = "DIR")]
    hlog: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum AckArg {
    Durable,
    Memory,
}

#[derive(Clone, Copy, ValueEnum)]
enum WiringArg {
    Auto,
    Inline,
    Threaded,
}

#[derive(Args)]
struct OpenLoop {
    #[command(flatten)]
    common: Common,
    /// Requests per second, comma separated: 10000 or 1k,10k,50k.
    #[arg(long, value_delimiter = ',', value_parser = parse_rate, default_value = "10k")]
    rate: Vec<u64>,
    /// Seconds per rate.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    duration: u64,
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    warmup: u64,
    #[arg(long, default_value_t = 4)]
    connections: usize,
}

#[derive(Args)]
struct MixArgs {
    #[command(flatten)]
    open: OpenLoop,
    /// Instruments.
    #[arg(long, default_value_t = 1)]
    books: usize,
    /// Orders that rest per book.
    #[arg(long, default_value_t = 1_000)]
    resting: usize,
}

#[derive(Args)]
struct Closed {
    #[command(flatten)]
    common: Common,
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    duration: u64,
}

#[derive(Args)]
struct PeakArgs {
    #[command(flatten)]
    closed: Closed,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests in flight per connection, comma separated.
    #[arg(long, value_delimiter = ',', default_value = "512")]
    window: Vec<usize>,
}

#[derive(Args)]
struct ReplayArgs {
    #[command(flatten)]
    common: Common,
    /// Events as csv, plain or compressed with xz.
    file: PathBuf,
}

/// A number in the report must not be quoted.
const EXIT_INVALID: u8 = 4;

pub fn run(args: BenchArgs) -> Result<(), Failure> {
    let (report, common) = match args.command {
        BenchCommand::Mix(args) => {
            let flow = LoadFlow::Mix { books: args.books, resting_orders: args.resting };
            (open_loop(&args.open, flow)?, args.open.common)
        }
        BenchCommand::PriceWar(open) => {
            let flow = LoadFlow::PriceWar(Box::new(PriceWar::new(open.common.seed)));
            (open_loop(&open, flow)?, open.common)
        }
        BenchCommand::PingPong(args) => {
            let mut options = PingPongOptions::new(args.common.exchange()?);
            options.duration = Duration::from_secs(args.duration);
            options.seed = args.common.seed;
            (ping_pong(&options)?, args.common)
        }
        BenchCommand::Peak(args) => {
            let mut options = PeakOptions::new(args.closed.common.exchange()?);
            options.duration = Duration::from_secs(args.closed.duration);
            options.seed = args.closed.common.seed;
            options.connections = args.connections;
            options.windows = args.window;
            (peak(&options)?, args.closed.common)
        }
        BenchCommand::Replay(args) => {
            let exchange = args.common.exchange()?;
            let options = ReplayOptions { exchange, file: args.file, seed: args.common.seed };
            (replay_file(&options)?, args.common)
        }
    };
    common.publish(&report)
}

fn open_loop(args: &OpenLoop, flow: LoadFlow) -> Result<Report, Failure> {
    let mut options = LoadOptions::new(args.common.exchange()?);
    options.flow = flow;
    options.rates = args.rate.clone();
    options.duration = Duration::from_secs(args.duration);
    options.warmup = Duration::from_secs(args.warmup);
    options.connections = args.connections;
    options.seed = args.common.seed;
    Ok(load(&options)?)
}

impl Common {
    fn exchange(&self) -> Result<ExchangeOptions, Failure> {
        if let (Some(gateway), Some(dir)) = (self.target, &self.dir) {
            let operator = match self.target_operator {
                Some(operator) => operator,
                None => joulebook_client::Folder::new(dir).operator_venue()?.addr,
            };
            return Ok(ExchangeOptions::Target(TargetExchange { gateway, operator, dir: dir.clone() }));
        }
        let mut own = OwnExchange::current()?;
        own.ack = match self.ack {
            AckArg::Durable => Ack::Durable,
            AckArg::Memory => Ack::Memory,
        };
        own.wiring = match self.wiring {
            WiringArg::Auto => Wiring::Auto,
            WiringArg::Inline => Wiring::Inline,
            WiringArg::Threaded => Wiring::Threaded,
        };
        if let Some(scratch) = &self.scratch {
            own.scratch.clone_from(scratch);
        }
        Ok(ExchangeOptions::Own(own))
    }

    fn publish(&self, report: &Report) -> Result<(), Failure> {
        match self.json.as_deref() {
            Some("-") => println!("{}", report.json()),
            json => {
                print!("{}", report.text());
                if let Some(path) = json {
                    std::fs::write(path, report.json() + "\n")
                        .map_err(|error| Failure::new(format!("cannot write {path}: {error}")))?;
                }
            }
        }
        if let Some(dir) = &self.hlog {
            for file in report.write_hlogs(dir)? {
                eprintln!("wrote {}", file.display());
            }
        }
        if report.is_valid() {
            Ok(())
        } else {
            Err(Failure::with_code("INVALID: do not quote these numbers", EXIT_INVALID))
        }
    }
}

/// `10000`, `10k` or `1M`.
fn parse_rate(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000),
        None => text.strip_suffix('M').map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no rate such as 10000, 10k or 1M"))?;
    number.checked_mul(factor).ok_or_else(|| format!("`{text}` is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_may_be_short() {
        assert_eq!(parse_rate("125k"), Ok(125_000));
        assert_eq!(parse_rate("1M"), Ok(1_000_000));
        assert_eq!(parse_rate("7"), Ok(7));
        assert!(parse_rate("fast").is_err());
        assert!(parse_rate("99999999999999999999").is_err());
        assert!(parse_rate("18446744073709551615k").is_err());
    }
}
