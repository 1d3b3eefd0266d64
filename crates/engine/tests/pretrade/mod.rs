//! A supervisor who hears what everybody hears, and knows nothing of how the engine decides.

use std::collections::BTreeMap;

use joulebook_protocol::messages::{
    NewOrder, OrderAccepted, OrderCanceled, OrderFilled, OrderReplaced, SetBands, SetLimits,
};
use joulebook_types::{InstrumentId, OrderId, Price, Side};

/// Whole sums in micro-EC.
type Micro = i128;

/// What an order may be, by its instrument.
#[derive(Clone, Debug)]
pub struct Terms {
    pub band_low: i64,
    pub band_high: i64,
    pub dynamic_bps: u32,
    /// The last trade, or the reference price before the first.
    pub last: i64,
    pub tick: i64,
    pub qty_max: u32,
    pub accelerators_per_lot: u32,
    /// Quarter hours of the window, named by class and time.
    pub quarters: Vec<(u8, u32)>,
    pub fee_ppm_max: i32,
}

impl Terms {
    /// Price per accelerator-hour, times lots: a quarter hour is a fourth of one.
    fn value(&self, price: i64, lots: u32) -> Micro {
        let quarters = self.quarters.len() as i128;
        i128::from(price) * i128::from(lots) * i128::from(self.accelerators_per_lot) * quarters / 4
    }

    fn accelerators(&self, lots: u32) -> i128 {
        i128::from(lots) * i128::from(self.accelerators_per_lot)
    }
}

/// One account, by what is publicly agreed and what it was told.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Deposits and all proceeds, less all payments.
    pub cash: Micro,
    pub limits: SetLimits,
    pub killed: bool,
    /// Accelerators: registered, bought and not sold.
    pub owned: BTreeMap<(u8, u32), i128>,
    /// Of these, what was registered.
    pub registered: BTreeMap<(u8, u32), i128>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    account: u32,
    instrument: InstrumentId,
    side: Side,
    /// Zero: whatever the market asks.
    limit: i64,
    leaves: u32,
    /// It counts credits instead of lots, so it is not over when no lots are left.
    by_budget: bool,
}

/// What an account has at risk.
#[derive(Clone, Debug, Default)]
struct Risk {
    open_orders: u32,
    open_value: Micro,
    /// Of open bids with the dearest fee.
    bids: Micro,
    /// Accelerators of open asks, and those bought with open bids, by quarter hour.
    asked: BTreeMap<(u8, u32), i128>,
    window: BTreeMap<(u8, u32), i128>,
}

#[derive(Default)]
pub struct Supervisor {
    pub terms: BTreeMap<InstrumentId, Terms>,
    pub clients: BTreeMap<u32, Client>,
    open: BTreeMap<OrderId, Open>,
    orders_max: usize,
    /// As of the command in hand.
    sender: u32,
    before: Risk,
    bases: BTreeMap<InstrumentId, i64>,
    entered: bool,
}

impl Supervisor {
    pub fn new(orders_max: usize) -> Self {
        Self { orders_max, ..Self::default() }
    }

    /// A command of `sender` is about to be carried out.
    pub fn before(&mut self, sender: u32) {
        self.sender = sender;
        self.before = self.risk(sender);
        self.bases = self.terms.iter().map(|(id, terms)| (*id, terms.last)).collect();
        self.entered = false;
    }

    pub fn set_limits(&mut self, set: &SetLimits) {
        self.clients.entry(set.account.raw()).or_default().limits = *set;
    }

    pub fn set_bands(&mut self, set: &SetBands) {
        let terms = self.terms.get_mut(&set.instrument).expect("a listed instrument");
        (terms.band_low, terms.band_high) = (set.band_low.raw(), set.band_high.raw());
        terms.dynamic_bps = set.dynamic_bps;
    }

    pub fn open_orders_of(&self, account: u32) -> Vec<OrderId> {
        self.open.iter().filter(|(_, open)| open.account == account).map(|(id, _)| *id).collect()
    }

    /// An order was let in: each of its numbers is one that it may have.
    pub fn accepted(&mut self, order: &NewOrder, event: &OrderAccepted) {
        let account = self.sender;
        let (client, terms) = (&self.clients[&account], &self.terms[&order.instrument]);
        assert!(!client.killed, "{account} was switched off");
        assert!(order.qty <= terms.qty_max, "{} lots, {} are allowed", order.qty, terms.qty_max);
        let side = Side::from_raw(event.side).expect("a side");
        let cap = i128::from(client.limits.order_value_max.raw());
        let value = match order.order_type {
            0 => self.counted(order.instrument, side, order.price.raw(), order.qty),
            1 => 0,
            _ => order.budget.raw().into(),
        };
        assert!(cap == 0 || value <= cap, "an order worth {value}, {cap} is allowed");
        if order.order_type == 0 {
            self.check_price(order.instrument, side, order.price);
        }
        let limit = if order.order_type == 0 { order.price.raw() } else { 0 };
        let open = Open {
            account,
            instrument: order.instrument,
            side,
            limit,
            leaves: order.qty,
            by_budget: order.order_type == 2,
        };
        self.open.insert(event.order_id, open);
        self.entered = true;
    }

    /// What an order counts for against the cap on one: a seller is paid what the market pays, if that is more than its
    /// limit.
    fn counted(&self, instrument: InstrumentId, side: Side, limit: i64, lots: u32) -> Micro {
        let price = match side {
            Side::Buy => limit,
            Side::Sell => limit.max(self.bases[&instrument]),
        };
        self.terms[&instrument].value(price, lots)
    }

    /// An order has a new price and size: if it counts for more than before, as if it were new.
    pub fn replaced(&mut self, event: &OrderReplaced) {
        let old = self.open[&event.order_id];
        let terms = &self.terms[&old.instrument];
        let cap = i128::from(self.clients[&old.account].limits.order_value_max.raw());
        let counted = |price, lots| self.counted(old.instrument, old.side, price, lots);
        let (value, was) = (counted(event.price.raw(), event.leaves_qty), counted(old.limit, old.leaves));
        assert!(cap == 0 || value <= cap || value <= was, "an order worth {value}, {cap} is allowed");
        assert!(event.qty <= terms.qty_max);
        if event.price.raw() != old.limit {
            self.check_price(old.instrument, old.side, event.price);
        }
        let open = self.open.get_mut(&event.order_id).expect("it is open");
        (open.limit, open.leaves) = (event.price.raw(), event.leaves_qty);
        self.entered = true;
    }

    /// The collar: a multiple of the tick, within the band, and not too far beyond the last trade.
    fn check_price(&self, instrument: InstrumentId, side: Side, price: Price) {
        let (terms, price) = (&self.terms[&instrument], price.raw());
        assert!(price > 0 && price % terms.tick == 0, "off the tick: {price}");
        assert!((terms.band_low..=terms.band_high).contains(&price), "{price} lies outside of the band");
        assert!(
            self.is_near(instrument, side, price),
            "{price} lies too far beyond {}",
            self.bases[&instrument]
        );
    }

    /// In whole numbers: `price <= base * (1 + bps / 10,000)` for a buyer.
    fn is_near(&self, instrument: InstrumentId, side: Side, price: i64) -> bool {
        let (bps, base) =
            (i128::from(self.terms[&instrument].dynamic_bps), i128::from(self.bases[&instrument]));
        let price = i128::from(price) * 10_000;
        bps == 0
            || match side {
                Side::Buy => price <= base * (10_000 + bps),
                Side::Sell => price >= base * (10_000 - bps),
            }
    }

    pub fn filled(&mut self, event: &OrderFilled) {
        let Open { account, instrument, side, limit, .. } = self.open[&event.order_id];
        let price = event.price.raw();
        let better = match side {
            Side::Buy => price <= limit,
            Side::Sell => price >= limit,
        };
        assert!(limit == 0 || better, "a trade at {price} beyond the limit {limit}");
        let terms = self.terms.get_mut(&instrument).expect("a listed instrument");
        terms.last = price;
        let (value, accelerators) = (terms.value(price, event.qty), terms.accelerators(event.qty));
        let sign = if side == Side::Buy { 1 } else { -1 };
        let client = self.clients.get_mut(&account).expect("a client");
        client.cash -= sign * value + i128::from(event.fee.raw());
        for quarter in &terms.quarters {
            *client.owned.entry(*quarter).or_default() += sign * accelerators;
        }
        if event.liquidity == 2 {
            assert!(self.is_near(instrument, side, price), "a taker traded at {price}, too far away");
        }
        let open = self.open.get_mut(&event.order_id).expect("it is open");
        open.leaves = event.leaves_qty;
        if event.leaves_qty == 0 && !open.by_budget {
            self.open.remove(&event.order_id);
        }
    }

    pub fn canceled(&mut self, event: &OrderCanceled) {
        self.open.remove(&event.order_id);
    }

    /// Budget orders end without an event of the order itself.
    pub fn ended(&mut self, order: OrderId) {
        self.open.remove(&order);
    }

    /// The command was carried out: nobody has more at risk than it may, by what it did itself.
    pub fn after(&self) {
        assert!(self.open.len() <= self.orders_max, "{} orders are open", self.open.len());
        for (account, client) in &self.clients {
            assert!(client.cash >= 0, "{account} owes {}", -client.cash);
            assert!(client.owned.values().all(|owned| *owned >= 0), "{account} sold what it had not");
        }
        if !self.entered {
            return;
        }
        let (risk, client) = (self.risk(self.sender), &self.clients[&self.sender]);
        let SetLimits { open_value_max, open_orders_max, window_accelerators_max, .. } = client.limits;
        assert!(risk.bids <= client.cash, "bids of {} with {} at hand", risk.bids, client.cash);
        for (quarter, asked) in &risk.asked {
            assert!(
                *asked <= client.owned.get(quarter).copied().unwrap_or_default(),
                "capacity is sold twice"
            );
        }
        let within = |cap: i128, before: i128, now: i128| cap == 0 || now <= cap || now <= before;
        let (cap, before) = (open_orders_max.into(), self.before.open_orders.into());
        assert!(within(cap, before, risk.open_orders.into()), "{} open orders of {cap}", risk.open_orders);
        let cap = open_value_max.raw().into();
        assert!(within(cap, self.before.open_value, risk.open_value), "{} open of {cap}", risk.open_value);
        for (quarter, now) in &risk.window {
            let before = self.before.window.get(quarter).copied().unwrap_or_default();
            let cap = i128::from(window_accelerators_max);
            assert!(within(cap, before, *now), "{now} accelerators in one window of {cap}");
        }
    }

    fn risk(&self, account: u32) -> Risk {
        let mut risk = Risk::default();
        let Some(client) = self.clients.get(&account) else { return risk };
        for (quarter, owned) in &client.owned {
            let registered = client.registered.get(quarter).copied().unwrap_or_default();
            risk.window.insert(*quarter, owned - registered);
        }
        for open in self.open.values().filter(|open| open.account == account) {
            let terms = &self.terms[&open.instrument];
            let value = terms.value(open.limit, open.leaves);
            risk.open_orders += 1;
            risk.open_value += value;
            let into = match open.side {
                Side::Buy => {
                    risk.bids += value + value * i128::from(terms.fee_ppm_max) / 1_000_000;
                    &mut risk.window
                }
                Side::Sell => &mut risk.asked,
            };
            for quarter in &terms.quarters {
                *into.entry(*quarter).or_default() += terms.accelerators(open.leaves);
            }
        }
        risk
    }
}
