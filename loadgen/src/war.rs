//! The price war as load: the sellers' repricing and the buyers' token orders, in the scenario's proportions, at any
//! rate.
//!
//! The plan says who acts when, and what buyers want; that is exogenous and hashed. A seller's price follows from the
//! rival's best ask at the moment of sending, by the same rule as in the demo. When both blocs rest on their floors the
//! war would end and with it the load; here the seller that finds nothing left to do begins the next round at its
//! starting price.

use joulebook_agents::price_war::PriceWar;
use joulebook_agents::{Ask, Random, Reprice, ceil_to_tick, floor_to_tick};
use joulebook_protocol::messages::{NewOrder, ReplaceOrder, TokenOrder};
use joulebook_protocol::{Event, encode};
use joulebook_types::{ClientOrderId, InstrumentId, KiloTokens, OrderId, Price, Side, SlotHint, TimeInForce};

use crate::hot::Flow;
use crate::plan::{Arrivals, Operation, Plan, Planned, Unscheduled};

/// Sessions: the sellers of the first bloc, those of the second, the buyers. Books: by window, one per bloc.
pub(crate) struct War {
    scenario: PriceWar,
    /// `[window][bloc]`.
    instruments: Vec<[InstrumentId; 2]>,
    /// By seller session, then window.
    asks: Vec<Vec<SellerAsk>>,
}

/// What one seller shows in one window.
#[derive(Clone, Copy, Default)]
struct SellerAsk {
    /// The request that entered it; none while nothing is shown.
    entered_by: ClientOrderId,
    known_as: Option<(OrderId, SlotHint)>,
    price: Price,
    /// The rival's best ask when this seller last looked.
    rival: Price,
}

/// Messages per second of the scenario at its own pace: (repricing, token orders).
fn proportions(scenario: &PriceWar) -> (f64, f64) {
    let asks = 2 * scenario.sellers_per_bloc * scenario.windows;
    (f64::from(asks) * 1_000.0 / f64::from(scenario.reprice_ms), scenario.token_orders_per_second)
}

/// The scenario at `rate` messages per second: everybody acts faster, and nobody runs out.
pub(crate) fn scaled(mut scenario: PriceWar, rate: u64) -> PriceWar {
    let (reprices, tokens) = proportions(&scenario);
    scenario.token_orders_per_second = tokens * rate as f64 / (reprices + tokens);
    scenario.reprice_ms = 1;
    // A tenth of what a slot can hold, for each of the two blocs' classes.
    let per_lot = scenario.blocs.iter().map(|bloc| u32::from(bloc.accelerators_per_lot)).max();
    scenario.capacity_lots = u32::MAX / 10 / per_lot.unwrap_or(1).max(1);
    scenario
}

/// The schedule of a run at `rate`, in the proportions of the unscaled `scenario`.
pub(crate) fn plan(arrivals: Arrivals, rate: u64, span_ns: u64, scenario: &PriceWar) -> Plan {
    let (reprices, tokens) = proportions(scenario);
    let sellers = 2 * scenario.sellers_per_bloc as usize;
    let buyers = scenario.buyers.max(1) as usize;
    let mut random = Random::for_agent(scenario.seed, 10);
    Plan::timed(arrivals, rate, span_ns, &mut random, |random| {
        let is_token = random.unit() * (reprices + tokens) < tokens;
        let (session, operation) = if is_token {
            (sellers + random.below(buyers), Operation::Token)
        } else {
            (random.below(sellers), Operation::Move)
        };
        let book = random.below(scenario.windows as usize) as u16;
        Unscheduled { session: session as u16, book, operation }
    })
}

/// Every seller's first ask in every window.
pub(crate) fn preload(scenario: &PriceWar) -> Vec<Planned> {
    let sellers = 2 * scenario.sellers_per_bloc as u16;
    (0..scenario.windows as u16)
        .flat_map(|book| (0..sellers).map(move |session| (book, session)))
        .map(|(book, session)| Planned { at_ns: 0, draw: 0, session, book, operation: Operation::New })
        .collect()
}

impl War {
    pub(crate) fn new(scenario: PriceWar, instruments: Vec<[InstrumentId; 2]>) -> Self {
        let sellers = 2 * scenario.sellers_per_bloc as usize;
        let asks = vec![vec![SellerAsk::default(); instruments.len()]; sellers];
        Self { scenario, instruments, asks }
    }

    fn bloc_of(&self, seller: usize) -> usize {
        seller / self.scenario.sellers_per_bloc as usize
    }

    /// The cheapest ask of a bloc in a window, as far as this process knows.
    fn best(&self, bloc: usize, window: usize) -> Option<Price> {
        let sellers = self.scenario.sellers_per_bloc as usize;
        let asks = self.asks[bloc * sellers..][..sellers].iter().map(|windows| &windows[window]);
        asks.filter(|ask| !ask.entered_by.is_none()).map(|ask| ask.price).min()
    }

    fn start_price(&self, bloc: usize) -> Price {
        floor_to_tick(self.scenario.blocs[bloc].start, self.scenario.blocs[bloc].tick)
    }

    /// What the seller asks now.
    fn price(&mut self, seller: usize, window: usize) -> Price {
        let bloc = self.bloc_of(seller);
        let Some(rival_price) = self.best(1 - bloc, window) else { return self.start_price(bloc) };
        let (own, rival) = (&self.scenario.blocs[bloc], &self.scenario.blocs[1 - bloc]);
        let ask = &mut self.asks[seller][window];
        let reprice = Reprice {
            floor: own.floor,
            tick: own.tick,
            yield_ktok: own.yield_ktok,
            rival: Ask { price: rival_price, yield_ktok: rival.yield_ktok },
            undercut: self.scenario.undercut,
            rival_rests: ask.rival == rival_price,
        };
        ask.rival = rival_price;
        reprice.price()
    }

    /// A price unlike the present one, because a replace that changes nothing is refused.
    fn next_price(&mut self, seller: usize, window: usize) -> Price {
        let present = self.asks[seller][window].price;
        let wanted = self.price(seller, window);
        if wanted != present {
            return wanted;
        }
        let bloc = self.bloc_of(seller);
        match self.start_price(bloc) {
            start if start != present => start,
            start => ceil_to_tick(Price::new(start.raw() + 1), self.scenario.blocs[bloc].tick),
        }
    }

    fn sell(&mut self, seller: usize, window: usize, id: ClientOrderId, out: &mut Vec<u8>) -> Operation {
        let qty = self.scenario.display_lots;
        let present = self.asks[seller][window];
        if present.entered_by.is_none() {
            let price = self.price(seller, window);
            let ask = &mut self.asks[seller][window];
            (ask.entered_by, ask.known_as, ask.price) = (id, None, price);
            let order = NewOrder {
                client_order_id: id,
                price,
                instrument: self.instruments[window][self.bloc_of(seller)],
                qty,
                side: Side::Sell.raw(),
                time_in_force: TimeInForce::Gtc.raw(),
                ..NewOrder::default()
            };
            encode(&order, out);
            return Operation::New;
        }
        let price = self.next_price(seller, window);
        self.asks[seller][window].price = price;
        // By number of the request while the answer is on its way.
        let (order_id, target, slot) = match present.known_as {
            Some((order_id, slot)) => (order_id, ClientOrderId::NONE, slot),
            None => (OrderId::NONE, present.entered_by, SlotHint::UNKNOWN),
        };
        let replace =
            ReplaceOrder { client_order_id: id, order_id, target, price, slot, qty, ..Default::default() };
        encode(&replace, out);
        Operation::Move
    }

    fn buy(&self, window: usize, draw: u64, id: ClientOrderId) -> TokenOrder {
        let scenario = &self.scenario;
        let mtok = Random::from_seed(draw).log_uniform(scenario.mtok_min, scenario.mtok_max);
        let mut order = TokenOrder {
            client_order_id: id,
            quantity: KiloTokens::new(mtok * 1_000),
            limit: scenario.cap,
            model: scenario.model,
            time_in_force: TimeInForce::Ioc.raw(),
            flags: TokenOrder::OVERSHOOT,
            count: 2,
            ..TokenOrder::default()
        };
        order.instruments[..2].copy_from_slice(&self.instruments[window]);
        order
    }

    /// The seller's ask that the request `id` entered.
    fn ask_entered_by(&mut self, seller: usize, id: ClientOrderId) -> Option<&mut SellerAsk> {
        self.asks.get_mut(seller)?.iter_mut().find(|ask| ask.entered_by == id)
    }
}

impl Flow for War {
    fn write(&mut self, planned: &Planned, id: ClientOrderId, out: &mut Vec<u8>) -> Operation {
        let window = usize::from(planned.book);
        match planned.operation {
            Operation::Token => {
                encode(&self.buy(window, planned.draw, id), out);
                Operation::Token
            }
            Operation::New | Operation::Ioc | Operation::Cancel | Operation::Move => {
                self.sell(usize::from(planned.session), window, id, out)
            }
        }
    }

    fn on_event(&mut self, session: usize, event: &Event) {
        match event {
            Event::OrderAccepted(accepted) => {
                if let Some(ask) = self.ask_entered_by(session, accepted.client_order_id) {
                    ask.known_as = Some((accepted.order_id, accepted.slot));
                }
            }
            Event::OrderFilled(filled) if filled.leaves_qty == 0 => {
                if let Some(ask) = self.ask_entered_by(session, filled.client_order_id) {
                    *ask = SellerAsk { rival: ask.rival, ..SellerAsk::default() };
                }
            }
            Event::OrderCanceled(canceled) => {
                if let Some(ask) = self.ask_entered_by(session, canceled.client_order_id) {
                    *ask = SellerAsk::default();
                }
            }
            Event::RequestRejected(rejected) => {
                // A new ask that was refused shows nothing; a refused replace names another request.
                if let Some(ask) = self.ask_entered_by(session, rejected.client_order_id) {
                    *ask = SellerAsk::default();
                }
            }
            _ => {}
        }
    }

    fn resting(&self) -> usize {
        self.asks.iter().flatten().filter(|ask| !ask.entered_by.is_none()).count()
    }

    fn fallbacks(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use joulebook_protocol::Command;
    use joulebook_protocol::messages::{OrderAccepted, OrderFilled};
    use joulebook_types::TokenPrice;

    fn war() -> War {
        let scenario = PriceWar { windows: 2, sellers_per_bloc: 2, ..PriceWar::new(7) };
        let instruments = vec![[1, 2].map(InstrumentId::new), [3, 4].map(InstrumentId::new)];
        War::new(scenario, instruments)
    }

    fn planned(session: u16, operation: Operation) -> Planned {
        Planned { at_ns: 0, draw: 99, session, book: 1, operation }
    }

    #[test]
    fn the_plan_keeps_the_scenarios_proportions() {
        let scenario = PriceWar::new(3);
        let plan = plan(Arrivals::Even, 200_000, 2_000_000_000, &scenario);
        let tokens = plan.requests.iter().filter(|planned| planned.operation == Operation::Token).count();
        let share = tokens as f64 / plan.requests.len() as f64;
        // 20 token orders beside 16 sellers x 32 windows x 4 a second.
        assert!((share - 20.0 / 2_068.0).abs() < 0.001, "{share}");
        assert!(
            plan.requests
                .iter()
                .all(|planned| (planned.session < 16) != (planned.operation == Operation::Token))
        );
        let again = super::plan(Arrivals::Even, 200_000, 2_000_000_000, &scenario);
        assert_eq!(plan.hash(), again.hash());
    }

    #[test]
    fn a_scaled_war_has_capacity_for_its_slots() {
        let scenario = scaled(PriceWar::new(1), 100_000);
        assert!((scenario.token_orders_per_second - 967.1).abs() < 0.1);
        let accelerators = u64::from(scenario.lots_per_seller()) * 8 * u64::from(scenario.sellers_per_bloc);
        assert!(accelerators < u64::from(u32::MAX));
    }

    #[test]
    fn sellers_undercut_each_other_down_to_a_floor_and_begin_again() {
        let mut war = war();
        for session in 0..4 {
            let (operation, command) = war.command(&planned(session, Operation::Move), ClientOrderId::new(1));
            assert_eq!(operation, Operation::New, "{command:?}");
        }
        assert_eq!(war.resting(), 4);
        let per_token = |war: &War, bloc: usize| {
            TokenPrice::of(war.best(bloc, 1).unwrap(), war.scenario.blocs[bloc].yield_ktok).unwrap().raw()
        };
        let floor = |war: &War, bloc: usize| {
            ceil_to_tick(war.scenario.blocs[bloc].floor, war.scenario.blocs[bloc].tick)
        };
        let (mut rounds, mut last) = (0, per_token(&war, 0));
        for number in 2..4_000_u64 {
            let session = (number % 4) as u16;
            let (operation, command) =
                war.command(&planned(session, Operation::Move), ClientOrderId::new(number));
            let Command::ReplaceOrder(replace) = command else { panic!("{command:?}") };
            assert_eq!((operation, replace.target.raw()), (Operation::Move, 1), "not acknowledged yet");
            assert!(floor(&war, war.bloc_of(usize::from(session))) <= replace.price);
            let now = per_token(&war, 0);
            rounds += u32::from(last + 200_000 < now);
            last = now;
        }
        assert!(0 < rounds, "the war begins again after its end");
    }

    #[test]
    fn a_filled_ask_is_shown_again() {
        let mut war = war();
        war.command(&planned(0, Operation::Move), ClientOrderId::new(5));
        let accepted = OrderAccepted {
            client_order_id: ClientOrderId::new(5),
            order_id: OrderId::new(77),
            slot: SlotHint::new(3),
            ..Default::default()
        };
        war.on_event(0, &accepted.into());
        let (_, command) = war.command(&planned(0, Operation::Move), ClientOrderId::new(6));
        let Command::ReplaceOrder(replace) = command else { panic!("{command:?}") };
        assert_eq!((replace.order_id.raw(), replace.slot.raw()), (77, 3));

        let filled = OrderFilled { client_order_id: ClientOrderId::new(5), ..Default::default() };
        war.on_event(0, &filled.into());
        assert_eq!(war.resting(), 0);
        assert_eq!(war.command(&planned(0, Operation::Move), ClientOrderId::new(7)).0, Operation::New);
    }

    #[test]
    fn buyers_name_both_books_of_a_window() {
        let mut war = war();
        let (operation, command) = war.command(&planned(4, Operation::Token), ClientOrderId::new(1));
        let Command::TokenOrder(order) = command else { panic!("{command:?}") };
        assert_eq!((operation, order.count), (Operation::Token, 2));
        assert_eq!(order.instruments[..3], [3, 4, 0].map(InstrumentId::new));
        assert!((50_000..=2_000_000).contains(&order.quantity.raw()));
    }
}
