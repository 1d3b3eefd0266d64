//! The terms of a session.

/// What a client may do and how much it may make us hold.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// From the stream's opening to the engine's answer.
    pub logon_timeout_ms: u32,
    /// Orders (all requests that are not cancels) per second, and how many may come at once.
    pub orders_per_s: u32,
    pub order_burst: u32,
    /// The same for cancels and mass cancels.
    pub cancels_per_s: u32,
    pub cancel_burst: u32,
    /// Bytes that were received and not acted upon.
    pub unhandled_bytes_max: usize,
    /// Bytes that wait although the client was offered them: beyond it, it is a slow consumer. What was not offered
    /// yet, such as the events of one large mass cancel, may be four times as much.
    pub unsent_bytes_max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            logon_timeout_ms: 3_000,
            orders_per_s: 100_000,
            order_burst: 200_000,
            cancels_per_s: 200_000,
            cancel_burst: 400_000,
            unhandled_bytes_max: 64 << 10,
            unsent_bytes_max: 1 << 20,
        }
    }
}
