//! Double entry: the one function that moves credits.

use joulebook_types::MicroEc;

use crate::account::AccountIx;
use crate::capacity::PositionIx;
use crate::ledger::Ledger;

/// A balance of credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balance {
    Free(AccountIx),
    Escrow(PositionIx),
}

/// What becomes of the credits that a trade takes off the buyer's hold. None is negative.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payment {
    /// All of it: the other parts together.
    pub(crate) given: MicroEc,
    /// Waits for the seller's delivery, all slots together: the positions have it already.
    pub(crate) escrow: MicroEc,
    /// Goes to the seller at once.
    pub(crate) free: MicroEc,
    /// What the exchange earns.
    pub(crate) fees: MicroEc,
    /// Becomes free again for the buyer.
    pub(crate) change: MicroEc,
}

impl Ledger {
    /// Moves an amount from one balance to another.
    ///
    /// # Panics
    /// When the amount is negative or the balance does not cover it: callers check before they post.
    #[inline]
    pub(crate) fn post(&mut self, from: Balance, to: Balance, amount: MicroEc) {
        assert!(amount >= MicroEc::ZERO, "a posting has a direction");
        self.change(from, MicroEc::ZERO - amount);
        self.change(to, amount);
    }

    /// From what an account has free to what it holds: `post` for the two balances that lie side by side.
    #[inline(always)]
    pub(crate) fn post_hold(&mut self, account: AccountIx, amount: MicroEc) {
        let credits = &mut self.accounts[account.index()];
        assert!(amount >= MicroEc::ZERO && credits.free >= amount, "a balance is never negative");
        credits.free -= amount;
        credits.held += amount;
        self.totals.free -= amount;
        self.totals.held += amount;
    }

    /// And back.
    #[inline(always)]
    pub(crate) fn post_release(&mut self, account: AccountIx, amount: MicroEc) {
        let credits = &mut self.accounts[account.index()];
        assert!(amount >= MicroEc::ZERO && credits.held >= amount, "a balance is never negative");
        credits.held -= amount;
        credits.free += amount;
        self.totals.held -= amount;
        self.totals.free += amount;
    }

    /// Pays for a trade: one posting from the buyer's hold to all that `payment` names, so nothing is made or lost.
    ///
    /// # Panics
    /// As [`Self::post`].
    #[inline(always)]
    pub(crate) fn post_payment(&mut self, buyer: AccountIx, seller: AccountIx, payment: &Payment) {
        let Payment { given, escrow, free, fees, change } = *payment;
        assert!(given == escrow + free + fees + change, "nothing is made or lost");
        let parts = [escrow, free, fees, change];
        assert!(parts.iter().all(|part| *part >= MicroEc::ZERO), "a posting has a direction");
        let buyer = &mut self.accounts[buyer.index()];
        assert!(buyer.held >= given, "a balance is never negative");
        give(&mut buyer.held, given);
        receive(&mut buyer.free, change);
        let seller = &mut self.accounts[seller.index()];
        receive(&mut seller.escrow, escrow);
        receive(&mut seller.free, free);
        give(&mut self.totals.held, given);
        receive(&mut self.totals.escrow, escrow);
        receive(&mut self.totals.free, free);
        receive(&mut self.totals.free, change);
        receive(&mut self.totals.fees, fees);
    }

    /// Changes a balance, and the running total of its kind along with it.
    #[inline]
    fn change(&mut self, balance: Balance, by: MicroEc) {
        let (amount, total) = match balance {
            Balance::Free(account) => (&mut self.accounts[account.index()].free, &mut self.totals.free),
            Balance::Escrow(position) => {
                let position = self.capacity.position_mut(position);
                self.accounts[position.account.index()].escrow += by;
                (&mut position.escrow, &mut self.totals.escrow)
            }
        };
        *amount += by;
        *total += by;
        assert!(*amount >= MicroEc::ZERO, "a balance is never negative");
    }

    /// New credits: one of the two postings with one side.
    pub(crate) fn post_minted(&mut self, account: AccountIx, amount: MicroEc) {
        self.totals.minted += i128::from(amount.raw());
        self.change(Balance::Free(account), amount);
    }

    /// Credits that end: the other posting with one side.
    pub(crate) fn post_retired(&mut self, account: AccountIx, amount: MicroEc) {
        self.totals.retired += i128::from(amount.raw());
        self.change(Balance::Free(account), MicroEc::ZERO - amount);
    }
}

/// Takes off a balance what it covers.
#[inline(always)]
fn give(balance: &mut MicroEc, amount: MicroEc) {
    debug_assert!(amount <= *balance, "a balance is never negative");
    *balance = MicroEc::new(balance.raw().wrapping_sub(amount.raw()));
}

/// Adds to a balance what another one gave. No balance is negative and all of them together fit one, so no sum overflows and
/// none is checked.
#[inline(always)]
fn receive(balance: &mut MicroEc, amount: MicroEc) {
    debug_assert!(balance.checked_add(amount).is_some(), "the whole supply fits one balance");
    *balance = MicroEc::new(balance.raw().wrapping_add(amount.raw()));
}
