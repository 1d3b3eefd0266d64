//! Hostile values in single fields of commands that are otherwise as they should be, in a market that is alive: both
//! engines say the same, nothing panics, all sums hold, and a replay ends at the same hashes.
//!
//! `JOULEBOOK_WILD_COMMANDS` says how many commands to run, about.

#[allow(dead_code, reason = "one day is enough here")]
mod flow;
mod wild;

use std::cell::RefCell;

use flow::pair::{Pair, Seen};
use flow::script::{OPERATOR, START, Script, Sent, TRADERS};
use flow::steps::{Step, step};
use joulebook_engine::{Engine, Events};
use joulebook_protocol::messages::*;
use joulebook_protocol::{RejectReason, SequencedCommand};
use joulebook_types::*;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wild::{Pool, Value, spoil, value};

/// Commands that a case runs on average, its opening included.
const COMMANDS_PER_CASE: u32 = 120;
const COMMANDS_DEFAULT: u32 = 15_000;

/// Somebody sends a command of which some fields are wrong.
#[derive(Clone, Debug)]
struct Act {
    trader: usize,
    other_session: bool,
    what: What,
    /// A field's number, modulo how many there are, and what it holds.
    spoiled: Vec<(u32, Value)>,
    /// Instead of the sender.
    origin: Option<(u32, u32)>,
    /// Before the batch in which this is the first.
    jump: Jump,
}

#[derive(Clone, Debug)]
enum What {
    Step(Step),
    /// One of the commands that set a market up.
    SetUp(usize),
}

#[derive(Clone, Copy, Debug)]
enum Jump {
    None,
    Ns(u64),
    Back,
    Never,
}

fn act() -> impl Strategy<Value = Act> {
    let what = prop_oneof![12 => step().prop_map(What::Step), 1 => any::<usize>().prop_map(What::SetUp)];
    let spoiled = prop_oneof![
        6 => Just(Vec::new()),
        4 => prop::collection::vec((any::<u32>(), value()), 1),
        2 => prop::collection::vec((any::<u32>(), value()), 2),
    ];
    let names = || prop_oneof![Just(0u32), Just(u32::MAX), 1..4u32, 8..40u32];
    let origin = prop_oneof![60 => Just(None), 1 => (names(), names()).prop_map(Some)];
    let jump = prop_oneof![
        80 => Just(Jump::None),
        30 => (0..2_000_000_000u64).prop_map(Jump::Ns),
        5 => Just(Jump::Ns(1)),
        2 => Just(Jump::Back),
    ];
    (0..TRADERS.len(), any::<bool>(), what, spoiled, origin, jump).prop_map(
        |(trader, other_session, what, spoiled, origin, jump)| Act {
            trader,
            other_session,
            what,
            spoiled,
            origin,
            jump,
        },
    )
}

/// The end of a case: times that no exchange sees.
fn last_jumps() -> impl Strategy<Value = Vec<Jump>> {
    let year = 365 * 86_400_000_000_000;
    prop::collection::vec(prop_oneof![Just(Jump::Ns(year)), Just(Jump::Never), Just(Jump::Back)], 0..3)
}

/// How much there is of everything in a market.
#[derive(Clone, Copy, Debug)]
enum Wealth {
    /// As other tests have it: small numbers that meet.
    Common,
    /// Balances, sizes and prices where 63 bits end.
    Extreme,
}

struct Market<'a> {
    script: Script,
    pair: Pair<'a>,
    pool: Pool,
    set_up: Vec<Sent>,
}

impl<'a> Market<'a> {
    fn open(seen: &'a RefCell<Seen>, wealth: Wealth) -> Result<Self, TestCaseError> {
        let mut script = Script::default();
        let opening = script.opening();
        let mut pair = Pair::new(seen);
        pair.batch(&opening)?;
        let set_up = opening.into_iter().chain(more_set_up()).collect();
        let mut market = Self { script, pair, pool: Pool::default(), set_up };
        match wealth {
            Wealth::Common => {}
            Wealth::Extreme => market.enrich()?,
        }
        Ok(market)
    }

    /// Bands as wide as can be, for instruments of all lot sizes that there are, and all credits that there can be.
    fn enrich(&mut self) -> Result<(), TestCaseError> {
        let mut commands = Vec::new();
        let widest = Price::new(i64::MAX - i64::MAX % 1_000);
        for (class, lot) in [("H200S", u16::MAX), ("TPU6E", 1)] {
            let list = ListInstrument {
                client_order_id: self.script.next_id(OPERATOR, 1),
                class: class.parse().unwrap(),
                area: "FR".parse().unwrap(),
                start_minute: START.next_multiple_of(1_440) + 1_440,
                window_minutes: 1_440,
                accelerators_per_lot: lot,
                tick: Price::new(1_000),
                band_low: Price::new(1_000),
                band_high: widest,
                gate: TimeNs::from_minutes(START + 1_440),
                qty_max: u32::MAX,
                taker_fee_ppm: 100_000,
                maker_fee_ppm: -100_000,
                reference_price: Price::new(100_000),
                ..Default::default()
            };
            commands.push((OPERATOR, 1, list.into()));
        }
        for instrument in 1..7 {
            let bands = SetBands {
                client_order_id: self.script.next_id(OPERATOR, 1),
                band_low: Price::new(1_000),
                band_high: widest,
                instrument: InstrumentId::new(instrument),
                ..Default::default()
            };
            commands.push((OPERATOR, 1, bands.into()));
        }
        let amount = MicroEc::new(i64::MAX - MicroEc::from_ec(1_000).raw());
        let client_order_id = self.script.next_id(OPERATOR, 1);
        commands.push((OPERATOR, 1, MintCredits { client_order_id, amount, attestation: 1 }.into()));
        for (account, part) in TRADERS.into_iter().zip([2, 8, 8, 16, 1_000]) {
            let deposit = DepositCredits {
                client_order_id: self.script.next_id(OPERATOR, 1),
                amount: MicroEc::new(amount.raw() / part),
                to: AccountId::new(account),
                ..Default::default()
            };
            commands.push((OPERATOR, 1, deposit.into()));
            let register = RegisterCapacity {
                client_order_id: self.script.next_id(account, 1),
                class: "H200S".parse().unwrap(),
                area: "FR".parse().unwrap(),
                start_minute: START.next_multiple_of(1_440) + 1_440,
                window_minutes: 1_440,
                accelerators: u32::MAX,
                ..Default::default()
            };
            commands.push((account, 1, register.into()));
        }
        self.pair.batch(&commands)
    }

    fn jump(&mut self, jump: Jump) {
        let time = self.pair.time.raw();
        self.pair.time = TimeNs::new(match jump {
            Jump::None => time,
            Jump::Ns(more) => time.saturating_add(more),
            Jump::Back => time / 2,
            Jump::Never => u64::MAX,
        });
    }

    fn commands(&mut self, act: &Act) -> Vec<Sent> {
        let session = 1 + u32::from(act.other_session);
        let mut commands = match &act.what {
            What::Step(step) => {
                if let Step::Wait { ms } = step {
                    self.pair.time = self.pair.time.saturating_add_ms(*ms);
                }
                self.script.commands(&self.pair.view(), (TRADERS[act.trader], session), step)
            }
            What::SetUp(index) => {
                let (account, session, command) = self.set_up[index % self.set_up.len()];
                let id = self.script.next_id(account, session);
                vec![(account, session, wild::renumber(command, id))]
            }
        };
        for (account, session, command) in &mut commands {
            *command = spoil(*command, &act.spoiled, &mut self.pool);
            (*account, *session) = act.origin.unwrap_or((*account, *session));
        }
        commands
    }
}

/// What the opening of a market has no use for.
fn more_set_up() -> Vec<Sent> {
    let amount = MicroEc::new(1_000);
    let connection = ConnectionId::of_gateway(1, 3);
    vec![
        (OPERATOR, 1, RetireCredits { amount, ..Default::default() }.into()),
        (
            TRADERS[0],
            1,
            DepositCredits { amount, to: AccountId::new(TRADERS[1]), ..Default::default() }.into(),
        ),
        (OPERATOR, 1, OpenAccount { account: AccountId::new(50), ..Default::default() }.into()),
        (TRADERS[0], 1, SessionClosed { connection, ..Default::default() }.into()),
        (0, 0, Genesis::default().into()),
    ]
}

/// Acts in batches of up to three, then jumps of time, then all of it once more.
fn run(acts: &[Act], jumps: &[Jump], wealth: Wealth, seen: &RefCell<Seen>) -> Result<(), TestCaseError> {
    let mut market = Market::open(seen, wealth)?;
    for group in acts.chunks(3) {
        market.jump(group[0].jump);
        let mut commands = Vec::new();
        for act in group {
            commands.extend(market.commands(act));
        }
        market.pair.batch(&commands)?;
        // What wild values have made of the state is a state like any other.
        if acts.len().is_multiple_of(2) {
            market.pair.save_and_load()?;
        }
    }
    for jump in jumps {
        market.jump(*jump);
        market.pair.batch(&[(0, 0, AdvanceTime::default().into())])?;
        market.pair.save_and_load()?;
    }
    replay(&market.pair);
    Ok(())
}

fn replay(pair: &Pair<'_>) {
    let (mut engine, mut events) = (Engine::new(), Events::new());
    for (time, records) in &pair.journal {
        engine.begin_batch(engine.last_seq().next(), *time, &mut events);
        for record in records {
            engine.apply(&SequencedCommand::decode(record).unwrap(), &mut events);
        }
        engine.end_batch(&mut events);
        events.clear();
    }
    assert_eq!(engine.event_chain_hash(), pair.fast.event_chain_hash());
    assert_eq!(engine.state_hash(), pair.fast.state_hash());
}

fn config() -> ProptestConfig {
    let wanted = std::env::var("JOULEBOOK_WILD_COMMANDS").ok().and_then(|commands| commands.parse().ok());
    let cases = wanted.unwrap_or(COMMANDS_DEFAULT).div_ceil(COMMANDS_PER_CASE);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 5_000, ..ProptestConfig::default() }
}

#[test]
fn no_value_of_a_field_breaks_the_engine() {
    let seen = RefCell::new(Seen::default());
    let wealth = prop_oneof![Just(Wealth::Common), Just(Wealth::Extreme)];
    let acts = prop::collection::vec(act(), 1..120);
    let mut runner = TestRunner::new(config());
    let result =
        runner.run(&(acts, last_jumps(), wealth), |(acts, jumps, wealth)| run(&acts, &jumps, wealth, &seen));
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    println!("{seen:?}");
    let reasons = [
        RejectReason::NotAuthorised,
        RejectReason::InvalidChoice,
        RejectReason::UnknownInstrument,
        RejectReason::PriceOffTick,
        RejectReason::NotionalOverflow,
        RejectReason::InvalidTrigger,
    ];
    for reason in reasons {
        assert!(seen.rejects.contains_key(&reason.raw()), "{reason:?} never came up");
    }
}
