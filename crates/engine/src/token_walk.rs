//! The walk of a token order: over the asks of several books in the order of price per token.

use joulebook_book::Slot;
use joulebook_protocol::CancelReason;
use joulebook_types::{
    InstrumentId, LotSize, MicroEc, Qty, SelfTradeMode, Side, TokenMinutes, TokenPrice, Yield,
};

use crate::Engine;
use crate::accounts::TradeGroup;
use crate::bands::Reach;
use crate::dry_walk::{DryWalk, Front};
use crate::instruments::{Instrument, InstrumentIx};

/// What a token order wants, and with which means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) quantity: TokenMinutes,
    /// Of every level taken, fees excluded.
    pub(crate) limit: TokenPrice,
    /// Whether the last lot may deliver more than the quantity.
    pub(crate) overshoot: bool,
    pub(crate) credits: MicroEc,
    pub(crate) trade_group: TradeGroup,
    pub(crate) self_trade: SelfTradeMode,
}

/// One book of the walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    instrument: InstrumentIx,
    id: InstrumentId,
    lot: LotSize,
    yield_ktok: Yield,
    lot_tokens: TokenMinutes,
    /// Accelerators that the buyer's window cap still lets in; `None` without a cap.
    room: Option<u64>,
    /// The number of the book in the dry walk, once that is open.
    book: Option<usize>,
    /// The maker that is next in it; `None` when the leg does not walk any more.
    front: Option<Front>,
    state: LegState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LegState {
    Walking,
    /// Its next ask lies beyond a price band: as if there were none.
    Bounded,
    /// The window cap lets no further lot in.
    Capped,
}

/// What the order will do, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// Take lots from a maker.
    Fill { instrument: InstrumentIx, maker: Slot, lots: u32 },
    /// Cancel an order of its own group.
    CancelOwn { maker: Slot },
}

/// The plan of one token order, in memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct TokenWalk {
    legs: Vec<Leg>,
    plan: Vec<Planned>,
    /// Kilo-token minutes of all fills.
    planned: u128,
}

impl Leg {
    #[inline]
    pub(crate) fn new(
        ix: InstrumentIx,
        instrument: &Instrument,
        yield_ktok: Yield,
        room: Option<u64>,
    ) -> Self {
        Self {
            instrument: ix,
            id: instrument.id,
            lot: instrument.lot,
            yield_ktok,
            lot_tokens: yield_ktok.delivers(instrument.lot, Qty::new(1)),
            room,
            book: None,
            front: None,
            state: LegState::Walking,
        }
    }

    /// The number of its book in the dry walk.
    fn open(&mut self, engine: &Engine, dry: &mut DryWalk) -> usize {
        *self.book.get_or_insert_with(|| dry.open(engine, self.instrument, Side::Buy))
    }

    /// Walks no more.
    fn end(&mut self, state: LegState) {
        self.state = state;
        self.front = None;
    }

    /// Whether a lot of it is still wanted.
    #[inline]
    fn is_wanted(&self, tokens: TokenMinutes, overshoot: bool) -> bool {
        overshoot || self.lot_tokens <= tokens
    }

    /// Lots that `tokens` still ask for.
    fn lots_for(&self, tokens: TokenMinutes, overshoot: bool) -> u32 {
        let lots = match overshoot {
            true => tokens.lots_covering(self.lot_tokens),
            false => tokens.lots_below(self.lot_tokens),
        };
        u32::try_from(lots).unwrap_or(u32::MAX)
    }

    /// How many of `lots` the window cap lets in.
    fn lots_in_room(&self, lots: u32) -> u32 {
        let Some(room) = self.room else { return lots };
        u32::try_from(room / u64::from(self.lot.accelerators())).map_or(lots, |fitting| lots.min(fitting))
    }
}

impl TokenWalk {
    pub(crate) fn clear(&mut self) {
        self.legs.clear();
    }

    pub(crate) fn add_leg(&mut self, leg: Leg) {
        self.legs.push(leg);
    }

    /// What the smallest lot of all legs delivers.
    pub(crate) fn smallest_lot(&self) -> TokenMinutes {
        self.legs.iter().map(|leg| leg.lot_tokens).min().expect("an order names instruments")
    }

    /// What the order will do, in the order in which it happens.
    pub(crate) fn plan(&self) -> &[Planned] {
        &self.plan
    }

    /// What the fills deliver together, in kilo-token minutes.
    pub(crate) fn planned_ktok_minutes(&self) -> u128 {
        self.planned
    }

    /// Plans the fills and says why they end: `None` when the order is filled as far as whole lots allow.
    pub(crate) fn make_plan(
        &mut self,
        engine: &Engine,
        dry: &mut DryWalk,
        wanted: &Wanted,
    ) -> Option<CancelReason> {
        self.plan.clear();
        self.planned = 0;
        dry.begin();
        // Most books are only looked at: a walk is opened in those that something is taken from.
        for leg in &mut self.legs {
            leg.front = Front::of_book(engine, leg.instrument, Side::Buy);
        }
        let (mut remaining, mut credits) = (wanted.quantity, wanted.credits);
        while remaining > TokenMinutes::ZERO {
            let Some((index, front)) = self.cheapest(remaining, wanted) else {
                return self.end(remaining, wanted.overshoot);
            };
            let leg = &mut self.legs[index];
            let bound = engine.trade_bound(leg.instrument, Side::Buy);
            if bound.reach(Side::Buy, front.price) != Reach::Within {
                leg.end(LegState::Bounded);
                continue;
            }
            if front.trade_group == wanted.trade_group.0 {
                match wanted.self_trade {
                    SelfTradeMode::CancelAggressor => return Some(CancelReason::SelfTrade),
                    SelfTradeMode::CancelResting => {}
                    SelfTradeMode::CancelBoth | SelfTradeMode::Decrement => {
                        self.plan.push(Planned::CancelOwn { maker: front.maker });
                        return Some(CancelReason::SelfTrade);
                    }
                }
                self.plan.push(Planned::CancelOwn { maker: front.maker });
                let book = leg.open(engine, dry);
                dry.skip(engine, book);
                leg.front = dry.front(engine, book);
                continue;
            }
            let fitting = leg.lots_in_room(leg.lots_for(remaining, wanted.overshoot).min(front.lots));
            if fitting == 0 {
                leg.end(LegState::Capped);
                continue;
            }
            let instrument = &engine.instruments[leg.instrument];
            let lots = instrument.affordable(front.price, fitting, credits);
            if lots == 0 {
                return Some(CancelReason::CreditsExhausted);
            }
            credits -= instrument.taker_cost(front.price, lots).expect("it is affordable");
            leg.room = leg.room.map(|room| room - instrument.accelerators(lots));
            let tokens = leg.yield_ktok.delivers(leg.lot, Qty::from(lots));
            remaining = remaining.saturating_sub(tokens);
            self.planned += tokens.raw();
            self.plan.push(Planned::Fill { instrument: leg.instrument, maker: front.maker, lots });
            let book = leg.open(engine, dry);
            dry.take(engine, book, lots);
            self.look_again(engine, dry, index, front.maker);
        }
        None
    }

    /// Looks who is next after a fill: in the book of the fill, and in all of them when the fill may have pulled quotes.
    fn look_again(&mut self, engine: &Engine, dry: &mut DryWalk, filled: usize, maker: Slot) {
        let legs = match engine.orders.terms(maker).is_quote {
            true => &mut self.legs[..],
            false => &mut self.legs[filled..=filled],
        };
        for leg in legs.iter_mut().filter(|leg| leg.state == LegState::Walking) {
            let book = leg.open(engine, dry);
            leg.front = dry.front(engine, book);
        }
    }

    /// Why nothing more is bought although something is wanted.
    fn end(&self, remaining: TokenMinutes, overshoot: bool) -> Option<CancelReason> {
        let mut wanted = self.legs.iter().filter(|leg| leg.is_wanted(remaining, overshoot)).peekable();
        wanted.peek()?;
        match wanted.any(|leg| leg.state == LegState::Capped) {
            true => Some(CancelReason::WindowCap),
            false => Some(CancelReason::ImmediateRemainder),
        }
    }

    /// The leg with the lowest price per token within the limit, the lower instrument id first, and its next maker.
    fn cheapest(&self, remaining: TokenMinutes, wanted: &Wanted) -> Option<(usize, Front)> {
        let mut best: Option<(usize, &Leg, &Front)> = None;
        for (index, leg) in self.legs.iter().enumerate() {
            let Some(front) = &leg.front else { continue };
            if !leg.is_wanted(remaining, wanted.overshoot) {
                continue;
            }
            let is_better = best.is_none_or(|(_, other, other_front)| {
                Yield::compare_per_token(front.price, leg.yield_ktok, other_front.price, other.yield_ktok)
                    .then(leg.id.cmp(&other.id))
                    .is_lt()
            });
            if is_better && wanted.limit.allows(front.price, leg.yield_ktok) {
                best = Some((index, leg, front));
            }
        }
        best.map(|(index, _, front)| (index, *front))
    }
}
