//! Where each command of a recording reaches, and how much it says: an engine tells it beforehand.

use std::collections::BTreeMap;

use joulebook_engine::{Destination, Engine, Events, Record};
use joulebook_journal::{Batch, EventDigest};
use joulebook_protocol::{Event, Frame};
use joulebook_sequencer::apply_batch;
use joulebook_types::{InstrumentId, Price, Side, SlotHint};

use crate::recording::Recording;
use crate::tape::is_maker;

/// Where an order, its level, its hold and its session lie. Nobody's is all zeros.
#[derive(Clone, Copy, Default)]
pub(super) struct Places {
    pub(super) order: u32,
    pub(super) level: u32,
    /// The first line of its hold, and how many there are.
    pub(super) hold: u32,
    pub(super) holds: u16,
    pub(super) session: u16,
}

/// What a command touches, and how much it says besides what its fills say.
#[derive(Clone, Copy, Default)]
pub(super) struct Step {
    pub(super) own: Places,
    /// Where a replaced order goes; else its level.
    pub(super) to_level: u32,
    pub(super) fills: u16,
    /// Private events and public ones.
    pub(super) told: u16,
    pub(super) facts: u16,
}

/// All steps of a recording, and all makers in turn.
#[derive(Default)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) makers: Vec<Places>,
    /// How many there are of each.
    pub(super) orders: usize,
    pub(super) levels: usize,
    pub(super) holds: usize,
    pub(super) sessions: usize,
}

impl Script {
    /// An engine carries the recording out and tells the places.
    pub(super) fn of(recording: &Recording, slots: u16) -> Self {
        let mut plan = Planner { slots, ..Planner::default() };
        plan.observe(&recording.prelude);
        (plan.script.steps, plan.script.makers) = (Vec::new(), Vec::new());
        plan.observe(&recording.measured);
        plan.finish()
    }
}

#[derive(Default)]
struct Planner {
    engine: Engine,
    script: Script,
    slots: u16,
    /// By order id.
    orders: Vec<(Places, InstrumentId)>,
    levels: BTreeMap<(InstrumentId, Price), u32>,
    /// By session and, of sellers, instrument.
    holds: BTreeMap<(u32, InstrumentId), u32>,
}

impl Planner {
    fn observe(&mut self, batches: &[Batch]) {
        let (mut single, mut events, mut digest) = (Batch::new(), Events::default(), EventDigest::default());
        for (batch, record) in
            batches.iter().flat_map(|batch| batch.records().map(move |record| (batch, record)))
        {
            single.clear(batch.time());
            single.push(record);
            let seq = self.engine.last_seq().next();
            apply_batch(&mut self.engine, seq, batch.time(), single.records(), &mut events, &mut digest)
                .expect("own records are commands");
            let mut step = Step::default();
            events.iter().for_each(|event| self.note(&event, &mut step));
            // A trade says four events, which were all counted.
            step.told -= 2 * step.fills;
            step.facts -= 2 * step.fills;
            self.script.steps.push(step);
            events.clear();
        }
    }

    fn note(&mut self, record: &Record<'_>, step: &mut Step) {
        if record.destination == Destination::Public {
            step.facts += 1;
            return;
        }
        step.told += 1;
        let (frame, _) = Frame::split(record.frame).expect("an own frame").expect("a whole frame");
        // What a logon is answered belongs to no order.
        let Ok(event) = Event::decode(&frame) else { return };
        match event {
            Event::OrderAccepted(event) => {
                let order = if event.slot == SlotHint::UNKNOWN { 0 } else { event.slot.raw() + 1 };
                let level = self.level(event.instrument, event.price);
                let (hold, holds) = self.hold(record.session, event.instrument, event.side);
                let session = record.session as u16;
                step.own = Places { order, level, hold, holds, session };
                step.to_level = level;
                self.orders.resize(event.order_id.raw() as usize + 1, Default::default());
                self.orders[event.order_id.raw() as usize] = (step.own, event.instrument);
            }
            Event::OrderReplaced(event) => {
                step.to_level = self.level(event.instrument, event.price);
                let (order, _) = &mut self.orders[event.order_id.raw() as usize];
                step.own = *order;
                order.level = step.to_level;
            }
            Event::OrderCanceled(event) => {
                step.own = self.orders[event.order_id.raw() as usize].0;
                step.to_level = step.own.level;
            }
            Event::OrderFilled(event) if is_maker(&event) => {
                step.fills += 1;
                self.script.makers.push(self.orders[event.order_id.raw() as usize].0);
            }
            Event::OrderFilled(_) => {}
            _ => step.own.session = record.session as u16,
        }
    }

    fn level(&mut self, instrument: InstrumentId, price: Price) -> u32 {
        let next = self.levels.len() as u32;
        *self.levels.entry((instrument, price)).or_insert(next)
    }

    fn hold(&mut self, session: u32, instrument: InstrumentId, side: u8) -> (u32, u16) {
        let (asset, lines) =
            if side == Side::Sell.raw() { (instrument, self.slots) } else { (InstrumentId::NONE, 1) };
        let next = self.holds.len() as u32 * u32::from(self.slots);
        (*self.holds.entry((session, asset)).or_insert(next), lines)
    }

    /// Levels were numbered as they came. Neighbors in price are neighbors in memory.
    fn finish(self) -> Script {
        let Self { mut script, levels, holds, slots, .. } = self;
        let mut ranks = vec![0; levels.len().max(1)];
        levels.values().zip(0..).for_each(|(level, rank)| ranks[*level as usize] = rank);
        let rank = |level: &mut u32| *level = ranks[*level as usize];
        for Step { own, to_level, .. } in &mut script.steps {
            rank(&mut own.level);
            rank(to_level);
        }
        script.makers.iter_mut().for_each(|maker| rank(&mut maker.level));
        let places = || script.steps.iter().map(|step| &step.own).chain(&script.makers);
        let orders = places().map(|places| places.order as usize + 1).max().unwrap_or(1);
        let sessions = places().map(|places| usize::from(places.session) + 1).max().unwrap_or(1);
        (script.orders, script.sessions, script.levels) = (orders, sessions, ranks.len());
        script.holds = (holds.len() + 1) * usize::from(slots);
        script
    }
}
