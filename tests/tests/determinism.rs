//! One journal, many replays: whoever applies it, in whatever build and from wherever, says what the exchange said when it
//! ran, and ends in the same state.
//!
//! `JOULEBOOK_REPLAY_COMMANDS` says how many commands, about.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Instant;

use joulebook_server::recovery::replay_folder;
use joulebook_testkit::size;
use joulebook_tests::{Daemon, run};

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
        Self::read(&field(printed, "commands").replace(',', ""), printed)
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

    let path = dir.path().to_str().expect("UTF-8");
    let replay = run(&["replay", path, "--expect-state", &live.state]);
    let printed = String::from_utf8_lossy(&replay.stdout);
    assert!(replay.status.success(), "{printed}{}", String::from_utf8_lossy(&replay.stderr));
    assert_eq!(Outcome::of_replay(&printed), live, "the same build");
    println!("the program: {}", field(&printed, "time"));

    // This test is no release build: overflow checks, debug assertions, another optimiser.
    let (_, replayed) = replay_folder(dir.path()).expect("replayable");
    let [high, low] = replayed.event_hash;
    let state = replayed.state_hash.map(|byte| format!("{byte:02x}")).concat();
    let here = Outcome { commands: replayed.last_seq.raw(), events: format!("{high:016x}{low:016x}"), state };
    assert_eq!(here, live, "a build with debug assertions: {}", cfg!(debug_assertions));
    println!("this test: {:.1} s", replayed.duration.as_secs_f64());
}

/// Lives full of trading until the journal is long enough; some end by SIGKILL.
fn trade(dir: &Path, wanted: u64) -> Outcome {
    let seconds = (wanted / 5 / SLOW).clamp(2, 30).to_string();
    let flags = ["journal.segment_mib=16", "limits.orders_per_s=10000000", "limits.orders_burst=10000000"];
    let flags: Vec<_> = flags.into_iter().flat_map(|flag| ["--set", flag]).collect();
    for life in 1_u32.. {
        let daemon = Daemon::start(dir, &flags);
        let (target, seed) = (daemon.gateway.to_string(), life.to_string());
        let flow: &[&str] = match life % 3 {
            0 => &["price-war", "--rate", "20k", "--duration", "1"],
            _ => &["peak", "--duration", &seconds],
        };
        let load = ["--target", &target, "--dir", dir.to_str().expect("UTF-8"), "--seed", &seed];
        let load = run(&[&["bench"], flow, &load].concat());
        let error = String::from_utf8_lossy(&load.stderr);
        assert!(matches!(load.status.code(), Some(0 | INVALID)), "{error}");
        if life % 4 == 3 {
            daemon.kill();
            continue;
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

/// The exit code of a load whose figures must not be quoted. Here nobody quotes them.
const INVALID: i32 = 4;
