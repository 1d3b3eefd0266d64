//! The shadow engine's thread: follows the durable journal, takes snapshots, says what may be forgotten.

use joulebook_engine::Engine;
use joulebook_journal::{JournalError, JournalFollower, SnapshotName};
use joulebook_sequencer::{Shadow, ShadowConfig, ShadowError, ShadowTurn, open_snapshot, retire_snapshots};
use joulebook_types::SeqNum;

use crate::checks::{Check, Violation};
use crate::dice::Dice;
use crate::disk::SimDisk;
use crate::exchange::SHARD;
use crate::scene::Scene;

/// How snapshots are taken and kept.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPlan {
    /// Commands from one to the next.
    pub commands: u64,
    pub kept: usize,
    /// Segments that no kept snapshot needs are removed.
    pub retires: bool,
    /// Snapshots in a million in the middle of which the process dies.
    pub deadly_ppm: u32,
}

/// A shadow with its time.
pub(super) struct Follower {
    scene: Scene,
    dice: Dice,
    disk: SimDisk,
    plan: SnapshotPlan,
    damaged: Vec<SnapshotName>,
    shadow: Shadow<SimDisk>,
    /// Runs at this time; sleeps until [`Follower::on_committed`] without one.
    run_at: Option<u64>,
    wake_at_seq: u64,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    Nothing,
    /// Commands up to here are in snapshots, as many as are kept.
    Compact(SeqNum),
    /// The process dies while it writes.
    Dies,
}

const TURN_COMMANDS: u64 = 64;
const TURN_NS: (u64, u64) = (10_000, 3_000_000);
const WAKES_PER_SNAPSHOT: u64 = 16;
const RETRY_NS: u64 = 50_000_000;
const ONE_IN_A_MILLION: u32 = 1_000_000;

impl Follower {
    /// Goes back to the snapshot that recovery began with.
    pub fn begin(
        (scene, dice): (Scene, Dice),
        mut disk: SimDisk,
        plan: SnapshotPlan,
        snapshot: Option<SnapshotName>,
        damaged: Vec<SnapshotName>,
    ) -> Result<Self, Violation> {
        let (mark, engine) = match snapshot {
            None => (None, Engine::new()),
            Some(name) => match open_snapshot(&mut disk, name) {
                Ok((header, engine)) => (Some(header.mark), engine),
                Err(problem) => return Check::Snapshot.broken(format!("recovery could read it: {problem}")),
            },
        };
        let follower = match JournalFollower::new(disk.clone(), SHARD, mark.as_ref()) {
            Ok(follower) => follower,
            Err(error) => return Check::Snapshot.broken(format!("the shadow cannot begin: {error}")),
        };
        let config = ShadowConfig::every(plan.commands);
        let shadow = Shadow::new(engine, follower, config);
        let run_at = Some(scene.now());
        Ok(Self { scene, dice, disk, plan, damaged, shadow, run_at, wake_at_seq: 0 })
    }

    /// It dies of nothing any more.
    pub fn heal(&mut self) {
        self.plan.deadly_ppm = 0;
    }

    pub fn next_event(&self) -> Option<u64> {
        self.run_at
    }

    /// Wakes it once a part of a snapshot's worth of commands is durable.
    pub fn on_committed(&mut self, committed: SeqNum) {
        if self.run_at.is_none() && self.wake_at_seq <= committed.raw() {
            self.run_at = Some(self.scene.now());
        }
    }

    pub fn step(&mut self, committed: SeqNum) -> Result<Followed, Violation> {
        let now = self.scene.now();
        if self.run_at.is_none_or(|at| now < at) {
            return Ok(Followed::Nothing);
        }
        self.run_at = Some(now + self.dice.between(TURN_NS.0, TURN_NS.1));
        match self.shadow.turn(TURN_COMMANDS) {
            Ok(_) if self.shadow.is_due() => return self.take(),
            Ok(ShadowTurn::Busy) => {}
            Ok(ShadowTurn::Idle) => {
                let stride = (self.plan.commands / WAKES_PER_SNAPSHOT).max(1);
                self.wake_at_seq = committed.raw() + stride;
                self.run_at = None;
            }
            Err(ShadowError::Journal(JournalError::Storage(_))) => self.run_at = Some(now + RETRY_NS),
            Err(error) => return Check::Snapshot.broken(format!("the shadow: {error}")),
        }
        Ok(Followed::Nothing)
    }

    fn take(&mut self) -> Result<Followed, Violation> {
        if self.plan.deadly_ppm > 0
            && self.dice.chance(u64::from(self.plan.deadly_ppm), ONE_IN_A_MILLION.into())
        {
            self.disk.fail_after(self.dice.below(12) as u32);
            // Whether it gets to the end or not: it is the last that this process does.
            let _unfinished = self.shadow.take(&mut self.disk);
            self.scene.count("deaths in a snapshot");
            return Ok(Followed::Dies);
        }
        let name = match self.shadow.take(&mut self.disk) {
            Ok(name) => name,
            Err(_) => {
                self.scene.count("snapshots failed");
                return Ok(Followed::Nothing);
            }
        };
        self.scene.count("snapshots");
        self.scene.note("snapshot", &[name.seq.raw()], || format!("at {}", name.seq));
        self.damaged.retain(|damaged| *damaged != name);
        match retire_snapshots(&mut self.disk, self.plan.kept, &self.damaged) {
            Ok(Some(upto)) if self.plan.retires => Ok(Followed::Compact(upto)),
            Ok(_) | Err(_) => Ok(Followed::Nothing),
        }
    }
}
