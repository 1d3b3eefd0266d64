//! The frame around every request of a client: allowed, carried out at most once, answered, remembered.

use std::collections::BTreeMap;

use joulebook_protocol::messages::{RequestRejected, RequestRepeated};
use joulebook_protocol::{RejectReason, RequestStatus};
use joulebook_types::{ClientOrderId, OrderId, SlotHint};

use crate::market::Market;
use crate::policy::Policy;
use crate::reference::Reference;
use crate::rejection::{Checked, Rejection, field, whole};

/// How requests ended: the order that one made or touched, if any, or why and by which order it was refused.
pub(crate) type Outcomes = BTreeMap<ClientOrderId, Result<OrderId, (RejectReason, OrderId)>>;

/// A request as the frame sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framed {
    pub(crate) session: usize,
    pub(crate) client_order_id: ClientOrderId,
    pub(crate) template_id: u16,
    pub(crate) policy: Policy,
    /// Numbers that it uses up.
    pub(crate) ids: u64,
}

impl Reference {
    /// Carries out a request as one step. What it made is told by order: an order of two legs has two.
    pub(crate) fn request(
        &mut self,
        framed: Framed,
        carry_out: impl FnOnce(&mut Market, usize) -> Checked<Vec<OrderId>>,
    ) {
        let Framed { session, client_order_id: id, policy, ids, .. } = framed;
        if !id.is_none() && id <= self.clients[session].high_water_mark {
            return self.repeat(session, id);
        }
        let allowed = policy.allows(self.market.accounts[self.market.account_of(session)].roles);
        if id.is_none() {
            // Without a number there is nothing to remember it by.
            let reason = if allowed { RejectReason::ClientOrderIdZero } else { RejectReason::NotAuthorised };
            self.refuse(framed, field(reason, 0));
            return self.number();
        }
        let last = ClientOrderId::new(id.raw().saturating_add(ids - 1));
        self.clients[session].high_water_mark = last;
        self.market.begin_step();
        let result = match allowed {
            true => carry_out(&mut self.market, session),
            false => Err(whole(RejectReason::NotAuthorised)),
        };
        if let Err(rejection) = result {
            self.refuse(framed, rejection);
        }
        self.market.end_step();
        for (place, used) in (id.raw()..=last.raw()).enumerate() {
            let outcome = match &result {
                Ok(orders) => Ok(orders.get(place).copied().unwrap_or(OrderId::NONE)),
                Err(rejection) => Err((rejection.reason, rejection.order_id)),
            };
            self.clients[session].outcomes.insert(ClientOrderId::new(used), outcome);
        }
        self.number();
    }

    fn refuse(&mut self, framed: Framed, rejection: Rejection) {
        let rejected = RequestRejected {
            client_order_id: framed.client_order_id,
            order_id: rejection.order_id,
            limit: rejection.limit,
            value: rejection.value,
            instrument: rejection.instrument,
            reason: rejection.reason.raw(),
            template_id: framed.template_id,
            field_offset: rejection.field_offset,
            ..Default::default()
        };
        self.market.tell(framed.session, rejected);
    }

    /// The number was used before: nothing happens, and the answer is what happened then.
    fn repeat(&mut self, session: usize, id: ClientOrderId) {
        let client = &self.clients[session];
        let mut repeated = RequestRepeated {
            client_order_id: id,
            last_client_order_id: client.high_water_mark,
            slot: SlotHint::UNKNOWN,
            ..Default::default()
        };
        let status = match client.outcomes.get(&id) {
            Some(Ok(order_id)) => {
                repeated.order_id = *order_id;
                RequestStatus::Accepted
            }
            Some(Err((reason, order_id))) => {
                repeated.order_id = *order_id;
                repeated.reason = reason.raw();
                RequestStatus::Rejected
            }
            None => RequestStatus::NeverSeen,
        };
        repeated.status = status.raw();
        self.market.tell(session, repeated);
        self.number();
    }
}
