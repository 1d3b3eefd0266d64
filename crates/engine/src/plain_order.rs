//! The order that markets are made of: a limit order with nothing special about it, which is taken in and rests.
//!
//! Nearly all orders are such ones, so they have a way of their own. It asks the rules the same questions as the other
//! way does, in any order, and has no effect until all of them are answered: whatever is refused, trades, or is not as
//! usual goes the other way from the beginning.

use core::mem::offset_of;

use joulebook_book::Order;
use joulebook_protocol::messages::{BookUpdate, NewOrder, OrderAccepted};
use joulebook_protocol::{Message, Origin};
use joulebook_types::{ClientOrderId, InstrumentId, OrderId, Phase, Price, Side, SlotHint, TimeInForce};
use zerocopy::IntoBytes;

use crate::holds::Worth;
use crate::instruments::Instrument;
use crate::orders::{Owner, Terms};
use crate::outcomes::Outcome;
use crate::tell::Teller;
use crate::trade::book_update;
use crate::{Engine, Events};

/// A good-till-canceled limit order of which there is no more to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainOrder {
    pub(crate) client_order_id: ClientOrderId,
    pub(crate) price: Price,
    pub(crate) instrument: InstrumentId,
    pub(crate) qty: u32,
    pub(crate) side: Side,
    pub(crate) post_only: bool,
    /// Side, time in force, flags and order type as the order and its acceptance say them.
    choices: u32,
}

/// The block of an order that is sent without a rest.
pub(crate) type PlainBlock = [u8; NewOrder::BLOCK_MIN];

const WORD_BYTES: usize = size_of::<u64>();
/// The words of an order's block that may say something if it is plain. Those behind them are zero.
const WORDS: usize = NewOrder::BLOCK_MIN / WORD_BYTES;
/// The word with side, time in force and flags, in which a plain order says no more than these.
const CHOICES: usize = offset_of!(NewOrder, side) / WORD_BYTES;
const POST_ONLY: u64 = in_choices(NewOrder::POST_ONLY, offset_of!(NewOrder, flags));
/// What it says of plain bids and asks, but for post-only.
const BID: u64 = of_side(Side::Buy, TimeInForce::Gtc);
const ASK: u64 = of_side(Side::Sell, TimeInForce::Gtc);
/// And of those that go at once if they do not trade.
const IMMEDIATE_BID: u64 = of_side(Side::Buy, TimeInForce::Ioc);
const IMMEDIATE_ASK: u64 = of_side(Side::Sell, TimeInForce::Ioc);

const fn in_choices(field: u8, offset: usize) -> u64 {
    (field as u64) << (offset % WORD_BYTES * u8::BITS as usize)
}

const fn of_side(side: Side, time_in_force: TimeInForce) -> u64 {
    let time_in_force = in_choices(time_in_force.raw(), offset_of!(NewOrder, time_in_force));
    time_in_force | in_choices(side.raw(), offset_of!(NewOrder, side))
}

const _: () = assert!(
    offset_of!(NewOrder, client_order_id) == 0
        && offset_of!(NewOrder, price) == WORD_BYTES
        && offset_of!(NewOrder, instrument) == 2 * WORD_BYTES
        && offset_of!(NewOrder, qty) == 2 * WORD_BYTES + 4
        && offset_of!(NewOrder, side) == 3 * WORD_BYTES
        && offset_of!(NewOrder, time_in_force) == 3 * WORD_BYTES + 1
        && offset_of!(NewOrder, flags) == 3 * WORD_BYTES + 2
        && offset_of!(NewOrder, order_type) == 3 * WORD_BYTES + 3
);

impl PlainOrder {
    /// Reads the block of a record without a rest, as plain orders are sent.
    #[inline(always)]
    pub(crate) fn read(block: &PlainBlock) -> Option<Self> {
        Self::read_choices(block, |choices| match choices & !POST_ONLY {
            BID => Some(Side::Buy),
            ASK => Some(Side::Sell),
            _ => None,
        })
    }

    /// The same of one that says nothing else but that it is immediate-or-cancel.
    #[inline(always)]
    pub(crate) fn read_immediate(block: &PlainBlock) -> Option<Self> {
        Self::read_choices(block, |choices| match choices {
            IMMEDIATE_BID => Some(Side::Buy),
            IMMEDIATE_ASK => Some(Side::Sell),
            _ => None,
        })
    }

    #[inline(always)]
    fn read_choices(block: &PlainBlock, side: impl FnOnce(u64) -> Option<Side>) -> Option<Self> {
        let words = block.as_chunks().0;
        let word = |place: usize| u64::from_le_bytes(words[place]);
        let side = side(word(CHOICES))?;
        if (CHOICES + 1..WORDS).any(|place| word(place) != 0) {
            return None;
        }
        let names = word(2);
        Some(Self {
            client_order_id: ClientOrderId::new(word(0)),
            price: Price::new(word(1) as i64),
            instrument: InstrumentId::new(names as u32),
            qty: (names >> u32::BITS) as u32,
            side,
            post_only: word(CHOICES) & POST_ONLY != 0,
            choices: word(CHOICES) as u32,
        })
    }

    /// The same of a message.
    #[inline]
    pub(crate) fn of(order: &NewOrder) -> Option<Self> {
        Self::read(Self::block_of(order)?)
    }

    /// The block of a message as plain orders are sent, if it has no rest.
    #[inline]
    pub(crate) fn block_of(order: &NewOrder) -> Option<&PlainBlock> {
        let (sent, rest) = order.as_bytes().split_first_chunk()?;
        rest.iter().all(|byte| *byte == 0).then_some(sent)
    }

    #[inline(always)]
    pub(crate) fn accepted(&self, order_id: OrderId, slot: SlotHint) -> OrderAccepted {
        let [side, time_in_force, flags, order_type] = self.choices.to_le_bytes();
        OrderAccepted {
            client_order_id: self.client_order_id,
            order_id,
            price: self.price,
            instrument: self.instrument,
            qty: self.qty,
            slot,
            side,
            time_in_force,
            flags,
            order_type,
            ..Default::default()
        }
    }
}

impl Engine {
    /// Takes in an order that just rests, with its answer and all that belongs to a request. Else nothing has happened.
    #[inline(always)]
    #[must_use]
    pub(crate) fn rest_plain(&mut self, origin: Origin, order: &PlainOrder, out: &mut Events) -> bool {
        let Some(session_ix) = self.sessions.find(origin.account, origin.session) else { return false };
        let Some(ix) = self.instruments.find(order.instrument) else { return false };
        let session = &mut self.sessions[session_ix];
        let account_ix = session.account;
        let account = &mut self.accounts[account_ix];
        let instrument = &mut self.instruments[ix];
        let enters = session.enters(order.client_order_id)
            && !self.disabled.is_anybody()
            && self.orders.slab.len() < self.orders.orders_max()
            && instrument.lets_rest(order);
        if !enters {
            return false;
        }
        // The slab grows on the other way.
        let Some(slot) = self.orders.slab.vacancy() else { return false };
        let Some(worth) = Worth::of(instrument, order.side, order.price, order.qty) else { return false };
        // The last question: what is free is held right away.
        if !worth.hold.take(&mut self.ledger, account_ix, &instrument.assets) {
            return false;
        }
        (self.last_seq, self.step, self.received) = (self.last_seq.next(), self.step + 1, origin.received);
        session.high_water_mark = order.client_order_id;
        account.open_value += i128::from(worth.value.raw());
        account.open_orders += 1;
        self.last_order_id = self.last_order_id.next();
        let (client_order_id, order_id) = (order.client_order_id, self.last_order_id);
        let owner = Owner { session: session_ix, client_order_id };
        self.orders.enlist(&mut session.orders, order_id, slot, owner, Terms::PLAIN);
        let outcome = Outcome { client_order_id, order_id, slot: slot.hint(), reason: None };
        session.outcomes.record(outcome, &mut self.outcome_budget);
        let mut entered = Order::new(order_id, order.side, order.price, order.qty);
        entered.trade_group = account.trade_group(account_ix).0;
        entered.instrument = ix.raw();
        entered.account = account_ix.raw();
        entered.post_only = order.post_only;
        let level = instrument.book_mut().enter(&mut self.orders.slab, slot, entered);
        let Self { time, received, tells_all, ref mut hash, ref mut outbox, .. } = *self;
        let mut teller = Teller { time, received, tells_all, hash, outbox };
        let accepted = order.accepted(order_id, slot.hint());
        let joined = book_update((time, order.instrument), &entered, order.qty, level, BookUpdate::ADDED);
        teller.tell_and_publish(session, session_ix, (accepted, joined), out);
        self.end_step(out);
        true
    }
}

impl Instrument {
    /// Whether an order keeps the rules and stays in the book as it is. Bands that move are not looked at here.
    #[inline(always)]
    fn lets_rest(&self, order: &PlainOrder) -> bool {
        let Some(book) = &self.book else { return false };
        self.phase == Phase::Open
            && self.lets_trade(order.qty)
            && self.lets_stand(book, order.price)
            && !book.crosses(order.side, order.price)
    }
}
