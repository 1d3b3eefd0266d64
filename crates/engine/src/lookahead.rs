//! Lookahead: asking for the memory of the commands that come next while the one in hand is carried out.
//!
//! With many open orders nearly every command needs lines that are in no near cache, and each line is found only through
//! the one before: the order, then its level and its neighbors in the queue; or the instrument, then the level of a price,
//! then the last order there and the one that trades first. So a command is looked at in three steps, each when
//! what the one before asked for should have come. Asking changes nothing that can be seen, so what is asked for may be
//! wrong.
//!
//! Which request comes next cannot be predicted, and a branch that is predicted wrongly costs more than the asking. So
//! every command is looked at as if it named an order and entered one: what it has not is replaced by something that lies
//! in a near cache.

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

/// An account that is not there.
const NOBODY: AccountIx = AccountIx::new(u32::MAX);

/// A command that is not carried out yet, as far as it has been looked at.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    /// Its order; of a command that names none, any.
    slot: Slot,
    /// It enters a new order. Else instrument and side are its order's, once that is there.
    is_new: bool,
    side: Side,
    /// Where an order comes to rest, or zero: a bid at zero rests nowhere.
    price: Price,
    /// The last instrument that was named, by this command or one before it.
    instrument_id: InstrumentId,
    instrument: InstrumentIx,
    entering: Entering,
    /// Whose hold of capacity it changes; anybody's while that is not worth asking for.
    seller: AccountIx,
}

impl Default for Ahead {
    fn default() -> Self {
        Self {
            slot: Slot::NONE,
            is_new: false,
            side: Side::Buy,
            price: Price::ZERO,
            instrument_id: InstrumentId::NONE,
            instrument: InstrumentIx::NOWHERE,
            entering: Entering::NOTHING,
            seller: NOBODY,
        }
    }
}

/// The order that was asked for, if one was.
#[derive(Clone, Copy, Debug)]
pub struct OrderAhead(Slot);

impl Default for OrderAhead {
    fn default() -> Self {
        Self(Slot::NONE)
    }
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

    /// Asks for the order or the instrument that a command some places ahead names; `before` is what came of the one before
    /// it. The record may be anything.
    #[inline]
    pub fn look_far_ahead(&self, record: &[u8], before: &Ahead) -> Ahead {
        let Named { is_new, slot, price, instrument, side } = Named::of(record).unwrap_or_default();
        let instrument_id = select_unpredictable(is_new, instrument, before.instrument_id);
        let ix = self.instruments.find(instrument_id).unwrap_or(before.instrument);
        self.orders.prepare(slot);
        self.instruments.prepare(ix);
        let seller = if self.asks_for_holds() { self.sender(record).unwrap_or(NOBODY) } else { NOBODY };
        Ahead {
            slot,
            is_new,
            side,
            price,
            instrument_id,
            instrument: ix,
            entering: Entering::NOTHING,
            seller,
        }
    }

    /// Asks for what lies around what was asked for, which should be there by now.
    #[inline]
    pub fn look_ahead(&self, ahead: &mut Ahead) {
        let Ahead { is_new, price, instrument: named, .. } = *ahead;
        let enters = price > Price::ZERO;
        if let Some(order) = self.orders.prepare_leaving(ahead.slot) {
            let resting = InstrumentIx::new(order.instrument);
            self.instruments.prepare(resting);
            ahead.instrument = select_unpredictable(is_new, named, resting);
            ahead.side = select_unpredictable(is_new, ahead.side, order.side);
            if self.asks_for_holds() {
                let of_new = ahead.seller;
                ahead.seller = select_unpredictable(is_new, of_new, AccountIx::new(order.account));
            }
        }
        let side = select_unpredictable(enters, ahead.side, Side::Buy);
        let entered = select_unpredictable(enters, ahead.instrument, named);
        if let Some(book) = self.instruments.book_ahead(entered) {
            ahead.entering = book.prepare_entering(&self.orders.slab, side, price);
        }
    }

    /// Asks for the rest: the last order of a level, the one that a coming one trades with first, and a seller's hold.
    #[inline]
    pub fn look_near_ahead(&self, ahead: &Ahead) {
        self.orders.prepare(self.orders.slab.prepare_entering(ahead.entering));
        if self.asks_for_holds() && ahead.side == Side::Sell {
            self.ledger.prepare_position(ahead.seller, self.instruments.assets_ahead(ahead.instrument));
        }
    }

    /// Whether the lines of holds of capacity are worth asking for. Credits lie together.
    #[inline]
    fn asks_for_holds(&self) -> bool {
        self.ledger.position_count() >= POSITIONS_MIN
    }

    /// The account of the session that sent a record, if there is one.
    #[inline]
    fn sender(&self, record: &[u8]) -> Option<AccountIx> {
        let origin = Origin::of_record(record).ok()?;
        let session = self.sessions.find(origin.account, origin.session)?;
        Some(self.sessions[session].account)
    }
}

/// Where a record says which message it is.
const TEMPLATE: usize = size_of::<Origin>() + offset_of!(FrameHeader, template_id);

/// What a record names, whichever of the requests that markets are made of it is.
#[derive(Clone, Copy)]
struct Named {
    is_new: bool,
    /// Of a command that names no order, any.
    slot: Slot,
    /// Zero where no order is entered.
    price: Price,
    /// Means nothing where no new order is entered, as the side does.
    instrument: InstrumentId,
    side: Side,
}

impl Default for Named {
    fn default() -> Self {
        Self {
            is_new: false,
            slot: Slot::NONE,
            price: Price::ZERO,
            instrument: InstrumentId::NONE,
            side: Side::Buy,
        }
    }
}

impl Named {
    #[inline(always)]
    fn of(record: &[u8]) -> Option<Self> {
        let template = template(record)?;
        let (is_new, moves) = (template == NewOrder::TEMPLATE_ID, template == ReplaceOrder::TEMPLATE_ID);
        let (of_new, of_replace) = (offset_of!(NewOrder, price), offset_of!(ReplaceOrder, price));
        let price = i64::from_le_bytes(field(record, select_unpredictable(moves, of_replace, of_new))?);
        let price = Price::new(select_unpredictable(is_new | moves, price, 0));
        let instrument = u32::from_le_bytes(field(record, offset_of!(NewOrder, instrument))?);
        let [side] = field(record, offset_of!(NewOrder, side))?;
        let side = select_unpredictable(side == Side::Sell.raw(), Side::Sell, Side::Buy);
        Some(Self {
            is_new,
            slot: likely_slot(record)?,
            price,
            instrument: InstrumentId::new(instrument),
            side,
        })
    }
}

#[inline(always)]
fn template(record: &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes(*record.get(TEMPLATE..)?.first_chunk()?))
}

/// The slot that a record names if it is a cancel, a replace or a reduce. Which of these or of other requests it is cannot be
/// predicted, so nothing branches on it: of what else it may be some word is taken for a slot, and asked for to no avail.
#[inline(always)]
fn likely_slot(record: &[u8]) -> Option<Slot> {
    const { assert!(offset_of!(CancelOrder, slot) == offset_of!(ReduceOrder, slot)) };
    let template = template(record)?;
    let (of_replace, of_others) = (offset_of!(ReplaceOrder, slot), offset_of!(CancelOrder, slot));
    let offset = select_unpredictable(template == ReplaceOrder::TEMPLATE_ID, of_replace, of_others);
    Some(Slot::new(u32::from_le_bytes(field(record, offset)?)))
}

/// A field of a record's block.
#[inline(always)]
fn field<const BYTES: usize>(record: &[u8], offset: usize) -> Option<[u8; BYTES]> {
    const BLOCK: usize = size_of::<Origin>() + HEADER_BYTES;
    record.get(BLOCK + offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use joulebook_ledger::SlotKey;
    use joulebook_protocol::SequencedCommand;
    use joulebook_types::{AreaCode, ClassCode, OrderId, QuarterSlot, SlotHint};

    use super::*;

    fn record(command: impl Into<joulebook_protocol::Command>) -> Vec<u8> {
        let mut record = Vec::new();
        SequencedCommand { origin: Origin::SYSTEM, command: command.into() }.encode(&mut record);
        record
    }

    #[test]
    fn records_name_their_order_or_their_instrument() {
        let (slot, instrument, price) = (SlotHint::new(77), InstrumentId::new(5), Price::new(1 << 40));
        let order = |record: Vec<u8>| {
            let Named { is_new, slot, price, .. } = Named::of(&record).expect("it is long enough");
            assert_eq!((is_new, likely_slot(&record)), (false, Some(slot)));
            (slot.raw(), price)
        };
        assert_eq!(
            order(record(CancelOrder { slot, order_id: OrderId::new(9), ..Default::default() })),
            (77, Price::ZERO)
        );
        assert_eq!(order(record(ReplaceOrder { slot, price, ..Default::default() })), (77, price));
        assert_eq!(
            order(record(ReduceOrder { slot, order_id: OrderId::new(9), ..Default::default() })),
            (77, Price::ZERO)
        );
        for side in [Side::Buy, Side::Sell] {
            let entered = record(NewOrder { instrument, price, side: side.raw(), ..Default::default() });
            let named = Named::of(&entered).expect("it is long enough");
            assert!(named.is_new && named.side == side);
            assert_eq!((named.instrument, named.price), (instrument, price));
        }
        let other = Named::of(&record(joulebook_protocol::messages::Basket::default()));
        assert!(other.is_some_and(|named| !named.is_new && named.price == Price::ZERO));
    }

    #[test]
    fn anything_may_lie_ahead() {
        let engine = Engine::new();
        for bytes in [record(CancelOrder::default()), record(NewOrder::default()), vec![0xFF; 200]] {
            let mut before = Ahead::default();
            for len in 0..=bytes.len() {
                let mut ahead = engine.look_far_ahead(&bytes[..len], &before);
                engine.look_ahead(&mut ahead);
                engine.look_near_ahead(&ahead);
                engine.look_around_order(engine.look_for_order(&bytes[..len]));
                before = ahead;
            }
        }
        assert!(!engine.looks_ahead() && !engine.looks_for_orders());
    }

    #[test]
    fn sellers_are_asked_for_once_there_are_many_positions() {
        let mut engine = Engine::new();
        let account = engine.ledger.open_account();
        for slot in 0..POSITIONS_MIN as u32 {
            assert!(!engine.asks_for_holds(), "{slot} positions");
            let (class, area) = (ClassCode::NONE, AreaCode::NONE);
            let asset = engine.ledger.intern(SlotKey { class, area, slot: QuarterSlot::new(slot) });
            engine.ledger.register(account, &[asset], 8).expect("it fits");
        }
        assert!(engine.asks_for_holds());
        // A place where nothing was listed, and an account that was never opened.
        let (instrument, seller) = (InstrumentIx::new(7), AccountIx::new(9));
        engine.look_near_ahead(&Ahead { instrument, seller, side: Side::Sell, ..Ahead::default() });
    }
}
