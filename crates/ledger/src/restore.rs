//! A ledger piece by piece from what somebody wrote down: who restores it trusts nothing, so every piece is checked.
//!
//! Accounts come first, then slots in the order of their keys, then positions, each account's oldest first, and at
//! the end what was made and destroyed. What can be added up is not asked for.

use joulebook_types::MicroEc;

use crate::account::{AccountIx, Credits};
use crate::capacity::{AssetIx, Position, SlotKey};
use crate::ledger::Ledger;

/// What one account has in one slot, without its place among other positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionBalances {
    pub registered: u64,
    pub free: u64,
    pub held: u64,
    pub escrow: MicroEc,
}

impl Ledger {
    /// Every slot that was named and is not forgotten, in the order of keys, and whether it is delivered.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = (SlotKey, bool)> {
        self.capacity.keys().map(|(key, asset)| (key, self.capacity.is_delivered(asset)))
    }

    /// By asset: which of all slots it is, counted from zero in the order of keys.
    pub fn slot_numbers(&self) -> Vec<u32> {
        let mut numbers = vec![u32::MAX; self.capacity.assets.len()];
        for (number, (_, asset)) in (0..).zip(self.capacity.keys()) {
            numbers[asset.index()] = number;
        }
        numbers
    }

    /// All positions of the account, oldest first: those without anything too, because they keep their place.
    pub fn places(&self, account: AccountIx) -> impl Iterator<Item = (AssetIx, PositionBalances)> {
        self.capacity.of_account(account).map(|position| {
            let Position { asset, registered, free, held, escrow, .. } = *position;
            (asset, PositionBalances { registered, free, held, escrow })
        })
    }

    /// The slot with a number, in a ledger whose slots were all restored; `None` when there are not so many.
    pub fn slot_numbered(&self, raw: u32) -> Option<AssetIx> {
        ((raw as usize) < self.capacity.slots()).then_some(AssetIx(raw))
    }

    /// Opens the next account with what it had; its escrow comes with its positions.
    pub fn restore_account(&mut self, free: MicroEc, held: MicroEc) -> Result<AccountIx, &'static str> {
        self.totals.free = sum(self.totals.free, free)?;
        self.totals.held = sum(self.totals.held, held)?;
        let account = self.open_account();
        self.accounts[account.index()] = Credits { free, held, escrow: MicroEc::ZERO };
        Ok(account)
    }

    /// Names the next slot.
    pub fn restore_slot(&mut self, key: SlotKey, delivered: bool) -> Result<AssetIx, &'static str> {
        if self.capacity.last_key() >= Some(key) {
            return Err("slots come in the order of their keys");
        }
        let asset = self.capacity.intern(key);
        self.capacity.assets[asset.index()].delivered = delivered;
        self.capacity.delivered += usize::from(delivered);
        Ok(asset)
    }

    /// Opens the account's next position. Account and slot are this ledger's.
    pub fn restore_position(
        &mut self,
        account: AccountIx,
        asset: AssetIx,
        balances: PositionBalances,
    ) -> Result<(), &'static str> {
        if self.capacity.is_delivered(asset) {
            return Err("a delivered slot has no positions");
        }
        if self.capacity.position_ix(account, asset).is_some() {
            return Err("an account has one position in a slot");
        }
        let PositionBalances { registered, free, held, escrow } = balances;
        // A slot's balances add up to what was registered in it, so none of them is larger: sums of such cannot overflow.
        let fits = |accelerators: u64| accelerators <= u64::from(u32::MAX);
        let slot = &mut self.capacity.assets[asset.index()];
        if !(fits(registered) && fits(free) && fits(held) && fits(slot.registered + registered)) {
            return Err("a slot has more accelerators than may be registered");
        }
        slot.registered += registered;
        let totals = &mut self.capacity.totals;
        totals.registered += registered;
        totals.free += free;
        totals.held += held;
        self.totals.escrow = sum(self.totals.escrow, escrow)?;
        // A part of the total, which fits.
        self.accounts[account.index()].escrow += escrow;
        let ix = self.capacity.open_position(account, asset);
        let position = self.capacity.position_mut(ix);
        (position.registered, position.free, position.held, position.escrow) =
            (registered, free, held, escrow);
        Ok(())
    }

    /// Sets what no balance tells: credits ever made and destroyed, in micro-EC, and what the exchange has. Then
    /// everything must add up.
    pub fn restore_totals(
        &mut self,
        minted: i128,
        retired: i128,
        fees: MicroEc,
        rounding: MicroEc,
    ) -> Result<(), &'static str> {
        let in_order = 0 <= retired && retired <= minted && minted <= EVER_MINTED_MAX;
        if !in_order || fees < MicroEc::ZERO || rounding != MicroEc::ZERO {
            return Err("credits were made before they were destroyed, and none is negative");
        }
        self.totals.minted = minted;
        self.totals.retired = retired;
        self.totals.fees = fees;
        self.totals.rounding = rounding;
        if self.totals.supply() > i128::from(i64::MAX) {
            return Err("all credits fit one balance");
        }
        self.recount().map_err(|_| "credits and capacity are conserved")
    }
}

/// Far from where adding what fits a balance could overflow.
const EVER_MINTED_MAX: i128 = i128::MAX / 2;

fn sum(total: MicroEc, part: MicroEc) -> Result<MicroEc, &'static str> {
    if part < MicroEc::ZERO {
        return Err("a balance is never negative");
    }
    total.checked_add(part).ok_or("all balances together fit one")
}
