//! The fast engine against the slow one: the same random commands in, the same events, books and balances out.
//!
//! `JOULEBOOK_COMMANDS` says how many commands to run, about.

mod flow;

use std::cell::RefCell;

use flow::pair::{Pair, Seen};
use flow::script::{Script, TRADERS};
use flow::steps::{Step, step};
use joulebook_protocol::CancelReason;
use joulebook_types::{AccountId, MicroEc, TimeNs};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Commands that a case runs on average, its opening included.
const COMMANDS_PER_CASE: u32 = 270;
const COMMANDS_DEFAULT: u32 = 60_000;

/// Steps of two days in batches of up to three; each day ends with all of its windows.
fn run(steps: &[(usize, bool, Step)], seen: &RefCell<Seen>) -> Result<(), TestCaseError> {
    let mut script = Script::default();
    let mut pair = Pair::new(seen);
    let opening = script.opening();
    pair.batch(&opening)?;
    assert_eq!(pair.slow.ignored_commands(), 0, "everything was set up");
    let (first_day, second_day) = steps.split_at(steps.len() * 2 / 3);
    run_day(&mut pair, &mut script, first_day)?;
    pair.save_and_load()?;
    settle(&mut pair, &mut script)?;
    pair.time = pair.time.max(TimeNs::from_minutes(script.start() + 2 * 60));
    let opening = script.next_day(pair.listed);
    pair.batch(&opening)?;
    run_day(&mut pair, &mut script, second_day)?;
    settle(&mut pair, &mut script)?;
    // A wrong byte may have listed any window.
    let spoiled = |(_, _, step): &(usize, bool, Step)| matches!(step, Step::Spoiled { .. });
    if steps.iter().any(spoiled) { Ok(()) } else { check_settled(&pair) }
}

fn run_day(
    pair: &mut Pair<'_>,
    script: &mut Script,
    steps: &[(usize, bool, Step)],
) -> Result<(), TestCaseError> {
    for group in steps.chunks(3) {
        let mut commands = Vec::new();
        for (trader, other_session, step) in group {
            if let Step::Wait { ms } = step {
                pair.time = pair.time.saturating_add_ms(*ms);
            }
            let session = if *other_session { 2 } else { 1 };
            commands.extend(script.commands(&pair.view(), (TRADERS[*trader], session), step));
        }
        pair.batch(&commands)?;
    }
    Ok(())
}

/// Every gate passes and every slot is delivered.
fn settle(pair: &mut Pair<'_>, script: &mut Script) -> Result<(), TestCaseError> {
    pair.time = pair.time.max(TimeNs::from_minutes(script.start() + 30));
    let mut commands = Vec::new();
    for class in 0..3 {
        for quarter in 0..8 {
            commands.push(script.deliver(class, quarter));
        }
    }
    pair.batch(&commands)
}

/// Nothing is held and nothing waits any more.
fn check_settled(pair: &Pair<'_>) -> Result<(), TestCaseError> {
    prop_assert_eq!(pair.slow.open_orders(), []);
    for account in TRADERS {
        let (_, held, escrow) = pair.slow.credits(AccountId::new(account)).unwrap();
        prop_assert_eq!((held, escrow), (MicroEc::ZERO, MicroEc::ZERO), "of {}", account);
    }
    Ok(())
}

/// Commands to run.
fn commands() -> u32 {
    let wanted = std::env::var("JOULEBOOK_COMMANDS").ok().and_then(|commands| commands.parse().ok());
    wanted.unwrap_or(COMMANDS_DEFAULT)
}

fn config() -> ProptestConfig {
    let cases = commands().div_ceil(COMMANDS_PER_CASE);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

/// Every event, every reason to cancel, and what the flow is made to be refused for.
fn check(seen: &Seen) {
    let never = |template_id: &u16| !seen.messages.contains_key(template_id);
    let missing: Vec<u16> = (60..=78).chain(80..=82).chain(84..=87).filter(never).collect();
    assert!(missing.is_empty(), "messages that never came up: {missing:?}");
    let never = |reason: &&CancelReason| !seen.cancels.contains_key(&reason.raw());
    let missing: Vec<&CancelReason> = CancelReason::ALL.iter().filter(never).collect();
    assert!(missing.is_empty(), "reasons to cancel that never came up: {missing:?}");
}

#[test]
fn the_fast_engine_does_what_the_slow_one_does() {
    let seen = RefCell::new(Seen::default());
    let who = (0..TRADERS.len(), prop::bool::weighted(0.2), step());
    let mut runner = TestRunner::new(config());
    let result = runner.run(&prop::collection::vec(who, 1..400), |steps| run(&steps, &seen));
    let seen = seen.into_inner();
    println!("{seen:?}");
    if let Err(error) = result {
        panic!("{error}");
    }
    // A few cases are not everything.
    if commands() >= COMMANDS_DEFAULT {
        check(&seen);
    }
}
