//! What goes wrong, and when.

use joulebook_journal::{JournalError, SegmentNumber, SnapshotStorage, Storage};
use joulebook_sequencer::RecoverError;

use crate::checks::{Check, Violation};
use crate::dice::Dice;
use crate::disk::{Crash, SimDisk};
use crate::exchange::{StartError, recover_disk};
use crate::plan::{Fault, Plan};
use crate::world::World;

/// The next trouble, and those that end.
pub(super) struct Troubles {
    dice: Dice,
    gap_ns: u64,
    kinds: Vec<Fault>,
    next_at: u64,
    left: u32,
    /// A crash that waits for the disk to be in the middle of something.
    ambush: Option<Crash>,
    /// What ends, and when.
    ends: Vec<(u64, Fault)>,
}

const MS: u64 = 1_000_000;
const BLOCK: u64 = 4_096;
const HOUR_NS: i64 = 3_600_000_000_000;

impl Troubles {
    pub fn new(mut dice: Dice, plan: &Plan) -> Self {
        let kinds: Vec<Fault> = plan.faults.iter().filter(|fault| happens_at_a_time(*fault)).collect();
        let next_at = dice.below(2 * plan.trouble_gap_ns);
        Self {
            dice,
            gap_ns: plan.trouble_gap_ns,
            kinds,
            next_at,
            left: plan.troubles,
            ambush: None,
            ends: Vec::new(),
        }
    }

    pub fn next_event(&self) -> Option<u64> {
        let next = (self.left > 0 && !self.kinds.is_empty()).then_some(self.next_at);
        let end = self.ends.iter().map(|(at, _)| *at).min();
        [next, end].into_iter().flatten().min()
    }
}

/// The others are a matter of rates, or of a start.
fn happens_at_a_time(fault: Fault) -> bool {
    match fault {
        Fault::Cut
        | Fault::Clog
        | Fault::Kill
        | Fault::PowerLoss
        | Fault::CleanStop
        | Fault::FullDisk
        | Fault::ClientKill
        | Fault::HangUp
        | Fault::SlowReader
        | Fault::ClockStep
        | Fault::ClockFreeze
        | Fault::ClockBack => true,
        Fault::Loss
        | Fault::Double
        | Fault::Late
        | Fault::DieInRecovery
        | Fault::DiskStall
        | Fault::SyncError
        | Fault::SnapshotError
        | Fault::DieInSnapshot
        | Fault::BitFlip
        | Fault::ThreadStall => false,
    }
}

impl World {
    /// Lets go wrong what is due.
    pub(super) fn trouble(&mut self) -> Result<(), Violation> {
        let now = self.scene.now();
        let over: Vec<Fault> =
            self.troubles.ends.extract_if(.., |(at, _)| *at <= now).map(|(_, fault)| fault).collect();
        over.into_iter().for_each(|fault| self.end_trouble(fault));
        let troubles = &mut self.troubles;
        if let Some(crash) = troubles.ambush
            && self.disk.is_writing()
            && troubles.dice.chance(1, 3)
        {
            troubles.ambush = None;
            self.scene.count("crashes amid a write");
            self.crash(crash);
            return Ok(());
        }
        if troubles.left == 0 || troubles.kinds.is_empty() || now < troubles.next_at {
            return Ok(());
        }
        troubles.left -= 1;
        troubles.next_at = now + 1 + troubles.dice.below(2 * troubles.gap_ns);
        let fault = troubles.dice.pick(&troubles.kinds);
        self.scene.count(fault.name());
        self.scene.note("trouble", &[fault as u64], || fault.name().into());
        self.happen(fault);
        Ok(())
    }

    fn happen(&mut self, fault: Fault) {
        let now = self.scene.now();
        let dice = &mut self.troubles.dice;
        let index = dice.below(self.clients.len() as u64) as usize;
        let client = &mut self.clients[index];
        let until = now + dice.spread(MS, 20_000 * MS);
        match fault {
            Fault::Cut => {
                let (mute, deaf) = dice.pick(&[(true, true), (true, false), (false, true)]);
                self.fabric.cut(client.host(), mute, deaf, until);
            }
            Fault::Clog => self.fabric.clog(client.host(), now + dice.spread(MS, 3_000 * MS)),
            Fault::Kill | Fault::PowerLoss => {
                let crash = if fault == Fault::Kill { Crash::Kill } else { Crash::PowerLoss };
                if dice.chance(2, 3) {
                    self.troubles.ambush = Some(crash);
                } else {
                    self.crash(crash);
                }
            }
            Fault::CleanStop => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.begin_stop();
                }
            }
            Fault::FullDisk => {
                let room = dice.pick(&[0, 0, 1, 2]) * self.plan.segment_bytes;
                self.disk.limit_space(Some(self.disk.used_bytes() + room));
                self.troubles.ends.push((until, fault));
            }
            Fault::ClientKill => {
                let remembers = dice.chance(2, 3);
                client.kill(now + dice.spread(MS, 3_000 * MS), remembers);
            }
            Fault::HangUp => client.hang_up(),
            Fault::SlowReader => client.stall(until),
            Fault::ClockStep => {
                let by = dice.pick(&[HOUR_NS, -HOUR_NS, HOUR_NS / 3_600, -HOUR_NS / 3_600]);
                self.clocks.step_real(by);
                self.scene.count("clock jumps");
                self.troubles.ends.push((until, fault));
            }
            Fault::ClockFreeze => {
                self.clocks.freeze();
                self.scene.count("clock jumps");
                self.troubles.ends.push((until, fault));
            }
            Fault::ClockBack => {
                self.clocks.set_steady_back(dice.spread(MS, 5_000 * MS));
                self.scene.count("clock jumps");
            }
            Fault::Loss
            | Fault::Double
            | Fault::Late
            | Fault::DieInRecovery
            | Fault::DiskStall
            | Fault::SyncError
            | Fault::SnapshotError
            | Fault::DieInSnapshot
            | Fault::BitFlip
            | Fault::ThreadStall => {}
        }
    }

    fn end_trouble(&mut self, fault: Fault) {
        match fault {
            Fault::FullDisk => self.disk.limit_space(None),
            Fault::ClockStep => self.clocks.set_right(),
            Fault::ClockFreeze => {
                self.clocks.thaw();
                if let Some(exchange) = &mut self.exchange {
                    exchange.wake();
                }
            }
            _others => {}
        }
    }

    fn crash(&mut self, crash: Crash) {
        self.scene.count("crash points");
        self.down(crash);
    }

    /// Ends everything that goes wrong by itself.
    pub(super) fn heal(&mut self) {
        self.is_healed = true;
        let ends = core::mem::take(&mut self.troubles.ends);
        ends.into_iter().for_each(|(_, fault)| self.end_trouble(fault));
        self.clocks.repair_steady();
        self.clocks.set_right();
        self.fabric.heal();
        self.fabric.set_profile(self.plan.net.healed());
        self.disk.limit_space(None);
        self.disk.set_profile(self.plan.disk.healed());
        self.start_at = self.start_at.min(self.scene.now());
        if let Some(snapshots) = &mut self.plan.snapshots {
            snapshots.deadly_ppm = 0;
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.heal();
        }
    }

    /// Flips bits on copies of the disk: what comes of it is a refusal that names the place, or what is durable.
    pub(super) fn try_flips(&mut self) -> Result<(), Violation> {
        if !self.plan.faults.has(Fault::BitFlip) || self.is_healed {
            return Ok(());
        }
        self.try_snapshot_flip()?;
        for _ in 0..2 {
            let segments = self.disk.durable_segments();
            if segments.is_empty() {
                return Ok(());
            }
            let segment = self.flips.pick(&segments);
            let copy = self.disk.fork();
            let bytes = copy.durable(segment, |bytes| bytes.len() as u64).unwrap_or(0);
            let used = self.scanner.used_bytes(segment, bytes);
            let is_in_use = used > 0 && self.flips.chance(7, 8);
            let offset = self.flips.below(if is_in_use { used } else { bytes });
            copy.flip_bit(segment, offset, self.flips.below(8) as u8);
            self.scene.count("bits flipped");
            self.check_flip(&copy, (segment, offset))?;
        }
        Ok(())
    }

    /// A damaged snapshot is passed over: what comes out is the same.
    fn try_snapshot_flip(&mut self) -> Result<(), Violation> {
        let mut copy = self.disk.fork();
        let names = copy.list().unwrap_or_default();
        if names.is_empty() || self.plan.store.is_some() {
            return Ok(());
        }
        let name = self.flips.pick(&names);
        copy.flip_snapshot_bit(name, self.flips.below(1 << 40), self.flips.below(8) as u8);
        self.scene.count("bits of snapshots flipped");
        match recover_disk(&copy, self.journal_config()) {
            Ok(recovered) => {
                let is_newest = names.last() == Some(&name);
                Check::Damage.that(
                    recovered.snapshot != Some(name) && (!is_newest || recovered.damaged == [name]),
                    || format!("a damaged snapshot at {} is used", name.seq),
                )?;
                let (found, durable) = (recovered.engine, self.audit.engine());
                Check::Damage.that(found.state_hash() == durable.state_hash(), || {
                    format!("without the snapshot at {} the state is another", name.seq)
                })
            }
            // Where only one is kept, its damage is the end of what came before it.
            Err(StartError::Recover(RecoverError::NoBeginning { skipped, .. })) => {
                let is_only_one = self.plan.snapshots.is_some_and(|plan| plan.kept == 1);
                Check::Damage.that(is_only_one && skipped.iter().any(|skipped| skipped.name == name), || {
                    format!("a damaged snapshot at {} leaves no way back", name.seq)
                })
            }
            Err(error) => Check::Damage.broken(format!("a damaged snapshot at {}: {error}", name.seq)),
        }
    }

    fn check_flip(&self, copy: &SimDisk, (segment, offset): (SegmentNumber, u64)) -> Result<(), Violation> {
        let recovered = match recover_disk(copy, self.journal_config()) {
            Ok(recovered) => recovered,
            Err(error) => {
                self.scene.count("flips refused");
                let named = match &error {
                    StartError::Journal(JournalError::Corrupt { file, offset_bytes, .. }) => {
                        *file == Storage::file_name(copy, segment) && offset_bytes / BLOCK <= offset / BLOCK
                    }
                    StartError::Journal(_) | StartError::Replay(_) | StartError::Recover(_) => false,
                };
                return Check::Damage.that(named, || {
                    format!(
                        "a bit of segment {segment} at {offset} is flipped, and the refusal says: {error:?}"
                    )
                });
            }
        };
        let (found, durable) = (recovered.engine.last_seq(), self.audit.last_seq());
        if found < durable {
            self.scene.count("flips that cut a tail");
            Check::Damage.that(self.scanner.is_in_last_group(segment, offset), || {
                format!(
                    "a flipped bit in segment {segment} at {offset} takes commands from {found} to {durable}"
                )
            })?;
        } else {
            self.scene.count("flips without effect");
        }
        let chain = self.audit.chain_at(found);
        Check::Damage.that(chain == Some(recovered.engine.event_chain_hash()), || {
            format!("a flipped bit in segment {segment} at {offset} makes another state at command {found}")
        })
    }
}
