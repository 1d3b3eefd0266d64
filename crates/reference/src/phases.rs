//! Where an instrument is in its life.

use core::mem::offset_of;

use joulebook_protocol::messages::{PhaseChanged, SetPhase};
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::{AreaCode, ClassCode, OrderId, Phase, Side};

use crate::market::Market;
use crate::orders::{Order, Work};
use crate::rejection::{Checked, field, invalid_choice};
use crate::timers::Timer;

/// Exchange time between two indications of a call.
const INDICATION_MS: u32 = 1_000;

impl Market {
    pub(crate) fn set_phase(&mut self, session: usize, set: &SetPhase) -> Checked {
        let of_request = |rejection: crate::rejection::Rejection| rejection.of_instrument(set.instrument);
        let phase = check_phase_choice(set).map_err(of_request)?;
        let changed = if set.instrument.is_none() {
            self.set_phase_of_many(set, phase)
        } else {
            let index = self.check_one(set, phase).map_err(of_request)?;
            self.enter_phase(index, phase, set.duration_ms, set.random_ms);
            1
        };
        self.request_done::<SetPhase>(session, set.client_order_id, changed);
        Ok(())
    }

    fn check_one(&self, set: &SetPhase, phase: Phase) -> Checked<usize> {
        let index = self.find_instrument(set.instrument, offset_of!(SetPhase, instrument))?;
        if self.instruments[index].is_closed() {
            return Err(self.gate_closed(index));
        }
        if !self.can_go(index, phase) {
            let invalid = field(RejectReason::InvalidTransition, offset_of!(SetPhase, phase));
            return Err(invalid.met(self.instruments[index].phase.raw(), phase.raw()));
        }
        Ok(index)
    }

    /// All instruments of a class and an area that can go there when it is their turn: what trades in one may cancel
    /// quotes in the next.
    fn set_phase_of_many(&mut self, set: &SetPhase, phase: Phase) -> u64 {
        let mut changed = 0;
        for index in 0..self.instruments.len() {
            let instrument = &self.instruments[index];
            let is_meant = (set.class == ClassCode::default() || set.class == instrument.class)
                && (set.area == AreaCode::default() || set.area == instrument.area);
            if is_meant && self.can_go(index, phase) {
                self.enter_phase(index, phase, set.duration_ms, set.random_ms);
                changed += 1;
            }
        }
        changed
    }

    fn can_go(&self, index: usize, to: Phase) -> bool {
        match (self.instruments[index].phase, to) {
            (Phase::Pending, Phase::PreOpen | Phase::Open | Phase::Auction | Phase::Halted) => true,
            (Phase::PreOpen, Phase::Open | Phase::Auction | Phase::Halted) => true,
            (Phase::Open, Phase::Halted | Phase::Auction) => true,
            (Phase::Halted, Phase::Auction) => true,
            (Phase::Halted, Phase::PreOpen | Phase::Open) => !self.needs_uncross(index),
            (Phase::Auction, Phase::Open | Phase::Halted) => true,
            (Phase::Pending | Phase::PreOpen | Phase::Open | Phase::Halted | Phase::Auction, _) => false,
            (Phase::Closed | Phase::Delivering | Phase::Settled, _) => false,
        }
    }

    /// Bids stand at or above asks, or market orders wait.
    fn needs_uncross(&self, index: usize) -> bool {
        let crossed = match (self.best(index, Side::Buy), self.best(index, Side::Sell)) {
            (Some(bid), Some(ask)) => bid >= ask,
            (Some(_), None) | (None, _) => false,
        };
        crossed || self.orders.values().any(|order| order.instrument == index && order.work == Work::InCall)
    }

    /// Moves an instrument to a phase; a call that opens the market ends with its uncross.
    fn enter_phase(&mut self, index: usize, phase: Phase, duration_ms: u32, random_ms: u32) {
        self.timers.cancel(Timer::Phase(index));
        self.timers.cancel(Timer::Indication(index));
        if self.instruments[index].phase == Phase::Auction && phase == Phase::Open {
            return self.uncross(index);
        }
        self.publish_phase(index, phase);
        if phase == Phase::Auction {
            self.begin_call(index, duration_ms, random_ms);
        }
    }

    pub(crate) fn publish_phase(&mut self, index: usize, phase: Phase) {
        let instrument = &mut self.instruments[index];
        instrument.phase = phase;
        let id = instrument.id;
        let time = self.time;
        self.publish(PhaseChanged { time, instrument: id, phase: phase.raw(), ..Default::default() });
    }

    fn begin_call(&mut self, index: usize, duration_ms: u32, random_ms: u32) {
        let first = self.indication(index);
        self.instruments[index].last_indication = first;
        self.publish(first);
        if duration_ms > 0 {
            let more_ms = self.random(random_ms);
            let end = self.time.saturating_add_ms(duration_ms).saturating_add_ms(more_ms);
            self.timers.set(end, Timer::Phase(index));
        }
        self.timers.set(self.time.saturating_add_ms(INDICATION_MS), Timer::Indication(index));
    }

    pub(crate) fn indicate_again(&mut self, index: usize) {
        let now = self.indication(index);
        let last = self.instruments[index].last_indication;
        if (now.price, now.volume, now.surplus) != (last.price, last.volume, last.surplus) {
            self.instruments[index].last_indication = now;
            self.publish(now);
        }
        self.timers.set(self.time.saturating_add_ms(INDICATION_MS), Timer::Indication(index));
    }

    /// A price would have moved too fast: the market stops, and a call finds where it goes on.
    pub(crate) fn halt_for_velocity(&mut self, index: usize) {
        self.enter_phase(index, Phase::Halted, 0, 0);
        let instrument = &mut self.instruments[index];
        instrument.call_after_halt = (instrument.auction_ms, instrument.auction_random_ms);
        let halt_ms = instrument.halt_ms;
        if halt_ms == 0 {
            self.end_phase(index);
        } else {
            self.timers.set(self.time.saturating_add_ms(halt_ms), Timer::Phase(index));
        }
    }

    /// The running phase is over: after a halt comes a call, after a call the market opens.
    pub(crate) fn end_phase(&mut self, index: usize) {
        let instrument = &self.instruments[index];
        if instrument.phase == Phase::Halted {
            let (auction_ms, random_ms) = instrument.call_after_halt;
            self.enter_phase(index, Phase::Auction, auction_ms, random_ms);
        } else {
            self.enter_phase(index, Phase::Open, 0, 0);
        }
    }

    pub(crate) fn opening_time(&mut self, index: usize) {
        if matches!(self.instruments[index].phase, Phase::Pending | Phase::PreOpen) {
            self.enter_phase(index, Phase::Open, 0, 0);
        }
    }

    /// Cancels what is open, and closes.
    pub(crate) fn close_gate(&mut self, index: usize) {
        let ids = |queue: Vec<&Order>| queue.iter().map(|order| order.id).collect::<Vec<OrderId>>();
        let mut open = ids(self.queue(index, Side::Buy));
        open.extend(ids(self.queue(index, Side::Sell)));
        for work in [Work::InCall, Work::Waiting] {
            let there = self.orders.values().filter(|order| order.instrument == index && order.work == work);
            open.extend(there.map(|order| order.id));
        }
        for id in open {
            // A linked order may have gone with its partner.
            if self.orders.contains_key(&id) {
                self.cancel_open(id, CancelReason::GateClosed, None);
            }
        }
        self.enter_phase(index, Phase::Closed, 0, 0);
    }

    pub(crate) fn start_delivery(&mut self, index: usize) {
        if self.instruments[index].phase == Phase::Closed {
            self.publish_phase(index, Phase::Delivering);
        }
    }
}

fn check_phase_choice(set: &SetPhase) -> Checked<Phase> {
    let phase = match Phase::from_raw(set.phase) {
        Some(phase @ (Phase::PreOpen | Phase::Open | Phase::Halted | Phase::Auction)) => phase,
        Some(Phase::Pending | Phase::Closed | Phase::Delivering | Phase::Settled) | None => {
            return Err(invalid_choice(offset_of!(SetPhase, phase), set.phase));
        }
    };
    if phase != Phase::Auction && (set.duration_ms != 0 || set.random_ms != 0) {
        return Err(invalid_choice(offset_of!(SetPhase, duration_ms), set.duration_ms));
    }
    Ok(phase)
}
