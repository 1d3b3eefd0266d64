//! Market-maker protection: fills of quotes are counted, and beyond a limit all quotes of the class are pulled.

use core::mem::offset_of;

use joulebook_protocol::messages::{ProtectionTriggered, ResetProtection, SetProtection};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{ClassCode, MicroEc, OrderId, Side, TimeNs};

use crate::market::Market;
use crate::orders::Order;
use crate::rejection::{Checked, field};

const WINDOW_MS_MAX: u32 = 60_000;
const FILLS_MAX: u32 = 10_000;

/// The protection of one account's quotes of one class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Protection {
    window_ms: u32,
    fills_max: u32,
    lots_max: u64,
    credits_max: i64,
    history: Vec<Hit>,
    pub(crate) frozen: bool,
    /// The session of the fill that reached a limit in a call, until the uncross is over.
    reached_by: Option<usize>,
}

/// A fill of a quote.
#[derive(Clone, Copy, Debug)]
struct Hit {
    time: TimeNs,
    lots: u64,
    notional: i64,
}

impl Protection {
    /// Fills, lots and credits within the window.
    fn counted(&self, now: TimeNs) -> (u32, u64, i64) {
        let window_ns = u128::from(self.window_ms) * 1_000_000;
        let recent = |hit: &&Hit| u128::from(hit.time.raw()) + window_ns > u128::from(now.raw());
        let hits = || self.history.iter().filter(recent);
        (hits().count() as u32, hits().map(|hit| hit.lots).sum(), hits().map(|hit| hit.notional).sum())
    }

    fn is_reached(&self, now: TimeNs) -> bool {
        let (fills, lots, credits) = self.counted(now);
        fills >= self.fills_max
            || self.lots_max != 0 && lots >= self.lots_max
            || self.credits_max != 0 && credits >= self.credits_max
    }
}

impl Market {
    pub(crate) fn set_protection(&mut self, session: usize, set: &SetProtection) -> Checked {
        check_protection(set)?;
        let key = (self.account_of(session), set.class);
        if set.window_ms == 0 {
            self.protections.remove(&key);
        } else {
            let frozen = self.protections.get(&key).is_some_and(|before| before.frozen);
            self.protections.insert(
                key,
                Protection {
                    window_ms: set.window_ms,
                    fills_max: set.fills_max,
                    lots_max: set.lots_max,
                    credits_max: set.credits_max.raw(),
                    frozen,
                    ..Default::default()
                },
            );
        }
        self.request_done::<SetProtection>(session, set.client_order_id, 0);
        Ok(())
    }

    pub(crate) fn reset_protection(&mut self, session: usize, reset: &ResetProtection) -> Checked {
        let offset = offset_of!(ResetProtection, class);
        reset.class.validate().map_err(|_| field(RejectReason::InvalidCode, offset))?;
        let protection = self.protections.get_mut(&(self.account_of(session), reset.class));
        let was_frozen = protection.is_some_and(|protection| core::mem::take(&mut protection.frozen));
        self.request_done::<ResetProtection>(session, reset.client_order_id, u64::from(was_frozen));
        Ok(())
    }

    pub(crate) fn is_frozen(&self, account: usize, class: ClassCode) -> bool {
        self.protections.get(&(account, class)).is_some_and(|protection| protection.frozen)
    }

    /// Counts a fill of a quote.
    pub(crate) fn count_fill(&mut self, quote: &Order, lots: u32, notional: i64) {
        let (now, class) = (self.time, self.instruments[quote.instrument].class);
        if let Some(protection) = self.protections.get_mut(&(quote.account, class)) {
            protection.history.push(Hit { time: now, lots: u64::from(lots), notional });
            if protection.reached_by.is_none() && protection.is_reached(now) {
                protection.reached_by = Some(quote.session);
            }
        }
    }

    /// Pulls the quotes of an account whose fills reached a limit.
    pub(crate) fn protect(&mut self, account: usize, class: ClassCode) {
        let now = self.time;
        let Some(protection) = self.protections.get_mut(&(account, class)) else { return };
        let Some(session) = protection.reached_by.take() else { return };
        let (fills, lots, credits) = protection.counted(now);
        protection.history.clear();
        protection.frozen = true;
        let quotes = self.quotes_of(account, class);
        self.tell(
            session,
            ProtectionTriggered {
                class,
                lots,
                credits: MicroEc::new(credits),
                fills,
                canceled_orders: quotes.len() as u32,
                ..Default::default()
            },
        );
        for id in quotes {
            self.cancel_open(id, CancelReason::Protected, None);
        }
    }

    /// After an uncross: every protection that was reached in it.
    pub(crate) fn protect_all(&mut self) {
        let keys: Vec<(usize, ClassCode)> = self.protections.keys().copied().collect();
        for (account, class) in keys {
            self.protect(account, class);
        }
    }

    /// The account's quotes of a class: by session, instrument, bid before ask.
    fn quotes_of(&self, account: usize, class: ClassCode) -> Vec<OrderId> {
        let of_class = |order: &&Order| {
            order.quote && order.account == account && self.instruments[order.instrument].class == class
        };
        let mut quotes: Vec<&Order> = self.orders.values().filter(of_class).collect();
        quotes.sort_by_key(|order| (order.session, order.instrument, order.side == Side::Sell));
        quotes.iter().map(|order| order.id).collect()
    }
}

fn check_protection(set: &SetProtection) -> Checked {
    if set.window_ms > WINDOW_MS_MAX {
        let rejection = field(RejectReason::InvalidProtection, offset_of!(SetProtection, window_ms));
        return Err(rejection.met(WINDOW_MS_MAX, set.window_ms));
    }
    // With a window of zero it removes what is there, whatever the limits say.
    if set.window_ms != 0 {
        check_hits(set)?;
    }
    let offset = offset_of!(SetProtection, class);
    set.class.validate().map_err(|_| field(RejectReason::InvalidCode, offset))
}

fn check_hits(set: &SetProtection) -> Checked {
    let invalid = |offset, limit: u32, value: i64| {
        Err(field(RejectReason::InvalidProtection, offset).met(limit, value))
    };
    let fills = offset_of!(SetProtection, fills_max);
    if set.fills_max == 0 {
        return invalid(fills, 1, 0);
    }
    if set.fills_max > FILLS_MAX {
        return invalid(fills, FILLS_MAX, i64::from(set.fills_max));
    }
    if set.credits_max < MicroEc::ZERO {
        return invalid(offset_of!(SetProtection, credits_max), 0, set.credits_max.raw());
    }
    Ok(())
}
