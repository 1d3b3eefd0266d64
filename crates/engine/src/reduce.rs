//! Taking lots off an open order.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::ReduceOrder;

use crate::cancel::Requester;
use crate::instruments::InstrumentIx;
use crate::new_order::check_qty;
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

impl Engine {
    /// Works on every open order, wherever it stands, in every phase: to want less is always allowed.
    pub(crate) fn reduce_order(
        &mut self,
        session: SessionIx,
        reduce: &ReduceOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let slot = self.own_order(session, reduce.order_id, reduce.target, reduce.slot);
        let slot = slot
            .ok_or_else(|| Rejection::field(RejectReason::UnknownOrder, offset_of!(ReduceOrder, order_id)))?;
        let order = self.orders.slab[slot];
        let instrument = self.instruments[InstrumentIx::new(order.instrument)].id;
        let of_order = |rejection: Rejection| rejection.of_order(order.order_id).of_instrument(instrument);
        check_qty(reduce.lots, offset_of!(ReduceOrder, lots)).map_err(of_order)?;
        if self.orders.terms(slot).partner.is_some() {
            return Err(of_order(Rejection::whole(RejectReason::NotReplaceable)));
        }
        let requester = Requester { session, request: reduce.client_order_id };
        if reduce.lots >= order.total_leaves() {
            self.reduce_to_zero(slot, requester, out);
        } else {
            self.shrink_in_place(slot, reduce.lots, requester, out);
        }
        Ok(Done { order_id: order.order_id, slot: slot.hint() })
    }
}
