//! Questions about orders, those included that wait outside of books.

use joulebook_book::Slot;
use joulebook_protocol::messages::OrderStatus;
use joulebook_types::{InstrumentId, OrderId, Price, SlotHint};

use crate::orders::Place;
use crate::{Engine, OpenOrder};

/// An open order with all that may be asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderDetails {
    pub order: OpenOrder,
    /// As its owner is told: type, trigger, and the price and trigger price as they are now.
    pub status: OrderStatus,
    pub place: OrderPlace,
    /// Lots that show in the book.
    pub shown: u32,
}

/// Where an open order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderPlace {
    /// In its book.
    Book,
    /// Outside, until its trigger price has printed and its market is open.
    Stop,
    /// Outside, a market order until the call's uncross.
    Call,
}

impl Engine {
    /// An open order by its id.
    pub fn order_details(&self, order_id: OrderId) -> Option<OrderDetails> {
        self.orders.find(order_id, SlotHint::UNKNOWN).map(|slot| self.details_at(slot))
    }

    /// The newest order id given out so far; [`OrderId::NONE`] before the first.
    pub fn last_order_id(&self) -> OrderId {
        self.last_order_id
    }

    /// Open orders outside of books, by session in the order of first logon, oldest first.
    pub fn orders_outside(&self) -> impl Iterator<Item = OrderDetails> {
        let slots = self.sessions.indices().flat_map(|ix| self.orders.of_session(&self.sessions[ix].orders));
        slots.filter(|slot| self.orders.terms(*slot).place != Place::Book).map(|slot| self.details_at(slot))
    }

    /// The price of the instrument's last trade, of continuous trading or of an auction; `None` before the first.
    pub fn last_print(&self, id: InstrumentId) -> Option<Price> {
        self.instruments.find(id).and_then(|ix| self.instruments[ix].prices.last_print())
    }

    fn details_at(&self, slot: Slot) -> OrderDetails {
        let (place, shown) = match self.orders.terms(slot).place {
            Place::Book => (OrderPlace::Book, self.orders.slab[slot].leaves),
            Place::Stop => (OrderPlace::Stop, 0),
            Place::Call => (OrderPlace::Call, 0),
        };
        OrderDetails { order: self.open_order_at(slot), status: self.order_status(slot), place, shown }
    }
}
