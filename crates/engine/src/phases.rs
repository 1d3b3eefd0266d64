//! What time does to the market: openings, gates, and the grace of sessions that went away.

use joulebook_protocol::CancelReason;
use joulebook_protocol::messages::PhaseChanged;
use joulebook_types::{Phase, Side};

use crate::cancel::{CancelFilter, Requester};
use crate::instruments::InstrumentIx;
use crate::sessions::SessionIx;
use crate::timers::Timer;
use crate::{Engine, Events};

impl Engine {
    /// Runs a timer that is due.
    pub(crate) fn fire(&mut self, timer: Timer, out: &mut Events) {
        match timer {
            Timer::Open(ix) => self.open_instrument(ix, out),
            Timer::Gate(ix) => self.close_gate(ix, out),
            Timer::DeliveryStart(ix) => self.start_delivery(ix, out),
            Timer::HaltEnd(ix, call) => self.begin_call(ix, call, out),
            Timer::CallEnd(ix) => self.uncross(ix, out),
            Timer::Indication(ix) => self.indicate(ix, out),
            Timer::Grace(session) => self.end_grace(session, out),
            Timer::SlotEnd(asset) => self.end_slot(asset, out),
            Timer::DeadMan(session) => self.fire_dead_man(session, out),
            Timer::Expiry(slot) => self.expire_order(slot, out),
        }
    }

    /// The listing's own opening. An operator may have been there before.
    fn open_instrument(&mut self, ix: InstrumentIx, out: &mut Events) {
        match self.instruments[ix].phase {
            Phase::Pending | Phase::PreOpen => self.enter_phase(ix, Phase::Open, out),
            Phase::Open | Phase::Halted | Phase::Auction => {}
            Phase::Closed | Phase::Delivering | Phase::Settled => {}
        }
    }

    /// Cancels what rests, best first and bids before asks, then what waits, and gives the book's memory back.
    fn close_gate(&mut self, ix: InstrumentIx, out: &mut Events) {
        for side in [Side::Buy, Side::Sell] {
            while let Some(slot) = self.instruments[ix].book().front(&self.orders.slab, side) {
                self.cancel_open_order(slot, CancelReason::GateClosed, Requester::NOBODY, out);
            }
        }
        self.cancel_call_orders(ix, CancelReason::GateClosed, out);
        self.cancel_stops(ix, CancelReason::GateClosed, |_, _| true, out);
        self.enter_phase(ix, Phase::Closed, out);
        self.stops.close(ix);
        self.instruments.close(ix);
    }

    /// What was delivered before its time is settled already, and its timer taken back.
    fn start_delivery(&mut self, ix: InstrumentIx, out: &mut Events) {
        let instrument = &mut self.instruments[ix];
        instrument.start_timer = None;
        if instrument.phase == Phase::Closed {
            self.enter_phase(ix, Phase::Delivering, out);
        }
    }

    /// The market moved too fast: nothing trades until a call has found a price. Bands that change while it is halted do
    /// not change the call: it could have no end of its own then.
    pub(crate) fn halt_for_velocity(&mut self, ix: InstrumentIx, out: &mut Events) {
        self.enter_phase(ix, Phase::Halted, out);
        let bands = self.instruments[ix].bands;
        if bands.halt_ms == 0 {
            return self.begin_call(ix, bands.call, out);
        }
        let due = self.time.saturating_add_ms(bands.halt_ms);
        self.instruments[ix].phase_timer = Some(self.timers.set(due, Timer::HaltEnd(ix, bands.call)));
    }

    /// Leaves a phase, with what time would still have done in it, for another.
    pub(crate) fn enter_phase(&mut self, ix: InstrumentIx, phase: Phase, out: &mut Events) {
        self.cancel_phase_timers(ix);
        let instrument = &mut self.instruments[ix];
        assert!(phase != Phase::Open || !instrument.book().is_crossed(), "only an uncrossed book opens");
        instrument.phase = phase;
        if phase == Phase::Open {
            self.stops.note_opened();
        }
        let changed = PhaseChanged {
            time: self.time,
            instrument: instrument.id,
            phase: phase.raw(),
            ..Default::default()
        };
        self.publish(changed, out);
    }

    /// The session did not come back in time.
    pub(crate) fn end_grace(&mut self, session: SessionIx, out: &mut Events) {
        self.sessions[session].grace = None;
        self.cancel_session_orders(
            session,
            &CancelFilter::ALL,
            CancelReason::Disconnected,
            Requester::NOBODY,
            out,
        );
    }
}
