//! One journal, many replays: whoever applies it, in whatever build and from wherever, says what the exchange said when it
//! ran, and ends in the same state.
//!
//! `JOULEBOOK_REPLAY_COMMANDS` says how many commands, about.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use joulebook_server::recovery::replay_folder;
use joulebook_testkit::size;
use joulebook_tests::{Daemon, PATIENCE, http_get, joulebook, run_within};

const COMMANDS: u64 = 1_000_000;
/// Commands that an exchange takes in a second at least, of whom this test does not want many lives.
const SLOW: u64 = 100_000;

/// What an exchange came to, in the words of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    commands: u64,
    events: String,
    state: String,
}

impl Outcome {
    /// Of an exchange that stopped.
    fn of_daemon(printed: &str) -> Self {
        let (_, sequence) = printed.split_once("stopped at sequence ").expect("a sequence number");
        Self::read(sequence, printed)
    }

    /// Of `joulebook replay`.
    fn of_replay(printed: &str) -> Self {
        let from = field(printed, "from");
        let (_, last) = from.split_once("up to command ").expect("the last command");
        Self::read(last, printed)
    }

    fn read(commands: &str, printed: &str) -> Self {
        let commands = commands.split(' ').next().and_then(|number| number.parse().ok());
        let commands = commands.unwrap_or_else(|| panic!("no number of commands: {printed}"));
        Self { commands, events: field(printed, "events"), state: field(printed, "state") }
    }
}

fn field(printed: &str, name: &str) -> String {
    let line = printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}: {printed}")).trim().to_owned()
}

#[test]
fn every_replay_says_what_the_exchange_said() {
    let wanted = size("JOULEBOOK_REPLAY_COMMANDS", COMMANDS);
    let dir = tempfile::tempdir().expect("a folder");
    let started = Instant::now();
    let live = trade(dir.path(), wanted);
    println!("live: {} commands in {:.1} s", live.commands, started.elapsed().as_secs_f64());

    let printed = replay(dir.path(), &["--expect-state", &live.state]);
    assert_eq!(Outcome::of_replay(&printed), live, "the same build");
    println!("the program: {}; {}", field(&printed, "time"), field(&printed, "verified"));

    // This test is no release build: overflow checks, debug assertions, another optimiser.
    let (_, replayed) = replay_folder(dir.path()).expect("replayable");
    let [high, low] = replayed.event_hash;
    let state = replayed.state_hash.map(|byte| format!("{byte:02x}")).concat();
    let here = Outcome { commands: replayed.last_seq.raw(), events: format!("{high:016x}{low:016x}"), state };
    assert_eq!(here, live, "a build with debug assertions: {}", cfg!(debug_assertions));
    println!("this test: {:.1} s", replayed.duration.as_secs_f64());

    let snapshots = snapshots(dir.path());
    for snapshot in &snapshots {
        let printed = replay(dir.path(), &["--from", snapshot.to_str().expect("UTF-8")]);
        assert_eq!(Outcome::of_replay(&printed), live, "{}", snapshot.display());
    }
    assert!(!snapshots.is_empty(), "no snapshots");
    println!("from each of {} snapshots: the same", snapshots.len());
}

/// What the release program says of the folder: every batch compared with what was attested when it ran.
fn replay(dir: &Path, options: &[&str]) -> String {
    let command = [&["replay", dir.to_str().expect("UTF-8"), "--verify"], options].concat();
    let replay = run_within(joulebook(&command), 10 * PATIENCE);
    let printed = String::from_utf8_lossy(&replay.stdout).into_owned();
    assert!(replay.status.success(), "{printed}{}", String::from_utf8_lossy(&replay.stderr));
    printed
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("snapshots")).expect("snapshots");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "snap"));
    paths.sort();
    paths
}

/// Lives full of trading until the journal is long enough; some end by SIGKILL.
fn trade(dir: &Path, wanted: u64) -> Outcome {
    let seconds = (wanted / 5 / SLOW).clamp(2, 30).to_string();
    let snapshot_commands = format!("journal.snapshot_commands={}", wanted / 5);
    let flags = [
        "journal.segment_mib=16",
        // Everything is kept, so that there is a replay from the first command.
        "journal.segments_kept=all",
        "journal.snapshots_kept=1000",
        &snapshot_commands,
        "limits.orders_per_s=10000000",
        "limits.orders_burst=10000000",
    ];
    let flags: Vec<_> = flags.into_iter().flat_map(|flag| ["--set", flag]).collect();
    for life in 1_u32.. {
        let daemon = Daemon::start(dir, &flags);
        let (target, seed) = (daemon.gateway.to_string(), life.to_string());
        let flow: &[&str] = match life % 3 {
            0 => &["price-war", "--rate", "20k", "--duration", "1"],
            _ => &["peak", "--duration", &seconds],
        };
        let load = ["--target", &target, "--dir", dir.to_str().expect("UTF-8"), "--seed", &seed];
        let load = run_within(joulebook(&[&["bench"], flow, &load].concat()), 4 * PATIENCE);
        let error = String::from_utf8_lossy(&load.stderr);
        assert!(matches!(load.status.code(), Some(0 | INVALID)), "{error}");
        if life % 4 == 3 {
            daemon.kill();
            continue;
        }
        if life == 1 {
            // However slow the machine is, one snapshot lies in the middle of what follows.
            await_snapshot(&daemon);
        }
        let log = daemon.stderr();
        let (status, printed) = daemon.stop();
        assert!(status.success(), "{printed}{log}");
        let outcome = Outcome::of_daemon(&printed);
        if wanted <= outcome.commands {
            return outcome;
        }
        assert!(
            u64::from(life) * SLOW <= wanted + 20 * SLOW,
            "{} commands in {life} lives",
            outcome.commands
        );
    }
    unreachable!("the lives are limited above")
}

fn await_snapshot(daemon: &Daemon) {
    let asked = Instant::now();
    let taken = |page: &str| !page.lines().any(|line| line == "joulebook_snapshots_total 0");
    while !taken(&http_get(daemon.http, "/metrics").body) {
        assert!(asked.elapsed() < 2 * PATIENCE, "no snapshot after so many commands: {}", daemon.stderr());
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The exit code of a load whose figures must not be quoted. Here nobody quotes them.
const INVALID: i32 = 4;
