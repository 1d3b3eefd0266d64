//! A few seeds on every test run; `cargo xtask sim` runs them by the thousand.

use joulebook_sim::{Fault, FaultSet, Plan, SnapshotPlan, WarPlan, WarShell, minimise_by, run};

fn passes(plan: &Plan) -> joulebook_sim::Outcome {
    let outcome = run(plan, false);
    assert_eq!(outcome.violation, None, "seed {}", plan.seed);
    outcome
}

#[test]
fn a_calm_exchange_answers_everybody() {
    let mut plan = Plan::calm(1);
    plan.requests = 60;
    let outcome = passes(&plan);
    assert!(outcome.commands > 100, "{} commands", outcome.commands);
    assert!(outcome.counts["requests answered"] > 100 && outcome.counts["feed books compared"] > 0);
    assert!(!outcome.counts.contains_key("crash points"));
}

#[test]
fn a_few_seeds_of_everything_hold() {
    for seed in 1..6 {
        let mut plan = Plan::from_seed(seed);
        plan.requests = plan.requests.min(60);
        passes(&plan);
    }
}

#[test]
fn one_seed_is_one_run_to_the_last_byte() {
    for seed in [3, 1_000_000_007] {
        let mut plan = Plan::from_seed(seed);
        plan.requests = plan.requests.min(40);
        let (first, again) = (run(&plan, true), run(&plan, true));
        assert!(first.lines.len() > 200 && first.lines == again.lines, "seed {seed}");
        assert_eq!(first.trace_hash, again.trace_hash);
        assert_eq!((first.event_hash, first.state_hash), (again.event_hash, again.state_hash));
        assert_eq!(first.counts, again.counts);
        // Whether the text is kept makes no difference.
        assert_eq!(run(&plan, false).trace_hash, first.trace_hash);
        assert_ne!(run(&Plan { seed: seed + 1, ..plan }, false).trace_hash, first.trace_hash);
    }
}

/// A plan in which nothing goes wrong but this, and often.
fn storm(seed: u64, faults: &[Fault]) -> Plan {
    let mut plan = Plan::from_seed(seed);
    plan.set_faults(faults.iter().copied().fold(FaultSet::NONE, FaultSet::with));
    (plan.clients, plan.requests, plan.troubles) = (4, 60, 12);
    (plan.gap_ns, plan.trouble_gap_ns) = (2_000_000, 15_000_000);
    plan.store = None;
    plan
}

#[test]
fn crashes_lose_nothing_that_was_answered() {
    for seed in [11, 12, 13] {
        let outcome =
            passes(&storm(seed, &[Fault::Kill, Fault::PowerLoss, Fault::DieInRecovery, Fault::BitFlip]));
        assert!(outcome.counts["crash points"] >= 6, "{:?}", outcome.counts);
        assert!(
            outcome.counts["recoveries"] >= 3 && outcome.counts["bits flipped"] >= 3,
            "{:?}",
            outcome.counts
        );
    }
}

#[test]
fn flipped_bits_are_refused_by_their_place() {
    let mut flips = 0;
    for seed in 71..75 {
        let mut plan = storm(seed, &[Fault::Kill, Fault::BitFlip]);
        (plan.troubles, plan.trouble_gap_ns) = (30, 8_000_000);
        plan.snapshots = None;
        let outcome = passes(&plan);
        flips += outcome.counts["bits flipped"];
        assert!(outcome.counts["flips refused"] > 0, "{:?}", outcome.counts);
    }
    assert!(flips > 60, "{flips} flips");
}

#[test]
fn a_bad_network_loses_and_doubles_nothing() {
    let faults = [Fault::Loss, Fault::Double, Fault::Late, Fault::Cut, Fault::HangUp, Fault::ClientKill];
    for seed in [21, 22, 23] {
        let mut plan = storm(seed, &faults);
        (plan.net.lost_ppm, plan.net.doubled_ppm, plan.net.late_ppm) = (50_000, 50_000, 50_000);
        let outcome = passes(&plan);
        assert!(outcome.counts["datagrams lost"] > 10 && outcome.counts["connections lost"] > 5);
    }
}

#[test]
fn slow_readers_and_small_rings_hold_nobody_up() {
    let mut anew = 0;
    for seed in [31, 32, 33] {
        let mut plan = storm(seed, &[Fault::SlowReader, Fault::Clog, Fault::ThreadStall]);
        (plan.requests, plan.troubles, plan.trouble_gap_ns) = (150, 40, 10_000_000);
        plan.exchange.stalls_ppm = 5_000;
        (plan.exchange.event_slots, plan.exchange.unread_bytes) = (64, 16 << 10);
        let outcome = passes(&plan);
        assert!(outcome.counts["slow-reader"] > 0 && outcome.counts["feed books compared"] > 0);
        anew += outcome.counts.get("books sent anew to slow readers").copied().unwrap_or(0);
    }
    assert!(anew > 0, "nobody was ever so slow that a book was sent anew");
}

#[test]
fn snapshots_are_taken_and_used_whatever_dies() {
    let faults = [Fault::Kill, Fault::PowerLoss, Fault::DieInSnapshot, Fault::SnapshotError, Fault::BitFlip];
    let mut counts = std::collections::BTreeMap::new();
    for seed in [41, 42, 43] {
        let mut plan = storm(seed, &faults);
        plan.snapshots = Some(SnapshotPlan { commands: 40, kept: 2, retires: true, deadly_ppm: 100_000 });
        plan.disk.snapshot_errors_ppm = 50_000;
        plan.segment_bytes = 64 << 10;
        for (what, times) in passes(&plan).counts {
            *counts.entry(what).or_insert(0) += times;
        }
    }
    for what in ["snapshots", "recoveries from a snapshot", "segments retired", "bits of snapshots flipped"] {
        assert!(counts.get(what).is_some_and(|times| *times > 0), "{what}: {counts:?}");
    }
}

#[test]
fn full_and_failing_disks_cost_time_and_nothing_else() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in [51, 52, 53] {
        let mut plan = storm(seed, &[Fault::FullDisk, Fault::SyncError, Fault::DiskStall, Fault::CleanStop]);
        plan.disk.sync_errors_ppm = 5_000;
        plan.disk.stalls_ppm = 50_000;
        // A group that is full while the one before is on its way: the core has to wait.
        plan.group_bytes_max = 8 << 10;
        plan.segment_bytes = 64 << 10;
        plan.requests = 120;
        for (what, times) in passes(&plan).counts {
            *counts.entry(what).or_insert(0) += times;
        }
    }
    for what in [
        "sync errors",
        "sync errors of starts",
        "starts on a machine whose disk failed",
        "full disk met",
        "clean stops",
        "requests refused by the gateway",
    ] {
        assert!(counts.get(what).is_some_and(|times| *times > 0), "{what}: {counts:?}");
    }
}

#[test]
fn clocks_that_jump_change_nothing() {
    for seed in [61, 62] {
        let outcome = passes(&storm(seed, &[Fault::ClockStep, Fault::ClockFreeze, Fault::ClockBack]));
        assert!(outcome.counts["clock jumps"] >= 6, "{:?}", outcome.counts);
    }
}

#[test]
fn minimising_leaves_what_is_needed() {
    let mut plan = Plan::from_seed(1);
    plan.set_faults(Fault::ALL.iter().copied().fold(FaultSet::NONE, FaultSet::with));
    (plan.clients, plan.requests, plan.troubles) = (8, 300, 30);
    let fails = |plan: &Plan| {
        plan.faults.has(Fault::Kill)
            && plan.faults.has(Fault::Loss)
            && plan.clients >= 3
            && plan.requests >= 17
    };
    let (small, runs) = minimise_by(&plan, 500, fails);
    let faults: Vec<Fault> = small.faults.iter().collect();
    assert_eq!(faults, [Fault::Loss, Fault::Kill], "after {runs} runs");
    assert_eq!((small.clients, small.requests, small.troubles), (3, 17, 0));
}

#[test]
fn the_price_war_ends_as_its_floors_say_and_the_same_each_time() {
    let fight = || joulebook_sim::fight(&WarPlan { shell: WarShell::Wired, ..WarPlan::new(42, 6) });
    let (first, again) = (fight().unwrap(), fight().unwrap());
    assert!(first.outcome.trades > 50 && first.outcome.passed());
    assert_eq!((first.event_hash, first.state_hash), (again.event_hash, again.state_hash));
    assert_eq!(first.commands, again.commands);
}
