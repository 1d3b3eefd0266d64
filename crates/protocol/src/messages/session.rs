//! Logon, heartbeat, logout, subscriptions: the conversation with the gateway.

use joulebook_types::{AccountId, ClientOrderId, InstrumentId, SessionId, TimeNs};

use crate::message::message;

message! {
    /// The first message on a stream: who wants to log on.
    Hello {
        /// Zero asks for an anonymous market data session, which needs no key.
        account: AccountId,
        /// The logical session, chosen by the client, 1 and up. Zero for an anonymous one.
        session: SessionId,
    }

    /// What the client must sign.
    Challenge {
        /// Random, used once.
        nonce: [u8; 32],
        /// Exchange time.
        server_time: TimeNs,
    }

    /// Proves the account's key: an Ed25519 signature over the text `joulebook/1 logon`, a zero byte, the nonce, the
    /// SHA-256 of the server's leaf certificate (DER), the account and the session (little-endian u32 each).
    Logon {
        signature: [u8; 64],
        /// The number of the last event received in this logical session; 0 for none. Later ones are sent again.
        last_event_seq: u64,
        /// Proposed heartbeat interval; 0 leaves it to the server.
        heartbeat_ms: u32,
        /// How long orders survive a lost connection: 0 to 30,000; 4,294,967,295 keeps them for good.
        cancel_on_disconnect_ms: u32,
    }

    /// The session is open. Missed events follow, or a snapshot when they are no longer retained, then new events.
    LogonAccepted {
        /// The highest client order id that the session ever used: the next one must be above.
        last_client_order_id: ClientOrderId,
        /// The number of the newest event of the session.
        last_event_seq: u64,
        /// The first event that is sent again; 0 when none is.
        resend_from_seq: u64,
        server_time: TimeNs,
        account: AccountId,
        session: SessionId,
        /// The interval that both sides keep.
        heartbeat_ms: u32,
        /// 1 when a snapshot (order states, balances, `SnapshotEnd`) follows in place of missed events.
        snapshot: u8,
        reserved: [u8; 3],
    }

    /// The logon failed; the stream ends.
    LogonRejected {
        account: AccountId,
        session: SessionId,
        /// A `RejectReason`.
        reason: u16,
        reserved: [u8; 6],
    }

    /// Sent by either side when it sent nothing else for the agreed interval.
    Heartbeat {
        /// The sender's clock, for information only: no client clock is ever needed.
        sent: TimeNs,
    }

    /// The client leaves. Its orders stay or go as its cancel-on-disconnect setting says.
    Logout {
        reserved: u64,
    }

    /// The server ends the session.
    Terminate {
        /// A `CloseReason`.
        reason: u16,
        reserved: [u8; 6],
    }

    /// The gateway refused a request before it reached the engine. It is not numbered and had no effect, so the
    /// same client order id may be used again.
    RequestRefused {
        client_order_id: ClientOrderId,
        /// The limit that was met, in the reason's unit.
        limit: i64,
        /// The value that met it.
        value: i64,
        /// A `RejectReason`.
        reason: u16,
        /// The template id of the request.
        template_id: u16,
        reserved: [u8; 4],
    }

    /// Asks for market data of an instrument, or of all.
    Subscribe {
        /// Zero subscribes to every instrument, listed now or later.
        instrument: InstrumentId,
        /// 1 book levels, 2 trades, 3 both. Definitions and phases always come.
        kinds: u8,
        reserved: [u8; 3],
    }

    /// Ends a subscription.
    Unsubscribe {
        /// Zero ends all.
        instrument: InstrumentId,
        reserved: u32,
    }
}
