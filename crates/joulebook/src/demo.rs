//! `joulebook demo`: a whole exchange with a price war on it, in one command.

mod folder;
mod report;
mod screen;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use joulebook_agents::price_war::PriceWar;
use joulebook_bots::{Fleet, FleetClock, FleetReport, Stage};
use joulebook_client::{Client, ClientConfig, Folder};
use joulebook_protocol::messages::{DepositCredits, MintCredits, RegisterCapacity};
use joulebook_server::config::Config;
use joulebook_server::recovery::replay_folder;
use joulebook_server::{Daemon, Health, Label, Latency, LatencySource};
use joulebook_types::{AccountId, MicroEc};

use crate::Failure;
use crate::demo::folder::DemoFolder;
use crate::demo::report::{Report, Verdicts};
use crate::demo::screen::Screen;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  joulebook demo\n  joulebook demo --seconds 20 --no-tui\n  joulebook demo --swap-floors\n  joulebook demo --keep"
)]
pub struct DemoArgs {
    /// How long the war lasts, 10 to 120.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(10..=120))]
    seconds: u32,
    /// Of the bots' random draws.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Folder for journal, certificates and keys; wiped at the end unless --keep is given.
    #[arg(long, value_name = "DIR", default_value = ".joulebook")]
    data: PathBuf,
    /// After the report, go on with a new war until Ctrl-C, so that you can connect a bot; then keep the data.
    #[arg(long)]
    keep: bool,
    /// One line per second instead of a table that redraws itself.
    #[arg(long)]
    no_tui: bool,
    /// Exchange the vendors' costs per token, and with them the winner.
    #[arg(long)]
    swap_floors: bool,
    /// Tokens of a TPU hour per thousand of a GPU hour: a parameter of the scenario, not a measured fact.
    #[arg(long, value_name = "PERMILLE", value_parser = clap::value_parser!(u32).range(100..=2_000))]
    rho: Option<u32>,
}

/// The bots' accounts begin here, above those that every exchange has.
const FIRST_BOT_ACCOUNT: AccountId = AccountId::new(1_000);
/// A check of the demo did not hold.
const EXIT_CHECK_FAILED: u8 = 3;
const EXIT_INTERRUPTED: u8 = 130;

pub fn run(args: DemoArgs) -> Result<(), Failure> {
    crate::serve::init_logs();
    let folder = DemoFolder::prepare(&args.data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let outcome = runtime.block_on(demo(&args, &folder));
    if !args.keep {
        folder.wipe()?;
    }
    outcome
}

async fn demo(args: &DemoArgs, folder: &DemoFolder) -> Result<(), Failure> {
    let war = war(args);
    let screen = Screen::new(args.no_tui);
    let (daemon, fleet) = open(args, folder, war.clone(), args.seconds).await?;
    screen.banner(daemon.info(), &war, args.seconds);
    let ended = watch(&daemon, &fleet, &screen, Some(args.seconds)).await;
    let fleet = fleet.stop().await;
    let verdicts = close(daemon, folder, &fleet).await?;
    let report = Report { war: &war, seed: args.seed, fleet: &fleet, verdicts: &verdicts };
    print!("{}", report.text());
    match ended {
        Ended::Interrupted => {
            return Err(Failure::with_code("interrupted before the war was over", EXIT_INTERRUPTED));
        }
        Ended::Faulted(what) => return Err(Failure::new(what)),
        Ended::TimeIsUp => {}
    }
    if !report.passed() {
        return Err(Failure::with_code("a check did not hold", EXIT_CHECK_FAILED));
    }
    if args.keep {
        go_on(args, folder, war).await?;
    } else {
        println!("next:  joulebook demo --keep          leave it running and connect a bot");
        println!("       joulebook bench mix --rate 10000   measure this machine");
    }
    Ok(())
}

fn war(args: &DemoArgs) -> PriceWar {
    let mut war = PriceWar::new(args.seed);
    if let Some(permille) = args.rho {
        war.set_rho(permille);
    }
    if args.swap_floors {
        war.swap_floors();
    }
    war.pace_for(args.seconds);
    war
}

/// Starts the exchange, sets the stage and lets the bots go.
async fn open(
    args: &DemoArgs,
    folder: &DemoFolder,
    war: PriceWar,
    run_seconds: u32,
) -> Result<(Daemon, Fleet), Failure> {
    let mut config = Config::default();
    config.data.dir = folder.path().to_owned();
    config.gateway.listen = udp_or_any(config.gateway.listen);
    config.gateway.operator_listen = udp_or_any(config.gateway.operator_listen);
    config.http.listen = tcp_or_any(config.http.listen);
    let label = Label { scenario: "demo: NVIDIA vs Google price war".into(), seed: Some(args.seed) };
    let daemon = Daemon::start(&config, label)?;

    let dir = Folder::new(&daemon.info().data_dir);
    let operator = Client::connect(ClientConfig::new(dir.operator_venue()?, dir.key("operator")?)).await?.0;
    let issuer = Client::connect(ClientConfig::new(dir.venue()?, dir.key("issuer")?)).await?.0;
    let now = FleetClock::new().now();
    let stage =
        Stage::set(war, &dir.venue()?, &operator, &issuer, FIRST_BOT_ACCOUNT, (now, run_seconds)).await?;
    fund_guests(&stage, &dir, &issuer).await?;
    Ok((daemon, stage.start()))
}

/// Gives the dev accounts something to trade with: credits for all, capacity of the first two windows for alice.
async fn fund_guests(stage: &Stage, dir: &Folder, issuer: &Client) -> Result<(), Failure> {
    const GUESTS: [&str; 3] = ["alice", "bob", "carol"];
    const CREDITS: MicroEc = MicroEc::from_ec(1_000_000);
    const ACCELERATORS: u32 = 800;
    let total = MicroEc::new(CREDITS.raw() * GUESTS.len() as i64);
    issuer.request(|id| MintCredits { client_order_id: id, amount: total, attestation: 2 }.into()).await?;
    for guest in GUESTS {
        let to = dir.key(guest)?.account();
        let deposit = DepositCredits { amount: CREDITS, to, ..DepositCredits::default() };
        issuer.request(|id| DepositCredits { client_order_id: id, ..deposit }.into()).await?;
    }
    let alice = Client::connect(ClientConfig::new(dir.venue()?, dir.key(GUESTS[0])?)).await?.0;
    for bloc in &stage.war.blocs {
        for window in stage.windows.iter().take(2) {
            let register = |id| RegisterCapacity {
                accelerators: ACCELERATORS,
                ..stage.war.registration(bloc, *window, id)
            };
            alice.request(|id| register(id).into()).await?;
        }
    }
    alice.close().await;
    Ok(())
}

/// Why the war was no longer watched.
enum Ended {
    TimeIsUp,
    Interrupted,
    Faulted(String),
}

/// Shows the war second by second. Without a length it ends only by Ctrl-C or a fault.
async fn watch(daemon: &Daemon, fleet: &Fleet, screen: &Screen, seconds: Option<u32>) -> Ended {
    let latency = Arc::new(BotLatency::default());
    daemon.console().set_latency_source(Some(latency.clone()));
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut fault = std::pin::pin!(daemon.ended());
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let (counts, latencies) = fleet.totals();
                latency.show(&latencies.answer_ns);
                screen.second(fleet, &counts, &latencies);
                if seconds.is_some_and(|seconds| u64::from(seconds) <= fleet.elapsed().as_secs()) {
                    return Ended::TimeIsUp;
                }
            }
            _ = &mut interrupt => return Ended::Interrupted,
            health = &mut fault => match health {
                Health::Faulted(what) => return Ended::Faulted(what),
                Health::Running => return Ended::Faulted("the exchange ended".into()),
            },
        }
    }
}

/// Stops the exchange and replays its journal.
async fn close(daemon: Daemon, folder: &DemoFolder, fleet: &FleetReport) -> Result<Verdicts, Failure> {
    let metrics = Arc::clone(daemon.metrics());
    let stopped = tokio::task::spawn_blocking(|| daemon.stop()).await??;
    let (_replayed_engine, replayed) = replay_folder(folder.path())?;
    Ok(Verdicts::new(&stopped.engine, &replayed, fleet, &metrics))
}

/// The exchange again, on the data that is there, until Ctrl-C.
async fn go_on(args: &DemoArgs, folder: &DemoFolder, mut war: PriceWar) -> Result<(), Failure> {
    const AN_HOUR: u32 = 3_600;
    // Enough that nobody sells out while you try things.
    war.capacity_lots *= 250;
    let screen = Screen::new(args.no_tui);
    let (daemon, fleet) = open(args, folder, war.clone(), AN_HOUR).await?;
    screen.banner(daemon.info(), &war, AN_HOUR);
    println!("Ctrl-C ends it. In another terminal, in this folder:");
    println!("  joulebook instruments          joulebook account --as alice");
    println!("  cargo run --release --package joulebook-client --example quote -- SYMBOL");
    let ended = watch(&daemon, &fleet, &screen, None).await;
    fleet.stop().await;
    let stopped = tokio::task::spawn_blocking(|| daemon.stop()).await??;
    println!("stopped at sequence {}; the data stays in {}", stopped.last_seq, folder.path().display());
    match ended {
        Ended::Faulted(what) => Err(Failure::new(what)),
        Ended::Interrupted | Ended::TimeIsUp => Ok(()),
    }
}

/// The usual port, or any free one when somebody else has it: a demo must not fail for that.
fn udp_or_any(wanted: SocketAddr) -> SocketAddr {
    if UdpSocket::bind(wanted).is_ok() { wanted } else { SocketAddr::new(wanted.ip(), 0) }
}

fn tcp_or_any(wanted: SocketAddr) -> SocketAddr {
    if TcpListener::bind(wanted).is_ok() { wanted } else { SocketAddr::new(wanted.ip(), 0) }
}

/// What the bots measured, for the page.
#[derive(Default)]
struct BotLatency(Mutex<Option<Latency>>);

impl BotLatency {
    fn show(&self, answers: &hdrhistogram::Histogram<u64>) {
        let us = |quantile| answers.value_at_quantile(quantile) as f64 / 1_000.0;
        let latency = Latency { p50_us: us(0.5), p99_us: us(0.99), p999_us: us(0.999) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (!answers.is_empty()).then_some(latency);
    }
}

impl LatencySource for BotLatency {
    fn latency(&self) -> Option<Latency> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn description(&self) -> String {
        "Bots over QUIC: request due to answer received, whole run.".into()
    }
}
