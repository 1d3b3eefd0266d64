//! The first commands of a journal: the engine's limits, and the accounts that somebody must have to begin with.

use joulebook_protocol::Command;
use joulebook_protocol::messages::{Genesis, OpenAccount, pad_text};
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

/// The commands of the first batch. Makes the keys that do not exist yet.
pub fn genesis(dir: &std::path::Path, limits: &EngineConfig) -> Result<Vec<Command>, IdentityError> {
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
