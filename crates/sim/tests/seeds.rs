//! A few seeds on every test run; `cargo xtask sim` runs them by the thousand.

use joulebook_sim::{Fault, FaultSet, Plan, minimise_by, run};

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

#[test]
fn crashes_lose_nothing_that_was_answered() {
    let mut plan = Plan::calm(11);
    let faults = [Fault::Kill, Fault::PowerLoss, Fault::DieInRecovery, Fault::BitFlip];
    plan.set_faults(faults.into_iter().fold(FaultSet::NONE, FaultSet::with));
    plan.requests = 60;
    plan.troubles = 12;
    plan.gap_ns = 2_000_000;
    plan.trouble_gap_ns = 20_000_000;
    let outcome = passes(&plan);
    assert!(outcome.counts["crash points"] >= 6, "{:?}", outcome.counts);
    assert!(outcome.counts["recoveries"] >= 3 && outcome.counts["bits flipped"] >= 3, "{:?}", outcome.counts);
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
