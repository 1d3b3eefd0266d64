//! Baskets: up to 16 legs, each filled whole at its limit, or nothing at all.

use core::mem::offset_of;

use joulebook_ledger::AccountIx;
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{Basket, BasketLeg};
use joulebook_types::{OrderType, SelfTradeMode, Side, SlotHint};

use crate::holds::Promise;
use crate::legs::{Leg, lowest};
use crate::new_order::check_qty;
use crate::order_choices::{invalid, self_trade_mode_of_whole};
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

impl Engine {
    pub(crate) fn basket(
        &mut self,
        session: SessionIx,
        basket: &Basket,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let mut legs = core::mem::take(&mut self.legs);
        let result = self.basket_with(&mut legs, session, basket, out);
        self.legs = legs;
        result
    }

    fn basket_with(
        &mut self,
        legs: &mut Vec<Leg>,
        session: SessionIx,
        basket: &Basket,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let self_trade = self.check_basket(legs, session, basket)?;
        let (id, first) = (basket.client_order_id, &legs[0]);
        let mut taker = self.sweeping_taker(session, id, self_trade, first.instrument, first.side);
        self.fill_legs(&mut taker, legs, out);
        Ok(Done { order_id: taker.order_id, slot: SlotHint::UNKNOWN })
    }

    /// Checks in the order of the reject codes and sets up the legs.
    fn check_basket(
        &mut self,
        legs: &mut Vec<Leg>,
        session: SessionIx,
        basket: &Basket,
    ) -> Result<SelfTradeMode, Rejection> {
        let self_trade = self_trade_mode_of_whole(basket.self_trade, offset_of!(Basket, self_trade))?;
        let count = usize::from(basket.count);
        let named = &basket.legs[..count.min(Basket::LEGS_MAX)];
        check_sides(named)?;
        self.check_entry(session)?;
        self.set_legs_of_basket(legs, named)?;
        let account = self.sessions[session].account;
        lowest(
            legs.iter().enumerate().map(|(number, leg)| self.check_leg_of_basket(account, number, leg).err()),
        )
        .map_or(Ok(()), Err)?;
        self.check_legs_credits(account, legs)?;
        self.check_legs_capacity(account, legs, qty_offset)?;
        self.check_legs_fillable(account, self_trade, legs)?;
        for (number, leg) in legs.iter().enumerate() {
            let value = self.counted_value(&promise(account, leg), OrderType::Limit);
            self.check_order_value(account, value, qty_offset(number)).map_err(self.of_leg(leg))?;
        }
        self.check_legs_windows(account, legs, qty_offset)?;
        if named.is_empty() || count > Basket::LEGS_MAX {
            let rejection = Rejection::field(RejectReason::InstrumentCount, offset_of!(Basket, count));
            return Err(rejection.met(Basket::LEGS_MAX, count));
        }
        check_distinct(named)?;
        Ok(self_trade)
    }

    /// Sets up the legs; the lowest code over all of them is the answer when one is not open.
    fn set_legs_of_basket(&self, legs: &mut Vec<Leg>, named: &[BasketLeg]) -> Result<(), Rejection> {
        legs.clear();
        let mut refused = None;
        for (number, leg) in named.iter().enumerate() {
            let offset = offset_of_leg(number, offset_of!(BasketLeg, instrument));
            let side = Side::from_raw(leg.side).expect("all sides were checked");
            let found = self.find_instrument(leg.instrument, offset);
            match found.and_then(|ix| self.check_part_open(ix).map(|()| ix)) {
                Ok(instrument) => legs.push(Leg { instrument, side, limit: leg.price, qty: leg.qty }),
                Err(rejection) => refused = lowest([refused, Some(rejection.of_instrument(leg.instrument))]),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Size and price of one leg.
    fn check_leg_of_basket(&self, account: AccountIx, number: usize, leg: &Leg) -> Result<(), Rejection> {
        let Leg { instrument: ix, side, limit, qty } = *leg;
        let price_offset = offset_of_leg(number, offset_of!(BasketLeg, price));
        let instrument = &self.instruments[ix];
        let checked = check_qty(qty, qty_offset(number))
            .and_then(|()| instrument.check_qty_max(qty, qty_offset(number)))
            .and_then(|()| instrument.check_price(limit, price_offset))
            .and_then(|()| self.check_dynamic_band(ix, side, limit, price_offset))
            .and_then(|()| self.check_notional(&promise(account, leg), qty, qty_offset(number)));
        checked.map(|_| ()).map_err(self.of_leg(leg))
    }

    /// What the legs that buy would hold together, against what is free.
    fn check_legs_credits(&self, account: AccountIx, legs: &[Leg]) -> Result<(), Rejection> {
        let free = self.ledger.credits(account).free;
        let mut sum = 0i128;
        for (number, leg) in legs.iter().enumerate().filter(|(_, leg)| leg.side == Side::Buy) {
            let hold = self.instruments[leg.instrument].bid_hold(leg.limit, leg.qty);
            sum += i128::from(hold.expect("its notional was checked").raw());
            if sum > i128::from(free.raw()) {
                let rejection = Rejection::field(RejectReason::InsufficientCredits, qty_offset(number));
                return Err(self.of_leg(leg)(rejection.met(free.raw(), sum)));
            }
        }
        Ok(())
    }

    fn of_leg(&self, leg: &Leg) -> impl Fn(Rejection) -> Rejection {
        let id = self.instruments[leg.instrument].id;
        move |rejection| rejection.of_instrument(id)
    }
}

fn promise(account: AccountIx, leg: &Leg) -> Promise {
    let Leg { instrument, side, limit, qty: lots } = *leg;
    Promise { account, instrument, side, limit, lots }
}

fn check_sides(named: &[BasketLeg]) -> Result<(), Rejection> {
    for (number, leg) in named.iter().enumerate() {
        if Side::from_raw(leg.side).is_none() {
            let rejection = invalid(offset_of_leg(number, offset_of!(BasketLeg, side)), leg.side);
            return Err(rejection.of_instrument(leg.instrument));
        }
    }
    Ok(())
}

fn check_distinct(legs: &[BasketLeg]) -> Result<(), Rejection> {
    for (number, leg) in legs.iter().enumerate() {
        if legs[..number].iter().any(|earlier| earlier.instrument == leg.instrument) {
            let offset = offset_of_leg(number, offset_of!(BasketLeg, instrument));
            let twice = Rejection::field(RejectReason::DuplicateInstrument, offset);
            return Err(twice.of_instrument(leg.instrument));
        }
    }
    Ok(())
}

fn qty_offset(number: usize) -> usize {
    offset_of_leg(number, offset_of!(BasketLeg, qty))
}

fn offset_of_leg(number: usize, field: usize) -> usize {
    offset_of!(Basket, legs) + number * size_of::<BasketLeg>() + field
}
