//! Changing a stop that waits.

use core::mem::offset_of;

use joulebook_book::Slot;
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::ReplaceOrder;
use joulebook_types::{OrderType, Phase, Price};

use crate::cancel::Requester;
use crate::holds::Promise;
use crate::order_choices::{check_slices, invalid};
use crate::request::Rejection;
use crate::stop_book::{Stop, StopTrigger};
use crate::{Engine, Events};

impl Engine {
    /// Changes price, size and trigger price. A plain stop is then shown the last print, as one that has just come in;
    /// a trailing one goes on from where it was.
    pub(crate) fn replace_stop(
        &mut self,
        requester: Requester,
        slot: Slot,
        replace: &ReplaceOrder,
        out: &mut Events,
    ) -> Result<(), Rejection> {
        let stop = self.stops.get(slot).expect("the caller knows that it waits");
        self.check_stop_may_change(requester, slot, &stop, replace)?;
        if replace.qty == 0 {
            self.reduce_to_zero(slot, requester, out);
            return Ok(());
        }
        let wanted = self.check_changed_stop(slot, &stop, replace)?;
        self.stops.remove(slot);
        self.release(&self.promise_at(slot));
        self.hold(&wanted);
        self.orders.slab.amend(slot, wanted.limit, wanted.lots, wanted.lots, wanted.lots);
        let trigger = changed_trigger(stop.trigger, replace);
        let mark = if let StopTrigger::Trailing(_) = trigger { stop.mark } else { None };
        self.stops.add(Stop { trigger, mark, held: self.hold_of(&wanted), ..stop });
        self.tell_replaced(slot, requester, false, out);
        if let StopTrigger::Price(_) = trigger {
            self.see_last_print(slot, out);
        }
        Ok(())
    }

    /// What a change of any kind must meet.
    fn check_stop_may_change(
        &self,
        requester: Requester,
        slot: Slot,
        stop: &Stop,
        replace: &ReplaceOrder,
    ) -> Result<(), Rejection> {
        let terms = self.orders.terms(slot);
        if terms.order_type != OrderType::Limit && replace.price != Price::ZERO {
            return Err(invalid(offset_of!(ReplaceOrder, price), replace.price.raw()));
        }
        self.check_entry(requester.session)?;
        let plain = stop.trigger.kind() == joulebook_types::Trigger::Stop;
        if replace.trigger_price < Price::ZERO || replace.trigger_price != Price::ZERO && !plain {
            let offset = offset_of!(ReplaceOrder, trigger_price);
            let rejection = Rejection::field(RejectReason::InvalidTrigger, offset);
            return Err(rejection.met(0, replace.trigger_price.raw()));
        }
        self.check_class_entry(stop.instrument)?;
        let takes = match self.instruments[stop.instrument].phase {
            Phase::PreOpen | Phase::Open | Phase::Auction => true,
            Phase::Pending | Phase::Halted | Phase::Closed | Phase::Delivering | Phase::Settled => false,
        };
        self.check_phase(stop.instrument, takes)?;
        match terms.partner {
            Some(_) => Err(Rejection::whole(RejectReason::NotReplaceable)),
            None => Ok(()),
        }
    }

    /// What the changed stop must meet; returns what it holds then.
    fn check_changed_stop(
        &self,
        slot: Slot,
        stop: &Stop,
        replace: &ReplaceOrder,
    ) -> Result<Promise, Rejection> {
        let given = self.promise_at(slot);
        let instrument = &self.instruments[stop.instrument];
        let qty_offset = offset_of!(ReplaceOrder, qty);
        check_slices(self.orders.terms(slot), replace.qty, qty_offset)?;
        instrument.check_qty_max(replace.qty, qty_offset)?;
        let order_type = self.orders.terms(slot).order_type;
        let limit = match order_type {
            OrderType::Limit => {
                instrument.check_price(replace.price, offset_of!(ReplaceOrder, price))?;
                replace.price
            }
            OrderType::Market | OrderType::Budget => given.limit,
        };
        let wanted = Promise { limit, lots: replace.qty, ..given };
        self.check_notional(&wanted, replace.qty, qty_offset)?;
        self.check_hold(&wanted, Some(&given), qty_offset)?;
        self.check_caps(&wanted, Some(&given), order_type, 0, qty_offset)?;
        if wanted == given && changed_trigger(stop.trigger, replace) == stop.trigger {
            return Err(Rejection::whole(RejectReason::NothingToReplace));
        }
        Ok(wanted)
    }
}

fn changed_trigger(trigger: StopTrigger, replace: &ReplaceOrder) -> StopTrigger {
    match trigger {
        StopTrigger::Price(_) if replace.trigger_price != Price::ZERO => {
            StopTrigger::Price(replace.trigger_price)
        }
        StopTrigger::Price(_) | StopTrigger::Trailing(_) => trigger,
    }
}
