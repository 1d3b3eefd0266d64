//! What must be there before the first shot: accounts, listings, credits, capacity. The same in every shell.

use joulebook_agents::Agent;
use joulebook_agents::price_war::{Participant, PriceWar};
use joulebook_journal::LocalConfig;
use joulebook_protocol::Command;
use joulebook_protocol::messages::{DepositCredits, Genesis, MintCredits, OpenAccount, Seed};
use joulebook_types::{AccountId, MicroEc, Role, Roles, ShardId, TimeNs, Window};

use crate::client::Job;
use crate::disk::DiskProfile;
use crate::exchange::{SHARD, TERM};

/// An account, and what it asks for before the war begins.
pub(super) struct Person {
    pub account: AccountId,
    pub name: String,
    pub roles: Roles,
    pub jobs: Vec<Job>,
    /// The operator has none.
    pub agent: Option<Box<dyn Agent>>,
}

const OPERATOR: AccountId = AccountId::new(1);
const FIRST_ACCOUNT: u32 = 10;
/// 2026-11-24T12:00Z.
const EPOCH_MINUTE: u32 = 29_925_360;

/// When the world of every war begins.
pub(super) const EPOCH: TimeNs = TimeNs::from_minutes(EPOCH_MINUTE);
/// From one look at all best asks to the next.
pub(super) const LOOK_NS: u64 = 100_000_000;

/// A disk that does nothing wrong.
pub(super) const DISK: DiskProfile =
    DiskProfile { sync_ns: (60_000, 400_000), stalls_ppm: 0, sync_errors_ppm: 0, snapshot_errors_ppm: 0 };

/// Everybody, the operator first. Agents begin to act at `start`.
pub(super) fn people(war: &PriceWar, start: TimeNs, seconds: u32) -> Vec<Person> {
    let windows: Vec<Window> = war.front_windows(EPOCH, seconds).collect();
    let mut operator = Person {
        account: OPERATOR,
        name: "operator".into(),
        roles: [Role::Operator, Role::Issuer].into_iter().collect(),
        jobs: listings(war, &windows),
        agent: None,
    };
    let participants = war.participants();
    let credits: Vec<MicroEc> = participants.iter().map(|who| war.credits(*who, seconds)).collect();
    operator.jobs.push(mint(&credits));
    let mut people = Vec::new();
    for (index, (participant, amount)) in participants.into_iter().zip(credits).enumerate() {
        let account = AccountId::new(FIRST_ACCOUNT + index as u32);
        operator.jobs.extend(deposit(account, amount));
        people.push(Person {
            account,
            name: participant.to_string(),
            roles: participant.roles(),
            jobs: registrations(war, participant, &windows),
            agent: Some(war.agent(participant, start)),
        });
    }
    people.insert(0, operator);
    people
}

/// One class after the other, so that the instruments of a window lie as far apart as there are windows.
fn listings(war: &PriceWar, windows: &[Window]) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    for bloc in war.blocs {
        let entry = war.clone();
        jobs.push(Box::new(move |id| entry.yield_entry(&bloc, id).into()));
        for window in windows {
            let (war, window) = (war.clone(), *window);
            jobs.push(Box::new(move |id| war.listing(&bloc, window, id).into()));
        }
    }
    jobs
}

/// All that anybody will be given.
fn mint(credits: &[MicroEc]) -> Job {
    let add = |sum: MicroEc, more: &MicroEc| sum.checked_add(*more).unwrap_or(MicroEc::MAX);
    let amount = credits.iter().fold(MicroEc::ZERO, add);
    Box::new(move |client_order_id| MintCredits { client_order_id, amount, attestation: 1 }.into())
}

fn deposit(to: AccountId, amount: MicroEc) -> Option<Job> {
    let job: Job =
        Box::new(move |client_order_id| DepositCredits { client_order_id, amount, to, reserved: 0 }.into());
    (amount != MicroEc::ZERO).then_some(job)
}

fn registrations(war: &PriceWar, participant: Participant, windows: &[Window]) -> Vec<Job> {
    let Participant::Seller { bloc, .. } = participant else { return Vec::new() };
    let register = |window: &Window| -> Job {
        let (war, bloc, window) = (war.clone(), war.blocs[bloc], *window);
        Box::new(move |id| war.registration(&bloc, window, id).into())
    };
    windows.iter().map(register).collect()
}

/// What the exchange tells itself first.
pub(super) fn first_commands(
    war: &PriceWar,
    people: &[Person],
    key: impl Fn(&Person) -> [u8; 32],
) -> Vec<Command> {
    let genesis = Genesis {
        shard: ShardId::new(1),
        accounts_max: 100,
        sessions_max: 200,
        instruments_max: 200,
        orders_max: 100_000,
        // Nobody loses a connection: what is kept to be told again only makes the state large.
        outbox_events_max: 1_000,
        session_outcomes_max: 1_000,
        outcomes_max: 100_000,
        ..Genesis::default()
    };
    let open = |person: &Person| {
        let (account, roles, public_key) = (person.account, person.roles.bits(), key(person));
        OpenAccount { account, roles, public_key, ..OpenAccount::default() }.into()
    };
    let seed = Command::Seed(Seed { seed: war.seed });
    core::iter::once(genesis.into()).chain(people.iter().map(open)).chain([seed]).collect()
}

pub(super) fn journal_config(seed: u64) -> LocalConfig {
    LocalConfig {
        term: TERM,
        segment_bytes: 8 << 20,
        group_bytes_max: 1 << 20,
        ..LocalConfig::new(SHARD, seed | 1)
    }
}
