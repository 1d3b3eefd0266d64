//! A seller of one bloc: it meets the rival hardware's price per token, and stops at its costs.

use std::collections::BTreeMap;

use joulebook_protocol::Event;
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{InstrumentDefinition, RequestRefused};
use joulebook_types::{AreaCode, ClassCode, InstrumentId, ModelId, Price, Side, TimeNs, TokenPrice, Yield};

use crate::market::{is_open, window_key};
use crate::pricing::{Ask, Reprice, ceil_to_tick};
use crate::quote::{Change, QuoteBoard, QuoteIx, Target};
use crate::{Actions, Agent, MarketView};

#[derive(Clone, Copy, Debug)]
pub struct SellerConfig {
    pub class: ClassCode,
    pub rival: ClassCode,
    pub area: AreaCode,
    /// Whose tokens make the two classes comparable.
    pub model: ModelId,
    /// Costs: never asks less.
    pub floor: Price,
    /// The first price, before any rival is seen.
    pub start: Price,
    /// Lots that the seller registered in every window.
    pub capacity_lots: u32,
    /// Lots shown at a time.
    pub display_lots: u32,
    pub undercut: TokenPrice,
    /// Nanoseconds between two looks at the rival.
    pub interval_ns: u64,
    pub first_look: TimeNs,
}

/// Keeps one ask in every open window of its class.
#[derive(Debug)]
pub struct Seller {
    config: SellerConfig,
    next_look: TimeNs,
    board: QuoteBoard,
    /// In the order of instruments, as of the newest instrument then.
    books: Vec<Book>,
    last_instrument: Option<InstrumentId>,
}

/// What the seller remembers of one window.
#[derive(Clone, Copy, Debug)]
struct Book {
    instrument: InstrumentId,
    /// The rival's instrument of the same window.
    rival_instrument: Option<InstrumentId>,
    ask: QuoteIx,
    sold_lots: u32,
    /// The price it last wanted.
    price: Price,
    rival: Option<Price>,
    /// Looks in a row at which the rival's price was the same.
    looks_unmoved: u8,
    /// What the price was worked out from: as long as it is the same, so is the price.
    worked_out: Option<Reprice>,
}

/// A rival that kept its price at this many looks in a row has stopped. One is too few: a rival that is merely late
/// would make us raise our price in the middle of the war.
const LOOKS_UNMOVED_AT_REST: u8 = 2;

impl Seller {
    pub fn new(config: SellerConfig) -> Self {
        assert!(config.interval_ns > 0, "a seller without an interval would look for ever");
        assert!(config.display_lots > 0, "a seller shows at least one lot");
        let next_look = config.first_look;
        Self { config, next_look, board: QuoteBoard::default(), books: Vec::new(), last_instrument: None }
    }

    fn look(&mut self, market: &dyn MarketView, due: TimeNs, actions: &mut Actions) {
        let (Some(own_yield), Some(rival_yield)) = (
            market.yield_of(self.config.class, self.config.model),
            market.yield_of(self.config.rival, self.config.model),
        ) else {
            return;
        };
        if own_yield.raw() == 0 || rival_yield.raw() == 0 {
            return;
        }
        if self.last_instrument != market.last_instrument() {
            self.last_instrument = market.last_instrument();
            self.learn_windows(market);
        }
        for index in 0..self.books.len() {
            let book = &self.books[index];
            if let Some(definition) = market.definition(book.instrument).filter(|known| is_open(known)) {
                let rival = rival_ask(market, book.rival_instrument, rival_yield);
                self.reprice(index, (definition.tick, own_yield), rival);
                self.show(index, due, actions);
            }
        }
    }

    /// Keeps what it remembers of windows that it knows already.
    fn learn_windows(&mut self, market: &dyn MarketView) {
        let of_class = |class: ClassCode| {
            let area = self.config.area;
            market.definitions().filter(move |known| known.class == class && known.area == area)
        };
        let rivals: BTreeMap<(u32, u16), InstrumentId> =
            of_class(self.config.rival).map(|known| (window_key(known), known.instrument)).collect();
        let (config, board, books) = (&self.config, &mut self.board, &self.books);
        let learn = |own: &InstrumentDefinition| {
            let rival_instrument = rivals.get(&window_key(own)).copied();
            let known = books.iter().find(|book| book.instrument == own.instrument).copied();
            let book = known.unwrap_or_else(|| {
                let lowest = ceil_to_tick(config.floor, own.tick);
                Book {
                    instrument: own.instrument,
                    rival_instrument,
                    ask: board.quote(own.instrument, Side::Sell),
                    sold_lots: 0,
                    price: ceil_to_tick(config.start, own.tick).max(lowest),
                    rival: None,
                    looks_unmoved: 0,
                    worked_out: None,
                }
            });
            Book { rival_instrument, ..book }
        };
        self.books = of_class(config.class).map(learn).collect();
    }

    fn reprice(&mut self, index: usize, (tick, yield_ktok): (Price, Yield), rival: Option<Ask>) {
        let (config, book) = (&self.config, &mut self.books[index]);
        let Some(rival) = rival else { return };
        let unmoved = book.rival == Some(rival.price);
        book.looks_unmoved = if unmoved { book.looks_unmoved.saturating_add(1) } else { 0 };
        book.rival = Some(rival.price);
        let reprice = Reprice {
            floor: config.floor,
            tick,
            yield_ktok,
            rival,
            undercut: config.undercut,
            rival_rests: book.looks_unmoved >= LOOKS_UNMOVED_AT_REST,
        };
        if book.worked_out.replace(reprice) != Some(reprice) {
            book.price = reprice.price();
        }
    }

    fn show(&mut self, index: usize, due: TimeNs, actions: &mut Actions) {
        let book = &self.books[index];
        let qty = self.config.display_lots.min(self.config.capacity_lots.saturating_sub(book.sold_lots));
        let target = (qty > 0).then_some(Target { price: book.price, qty });
        self.board.aim(book.ask, target, 0, due, actions);
    }

    fn index_of(&self, instrument: InstrumentId) -> Option<usize> {
        self.books.binary_search_by_key(&instrument, |book| book.instrument).ok()
    }
}

/// The rival's best ask, if its book can be trusted.
fn rival_ask(market: &dyn MarketView, rival: Option<InstrumentId>, yield_ktok: Yield) -> Option<Ask> {
    let rival = rival.filter(|rival| market.is_synced(*rival))?;
    Some(Ask { price: market.best(rival, Side::Sell)?.price, yield_ktok })
}

impl Agent for Seller {
    fn on_event(&mut self, event: &Event, now: TimeNs, actions: &mut Actions) {
        match self.board.on_event(event) {
            Some(Change::Filled { instrument, qty, leaves_qty, .. }) => {
                let Some(index) = self.index_of(instrument) else { return };
                let book = &mut self.books[index];
                book.sold_lots = book.sold_lots.saturating_add(qty);
                if leaves_qty == 0 {
                    self.show(index, now, actions);
                }
            }
            Some(Change::Refused {
                instrument, reason: Some(RejectReason::InsufficientCapacity), ..
            }) => {
                // The exchange knows better what is left: asking again would be refused again.
                if let Some(index) = self.index_of(instrument) {
                    self.books[index].sold_lots = self.config.capacity_lots;
                }
            }
            Some(Change::Rests { .. } | Change::Gone { .. } | Change::Refused { .. }) | None => {}
        }
    }

    fn on_refused(&mut self, refused: &RequestRefused, _now: TimeNs, _actions: &mut Actions) {
        // The next look asks again.
        self.board.on_refused(refused);
    }

    fn on_market(&mut self, _changed: InstrumentId, _market: &dyn MarketView, _now: TimeNs) {}

    fn on_timer(&mut self, market: &dyn MarketView, now: TimeNs, actions: &mut Actions) {
        if now < self.next_look {
            return;
        }
        let due = self.next_look;
        // Looks that were missed are not made up for: the market of that moment is gone.
        let missed = (now.raw() - due.raw()) / self.config.interval_ns;
        self.next_look = TimeNs::new(due.raw() + (missed + 1) * self.config.interval_ns);
        self.look(market, due, actions);
    }

    fn deadline(&self) -> Option<TimeNs> {
        Some(self.next_look)
    }
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::Command;
    use joulebook_protocol::messages::{
        OrderAccepted, OrderCanceled, OrderFilled, OrderReplaced, RequestRejected,
    };
    use joulebook_types::{ClientOrderId, OrderId, Phase};

    use super::*;
    use crate::market::tests::{GPU, TPU, TableMarket};
    use crate::price_war::{Participant, PriceWar};
    use crate::{Agent, Request};

    const LOOK_NS: u64 = 250_000_000;

    fn seller() -> (Seller, Actions, TableMarket) {
        let war = PriceWar::new(1);
        let config = war.seller(0, 0, TimeNs::new(LOOK_NS));
        assert_eq!(Participant::Seller { bloc: 0, index: 0 }.to_string(), "seller-0-0");
        (Seller::new(config), Actions::new(ClientOrderId::new(1)), TableMarket::two_classes())
    }

    /// Looks once, and returns what was sent.
    fn look(seller: &mut Seller, market: &TableMarket, actions: &mut Actions) -> Vec<Request> {
        let now = seller.deadline().unwrap();
        seller.on_timer(market, now, actions);
        actions.drain().collect()
    }

    fn accept(request: &Request, order: u64) -> Event {
        let Command::NewOrder(new) = request.command else { panic!("{request:?} is no new order") };
        Event::OrderAccepted(OrderAccepted {
            client_order_id: request.client_order_id,
            order_id: OrderId::new(order),
            price: new.price,
            instrument: new.instrument,
            qty: new.qty,
            side: new.side,
            ..OrderAccepted::default()
        })
    }

    fn replaced(request: &Request, leaves_qty: u32) -> Event {
        let Command::ReplaceOrder(replace) = request.command else { panic!("{request:?} is no replace") };
        Event::OrderReplaced(OrderReplaced {
            order_id: replace.order_id,
            request: request.client_order_id,
            price: replace.price,
            qty: replace.qty,
            leaves_qty,
            ..OrderReplaced::default()
        })
    }

    fn filled(order: u64, qty: u32, leaves_qty: u32) -> Event {
        Event::OrderFilled(OrderFilled {
            order_id: OrderId::new(order),
            instrument: GPU,
            qty,
            leaves_qty,
            ..OrderFilled::default()
        })
    }

    fn price(request: &Request) -> String {
        match request.command {
            Command::NewOrder(new) => new.price.to_string(),
            Command::ReplaceOrder(replace) => replace.price.to_string(),
            _ => panic!("{request:?} has no price"),
        }
    }

    #[test]
    fn starts_high_follows_the_rival_and_comes_to_rest() {
        let (mut seller, mut actions, mut market) = seller();
        let sent = look(&mut seller, &market, &mut actions);
        assert_eq!((sent.len(), price(&sent[0]).as_str()), (1, "27.00"), "no rival yet: the start price");
        assert_eq!(sent[0].intended, TimeNs::new(LOOK_NS), "due at the look, not when it was called");
        seller.on_event(&accept(&sent[0], 7), TimeNs::ZERO, &mut actions);

        // Parity with 16.00 is 26.667; the undercut of 0.005 EC/Mtok is 0.077 EC.
        market.set(TPU, Side::Sell, &[("16.00", 400)]);
        let sent = look(&mut seller, &market, &mut actions);
        assert_eq!(price(&sent[0]), "26.59");
        assert!(look(&mut seller, &market, &mut actions).is_empty(), "one request in flight is enough");
        seller.on_event(&replaced(&sent[0], 50), TimeNs::ZERO, &mut actions);

        // The second look that found the rival where it was: it rests, so one tick below will do.
        let sent = look(&mut seller, &market, &mut actions);
        assert_eq!(price(&sent[0]), "26.65");
        seller.on_event(&replaced(&sent[0], 50), TimeNs::ZERO, &mut actions);
        assert!(look(&mut seller, &market, &mut actions).is_empty(), "a quote in its place keeps its place");

        market.set(TPU, Side::Sell, &[("7.00", 400)]);
        assert_eq!(price(&look(&mut seller, &market, &mut actions)[0]), "13.00", "costs are the end");
    }

    #[test]
    fn fills_are_made_good_until_the_capacity_is_sold() {
        let (mut seller, mut actions, market) = seller();
        let sent = look(&mut seller, &market, &mut actions);
        seller.on_event(&accept(&sent[0], 7), TimeNs::ZERO, &mut actions);
        seller.on_event(&filled(7, 20, 30), TimeNs::ZERO, &mut actions);
        assert!(actions.is_empty(), "more than half is left");
        seller.on_event(&filled(7, 10, 20), TimeNs::ZERO, &mut actions);
        let sent = look(&mut seller, &market, &mut actions);
        let Command::ReplaceOrder(replace) = sent[0].command else { panic!("{sent:?}") };
        assert_eq!(replace.qty, 80, "a total: 30 lots sold and 50 to show");
        seller.on_event(&replaced(&sent[0], 50), TimeNs::ZERO, &mut actions);

        seller.on_event(&filled(7, 50, 0), TimeNs::ZERO, &mut actions);
        let mut sent: Vec<Request> = actions.drain().collect();
        assert_eq!(sent.len(), 1, "a sold-out quote is shown again at once");
        let mut sold = 80;
        for order in 8.. {
            let Command::NewOrder(new) = sent[0].command else { panic!("{sent:?}") };
            assert_eq!(new.qty, 50.min(500 - sold));
            seller.on_event(&accept(&sent[0], order), TimeNs::ZERO, &mut actions);
            seller.on_event(&filled(order, new.qty, 0), TimeNs::ZERO, &mut actions);
            sold += new.qty;
            sent = actions.drain().collect();
            if sold == 500 {
                break;
            }
        }
        assert!(sent.is_empty(), "all 500 lots are sold");
        assert!(look(&mut seller, &market, &mut actions).is_empty());
    }

    #[test]
    fn lost_orders_are_posted_again_but_not_what_the_exchange_refuses_for_good() {
        let (mut seller, mut actions, market) = seller();
        let sent = look(&mut seller, &market, &mut actions);
        seller.on_event(&accept(&sent[0], 7), TimeNs::ZERO, &mut actions);
        let canceled =
            OrderCanceled { order_id: OrderId::new(7), instrument: GPU, ..OrderCanceled::default() };
        seller.on_event(&Event::OrderCanceled(canceled), TimeNs::ZERO, &mut actions);
        let sent = look(&mut seller, &market, &mut actions);
        assert!(matches!(sent[0].command, Command::NewOrder(_)), "disconnected or swept away: post again");

        let refused = |reason: RejectReason, request: &Request| {
            Event::RequestRejected(RequestRejected {
                client_order_id: request.client_order_id,
                reason: reason.raw(),
                ..RequestRejected::default()
            })
        };
        seller.on_event(&refused(RejectReason::Busy, &sent[0]), TimeNs::ZERO, &mut actions);
        let sent = look(&mut seller, &market, &mut actions);
        assert_eq!(sent.len(), 1, "busy now, perhaps not at the next look");
        seller.on_event(&refused(RejectReason::InsufficientCapacity, &sent[0]), TimeNs::ZERO, &mut actions);
        assert!(look(&mut seller, &market, &mut actions).is_empty(), "nothing is left to sell");
    }

    #[test]
    fn closed_windows_and_unsynced_rivals_are_left_alone() {
        let (mut seller, mut actions, mut market) = seller();
        market.set(TPU, Side::Sell, &[("10.00", 400)]);
        market.unsync(TPU);
        let sent = look(&mut seller, &market, &mut actions);
        assert_eq!(price(&sent[0]), "27.00", "a book with a gap is no reason to cut prices");
        seller.on_event(&accept(&sent[0], 7), TimeNs::ZERO, &mut actions);
        market.set_phase(GPU, Phase::Closed);
        market.set(TPU, Side::Sell, &[("9.00", 400)]);
        assert!(look(&mut seller, &market, &mut actions).is_empty());
    }

    #[test]
    fn a_late_call_skips_looks_and_keeps_the_beat() {
        let (mut seller, mut actions, market) = seller();
        seller.on_timer(&market, TimeNs::new(LOOK_NS - 1), &mut actions);
        assert!(actions.is_empty(), "too early");
        seller.on_timer(&market, TimeNs::new(4 * LOOK_NS + 9), &mut actions);
        assert_eq!(
            actions.drain().next().unwrap().intended,
            TimeNs::new(LOOK_NS),
            "late by three looks, and it shows"
        );
        assert_eq!(seller.deadline(), Some(TimeNs::new(5 * LOOK_NS)));
    }
}
