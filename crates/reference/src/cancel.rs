//! Ways for an order to end, or to shrink, without a trade.

use core::mem::offset_of;

use joulebook_protocol::messages::{
    BookUpdate, CancelOrder, MassCancel, MassCancelDone, OrderCanceled, OrderReplaced, ReduceOrder,
};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{ClassCode, ClientOrderId, OrderId, Price, Role, Side, SlotHint};

use crate::market::Market;
use crate::orders::Work;
use crate::rejection::{Checked, field, invalid_choice};

/// The session and the request behind a cancel.
pub(crate) type Requester = Option<(usize, ClientOrderId)>;

/// Which orders a mass cancel means.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) instrument: Option<usize>,
    pub(crate) class: Option<ClassCode>,
    pub(crate) side: Option<Side>,
    pub(crate) price_low: Option<Price>,
    pub(crate) price_high: Option<Price>,
}

impl Market {
    pub(crate) fn cancel_order(&mut self, session: usize, cancel: &CancelOrder) -> Checked<OrderId> {
        let unknown = field(RejectReason::UnknownOrder, offset_of!(CancelOrder, order_id));
        let id = self.own_order(session, cancel.order_id, cancel.target).ok_or(unknown)?;
        self.cancel_for(session, id, CancelReason::Requested, cancel.client_order_id);
        Ok(id)
    }

    /// Cancels an order at the request of a session of its account; the owner hears of it, and so does who asked.
    pub(crate) fn cancel_for(
        &mut self,
        session: usize,
        id: OrderId,
        reason: CancelReason,
        request: ClientOrderId,
    ) {
        let owner = self.order(id).session;
        let canceled = self.cancel_open(id, reason, Some((session, request)));
        if owner != session {
            // Client order ids are the owner's.
            let client_order_id = ClientOrderId::NONE;
            self.tell(session, OrderCanceled { client_order_id, request, ..canceled });
        }
    }

    /// Ends an open order, or what is left of the one in hand, and the order that it is linked with.
    pub(crate) fn cancel_open(
        &mut self,
        id: OrderId,
        reason: CancelReason,
        requester: Requester,
    ) -> OrderCanceled {
        let order = self.order(id).clone();
        let by_owner = requester.filter(|(session, _)| *session == order.session);
        let canceled = OrderCanceled {
            client_order_id: order.client_order_id,
            order_id: id,
            request: by_owner.map_or(ClientOrderId::NONE, |(_, request)| request),
            instrument: self.instruments[order.instrument].id,
            canceled_qty: order.leaves,
            filled_qty: order.filled,
            reason: reason.raw(),
            side: order.side.raw(),
            ..Default::default()
        };
        self.tell(order.session, canceled);
        if order.work == Work::Resting {
            let removed = self.take_out(id);
            self.publish(removed);
        }
        self.close(id);
        self.cancel_partner(order.partner);
        canceled
    }

    /// Cancels the other leg of an OCO, if it is still there.
    pub(crate) fn cancel_partner(&mut self, partner: Option<OrderId>) {
        let Some(id) = partner.filter(|partner| self.orders.contains_key(partner)) else { return };
        // Apart from now on: what remains of the other leg is an order like any other.
        if let Some(other) = self.order_mut(id).partner.take()
            && let Some(other) = self.orders.get_mut(&other)
        {
            other.partner = None;
        }
        self.cancel_open(id, CancelReason::LinkedOrder, None);
    }

    pub(crate) fn mass_cancel(&mut self, session: usize, cancel: &MassCancel) -> Checked {
        let account = self.mass_cancel_account(session, cancel)?;
        if cancel.side != 0 && Side::from_raw(cancel.side).is_none() {
            return Err(invalid_choice(offset_of!(MassCancel, side), cancel.side));
        }
        let instrument = match cancel.instrument.is_none() {
            true => None,
            false => Some(self.ever_listed(cancel.instrument, offset_of!(MassCancel, instrument))?),
        };
        let filter = Filter {
            instrument,
            class: Some(cancel.class).filter(|class| *class != ClassCode::default()),
            side: Side::from_raw(cancel.side),
            price_low: Some(cancel.price_low).filter(|price| *price != Price::ZERO),
            price_high: Some(cancel.price_high).filter(|price| *price != Price::ZERO),
        };
        let requester = Some((session, cancel.client_order_id));
        let canceled_orders = if cancel.scope == MassCancel::SCOPE_SESSION {
            self.cancel_session(session, &filter, CancelReason::MassCanceled, requester)
        } else {
            self.cancel_account(account, &filter, CancelReason::MassCanceled, requester)
        };
        let client_order_id = cancel.client_order_id;
        self.tell(session, MassCancelDone { client_order_id, canceled_orders, ..Default::default() });
        Ok(())
    }

    /// Whose orders a mass cancel means. Only an operator may name an account, and then means all of it.
    fn mass_cancel_account(&self, session: usize, cancel: &MassCancel) -> Checked<usize> {
        let own = self.account_of(session);
        let named = !cancel.account.is_none();
        if named && !self.accounts[own].roles.has(Role::Operator) {
            return Err(field(RejectReason::NotAuthorised, offset_of!(MassCancel, account)));
        }
        let known = matches!(cancel.scope, MassCancel::SCOPE_SESSION | MassCancel::SCOPE_ACCOUNT);
        if !known || named && cancel.scope != MassCancel::SCOPE_ACCOUNT {
            return Err(invalid_choice(offset_of!(MassCancel, scope), cancel.scope));
        }
        if !named {
            return Ok(own);
        }
        let unknown = field(RejectReason::UnknownAccount, offset_of!(MassCancel, account));
        self.find_account(cancel.account).ok_or(unknown)
    }

    /// Cancels the account's orders, session by session in the order of first logon. Returns how many it hit.
    pub(crate) fn cancel_account(
        &mut self,
        account: usize,
        filter: &Filter,
        reason: CancelReason,
        requester: Requester,
    ) -> u32 {
        let sessions = (0..self.sessions.len()).filter(|session| self.account_of(*session) == account);
        let sessions: Vec<usize> = sessions.collect();
        sessions.into_iter().map(|session| self.cancel_session(session, filter, reason, requester)).sum()
    }

    /// Cancels the session's orders, oldest first. Returns how many it hit: the partners that go with them do not
    /// count.
    pub(crate) fn cancel_session(
        &mut self,
        session: usize,
        filter: &Filter,
        reason: CancelReason,
        requester: Requester,
    ) -> u32 {
        let mut canceled = 0;
        for id in self.session_orders(session) {
            if self.orders.contains_key(&id) && self.passes(id, filter) {
                self.cancel_open(id, reason, requester);
                canceled += 1;
            }
        }
        canceled
    }

    fn passes(&self, id: OrderId, filter: &Filter) -> bool {
        let order = self.order(id);
        let class = self.instruments[order.instrument].class;
        let by_price = filter.price_low.is_some() || filter.price_high.is_some();
        filter.instrument.is_none_or(|instrument| instrument == order.instrument)
            && filter.class.is_none_or(|wanted| wanted == class)
            && filter.side.is_none_or(|side| side == order.side)
            && !(by_price && order.market)
            && filter.price_low.is_none_or(|low| low <= order.limit)
            && filter.price_high.is_none_or(|high| order.limit <= high)
    }

    pub(crate) fn reduce_order(&mut self, session: usize, reduce: &ReduceOrder) -> Checked<OrderId> {
        let unknown = field(RejectReason::UnknownOrder, offset_of!(ReduceOrder, order_id));
        let id = self.own_order(session, reduce.order_id, reduce.target).ok_or(unknown)?;
        let order = self.order(id);
        let instrument = self.instruments[order.instrument].id;
        let refuse =
            |rejection: crate::rejection::Rejection| Err(rejection.of_order(id).of_instrument(instrument));
        if reduce.lots == 0 {
            return refuse(field(RejectReason::QtyZero, offset_of!(ReduceOrder, lots)).met(1, 0));
        }
        if order.partner.is_some() {
            return refuse(crate::rejection::whole(RejectReason::NotReplaceable));
        }
        if reduce.lots >= order.leaves {
            self.cancel_for(session, id, CancelReason::ReducedToZero, reduce.client_order_id);
            return Ok(id);
        }
        let slice_changed = self.shrink(id, reduce.lots);
        self.tell_replaced(session, id, reduce.client_order_id, true);
        if slice_changed {
            self.publish_update(id, BookUpdate::REDUCED);
        }
        Ok(id)
    }

    /// Tells the order's session what it is now, and the session that asked if it is another.
    pub(crate) fn tell_replaced(
        &mut self,
        session: usize,
        id: OrderId,
        request: ClientOrderId,
        kept_priority: bool,
    ) {
        let order = self.order(id);
        let owner = order.session;
        let replaced = OrderReplaced {
            client_order_id: order.client_order_id,
            order_id: id,
            request: if owner == session { request } else { ClientOrderId::NONE },
            price: order.price(),
            instrument: self.instruments[order.instrument].id,
            qty: order.qty(),
            leaves_qty: order.leaves,
            slot: SlotHint::UNKNOWN,
            kept_priority: u8::from(kept_priority),
            ..Default::default()
        };
        self.tell(owner, replaced);
        if owner != session {
            self.tell(session, OrderReplaced { client_order_id: ClientOrderId::NONE, request, ..replaced });
        }
    }

    /// The session did not come back in time.
    pub(crate) fn end_grace(&mut self, session: usize) {
        self.cancel_session(session, &Filter::default(), CancelReason::Disconnected, None);
    }
}
