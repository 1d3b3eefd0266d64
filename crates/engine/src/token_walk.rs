//! The walk of a token order: over the asks of several books in the order of price per token.

use joulebook_book::Slot;
use joulebook_protocol::CancelReason;
use joulebook_types::{
    InstrumentId, LotSize, MicroEc, Price, Qty, SelfTradeMode, Side, TokenMinutes, TokenPrice, Yield,
};

use crate::Engine;
use crate::accounts::TradeGroup;
use crate::bands::Reach;
use crate::dry_walk::Front;
use crate::instruments::{Instrument, InstrumentIx};

/// What a token order wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) quantity: TokenMinutes,
    /// Of every level taken, fees excluded.
    pub(crate) limit: TokenPrice,
    /// Whether the last lot may deliver more than the quantity.
    pub(crate) overshoot: bool,
    pub(crate) trade_group: TradeGroup,
    pub(crate) self_trade: SelfTradeMode,
}

/// The asks that a walk takes from: those of the books, or, when the question is what would be, those of a dry walk.
pub(crate) trait Asks {
    fn engine(&self) -> &Engine;

    /// What the order can still pay with.
    fn credits(&self) -> MicroEc;

    /// The best price that is left in a book.
    fn best(&mut self, ix: InstrumentIx) -> Option<Price>;

    /// The maker at that price that is next.
    fn next(&mut self, ix: InstrumentIx) -> Front;

    /// Takes lots from the maker that is next.
    fn take(&mut self, ix: InstrumentIx, front: &Front, lots: u32);

    /// Takes the maker that is next, which is of the order's own group, out of the book.
    fn cancel_own(&mut self, ix: InstrumentIx, maker: Slot);
}

/// One book of the walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    /// Of the best ask, as long as the leg walks.
    price: Price,
    yield_ktok: Yield,
    id: InstrumentId,
    instrument: InstrumentIx,
    lot: LotSize,
    /// Lots that the buyer's window cap still lets in: without a cap more than there can be.
    lots_max: u64,
    /// The window cap lets no further lot in.
    is_capped: bool,
}

/// What a walk did, and why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    /// Kilo-token minutes of all fills.
    pub(crate) bought: u128,
    /// `None` when the order is filled as far as whole lots allow.
    pub(crate) reason: Option<CancelReason>,
}

/// What became of a look at the cheapest ask.
enum Look {
    Took(TokenMinutes, Next),
    /// That ask is not in the way any more.
    GoOn,
    End(CancelReason),
}

/// Whose ask is the cheapest after a fill.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The same leg's: its price has not changed, and no other gets cheaper.
    SameLeg,
    Unknown,
}

/// The legs of one token order, in memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct TokenWalk {
    /// Those that walk come first, in no order.
    legs: Vec<Leg>,
    walking: usize,
}

impl Leg {
    /// `room` is of accelerators.
    #[inline(always)]
    pub(crate) fn new(
        ix: InstrumentIx,
        instrument: &Instrument,
        yield_ktok: Yield,
        room: Option<u64>,
    ) -> Self {
        let lots_max = room.map_or(u64::MAX, |room| room / u64::from(instrument.lot.accelerators()));
        Self {
            price: Price::ZERO,
            yield_ktok,
            id: instrument.id,
            instrument: ix,
            lot: instrument.lot,
            lots_max,
            is_capped: false,
        }
    }

    /// What some of its lots deliver.
    #[inline(always)]
    pub(crate) fn delivers(&self, lots: u32) -> TokenMinutes {
        self.yield_ktok.delivers(self.lot, Qty::from(lots))
    }

    /// Whether a lot of it is still wanted.
    #[inline(always)]
    fn is_wanted(&self, tokens: TokenMinutes, overshoot: bool) -> bool {
        overshoot || self.delivers(1) <= tokens
    }

    /// How many of a maker's lots `tokens` still ask for.
    #[inline(always)]
    fn lots_for(&self, tokens: TokenMinutes, overshoot: bool, shown: u32) -> u32 {
        // Most fills take all that a maker shows: only the last one of an order needs a division.
        if self.delivers(shown) <= tokens {
            return shown;
        }
        let lots = match overshoot {
            true => tokens.lots_covering(self.delivers(1)),
            false => tokens.lots_below(self.delivers(1)),
        };
        u32::try_from(lots).unwrap_or(u32::MAX).min(shown)
    }

    /// How many of `lots` the window cap lets in.
    #[inline(always)]
    fn lots_in_room(&self, lots: u32) -> u32 {
        self.lots_max.min(u64::from(lots)) as u32
    }

    /// Whether its tokens are cheaper than those of another, or cost the same and its instrument comes first.
    #[inline(always)]
    fn is_before(&self, other: &Self) -> bool {
        Yield::compare_per_token(self.price, self.yield_ktok, other.price, other.yield_ktok)
            .then(self.id.cmp(&other.id))
            .is_lt()
    }
}

impl TokenWalk {
    pub(crate) fn clear(&mut self) {
        self.legs.clear();
        self.walking = 0;
    }

    /// What the smallest lot of all legs delivers.
    pub(crate) fn smallest_lot(&self) -> TokenMinutes {
        self.legs.iter().map(|leg| leg.delivers(1)).min().unwrap_or(TokenMinutes::ZERO)
    }

    /// One of the books, whichever.
    pub(crate) fn some_book(&self) -> InstrumentIx {
        self.legs.first().expect("an order names instruments").instrument
    }

    /// One more book, with its best ask.
    #[inline(always)]
    pub(crate) fn add_leg(&mut self, leg: Leg, best: Option<Price>) {
        let index = self.legs.len();
        self.legs.push(Leg { price: best.unwrap_or(Price::ZERO), ..leg });
        if best.is_some() {
            if self.walking < index {
                self.legs.swap(self.walking, index);
            }
            self.walking += 1;
        }
    }

    /// Takes the cheapest tokens, maker by maker, until the order has what it wants or nothing suits.
    #[inline(always)]
    pub(crate) fn run(&mut self, asks: &mut impl Asks, wanted: &Wanted) -> Walked {
        let (mut remaining, mut bought) = (wanted.quantity, 0);
        let mut known = None;
        let reason = loop {
            let Some(index) = known.or_else(|| self.cheapest(remaining, wanted)) else {
                break self.end(remaining, wanted.overshoot);
            };
            known = None;
            match self.look(asks, wanted, index, remaining) {
                Look::Took(tokens, next) => {
                    remaining = remaining.saturating_sub(tokens);
                    bought += tokens.raw();
                    if next == Next::SameLeg && self.legs[index].is_wanted(remaining, wanted.overshoot) {
                        known = Some(index);
                    }
                }
                Look::GoOn => {}
                Look::End(reason) => break Some(reason),
            }
            if remaining == TokenMinutes::ZERO {
                break None;
            }
        };
        Walked { bought, reason }
    }

    /// Looks at the maker that is next at the cheapest ask and does with it what is to be done.
    #[inline(always)]
    fn look(&mut self, asks: &mut impl Asks, wanted: &Wanted, index: usize, remaining: TokenMinutes) -> Look {
        let leg = &mut self.legs[index];
        let ix = leg.instrument;
        if asks.engine().trade_bound(ix, Side::Buy).reach(Side::Buy, leg.price) != Reach::Within {
            self.leave(index);
            return Look::GoOn;
        }
        let front = asks.next(ix);
        if front.trade_group == wanted.trade_group.0 {
            return self.meet_own(asks, wanted, index, &front);
        }
        let fitting = leg.lots_in_room(leg.lots_for(remaining, wanted.overshoot, front.lots));
        if fitting == 0 {
            leg.is_capped = true;
            self.leave(index);
            return Look::GoOn;
        }
        let instrument = &asks.engine().instruments[ix];
        let lots = instrument.affordable(front.price, fitting, asks.credits());
        if lots == 0 {
            return Look::End(CancelReason::CreditsExhausted);
        }
        leg.lots_max -= u64::from(lots);
        let tokens = leg.delivers(lots);
        let is_quote = asks.engine().orders.terms(front.maker).is_quote;
        asks.take(ix, &front, lots);
        // The fill of a quote may have pulled others, in any of the books.
        let next = if is_quote { self.look_everywhere_again(asks) } else { self.look_again(asks, index) };
        Look::Took(tokens, next)
    }

    /// Nobody trades with its own group.
    #[cold]
    fn meet_own(&mut self, asks: &mut impl Asks, wanted: &Wanted, index: usize, front: &Front) -> Look {
        let ix = self.legs[index].instrument;
        match wanted.self_trade {
            SelfTradeMode::CancelAggressor => return Look::End(CancelReason::SelfTrade),
            SelfTradeMode::CancelResting => {}
            SelfTradeMode::CancelBoth | SelfTradeMode::Decrement => {
                asks.cancel_own(ix, front.maker);
                return Look::End(CancelReason::SelfTrade);
            }
        }
        asks.cancel_own(ix, front.maker);
        self.look_again(asks, index);
        Look::GoOn
    }

    /// A leg walks no more: the last of those that do takes its place.
    fn leave(&mut self, index: usize) {
        self.walking -= 1;
        self.legs.swap(index, self.walking);
    }

    /// Looks what a book asks for now.
    #[inline(always)]
    fn look_again(&mut self, asks: &mut impl Asks, index: usize) -> Next {
        let leg = &mut self.legs[index];
        match asks.best(leg.instrument) {
            Some(price) if price == leg.price => return Next::SameLeg,
            Some(price) => leg.price = price,
            None => self.leave(index),
        }
        Next::Unknown
    }

    #[cold]
    fn look_everywhere_again(&mut self, asks: &mut impl Asks) -> Next {
        for index in (0..self.walking).rev() {
            self.look_again(asks, index);
        }
        Next::Unknown
    }

    /// Why nothing more is bought although something is wanted.
    #[cold]
    fn end(&self, remaining: TokenMinutes, overshoot: bool) -> Option<CancelReason> {
        let mut wanted = self.legs.iter().filter(|leg| leg.is_wanted(remaining, overshoot)).peekable();
        wanted.peek()?;
        match wanted.any(|leg| leg.is_capped) {
            true => Some(CancelReason::WindowCap),
            false => Some(CancelReason::ImmediateRemainder),
        }
    }

    /// The leg with the lowest price per token, if that is within the limit, the lower instrument id first.
    #[inline(always)]
    fn cheapest(&mut self, remaining: TokenMinutes, wanted: &Wanted) -> Option<usize> {
        loop {
            let walking = &self.legs[..self.walking];
            let (mut best, mut best_index) = (walking.first()?, 0);
            for (index, leg) in walking.iter().enumerate().skip(1) {
                if leg.is_before(best) {
                    (best, best_index) = (leg, index);
                }
            }
            if !wanted.limit.allows(best.price, best.yield_ktok) {
                return None;
            }
            if best.is_wanted(remaining, wanted.overshoot) {
                return Some(best_index);
            }
            // Less and less is wanted, so it will not be again.
            self.leave(best_index);
        }
    }
}
