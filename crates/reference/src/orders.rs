//! Open orders, and the books that they make.

use joulebook_protocol::messages::BookUpdate;
use joulebook_types::{ClientOrderId, OrderId, Phase, Price, SelfTradeMode, Side, TimeInForce, TimeNs};

use crate::market::Market;
use crate::stops::Stop;
use crate::timers::Timer;

/// Where an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It acts now: in no book yet.
    InHand,
    /// In its book, at its limit.
    Resting,
    /// A market order that waits in a call for the uncross.
    InCall,
    /// A stop that waits for its trigger.
    Waiting,
}

/// An open order, or the one in hand.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) account: usize,
    pub(crate) session: usize,
    pub(crate) client_order_id: ClientOrderId,
    pub(crate) instrument: usize,
    pub(crate) side: Side,
    /// The worst price at which it trades: of market orders the far edge of the band.
    pub(crate) limit: Price,
    /// It has no price of its own.
    pub(crate) market: bool,
    /// Lots still open, hidden ones included.
    pub(crate) leaves: u32,
    pub(crate) filled: u32,
    /// Lots of a slice; zero shows all.
    pub(crate) display: u32,
    /// Lots of the slice that shows while it rests.
    pub(crate) shown: u32,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) post_only: bool,
    pub(crate) self_trade: SelfTradeMode,
    pub(crate) quote: bool,
    /// The other leg of an OCO.
    pub(crate) partner: Option<OrderId>,
    /// It holds nothing: each trade is paid from what is free then.
    pub(crate) pays_from_free: bool,
    pub(crate) work: Work,
    /// Among orders of one price the lower place trades first.
    pub(crate) place: u64,
    /// What it waits for.
    pub(crate) stop: Option<Stop>,
    /// What it took.
    pub(crate) tally: Tally,
}

/// What an order traded as the one that takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) notional: i64,
    pub(crate) fees: i64,
    pub(crate) fills: u32,
}

impl Order {
    /// An order in hand with no lots yet.
    pub(crate) fn in_hand(
        id: OrderId,
        session: usize,
        account: usize,
        client_order_id: ClientOrderId,
    ) -> Self {
        Self {
            id,
            account,
            session,
            client_order_id,
            instrument: 0,
            side: Side::Buy,
            limit: Price::ZERO,
            market: false,
            leaves: 0,
            filled: 0,
            display: 0,
            shown: 0,
            time_in_force: TimeInForce::Ioc,
            post_only: false,
            self_trade: SelfTradeMode::CancelAggressor,
            quote: false,
            partner: None,
            pays_from_free: false,
            work: Work::InHand,
            place: 0,
            stop: None,
            tally: Tally::default(),
        }
    }

    /// Total lots, what has been filled included.
    pub(crate) fn qty(&self) -> u32 {
        self.filled.saturating_add(self.leaves)
    }

    /// The price that messages show: zero of an order without one.
    pub(crate) fn price(&self) -> Price {
        if self.market { Price::ZERO } else { self.limit }
    }

    /// It may stay in a book with what it could not trade.
    pub(crate) fn may_rest(&self) -> bool {
        match self.time_in_force {
            TimeInForce::Gtc | TimeInForce::Gtd => !self.market,
            TimeInForce::Ioc | TimeInForce::Fok => false,
        }
    }

    /// Lots of the next slice.
    fn slice(&self) -> u32 {
        if self.display == 0 { self.leaves } else { self.display.min(self.leaves) }
    }
}

impl Market {
    /// Whether an order that limits itself to `limit` would trade at `price`.
    pub(crate) fn reaches(side: Side, limit: Price, price: Price) -> bool {
        match side {
            Side::Buy => price <= limit,
            Side::Sell => price >= limit,
        }
    }

    /// Resting orders of one side of a book, best price first, then by place.
    pub(crate) fn queue(&self, instrument: usize, side: Side) -> Vec<&Order> {
        let on_side = |order: &&Order| {
            order.instrument == instrument && order.side == side && order.work == Work::Resting
        };
        let mut queue: Vec<&Order> = self.orders.values().filter(on_side).collect();
        queue.sort_by_key(|order| match side {
            Side::Buy => (-order.limit.raw(), order.place),
            Side::Sell => (order.limit.raw(), order.place),
        });
        queue
    }

    /// The order that trades next on a side.
    pub(crate) fn front(&self, instrument: usize, side: Side) -> Option<&Order> {
        self.queue(instrument, side).first().copied()
    }

    pub(crate) fn best(&self, instrument: usize, side: Side) -> Option<Price> {
        self.front(instrument, side).map(|order| order.limit)
    }

    /// Lots that show at a price, and orders.
    pub(crate) fn level(&self, instrument: usize, side: Side, price: Price) -> (u64, u32) {
        let queue = self.queue(instrument, side);
        let at_price = || queue.iter().filter(|order| order.limit == price && order.shown > 0);
        (at_price().map(|order| u64::from(order.shown)).sum(), at_price().count() as u32)
    }

    /// The session's open orders, oldest first.
    pub(crate) fn session_orders(&self, session: usize) -> Vec<OrderId> {
        let own = self.orders.values().filter(|order| order.session == session && order.work != Work::InHand);
        own.map(|order| order.id).collect()
    }

    /// Open orders of the exchange.
    pub(crate) fn open_orders(&self) -> usize {
        self.orders.len()
    }

    pub(crate) fn order(&self, id: OrderId) -> &Order {
        &self.orders[&id]
    }

    pub(crate) fn order_mut(&mut self, id: OrderId) -> &mut Order {
        self.orders.get_mut(&id).expect("the order is open")
    }

    pub(crate) fn phase_of(&self, id: OrderId) -> Phase {
        self.instruments[self.order(id).instrument].phase
    }

    /// The open order that a request names, if it belongs to the sender's account: by its order id, or by the request
    /// of the same session that entered it. Quotes share their request, so they have no name but their order id.
    pub(crate) fn own_order(
        &self,
        session: usize,
        order_id: OrderId,
        target: ClientOrderId,
    ) -> Option<OrderId> {
        if !order_id.is_none() {
            let order = self.orders.get(&order_id)?;
            return (order.account == self.account_of(session)).then_some(order_id);
        }
        let entered = |order: &&Order| {
            order.session == session && order.client_order_id == target && !order.quote && !target.is_none()
        };
        self.orders.values().find(entered).map(|order| order.id)
    }

    /// Puts the order in hand at the back of its price.
    pub(crate) fn rest(&mut self, id: OrderId) {
        let place = self.new_place();
        let order = self.order_mut(id);
        order.work = Work::Resting;
        order.place = place;
        order.shown = order.slice();
        self.publish_update(id, BookUpdate::ADDED);
    }

    /// Takes an order out of its book, in hand. Returns what is to be published of it.
    pub(crate) fn take_out(&mut self, id: OrderId) -> BookUpdate {
        self.order_mut(id).work = Work::InHand;
        self.book_update(id, BookUpdate::REMOVED, 0)
    }

    /// Forgets an order that has ended.
    pub(crate) fn close(&mut self, id: OrderId) {
        self.orders.remove(&id).expect("the order was open");
        self.timers.cancel(Timer::Expiry(id));
    }

    /// Publishes a change of a resting order, with what of it shows now.
    pub(crate) fn publish_update(&mut self, id: OrderId, action: u8) {
        let update = self.book_update(id, action, self.order(id).shown);
        self.publish(update);
    }

    fn book_update(&self, id: OrderId, action: u8, leaves_qty: u32) -> BookUpdate {
        let order = self.order(id);
        let (level_qty, level_orders) = self.level(order.instrument, order.side, order.limit);
        BookUpdate {
            time: self.time,
            order_id: id,
            price: order.limit,
            level_qty,
            instrument: self.instruments[order.instrument].id,
            leaves_qty,
            level_orders,
            side: order.side.raw(),
            action,
            ..Default::default()
        }
    }

    /// Takes `lots` of a resting order out of its slice and off the order, after a trade. Says what the book shows, and
    /// whether lots are left.
    pub(crate) fn fill_resting(&mut self, id: OrderId, lots: u32) -> bool {
        let order = self.order_mut(id);
        order.leaves -= lots;
        order.filled = order.filled.saturating_add(lots);
        // In a call a whole iceberg takes part, so a trade may be larger than its slice.
        order.shown = order.shown.saturating_sub(lots);
        if order.leaves > 0 && order.shown > 0 {
            self.publish_update(id, BookUpdate::FILLED);
            return true;
        }
        order.work = Work::InHand;
        let more = order.leaves > 0;
        let gone = self.book_update(id, BookUpdate::FILLED, 0);
        self.publish(gone);
        if more {
            self.rest(id);
        }
        more
    }

    /// Takes lots off an open order that keeps its place: hidden lots first, then those of the slice. At least one
    /// lot is left. Returns whether the slice changed.
    pub(crate) fn shrink(&mut self, id: OrderId, lots: u32) -> bool {
        let order = self.order_mut(id);
        order.leaves -= lots;
        let before = order.shown;
        order.shown = order.shown.min(order.leaves);
        order.work == Work::Resting && order.shown != before
    }

    /// A good-till-date order has come to its end.
    pub(crate) fn expire(&mut self, id: OrderId) {
        self.cancel_open(id, joulebook_protocol::CancelReason::Expired, None);
    }

    /// An order that ends by itself gets its timer.
    pub(crate) fn set_expiry(&mut self, id: OrderId, expires: TimeNs) {
        if self.order(id).time_in_force == TimeInForce::Gtd {
            self.timers.set(expires, Timer::Expiry(id));
        }
    }
}
