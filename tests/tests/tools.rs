//! `replay`, `inspect` and `doctor` on folders of the real daemon.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use joulebook_engine::{Engine, Events};
use joulebook_journal::{
    Batch, CommandLog, EventDigest, JournalReader, LocalConfig, LocalJournal, LogEvent, Term,
};
use joulebook_rings::Wake;
use joulebook_sequencer::apply_batch;
use joulebook_server::recovery::SHARD;
use joulebook_server::storage::FileStorage;
use joulebook_tests::{Daemon, PATIENCE, joulebook, run};
use joulebook_types::{SeqNum, TimeNs};
use serde_json::Value;

const SYMBOL: &str = "H200S.DE.20991224T1400.H";
const BLOCK: usize = 4096;

/// Runs a command on a folder; what it printed, and its exit code.
fn tool(args: &[&str]) -> (String, String, i32) {
    let Output { status, stdout, stderr } = run(args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let (stdout, stderr) = (text(stdout), text(stderr));
    assert!(!stderr.contains("panicked"), "{stderr}");
    (stdout, stderr, status.code().expect("it ended by itself"))
}

/// As [`tool`], which must go well.
fn shown(args: &[&str]) -> String {
    let (stdout, stderr, code) = tool(args);
    assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}: {stdout}");
    stdout
}

fn trade(dir: &Path, line: &str) {
    let args: Vec<&str> = line.split_whitespace().collect();
    let output = joulebook(&args).env("JOULEBOOK_DIR", dir).output().expect("the binary runs");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An hour, a seller with 40 lots and a buyer with credits; the seller's order 1 has a life.
fn life_of_an_order(dir: &Path) {
    for line in [
        &format!("admin list {SYMBOL}"),
        "admin mint 1000000 --attestation 77",
        "admin deposit 11 50000",
        &format!("admin register {SYMBOL} 320 --as alice"),
        &format!("order sell {SYMBOL} 8 27.00 --as alice"),
        &format!("order buy {SYMBOL} 3 27.50 --as bob"),
        "replace 1 7 27.20 --as alice",
        &format!("order buy {SYMBOL} 1 27.50 --as bob"),
        "cancel 1 --as alice",
    ] {
        trade(dir, line);
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("ours");
    (dir, data)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

/// The folder of a daemon that traded and was stopped.
fn stopped() -> (tempfile::TempDir, PathBuf) {
    let (dir, data) = folder();
    let daemon = Daemon::start(&data, &[]);
    life_of_an_order(&data);
    let (status, printed) = daemon.stop();
    assert!(status.success(), "{printed}");
    (dir, data)
}

fn state(dir: &Path, args: &[&str]) -> Value {
    let printed = shown(&[&["replay", text(dir), "--json"], args].concat());
    serde_json::from_str(&printed).expect("one JSON object")
}

#[test]
fn a_replay_says_what_the_exchange_said_and_stops_where_it_is_told() {
    let (_dir, data) = stopped();
    let first = state(&data, &["--verify"]);
    let (state_then, last) = (first["state"].as_str().expect("a hash"), &first["last_seq"]);
    assert_eq!(first["balanced"], true);
    assert_eq!(&first["verified"]["seq"], last, "a clean stop leaves nothing unattested");

    let daemon = Daemon::start(&data, &[]);
    trade(&data, &format!("order buy {SYMBOL} 2 25 --as bob"));
    daemon.stop();
    let then = state(&data, &["--verify", "--until", &last.to_string()]);
    assert_eq!(then["state"], state_then, "the state at that point, of a journal that goes on");
    assert_eq!(then["events"], first["events"]);
    assert_eq!(then["journal"], first["journal"]);
    let now = state(&data, &[]);
    assert_ne!(now["state"], state_then);
    assert_eq!(now["verified"], Value::Null);

    let printed = shown(&["replay", text(&data), "--verify"]);
    assert!(printed.contains("balances   conserved") && printed.contains("say what they said"), "{printed}");
    assert!(printed.lines().all(|line| line.len() <= 80), "{printed}");
    let (_, stderr, code) = tool(&["replay", text(&data), "--expect-state", state_then]);
    assert_eq!((code, stderr.as_str()), (3, "error: the state is not the expected one\n"));
    let (_, stderr, code) = tool(&["replay", text(&data), "--until", "1000000"]);
    assert!(code == 1 && stderr.contains("before command 1000000"), "{stderr}");
}

#[test]
fn snapshots_on_the_way_are_compared_and_begun_with() {
    let (_dir, data) = folder();
    let daemon = Daemon::start(&data, &["--set", "journal.snapshot_commands=20"]);
    life_of_an_order(&data);
    // The engine that takes them follows the trading, so it takes a while; what is traded meanwhile is its work.
    let deadline = Instant::now() + PATIENCE;
    let listed = loop {
        trade(&data, &format!("order buy {SYMBOL} 1 20 --as bob"));
        let listed = shown(&["inspect", text(&data), "snapshots", "--json"]);
        if !listed.is_empty() {
            break listed;
        }
        assert!(Instant::now() < deadline, "no snapshot");
    };
    let snapshot: Value = serde_json::from_str(listed.lines().next().expect("a line")).expect("JSON");
    daemon.stop();

    let whole = state(&data, &["--verify"]);
    assert!(whole["verified"]["snapshots"].as_u64() >= Some(1), "{whole}");
    let file = snapshot["file"].as_str().expect("a name");
    let seq = &snapshot["header"]["seq"];
    for from in [file, &seq.to_string()] {
        let tail = state(&data, &["--verify", "--from", from]);
        assert_eq!((&tail["begins_after_seq"], &tail["state"]), (seq, &whole["state"]), "{tail}");
        assert_eq!(tail["from"], format!("snapshot {file}"));
    }
    let then = state(&data, &["--until", &seq.to_string()]);
    assert_eq!(
        (&then["state"], &then["journal"]),
        (&snapshot["header"]["state"], &snapshot["header"]["journal"])
    );
    let printed = shown(&["doctor", text(&data), "--deep"]);
    assert!(printed.contains("each loads and has its hash"), "{printed}");
    assert!(shown(&["inspect", text(&data), "snapshots"]).lines().all(|line| line.len() <= 80));
}

#[test]
fn an_order_s_whole_life_is_found() {
    let (_dir, data) = stopped();
    let life = shown(&["inspect", text(&data), "order", "1"]);
    let found: Vec<&str> =
        life.lines().filter(|line| line.starts_with("    ") && !line.trim().is_empty()).collect();
    let events: Vec<&str> =
        found.iter().map(|line| line.trim()).filter(|line| !line.starts_with(char::is_numeric)).collect();
    assert_eq!(
        events,
        [
            "accepted  8 lots at 27.00 EC/AH, gtc",
            "filled    3 lots at 27.00 EC/AH, trade 1, leaves 5 lots, maker, with order 2 of 11/1000",
            "replaced  7 lots at 27.20 EC/AH, request 4, leaves 4 lots, to the back of its price",
            "filled    1 lot at 27.20 EC/AH, trade 2, leaves 3 lots, maker, with order 3 of 11/1000",
            "canceled  request 6, canceled 3 lots, filled 4 lots, reason Requested",
        ]
    );
    assert!(life.starts_with(&format!("order 1: sell 8 lots of {SYMBOL} at 27.00 EC/AH, gtc\n")), "{life}");
    assert!(life.ends_with("ended: 4 lots filled, 3 canceled\n"), "{life}");
    assert_eq!(shown(&["inspect", text(&data), "client-order", "10", "1000", "2"]), life);

    let json = shown(&["inspect", text(&data), "order", "1", "--json"]);
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (summary, moments) = lines.split_last().expect("a summary at the end");
    assert_eq!((&summary["filled_lots"], &summary["open"]), (&4.into(), &false.into()));
    assert_eq!(moments.len(), 5);
    assert_eq!(moments[1]["events"][0]["fields"]["leaves_qty"], 5);
    assert_eq!(moments[2]["command"]["fields"]["price"], 27_200_000);

    let (_, stderr, code) = tool(&["inspect", text(&data), "order", "99"]);
    assert_eq!((code, stderr.as_str()), (1, "error: there is no order 99 yet: the newest has the id 3\n"));
}

#[test]
fn a_live_journal_is_followed_until_somebody_has_seen_enough() {
    let (_dir, data) = folder();
    let daemon = Daemon::start(&data, &[]);
    let (follower, lines) = follow(&data, &["commands"], "");
    let canceled = r#""event":"OrderCanceled""#;
    let (events, event_lines) = follow(&data, &["events", "--json"], canceled);
    until(&lines, "Genesis");
    life_of_an_order(&data);
    let order = until(&lines, "NewOrder sell 8 lots of instrument 1 at 27.00 EC/AH");
    assert!(order.contains("  10/1000   NewOrder"), "{order}");
    until(&lines, "CancelOrder");
    until(&event_lines, canceled);

    // Ctrl-C ends it without a complaint.
    assert!(Command::new("kill").args(["-INT", &follower.id().to_string()]).status().unwrap().success());
    assert_eq!(exit_code(follower), Some(0));
    // And so does whoever reads its output no more, although nothing else is written.
    assert_eq!(exit_code(events), Some(0));

    let printed = shown(&["doctor", text(&data)]);
    assert!(
        printed.contains(&format!("ok   lock: a daemon runs here (process {})", daemon.pid())),
        "{printed}"
    );
    daemon.stop();
}

/// `inspect --follow`, and its lines. The pipe is closed behind the first one that contains `last`, unless that is empty.
fn follow(dir: &Path, what: &[&str], last: &'static str) -> (Child, Receiver<String>) {
    let mut command = joulebook(&["inspect", text(dir)]);
    let mut child =
        command.args(what).arg("--follow").stdout(Stdio::piped()).spawn().expect("the binary starts");
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let is_last = !last.is_empty() && line.contains(last);
            if sender.send(line).is_err() || is_last {
                return;
            }
        }
    });
    (child, lines)
}

/// # Panics
/// When it does not end.
fn exit_code(mut child: Child) -> Option<i32> {
    let (pid, (done, ended)) = (child.id(), channel());
    std::thread::spawn(move || done.send(child.wait().expect("it ran").code()));
    ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        panic!("process {pid} does not end")
    })
}

fn until(lines: &Receiver<String>, text: &str) -> String {
    loop {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{text}: {error}"));
        if line.contains(text) {
            return line;
        }
    }
}

#[test]
fn doctor_tells_the_healthy_from_the_torn_the_damaged_and_the_foreign() {
    let (_dir, data) = stopped();
    let healthy = shown(&["doctor", text(&data), "--deep"]);
    assert!(healthy.lines().all(|line| line.starts_with("ok   ")), "{healthy}");
    let last = state(&data, &[])["last_seq"].to_string();

    let segment = data.join("journal/00000000000000000001.seg");
    let whole = fs::read(&segment).expect("a segment");
    let groups: Vec<usize> = (BLOCK..whole.len())
        .step_by(BLOCK)
        .filter(|offset| whole[*offset..].starts_with(b"JBKGROUP"))
        .collect();
    // Behind the last group, where nothing was ever acknowledged: a write that was cut short.
    let end = groups.last().expect("groups") + BLOCK;
    let mut torn = whole.clone();
    torn[end..end + 100].fill(7);
    fs::write(&segment, &torn).expect("ours");
    let printed = shown(&["doctor", text(&data), "--deep"]);
    let expected = format!("warn tail: an unfinished write behind command {last}: ");
    assert!(printed.contains(&expected) && printed.contains("cuts the 4,096 bytes away"), "{printed}");

    // Of the groups that hold commands; others only carry the watermark on.
    let data_groups: Vec<usize> =
        groups.iter().copied().filter(|group| whole[group + 56..].starts_with(b"JBAT")).collect();
    let group = data_groups[data_groups.len() / 2];
    let mut damaged = whole.clone();
    damaged[group + 100] ^= 0x10;
    // Where the header of the batch begins.
    let place = format!("{}, byte {}: a batch header is damaged", segment.display(), group + 56);
    fs::write(&segment, &damaged).expect("ours");
    let (printed, stderr, code) = tool(&["doctor", text(&data)]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    assert!(printed.contains(&format!("FAIL segments: {place}")), "{place}: {printed}");
    let (_, stderr, code) = tool(&["replay", text(&data), "--verify"]);
    assert!(code == 1 && stderr.contains(&place), "{stderr}");
    let (rows, stderr, code) = tool(&["inspect", text(&data), "segments"]);
    assert!(
        code == 1 && rows.lines().count() >= 2 && stderr.contains("First copy the whole folder"),
        "{rows}{stderr}"
    );

    fs::write(&segment, &whole).expect("ours");
    fs::write(data.join("VERSION"), "joulebook data 2\n").expect("ours");
    let (printed, _, code) = tool(&["doctor", text(&data)]);
    assert!(
        code == 1 && printed.contains("FAIL version: the folder was written for data version \"2\""),
        "{printed}"
    );
}

#[test]
fn what_is_no_data_folder_ends_in_one_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("file");
    fs::write(&file, "noise").expect("ours");
    let garbage = dir.path().join("garbage");
    fs::create_dir_all(garbage.join("journal")).expect("ours");
    fs::write(garbage.join("VERSION"), "joulebook data 1\n").expect("ours");
    fs::write(garbage.join("journal/00000000000000000001.seg"), [0x5a; 50_000]).expect("ours");
    fs::write(garbage.join("journal/notes.txt"), "noise").expect("ours");
    let missing = dir.path().join("missing");
    for path in [&missing, &file, dir.path(), &garbage].map(text) {
        for what in [&["segments"][..], &["commands"], &["events"], &["batches"], &["order", "1"]] {
            let (_, stderr, code) = tool(&[&["inspect", path], what].concat());
            assert!(
                code == 1 && stderr.starts_with("error: ") && stderr.lines().count() == 1,
                "{path}: {stderr}"
            );
        }
        let (_, stderr, code) = tool(&["replay", path, "--verify"]);
        assert!(code == 1 && stderr.lines().count() == 1, "{path}: {stderr}");
        let (printed, stderr, code) = tool(&["doctor", path, "--deep"]);
        assert!(code == 1 && stderr.is_empty() && printed.contains("FAIL"), "{path}: {printed}{stderr}");
    }
}

#[test]
fn a_command_that_says_something_else_now_is_named() {
    let (dir, data) = stopped();
    let order = state(&data, &[])["last_seq"].as_u64().expect("a number") - 2;
    let order = SeqNum::new((1..=order).rev().find(|seq| is_new_order(&data, *seq)).expect("an order"));
    let other = dir.path().join("other");
    rewrite(&data, &other, order);
    fs::remove_dir_all(data).expect("ours");

    shown(&["replay", text(&other)]);
    let (printed, stderr, code) = tool(&["replay", text(&other), "--verify"]);
    assert_eq!(code, 3, "{printed}{stderr}");
    assert!(stderr.contains(&format!(", from command {order} on\n")), "{stderr}");
    assert!(
        printed.contains(&format!("{order:>10}  ")) && printed.contains("NewOrder buy 1 lot"),
        "{printed}"
    );
    assert!(printed.contains("OrderFilled"), "the events of the replay: {printed}");
    let (printed, _, code) = tool(&["replay", text(&other), "--verify", "--json"]);
    let object: Value = serde_json::from_str(&printed).expect("JSON");
    assert!(
        code == 3 && object["difference"].as_str().expect("text").contains("differ from what"),
        "{object}"
    );
    let (printed, _, code) = tool(&["doctor", text(&other), "--deep"]);
    assert!(code == 1 && printed.contains("FAIL replay: the events of commands"), "{printed}");
}

fn is_new_order(dir: &Path, seq: u64) -> bool {
    let seq = seq.to_string();
    let line = shown(&["inspect", text(dir), "commands", "--from", &seq, "--to", &seq]);
    line.contains("NewOrder buy 1 lot")
}

/// Who waits for the disk here asks it again and again.
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// The same journal once more, but for what is attested of a command and of all after it.
fn rewrite(from: &Path, to: &Path, lie: SeqNum) {
    let open = |dir| {
        JournalReader::new(FileStorage::open_read_only(dir).expect("a folder"), SHARD).expect("a journal")
    };
    let mut reader = open(from);
    let storage = FileStorage::open(to, Arc::new(Nobody)).expect("a new folder");
    let config = LocalConfig { segment_bytes: 1 << 20, ..LocalConfig::new(SHARD, 9) };
    let mut journal =
        LocalJournal::open(JournalReader::new(storage, SHARD).expect("empty"), config).expect("empty");
    let (mut engine, mut events) = (Engine::new(), Events::new());
    let mut log = Vec::new();
    let mut settle = |journal: &mut LocalJournal<FileStorage>,
                      done: fn(&LocalJournal<FileStorage>) -> bool| {
        while !done(journal) {
            journal.poll(TimeNs::new(1), &mut log);
            assert!(!log.iter().any(|event| matches!(event, LogEvent::Fault(_))), "{log:?}");
            std::thread::yield_now();
        }
    };
    while let Some(batch) = reader.next_batch().expect("no damage") {
        let mut copy = Batch::new();
        copy.clear(batch.time);
        batch.records().for_each(|record| copy.push(record));
        let mut digest = EventDigest::default();
        events.clear();
        apply_batch(&mut engine, batch.first_seq, batch.time, batch.records(), &mut events, &mut digest)
            .expect("commands");
        if lie <= batch.last_seq() {
            let step = (lie.raw().saturating_sub(batch.first_seq.raw()) + 1) as usize;
            digest.steps[step..].iter_mut().for_each(|word| *word ^= 1);
            digest.chain[0] ^= 1;
        }
        journal.propose(Term::new(1), copy).expect("room");
        journal.attest(&digest);
        settle(&mut journal, |journal| journal.durable_seq() == journal.last_seq());
    }
    journal.shutdown();
    settle(&mut journal, |journal| journal.is_stopped());
}
