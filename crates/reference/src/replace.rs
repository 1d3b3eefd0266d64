//! Changing an open order.

use core::mem::offset_of;

use joulebook_protocol::messages::{BookUpdate, ReplaceOrder};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{OrderId, Phase, Price, Side};

use crate::entry::{check_capacity, check_credits};
use crate::market::Market;
use crate::orders::{Order, Work};
use crate::rejection::{Checked, field, invalid_choice, whole};
use crate::stops::{Stop, Watch};

impl Market {
    pub(crate) fn replace_order(&mut self, session: usize, replace: &ReplaceOrder) -> Checked<OrderId> {
        let Some(id) = self.own_order(session, replace.order_id, replace.target) else {
            self.check_enabled(session)?;
            return Err(field(RejectReason::UnknownOrder, offset_of!(ReplaceOrder, order_id)));
        };
        let instrument = self.instruments[self.order(id).instrument].id;
        let result = self.replace_open(session, id, replace);
        result.map_err(|rejection| rejection.of_order(id).of_instrument(instrument))?;
        Ok(id)
    }

    fn replace_open(&mut self, session: usize, id: OrderId, replace: &ReplaceOrder) -> Checked {
        let order = self.order(id).clone();
        self.check_replaceable(session, &order, replace)?;
        if replace.qty <= order.filled {
            self.cancel_for(session, id, CancelReason::ReducedToZero, replace.client_order_id);
            return Ok(());
        }
        if order.work == Work::Waiting {
            return self.replace_waiting(session, &order, replace);
        }
        let same_price = replace.price == order.limit;
        if same_price && replace.qty == order.qty() {
            return Err(whole(RejectReason::NothingToReplace));
        }
        if same_price && replace.qty < order.qty() {
            let slice_changed = self.shrink(id, order.qty() - replace.qty);
            self.tell_replaced(session, id, replace.client_order_id, true);
            if slice_changed {
                self.publish_update(id, BookUpdate::REDUCED);
            }
            return Ok(());
        }
        self.move_to_back(session, &order, replace)
    }

    /// Rules 12 to 22, and 42.
    fn check_replaceable(&self, session: usize, order: &Order, replace: &ReplaceOrder) -> Checked {
        let waits = order.work == Work::Waiting;
        if waits && order.market && replace.price != Price::ZERO {
            return Err(invalid_choice(offset_of!(ReplaceOrder, price), replace.price.raw()));
        }
        self.check_enabled(session)?;
        let is_plain_stop = order.stop.is_some_and(|stop| matches!(stop.watch, Watch::Fixed(_)));
        let trigger = replace.trigger_price;
        if trigger < Price::ZERO || trigger != Price::ZERO && !is_plain_stop {
            let offset = offset_of!(ReplaceOrder, trigger_price);
            return Err(field(RejectReason::InvalidTrigger, offset).met(0, trigger.raw()));
        }
        self.check_class_enabled(order.instrument)?;
        let takes = |phase| matches!(phase, Phase::PreOpen | Phase::Open | Phase::Auction);
        self.check_phase(order.instrument, takes)?;
        if order.quote || order.partner.is_some() || order.work == Work::InCall {
            return Err(whole(RejectReason::NotReplaceable));
        }
        Ok(())
    }

    /// A new price or more lots: the order leaves its place and may trade.
    fn move_to_back(&mut self, session: usize, before: &Order, replace: &ReplaceOrder) -> Checked {
        let after = Order { limit: replace.price, leaves: replace.qty - before.filled, ..before.clone() };
        let (index, price) = (before.instrument, offset_of!(ReplaceOrder, price));
        check_slices(&after)?;
        self.check_qty_max(index, replace.qty, offset_of!(ReplaceOrder, qty))?;
        self.check_price(index, replace.price, price)?;
        self.check_dynamic(index, before.side, replace.price, price)?;
        self.check_replaced_means(before, &after, replace)?;
        if before.post_only || self.instruments[index].phase == Phase::PreOpen {
            self.check_would_rest(index, before.side, replace.price, &[])?;
        }
        self.check_replaced_caps(before, &after)?;
        let removed = self.take_out(before.id);
        let order = self.order_mut(before.id);
        (order.limit, order.leaves) = (after.limit, after.leaves);
        self.tell_replaced(session, before.id, replace.client_order_id, false);
        self.publish(removed);
        self.act(before.id);
        Ok(())
    }

    /// A stop that waits gets other conditions, and sees the last print again.
    fn replace_waiting(&mut self, session: usize, before: &Order, replace: &ReplaceOrder) -> Checked {
        let mut after = Order { leaves: replace.qty - before.filled, ..before.clone() };
        if !before.market {
            after.limit = replace.price;
        }
        let stop = before.stop.expect("it waits for something");
        if let Watch::Fixed(trigger) = stop.watch {
            let new = replace.trigger_price;
            let trigger = if new == Price::ZERO { trigger } else { new };
            after.stop = Some(Stop { watch: Watch::Fixed(trigger), marked_by: None });
        }
        let same_watch = after.stop.map(|stop| stop.watch) == Some(stop.watch);
        if after.leaves == before.leaves && after.limit == before.limit && same_watch {
            return Err(whole(RejectReason::NothingToReplace));
        }
        let index = before.instrument;
        check_slices(&after)?;
        self.check_qty_max(index, replace.qty, offset_of!(ReplaceOrder, qty))?;
        if !before.market {
            self.check_price(index, replace.price, offset_of!(ReplaceOrder, price))?;
        }
        self.check_replaced_means(before, &after, replace)?;
        self.check_replaced_caps(before, &after)?;
        let is_trailing = matches!(stop.watch, Watch::Trailing(_));
        self.orders.insert(before.id, after);
        self.tell_replaced(session, before.id, replace.client_order_id, false);
        if !is_trailing {
            self.enter_stop(before.id);
        }
        Ok(())
    }

    /// Rules 28, 30 and 31, with what the order held given back first.
    fn check_replaced_means(&self, before: &Order, after: &Order, replace: &ReplaceOrder) -> Checked {
        let (index, offset) = (before.instrument, offset_of!(ReplaceOrder, qty));
        let overflow = field(RejectReason::NotionalOverflow, offset).met(i64::MAX, replace.qty);
        let hold = self.instruments[index].bid_hold(after.limit, after.leaves).ok_or(overflow)?;
        match before.side {
            Side::Buy => check_credits(self.free_without(before.account, &[before.id]), hold, offset),
            Side::Sell => {
                let free = self.free_capacity(before.account, index, &[before.id]);
                check_capacity(free, self.instruments[index].accelerators(after.leaves), offset)
            }
        }
    }

    /// Rules 37 to 39: only for what becomes larger.
    fn check_replaced_caps(&self, before: &Order, after: &Order) -> Checked {
        let (account, offset) = (before.account, offset_of!(ReplaceOrder, qty));
        let counted = self.counted_value(after);
        if counted > self.counted_value(before) {
            self.check_order_value(account, counted, offset)?;
        }
        let (old, new) = (self.value_of(before), self.value_of(after));
        if new > old {
            self.check_open_value(account, i128::from(new) - i128::from(old), offset)?;
        }
        if before.side == Side::Buy && after.leaves > before.leaves {
            let more = self.instruments[before.instrument].accelerators(after.leaves - before.leaves);
            self.check_window(account, before.instrument, more, offset)?;
        }
        Ok(())
    }
}

/// Rule 17: what is left shows in a hundred slices at most.
fn check_slices(after: &Order) -> Checked {
    let most = u64::from(after.display) * 100;
    if after.display == 0 || u64::from(after.leaves) <= most {
        return Ok(());
    }
    Err(field(RejectReason::InvalidDisplay, offset_of!(ReplaceOrder, qty)).met(most, after.leaves))
}
