//! Double entry: the one function that moves credits.

use joulebook_types::MicroEc;

use crate::account::AccountIx;
use crate::capacity::PositionIx;
use crate::ledger::Ledger;

/// A balance of credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balance {
    Free(AccountIx),
    Held(AccountIx),
    Escrow(PositionIx),
    /// What the exchange earned.
    Fees,
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
    #[inline]
    pub(crate) fn post_hold(&mut self, account: AccountIx, amount: MicroEc) {
        let credits = &mut self.accounts[account.index()];
        assert!(amount >= MicroEc::ZERO && credits.free >= amount, "a balance is never negative");
        credits.free -= amount;
        credits.held += amount;
        self.totals.free -= amount;
        self.totals.held += amount;
    }

    /// And back.
    #[inline]
    pub(crate) fn post_release(&mut self, account: AccountIx, amount: MicroEc) {
        let credits = &mut self.accounts[account.index()];
        assert!(amount >= MicroEc::ZERO && credits.held >= amount, "a balance is never negative");
        credits.held -= amount;
        credits.free += amount;
        self.totals.held -= amount;
        self.totals.free += amount;
    }

    /// Changes a balance, and the running total of its kind along with it.
    #[inline]
    fn change(&mut self, balance: Balance, by: MicroEc) {
        let (amount, total) = match balance {
            Balance::Free(account) => (&mut self.accounts[account.index()].free, &mut self.totals.free),
            Balance::Held(account) => (&mut self.accounts[account.index()].held, &mut self.totals.held),
            Balance::Escrow(position) => {
                let position = self.capacity.position_mut(position);
                self.accounts[position.account.index()].escrow += by;
                (&mut position.escrow, &mut self.totals.escrow)
            }
            Balance::Fees => {
                self.totals.fees += by;
                assert!(self.totals.fees >= MicroEc::ZERO, "a balance is never negative");
                return;
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
