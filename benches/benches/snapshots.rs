//! What clients feel of snapshots: durable answers at a steady rate on a large book, from an exchange that takes a snapshot
//! about every second and from one that takes none, in turns.
//!
//! `cargo bench -p joulebook-benches --bench snapshots [-- --rounds 10 --rate 20000 --resting 100000 --dir DIR]`; the
//! `joulebook` program of the same build must be there, or `JOULEBOOK_BIN` name one.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use joulebook_benches::{Arguments, Verdict, load_average};
use joulebook_loadgen::{self as loadgen, ExchangeOptions, Latency, LoadFlow, LoadOptions, TargetExchange};

const SECONDS: u64 = 4;
/// The promise where the shadow has a core of its own, and where it has not: p99.9 with snapshots, in multiples of that
/// without.
const WITH_SPARE_CORE: f64 = 1.5;
const WITHOUT_SPARE_CORE: f64 = 3.0;
/// Gateway, core, journal and the generator take one each.
const CORES_NEEDED: usize = 5;

fn main() {
    let arguments = Arguments::read(&["--rounds", "--rate", "--resting", "--dir"]);
    let rounds = arguments.value("--rounds", 10);
    let rate: u64 = arguments.value("--rate", 20_000);
    let resting = arguments.value("--resting", 100_000);
    let dir = arguments.folder("--dir");
    let load = load_average();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let (mut taken, mut invalid) = (0.0, 0);
    for round in 0..rounds {
        // Who goes first alternates too.
        for turn in 0..2 {
            let snapshots = (round + turn) % 2 == 0;
            let interval = if snapshots { rate } else { 0 };
            let run = measure(&dir, interval, rate, resting);
            invalid += u32::from(!run.is_valid);
            assert_eq!(snapshots, run.snapshots > 0.0, "{} snapshots", run.snapshots);
            taken += run.snapshots;
            let side = if snapshots { &mut with } else { &mut without };
            side.push(run.latency);
        }
    }
    println!("{rounds} rounds of {SECONDS} s at {rate}/s, {resting} resting orders, {taken} snapshots");
    if invalid > 0 {
        println!("INVALID: the generator was late in {invalid} of {} runs", 2 * rounds);
    }
    println!("| answers | p50 us | p99 us | p99.9 us |\n|---|---|---|---|");
    let (without, with) = (medians(&without), medians(&with));
    let row = |name: &str, figures: [f64; 3], digits: usize| {
        let [p50, p99, p999] = figures;
        println!("| {name} | {p50:.digits$} | {p99:.digits$} | {p999:.digits$} |");
    };
    row("without snapshots", without, 0);
    row("with", with, 0);
    row("with / without", std::array::from_fn(|at| with[at] / without[at]), 2);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let at_most = if cores < CORES_NEEDED { WITHOUT_SPARE_CORE } else { WITH_SPARE_CORE };
    let promise = &format!("p99.9 with snapshots / without, {cores} cores");
    println!("\n{}", Verdict { promise, measured: with[2] / without[2], at_most, load });
}

/// Of all runs, in microseconds: the median resists a run in which the machine did something else.
fn medians(runs: &[Latency]) -> [f64; 3] {
    let median = |figure: fn(&Latency) -> u64| {
        let mut figures: Vec<u64> = runs.iter().map(figure).collect();
        figures.sort_unstable();
        figures[figures.len() / 2] as f64 / 1e3
    };
    [median(|it| it.p50), median(|it| it.p99), median(|it| it.p999)]
}

struct Measured {
    latency: Latency,
    /// Taken meanwhile, also while the book was filled.
    snapshots: f64,
    is_valid: bool,
}

fn measure(dir: &Path, interval: u64, rate: u64, resting_orders: usize) -> Measured {
    let scratch = tempfile::tempdir_in(dir).expect("a folder for the exchange");
    let exchange = Exchange::start(scratch.path(), interval);
    let mut options = LoadOptions::new(ExchangeOptions::Target(exchange.target.clone()));
    options.flow = LoadFlow::Mix { books: 1, resting_orders };
    options.rates = vec![rate];
    options.duration = Duration::from_secs(SECONDS);
    let mut report = loadgen::load(&options).unwrap_or_else(|error| panic!("{error}"));
    let is_valid = report.is_valid();
    let snapshots = exchange.metric("joulebook_snapshots_total");
    Measured { latency: report.runs.remove(0).latency, snapshots, is_valid }
}

struct Exchange {
    child: Child,
    target: TargetExchange,
    http: SocketAddr,
}

impl Exchange {
    fn start(scratch: &Path, snapshot_commands: u64) -> Self {
        let dir = scratch.join("data");
        let mut child = Command::new(program())
            .args(["serve", "--gateway", "127.0.0.1:0", "--operator", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(["--set", &format!("journal.snapshot_commands={snapshot_commands}")])
            .args(["--set", "limits.orders_per_s=100000000", "--set", "limits.orders_burst=100000000"])
            .arg("--data")
            .arg(&dir)
            .stdout(Stdio::piped())
            .stderr(File::create(scratch.join("stderr")).expect("a file"))
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line.starts_with("ready")));
        let said = std::fs::read_to_string(scratch.join("stderr"));
        assert!(ready, "the exchange did not start: {said:?}");
        let address = |name: &str| {
            let text = std::fs::read_to_string(dir.join(name)).expect("an address");
            text.trim().parse().expect("an address")
        };
        let target = TargetExchange {
            gateway: address("gateway.addr"),
            operator: address("operator.addr"),
            dir: dir.clone(),
        };
        Self { child, target, http: address("http.addr") }
    }

    fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.http).expect("a page");
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("an answer");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}: {page}"))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Its folder goes with it; nobody minds how it ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The one that was named, or the one beside this benchmark.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("JOULEBOOK_BIN") {
        return named.into();
    }
    let here = std::env::current_exe().expect("a benchmark is a program");
    let program = here.ancestors().nth(2).expect("the build's folder").join("joulebook");
    assert!(program.is_file(), "no {}: run `cargo build --release --package joulebook`", program.display());
    program
}
