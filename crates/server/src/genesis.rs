//! The first commands of a journal: the engine's limits, and the accounts that somebody must have to begin with.

use joulebook_engine::Engine;
use joulebook_protocol::Command;
use joulebook_protocol::messages::{Genesis, OpenAccount, Restarted, Seed, pad_text};
use joulebook_types::{AccountId, AreaCode, ClientOrderId, Role, Roles, ShardId};

use crate::config::EngineConfig;
use crate::identity::{self, IdentityError};

/// An account that every new exchange has. Its key lies in `keys/<name>.key`.
pub struct FirstAccount {
    pub account: AccountId,
    pub name: &'static str,
    roles: &'static [Role],
}

const TRADER: &[Role] = &[Role::Seller, Role::Buyer, Role::Maker];

pub const FIRST_ACCOUNTS: &[FirstAccount] = &[
    FirstAccount { account: AccountId::new(1), name: "operator", roles: &[Role::Operator] },
    FirstAccount { account: AccountId::new(2), name: "issuer", roles: &[Role::Issuer] },
    FirstAccount { account: AccountId::new(3), name: "meter", roles: &[Role::Meter] },
    FirstAccount { account: AccountId::new(10), name: "alice", roles: TRADER },
    FirstAccount { account: AccountId::new(11), name: "bob", roles: TRADER },
    FirstAccount { account: AccountId::new(12), name: "carol", roles: TRADER },
];

/// The commands that a start issues before anything else: the genesis of a new exchange, or word of the restart, and
/// then a seed that is new each time. Nobody can tell from an old journal when the auctions of this run will end.
pub fn first_commands(
    engine: &Engine,
    dir: &std::path::Path,
    limits: &EngineConfig,
) -> Result<Vec<Command>, IdentityError> {
    let mut commands = match engine.is_started() {
        true => vec![Command::Restarted(Restarted::default())],
        false => genesis(dir, limits)?,
    };
    commands.push(Command::Seed(Seed { seed: identity::random_u64()? }));
    Ok(commands)
}

/// The commands of the first batch. Makes the keys that do not exist yet.
fn genesis(dir: &std::path::Path, limits: &EngineConfig) -> Result<Vec<Command>, IdentityError> {
    let mut commands = vec![Command::Genesis(Genesis {
        shard: ShardId::new(1),
        reserved: 0,
        accounts_max: limits.accounts_max,
        sessions_max: limits.sessions_max,
        instruments_max: limits.instruments_max,
        orders_max: limits.orders_max,
        outbox_events_max: limits.outbox_events_max,
        session_outcomes_max: limits.session_outcomes_max,
        outcomes_max: limits.outcomes_max,
        area: AreaCode::NONE,
    })];
    for first in FIRST_ACCOUNTS {
        let public_key = identity::account_key(dir, first.account.raw(), first.name)?;
        commands.push(Command::OpenAccount(OpenAccount {
            client_order_id: ClientOrderId::NONE,
            account: first.account,
            roles: first.roles.iter().copied().collect::<Roles>().bits(),
            public_key,
            name: pad_text(first.name),
            ..OpenAccount::default()
        }));
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use joulebook_engine::Events;
    use joulebook_protocol::{Origin, SequencedCommand};
    use joulebook_types::TimeNs;

    use super::*;
    use crate::config::Config;

    #[test]
    fn every_start_ends_with_a_seed_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, mut events) = (Engine::new(), Events::new());
        let limits = Config::default().engine;
        let start = |engine: &Engine| first_commands(engine, dir.path(), &limits).unwrap();
        let first = start(&engine);
        assert!(matches!(first[0], Command::Genesis(_)));
        engine.begin_batch(engine.last_seq().next(), TimeNs::ZERO, &mut events);
        for command in &first {
            engine.apply(&SequencedCommand { origin: Origin::SYSTEM, command: *command }, &mut events);
        }
        engine.end_batch(&mut events);
        let again = start(&engine);
        assert!(matches!(again[..], [Command::Restarted(_), Command::Seed(_)]));
        let (Some(Command::Seed(first)), Some(Command::Seed(again))) = (first.last(), again.last()) else {
            panic!("a start ends with a seed")
        };
        assert_ne!(first.seed, again.seed, "2^-64 is never");
    }
}
