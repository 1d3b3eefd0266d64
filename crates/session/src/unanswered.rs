//! The client's requests until each has its answer.

use std::collections::VecDeque;

use joulebook_protocol::messages::{
    Basket, BlockSweep, CancelOrder, MassCancel, MassQuote, NewOrder, OrderQuery, ReplaceOrder, TokenOrder,
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
    /// The frame of each of `requests`: they may be sent again.
    frames: FrameBacklog,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    id: ClientOrderId,
    /// What a cancel or replace names; zero in other requests.
    order_id: OrderId,
    target: ClientOrderId,
    is_answered: bool,
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
        self.last_id = id;
        let (order_id, target) = named_order(command);
        self.requests.push_back(Request {
            id,
            order_id,
            target,
            is_answered: false,
            template_id: command.template_id(),
        });
        self.open += 1;
        if is_query(command.template_id()) {
            self.queries.push_back(id);
        }
        self.frames.push(command)
    }

    /// Frames without an answer, oldest first.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let frames = self.requests.iter().zip(self.frames.iter());
        frames.filter(|(request, _)| !request.is_answered).map(|(_, frame)| frame)
    }

    /// The request that `event` answers, which is answered from now on.
    pub(crate) fn answered_by(&mut self, event: &Event) -> Option<ClientOrderId> {
        let id =
            match event {
                Event::OrderAccepted(event) => self
                    .matching(event.client_order_id, |request| request.template_id == NewOrder::TEMPLATE_ID),
                Event::RequestRejected(event) => self.matching(event.client_order_id, |_| true),
                Event::RequestRepeated(event) => self.matching(event.client_order_id, |_| true),
                Event::RequestDone(event) => self.matching(event.client_order_id, |_| true),
                // A mass cancel is the request of many cancellations and is answered by its own message after them.
                Event::OrderCanceled(event) => self.matching(event.request, |request| {
                    matches!(request.template_id, CancelOrder::TEMPLATE_ID | ReplaceOrder::TEMPLATE_ID)
                        && request.names(event.order_id, event.client_order_id)
                }),
                Event::OrderReplaced(event) => self.matching(event.request, |request| {
                    request.template_id == ReplaceOrder::TEMPLATE_ID
                        && request.names(event.order_id, event.client_order_id)
                }),
                Event::MassCancelDone(event) => self.matching(event.client_order_id, |request| {
                    request.template_id == MassCancel::TEMPLATE_ID
                }),
                Event::TokenOrderDone(event) => self.matching(event.client_order_id, |request| {
                    request.template_id == TokenOrder::TEMPLATE_ID
                }),
                // Not numbered and not echoing the question: the engine answers in order, so the oldest one is meant.
                Event::OrderStatus(event) => self.oldest_query(event.order_id, event.client_order_id),
                Event::SnapshotEnd(event) => {
                    self.matching(event.client_order_id, |request| is_query(request.template_id))
                }
                Event::MassQuoteAck(event) => self
                    .matching(event.client_order_id, |request| request.template_id == MassQuote::TEMPLATE_ID),
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

    /// The gateway's answer. False when nothing with this id is open.
    pub(crate) fn answer(&mut self, id: ClientOrderId) -> bool {
        let Some(index) = self.index_of(id) else { return false };
        self.requests[index].is_answered = true;
        self.open -= 1;
        if is_query(self.requests[index].template_id) {
            self.queries.retain(|query| *query != id);
        }
        while self.requests.front().is_some_and(|request| request.is_answered) {
            self.requests.pop_front();
            self.frames.pop();
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
    /// Orders have one engine-given id over all sessions; a client order id is good within a session only.
    fn names(&self, order_id: OrderId, entered_by: ClientOrderId) -> bool {
        if self.order_id.is_none() { self.target == entered_by } else { self.order_id == order_id }
    }
}

fn named_order(command: &Command) -> (OrderId, ClientOrderId) {
    match command {
        Command::CancelOrder(request) => (request.order_id, request.target),
        Command::ReplaceOrder(request) => (request.order_id, request.target),
        Command::OrderQuery(request) => (request.order_id, request.target),
        _ => (OrderId::NONE, ClientOrderId::NONE),
    }
}
