//! The frame around every request of a client: exactly once, allowed, answered, remembered.

use joulebook_protocol::messages::*;
use joulebook_protocol::{Message, Origin, RejectReason, RequestStatus};
use joulebook_types::{ClientOrderId, InstrumentId, OrderId, Roles, SlotHint};

use crate::outcomes::{Outcome, Recall};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

/// A command that a client sends under its own number.
pub(crate) trait Request: Message {
    /// Who may send it: accounts with at least one of these roles.
    const SENDERS: Roles;
    /// Client order ids that it takes, from its own on.
    const IDS: u64;

    fn client_order_id(&self) -> ClientOrderId;
}

/// What an accepted request made or touched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) order_id: OrderId,
    pub(crate) slot: SlotHint,
}

impl Done {
    pub(crate) const NO_ORDER: Self = Self { order_id: OrderId::NONE, slot: SlotHint::UNKNOWN };
}

/// Why a request was refused, and by what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejection {
    pub(crate) reason: RejectReason,
    /// Of the field in the request's block.
    field_offset: u16,
    limit: i64,
    value: i64,
    order_id: OrderId,
    instrument: InstrumentId,
}

impl Rejection {
    /// Of the request as a whole. Cold, so that every check is compiled for those who pass it.
    #[cold]
    pub(crate) const fn whole(reason: RejectReason) -> Self {
        Self {
            reason,
            field_offset: u16::MAX,
            limit: 0,
            value: 0,
            order_id: OrderId::NONE,
            instrument: InstrumentId::NONE,
        }
    }

    /// Of the field at `offset` in the request's block.
    #[cold]
    pub(crate) const fn field(reason: RejectReason, offset: usize) -> Self {
        Self { field_offset: offset as u16, ..Self::whole(reason) }
    }

    /// With another field for the one that it names, if it names one.
    pub(crate) fn map_field(self, map: impl FnOnce(usize) -> usize) -> Self {
        match self.field_offset {
            u16::MAX => self,
            offset => Self { field_offset: map(usize::from(offset)) as u16, ..self },
        }
    }

    /// The limit that was met and the value that met it; what does not fit is cut to the largest that does.
    pub(crate) fn met(self, limit: impl TryInto<i64>, value: impl TryInto<i64>) -> Self {
        Self {
            limit: limit.try_into().unwrap_or(i64::MAX),
            value: value.try_into().unwrap_or(i64::MAX),
            ..self
        }
    }

    /// Where its rule stands among all. That is the order of codes, but for the kill switch of a class: it is looked at
    /// with the instrument, right after a name that no instrument has.
    pub(crate) fn precedence(&self) -> (RejectReason, bool) {
        let of_class =
            self.reason == RejectReason::EntryDisabled && self.limit == i64::from(KillSwitch::SCOPE_CLASS);
        if of_class { (RejectReason::UnknownInstrument, true) } else { (self.reason, false) }
    }

    pub(crate) const fn of_order(self, order_id: OrderId) -> Self {
        Self { order_id, ..self }
    }

    /// As the answer to one pair of a mass quote, which the sender names.
    pub(crate) fn of_pair(self, index: usize) -> QuoteRejected {
        QuoteRejected {
            limit: self.limit,
            value: self.value,
            instrument: self.instrument,
            reason: self.reason.raw(),
            field_offset: self.field_offset,
            pair: index as u8,
            ..Default::default()
        }
    }

    pub(crate) const fn of_instrument(self, instrument: InstrumentId) -> Self {
        Self { instrument, ..self }
    }
}

impl Engine {
    /// Carries out a request unless its number was used before, and remembers how it ended.
    #[inline(always)]
    pub(crate) fn request<M: Request>(
        &mut self,
        origin: Origin,
        message: &M,
        carry_out: impl FnOnce(&mut Self, SessionIx, &M, &mut Events) -> Result<Done, Rejection>,
        out: &mut Events,
    ) {
        let Some(session_ix) = self.connected_session(origin) else { return self.ignore() };
        let id = message.client_order_id();
        let session = &mut self.sessions[session_ix];
        let allowed = self.accounts[session.account].may_send::<M>();
        if id <= session.high_water_mark {
            return self.not_new::<M>(session_ix, id, allowed, out);
        }
        let last_id = ClientOrderId::new(id.raw().saturating_add(M::IDS - 1));
        session.high_water_mark = last_id;
        let result = if allowed {
            carry_out(self, session_ix, message, out)
        } else {
            Err(Rejection::whole(RejectReason::NotAuthorised))
        };
        let outcome = match result {
            Ok(done) => {
                Outcome { client_order_id: id, order_id: done.order_id, slot: done.slot, reason: None }
            }
            Err(rejection) => self.refuse::<M>(session_ix, id, rejection, out),
        };
        self.sessions[session_ix].outcomes.record(outcome, &mut self.outcome_budget);
        if id < last_id {
            let second = second_outcome(outcome, last_id);
            self.sessions[session_ix].outcomes.record(second, &mut self.outcome_budget);
        }
    }

    /// A request whose number was used before, or that has none.
    #[cold]
    fn not_new<M: Request>(
        &mut self,
        session: SessionIx,
        id: ClientOrderId,
        allowed: bool,
        out: &mut Events,
    ) {
        if !id.is_none() {
            return self.repeat(session, id, out);
        }
        // Without a number there is nothing to remember it by.
        let reason = if allowed { RejectReason::ClientOrderIdZero } else { RejectReason::NotAuthorised };
        self.tell(session, Self::rejected::<M>(id, Rejection::field(reason, 0)), out);
    }

    /// The session that sent a command, if it is logged on. A gateway sends for no other, a damaged journal might.
    #[inline]
    pub(crate) fn connected_session(&self, origin: Origin) -> Option<SessionIx> {
        let session = self.sessions.find(origin.account, origin.session)?;
        self.sessions[session].is_connected().then_some(session)
    }

    /// Tells a session that a request of its own, which was not an order, was carried out.
    pub(crate) fn request_done<M: Request>(
        &mut self,
        session: SessionIx,
        message: &M,
        result: u64,
        out: &mut Events,
    ) -> Done {
        let client_order_id = message.client_order_id();
        let template_id = M::TEMPLATE_ID;
        self.tell(session, RequestDone { client_order_id, result, template_id, ..Default::default() }, out);
        Done::NO_ORDER
    }

    pub(crate) fn rejected<M: Message>(id: ClientOrderId, rejection: Rejection) -> RequestRejected {
        RequestRejected {
            client_order_id: id,
            order_id: rejection.order_id,
            limit: rejection.limit,
            value: rejection.value,
            instrument: rejection.instrument,
            reason: rejection.reason.raw(),
            template_id: M::TEMPLATE_ID,
            field_offset: rejection.field_offset,
            ..Default::default()
        }
    }

    /// Tells why a request was refused; the outcome to remember.
    #[cold]
    fn refuse<M: Message>(
        &mut self,
        session: SessionIx,
        id: ClientOrderId,
        rejection: Rejection,
        out: &mut Events,
    ) -> Outcome {
        self.tell(session, Self::rejected::<M>(id, rejection), out);
        let (order_id, reason) = (rejection.order_id, Some(rejection.reason));
        Outcome { client_order_id: id, order_id, slot: SlotHint::UNKNOWN, reason }
    }

    fn repeat(&mut self, session: SessionIx, id: ClientOrderId, out: &mut Events) {
        let recall = self.sessions[session].outcomes.recall(id);
        let mut repeated = RequestRepeated {
            client_order_id: id,
            last_client_order_id: self.sessions[session].high_water_mark,
            slot: SlotHint::UNKNOWN,
            ..Default::default()
        };
        let status = match recall {
            Recall::Known(outcome) => {
                repeated.order_id = outcome.order_id;
                repeated.slot = outcome.slot;
                repeated.reason = outcome.reason.map_or(0, RejectReason::raw);
                outcome.status()
            }
            Recall::NeverSeen => RequestStatus::NeverSeen,
            Recall::TooOld => RequestStatus::TooOld,
        };
        repeated.status = status.raw();
        self.tell(session, repeated, out);
    }
}

/// Of the second order that a request made: their order ids follow each other as their client order ids do.
fn second_outcome(first: Outcome, client_order_id: ClientOrderId) -> Outcome {
    let order_id = if first.order_id.is_none() { OrderId::NONE } else { first.order_id.next() };
    Outcome { client_order_id, order_id, slot: SlotHint::UNKNOWN, ..first }
}
