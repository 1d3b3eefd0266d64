//! Logical sessions, and what became of their newest requests.

use joulebook_protocol::RejectReason;
use joulebook_types::{ClientOrderId, ConnectionId, OrderId, SessionId, SlotHint};

use super::LoadError;
use super::accounts::{disabled_number, load_disabled};
use super::reader::Reader;
use super::section::Section;
use super::writer::Writer;
use crate::Engine;
use crate::events::EVERYBODY;
use crate::outcomes::{KEPT_ALWAYS, Outcome, OutcomeBudget};
use crate::sessions::{Session, SessionIx};

const SESSION_BYTES: usize = 56;
const OUTCOME_BYTES: usize = 24;

impl Engine {
    pub(super) fn save_sessions(&self, writer: &mut Writer<'_>) {
        writer.list(Section::Sessions, SESSION_BYTES, self.sessions.len(), |writer| {
            for ix in self.sessions.indices() {
                save_session(writer, &self.sessions[ix]);
                writer.end_record();
            }
        });
        // The limits are in the first section.
        let OutcomeBudget { total, .. } = self.outcome_budget;
        writer.list(Section::Outcomes, OUTCOME_BYTES, total, |writer| {
            for ix in self.sessions.indices() {
                for outcome in self.sessions[ix].outcomes.iter() {
                    save_outcome(writer, outcome);
                    writer.end_record();
                }
            }
        });
    }

    pub(super) fn load_sessions(&mut self, reader: &mut Reader<'_>) -> Result<(), LoadError> {
        // How many of the outcomes are whose.
        let mut counts: Vec<(SessionIx, u64)> = Vec::new();
        reader.list(Section::Sessions, SESSION_BYTES, |reader| {
            counts.push(self.load_session(reader)?);
            Ok(())
        })?;
        let mut counts = counts.into_iter().filter(|(_, count)| *count > 0);
        let mut next = counts.next();
        reader.list(Section::Outcomes, OUTCOME_BYTES, |reader| {
            let Some((session, left)) = &mut next else {
                return Err(reader.error("every outcome is some session's"));
            };
            self.load_outcome(reader, *session)?;
            *left -= 1;
            if *left == 0 {
                next = counts.next();
            }
            Ok(())
        })?;
        reader.check(next.is_none(), "every session has the outcomes that it counts")
    }

    fn load_session(&mut self, reader: &mut Reader<'_>) -> Result<(SessionIx, u64), LoadError> {
        let account = reader.u32()?;
        let account = self.account_numbered(reader, account)?;
        let account_id = self.accounts[account].id;
        let id = SessionId::new(reader.u32()?);
        let known = id.is_none() || self.sessions.find(account_id, id).is_some();
        reader.check(!known, "a session has an id of its own")?;
        let of_account = self.accounts[account].sessions.len();
        reader.check(of_account < self.sessions.account_max(), "an account has more sessions than it may")?;
        let connection = ConnectionId::new(reader.u64()?);
        reader.check(connection != EVERYBODY, "a connection is one session's")?;
        let ix = self
            .sessions
            .open(account, account_id, id)
            .ok_or(reader.error("more sessions than the limit"))?;
        self.accounts[account].sessions.push(ix);
        let session = &mut self.sessions[ix];
        session.connection = connection;
        session.cancel_on_disconnect_ms = reader.u32()?;
        session.disabled = load_disabled(reader)?;
        reader.zeros::<3>()?;
        session.high_water_mark = ClientOrderId::new(reader.u64()?);
        session.last_event_seq = reader.counter()?;
        let dropped = ClientOrderId::new(reader.u64()?);
        session.outcomes.begin_after(dropped);
        reader.check(dropped <= session.high_water_mark, "what was dropped was used before")?;
        self.note_entry(ix);
        Ok((ix, reader.u64()?))
    }

    fn load_outcome(&mut self, reader: &mut Reader<'_>, ix: SessionIx) -> Result<(), LoadError> {
        let (id, order_id) = (ClientOrderId::new(reader.u64()?), OrderId::new(reader.u64()?));
        let reason = match reader.u16()? {
            0 => None,
            raw => Some(RejectReason::from_raw(raw).ok_or(reader.error("a refusal has a reason"))?),
        };
        reader.zeros::<6>()?;
        let session = &self.sessions[ix];
        let outcomes = &session.outcomes;
        let last = outcomes.newest().map_or_else(|| outcomes.dropped_through(), |last| last.client_order_id);
        reader
            .check(last < id && id <= session.high_water_mark, "outcomes come in the order of their ids")?;
        reader.check(order_id <= self.last_order_id, "an outcome names an order that there was")?;
        let OutcomeBudget { session_max, total_max, total, .. } = self.outcome_budget;
        let others = self.sessions.len().saturating_mul(KEPT_ALWAYS);
        let room = self.sessions[ix].outcomes.len() < session_max;
        reader.check(room && total <= total_max.saturating_add(others), "more outcomes than are kept")?;
        self.outcome_budget.count(total + 1);
        let outcome = Outcome { client_order_id: id, order_id, slot: SlotHint::UNKNOWN, reason };
        self.sessions[ix].outcomes.append(outcome);
        Ok(())
    }

    /// The session with a number.
    pub(super) fn session_numbered(&self, reader: &Reader<'_>, raw: u32) -> Result<SessionIx, LoadError> {
        self.sessions.numbered(raw).ok_or(reader.error("there is no session with that number"))
    }
}

fn save_session(writer: &mut Writer<'_>, session: &Session) {
    let Session {
        // It follows from the account's id and its own.
        whose: _,
        account,
        id,
        connection,
        cancel_on_disconnect_ms,
        // The timers say which session they are for.
        grace: _,
        dead_man: _,
        high_water_mark,
        outcomes,
        last_event_seq,
        // Retained events say whose they are, and they are in order.
        newest_event: _,
        // Open orders say whose they are; ids rise with age.
        orders: _,
        // It follows from the session and its account.
        enters_freely: _,
        // Quotes say that they are some.
        quotes: _,
        disabled,
    } = session;
    writer.u32(account.raw());
    writer.u32(id.raw());
    writer.u64(connection.raw());
    writer.u32(*cancel_on_disconnect_ms);
    writer.u8(disabled_number(*disabled));
    writer.zeros::<3>();
    writer.u64(high_water_mark.raw());
    writer.u64(*last_event_seq);
    writer.u64(outcomes.dropped_through().raw());
    writer.u64(outcomes.len() as u64);
}

fn save_outcome(writer: &mut Writer<'_>, outcome: &Outcome) {
    // A hint would be wrong after the slots are numbered anew.
    let Outcome { client_order_id, order_id, slot: _, reason } = outcome;
    writer.u64(client_order_id.raw());
    writer.u64(order_id.raw());
    writer.u16(reason.map_or(0, RejectReason::raw));
    writer.zeros::<6>();
}
