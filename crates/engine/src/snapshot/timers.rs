//! What is due when, in the order in which it will fire. The dates of orders are with the orders.

use joulebook_types::TimeNs;

use super::LoadError;
use super::reader::Reader;
use super::section::Section;
use super::writer::Writer;
use crate::Engine;
use crate::auction::CallTime;
use crate::capacity::slot_end;
use crate::instruments::InstrumentIx;
use crate::timers::{Timer, TimerKey, Timers};

const TIMER_BYTES: usize = 32;

/// The numbers of timers, the same as in the state hash.
const OPEN: u32 = 1;
const GATE: u32 = 2;
const GRACE: u32 = 3;
const SLOT_END: u32 = 4;
const DEAD_MAN: u32 = 5;
const DELIVERY_START: u32 = 7;
const HALT_END: u32 = 8;
const CALL_END: u32 = 9;
const INDICATION: u32 = 10;

/// Timers that are there exactly while their time lies ahead, counted: each instrument's and slot's once. An
/// instrument knows of its start of delivery itself.
#[derive(Default)]
struct Calendar {
    opens: Vec<bool>,
    gates: Vec<bool>,
    slots: Vec<bool>,
}

impl Engine {
    pub(super) fn save_timers(&self, writer: &mut Writer<'_>) {
        // Dates are written with their orders; the counter is in the first section.
        let Timers { waiting, expiries: _, places: _, set_count: _ } = &self.timers;
        let (instruments, slots) = (self.instruments.numbers(), self.ledger.slot_numbers());
        writer.list(Section::Timers, TIMER_BYTES, waiting.len(), |writer| {
            for (TimerKey { due, set }, timer) in waiting {
                writer.u64(due.raw());
                writer.u64(*set);
                numbers(timer, &instruments, &slots).into_iter().for_each(|number| writer.u32(number));
                writer.end_record();
            }
        });
    }

    pub(super) fn load_timers(&mut self, reader: &mut Reader<'_>) -> Result<(), LoadError> {
        let instruments = self.instruments.len();
        let flags = |count| vec![false; count];
        let mut calendar = Calendar {
            opens: flags(instruments),
            gates: flags(instruments),
            slots: flags(self.ledger.slots().len()),
        };
        let mut last = None;
        reader.list(Section::Timers, TIMER_BYTES, |reader| {
            let key = TimerKey { due: reader.time()?, set: reader.u64()? };
            reader.check(last < Some(key), "timers come in the order in which they fire")?;
            last = Some(key);
            let known = (1..=self.timers.set_count).contains(&key.set);
            // At the end of time itself nothing lies ahead any more.
            let ahead = self.time < key.due || key.due == TimeNs::MAX;
            reader.check(known && ahead, "a timer was set and lies ahead")?;
            let timer = self.load_timer(reader)?;
            let fits = self.attach(key, timer, &mut calendar);
            reader.check(fits, "a timer is one that its subject waits for")?;
            self.timers.waiting.insert(key, timer);
            Ok(())
        })?;
        reader.check(self.is_complete(&calendar), "every gate and every slot has its timer")?;
        reader.check(self.timers.are_set_apart(), "no two timers were set at once")
    }

    fn load_timer(&self, reader: &mut Reader<'_>) -> Result<Timer, LoadError> {
        let [kind, subject, duration_ms, random_ms] =
            [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?];
        let call = CallTime { duration_ms, random_ms };
        let instrument = || {
            let known = (subject as usize) < self.instruments.len();
            known
                .then_some(InstrumentIx::new(subject))
                .ok_or(reader.error("there is no instrument with that number"))
        };
        let timer = match kind {
            OPEN => Timer::Open(instrument()?),
            GATE => Timer::Gate(instrument()?),
            DELIVERY_START => Timer::DeliveryStart(instrument()?),
            HALT_END => return Ok(Timer::HaltEnd(instrument()?, call)),
            CALL_END => Timer::CallEnd(instrument()?),
            INDICATION => Timer::Indication(instrument()?),
            GRACE => Timer::Grace(self.session_numbered(reader, subject)?),
            DEAD_MAN => Timer::DeadMan(self.session_numbered(reader, subject)?),
            SLOT_END => {
                let asset = self.ledger.slot_numbered(subject);
                Timer::SlotEnd(asset.ok_or(reader.error("there is no slot with that number"))?)
            }
            _unknown => return Err(reader.error("there is no such timer")),
        };
        reader.check(call == CallTime::default(), "only a halt knows of a call")?;
        Ok(timer)
    }

    /// Tells a timer's subject of it, and says whether it may have it.
    fn attach(&mut self, key: TimerKey, timer: Timer, calendar: &mut Calendar) -> bool {
        use joulebook_types::Phase::{Auction, Halted};
        match timer {
            Timer::Open(ix) => {
                let due = self.instruments[ix].opens;
                key.due == due && !core::mem::replace(&mut calendar.opens[ix.index()], true)
            }
            Timer::Gate(ix) => {
                let due = self.instruments[ix].gate;
                key.due == due && !core::mem::replace(&mut calendar.gates[ix.index()], true)
            }
            Timer::DeliveryStart(ix) => {
                let instrument = &mut self.instruments[ix];
                key.due == instrument.window.start() && instrument.start_timer.replace(key).is_none()
            }
            Timer::SlotEnd(asset) => {
                let due = slot_end(self.ledger.slot_key(asset).slot);
                key.due == due && !core::mem::replace(&mut calendar.slots[asset.index()], true)
            }
            Timer::HaltEnd(ix, _) => {
                let instrument = &mut self.instruments[ix];
                instrument.phase == Halted && instrument.phase_timer.replace(key).is_none()
            }
            Timer::CallEnd(ix) => {
                let instrument = &mut self.instruments[ix];
                instrument.phase == Auction && instrument.phase_timer.replace(key).is_none()
            }
            Timer::Indication(ix) => {
                let instrument = &mut self.instruments[ix];
                instrument.phase == Auction && instrument.call.indication_timer.replace(key).is_none()
            }
            Timer::Grace(ix) => {
                let session = &mut self.sessions[ix];
                !session.is_connected() && session.grace.replace(key).is_none()
            }
            Timer::DeadMan(ix) => self.sessions[ix].dead_man.replace(key).is_none(),
            Timer::Expiry(_) => false,
        }
    }

    /// Whether nothing that the calendar brings was forgotten.
    fn is_complete(&self, calendar: &Calendar) -> bool {
        let Calendar { opens, gates, slots } = calendar;
        let ahead = |due: TimeNs| self.time < due;
        let instruments = self.instruments.iter().all(|(ix, instrument)| {
            let index = ix.index();
            opens[index] == ahead(instrument.opens)
                && gates[index] == ahead(instrument.gate)
                && instrument.start_timer.is_some() == ahead(instrument.window.start())
                && (instrument.phase == joulebook_types::Phase::Auction)
                    == instrument.call.indication_timer.is_some()
        });
        let end_of = |key: joulebook_ledger::SlotKey| slot_end(key.slot);
        let mut slots = self.ledger.slots().zip(slots);
        instruments && slots.all(|((key, _), set)| *set == ahead(end_of(key)))
    }
}

/// Kind, subject, and the call after a halt. Instruments and slots have the numbers of their lists.
fn numbers(timer: &Timer, instruments: &[u32], slots: &[u32]) -> [u32; 4] {
    let number = |ix: InstrumentIx| instruments[ix.index()];
    match *timer {
        Timer::Open(ix) => [OPEN, number(ix), 0, 0],
        Timer::Gate(ix) => [GATE, number(ix), 0, 0],
        Timer::DeliveryStart(ix) => [DELIVERY_START, number(ix), 0, 0],
        Timer::HaltEnd(ix, CallTime { duration_ms, random_ms }) => {
            [HALT_END, number(ix), duration_ms, random_ms]
        }
        Timer::CallEnd(ix) => [CALL_END, number(ix), 0, 0],
        Timer::Indication(ix) => [INDICATION, number(ix), 0, 0],
        Timer::Grace(session) => [GRACE, session.raw(), 0, 0],
        Timer::SlotEnd(asset) => [SLOT_END, slots[asset.index()], 0, 0],
        Timer::DeadMan(session) => [DEAD_MAN, session.raw(), 0, 0],
        Timer::Expiry(_) => unreachable!("dates are kept apart"),
    }
}
