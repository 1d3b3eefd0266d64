//! The walk of a token order: over the asks of several books in the order of price per token.

use joulebook_book::{OrderSlab, Slot};
use joulebook_ledger::fee;
use joulebook_protocol::CancelReason;
use joulebook_types::{LotSize, MicroEc, Price, Qty, Side, TokenMinutes, TokenPrice, Yield};

use crate::accounts::TradeGroup;
use crate::instruments::{Instrument, InstrumentIx, Instruments};

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
}

/// One book of the walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    instrument: InstrumentIx,
    lot: LotSize,
    taker_fee_ppm: i32,
    yield_ktok: Yield,
    lot_tokens: TokenMinutes,
    /// The maker that is next, and how many of its lots the plan has taken.
    maker: Option<Slot>,
    taken: u32,
}

/// Lots that the order will take from a maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlannedFill {
    pub(crate) instrument: InstrumentIx,
    pub(crate) maker: Slot,
    pub(crate) lots: u32,
}

/// The plan of one token order, in memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct TokenWalk {
    legs: Vec<Leg>,
    fills: Vec<PlannedFill>,
    /// Kilo-token minutes of all fills.
    planned: u128,
}

impl Leg {
    pub(crate) fn new(ix: InstrumentIx, instrument: &Instrument, yield_ktok: Yield) -> Self {
        Self {
            instrument: ix,
            lot: instrument.lot,
            taker_fee_ppm: instrument.taker_fee_ppm,
            yield_ktok,
            lot_tokens: yield_ktok.delivers(instrument.lot, Qty::new(1)),
            maker: instrument.book().front(Side::Sell),
            taken: 0,
        }
    }

    /// Lots that `tokens` still ask for.
    fn lots_for(&self, tokens: TokenMinutes, overshoot: bool) -> u32 {
        let lots = match overshoot {
            true => tokens.lots_covering(self.lot_tokens),
            false => tokens.lots_below(self.lot_tokens),
        };
        u32::try_from(lots).unwrap_or(u32::MAX)
    }

    /// Notional and fee of a trade.
    fn cost(&self, price: Price, lots: u32) -> Option<MicroEc> {
        let notional = self.lot.notional(price, Qty::from(lots))?;
        notional.checked_add(fee(notional, self.taker_fee_ppm))
    }

    /// The most lots, up to `wanted`, that the credits pay for with their fee.
    fn affordable(&self, price: Price, wanted: u32, credits: MicroEc) -> u32 {
        let pays = |lots| self.cost(price, lots).is_some_and(|cost| cost <= credits);
        if pays(wanted) {
            return wanted;
        }
        // The cost rises with the lots: halve the range between what it pays and what it does not.
        let (mut paid, mut unpaid) = (0, wanted);
        while unpaid - paid > 1 {
            let middle = paid + (unpaid - paid) / 2;
            if pays(middle) { paid = middle } else { unpaid = middle }
        }
        paid
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

    /// The fills, in the order in which they happen.
    pub(crate) fn fills(&self) -> &[PlannedFill] {
        &self.fills
    }

    /// What the fills deliver together, in kilo-token minutes.
    pub(crate) fn planned_ktok_minutes(&self) -> u128 {
        self.planned
    }

    /// Plans the fills and says why they end: `None` when the order is filled as far as whole lots allow.
    pub(crate) fn plan(
        &mut self,
        instruments: &Instruments,
        orders: &OrderSlab,
        wanted: &Wanted,
    ) -> Option<CancelReason> {
        self.fills.clear();
        let (mut remaining, mut credits) = (wanted.quantity, wanted.credits);
        self.planned = 0;
        loop {
            if !wanted.overshoot {
                self.legs.retain(|leg| leg.lot_tokens <= remaining);
            }
            if remaining == TokenMinutes::ZERO || self.legs.is_empty() {
                break None;
            }
            let Some((leg, maker)) = self.cheapest(orders) else {
                break Some(CancelReason::ImmediateRemainder);
            };
            let order = &orders[maker];
            let leg = &mut self.legs[leg];
            if !wanted.limit.allows(order.price, leg.yield_ktok) {
                break Some(CancelReason::ImmediateRemainder);
            }
            if order.trade_group == wanted.trade_group.0 {
                break Some(CancelReason::SelfTrade);
            }
            let fitting = leg.lots_for(remaining, wanted.overshoot).min(order.leaves - leg.taken);
            let lots = leg.affordable(order.price, fitting, credits);
            if lots == 0 {
                break Some(CancelReason::CreditsExhausted);
            }
            let tokens = leg.yield_ktok.delivers(leg.lot, Qty::from(lots));
            credits -= leg.cost(order.price, lots).expect("it is affordable");
            remaining = remaining.saturating_sub(tokens);
            self.planned += tokens.raw();
            self.fills.push(PlannedFill { instrument: leg.instrument, maker, lots });
            leg.taken += lots;
            if leg.taken == order.leaves {
                leg.taken = 0;
                leg.maker = instruments[leg.instrument].book().maker_after(orders, maker);
            }
        }
    }

    /// The leg with the lowest price per token, the lower instrument id first, and its next maker.
    fn cheapest(&self, orders: &OrderSlab) -> Option<(usize, Slot)> {
        let candidates =
            self.legs.iter().enumerate().filter_map(|(index, leg)| Some((index, leg, leg.maker?)));
        let (index, _, maker) = candidates.min_by(|(_, a, maker_a), (_, b, maker_b)| {
            let (price_a, price_b) = (orders[*maker_a].price, orders[*maker_b].price);
            Yield::compare_per_token(price_a, a.yield_ktok, price_b, b.yield_ktok)
                .then(a.instrument.cmp(&b.instrument))
        })?;
        Some((index, maker))
    }
}
