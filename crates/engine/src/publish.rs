//! The whole public state as events: what a gateway, a feed or a console starts from.

use joulebook_book::{LevelTotal, Order};
use joulebook_protocol::messages::BookUpdate;
use joulebook_types::{Price, Side};

use crate::instruments::Instrument;
use crate::trade::book_update;
use crate::{Engine, Events};

impl Engine {
    /// Definitions of all accounts, instruments and yields, and one `BookUpdate` per resting order in price-time order.
    /// Not hashed: it says what is, not what happened.
    pub fn publish_state(&self, out: &mut Events) {
        for account in self.accounts.iter() {
            out.push_public(&account.definition());
        }
        for definition in self.yields.definitions() {
            out.push_public(&definition);
        }
        for (ix, instrument) in self.instruments.iter() {
            out.push_public(&instrument.definition());
            if let Some(bands) = instrument.moving_bands(self.time) {
                out.push_public(&bands);
            }
            if let Some(indication) = self.last_indication(ix) {
                out.push_public(&indication);
            }
        }
        for (_, instrument) in self.instruments.iter() {
            self.publish_book(instrument, out);
        }
    }

    /// Bids then asks, best first, with the level's totals as they were when the order was the last to join.
    fn publish_book(&self, instrument: &Instrument, out: &mut Events) {
        let Some(book) = &instrument.book else { return };
        for side in [Side::Buy, Side::Sell] {
            let mut level: Option<(Price, LevelTotal)> = None;
            for slot in book.makers(&self.orders.slab, side) {
                let order = &self.orders.slab[slot];
                let total = match level {
                    Some((price, total)) if price == order.price => total,
                    Some(_) | None => LevelTotal::default(),
                };
                let total = joined(total, order);
                level = Some((order.price, total));
                let at = (self.time, instrument.id);
                out.push_public(&book_update(at, order, order.leaves, total, BookUpdate::ADDED));
            }
        }
    }
}

fn joined(total: LevelTotal, order: &Order) -> LevelTotal {
    LevelTotal { qty: total.qty + order.leaves.into(), orders: total.orders + 1 }
}
