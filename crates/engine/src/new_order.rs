//! Entering an order.

use core::mem::offset_of;

use joulebook_book::Order;
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{NewOrder, OrderAccepted};
use joulebook_types::{OrderType, Side, SlotHint, TimeInForce, Trigger};

use crate::holds::Promise;
use crate::matching::{Funding, Taker};
use crate::orders::Terms;
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::stop_book::StopTrigger;
use crate::stop_checks::check_trigger;
use crate::{Engine, Events};

/// A new order that met every rule.
struct Valid {
    promise: Promise,
    post_only: bool,
    terms: Terms,
    /// What it waits for, outside the book.
    trigger: Option<StopTrigger>,
}

impl Engine {
    pub(crate) fn new_order(
        &mut self,
        session: SessionIx,
        order: &NewOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let valid = self
            .check_new_order(session, order)
            .map_err(|rejection| rejection.of_instrument(order.instrument))?;
        self.hold(&valid.promise);
        let mut taker = self.new_taker(session, order, &valid);
        let slot = taker.slot.map_or(SlotHint::UNKNOWN, |slot| slot.hint());
        let accepted = OrderAccepted {
            client_order_id: order.client_order_id,
            order_id: taker.order_id,
            price: order.price,
            instrument: order.instrument,
            qty: order.qty,
            slot,
            side: order.side,
            time_in_force: order.time_in_force,
            flags: order.flags,
            order_type: order.order_type,
            ..Default::default()
        };
        self.tell(session, accepted, out);
        match valid.trigger.zip(taker.slot) {
            Some((trigger, slot)) => {
                self.wait_for(slot, trigger, self.hold_of(&valid.promise));
                self.see_last_print(slot, out);
            }
            None => self.work(&mut taker, out),
        }
        Ok(Done { order_id: taker.order_id, slot })
    }

    fn check_new_order(&self, session: SessionIx, order: &NewOrder) -> Result<Valid, Rejection> {
        let (side, time_in_force, post_only) = check_choices(order)?;
        let order_type = OrderType::from_raw(order.order_type).unwrap_or(OrderType::Limit);
        let trigger = check_trigger(order, Trigger::from_raw(order.trigger).unwrap_or(Trigger::None))?;
        if time_in_force == TimeInForce::Gtd {
            self.check_expires(order.expires, offset_of!(NewOrder, expires))?;
        }
        let ix = self.find_instrument(order.instrument, offset_of!(NewOrder, instrument))?;
        self.check_open(ix)?;
        let instrument = &self.instruments[ix];
        let qty_offset = offset_of!(NewOrder, qty);
        if order.qty == 0 {
            return Err(Rejection::field(RejectReason::QtyZero, qty_offset).met(1, 0));
        }
        instrument.check_qty_max(order.qty, qty_offset)?;
        let limit = match order_type {
            OrderType::Limit => {
                instrument.check_price(order.price, offset_of!(NewOrder, price))?;
                order.price
            }
            OrderType::Market | OrderType::Budget => instrument.band_edge(side),
        };
        let account = self.sessions[session].account;
        let promise = Promise { account, instrument: ix, side, limit, lots: order.qty };
        self.check_notional(&promise, order.qty, qty_offset)?;
        let terms = Terms { order_type, time_in_force, expires: order.expires, ..Terms::PLAIN };
        let is_open = terms.rests() || trigger.is_some();
        if is_open && self.orders.is_full() {
            let limit = self.orders.orders_max();
            return Err(Rejection::whole(RejectReason::OrderLimit).met(limit, limit + 1));
        }
        self.check_hold(&promise, None, qty_offset)?;
        if post_only {
            self.check_post_only(ix, side, order.price)?;
        }
        if time_in_force == TimeInForce::Fok {
            let group = self.accounts.trade_group(account);
            let fillable = self.fillable(ix, side, order.price, order.qty, group);
            if fillable < order.qty {
                return Err(Rejection::whole(RejectReason::FokNotFillable).met(fillable, order.qty));
            }
        }
        Ok(Valid { promise, post_only, terms, trigger })
    }

    /// Orders that may rest get their slot before they match, because the acknowledgement names it.
    fn new_taker(&mut self, session: SessionIx, new: &NewOrder, valid: &Valid) -> Taker {
        let Promise { account, instrument, side, limit, lots } = valid.promise;
        let trade_group = self.accounts.trade_group(account);
        let order_id = self.next_order_id();
        let rests = valid.terms.rests();
        let slot = (rests || valid.trigger.is_some()).then(|| {
            let mut order = Order::new(order_id, side, limit, lots);
            order.trade_group = trade_group.0;
            order.instrument = instrument.raw();
            order.account = account.raw();
            order.post_only = valid.post_only;
            self.add_order(order, session, new.client_order_id, valid.terms)
        });
        Taker {
            order_id,
            slot,
            session,
            client_order_id: new.client_order_id,
            account,
            trade_group,
            instrument,
            side,
            limit,
            qty: lots,
            leaves: lots,
            funding: Funding::Hold,
            order_type: valid.terms.order_type,
            self_trade: valid.terms.self_trade,
            rests,
        }
    }
}

fn check_choices(order: &NewOrder) -> Result<(Side, TimeInForce, bool), Rejection> {
    let invalid = |offset, value: u8| Rejection::field(RejectReason::InvalidChoice, offset).met(0, value);
    let side = Side::from_raw(order.side).ok_or(invalid(offset_of!(NewOrder, side), order.side))?;
    let time_in_force = TimeInForce::from_raw(order.time_in_force)
        .ok_or(invalid(offset_of!(NewOrder, time_in_force), order.time_in_force))?;
    let post_only = order.flags & NewOrder::POST_ONLY != 0;
    let known_flags = order.flags & !NewOrder::POST_ONLY == 0;
    // What must trade at once and what must not trade are not one order.
    if !known_flags || post_only && time_in_force != TimeInForce::Gtc {
        return Err(invalid(offset_of!(NewOrder, flags), order.flags));
    }
    Ok((side, time_in_force, post_only))
}
