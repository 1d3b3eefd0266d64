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
            Timer::Grace(session) => self.end_grace(session, out),
            Timer::SlotEnd(asset) => self.end_slot(asset, out),
            Timer::DeadMan(session) => self.fire_dead_man(session, out),
            Timer::Expiry(slot) => self.expire_order(slot, out),
        }
    }

    fn open_instrument(&mut self, ix: InstrumentIx, out: &mut Events) {
        self.instruments[ix].phase = Phase::Open;
        self.publish_phase(ix, Phase::Open, out);
    }

    /// Cancels what rests, best first and bids before asks, and gives the book's memory back.
    fn close_gate(&mut self, ix: InstrumentIx, out: &mut Events) {
        for side in [Side::Buy, Side::Sell] {
            while let Some(slot) = self.instruments[ix].book().front(side) {
                self.cancel_open_order(slot, CancelReason::GateClosed, Requester::NOBODY, out);
            }
        }
        self.cancel_stops(ix, CancelReason::GateClosed, |_, _| true, out);
        self.stops.close(ix);
        self.instruments.close(ix);
        self.publish_phase(ix, Phase::Closed, out);
    }

    pub(crate) fn publish_phase(&mut self, ix: InstrumentIx, phase: Phase, out: &mut Events) {
        let changed =
            PhaseChanged { time: self.time, instrument: ix.id(), phase: phase.raw(), ..Default::default() };
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
