//! Changing an open order's price and size.

use core::mem::offset_of;

use joulebook_book::{Order, Slot};
use joulebook_ledger::AccountIx;
use joulebook_protocol::messages::{BookUpdate, OrderReplaced, ReplaceOrder};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::ClientOrderId;

use crate::accounts::TradeGroup;
use crate::cancel::{Requester, for_another_session};
use crate::holds::Hold;
use crate::instruments::InstrumentIx;
use crate::matching::{Funding, Taker};
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

impl Engine {
    pub(crate) fn replace_order(
        &mut self,
        session: SessionIx,
        replace: &ReplaceOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let unknown = Rejection::field(RejectReason::UnknownOrder, offset_of!(ReplaceOrder, order_id));
        let slot = self.own_order(session, replace.order_id, replace.target, replace.slot).ok_or(unknown)?;
        let order = self.orders.slab[slot];
        let ix = InstrumentIx::new(order.instrument);
        self.replace_open_order(session, slot, replace, out)
            .map_err(|rejection| rejection.of_order(order.order_id).of_instrument(ix.id()))?;
        Ok(Done { order_id: order.order_id, slot: slot.hint() })
    }

    /// An order keeps its place only when its price stays and its size shrinks.
    fn replace_open_order(
        &mut self,
        session: SessionIx,
        slot: Slot,
        replace: &ReplaceOrder,
        out: &mut Events,
    ) -> Result<(), Rejection> {
        let order = self.orders.slab[slot];
        self.check_open(InstrumentIx::new(order.instrument))?;
        if replace.qty <= order.filled() {
            self.replace_with_nothing(session, slot, replace, out);
            return Ok(());
        }
        let same_price = replace.price == order.price;
        if same_price && replace.qty == order.qty {
            return Err(Rejection::whole(RejectReason::NothingToReplace));
        }
        if same_price && replace.qty < order.qty {
            self.shrink(session, slot, replace, out);
            return Ok(());
        }
        self.move_to_back(session, slot, replace, out)
    }

    /// All that the new size would leave has traded already.
    fn replace_with_nothing(
        &mut self,
        session: SessionIx,
        slot: Slot,
        replace: &ReplaceOrder,
        out: &mut Events,
    ) {
        let owner = self.orders.owner(slot).session;
        let request = replace.client_order_id;
        let requester = Requester { session, request };
        let canceled = self.cancel_open_order(slot, CancelReason::ReducedToZero, requester, out);
        if owner != session {
            self.tell(session, for_another_session(canceled, request), out);
        }
    }

    fn shrink(&mut self, session: SessionIx, slot: Slot, replace: &ReplaceOrder, out: &mut Events) {
        let before = self.orders.slab[slot];
        let ix = InstrumentIx::new(before.instrument);
        let lots = before.qty - replace.qty;
        let level = self.instruments[ix].book_mut().reduce(&mut self.orders.slab, slot, lots);
        let after = self.orders.slab[slot];
        let account = AccountIx::new(before.account);
        self.release_hold(account, ix, before.side, before.price, before.leaves);
        let hold = Hold::of(&self.instruments[ix], after.side, after.price, after.leaves);
        self.take_hold(account, ix, hold.expect("a part of a hold that fitted"));
        self.tell_replaced(session, slot, &after, replace.client_order_id, true, out);
        self.publish_book_update(&after, after.leaves, level, BookUpdate::REDUCED, out);
    }

    /// Checks everything before it touches the order, so that a refused replace leaves it as it was.
    fn move_to_back(
        &mut self,
        session: SessionIx,
        slot: Slot,
        replace: &ReplaceOrder,
        out: &mut Events,
    ) -> Result<(), Rejection> {
        let order = self.orders.slab[slot];
        let (ix, account) = (InstrumentIx::new(order.instrument), AccountIx::new(order.account));
        let hold = self.check_move(&order, replace)?;
        let level = self.instruments[ix].book_mut().remove(&mut self.orders.slab, slot);
        self.release_hold(account, ix, order.side, order.price, order.leaves);
        self.take_hold(account, ix, hold);
        let leaves = replace.qty - order.filled();
        self.orders.slab.amend(slot, replace.price, replace.qty, leaves);
        let moved = self.orders.slab[slot];
        self.tell_replaced(session, slot, &moved, replace.client_order_id, false, out);
        self.publish_book_update(&order, 0, level, BookUpdate::REMOVED, out);
        let mut taker = self.resting_taker(slot);
        let stop = self.match_taker(&mut taker, out);
        self.finish_taker(&taker, stop, out);
        Ok(())
    }

    fn check_move(&self, order: &Order, replace: &ReplaceOrder) -> Result<Hold, Rejection> {
        let ix = InstrumentIx::new(order.instrument);
        let instrument = &self.instruments[ix];
        let qty_offset = offset_of!(ReplaceOrder, qty);
        instrument.check_qty_max(replace.qty, qty_offset)?;
        instrument.check_price(replace.price, offset_of!(ReplaceOrder, price))?;
        let leaves = replace.qty - order.filled();
        let hold = Hold::of(instrument, order.side, replace.price, leaves)
            .ok_or(Rejection::field(RejectReason::NotionalOverflow, qty_offset).met(i64::MAX, replace.qty))?;
        let given = Hold::of(instrument, order.side, order.price, order.leaves);
        self.check_hold(AccountIx::new(order.account), ix, hold, given, qty_offset)?;
        if order.post_only {
            self.check_post_only(ix, order.side, replace.price)?;
        }
        Ok(hold)
    }

    /// An order that left its book for a moment, as one that takes.
    fn resting_taker(&self, slot: Slot) -> Taker {
        let order = &self.orders.slab[slot];
        let owner = self.orders.owner(slot);
        Taker {
            order_id: order.order_id,
            slot: Some(slot),
            session: owner.session,
            client_order_id: owner.client_order_id,
            account: AccountIx::new(order.account),
            trade_group: TradeGroup(order.trade_group),
            instrument: InstrumentIx::new(order.instrument),
            side: order.side,
            limit: order.price,
            qty: order.qty,
            leaves: order.leaves,
            funding: Funding::Hold,
        }
    }

    /// Tells the order's session, and the one that asked if it is another.
    fn tell_replaced(
        &mut self,
        session: SessionIx,
        slot: Slot,
        order: &Order,
        request: ClientOrderId,
        kept_priority: bool,
        out: &mut Events,
    ) {
        let owner = *self.orders.owner(slot);
        let replaced = OrderReplaced {
            client_order_id: owner.client_order_id,
            order_id: order.order_id,
            request: if owner.session == session { request } else { ClientOrderId::NONE },
            price: order.price,
            instrument: InstrumentIx::new(order.instrument).id(),
            qty: order.qty,
            leaves_qty: order.leaves,
            slot: slot.hint(),
            kept_priority: u8::from(kept_priority),
            ..Default::default()
        };
        self.tell(owner.session, replaced, out);
        if owner.session != session {
            self.tell(
                session,
                OrderReplaced { client_order_id: ClientOrderId::NONE, request, ..replaced },
                out,
            );
        }
    }
}
