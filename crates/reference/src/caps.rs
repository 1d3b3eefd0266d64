//! What an account may have at risk.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::SetLimits;
use joulebook_types::{MicroEc, Price, Side};

use crate::ledger::{Limits, SlotKey};
use crate::market::Market;
use crate::orders::{Order, Work};
use crate::rejection::{Checked, field, whole};

impl Market {
    pub(crate) fn set_limits(&mut self, session: usize, set: &SetLimits) -> Checked {
        let unknown = field(RejectReason::UnknownAccount, offset_of!(SetLimits, account));
        let account = self.find_account(set.account).ok_or(unknown)?;
        let amounts = [
            (set.order_value_max, offset_of!(SetLimits, order_value_max)),
            (set.open_value_max, offset_of!(SetLimits, open_value_max)),
        ];
        for (amount, offset) in amounts {
            if amount < MicroEc::ZERO {
                return Err(field(RejectReason::AmountNotPositive, offset).met(0, amount.raw()));
            }
        }
        self.accounts[account].limits = Limits {
            order_value_max: set.order_value_max.raw(),
            open_value_max: set.open_value_max.raw(),
            open_orders_max: set.open_orders_max,
            window_accelerators_max: set.window_accelerators_max,
        };
        self.request_done::<SetLimits>(session, set.client_order_id, u64::from(set.account.raw()));
        Ok(())
    }

    /// What an order's open lots are worth at its limit.
    pub(crate) fn value_of(&self, order: &Order) -> i64 {
        let instrument = &self.instruments[order.instrument];
        instrument.notional(order.limit, order.leaves).expect("checked when the order entered")
    }

    /// What an order counts for against the cap on one order.
    pub(crate) fn counted_value(&self, order: &Order) -> i64 {
        if !order.market {
            return self.counted_at(order.instrument, order.side, order.limit, order.leaves);
        }
        let instrument = &self.instruments[order.instrument];
        let price = instrument.step_base.unwrap_or(order.limit);
        instrument.notional(price, order.leaves).unwrap_or(i64::MAX)
    }

    /// The same of lots with a limit: a seller may be paid more than it asks.
    pub(crate) fn counted_at(&self, index: usize, side: Side, limit: Price, lots: u32) -> i64 {
        let instrument = &self.instruments[index];
        let price = match side {
            Side::Buy => limit,
            Side::Sell => limit.max(instrument.step_base.unwrap_or(limit)),
        };
        instrument.notional(price, lots).unwrap_or(i64::MAX)
    }

    /// What the account's open orders are worth together.
    pub(crate) fn open_value(&self, account: usize) -> i128 {
        let own = self.orders.values().filter(|order| order.account == account && order.work != Work::InHand);
        own.map(|order| i128::from(self.value_of(order))).sum()
    }

    /// Accelerators of the slot that the account bought beyond what it sold, and those that its open bids want.
    pub(crate) fn window_accelerators(&self, account: usize, slot: SlotKey) -> i64 {
        let net = self.holding(account, slot).map_or(0, |holding| holding.balance - holding.registered);
        let bids = self.orders.values().filter(|order| {
            order.account == account && order.side == Side::Buy && order.work != Work::InHand
        });
        let in_slot = bids.filter(|order| self.instruments[order.instrument].slots.contains(&slot));
        let wanted = in_slot.map(|order| self.instruments[order.instrument].accelerators(order.leaves));
        net + wanted.sum::<i64>()
    }

    pub(crate) fn check_open_orders(&self, account: usize, more: usize) -> Checked {
        let cap = self.accounts[account].limits.open_orders_max;
        let open = self.orders.values().filter(|order| order.account == account).count();
        if cap == 0 || open + more <= cap as usize {
            return Ok(());
        }
        Err(whole(RejectReason::OpenOrderCap).met(cap, open + more))
    }

    pub(crate) fn check_order_value(&self, account: usize, value: impl Into<i128>, offset: usize) -> Checked {
        let (cap, value) = (self.accounts[account].limits.order_value_max, value.into());
        if cap == 0 || value <= i128::from(cap) {
            return Ok(());
        }
        Err(field(RejectReason::OrderValueCap, offset).met(cap, value))
    }

    /// `more` is what the account's open orders gain.
    pub(crate) fn check_open_value(&self, account: usize, more: impl Into<i128>, offset: usize) -> Checked {
        let cap = self.accounts[account].limits.open_value_max;
        let value = self.open_value(account) + more.into();
        if cap == 0 || value <= i128::from(cap) {
            return Ok(());
        }
        Err(field(RejectReason::OpenValueCap, offset).met(cap, value))
    }

    /// `more` is what the account's bids gain in every slot of the instrument.
    pub(crate) fn check_window(&self, account: usize, index: usize, more: i64, offset: usize) -> Checked {
        let cap = self.accounts[account].limits.window_accelerators_max;
        for slot in &self.instruments[index].slots {
            let would = self.window_accelerators(account, *slot) + more;
            if cap != 0 && would > i64::from(cap) {
                return Err(field(RejectReason::WindowCap, offset).met(cap, would));
            }
        }
        Ok(())
    }

    /// Lots up to `wanted` of the instrument that the account may still buy in every slot of the window.
    pub(crate) fn lots_within_cap(&self, account: usize, index: usize, wanted: u32) -> u32 {
        let instrument = &self.instruments[index];
        let cap = i64::from(self.accounts[account].limits.window_accelerators_max);
        if cap == 0 {
            return wanted;
        }
        let room = |slot: &SlotKey| (cap - self.window_accelerators(account, *slot)).max(0);
        let room = instrument.slots.iter().map(room).min().unwrap_or(0);
        let lots = room / instrument.accelerators(1);
        u32::try_from(lots).unwrap_or(u32::MAX).min(wanted)
    }
}
