//! A buyer of inference: token orders at random times, indifferent to the hardware.

use std::collections::BTreeMap;

use joulebook_protocol::Event;
use joulebook_protocol::messages::{RequestRefused, TokenOrder};
use joulebook_types::{
    AreaCode, ClassCode, InstrumentId, KiloTokens, ModelId, TimeInForce, TimeNs, TokenPrice,
};

use crate::market::{is_open, window_key};
use crate::{Actions, Agent, MarketView, Random};

#[derive(Clone, Debug)]
pub struct BuyerConfig {
    /// What it buys tokens on, 1 to 16 classes.
    pub classes: Vec<ClassCode>,
    pub area: AreaCode,
    pub model: ModelId,
    pub orders_per_second: f64,
    /// Sizes are log-uniform between the two.
    pub mtok_min: u64,
    pub mtok_max: u64,
    pub limit: TokenPrice,
    pub start: TimeNs,
}

/// Sends token orders by a Poisson process. What it draws depends on its stream alone, never on the market.
#[derive(Debug)]
pub struct Buyer {
    config: BuyerConfig,
    random: Random,
    next_arrival: TimeNs,
    /// The instruments of each window in which every class is listed, as of the newest instrument then.
    windows: Vec<Vec<InstrumentId>>,
    last_instrument: Option<InstrumentId>,
}

impl Buyer {
    pub fn new(config: BuyerConfig, random: Random) -> Self {
        assert!(
            (1..=TokenOrder::INSTRUMENTS_MAX).contains(&config.classes.len()),
            "a token order names 1 to 16 instruments"
        );
        let next_arrival = config.start;
        let mut buyer = Self { config, random, next_arrival, windows: Vec::new(), last_instrument: None };
        buyer.draw_next_arrival();
        buyer
    }

    fn draw_next_arrival(&mut self) {
        let gap_ns = self.random.exponential_ns(self.config.orders_per_second);
        self.next_arrival = TimeNs::new(self.next_arrival.raw().saturating_add(gap_ns));
    }

    fn listed_windows(&self, market: &dyn MarketView) -> Vec<Vec<InstrumentId>> {
        let mut windows: BTreeMap<(u32, u16), Vec<InstrumentId>> = BTreeMap::new();
        for definition in market.definitions() {
            if definition.area == self.config.area && self.config.classes.contains(&definition.class) {
                windows.entry(window_key(definition)).or_default().push(definition.instrument);
            }
        }
        windows.into_values().filter(|instruments| instruments.len() == self.config.classes.len()).collect()
    }

    /// The windows in which every class is open.
    fn open_windows(&self, market: &dyn MarketView) -> impl Iterator<Item = &[InstrumentId]> {
        let is_open = move |instrument: &InstrumentId| market.definition(*instrument).is_some_and(is_open);
        self.windows.iter().map(Vec::as_slice).filter(move |window| window.iter().all(is_open))
    }

    fn token_order(&self, quantity: KiloTokens, window: &[InstrumentId]) -> TokenOrder {
        let mut instruments = [InstrumentId::NONE; TokenOrder::INSTRUMENTS_MAX];
        instruments[..window.len()].copy_from_slice(window);
        TokenOrder {
            quantity,
            limit: self.config.limit,
            model: self.config.model,
            time_in_force: TimeInForce::Ioc.raw(),
            flags: TokenOrder::OVERSHOOT,
            count: window.len() as u8,
            instruments,
            ..TokenOrder::default()
        }
    }
}

impl Agent for Buyer {
    fn on_event(&mut self, _event: &Event, _now: TimeNs, _actions: &mut Actions) {}

    fn on_refused(&mut self, _refused: &RequestRefused, _now: TimeNs, _actions: &mut Actions) {}

    fn on_market(&mut self, _changed: InstrumentId, _market: &dyn MarketView, _now: TimeNs) {}

    fn on_timer(&mut self, market: &dyn MarketView, now: TimeNs, actions: &mut Actions) {
        if now < self.next_arrival {
            return;
        }
        if self.last_instrument != market.last_instrument() {
            self.last_instrument = market.last_instrument();
            self.windows = self.listed_windows(market);
        }
        let open = self.open_windows(market).count();
        while self.next_arrival <= now {
            let due = self.next_arrival;
            let mtok = self.random.log_uniform(self.config.mtok_min, self.config.mtok_max);
            // Drawn even when nothing can be bought, so that one slow start does not shift the whole stream.
            let chosen = self.random.below(open.max(1));
            if let Some(window) = self.open_windows(market).nth(chosen) {
                let order = self.token_order(KiloTokens::new(mtok * 1_000), window);
                actions.send(due, |client_order_id| TokenOrder { client_order_id, ..order });
            }
            self.draw_next_arrival();
        }
    }

    fn deadline(&self) -> Option<TimeNs> {
        Some(self.next_arrival)
    }
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::Command;
    use joulebook_types::{ClientOrderId, Phase};

    use super::*;
    use crate::market::tests::{GPU, TPU, TableMarket};
    use crate::price_war::PriceWar;

    const SECOND_NS: u64 = 1_000_000_000;

    fn orders(buyer: &mut Buyer, market: &TableMarket, until: u64) -> Vec<(TimeNs, TokenOrder)> {
        let mut actions = Actions::new(ClientOrderId::new(1));
        buyer.on_timer(market, TimeNs::new(until), &mut actions);
        let order = |command| match command {
            Command::TokenOrder(order) => order,
            other => panic!("{other:?}"),
        };
        actions.drain().map(|request| (request.intended, order(request.command))).collect()
    }

    fn buyer(agent: u64) -> Buyer {
        Buyer::new(PriceWar::new(1).buyer(TimeNs::ZERO), Random::for_agent(42, agent))
    }

    #[test]
    fn orders_name_every_class_of_one_window() {
        let market = TableMarket::two_classes();
        let sent = orders(&mut buyer(0), &market, 100 * SECOND_NS);
        // Five a second; 500 of them deviate by 22 one time in three.
        assert!((400..600).contains(&sent.len()), "{} orders", sent.len());
        for (due, order) in &sent {
            assert!(due.raw() <= 100 * SECOND_NS);
            assert_eq!(order.count, 2);
            assert_eq!(order.instruments[..3], [GPU, TPU, InstrumentId::NONE]);
            assert!((50_000..=2_000_000).contains(&order.quantity.raw()));
            assert_eq!((order.time_in_force, order.flags), (TimeInForce::Ioc.raw(), TokenOrder::OVERSHOOT));
            assert_eq!(order.limit, "2.5".parse().unwrap());
        }
        assert!(sent.is_sorted_by_key(|(due, _)| *due), "each carries the time it was due");
    }

    #[test]
    fn demand_depends_on_the_seed_alone() {
        let market = TableMarket::two_classes();
        let at_once = orders(&mut buyer(3), &market, 20 * SECOND_NS);
        let mut step_by_step = Vec::new();
        let mut same = buyer(3);
        while same.deadline().unwrap().raw() <= 20 * SECOND_NS {
            let now = same.deadline().unwrap().raw();
            step_by_step.extend(
                orders(&mut same, &market, now)
                    .into_iter()
                    .map(|(due, order)| (due, TokenOrder { client_order_id: ClientOrderId::NONE, ..order })),
            );
        }
        let anonymous = |sent: Vec<(TimeNs, TokenOrder)>| -> Vec<_> {
            sent.into_iter().map(|(due, order)| (due, order.quantity, order.instruments)).collect()
        };
        let at_once = anonymous(at_once);
        assert_eq!(at_once, anonymous(step_by_step));
        assert_ne!(at_once, anonymous(orders(&mut buyer(4), &market, 20 * SECOND_NS)));

        // A market that opens late loses the orders before, and changes none after.
        let mut late = buyer(3);
        let mut closed = TableMarket::two_classes();
        closed.set_phase(TPU, Phase::Pending);
        assert!(orders(&mut late, &closed, 10 * SECOND_NS).is_empty(), "one class alone is no choice");
        let rest = anonymous(orders(&mut late, &market, 20 * SECOND_NS));
        assert_eq!(rest, at_once[at_once.len() - rest.len()..]);
    }
}
