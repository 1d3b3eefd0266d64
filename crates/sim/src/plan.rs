//! What a seed stands for: who takes part, how fast everything is, and what goes wrong.

use crate::dice::Dice;
use crate::disk::DiskProfile;
use crate::exchange::{ExchangeConfig, SnapshotPlan};
use crate::log::LogDelays;
use crate::net::NetProfile;

/// A run before it runs. The same seed draws the same plan for good; minimising a failure takes things out of it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub faults: FaultSet,
    /// Traders' sessions, besides the operator's.
    pub clients: usize,
    /// Requests of each client.
    pub requests: u32,
    /// Time between two requests of a client, about.
    pub gap_ns: u64,
    /// Time between two troubles, about.
    pub trouble_gap_ns: u64,
    /// Troubles that happen at most.
    pub troubles: u32,
    /// When everybody must be done, in world time; then all troubles end.
    pub horizon_ns: u64,
    /// Minutes from the start to the first window's beginning.
    pub lead_minutes: u32,
    pub net: NetProfile,
    pub disk: DiskProfile,
    pub exchange: ExchangeConfig,
    pub segment_bytes: u64,
    pub group_bytes_max: usize,
    /// Snapshots are taken, and how.
    pub snapshots: Option<SnapshotPlan>,
    /// The log is not a journal on a disk, but one that answers so late.
    pub store: Option<LogDelays>,
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Something that goes wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[doc = $doc])+ $name,)+ }

        impl Fault {
            pub const ALL: &[Self] = &[$(Self::$name),+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

faults! {
    /// Datagrams do not arrive.
    Loss = "loss",
    /// Datagrams arrive twice.
    Double = "double",
    /// Datagrams arrive after later ones.
    Late = "late",
    /// A machine's cable is cut for a while.
    Cut = "cut",
    /// A machine's datagrams are held back and come all at once.
    Clog = "clog",
    /// The exchange's process is killed.
    Kill = "kill",
    /// The power of the exchange's machine goes.
    PowerLoss = "power-loss",
    /// The operator stops the exchange and starts it again.
    CleanStop = "clean-stop",
    /// The process or the power goes while the exchange starts.
    DieInRecovery = "die-in-recovery",
    /// Syncs take very long at times.
    DiskStall = "disk-stall",
    /// A sync fails.
    SyncError = "sync-error",
    /// A snapshot cannot be written.
    SnapshotError = "snapshot-error",
    /// The process or the power goes while a snapshot is written.
    DieInSnapshot = "die-in-snapshot",
    /// The disk is full for a while.
    FullDisk = "full-disk",
    /// A bit on the disk flips while the exchange is down. Tried on copies, since nobody survives it.
    BitFlip = "bit-flip",
    /// A client's process is killed.
    ClientKill = "client-kill",
    /// A client drops its connection.
    HangUp = "hang-up",
    /// A client does not read for a while.
    SlowReader = "slow-reader",
    /// Somebody sets the real-time clock.
    ClockStep = "clock-step",
    /// Both clocks stand still for a while, as when a virtual machine is moved.
    ClockFreeze = "clock-freeze",
    /// The steady clock goes back.
    ClockBack = "clock-back",
    /// Threads of the exchange do not run for a while.
    ThreadStall = "thread-stall",
}

/// Which kinds of faults a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSet(u32);

impl FaultSet {
    pub const NONE: Self = Self(0);

    pub fn has(self, fault: Fault) -> bool {
        self.0 >> fault as u32 & 1 == 1
    }

    pub fn without(self, fault: Fault) -> Self {
        Self(self.0 & !(1 << fault as u32))
    }

    pub fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u32)
    }

    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.iter().copied().filter(move |fault| self.has(*fault))
    }
}

/// Parts of a run with chance of their own.
pub mod part {
    pub const PLAN: u64 = 1;
    pub const NET: u64 = 2;
    pub const DISK: u64 = 3;
    pub const EXCHANGE: u64 = 4;
    pub const TROUBLES: u64 = 5;
    pub const KEYS: u64 = 6;
    pub const FLIPS: u64 = 7;
    pub const OPENING: u64 = 8;
    pub const FAULTS: u64 = 9;
    /// And up: one per client.
    pub const CLIENTS: u64 = 100;
}

const MS: u64 = 1_000_000;

impl Plan {
    pub fn from_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed, part::PLAN);
        let dice = &mut dice;
        let faults = draw_faults(dice);
        let gap_ns = dice.spread(200_000, 400 * MS);
        let requests = dice.spread(20, 320) as u32;
        Self {
            seed,
            faults,
            clients: dice.between(2, 8) as usize,
            requests,
            gap_ns,
            trouble_gap_ns: dice.spread(5 * MS, 4_000 * MS).max(gap_ns * u64::from(requests) / 60),
            troubles: dice.spread(1, 30) as u32,
            horizon_ns: 600_000 * MS,
            lead_minutes: dice.pick(&[60, 45, 16, 16]) as u32,
            net: net_profile(dice, faults),
            disk: disk_profile(dice, faults),
            exchange: exchange_config(dice, faults),
            segment_bytes: dice.pick(&[64, 128, 256]) << 10,
            group_bytes_max: dice.pick(&[8, 16, 64]) << 10,
            snapshots: dice.chance(3, 4).then(|| SnapshotPlan {
                commands: dice.spread(30, 600),
                kept: dice.between(1, 3) as usize,
                retires: dice.chance(2, 3),
                deadly_ppm: if faults.has(Fault::DieInSnapshot) { 200_000 } else { 0 },
            }),
            store: dice.chance(1, 8).then(|| LogDelays {
                append_ns: dice.pick(&[0, 100_000, 5 * MS]),
                commit_ns: dice.spread(1_000, 50 * MS),
            }),
        }
    }

    /// Nothing goes wrong, and everything is fast.
    pub fn calm(seed: u64) -> Self {
        let mut plan = Self::from_seed(seed);
        plan.set_faults(FaultSet::NONE);
        plan
    }

    /// Takes what goes wrong by itself out or in; the rest of the plan stays.
    pub fn set_faults(&mut self, faults: FaultSet) {
        self.faults = faults;
        let usual = |has: bool, ppm: u32| if has { ppm } else { 0 };
        self.net.lost_ppm = usual(faults.has(Fault::Loss), self.net.lost_ppm);
        self.net.doubled_ppm = usual(faults.has(Fault::Double), self.net.doubled_ppm);
        self.net.late_ppm = usual(faults.has(Fault::Late), self.net.late_ppm);
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.deadly_ppm = usual(faults.has(Fault::DieInSnapshot), snapshots.deadly_ppm);
        }
        self.disk.snapshot_errors_ppm =
            usual(faults.has(Fault::SnapshotError), self.disk.snapshot_errors_ppm);
        self.disk.stalls_ppm = usual(faults.has(Fault::DiskStall), self.disk.stalls_ppm);
        self.disk.sync_errors_ppm = usual(faults.has(Fault::SyncError), self.disk.sync_errors_ppm);
        self.exchange.stalls_ppm = usual(faults.has(Fault::ThreadStall), self.exchange.stalls_ppm);
    }
}

/// Each run has some kinds and not others: a run with everything would never get anywhere, and some failures need others
/// to be absent.
fn draw_faults(dice: &mut Dice) -> FaultSet {
    let share = dice.pick(&[10, 30, 50, 70]);
    Fault::ALL.iter().fold(
        FaultSet::NONE,
        |set, fault| {
            if dice.chance(share, 100) { set.with(*fault) } else { set }
        },
    )
}

fn net_profile(dice: &mut Dice, faults: FaultSet) -> NetProfile {
    let shortest = dice.spread(10_000, 10 * MS);
    let lost_ppm = dice.spread(1_000, 150_000) as u32;
    let doubled_ppm = dice.spread(1_000, 200_000) as u32;
    let late_ppm = dice.spread(1_000, 200_000) as u32;
    NetProfile {
        delay_ns: (shortest, shortest + dice.spread(1_000, 5 * MS)),
        lost_ppm: if faults.has(Fault::Loss) { lost_ppm } else { 0 },
        doubled_ppm: if faults.has(Fault::Double) { doubled_ppm } else { 0 },
        late_ppm: if faults.has(Fault::Late) { late_ppm } else { 0 },
    }
}

fn disk_profile(dice: &mut Dice, faults: FaultSet) -> DiskProfile {
    let shortest = dice.spread(5_000, 4 * MS);
    let stalls_ppm = dice.spread(500, 50_000) as u32;
    let sync_errors_ppm = dice.spread(500, 20_000) as u32;
    let snapshot_errors_ppm = dice.spread(1_000, 300_000) as u32;
    DiskProfile {
        sync_ns: (shortest, shortest + dice.spread(1_000, 8 * MS)),
        stalls_ppm: if faults.has(Fault::DiskStall) { stalls_ppm } else { 0 },
        sync_errors_ppm: if faults.has(Fault::SyncError) { sync_errors_ppm } else { 0 },
        snapshot_errors_ppm: if faults.has(Fault::SnapshotError) { snapshot_errors_ppm } else { 0 },
    }
}

fn exchange_config(dice: &mut Dice, faults: FaultSet) -> ExchangeConfig {
    let stalls_ppm = dice.spread(100, 20_000) as u32;
    ExchangeConfig {
        is_inline: dice.chance(1, 2),
        command_slots: dice.pick(&[64, 256, 1_024]),
        event_slots: dice.pick(&[64, 512, 4_096]),
        unread_bytes: dice.spread(32 << 10, 1 << 20) as usize,
        orders_per_s: if dice.chance(1, 6) { dice.spread(50, 1_000) as u32 } else { 100_000 },
        window_bytes: dice.spread(4 << 10, 64 << 10) as u32,
        stalls_ppm: if faults.has(Fault::ThreadStall) { stalls_ppm } else { 0 },
    }
}
