//! What is known of one order.

use joulebook_engine::{Engine, OrderDetails, OrderPlace, Record};
use joulebook_protocol::{Event, MessageView, SequencedCommand};
use joulebook_types::{
    AccountId, ClientOrderId, InstrumentId, OrderId, OrderType, Price, SeqNum, SessionId, TimeNs,
};
use serde_json::{Value, json};

use super::told::{IDS, Told};
use crate::inspect::json::{command_object, view_of};
use crate::inspect::lines::{Who, cause_text, time_text};
use crate::inspect::steps::{Cause, Step, symbol_of};

/// One command, or the timers of a batch, and what came of it for the order.
#[derive(Clone, Debug)]
pub struct Moment {
    pub seq: SeqNum,
    pub time: TimeNs,
    /// Two spaces between columns: command, time, who, what was asked.
    pub cause: String,
    /// The command as JSON; `null` of timers.
    pub command: Value,
    pub events: Vec<Happened>,
}

/// One event of the order.
#[derive(Clone, Debug)]
pub struct Happened {
    /// In a word: `filled`, `replaced`, …
    pub what: &'static str,
    pub details: String,
    pub object: Value,
}

/// What is known of one order.
#[derive(Clone, Debug)]
pub struct OrderLife {
    pub order_id: OrderId,
    pub owner: (AccountId, SessionId),
    pub client_order_id: ClientOrderId,
    /// What was wanted, such as `buy 8 lots of … at 27.00 EC/AH`.
    pub terms: String,
    /// How it stood when the part of the journal that was read begins; `None` if it was entered later.
    pub before: Option<String>,
    pub moments: Vec<Moment>,
    pub filled_lots: u64,
    pub canceled_lots: u64,
    pub(super) is_ended: bool,
}

impl OrderLife {
    pub(super) fn begins(engine: &Engine, step: &Step<'_>, record: &Record<'_>, told: &Told) -> Self {
        let terms = match (&told.event, step.cause) {
            (Event::OrderAccepted(_), _) | (_, Cause::Timers) => told.details(engine, record, &IDS),
            (_, Cause::Command(command)) => command_text(engine, command),
        };
        Self {
            order_id: told.order_id,
            owner: (told.account, told.session),
            client_order_id: told.client_order_id,
            terms,
            before: None,
            moments: Vec::new(),
            filled_lots: 0,
            canceled_lots: 0,
            is_ended: false,
        }
    }

    pub(super) fn from_state(engine: &Engine, details: &OrderDetails) -> Self {
        let order = &details.order;
        let symbol = symbol_of(engine, order.instrument).unwrap_or_default();
        let filled = u64::from(order.qty.saturating_sub(order.leaves));
        let at = match OrderType::from_raw(details.status.order_type) {
            Some(OrderType::Market) => "at the market".to_owned(),
            Some(OrderType::Limit | OrderType::Budget) | None => format!("at {} EC/AH", order.price),
        };
        Self {
            order_id: order.order_id,
            owner: (order.account, order.session),
            client_order_id: order.client_order_id,
            terms: format!("{} {} of {symbol} {at}", order.side, lots(order.qty.into())),
            before: Some(standing(details)),
            moments: Vec::new(),
            filled_lots: filled,
            canceled_lots: 0,
            is_ended: false,
        }
    }

    /// `None` when the event says nothing new: a resend, a copy for who asked, an answer to a question.
    pub(super) fn on_event(
        &mut self,
        engine: &Engine,
        step: &Step<'_>,
        record: &Record<'_>,
        told: &Told,
    ) -> Option<Happened> {
        let is_resend = told.stamp.sequenced != engine.time() || told.stamp.event_seq == 0;
        let is_ours =
            (told.account, told.session) == self.owner || told.is_refusal && told.account == self.owner.0;
        if is_resend || !is_ours {
            return None;
        }
        match &told.event {
            Event::OrderFilled(fill) => self.filled_lots += u64::from(fill.qty),
            Event::OrderCanceled(canceled) => self.canceled_lots += u64::from(canceled.canceled_qty),
            Event::RequestRepeated(_) | Event::OrderStatus(_) => return None,
            Event::OrderAccepted(_)
            | Event::OrderReplaced(_)
            | Event::TokenOrderDone(_)
            | Event::SweepDone(_)
            | Event::RequestRejected(_)
            | Event::MassCancelDone(_)
            | Event::RequestDone(_)
            | Event::CreditBalance(_)
            | Event::CapacityBalance(_)
            | Event::SnapshotEnd(_)
            | Event::OrderTriggered(_)
            | Event::LegDone(_)
            | Event::MassQuoteAck(_)
            | Event::QuoteRejected(_)
            | Event::ProtectionTriggered(_) => {}
        }
        Some(told.happened(engine, step, record))
    }

    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// How the order stands at the end of what was read.
    pub fn ending(&self, engine: &Engine) -> String {
        let filled = self.filled_lots;
        match engine.order_details(self.order_id) {
            Some(details) => format!("open: {}", standing(&details)),
            None if self.canceled_lots == 0 => format!("ended: {} filled", lots(filled)),
            None => format!("ended: {} filled, {} canceled", lots(filled), self.canceled_lots),
        }
    }

    /// The life as one JSON object but for its moments, which are lines of their own.
    pub fn object(&self, engine: &Engine) -> Value {
        let open = engine.order_details(self.order_id);
        json!({
            "order_id": self.order_id.raw(),
            "account": self.owner.0.raw(),
            "session": self.owner.1.raw(),
            "client_order_id": self.client_order_id.raw(),
            "terms": self.terms,
            "began_before_the_journal": self.before.is_some(),
            "filled_lots": self.filled_lots,
            "canceled_lots": self.canceled_lots,
            "open": open.is_some(),
            "leaves_lots": open.map_or(0, |details| details.order.leaves),
        })
    }
}

impl Moment {
    /// One JSON object.
    pub fn object(&self, order_id: OrderId) -> Value {
        let events: Vec<&Value> = self.events.iter().map(|event| &event.object).collect();
        json!({
            "order_id": order_id.raw(),
            "seq": self.seq.raw(),
            "time_ns": self.time.raw(),
            "command": self.command,
            "events": events,
        })
    }
}

/// Lots left and where they wait.
fn standing(details: &OrderDetails) -> String {
    let OrderDetails { order, status, place, shown } = details;
    let place = match place {
        OrderPlace::Book if *shown < order.leaves => {
            format!("in the book at {} EC/AH, {shown} of them shown", order.price)
        }
        OrderPlace::Book => format!("in the book at {} EC/AH", order.price),
        OrderPlace::Stop if status.trigger_price == Price::ZERO => "for their activation price".to_owned(),
        OrderPlace::Stop => format!("for a trade at {} EC/AH", status.trigger_price),
        OrderPlace::Call => "for the end of the call auction".to_owned(),
    };
    format!("{} of {} lots wait {place}", order.leaves, order.qty)
}

pub(super) fn details_of(view: &MessageView, engine: &Engine) -> String {
    view.details(&|id: InstrumentId| symbol_of(engine, id))
}

pub(super) fn moment(engine: &Engine, step: &Step<'_>, events: Vec<Happened>) -> Moment {
    let (who, what, command) = match step.cause {
        Cause::Timers => (Who::Exchange, "timers".to_owned(), Value::Null),
        Cause::Command(command) => (
            Who::sent(command.origin),
            command_text(engine, command),
            command_object(step.seq, step.time, command),
        ),
    };
    let cause = cause_text(step.cause, step.seq);
    let cause = format!("{cause:>10}  {}  {who:<9} {what}", time_text(step.time));
    Moment { seq: step.seq, time: step.time, cause, command, events }
}

fn lots(number: u64) -> String {
    format!("{number} lot{}", if number == 1 { "" } else { "s" })
}

/// A mass quote of 64 pairs would hide everything else.
fn shortened(text: String) -> String {
    const CHARS_MAX: usize = 200;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn command_text(engine: &Engine, command: &SequencedCommand) -> String {
    let mut frame = Vec::new();
    command.command.encode(&mut frame);
    let line = |view: MessageView| view.line(&|id: InstrumentId| symbol_of(engine, id));
    shortened(view_of(&frame).map_or_else(String::new, line))
}
