//! The client's requests until each has its answer.

use std::collections::VecDeque;

use joulebook_protocol::messages::{
    Basket, BatchEntry, BlockSweep, CancelOrder, MassCancel, MassQuote, NewOrder, OcoOrder, OrderBatch,
    OrderQuery, ReduceOrder, ReplaceOrder, TokenOrder,
};
use joulebook_protocol::{Command, Event, Message};
use joulebook_types::{ClientOrderId, OrderId};

use crate::backlog::FrameBacklog;
use crate::template::is_query;

/// Requests in the order of their ids, from the oldest that has no answer.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    requests: VecDeque<Request>,
    /// Of `requests`, those without an answer.
    open: usize,
    /// Of those, the questions, oldest first.
    queries: VecDeque<ClientOrderId>,
    last_id: ClientOrderId,
    /// The frames of `requests`: they may be sent again.
    frames: FrameBacklog,
}

/// A request, or an entry of a batch: each entry has its own number and answer.
#[derive(Clone, Copy, Debug)]
struct Request {
    id: ClientOrderId,
    /// What a cancel, replace or reduction names; zero in other requests.
    order_id: OrderId,
    target: ClientOrderId,
    is_answered: bool,
    /// No later request is in the same frame.
    ends_frame: bool,
    template_id: u16,
}

impl Unanswered {
    /// Entries kept, the answered ones behind an open one included.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Bytes of their frames.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.frames.len_bytes()
    }

    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// The newest id of all, answered ones included.
    pub(crate) fn last_id(&self) -> ClientOrderId {
        self.last_id
    }

    /// Keeps a request and gives back its frame.
    ///
    /// # Panics
    /// When `id` is not above the last.
    pub(crate) fn push(&mut self, id: ClientOrderId, command: &Command) -> &[u8] {
        assert!(self.last_id < id, "client order ids grow");
        let ids = command.client_order_ids();
        self.last_id = ClientOrderId::new(id.raw().saturating_add(ids - 1));
        match command {
            Command::OrderBatch(batch) => {
                let entries = &batch.entries[..ids as usize];
                for (offset, entry) in (0..).zip(entries) {
                    let id = ClientOrderId::new(id.raw().saturating_add(offset));
                    self.requests.push_back(Request::of_entry(id, entry, offset + 1 == ids));
                }
                self.open += entries.len();
            }
            _ => {
                self.requests.push_back(Request::of_command(id, command));
                self.open += 1;
            }
        }
        if is_query(command.template_id()) {
            self.queries.push_back(id);
        }
        self.frames.push(command)
    }

    /// Frames that still hold a request without an answer, oldest first.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let mut requests = self.requests.iter();
        self.frames.iter().filter(move |_| {
            let mut is_open = false;
            for request in requests.by_ref() {
                is_open |= !request.is_answered;
                if request.ends_frame {
                    break;
                }
            }
            is_open
        })
    }

    /// The request that `event` answers, which is answered from now on.
    pub(crate) fn answered_by(&mut self, event: &Event) -> Option<ClientOrderId> {
        let id = match event {
            // The second order of a pair has the next number, which no request waits for.
            Event::OrderAccepted(event) => self.matching(event.client_order_id, |request| {
                matches!(request.template_id, NewOrder::TEMPLATE_ID | OcoOrder::TEMPLATE_ID)
            }),
            Event::RequestRejected(event) => self.matching(event.client_order_id, |_| true),
            Event::RequestRepeated(event) => self.matching(event.client_order_id, |_| true),
            Event::RequestDone(event) => self.matching(event.client_order_id, |_| true),
            // A mass cancel is the request of many cancellations and is answered by its own message after them.
            Event::OrderCanceled(event) => self.matching(event.request, |request| {
                request.takes_out_or_changes() && request.names(event.order_id, event.client_order_id)
            }),
            Event::OrderReplaced(event) => self.matching(event.request, |request| {
                matches!(request.template_id, ReplaceOrder::TEMPLATE_ID | ReduceOrder::TEMPLATE_ID)
                    && request.names(event.order_id, event.client_order_id)
            }),
            Event::MassCancelDone(event) => {
                self.matching(event.client_order_id, |request| request.template_id == MassCancel::TEMPLATE_ID)
            }
            Event::TokenOrderDone(event) => {
                self.matching(event.client_order_id, |request| request.template_id == TokenOrder::TEMPLATE_ID)
            }
            // Not numbered and not echoing the question: the engine answers in order, so the oldest one is meant.
            Event::OrderStatus(event) => self.oldest_query(event.order_id, event.client_order_id),
            Event::SnapshotEnd(event) => {
                self.matching(event.client_order_id, |request| is_query(request.template_id))
            }
            Event::MassQuoteAck(event) => {
                self.matching(event.client_order_id, |request| request.template_id == MassQuote::TEMPLATE_ID)
            }
            Event::SweepDone(event) => self.matching(event.client_order_id, |request| {
                matches!(request.template_id, Basket::TEMPLATE_ID | BlockSweep::TEMPLATE_ID)
            }),
            Event::OrderFilled(_)
            | Event::CreditBalance(_)
            | Event::CapacityBalance(_)
            | Event::OrderTriggered(_)
            | Event::LegDone(_)
            | Event::QuoteRejected(_)
            | Event::ProtectionTriggered(_) => None,
        }?;
        self.answer(id);
        Some(id)
    }

    /// The gateway refused the whole frame that begins with `id`.
    pub(crate) fn refuse(&mut self, id: ClientOrderId) {
        let Some(first) = self.index_of(id) else { return };
        let rest = self.requests.iter().skip(first);
        let last = rest.clone().position(|request| request.ends_frame).unwrap_or(0);
        let ids: Vec<_> = rest.take(last + 1).map(|request| request.id).collect();
        for id in ids {
            self.answer(id);
        }
    }

    /// False when nothing with this id is open.
    fn answer(&mut self, id: ClientOrderId) -> bool {
        let Some(index) = self.index_of(id) else { return false };
        self.requests[index].is_answered = true;
        self.open -= 1;
        if is_query(self.requests[index].template_id) {
            self.queries.retain(|query| *query != id);
        }
        while let Some(request) = self.requests.front().filter(|request| request.is_answered) {
            if request.ends_frame {
                self.frames.pop();
            }
            self.requests.pop_front();
        }
        true
    }

    fn matching(&self, id: ClientOrderId, fits: impl Fn(&Request) -> bool) -> Option<ClientOrderId> {
        self.index_of(id).filter(|index| fits(&self.requests[*index])).map(|_| id)
    }

    /// The index of the open request `id`. Answers mostly come in order, so the front is looked at first.
    fn index_of(&self, id: ClientOrderId) -> Option<usize> {
        let index = match self.requests.front() {
            Some(front) if front.id == id => 0,
            _ => self.requests.binary_search_by_key(&id, |request| request.id).ok()?,
        };
        (!self.requests[index].is_answered).then_some(index)
    }

    fn oldest_query(&self, order_id: OrderId, entered_by: ClientOrderId) -> Option<ClientOrderId> {
        let oldest = *self.queries.front()?;
        self.matching(oldest, |request| {
            request.template_id == OrderQuery::TEMPLATE_ID && request.names(order_id, entered_by)
        })
    }
}

impl Request {
    fn of_command(id: ClientOrderId, command: &Command) -> Self {
        let (order_id, target) = match command {
            Command::CancelOrder(request) => (request.order_id, request.target),
            Command::ReplaceOrder(request) => (request.order_id, request.target),
            Command::ReduceOrder(request) => (request.order_id, request.target),
            Command::OrderQuery(request) => (request.order_id, request.target),
            _ => (OrderId::NONE, ClientOrderId::NONE),
        };
        let template_id = command.template_id();
        Self { id, order_id, target, is_answered: false, ends_frame: true, template_id }
    }

    fn of_entry(id: ClientOrderId, entry: &BatchEntry, ends_frame: bool) -> Self {
        let template_id = match entry.kind {
            BatchEntry::NEW => NewOrder::TEMPLATE_ID,
            BatchEntry::CANCEL => CancelOrder::TEMPLATE_ID,
            BatchEntry::REPLACE => ReplaceOrder::TEMPLATE_ID,
            BatchEntry::REDUCE => ReduceOrder::TEMPLATE_ID,
            // Only a reject answers what is none of them.
            _ => OrderBatch::TEMPLATE_ID,
        };
        let BatchEntry { order_id, target, .. } = *entry;
        Self { id, order_id, target, is_answered: false, ends_frame, template_id }
    }

    fn takes_out_or_changes(&self) -> bool {
        matches!(
            self.template_id,
            CancelOrder::TEMPLATE_ID | ReplaceOrder::TEMPLATE_ID | ReduceOrder::TEMPLATE_ID
        )
    }

    /// Orders have one engine-given id over all sessions; a client order id is good within a session only.
    fn names(&self, order_id: OrderId, entered_by: ClientOrderId) -> bool {
        if self.order_id.is_none() { self.target == entered_by } else { self.order_id == order_id }
    }
}
