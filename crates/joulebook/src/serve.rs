//! `joulebook serve`: the daemon alone.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use joulebook_server::config::{Config, Layer, Override};
use joulebook_server::{Daemon, Health, Label};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;
use crate::text::hex;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  joulebook serve\n  joulebook serve --data /var/lib/joulebook --gateway 0.0.0.0:7717\n  joulebook serve --ack memory --wiring threaded"
)]
pub struct ServeArgs {
    /// Configuration file; `joulebook config default` prints one.
    #[arg(long, value_name = "FILE", env = "JOULEBOOK_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for journal, certificates and keys.
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// UDP address for trading and market data.
    #[arg(long, value_name = "ADDR")]
    gateway: Option<String>,
    /// UDP address for operators.
    #[arg(long, value_name = "ADDR")]
    operator: Option<String>,
    /// TCP address of the page, /metrics, /healthz and /readyz.
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// durable: answer after the disk has it. memory: for benchmarks, nothing is written.
    #[arg(long, value_name = "MODE")]
    ack: Option<String>,
    /// auto, inline or threaded.
    #[arg(long, value_name = "WIRING")]
    wiring: Option<String>,
    /// Any other key: `--set limits.orders_per_s=500000`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Write the real addresses to FILE as JSON when ready.
    #[arg(long, value_name = "FILE")]
    ports_file: Option<PathBuf>,
}

impl ServeArgs {
    fn overrides(&self) -> Result<Vec<Override>, Failure> {
        let mut overrides = Config::environment(std::env::vars());
        let flags = [
            ("--data", "data.dir", &self.data),
            ("--gateway", "gateway.listen", &self.gateway),
            ("--operator", "gateway.operator_listen", &self.operator),
            ("--http", "http.listen", &self.http),
            ("--ack", "journal.ack", &self.ack),
            ("--wiring", "engine.wiring", &self.wiring),
        ];
        for (flag, key, value) in flags {
            if let Some(value) = value {
                overrides.push(Override {
                    layer: Layer::Flag(flag.into()),
                    key: key.into(),
                    value: value.clone(),
                });
            }
        }
        for item in &self.set {
            let layer = Layer::Flag(format!("--set {item}"));
            let (key, value) =
                item.split_once('=').ok_or_else(|| Failure::new(format!("--set {item}: write KEY=VALUE")))?;
            overrides.push(Override { layer, key: key.into(), value: value.into() });
        }
        Ok(overrides)
    }
}

/// What `--ports-file` says.
#[derive(Serialize)]
struct Ports {
    gateway: String,
    operator: String,
    http: String,
    pid: u32,
    data: PathBuf,
}

pub fn run(args: ServeArgs) -> Result<(), Failure> {
    init_logs();
    let started = Instant::now();
    let config = Config::load(args.config.as_deref(), &args.overrides()?)?;
    let from = args
        .config
        .as_deref()
        .map_or("no config file, using defaults".into(), |path| path.display().to_string());
    println!("joulebook {}  {from}", env!("CARGO_PKG_VERSION"));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Listening for signals before anything starts: a stop that comes early is not a kill.
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let label = Label { scenario: "joulebook serve".into(), seed: None };
    let daemon = Daemon::start(&config, label)?;
    print_banner(&daemon);
    if let Some(path) = &args.ports_file {
        write_ports(path, &daemon)?;
    }
    println!("ready in {} ms", started.elapsed().as_millis());
    std::io::stdout().flush()?;

    let health = runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => Health::Running,
            _ = interrupt.recv() => Health::Running,
            health = daemon.ended() => health,
        }
    });
    if let Health::Faulted(what) = health {
        // What is durable is safe; what was never acknowledged is not ours to finish.
        return Err(Failure::new(what));
    }
    let stopping = Instant::now();
    let stopped = daemon.stop()?;
    println!("stopped at sequence {} in {} ms", stopped.last_seq, stopping.elapsed().as_millis());
    // What `joulebook replay` must come to: who keeps these lines elsewhere can tell whether the folder was changed.
    let [high, low] = stopped.engine.event_chain_hash();
    println!("events    {high:016x}{low:016x}");
    println!("state     {}", hex(&stopped.engine.state_hash()));
    Ok(())
}

fn print_banner(daemon: &Daemon) {
    let info = daemon.info();
    println!("data      {}  {}", info.data_dir.display(), info.recovery);
    println!("acks      {}   wiring {} ({} cores)", info.ack.name(), info.wiring.name(), info.cores);
    println!("gateway   quic://{}   trust {}", info.gateway, info.ca_path.display());
    println!(
        "operator  quic://{}   key {}",
        info.operator,
        info.data_dir.join("keys/operator.key").display()
    );
    println!("http      http://{}   /metrics /healthz /readyz", info.http);
    if !info.gateway.ip().is_loopback() || !info.operator.ip().is_loopback() || !info.http.ip().is_loopback()
    {
        println!("warning   an address is not on the loopback: others can reach it");
    }
}

fn write_ports(path: &Path, daemon: &Daemon) -> Result<(), Failure> {
    let info = daemon.info();
    let ports = Ports {
        gateway: info.gateway.to_string(),
        operator: info.operator.to_string(),
        http: info.http.to_string(),
        pid: std::process::id(),
        data: info.data_dir.clone(),
    };
    let beside = path.with_extension("new");
    let text = serde_json::to_string(&ports)? + "\n";
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}

/// Pretty for people, JSON for machines; `RUST_LOG` chooses what.
pub fn init_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second initialisation (demo and bots in one process) keeps the first.
    let _ = if std::io::stderr().is_terminal() { builder.try_init() } else { builder.json().try_init() };
}
