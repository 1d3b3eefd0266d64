//! The order that takes: a plain limit order that reaches the other side of its book, or one that is not to stay there.
//!
//! As with a plain order that rests, nothing has happened until all questions are answered; whatever is not as usual goes
//! the way of all other orders. How it trades and what becomes of its remainder is the same on both ways.

use joulebook_book::Order;
use joulebook_ledger::PositionIx;
use joulebook_protocol::Origin;
use joulebook_protocol::messages::NewOrder;
use joulebook_types::{OrderType, Phase, SelfTradeMode, SlotHint};

use crate::holds::Worth;
use crate::instruments::Instrument;
use crate::matching::{Funding, Taker};
use crate::orders::{Owner, Terms};
use crate::outcomes::Outcome;
use crate::plain_order::{PlainBlock, PlainOrder};
use crate::tell::Teller;
use crate::{Engine, Events};

/// A limit order of which there is no more to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainTaker {
    order: PlainOrder,
    /// Whether what is left of it rests; else it is immediate-or-cancel.
    rests: bool,
}

impl PlainTaker {
    /// Reads the block of a record without a rest, as plain orders are sent.
    #[inline(always)]
    pub(crate) fn read(block: &PlainBlock) -> Option<Self> {
        if let Some(order) = PlainOrder::read(block) {
            return Some(Self { order, rests: true });
        }
        PlainOrder::read_immediate(block).map(|order| Self { order, rests: false })
    }

    /// The same of a message.
    #[inline]
    pub(crate) fn of(order: &NewOrder) -> Option<Self> {
        Self::read(PlainOrder::block_of(order)?)
    }
}

impl Engine {
    /// Takes in an order that trades at once or goes at once, with its answer, its trades, and all that belongs to a
    /// request. Else nothing has happened.
    #[inline(always)]
    #[must_use]
    pub(crate) fn take_plain(&mut self, origin: Origin, plain: &PlainTaker, out: &mut Events) -> bool {
        let PlainTaker { ref order, rests } = *plain;
        let takes_any = !self.disabled.is_anybody() && self.check_order_limit(usize::from(rests)).is_ok();
        let Some(session_ix) = self.sessions.find(origin.account, origin.session) else { return false };
        let Some(ix) = self.instruments.find(order.instrument) else { return false };
        let session = &mut self.sessions[session_ix];
        let account_ix = session.account;
        let account = &mut self.accounts[account_ix];
        let instrument = &self.instruments[ix];
        let enters = takes_any && session.enters(order.client_order_id) && instrument.lets_take(plain);
        if !enters {
            return false;
        }
        // The slab grows on the other way.
        if self.orders.slab.vacancy().is_none() {
            return false;
        }
        let Some(worth) = Worth::of(instrument, order.side, order.price, order.qty) else { return false };
        // The last question: what is free is held right away.
        if !worth.hold.take(&mut self.ledger, account_ix, &instrument.assets) {
            return false;
        }
        (self.last_seq, self.step, self.received) = (self.last_seq.next(), self.step + 1, origin.received);
        session.high_water_mark = order.client_order_id;
        account.open_value += i128::from(worth.value.raw());
        self.last_order_id = self.last_order_id.next();
        let (client_order_id, order_id) = (order.client_order_id, self.last_order_id);
        let trade_group = account.trade_group(account_ix);
        let slot = if rests {
            account.open_orders += 1;
            let mut entered = Order::new(order_id, order.side, order.price, order.qty);
            entered.trade_group = trade_group.0;
            entered.instrument = ix.raw();
            entered.account = account_ix.raw();
            let owner = Owner { session: session_ix, client_order_id };
            Some(self.orders.open(&mut session.orders, &entered, owner, Terms::PLAIN))
        } else {
            None
        };
        let hint = slot.map_or(SlotHint::UNKNOWN, |slot| slot.hint());
        let outcome = Outcome { client_order_id, order_id, slot: hint, reason: None };
        session.outcomes.record(outcome, &mut self.outcome_budget);
        let Self { time, received, tells_all, ref mut hash, ref mut outbox, .. } = *self;
        let mut teller = Teller { time, received, tells_all, hash, outbox };
        teller.tell(session, session_ix, order.accepted(order_id, hint), out);
        let mut taker = Taker {
            order_id,
            slot,
            session: session_ix,
            client_order_id,
            account: account_ix,
            trade_group,
            instrument: ix,
            side: order.side,
            limit: order.price,
            qty: order.qty,
            leaves: order.qty,
            funding: Funding::Hold,
            order_type: OrderType::Limit,
            self_trade: SelfTradeMode::CancelAggressor,
            rests,
            meets_next: None,
            is_linked: false,
            position: PositionIx::NONE,
        };
        self.work(&mut taker, out);
        self.end_step(out);
        true
    }
}

impl Instrument {
    /// Whether an order keeps the rules and is not one that just rests. Bands that move are not looked at here.
    #[inline(always)]
    fn lets_take(&self, plain: &PlainTaker) -> bool {
        let PlainTaker { order, rests } = plain;
        let Some(book) = &self.book else { return false };
        self.phase == Phase::Open
            && self.lets_trade(order.qty)
            && self.lets_stand(book, order.price)
            && (!rests || !order.post_only && book.crosses(order.side, order.price))
    }
}
