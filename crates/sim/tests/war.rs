//! The price war without wires: how it ends follows from its parameters, and a seed is one war.

use joulebook_sim::{Check, WarOutcome, WarPlan, WarShell, fight};

/// A smaller war, so that a test build fights it in a moment.
fn small(seed: u64, seconds: u32) -> WarPlan {
    let mut plan = WarPlan::new(seed, seconds);
    plan.war.windows = 4;
    plan.war.sellers_per_bloc = 4;
    plan.war.token_orders_per_second = 4.0;
    plan
}

fn passes(plan: &WarPlan) -> WarOutcome {
    fight(plan).unwrap_or_else(|violation| panic!("seed {}: {violation}", plan.war.seed))
}

#[test]
fn the_lower_floor_wins_whoever_has_it() {
    type Change = fn(&mut WarPlan);
    let cases: [(&str, Change, &str, usize); 3] = [
        ("as the demo", |_| {}, "Google", 1),
        ("floors swapped", |plan| plan.war.swap_floors(), "NVIDIA", 0),
        ("a poorer yield", |plan| plan.war.set_rho(450), "NVIDIA", 0),
    ];
    for (name, change, winner, bloc) in cases {
        let mut plan = small(42, 30);
        change(&mut plan);
        plan.war.pace_for(30);
        let outcome = passes(&plan).outcome;
        assert!(outcome.passed() && outcome.winner == Some(winner), "{name}: {outcome:#?}");
        assert!(
            outcome.total_ktok[bloc] > outcome.total_ktok[1 - bloc] / 2,
            "{name}: {:?}",
            outcome.total_ktok
        );
        assert!(outcome.trades > 100, "{name}");
    }
}

#[test]
fn every_seed_ends_the_same_way_and_the_same_seed_exactly() {
    let (first, again) = (passes(&small(1, 20)), passes(&small(1, 20)));
    assert_eq!(first, again);
    for seed in 2..6 {
        let other = passes(&small(seed, 20));
        assert_ne!(other.state_hash, first.state_hash, "seed {seed} is another war");
    }
}

#[test]
fn a_journal_makes_it_later_and_nothing_else() {
    let plan = small(7, 20);
    let (quick, durable) = (passes(&plan), passes(&WarPlan { shell: WarShell::Journaled, ..plan.clone() }));
    assert_eq!(quick.outcome.winner, durable.outcome.winner);
    assert_ne!(quick.event_hash, durable.event_hash, "answers that wait for a disk come at other times");
    assert_eq!(durable, passes(&WarPlan { shell: WarShell::Journaled, ..plan }));
}

#[test]
fn a_war_that_ends_otherwise_fails() {
    // The sellers stand still: prices never come down to the floor.
    let mut plan = small(42, 20);
    plan.war.reprice_ms = 60_000;
    let violation = fight(&plan).expect_err("nobody undercuts anybody");
    assert_eq!(violation.check, Check::Economics, "{violation}");
}

#[test]
fn makers_buy_and_sell_what_they_bought() {
    let plan = small(7, 20);
    let mut without = plan.clone();
    without.war.makers = 0;
    let (with, without) = (passes(&plan).outcome, passes(&without).outcome);
    assert!(with.trades > without.trades, "{} and {} trades", with.trades, without.trades);
}
