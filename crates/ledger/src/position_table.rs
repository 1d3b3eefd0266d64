//! Where the position of an account in a slot lies: an open hash table that can only be asked by key.

use joulebook_sys::reserve_exact_in_large_pages;

use crate::account::AccountIx;
use crate::capacity::{AssetIx, Position, PositionIx};

/// From account and slot to a position's place. It holds places only: the keys are those of the positions, which whoever
/// asks reads next anyway, so finding one touches one line of the table and the position itself.
#[derive(Debug, Default)]
pub(crate) struct PositionTable {
    /// A power of two, at most half of them in use; empty before the first position.
    places: Vec<PositionIx>,
    used: usize,
}

const PLACES_MIN: usize = 64;

impl PositionTable {
    #[inline(always)]
    pub(crate) fn get(
        &self,
        positions: &[Position],
        account: AccountIx,
        asset: AssetIx,
    ) -> Option<PositionIx> {
        let mut place = self.home(account, asset)?;
        loop {
            let ix = self.places[place];
            // A free place names no position, and ends the run.
            let position = positions.get(ix.index())?;
            if position.is_of(account, asset) {
                return Some(ix);
            }
            place = self.next(place);
        }
    }

    /// Where the search for a key begins to find positions: most often the one that it is of.
    #[inline(always)]
    pub(crate) fn likely<'a>(
        &self,
        positions: &'a [Position],
        account: AccountIx,
        asset: AssetIx,
    ) -> Option<(PositionIx, &'a Position)> {
        let ix = self.places[self.home(account, asset)?];
        Some((ix, positions.get(ix.index())?))
    }

    /// Adds a position that the table does not have.
    pub(crate) fn insert(&mut self, positions: &[Position], ix: PositionIx) {
        if self.places.len() < 2 * (self.used + 1) {
            self.grow(positions);
        }
        self.used += 1;
        self.place(positions, ix);
    }

    /// Takes a position out that the table has. What stands behind it moves up, so that runs have no holes.
    pub(crate) fn remove(&mut self, positions: &[Position], ix: PositionIx) {
        let mut hole = self.home_of(&positions[ix.index()]);
        while self.places[hole] != ix {
            assert!(self.places[hole] != PositionIx::NONE, "a position is in the table");
            hole = self.next(hole);
        }
        let mut place = hole;
        loop {
            place = self.next(place);
            let follower = self.places[place];
            if follower == PositionIx::NONE {
                break;
            }
            let home = self.home_of(&positions[follower.index()]);
            // It may stand in the hole unless its own run begins behind that.
            if self.steps(home, place) >= self.steps(hole, place) {
                self.places[hole] = follower;
                hole = place;
            }
        }
        self.places[hole] = PositionIx::NONE;
        self.used -= 1;
    }

    fn grow(&mut self, positions: &[Position]) {
        let len = (2 * self.places.len()).max(PLACES_MIN);
        let mut places = Vec::new();
        reserve_exact_in_large_pages(&mut places, len);
        places.resize(len, PositionIx::NONE);
        let before = core::mem::replace(&mut self.places, places);
        for ix in before.into_iter().filter(|ix| *ix != PositionIx::NONE) {
            self.place(positions, ix);
        }
    }

    fn place(&mut self, positions: &[Position], ix: PositionIx) {
        let mut place = self.home_of(&positions[ix.index()]);
        while self.places[place] != PositionIx::NONE {
            place = self.next(place);
        }
        self.places[place] = ix;
    }

    fn home_of(&self, position: &Position) -> usize {
        self.home(position.account, position.asset).expect("a table with a position has places")
    }

    /// Where the search for a key begins; `None` while there are no places. The product's high half depends on all bits
    /// of the key: both numbers are small and dense.
    #[inline]
    fn home(&self, account: AccountIx, asset: AssetIx) -> Option<usize> {
        let last = self.places.len().checked_sub(1)?;
        let key = u64::from(account.raw()) << 32 | u64::from(asset.raw());
        let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Some((hash >> 32) as usize & last)
    }

    #[inline]
    fn next(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }

    /// From one place on to another.
    fn steps(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use joulebook_types::QuarterSlot;

    use crate::account::AccountIx;
    use crate::capacity::{AssetIx, Capacity, SlotKey};

    const ACCOUNTS: u32 = 60;
    const SLOTS: usize = 20;

    /// Multiplies by a primitive root modulo a prime.
    fn next(state: &mut u64) -> u64 {
        *state = *state * 48_271 % 2_147_483_647;
        *state
    }

    /// A slot of its own in which some of the accounts have a position.
    fn open_slot(capacity: &mut Capacity, number: u32, state: &mut u64) -> (AssetIx, Vec<u32>) {
        let (class, area) = ("H200S".parse().unwrap(), "DE".parse().unwrap());
        let asset = capacity.intern(SlotKey { class, area, slot: QuarterSlot::new(number) });
        let owners: Vec<u32> = (0..ACCOUNTS).filter(|_| next(state).is_multiple_of(3)).collect();
        owners.iter().for_each(|account| _ = capacity.open_position(AccountIx::new(*account), asset));
        (asset, owners)
    }

    #[test]
    fn positions_are_found_whoever_has_gone() {
        let (mut capacity, mut state) = (Capacity::default(), 5);
        (0..ACCOUNTS).for_each(|_| capacity.open_account());
        let mut slots = Vec::new();
        for number in 0..400 {
            slots.push(open_slot(&mut capacity, number, &mut state));
            if slots.len() > SLOTS {
                let (asset, _) = slots.swap_remove(next(&mut state) as usize % SLOTS);
                capacity.retire(asset);
                capacity.forget(asset);
            }
            for (asset, owners) in &slots {
                let has = |account: u32| capacity.position_ix(AccountIx::new(account), *asset).is_some();
                let found: Vec<u32> = (0..ACCOUNTS).filter(|account| has(*account)).collect();
                assert_eq!(found, *owners, "slot {}", asset.raw());
            }
        }
    }
}
