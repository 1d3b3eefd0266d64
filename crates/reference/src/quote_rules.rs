//! The rules that a pair of a mass quote must meet.

use core::mem::{offset_of, size_of};

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{MassQuote, QuotePair};
use joulebook_types::{OrderId, Phase, Price, Side};

use crate::entry::{check_capacity, check_credits};
use crate::market::Market;
use crate::rejection::{Checked, Lowest, field, whole};

/// One side that a pair asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) side: Side,
    pub(crate) price: Price,
    /// Zero removes the side.
    pub(crate) qty: u32,
    /// The order that stands there now.
    pub(crate) old: Option<OrderId>,
    price_offset: usize,
    qty_offset: usize,
}

impl Market {
    /// The session's quote on a side of an instrument.
    fn quote_of(&self, session: usize, index: usize, side: Side) -> Option<OrderId> {
        let mut orders = self.orders.values();
        let standing = orders.find(|order| {
            order.quote && order.session == session && order.instrument == index && order.side == side
        });
        standing.map(|order| order.id)
    }

    /// Returns the instrument and both sides, bid first.
    pub(crate) fn check_pair(
        &self,
        session: usize,
        quote: &MassQuote,
        number: usize,
    ) -> Checked<(usize, [Wanted; 2])> {
        let pair = &quote.pairs[number];
        let at = |offset| offset_of_pair(number, offset);
        let only_removes = pair.bid_qty == 0 && pair.ask_qty == 0;
        let index = self.find_instrument(pair.instrument, at(offset_of!(QuotePair, instrument)))?;
        if !only_removes {
            self.check_class_enabled(index)?;
        }
        if quote.pairs[..number].iter().any(|earlier| earlier.instrument == pair.instrument) {
            return Err(field(RejectReason::DuplicateInstrument, at(offset_of!(QuotePair, instrument))));
        }
        self.check_phase(index, |phase| only_removes || matches!(phase, Phase::PreOpen | Phase::Open))?;
        if pair.bid_qty > 0 && pair.ask_qty > 0 && pair.bid >= pair.ask {
            let crossed = field(RejectReason::QuoteCrossed, at(offset_of!(QuotePair, bid)));
            return Err(crossed.met(pair.ask.raw(), pair.bid.raw()));
        }
        let account = self.account_of(session);
        if !only_removes && self.is_frozen(account, self.instruments[index].class) {
            return Err(whole(RejectReason::ProtectionFrozen));
        }
        let bid = Wanted {
            side: Side::Buy,
            price: pair.bid,
            qty: pair.bid_qty,
            old: self.quote_of(session, index, Side::Buy),
            price_offset: at(offset_of!(QuotePair, bid)),
            qty_offset: at(offset_of!(QuotePair, bid_qty)),
        };
        let ask = Wanted {
            side: Side::Sell,
            price: pair.ask,
            qty: pair.ask_qty,
            old: self.quote_of(session, index, Side::Sell),
            price_offset: at(offset_of!(QuotePair, ask)),
            qty_offset: at(offset_of!(QuotePair, ask_qty)),
        };
        let sides = [bid, ask];
        let mut lowest = Lowest::default();
        for wanted in &sides {
            if wanted.qty > 0 {
                lowest.add(self.check_side(session, quote, index, wanted, &sides));
            }
        }
        lowest.answer()?;
        Ok((index, sides))
    }

    /// Rules 24 to 39 of one side that is to stand.
    fn check_side(
        &self,
        session: usize,
        quote: &MassQuote,
        index: usize,
        wanted: &Wanted,
        sides: &[Wanted; 2],
    ) -> Checked {
        let account = self.account_of(session);
        let Wanted { side, price, qty, .. } = *wanted;
        self.check_qty_max(index, qty, wanted.qty_offset)?;
        self.check_price(index, price, wanted.price_offset)?;
        self.check_dynamic(index, side, price, wanted.price_offset)?;
        self.check_notional(index, price, qty, wanted.qty_offset)?;
        let new_orders = sides.iter().filter(|wanted| wanted.qty > 0 && wanted.old.is_none()).count();
        self.check_room(new_orders)?;
        let instrument = &self.instruments[index];
        let without: Vec<OrderId> = wanted.old.into_iter().collect();
        match side {
            Side::Buy => {
                let hold = instrument.bid_hold(price, qty).expect("checked before");
                check_credits(self.free_without(account, &without), hold, wanted.qty_offset)?;
            }
            Side::Sell => {
                let free = self.free_capacity(account, index, &without);
                check_capacity(free, instrument.accelerators(qty), wanted.qty_offset)?;
            }
        }
        if quote.flags & MassQuote::POST_ONLY != 0 || instrument.phase == Phase::PreOpen {
            let own: Vec<OrderId> = sides.iter().filter_map(|wanted| wanted.old).collect();
            self.check_would_rest(index, side, price, &own)?;
        }
        if new_orders > 0 {
            self.check_open_orders(account, new_orders)?;
        }
        self.check_side_caps(account, index, wanted, sides)
    }

    /// Rules 37 to 39: only for what becomes larger, the bid first.
    fn check_side_caps(&self, account: usize, index: usize, wanted: &Wanted, sides: &[Wanted; 2]) -> Checked {
        let instrument = &self.instruments[index];
        let before = |wanted: &Wanted| wanted.old.map_or(0, |old| self.value_of(self.order(old)));
        let after = |wanted: &Wanted| instrument.notional(wanted.price, wanted.qty).unwrap_or(0);
        let change = |wanted: &Wanted| i128::from(after(wanted)) - i128::from(before(wanted));
        let counted = self.counted_at(index, wanted.side, wanted.price, wanted.qty);
        if counted > wanted.old.map_or(0, |old| self.counted_value(self.order(old))) {
            self.check_order_value(account, counted, wanted.qty_offset)?;
        }
        if change(wanted) > 0 {
            let so_far = sides.iter().take_while(|other| other.side != wanted.side).map(change);
            self.check_open_value(account, so_far.sum::<i128>() + change(wanted), wanted.qty_offset)?;
        }
        let old_lots = wanted.old.map_or(0, |old| self.order(old).leaves);
        if wanted.side == Side::Buy && wanted.qty > old_lots {
            let more = instrument.accelerators(wanted.qty - old_lots);
            self.check_window(account, index, more, wanted.qty_offset)?;
        }
        Ok(())
    }
}

fn offset_of_pair(number: usize, field: usize) -> usize {
    offset_of!(MassQuote, pairs) + number * size_of::<QuotePair>() + field
}
