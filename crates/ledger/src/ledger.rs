//! The ledger's commands and questions.

use joulebook_types::MicroEc;

use crate::account::{AccountIx, Credits};
use crate::capacity::{AssetIx, Capacity, CapacityError, Position, SlotKey};
use crate::posting::Balance;
use crate::totals::Totals;

/// All balances of a shard.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(crate) accounts: Vec<Credits>,
    pub(crate) capacity: Capacity,
    pub(crate) totals: Totals,
}

/// Why credits did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditError {
    /// The account has only this much free.
    Insufficient { free: MicroEc },
    /// There would be more credits than one balance can hold.
    Overflow,
}

impl Ledger {
    /// Opens the next account with nothing in it.
    pub fn open_account(&mut self) -> AccountIx {
        let account = AccountIx::new(u32::try_from(self.accounts.len()).expect("fewer than 2^32 accounts"));
        self.accounts.push(Credits::default());
        self.capacity.open_account();
        account
    }

    #[inline]
    pub fn credits(&self, account: AccountIx) -> Credits {
        self.accounts[account.index()]
    }

    /// Makes new credits. The whole supply fits one balance, so no sum of balances can overflow.
    pub fn mint(&mut self, account: AccountIx, amount: MicroEc) -> Result<(), CreditError> {
        if self.totals.supply() + i128::from(amount.raw()) > i128::from(i64::MAX) {
            return Err(CreditError::Overflow);
        }
        self.post_minted(account, amount);
        Ok(())
    }

    /// Destroys free credits.
    pub fn retire(&mut self, account: AccountIx, amount: MicroEc) -> Result<(), CreditError> {
        self.check_free(account, amount)?;
        self.post_retired(account, amount);
        Ok(())
    }

    /// Moves free credits to another account.
    pub fn deposit(&mut self, from: AccountIx, to: AccountIx, amount: MicroEc) -> Result<(), CreditError> {
        self.check_free(from, amount)?;
        self.post(Balance::Free(from), Balance::Free(to), amount);
        Ok(())
    }

    #[inline(always)]
    pub fn hold_credits(&mut self, account: AccountIx, amount: MicroEc) -> Result<(), CreditError> {
        self.check_free(account, amount)?;
        self.post_hold(account, amount);
        Ok(())
    }

    #[inline(always)]
    pub fn release_credits(&mut self, account: AccountIx, amount: MicroEc) {
        self.post_release(account, amount);
    }

    /// The number of a slot asset, made when it has none yet.
    pub fn intern(&mut self, key: SlotKey) -> AssetIx {
        self.capacity.intern(key)
    }

    /// Forgets a slot that was delivered and is over: nothing may name it any more.
    pub fn forget(&mut self, asset: AssetIx) {
        self.capacity.forget(asset);
    }

    pub fn find_asset(&self, key: SlotKey) -> Option<AssetIx> {
        self.capacity.find(key)
    }

    pub fn slot_key(&self, asset: AssetIx) -> SlotKey {
        self.capacity.key(asset)
    }

    /// Slots that were named and are not delivered.
    pub fn open_slots(&self) -> usize {
        self.capacity.open_assets()
    }

    /// Whether the slot's delivery was posted.
    pub fn is_delivered(&self, asset: AssetIx) -> bool {
        self.capacity.is_delivered(asset)
    }

    /// Issues capacity to the seller in every slot, or in none.
    pub fn register(
        &mut self,
        account: AccountIx,
        assets: &[AssetIx],
        accelerators: u32,
    ) -> Result<(), CapacityError> {
        let room = |asset: &AssetIx| {
            self.capacity.registered(*asset) + u64::from(accelerators) <= u64::from(u32::MAX)
        };
        if !assets.iter().all(room) {
            return Err(CapacityError::Overflow);
        }
        assets.iter().try_for_each(|asset| self.capacity.register(account, *asset, accelerators))
    }

    /// Holds accelerators in every slot, or in none.
    #[inline(always)]
    pub fn hold_capacity(
        &mut self,
        account: AccountIx,
        assets: &[AssetIx],
        accelerators: u64,
    ) -> Result<(), CapacityError> {
        match assets {
            [asset] => self.capacity.hold_in_slot(account, *asset, accelerators),
            _ => self.capacity.hold(account, assets, accelerators),
        }
    }

    #[inline(always)]
    pub fn release_capacity(&mut self, account: AccountIx, assets: &[AssetIx], accelerators: u64) {
        match assets {
            [asset] => self.capacity.release_in_slot(account, *asset, accelerators),
            _ => self.capacity.release(account, assets, accelerators),
        }
    }

    /// Accelerators that the account could sell in all of the slots together.
    #[inline]
    pub fn free_capacity(&self, account: AccountIx, assets: &[AssetIx]) -> u64 {
        self.capacity.free(account, assets)
    }

    pub fn position(&self, account: AccountIx, asset: AssetIx) -> Option<&Position> {
        self.capacity.position(account, asset)
    }

    /// Asks for the memory of what an account has in the first slot of a window; where it has the others is said there.
    #[inline]
    pub fn prepare_position(&self, account: AccountIx, assets: &[AssetIx]) {
        if let Some(asset) = assets.first() {
            self.capacity.prepare_position(account, *asset);
        }
    }

    /// How many positions there is memory for: of all accounts, whatever is in them.
    #[inline]
    pub fn position_count(&self) -> usize {
        self.capacity.position_count()
    }

    /// The account's positions that are not zero, oldest first.
    pub fn positions(&self, account: AccountIx) -> impl Iterator<Item = &Position> {
        self.capacity.of_account(account).filter(|position| !position.is_zero())
    }

    /// Credits that wait for the slot's delivery, all sellers together.
    pub fn escrow(&self, asset: AssetIx) -> MicroEc {
        self.capacity.of_asset(asset).map(|position| position.escrow).sum()
    }

    /// Releases the escrow of a slot that was delivered in full and drops the slot's capacity. Returns the amount.
    pub fn deliver(&mut self, asset: AssetIx) -> MicroEc {
        let sellers: Vec<AccountIx> =
            self.capacity.of_asset(asset).map(|position| position.account).collect();
        let mut released = MicroEc::ZERO;
        for account in sellers {
            let ix = self.capacity.position_ix(account, asset).expect("it was just walked");
            let escrow = self.capacity.position_mut(ix).escrow;
            self.post(Balance::Escrow(ix), Balance::Free(account), escrow);
            released += escrow;
        }
        self.capacity.retire(asset);
        released
    }

    /// Running totals, as of the last posting.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Every slot that was named and is not forgotten, in the order of keys: whether it is delivered, and its positions that are not
    /// zero, in the order of accounts.
    pub fn walk_slots(&self, mut visit: impl FnMut(SlotKey, bool, &[Position])) {
        let mut positions = Vec::new();
        for (key, asset) in self.capacity.keys() {
            positions.clear();
            positions.extend(self.capacity.of_asset(asset).filter(|position| !position.is_zero()));
            positions.sort_by_key(|position: &Position| position.account);
            visit(key, self.capacity.is_delivered(asset), &positions);
        }
    }

    #[inline(always)]
    fn check_free(&self, account: AccountIx, amount: MicroEc) -> Result<(), CreditError> {
        let free = self.accounts[account.index()].free;
        if amount <= free { Ok(()) } else { Err(CreditError::Insufficient { free }) }
    }
}
