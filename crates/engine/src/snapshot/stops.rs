//! What stops wait for. The rest of them is with the other orders.

use joulebook_types::{OrderId, Phase, Price, SlotHint};

use super::LoadError;
use super::orders::price_number;
use super::reader::Reader;
use super::section::Section;
use super::writer::Writer;
use crate::Engine;
use crate::instruments::InstrumentIx;
use crate::orders::Place;
use crate::stop_book::{Stop, StopTrigger};
use crate::stop_checks::TRAIL_BPS_MAX;
use crate::trailing::{Distance, Trail};

const STOP_BYTES: usize = 48;

const AT_PRICE: u8 = 1;
const TRAILS_BY_PRICE: u8 = 2;
const TRAILS_BY_BPS: u8 = 3;

impl Engine {
    pub(super) fn save_stops(&self, writer: &mut Writer<'_>) {
        writer.list(Section::Stops, STOP_BYTES, self.stops.len(), |writer| {
            for slot in self.slots_outside() {
                if let Some(stop) = self.stops.get(slot) {
                    save_stop(writer, &stop);
                    writer.end_record();
                }
            }
        });
    }

    pub(super) fn load_stops(&mut self, reader: &mut Reader<'_>) -> Result<(), LoadError> {
        let mut last_id = OrderId::NONE;
        reader.list(Section::Stops, STOP_BYTES, |reader| {
            let order_id = OrderId::new(reader.u64()?);
            reader.check(last_id < order_id, "stops come in the order of their ids")?;
            last_id = order_id;
            let slot = self.orders.find(order_id, SlotHint::UNKNOWN);
            let slot = slot.filter(|slot| self.orders.terms(*slot).place == Place::Stop);
            let slot = slot.ok_or(reader.error("a stop is an open order outside of books"))?;
            let trigger = load_trigger(reader)?;
            let mark = reader.price_if_any()?;
            let order = &self.orders.slab[slot];
            let (instrument, side) = (InstrumentIx::new(order.instrument), order.side);
            let held = self.counted_hold(slot);
            let stop = Stop { slot, order_id, instrument, side, trigger, mark, held };
            let open = self.instruments[instrument].phase == Phase::Open;
            let waits = mark.is_none() || !open && stop.trigger_price().is_some();
            reader.check(waits, "a stop that was reached acts where its market is open")?;
            self.stops.add(stop);
            Ok(())
        })?;
        let outside = self.slots_outside();
        let stops = outside.iter().filter(|slot| self.orders.terms(**slot).place == Place::Stop).count();
        reader.check(stops == self.stops.len(), "every stop waits for something")
    }
}

fn save_stop(writer: &mut Writer<'_>, stop: &Stop) {
    // What it holds is counted from its order and the one that it is linked with.
    let Stop { slot: _, order_id, instrument: _, side: _, trigger, mark, held: _ } = stop;
    writer.u64(order_id.raw());
    let (kind, bps, price, activation_price, peak) = match *trigger {
        StopTrigger::Price(price) => (AT_PRICE, 0, price, Price::ZERO, None),
        StopTrigger::Trailing(Trail { distance, activation_price, peak }) => match distance {
            Distance::Price(by) => (TRAILS_BY_PRICE, 0, by, activation_price, peak),
            Distance::BasisPoints(bps) => (TRAILS_BY_BPS, bps, Price::ZERO, activation_price, peak),
        },
    };
    writer.u8(kind);
    writer.zeros::<3>();
    writer.u32(bps);
    writer.i64(price.raw());
    writer.i64(activation_price.raw());
    writer.i64(price_number(peak));
    writer.i64(price_number(*mark));
}

fn load_trigger(reader: &mut Reader<'_>) -> Result<StopTrigger, LoadError> {
    let kind = reader.u8()?;
    reader.zeros::<3>()?;
    let (bps, price) = (reader.u32()?, reader.price_if_any()?);
    let (activation_price, peak) = (reader.price_if_any()?, reader.price_if_any()?);
    let trails = |distance| {
        let activation_price = activation_price.unwrap_or(Price::ZERO);
        StopTrigger::Trailing(Trail { distance, activation_price, peak })
    };
    match (kind, bps, price) {
        (AT_PRICE, 0, Some(price)) if activation_price.is_none() && peak.is_none() => {
            Ok(StopTrigger::Price(price))
        }
        (TRAILS_BY_PRICE, 0, Some(distance)) => Ok(trails(Distance::Price(distance))),
        (TRAILS_BY_BPS, 1..=TRAIL_BPS_MAX, None) => Ok(trails(Distance::BasisPoints(bps))),
        (_, _, _) => Err(reader.error("a stop waits for a price or trails at a distance")),
    }
}
