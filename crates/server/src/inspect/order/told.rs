//! Private events, and whom and what they concern.

use joulebook_engine::{Engine, Record};
use joulebook_protocol::messages::Stamp;
use joulebook_protocol::{Event, Frame};
use joulebook_types::{AccountId, ClientOrderId, OrderId, SessionId};

use super::life::{Happened, details_of};
use crate::inspect::json::{event_object, view_of};
use crate::inspect::steps::Step;

/// A private event and whom it concerns.
pub(super) struct Told {
    pub(super) event: Event,
    pub(super) account: AccountId,
    pub(super) session: SessionId,
    pub(super) stamp: Stamp,
    pub(super) order_id: OrderId,
    pub(super) client_order_id: ClientOrderId,
    /// What asked for a change of an order.
    pub(super) request: ClientOrderId,
    pub(super) trade_id: u64,
    pub(super) is_refusal: bool,
}

/// Fields that a life has said once and for all.
pub(super) const IDS: [&str; 3] = ["stamp", "order_id", "client_order_id"];
const KNOWN: [&str; 5] = ["stamp", "order_id", "client_order_id", "instrument", "side"];

impl Told {
    pub(super) fn of(engine: &Engine, record: &Record<'_>) -> Option<Self> {
        let (account, session) = engine.session_identity(record.session)?;
        let (frame, _) = Frame::split(record.frame).ok()??;
        let event = Event::decode(&frame).ok()?;
        let none = (OrderId::NONE, ClientOrderId::NONE, ClientOrderId::NONE);
        let (stamp, (order_id, client_order_id, request)) = match &event {
            Event::OrderAccepted(e) => (e.stamp, (e.order_id, e.client_order_id, ClientOrderId::NONE)),
            Event::RequestRejected(e) => (e.stamp, (e.order_id, e.client_order_id, e.client_order_id)),
            Event::OrderFilled(e) => (e.stamp, (e.order_id, e.client_order_id, ClientOrderId::NONE)),
            Event::OrderCanceled(e) => (e.stamp, (e.order_id, e.client_order_id, e.request)),
            Event::OrderReplaced(e) => (e.stamp, (e.order_id, e.client_order_id, e.request)),
            Event::MassCancelDone(e) => (e.stamp, (OrderId::NONE, e.client_order_id, e.client_order_id)),
            Event::TokenOrderDone(e) => (e.stamp, (e.order_id, e.client_order_id, ClientOrderId::NONE)),
            Event::RequestDone(e) => (e.stamp, (OrderId::NONE, e.client_order_id, e.client_order_id)),
            Event::RequestRepeated(e) => (e.stamp, (e.order_id, e.client_order_id, ClientOrderId::NONE)),
            Event::OrderStatus(e) => (e.stamp, (e.order_id, e.client_order_id, ClientOrderId::NONE)),
            Event::CreditBalance(e) => (e.stamp, none),
            Event::CapacityBalance(e) => (e.stamp, none),
            Event::SnapshotEnd(e) => (e.stamp, (OrderId::NONE, e.client_order_id, e.client_order_id)),
            Event::OrderTriggered(e) => (e.stamp, (e.order_id, e.client_order_id, ClientOrderId::NONE)),
            Event::LegDone(e) => (e.stamp, (e.order_id, e.client_order_id, ClientOrderId::NONE)),
            Event::SweepDone(e) => (e.stamp, (e.order_id, e.client_order_id, ClientOrderId::NONE)),
            Event::MassQuoteAck(e) => (e.stamp, (OrderId::NONE, e.client_order_id, e.client_order_id)),
            Event::QuoteRejected(e) => (e.stamp, (OrderId::NONE, e.client_order_id, e.client_order_id)),
            Event::ProtectionTriggered(e) => (e.stamp, none),
        };
        let trade_id = if let Event::OrderFilled(fill) = &event { fill.trade_id.raw() } else { 0 };
        let is_refusal = matches!(event, Event::RequestRejected(_));
        Some(Self {
            event,
            account,
            session,
            stamp,
            order_id,
            client_order_id,
            request,
            trade_id,
            is_refusal,
        })
    }

    pub(super) fn happened(&self, engine: &Engine, step: &Step<'_>, record: &Record<'_>) -> Happened {
        let mut details = self.details(engine, record, &KNOWN);
        if let Some((order, account, session)) = self.counterparty(engine, step) {
            details += &format!(", with order {order} of {account}/{session}");
        }
        Happened { what: self.what(), details, object: event_object(engine, step, record) }
    }

    pub(super) fn details(&self, engine: &Engine, record: &Record<'_>, without: &[&str]) -> String {
        let Some(mut view) = view_of(record.frame) else { return String::new() };
        view.fields.retain(|(name, _)| !without.contains(name));
        details_of(&view, engine)
    }

    /// Whose order stood on the other side of the trade.
    fn counterparty(&self, engine: &Engine, step: &Step<'_>) -> Option<(OrderId, AccountId, SessionId)> {
        if self.trade_id == 0 {
            return None;
        }
        let told = step.records().filter_map(|record| Self::of(engine, &record));
        let mut others =
            told.filter(|other| other.trade_id == self.trade_id && other.order_id != self.order_id);
        others.next().map(|other| (other.order_id, other.account, other.session))
    }

    fn what(&self) -> &'static str {
        match &self.event {
            Event::OrderAccepted(_) => "accepted",
            Event::RequestRejected(_) | Event::QuoteRejected(_) => "refused",
            Event::OrderFilled(_) => "filled",
            Event::OrderCanceled(_) => "canceled",
            Event::OrderReplaced(_) => "replaced",
            Event::OrderTriggered(_) => "triggered",
            Event::RequestRepeated(_) => "repeated",
            Event::OrderStatus(_) => "open",
            Event::LegDone(_) => "leg done",
            Event::TokenOrderDone(_) | Event::SweepDone(_) | Event::MassCancelDone(_) => "done",
            Event::RequestDone(_) | Event::MassQuoteAck(_) | Event::SnapshotEnd(_) => "done",
            Event::CreditBalance(_) | Event::CapacityBalance(_) => "balance",
            Event::ProtectionTriggered(_) => "protected",
        }
    }
}
