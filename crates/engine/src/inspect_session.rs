//! Questions about sessions, for programs that hold the engine without a gateway.

use joulebook_types::{AccountId, ClientOrderId, ConnectionId, SessionId};

use crate::Engine;

/// What a logical session has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// [`ConnectionId::NONE`] while nobody is logged on.
    pub connection: ConnectionId,
    /// The highest client order id ever used: the next request needs a higher one.
    pub last_client_order_id: ClientOrderId,
    pub last_event_seq: u64,
    pub open_orders: u32,
}

impl Engine {
    /// A logical session; `None` before its first logon.
    pub fn session(&self, account: AccountId, session: SessionId) -> Option<SessionState> {
        let session = &self.sessions[self.sessions.find(account, session)?];
        Some(SessionState {
            connection: session.connection,
            last_client_order_id: session.high_water_mark,
            last_event_seq: session.last_event_seq,
            open_orders: session.orders.len(),
        })
    }

    /// Whose session the engine's dense number in a [`Record`](crate::Record) means.
    pub fn session_identity(&self, session: u32) -> Option<(AccountId, SessionId)> {
        let session = &self.sessions[self.sessions.indices().nth(session as usize)?];
        Some((self.accounts[session.account].id, session.id))
    }

    /// From now on, events for sessions that nobody is logged on to come out like all others, to
    /// [`ConnectionId::NONE`]: for tools that show what happened. State and hashes do not change.
    pub fn tell_all(&mut self) {
        self.tells_all = true;
    }
}
