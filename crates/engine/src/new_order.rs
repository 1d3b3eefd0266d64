//! Entering an order.

use core::mem::offset_of;

use joulebook_book::Order;
use joulebook_ledger::PositionIx;
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{NewOrder, OrderAccepted};
use joulebook_types::{ClientOrderId, OrderType, Phase, Price, SelfTradeMode, Side, TimeInForce};

use crate::dry_walk::DryOrder;
use crate::holds::{Promise, Worth};
use crate::instruments::InstrumentIx;
use crate::matching::{Funding, Taker};
use crate::order_choices::Choices;
use crate::orders::{Place, Terms};
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::stop_book::StopTrigger;
use crate::stop_checks::check_trigger;
use crate::{Engine, Events};

/// A new order that met every rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Valid {
    pub(crate) promise: Promise,
    pub(crate) worth: Worth,
    funding: Funding,
    post_only: bool,
    terms: Terms,
    /// Whether a remainder may rest.
    rests: bool,
    /// What it waits for, outside the book.
    pub(crate) trigger: Option<StopTrigger>,
}

impl Engine {
    /// Plain orders go their own way: the same steps, compiled once more without what only other orders need.
    #[inline]
    pub(crate) fn new_order(
        &mut self,
        session: SessionIx,
        order: &NewOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let entered = match Choices::of_plain(order) {
            Some(choices) => self.plain_order(session, &choices, order, out),
            None => self.special_order(session, order, out),
        };
        entered.map_err(|rejection| rejection.of_instrument(order.instrument))
    }

    #[inline(always)]
    fn plain_order(
        &mut self,
        session: SessionIx,
        choices: &Choices,
        order: &NewOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        self.check_entry(session)?;
        let ix = self.check_instrument(choices, order)?;
        let valid = self.check_lots(session, ix, choices, None, order)?;
        let taker = self.take_in(session, order, &valid, out);
        Ok(self.act(taker, out))
    }

    #[inline(never)]
    fn special_order(
        &mut self,
        session: SessionIx,
        order: &NewOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let (choices, ix, trigger) = self.check_entered(session, order)?;
        if choices.order_type == OrderType::Budget {
            return self.budget_order(session, ix, &choices, order, out);
        }
        let valid = self.check_lots(session, ix, &choices, trigger, order)?;
        let taker = self.take_in(session, order, &valid, out);
        let done = Done { order_id: taker.order_id, slot: taker.slot_hint() };
        match (trigger, taker.slot) {
            (Some(trigger), Some(slot)) => {
                self.wait_for(slot, trigger, valid.worth.hold);
                self.see_last_print(slot, out);
            }
            (None, Some(slot)) if valid.terms.place == Place::Call => self.enter_call(slot),
            (Some(_), None) | (None, _) => _ = self.act(taker, out),
        }
        Ok(done)
    }

    /// Gives a valid order its number, its slot and what it holds, and acknowledges it.
    #[inline(always)]
    fn take_in(&mut self, session: SessionIx, order: &NewOrder, valid: &Valid, out: &mut Events) -> Taker {
        let taker = self.new_taker(session, order, valid);
        if taker.holds() {
            self.hold_worth(&valid.promise, valid.worth);
        } else if valid.terms.place == Place::Call {
            self.count_open(&valid.promise);
        }
        self.tell(session, accepted(order, &taker), out);
        taker
    }

    /// Lets an order that was acknowledged trade and rest.
    #[inline(always)]
    pub(crate) fn act(&mut self, taker: Taker, out: &mut Events) -> Done {
        let done = Done { order_id: taker.order_id, slot: taker.slot_hint() };
        match taker.slot {
            // It stands in the slab as it was sent, so it rests as it is.
            Some(slot) if taker.rests && self.meets_nobody(&taker) => self.join_queue(slot, out),
            Some(_) | None => self.work(&mut { taker }, out),
        }
        done
    }

    /// All checks of an order for a number of lots.
    #[inline(never)]
    pub(crate) fn check_new_order(
        &mut self,
        session: SessionIx,
        order: &NewOrder,
    ) -> Result<Valid, Rejection> {
        let (choices, ix, trigger) = self.check_entered(session, order)?;
        self.check_lots(session, ix, &choices, trigger, order)
    }

    /// The checks that all orders have in common, up to the instrument and its phase. Returns what the order waits for.
    fn check_entered(
        &self,
        session: SessionIx,
        order: &NewOrder,
    ) -> Result<(Choices, InstrumentIx, Option<StopTrigger>), Rejection> {
        let choices = Choices::of(order)?;
        self.check_entry(session)?;
        let trigger = self.check_special(order, &choices)?;
        Ok((choices, self.check_instrument(&choices, order)?, trigger))
    }

    #[inline(always)]
    fn check_instrument(&self, choices: &Choices, order: &NewOrder) -> Result<InstrumentIx, Rejection> {
        let ix = self.find_instrument(order.instrument, offset_of!(NewOrder, instrument))?;
        self.check_class_entry(ix)?;
        let phase = self.instruments[ix].phase;
        self.check_phase(ix, choices.is_taken_in(phase, order))?;
        Ok(ix)
    }

    /// What only orders with something special about them could have wrong. Returns what they wait for.
    fn check_special(&self, order: &NewOrder, choices: &Choices) -> Result<Option<StopTrigger>, Rejection> {
        let trigger = check_trigger(order, choices.trigger)?;
        if choices.time_in_force == TimeInForce::Gtd {
            self.check_expires(order.expires, offset_of!(NewOrder, expires))?;
        }
        choices.check_sizes(order)?;
        Ok(trigger)
    }

    /// The checks of an order for a number of lots, from there on.
    #[inline(always)]
    fn check_lots(
        &mut self,
        session: SessionIx,
        ix: InstrumentIx,
        choices: &Choices,
        trigger: Option<StopTrigger>,
        order: &NewOrder,
    ) -> Result<Valid, Rejection> {
        let qty_offset = offset_of!(NewOrder, qty);
        let (side, waits) = (choices.side, trigger.is_some());
        check_qty(order.qty, qty_offset)?;
        self.instruments[ix].check_qty_max(order.qty, qty_offset)?;
        let limit = self.check_limit(ix, choices, waits, order)?;
        let account = self.sessions[session].account;
        let promise = Promise { account, instrument: ix, side, limit, lots: order.qty };
        let worth = self.check_notional(&promise, order.qty, qty_offset)?;
        let terms = choices.terms(order);
        let rests = terms.rests();
        let opens = rests || terms.place != Place::Book;
        self.check_order_limit(usize::from(opens))?;
        let funding = match (choices.order_type, side) {
            // The price of a waiting stop is its limit, so there is something to hold.
            (OrderType::Market, Side::Buy) if !waits => Funding::FreeCredits,
            (OrderType::Limit | OrderType::Market | OrderType::Budget, _) => {
                self.check_hold_of(&promise, worth.hold, None, qty_offset)?;
                Funding::Hold
            }
        };
        let pre_open = self.instruments[ix].phase == Phase::PreOpen;
        let must_not_trade = choices.post_only || pre_open && choices.is_plain_limit();
        if must_not_trade {
            self.check_post_only(ix, side, limit)?;
        }
        self.check_fillable(&promise, funding, choices, order)?;
        self.check_caps(&promise, None, choices.order_type, u32::from(opens), qty_offset)?;
        Ok(Valid { promise, worth, funding, post_only: choices.post_only, terms, rests, trigger })
    }

    /// The worst price at which the order trades: its own, or the band's far edge.
    #[inline(always)]
    fn check_limit(
        &self,
        ix: InstrumentIx,
        choices: &Choices,
        waits: bool,
        order: &NewOrder,
    ) -> Result<Price, Rejection> {
        let instrument = &self.instruments[ix];
        let offset = offset_of!(NewOrder, price);
        match choices.order_type {
            OrderType::Limit => {
                instrument.check_price(order.price, offset)?;
                if instrument.phase == Phase::Open && !waits {
                    self.check_dynamic_band(ix, choices.side, order.price, offset)?;
                }
                Ok(order.price)
            }
            OrderType::Market | OrderType::Budget => Ok(instrument.band_edge(choices.side)),
        }
    }

    /// Fill-or-kill and minimum quantity are decided before any effect.
    #[inline(always)]
    fn check_fillable(
        &mut self,
        promise: &Promise,
        funding: Funding,
        choices: &Choices,
        order: &NewOrder,
    ) -> Result<(), Rejection> {
        if choices.time_in_force != TimeInForce::Fok && order.min_qty == 0 {
            return Ok(());
        }
        self.check_fill(promise, funding, choices, order)
    }

    fn check_fill(
        &mut self,
        promise: &Promise,
        funding: Funding,
        choices: &Choices,
        order: &NewOrder,
    ) -> Result<(), Rejection> {
        let kill = choices.time_in_force == TimeInForce::Fok;
        let Promise { account, instrument, side, limit, lots } = *promise;
        let credits = match funding {
            Funding::Hold => None,
            Funding::FreeCredits => Some(self.ledger.credits(account).free),
        };
        let trade_group = self.accounts.trade_group(account);
        let self_trade = choices.self_trade;
        let fill =
            self.dry_fill(&DryOrder { instrument, side, limit, lots, trade_group, self_trade, credits });
        if kill && fill.left > 0 {
            return Err(Rejection::whole(RejectReason::FokNotFillable).met(fill.traded, lots));
        }
        if fill.traded < order.min_qty {
            let few = Rejection::field(RejectReason::MinQtyNotFillable, offset_of!(NewOrder, min_qty));
            return Err(few.met(fill.traded, order.min_qty));
        }
        Ok(())
    }

    /// Orders that may rest or wait get their slot before they match, because the acknowledgement names it.
    #[inline(always)]
    pub(crate) fn new_taker(&mut self, session: SessionIx, new: &NewOrder, valid: &Valid) -> Taker {
        let Promise { account, instrument, side, limit, lots } = valid.promise;
        let trade_group = self.accounts.trade_group(account);
        let order_id = self.next_order_id();
        let rests = valid.rests;
        let opens = rests || valid.terms.place != Place::Book;
        let slot = if opens {
            let mut order = Order::new(order_id, side, limit, lots);
            if valid.terms.place == Place::Book {
                order.leaves = lots.min(valid.terms.display());
                order.hidden = lots - order.leaves;
            }
            order.trade_group = trade_group.0;
            order.instrument = instrument.raw();
            order.account = account.raw();
            order.post_only = valid.post_only;
            Some(self.add_order(&order, session, new.client_order_id, valid.terms))
        } else {
            None
        };
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
            funding: valid.funding,
            order_type: valid.terms.order_type,
            self_trade: valid.terms.self_trade,
            rests,
            meets_next: None,
            is_linked: false,
            position: PositionIx::NONE,
        }
    }

    /// A taker that never rests and pays from free credits: it buys from one book or several under one order id.
    pub(crate) fn sweeping_taker(
        &mut self,
        session: SessionIx,
        client_order_id: ClientOrderId,
        self_trade: SelfTradeMode,
        ix: InstrumentIx,
        side: Side,
    ) -> Taker {
        let account = self.sessions[session].account;
        Taker {
            order_id: self.next_order_id(),
            slot: None,
            session,
            client_order_id,
            account,
            trade_group: self.accounts.trade_group(account),
            instrument: ix,
            side,
            limit: self.instruments[ix].band_edge(side),
            qty: 0,
            leaves: 0,
            funding: Funding::FreeCredits,
            order_type: OrderType::Budget,
            self_trade,
            rests: false,
            meets_next: None,
            is_linked: false,
            position: PositionIx::NONE,
        }
    }
}

#[inline]
pub(crate) fn accepted(order: &NewOrder, taker: &Taker) -> OrderAccepted {
    OrderAccepted {
        client_order_id: order.client_order_id,
        order_id: taker.order_id,
        price: order.price,
        instrument: order.instrument,
        qty: order.qty,
        slot: taker.slot_hint(),
        side: order.side,
        time_in_force: order.time_in_force,
        flags: order.flags,
        order_type: order.order_type,
        ..Default::default()
    }
}

#[inline]
pub(crate) fn check_qty(qty: u32, offset: usize) -> Result<(), Rejection> {
    if qty > 0 { Ok(()) } else { Err(Rejection::field(RejectReason::QtyZero, offset).met(1, 0)) }
}
