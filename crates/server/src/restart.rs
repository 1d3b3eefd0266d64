//! From a data folder to everything that a daemon goes on with.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use joulebook_console::Check;
use joulebook_engine::Engine;
use joulebook_journal::{CommandLog, LocalConfig, LocalJournal, MemoryLog, SnapshotName, Term};
use joulebook_metrics::ServerMetrics;
use joulebook_rings::{Wake, Watermark};
use joulebook_sequencer::{Recovered, Skipped, recover};
use joulebook_types::SeqNum;

use crate::StartError;
use crate::config::{AckMode, Config};
use crate::identity;
use crate::metered::Metered;
use crate::recovery::{RecoveryError, SHARD};
use crate::shadow::{ShadowStart, ShadowTask};
use crate::snapshots::FileSnapshots;
use crate::storage::FileStorage;

/// Batches that a log in memory holds between two turns.
const MEMORY_LOG_BYTES: usize = 8 << 20;

/// The engine as the journal says, the log that goes on from there, and the shadow of both.
pub struct Restarted {
    pub engine: Engine,
    pub log: Box<dyn CommandLog + Send>,
    /// What was done, for people.
    pub words: String,
    /// How the snapshots are.
    pub snapshots: Check,
    /// Where the core publishes what is durable, for the shadow.
    pub committed: Option<Arc<Watermark>>,
    pub shadow: Option<ShadowTask>,
}

/// Recovers the data folder and takes possession of it. `waker` is woken by the journal.
pub fn restart(
    config: &Config,
    dir: &Path,
    waker: Arc<dyn Wake>,
    metrics: &ServerMetrics,
) -> Result<Restarted, StartError> {
    if config.journal.ack == AckMode::Memory {
        return Ok(Restarted {
            engine: Engine::new(),
            log: Box::new(MemoryLog::new(Term::new(1), MEMORY_LOG_BYTES)),
            words: "no journal: nothing survives a restart".into(),
            snapshots: Check::passed("none: nothing survives a restart"),
            committed: None,
            shadow: None,
        });
    }
    let started = Instant::now();
    let storage = FileStorage::open(dir, waker).map_err(RecoveryError::from)?;
    let room = storage.snapshot_room();
    let storage = Metered::new(storage, metrics.journal());
    let stopping = Arc::new(AtomicBool::new(false));
    let mut snapshots = FileSnapshots::open(dir, Arc::clone(&stopping)).map_err(RecoveryError::from)?;
    let recovered =
        recover(storage, &mut snapshots, SHARD, config.journal.verify).map_err(RecoveryError::from)?;
    let Recovered { engine, reader, snapshot, skipped, batches: _ } = recovered;
    for Skipped { problem, .. } in &skipped {
        tracing::warn!("a snapshot cannot be used, an older one or the journal's beginning was: {problem}");
        metrics.snapshots().damaged.increment();
    }
    let local = LocalConfig {
        segment_bytes: u64::from(config.journal.segment_mib) << 20,
        ..LocalConfig::new(SHARD, identity::random_u64()?)
    };
    let journal = LocalJournal::open(reader, local).map_err(RecoveryError::from)?;
    let words = describe(snapshot, engine.last_seq(), started);
    let check = snapshot_check(config, snapshot, &skipped);
    let (committed, shadow) = (config.journal.snapshot_commands > 0)
        .then(|| {
            let start = ShadowStart {
                dir: dir.to_owned(),
                config: config.journal.clone(),
                snapshots,
                stopping,
                room,
                snapshot,
                damaged: skipped.iter().map(|skipped| skipped.name).collect(),
                last_seq: engine.last_seq(),
                metrics: metrics.snapshots(),
            };
            start.prepare()
        })
        .unzip();
    Ok(Restarted { engine, log: Box::new(journal), words, snapshots: check, committed, shadow })
}

fn describe(snapshot: Option<SnapshotName>, last: SeqNum, started: Instant) -> String {
    let took_ms = started.elapsed().as_millis();
    match (last, snapshot) {
        (SeqNum::NONE, _) => "new journal".into(),
        (last, None) => format!("journal replayed to sequence {last} in {took_ms} ms"),
        (last, Some(name)) => {
            format!("journal replayed from the snapshot at {} to sequence {last} in {took_ms} ms", name.seq)
        }
    }
}

fn snapshot_check(config: &Config, snapshot: Option<SnapshotName>, skipped: &[Skipped]) -> Check {
    let from = snapshot.map_or("the journal's beginning".into(), |name| format!("the one at {}", name.seq));
    if let [newest, ..] = skipped {
        let count = skipped.len();
        return Check::failed(format!("{count} cannot be used ({}); {from} was", newest.problem));
    }
    match snapshot {
        Some(name) => Check::passed(format!("the newest is at sequence {}", name.seq)),
        None if config.journal.snapshot_commands == 0 => Check::passed("none: they are switched off"),
        None => Check::passed("none yet"),
    }
}
