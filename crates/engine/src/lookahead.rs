//! Lookahead: asking for the memory of the commands that come next while the one in hand is carried out.
//!
//! With many open orders nearly every command needs lines that are in no near cache, and each line is found only through
//! the one before: the order, then its level and its neighbors in the queue; or the instrument, then the level of a price,
//! then the last order there and the one that trades first. So a command is looked at in three steps, each when
//! what the one before asked for should have come. Asking changes nothing that can be seen, so what is asked for may be
//! wrong.

use core::hint::select_unpredictable;
use core::mem::offset_of;

use joulebook_book::{Entering, Slot};
use joulebook_ledger::AccountIx;
use joulebook_protocol::messages::{CancelOrder, NewOrder, ReduceOrder, ReplaceOrder};
use joulebook_protocol::{FrameHeader, HEADER_BYTES, Message, Origin};
use joulebook_types::{InstrumentId, Price, Side};

use crate::Engine;
use crate::instruments::InstrumentIx;

/// With fewer open orders than this, all of them are in near caches, and nothing is asked for.
const ORDERS_NEAR: usize = 4_096;

/// With fewer open orders than this, what commands touch comes from caches soon enough, and asking costs more than it saves.
/// Measured in turns: a tenth slower with 10,000 orders in a book, a third faster with 100,000 in a thousand books, twice as
/// fast with a million in one.
const ORDERS_MIN: usize = 32_768;

/// With fewer positions than this the line that a seller's hold is in comes from a near cache, too. Measured in turns with
/// eight of them, where asking was 3 % slower, and with 8,000, where it was 7 % faster.
const POSITIONS_MIN: usize = 4_096;

/// A command that is not carried out yet, as far as it has been looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ahead(Step);

/// The order that was asked for, if one was.
#[derive(Clone, Copy, Debug)]
pub struct OrderAhead(Slot);

impl Default for OrderAhead {
    fn default() -> Self {
        Self(Slot::NONE)
    }
}

#[derive(Clone, Copy, Debug, Default)]
enum Step {
    /// There is no more to ask for.
    #[default]
    Nothing,
    /// This order was asked for, which leaves its place, and comes back at another price if that is not zero.
    Order { slot: Slot, price: Price },
    /// This instrument was asked for, in which an order of this price is entered.
    Instrument { ix: InstrumentIx, side: Side, price: Price, seller: Option<AccountIx> },
    /// The level of a coming order was asked for, and the one that it trades with. Not yet the hold of a seller, which is
    /// found through the instrument.
    Level { entering: Option<Entering>, hold: Option<(InstrumentIx, AccountIx)> },
}

impl Engine {
    /// Whether asking for more than orders pays now.
    #[inline]
    pub fn looks_ahead(&self) -> bool {
        self.orders.slab.len() >= ORDERS_MIN
    }

    /// Whether asking for orders pays now.
    #[inline]
    pub fn looks_for_orders(&self) -> bool {
        self.orders.slab.len() >= ORDERS_NEAR
    }

    /// Asks for the order alone that a command some places ahead names. This pays with few orders too: ten thousand of them
    /// with both halves fill more than the second cache.
    #[inline]
    pub fn look_for_order(&self, record: &[u8]) -> OrderAhead {
        let slot = likely_slot(record).unwrap_or(Slot::NONE);
        self.orders.prepare(slot);
        OrderAhead(slot)
    }

    /// Asks for both neighbors of an order that was asked for. It writes to them when it leaves its place, and all that a
    /// command writes later, its events above all, waits for these lines.
    #[inline]
    pub fn look_around_order(&self, OrderAhead(slot): OrderAhead) {
        self.orders.slab.prepare_neighbors(slot);
    }

    /// Asks for the order or the instrument that a command some places ahead names. The record may be anything.
    #[inline]
    pub fn look_far_ahead(&self, record: &[u8]) -> Ahead {
        let step = match named(record).unwrap_or_default() {
            Named::Nothing => Step::Nothing,
            Named::Order { slot, price } => {
                self.orders.prepare(slot);
                Step::Order { slot, price }
            }
            Named::Instrument { id, side, price } => self.instruments.find(id).map_or(Step::Nothing, |ix| {
                self.instruments.prepare(ix);
                let seller = self.seller(side, || self.sender(record));
                Step::Instrument { ix, side, price, seller }
            }),
        };
        Ahead(step)
    }

    /// Asks for what lies around what was asked for, which should be there by now.
    #[inline]
    pub fn look_ahead(&self, ahead: Ahead) -> Ahead {
        let step = match ahead.0 {
            Step::Order { slot, price } => {
                self.orders.prepare_leaving(slot);
                self.orders.slab.get(slot).map_or(Step::Nothing, |order| {
                    let ix = InstrumentIx::new(order.instrument);
                    self.instruments.prepare(ix);
                    let seller = self.seller(order.side, || Some(AccountIx::new(order.account)));
                    self.prepare_entering(ix, (order.side, price), seller)
                })
            }
            Step::Instrument { ix, side, price, seller } => self.prepare_entering(ix, (side, price), seller),
            Step::Nothing | Step::Level { .. } => Step::Nothing,
        };
        Ahead(step)
    }

    /// Whose hold of capacity a command of this side changes, if that is worth asking for. Credits lie together.
    #[inline]
    fn seller(&self, side: Side, account: impl FnOnce() -> Option<AccountIx>) -> Option<AccountIx> {
        let is_far = self.ledger.position_count() >= POSITIONS_MIN;
        if side == Side::Sell && is_far { account() } else { None }
    }

    /// The account of the session that sent a record, if there is one.
    #[inline]
    fn sender(&self, record: &[u8]) -> Option<AccountIx> {
        let origin = Origin::of_record(record).ok()?;
        let session = self.sessions.find(origin.account, origin.session)?;
        Some(self.sessions[session].account)
    }

    /// Asks for the level of an order that is entered, if one is, and notes whose hold to ask for next.
    #[inline]
    fn prepare_entering(
        &self,
        ix: InstrumentIx,
        (side, price): (Side, Price),
        seller: Option<AccountIx>,
    ) -> Step {
        let book = if price > Price::ZERO { self.instruments.book_ahead(ix) } else { None };
        let entering = book.map(|book| book.prepare_entering(&self.orders.slab, side, price));
        Step::Level { entering, hold: seller.map(|seller| (ix, seller)) }
    }

    /// Asks for the rest: the last order of a level, the one that a coming one trades with first, and a seller's hold.
    #[inline]
    pub fn look_near_ahead(&self, ahead: Ahead) {
        let Step::Level { entering, hold } = ahead.0 else { return };
        if let Some(maker) = entering.and_then(|entering| self.orders.slab.prepare_entering(entering)) {
            self.orders.prepare(maker);
        }
        if let Some((ix, seller)) = hold {
            self.ledger.prepare_position(seller, self.instruments.assets_ahead(ix));
        }
    }
}

/// Where a record says which message it is.
const TEMPLATE: usize = size_of::<Origin>() + offset_of!(FrameHeader, template_id);

/// What a record names.
#[derive(Clone, Copy, Default)]
enum Named {
    /// It is none of the requests that markets are made of.
    #[default]
    Nothing,
    Order {
        slot: Slot,
        price: Price,
    },
    Instrument {
        id: InstrumentId,
        side: Side,
        price: Price,
    },
}

/// The slot that a record names if it is a cancel, a replace or a reduce. Which of these or of other requests it is cannot be
/// predicted, so nothing branches on it: of what else it may be some word is taken for a slot, and asked for to no avail.
#[inline]
fn likely_slot(record: &[u8]) -> Option<Slot> {
    const { assert!(offset_of!(CancelOrder, slot) == offset_of!(ReduceOrder, slot)) };
    let [.., low, high] = *record.first_chunk::<{ TEMPLATE + size_of::<u16>() }>()?;
    let template = u16::from_le_bytes([low, high]);
    let (of_replace, of_others) = (offset_of!(ReplaceOrder, slot), offset_of!(CancelOrder, slot));
    let offset = select_unpredictable(template == ReplaceOrder::TEMPLATE_ID, of_replace, of_others);
    Some(Slot::new(u32::from_le_bytes(field(record, offset)?)))
}

#[inline]
fn named(record: &[u8]) -> Option<Named> {
    let slot = |offset| Some(Slot::new(u32::from_le_bytes(field(record, offset)?)));
    let price = |offset| Some(Price::new(i64::from_le_bytes(field(record, offset)?)));
    let order = |offset| Some(Named::Order { slot: slot(offset)?, price: Price::ZERO });
    match u16::from_le_bytes(*record.get(TEMPLATE..)?.first_chunk()?) {
        NewOrder::TEMPLATE_ID => Some(Named::Instrument {
            id: InstrumentId::new(u32::from_le_bytes(field(record, offset_of!(NewOrder, instrument))?)),
            side: Side::from_raw(u8::from_le_bytes(field(record, offset_of!(NewOrder, side))?))?,
            price: price(offset_of!(NewOrder, price))?,
        }),
        CancelOrder::TEMPLATE_ID => order(offset_of!(CancelOrder, slot)),
        ReplaceOrder::TEMPLATE_ID => Some(Named::Order {
            slot: slot(offset_of!(ReplaceOrder, slot))?,
            price: price(offset_of!(ReplaceOrder, price))?,
        }),
        ReduceOrder::TEMPLATE_ID => order(offset_of!(ReduceOrder, slot)),
        _ => None,
    }
}

/// A field of a record's block.
#[inline]
fn field<const BYTES: usize>(record: &[u8], offset: usize) -> Option<[u8; BYTES]> {
    const BLOCK: usize = size_of::<Origin>() + HEADER_BYTES;
    record.get(BLOCK + offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use joulebook_ledger::SlotKey;
    use joulebook_protocol::SequencedCommand;
    use joulebook_types::{AreaCode, ClassCode, QuarterSlot, SlotHint};

    use super::*;

    fn record(command: impl Into<joulebook_protocol::Command>) -> Vec<u8> {
        let mut record = Vec::new();
        SequencedCommand { origin: Origin::SYSTEM, command: command.into() }.encode(&mut record);
        record
    }

    #[test]
    fn records_name_their_order_or_their_instrument() {
        let (slot, instrument, price) = (SlotHint::new(77), InstrumentId::new(5), Price::new(1 << 40));
        let order = |record: Vec<u8>| match named(&record) {
            Some(Named::Order { slot, price }) => (slot.raw(), price),
            Some(Named::Nothing | Named::Instrument { .. }) | None => panic!("it names an order"),
        };
        assert_eq!(order(record(CancelOrder { slot, ..Default::default() })), (77, Price::ZERO));
        assert_eq!(order(record(ReplaceOrder { slot, price, ..Default::default() })), (77, price));
        assert_eq!(order(record(ReduceOrder { slot, ..Default::default() })), (77, Price::ZERO));
        let entered = record(NewOrder { instrument, price, side: 2, ..Default::default() });
        let Some(Named::Instrument { id, side, price: limit }) = named(&entered) else {
            panic!("an instrument")
        };
        assert_eq!((id, side, limit), (instrument, Side::Sell, price));
        assert!(named(&record(NewOrder { instrument, price, side: 3, ..Default::default() })).is_none());
        assert!(named(&record(joulebook_protocol::messages::MassCancel::default())).is_none());
    }

    #[test]
    fn requests_that_name_an_order_name_its_slot() {
        let slot = SlotHint::new(77);
        let records = [
            record(CancelOrder { slot, ..Default::default() }),
            record(ReplaceOrder { slot, ..Default::default() }),
            record(ReduceOrder { slot, ..Default::default() }),
        ];
        for record in records {
            assert_eq!(likely_slot(&record).map(Slot::raw), Some(77));
        }
    }

    #[test]
    fn anything_may_lie_ahead() {
        let engine = Engine::new();
        for bytes in [record(CancelOrder::default()), record(NewOrder::default()), vec![0xFF; 200]] {
            for len in 0..=bytes.len() {
                let ahead = engine.look_ahead(engine.look_far_ahead(&bytes[..len]));
                engine.look_near_ahead(ahead);
                engine.look_around_order(engine.look_for_order(&bytes[..len]));
            }
        }
        assert!(!engine.looks_ahead() && !engine.looks_for_orders());
    }

    #[test]
    fn sellers_are_asked_for_once_there_are_many_positions() {
        let mut engine = Engine::new();
        let account = engine.ledger.open_account();
        let seller = |engine: &Engine, side| engine.seller(side, || Some(account));
        for slot in 0..POSITIONS_MIN as u32 {
            assert_eq!(seller(&engine, Side::Sell), None, "{slot} positions");
            let (class, area) = (ClassCode::NONE, AreaCode::NONE);
            let asset = engine.ledger.intern(SlotKey { class, area, slot: QuarterSlot::new(slot) });
            engine.ledger.register(account, &[asset], 8).expect("it fits");
        }
        assert_eq!((seller(&engine, Side::Sell), seller(&engine, Side::Buy)), (Some(account), None));
        // A place where nothing was listed, and an account that was never opened.
        let hold = Some((InstrumentIx::new(7), AccountIx::new(9)));
        engine.look_near_ahead(Ahead(Step::Level { entering: None, hold }));
    }
}
