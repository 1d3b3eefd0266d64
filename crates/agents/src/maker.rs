//! A market maker: buys a little below the market of its class and sells that inventory a little above.

use joulebook_protocol::Event;
use joulebook_protocol::messages::{InstrumentDefinition, NewOrder, RequestRefused};
use joulebook_types::{AreaCode, ClassCode, InstrumentId, Price, Side, TimeNs};

use crate::market::is_open;
use crate::quote::{Change, QuoteBoard, Target};
use crate::table::Table;
use crate::{Actions, Agent, MarketView};

#[derive(Clone, Copy, Debug)]
pub struct MakerConfig {
    pub class: ClassCode,
    pub area: AreaCode,
    /// Ticks between the reference and the bid, 1 and up.
    pub bid_ticks: u32,
    /// Ticks between the reference and the ask, 1 and up.
    pub ask_ticks: u32,
    /// Lots of a quote.
    pub quote_lots: u32,
    /// The most lots it owns in one window; at that it only sells.
    pub inventory_lots_max: u32,
    /// The reference is the best ask of at least this many lots, so that makers follow sellers and not each other.
    pub reference_lots_min: u64,
    /// Nanoseconds between two rounds.
    pub interval_ns: u64,
    pub first_round: TimeNs,
}

/// Quotes both sides of every window of its class, post-only, never more than it owns on the ask.
#[derive(Debug)]
pub struct Maker {
    config: MakerConfig,
    next_round: TimeNs,
    board: QuoteBoard,
    books: Table<InstrumentId, Book>,
}

/// What the maker remembers of one window.
#[derive(Clone, Copy, Debug, Default)]
struct Book {
    inventory_lots: u32,
    /// Its quotes may be out of place.
    is_stale: bool,
}

impl Maker {
    pub fn new(config: MakerConfig) -> Self {
        assert!(config.bid_ticks > 0 && config.ask_ticks > 0, "a maker never bids at its ask");
        assert!(config.interval_ns > 0, "a maker without an interval would quote for ever");
        let next_round = config.first_round;
        Self { config, next_round, board: QuoteBoard::default(), books: Table::default() }
    }

    fn is_mine(&self, definition: &InstrumentDefinition) -> bool {
        definition.class == self.config.class && definition.area == self.config.area
    }

    fn quote(
        &mut self,
        (definition, owned): (&InstrumentDefinition, u32),
        reference: Option<Price>,
        due: TimeNs,
        actions: &mut Actions,
    ) {
        let instrument = definition.instrument;
        let tick = definition.tick.raw();
        let at = |ticks: i64, qty: u32| {
            let price = Price::new(reference?.raw() + ticks * tick);
            let inside = definition.band_low <= price && price <= definition.band_high;
            (inside && qty > 0).then_some(Target { price, qty })
        };
        let room = self.config.inventory_lots_max.saturating_sub(owned);
        let bid = at(-i64::from(self.config.bid_ticks), room.min(self.config.quote_lots));
        let ask = at(i64::from(self.config.ask_ticks), owned.min(self.config.quote_lots));
        let [buy, sell] = [Side::Buy, Side::Sell].map(|side| self.board.quote(instrument, side));
        self.board.aim(buy, bid, NewOrder::POST_ONLY, due, actions);
        self.board.aim(sell, ask, NewOrder::POST_ONLY, due, actions);
    }

    fn reference(&self, instrument: InstrumentId, market: &dyn MarketView) -> Option<Price> {
        if !market.is_synced(instrument) {
            return None;
        }
        let mut asks = (0..).map_while(|depth| market.level(instrument, Side::Sell, depth));
        asks.find(|level| level.qty >= self.config.reference_lots_min).map(|level| level.price)
    }

    fn book(&mut self, instrument: InstrumentId) -> &mut Book {
        self.books.entry(instrument, Book::default)
    }
}

impl Agent for Maker {
    fn on_event(&mut self, event: &Event, _now: TimeNs, _actions: &mut Actions) {
        let Some(change) = self.board.on_event(event) else { return };
        let instrument = match change {
            Change::Filled { instrument, side, qty, .. } => {
                let owned = &mut self.book(instrument).inventory_lots;
                *owned = match side {
                    Side::Buy => owned.saturating_add(qty),
                    Side::Sell => owned.saturating_sub(qty),
                };
                instrument
            }
            Change::Refused { instrument, .. }
            | Change::Gone { instrument, .. }
            | Change::Rests { instrument, .. } => instrument,
        };
        self.book(instrument).is_stale = true;
    }

    fn on_refused(&mut self, refused: &RequestRefused, _now: TimeNs, _actions: &mut Actions) {
        if let Some(Change::Refused { instrument, .. }) = self.board.on_refused(refused) {
            self.book(instrument).is_stale = true;
        }
    }

    fn on_market(&mut self, changed: InstrumentId, market: &dyn MarketView, _now: TimeNs) {
        if market.definition(changed).is_some_and(|definition| self.is_mine(definition)) {
            self.book(changed).is_stale = true;
        }
    }

    fn on_timer(&mut self, market: &dyn MarketView, now: TimeNs, actions: &mut Actions) {
        if now < self.next_round {
            return;
        }
        let due = self.next_round;
        let missed = (now.raw() - due.raw()) / self.config.interval_ns;
        self.next_round = TimeNs::new(due.raw() + (missed + 1) * self.config.interval_ns);
        let mut books = core::mem::take(&mut self.books);
        for (instrument, book) in books.iter_mut().filter(|(_, book)| book.is_stale) {
            book.is_stale = false;
            if let Some(definition) = market.definition(instrument).filter(|known| is_open(known)) {
                let reference = self.reference(instrument, market);
                self.quote((definition, book.inventory_lots), reference, due, actions);
            }
        }
        self.books = books;
    }

    fn deadline(&self) -> Option<TimeNs> {
        Some(self.next_round)
    }
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::Command;
    use joulebook_protocol::messages::{OrderAccepted, OrderFilled};
    use joulebook_types::{ClientOrderId, OrderId};

    use super::*;
    use crate::Request;
    use crate::market::tests::{GPU, TPU, TableMarket};
    use crate::price_war::PriceWar;

    fn round(maker: &mut Maker, market: &TableMarket, actions: &mut Actions) -> Vec<Request> {
        maker.on_market(GPU, market, TimeNs::ZERO);
        maker.on_market(TPU, market, TimeNs::ZERO);
        let now = maker.deadline().unwrap();
        maker.on_timer(market, now, actions);
        actions.drain().collect()
    }

    fn new_order(request: &Request) -> (Side, String, u32) {
        let Command::NewOrder(new) = request.command else { panic!("{request:?}") };
        assert_eq!((new.instrument, new.flags), (GPU, NewOrder::POST_ONLY));
        (Side::from_raw(new.side).unwrap(), new.price.to_string(), new.qty)
    }

    fn accept(request: &Request, order: u64) -> Event {
        let Command::NewOrder(new) = request.command else { panic!("{request:?}") };
        Event::OrderAccepted(OrderAccepted {
            client_order_id: request.client_order_id,
            order_id: OrderId::new(order),
            price: new.price,
            qty: new.qty,
            ..OrderAccepted::default()
        })
    }

    #[test]
    fn bids_first_and_sells_only_what_it_bought() {
        let mut maker = Maker::new(PriceWar::new(1).maker(0, TimeNs::ZERO));
        let mut actions = Actions::new(ClientOrderId::new(1));
        let mut market = TableMarket::two_classes();
        assert!(round(&mut maker, &market, &mut actions).is_empty(), "no reference, no quotes");

        // Four lots are another maker's; the sellers stand at 20.00.
        market.set(GPU, Side::Sell, &[("19.95", 4), ("20.00", 400)]);
        let sent = round(&mut maker, &market, &mut actions);
        assert_eq!(sent.iter().map(new_order).collect::<Vec<_>>(), [(Side::Buy, "19.96".to_owned(), 4)]);

        maker.on_event(&accept(&sent[0], 7), TimeNs::ZERO, &mut actions);
        let fill = OrderFilled { order_id: OrderId::new(7), qty: 4, leaves_qty: 0, ..OrderFilled::default() };
        maker.on_event(&Event::OrderFilled(fill), TimeNs::ZERO, &mut actions);
        let sent = round(&mut maker, &market, &mut actions);
        assert_eq!(
            sent.iter().map(new_order).collect::<Vec<_>>(),
            [(Side::Buy, "19.96".to_owned(), 4), (Side::Sell, "20.02".to_owned(), 4)]
        );
    }

    #[test]
    fn inventory_is_limited() {
        let mut maker = Maker::new(PriceWar::new(1).maker(0, TimeNs::ZERO));
        let mut actions = Actions::new(ClientOrderId::new(1));
        let mut market = TableMarket::two_classes();
        market.set(GPU, Side::Sell, &[("20.00", 400)]);
        let mut bought = 0;
        for order in 1..=20 {
            let sent = round(&mut maker, &market, &mut actions);
            let Some(bid) = sent.iter().find(|request| new_order(request).0 == Side::Buy) else { break };
            let qty = new_order(bid).2;
            maker.on_event(&accept(bid, order), TimeNs::ZERO, &mut actions);
            let fill =
                OrderFilled { order_id: OrderId::new(order), qty, leaves_qty: 0, ..OrderFilled::default() };
            maker.on_event(&Event::OrderFilled(fill), TimeNs::ZERO, &mut actions);
            bought += qty;
        }
        assert_eq!(bought, 16);
    }

    #[test]
    fn quotes_stay_inside_the_band() {
        let mut maker = Maker::new(PriceWar::new(1).maker(0, TimeNs::ZERO));
        let mut actions = Actions::new(ClientOrderId::new(1));
        let mut market = TableMarket::two_classes();
        market.set(GPU, Side::Sell, &[("0.02", 400)]);
        assert!(round(&mut maker, &market, &mut actions).is_empty(), "a bid of -0.02 is no bid");
    }
}
