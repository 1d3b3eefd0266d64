//! Mass quotes: both sides of up to 64 instruments, replaced in place, answered once.

use core::mem::offset_of;

use joulebook_book::{Order, Slot};
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{BookUpdate, MassQuote, MassQuoteAck, QuotePair, QuoteRejected};
use joulebook_types::{
    ClientOrderId, InstrumentId, MicroEc, OrderType, Phase, SelfTradeMode, Side, TimeInForce,
};

use crate::holds::Promise;
use crate::instruments::InstrumentIx;
use crate::orders::Terms;
use crate::quote_table::Quote;
use crate::request::{Done, Rejection};
use crate::sessions::{Session, SessionIx};
use crate::{Engine, Events};

/// What all pairs of a mass quote have in common.
#[derive(Clone, Copy, Debug)]
struct Quoting {
    session: SessionIx,
    client_order_id: ClientOrderId,
    self_trade: SelfTradeMode,
    post_only: bool,
}

/// One side of a pair: what is wanted, and what stands there.
#[derive(Clone, Copy, Debug)]
struct QuoteSide {
    /// Without lots when the side is to go.
    wanted: Promise,
    /// The open order of the side.
    slot: Option<Slot>,
    /// What that order promises.
    given: Option<Promise>,
    price_offset: usize,
    qty_offset: usize,
}

/// A pair that may be put in place: the bid, then the ask.
type QuoteSides = [QuoteSide; 2];

impl QuoteSide {
    fn is_wanted(&self) -> bool {
        self.wanted.lots > 0
    }

    /// Whether it comes to more than what stands there, by a measure of what either is worth.
    fn grows(&self, value: impl Fn(&Promise) -> MicroEc) -> bool {
        self.is_wanted() && self.given.is_none_or(|given| value(&self.wanted) > value(&given))
    }

    /// Whether the order that stands there may keep its place.
    fn stays(&self) -> bool {
        let keeps = |given: Promise| self.wanted.limit == given.limit && self.wanted.lots <= given.lots;
        self.is_wanted() && self.given.is_some_and(keeps)
    }
}

impl Engine {
    pub(crate) fn mass_quote(
        &mut self,
        session: SessionIx,
        message: &MassQuote,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let quoting = self.check_mass_quote(session, message)?;
        let (mut accepted_pairs, mut accepted) = (0, 0);
        // A bit for each instrument, which others share: most messages are seen to name none twice without a comparison.
        let mut seen = 0_u64;
        for index in 0..usize::from(message.count) {
            let bit = 1 << (message.pairs[index].instrument.raw() % u64::BITS);
            let earlier = if seen & bit == 0 { &[] } else { &message.pairs[..index] };
            seen |= bit;
            match self.check_pair(&quoting, message, index, earlier) {
                Ok(sides) => {
                    self.put_in_place(&quoting, &sides, out);
                    accepted_pairs |= 1 << index;
                    accepted += 1;
                }
                Err(rejection) => {
                    let instrument = message.pairs[index].instrument;
                    let rejected = rejection.of_instrument(instrument).of_pair(index);
                    let client_order_id = message.client_order_id;
                    self.tell(session, QuoteRejected { client_order_id, ..rejected }, out);
                }
            }
        }
        let ack = MassQuoteAck {
            client_order_id: message.client_order_id,
            accepted_pairs,
            accepted,
            rejected: u32::from(message.count) - accepted,
            ..Default::default()
        };
        self.tell(session, ack, out);
        Ok(Done::NO_ORDER)
    }

    fn check_mass_quote(&self, session: SessionIx, message: &MassQuote) -> Result<Quoting, Rejection> {
        let field = Rejection::field;
        if message.flags & !MassQuote::POST_ONLY != 0 {
            let flags = field(RejectReason::InvalidChoice, offset_of!(MassQuote, flags));
            return Err(flags.met(0, message.flags));
        }
        let self_trade = field(RejectReason::InvalidChoice, offset_of!(MassQuote, self_trade));
        let self_trade =
            SelfTradeMode::from_raw(message.self_trade).ok_or(self_trade.met(0, message.self_trade))?;
        self.check_entry(session)?;
        if !(1..=MassQuote::PAIRS_MAX).contains(&usize::from(message.count)) {
            let count = field(RejectReason::InvalidCount, offset_of!(MassQuote, count));
            return Err(count.met(MassQuote::PAIRS_MAX, message.count));
        }
        let post_only = message.flags & MassQuote::POST_ONLY != 0;
        Ok(Quoting { session, client_order_id: message.client_order_id, self_trade, post_only })
    }

    /// The checks of a pair as a whole, in this order, then those of its sides. `earlier` are those before it that may be of
    /// the same instrument.
    fn check_pair(
        &self,
        quoting: &Quoting,
        message: &MassQuote,
        index: usize,
        earlier: &[QuotePair],
    ) -> Result<QuoteSides, Rejection> {
        let pair = &message.pairs[index];
        let instrument_offset = pair_offset(index) + offset_of!(QuotePair, instrument);
        let ix = self.find_instrument(pair.instrument, instrument_offset)?;
        let only_removes = pair.bid_qty == 0 && pair.ask_qty == 0;
        if !only_removes {
            self.check_class_entry(ix)?;
        }
        if earlier.iter().any(|earlier| earlier.instrument == pair.instrument) {
            return Err(Rejection::field(RejectReason::DuplicateInstrument, instrument_offset));
        }
        let phase = self.instruments[ix].phase;
        // To remove is to cancel, which a halt and a call take too.
        self.check_phase(ix, only_removes || matches!(phase, Phase::PreOpen | Phase::Open))?;
        if pair.bid_qty > 0 && pair.ask_qty > 0 && pair.bid >= pair.ask {
            let bid_offset = pair_offset(index) + offset_of!(QuotePair, bid);
            let crossed = Rejection::field(RejectReason::QuoteCrossed, bid_offset);
            return Err(crossed.met(pair.ask.raw(), pair.bid.raw()));
        }
        let account = self.sessions[quoting.session].account;
        if !only_removes && self.protections.is_frozen(account, self.instruments[ix].product.class) {
            return Err(Rejection::whole(RejectReason::ProtectionFrozen));
        }
        let sides = self.quote_sides(quoting.session, ix, pair, index);
        self.check_sides(quoting, &sides)?;
        Ok(sides)
    }

    fn quote_sides(
        &self,
        session: SessionIx,
        ix: InstrumentIx,
        pair: &QuotePair,
        index: usize,
    ) -> QuoteSides {
        let quote = self.sessions[session].quotes.get(self.instruments[ix].id);
        let of_side = |side, limit, lots, price_offset, qty_offset| {
            let account = self.sessions[session].account;
            let slot = quote.side(side);
            QuoteSide {
                wanted: Promise { account, instrument: ix, side, limit, lots },
                slot,
                given: slot.map(|slot| self.promise_at(slot)),
                price_offset: pair_offset(index) + price_offset,
                qty_offset: pair_offset(index) + qty_offset,
            }
        };
        let (bid, bid_qty) = (offset_of!(QuotePair, bid), offset_of!(QuotePair, bid_qty));
        let (ask, ask_qty) = (offset_of!(QuotePair, ask), offset_of!(QuotePair, ask_qty));
        [
            of_side(Side::Buy, pair.bid, pair.bid_qty, bid, bid_qty),
            of_side(Side::Sell, pair.ask, pair.ask_qty, ask, ask_qty),
        ]
    }

    /// By the numbers of the codes over both sides; the bid first where both break the same rule.
    fn check_sides(&self, quoting: &Quoting, sides: &QuoteSides) -> Result<(), Rejection> {
        let wanted = || sides.iter().filter(|side| side.is_wanted());
        if let Some(rejection) =
            wanted().filter_map(|side| self.check_side(side).err()).min_by_key(|rejection| rejection.reason)
        {
            return Err(rejection);
        }
        let places = wanted().filter(|side| side.slot.is_none()).count();
        self.check_order_limit(places)?;
        for side in wanted() {
            self.check_hold(&side.wanted, side.given.as_ref(), side.qty_offset)?;
        }
        for side in wanted() {
            self.check_quote_would_trade(quoting, side, sides)?;
        }
        self.check_quote_caps(sides, places as u32)
    }

    fn check_side(&self, side: &QuoteSide) -> Result<(), Rejection> {
        let Promise { instrument: ix, side: of, limit, lots, .. } = side.wanted;
        let instrument = &self.instruments[ix];
        instrument.check_qty_max(lots, side.qty_offset)?;
        instrument.check_price(limit, side.price_offset)?;
        if instrument.phase == Phase::Open {
            self.check_dynamic_band(ix, of, limit, side.price_offset)?;
        }
        self.check_notional(&side.wanted, lots, side.qty_offset).map(|_| ())
    }

    /// Post-only quotes, and all of them before the opening, may not reach the other side. The quote's own other side
    /// does not count: it moves along.
    fn check_quote_would_trade(
        &self,
        quoting: &Quoting,
        side: &QuoteSide,
        sides: &QuoteSides,
    ) -> Result<(), Rejection> {
        let Promise { instrument: ix, side: of, limit, .. } = side.wanted;
        if !quoting.post_only && self.instruments[ix].phase == Phase::Open {
            return Ok(());
        }
        let own = |slot: Slot| sides.iter().any(|side| side.slot == Some(slot));
        let mut makers = self.instruments[ix].book().makers(&self.orders.slab, of.opposite());
        let Some(best) = makers.find(|slot| !own(*slot)) else { return Ok(()) };
        let best = self.orders.slab[best].price;
        let reached = match of {
            Side::Buy => best <= limit,
            Side::Sell => best >= limit,
        };
        if reached {
            return Err(Rejection::whole(RejectReason::PostOnlyWouldTrade).met(best.raw(), limit.raw()));
        }
        Ok(())
    }

    fn check_quote_caps(&self, sides: &QuoteSides, new_orders: u32) -> Result<(), Rejection> {
        let account = sides[0].wanted.account;
        if self.accounts[account].limits.is_none() {
            return Ok(());
        }
        let value = |promise: &Promise| self.value(promise);
        let counted = |promise: &Promise| self.counted_value(promise, OrderType::Limit);
        self.check_open_order_cap(account, new_orders)?;
        for side in sides.iter().filter(|side| side.grows(counted)) {
            self.check_order_value(account, counted(&side.wanted), side.qty_offset)?;
        }
        let mut more = 0;
        for side in sides {
            let wanted = if side.is_wanted() { i128::from(value(&side.wanted).raw()) } else { 0 };
            more += wanted - side.given.map_or(0, |given| i128::from(value(&given).raw()));
            if side.grows(value) {
                self.check_open_value_cap(account, more, side.qty_offset)?;
            }
        }
        let bid = &sides[0];
        let more_lots = bid.wanted.lots.saturating_sub(bid.given.map_or(0, |given| given.lots));
        if more_lots > 0 {
            let more = self.instruments[bid.wanted.instrument].accelerators(more_lots);
            self.check_window_cap(account, bid.wanted.instrument, more, bid.qty_offset)?;
        }
        Ok(())
    }

    /// What moves, grows or goes leaves the book before anything enters it, so that a quote never meets itself.
    fn put_in_place(&mut self, quoting: &Quoting, sides: &QuoteSides, out: &mut Events) {
        for side in sides {
            if side.stays() {
                self.shrink_quote(side, out);
            } else {
                self.withdraw_quote(side, out);
            }
        }
        for side in sides {
            if let (true, Some(slot)) = (side.stays(), side.slot) {
                self.agree(quoting, slot);
            } else if side.is_wanted() {
                self.enter_quote(quoting, side, out);
            }
        }
    }

    /// Takes off what is no longer wanted of a side that keeps its place.
    fn shrink_quote(&mut self, side: &QuoteSide, out: &mut Events) {
        let (Some(slot), Some(given)) = (side.slot, side.given) else { return };
        let lots = given.lots - side.wanted.lots;
        if lots == 0 {
            return;
        }
        let book = self.instruments[given.instrument].book_mut();
        let level = book.reduce(&mut self.orders.slab, slot, lots).expect("a quote shows all of its lots");
        let worth = |promise: &Promise| self.worth_of(promise);
        let (before, after) = (worth(&given), worth(&side.wanted));
        self.rehold((&given, before), (&side.wanted, after));
        self.publish_change(slot, self.orders.slab[slot].leaves, level, BookUpdate::REDUCED, out);
    }

    /// Takes a side out of the book; it ends here unless it is to enter again, and then holds what it will need.
    fn withdraw_quote(&mut self, side: &QuoteSide, out: &mut Events) {
        let (Some(slot), Some(given)) = (side.slot, side.given) else { return };
        let order = self.orders.slab[slot];
        let level = self.instruments[given.instrument].book_mut().remove(&mut self.orders.slab, slot);
        if side.is_wanted() {
            let worth = |promise: &Promise| self.worth_of(promise);
            let (before, after) = (worth(&given), worth(&side.wanted));
            self.rehold((&given, before), (&side.wanted, after));
        } else {
            self.release(&given);
        }
        self.publish_book_update(&order, 0, level, BookUpdate::REMOVED, out);
        if !side.is_wanted() {
            self.close_order(slot, out);
        }
    }

    /// Lets a side take what it reaches, then rest. An order that is open keeps its id and what it traded.
    fn enter_quote(&mut self, quoting: &Quoting, side: &QuoteSide, out: &mut Events) {
        let Promise { limit, lots, .. } = side.wanted;
        let slot = match side.slot {
            Some(slot) => {
                // Fills of years would have to add up before this is cut.
                let qty = self.orders.slab[slot].filled().saturating_add(lots);
                self.orders.slab.amend(slot, limit, qty, lots, u32::MAX);
                slot
            }
            None => {
                self.hold(&side.wanted);
                self.open_quote(quoting, side)
            }
        };
        self.agree(quoting, slot);
        let taker = self.taker_at(slot);
        self.act(taker, out);
    }

    fn open_quote(&mut self, quoting: &Quoting, side: &QuoteSide) -> Slot {
        let Promise { account, instrument, side: of, limit, lots } = side.wanted;
        let mut order = Order::new(self.next_order_id(), of, limit, lots);
        order.trade_group = self.accounts.trade_group(account).0;
        order.instrument = instrument.raw();
        order.account = account.raw();
        order.post_only = quoting.post_only;
        let terms = Terms { time_in_force: TimeInForce::Gtc, is_quote: true, ..Terms::PLAIN };
        let Quoting { session, client_order_id, .. } = *quoting;
        let slot = self.open_order_of(&order, session, client_order_id, terms);
        self.sessions[session].quotes.open_side(self.instruments[instrument].id, of, slot);
        slot
    }

    /// Whether the session's table names its open quotes, `open` of them, each at its place, and nothing else.
    pub(crate) fn recount_quotes(&self, session: SessionIx, open: usize) -> bool {
        let Session { quotes, .. } = &self.sessions[session];
        let is_at = |id: InstrumentId, side: Side, slot: Slot| {
            let order = self.orders.slab.get(slot);
            let of = |order: &Order| self.instruments[InstrumentIx::new(order.instrument)].id;
            order.is_some_and(|order| of(order) == id && order.side == side)
                && self.orders.terms(slot).is_quote
                && self.orders.owner(slot).session == session
        };
        let is_right = |quote: &Quote| {
            let sides = [Side::Buy, Side::Sell].map(|side| (side, quote.side(side)));
            sides.into_iter().all(|(side, slot)| slot.is_none_or(|slot| is_at(quote.instrument, side, slot)))
        };
        let named = quotes.iter().map(|quote| quote.slots().count()).sum::<usize>();
        open == named && quotes.iter().all(is_right)
    }

    /// The newest request speaks for the side.
    fn agree(&mut self, quoting: &Quoting, slot: Slot) {
        self.orders.owner_mut(slot).client_order_id = quoting.client_order_id;
        self.orders.change_terms(slot, |terms| terms.self_trade = quoting.self_trade);
    }
}

fn pair_offset(index: usize) -> usize {
    offset_of!(MassQuote, pairs) + index * size_of::<QuotePair>()
}
