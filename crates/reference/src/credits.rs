//! Credits come into being, move to accounts, and end.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{DepositCredits, MintCredits, RetireCredits};
use joulebook_types::MicroEc;

use crate::market::Market;
use crate::rejection::{Checked, field};

impl Market {
    pub(crate) fn mint_credits(&mut self, session: usize, mint: &MintCredits) -> Checked {
        let (offset, amount) = (offset_of!(MintCredits, amount), mint.amount.raw());
        check_amount(mint.amount, offset)?;
        // The whole supply fits one balance, so no sum of balances can overflow.
        if self.minted - self.retired + i128::from(amount) > i128::from(i64::MAX) {
            return Err(field(RejectReason::BalanceOverflow, offset).met(i64::MAX, amount));
        }
        self.minted += i128::from(amount);
        let account = self.account_of(session);
        self.accounts[account].credits += amount;
        self.request_done::<MintCredits>(session, mint.client_order_id, amount as u64);
        Ok(())
    }

    pub(crate) fn retire_credits(&mut self, session: usize, retire: &RetireCredits) -> Checked {
        let (offset, amount) = (offset_of!(RetireCredits, amount), retire.amount.raw());
        check_amount(retire.amount, offset)?;
        let account = self.account_of(session);
        self.check_free(account, amount, offset)?;
        self.retired += i128::from(amount);
        self.accounts[account].credits -= amount;
        self.request_done::<RetireCredits>(session, retire.client_order_id, amount as u64);
        Ok(())
    }

    pub(crate) fn deposit_credits(&mut self, session: usize, deposit: &DepositCredits) -> Checked {
        let unknown = field(RejectReason::UnknownAccount, offset_of!(DepositCredits, to));
        let to = self.find_account(deposit.to).ok_or(unknown)?;
        let (offset, amount) = (offset_of!(DepositCredits, amount), deposit.amount.raw());
        check_amount(deposit.amount, offset)?;
        let from = self.account_of(session);
        self.check_free(from, amount, offset)?;
        self.accounts[from].credits -= amount;
        self.accounts[to].credits += amount;
        self.request_done::<DepositCredits>(session, deposit.client_order_id, amount as u64);
        Ok(())
    }

    fn check_free(&self, account: usize, amount: i64, offset: usize) -> Checked {
        let free = self.free(account);
        if amount <= free {
            return Ok(());
        }
        Err(field(RejectReason::InsufficientCredits, offset).met(free, amount))
    }
}

fn check_amount(amount: MicroEc, offset: usize) -> Checked {
    if amount > MicroEc::ZERO {
        return Ok(());
    }
    Err(field(RejectReason::AmountNotPositive, offset).met(1, amount.raw()))
}
