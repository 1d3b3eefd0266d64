//! Who owns what. Balances are totals: what open orders hold of them is added up from the orders when it is asked for.

use joulebook_types::{AccountId, AreaCode, ClassCode, MicroEc, Price, Qty, QuarterSlot, Roles, Side};

use crate::market::{Instrument, Market};
use crate::orders::{Order, Work};

/// What a quarter hour of capacity is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlotKey {
    pub(crate) class: ClassCode,
    pub(crate) area: AreaCode,
    pub(crate) slot: QuarterSlot,
}

/// An account, with what it owns.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) roles: Roles,
    pub(crate) self_trade_group: u32,
    /// Credits, those that open orders hold included and those in escrow not.
    pub(crate) credits: i64,
    /// In the order in which they came into being.
    pub(crate) holdings: Vec<Holding>,
    pub(crate) limits: Limits,
    /// By whom the kill switch was set, if it is.
    pub(crate) killed: Option<KilledBy>,
}

/// What one account has in one slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    pub(crate) slot: SlotKey,
    /// Accelerators that the account has to deliver.
    pub(crate) registered: i64,
    /// Accelerators that it has, those that open orders hold included.
    pub(crate) balance: i64,
    /// Proceeds that wait for delivery.
    pub(crate) escrow: i64,
}

/// What an account may have at risk; zero means no cap.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) order_value_max: i64,
    pub(crate) open_value_max: i64,
    pub(crate) open_orders_max: u32,
    pub(crate) window_accelerators_max: u32,
}

/// Who set a kill switch: a trader must not undo what an operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KilledBy {
    Trader,
    Operator,
}

/// `ppm` millionths of an amount, rounded toward zero.
pub(crate) fn fee(notional: i64, ppm: i32) -> i64 {
    MicroEc::new(notional).ppm(ppm).raw()
}

impl Instrument {
    /// What `lots` lots cost at `price`; `None` when it fits no balance.
    pub(crate) fn notional(&self, price: Price, lots: u32) -> Option<i64> {
        self.lot.notional(price, Qty::from(lots)).map(MicroEc::raw)
    }

    /// The dearest fee that a buyer may have to pay.
    fn fee_ppm_max(&self) -> i32 {
        self.taker_fee_ppm.max(self.maker_fee_ppm).max(0)
    }

    /// What a bid for `lots` lots holds.
    pub(crate) fn bid_hold(&self, limit: Price, lots: u32) -> Option<i64> {
        let notional = self.notional(limit, lots)?;
        notional.checked_add(fee(notional, self.fee_ppm_max()))
    }

    /// Accelerators in `lots` lots, in every slot of the window.
    pub(crate) fn accelerators(&self, lots: u32) -> i64 {
        i64::from(self.lot.accelerators()) * i64::from(lots)
    }
}

impl Market {
    /// What an order holds by itself: credits if it buys, accelerators in every slot of its window if it sells.
    fn hold_alone(&self, order: &Order) -> i64 {
        let instrument = &self.instruments[order.instrument];
        match order.side {
            Side::Buy if order.pays_from_free => 0,
            Side::Buy => {
                instrument.bid_hold(order.limit, order.leaves).expect("checked when the order entered")
            }
            Side::Sell if order.pays_from_free => 0,
            Side::Sell => instrument.accelerators(order.leaves),
        }
    }

    /// What an order holds: linked orders together the larger of the two.
    fn hold(&self, order: &Order) -> i64 {
        let own = self.hold_alone(order);
        match order.partner.and_then(|partner| self.orders.get(&partner)) {
            Some(partner) if order.work == Work::Waiting && partner.work != Work::Waiting => {
                (own - self.hold_alone(partner)).max(0)
            }
            // While both are on their way in, the later of them is the stop.
            Some(_) | None => own,
        }
    }

    /// Credits that the account's open orders hold, those of `without` left out.
    fn held_without(&self, account: usize, without: &[joulebook_types::OrderId]) -> i64 {
        let orders = self.orders.values().filter(|order| order.account == account);
        let bids = orders.filter(|order| order.side == Side::Buy && !without.contains(&order.id));
        bids.map(|order| self.hold(order)).sum()
    }

    pub(crate) fn held(&self, account: usize) -> i64 {
        self.held_without(account, &[])
    }

    pub(crate) fn free(&self, account: usize) -> i64 {
        self.free_without(account, &[])
    }

    /// Free credits as if the orders `without` were gone.
    pub(crate) fn free_without(&self, account: usize, without: &[joulebook_types::OrderId]) -> i64 {
        self.accounts[account].credits - self.held_without(account, without)
    }

    pub(crate) fn holding(&self, account: usize, slot: SlotKey) -> Option<&Holding> {
        self.accounts[account].holdings.iter().find(|holding| holding.slot == slot)
    }

    /// The account's holding in the slot, made when it has none yet.
    pub(crate) fn open_holding(&mut self, account: usize, slot: SlotKey) -> &mut Holding {
        let holdings = &mut self.accounts[account].holdings;
        let index = match holdings.iter().position(|holding| holding.slot == slot) {
            Some(index) => index,
            None => {
                holdings.push(Holding { slot, registered: 0, balance: 0, escrow: 0 });
                holdings.len() - 1
            }
        };
        &mut holdings[index]
    }

    /// Accelerators of the slot that the account's open orders hold, those of `without` left out.
    pub(crate) fn held_capacity(
        &self,
        account: usize,
        slot: SlotKey,
        without: &[joulebook_types::OrderId],
    ) -> i64 {
        let orders = self.orders.values().filter(|order| order.account == account);
        let asks = orders.filter(|order| order.side == Side::Sell && !without.contains(&order.id));
        let in_slot = asks.filter(|order| self.instruments[order.instrument].slots.contains(&slot));
        in_slot.map(|order| self.hold(order)).sum()
    }

    /// Accelerators of the slot that the account could sell as if the orders `without` were gone.
    pub(crate) fn free_in_slot(
        &self,
        account: usize,
        slot: SlotKey,
        without: &[joulebook_types::OrderId],
    ) -> i64 {
        let balance = self.holding(account, slot).map_or(0, |holding| holding.balance);
        balance - self.held_capacity(account, slot, without)
    }

    /// Accelerators that the account could sell in all slots of the instrument together.
    pub(crate) fn free_capacity(
        &self,
        account: usize,
        instrument: usize,
        without: &[joulebook_types::OrderId],
    ) -> i64 {
        let slots = self.instruments[instrument].slots.iter();
        slots.map(|slot| self.free_in_slot(account, *slot, without)).min().unwrap_or(0)
    }

    /// Moves capacity from the seller to the buyer, and credits from the buyer to the seller, its escrow and the fees.
    ///
    /// In every slot, what the seller has beyond its registration was bought and is sold first. The rest of what it
    /// sells is registered capacity: that share of the slot's proceeds, rounded up, waits in escrow for delivery. The
    /// seller's fee comes out of the free part first, then out of the slots' escrow in proportion.
    pub(crate) fn settle(&mut self, trade: &Settlement) {
        let slots = self.instruments[trade.instrument].slots.clone();
        let share = trade.notional / slots.len() as i64;
        assert!(share * slots.len() as i64 == trade.notional, "an exact tick divides over the quarter hours");
        let to_escrow: Vec<i64> = slots.iter().map(|slot| self.escrow_part(trade, *slot, share)).collect();
        let escrow_total: i64 = to_escrow.iter().sum();
        let free_part = trade.notional - escrow_total;
        let fee_from_free = trade.seller_fee.min(free_part);
        let fee_from_escrow = trade.seller_fee - fee_from_free;
        let mut escrow_so_far = 0;
        for (slot, escrow) in slots.iter().zip(to_escrow) {
            let before = proportion(fee_from_escrow, escrow_so_far, escrow_total);
            escrow_so_far += escrow;
            let fee = proportion(fee_from_escrow, escrow_so_far, escrow_total) - before;
            self.open_holding(trade.buyer, *slot).balance += trade.accelerators;
            let seller = self.open_holding(trade.seller, *slot);
            seller.balance -= trade.accelerators;
            seller.escrow += escrow - fee;
        }
        self.accounts[trade.seller].credits += free_part - fee_from_free;
        self.accounts[trade.buyer].credits -= trade.notional + trade.buyer_fee;
        self.fees += trade.buyer_fee + trade.seller_fee;
    }

    fn escrow_part(&self, trade: &Settlement, slot: SlotKey, share: i64) -> i64 {
        let holding = self.holding(trade.seller, slot).expect("a seller has what it sells");
        let bought = (holding.balance - holding.registered).clamp(0, trade.accelerators);
        let registered = i128::from(trade.accelerators - bought);
        let sold = i128::from(trade.accelerators);
        ((i128::from(share) * registered + sold - 1) / sold) as i64
    }
}

/// One trade, as the ledger sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settlement {
    pub(crate) instrument: usize,
    pub(crate) buyer: usize,
    pub(crate) seller: usize,
    pub(crate) accelerators: i64,
    pub(crate) notional: i64,
    pub(crate) buyer_fee: i64,
    pub(crate) seller_fee: i64,
}

/// `amount * part / whole`, rounded toward zero; nothing of nothing.
fn proportion(amount: i64, part: i64, whole: i64) -> i64 {
    if amount == 0 { 0 } else { (i128::from(amount) * i128::from(part) / i128::from(whole)) as i64 }
}
