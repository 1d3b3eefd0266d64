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
    pub(crate) fn post(&mut self, from: Balance, to: Balance, amount: MicroEc) {
        assert!(amount >= MicroEc::ZERO, "a posting has a direction");
        let source = self.balance(from);
        assert!(source >= amount, "a balance is never negative");
        self.set_balance(from, source - amount);
        let target = self.balance(to);
        self.set_balance(to, target + amount);
    }

    fn balance(&mut self, balance: Balance) -> MicroEc {
        match balance {
            Balance::Free(account) => self.accounts[account.index()].free,
            Balance::Held(account) => self.accounts[account.index()].held,
            Balance::Escrow(position) => self.capacity.position_mut(position).escrow,
            Balance::Fees => self.totals.fees,
        }
    }

    /// Sets a balance and moves the running total of its kind along.
    fn set_balance(&mut self, balance: Balance, amount: MicroEc) {
        match balance {
            Balance::Free(account) => {
                let free = &mut self.accounts[account.index()].free;
                self.totals.free = self.totals.free - *free + amount;
                *free = amount;
            }
            Balance::Held(account) => {
                let held = &mut self.accounts[account.index()].held;
                self.totals.held = self.totals.held - *held + amount;
                *held = amount;
            }
            Balance::Escrow(position) => {
                let position = self.capacity.position_mut(position);
                let escrow = &mut self.accounts[position.account.index()].escrow;
                *escrow = *escrow - position.escrow + amount;
                self.totals.escrow = self.totals.escrow - position.escrow + amount;
                position.escrow = amount;
            }
            Balance::Fees => self.totals.fees = amount,
        }
    }

    /// New credits: one of the two postings with one side.
    pub(crate) fn post_minted(&mut self, account: AccountIx, amount: MicroEc) {
        self.totals.minted += i128::from(amount.raw());
        let free = self.accounts[account.index()].free;
        self.set_balance(Balance::Free(account), free + amount);
    }

    /// Credits that end: the other posting with one side.
    pub(crate) fn post_retired(&mut self, account: AccountIx, amount: MicroEc) {
        self.totals.retired += i128::from(amount.raw());
        let free = self.accounts[account.index()].free;
        assert!(free >= amount, "a balance is never negative");
        self.set_balance(Balance::Free(account), free - amount);
    }
}
