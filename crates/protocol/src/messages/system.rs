//! Commands that the exchange itself issues, so that a replay sees what it saw.

use joulebook_types::{AreaCode, ConnectionId, ShardId};

use crate::message::message;

message! {
    /// The first command of every journal: the limits that the engine was built with.
    Genesis {
        shard: ShardId,
        reserved: u16,
        accounts_max: u32,
        sessions_max: u32,
        instruments_max: u32,
        orders_max: u32,
        /// Events that all sessions together keep for resending.
        outbox_events_max: u32,
        /// Request outcomes that one session keeps.
        session_outcomes_max: u32,
        /// Request outcomes that all sessions together keep.
        outcomes_max: u32,
        /// The power zone that the shard serves; zero bytes: every zone.
        area: AreaCode,
    }

    /// A gateway verified a logon.
    SessionOpened {
        connection: ConnectionId,
        /// The number of the last event that the client has.
        last_event_seq: u64,
        heartbeat_ms: u32,
        cancel_on_disconnect_ms: u32,
    }

    /// The connection of a session ended.
    SessionClosed {
        /// Ignored when the session has logged on elsewhere since.
        connection: ConnectionId,
        /// A `CloseReason`.
        reason: u16,
        reserved: [u8; 6],
    }

    /// The process started again: all connections are gone.
    Restarted {
        reserved: u64,
    }

    /// Nothing but the batch's time: gates, timers and grace periods run.
    AdvanceTime {
        reserved: u64,
    }

    /// Where the random ends of auctions come from, drawn by the exchange at each start.
    Seed {
        seed: u64,
    }
}
