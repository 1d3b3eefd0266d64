//! The issuer's commands: credits come into being, move to accounts, and end.

use core::mem::offset_of;

use joulebook_ledger::CreditError;
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{DepositCredits, MintCredits, RetireCredits};
use joulebook_types::MicroEc;

use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

impl Engine {
    pub(crate) fn mint_credits(
        &mut self,
        session: SessionIx,
        mint: &MintCredits,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let offset = offset_of!(MintCredits, amount);
        check_amount(mint.amount, offset)?;
        let account = self.sessions[session].account;
        self.ledger
            .mint(account, mint.amount)
            .map_err(|error| credit_rejection(error, mint.amount, offset))?;
        Ok(self.request_done(session, mint, mint.amount.raw() as u64, out))
    }

    pub(crate) fn retire_credits(
        &mut self,
        session: SessionIx,
        retire: &RetireCredits,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let offset = offset_of!(RetireCredits, amount);
        check_amount(retire.amount, offset)?;
        let account = self.sessions[session].account;
        let retired = self.ledger.retire(account, retire.amount);
        retired.map_err(|error| credit_rejection(error, retire.amount, offset))?;
        Ok(self.request_done(session, retire, retire.amount.raw() as u64, out))
    }

    pub(crate) fn deposit_credits(
        &mut self,
        session: SessionIx,
        deposit: &DepositCredits,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let to = self
            .accounts
            .find(deposit.to)
            .ok_or(Rejection::field(RejectReason::UnknownAccount, offset_of!(DepositCredits, to)))?;
        let offset = offset_of!(DepositCredits, amount);
        check_amount(deposit.amount, offset)?;
        let from = self.sessions[session].account;
        let moved = self.ledger.deposit(from, to, deposit.amount);
        moved.map_err(|error| credit_rejection(error, deposit.amount, offset))?;
        Ok(self.request_done(session, deposit, deposit.amount.raw() as u64, out))
    }
}

fn check_amount(amount: MicroEc, offset: usize) -> Result<(), Rejection> {
    if amount > MicroEc::ZERO {
        return Ok(());
    }
    Err(Rejection::field(RejectReason::AmountNotPositive, offset).met(1, amount.raw()))
}

fn credit_rejection(error: CreditError, amount: MicroEc, offset: usize) -> Rejection {
    match error {
        CreditError::Insufficient { free } => {
            Rejection::field(RejectReason::InsufficientCredits, offset).met(free.raw(), amount.raw())
        }
        CreditError::Overflow => {
            Rejection::field(RejectReason::BalanceOverflow, offset).met(i64::MAX, amount.raw())
        }
    }
}
