//! What became of a request, read from the events that followed it.

use joulebook_engine::Engine;
use joulebook_protocol::Event;
use joulebook_protocol::SessionMessage;
use joulebook_types::{ClientOrderId, OrderId, SlotHint};

use crate::exchange::Told;
use crate::structs::CResult;

/// Who asked, and under which number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) account: u32,
    pub(crate) session: u32,
    pub(crate) id: u64,
}

impl Asked {
    /// The answer among `told`, which is all that happened since the request came in.
    pub(crate) fn answer<'a>(self, told: impl Iterator<Item = Told<'a>> + Clone, engine: &Engine) -> CResult {
        let mut result = CResult {
            client_order_id: self.id,
            slot: SlotHint::UNKNOWN.raw(),
            field_offset: u16::MAX,
            ..Default::default()
        };
        let own = told.filter(|told| (told.account, told.session) == (self.account, self.session));
        for told in own.clone() {
            match told.event() {
                Some(event) => self.read(&event, &mut result),
                None => read_logon(&told, &mut result),
            }
        }
        if result.order_id != 0 && result.reject_reason == 0 {
            for event in own.filter_map(|told| told.event()) {
                follow(&event, &mut result);
            }
            let open = engine.open_order(OrderId::new(result.order_id));
            result.leaves_qty = open.map_or(0, |order| order.leaves);
        }
        result
    }

    fn read(self, event: &Event, result: &mut CResult) {
        let ours = |id: ClientOrderId| self.id != 0 && id.raw() == self.id;
        let mut order = |order_id: OrderId, slot: SlotHint| {
            result.answer = event.template_id();
            result.order_id = order_id.raw();
            result.slot = slot.raw();
        };
        match event {
            Event::OrderAccepted(e) if ours(e.client_order_id) => order(e.order_id, e.slot),
            Event::OrderReplaced(e) if ours(e.request) => order(e.order_id, e.slot),
            // A mass cancel causes many of these; its own answer comes last and says so.
            Event::OrderCanceled(e) if ours(e.request) => order(e.order_id, SlotHint::UNKNOWN),
            // Of a query; those of a logon's snapshot answer nothing that was asked.
            Event::OrderStatus(e) if self.id != 0 => order(e.order_id, e.slot),
            Event::TokenOrderDone(e) if ours(e.client_order_id) => {
                order(e.order_id, SlotHint::UNKNOWN);
                result.result = e.filled_ktok_minutes;
            }
            Event::SweepDone(e) if ours(e.client_order_id) => order(e.order_id, SlotHint::UNKNOWN),
            Event::RequestRejected(e) if ours(e.client_order_id) => {
                order(e.order_id, SlotHint::UNKNOWN);
                (result.limit, result.value) = (e.limit, e.value);
                (result.reject_reason, result.field_offset) = (e.reason, e.field_offset);
            }
            Event::RequestRepeated(e) if ours(e.client_order_id) => {
                order(e.order_id, e.slot);
                (result.reject_reason, result.repeated) = (e.reason, e.status);
            }
            Event::MassCancelDone(e) if ours(e.client_order_id) => {
                self.done(event, e.canceled_orders.into(), result);
            }
            Event::RequestDone(e) if ours(e.client_order_id) => self.done(event, e.result, result),
            Event::MassQuoteAck(e) if ours(e.client_order_id) => self.done(event, e.accepted_pairs, result),
            Event::SnapshotEnd(e) if ours(e.client_order_id) => self.done(event, 0, result),
            Event::OrderAccepted(_)
            | Event::OrderReplaced(_)
            | Event::OrderCanceled(_)
            | Event::TokenOrderDone(_)
            | Event::SweepDone(_)
            | Event::RequestRejected(_)
            | Event::RequestRepeated(_)
            | Event::MassCancelDone(_)
            | Event::RequestDone(_)
            | Event::MassQuoteAck(_)
            | Event::SnapshotEnd(_)
            | Event::OrderStatus(_)
            | Event::OrderFilled(_)
            | Event::CreditBalance(_)
            | Event::CapacityBalance(_)
            | Event::OrderTriggered(_)
            | Event::LegDone(_)
            | Event::QuoteRejected(_)
            | Event::ProtectionTriggered(_) => {}
        }
    }

    /// An answer that is about no single order.
    fn done(self, event: &Event, value: u64, result: &mut CResult) {
        result.answer = event.template_id();
        result.order_id = 0;
        result.slot = SlotHint::UNKNOWN.raw();
        result.result = value;
    }
}

/// What happened to the order of the request after it was accepted.
fn follow(event: &Event, result: &mut CResult) {
    let order_id = OrderId::new(result.order_id);
    if let Event::OrderFilled(e) = event
        && e.order_id == order_id
    {
        result.filled_qty += e.qty;
    }
    let ended = match event {
        Event::OrderCanceled(e) => Some((e.order_id, e.reason)),
        Event::TokenOrderDone(e) => Some((e.order_id, e.reason)),
        Event::SweepDone(e) => Some((e.order_id, e.reason)),
        Event::OrderAccepted(_)
        | Event::OrderFilled(_)
        | Event::OrderReplaced(_)
        | Event::OrderTriggered(_)
        | Event::OrderStatus(_)
        | Event::LegDone(_)
        | Event::MassCancelDone(_)
        | Event::RequestDone(_)
        | Event::RequestRejected(_)
        | Event::RequestRepeated(_)
        | Event::CreditBalance(_)
        | Event::CapacityBalance(_)
        | Event::SnapshotEnd(_)
        | Event::MassQuoteAck(_)
        | Event::QuoteRejected(_)
        | Event::ProtectionTriggered(_) => None,
    };
    if let Some((_, reason)) = ended.filter(|(id, _)| *id == order_id) {
        result.cancel_reason = reason;
    }
}

/// `result` of an accepted logon is the highest number that the session used.
fn read_logon(told: &Told<'_>, result: &mut CResult) {
    match told.session_message() {
        Some(SessionMessage::LogonAccepted(accepted)) => {
            result.answer = told.template_id;
            result.result = accepted.last_client_order_id.raw();
        }
        Some(SessionMessage::LogonRejected(rejected)) => {
            result.answer = told.template_id;
            result.reject_reason = rejected.reason;
        }
        // An engine says nothing else of this kind, but to a connection that is superseded.
        Some(_) | None => {}
    }
}
