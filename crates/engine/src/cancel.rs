//! Ways for an order to end without a fill.

use core::mem::offset_of;

use joulebook_book::{LevelTotal, Slot};
use joulebook_ledger::AccountIx;
use joulebook_protocol::messages::{BookUpdate, CancelOrder, MassCancel, MassCancelDone, OrderCanceled};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{ClassCode, ClientOrderId, OrderId, OrderType, Price, Role, Side, SlotHint};

use crate::holds::Promise;
use crate::instrument_directory::Named;
use crate::instruments::InstrumentIx;
use crate::orders::Place;
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

/// The request behind a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requester {
    pub(crate) session: SessionIx,
    pub(crate) request: ClientOrderId,
}

impl Requester {
    /// The exchange itself cancels.
    pub(crate) const NOBODY: Self = Self { session: SessionIx::NONE, request: ClientOrderId::NONE };
}

/// Which orders a cancel of many means: those that meet all that is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CancelFilter {
    pub(crate) instrument: Option<InstrumentIx>,
    pub(crate) class: Option<ClassCode>,
    pub(crate) side: Option<Side>,
    /// Bounds included; orders without a price of their own lie outside any bound.
    pub(crate) price_low: Option<Price>,
    pub(crate) price_high: Option<Price>,
}

impl CancelFilter {
    pub(crate) const ALL: Self =
        Self { instrument: None, class: None, side: None, price_low: None, price_high: None };
}

impl Engine {
    #[inline]
    pub(crate) fn cancel_order(
        &mut self,
        session: SessionIx,
        cancel: &CancelOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let slot = self.own_order(session, cancel.order_id, cancel.target, cancel.slot);
        let slot = slot
            .ok_or_else(|| Rejection::field(RejectReason::UnknownOrder, offset_of!(CancelOrder, order_id)))?;
        let order_id = self.orders.slab[slot].order_id;
        let requester = Requester { session, request: cancel.client_order_id };
        self.cancel_on_request(slot, CancelReason::Requested, requester, out);
        Ok(Done { order_id, slot: SlotHint::UNKNOWN })
    }

    /// Cancels an open order of the requester's account, and tells the session that asked if it is another's.
    #[inline(always)]
    pub(crate) fn cancel_on_request(
        &mut self,
        slot: Slot,
        reason: CancelReason,
        requester: Requester,
        out: &mut Events,
    ) {
        if self.orders.owner(slot).session == requester.session {
            return self.cancel_open_order(slot, reason, requester, out);
        }
        let canceled = self.canceled(slot, reason, requester);
        self.cancel_open_order(slot, reason, requester, out);
        self.tell(requester.session, for_another_session(canceled, requester.request), out);
    }

    pub(crate) fn mass_cancel(
        &mut self,
        session: SessionIx,
        cancel: &MassCancel,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let account = self.mass_cancel_account(session, cancel)?;
        let filter = self.mass_cancel_filter(cancel)?;
        let requester = Requester { session, request: cancel.client_order_id };
        let reason = CancelReason::MassCanceled;
        let canceled_orders = if cancel.scope == MassCancel::SCOPE_SESSION {
            self.cancel_session_orders(session, &filter, reason, requester, out)
        } else {
            self.cancel_account_orders(account, &filter, reason, requester, out)
        };
        let client_order_id = cancel.client_order_id;
        self.tell(session, MassCancelDone { client_order_id, canceled_orders, ..Default::default() }, out);
        Ok(Done::NO_ORDER)
    }

    /// Whose orders a mass cancel means. Only an operator may name another account, and then means all of it.
    fn mass_cancel_account(&self, session: SessionIx, cancel: &MassCancel) -> Result<AccountIx, Rejection> {
        let own = self.sessions[session].account;
        let offset = offset_of!(MassCancel, account);
        let named = !cancel.account.is_none();
        if named && !self.accounts[own].roles.has(Role::Operator) {
            return Err(Rejection::field(RejectReason::NotAuthorised, offset));
        }
        let known_scope = matches!(cancel.scope, MassCancel::SCOPE_SESSION | MassCancel::SCOPE_ACCOUNT);
        if !known_scope || named && cancel.scope != MassCancel::SCOPE_ACCOUNT {
            let scope = Rejection::field(RejectReason::InvalidChoice, offset_of!(MassCancel, scope));
            return Err(scope.met(0, cancel.scope));
        }
        if !named {
            return Ok(own);
        }
        self.accounts.find(cancel.account).ok_or(Rejection::field(RejectReason::UnknownAccount, offset))
    }

    fn mass_cancel_filter(&self, cancel: &MassCancel) -> Result<CancelFilter, Rejection> {
        if cancel.side != 0 && Side::from_raw(cancel.side).is_none() {
            let side = Rejection::field(RejectReason::InvalidChoice, offset_of!(MassCancel, side));
            return Err(side.met(0, cancel.side));
        }
        let instrument = match cancel.instrument.is_none() {
            true => None,
            false => Some(self.mass_cancel_instrument(cancel)?),
        };
        let bound = |price: Price| (price != Price::ZERO).then_some(price);
        Ok(CancelFilter {
            instrument,
            class: (cancel.class != ClassCode::default()).then_some(cancel.class),
            side: Side::from_raw(cancel.side),
            price_low: bound(cancel.price_low),
            price_high: bound(cancel.price_high),
        })
    }

    /// A settled instrument has no orders, which is no error.
    fn mass_cancel_instrument(&self, cancel: &MassCancel) -> Result<InstrumentIx, Rejection> {
        match self.instruments.named(cancel.instrument) {
            Named::Settled => Ok(InstrumentIx::NOWHERE),
            Named::Listed(ix) => Ok(ix),
            Named::Nobody => self.find_instrument(cancel.instrument, offset_of!(MassCancel, instrument)),
        }
    }

    /// Cancels the account's open orders, session by session in the order of first logon, and returns how many it hit.
    pub(crate) fn cancel_account_orders(
        &mut self,
        account: AccountIx,
        filter: &CancelFilter,
        reason: CancelReason,
        requester: Requester,
        out: &mut Events,
    ) -> u32 {
        let mut canceled = 0;
        for index in 0..self.accounts[account].sessions.len() {
            let session = self.accounts[account].sessions[index];
            canceled += self.cancel_session_orders(session, filter, reason, requester, out);
        }
        canceled
    }

    /// Cancels the session's open orders, oldest first, and returns how many it hit.
    pub(crate) fn cancel_session_orders(
        &mut self,
        session: SessionIx,
        filter: &CancelFilter,
        reason: CancelReason,
        requester: Requester,
        out: &mut Events,
    ) -> u32 {
        let mut canceled = 0;
        let mut next = self.orders.first_of_session(&self.sessions[session].orders);
        while let Some(slot) = next {
            let list = &self.sessions[session].orders;
            next = self.orders.next_of_session(list, slot);
            if self.is_meant(slot, filter) {
                next = self.orders.next_when_closed(list, slot);
                self.cancel_open_order(slot, reason, requester, out);
                canceled += 1;
            }
        }
        canceled
    }

    fn is_meant(&self, slot: Slot, filter: &CancelFilter) -> bool {
        let order = &self.orders.slab[slot];
        let ix = InstrumentIx::new(order.instrument);
        let CancelFilter { instrument, class, side, price_low, price_high } = *filter;
        instrument.is_none_or(|wanted| wanted == ix)
            && class.is_none_or(|wanted| wanted == self.instruments[ix].product.class)
            && side.is_none_or(|wanted| wanted == order.side)
            && (price_low.is_none() && price_high.is_none() || self.has_price_of_its_own(slot))
            && price_low.is_none_or(|low| low <= order.price)
            && price_high.is_none_or(|high| order.price <= high)
    }

    /// Market orders that wait hold at the band's edge, but that is not their price.
    pub(crate) fn has_price_of_its_own(&self, slot: Slot) -> bool {
        match self.orders.terms(slot).order_type {
            OrderType::Limit => true,
            OrderType::Market | OrderType::Budget => false,
        }
    }

    /// Takes an open order from where it stands, gives its hold back, and tells its session.
    pub(crate) fn cancel_open_order(
        &mut self,
        slot: Slot,
        reason: CancelReason,
        requester: Requester,
        out: &mut Events,
    ) {
        let level = self.leave_place(slot);
        let session = self.orders.owner(slot).session;
        self.tell(session, self.canceled(slot, reason, requester), out);
        if let Some(level) = level {
            self.publish_change(slot, 0, level, BookUpdate::REMOVED, out);
        }
        self.close_order(slot, out);
    }

    /// What the session of an open order hears of its end.
    #[inline(always)]
    fn canceled(&self, slot: Slot, reason: CancelReason, requester: Requester) -> OrderCanceled {
        let (order, owner) = (&self.orders.slab[slot], self.orders.owner(slot));
        let by_owner = owner.session == requester.session;
        OrderCanceled {
            client_order_id: owner.client_order_id,
            order_id: order.order_id,
            request: if by_owner { requester.request } else { ClientOrderId::NONE },
            instrument: self.instruments[InstrumentIx::new(order.instrument)].id,
            canceled_qty: order.total_leaves(),
            filled_qty: order.filled(),
            reason: reason.raw(),
            side: order.side.raw(),
            ..Default::default()
        }
    }

    /// Takes an order from where it stands and gives its hold back. Returns its level if it stood in the book.
    #[inline(always)]
    fn leave_place(&mut self, slot: Slot) -> Option<LevelTotal> {
        let promise = self.promise_at(slot);
        match self.orders.terms(slot).place {
            Place::Book => {
                self.release(&promise);
                let book = self.instruments[promise.instrument].book_mut();
                Some(book.remove(&mut self.orders.slab, slot))
            }
            Place::Stop | Place::Call => {
                self.stop_waiting(slot, &promise);
                None
            }
        }
    }

    /// The same for an order outside the book.
    fn stop_waiting(&mut self, slot: Slot, promise: &Promise) {
        if self.orders.terms(slot).place == Place::Stop {
            let stop = self.stops.remove(slot);
            self.uncount_open(promise);
            self.give_back(promise.account, promise.instrument, stop.held);
            return;
        }
        match promise.side {
            Side::Sell => self.release(promise),
            // It is paid when it trades, so it holds nothing.
            Side::Buy => self.uncount_open(promise),
        }
        self.leave_call(slot);
    }

    /// The open order that a request names, if it belongs to the sender's account. Client order ids are the session's
    /// own; order ids may be of any session of the account.
    #[inline]
    pub(crate) fn own_order(
        &self,
        session: SessionIx,
        order_id: OrderId,
        target: ClientOrderId,
        hint: SlotHint,
    ) -> Option<Slot> {
        if !order_id.is_none() {
            let slot = self.orders.find(order_id, hint)?;
            let account = self.sessions[session].account.raw();
            return (self.orders.slab[slot].account == account).then_some(slot);
        }
        self.order_of_request(session, target)
    }

    /// The open order that a request of the session entered.
    fn order_of_request(&self, session: SessionIx, target: ClientOrderId) -> Option<Slot> {
        let outcome = self.sessions[session].outcomes.find(target)?;
        let slot = self.orders.find(outcome.order_id, outcome.slot)?;
        // The outcome of a cancel or a replace names an order too, but that is not its client order id.
        let owner = self.orders.owner(slot);
        (owner.session == session && owner.client_order_id == target).then_some(slot)
    }
}

/// The same fact for the session that asked, when the order is another session's: client order ids are per session.
fn for_another_session(canceled: OrderCanceled, request: ClientOrderId) -> OrderCanceled {
    OrderCanceled { client_order_id: ClientOrderId::NONE, request, ..canceled }
}
