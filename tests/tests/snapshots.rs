//! The real binary with many snapshots: killed and started from them, with damaged ones, with a disk that takes none, and
//! with a journal that somebody wrote anew.
//!
//! `JOULEBOOK_SNAPSHOT_KILLS` says how many kills.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use joulebook_engine::{Engine, Events};
use joulebook_journal::testing::MemSnapshots;
use joulebook_journal::{
    Batch, CommandLog, EventDigest, JournalReader, LocalConfig, LocalJournal, LogEvent, Term,
};
use joulebook_protocol::messages::NewOrder;
use joulebook_protocol::{Command, SequencedCommand};
use joulebook_rings::Wake;
use joulebook_sequencer::{apply_batch, recover};
use joulebook_server::recovery::SHARD;
use joulebook_server::snapshots::FileSnapshots;
use joulebook_server::storage::FileStorage;
use joulebook_testkit::{Xoshiro256pp, size};
use joulebook_tests::{Daemon, PATIENCE, Traders, block_on, http_get, http_json_until, steady_port};
use joulebook_types::{Price, SeqNum, TimeNs};

/// Commands from one snapshot to the next.
const INTERVAL: u64 = 2_000;

/// What every daemon here is told, besides its port: so many commands between snapshots.
fn flags<'a>(gateway: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut flags = vec!["--set", "journal.snapshot_commands=2000", "--set", gateway];
    more.iter().for_each(|item| flags.extend(["--set", *item]));
    flags
}

fn gateway() -> String {
    format!("gateway.listen=127.0.0.1:{}", steady_port())
}

/// The files of a folder inside the data folder, in order.
fn files(dir: &Path, folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir.join(folder))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let complete = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "snap");
    files(dir, "snapshots").into_iter().filter(complete).collect()
}

fn metric(daemon: &Daemon, name: &str) -> f64 {
    let page = http_get(daemon.http, "/metrics").body;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().expect("a number")
}

/// Everybody trades until there is one more snapshot; the daemon goes on.
async fn trade_until_snapshot(traders: &mut Traders, daemon: &Daemon) {
    let before = metric(daemon, "joulebook_snapshots_total");
    traders
        .trade_until(async |counter| {
            let deadline = Instant::now() + PATIENCE;
            let mut acks = INTERVAL / 2;
            counter.reaches(acks).await;
            while metric(daemon, "joulebook_snapshots_total") <= before {
                assert!(Instant::now() < deadline, "no snapshot after {acks} answers: {}", daemon.stderr());
                acks += 50;
                counter.reaches(acks).await;
            }
        })
        .await;
}

async fn set_up(daemon: &Daemon, seed: u64) -> Traders {
    let mut random = Xoshiro256pp::from_seed(seed);
    Traders::set_up(daemon, &mut random, |config| config.reconnect_pause_max = Duration::from_millis(20))
        .await
}

/// Stops a daemon in order, and gives what it still printed.
fn stop(daemon: Daemon) -> String {
    let log = daemon.stderr();
    let (status, printed) = daemon.stop();
    assert!(status.success() && printed.contains("stopped at sequence"), "{printed}{log}");
    printed
}

/// What the checks of a daemon say that has just begun, of replay and of snapshots.
fn checks(daemon: &Daemon) -> (String, serde_json::Value) {
    let ready = http_json_until(daemon.http, "/readyz", |ready| ready["ready"] == true);
    let replay = ready["checks"]["replay"]["reason"].as_str().expect("a reason").to_owned();
    (replay, ready["checks"]["snapshots"].clone())
}

#[test]
fn killed_and_started_from_a_snapshot_nothing_is_lost_or_doubled() {
    let dir = tempfile::tempdir().expect("a folder");
    let gateway = gateway();
    let flags = flags(&gateway, &[]);
    let mut random = Xoshiro256pp::from_seed(4);
    let started = Instant::now();
    let kills = size("JOULEBOOK_SNAPSHOT_KILLS", 10);
    block_on(async {
        let mut daemon = Daemon::start(dir.path(), &flags);
        let mut traders = set_up(&daemon, 40).await;
        for kill in 1..=kills {
            if kill % 4 == 0 {
                // Before the next snapshot is due, so that the one before serves twice.
                traders.trade_until(async |counter| counter.reaches(200).await).await;
            } else {
                trade_until_snapshot(&mut traders, &daemon).await;
                // In the middle of what follows a snapshot: old ones and segments are removed.
                let more = random.below(100);
                traders.trade_until(async |counter| counter.reaches(more).await).await;
            }
            daemon.kill();
            daemon = Daemon::start(dir.path(), &flags);
            let (replay, snapshots) = checks(&daemon);
            assert!(replay.starts_with("journal replayed from the snapshot at "), "{replay}");
            assert_eq!(snapshots["ok"], true, "{snapshots}");
            let tally = traders.check().await;
            assert_eq!((tally.lost, tally.doubled), (0, 0), "after kill {kill}");
        }
        println!("{kills} kills, {}, {:.1} s", traders.tally(), started.elapsed().as_secs_f64());
        traders.close().await;
        stop(daemon);
    });
    let kept = snapshots(dir.path());
    // A third one is there if the stop came before it was removed; nothing is half written.
    assert!((2..=3).contains(&kept.len()) && kept == files(dir.path(), "snapshots"), "{kept:?}");
    let segments = files(dir.path(), "journal");
    assert!(!segments[0].ends_with("00000000000000000001.seg"), "nothing was retired: {segments:?}");
}

#[test]
fn recovery_from_every_snapshot_comes_to_the_state_of_a_full_replay() {
    let dir = tempfile::tempdir().expect("a folder");
    let gateway = gateway();
    let flags = flags(&gateway, &["journal.segments_kept=all", "journal.snapshots_kept=100"]);
    block_on(async {
        let daemon = Daemon::start(dir.path(), &flags);
        let mut traders = set_up(&daemon, 41).await;
        for _ in 0..4 {
            trade_until_snapshot(&mut traders, &daemon).await;
        }
        traders.close().await;
        stop(daemon);
    });
    assert!(dir.path().join("journal/00000000000000000001.seg").exists(), "all segments stay");
    let storage = || FileStorage::open_read_only(dir.path()).expect("a data folder");
    let full = recover(storage(), &mut MemSnapshots::new(), SHARD, true).expect("a whole journal");
    assert_eq!(full.engine.recount(), Ok(()));
    let mut names = Vec::new();
    for path in snapshots(dir.path()) {
        // Alone, so that it must be the one.
        let only = tempfile::tempdir().expect("a folder");
        fs::create_dir(only.path().join("snapshots")).expect("a folder");
        let name = path.file_name().expect("a name");
        fs::copy(&path, only.path().join("snapshots").join(name)).expect("copied");
        let mut shelf = FileSnapshots::open_read_only(only.path());
        let recovered = recover(storage(), &mut shelf, SHARD, true).expect("a snapshot and its tail");
        assert_eq!(recovered.engine.state_hash(), full.engine.state_hash(), "{name:?}");
        assert_eq!(recovered.engine.event_chain_hash(), full.engine.event_chain_hash(), "{name:?}");
        assert!(recovered.snapshot.is_some() && recovered.batches < full.batches);
        names.extend(recovered.snapshot);
    }
    assert!(names.len() >= 4, "{names:?}");
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[offset] ^= 0x10;
    fs::write(path, bytes).expect("written");
}

#[test]
fn a_damaged_snapshot_is_skipped_and_without_any_there_is_no_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let gateway = gateway();
    let flags = flags(&gateway, &[]);
    block_on(async {
        let daemon = Daemon::start(dir.path(), &flags);
        let mut traders = set_up(&daemon, 42).await;
        // Enough for the first segment to be retired.
        while dir.path().join("journal/00000000000000000001.seg").exists() {
            trade_until_snapshot(&mut traders, &daemon).await;
        }
        daemon.kill();

        // A third one is there if the kill came before it was removed.
        let [.., older, newest] = &snapshots(dir.path())[..] else { panic!("two are kept") };
        flip(newest, 4096 + 100);
        let daemon = Daemon::start(dir.path(), &flags);
        let (replay, check) = checks(&daemon);
        let seq = |path: &Path| path.file_name().unwrap().to_str().unwrap()[..20].parse::<u64>().unwrap();
        assert!(replay.contains(&format!("from the snapshot at {} to", seq(older))), "{replay}");
        let problem = format!("{}, byte 4096: the checksum of a block does not match", newest.display());
        assert_eq!(check["ok"], false);
        for text in [check["reason"].as_str().expect("a reason"), &daemon.stderr()] {
            assert!(text.contains(&problem), "{text}");
        }
        assert!((metric(&daemon, "joulebook_snapshots_damaged_total") - 1.0).abs() < 0.1);
        let tally = traders.check().await;
        assert_eq!((tally.lost, tally.doubled), (0, 0));
        // The damaged one is no fallback: the older one stays until there are two others, and then both go.
        while newest.exists() {
            trade_until_snapshot(&mut traders, &daemon).await;
        }
        assert!(metric(&daemon, "joulebook_snapshots_total") > 1.5, "two others");
        let (_, check) = checks(&daemon);
        assert_eq!((check["ok"].as_bool(), older.exists()), (Some(true), false), "{check}");
        traders.close().await;
        stop(daemon);
    });

    let kept = snapshots(dir.path());
    for path in &kept {
        flip(path, 20);
    }
    let before = fingerprint(dir.path());
    let Err(printed) = Daemon::try_start(dir.path(), &flags) else { panic!("it starts without a beginning") };
    for path in &kept {
        let wanted = format!("{}, byte 0: the checksum of the header does not match", path.display());
        assert!(printed.contains(&wanted), "{printed}");
    }
    let segment = &files(dir.path(), "journal")[0];
    for wanted in [&format!("error: {} is the oldest segment", segment.display()), "from a backup"] {
        assert!(printed.contains(wanted), "{printed}");
    }
    assert_eq!(fingerprint(dir.path()), before, "nothing was changed");

    flip(&kept[1], 20);
    drop(Daemon::start(dir.path(), &flags));
}

/// Names, lengths and hashes of everything that an exchange has on its disk.
fn fingerprint(dir: &Path) -> Vec<(PathBuf, u64, u32)> {
    let all = ["journal", "snapshots"].iter().flat_map(|folder| files(dir, folder));
    all.map(|path| {
        let bytes = fs::read(&path).expect("a file");
        let sum = bytes.iter().fold(0_u32, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte));
        (path, bytes.len() as u64, sum)
    })
    .collect()
}

#[test]
fn a_disk_that_takes_no_snapshots_costs_nobody_anything() {
    let dir = tempfile::tempdir().expect("a folder");
    let gateway = gateway();
    let flags = flags(&gateway, &[]);
    block_on(async {
        let daemon = Daemon::start(dir.path(), &flags);
        let mut traders = set_up(&daemon, 43).await;
        let (folder, away) = (dir.path().join("snapshots"), dir.path().join("away"));
        fs::rename(&folder, &away).expect("renamed");
        traders
            .trade_until(async |counter| {
                let mut acks = INTERVAL / 2;
                while metric(&daemon, "joulebook_snapshots_failed_total") < 1.0 {
                    counter.reaches(acks).await;
                    acks += 50;
                }
            })
            .await;
        let ready =
            http_json_until(daemon.http, "/readyz", |ready| ready["checks"]["snapshots"]["ok"] == false);
        let reason = ready["checks"]["snapshots"]["reason"].as_str().expect("a reason");
        assert!(reason.contains("no snapshot: cannot create") && reason.contains(".tmp"), "{reason}");
        assert_eq!(ready["ready"], true, "trading goes on");

        fs::rename(&away, &folder).expect("renamed");
        trade_until_snapshot(&mut traders, &daemon).await;
        http_json_until(daemon.http, "/readyz", |ready| ready["checks"]["snapshots"]["ok"] == true);
        let tally = traders.check().await;
        assert_eq!((tally.lost, tally.doubled), (0, 0));
        // What is left of one that a kill interrupted goes at the next start.
        daemon.kill();
        let leftover = folder.join("00000000000000000009-0123456789abcdef.tmp");
        fs::write(&leftover, "half a snapshot").expect("written");
        let daemon = Daemon::start(dir.path(), &flags);
        assert!(!leftover.exists());
        traders.check().await;
        traders.close().await;
        stop(daemon);
    });
}

#[derive(Debug)]
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// Writes the journal of `from` anew in `to`, whole in every checksum, with one order at another price, and says which
/// command that is. What the exchange attested stays as it was.
fn rewrite(from: &Path, to: &Path) -> SeqNum {
    fs::create_dir_all(to).expect("a folder");
    let storage = FileStorage::open_read_only(from).expect("a data folder");
    let mut reader = JournalReader::new(storage, SHARD).expect("a journal");
    let storage = FileStorage::open(to, std::sync::Arc::new(Nobody)).expect("a new data folder");
    let empty = JournalReader::new(storage, SHARD).expect("an empty journal");
    let mut log = LocalJournal::open(empty, LocalConfig::new(SHARD, 1)).expect("an empty journal");
    let (mut engine, mut said, mut digest) = (Engine::new(), Events::default(), EventDigest::default());
    let (mut changed, mut events) = (None, Vec::new());
    while let Some(view) = reader.next_batch().expect("no damage") {
        apply_batch(&mut engine, view.first_seq, view.time, view.records(), &mut said, &mut digest)
            .expect("the same program");
        said.clear();
        let mut batch = Batch::new();
        batch.clear(view.time);
        for (offset, record) in (0..).zip(view.records()) {
            let mut record = record.to_vec();
            let seq = SeqNum::new(view.first_seq.raw() + offset);
            if changed.is_none() && seq.raw() > 100 && rewrite_price(&mut record) {
                changed = Some(seq);
            }
            batch.push(&record);
        }
        log.propose(Term::new(1), batch).expect("room");
        log.attest(&digest);
        drain(&mut log, view.time, &mut events);
    }
    log.shutdown();
    while !log.is_stopped() {
        log.poll(TimeNs::new(u64::MAX / 2), &mut events);
    }
    changed.expect("an order after the first hundred commands")
}

fn drain(log: &mut LocalJournal<FileStorage>, time: TimeNs, events: &mut Vec<LogEvent>) {
    while log.durable_seq() < log.last_seq() {
        log.poll(time, events);
        events.clear();
        std::thread::yield_now();
    }
}

/// Lowers the price of an order by two ticks. False if it is none.
fn rewrite_price(record: &mut Vec<u8>) -> bool {
    let mut command = SequencedCommand::default();
    command.read(record).expect("a command");
    let Command::NewOrder(NewOrder { price, .. }) = &mut command.command else { return false };
    *price = Price::new(price.raw() - 20_000);
    record.clear();
    command.encode(record);
    true
}

#[test]
fn a_journal_that_says_something_else_is_refused_by_batch_and_command() {
    let dir = tempfile::tempdir().expect("a folder");
    let (honest, forged) = (dir.path().join("honest"), dir.path().join("forged"));
    fs::create_dir(&honest).expect("a folder");
    let gateway = gateway();
    block_on(async {
        let daemon = Daemon::start(&honest, &flags(&gateway, &["journal.snapshot_commands=0"]));
        let mut traders = set_up(&daemon, 44).await;
        traders.trade_until(async |counter| counter.reaches(1_000).await).await;
        traders.close().await;
        stop(daemon);
    });
    assert!(snapshots(&honest).is_empty(), "0 takes none");
    let changed = rewrite(&honest, &forged);
    let Err(printed) = Daemon::try_start(&forged, &["--set", "journal.segment_mib=64"]) else {
        panic!("it starts with another past")
    };
    for wanted in [&format!("from command {changed} on"), "the events of commands ", "journal.verify = false"]
    {
        assert!(printed.contains(wanted), "{wanted} is not in: {printed}");
    }
    // Trusted on purpose, it goes on, and its shadow does not object.
    let trusting = ["--set", "journal.verify=false", "--set", "journal.snapshot_commands=500"];
    let daemon = Daemon::start(&forged, &trusting);
    http_json_until(daemon.http, "/readyz", |ready| {
        let reason = ready["checks"]["snapshots"]["reason"].as_str().unwrap_or_default();
        reason.starts_with("snapshot at sequence")
    });
    stop(daemon);
    // It stands behind all that the forger's exchange attested, so from here on there is something to compare again.
    let daemon = Daemon::start(&forged, &["--set", "journal.segment_mib=64"]);
    let (replay, check) = checks(&daemon);
    assert!(replay.starts_with("journal replayed from the snapshot at "), "{replay}");
    assert_eq!(check["ok"], true, "{check}");
    stop(daemon);
}
