//! How events leave: numbered ones to a session, unnumbered answers, and facts for everybody.

use joulebook_protocol::{Message, messages::Stamp};

use crate::outbox::Stamped;
use crate::sessions::SessionIx;
use crate::{Engine, Events};

impl Engine {
    /// Numbers an event of the session, keeps it for a resend, and sends it if somebody is logged on.
    pub(crate) fn tell<M: Stamped>(&mut self, session_ix: SessionIx, mut event: M, out: &mut Events) {
        let session = &mut self.sessions[session_ix];
        session.last_event_seq += 1;
        let event_seq = session.last_event_seq;
        *event.stamp_mut() =
            Stamp { event_seq, sequenced: self.time, received: self.received, ..Stamp::default() };
        let (position, entry) = self.outbox.push(session_ix, session.newest_event, event_seq, &event);
        session.newest_event = position;
        self.hash.absorb_word(
            u64::from(self.accounts[session.account].id.raw()) << 32 | u64::from(session.id.raw()),
        );
        entry.without_slot(|frame| self.hash.absorb(frame));
        if session.is_connected() || self.tells_all {
            out.push_frame(session.connection, session_ix.raw(), M::TEMPLATE_ID, entry.frame());
        }
    }

    /// Sends an answer that is not numbered: it says what is, not what happened, so nobody needs it twice.
    pub(crate) fn answer<M: Stamped>(&self, session_ix: SessionIx, mut event: M, out: &mut Events) {
        *event.stamp_mut() =
            Stamp { event_seq: 0, sequenced: self.time, received: self.received, ..Stamp::default() };
        let session = &self.sessions[session_ix];
        if session.is_connected() {
            out.push_to(session.connection, session_ix.raw(), &event);
        }
    }

    /// Sends a fact to everybody.
    pub(crate) fn publish<M: Message>(&mut self, fact: M, out: &mut Events) {
        let frame = out.push_public(&fact);
        self.hash.absorb(frame);
    }

    /// Sends the session's events from `first_seq` on once more. All of them are retained.
    pub(crate) fn resend(&mut self, session_ix: SessionIx, first_seq: u64, out: &mut Events) {
        let session = &self.sessions[session_ix];
        self.resend_positions.clear();
        let mut position = session.newest_event;
        for expected in (first_seq..=session.last_event_seq).rev() {
            let entry = self.outbox.get(position).expect("the caller checked that it is retained");
            assert!(entry.event_seq == expected, "the chain of a session has no gaps");
            self.resend_positions.push(position);
            position = entry.previous;
        }
        for position in self.resend_positions.iter().rev() {
            let entry = self.outbox.get(*position).expect("it was there a moment ago");
            out.push_frame(session.connection, session_ix.raw(), entry.template_id, entry.frame());
        }
    }

    /// Whether every event of the session from `first_seq` on is retained.
    pub(crate) fn retains_from(&self, session_ix: SessionIx, first_seq: u64) -> bool {
        let session = &self.sessions[session_ix];
        let mut position = session.newest_event;
        for _ in first_seq..=session.last_event_seq {
            let Some(entry) = self.outbox.get(position) else { return false };
            position = entry.previous;
        }
        true
    }
}
