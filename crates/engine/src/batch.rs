//! Several requests in one message: the same as sending them one after another.

use core::mem::offset_of;

use joulebook_protocol::messages::{
    BatchEntry, CancelOrder, NewOrder, OrderBatch, ReduceOrder, ReplaceOrder,
};
use joulebook_protocol::{Origin, RejectReason};
use joulebook_types::ClientOrderId;

use crate::order_choices::invalid;
use crate::request::Rejection;
use crate::{Engine, Events};

impl Engine {
    /// Each entry is a step of its own, with its own number, answer and outcome.
    pub(crate) fn order_batch(&mut self, origin: Origin, batch: &OrderBatch, out: &mut Events) {
        let (first, count) = (batch.client_order_id.raw(), usize::from(batch.count));
        let last = first.checked_add((count as u64).saturating_sub(1));
        if first == 0 || count == 0 || count > OrderBatch::ENTRIES_MAX || last.is_none() {
            let offset = offset_of!(OrderBatch, count);
            let refused = Rejection::field(RejectReason::InvalidCount, offset);
            let refused = refused.met(OrderBatch::ENTRIES_MAX, count);
            return self.request(origin, batch, |_, _, _, _| Err(refused), out);
        }
        for (index, entry) in batch.entries[..count].iter().enumerate() {
            if index > 0 {
                self.end_step(out);
                self.step += 1;
            }
            let id = ClientOrderId::new(first + index as u64);
            self.batch_entry(origin, batch, (index, id, entry), out);
        }
    }

    fn batch_entry(
        &mut self,
        origin: Origin,
        batch: &OrderBatch,
        (index, client_order_id, entry): (usize, ClientOrderId, &BatchEntry),
        out: &mut Events,
    ) {
        let BatchEntry { side, time_in_force, flags, instrument, qty, slot, order_id, target, price, .. } =
            *entry;
        match entry.kind {
            BatchEntry::NEW => {
                let order = NewOrder {
                    client_order_id,
                    price,
                    instrument,
                    qty,
                    side,
                    time_in_force,
                    flags,
                    ..Default::default()
                };
                self.request(origin, &order, Self::new_order, out);
            }
            BatchEntry::CANCEL => {
                let cancel = CancelOrder { client_order_id, order_id, target, slot, ..Default::default() };
                self.request(origin, &cancel, Self::cancel_order, out);
            }
            BatchEntry::REPLACE => {
                let replace = ReplaceOrder {
                    client_order_id,
                    order_id,
                    target,
                    price,
                    slot,
                    qty,
                    ..Default::default()
                };
                self.request(origin, &replace, Self::replace_order, out);
            }
            BatchEntry::REDUCE => {
                let reduce = ReduceOrder { client_order_id, order_id, target, slot, lots: qty };
                self.request(origin, &reduce, Self::reduce_order, out);
            }
            kind => {
                let start = offset_of!(OrderBatch, entries) + index * size_of::<BatchEntry>();
                let unknown = invalid(start + offset_of!(BatchEntry, kind), kind);
                let batch = OrderBatch { client_order_id, ..*batch };
                self.request(origin, &batch, |_, _, _, _| Err(unknown), out);
            }
        }
    }
}
