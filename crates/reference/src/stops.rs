//! Orders that wait for a trade at a price.

use joulebook_protocol::messages::OrderTriggered;
use joulebook_types::{OrderId, Phase, Price, Side, TimeInForce, Trigger};

use crate::market::Market;
use crate::orders::Work;

/// What a stop order waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) watch: Watch,
    /// The print that reached it, if one did: it acts as soon as its instrument is open.
    pub(crate) marked_by: Option<Price>,
}

/// How the trigger price comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    Fixed(Price),
    Trailing(Trail),
}

/// A trigger price that follows the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trail {
    pub(crate) distance: Distance,
    /// Zero: active from the first print on.
    pub(crate) activation: Price,
    /// The best print since the activation.
    pub(crate) peak: Option<Price>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distance {
    Price(Price),
    /// Of the peak.
    BasisPoints(u32),
}

impl Stop {
    /// Sees a print, in the order of prints.
    fn see(&mut self, side: Side, print: Price) {
        if self.marked_by.is_some() {
            return;
        }
        if self.trigger_price(side).is_some_and(|trigger| reached(side, trigger, print)) {
            self.marked_by = Some(print);
            return;
        }
        if let Watch::Trailing(trail) = &mut self.watch {
            trail.follow(side, print);
        }
    }

    /// The price that it waits for now, wider than a price can be; `None` while a trailing stop is not active.
    fn trigger_price(&self, side: Side) -> Option<i128> {
        match self.watch {
            Watch::Fixed(price) => Some(i128::from(price.raw())),
            Watch::Trailing(trail) => trail.peak.map(|peak| trail.trigger(side, peak)),
        }
    }

    /// The same as messages show it: zero while there is none.
    pub(crate) fn shown_trigger(&self, side: Side) -> Price {
        let price = self.trigger_price(side).unwrap_or(0);
        Price::new(i64::try_from(price).unwrap_or(i64::MAX))
    }

    pub(crate) fn kind(&self) -> Trigger {
        match self.watch {
            Watch::Fixed(_) => Trigger::Stop,
            Watch::Trailing(_) => Trigger::Trailing,
        }
    }
}

impl Trail {
    /// A sell waits below the highest print, a buy above the lowest.
    fn trigger(&self, side: Side, peak: Price) -> i128 {
        let peak = i128::from(peak.raw());
        let distance = match self.distance {
            Distance::Price(distance) => i128::from(distance.raw()),
            Distance::BasisPoints(bps) => peak * i128::from(bps) / 10_000,
        };
        match side {
            Side::Buy => peak + distance,
            Side::Sell => peak - distance,
        }
    }

    fn follow(&mut self, side: Side, print: Price) {
        self.peak = match (self.peak, side) {
            (Some(peak), Side::Buy) => Some(peak.min(print)),
            (Some(peak), Side::Sell) => Some(peak.max(print)),
            (None, _) if self.activates(side, print) => Some(print),
            (None, _) => None,
        };
    }

    fn activates(&self, side: Side, print: Price) -> bool {
        self.activation == Price::ZERO
            || match side {
                Side::Buy => print <= self.activation,
                Side::Sell => print >= self.activation,
            }
    }
}

fn reached(side: Side, trigger: i128, print: Price) -> bool {
    match side {
        Side::Buy => i128::from(print.raw()) >= trigger,
        Side::Sell => i128::from(print.raw()) <= trigger,
    }
}

impl Market {
    /// Every stop of the instrument sees a print.
    pub(crate) fn see_print(&mut self, instrument: usize, print: Price) {
        let waiting =
            |order: &&mut crate::orders::Order| order.instrument == instrument && order.work == Work::Waiting;
        for order in self.orders.values_mut().filter(waiting) {
            order.stop.as_mut().expect("it waits for something").see(order.side, print);
        }
    }

    /// A stop enters: it sees the last print, and acts at once if that reached it and the instrument is open.
    pub(crate) fn enter_stop(&mut self, id: OrderId) {
        self.order_mut(id).work = Work::Waiting;
        let instrument = self.order(id).instrument;
        if let Some(print) = self.instruments[instrument].last_print {
            let order = self.order_mut(id);
            order.stop.as_mut().expect("it is a stop").see(order.side, print);
        }
        if self.is_marked(id) && self.phase_of(id) == Phase::Open {
            self.trigger(id);
        }
    }

    fn is_marked(&self, id: OrderId) -> bool {
        self.order(id).stop.is_some_and(|stop| stop.marked_by.is_some())
    }

    /// Marked stops of open instruments act, the oldest first, until there is none: each may mark more.
    pub(crate) fn fire_stops(&mut self) {
        let can_act = |market: &Self, id: &OrderId| {
            market.order(*id).work == Work::Waiting
                && market.is_marked(*id)
                && market.phase_of(*id) == Phase::Open
        };
        while let Some(id) = self.orders.keys().copied().find(|id| can_act(self, id)) {
            self.trigger(id);
        }
    }

    /// A stop becomes the order that it is: from now on it waits for nothing.
    fn trigger(&mut self, id: OrderId) {
        let order = self.order(id).clone();
        let stop = order.stop.expect("a stop that is triggered");
        let triggered = OrderTriggered {
            client_order_id: order.client_order_id,
            order_id: id,
            trigger_price: stop.shown_trigger(order.side),
            print_price: stop.marked_by.expect("a print reached it"),
            instrument: self.instruments[order.instrument].id,
            ..Default::default()
        };
        self.tell(order.session, triggered);
        let acting = self.order_mut(id);
        acting.work = Work::InHand;
        acting.stop = None;
        if acting.market {
            acting.time_in_force = TimeInForce::Ioc;
        }
        self.cancel_partner(order.partner);
        self.act(id);
    }
}
