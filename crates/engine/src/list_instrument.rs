//! Listing an instrument.

use core::mem::offset_of;

use joulebook_book::Book;
use joulebook_ledger::{AssetIx, SlotKey};
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::ListInstrument;
use joulebook_types::{LotSize, Phase, Price, Window};

use crate::auction::Call;
use crate::bands::{MovingBands, check_band};
use crate::instruments::{Instrument, Product};
use crate::price_references::PriceReferences;
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::timers::Timer;
use crate::{Engine, Events};

/// The highest fee: a tenth of the notional.
pub(crate) const FEE_PPM_MAX: i32 = 100_000;

impl Engine {
    pub(crate) fn list_instrument(
        &mut self,
        session: SessionIx,
        list: &ListInstrument,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let (window, lot) = self.check_listing(list)?;
        let product = product(list);
        let assets: Box<[AssetIx]> = self.slots_of(product.class, product.area, window).collect();
        let opens_now = list.opens <= self.time;
        let phase = if opens_now { Phase::Open } else { Phase::Pending };
        let ix = self.instruments.add(Instrument {
            id: self.instruments.last_id().next(),
            product,
            window,
            lot,
            tick: list.tick,
            band_low: list.band_low,
            band_high: list.band_high,
            opens: list.opens,
            gate: list.gate,
            qty_max: list.qty_max,
            taker_fee_ppm: list.taker_fee_ppm,
            maker_fee_ppm: list.maker_fee_ppm,
            phase,
            phase_timer: None,
            start_timer: None,
            bands: MovingBands::default(),
            prices: PriceReferences::listed(list.reference_price),
            call: Call::default(),
            undelivered_slots: assets.len() as u32,
            assets,
            book: Some(Book::new(list.tick)),
        });
        // Set in this order, so that an instrument whose gate is its opening opens first.
        if !opens_now {
            self.timers.set(list.opens, Timer::Open(ix));
        }
        self.timers.set(list.gate, Timer::Gate(ix));
        let start_timer = self.timers.set(window.start(), Timer::DeliveryStart(ix));
        self.instruments[ix].start_timer = Some(start_timer);
        let definition = self.instruments[ix].definition();
        self.publish(definition, out);
        Ok(self.request_done(session, list, u64::from(definition.instrument.raw()), out))
    }

    fn check_listing(&self, list: &ListInstrument) -> Result<(Window, LotSize), Rejection> {
        use RejectReason::*;
        let field = Rejection::field;
        list.class.validate().map_err(|_| field(InvalidCode, offset_of!(ListInstrument, class)))?;
        list.area.validate().map_err(|_| field(InvalidCode, offset_of!(ListInstrument, area)))?;
        let window = Window::new(list.start_minute, list.window_minutes)
            .map_err(|_| field(InvalidWindow, offset_of!(ListInstrument, start_minute)))?;
        let lot = LotSize::new(list.accelerators_per_lot, list.window_minutes);
        if list.tick <= Price::ZERO || lot.is_ok_and(|lot| !lot.is_exact_tick(list.tick)) {
            return Err(field(InvalidTick, offset_of!(ListInstrument, tick)).met(1, list.tick.raw()));
        }
        let offsets = (offset_of!(ListInstrument, band_low), offset_of!(ListInstrument, band_high));
        check_band(list.band_low, list.band_high, list.tick, offsets)?;
        check_reference_price(list)?;
        let lot = lot.map_err(|_| field(InvalidLot, offset_of!(ListInstrument, accelerators_per_lot)))?;
        if list.qty_max == 0 {
            return Err(field(InvalidLot, offset_of!(ListInstrument, qty_max)));
        }
        self.check_gate(list, window)?;
        check_fee(list.taker_fee_ppm, 0, offset_of!(ListInstrument, taker_fee_ppm))?;
        // A rebate is paid from the taker's fee, so it cannot be more than that.
        check_fee(list.maker_fee_ppm, -list.taker_fee_ppm, offset_of!(ListInstrument, maker_fee_ppm))?;
        if self.instruments.is_listed(&product(list)) {
            return Err(Rejection::whole(AlreadyListed));
        }
        if self.instruments.is_full() {
            let limit = self.instruments.instruments_max();
            return Err(Rejection::whole(InstrumentLimit).met(limit, limit + 1));
        }
        self.check_shard(list.area, offset_of!(ListInstrument, area))?;
        Ok((window, lot))
    }

    /// A gate lies ahead, at the window's start or before, not before the opening, and over slots that are still to be
    /// delivered.
    fn check_gate(&self, list: &ListInstrument, window: Window) -> Result<(), Rejection> {
        let delivered = |slot| {
            let asset = self.ledger.find_asset(SlotKey { class: list.class, area: list.area, slot });
            asset.is_some_and(|asset| self.ledger.is_delivered(asset))
        };
        let ahead = self.time < list.gate && list.gate <= window.start() && list.opens <= list.gate;
        if ahead && !window.slots().any(delivered) {
            return Ok(());
        }
        let rejection = Rejection::field(RejectReason::InvalidGate, offset_of!(ListInstrument, gate));
        Err(rejection.met(window.start().raw(), list.gate.raw()))
    }
}

fn product(list: &ListInstrument) -> Product {
    Product {
        class: list.class,
        area: list.area,
        start_minute: list.start_minute,
        window_minutes: list.window_minutes,
    }
}

/// A price that auctions and bands may refer to; zero names none.
fn check_reference_price(list: &ListInstrument) -> Result<(), Rejection> {
    let price = list.reference_price;
    let limit = if price.raw() % list.tick.raw() != 0 {
        list.tick
    } else if price != Price::ZERO && price < list.band_low {
        list.band_low
    } else if price > list.band_high {
        list.band_high
    } else {
        return Ok(());
    };
    let offset = offset_of!(ListInstrument, reference_price);
    Err(Rejection::field(RejectReason::InvalidBand, offset).met(limit.raw(), price.raw()))
}

fn check_fee(ppm: i32, lowest_ppm: i32, offset: usize) -> Result<(), Rejection> {
    let limit = if ppm < lowest_ppm { lowest_ppm } else { FEE_PPM_MAX };
    if (lowest_ppm..=FEE_PPM_MAX).contains(&ppm) {
        return Ok(());
    }
    Err(Rejection::field(RejectReason::InvalidFee, offset).met(limit, ppm))
}
