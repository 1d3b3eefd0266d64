//! Caps on what an account may have at risk, and the running figures that they are compared with.

use core::mem::offset_of;
use std::collections::BTreeMap;

use joulebook_ledger::{AccountIx, AssetIx, KeyMap, pair_key};
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::SetLimits;
use joulebook_types::{MicroEc, OrderType, Price, Qty, Side};

use crate::accounts::Account;
use crate::holds::Promise;
use crate::instruments::InstrumentIx;
use crate::recount::OpenFigures;
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

/// What an account may have at risk. Zero means no cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) open_orders_max: u32,
    /// Of one order, as `counted_value` has it.
    pub(crate) order_value_max: MicroEc,
    /// Of all open orders together.
    pub(crate) open_value_max: MicroEc,
    /// Accelerators bought, less those sold, with open bids, in any quarter hour.
    pub(crate) window_accelerators_max: u32,
}

impl Limits {
    /// Whether the account has no cap at all, as nearly all have none.
    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        let Self { open_orders_max, order_value_max, open_value_max, window_accelerators_max } = *self;
        let values = order_value_max.raw() | open_value_max.raw();
        open_orders_max | window_accelerators_max == 0 && values == 0
    }
}

/// Accelerators that open bids want, by account and slot; kept for accounts with a cap on them only.
#[derive(Debug, Default)]
pub(crate) struct OpenBids(KeyMap<u64>);

impl OpenBids {
    pub(crate) fn get(&self, account: AccountIx, asset: AssetIx) -> u64 {
        self.0.get(key(account, asset)).copied().unwrap_or(0)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn set(&mut self, account: AccountIx, asset: AssetIx, accelerators: u64) {
        match accelerators {
            0 => _ = self.0.remove(key(account, asset)),
            wanted => self.0.insert(key(account, asset), wanted),
        }
    }
}

fn key(account: AccountIx, asset: AssetIx) -> u64 {
    pair_key(account.raw(), asset.index() as u32)
}

impl Engine {
    pub(crate) fn set_limits(
        &mut self,
        session: SessionIx,
        set: &SetLimits,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let unknown = Rejection::field(RejectReason::UnknownAccount, offset_of!(SetLimits, account));
        let account = self.accounts.find(set.account).ok_or(unknown)?;
        let values = [
            (set.order_value_max, offset_of!(SetLimits, order_value_max)),
            (set.open_value_max, offset_of!(SetLimits, open_value_max)),
        ];
        if let Some((value, offset)) = values.into_iter().find(|(value, _)| *value < MicroEc::ZERO) {
            return Err(Rejection::field(RejectReason::AmountNotPositive, offset).met(0, value.raw()));
        }
        self.forget_open_bids(account);
        self.accounts[account].limits = Limits {
            open_orders_max: set.open_orders_max,
            order_value_max: set.order_value_max,
            open_value_max: set.open_value_max,
            window_accelerators_max: set.window_accelerators_max,
        };
        self.count_open_bids(account);
        self.note_entry_of_account(account);
        Ok(self.request_done(session, set, u64::from(set.account.raw()), out))
    }

    /// The caps on one order, by the numbers of their codes. `given` is its old part in a replace, `new_orders` how many
    /// open orders it adds: none when it never rests.
    #[inline(always)]
    pub(crate) fn check_caps(
        &self,
        wanted: &Promise,
        given: Option<&Promise>,
        order_type: OrderType,
        new_orders: u32,
        qty_offset: usize,
    ) -> Result<(), Rejection> {
        if self.accounts[wanted.account].limits.is_none() {
            return Ok(());
        }
        self.check_each_cap(wanted, given, order_type, new_orders, qty_offset)
    }

    #[cold]
    fn check_each_cap(
        &self,
        wanted: &Promise,
        given: Option<&Promise>,
        order_type: OrderType,
        new_orders: u32,
        qty_offset: usize,
    ) -> Result<(), Rejection> {
        let account = wanted.account;
        self.check_open_order_cap(account, new_orders)?;
        let counted = self.counted_value(wanted, order_type);
        if given.is_none_or(|given| counted > self.counted_value(given, order_type)) {
            self.check_order_value(account, counted, qty_offset)?;
        }
        let value = self.value(wanted);
        let old_value = given.map_or(MicroEc::ZERO, |given| self.value(given));
        if value > old_value && (new_orders > 0 || given.is_some()) {
            let more = i128::from((value - old_value).raw());
            self.check_open_value_cap(account, more, qty_offset)?;
        }
        let old_lots = given.map_or(0, |given| given.lots);
        if wanted.side == Side::Buy && wanted.lots > old_lots {
            let instrument = &self.instruments[wanted.instrument];
            let more = instrument.accelerators(wanted.lots - old_lots);
            self.check_window_cap(account, wanted.instrument, more, qty_offset)?;
        }
        Ok(())
    }

    pub(crate) fn check_open_order_cap(&self, account: AccountIx, new_orders: u32) -> Result<(), Rejection> {
        let cap = self.accounts[account].limits.open_orders_max;
        let would_be = u64::from(self.accounts[account].open_orders) + u64::from(new_orders);
        if cap == 0 || new_orders == 0 || would_be <= u64::from(cap) {
            return Ok(());
        }
        Err(Rejection::whole(RejectReason::OpenOrderCap).met(cap, would_be))
    }

    /// The cap on the value of one order.
    pub(crate) fn check_order_value(
        &self,
        account: AccountIx,
        value: MicroEc,
        offset: usize,
    ) -> Result<(), Rejection> {
        let cap = self.accounts[account].limits.order_value_max;
        if cap == MicroEc::ZERO || value <= cap {
            return Ok(());
        }
        Err(Rejection::field(RejectReason::OrderValueCap, offset).met(cap.raw(), value.raw()))
    }

    /// `more` is by how much the account's open orders would be worth more, in micro-EC.
    pub(crate) fn check_open_value_cap(
        &self,
        account: AccountIx,
        more: i128,
        offset: usize,
    ) -> Result<(), Rejection> {
        let cap = self.accounts[account].limits.open_value_max;
        let would_be = self.accounts[account].open_value + more;
        if cap == MicroEc::ZERO || would_be <= i128::from(cap.raw()) {
            return Ok(());
        }
        Err(Rejection::field(RejectReason::OpenValueCap, offset).met(cap.raw(), would_be))
    }

    /// `more` accelerators that the account would want in every slot of the instrument.
    pub(crate) fn check_window_cap(
        &self,
        account: AccountIx,
        ix: InstrumentIx,
        more: u64,
        offset: usize,
    ) -> Result<(), Rejection> {
        let cap = self.accounts[account].limits.window_accelerators_max;
        if cap == 0 {
            return Ok(());
        }
        for asset in &self.instruments[ix].assets {
            let would_be = self.window_use(account, *asset) + i128::from(more);
            if would_be > i128::from(cap) {
                return Err(Rejection::field(RejectReason::WindowCap, offset).met(cap, would_be));
            }
        }
        Ok(())
    }

    /// Accelerators that the window cap still lets the account buy in every slot of the instrument; `None` without cap.
    #[inline]
    pub(crate) fn window_room(&self, account: AccountIx, ix: InstrumentIx) -> Option<u64> {
        match self.accounts[account].limits.window_accelerators_max {
            0 => None,
            cap => Some(self.room_below(cap, account, ix)),
        }
    }

    fn room_below(&self, cap: u32, account: AccountIx, ix: InstrumentIx) -> u64 {
        let used = self.instruments[ix].assets.iter().map(|asset| self.window_use(account, *asset)).max();
        let room = i128::from(cap) - used.unwrap_or(0);
        u64::try_from(room).unwrap_or(0)
    }

    /// Accelerators that the account bought and did not sell, with those that its open bids want. Below zero when it
    /// sold what it registered. Bids are counted only for accounts with a cap.
    pub(crate) fn window_use(&self, account: AccountIx, asset: AssetIx) -> i128 {
        let bought = self.ledger.position(account, asset).map_or(0, |position| {
            i128::from(position.free + position.held) - i128::from(position.registered)
        });
        bought + i128::from(self.open_bids.get(account, asset))
    }

    /// What a promise counts for against the cap on one order. A seller is not paid its limit but what the market pays,
    /// and an order without a price of its own trades at what the market asks, not at the edge of the band: both count
    /// at the step's base, if there is one. What fits no balance counts as the largest that does.
    pub(crate) fn counted_value(&self, promise: &Promise, order_type: OrderType) -> MicroEc {
        let instrument = &self.instruments[promise.instrument];
        let base = instrument.prices.base(self.step);
        let price: Price = match (order_type, promise.side) {
            (OrderType::Limit, Side::Buy) => promise.limit,
            (OrderType::Limit, Side::Sell) => base.map_or(promise.limit, |base| base.max(promise.limit)),
            (OrderType::Market | OrderType::Budget, Side::Buy | Side::Sell) => base.unwrap_or(promise.limit),
        };
        instrument.lot.notional(price, Qty::from(promise.lots)).unwrap_or(MicroEc::MAX)
    }

    /// What a promise that passed `check_notional` is worth: price times quantity.
    #[inline]
    pub(crate) fn value(&self, promise: &Promise) -> MicroEc {
        let lot = self.instruments[promise.instrument].lot;
        lot.notional(promise.limit, Qty::from(promise.lots)).expect("it was checked on entry")
    }

    /// Counts lots of an open order, or of one on its way to be one. Ticks make values add up exactly.
    pub(crate) fn count_open(&mut self, promise: &Promise) {
        self.count_open_value(promise, self.value(promise));
    }

    /// The same with what they are worth.
    #[inline(always)]
    pub(crate) fn count_open_value(&mut self, promise: &Promise, value: MicroEc) {
        self.accounts[promise.account].open_value += i128::from(value.raw());
        self.count_bid(promise, |wanted, more| wanted + more);
    }

    /// Counts lots that traded or ended.
    pub(crate) fn uncount_open(&mut self, promise: &Promise) {
        self.uncount_open_value(promise, self.value(promise));
    }

    /// The same with what they are worth.
    #[inline(always)]
    pub(crate) fn uncount_open_value(&mut self, promise: &Promise, value: MicroEc) {
        self.accounts[promise.account].open_value -= i128::from(value.raw());
        self.count_bid(promise, taken_off);
    }

    /// Takes lots that were bid off what an account with a cap on them has open.
    #[cold]
    pub(crate) fn uncount_lots_bid(&mut self, account: AccountIx, ix: InstrumentIx, lots: u32) {
        self.change_open_bids(account, ix, lots, taken_off);
    }

    /// Only bids of accounts with a cap on them are counted.
    #[inline]
    fn count_bid(&mut self, promise: &Promise, change: impl Fn(u64, u64) -> u64) {
        let Promise { account, instrument, side, lots, .. } = *promise;
        if side == Side::Buy && self.accounts[account].limits.window_accelerators_max != 0 {
            self.change_open_bids(account, instrument, lots, change);
        }
    }

    /// Gets values, not the promise: that would have to lie in memory wherever one is counted.
    #[cold]
    fn change_open_bids(
        &mut self,
        account: AccountIx,
        ix: InstrumentIx,
        lots: u32,
        change: impl Fn(u64, u64) -> u64,
    ) {
        let instrument = &self.instruments[ix];
        let accelerators = instrument.accelerators(lots);
        for asset in &instrument.assets {
            let wanted = change(self.open_bids.get(account, *asset), accelerators);
            self.open_bids.set(account, *asset, wanted);
        }
    }

    /// Whether the running figures of the account's open orders are what these orders add up to; adds the account's
    /// figures of open bids to `open_bids`.
    pub(crate) fn are_open_figures(
        &self,
        account: AccountIx,
        open: &OpenFigures,
        open_bids: &mut usize,
    ) -> bool {
        let Account { limits, open_value, open_orders, .. } = &self.accounts[account];
        let capped = limits.window_accelerators_max != 0;
        let bids = if capped { self.by_slot(&open.bought) } else { BTreeMap::new() };
        *open_bids += bids.len();
        open.orders == *open_orders
            && open.value == *open_value
            && bids.iter().all(|(asset, wanted)| u128::from(self.open_bids.get(account, *asset)) == *wanted)
    }

    /// Counts the open bids of an account whose cap is new.
    pub(crate) fn count_open_bids(&mut self, account: AccountIx) {
        self.for_each_open_order(account, |engine, promise| {
            engine.count_bid(promise, |wanted, more| wanted + more);
        });
    }

    /// Forgets the open bids of an account before its cap changes.
    fn forget_open_bids(&mut self, account: AccountIx) {
        self.for_each_open_order(account, |engine, promise| engine.count_bid(promise, |_, _| 0));
    }

    fn for_each_open_order(&mut self, account: AccountIx, mut visit: impl FnMut(&mut Self, &Promise)) {
        for index in 0..self.accounts[account].sessions.len() {
            let list = self.sessions[self.accounts[account].sessions[index]].orders;
            let mut next = self.orders.first_of_session(&list);
            while let Some(slot) = next {
                next = self.orders.next_of_session(&list, slot);
                let promise = self.promise_at(slot);
                visit(self, &promise);
            }
        }
    }
}

/// What is left of the accelerators that an account's open bids want.
fn taken_off(wanted: u64, less: u64) -> u64 {
    wanted.checked_sub(less).expect("only what was counted is taken off")
}
