//! Sessions come and go: logon, resend, disconnect, restart.

use joulebook_protocol::messages::{LogonAccepted, LogonRejected, SessionClosed, SessionOpened, Terminate};
use joulebook_protocol::{CloseReason, Event, Origin, RejectReason, SessionMessage};
use joulebook_types::{ClientOrderId, ConnectionId};

use crate::exactly_once::Outcomes;
use crate::market::Session;
use crate::reference::Reference;
use crate::said::Said;
use crate::timers::Timer;

/// "Orders stay for good when the connection is lost."
const KEEP_ON_DISCONNECT: u32 = u32::MAX;
/// The part of all sessions that one account may have, and what it may have of few.
const ACCOUNT_SHARE: usize = 16;
const ACCOUNT_SESSIONS_MIN: usize = 64;

/// What is between a logical session and its client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) connection: ConnectionId,
    cancel_on_disconnect_ms: u32,
    /// The highest client order id ever used.
    pub(crate) high_water_mark: ClientOrderId,
    pub(crate) outcomes: Outcomes,
    /// Every numbered event of the session; the number is the place, from one.
    pub(crate) events: Vec<Event>,
}

impl Client {
    pub(crate) fn is_connected(&self) -> bool {
        !self.connection.is_none()
    }
}

impl Reference {
    pub(crate) fn session_opened(&mut self, origin: Origin, opened: &SessionOpened) {
        // The highest number stands for everybody.
        if opened.connection.is_none() || opened.connection.raw() == u64::MAX {
            return self.ignore();
        }
        match self.logical_session(origin) {
            Ok(session) => {
                self.connect(session, opened);
                self.welcome(session, opened);
            }
            Err(reason) => {
                let (account, session) = (origin.account, origin.session);
                let rejected = LogonRejected { account, session, reason: reason.raw(), ..Default::default() };
                self.say_session(opened.connection, rejected);
            }
        }
    }

    pub(crate) fn session_closed(&mut self, origin: Origin, closed: &SessionClosed) {
        match self.find_session(origin) {
            Some(session) if self.clients[session].connection == closed.connection => {
                self.disconnect(session)
            }
            Some(_) | None => self.ignore(),
        }
    }

    /// The process started again: every connection is gone.
    pub(crate) fn restarted(&mut self) {
        for session in 0..self.clients.len() {
            if self.clients[session].is_connected() {
                self.disconnect(session);
            }
        }
    }

    pub(crate) fn find_session(&self, origin: Origin) -> Option<usize> {
        self.market.sessions.iter().position(|session| {
            session.id == origin.session && self.market.accounts[session.account].id == origin.account
        })
    }

    /// Finds the session, or makes it on its first logon.
    fn logical_session(&mut self, origin: Origin) -> Result<usize, RejectReason> {
        let account = self.market.find_account(origin.account).ok_or(RejectReason::UnknownAccount)?;
        if let Some(session) = self.find_session(origin) {
            return Ok(session);
        }
        if origin.session.is_none() {
            return Err(RejectReason::InvalidChoice);
        }
        let all_max = self.market.limits.sessions_max as usize;
        let account_max = (all_max / ACCOUNT_SHARE).max(ACCOUNT_SESSIONS_MIN);
        let own = self.market.sessions.iter().filter(|session| session.account == account).count();
        if own >= account_max || self.market.sessions.len() >= all_max {
            return Err(RejectReason::SessionLimit);
        }
        self.market.sessions.push(Session { account, id: origin.session, killed: None });
        self.clients.push(Client {
            connection: ConnectionId::NONE,
            cancel_on_disconnect_ms: KEEP_ON_DISCONNECT,
            high_water_mark: ClientOrderId::NONE,
            outcomes: Outcomes::default(),
            events: Vec::new(),
        });
        Ok(self.clients.len() - 1)
    }

    fn connect(&mut self, session: usize, opened: &SessionOpened) {
        let before = self.clients[session].connection;
        if !before.is_none() && before != opened.connection {
            let reason = CloseReason::Superseded.raw();
            self.say_session(before, Terminate { reason, ..Default::default() });
        }
        self.clients[session].connection = opened.connection;
        self.clients[session].cancel_on_disconnect_ms = opened.cancel_on_disconnect_ms;
        self.market.timers.cancel(Timer::Grace(session));
    }

    /// Accepts the logon and brings the client up to date: with what it missed, or with a snapshot if it knows of
    /// events that never were.
    fn welcome(&mut self, session: usize, opened: &SessionOpened) {
        let client = &self.clients[session];
        let last_event_seq = client.events.len() as u64;
        let snapshot = opened.last_event_seq > last_event_seq;
        let missed: Vec<Event> =
            client.events.iter().skip(opened.last_event_seq.min(last_event_seq) as usize).copied().collect();
        let first_missed = opened.last_event_seq.saturating_add(1);
        let accepted = LogonAccepted {
            last_client_order_id: client.high_water_mark,
            last_event_seq,
            resend_from_seq: if missed.is_empty() { 0 } else { first_missed },
            server_time: self.market.time,
            account: self.market.accounts[self.market.account_of(session)].id,
            session: self.market.sessions[session].id,
            heartbeat_ms: opened.heartbeat_ms,
            snapshot: u8::from(snapshot),
            ..Default::default()
        };
        self.say_session(opened.connection, accepted);
        if snapshot {
            self.market.send_snapshot(session, ClientOrderId::NONE, last_event_seq);
            self.number();
        } else {
            for event in missed {
                self.say_to(session, event);
            }
        }
    }

    /// Nobody is logged on any more: orders stay as long as the session asked for.
    fn disconnect(&mut self, session: usize) {
        let client = &mut self.clients[session];
        client.connection = ConnectionId::NONE;
        let grace_ms = client.cancel_on_disconnect_ms;
        if grace_ms == KEEP_ON_DISCONNECT || self.market.session_orders(session).is_empty() {
            return;
        }
        if grace_ms == 0 {
            self.market.end_grace(session);
            return self.number();
        }
        let due = self.market.time.saturating_add_ms(grace_ms);
        self.market.timers.set(due, Timer::Grace(session));
    }

    fn say_session(&mut self, connection: ConnectionId, message: impl Into<SessionMessage>) {
        self.said.push(Said::Session { connection, message: message.into() });
    }
}
