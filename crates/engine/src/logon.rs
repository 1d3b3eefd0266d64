//! Sessions come and go: logon, resend, disconnect, restart.

use joulebook_protocol::messages::{LogonAccepted, LogonRejected, SessionClosed, SessionOpened, Terminate};
use joulebook_protocol::{CloseReason, Origin, RejectReason};
use joulebook_types::{ClientOrderId, ConnectionId};

use crate::events::EVERYBODY;
use crate::sessions::{KEEP_ON_DISCONNECT, SessionIx};
use crate::timers::Timer;
use crate::{Engine, Events, Record};

impl Engine {
    pub(crate) fn session_opened(&mut self, origin: Origin, opened: &SessionOpened, out: &mut Events) {
        if opened.connection.is_none() || opened.connection == EVERYBODY {
            return self.ignore();
        }
        let session = match self.logical_session(origin) {
            Ok(session) => session,
            Err(reason) => {
                let (account, session) = (origin.account, origin.session);
                let rejected = LogonRejected { account, session, reason: reason.raw(), ..Default::default() };
                return out.push_to(opened.connection, Record::NO_SESSION, &rejected);
            }
        };
        self.connect(session, opened, out);
        self.welcome(session, opened, out);
    }

    pub(crate) fn session_closed(&mut self, origin: Origin, closed: &SessionClosed, out: &mut Events) {
        match self.sessions.find(origin.account, origin.session) {
            Some(session) if self.sessions[session].connection == closed.connection => {
                self.disconnect(session, out);
            }
            Some(_) | None => self.ignore(),
        }
    }

    /// The process started again: every connection is gone.
    pub(crate) fn restarted(&mut self, out: &mut Events) {
        for session in self.sessions.indices() {
            if self.sessions[session].is_connected() {
                self.disconnect(session, out);
            }
        }
    }

    /// Finds the session, or makes it on its first logon.
    fn logical_session(&mut self, origin: Origin) -> Result<SessionIx, RejectReason> {
        let account = self.accounts.find(origin.account).ok_or(RejectReason::UnknownAccount)?;
        if let Some(session) = self.sessions.find(origin.account, origin.session) {
            return Ok(session);
        }
        if origin.session.is_none() {
            return Err(RejectReason::InvalidChoice);
        }
        if self.accounts[account].sessions.len() >= self.sessions.account_max() {
            return Err(RejectReason::SessionLimit);
        }
        let session =
            self.sessions.open(account, origin.account, origin.session).ok_or(RejectReason::SessionLimit)?;
        self.accounts[account].sessions.push(session);
        Ok(session)
    }

    fn connect(&mut self, session_ix: SessionIx, opened: &SessionOpened, out: &mut Events) {
        let session = &mut self.sessions[session_ix];
        if session.is_connected() && session.connection != opened.connection {
            let reason = CloseReason::Superseded.raw();
            out.push_to(session.connection, session_ix.raw(), &Terminate { reason, ..Default::default() });
        }
        session.connection = opened.connection;
        session.cancel_on_disconnect_ms = opened.cancel_on_disconnect_ms;
        if let Some(grace) = session.grace.take() {
            self.timers.cancel(grace);
        }
        self.note_entry(session_ix);
    }

    /// Accepts the logon and brings the client up to date: with what it missed, or with a snapshot.
    fn welcome(&mut self, session_ix: SessionIx, opened: &SessionOpened, out: &mut Events) {
        let session = &self.sessions[session_ix];
        let last_event_seq = session.last_event_seq;
        let first_missed = opened.last_event_seq.saturating_add(1);
        // A client that knows of events that never were has another exchange's past: it gets the state instead.
        let snapshot = opened.last_event_seq > last_event_seq || !self.retains_from(session_ix, first_missed);
        let resends = !snapshot && first_missed <= last_event_seq;
        let accepted = LogonAccepted {
            last_client_order_id: session.high_water_mark,
            last_event_seq,
            resend_from_seq: if resends { first_missed } else { 0 },
            server_time: self.time,
            account: self.accounts[session.account].id,
            session: session.id,
            heartbeat_ms: opened.heartbeat_ms,
            snapshot: u8::from(snapshot),
            ..Default::default()
        };
        out.push_to(opened.connection, session_ix.raw(), &accepted);
        if snapshot {
            self.send_snapshot(session_ix, ClientOrderId::NONE, out);
        } else if resends {
            self.resend(session_ix, first_missed, out);
        }
    }

    /// Nobody is logged on any more: orders stay as long as the session asked for.
    fn disconnect(&mut self, session_ix: SessionIx, out: &mut Events) {
        let session = &mut self.sessions[session_ix];
        session.connection = ConnectionId::NONE;
        let (grace_ms, orders) = (session.cancel_on_disconnect_ms, session.orders.len());
        self.note_entry(session_ix);
        if grace_ms == KEEP_ON_DISCONNECT || orders == 0 {
            return;
        }
        if grace_ms == 0 {
            return self.end_grace(session_ix, out);
        }
        let due = self.time.saturating_add_ms(grace_ms);
        self.sessions[session_ix].grace = Some(self.timers.set(due, Timer::Grace(session_ix)));
    }
}
