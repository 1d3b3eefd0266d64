//! orderbook-rs: a concurrent book; it reports trades to a listener that threads may share.

use std::sync::{Arc, Mutex};

use joulebook_types::Side;
use orderbook_rs::OrderBook;
use pricelevel::{Id, OrderUpdate, Price, Quantity, TimeInForce};

use super::Engine;
use crate::stream::{Fills, Kind, Message, Stream};

pub struct OrderbookRs {
    books: Vec<OrderBook<()>>,
    heard: Arc<Mutex<Fills>>,
}

impl Engine for OrderbookRs {
    fn new(stream: &Stream) -> Self {
        let heard = Arc::new(Mutex::new(Fills::default()));
        let book = |name: usize| {
            let heard = Arc::clone(&heard);
            let listener = move |result: &orderbook_rs::TradeResult| {
                let mut fills = heard.lock().expect("one thread");
                for trade in result.match_result.trades().as_vec() {
                    let id = |id: Id| id.as_u64().expect("ids are numbers here") as u32;
                    let (maker, taker) = (id(trade.maker_order_id()), id(trade.taker_order_id()));
                    fills.add(maker, taker, trade.price().as_u128() as u32, trade.quantity().as_u64() as u32);
                }
            };
            OrderBook::<()>::with_trade_listener(&name.to_string(), Arc::new(listener))
        };
        Self { books: (0..stream.books).map(book).collect(), heard: Arc::clone(&heard) }
    }

    fn apply(&mut self, message: &Message, fills: &mut Fills) {
        *self.heard.lock().expect("one thread") = *fills;
        let book = &self.books[usize::from(message.book)];
        let order_id = Id::Sequential(message.id.into());
        let (price, lots) = (u128::from(message.price), u64::from(message.lots));
        let side = match message.side {
            Side::Buy => pricelevel::Side::Buy,
            Side::Sell => pricelevel::Side::Sell,
        };
        // What it refuses shows as a difference in the fills.
        let _ = match message.kind {
            Kind::Add => book.add_limit_order(order_id, price, lots, side, TimeInForce::Gtc, None).map(drop),
            Kind::Ioc => book.add_limit_order(order_id, price, lots, side, TimeInForce::Ioc, None).map(drop),
            Kind::Cancel => book.cancel_order(order_id).map(drop),
            Kind::Replace => {
                let (price, quantity) = (Price::new(price), Quantity::new(lots));
                book.update_order(OrderUpdate::Replace { order_id, price, quantity, side }).map(drop)
            }
            Kind::Reduce => {
                let new_quantity = Quantity::new(lots);
                book.update_order(OrderUpdate::UpdateQuantity { order_id, new_quantity }).map(drop)
            }
        };
        *fills = *self.heard.lock().expect("one thread");
    }

    fn resting(&self) -> u64 {
        self.books.iter().map(|book| book.get_all_orders().len() as u64).sum()
    }
}
