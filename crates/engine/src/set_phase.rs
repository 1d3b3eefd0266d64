//! The operator moves instruments from phase to phase.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::SetPhase;
use joulebook_types::{InstrumentId, Phase};

use crate::auction::CallTime;
use crate::instruments::{Instrument, InstrumentIx};
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

impl Engine {
    /// Moves one instrument, which must be able to go there, or all of a class and zone that are.
    pub(crate) fn set_phase(
        &mut self,
        session: SessionIx,
        set: &SetPhase,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let of_instrument = |rejection: Rejection| rejection.of_instrument(set.instrument);
        let wanted = check_choices(set).map_err(of_instrument)?;
        let changed = if set.instrument.is_none() {
            self.set_phase_of_many(set, wanted, out)
        } else {
            let ix = self.check_one(set, wanted).map_err(of_instrument)?;
            self.change_phase(ix, set, wanted, out);
            1
        };
        Ok(self.request_done(session, set, changed, out))
    }

    fn check_one(&self, set: &SetPhase, wanted: Phase) -> Result<InstrumentIx, Rejection> {
        let ix = self.find_instrument(set.instrument, offset_of!(SetPhase, instrument))?;
        self.check_before_gate(ix)?;
        let instrument = &self.instruments[ix];
        if instrument.may_go_to(wanted) {
            return Ok(ix);
        }
        let rejection = Rejection::field(RejectReason::InvalidTransition, offset_of!(SetPhase, phase));
        Err(rejection.met(instrument.phase.raw(), wanted.raw()))
    }

    /// Instruments that cannot go there when it is their turn stay where they are. Returns how many went.
    fn set_phase_of_many(&mut self, set: &SetPhase, wanted: Phase, out: &mut Events) -> u64 {
        let mut changed = 0;
        let mut last = InstrumentId::NONE;
        while let Some((id, ix)) = self.instruments.next_listed(last) {
            last = id;
            let Instrument { product, .. } = &self.instruments[ix];
            let of_class = set.class.is_none() || set.class == product.class;
            let of_area = set.area.is_none() || set.area == product.area;
            if of_class && of_area && self.instruments[ix].may_go_to(wanted) {
                self.change_phase(ix, set, wanted, out);
                changed += 1;
            }
        }
        changed
    }

    fn change_phase(&mut self, ix: InstrumentIx, set: &SetPhase, wanted: Phase, out: &mut Events) {
        let leaves_call = self.instruments[ix].phase == Phase::Auction && wanted == Phase::Open;
        if leaves_call {
            self.uncross(ix, out);
        } else if wanted == Phase::Auction {
            let time = CallTime { duration_ms: set.duration_ms, random_ms: set.random_ms };
            self.begin_call(ix, time, out);
        } else {
            self.enter_phase(ix, wanted, out);
        }
    }
}

/// The phase that is wanted, and no time for a call where none begins.
fn check_choices(set: &SetPhase) -> Result<Phase, Rejection> {
    let invalid = |offset| Rejection::field(RejectReason::InvalidChoice, offset);
    let phase = invalid(offset_of!(SetPhase, phase)).met(0, set.phase);
    let wanted = Phase::from_raw(set.phase).ok_or(phase)?;
    match wanted {
        Phase::Auction => Ok(wanted),
        Phase::PreOpen | Phase::Open | Phase::Halted => {
            if set.duration_ms == 0 && set.random_ms == 0 {
                return Ok(wanted);
            }
            Err(invalid(offset_of!(SetPhase, duration_ms)).met(0, set.duration_ms))
        }
        Phase::Pending | Phase::Closed | Phase::Delivering | Phase::Settled => Err(phase),
    }
}

impl Instrument {
    /// Whether an operator may move the instrument to a phase. Only a call may end a book whose sides have met.
    fn may_go_to(&self, wanted: Phase) -> bool {
        match (self.phase, wanted) {
            (Phase::Pending, Phase::PreOpen | Phase::Open | Phase::Halted | Phase::Auction) => true,
            (Phase::PreOpen, Phase::Open | Phase::Halted | Phase::Auction) => true,
            (Phase::Open, Phase::Halted | Phase::Auction) => true,
            (Phase::Halted, Phase::Auction) => true,
            (Phase::Halted, Phase::PreOpen | Phase::Open) => {
                !self.book().is_crossed() && self.call.market_orders.is_empty()
            }
            (Phase::Auction, Phase::Open | Phase::Halted) => true,
            (
                Phase::Pending
                | Phase::PreOpen
                | Phase::Open
                | Phase::Halted
                | Phase::Auction
                | Phase::Closed
                | Phase::Delivering
                | Phase::Settled,
                _,
            ) => false,
        }
    }
}
