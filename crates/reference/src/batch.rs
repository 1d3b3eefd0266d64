//! Several requests in one message: the same as one after another.

use core::mem::{offset_of, size_of};

use joulebook_protocol::messages::{
    BatchEntry, CancelOrder, NewOrder, OrderBatch, ReduceOrder, ReplaceOrder,
};
use joulebook_protocol::{Command, Message, RejectReason};
use joulebook_types::ClientOrderId;

use crate::exactly_once::Framed;
use crate::policy::policy;
use crate::reference::Reference;
use crate::rejection::{field, invalid_choice};

impl Reference {
    pub(crate) fn order_batch(&mut self, session: usize, batch: &OrderBatch) {
        let framed = Framed {
            session,
            client_order_id: batch.client_order_id,
            template_id: OrderBatch::TEMPLATE_ID,
            policy: policy(&Command::OrderBatch(*batch)),
            ids: 1,
        };
        let (first, count) = (batch.client_order_id.raw(), usize::from(batch.count));
        let counted = (1..=OrderBatch::ENTRIES_MAX).contains(&count);
        // Without a number, or with a count that cannot be, it is one request and not several.
        if first == 0 || !counted || first.checked_add(count as u64 - 1).is_none() {
            return self.request(framed, |_, _| {
                let invalid = field(RejectReason::InvalidCount, offset_of!(OrderBatch, count));
                Err(invalid.met(OrderBatch::ENTRIES_MAX, count))
            });
        }
        for (number, entry) in batch.entries[..count].iter().enumerate() {
            let client_order_id = ClientOrderId::new(first + number as u64);
            match single(entry, client_order_id) {
                Some(command) => self.client_request(session, &command),
                None => {
                    let offset = offset_of!(OrderBatch, entries)
                        + number * size_of::<BatchEntry>()
                        + offset_of!(BatchEntry, kind);
                    let framed = Framed { client_order_id, ..framed };
                    self.request(framed, |_, _| Err(invalid_choice(offset, entry.kind)));
                }
            }
        }
    }
}

/// The entry as a request of its own; `None` of a kind that this version does not know.
fn single(entry: &BatchEntry, client_order_id: ClientOrderId) -> Option<Command> {
    let BatchEntry { order_id, target, slot, .. } = *entry;
    Some(match entry.kind {
        BatchEntry::NEW => NewOrder {
            client_order_id,
            price: entry.price,
            instrument: entry.instrument,
            qty: entry.qty,
            side: entry.side,
            time_in_force: entry.time_in_force,
            flags: entry.flags,
            ..Default::default()
        }
        .into(),
        BatchEntry::CANCEL => {
            CancelOrder { client_order_id, order_id, target, slot, ..Default::default() }.into()
        }
        BatchEntry::REPLACE => ReplaceOrder {
            client_order_id,
            order_id,
            target,
            price: entry.price,
            slot,
            qty: entry.qty,
            ..Default::default()
        }
        .into(),
        BatchEntry::REDUCE => ReduceOrder { client_order_id, order_id, target, slot, lots: entry.qty }.into(),
        _unknown => return None,
    })
}
