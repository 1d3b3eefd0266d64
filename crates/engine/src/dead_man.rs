//! The dead-man timer: a session that falls silent without a lost connection takes its orders with it.

use core::mem::offset_of;

use joulebook_protocol::messages::SetDeadMan;
use joulebook_protocol::{CancelReason, RejectReason};

use crate::cancel::{CancelFilter, Requester};
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::timers::Timer;
use crate::{Engine, Events};

/// A second to a day.
const TIMEOUT_MS: core::ops::RangeInclusive<u32> = 1_000..=86_400_000;

impl Engine {
    /// Starts the session's timer anew, or ends it.
    pub(crate) fn set_dead_man(
        &mut self,
        session: SessionIx,
        set: &SetDeadMan,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let armed = set.timeout_ms != 0;
        if armed && !TIMEOUT_MS.contains(&set.timeout_ms) {
            let invalid = Rejection::field(RejectReason::InvalidChoice, offset_of!(SetDeadMan, timeout_ms));
            return Err(invalid.met(0, set.timeout_ms));
        }
        if let Some(running) = self.sessions[session].dead_man.take() {
            self.timers.cancel(running);
        }
        if armed {
            let due = self.time.saturating_add_ms(set.timeout_ms);
            self.sessions[session].dead_man = Some(self.timers.set(due, Timer::DeadMan(session)));
        }
        Ok(self.request_done(session, set, u64::from(set.timeout_ms), out))
    }

    /// The session did not set its timer again in time.
    pub(crate) fn fire_dead_man(&mut self, session: SessionIx, out: &mut Events) {
        self.sessions[session].dead_man = None;
        self.cancel_session_orders(
            session,
            &CancelFilter::ALL,
            CancelReason::DeadMan,
            Requester::NOBODY,
            out,
        );
    }
}
