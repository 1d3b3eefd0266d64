//! Lookahead: asking for the memory of the commands that come next while the one in hand is carried out.
//!
//! With many open orders nearly every cancel names one whose lines are in no near cache, and each line is found only
//! through the one before: the order, then its level, its block of the queue and its neighbours. Asking changes nothing
//! that can be seen, so what is asked for may be wrong.

use core::mem::offset_of;

use joulebook_book::Slot;
use joulebook_protocol::messages::{CancelOrder, NewOrder, ReduceOrder, ReplaceOrder};
use joulebook_protocol::{FrameHeader, HEADER_BYTES, Message, Origin};
use joulebook_types::InstrumentId;

use crate::Engine;
use crate::instruments::InstrumentIx;

/// With fewer open orders than this, what commands touch stays in a second-level cache of 1 MiB, of which their lines are
/// half, and asking costs more than it saves. Measured: a tenth slower with 1,000 orders, a quarter to a half faster with
/// 10,000, three times as fast with a million, twice with a thousand books.
const ORDERS_MIN: usize = 4_096;

/// What a command that is not carried out yet names.
enum Named {
    Order(Slot),
    Instrument(InstrumentId),
}

impl Engine {
    /// Whether asking ahead pays now.
    #[inline]
    pub fn looks_ahead(&self) -> bool {
        self.orders.slab.len() >= ORDERS_MIN
    }

    /// Asks for the order that a command some places ahead names. The record may be anything.
    #[inline]
    pub fn look_far_ahead(&self, record: &[u8]) {
        if let Some(Named::Order(slot)) = named(record) {
            self.orders.prepare(slot);
        }
    }

    /// Asks for what lies around that order, half of the way later: the order should be there by now.
    #[inline]
    pub fn look_near_ahead(&self, record: &[u8]) {
        match named(record) {
            Some(Named::Order(slot)) => {
                self.orders.prepare_leaving(slot);
                if let Some(order) = self.orders.slab.get(slot) {
                    self.instruments.prepare(InstrumentIx::new(order.instrument));
                }
            }
            Some(Named::Instrument(id)) => {
                if let Some(ix) = self.instruments.find(id) {
                    self.instruments.prepare(ix);
                }
            }
            None => {}
        }
    }
}

/// What a record names, if it is one of the requests that markets are made of.
#[inline]
fn named(record: &[u8]) -> Option<Named> {
    const TEMPLATE: usize = size_of::<Origin>() + offset_of!(FrameHeader, template_id);
    const BLOCK: usize = size_of::<Origin>() + HEADER_BYTES;
    let word = |offset: usize| {
        let word = record.get(BLOCK + offset..)?.first_chunk()?;
        Some(u32::from_le_bytes(*word))
    };
    let order = |offset| word(offset).map(|raw| Named::Order(Slot::new(raw)));
    match u16::from_le_bytes(*record.get(TEMPLATE..)?.first_chunk()?) {
        NewOrder::TEMPLATE_ID => {
            let instrument = word(offset_of!(NewOrder, instrument))?;
            Some(Named::Instrument(InstrumentId::new(instrument)))
        }
        CancelOrder::TEMPLATE_ID => order(offset_of!(CancelOrder, slot)),
        ReplaceOrder::TEMPLATE_ID => order(offset_of!(ReplaceOrder, slot)),
        ReduceOrder::TEMPLATE_ID => order(offset_of!(ReduceOrder, slot)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::SequencedCommand;
    use joulebook_types::SlotHint;

    use super::*;

    fn record(command: impl Into<joulebook_protocol::Command>) -> Vec<u8> {
        let mut record = Vec::new();
        SequencedCommand { origin: Origin::SYSTEM, command: command.into() }.encode(&mut record);
        record
    }

    #[test]
    fn records_name_their_order_or_their_instrument() {
        let (slot, instrument) = (SlotHint::new(77), InstrumentId::new(5));
        let orders = [
            record(CancelOrder { slot, ..Default::default() }),
            record(ReplaceOrder { slot, ..Default::default() }),
            record(ReduceOrder { slot, ..Default::default() }),
        ];
        for record in &orders {
            assert!(matches!(named(record), Some(Named::Order(found)) if found == Slot::new(77)));
        }
        let entered = record(NewOrder { instrument, ..Default::default() });
        assert!(matches!(named(&entered), Some(Named::Instrument(found)) if found == instrument));
        assert!(named(&record(joulebook_protocol::messages::MassCancel::default())).is_none());
    }

    #[test]
    fn anything_may_lie_ahead() {
        let engine = Engine::new();
        for bytes in [record(CancelOrder::default()), record(NewOrder::default()), vec![0xFF; 200]] {
            for len in 0..=bytes.len() {
                engine.look_far_ahead(&bytes[..len]);
                engine.look_near_ahead(&bytes[..len]);
            }
        }
        assert!(!engine.looks_ahead());
    }
}
