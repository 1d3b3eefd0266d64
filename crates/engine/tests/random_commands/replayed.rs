//! The slow listener: rebuilds the engine's books from its public events alone.

use std::collections::BTreeMap;

use joulebook_book::reference::{ReferenceBook, ReferenceOrder};
use joulebook_engine::{Engine, LevelTotal};
use joulebook_protocol::PublicEvent;
use joulebook_protocol::messages::{BookUpdate, Trade};
use joulebook_types::{InstrumentId, OrderId, Phase, Qty, Side, TradeId};

/// What a feed makes of the public events.
#[derive(Default)]
pub struct Replayed {
    books: BTreeMap<InstrumentId, ReferenceBook>,
    phases: BTreeMap<InstrumentId, u8>,
    /// The trade whose book update must come next.
    trade: Option<Trade>,
    /// The last trade of an auction: updates of the limit orders among its two follow.
    call_trade: Option<Trade>,
    last_trade: TradeId,
}

impl Replayed {
    pub fn take(&mut self, event: PublicEvent) {
        match event {
            PublicEvent::BookUpdate(update) => self.update(&update),
            PublicEvent::Trade(trade) => {
                assert_eq!(self.trade, None, "each trade is followed by its book update");
                let in_call = trade.aggressor == 0;
                (self.trade, self.call_trade) =
                    if in_call { (None, Some(trade)) } else { (Some(trade), None) };
                assert_eq!(trade.trade_id, self.last_trade.next());
                self.last_trade = trade.trade_id;
            }
            PublicEvent::PhaseChanged(changed) => self.enter(changed.instrument, changed.phase),
            PublicEvent::InstrumentDefinition(listed) => {
                self.phases.insert(listed.instrument, listed.phase);
            }
            PublicEvent::YieldDefinition(_) | PublicEvent::AccountDefinition(_) => {}
            PublicEvent::BandsChanged(_) | PublicEvent::AuctionIndication(_) => {}
        }
    }

    fn enter(&mut self, instrument: InstrumentId, phase: u8) {
        self.phases.insert(instrument, phase);
        if phase == Phase::Closed.raw() {
            let book = self.books.entry(instrument).or_default();
            assert!(book.best(Side::Buy).is_none() && book.best(Side::Sell).is_none());
        }
    }

    fn update(&mut self, update: &BookUpdate) {
        let book = self.books.entry(update.instrument).or_default();
        let (order_id, side) = (update.order_id, Side::from_raw(update.side).unwrap());
        let leaves = update.leaves_qty;
        let total = match update.action {
            BookUpdate::ADDED => book.add(ReferenceOrder { order_id, side, price: update.price, leaves }),
            BookUpdate::FILLED if self.trade.is_none() => {
                let trade = self.call_trade.expect("a fill has a trade");
                let order = book.get(order_id).expect("a fill has an order");
                let (limit, lots) = (order.price, order.leaves - leaves);
                assert!(if side == Side::Buy { limit >= trade.price } else { limit <= trade.price });
                assert!(0 < lots && lots <= trade.qty, "hidden lots trade without a word");
                book.reduce(order_id, lots).expect("the order has the lots")
            }
            BookUpdate::FILLED => {
                let trade = self.trade.take().expect("a fill has a trade");
                let front = book.front(side).expect("a fill has a maker");
                assert_eq!((front.order_id, front.price), (order_id, update.price), "price, then time");
                assert_eq!((trade.maker_order_id, trade.price), (order_id, update.price));
                assert_eq!(front.leaves - trade.qty, leaves);
                assert_eq!(trade.aggressor, side.opposite().raw());
                book.fill_front(side, trade.qty).expect("the maker has the lots").1
            }
            BookUpdate::REDUCED => {
                let before = book.get(order_id).expect("a resting order shrinks").leaves;
                book.reduce(order_id, before - leaves).expect("it has more")
            }
            BookUpdate::REMOVED => book.remove(order_id).expect("a resting order leaves").1,
            action => panic!("unknown action {action}"),
        };
        let published = LevelTotal { qty: Qty::new(update.level_qty), orders: update.level_orders };
        assert_eq!(total, published, "levels add up");
    }

    pub fn compare(&self, engine: &Engine) {
        for (id, book) in &self.books {
            let (bid, ask) = (book.best(Side::Buy), book.best(Side::Sell));
            let crossed = bid.zip(ask).is_some_and(|(bid, ask)| bid >= ask);
            let gathers = [Phase::Halted.raw(), Phase::Auction.raw()].contains(&self.phases[id]);
            assert!(!crossed || gathers, "crossed only in a halt or a call");
            for side in [Side::Buy, Side::Sell] {
                assert_eq!(engine.levels(*id, side).collect::<Vec<_>>(), book.levels(side));
            }
            let expected: Vec<OrderId> = [Side::Buy, Side::Sell]
                .iter()
                .flat_map(|side| book.makers(*side))
                .map(|order| order.order_id)
                .collect();
            let orders = engine.open_orders().filter(|order| order.instrument == *id);
            assert_eq!(
                orders.map(|order| order.order_id).collect::<Vec<_>>(),
                expected,
                "first in, first out"
            );
        }
    }
}
