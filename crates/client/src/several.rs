//! Requests that stand for several orders.

use std::future::Future;

use joulebook_protocol::Event;
use joulebook_protocol::messages::{
    Basket, BlockSweep, MassQuote, MassQuoteAck, OcoOrder, OrderAccepted, OrderBatch, SweepDone,
};
use joulebook_types::ClientOrderId;

use crate::client::rejection;
use crate::{Client, Rejection};

/// What became of one entry of a batch: the event that answered it.
pub type EntryOutcome = Result<Event, Rejection>;

impl Client {
    /// Enters a limit order and a stop of which at most one trades. The answer is the limit order's; the stop's client order
    /// id is the next one, and its own `OrderAccepted` comes as an event.
    pub fn place_oco(&self, order: OcoOrder) -> impl Future<Output = Result<OrderAccepted, Rejection>> + '_ {
        let request = self.send(|id| OcoOrder { client_order_id: id, ..order }.into());
        async move {
            match self.answer(request).await? {
                (_, Event::OrderAccepted(answer)) => Ok(answer),
                (id, other) => Err(rejection(id, &other)),
            }
        }
    }

    /// Sends up to 16 requests at once. Each entry has an outcome of its own, in order: an event such as `OrderAccepted`, or
    /// why there is none. The outer error says that nothing was sent.
    pub fn batch(
        &self,
        batch: OrderBatch,
    ) -> impl Future<Output = Result<Vec<EntryOutcome>, Rejection>> + '_ {
        let requests = self.send_batch(|id| OrderBatch { client_order_id: id, ..batch }.into());
        async move {
            let deadline = self.answer_deadline();
            let mut outcomes: Vec<EntryOutcome> = Vec::new();
            for request in requests? {
                // The gateway refuses a batch whole, by the number of its first entry.
                if let Some(Err(Rejection::Refused(refused))) = outcomes.first() {
                    self.forget(&request);
                    outcomes.push(Err(Rejection::Refused(*refused)));
                    continue;
                }
                let answer = self.answer_by(deadline, request).await;
                outcomes.push(answer.and_then(|(id, event)| entry_outcome(id, event)));
            }
            Ok(outcomes)
        }
    }

    /// Sets up to 64 two-sided quotes. Pairs that were refused have their `QuoteRejected` among the events before; the
    /// answer says which ones stand.
    pub fn quote(&self, quote: MassQuote) -> impl Future<Output = Result<MassQuoteAck, Rejection>> + '_ {
        let request = self.send(|id| MassQuote { client_order_id: id, ..quote }.into());
        async move {
            match self.answer(request).await? {
                (_, Event::MassQuoteAck(answer)) => Ok(answer),
                (id, other) => Err(rejection(id, &other)),
            }
        }
    }

    /// Fills every leg, or does nothing. Fills and `LegDone`s come as events before.
    pub fn basket(&self, basket: Basket) -> impl Future<Output = Result<SweepDone, Rejection>> + '_ {
        let request = self.send(|id| Basket { client_order_id: id, ..basket }.into());
        async move {
            match self.answer(request).await? {
                (_, Event::SweepDone(answer)) => Ok(answer),
                (id, other) => Err(rejection(id, &other)),
            }
        }
    }

    /// Fills the same lots in every one of consecutive windows at an average price, or does nothing.
    pub fn sweep(&self, sweep: BlockSweep) -> impl Future<Output = Result<SweepDone, Rejection>> + '_ {
        let request = self.send(|id| BlockSweep { client_order_id: id, ..sweep }.into());
        async move {
            match self.answer(request).await? {
                (_, Event::SweepDone(answer)) => Ok(answer),
                (id, other) => Err(rejection(id, &other)),
            }
        }
    }
}

fn entry_outcome(id: ClientOrderId, event: Event) -> EntryOutcome {
    match event {
        Event::OrderAccepted(_) | Event::OrderCanceled(_) | Event::OrderReplaced(_) => Ok(event),
        other => Err(rejection(id, &other)),
    }
}
