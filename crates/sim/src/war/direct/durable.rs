//! The journal of a war, on a disk that takes its time and forgets nothing.

use joulebook_engine::Engine;
use joulebook_journal::{Batch, CommandLog, EventDigest, LogEvent};
use joulebook_types::{SeqNum, TimeNs};

use crate::checks::{Check, Violation};
use crate::dice::Dice;
use crate::disk::SimDisk;
use crate::exchange::{TERM, recover_disk};
use crate::plan::part;
use crate::scene::Scene;
use crate::war::stage::{DISK, EPOCH, journal_config};

pub(super) struct Journal {
    scene: Scene,
    seed: u64,
    disk: SimDisk,
    log: Box<dyn CommandLog>,
    said: Vec<LogEvent>,
}

impl Journal {
    pub fn new(seed: u64) -> Result<Self, Violation> {
        let scene = Scene::default();
        let disk = SimDisk::new(scene.clone(), Dice::new(seed, part::DISK), DISK);
        match recover_disk(&disk, journal_config(seed)) {
            Ok(recovered) => Ok(Self { scene, seed, disk, log: recovered.log, said: Vec::new() }),
            Err(error) => Check::Recovery.broken(error.to_string()),
        }
    }

    /// Gives the batch its number, which must be `first`.
    pub fn append(&mut self, batch: &mut Batch, first: SeqNum) -> Result<(), Violation> {
        self.advance_to(batch.time());
        let mut waiting = Some(core::mem::take(batch));
        loop {
            if let Some(batch) = waiting.take() {
                waiting = self.log.propose(TERM, batch).err().map(|refused| refused.batch);
            }
            self.poll()?;
            for said in self.said.drain(..) {
                if let LogEvent::Appended { first_seq, batch: numbered, .. } = said {
                    *batch = numbered;
                    return Check::Sequence
                        .that(first_seq == first, || format!("{first_seq} where {first} is due"));
                }
            }
            self.wait()?;
        }
    }

    /// Waits until `seq` is durable, and says what the time is then.
    pub fn commit(&mut self, digest: &EventDigest, seq: SeqNum) -> Result<TimeNs, Violation> {
        self.log.attest(digest);
        loop {
            self.poll()?;
            let is_committed =
                |said: &LogEvent| matches!(said, LogEvent::Committed { seq: upto, .. } if seq <= *upto);
            if self.said.drain(..).any(|said| is_committed(&said)) {
                return Ok(self.time());
            }
            self.wait()?;
        }
    }

    /// The disk alone makes the same exchange.
    pub fn check_replay(mut self, ran: &Engine) -> Result<(), Violation> {
        self.log.shutdown();
        while !self.log.is_stopped() {
            self.poll()?;
            self.said.clear();
            if !self.log.is_stopped() {
                self.wait()?;
            }
        }
        let replayed = match recover_disk(&self.disk, journal_config(self.seed)) {
            Ok(recovered) => recovered.engine,
            Err(error) => return Check::Recovery.broken(error.to_string()),
        };
        let is_same = replayed.last_seq() == ran.last_seq()
            && replayed.event_chain_hash() == ran.event_chain_hash()
            && replayed.state_hash() == ran.state_hash();
        Check::Replay.that(is_same, || "the replay of the war is another war".into())
    }

    fn poll(&mut self) -> Result<(), Violation> {
        self.log.poll(self.time(), &mut self.said);
        let fault = self.said.iter().find_map(|said| match said {
            LogEvent::Fault(fault) => Some(fault.to_string()),
            LogEvent::Appended { .. }
            | LogEvent::Committed { .. }
            | LogEvent::Role { .. }
            | LogEvent::Install(_)
            | LogEvent::Unknown(_) => None,
        });
        match fault {
            Some(fault) => Check::Liveness.broken(fault),
            None => Ok(()),
        }
    }

    /// Until the disk has done something.
    fn wait(&mut self) -> Result<(), Violation> {
        let log = self.log.next_deadline().map(|at| at.raw() - EPOCH.raw());
        let Some(next) = [self.disk.next_event(), log].into_iter().flatten().min() else {
            return Check::Liveness.broken("the journal waits for nothing");
        };
        self.scene.time.advance_to(next.max(self.scene.now()));
        self.disk.take_wake();
        Ok(())
    }

    fn time(&self) -> TimeNs {
        TimeNs::new(EPOCH.raw() + self.scene.now())
    }

    fn advance_to(&self, time: TimeNs) {
        self.scene.time.advance_to(self.scene.now().max(time.raw() - EPOCH.raw()));
        self.disk.take_wake();
    }
}
