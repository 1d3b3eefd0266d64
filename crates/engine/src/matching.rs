//! Two orders meet: at the resting order's price, first come first served.

use joulebook_book::{Order, Slot, reaches};
use joulebook_ledger::{AccountIx, PositionIx};
use joulebook_protocol::CancelReason;
use joulebook_protocol::messages::{BookUpdate, OrderCanceled};
use joulebook_types::{
    ClientOrderId, OrderId, OrderType, Phase, Price, SelfTradeMode, Side, SlotHint, TimeNs,
};

use crate::accounts::TradeGroup;
use crate::bands::Reach;
use crate::holds::Promise;
use crate::hooks::Closed;
use crate::instruments::InstrumentIx;
use crate::orders::{Owner, Terms};
use crate::sessions::SessionIx;
use crate::trade::book_update;
use crate::{Engine, Events};

/// The order in hand, while it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker {
    pub(crate) order_id: OrderId,
    /// Where it lies if it is an open order; `None` for orders that are never open.
    pub(crate) slot: Option<Slot>,
    pub(crate) session: SessionIx,
    pub(crate) client_order_id: ClientOrderId,
    pub(crate) account: AccountIx,
    pub(crate) trade_group: TradeGroup,
    pub(crate) instrument: InstrumentIx,
    pub(crate) side: Side,
    /// The worst price at which it trades.
    pub(crate) limit: Price,
    pub(crate) qty: u32,
    pub(crate) leaves: u32,
    pub(crate) funding: Funding,
    pub(crate) order_type: OrderType,
    pub(crate) self_trade: SelfTradeMode,
    /// Whether what is left rests; only for orders with a slot.
    pub(crate) rests: bool,
    /// The maker that it will meet next, or after the trade in hand, as far as that can be told; nobody else then.
    pub(crate) meets_next: Option<Slot>,
    /// Whether another order is linked with it, which ends when it trades.
    pub(crate) is_linked: bool,
    /// Where its account's position in the window was when it traded last.
    pub(crate) position: PositionIx,
}

/// Where a taker's part of a trade comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Funding {
    /// From the hold on all its leaves.
    Hold,
    /// A buyer pays each trade from its free credits: it has no limit price that a hold could be based on.
    FreeCredits,
}

/// Why a taker stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Filled,
    /// Nothing is left that it reaches.
    NothingReached,
    /// The next maker is of its own group.
    SelfTrade,
    /// The next trade, or its place in the book, would be beyond the dynamic band.
    PriceBand,
    /// The next trade would be too far from the velocity reference.
    Velocity,
    /// Its free credits do not pay for another lot.
    Credits,
}

impl Taker {
    /// What it holds for the lots that it has left.
    pub(crate) fn promise(&self) -> Promise {
        let Self { account, instrument, side, limit, leaves: lots, .. } = *self;
        Promise { account, instrument, side, limit, lots }
    }

    /// Where it lies, as the owner may say it.
    pub(crate) fn slot_hint(&self) -> SlotHint {
        self.slot.map_or(SlotHint::UNKNOWN, Slot::hint)
    }

    /// Whether its part of a trade comes from a hold: sellers always hold what they sell.
    pub(crate) fn holds(&self) -> bool {
        match (self.side, self.funding) {
            (Side::Sell, _) | (Side::Buy, Funding::Hold) => true,
            (Side::Buy, Funding::FreeCredits) => false,
        }
    }

    /// The price that reports name: market orders have none of their own.
    pub(crate) fn reported_price(&self) -> Price {
        match self.order_type {
            OrderType::Limit => self.limit,
            OrderType::Market | OrderType::Budget => Price::ZERO,
        }
    }
}

impl Engine {
    /// Lets an order trade where its instrument is open, then rest or end.
    pub(crate) fn work(&mut self, taker: &mut Taker, out: &mut Events) {
        let stop = match self.instruments[taker.instrument].phase {
            Phase::Open => self.match_taker(taker, out),
            // Nothing trades here: orders gather for the opening or the uncross.
            Phase::Pending | Phase::PreOpen | Phase::Halted | Phase::Auction => Stop::NothingReached,
            Phase::Closed | Phase::Delivering | Phase::Settled => Stop::NothingReached,
        };
        self.finish_taker(taker, stop, out);
    }

    /// Whether an order of an open instrument just rests or ends: as most do, without a look at bands and makers. A stop
    /// that was triggered may have a limit beyond the dynamic band, so it is not among them.
    #[inline]
    pub(crate) fn meets_nobody(&self, taker: &Taker) -> bool {
        let instrument = &self.instruments[taker.instrument];
        instrument.phase == Phase::Open
            && taker.leaves > 0
            && !instrument.has_dynamic_band()
            && !instrument.book().crosses(taker.side, taker.limit)
    }

    /// Trades until the taker is filled, reaches nothing more, meets a bound, or meets its own group.
    pub(crate) fn match_taker(&mut self, taker: &mut Taker, out: &mut Events) -> Stop {
        // Price references are those of the step's beginning, so what this order trades does not move them.
        let bound = self.trade_bound(taker.instrument, taker.side);
        taker.meets_next = self.first_maker(taker);
        while taker.leaves > 0 {
            let front = taker.meets_next.or_else(|| self.front_against(taker));
            let reached =
                front.filter(|front| reaches(taker.side, taker.limit, self.orders.slab[*front].price));
            let Some(front) = reached else {
                // Only a triggered stop has such a limit. At rest, the next order would trade with it beyond the band.
                let rests_beyond = taker.rests && bound.is_beyond_dynamic(taker.side, taker.limit);
                return if rests_beyond { Stop::PriceBand } else { Stop::NothingReached };
            };
            assert!(self.front_against(taker) == Some(front), "the front order trades first");
            let maker = &self.orders.slab[front];
            taker.meets_next =
                if taker.leaves > maker.leaves { self.prepare_next(taker, front) } else { None };
            match bound.reach(taker.side, maker.price) {
                Reach::Within => {}
                Reach::BeyondDynamic => return Stop::PriceBand,
                Reach::BeyondVelocity => return Stop::Velocity,
            }
            if maker.trade_group == taker.trade_group.0 {
                if self.prevent_self_trade(taker, front, out) {
                    return Stop::SelfTrade;
                }
                taker.meets_next = None;
                continue;
            }
            let (price, lots) = (maker.price, taker.leaves.min(maker.leaves));
            let lots = self.payable_lots(taker, price, lots);
            if lots == 0 {
                return Stop::Credits;
            }
            self.trade(taker, front, lots, out);
        }
        Stop::Filled
    }

    /// The order that trades first with the taker, if that reaches it.
    #[inline(always)]
    fn front_against(&self, taker: &Taker) -> Option<Slot> {
        let book = self.instruments[taker.instrument].book();
        book.front(&self.orders.slab, taker.side.opposite())
    }

    /// The same before the first trade. Asks for what that reads last: in a book that nobody has touched for a while each
    /// line would be waited for in turn.
    #[inline(always)]
    fn first_maker(&self, taker: &Taker) -> Option<Slot> {
        let front = self.front_against(taker)?;
        self.orders.prepare(front);
        Some(front)
    }

    /// Asks for the maker behind the one at the front, while there is a trade to make.
    #[inline(always)]
    fn prepare_next(&self, taker: &Taker, front: Slot) -> Option<Slot> {
        let book = self.instruments[taker.instrument].book();
        let next = book.maker_after(&self.orders.slab, front)?;
        self.orders.prepare(next);
        Some(next)
    }

    /// How many of `lots` the taker can pay for.
    fn payable_lots(&self, taker: &Taker, price: Price, lots: u32) -> u32 {
        if taker.holds() {
            return lots;
        }
        let free = self.ledger.credits(taker.account).free;
        self.instruments[taker.instrument].affordable(price, lots, free)
    }

    /// What becomes of a taker that stopped: gone, canceled, or resting.
    pub(crate) fn finish_taker(&mut self, taker: &Taker, stop: Stop, out: &mut Events) {
        match stop {
            Stop::Filled => {
                if let Some(slot) = taker.slot {
                    self.close_order(slot, out);
                }
            }
            Stop::SelfTrade => self.cancel_remainder(taker, CancelReason::SelfTrade, out),
            Stop::PriceBand => self.cancel_remainder(taker, CancelReason::PriceBand, out),
            Stop::Credits => self.cancel_remainder(taker, CancelReason::CreditsExhausted, out),
            Stop::NothingReached if taker.rests => {
                self.rest(taker, out);
                let instrument = &self.instruments[taker.instrument];
                let may_be_crossed = instrument.phase != Phase::Open;
                assert!(may_be_crossed || !instrument.book().is_crossed(), "an open book is not crossed");
            }
            Stop::NothingReached => self.cancel_remainder(taker, CancelReason::ImmediateRemainder, out),
            Stop::Velocity if taker.rests => {
                self.rest(taker, out);
                self.halt_for_velocity(taker.instrument, out);
            }
            Stop::Velocity => self.cancel_remainder(taker, CancelReason::PriceBand, out),
        }
    }

    /// Puts what is left of a taker at the back of its price.
    fn rest(&mut self, taker: &Taker, out: &mut Events) {
        let slot = taker.slot.expect("an order that rests has a slot");
        let display = self.orders.terms(slot).display();
        self.orders.slab.amend(slot, taker.limit, taker.qty, taker.leaves, display);
        self.join_queue(slot, out);
    }

    /// Puts an order, or the next slice of one, at the back of its price.
    #[inline(always)]
    pub(crate) fn join_queue(&mut self, slot: Slot, out: &mut Events) {
        let ix = InstrumentIx::new(self.orders.slab[slot].instrument);
        let instrument = &mut self.instruments[ix];
        let level = instrument.book_mut().add(&mut self.orders.slab, slot);
        let order = &self.orders.slab[slot];
        let update = book_update((self.time, instrument.id), order, order.leaves, level, BookUpdate::ADDED);
        self.publish(update, out);
    }

    /// Ends a taker that may not or must not rest.
    pub(crate) fn cancel_remainder(&mut self, taker: &Taker, reason: CancelReason, out: &mut Events) {
        if taker.holds() {
            self.release(&taker.promise());
        }
        let canceled = OrderCanceled {
            client_order_id: taker.client_order_id,
            order_id: taker.order_id,
            instrument: self.instruments[taker.instrument].id,
            canceled_qty: taker.leaves,
            filled_qty: taker.qty - taker.leaves,
            reason: reason.raw(),
            side: taker.side.raw(),
            ..Default::default()
        };
        self.tell(taker.session, canceled, out);
        if let Some(slot) = taker.slot {
            self.close_order(slot, out);
        }
    }

    /// An open order that left its place for a moment, as one that takes.
    pub(crate) fn taker_at(&self, slot: Slot) -> Taker {
        let order = &self.orders.slab[slot];
        let owner = self.orders.owner(slot);
        let terms = self.orders.terms(slot);
        Taker {
            order_id: order.order_id,
            slot: Some(slot),
            session: owner.session,
            client_order_id: owner.client_order_id,
            account: AccountIx::new(order.account),
            trade_group: TradeGroup(order.trade_group),
            instrument: InstrumentIx::new(order.instrument),
            side: order.side,
            limit: order.price,
            qty: order.qty,
            leaves: order.total_leaves(),
            funding: Funding::Hold,
            order_type: terms.order_type,
            self_trade: terms.self_trade,
            rests: terms.rests(),
            meets_next: None,
            is_linked: terms.partner.is_some(),
            position: PositionIx::NONE,
        }
    }

    /// The price that reports name: market orders have none of their own.
    #[inline(always)]
    pub(crate) fn reported_price(&self, slot: Slot) -> Price {
        match self.orders.terms(slot).order_type {
            OrderType::Limit => self.orders.slab[slot].price,
            OrderType::Market | OrderType::Budget => Price::ZERO,
        }
    }

    /// What an open order binds.
    #[inline]
    pub(crate) fn promise_at(&self, slot: Slot) -> Promise {
        let order = &self.orders.slab[slot];
        Promise {
            account: AccountIx::new(order.account),
            instrument: InstrumentIx::new(order.instrument),
            side: order.side,
            limit: order.price,
            lots: order.total_leaves(),
        }
    }

    /// Makes an order open, whose date is set by whoever knows when that was; it stands nowhere yet.
    #[inline(always)]
    pub(crate) fn open_order_of(
        &mut self,
        order: &Order,
        session: SessionIx,
        client_order_id: ClientOrderId,
        terms: Terms,
    ) -> Slot {
        self.accounts[AccountIx::new(order.account)].open_orders += 1;
        let owner = Owner { session, client_order_id };
        self.orders.open(&mut self.sessions[session].orders, order, owner, terms)
    }

    /// Makes an order open; it stands nowhere yet.
    #[inline(always)]
    pub(crate) fn add_order(
        &mut self,
        order: &Order,
        session: SessionIx,
        client_order_id: ClientOrderId,
        terms: Terms,
    ) -> Slot {
        let slot = self.open_order_of(order, session, client_order_id, terms);
        if terms.expires != TimeNs::ZERO {
            self.timers.set_expiry(terms.expires, slot);
        }
        slot
    }

    /// Forgets an open order that stands nowhere any more.
    #[inline(always)]
    pub(crate) fn close_order(&mut self, slot: Slot, out: &mut Events) {
        let order = &self.orders.slab[slot];
        let (account, instrument) = (AccountIx::new(order.account), InstrumentIx::new(order.instrument));
        let Terms { expires, is_quote, partner, .. } = *self.orders.terms(slot);
        let session = self.orders.owner(slot).session;
        let closed = Closed { session, instrument, side: order.side, is_quote, partner };
        if expires != TimeNs::ZERO {
            self.timers.cancel_expiry(slot);
        }
        self.accounts[account].open_orders -= 1;
        self.orders.close(&mut self.sessions[session].orders, slot);
        self.note_closed(account, instrument);
        self.order_closed(&closed, out);
    }
}
