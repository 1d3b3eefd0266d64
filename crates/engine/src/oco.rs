//! One cancels the other: a limit order and a stop of which at most one trades.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{NewOrder, OcoOrder};
use joulebook_types::{ClientOrderId, OrderType, Price, Side, TimeInForce, Trigger};

use crate::holds::Promise;
use crate::legs::lowest;
use crate::new_order::{Valid, accepted};
use crate::order_choices::invalid;
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

impl Engine {
    /// Both legs are checked before either has an effect. The limit order comes first; the stop sees the last print
    /// only if the limit order left it there.
    pub(crate) fn oco_order(
        &mut self,
        session: SessionIx,
        oco: &OcoOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let (limit_leg, stop_leg) = (limit_leg(oco), stop_leg(oco));
        let (limit, stop) = self
            .check_oco(session, oco, &limit_leg, &stop_leg)
            .map_err(|rejection| rejection.of_instrument(oco.instrument))?;
        // Together they hold the larger of the two.
        let stop_hold = self.hold_of(&stop.promise).beyond(self.hold_of(&limit.promise));
        self.hold(&limit.promise);
        self.count_open(&stop.promise);
        self.take(stop.promise.account, stop.promise.instrument, stop_hold);
        let mut taker = self.new_taker(session, &limit_leg, &limit);
        let waiting = self.new_taker(session, &stop_leg, &stop);
        let (Some(limit_slot), Some(stop_slot), Some(trigger)) = (taker.slot, waiting.slot, stop.trigger)
        else {
            unreachable!("both legs are open orders, and the second is a stop")
        };
        taker.is_linked = true;
        self.orders.change_terms(limit_slot, |terms| terms.partner = Some(stop_slot));
        self.orders.change_terms(stop_slot, |terms| terms.partner = Some(limit_slot));
        self.wait_for(stop_slot, trigger, stop_hold);
        self.tell(session, accepted(&limit_leg, &taker), out);
        self.tell(session, accepted(&stop_leg, &waiting), out);
        self.work(&mut taker, out);
        if self.stops.get(stop_slot).is_some_and(|stop| stop.order_id == waiting.order_id) {
            self.see_last_print(stop_slot, out);
        }
        Ok(Done { order_id: taker.order_id, slot: limit_slot.hint() })
    }

    /// Each leg as an order of its own, and then what both need together; the lowest code is the answer.
    fn check_oco(
        &mut self,
        session: SessionIx,
        oco: &OcoOrder,
        limit_leg: &NewOrder,
        stop_leg: &NewOrder,
    ) -> Result<(Valid, Valid), Rejection> {
        let own = check_choices(oco).and(check_ids(oco));
        let limit = self.check_leg(session, limit_leg, LIMIT_PRICE);
        let stop = self.check_leg(session, stop_leg, STOP_PRICE);
        let of_legs = lowest([own.err(), limit.as_ref().err().copied(), stop.as_ref().err().copied()]);
        if let Some(rejection) = of_legs
            && rejection.reason < RejectReason::OrderLimit
        {
            return Err(rejection);
        }
        let both = self.check_both(session, limit_leg, stop_leg);
        match lowest([both.err(), of_legs]) {
            Some(rejection) => Err(rejection),
            None => Ok((limit?, stop?)),
        }
    }

    fn check_leg(
        &mut self,
        session: SessionIx,
        leg: &NewOrder,
        price_offset: usize,
    ) -> Result<Valid, Rejection> {
        let checked = self.check_new_order(session, leg);
        checked.map_err(|rejection| rejection.map_field(|offset| field_of_leg(offset, price_offset)))
    }

    /// Two places, the larger hold, and the caps of two open orders. Sizes and prices of the legs are right.
    fn check_both(&self, session: SessionIx, limit: &NewOrder, stop: &NewOrder) -> Result<(), Rejection> {
        let qty_offset = offset_of!(OcoOrder, qty);
        self.check_order_limit(2)?;
        let (limit, stop) = (self.promise_of_leg(session, limit)?, self.promise_of_leg(session, stop)?);
        let stop_holds_more = self.hold_of(&stop) > self.hold_of(&limit);
        self.check_hold(if stop_holds_more { &stop } else { &limit }, None, qty_offset)?;
        self.check_open_order_cap(limit.account, 2)?;
        // Each fits a balance; their sum need not.
        let value = i128::from(self.value(&limit).raw()) + i128::from(self.value(&stop).raw());
        self.check_open_value_cap(limit.account, value, qty_offset)?;
        if limit.side == Side::Sell {
            return Ok(());
        }
        let accelerators = 2 * self.instruments[limit.instrument].accelerators(limit.lots);
        self.check_window_cap(limit.account, limit.instrument, accelerators, qty_offset)
    }

    fn promise_of_leg(&self, session: SessionIx, leg: &NewOrder) -> Result<Promise, Rejection> {
        let instrument = self.find_instrument(leg.instrument, offset_of!(OcoOrder, instrument))?;
        let offset = offset_of!(OcoOrder, side);
        let side = Side::from_raw(leg.side).ok_or(invalid(offset, leg.side))?;
        let edge = self.instruments[instrument].band_edge(side);
        let limit = if leg.price == Price::ZERO { edge } else { leg.price };
        let account = self.sessions[session].account;
        Ok(Promise { account, instrument, side, limit, lots: leg.qty })
    }
}

fn check_choices(oco: &OcoOrder) -> Result<(), Rejection> {
    if Side::from_raw(oco.side).is_none() {
        return Err(invalid(offset_of!(OcoOrder, side), oco.side));
    }
    // Both legs must be able to stay.
    match TimeInForce::from_raw(oco.time_in_force) {
        Some(TimeInForce::Gtc | TimeInForce::Gtd) => Ok(()),
        Some(TimeInForce::Ioc | TimeInForce::Fok) | None => {
            Err(invalid(offset_of!(OcoOrder, time_in_force), oco.time_in_force))
        }
    }
}

const LIMIT_PRICE: usize = offset_of!(OcoOrder, price);
const STOP_PRICE: usize = offset_of!(OcoOrder, stop_price);

/// It takes two ids, and there may be only one left.
fn check_ids(oco: &OcoOrder) -> Result<(), Rejection> {
    if oco.client_order_id.raw() < u64::MAX {
        return Ok(());
    }
    let offset = offset_of!(OcoOrder, client_order_id);
    Err(Rejection::field(RejectReason::InvalidCount, offset).met(1, 2))
}

fn limit_leg(oco: &OcoOrder) -> NewOrder {
    NewOrder {
        client_order_id: oco.client_order_id,
        price: oco.price,
        instrument: oco.instrument,
        qty: oco.qty,
        side: oco.side,
        time_in_force: oco.time_in_force,
        self_trade: oco.self_trade,
        expires: oco.expires,
        ..Default::default()
    }
}

fn stop_leg(oco: &OcoOrder) -> NewOrder {
    let order_type = if oco.stop_price == Price::ZERO { OrderType::Market } else { OrderType::Limit };
    NewOrder {
        client_order_id: ClientOrderId::new(oco.client_order_id.raw().wrapping_add(1)),
        price: oco.stop_price,
        order_type: order_type.raw(),
        trigger: Trigger::Stop.raw(),
        trigger_price: oco.trigger_price,
        ..limit_leg(oco)
    }
}

/// Where the field of a leg lies in the request that named it.
fn field_of_leg(offset: usize, price_offset: usize) -> usize {
    let pairs = [
        (offset_of!(NewOrder, price), price_offset),
        (offset_of!(NewOrder, instrument), offset_of!(OcoOrder, instrument)),
        (offset_of!(NewOrder, qty), offset_of!(OcoOrder, qty)),
        (offset_of!(NewOrder, side), offset_of!(OcoOrder, side)),
        (offset_of!(NewOrder, time_in_force), offset_of!(OcoOrder, time_in_force)),
        (offset_of!(NewOrder, self_trade), offset_of!(OcoOrder, self_trade)),
        (offset_of!(NewOrder, expires), offset_of!(OcoOrder, expires)),
        (offset_of!(NewOrder, trigger_price), offset_of!(OcoOrder, trigger_price)),
    ];
    let named = pairs.into_iter().find(|(of_leg, _)| *of_leg == offset);
    named.expect("a leg has no other fields that could be wrong").1
}
