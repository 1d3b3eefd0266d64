//! A market day: the same windows some hours later, under new ids.
//!
//! What the first day listed is settled and forgotten by then, and its places are used again. Steps that name the first
//! day's windows are moved to the later day's, but for a few that go on naming what is gone.

use joulebook_protocol::Command;
use joulebook_types::{InstrumentId, QuarterSlot, TimeNs};

/// From the start of one day's windows to that of the next one's.
pub const DAY_MINUTES: u32 = 240;

#[derive(Clone, Copy, Debug, Default)]
pub struct Day {
    /// Instruments that were listed before it.
    pub listed: u32,
    /// How much later than on the first day everything is.
    pub minutes: u32,
}

impl Day {
    /// The command as of this day; one in nine stays as it is.
    pub fn moved(&self, command: &Command, number: u64) -> Command {
        let mut command = *command;
        if self.minutes > 0 && !number.is_multiple_of(9) {
            self.name_instruments(&mut command);
            self.name_times(&mut command);
        }
        command
    }

    fn name_instruments(&self, command: &mut Command) {
        let id = |id: &mut InstrumentId| {
            if (1..10).contains(&id.raw()) {
                *id = InstrumentId::new(id.raw() + self.listed);
            }
        };
        match command {
            Command::NewOrder(order) => id(&mut order.instrument),
            Command::OcoOrder(order) => id(&mut order.instrument),
            Command::OrderBatch(batch) => {
                batch.entries.iter_mut().for_each(|entry| id(&mut entry.instrument))
            }
            Command::MassCancel(cancel) => id(&mut cancel.instrument),
            Command::MassQuote(quote) => quote.pairs.iter_mut().for_each(|pair| id(&mut pair.instrument)),
            Command::TokenOrder(order) => order.instruments.iter_mut().for_each(id),
            Command::Basket(basket) => basket.legs.iter_mut().for_each(|leg| id(&mut leg.instrument)),
            Command::SetPhase(set) => id(&mut set.instrument),
            Command::SetBands(set) => id(&mut set.instrument),
            _names_none => {}
        }
    }

    fn name_times(&self, command: &mut Command) {
        let later = |time: &mut TimeNs| {
            let more = TimeNs::from_minutes(self.minutes).raw();
            *time = TimeNs::new(time.raw().saturating_add(more));
        };
        match command {
            Command::BlockSweep(sweep) => sweep.start_minute += self.minutes,
            Command::RegisterCapacity(register) => register.start_minute += self.minutes,
            Command::DeliverSlot(deliver) => {
                deliver.slot = QuarterSlot::new(deliver.slot.raw() + self.minutes / 15);
            }
            Command::ListInstrument(list) => {
                list.start_minute += self.minutes;
                later(&mut list.opens);
                later(&mut list.gate);
            }
            _names_none => {}
        }
    }
}
