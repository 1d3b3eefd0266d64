//! The table of accounts: who they are and what they may do. What they own is the ledger's.

use joulebook_ledger::{AccountIx, KeyMap};
use joulebook_types::{AccountId, Roles};

use crate::caps::Limits;
use crate::kill_switch::DisabledBy;
use crate::places::{at, at_mut};
use crate::request::Request;
use crate::sessions::SessionIx;

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) roles: Roles,
    pub(crate) self_trade_group: u32,
    pub(crate) public_key: [u8; 32],
    pub(crate) name: [u8; 16],
    /// In the order of first logon.
    pub(crate) sessions: Vec<SessionIx>,
    /// Who switched its entry off.
    pub(crate) disabled: Option<DisabledBy>,
    pub(crate) limits: Limits,
    pub(crate) open_orders: u32,
    /// What its open orders are worth: price times open lots, in micro-EC.
    pub(crate) open_value: i128,
}

impl Account {
    #[inline(always)]
    pub(crate) fn may_send<M: Request>(&self) -> bool {
        self.roles.bits() & M::SENDERS.bits() != 0
    }

    /// A named group, or the account alone: the two ranges of numbers do not meet.
    #[inline(always)]
    pub(crate) fn trade_group(&self, ix: AccountIx) -> TradeGroup {
        match self.self_trade_group {
            0 => TradeGroup(u64::from(ix.raw())),
            group => TradeGroup(u64::from(group) | 1 << 32),
        }
    }
}

/// Orders of one group never trade with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TradeGroup(pub(crate) u64);

#[derive(Debug, Default)]
pub(crate) struct Accounts {
    all: Vec<Account>,
    by_id: KeyMap<AccountIx>,
    accounts_max: usize,
}

impl Accounts {
    pub(crate) fn new(accounts_max: u32) -> Self {
        Self { accounts_max: accounts_max as usize, ..Self::default() }
    }

    pub(crate) fn find(&self, id: AccountId) -> Option<AccountIx> {
        self.by_id.get(u64::from(id.raw())).copied()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.all.len() >= self.accounts_max
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn add(&mut self, account: Account) -> AccountIx {
        let ix = AccountIx::new(self.all.len() as u32);
        self.by_id.insert(u64::from(account.id.raw()), ix);
        self.all.push(account);
        ix
    }

    #[inline]
    pub(crate) fn trade_group(&self, ix: AccountIx) -> TradeGroup {
        self[ix].trade_group(ix)
    }

    /// In the order of opening.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.all.iter()
    }
}

impl core::ops::Index<AccountIx> for Accounts {
    type Output = Account;

    fn index(&self, ix: AccountIx) -> &Account {
        at(&self.all, ix.index())
    }
}

impl core::ops::IndexMut<AccountIx> for Accounts {
    fn index_mut(&mut self, ix: AccountIx) -> &mut Account {
        at_mut(&mut self.all, ix.index())
    }
}
