//! Entering an order.

use core::mem::offset_of;

use joulebook_book::Order;
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{NewOrder, OrderAccepted};
use joulebook_types::{Side, SlotHint, TimeInForce};

use crate::holds::Hold;
use crate::instruments::InstrumentIx;
use crate::matching::{Funding, Taker};
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

/// A new order that met every rule.
struct Valid {
    ix: InstrumentIx,
    side: Side,
    time_in_force: TimeInForce,
    post_only: bool,
    hold: Hold,
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
        let account = self.sessions[session].account;
        self.take_hold(account, valid.ix, valid.hold);
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
            ..Default::default()
        };
        self.tell(session, accepted, out);
        let stop = self.match_taker(&mut taker, out);
        self.finish_taker(&taker, stop, out);
        Ok(Done { order_id: taker.order_id, slot })
    }

    fn check_new_order(&self, session: SessionIx, order: &NewOrder) -> Result<Valid, Rejection> {
        let (side, time_in_force, post_only) = check_choices(order)?;
        let ix = self.find_instrument(order.instrument, offset_of!(NewOrder, instrument))?;
        self.check_open(ix)?;
        let instrument = &self.instruments[ix];
        let qty_offset = offset_of!(NewOrder, qty);
        if order.qty == 0 {
            return Err(Rejection::field(RejectReason::QtyZero, qty_offset).met(1, 0));
        }
        instrument.check_qty_max(order.qty, qty_offset)?;
        instrument.check_price(order.price, offset_of!(NewOrder, price))?;
        let hold = Hold::of(instrument, side, order.price, order.qty)
            .ok_or(Rejection::field(RejectReason::NotionalOverflow, qty_offset).met(i64::MAX, order.qty))?;
        if time_in_force == TimeInForce::Gtc && self.orders.is_full() {
            let limit = self.orders.orders_max();
            return Err(Rejection::whole(RejectReason::OrderLimit).met(limit, limit + 1));
        }
        let account = self.sessions[session].account;
        self.check_hold(account, ix, hold, None, qty_offset)?;
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
        Ok(Valid { ix, side, time_in_force, post_only, hold })
    }

    /// Orders that may rest get their slot before they match, because the acknowledgement names it.
    fn new_taker(&mut self, session: SessionIx, new: &NewOrder, valid: &Valid) -> Taker {
        let account = self.sessions[session].account;
        let trade_group = self.accounts.trade_group(account);
        let order_id = self.next_order_id();
        let slot = (valid.time_in_force == TimeInForce::Gtc).then(|| {
            let mut order = Order::new(order_id, valid.side, new.price, new.qty);
            order.trade_group = trade_group.0;
            order.instrument = valid.ix.raw();
            order.account = account.raw();
            order.post_only = valid.post_only;
            self.orders.open(&mut self.sessions, order, session, new.client_order_id)
        });
        Taker {
            order_id,
            slot,
            session,
            client_order_id: new.client_order_id,
            account,
            trade_group,
            instrument: valid.ix,
            side: valid.side,
            limit: new.price,
            qty: new.qty,
            leaves: new.qty,
            funding: Funding::Hold,
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
