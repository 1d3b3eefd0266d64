//! Linked orders over several books: every leg whole at its limit, or nothing at all.

use core::mem::{offset_of, size_of};

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{Basket, BasketLeg, LegDone, SweepDone};
use joulebook_types::{ClientOrderId, InstrumentId, MicroEc, OrderId, Phase, Price, SelfTradeMode, Side};

use crate::market::{Instrument, Market};
use crate::matching::End;
use crate::orders::{Order, Tally};
use crate::rejection::{Checked, Lowest, Rejection, field, invalid_choice, whole};
use crate::tokens::{check_distinct, check_no_decrement};

/// One leg that met the rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    pub(crate) index: usize,
    pub(crate) side: Side,
    pub(crate) limit: Price,
    pub(crate) qty: u32,
}

/// The request that legs belong to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) session: usize,
    pub(crate) client_order_id: ClientOrderId,
    pub(crate) self_trade: SelfTradeMode,
}

impl Market {
    pub(crate) fn basket(&mut self, session: usize, basket: &Basket) -> Checked<OrderId> {
        let client_order_id = basket.client_order_id;
        let self_trade = check_no_decrement(basket.self_trade, offset_of!(Basket, self_trade))?;
        let request = Request { session, client_order_id, self_trade };
        let legs = self.check_basket(request, basket)?;
        Ok(self.execute(request, &legs))
    }

    fn check_basket(&self, request: Request, basket: &Basket) -> Checked<Vec<Leg>> {
        let count = usize::from(basket.count);
        let named = &basket.legs[..count.min(Basket::LEGS_MAX)];
        let mut sides = Vec::new();
        for (number, leg) in named.iter().enumerate() {
            let unknown = invalid_choice(offset_of_leg(number, offset_of!(BasketLeg, side)), leg.side);
            sides.push(Side::from_raw(leg.side).ok_or(unknown.of_instrument(leg.instrument))?);
        }
        self.check_enabled(request.session)?;
        let of_instrument = |number| offset_of_leg(number, offset_of!(BasketLeg, instrument));
        let parts: Vec<(InstrumentId, usize)> =
            named.iter().enumerate().map(|(number, leg)| (leg.instrument, of_instrument(number))).collect();
        let indices = self.check_parts(&parts, |phase| phase == Phase::Open)?;
        let legs: Vec<Leg> = named
            .iter()
            .zip(indices.iter().zip(sides))
            .map(|(leg, (index, side))| Leg { index: *index, side, limit: leg.price, qty: leg.qty })
            .collect();
        self.check_leg_rules(&legs)?;
        let account = self.account_of(request.session);
        self.check_leg_credits(account, &legs)?;
        self.check_leg_capacity(account, &legs, |number| offset_of_leg(number, offset_of!(BasketLeg, qty)))?;
        self.check_fillable(request, &legs)?;
        self.check_leg_values(account, &legs)?;
        self.check_leg_windows(account, &legs, |number| offset_of_leg(number, offset_of!(BasketLeg, qty)))?;
        if count == 0 || count > Basket::LEGS_MAX {
            let rejection = field(RejectReason::InstrumentCount, offset_of!(Basket, count));
            return Err(rejection.met(Basket::LEGS_MAX, count));
        }
        check_distinct(&parts)?;
        Ok(legs)
    }

    fn of_leg(&self, leg: &Leg) -> impl Fn(Rejection) -> Rejection {
        let instrument = self.instruments[leg.index].id;
        move |rejection| rejection.of_instrument(instrument)
    }

    /// Rules 23 to 28 of each leg.
    fn check_leg_rules(&self, legs: &[Leg]) -> Checked {
        let mut lowest = Lowest::default();
        for (number, leg) in legs.iter().enumerate() {
            lowest.add(self.check_leg(number, leg).map_err(self.of_leg(leg)));
        }
        lowest.answer()
    }

    fn check_leg(&self, number: usize, leg: &Leg) -> Checked {
        let qty = offset_of_leg(number, offset_of!(BasketLeg, qty));
        let price = offset_of_leg(number, offset_of!(BasketLeg, price));
        if leg.qty == 0 {
            return Err(field(RejectReason::QtyZero, qty).met(1, 0));
        }
        self.check_qty_max(leg.index, leg.qty, qty)?;
        self.check_price(leg.index, leg.limit, price)?;
        self.check_dynamic(leg.index, leg.side, leg.limit, price)?;
        self.check_notional(leg.index, leg.limit, leg.qty, qty)
    }

    /// All that the legs that buy would hold, from what is free.
    fn check_leg_credits(&self, account: usize, legs: &[Leg]) -> Checked {
        let free = self.free(account);
        let mut sum = 0i128;
        for (number, leg) in legs.iter().enumerate().filter(|(_, leg)| leg.side == Side::Buy) {
            let hold = self.instruments[leg.index].bid_hold(leg.limit, leg.qty).expect("checked before");
            sum += i128::from(hold);
            if sum > i128::from(free) {
                let offset = offset_of_leg(number, offset_of!(BasketLeg, qty));
                let rejection = field(RejectReason::InsufficientCredits, offset).met(free, sum);
                return Err(self.of_leg(leg)(rejection));
            }
        }
        Ok(())
    }

    /// All that the legs that sell need in each slot, from what is free there.
    pub(crate) fn check_leg_capacity(
        &self,
        account: usize,
        legs: &[Leg],
        qty_offset: impl Fn(usize) -> usize,
    ) -> Checked {
        for (number, leg) in legs.iter().enumerate().filter(|(_, leg)| leg.side == Side::Sell) {
            for slot in &self.instruments[leg.index].slots {
                let needed = self.in_slot(&legs[..=number], Side::Sell, *slot);
                let free = self.free_in_slot(account, *slot, &[]);
                if needed > free {
                    let rejection = field(RejectReason::InsufficientCapacity, qty_offset(number));
                    return Err(self.of_leg(leg)(rejection.met(free, needed)));
                }
            }
        }
        Ok(())
    }

    /// Accelerators of a slot that legs of a side trade.
    fn in_slot(&self, legs: &[Leg], side: Side, slot: crate::ledger::SlotKey) -> i64 {
        let over = |leg: &&Leg| leg.side == side && self.instruments[leg.index].slots.contains(&slot);
        legs.iter().filter(over).map(|leg| self.instruments[leg.index].accelerators(leg.qty)).sum()
    }

    /// Finds out on a copy whether every leg can be filled whole, one after the other.
    fn check_fillable(&self, request: Request, legs: &[Leg]) -> Checked {
        self.clone().fill_legs(request, legs).map(|_| ())
    }

    fn check_leg_values(&self, account: usize, legs: &[Leg]) -> Checked {
        for (number, leg) in legs.iter().enumerate() {
            let value = self.counted_at(leg.index, leg.side, leg.limit, leg.qty);
            let offset = offset_of_leg(number, offset_of!(BasketLeg, qty));
            self.check_order_value(account, value, offset).map_err(self.of_leg(leg))?;
        }
        Ok(())
    }

    pub(crate) fn check_leg_windows(
        &self,
        account: usize,
        legs: &[Leg],
        qty_offset: impl Fn(usize) -> usize,
    ) -> Checked {
        let cap = i64::from(self.accounts[account].limits.window_accelerators_max);
        for (number, leg) in legs.iter().enumerate().filter(|(_, leg)| leg.side == Side::Buy) {
            for slot in &self.instruments[leg.index].slots {
                let more = self.in_slot(&legs[..=number], Side::Buy, *slot);
                let would = self.window_accelerators(account, *slot) + more;
                if cap != 0 && would > cap {
                    let rejection = field(RejectReason::WindowCap, qty_offset(number)).met(cap, would);
                    return Err(self.of_leg(leg)(rejection));
                }
            }
        }
        Ok(())
    }

    /// Fills every leg whole, under one order id. The order stays in hand.
    pub(crate) fn fill_legs(&mut self, request: Request, legs: &[Leg]) -> Checked<(OrderId, Vec<Tally>)> {
        let id = self.new_order_id();
        let account = self.account_of(request.session);
        let order = Order::in_hand(id, request.session, account, request.client_order_id);
        self.orders.insert(id, Order { self_trade: request.self_trade, pays_from_free: true, ..order });
        let mut tallies = Vec::new();
        for leg in legs {
            let order = self.order_mut(id);
            (order.instrument, order.side, order.limit) = (leg.index, leg.side, leg.limit);
            (order.leaves, order.filled, order.tally) = (leg.qty, 0, Tally::default());
            let end = self.match_in_hand(id);
            let order = self.order(id);
            if end != End::Filled {
                let rejection = whole(RejectReason::FokNotFillable).met(order.filled, leg.qty);
                return Err(self.of_leg(leg)(rejection));
            }
            tallies.push(order.tally);
        }
        Ok((id, tallies))
    }

    /// Fills legs that can be filled, and reports them.
    pub(crate) fn execute(&mut self, request: Request, legs: &[Leg]) -> OrderId {
        let (order_id, tallies) = self.fill_legs(request, legs).expect("found out on a copy");
        self.close(order_id);
        let Request { session, client_order_id, .. } = request;
        let parts: Vec<(Instrument, u32, Tally)> = legs
            .iter()
            .zip(&tallies)
            .map(|(leg, tally)| (self.instruments[leg.index].clone(), leg.qty, *tally))
            .collect();
        for (leg, (instrument, qty, tally)) in legs.iter().zip(&parts) {
            self.tell(
                session,
                LegDone {
                    client_order_id,
                    order_id,
                    notional: MicroEc::new(tally.notional),
                    fees: MicroEc::new(tally.fees),
                    average_price: average_price(&[(instrument, *qty, *tally)]),
                    instrument: instrument.id,
                    qty: *qty,
                    side: leg.side.raw(),
                    ..Default::default()
                },
            );
        }
        let of_side = |side| {
            let tallies = legs.iter().zip(&tallies).filter(move |(leg, _)| leg.side == side);
            MicroEc::new(tallies.map(|(_, tally)| tally.notional).sum())
        };
        let all: Vec<(&Instrument, u32, Tally)> =
            parts.iter().map(|(instrument, qty, tally)| (instrument, *qty, *tally)).collect();
        let done = SweepDone {
            client_order_id,
            order_id,
            bought: of_side(Side::Buy),
            sold: of_side(Side::Sell),
            fees: MicroEc::new(tallies.iter().map(|tally| tally.fees).sum()),
            average_price: average_price(&all),
            fills: tallies.iter().map(|tally| tally.fills).sum(),
            ..Default::default()
        };
        self.tell(session, done);
        order_id
    }
}

fn offset_of_leg(number: usize, field: usize) -> usize {
    offset_of!(Basket, legs) + number * size_of::<BasketLeg>() + field
}

/// Notional of all fills per accelerator-hour, rounded toward zero; zero without fills.
pub(crate) fn average_price(parts: &[(&Instrument, u32, Tally)]) -> Price {
    let notional: i128 = parts.iter().map(|(_, _, tally)| i128::from(tally.notional)).sum();
    let minutes: i128 = parts
        .iter()
        .map(|(instrument, lots, _)| i128::from(instrument.lot.accelerator_minutes()) * i128::from(*lots))
        .sum();
    Price::new(i64::try_from((notional * 60).checked_div(minutes).unwrap_or(0)).unwrap_or(i64::MAX))
}
