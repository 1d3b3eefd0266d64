//! The journal and its snapshots: every checksum, the chain through all batches, and whether the one goes with the other.

use joulebook_journal::{JournalError, JournalReader, SnapshotStorage, Tail};
use joulebook_sequencer::open_snapshot;
use joulebook_types::SeqNum;

use super::{Finding, Folder, Tell};
use crate::inspect::{
    From, Journal, Place, ReplayFailure, ReplayPlan, bytes_text, grouped, replay_for_people,
};
use crate::recovery::{RecoveryError, SHARD};
use crate::snapshots::FileSnapshots;
use crate::storage::FileStorage;

const SEGMENTS: &str = "segments";
const SNAPSHOTS: &str = "snapshots";
const REPLAY: &str = "replay";
/// Where the choices are explained.
const SEE: &str = "see \"Damage was found\" in docs/operate.md";

/// What reading the journal came to.
struct Extent {
    first: SeqNum,
    last: SeqNum,
}

pub(super) fn check(folder: &Folder, deep: bool, tell: Tell<'_>) {
    if !folder.path("journal").is_dir() {
        tell(Finding::ok(SEGMENTS, "there is no journal yet"));
        return;
    }
    let extent = check_segments(folder, tell);
    let covered = check_snapshots(folder, tell);
    let Some(Extent { first, last }) = extent else { return };
    let is_covered = first.raw() <= 1 || covered.is_some_and(|seq| first.raw() <= seq.raw() + 1);
    if !is_covered {
        tell(Finding::fail(
            SNAPSHOTS,
            format!(
                "the journal begins with command {first}, and no usable snapshot contains those before it"
            ),
            "put a snapshot or the missing segments from a backup in place",
        ));
    } else if deep && last != SeqNum::NONE {
        check_replay(folder, tell);
    }
}

fn check_segments(folder: &Folder, tell: Tell<'_>) -> Option<Extent> {
    match read(folder) {
        Ok((extent, findings)) => {
            findings.into_iter().for_each(tell);
            Some(extent)
        }
        Err(error) => {
            tell(damage(&error));
            None
        }
    }
}

fn read(folder: &Folder) -> Result<(Extent, Vec<Finding>), RecoveryError> {
    let mut journal = Journal::open(&folder.dir, Place::Oldest, folder.daemon.is_some())?;
    let (mut first, mut last) = (SeqNum::NONE, SeqNum::NONE);
    let (mut batches, mut segments, mut segment) = (0, 0_u64, 0);
    while let Some(batch) = journal.next_batch()? {
        if first == SeqNum::NONE {
            first = batch.first_seq;
        }
        last = batch.last_seq();
        batches += 1;
        if batch.segment != segment {
            (segment, segments) = (batch.segment, segments + 1);
        }
    }
    let what = match last {
        SeqNum::NONE => "no commands yet".to_owned(),
        last => format!(
            "commands {} to {} in {} and {}, every checksum and the chain hold",
            grouped(first.raw()),
            grouped(last.raw()),
            counted(batches, "batch", "batches"),
            counted(segments, "segment", "segments")
        ),
    };
    let mut findings = vec![Finding::ok(SEGMENTS, what)];
    findings.push(
        journal.tail().map_or_else(
            || Finding::ok("tail", "the daemon is writing there"),
            |tail| tail_finding(tail, last),
        ),
    );
    Ok((Extent { first, last }, findings))
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

fn tail_finding(tail: &Tail, last: SeqNum) -> Finding {
    let cut: u64 = tail.cuts.iter().map(|cut| cut.range.end - cut.range.start).sum();
    match &tail.torn {
        None => Finding::ok("tail", format!("a clean end behind command {}", grouped(last.raw()))),
        Some(torn) => Finding::warn(
            "tail",
            format!("an unfinished write behind command {}: {torn}", grouped(last.raw())),
            format!(
                "nothing that was acknowledged is there; the next start cuts the {} bytes away",
                grouped(cut)
            ),
        ),
    }
}

fn damage(error: &RecoveryError) -> Finding {
    match error {
        RecoveryError::Journal(JournalError::Corrupt { file, offset_bytes, what, last_good_seq, .. }) => {
            Finding::fail(
                SEGMENTS,
                format!("{file}, byte {offset_bytes}: {what}; commands up to {last_good_seq} are intact"),
                format!("copy the folder, then put an intact copy of the file in its place; {SEE}"),
            )
        }
        RecoveryError::Journal(JournalError::Version { file, found, .. }) => Finding::fail(
            SEGMENTS,
            format!("{file} has journal format {found}"),
            "use the version of joulebook that wrote it",
        ),
        RecoveryError::Journal(error @ JournalError::Storage(_)) => Finding::fail(
            SEGMENTS,
            error.to_string(),
            "run as the user that owns it; if that is so, copy what can be read",
        ),
        error => Finding::fail(SEGMENTS, error.to_string(), SEE),
    }
}

/// The newest snapshot that can be used.
fn check_snapshots(folder: &Folder, tell: Tell<'_>) -> Option<SeqNum> {
    let mut snapshots = FileSnapshots::open_read_only(&folder.dir);
    let names = match snapshots.list() {
        Ok(names) => names,
        Err(error) => {
            tell(Finding::fail(SNAPSHOTS, error.to_string(), "run as the user that owns it"));
            return None;
        }
    };
    let mut sound = Vec::new();
    for name in &names {
        match open_snapshot(&mut snapshots, *name) {
            Err(problem) => tell(Finding::fail(
                SNAPSHOTS,
                problem.to_string(),
                "a start skips it; remove it, or put an intact copy in its place",
            )),
            Ok((header, _)) => match goes_with_journal(folder, &header.mark) {
                Ok(()) => sound.push(name.seq),
                Err(error) => tell(Finding::fail(
                    SNAPSHOTS,
                    format!("{name}: {error}"),
                    format!("put the journal in place that it was made of, or move it away; {SEE}"),
                )),
            },
        }
    }
    let newest = sound.last().copied();
    if let Some(newest) = newest {
        let bytes: u64 = names
            .iter()
            .filter_map(|name| std::fs::metadata(snapshots.path(*name)).ok())
            .map(|file| file.len())
            .sum();
        let (count, newest) = (sound.len(), grouped(newest.raw()));
        let what = format!(
            "{count} in {}, the newest at command {newest}, each loads and has its hash",
            bytes_text(bytes)
        );
        tell(Finding::ok(SNAPSHOTS, what));
    } else if names.is_empty() {
        tell(Finding::ok(SNAPSHOTS, "none yet"));
    }
    newest
}

/// Whether the batch at the mark is the one that the snapshot was made behind.
fn goes_with_journal(folder: &Folder, mark: &joulebook_journal::JournalMark) -> Result<(), RecoveryError> {
    let storage = FileStorage::open_read_only(&folder.dir)?;
    match JournalReader::after(storage, SHARD, mark) {
        Ok(_) => Ok(()),
        // Of an old snapshot, the commands behind it may be retired.
        Err(JournalError::ForeignMark { .. }) if is_retired(folder, mark.seq) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_retired(folder: &Folder, seq: SeqNum) -> bool {
    crate::inspect::oldest_command(&folder.dir).is_ok_and(|first| seq.next() < first)
}

fn check_replay(folder: &Folder, tell: Tell<'_>) {
    let plan = ReplayPlan { from: From::Anywhere, until: None, verify: true };
    tell(match replay_for_people(&folder.dir, &plan) {
        Ok(report) => match (report.recount, report.compared) {
            (Err(imbalance), _) => Finding::fail(
                REPLAY,
                format!("the balances do not add up: {imbalance:?}"),
                "keep the folder and report it",
            ),
            (Ok(()), Some(compared)) if compared.seq == report.begins_after => Finding::warn(
                REPLAY,
                format!("{} commands replayed, none of them attested", grouped(report.last_seq.raw())),
                "nothing to do: journals of format 1 say nothing about events",
            ),
            (Ok(()), _) => Finding::ok(
                REPLAY,
                format!("from {}: the engine says what it said when it ran, balances add up", report.from),
            ),
        },
        Err(error @ (ReplayFailure::Differs(_) | ReplayFailure::Snapshot { .. })) => Finding::fail(
            REPLAY,
            error.to_string(),
            "use the version of joulebook that wrote the journal; `joulebook replay DIR --verify` says more",
        ),
        Err(error) => Finding::fail(REPLAY, error.to_string(), SEE),
    });
}
