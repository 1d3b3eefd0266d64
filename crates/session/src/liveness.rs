//! Heartbeats: who spoke last, and when silence means that the other side is gone.

use joulebook_types::TimeNs;

/// Milliseconds between heartbeats when the client leaves it to the server.
pub const HEARTBEAT_MS_DEFAULT: u32 = 3_000;
/// Silence of this many intervals ends a session.
const SILENT_INTERVALS: u64 = 3;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Liveness {
    interval_ns: u64,
    last_sent: TimeNs,
    last_heard: TimeNs,
}

impl Liveness {
    pub(crate) fn new(interval_ms: u32, now: TimeNs) -> Self {
        Self { interval_ns: u64::from(interval_ms.max(1)) * 1_000_000, last_sent: now, last_heard: now }
    }

    pub(crate) fn sent(&mut self, now: TimeNs) {
        self.last_sent = now;
    }

    pub(crate) fn heard(&mut self, now: TimeNs) {
        self.last_heard = now;
    }

    pub(crate) fn heartbeat_at(&self) -> TimeNs {
        later(self.last_sent, self.interval_ns)
    }

    pub(crate) fn silent_at(&self) -> TimeNs {
        later(self.last_heard, SILENT_INTERVALS * self.interval_ns)
    }

    pub(crate) fn deadline(&self) -> TimeNs {
        self.heartbeat_at().min(self.silent_at())
    }
}

pub(crate) fn later(time: TimeNs, ns: u64) -> TimeNs {
    TimeNs::new(time.raw().saturating_add(ns))
}
