//! How far an instrument's price may go, and how fast.

use core::mem::offset_of;

use joulebook_book::Slot;
use joulebook_protocol::messages::{BandsChanged, SetBands};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{Phase, Price, Side, TimeNs};

use crate::auction::CallTime;
use crate::cancel::Requester;
use crate::instruments::{Instrument, InstrumentIx};
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

/// The whole of a price, in basis points.
const BPS: i128 = 10_000;
pub(crate) const DYNAMIC_BPS_MAX: u32 = 10_000;

/// The bands that move with the market, and what happens when it is too fast.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MovingBands {
    /// How far beyond the base an order may be priced or trade; zero: off.
    pub(crate) dynamic_bps: u32,
    /// A trade further than this from the price of a window ago is not made; zero: off.
    pub(crate) velocity_move: Price,
    pub(crate) velocity_window_ms: u32,
    /// From a halt to its call.
    pub(crate) halt_ms: u32,
    pub(crate) call: CallTime,
}

/// How far matching may go, as of the step's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The dearest price for a buyer, the cheapest for a seller; `None` where no dynamic band applies.
    pub(crate) dynamic: Option<Price>,
    /// Prices that are not too far from the velocity reference, both ends included; `None` where none applies.
    pub(crate) velocity: Option<(Price, Price)>,
}

/// What a bound says of the next trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Within,
    BeyondDynamic,
    BeyondVelocity,
}

impl Bound {
    /// Of instruments without bands that move.
    const NONE: Self = Self { dynamic: None, velocity: None };

    /// What it says of a trade at a price.
    #[inline(always)]
    pub(crate) fn reach(&self, side: Side, price: Price) -> Reach {
        match (self.dynamic, self.velocity) {
            (None, None) => Reach::Within,
            (Some(_), _) | (_, Some(_)) => self.reach_of_any(side, price),
        }
    }

    /// The dynamic band is looked at first.
    #[inline(never)]
    fn reach_of_any(&self, side: Side, price: Price) -> Reach {
        if self.is_beyond_dynamic(side, price) {
            return Reach::BeyondDynamic;
        }
        match self.velocity {
            Some((low, high)) if price < low || price > high => Reach::BeyondVelocity,
            Some(_) | None => Reach::Within,
        }
    }

    /// Whether a price is worse for an order of `side` than the dynamic band allows.
    pub(crate) fn is_beyond_dynamic(&self, side: Side, price: Price) -> bool {
        self.dynamic.is_some_and(|limit| is_beyond(side, price, limit))
    }
}

/// Whether a price is worse than `limit` for an order of `side`.
fn is_beyond(side: Side, price: Price, limit: Price) -> bool {
    match side {
        Side::Buy => price > limit,
        Side::Sell => price < limit,
    }
}

impl Instrument {
    #[inline]
    pub(crate) fn has_dynamic_band(&self) -> bool {
        self.bands.dynamic_bps != 0
    }

    /// The worst price that the dynamic band allows a side; `None` while it is off or has nothing to refer to.
    #[inline]
    fn dynamic_bound(&self, side: Side, step: u64) -> Option<Price> {
        if self.bands.dynamic_bps == 0 { None } else { self.dynamic_bound_around_base(side, step) }
    }

    fn dynamic_bound_around_base(&self, side: Side, step: u64) -> Option<Price> {
        let base = i128::from(self.prices.base(step)?.raw());
        let room = base * i128::from(self.bands.dynamic_bps) / BPS;
        let bound = match side {
            Side::Buy => base + room,
            Side::Sell => base - room,
        };
        Some(Price::new(i64::try_from(bound).unwrap_or(i64::MAX)))
    }

    /// How far an order of `side` may trade. The same for the whole step, whatever it prints.
    #[inline]
    fn bound(&self, side: Side, step: u64, now: TimeNs) -> Bound {
        let MovingBands { dynamic_bps, velocity_move, .. } = self.bands;
        if dynamic_bps == 0 && velocity_move == Price::ZERO {
            Bound::NONE
        } else {
            self.moving_bound(side, step, now)
        }
    }

    fn moving_bound(&self, side: Side, step: u64, now: TimeNs) -> Bound {
        let reach = self.bands.velocity_move.raw();
        let reference = self.prices.velocity_reference(step, now, self.bands.velocity_window_ms);
        let velocity = reference.filter(|_| reach != 0).map(|reference| {
            let (low, high) = (reference.raw() - reach, reference.raw().saturating_add(reach));
            (Price::new(low), Price::new(high))
        });
        Bound { dynamic: self.dynamic_bound(side, step), velocity }
    }

    fn bands_changed(&self, time: TimeNs) -> BandsChanged {
        BandsChanged {
            time,
            band_low: self.band_low,
            band_high: self.band_high,
            velocity_move: self.bands.velocity_move,
            instrument: self.id,
            dynamic_bps: self.bands.dynamic_bps,
            velocity_window_ms: self.bands.velocity_window_ms,
            ..Default::default()
        }
    }

    fn is_in_band(&self, price: Price) -> bool {
        (self.band_low..=self.band_high).contains(&price)
    }

    /// The price of the static band that is nearest to `price`.
    pub(crate) fn nearest_in_band(&self, price: Price) -> Price {
        price.clamp(self.band_low, self.band_high)
    }

    /// The bands that the listing did not set, for those who come later.
    pub(crate) fn moving_bands(&self, time: TimeNs) -> Option<BandsChanged> {
        let MovingBands { dynamic_bps, velocity_move, .. } = self.bands;
        (dynamic_bps != 0 || velocity_move != Price::ZERO).then(|| self.bands_changed(time))
    }
}

impl Engine {
    /// How far an order of `side` may trade in the step in hand.
    #[inline(always)]
    pub(crate) fn trade_bound(&self, ix: InstrumentIx, side: Side) -> Bound {
        self.instruments[ix].bound(side, self.step, self.time)
    }

    /// The dynamic band's check of a limit price on entry. Only where orders trade on entry: a call finds its own price.
    #[inline(always)]
    pub(crate) fn check_dynamic_band(
        &self,
        ix: InstrumentIx,
        side: Side,
        price: Price,
        offset: usize,
    ) -> Result<(), Rejection> {
        let instrument = &self.instruments[ix];
        match instrument.dynamic_bound(side, self.step) {
            Some(limit) if instrument.phase == Phase::Open && is_beyond(side, price, limit) => {
                let outside = Rejection::field(RejectReason::PriceOutsideBand, offset);
                Err(outside.met(limit.raw(), price.raw()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Changes all bands of an instrument; orders outside the new ones are canceled.
    pub(crate) fn set_bands(
        &mut self,
        session: SessionIx,
        set: &SetBands,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let ix = self.check_set_bands(set).map_err(|rejection| rejection.of_instrument(set.instrument))?;
        let call = CallTime { duration_ms: set.auction_ms, random_ms: set.auction_random_ms };
        let instrument = &mut self.instruments[ix];
        instrument.band_low = set.band_low;
        instrument.band_high = set.band_high;
        instrument.bands = MovingBands {
            dynamic_bps: set.dynamic_bps,
            velocity_move: set.velocity_move,
            velocity_window_ms: set.velocity_window_ms,
            halt_ms: set.halt_ms,
            call,
        };
        let changed = instrument.bands_changed(self.time);
        self.publish(changed, out);
        self.cancel_outside_band(ix, out);
        Ok(self.request_done(session, set, 0, out))
    }

    fn check_set_bands(&self, set: &SetBands) -> Result<InstrumentIx, Rejection> {
        let ix = self.find_instrument(set.instrument, offset_of!(SetBands, instrument))?;
        self.check_before_gate(ix)?;
        let tick = self.instruments[ix].tick;
        let offsets = (offset_of!(SetBands, band_low), offset_of!(SetBands, band_high));
        check_band(set.band_low, set.band_high, tick, offsets)?;
        check_moving_bands(set, tick)?;
        Ok(ix)
    }

    /// Bids best first, then asks, then stops that wait with a limit of their own, by order id.
    fn cancel_outside_band(&mut self, ix: InstrumentIx, out: &mut Events) {
        for side in [Side::Buy, Side::Sell] {
            let mut next = self.instruments[ix].book().front(&self.orders.slab, side);
            while let Some(slot) = next {
                let instrument = &self.instruments[ix];
                next = instrument.book().maker_after(&self.orders.slab, slot);
                if !instrument.is_in_band(self.orders.slab[slot].price) {
                    self.cancel_open_order(slot, CancelReason::PriceBand, Requester::NOBODY, out);
                }
            }
        }
        let is_outside = |engine: &Self, slot: Slot| {
            let price = engine.orders.slab[slot].price;
            engine.has_price_of_its_own(slot) && !engine.instruments[ix].is_in_band(price)
        };
        self.cancel_stops(ix, CancelReason::PriceBand, is_outside, out);
    }
}

/// The static band: positive multiples of the tick, not empty. `offsets` are those of its ends in the message.
pub(crate) fn check_band(
    low: Price,
    high: Price,
    tick: Price,
    offsets: (usize, usize),
) -> Result<(), Rejection> {
    let off_tick = |price: Price| price.raw() % tick.raw() != 0;
    let field = |offset| Rejection::field(RejectReason::InvalidBand, offset);
    if low <= Price::ZERO || off_tick(low) {
        return Err(field(offsets.0).met(tick.raw(), low.raw()));
    }
    if high < low || off_tick(high) {
        return Err(field(offsets.1).met(low.raw(), high.raw()));
    }
    Ok(())
}

fn check_moving_bands(set: &SetBands, tick: Price) -> Result<(), Rejection> {
    let field = |offset| Rejection::field(RejectReason::InvalidBand, offset);
    if set.dynamic_bps > DYNAMIC_BPS_MAX {
        return Err(field(offset_of!(SetBands, dynamic_bps)).met(DYNAMIC_BPS_MAX, set.dynamic_bps));
    }
    let velocity_move = set.velocity_move;
    if velocity_move < Price::ZERO || velocity_move.raw() % tick.raw() != 0 {
        return Err(field(offset_of!(SetBands, velocity_move)).met(0, velocity_move.raw()));
    }
    let velocity = velocity_move != Price::ZERO;
    if velocity && set.velocity_window_ms == 0 {
        return Err(field(offset_of!(SetBands, velocity_window_ms)).met(0, 0));
    }
    if velocity && set.auction_ms == 0 {
        return Err(field(offset_of!(SetBands, auction_ms)).met(0, 0));
    }
    Ok(())
}
