//! Listed instruments: definitions, phases, bands, reference prices, calls.

use joulebook_book::Book;
use joulebook_ledger::{AssetIx, SlotKey};
use joulebook_types::{InstrumentId, LotSize, Phase, Price, TimeNs, Window};
use zerocopy::IntoBytes;

use super::LoadError;
use super::reader::Reader;
use super::section::Section;
use super::writer::Writer;
use crate::Engine;
use crate::auction::{Call, CallTime, Indication};
use crate::bands::{DYNAMIC_BPS_MAX, MovingBands, check_band};
use crate::capacity::slot_end;
use crate::instruments::{Instrument, Product};
use crate::list_instrument::FEE_PPM_MAX;
use crate::price_references::{Anchor, PriceReferences, Seen};

const INSTRUMENT_BYTES: usize = 200;

impl Engine {
    pub(super) fn save_instruments(&self, writer: &mut Writer<'_>) {
        writer.list(Section::Instruments, INSTRUMENT_BYTES, self.instruments.len(), |writer| {
            for (_, instrument) in self.instruments.iter() {
                save_instrument(writer, instrument);
                writer.end_record();
            }
        });
    }

    /// `last` is the last id that was given.
    pub(super) fn load_instruments(
        &mut self,
        reader: &mut Reader<'_>,
        last: InstrumentId,
    ) -> Result<(), LoadError> {
        reader.list(Section::Instruments, INSTRUMENT_BYTES, |reader| {
            let instrument = self.load_instrument(reader)?;
            let closed = instrument.is_closed();
            reader.check(closed || !self.instruments.is_full(), "more books than the limit")?;
            let ix = self.instruments.add(instrument);
            if closed {
                self.instruments.close(ix);
            }
            Ok(())
        })?;
        let known = self.instruments.last_id() <= last;
        reader.check(known, "an instrument has an id that was given")?;
        self.instruments.restore_last_id(last);
        let forgotten = self.ledger.slots().all(|(key, delivered)| !delivered || self.is_kept(key));
        reader.check(forgotten, "a slot is forgotten when it is over, delivered and nobody's")
    }

    /// Whether a delivered slot is still there for something.
    fn is_kept(&self, key: SlotKey) -> bool {
        let asset = self.ledger.find_asset(key).expect("it was just listed");
        self.time < slot_end(key.slot) || self.instruments.over(asset).next().is_some()
    }

    fn load_instrument(&self, reader: &mut Reader<'_>) -> Result<Instrument, LoadError> {
        let (id, start_minute) = (InstrumentId::new(reader.u32()?), reader.u32()?);
        reader.check(self.instruments.last_id() < id, "instruments come in the order of their ids")?;
        let (class, area, window_minutes) = (reader.class()?, reader.area()?, reader.u16()?);
        let window = Window::new(start_minute, window_minutes);
        let window = window.map_err(|_| reader.error("an instrument has a delivery window"))?;
        let lot = LotSize::new(reader.u16()?, window_minutes);
        let lot = lot.map_err(|_| reader.error("a lot has accelerators"))?;
        let phase = Phase::from_raw(reader.u8()?).ok_or(reader.error("an instrument has a phase"))?;
        reader.zeros::<3>()?;
        let product = Product { class, area, start_minute, window_minutes };
        reader
            .check(!area.is_none() && !self.instruments.is_listed(&product), "a product is listed twice")?;
        let assets = self.assets_of(&product, window).ok_or(reader.error("an instrument has its slots"))?;
        let undelivered = assets.iter().filter(|asset| !self.ledger.is_delivered(**asset)).count();
        let tick = reader.price()?;
        let (band_low, band_high) = (reader.price()?, reader.price()?);
        let (opens, gate) = (reader.time()?, reader.time()?);
        let (taker_fee_ppm, maker_fee_ppm) = (reader.i32()?, reader.i32()?);
        reader.check(lot.is_exact_tick(tick), "a tick is exact")?;
        let in_band = check_band(band_low, band_high, tick, (0, 0)).is_ok();
        reader.check(in_band, "an instrument has a band")?;
        let qty_max = reader.u32()?;
        reader.check(qty_max > 0, "an instrument has a largest order")?;
        let fees = (0..=FEE_PPM_MAX).contains(&taker_fee_ppm)
            && (-taker_fee_ppm..=FEE_PPM_MAX).contains(&maker_fee_ppm);
        reader.check(fees, "fees are within their bounds")?;
        let instrument = Instrument {
            id,
            product,
            window,
            lot,
            tick,
            band_low,
            band_high,
            opens,
            gate,
            qty_max,
            taker_fee_ppm,
            maker_fee_ppm,
            phase,
            phase_timer: None,
            start_timer: None,
            bands: load_bands(reader, tick)?,
            prices: self.load_prices(reader, tick)?,
            call: Call { indicated: load_indication(reader)?, ..Call::default() },
            undelivered_slots: undelivered as u32,
            assets,
            book: Some(Book::new(tick)),
        };
        self.check_life(reader, &instrument)?;
        Ok(instrument)
    }

    /// Phase, time and what is delivered go together.
    fn check_life(&self, reader: &Reader<'_>, instrument: &Instrument) -> Result<(), LoadError> {
        let Instrument { opens, gate, window, undelivered_slots, phase, ref assets, .. } = *instrument;
        reader.check(opens <= gate && gate <= window.start(), "an instrument opens, closes and delivers")?;
        reader
            .check(instrument.is_closed() == (gate <= self.time), "the gate closes when its time has come")?;
        let right = match phase {
            Phase::Pending => undelivered_slots == assets.len() as u32 && self.time < opens,
            Phase::PreOpen | Phase::Open | Phase::Halted | Phase::Auction => {
                undelivered_slots == assets.len() as u32
            }
            Phase::Closed => undelivered_slots > 0 && self.time < window.start(),
            Phase::Delivering => undelivered_slots > 0 && window.start() <= self.time,
            Phase::Settled => false,
        };
        reader.check(right, "an instrument's phase goes with its time and its slots")
    }

    /// The slots of a window; `None` when one of them was never named.
    fn assets_of(&self, product: &Product, window: Window) -> Option<Box<[AssetIx]>> {
        let Product { class, area, .. } = *product;
        window.slots().map(|slot| self.ledger.find_asset(SlotKey { class, area, slot })).collect()
    }

    fn load_prices(&self, reader: &mut Reader<'_>, tick: Price) -> Result<PriceReferences, LoadError> {
        let prices = PriceReferences {
            listed: load_price(reader, tick)?,
            seen: self.load_seen(reader, tick)?,
            printed_in_step: reader.u64()?,
            before: self.load_seen(reader, tick)?,
            anchored_in_step: 0,
        };
        reader.check(prices.printed_in_step <= self.step, "a print lies in the past")?;
        Ok(prices)
    }

    fn load_seen(&self, reader: &mut Reader<'_>, tick: Price) -> Result<Seen, LoadError> {
        let last_print = load_price(reader, tick)?;
        let (price, since) = (load_price(reader, tick)?, reader.time()?);
        let anchor = price.map(|price| Anchor { price, since });
        reader.check(since <= self.time, "a print lies in the past")?;
        reader.check(anchor.is_some() || since == TimeNs::ZERO, "no price has no time")?;
        Ok(Seen { last_print, anchor })
    }
}

fn save_instrument(writer: &mut Writer<'_>, instrument: &Instrument) {
    let Instrument {
        id,
        product: Product { class, area, start_minute, window_minutes },
        // The product's.
        window: _,
        lot,
        tick,
        band_low,
        band_high,
        opens,
        gate,
        qty_max,
        taker_fee_ppm,
        maker_fee_ppm,
        phase,
        // Timers say which instrument they are for.
        phase_timer: _,
        start_timer: _,
        bands,
        prices,
        call,
        // Slots are found by their names, and know whether they are delivered.
        undelivered_slots: _,
        assets: _,
        // Orders are in the order of priority.
        book: _,
    } = instrument;
    writer.u32(id.raw());
    writer.u32(*start_minute);
    writer.bytes(class.as_bytes());
    writer.bytes(area.as_bytes());
    writer.u16(*window_minutes);
    writer.u16(lot.accelerators());
    writer.u8(phase.raw());
    writer.zeros::<3>();
    for price in [tick, band_low, band_high] {
        writer.i64(price.raw());
    }
    writer.u64(opens.raw());
    writer.u64(gate.raw());
    writer.i32(*taker_fee_ppm);
    writer.i32(*maker_fee_ppm);
    writer.u32(*qty_max);
    save_bands(writer, bands);
    save_prices(writer, prices);
    // Orders that wait for the call know that they do, and so does its timer.
    let Call { market_orders: _, indication_timer: _, indicated } = call;
    let Indication { price, volume, surplus } = indicated;
    writer.i64(price.raw());
    writer.u64(*volume);
    writer.i64(*surplus);
}

fn save_bands(writer: &mut Writer<'_>, bands: &MovingBands) {
    let MovingBands { dynamic_bps, velocity_move, velocity_window_ms, halt_ms, call } = *bands;
    let CallTime { duration_ms, random_ms } = call;
    for number in [dynamic_bps, velocity_window_ms, halt_ms, duration_ms, random_ms] {
        writer.u32(number);
    }
    writer.i64(velocity_move.raw());
}

fn load_bands(reader: &mut Reader<'_>, tick: Price) -> Result<MovingBands, LoadError> {
    let (dynamic_bps, velocity_window_ms, halt_ms) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let call = CallTime { duration_ms: reader.u32()?, random_ms: reader.u32()? };
    let velocity_move = reader.price()?;
    let on_tick = velocity_move >= Price::ZERO && velocity_move.raw() % tick.raw() == 0;
    let whole = velocity_move == Price::ZERO || velocity_window_ms != 0 && call.duration_ms != 0;
    reader.check(dynamic_bps <= DYNAMIC_BPS_MAX && on_tick && whole, "bands are within their bounds")?;
    Ok(MovingBands { dynamic_bps, velocity_move, velocity_window_ms, halt_ms, call })
}

fn save_prices(writer: &mut Writer<'_>, prices: &PriceReferences) {
    let PriceReferences { listed, seen, printed_in_step, before, anchored_in_step: _ } = *prices;
    let price = |price: Option<Price>| price.map_or(0, Price::raw);
    let save_seen = |writer: &mut Writer<'_>, Seen { last_print, anchor }: Seen| {
        writer.i64(price(last_print));
        writer.i64(price(anchor.map(|anchor| anchor.price)));
        writer.u64(anchor.map_or(0, |anchor| anchor.since.raw()));
    };
    writer.i64(price(listed));
    save_seen(writer, seen);
    writer.u64(printed_in_step);
    save_seen(writer, before);
}

/// A price that trades may have.
fn load_price(reader: &mut Reader<'_>, tick: Price) -> Result<Option<Price>, LoadError> {
    let price = reader.price_if_any()?;
    let on_tick = price.is_none_or(|price| price.raw() % tick.raw() == 0);
    reader.check(on_tick, "a price is a multiple of the tick")?;
    Ok(price)
}

fn load_indication(reader: &mut Reader<'_>) -> Result<Indication, LoadError> {
    Ok(Indication { price: reader.price()?, volume: reader.u64()?, surplus: reader.i64()? })
}
