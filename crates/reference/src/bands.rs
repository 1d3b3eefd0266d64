//! How far and how fast prices may move.

use core::mem::offset_of;

use joulebook_protocol::messages::{BandsChanged, SetBands};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{OrderId, Phase, Price, Side};

use crate::market::{Instrument, Market};
use crate::orders::Work;
use crate::rejection::{Checked, Rejection, field, whole};

const DYNAMIC_BPS_MAX: u32 = 10_000;

impl Instrument {
    /// The worst price that the dynamic band lets an order of `side` have now, if there is such a band.
    pub(crate) fn dynamic_bound(&self, side: Side) -> Option<i64> {
        let base = self.step_base?.raw();
        if self.dynamic_bps == 0 {
            return None;
        }
        let room = i128::from(base) * i128::from(self.dynamic_bps) / 10_000;
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        Some(match side {
            Side::Buy => base.saturating_add(room),
            Side::Sell => base - room,
        })
    }

    /// The far edge of the static band: the limit of an order without one.
    pub(crate) fn band_edge(&self, side: Side) -> Price {
        match side {
            Side::Buy => self.band_high,
            Side::Sell => self.band_low,
        }
    }

    fn in_band(&self, price: Price) -> bool {
        self.band_low <= price && price <= self.band_high
    }
}

impl Market {
    pub(crate) fn beyond_dynamic(&self, instrument: usize, side: Side, price: Price) -> bool {
        self.instruments[instrument].dynamic_bound(side).is_some_and(|bound| match side {
            Side::Buy => price.raw() > bound,
            Side::Sell => price.raw() < bound,
        })
    }

    pub(crate) fn beyond_velocity(&self, instrument: usize, price: Price) -> bool {
        let instrument = &self.instruments[instrument];
        let far = |from: Price| price.raw().abs_diff(from.raw()) > instrument.velocity_move.raw() as u64;
        instrument.velocity_move != Price::ZERO && instrument.step_velocity.is_some_and(far)
    }

    /// The dynamic band as a rule for a new price, in the field at `offset`: only while the instrument is open.
    pub(crate) fn check_dynamic(&self, index: usize, side: Side, price: Price, offset: usize) -> Checked {
        let instrument = &self.instruments[index];
        match instrument.dynamic_bound(side) {
            Some(bound) if instrument.phase == Phase::Open && self.beyond_dynamic(index, side, price) => {
                Err(field(RejectReason::PriceOutsideBand, offset).met(bound, price.raw()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The static rules for a price in the field at `offset`.
    pub(crate) fn check_price(&self, index: usize, price: Price, offset: usize) -> Checked {
        let instrument = &self.instruments[index];
        let refuse = |reason, limit: Price| Err(field(reason, offset).met(limit.raw(), price.raw()));
        if price <= Price::ZERO {
            return refuse(RejectReason::PriceNotPositive, Price::new(1));
        }
        if price.raw() % instrument.tick.raw() != 0 {
            return refuse(RejectReason::PriceOffTick, instrument.tick);
        }
        if price < instrument.band_low {
            return refuse(RejectReason::PriceOutsideBand, instrument.band_low);
        }
        if price > instrument.band_high {
            return refuse(RejectReason::PriceOutsideBand, instrument.band_high);
        }
        Ok(())
    }

    pub(crate) fn set_bands(&mut self, session: usize, set: &SetBands) -> Checked {
        let index = self.check_bands(set).map_err(|rejection| rejection.of_instrument(set.instrument))?;
        let instrument = &mut self.instruments[index];
        instrument.band_low = set.band_low;
        instrument.band_high = set.band_high;
        instrument.dynamic_bps = set.dynamic_bps;
        instrument.velocity_move = set.velocity_move;
        instrument.velocity_window_ms = set.velocity_window_ms;
        instrument.halt_ms = set.halt_ms;
        instrument.auction_ms = set.auction_ms;
        instrument.auction_random_ms = set.auction_random_ms;
        self.publish(BandsChanged {
            time: self.time,
            band_low: set.band_low,
            band_high: set.band_high,
            velocity_move: set.velocity_move,
            instrument: set.instrument,
            dynamic_bps: set.dynamic_bps,
            velocity_window_ms: set.velocity_window_ms,
            ..Default::default()
        });
        self.cancel_outside_band(index);
        self.request_done::<SetBands>(session, set.client_order_id, 0);
        Ok(())
    }

    fn check_bands(&self, set: &SetBands) -> Checked<usize> {
        let index = self.find_instrument(set.instrument, offset_of!(SetBands, instrument))?;
        let instrument = &self.instruments[index];
        if instrument.is_closed() {
            return Err(self.gate_closed(index));
        }
        let offsets = (offset_of!(SetBands, band_low), offset_of!(SetBands, band_high));
        check_static_band(instrument.tick, set.band_low, set.band_high, offsets)?;
        let invalid =
            |offset, limit: u32, value: i64| Err(field(RejectReason::InvalidBand, offset).met(limit, value));
        if set.dynamic_bps > DYNAMIC_BPS_MAX {
            let offset = offset_of!(SetBands, dynamic_bps);
            return invalid(offset, DYNAMIC_BPS_MAX, i64::from(set.dynamic_bps));
        }
        let velocity = set.velocity_move;
        if velocity < Price::ZERO || velocity.raw() % instrument.tick.raw() != 0 {
            return invalid(offset_of!(SetBands, velocity_move), 0, velocity.raw());
        }
        if velocity != Price::ZERO && set.velocity_window_ms == 0 {
            return invalid(offset_of!(SetBands, velocity_window_ms), 0, 0);
        }
        if velocity != Price::ZERO && set.auction_ms == 0 {
            return invalid(offset_of!(SetBands, auction_ms), 0, 0);
        }
        Ok(index)
    }

    fn cancel_outside_band(&mut self, index: usize) {
        let outside = |market: &Self, id: OrderId| !market.instruments[index].in_band(market.order(id).limit);
        for side in [Side::Buy, Side::Sell] {
            let queue: Vec<OrderId> = self.queue(index, side).iter().map(|order| order.id).collect();
            for id in queue.into_iter().filter(|id| outside(self, *id)).collect::<Vec<_>>() {
                self.cancel_open(id, CancelReason::PriceBand, None);
            }
        }
        let stops = self
            .orders
            .values()
            .filter(|order| order.instrument == index && order.work == Work::Waiting && !order.market);
        for id in stops.map(|order| order.id).collect::<Vec<_>>() {
            if self.orders.contains_key(&id) && outside(self, id) {
                self.cancel_open(id, CancelReason::PriceBand, None);
            }
        }
    }

    pub(crate) fn gate_closed(&self, index: usize) -> Rejection {
        let gate = self.instruments[index].gate;
        whole(RejectReason::GateClosed).met(gate.raw(), self.time.raw())
    }
}

/// The rules for a static band, with the offsets of its two fields.
pub(crate) fn check_static_band(tick: Price, low: Price, high: Price, offsets: (usize, usize)) -> Checked {
    let off_tick = |price: Price| price.raw() % tick.raw() != 0;
    if low <= Price::ZERO || off_tick(low) {
        return Err(field(RejectReason::InvalidBand, offsets.0).met(tick.raw(), low.raw()));
    }
    if high < low || off_tick(high) {
        return Err(field(RejectReason::InvalidBand, offsets.1).met(low.raw(), high.raw()));
    }
    Ok(())
}
