//! Folders as people bring them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use joulebook_types::{SeqNum, Side};
use tempfile::TempDir;

use super::*;
use crate::identity::account_key;
use crate::recorder::{Recorder, SELLER, order, take_snapshot};

fn recorded() -> (TempDir, Recorder) {
    let dir = tempfile::tempdir().expect("a folder");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("ours");
    account_key(dir.path(), 10, "alice").expect("a key");
    let mut recorder = Recorder::start(dir.path());
    for _ in 0..5 {
        recorder.request(SELLER, order(Side::Sell, 1, 27));
    }
    (dir, recorder)
}

/// How bad it is, and the findings of one check; every finding that is not ok says what to do.
fn examined(dir: &Path, deep: bool, check: &str) -> (Status, Vec<String>) {
    let mut found = Vec::new();
    let worst = examine(dir, deep, |finding| {
        assert_eq!(finding.to_do.is_none(), finding.status == Status::Ok, "{finding}");
        assert!(!finding.to_string().contains('\n'), "{finding}");
        if finding.check == check {
            found.push(finding.to_string());
        }
    });
    (worst, found)
}

#[test]
fn a_healthy_folder_has_nothing_to_do_but_keys_that_were_never_made() {
    let (dir, recorder) = recorded();
    let last = recorder.stop().last_seq();
    let (worst, segments) = examined(dir.path(), true, "segments");
    assert_eq!(worst, Status::Warn);
    let commands = format!("ok   segments: commands 1 to {last} in 14 batches and 1 segment, every checksum");
    assert!(segments.len() == 1 && segments[0].starts_with(&commands), "{segments:?}");
    let expected = [
        ("version", "ok   version: data version 1".to_owned()),
        ("lock", "ok   lock: no daemon runs here".to_owned()),
        ("tail", format!("ok   tail: a clean end behind command {last}")),
        ("snapshots", "ok   snapshots: none yet".to_owned()),
        ("leftovers", "ok   leftovers: no unfinished files".to_owned()),
        (
            "replay",
            "ok   replay: from the first command: the engine says what it said when it ran, balances add up"
                .to_owned(),
        ),
    ];
    for (check, text) in expected {
        assert_eq!(examined(dir.path(), true, check).1, [text]);
    }
    let keys = examined(dir.path(), false, "keys").1;
    assert_eq!(keys.len(), 4, "{keys:?}");
    assert!(keys[0].starts_with("warn keys: tls/ca.key is missing; restore it, or"), "{keys:?}");
    assert_eq!(keys[3], "ok   keys: 1 keys that only their owner can read");
}

#[test]
fn a_running_daemon_is_seen_and_left_alone() {
    let (dir, mut recorder) = recorded();
    let pid = std::process::id();
    let lock = examined(dir.path(), false, "lock").1;
    assert_eq!(
        lock,
        [format!("ok   lock: a daemon runs here (process {pid}): what it has made durable is checked")]
    );
    assert_eq!(examined(dir.path(), false, "tail").1, ["ok   tail: the daemon is writing there"]);
    // Nobody was kept from anything.
    recorder.request(SELLER, order(Side::Sell, 1, 27));
    recorder.stop();
}

#[test]
fn an_unfinished_write_is_no_damage_and_damage_is_no_unfinished_write() {
    let (dir, recorder) = recorded();
    recorder.kill();
    let segment = dir.path().join("journal/00000000000000000001.seg");
    let whole = fs::read(&segment).unwrap();
    let groups: Vec<usize> =
        (1..whole.len() / 4096).filter(|block| whole[block * 4096..].starts_with(b"JBKGROUP")).collect();
    let (before, last) = (groups[groups.len() - 3] * 4096, groups[groups.len() - 1] * 4096);
    let second = dir.path().join("journal/00000000000000000002.seg");
    let goes_on = fs::read(&second).is_ok_and(|bytes| bytes.starts_with(b"JBKSEGMT"));
    assert!(!goes_on, "the last write is in the first segment");

    let mut torn = whole.clone();
    torn[last + 100..last + 1_000].fill(0);
    fs::write(&segment, torn).unwrap();
    let (worst, tail) = examined(dir.path(), true, "tail");
    assert!(
        worst == Status::Warn && tail[0].starts_with("warn tail: an unfinished write behind command "),
        "{tail:?}"
    );
    assert!(tail[0].ends_with("the next start cuts the 4,096 bytes away"), "{tail:?}");

    let mut damaged = whole;
    damaged[before + 200] ^= 1;
    fs::write(&segment, damaged).unwrap();
    let (worst, segments) = examined(dir.path(), true, "segments");
    assert_eq!(worst, Status::Fail);
    let named = format!("FAIL segments: {}, byte {}", segment.display(), &before.to_string()[..2]);
    assert!(segments[0].starts_with(&named), "{segments:?} {named}");
    assert!(segments[0].contains("copy the folder"), "{segments:?}");
    assert!(examined(dir.path(), true, "replay").1.is_empty(), "what cannot be read is not replayed");
}

#[test]
fn a_journal_that_says_something_else_fails_only_the_deep_look() {
    let (dir, mut recorder) = recorded();
    let seq = SeqNum::new(recorder.engine.last_seq().raw() + 1);
    recorder.lie_from(seq);
    recorder.request(SELLER, order(Side::Sell, 1, 27));
    recorder.stop();
    assert_eq!(examined(dir.path(), false, "replay").0, Status::Warn);
    let (worst, replay) = examined(dir.path(), true, "replay");
    assert_eq!(worst, Status::Fail);
    assert!(replay[0].contains(&format!("from command {seq} on")), "{replay:?}");
}

#[test]
fn snapshots_are_loaded_and_held_against_the_journal() {
    let (dir, mut recorder) = recorded();
    for _ in 0..10 {
        recorder.request(SELLER, order(Side::Sell, 1, 27));
    }
    let at = recorder.engine.last_seq();
    recorder.stop();
    let name = take_snapshot(dir.path(), at, false);
    let found = examined(dir.path(), true, "snapshots").1;
    assert!(
        found[0].ends_with(&format!(", the newest at command {at}, each loads and has its hash")),
        "{found:?}"
    );

    let segment = dir.path().join("journal/00000000000000000001.seg");
    let beginning = fs::read(&segment).unwrap();
    fs::remove_file(&segment).unwrap();
    let (worst, replay) = examined(dir.path(), true, "replay");
    assert_eq!((worst, replay.len()), (Status::Warn, 1), "{replay:?}");
    let snapshot = dir.path().join("snapshots").join(name.to_string());
    let whole = fs::read(&snapshot).unwrap();
    let mut damaged = whole.clone();
    damaged[5_000] ^= 1;
    fs::write(&snapshot, damaged).unwrap();
    let (worst, found) = examined(dir.path(), true, "snapshots");
    assert_eq!((worst, found.len()), (Status::Fail, 2), "{found:?}");
    assert!(
        found[0].starts_with(&format!("FAIL snapshots: {}, byte 4096: ", snapshot.display())),
        "{found:?}"
    );
    assert!(
        found[1].contains("and no usable snapshot contains those before it; put a snapshot"),
        "{found:?}"
    );

    // The snapshot of another journal.
    let (other, recorder) = recorded();
    recorder.stop();
    fs::create_dir(other.path().join("snapshots")).unwrap();
    fs::write(other.path().join("snapshots").join(name.to_string()), &whole).unwrap();
    let (worst, found) = examined(other.path(), false, "snapshots");
    assert!(worst == Status::Fail && found[0].contains("does not belong to this journal"), "{found:?}");

    fs::write(&segment, beginning).unwrap();
    fs::write(&snapshot, whole).unwrap();
    assert_eq!(examined(dir.path(), true, "snapshots").0, Status::Warn, "as it was");
}

#[test]
fn keys_folders_and_leftovers_are_looked_at() {
    let (dir, recorder) = recorded();
    recorder.stop();
    let key = dir.path().join("keys/alice.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(dir.path().join("journal/00000000000000000009.tmp"), [0; 100]).unwrap();
    let (worst, keys) = examined(dir.path(), false, "keys");
    assert_eq!(worst, Status::Fail);
    let exposed = format!("run `chmod 600 {}`: until then the daemon refuses it", key.display());
    assert!(
        keys.iter().any(|line| line.starts_with("FAIL keys: keys/alice.key") && line.ends_with(&exposed))
    );
    let folder = examined(dir.path(), false, "folder").1;
    assert!(folder[0].starts_with("warn folder: others may write"), "{folder:?}");
    let left = examined(dir.path(), false, "leftovers").1;
    assert!(
        left[0].starts_with("warn leftovers: journal/00000000000000000009.tmp was left unfinished"),
        "{left:?}"
    );
}

#[test]
fn folders_of_others_and_no_folders_fail_and_say_what_to_do() {
    let (dir, recorder) = recorded();
    recorder.stop();
    let version = dir.path().join("VERSION");
    fs::write(&version, "joulebook data 9\n").unwrap();
    let (worst, found) = examined(dir.path(), false, "version");
    let text = "FAIL version: the folder was written for data version \"9\"; use the version of joulebook that wrote it";
    assert_eq!((worst, found), (Status::Fail, vec![text.to_owned()]));
    fs::remove_file(&version).unwrap();
    let found = examined(dir.path(), false, "version").1;
    assert!(
        found[0].starts_with("FAIL version: there is a journal but no file VERSION; restore"),
        "{found:?}"
    );

    let other = tempfile::tempdir().unwrap();
    for path in [other.path().to_owned(), other.path().join("no"), Path::new("/dev/null").to_owned()] {
        let (worst, found) = examined(&path, true, "folder");
        assert!(
            worst == Status::Fail && found[0].ends_with("; name the data folder of an exchange"),
            "{found:?}"
        );
    }
}

#[test]
fn no_files_make_it_panic() {
    let (dir, recorder) = recorded();
    recorder.stop();
    let mut random = 7_u64;
    let mut next = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as u8
    };
    fs::create_dir_all(dir.path().join("snapshots")).unwrap();
    for name in [
        "VERSION",
        "LOCK",
        "journal/00000000000000000001.seg",
        "journal/00000000000000000002.seg",
        "journal/00000000000000000007.seg",
        "snapshots/00000000000000000009-0123456789abcdef.snap",
        "keys/alice.key",
        "tls",
    ] {
        let path = dir.path().join(name);
        let whole = fs::read(&path).ok();
        for bytes in [0, 1, 4_096, 65_536] {
            let noise: Vec<u8> = (0..bytes).map(|_| next()).collect();
            fs::write(&path, noise).unwrap();
            examined(dir.path(), true, "segments");
        }
        match whole {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
    assert_eq!(examined(dir.path(), true, "segments").0, Status::Warn, "as it was");
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    fs::write(dir.path().join("journal"), "a file").unwrap();
    examined(dir.path(), true, "segments");
}
