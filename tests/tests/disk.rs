//! What the exchange asks of its disk, and what it does when the disk fails, seen from outside by `strace`.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use joulebook_testkit::{Xoshiro256pp, print_skipped};
use joulebook_tests::{
    Daemon, Market, Strace, SystemCall, Traders, ahead_minute, block_on, connect, in_time, limit, now,
    steady_port,
};
use joulebook_types::{InstrumentId, Side};

const WIRINGS: [&str; 2] = ["inline", "threaded"];

/// An order's answer: when the order was sent, when its answer had come, in nanoseconds since 1970.
struct Answered {
    sent_ns: u64,
    told_ns: u64,
}

#[test]
fn every_answer_comes_after_a_sync_of_its_own() {
    for wiring in WIRINGS {
        let dir = tempfile::tempdir().expect("a folder");
        let Some(strace) = Strace::available(&dir.path().join("calls")) else { return };
        // Each sync takes a millisecond at least, so an answer that does not wait for it comes visibly early.
        let strace = strace.light().trace("pwrite64,fdatasync").inject("fdatasync", "delay_enter=1000", "1+");
        let data = dir.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        let daemon = Daemon::start_traced(&data, &["--wiring", wiring], &strace);
        let answers = block_on(async {
            let market = Market::open(&daemon).await;
            let instrument = market.list(Market::hour("H200S", ahead_minute(24))).await;
            let mut answers = one_by_one(&daemon, instrument, 100).await;
            answers.extend(many_at_once(&daemon, instrument, 50, 16).await);
            answers
        });
        daemon.terminate();
        let mut daemon = daemon;
        let (status, printed) = daemon.wait();
        assert!(status.success(), "{printed}");
        check_syncs(wiring, &answers, &strace.calls());
    }
}

async fn one_by_one(daemon: &Daemon, instrument: InstrumentId, orders: u32) -> Vec<Answered> {
    let (alice, _events) = connect(daemon, "alice", 1, |_| ()).await;
    let mut answers = Vec::new();
    for _ in 0..orders {
        let sent_ns = now().raw();
        alice.place(limit(instrument, Side::Buy, 1, 200)).await.expect("accepted");
        answers.push(Answered { sent_ns, told_ns: now().raw() });
    }
    alice.close().await;
    answers
}

async fn many_at_once(daemon: &Daemon, instrument: InstrumentId, rounds: u32, orders: u32) -> Vec<Answered> {
    let (bob, _events) = connect(daemon, "bob", 1, |_| ()).await;
    let mut answers = Vec::new();
    for _ in 0..rounds {
        let sent_ns = now().raw();
        let placed: Vec<_> = (0..orders).map(|_| bob.place(limit(instrument, Side::Buy, 1, 200))).collect();
        for placed in placed {
            placed.await.expect("accepted");
            answers.push(Answered { sent_ns, told_ns: now().raw() });
        }
    }
    bob.close().await;
    answers
}

/// Between an order's departure and its answer a write of the journal and then a sync of the same file began and ended.
fn check_syncs(wiring: &str, answers: &[Answered], calls: &[SystemCall]) {
    let writes: Vec<_> = segment_calls(calls, "pwrite64").collect();
    let syncs: Vec<_> = segment_calls(calls, "fdatasync").collect();
    assert!(syncs.iter().all(|sync| sync.result == Some(0)), "a sync failed");
    let mut groups = BTreeSet::new();
    for (number, answer) in answers.iter().enumerate() {
        let within = |call: &&&SystemCall| answer.sent_ns <= call.begun_ns && call.ended_ns <= answer.told_ns;
        let write = writes.iter().find(within);
        let write = write.unwrap_or_else(|| panic!("{wiring}: answer {number} came without a write"));
        let covers = |sync: &&&SystemCall| {
            write.ended_ns <= sync.begun_ns && sync.file() == write.file() && sync.thread == write.thread
        };
        let sync = syncs.iter().filter(within).find(covers);
        let sync = sync.unwrap_or_else(|| panic!("{wiring}: answer {number} came without a sync"));
        groups.insert(sync.begun_ns);
    }
    let (answers, groups, syncs) = (answers.len(), groups.len(), syncs.len());
    println!("{wiring}: {answers} answers in {groups} groups, each after its sync; {syncs} syncs in all");
    assert!(groups >= 100, "what is sent alone has a sync of its own");
}

fn segment_calls<'a>(calls: &'a [SystemCall], name: &'a str) -> impl Iterator<Item = &'a SystemCall> {
    calls
        .iter()
        .filter(move |call| call.name == name && call.file().is_some_and(|file| file.ends_with(".seg")))
}

/// What a disk may do to a call of the journal thread, and the words in which the exchange takes its leave.
const FAULTS: [(&str, &str, &str); 7] = [
    ("fdatasync", "error=EIO", "cannot sync"),
    ("pwrite64", "error=EIO", "cannot write"),
    ("fdatasync", "error=ENOSPC", "cannot sync"),
    ("pwrite64", "error=ENOSPC", "cannot write"),
    ("fdatasync", "error=EINTR", "cannot sync"),
    // A short write that gets no further.
    ("pwrite64", "retval=0", "cannot write"),
    ("fdatasync", "error=EDQUOT", "cannot sync"),
];
/// From where answers that were under way have time to arrive before the call fails.
const STALL: Duration = Duration::from_millis(200);

#[test]
fn after_a_disk_error_nothing_is_acknowledged() {
    let dir = tempfile::tempdir().expect("a folder");
    if Strace::available(&dir.path().join("calls")).is_none() {
        return;
    }
    for (seed, wiring) in WIRINGS.into_iter().enumerate() {
        let mut random = Xoshiro256pp::from_seed(seed as u64);
        let data = dir.path().join(wiring);
        std::fs::create_dir(&data).expect("a folder");
        let gateway = format!("gateway.listen=127.0.0.1:{}", steady_port());
        let flags = ["--wiring", wiring, "--set", &gateway];
        block_on(async {
            let daemon = Daemon::start(&data, &flags);
            let mut traders = Traders::set_up(&daemon, &mut random, |config| {
                config.reconnect_pause_max = Duration::from_millis(20);
            })
            .await;
            daemon.kill();
            for (number, fault) in FAULTS.into_iter().enumerate() {
                // Beyond what a start asks for in any thread.
                let when = random.between(8, 150);
                let folder = dir.path().join(format!("calls/{wiring}-{number}"));
                let last_call = run_into_fault(&data, &flags, &folder, fault, when, &mut traders).await;
                let told_ns = traders.told_ns();
                assert!(told_ns < last_call.ended_ns, "{fault:?}: an answer came after the failure");
                let daemon = Daemon::start(&data, &flags);
                let tally = traders.check().await;
                assert_eq!((tally.lost, tally.doubled), (0, 0), "after {fault:?} at call {when}");
                daemon.kill();
            }
            println!("{wiring}: {} faults of the disk, {}", FAULTS.len(), traders.tally());
        });
    }
}

/// Trades until the `when`th call fails, which must be the end. Gives back that call.
async fn run_into_fault(
    data: &Path,
    flags: &[&str],
    folder: &Path,
    (call, what, words): (&str, &str, &str),
    when: u64,
    traders: &mut Traders,
) -> SystemCall {
    let stalled = format!("delay_enter={}:{what}", STALL.as_micros());
    let strace = Strace::available(folder).expect("it was there").light();
    let strace = strace.trace("pwrite64,fdatasync").inject(call, &stalled, &when.to_string());
    let mut daemon = Daemon::start_traced(data, flags, &strace);
    let ended = tokio::task::spawn_blocking(move || {
        let (status, printed) = daemon.wait();
        (status, printed, daemon.stderr())
    });
    let (status, printed, error) =
        traders.trade_until(async |_| in_time(ended).await.expect("it is waited for")).await;
    let said: Vec<_> = error.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!((status.code(), said.len()), (Some(1), 1), "{call} {what}: {printed}{error}");
    assert!(said[0].contains("nothing more is acknowledged") && said[0].contains(words), "{said:?}");
    assert!(said[0].contains(".seg"), "{said:?} names no file");

    let calls = strace.calls();
    let failed = calls.iter().find(|call| call.text.contains("(INJECTED)")).expect("the call failed");
    let retried =
        calls.iter().find(|later| later.thread == failed.thread && later.begun_ns > failed.begun_ns);
    assert!(retried.is_none(), "{what}: after {failed:?} came {retried:?}");
    failed.clone()
}

#[test]
fn a_start_reads_the_journals_end_from_the_disk_and_not_from_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(strace) = Strace::available(&dir.path().join("calls")) else { return };
    let data = dir.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    Daemon::start(&data, &[]).kill();
    let strace = strace.light().trace("openat,fsync,fdatasync,fadvise64,pread64");
    Daemon::start_traced(&data, &[], &strace).kill();

    let calls = strace.calls();
    let of_segment = |call: &&SystemCall| call.text.contains("00000000000000000001.seg");
    let around = calls.iter().filter(of_segment).find(|call| call.text.contains("O_DIRECT"));
    let around = around.expect("the segment is opened to be read around the page cache");
    let Some(descriptor) = around.result.filter(|descriptor| *descriptor >= 0) else {
        return print_skipped("the file system has no direct reads");
    };
    let of_folder =
        |call: &&SystemCall| call.name == "fsync" && call.file().is_some_and(|it| it.ends_with("/journal"));
    let named = calls.iter().find(of_folder).expect("the names of segments are synced");
    assert!(named.ended_ns <= around.begun_ns, "before anything is believed");
    let before: Vec<_> =
        calls.iter().filter(of_segment).filter(|it| it.ended_ns <= around.begun_ns).collect();
    let synced = before.iter().position(|call| call.name == "fdatasync").expect("what memory has is written");
    let forgot = before.iter().position(|call| call.text.contains("POSIX_FADV_DONTNEED"));
    assert!(Some(synced) < forgot, "what is written is then forgotten: {before:?}");
    let read = |call: &&SystemCall| call.name == "pread64" && call.begun_ns > around.ended_ns;
    let direct = format!("{descriptor}<");
    let reads: Vec<_> = calls
        .iter()
        .filter(of_segment)
        .filter(read)
        .filter(|call| call.thread == around.thread)
        .map(|call| call.text.contains(&direct))
        .collect();
    assert!(!reads.is_empty() && reads.iter().all(|direct| *direct), "{reads:?}");
}

#[test]
fn an_exchange_whose_disk_fails_at_the_start_does_not_open() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(_) = Strace::available(&dir.path().join("calls")) else { return };
    let data = dir.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    Daemon::start(&data, &[]).kill();
    // Of each segment from the end on to the one that is begun, what memory has is written back before it is forgotten; and
    // what recovery saw is synced once more before it says anything.
    let segments = std::fs::read_dir(data.join("journal")).expect("a journal").count();
    for nth in 1..=segments + 1 {
        let strace = Strace::available(&dir.path().join("calls")).expect("it was there");
        let strace = strace.trace("fdatasync").inject("fdatasync", "error=EIO", &nth.to_string());
        let Err(printed) = Daemon::try_start_traced(&data, &[], &strace) else { panic!("it opened, {nth}") };
        assert!(printed.contains("error: ") && printed.contains("cannot sync"), "{printed}");
    }
    Daemon::start(&data, &[]).kill();
}
