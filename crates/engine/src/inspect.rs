//! Questions about the state: for reports, replays and tests. None of them changes anything.

use joulebook_book::{Level, Slot};
use joulebook_ledger::{Credits, Position, SlotKey, Totals};
use joulebook_protocol::messages::InstrumentDefinition;
use joulebook_types::{
    AccountId, ClientOrderId, InstrumentId, OrderId, Phase, Price, SessionId, Side, SlotHint, Trigger,
};

use crate::Engine;
use crate::instrument_directory::Named;
use crate::instruments::InstrumentIx;

/// An order that is open, in its book or outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    pub order_id: OrderId,
    pub account: AccountId,
    pub session: SessionId,
    pub client_order_id: ClientOrderId,
    pub instrument: InstrumentId,
    pub side: Side,
    /// The worst price at which it trades.
    pub price: Price,
    /// Total lots.
    pub qty: u32,
    /// Lots still open, those that do not show included.
    pub leaves: u32,
    pub slot: SlotHint,
}

/// A stop that waits outside the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingStop {
    pub order: OpenOrder,
    pub trigger: Trigger,
    /// What it waits for now; `None` before a trailing stop's activation.
    pub trigger_price: Option<Price>,
    /// The print that reached it, when it waits only for its market to open.
    pub marked_by: Option<Price>,
}

impl Engine {
    /// All instruments that are listed and not settled, in listing order, with their phase.
    pub fn instruments(&self) -> impl Iterator<Item = InstrumentDefinition> {
        self.instruments.iter().map(|(_, instrument)| instrument.definition())
    }

    /// The id that the last listing was given: as many instruments were ever listed.
    pub fn last_instrument_id(&self) -> InstrumentId {
        self.instruments.last_id()
    }

    /// `None` of one that is settled, which is forgotten, as of one that was never listed.
    pub fn instrument(&self, id: InstrumentId) -> Option<InstrumentDefinition> {
        self.instruments.find(id).map(|ix| self.instruments[ix].definition())
    }

    /// `None` when no instrument has had the id yet.
    pub fn phase(&self, id: InstrumentId) -> Option<Phase> {
        match self.instruments.named(id) {
            Named::Listed(ix) => Some(self.instruments[ix].phase),
            Named::Settled => Some(Phase::Settled),
            Named::Nobody => None,
        }
    }

    pub fn best_bid(&self, id: InstrumentId) -> Option<Price> {
        self.instruments.find(id).and_then(|ix| self.instruments[ix].best(Side::Buy))
    }

    pub fn best_ask(&self, id: InstrumentId) -> Option<Price> {
        self.instruments.find(id).and_then(|ix| self.instruments[ix].best(Side::Sell))
    }

    /// The levels of a side, best first; none for an unknown or closed instrument.
    pub fn levels(&self, id: InstrumentId, side: Side) -> impl Iterator<Item = Level> {
        let book = self.instruments.find(id).and_then(|ix| self.instruments[ix].book.as_ref());
        book.into_iter().flat_map(move |book| book.levels(&self.orders.slab, side))
    }

    /// All resting orders: by instrument, bids before asks, in price-time order.
    pub fn open_orders(&self) -> impl Iterator<Item = OpenOrder> {
        let books = self.instruments.iter().filter_map(|(_, instrument)| instrument.book.as_ref());
        let slots = books.flat_map(|book| {
            let makers = |side| book.makers(&self.orders.slab, side);
            makers(Side::Buy).chain(makers(Side::Sell))
        });
        slots.map(|slot| self.open_order_at(slot))
    }

    pub fn open_order_count(&self) -> usize {
        self.orders.slab.len()
    }

    /// An open order by its id.
    pub fn open_order(&self, order_id: OrderId) -> Option<OpenOrder> {
        self.orders.find(order_id, SlotHint::UNKNOWN).map(|slot| self.open_order_at(slot))
    }

    /// All stops that wait, by instrument and order id.
    pub fn pending_stops(&self) -> impl Iterator<Item = PendingStop> {
        self.instruments.iter().flat_map(|(ix, _)| {
            let mut slots = Vec::new();
            self.stops.of_instrument(ix, &mut slots);
            slots.into_iter().map(|(_, slot)| self.pending_stop_at(slot))
        })
    }

    pub fn credits(&self, account: AccountId) -> Option<Credits> {
        self.accounts.find(account).map(|ix| self.ledger.credits(ix))
    }

    /// What the account has in a slot; `None` when it never had anything there.
    pub fn position(&self, account: AccountId, slot: SlotKey) -> Option<Position> {
        let account = self.accounts.find(account)?;
        self.ledger.position(account, self.ledger.find_asset(slot)?).copied()
    }

    /// Where all credits are: minted minus retired is the sum of the balances.
    pub fn totals(&self) -> Totals {
        self.ledger.totals()
    }

    fn pending_stop_at(&self, slot: Slot) -> PendingStop {
        let stop = self.stops.get(slot).expect("only slots of waiting stops are asked for");
        PendingStop {
            order: self.open_order_at(slot),
            trigger: stop.trigger.kind(),
            trigger_price: stop.trigger_price(),
            marked_by: stop.mark,
        }
    }

    pub(crate) fn open_order_at(&self, slot: Slot) -> OpenOrder {
        let order = &self.orders.slab[slot];
        let owner = self.orders.owner(slot);
        let session = &self.sessions[owner.session];
        OpenOrder {
            order_id: order.order_id,
            account: self.accounts[session.account].id,
            session: session.id,
            client_order_id: owner.client_order_id,
            instrument: self.instruments[InstrumentIx::new(order.instrument)].id,
            side: order.side,
            price: order.price,
            qty: order.qty,
            leaves: order.total_leaves(),
            slot: slot.hint(),
        }
    }
}
