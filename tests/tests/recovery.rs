//! SIGKILL at any moment, again and again: what was acknowledged is there, and nothing happened twice.
//!
//! The log of acknowledgements is this process's own. After every kill the exchange is asked what it has, and its answer
//! must be what the log says: same orders, same prices, same lots. A quarter of the lives ends in the middle of a system
//! call of some kind, or before the exchange is open again.
//!
//! `JOULEBOOK_KILLS` says how many kills, in both wirings together.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::{Duration, Instant};

use joulebook_testkit::{Xoshiro256pp, size};
use joulebook_tests::{Daemon, Strace, Tally, Traders, block_on, run, steady_port};

/// In both wirings.
const KILLS: u64 = 200;
/// Clients may be kept waiting by other daemons' disks, but not by their own caution.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);
/// After so many acknowledgements a life ends, even if the call that should end it did not come.
const ACKS_MAX: u64 = 2_500;

#[test]
fn killed_inline_nothing_is_lost_or_doubled() {
    survive_kills("inline", 0x0001_11e5);
}

#[test]
fn killed_threaded_nothing_is_lost_or_doubled() {
    survive_kills("threaded", 0x7e4e_aded);
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// When the traders were told so many things.
    Acks(u64),
    /// At a thread's so-manieth call of this kind, under load.
    Call(&'static str, u64),
    /// The same, but counted from the start of the process, which then is hardly ever open for long.
    Start(&'static str, u64),
}

/// What an exchange asks of a disk; some, such as renames, only now and then.
const CALLS: [(&str, u64); 5] =
    [("fdatasync", 60), ("pwrite64", 60), ("fsync", 4), ("/^rename", 3), ("/^unlink", 2)];

impl Death {
    fn of(kill: u64, random: &mut Xoshiro256pp, may_trace: bool) -> Self {
        let (call, often) = *random.pick(&CALLS);
        match kill % 8 {
            3 if may_trace => Self::Call(call, random.between(1, often)),
            7 if may_trace => Self::Start(call, random.between(1, often.min(4))),
            // At once, while sessions still resume.
            1 | 5 => Self::Acks(random.below(20)),
            _ => Self::Acks(random.between(20, 2_000)),
        }
    }
}

#[derive(Default)]
struct Deaths {
    acks: u64,
    calls: u64,
    starts: u64,
}

fn survive_kills(wiring: &str, seed: u64) {
    println!("seed {seed:#x}");
    let kills = size("JOULEBOOK_KILLS", KILLS).div_ceil(2);
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let traces = dir.path().join("calls");
    let may_trace = Strace::available(&traces).is_some();
    let gateway = format!("gateway.listen=127.0.0.1:{}", steady_port());
    // So many that starts, snapshots and retired files lie in the way of the kills.
    let snapshots = "journal.snapshot_commands=3000";
    let flags = ["--wiring", wiring, "--set", &gateway, "--set", snapshots];
    let started = Instant::now();
    block_on(async {
        let mut random = Xoshiro256pp::from_seed(seed);
        let mut daemon = Daemon::start(&data, &flags);
        let mut traders =
            Traders::set_up(&daemon, &mut random, |config| config.reconnect_pause_max = RECONNECT_PAUSE)
                .await;
        let mut deaths = Deaths::default();
        for kill in 1..=kills {
            let death = Death::of(kill, &mut random, may_trace);
            end_life(daemon, death, &mut traders, (&data, &flags, &traces), &mut deaths).await;
            if kill % 16 == 1 {
                check_journal(&data);
            }
            daemon = Daemon::start(&data, &flags);
            let tally = traders.check().await;
            assert_eq!((tally.lost, tally.doubled), (0, 0), "after kill {kill}, {death:?}");
        }
        report(wiring, kills, &deaths, traders.tally(), started);
        let resumed = traders.traders.iter().all(|trader| u64::from(trader.log.resumes) >= kills);
        assert!(resumed, "each resumed after every kill");
        traders.close().await;
        let log = daemon.stderr();
        let (status, printed) = daemon.stop();
        assert!(status.success() && printed.contains("stopped at sequence"), "{printed}{log}");
        check_journal(&data);
        let (first, last) = segments(&data);
        println!("{wiring}: journal files {first} to {last}; those before were retired");
        assert!(kills < 50 || (3 < last && 1 < first), "no boundary was crossed, nothing was retired");
    });
}

async fn end_life(
    daemon: Daemon,
    death: Death,
    traders: &mut Traders,
    (data, flags, traces): (&Path, &[&str], &Path),
    deaths: &mut Deaths,
) {
    let strace = |call: &str, when: u64| {
        // What it says is of no interest here, and would pile up.
        std::fs::remove_dir_all(traces).expect("removed");
        let strace = Strace::available(traces).expect("it was there");
        strace.trace(call).inject(call, "signal=SIGKILL", &when.to_string())
    };
    match death {
        Death::Acks(acks) => {
            deaths.acks += 1;
            traders
                .trade_until(async |counter| {
                    counter.reaches(acks).await;
                    daemon.kill();
                })
                .await;
        }
        Death::Call(call, when) => {
            let process = daemon.pid();
            let attached = strace(call, when).attach(process);
            let mut ended = daemon;
            let mut dead = tokio::task::spawn_blocking(move || {
                ended.wait();
            });
            let by_call = traders
                .trade_until(async |counter| {
                    tokio::select! {
                        ended = &mut dead => {
                            ended.expect("it ended");
                            true
                        }
                        () = counter.reaches(ACKS_MAX) => {
                            joulebook_tests::send_signal(process, "KILL");
                            dead.await.expect("it ended");
                            false
                        }
                    }
                })
                .await;
            drop(attached);
            if by_call {
                deaths.calls += 1;
            } else {
                deaths.acks += 1;
            }
        }
        Death::Start(call, when) => {
            daemon.kill();
            match Daemon::try_start_traced(data, flags, &strace(call, when)) {
                Err(_) => deaths.starts += 1,
                Ok(open) => {
                    open.kill_traced();
                    deaths.acks += 1;
                }
            }
        }
    }
}

fn report(wiring: &str, kills: u64, deaths: &Deaths, tally: Tally, started: Instant) {
    let Deaths { acks, calls, starts } = deaths;
    let seconds = started.elapsed().as_secs_f64();
    println!("{wiring}: {kills} kills, {tally}, {seconds:.1} s");
    println!("{wiring}: {acks} after an answer, {calls} inside a system call, {starts} while it started");
    assert!(tally.orders > 30 * kills, "{} orders are no load", tally.orders);
    assert_eq!((tally.lost, tally.doubled), (0, 0));
}

/// The first and the last file of the journal.
fn segments(data: &Path) -> (u64, u64) {
    let entries = std::fs::read_dir(data.join("journal")).expect("a journal");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let numbers: Vec<u64> = names.filter_map(|name| name.strip_suffix(".seg")?.parse().ok()).collect();
    (*numbers.iter().min().expect("a file"), *numbers.iter().max().expect("a file"))
}

/// Another process replays what the disk has.
fn check_journal(dir: &Path) {
    let replay = run(&["replay", dir.to_str().expect("a path in UTF-8")]);
    let (printed, error) = (String::from_utf8_lossy(&replay.stdout), String::from_utf8_lossy(&replay.stderr));
    assert!(replay.status.success() && printed.contains("balances   conserved"), "{printed}{error}");
}
