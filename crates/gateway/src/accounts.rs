//! Who may log on, and where: the public part of every account, and the proof of its key.

use std::collections::HashMap;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::AccountDefinition;
use joulebook_session::{Verify, logon_bytes};
use joulebook_types::{AccountId, Role, Roles};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::config::GatewayError;
use crate::entropy::Entropy;

/// The table that the core keeps up to date with `AccountDefinition`s.
#[derive(Debug)]
pub(crate) struct Accounts {
    accounts: HashMap<AccountId, Account>,
    /// Nobody has its private half. Logons of unknown accounts are checked against it, so that they take as long.
    nobody: [u8; 32],
}

#[derive(Debug)]
struct Account {
    roles: Roles,
    public_key: [u8; 32],
    /// Sessions that are logged on through this gateway.
    sessions: u32,
}

/// Where a client logs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Public,
    Operator,
}

impl Accounts {
    pub(crate) fn new(entropy: &mut dyn Entropy) -> Result<Self, GatewayError> {
        let mut seed = [0; 32];
        entropy.fill(&mut seed).map_err(|_| GatewayError::Random)?;
        let nobody = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| GatewayError::Random)?;
        let mut public_key = [0; 32];
        public_key.copy_from_slice(nobody.public_key().as_ref());
        Ok(Self { accounts: HashMap::new(), nobody: public_key })
    }

    pub(crate) fn define(&mut self, definition: &AccountDefinition) {
        let roles = Roles::from_bits(definition.roles).unwrap_or(Roles::NONE);
        let public_key = definition.public_key;
        let sessions = self.accounts.get(&definition.account).map_or(0, |account| account.sessions);
        self.accounts.insert(definition.account, Account { roles, public_key, sessions });
    }

    /// Checks key and endpoint, in the order of the reasons' numbers.
    pub(crate) fn verify(
        &self,
        verify: &Verify,
        leaf_sha256: &[u8; 32],
        endpoint: Endpoint,
    ) -> Result<(), RejectReason> {
        let account = self.accounts.get(&verify.account);
        let public_key = account.map_or(&self.nobody, |account| &account.public_key);
        let signed = logon_bytes(&verify.nonce, leaf_sha256, verify.account, verify.session);
        let verdict = UnparsedPublicKey::new(&ED25519, public_key).verify(&signed, &verify.signature);
        let account = account.ok_or(RejectReason::UnknownAccount)?;
        verdict.map_err(|_| RejectReason::BadSignature)?;
        if account.roles.has(Role::Operator) != (endpoint == Endpoint::Operator) {
            return Err(RejectReason::WrongEndpoint);
        }
        Ok(())
    }

    /// Sessions of `account` that are logged on here.
    pub(crate) fn sessions(&self, account: AccountId) -> u32 {
        self.accounts.get(&account).map_or(0, |account| account.sessions)
    }

    pub(crate) fn session_began(&mut self, account: AccountId) {
        if let Some(account) = self.accounts.get_mut(&account) {
            account.sessions += 1;
        }
    }

    pub(crate) fn session_ended(&mut self, account: AccountId) {
        if let Some(account) = self.accounts.get_mut(&account) {
            account.sessions -= 1;
        }
    }
}
