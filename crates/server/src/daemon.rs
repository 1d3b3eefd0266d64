//! Starting and stopping an exchange.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{RecvTimeoutError, Sender, bounded};
use crossbeam::sync::Parker;
use joulebook_console::{self as console, Check, Console, ConsoleState, RunInfo};
use joulebook_engine::Engine;
use joulebook_gateway::{
    CoreLink, Gateway, GatewayConfig, GatewayError, GatewayLimits, ListenerConfig, Listeners, QuicNetwork,
    SteadyClock, SystemEntropy,
};
use joulebook_journal::Term;
use joulebook_metrics::ServerMetrics;
use joulebook_protocol::ALPN;
use joulebook_protocol::pipe::{CommandSlot, EventFrame};
use joulebook_quic::tls::server_config;
use joulebook_quic::transport::{TransportProfile, transport_config};
use joulebook_quic::{DriverConfig, QuicError, ResetKey};
use joulebook_rings::{Consumer, Doorbell, Gate, Wake, ring};
use joulebook_sequencer::{Clock, Core, Egress, EgressKind, ExchangeClock};
use joulebook_session::SessionLimits;
use joulebook_sys::{EventFd, available_cores};
use joulebook_types::{SeqNum, TimeNs};

use crate::clock::SystemClock;
use crate::config::{AckMode, Config, Wiring};
use crate::control::{Control, Health};
use crate::genesis::first_commands;
use crate::identity::{self, IdentityError, TlsIdentity};
use crate::observer::MetricsObserver;
use crate::recovery::RecoveryError;
use crate::restart::{Restarted, restart};
use crate::shadow::ShadowThread;
use crate::tap::Tap;
use crate::wiring::{Clocks, ExchangeCore, FdWake, Ready, run_core, run_gateway, run_inline};

/// Commands that wait between a gateway and the core.
const COMMAND_RING: usize = 16_384;
/// Events that wait between the core and each reader.
const EVENT_RING: usize = 32_768;

/// How often a start that takes long asks whether the disk is full.
const FULL_DISK_PATIENCE: Duration = Duration::from_secs(1);

/// Why an exchange did not start, in one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("TLS: {0}")]
    Tls(#[from] QuicError),
    #[error("tcp {address} is in use: stop the other process or choose another port (--http ADDR)")]
    HttpInUse { address: SocketAddr },
    #[error("cannot listen on tcp {address}: {error}")]
    Http { address: SocketAddr, error: io::Error },
    #[error("{0}")]
    Faulted(String),
    #[error("the disk of {dir} has no room for a journal segment of {mib} MiB: make room, or choose another folder", dir = .dir.display())]
    NoSpace { dir: PathBuf, mib: u32 },
    #[error("cannot {what}: {error}")]
    System { what: &'static str, error: io::Error },
}

/// Why an exchange did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    #[error("{0}")]
    Faulted(String),
    #[error("a thread of the exchange panicked")]
    Panicked,
}

/// What the page's header says of a run.
#[derive(Clone, Debug)]
pub struct Label {
    pub scenario: String,
    pub seed: Option<u64>,
}

/// What a started exchange is, for people and scripts.
#[derive(Clone, Debug)]
pub struct Info {
    pub data_dir: PathBuf,
    pub ca_path: PathBuf,
    pub gateway: SocketAddr,
    pub operator: SocketAddr,
    pub http: SocketAddr,
    pub wiring: Wiring,
    pub ack: AckMode,
    pub cores: usize,
    /// What recovery did, in words.
    pub recovery: String,
}

/// What a stopped exchange leaves behind.
pub struct Stopped {
    pub last_seq: SeqNum,
    /// As it was after the last command.
    pub engine: Engine,
}

/// A running exchange.
pub struct Daemon {
    info: Info,
    control: Arc<Control>,
    exchange: JoinHandle<Engine>,
    shadow: Option<ShadowThread>,
    tap: Tap,
    console: Console,
    console_state: Arc<ConsoleState>,
    metrics: Arc<ServerMetrics>,
}

impl Daemon {
    /// Recovers the data folder and opens the doors. When this returns, logons are answered.
    pub fn start(config: &Config, label: Label) -> Result<Self, StartError> {
        let dir = absolute(&config.data.dir)?;
        make_data_dir(&dir)?;
        let cores = available_cores().map_or(1, |cores| cores.len());
        let wiring = choose_wiring(config.engine.wiring, cores);
        let control = Control::new();
        let metrics = Arc::new(ServerMetrics::new(1));

        // Ports first: a port in use is found before a long recovery, not after it.
        let http = bind_http(config.http.listen)?;
        let system = |what| move |error| StartError::System { what, error };
        let fd = Arc::new(EventFd::new().map_err(system("make an eventfd"))?);
        let parker = Parker::new();
        let gateway_wake: Arc<dyn Wake> = Arc::new(FdWake(Arc::clone(&fd)));
        let core_wake: Arc<dyn Wake> = match wiring {
            Wiring::Inline | Wiring::Auto => Arc::clone(&gateway_wake),
            Wiring::Threaded => Arc::new(parker.unparker().clone()),
        };
        control.wake_on_stop(Arc::clone(&gateway_wake));
        control.wake_on_stop(Arc::clone(&core_wake));

        let mut restarted = restart(config, &dir, Arc::clone(&core_wake), &metrics)?;
        let tls = identity::tls_identity(&dir)?;
        let mut clock = ExchangeClock::starting_after(SystemClock, restarted.engine.time());

        let (commands, ingress) = ring::<CommandSlot>(COMMAND_RING);
        let (gateway_ring, gateway_events) = ring::<EventFrame>(EVENT_RING);
        let (tap_ring, tap_events) = ring::<EventFrame>(EVENT_RING);
        let gateway_bell = Arc::new(Doorbell::new(Arc::clone(&gateway_wake)));
        let core_bell = Arc::new(Doorbell::new(core_wake));
        let console_state = ConsoleState::new(run_info(config, wiring, label), Arc::clone(&metrics));
        let shown = Arc::clone(&console_state);
        control.on_journal(Box::new(move |state| {
            let check = state.map_or_else(Check::failed, Check::passed);
            shown.update_health(|health| health.journal = check);
        }));
        let tap = Tap::start(tap_events, Arc::clone(&console_state), &control);
        let egress = vec![
            Egress { kind: EgressKind::Gateway, ring: gateway_ring, bell: Arc::clone(&gateway_bell) },
            Egress { kind: EgressKind::Tap, ring: tap_ring, bell: tap.bell() },
        ];
        let link = CoreLink {
            commands,
            core_bell: Arc::clone(&core_bell),
            events: gateway_events,
            order_gate: control.order_gate(),
            metrics: metrics.gateway(0),
        };
        let instant = Instant::now();
        let steady = SteadyClock::starting_at(instant, clock.now());
        let mut clocks = Clocks { exchange: clock, steady };
        let now = clocks.read(instant);
        let listeners = listeners(config, &dir, &tls, steady)?;
        let entropy = Box::new(SystemEntropy::default());
        let gateway = Gateway::new(gateway_config(config, now.wall), listeners, link, entropy, now)?;
        let info = Info {
            data_dir: dir.clone(),
            ca_path: tls.ca_path,
            gateway: gateway.public_addr(),
            operator: gateway.operator_addr().expect("the daemon always has an operator endpoint"),
            http: http.local_addr().map_err(system("read the address of the HTTP socket"))?,
            wiring,
            ack: config.journal.ack,
            cores,
            recovery: restarted.words.clone(),
        };
        write_addresses(&info)?;
        let (shadow, snapshots) = (restarted.shadow.take(), restarted.snapshots.clone());
        let core = make_core(restarted, config, &dir, (clock, &metrics), (ingress, egress))?;
        let (starter, started) = bounded(0);
        let threads = Threads {
            gateway,
            core,
            fd,
            parker,
            gateway_bell,
            core_bell,
            clocks,
            control: Arc::clone(&control),
            starter,
        };
        // Nobody is shown it yet. Later it would hide what the journal says from its first turn on: that the disk is full.
        console_state.set_health(console::Health {
            journal: Check::passed(info.recovery.clone()),
            gateway: Check::passed(format!("logons are answered on {}", info.gateway)),
            replay: Check::passed(info.recovery.clone()),
            snapshots,
        });
        let exchange = threads.spawn(wiring).map_err(system("start the exchange's thread"))?;
        // Nothing is ever sent: the other end is dropped when the first commands are durable, or with a fault.
        while started.recv_timeout(FULL_DISK_PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // A full disk with a reserve would have taken the first commands by now.
            if control.is_read_only() {
                control.stop();
                let _ = exchange.join();
                return Err(StartError::NoSpace { dir, mib: config.journal.segment_mib });
            }
        }
        if let Health::Faulted(what) = control.health() {
            return Err(StartError::Faulted(what));
        }
        // Only now: until the doors are open, every core has something better to do.
        let shadow = shadow
            .map(|task| task.spawn(Arc::clone(&control), Arc::clone(&console_state)))
            .transpose()
            .map_err(system("start the shadow's thread"))?;
        let console =
            Console::start(http, Arc::clone(&console_state)).map_err(system("start the console"))?;
        Ok(Self { info, control, exchange, shadow, tap, console, console_state, metrics })
    }

    pub fn info(&self) -> &Info {
        &self.info
    }

    /// For labels, and for latency that only clients can measure.
    pub fn console(&self) -> &Arc<ConsoleState> {
        &self.console_state
    }

    pub fn metrics(&self) -> &Arc<ServerMetrics> {
        &self.metrics
    }

    pub fn health(&self) -> Health {
        self.control.health()
    }

    /// Returns when the exchange has stopped by itself, which only a fault makes it do.
    pub async fn ended(&self) -> Health {
        let mut health = self.control.watch();
        loop {
            let now = health.borrow_and_update().clone();
            if now != Health::Running {
                return now;
            }
            if health.changed().await.is_err() {
                return Health::Faulted("the exchange's thread is gone".into());
            }
        }
    }

    /// Finishes what was received, says goodbye to the sessions, makes everything durable and ends all threads.
    pub fn stop(self) -> Result<Stopped, StopError> {
        self.console_state.update_health(|health| health.gateway = Check::failed("the exchange is stopping"));
        // First, so that it is gone by the time that the sessions are.
        self.shadow.iter().for_each(ShadowThread::begin_stop);
        self.control.stop();
        let engine = self.exchange.join().map_err(|_| StopError::Panicked)?;
        self.shadow.into_iter().for_each(ShadowThread::stop);
        self.tap.stop();
        self.console.stop();
        match self.control.health() {
            Health::Running => Ok(Stopped { last_seq: engine.last_seq(), engine }),
            Health::Faulted(what) => Err(StopError::Faulted(what)),
        }
    }
}

/// Gateway and core on one thread when there are fewer cores than a gateway thread, the core, the journal and one
/// other would keep busy.
fn choose_wiring(wanted: Wiring, cores: usize) -> Wiring {
    const THREADS: usize = 3;
    match wanted {
        Wiring::Auto if cores < THREADS + 1 => Wiring::Inline,
        Wiring::Auto => Wiring::Threaded,
        Wiring::Inline | Wiring::Threaded => wanted,
    }
}

fn run_info(config: &Config, wiring: Wiring, label: Label) -> RunInfo {
    RunInfo {
        scenario: label.scenario,
        seed: label.seed,
        ack_mode: match config.journal.ack {
            AckMode::Durable => console::AckMode::Durable,
            AckMode::Memory => console::AckMode::Memory,
        },
        wiring: match wiring {
            Wiring::Inline | Wiring::Auto => console::Wiring::Inline,
            Wiring::Threaded => console::Wiring::Threaded,
        },
    }
}

fn make_core(
    restarted: Restarted,
    config: &Config,
    dir: &Path,
    (clock, metrics): (ExchangeClock<SystemClock>, &ServerMetrics),
    (ingress, egress): (Consumer<CommandSlot>, Vec<Egress>),
) -> Result<ExchangeCore, StartError> {
    let Restarted { engine, log, committed, .. } = restarted;
    let first = first_commands(&engine, dir, &config.engine)?;
    let observer = MetricsObserver::new(metrics.core(), committed);
    let mut core = Core::new(engine, log, Term::new(1), clock, observer, vec![ingress], egress);
    core.submit_system(&first);
    Ok(core)
}

/// What the exchange's threads take with them.
struct Threads {
    gateway: Gateway,
    core: ExchangeCore,
    clocks: Clocks,
    fd: Arc<EventFd>,
    parker: Parker,
    gateway_bell: Arc<Doorbell>,
    core_bell: Arc<Doorbell>,
    control: Arc<Control>,
    starter: Sender<()>,
}

impl Threads {
    fn spawn(self, wiring: Wiring) -> io::Result<JoinHandle<Engine>> {
        let Self { mut gateway, core, clocks, fd, parker, gateway_bell, core_bell, control, starter } = self;
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let doors = Arc::new(Gate::shut());
        gateway.open_doors_at(Arc::clone(&doors));
        let ready = Ready::new(starter, doors);
        match wiring {
            Wiring::Inline | Wiring::Auto => named("exchange").spawn(move || {
                let _guard = control.fault_on_panic();
                run_inline(gateway, core, clocks, &fd, &control, ready)
            }),
            Wiring::Threaded => {
                let gateway_control = Arc::clone(&control);
                let gateway_thread = named("gateway").spawn(move || {
                    let _guard = gateway_control.fault_on_panic();
                    run_gateway(gateway, clocks, &fd, &gateway_bell, &gateway_control);
                })?;
                named("core").spawn(move || {
                    let _guard = control.fault_on_panic();
                    let done = || gateway_thread.is_finished();
                    run_core(core, &parker, &core_bell, &control, &done, ready)
                })
            }
        }
    }
}

/// The sockets, for clients and for operators.
fn listeners(
    config: &Config,
    dir: &Path,
    tls: &TlsIdentity,
    steady: SteadyClock,
) -> Result<Listeners<QuicNetwork>, StartError> {
    let limits = &config.limits;
    let reset_key = identity::reset_key(dir)?;
    let listener = |address: SocketAddr| -> Result<ListenerConfig, StartError> {
        let transport = transport_config(&TransportProfile::server());
        let server = server_config(vec![tls.leaf.clone()], tls.key.clone_key(), ALPN, transport)?;
        let driver = DriverConfig {
            max_connections: limits.connections as usize,
            max_connections_per_address: limits.connections_per_address as usize,
            reset_key: Some(ResetKey(reset_key)),
            ..DriverConfig::new(address)
        };
        Ok(ListenerConfig { driver, server, leaf_sha256: tls.leaf_sha256 })
    };
    let (public, operator) = (listener(config.gateway.listen)?, listener(config.gateway.operator_listen)?);
    Ok(Listeners::bind(public, Some(operator), steady)?)
}

fn gateway_config(config: &Config, now: TimeNs) -> GatewayConfig {
    let limits = &config.limits;
    let session = SessionLimits {
        orders_per_s: limits.orders_per_s,
        order_burst: limits.orders_burst,
        cancels_per_s: limits.orders_per_s.saturating_mul(2),
        cancel_burst: limits.orders_burst.saturating_mul(2),
        unsent_bytes_max: limits.unread_bytes as usize,
        ..SessionLimits::default()
    };
    let limits = GatewayLimits {
        session,
        sessions_max: config.engine.sessions_max as usize,
        ..GatewayLimits::default()
    };
    GatewayConfig { number: 0, limits, feed_epoch: now.raw() }
}

fn bind_http(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::HttpInUse { address },
        _ => StartError::Http { address, error },
    })
}

fn absolute(dir: &Path) -> Result<PathBuf, StartError> {
    std::path::absolute(dir).map_err(|error| StartError::System { what: "find the data folder", error })
}

fn make_data_dir(dir: &Path) -> Result<(), StartError> {
    let made =
        std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700).create(dir);
    made.map_err(|error| StartError::System { what: "create the data folder", error })
}

/// Where clients on this machine find the exchange.
fn write_addresses(info: &Info) -> Result<(), StartError> {
    let files = [("gateway.addr", info.gateway), ("operator.addr", info.operator), ("http.addr", info.http)];
    for (name, address) in files {
        // Beside and renamed: who reads the file sees an address, the old one or the new one.
        let (path, beside) = (info.data_dir.join(name), info.data_dir.join(format!("{name}.new")));
        let text = format!("{address}\n");
        if std::fs::read_to_string(&path).is_ok_and(|present| present == text) {
            // A start on a full disk has nothing to write.
            continue;
        }
        std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path)).map_err(|error| {
            StartError::System { what: "write the addresses into the data folder", error }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_cores_run_inline() {
        let cases = [
            (Wiring::Auto, 2, Wiring::Inline),
            (Wiring::Auto, 3, Wiring::Inline),
            (Wiring::Auto, 4, Wiring::Threaded),
            (Wiring::Inline, 64, Wiring::Inline),
            (Wiring::Threaded, 2, Wiring::Threaded),
        ];
        for (wanted, cores, chosen) in cases {
            assert_eq!(choose_wiring(wanted, cores), chosen, "{wanted:?} on {cores}");
        }
    }
}
