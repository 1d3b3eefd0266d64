//! An engine that was saved and loaded goes on like the one that was not: the same events, hashes and bytes, from any
//! moment on.
//!
//! `JOULEBOOK_SAVED_COMMANDS` says how many commands to run, about.

#[allow(dead_code, reason = "the slow engine has no part in this")]
mod flow;
#[path = "saved_state/twins.rs"]
mod twins;

use std::cell::RefCell;

use flow::script::{OPERATOR, Script, Sent, TRADERS};
use flow::steps::{Step, step};
use joulebook_protocol::messages::SetPhase;
use joulebook_types::{InstrumentId, Phase, TimeNs};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use twins::{Moments, Twins};

/// Commands that a case runs on average, its opening included.
const COMMANDS_PER_CASE: u32 = 270;
const COMMANDS_DEFAULT: u64 = 20_000;

/// Who does what; whether the second session does it; and whether the state is saved after it.
type Act = (usize, bool, Step, bool);

fn run(acts: &[Act], moments: &RefCell<Moments>) -> Result<(), TestCaseError> {
    let mut script = Script::default();
    let mut twins = Twins::new();
    twins.batch(&script.opening())?;
    if acts.len().is_multiple_of(2) {
        twins.batch(&[pre_open(&mut script)])?;
    }
    let (first_day, second_day) = acts.split_at(acts.len() * 2 / 3);
    run_day(&mut twins, &mut script, first_day, moments)?;
    settle(&mut twins, &mut script, moments)?;
    twins.time = twins.time.max(TimeNs::from_minutes(script.start() + 2 * 60));
    let opening = script.next_day(twins.listed());
    twins.batch(&opening)?;
    run_day(&mut twins, &mut script, second_day, moments)?;
    settle(&mut twins, &mut script, moments)
}

fn run_day(
    twins: &mut Twins,
    script: &mut Script,
    acts: &[Act],
    moments: &RefCell<Moments>,
) -> Result<(), TestCaseError> {
    for group in acts.chunks(3) {
        let mut commands = Vec::new();
        for (trader, other_session, step, _) in group {
            if let Step::Wait { ms } = step {
                twins.time = twins.time.saturating_add_ms(*ms);
            }
            let session = if *other_session { 2 } else { 1 };
            commands.extend(script.commands(&twins.view(), (TRADERS[*trader], session), step));
        }
        twins.batch(&commands)?;
        if group.iter().any(|(_, _, _, saves)| *saves) {
            moments.borrow_mut().note(twins.live());
            twins.save_and_load()?;
        }
    }
    Ok(())
}

/// The flow itself seldom gets there: the last listing takes orders before its time.
fn pre_open(script: &mut Script) -> Sent {
    let (client_order_id, instrument) = (script.next_id(OPERATOR, 1), InstrumentId::new(6));
    let phase = Phase::PreOpen.raw();
    (OPERATOR, 1, SetPhase { client_order_id, instrument, phase, ..Default::default() }.into())
}

/// Every gate passes, every window begins and ends, and every slot is delivered, with a save after each.
fn settle(twins: &mut Twins, script: &mut Script, moments: &RefCell<Moments>) -> Result<(), TestCaseError> {
    let start = script.start();
    for minute in [start - 5, start, start + 15, start + 30, start + 61] {
        twins.time = twins.time.max(TimeNs::from_minutes(minute));
        let delivered = script.deliver(0, minute.saturating_sub(start) / 15);
        twins.batch(&[delivered])?;
        moments.borrow_mut().note(twins.live());
        twins.save_and_load()?;
    }
    Ok(())
}

fn commands() -> u32 {
    joulebook_testkit::size("JOULEBOOK_SAVED_COMMANDS", COMMANDS_DEFAULT) as u32
}

fn config() -> ProptestConfig {
    let cases = commands().div_ceil(COMMANDS_PER_CASE);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

#[test]
fn a_loaded_engine_goes_on_like_the_saved_one() {
    let moments = RefCell::new(Moments::default());
    let act = (0..TRADERS.len(), prop::bool::weighted(0.2), step(), prop::bool::weighted(0.1));
    let mut runner = TestRunner::new(config());
    let result = runner.run(&prop::collection::vec(act, 1..400), |acts| run(&acts, &moments));
    let moments = moments.into_inner();
    println!("{moments:?}");
    if let Err(error) = result {
        panic!("{error}");
    }
    // A few cases are not everything.
    if u64::from(commands()) >= COMMANDS_DEFAULT {
        moments.check();
    }
}
