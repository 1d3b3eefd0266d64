//! Capacity as an asset: accelerators of a class in an area for one quarter hour.

use std::collections::BTreeMap;

use joulebook_types::{AreaCode, ClassCode, MicroEc, QuarterSlot};

use crate::account::AccountIx;
use crate::key_map::{KeyMap, pair_key};

/// What a slot asset is called outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotKey {
    pub class: ClassCode,
    pub area: AreaCode,
    pub slot: QuarterSlot,
}

/// The ledger's dense number of a slot asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssetIx(pub(crate) u32);

impl AssetIx {
    pub const fn raw(self) -> u32 {
        self.0
    }

    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What one account has in one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub account: AccountIx,
    pub asset: AssetIx,
    /// Accelerators that the account registered: the part that it has to deliver.
    pub registered: u64,
    /// Accelerators that it could sell now.
    pub free: u64,
    /// Accelerators promised to open orders.
    pub held: u64,
    /// Proceeds that wait for delivery.
    pub escrow: MicroEc,
    next_of_account: PositionIx,
    previous_of_account: PositionIx,
    next_of_asset: PositionIx,
}

impl Position {
    pub fn is_zero(&self) -> bool {
        self.registered == 0 && self.free == 0 && self.held == 0 && self.escrow == MicroEc::ZERO
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PositionIx(u32);

impl PositionIx {
    const NONE: Self = Self(u32::MAX);
}

/// Why capacity did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapacityError {
    /// The account has fewer free accelerators than that in one of the slots.
    Insufficient { free: u64 },
    /// More accelerators in one slot than the wire can say.
    Overflow,
}

#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) key: SlotKey,
    first_position: PositionIx,
    /// Of all accounts: what the slot's balances must add up to.
    pub(crate) registered: u64,
    /// Running totals of all accounts' balances, as of the last posting.
    pub(crate) free: u64,
    pub(crate) held: u64,
    /// Whether it is in the list of slots that moved.
    moved: bool,
    pub(crate) delivered: bool,
}

/// A balance of accelerators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Balance {
    Free(PositionIx),
    Held(PositionIx),
}

/// All accelerators of one slot, by running totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotTotals {
    pub registered: u64,
    pub free: u64,
    pub held: u64,
}

/// All positions, chained both by account and by slot.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    pub(crate) assets: Vec<Asset>,
    by_key: BTreeMap<SlotKey, AssetIx>,
    positions: Vec<Position>,
    vacant: Vec<PositionIx>,
    by_owner: KeyMap<PositionIx>,
    /// Slots whose balances moved since the last check.
    moved: Vec<AssetIx>,
    pub(crate) delivered: usize,
    /// First and last position of each account.
    accounts: Vec<(PositionIx, PositionIx)>,
}

impl Capacity {
    pub(crate) fn open_account(&mut self) {
        self.accounts.push((PositionIx::NONE, PositionIx::NONE));
    }

    pub(crate) fn intern(&mut self, key: SlotKey) -> AssetIx {
        let next = AssetIx(u32::try_from(self.assets.len()).expect("fewer than 2^32 slots"));
        let asset = *self.by_key.entry(key).or_insert(next);
        if asset == next {
            self.assets.push(Asset {
                key,
                first_position: PositionIx::NONE,
                registered: 0,
                free: 0,
                held: 0,
                moved: false,
                delivered: false,
            });
        }
        asset
    }

    pub(crate) fn find(&self, key: SlotKey) -> Option<AssetIx> {
        self.by_key.get(&key).copied()
    }

    pub(crate) fn key(&self, asset: AssetIx) -> SlotKey {
        self.assets[asset.index()].key
    }

    pub(crate) fn registered(&self, asset: AssetIx) -> u64 {
        self.assets[asset.index()].registered
    }

    pub(crate) fn open_assets(&self) -> usize {
        self.assets.len() - self.delivered
    }

    pub(crate) fn is_delivered(&self, asset: AssetIx) -> bool {
        self.assets[asset.index()].delivered
    }

    pub(crate) fn position_ix(&self, account: AccountIx, asset: AssetIx) -> Option<PositionIx> {
        self.by_owner.get(pair_key(account.raw(), asset.0)).copied()
    }

    pub(crate) fn position(&self, account: AccountIx, asset: AssetIx) -> Option<&Position> {
        self.position_ix(account, asset).map(|ix| &self.positions[ix.0 as usize])
    }

    pub(crate) fn position_mut(&mut self, ix: PositionIx) -> &mut Position {
        &mut self.positions[ix.0 as usize]
    }

    /// The account's position in the slot, made when it has none yet.
    pub(crate) fn open_position(&mut self, account: AccountIx, asset: AssetIx) -> PositionIx {
        if let Some(ix) = self.position_ix(account, asset) {
            return ix;
        }
        let (first, last) = self.accounts[account.index()];
        let position = Position {
            account,
            asset,
            registered: 0,
            free: 0,
            held: 0,
            escrow: MicroEc::ZERO,
            next_of_account: PositionIx::NONE,
            previous_of_account: last,
            next_of_asset: self.assets[asset.index()].first_position,
        };
        let ix = self.place(position);
        self.by_owner.insert(pair_key(account.raw(), asset.0), ix);
        self.assets[asset.index()].first_position = ix;
        self.accounts[account.index()] = (if first == PositionIx::NONE { ix } else { first }, ix);
        if last != PositionIx::NONE {
            self.position_mut(last).next_of_account = ix;
        }
        ix
    }

    pub(crate) fn register(
        &mut self,
        account: AccountIx,
        asset: AssetIx,
        accelerators: u32,
    ) -> Result<(), CapacityError> {
        let registered = self.assets[asset.index()].registered + u64::from(accelerators);
        if registered > u64::from(u32::MAX) {
            return Err(CapacityError::Overflow);
        }
        self.assets[asset.index()].registered = registered;
        let ix = self.open_position(account, asset);
        self.position_mut(ix).registered += u64::from(accelerators);
        self.post_to(Balance::Free(ix), u64::from(accelerators));
        Ok(())
    }

    /// Checks every slot before it touches one.
    pub(crate) fn hold(
        &mut self,
        account: AccountIx,
        assets: &[AssetIx],
        accelerators: u64,
    ) -> Result<(), CapacityError> {
        let free = self.free(account, assets);
        if free < accelerators {
            return Err(CapacityError::Insufficient { free });
        }
        for asset in assets {
            let ix = self.held_position(account, *asset);
            self.post(Balance::Free(ix), Balance::Held(ix), accelerators);
        }
        Ok(())
    }

    pub(crate) fn release(&mut self, account: AccountIx, assets: &[AssetIx], accelerators: u64) {
        for asset in assets {
            let ix = self.held_position(account, *asset);
            self.post(Balance::Held(ix), Balance::Free(ix), accelerators);
        }
    }

    /// Sells: from the seller's hold to what the buyer could sell.
    pub(crate) fn transfer(&mut self, seller: PositionIx, buyer: PositionIx, accelerators: u64) {
        self.post(Balance::Held(seller), Balance::Free(buyer), accelerators);
    }

    /// Checks the slots that moved since the last check: what their accounts have is what was registered.
    pub(crate) fn check_moved(&mut self) -> Result<(), (SlotKey, SlotTotals)> {
        while let Some(asset) = self.moved.pop() {
            let totals = self.totals(asset);
            let Asset { key, ref mut moved, .. } = self.assets[asset.index()];
            *moved = false;
            if totals.registered != totals.free + totals.held {
                return Err((key, totals));
            }
        }
        Ok(())
    }

    pub(crate) fn totals(&self, asset: AssetIx) -> SlotTotals {
        let Asset { registered, free, held, .. } = self.assets[asset.index()];
        SlotTotals { registered, free, held }
    }

    /// Accelerators that the account could sell in all of the slots together.
    pub(crate) fn free(&self, account: AccountIx, assets: &[AssetIx]) -> u64 {
        let free = |asset: &AssetIx| self.position(account, *asset).map_or(0, |position| position.free);
        assets.iter().map(free).min().unwrap_or(0)
    }

    /// The account's positions, oldest first.
    pub(crate) fn of_account(&self, account: AccountIx) -> impl Iterator<Item = &Position> {
        let (first, _) = self.accounts[account.index()];
        self.chain(first, |position| position.next_of_account)
    }

    /// The slot's positions, newest first.
    pub(crate) fn of_asset(&self, asset: AssetIx) -> impl Iterator<Item = &Position> {
        self.chain(self.assets[asset.index()].first_position, |position| position.next_of_asset)
    }

    /// All slots in the order of their keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (SlotKey, AssetIx)> {
        self.by_key.iter().map(|(key, asset)| (*key, *asset))
    }

    /// Marks a slot as delivered and drops its positions: the hour is over, so nobody can use or sell it any more.
    pub(crate) fn retire(&mut self, asset: AssetIx) {
        let mut next = self.assets[asset.index()].first_position;
        while next != PositionIx::NONE {
            let position = *self.position_mut(next);
            assert!(
                position.held == 0 && position.escrow == MicroEc::ZERO,
                "nothing waits in a delivered slot"
            );
            self.unchain(&position);
            self.by_owner.remove(pair_key(position.account.raw(), asset.0));
            self.vacant.push(next);
            next = position.next_of_asset;
        }
        self.delivered += 1;
        let asset = &mut self.assets[asset.index()];
        asset.first_position = PositionIx::NONE;
        (asset.registered, asset.free, asset.held) = (0, 0, 0);
        asset.delivered = true;
    }

    fn place(&mut self, position: Position) -> PositionIx {
        match self.vacant.pop() {
            Some(ix) => {
                *self.position_mut(ix) = position;
                ix
            }
            None => {
                self.positions.push(position);
                PositionIx(u32::try_from(self.positions.len() - 1).expect("fewer than 2^32 positions"))
            }
        }
    }

    fn unchain(&mut self, position: &Position) {
        let (previous, next) = (position.previous_of_account, position.next_of_account);
        let (mut first, mut last) = self.accounts[position.account.index()];
        match previous {
            PositionIx::NONE => first = next,
            previous => self.position_mut(previous).next_of_account = next,
        }
        match next {
            PositionIx::NONE => last = previous,
            next => self.position_mut(next).previous_of_account = previous,
        }
        self.accounts[position.account.index()] = (first, last);
    }

    fn held_position(&self, account: AccountIx, asset: AssetIx) -> PositionIx {
        self.position_ix(account, asset).expect("an account with a hold has a position")
    }

    /// Moves accelerators from one balance to another of the same slot.
    fn post(&mut self, from: Balance, to: Balance, accelerators: u64) {
        let (asset, balance) = self.balance_mut(from);
        assert!(*balance >= accelerators, "a balance is never negative");
        *balance -= accelerators;
        match from {
            Balance::Free(_) => self.assets[asset.index()].free -= accelerators,
            Balance::Held(_) => self.assets[asset.index()].held -= accelerators,
        }
        assert!(self.post_to(to, accelerators) == asset, "capacity stays in its slot");
    }

    /// The half of a posting that gives, and the slot that it gives to. Only registration has no other half.
    fn post_to(&mut self, to: Balance, accelerators: u64) -> AssetIx {
        let (asset, balance) = self.balance_mut(to);
        *balance += accelerators;
        let totals = &mut self.assets[asset.index()];
        match to {
            Balance::Free(_) => totals.free += accelerators,
            Balance::Held(_) => totals.held += accelerators,
        }
        if !totals.moved {
            totals.moved = true;
            self.moved.push(asset);
        }
        asset
    }

    fn balance_mut(&mut self, balance: Balance) -> (AssetIx, &mut u64) {
        match balance {
            Balance::Free(ix) => {
                let position = self.position_mut(ix);
                (position.asset, &mut position.free)
            }
            Balance::Held(ix) => {
                let position = self.position_mut(ix);
                (position.asset, &mut position.held)
            }
        }
    }

    fn chain(
        &self,
        first: PositionIx,
        next_of: impl Fn(&Position) -> PositionIx,
    ) -> impl Iterator<Item = &Position> {
        let mut next = first;
        core::iter::from_fn(move || {
            let position = self.positions.get((next != PositionIx::NONE).then_some(next.0 as usize)?)?;
            next = next_of(position);
            Some(position)
        })
    }
}
