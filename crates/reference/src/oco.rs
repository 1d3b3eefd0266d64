//! One cancels the other: a limit order and a stop of which at most one trades.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{NewOrder, OcoOrder};
use joulebook_types::{OrderId, OrderType, Phase, Price, SelfTradeMode, Side, TimeInForce, Trigger};

use crate::entry::{Choices, Shape, check_capacity, check_credits, check_self_trade};
use crate::market::Market;
use crate::rejection::{Checked, Lowest, Rejection, field, invalid_choice};
use crate::stops::{Stop, Watch};

/// The two legs as orders of their own.
struct Legs {
    limit: (NewOrder, Shape),
    stop: (NewOrder, Shape),
    instrument: usize,
}

impl Market {
    /// Returns the order ids of the limit leg and of the stop leg.
    pub(crate) fn oco_order(&mut self, session: usize, oco: &OcoOrder) -> Checked<(OrderId, OrderId)> {
        let legs =
            self.check_oco(session, oco).map_err(|rejection| rejection.of_instrument(oco.instrument))?;
        let (limit_id, stop_id) = (self.new_order_id(), self.new_order_id());
        let mut limit = self.order_of(limit_id, session, &legs.limit.0, legs.limit.1, legs.instrument);
        let mut stop = self.order_of(stop_id, session, &legs.stop.0, legs.stop.1, legs.instrument);
        limit.partner = Some(stop_id);
        stop.partner = Some(limit_id);
        stop.work = crate::orders::Work::Waiting;
        self.accept(limit, &legs.limit.0);
        self.accept(stop, &legs.stop.0);
        self.act(limit_id);
        if self.orders.contains_key(&stop_id) {
            self.enter_stop(stop_id);
        }
        Ok((limit_id, stop_id))
    }

    fn check_oco(&self, session: usize, oco: &OcoOrder) -> Checked<Legs> {
        let (side, time_in_force, self_trade) = check_choices(oco)?;
        self.check_enabled(session)?;
        if oco.client_order_id.raw() == u64::MAX {
            // The stop leg would have no number.
            let offset = offset_of!(OcoOrder, client_order_id);
            return Err(field(RejectReason::InvalidCount, offset).met(1, 2));
        }
        if oco.trigger_price <= Price::ZERO {
            let offset = offset_of!(OcoOrder, trigger_price);
            return Err(field(RejectReason::InvalidTrigger, offset).met(0, oco.trigger_price.raw()));
        }
        if time_in_force == TimeInForce::Gtd {
            self.check_expiry(oco.expires, offset_of!(OcoOrder, expires))?;
        }
        let instrument = self.find_instrument(oco.instrument, offset_of!(OcoOrder, instrument))?;
        self.check_class_enabled(instrument)?;
        let takes = |phase| matches!(phase, Phase::PreOpen | Phase::Open | Phase::Auction);
        self.check_phase(instrument, takes)?;
        let choices = Choices {
            side,
            time_in_force,
            post_only: false,
            order_type: OrderType::Limit,
            trigger: Trigger::None,
            self_trade,
        };
        let legs = legs(oco, choices, instrument);
        self.check_legs(session, &legs)?;
        Ok(legs)
    }

    /// Rules 23 and up: each leg's own, and those that both share.
    fn check_legs(&self, session: usize, legs: &Legs) -> Checked {
        let mut lowest = Lowest::default();
        let Legs { limit: (limit, limit_shape), stop: (stop, stop_shape), instrument } = legs;
        let index = *instrument;
        let sizes = self.check_size_and_price(limit, limit_shape.choices, index);
        lowest.add(sizes.map_err(|rejection| of_oco(rejection, offset_of!(OcoOrder, price))));
        let sizes = self.check_size_and_price(stop, stop_shape.choices, index);
        lowest.add(sizes.map_err(|rejection| of_oco(rejection, offset_of!(OcoOrder, stop_price))));
        lowest.answer()?;
        self.check_room(2)?;
        let account = self.account_of(session);
        let limit = self.order_of(OrderId::NONE, session, limit, *limit_shape, index);
        let stop = self.order_of(OrderId::NONE, session, stop, *stop_shape, index);
        let offset = offset_of!(OcoOrder, qty);
        let instrument = &self.instruments[index];
        match limit.side {
            Side::Buy => {
                let hold = |limit| instrument.bid_hold(limit, stop.leaves).expect("checked before");
                check_credits(self.free(account), hold(limit.limit).max(hold(stop.limit)), offset)?;
            }
            Side::Sell => {
                let free = self.free_capacity(account, index, &[]);
                check_capacity(free, instrument.accelerators(limit.leaves), offset)?;
            }
        }
        if instrument.phase == Phase::PreOpen {
            self.check_would_rest(index, limit.side, limit.limit, &[])?;
        }
        self.check_open_orders(account, 2)?;
        self.check_order_value(account, self.counted_value(&limit), offset)?;
        self.check_order_value(account, self.counted_value(&stop), offset)?;
        let (limit_value, stop_value) = (self.value_of(&limit), self.value_of(&stop));
        let both = i128::from(limit_value) + i128::from(stop_value);
        self.check_open_value(account, both, offset)?;
        if limit.side == Side::Buy {
            self.check_window(account, index, 2 * instrument.accelerators(limit.leaves), offset)?;
        }
        Ok(())
    }
}

fn check_choices(oco: &OcoOrder) -> Checked<(Side, TimeInForce, SelfTradeMode)> {
    let side = Side::from_raw(oco.side).ok_or(invalid_choice(offset_of!(OcoOrder, side), oco.side))?;
    let unknown = invalid_choice(offset_of!(OcoOrder, time_in_force), oco.time_in_force);
    let time_in_force = match TimeInForce::from_raw(oco.time_in_force) {
        Some(stays @ (TimeInForce::Gtc | TimeInForce::Gtd)) => stays,
        Some(TimeInForce::Ioc | TimeInForce::Fok) | None => return Err(unknown),
    };
    let self_trade = check_self_trade(oco.self_trade, offset_of!(OcoOrder, self_trade))?;
    if oco.expires.raw() != 0 && time_in_force != TimeInForce::Gtd {
        return Err(invalid_choice(offset_of!(OcoOrder, expires), oco.expires.raw()));
    }
    Ok((side, time_in_force, self_trade))
}

fn legs(oco: &OcoOrder, choices: Choices, instrument: usize) -> Legs {
    let limit = NewOrder {
        client_order_id: oco.client_order_id,
        price: oco.price,
        instrument: oco.instrument,
        qty: oco.qty,
        side: oco.side,
        time_in_force: oco.time_in_force,
        self_trade: oco.self_trade,
        expires: oco.expires,
        ..Default::default()
    };
    let order_type = if oco.stop_price == Price::ZERO { OrderType::Market } else { OrderType::Limit };
    let stop = NewOrder {
        client_order_id: oco.client_order_id.next(),
        price: oco.stop_price,
        order_type: order_type.raw(),
        trigger: Trigger::Stop.raw(),
        trigger_price: oco.trigger_price,
        ..limit
    };
    let watch = Watch::Fixed(oco.trigger_price);
    let waiting = Some(Stop { watch, marked_by: None });
    let stop_choices = Choices { order_type, trigger: Trigger::Stop, ..choices };
    Legs {
        limit: (limit, Shape { choices, stop: None }),
        stop: (stop, Shape { choices: stop_choices, stop: waiting }),
        instrument,
    }
}

/// The field of the OCO order that a rule for a leg means; `price` is the leg's price in it.
fn of_oco(rejection: Rejection, price: usize) -> Rejection {
    let offset = usize::from(rejection.field_offset);
    let field_offset = if offset == offset_of!(NewOrder, price) {
        price
    } else if offset == offset_of!(NewOrder, qty) {
        offset_of!(OcoOrder, qty)
    } else {
        offset
    };
    Rejection { field_offset: field_offset as u16, ..rejection }
}
