//! What protects market makers: their limits, and the pulling of quotes when fills reach them.

use core::mem::offset_of;

use joulebook_book::Slot;
use joulebook_ledger::AccountIx;
use joulebook_protocol::messages::{ProtectionTriggered, ResetProtection, SetProtection};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{ClassCode, MicroEc};

use crate::cancel::Requester;
use crate::hooks::MakerFill;
use crate::instruments::InstrumentIx;
use crate::protection::{Allowance, CLASSES_MAX, ProtectionLimits, QuoteFill};
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

pub(crate) const WINDOW_MS_MAX: u32 = 60_000;
/// Also what bounds the memory of a protection.
pub(crate) const FILLS_MAX: u32 = 10_000;

impl Engine {
    pub(crate) fn set_protection(
        &mut self,
        session: SessionIx,
        set: &SetProtection,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let account = self.sessions[session].account;
        let SetProtection { class, credits_max, lots_max, window_ms, fills_max, .. } = *set;
        let removes = window_ms == 0;
        if !removes {
            check_limits(set)?;
        }
        check_class(class, offset_of!(SetProtection, class))?;
        if removes {
            self.protections.remove(account, class);
            return Ok(self.request_done(session, set, 0, out));
        }
        if !self.protections.has_room(account, class) {
            let count = Rejection::field(RejectReason::InvalidCount, offset_of!(SetProtection, class));
            return Err(count.met(CLASSES_MAX, CLASSES_MAX + 1));
        }
        let limits = ProtectionLimits { window_ms, fills_max, lots_max, credits_max };
        self.protections.set(account, class, limits);
        Ok(self.request_done(session, set, 0, out))
    }

    pub(crate) fn reset_protection(
        &mut self,
        session: SessionIx,
        reset: &ResetProtection,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        check_class(reset.class, offset_of!(ResetProtection, class))?;
        let was_frozen = self.protections.reset(self.sessions[session].account, reset.class);
        Ok(self.request_done(session, reset, u64::from(was_frozen), out))
    }

    /// What the account's protection of the class still allows now; `None` without protection.
    pub(crate) fn protection_allowance(&self, account: AccountIx, class: ClassCode) -> Option<Allowance> {
        self.protections.allowance(account, class, self.time)
    }

    /// A resting order gave lots in matching. Quotes are pulled before the taker goes on: no fill comes after that.
    pub(crate) fn protect_maker(&mut self, fill: &MakerFill, out: &mut Events) {
        if fill.terms.is_quote {
            let fill = self.quote_fill(fill);
            if self.protections.count(&fill) {
                self.pull_quotes(fill.account, fill.class, fill.session, out);
            }
        }
    }

    /// A resting order gave or took lots in an uncross, all of which trades before any quote is pulled.
    pub(crate) fn count_in_uncross(&mut self, fill: &MakerFill) {
        if fill.terms.is_quote {
            let fill = self.quote_fill(fill);
            self.protections.count_in_uncross(&fill);
        }
    }

    /// After an uncross: pulls the quotes whose protection it reached.
    pub(crate) fn protect_after_uncross(&mut self, out: &mut Events) {
        while let Some((account, class, session)) = self.protections.next_reached() {
            self.pull_quotes(account, class, session, out);
        }
    }

    fn quote_fill(&self, fill: &MakerFill) -> QuoteFill {
        QuoteFill {
            account: AccountIx::new(fill.order.account),
            class: self.instruments[InstrumentIx::new(fill.order.instrument)].product.class,
            session: fill.owner.session,
            time: self.time,
            lots: fill.lots,
            notional: fill.notional,
        }
    }

    /// Cancels the account's quotes of the class: sessions in the order of first logon, instruments by id, bid then ask.
    fn pull_quotes(&mut self, account: AccountIx, class: ClassCode, hit: SessionIx, out: &mut Events) {
        let given = self.protections.freeze(account, class);
        let mut pulled: Vec<Slot> = core::mem::take(&mut self.pulled_quotes);
        pulled.clear();
        for session in &self.accounts[account].sessions {
            let quotes = self.sessions[*session].quotes.iter();
            let class_of = |id| self.instruments.find(id).map(|ix| self.instruments[ix].product.class);
            let of_class = quotes.filter(|quote| class_of(quote.instrument) == Some(class));
            pulled.extend(of_class.flat_map(|quote| quote.slots()));
        }
        let triggered = ProtectionTriggered {
            class,
            lots: given.lots,
            credits: MicroEc::new(i64::try_from(given.credits).unwrap_or(i64::MAX)),
            fills: given.fills,
            canceled_orders: pulled.len() as u32,
            ..Default::default()
        };
        self.tell(hit, triggered, out);
        for slot in &pulled {
            self.cancel_open_order(*slot, CancelReason::Protected, Requester::NOBODY, out);
        }
        self.pulled_quotes = pulled;
    }
}

/// The limits of a protection that is not being removed.
fn check_limits(set: &SetProtection) -> Result<(), Rejection> {
    let invalid = |offset| Rejection::field(RejectReason::InvalidProtection, offset);
    if set.window_ms > WINDOW_MS_MAX {
        let window = invalid(offset_of!(SetProtection, window_ms));
        return Err(window.met(WINDOW_MS_MAX, set.window_ms));
    }
    if !(1..=FILLS_MAX).contains(&set.fills_max) {
        let limit = if set.fills_max == 0 { 1 } else { FILLS_MAX };
        return Err(invalid(offset_of!(SetProtection, fills_max)).met(limit, set.fills_max));
    }
    if set.credits_max < MicroEc::ZERO {
        return Err(invalid(offset_of!(SetProtection, credits_max)).met(0, set.credits_max.raw()));
    }
    Ok(())
}

fn check_class(class: ClassCode, offset: usize) -> Result<(), Rejection> {
    class.validate().map_err(|_| Rejection::field(RejectReason::InvalidCode, offset))
}
