//! Capacity as an asset: accelerators of a class in an area for one quarter hour.

use std::collections::BTreeMap;

use joulebook_sys::{prefetch_write, reserve_in_large_pages};
use joulebook_types::{AreaCode, ClassCode, MicroEc, QuarterSlot};

use crate::account::AccountIx;
use crate::position_table::PositionTable;

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

/// What one account has in one slot: one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
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
    /// Where the account's position in the next slot of a window was last. May be out of date.
    beside: PositionIx,
}

const _: () = assert!(size_of::<Position>() == 64, "a position is one cache line");

impl Position {
    #[inline]
    pub(crate) fn is_of(&self, account: AccountIx, asset: AssetIx) -> bool {
        self.account == account && self.asset == asset
    }

    pub fn is_zero(&self) -> bool {
        self.registered == 0 && self.free == 0 && self.held == 0 && self.escrow == MicroEc::ZERO
    }
}

/// Where the ledger keeps a position. What names it outside is a guess that is looked at before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionIx(u32);

impl PositionIx {
    /// Where no position is.
    pub const NONE: Self = Self(u32::MAX);

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
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
    pub(crate) delivered: bool,
}

impl Asset {
    const fn new(key: SlotKey) -> Self {
        Self { key, first_position: PositionIx::NONE, registered: 0, delivered: false }
    }
}

/// Accelerators of all accounts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapacityTotals {
    pub registered: u64,
    pub free: u64,
    pub held: u64,
}

/// All positions, chained both by account and by slot.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    /// By number. A vacant one keeps what it was last.
    pub(crate) assets: Vec<Asset>,
    vacant_assets: Vec<AssetIx>,
    by_key: BTreeMap<SlotKey, AssetIx>,
    positions: Vec<Position>,
    vacant_positions: Vec<PositionIx>,
    by_owner: PositionTable,
    /// Running totals of all slots, as of the last posting. A posting stays within its slot, so what it could make or
    /// lose shows here, and a hold touches no more than the position.
    pub(crate) totals: CapacityTotals,
    pub(crate) delivered: usize,
    /// First and last position of each account.
    accounts: Vec<(PositionIx, PositionIx)>,
}

impl Capacity {
    pub(crate) fn open_account(&mut self) {
        self.accounts.push((PositionIx::NONE, PositionIx::NONE));
    }

    pub(crate) fn intern(&mut self, key: SlotKey) -> AssetIx {
        if let Some(asset) = self.find(key) {
            return asset;
        }
        let next = AssetIx(u32::try_from(self.assets.len()).expect("fewer than 2^32 slots"));
        let asset = self.vacant_assets.pop().unwrap_or(next);
        if asset == next {
            // A quarter more, not twice as many: exchanges list thousands of windows ahead.
            if self.assets.len() == self.assets.capacity() {
                self.assets.reserve_exact(self.assets.len() / 4 + 4);
            }
            self.assets.push(Asset::new(key));
        } else {
            self.assets[asset.index()] = Asset::new(key);
        }
        self.by_key.insert(key, asset);
        asset
    }

    /// Forgets a delivered slot; its number goes to another one.
    pub(crate) fn forget(&mut self, asset: AssetIx) {
        let Asset { key, delivered, first_position, .. } = self.assets[asset.index()];
        assert!(delivered && first_position == PositionIx::NONE, "only a delivered slot is forgotten");
        assert!(self.by_key.remove(&key) == Some(asset), "a slot is forgotten once");
        self.delivered -= 1;
        self.vacant_assets.push(asset);
    }

    pub(crate) fn slots(&self) -> usize {
        self.by_key.len()
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
        self.by_key.len() - self.delivered
    }

    pub(crate) fn is_delivered(&self, asset: AssetIx) -> bool {
        self.assets[asset.index()].delivered
    }

    #[inline(always)]
    pub(crate) fn position_ix(&self, account: AccountIx, asset: AssetIx) -> Option<PositionIx> {
        self.by_owner.get(&self.positions, account, asset)
    }

    #[inline]
    pub(crate) fn position_count(&self) -> usize {
        self.positions.len()
    }

    /// Asks for the memory of a position that is going to be looked at.
    #[inline]
    pub(crate) fn prepare_position(&self, account: AccountIx, asset: AssetIx) {
        if let Some((_, position)) = self.by_owner.likely(&self.positions, account, asset) {
            prefetch_write(position);
        }
    }

    /// The same for whoever goes through the slots of a window, with the place where the position was the last time.
    #[inline]
    pub(crate) fn position_near(
        &self,
        guess: PositionIx,
        account: AccountIx,
        asset: AssetIx,
    ) -> Option<PositionIx> {
        match self.positions.get(guess.index()) {
            Some(position) if position.is_of(account, asset) => Some(guess),
            Some(_) | None => self.position_ix(account, asset),
        }
    }

    pub(crate) fn position(&self, account: AccountIx, asset: AssetIx) -> Option<&Position> {
        self.position_ix(account, asset).map(|ix| self.position_at(ix))
    }

    #[inline]
    pub(crate) fn position_at(&self, ix: PositionIx) -> &Position {
        &self.positions[ix.index()]
    }

    #[inline]
    pub(crate) fn position_mut(&mut self, ix: PositionIx) -> &mut Position {
        &mut self.positions[ix.index()]
    }

    /// The same for one that most likely exists, at its first place of the table.
    #[inline(always)]
    pub(crate) fn open_position_of(&mut self, account: AccountIx, asset: AssetIx) -> PositionIx {
        match self.by_owner.likely(&self.positions, account, asset) {
            Some((ix, position)) if position.is_of(account, asset) => ix,
            Some(_) | None => self.open_position(account, asset),
        }
    }

    /// The same for one that was at `guess` the last time.
    #[inline(always)]
    pub(crate) fn open_position_near(
        &mut self,
        guess: PositionIx,
        account: AccountIx,
        asset: AssetIx,
    ) -> PositionIx {
        match self.positions.get(guess.index()) {
            Some(position) if position.is_of(account, asset) => guess,
            Some(_) | None => self.open_position_of(account, asset),
        }
    }

    /// The account's position in the slot, made when it has none yet.
    #[inline(never)]
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
            beside: PositionIx::NONE,
        };
        let ix = self.place(position);
        self.by_owner.insert(&self.positions, ix);
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
        self.totals.registered += u64::from(accelerators);
        let ix = self.open_position(account, asset);
        let position = self.position_mut(ix);
        position.registered += u64::from(accelerators);
        position.free += u64::from(accelerators);
        self.totals.free += u64::from(accelerators);
        Ok(())
    }

    /// Holds in the slot of a window that has one.
    #[inline(always)]
    pub(crate) fn hold_in_slot(
        &mut self,
        account: AccountIx,
        asset: AssetIx,
        accelerators: u64,
    ) -> Result<(), CapacityError> {
        match self.position_ix(account, asset) {
            Some(ix) if self.hold_at(ix, accelerators) => Ok(()),
            Some(_) | None => Err(CapacityError::Insufficient { free: self.free(account, &[asset]) }),
        }
    }

    /// Holds in every slot, or in none.
    pub(crate) fn hold(
        &mut self,
        account: AccountIx,
        assets: &[AssetIx],
        accelerators: u64,
    ) -> Result<(), CapacityError> {
        if assets.is_empty() && accelerators > 0 {
            return Err(CapacityError::Insufficient { free: 0 });
        }
        let mut walk = WindowWalk::default();
        for (index, asset) in assets.iter().enumerate() {
            let found = walk.step(self, account, *asset);
            if !found.is_some_and(|ix| self.hold_at(ix, accelerators)) {
                self.release(account, &assets[..index], accelerators);
                return Err(CapacityError::Insufficient { free: self.free(account, assets) });
            }
        }
        Ok(())
    }

    /// Both halves of the posting of a hold, which lie in one position. Not posted when that has fewer free.
    #[inline(always)]
    fn hold_at(&mut self, ix: PositionIx, accelerators: u64) -> bool {
        let position = &mut self.positions[ix.index()];
        if position.free < accelerators {
            return false;
        }
        position.free -= accelerators;
        position.held += accelerators;
        self.totals.free -= accelerators;
        self.totals.held += accelerators;
        true
    }

    pub(crate) fn release(&mut self, account: AccountIx, assets: &[AssetIx], accelerators: u64) {
        let mut walk = WindowWalk::default();
        for asset in assets {
            let ix = walk.step(self, account, *asset);
            self.release_at(ix, accelerators);
        }
    }

    /// Gives back in the slot of a window that has one.
    #[inline(always)]
    pub(crate) fn release_in_slot(&mut self, account: AccountIx, asset: AssetIx, accelerators: u64) {
        let ix = self.position_ix(account, asset);
        self.release_at(ix, accelerators);
    }

    #[inline(always)]
    fn release_at(&mut self, ix: Option<PositionIx>, accelerators: u64) {
        let ix = ix.expect("an account with a hold has a position");
        let position = &mut self.positions[ix.index()];
        assert!(position.held >= accelerators, "a balance is never negative");
        position.held -= accelerators;
        position.free += accelerators;
        self.totals.held -= accelerators;
        self.totals.free += accelerators;
    }

    /// Sells within a slot: from the seller's hold to what the buyer could sell. `proceeds` are put aside until the slot is
    /// delivered; the account's own figure of them is the caller's.
    #[inline(always)]
    pub(crate) fn transfer(
        &mut self,
        seller: PositionIx,
        buyer: PositionIx,
        accelerators: u64,
        proceeds: MicroEc,
    ) {
        assert!(proceeds >= MicroEc::ZERO, "a posting has a direction");
        let from = &mut self.positions[seller.index()];
        assert!(from.held >= accelerators, "a balance is never negative");
        from.held -= accelerators;
        from.escrow += proceeds;
        let slot = from.asset;
        let to = &mut self.positions[buyer.index()];
        assert!(to.asset == slot, "capacity stays in its slot");
        to.free += accelerators;
        self.totals.held -= accelerators;
        self.totals.free += accelerators;
    }

    /// Whether what all accounts have is what was registered, by running totals.
    pub(crate) fn check(&self) -> Result<(), CapacityTotals> {
        let CapacityTotals { registered, free, held } = self.totals;
        if registered == free + held { Ok(()) } else { Err(self.totals) }
    }

    /// Accelerators that the account could sell in all of the slots together.
    #[inline]
    pub(crate) fn free(&self, account: AccountIx, assets: &[AssetIx]) -> u64 {
        match assets {
            [asset] => self.position(account, *asset).map_or(0, |position| position.free),
            _ => self.free_in_all(account, assets),
        }
    }

    fn free_in_all(&self, account: AccountIx, assets: &[AssetIx]) -> u64 {
        let (mut guess, mut least) = (PositionIx::NONE, None);
        for asset in assets {
            let Some(ix) = self.position_near(guess, account, *asset) else { return 0 };
            let Position { free, beside, .. } = *self.position_at(ix);
            least = Some(least.map_or(free, |least: u64| least.min(free)));
            guess = beside;
        }
        least.unwrap_or(0)
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

    pub(crate) fn last_key(&self) -> Option<SlotKey> {
        self.by_key.last_key_value().map(|(key, _)| *key)
    }

    /// All slots in the order of their keys.
    pub(crate) fn keys(&self) -> impl ExactSizeIterator<Item = (SlotKey, AssetIx)> {
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
            self.by_owner.remove(&self.positions, next);
            self.vacate(next);
            self.totals.free -= position.free;
            next = position.next_of_asset;
        }
        self.delivered += 1;
        let asset = &mut self.assets[asset.index()];
        self.totals.registered -= asset.registered;
        asset.first_position = PositionIx::NONE;
        asset.registered = 0;
        asset.delivered = true;
    }

    fn place(&mut self, position: Position) -> PositionIx {
        match self.vacant_positions.pop() {
            Some(ix) => {
                *self.position_mut(ix) = position;
                ix
            }
            None => {
                reserve_in_large_pages(&mut self.positions, 1);
                self.positions.push(position);
                PositionIx(u32::try_from(self.positions.len() - 1).expect("fewer than 2^32 positions"))
            }
        }
    }

    /// A place without a position is nobody's, so that no guess mistakes it for one.
    fn vacate(&mut self, ix: PositionIx) {
        self.position_mut(ix).account = AccountIx::new(u32::MAX);
        self.vacant_positions.push(ix);
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

/// An account's positions in the slots of a window, one after the other: each remembers where the next one lies.
#[derive(Debug)]
pub(crate) struct WindowWalk {
    previous: PositionIx,
    guess: PositionIx,
}

impl Default for WindowWalk {
    fn default() -> Self {
        Self { previous: PositionIx::NONE, guess: PositionIx::NONE }
    }
}

impl WindowWalk {
    /// The position in the next slot of the window; `None` when the account has none there.
    #[inline(always)]
    pub(crate) fn step(
        &mut self,
        capacity: &mut Capacity,
        account: AccountIx,
        asset: AssetIx,
    ) -> Option<PositionIx> {
        let ix = capacity.position_near(self.guess, account, asset)?;
        self.go_on(capacity, ix);
        Some(ix)
    }

    /// The same, and the position is made when the account has none there.
    #[inline]
    pub(crate) fn step_or_open(
        &mut self,
        capacity: &mut Capacity,
        account: AccountIx,
        asset: AssetIx,
    ) -> PositionIx {
        let known = capacity.position_near(self.guess, account, asset);
        let ix = known.unwrap_or_else(|| capacity.open_position(account, asset));
        self.go_on(capacity, ix);
        ix
    }

    #[inline(always)]
    fn go_on(&mut self, capacity: &mut Capacity, ix: PositionIx) {
        if self.guess != ix && self.previous != PositionIx::NONE {
            capacity.position_mut(self.previous).beside = ix;
        }
        self.previous = ix;
        self.guess = capacity.position_at(ix).beside;
    }
}
