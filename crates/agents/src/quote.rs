//! Resting orders that an agent keeps where it wants them: one per instrument and side, one request in flight each.

use std::collections::VecDeque;

use joulebook_protocol::messages::{
    CancelOrder, NewOrder, OrderAccepted, OrderCanceled, OrderFilled, OrderReplaced, OrderStatus,
    ReplaceOrder, RequestRefused, RequestRejected, RequestRepeated,
};
use joulebook_protocol::{Event, RejectReason, RequestStatus};
use joulebook_types::{ClientOrderId, InstrumentId, OrderId, Price, Side, SlotHint, TimeInForce, TimeNs};

use crate::Actions;
use crate::table::Table;

/// Where an order should rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub price: Price,
    /// Lots that should be open. Not zero.
    pub qty: u32,
}

/// An order as the exchange last described it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    pub order_id: OrderId,
    pub price: Price,
    /// Total lots, traded ones included.
    pub qty: u32,
    pub leaves_qty: u32,
    slot: SlotHint,
}

/// What an event did to a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It rests as asked.
    Rests { instrument: InstrumentId, side: Side },
    /// It traded `qty` lots; with none left it is gone.
    Filled { instrument: InstrumentId, side: Side, price: Price, qty: u32, leaves_qty: u32 },
    /// It ended without a fill.
    Gone { instrument: InstrumentId, side: Side },
    /// The last request was refused; what rested before still does, unless it is gone.
    Refused { instrument: InstrumentId, side: Side, reason: Option<RejectReason> },
}

type Key = (InstrumentId, Side);

#[derive(Debug)]
struct Quote {
    key: Key,
    resting: Option<Resting>,
    in_flight: Option<ClientOrderId>,
}

/// Which quote of a board; the same as long as the board lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuoteIx(usize);

/// The quotes of one agent.
#[derive(Debug, Default)]
pub struct QuoteBoard {
    quotes: Vec<Quote>,
    by_key: Table<Key, QuoteIx>,
    /// Unanswered requests by their numbers, which grow; answers come mostly in the order of requests.
    requests: VecDeque<(ClientOrderId, QuoteIx)>,
    orders: Table<OrderId, QuoteIx>,
    /// Orders named since a snapshot began; what it does not name at its end is gone.
    in_snapshot: Vec<OrderId>,
}

impl QuoteBoard {
    /// The quote for one side of an instrument.
    pub fn quote(&mut self, instrument: InstrumentId, side: Side) -> QuoteIx {
        let (quotes, key) = (&mut self.quotes, (instrument, side));
        *self.by_key.entry(key, || {
            quotes.push(Quote { key, resting: None, in_flight: None });
            QuoteIx(quotes.len() - 1)
        })
    }

    pub fn resting(&self, quote: QuoteIx) -> Option<&Resting> {
        self.quotes[quote.0].resting.as_ref()
    }

    /// True while a request for this quote waits for its answer; `aim` does nothing then.
    pub fn is_in_flight(&self, quote: QuoteIx) -> bool {
        self.quotes[quote.0].in_flight.is_some()
    }

    /// Sends what brings the quote to `target` (`None` takes it away). A quote at the right price is left alone, and
    /// with it its place in the queue, until less than half of its size is left or it is too large.
    pub fn aim(
        &mut self,
        quote: QuoteIx,
        target: Option<Target>,
        flags: u8,
        due: TimeNs,
        actions: &mut Actions,
    ) {
        let Quote { key, resting, in_flight } = &mut self.quotes[quote.0];
        if in_flight.is_some() {
            return;
        }
        let request = match (*resting, target) {
            (None, None) => return,
            (None, Some(target)) => actions.send(due, |id| new_order(id, *key, target, flags)),
            (Some(resting), None) => actions.send(due, |id| cancel(id, &resting)),
            (Some(resting), Some(target)) if resting.is_good_for(target) => return,
            (Some(resting), Some(target)) => actions.send(due, |id| replace(id, &resting, target)),
        };
        *in_flight = Some(request);
        self.requests.push_back((request, quote));
    }

    /// Follows the session's events; `None` for those that concern no quote of this board.
    pub fn on_event(&mut self, event: &Event) -> Option<Change> {
        match event {
            Event::OrderAccepted(accepted) => self.on_accepted(accepted),
            Event::OrderFilled(filled) => self.on_filled(filled),
            Event::OrderCanceled(canceled) => self.on_canceled(canceled),
            Event::OrderReplaced(replaced) => self.on_replaced(replaced),
            Event::RequestRejected(rejected) => self.on_rejected(rejected),
            Event::RequestRepeated(repeated) => self.on_repeated(repeated),
            Event::OrderStatus(status) => self.on_status(status),
            Event::SnapshotEnd(_) => {
                self.on_snapshot_end();
                None
            }
            Event::MassCancelDone(_)
            | Event::TokenOrderDone(_)
            | Event::RequestDone(_)
            | Event::CreditBalance(_)
            | Event::CapacityBalance(_)
            | Event::OrderTriggered(_)
            | Event::LegDone(_)
            | Event::SweepDone(_)
            | Event::MassQuoteAck(_)
            | Event::QuoteRejected(_)
            | Event::ProtectionTriggered(_) => None,
        }
    }

    /// The gateway refused a request: the quote is as it was.
    pub fn on_refused(&mut self, refused: &RequestRefused) -> Option<Change> {
        let quote = self.answered(refused.client_order_id)?;
        let (instrument, side) = self.key(quote);
        Some(Change::Refused { instrument, side, reason: RejectReason::from_raw(refused.reason) })
    }

    fn on_accepted(&mut self, accepted: &OrderAccepted) -> Option<Change> {
        let quote = self.answered(accepted.client_order_id)?;
        Some(self.set(
            quote,
            Resting {
                order_id: accepted.order_id,
                price: accepted.price,
                qty: accepted.qty,
                leaves_qty: accepted.qty,
                slot: accepted.slot,
            },
        ))
    }

    fn on_filled(&mut self, filled: &OrderFilled) -> Option<Change> {
        let quote = *self.orders.get(filled.order_id)?;
        if filled.leaves_qty == 0 {
            self.remove(filled.order_id);
        } else if let Some(resting) = &mut self.quotes[quote.0].resting {
            resting.leaves_qty = filled.leaves_qty;
        }
        let (instrument, side) = self.key(quote);
        Some(Change::Filled {
            instrument,
            side,
            price: filled.price,
            qty: filled.qty,
            leaves_qty: filled.leaves_qty,
        })
    }

    fn on_canceled(&mut self, canceled: &OrderCanceled) -> Option<Change> {
        self.answered(canceled.request);
        let (instrument, side) = self.remove(canceled.order_id)?;
        Some(Change::Gone { instrument, side })
    }

    fn on_replaced(&mut self, replaced: &OrderReplaced) -> Option<Change> {
        self.answered(replaced.request);
        let quote = *self.orders.get(replaced.order_id)?;
        Some(self.set(
            quote,
            Resting {
                order_id: replaced.order_id,
                price: replaced.price,
                qty: replaced.qty,
                leaves_qty: replaced.leaves_qty,
                slot: replaced.slot,
            },
        ))
    }

    fn on_rejected(&mut self, rejected: &RequestRejected) -> Option<Change> {
        let quote = self.answered(rejected.client_order_id)?;
        Some(self.refused(quote, RejectReason::from_raw(rejected.reason)))
    }

    /// After a reconnect an unanswered request is sent again. The original answer, if there was one, came before in the
    /// replayed events; so a repeat tells news only to a request that still waits.
    fn on_repeated(&mut self, repeated: &RequestRepeated) -> Option<Change> {
        let quote = self.answered(repeated.client_order_id)?;
        let (instrument, side) = self.key(quote);
        match RequestStatus::from_raw(repeated.status) {
            Some(RequestStatus::Accepted) => Some(Change::Rests { instrument, side }),
            Some(RequestStatus::Rejected) => {
                Some(self.refused(quote, RejectReason::from_raw(repeated.reason)))
            }
            Some(RequestStatus::NeverSeen | RequestStatus::TooOld) | None => Some(self.refused(quote, None)),
        }
    }

    fn on_status(&mut self, status: &OrderStatus) -> Option<Change> {
        let side = Side::from_raw(status.side)?;
        let asked = self.requests.binary_search_by_key(&status.client_order_id, |(request, _)| *request);
        if self.orders.get(status.order_id).is_none() && asked.is_err() {
            return None;
        }
        // The status answers the request that entered the order, should that still wait.
        self.answered(status.client_order_id);
        self.in_snapshot.push(status.order_id);
        let quote = self.quote(status.instrument, side);
        Some(self.set(
            quote,
            Resting {
                order_id: status.order_id,
                price: status.price,
                qty: status.qty,
                leaves_qty: status.leaves_qty,
                slot: status.slot,
            },
        ))
    }

    fn on_snapshot_end(&mut self) {
        let named = core::mem::take(&mut self.in_snapshot);
        let gone: Vec<OrderId> = self.orders.keys().filter(|order| !named.contains(order)).collect();
        for order in gone {
            self.remove(order);
        }
    }

    fn refused(&mut self, quote: QuoteIx, reason: Option<RejectReason>) -> Change {
        if reason == Some(RejectReason::UnknownOrder)
            && let Some(order) = self.quotes[quote.0].resting
        {
            self.remove(order.order_id);
        }
        let (instrument, side) = self.key(quote);
        Change::Refused { instrument, side, reason }
    }

    fn key(&self, quote: QuoteIx) -> Key {
        self.quotes[quote.0].key
    }

    fn answered(&mut self, request: ClientOrderId) -> Option<QuoteIx> {
        let (_, quote) = match self.requests.front() {
            Some((first, _)) if *first == request => self.requests.pop_front()?,
            _other => {
                let place = self.requests.binary_search_by_key(&request, |(known, _)| *known).ok()?;
                self.requests.remove(place)?
            }
        };
        self.quotes[quote.0].in_flight = None;
        Some(quote)
    }

    fn set(&mut self, quote: QuoteIx, resting: Resting) -> Change {
        let Quote { key: (instrument, side), resting: known, .. } = &mut self.quotes[quote.0];
        if known.replace(resting).is_none_or(|known| known.order_id != resting.order_id) {
            self.orders.set(resting.order_id, quote);
        }
        Change::Rests { instrument: *instrument, side: *side }
    }

    fn remove(&mut self, order: OrderId) -> Option<Key> {
        let quote = self.orders.remove(order)?;
        self.quotes[quote.0].resting = None;
        Some(self.key(quote))
    }
}

impl Resting {
    fn is_good_for(&self, target: Target) -> bool {
        self.price == target.price
            && self.leaves_qty <= target.qty
            && self.leaves_qty >= target.qty.div_ceil(2)
    }
}

fn new_order(id: ClientOrderId, (instrument, side): Key, target: Target, flags: u8) -> NewOrder {
    NewOrder {
        client_order_id: id,
        price: target.price,
        instrument,
        qty: target.qty,
        side: side.raw(),
        time_in_force: TimeInForce::Gtc.raw(),
        flags,
        ..NewOrder::default()
    }
}

fn replace(id: ClientOrderId, resting: &Resting, target: Target) -> ReplaceOrder {
    // Quantity is the total: lots that trade while this is on its way are not added a second time.
    let traded = resting.qty - resting.leaves_qty.min(resting.qty);
    ReplaceOrder {
        client_order_id: id,
        order_id: resting.order_id,
        price: target.price,
        slot: resting.slot,
        qty: traded.saturating_add(target.qty),
        ..ReplaceOrder::default()
    }
}

fn cancel(id: ClientOrderId, resting: &Resting) -> CancelOrder {
    CancelOrder {
        client_order_id: id,
        order_id: resting.order_id,
        slot: resting.slot,
        ..CancelOrder::default()
    }
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::Command;
    use joulebook_protocol::messages::SnapshotEnd;

    use super::*;
    use crate::Request;

    const BOOK: InstrumentId = InstrumentId::new(3);

    struct Desk {
        board: QuoteBoard,
        actions: Actions,
    }

    impl Desk {
        fn new() -> Self {
            Self { board: QuoteBoard::default(), actions: Actions::new(ClientOrderId::new(1)) }
        }

        /// With 10 lots at 27.00 resting as order 7, entered by request 1.
        fn resting() -> Self {
            let mut desk = Self::new();
            desk.aim("27.00", 10).unwrap();
            desk.on(OrderAccepted {
                client_order_id: ClientOrderId::new(1),
                order_id: OrderId::new(7),
                price: price("27.00"),
                qty: 10,
                slot: SlotHint::new(5),
                ..OrderAccepted::default()
            });
            desk
        }

        fn aim(&mut self, at: &str, qty: u32) -> Option<Request> {
            let target = Some(Target { price: price(at), qty });
            let ask = self.ask();
            self.board.aim(ask, target, 0, TimeNs::ZERO, &mut self.actions);
            self.actions.drain().next()
        }

        fn on(&mut self, event: impl Into<Event>) -> Option<Change> {
            self.board.on_event(&event.into())
        }

        fn leaves(&self) -> Option<u32> {
            self.board.resting(QuoteIx(0)).map(|resting| resting.leaves_qty)
        }

        fn ask(&mut self) -> QuoteIx {
            self.board.quote(BOOK, Side::Sell)
        }
    }

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    fn filled(qty: u32, leaves_qty: u32) -> OrderFilled {
        OrderFilled { order_id: OrderId::new(7), instrument: BOOK, qty, leaves_qty, ..OrderFilled::default() }
    }

    fn rejected(request: &Request, reason: RejectReason) -> RequestRejected {
        let client_order_id = request.client_order_id;
        RequestRejected { client_order_id, reason: reason.raw(), ..RequestRejected::default() }
    }

    fn repeated(request: ClientOrderId, status: RequestStatus) -> RequestRepeated {
        RequestRepeated { client_order_id: request, status: status.raw(), ..RequestRepeated::default() }
    }

    #[test]
    fn a_quote_is_left_alone_while_it_is_good() {
        let mut desk = Desk::resting();
        assert_eq!(desk.aim("27.00", 10), None, "as wanted");
        assert_eq!(desk.aim("27.00", 20), None, "half is enough to keep the place");
        let shrunk = desk.aim("27.00", 9).unwrap();
        assert!(matches!(shrunk.command, Command::ReplaceOrder(replace) if replace.qty == 9), "too large");
        assert_eq!(desk.aim("26.00", 1), None, "one request at a time");
        assert!(desk.board.is_in_flight(QuoteIx(0)));
    }

    #[test]
    fn replace_echoes_the_slot_and_asks_for_the_total() {
        let mut desk = Desk::resting();
        desk.on(filled(4, 6));
        let Command::ReplaceOrder(replace) = desk.aim("26.00", 10).unwrap().command else {
            panic!("no replace")
        };
        assert_eq!((replace.slot, replace.qty, replace.price), (SlotHint::new(5), 14, price("26.00")));
    }

    #[test]
    fn a_fill_may_overtake_a_replace() {
        let mut desk = Desk::resting();
        let replace = desk.aim("26.00", 10).unwrap();
        let change = desk.on(filled(10, 0));
        assert!(matches!(change, Some(Change::Filled { leaves_qty: 0, .. })));
        assert_eq!((desk.leaves(), desk.aim("26.00", 10)), (None, None), "gone, and the replace still open");
        desk.on(rejected(&replace, RejectReason::UnknownOrder));
        let new = desk.aim("26.00", 10).unwrap();
        assert!(matches!(new.command, Command::NewOrder(_)));
    }

    #[test]
    fn refusals_leave_what_rested() {
        let mut desk = Desk::resting();
        let replace = desk.aim("26.00", 10).unwrap();
        let change = desk.on(rejected(&replace, RejectReason::PostOnlyWouldTrade));
        let reason = Some(RejectReason::PostOnlyWouldTrade);
        assert_eq!(change, Some(Change::Refused { instrument: BOOK, side: Side::Sell, reason }));
        assert_eq!(desk.leaves(), Some(10));

        let replace = desk.aim("26.00", 10).unwrap();
        let refused =
            RequestRefused { client_order_id: replace.client_order_id, ..RequestRefused::default() };
        assert!(desk.board.on_refused(&refused).is_some());
        assert_eq!(desk.leaves(), Some(10));

        let replace = desk.aim("26.00", 10).unwrap();
        desk.on(rejected(&replace, RejectReason::UnknownOrder));
        assert_eq!(desk.leaves(), None, "the exchange does not know it: neither do we");
    }

    #[test]
    fn repeats_close_only_what_still_waits() {
        let mut desk = Desk::resting();
        assert_eq!(
            desk.on(repeated(ClientOrderId::new(1), RequestStatus::Rejected)),
            None,
            "answered before"
        );
        assert_eq!(desk.leaves(), Some(10));
        let replace = desk.aim("26.00", 10).unwrap().client_order_id;
        assert!(matches!(desk.on(repeated(replace, RequestStatus::NeverSeen)), Some(Change::Refused { .. })));
        assert!(desk.aim("26.00", 10).is_some(), "asked again under a new number");
    }

    #[test]
    fn a_snapshot_names_what_is_left() {
        let mut desk = Desk::resting();
        let status = OrderStatus {
            client_order_id: ClientOrderId::new(1),
            order_id: OrderId::new(7),
            price: price("27.00"),
            instrument: BOOK,
            qty: 10,
            leaves_qty: 3,
            side: Side::Sell.raw(),
            ..OrderStatus::default()
        };
        desk.on(status);
        desk.on(SnapshotEnd::default());
        assert_eq!(desk.leaves(), Some(3), "seven were sold meanwhile");
        desk.on(OrderStatus {
            order_id: OrderId::new(99),
            client_order_id: ClientOrderId::new(50),
            ..status
        });
        desk.on(SnapshotEnd::default());
        assert_eq!(desk.leaves(), None, "only another agent's order was named");
    }

    #[test]
    fn a_snapshot_answers_a_placement_whose_answer_was_lost() {
        let mut desk = Desk::new();
        let placed = desk.aim("27.00", 10).unwrap();
        desk.on(OrderStatus {
            client_order_id: placed.client_order_id,
            order_id: OrderId::new(7),
            instrument: BOOK,
            price: price("27.00"),
            qty: 10,
            leaves_qty: 10,
            side: Side::Sell.raw(),
            ..OrderStatus::default()
        });
        desk.on(SnapshotEnd::default());
        assert_eq!((desk.leaves(), desk.board.is_in_flight(QuoteIx(0))), (Some(10), false));
    }

    #[test]
    fn events_of_others_are_ignored() {
        let mut desk = Desk::resting();
        assert_eq!(desk.on(OrderFilled { order_id: OrderId::new(8), ..filled(1, 1) }), None);
        assert_eq!(
            desk.on(OrderAccepted { client_order_id: ClientOrderId::new(9), ..OrderAccepted::default() }),
            None
        );
        assert_eq!(desk.on(OrderCanceled { order_id: OrderId::new(8), ..OrderCanceled::default() }), None);
        assert_eq!(desk.leaves(), Some(10));
    }
}
