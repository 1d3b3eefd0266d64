//! What `/readyz` answers: each check with its reason.

use serde::Serialize;

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    ok: bool,
    reason: String,
}

/// Everything that must hold before orders may come, and what people should know besides. It starts with every check
/// failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The journal is writable and its last sync worked.
    pub journal: Check,
    /// The gateway is bound and takes logons.
    pub gateway: Check,
    /// The journal has been replayed to its end.
    pub replay: Check,
    /// The last snapshot was written, and those that recovery met were whole. Orders do not wait for it: the journal
    /// has everything that a snapshot has.
    pub snapshots: Check,
}

impl Check {
    /// It holds; the reason says how it is known.
    pub fn passed(reason: impl Into<String>) -> Self {
        Self { ok: true, reason: reason.into() }
    }

    /// It does not; the reason says what to do.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { ok: false, reason: reason.into() }
    }

    /// Whether it holds.
    pub fn is_ok(&self) -> bool {
        self.ok
    }

    /// How it is known, or what to do.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl Health {
    /// Every check holds that orders need.
    pub fn is_ready(&self) -> bool {
        self.journal.ok && self.gateway.ok && self.replay.ok
    }
}

impl Default for Health {
    fn default() -> Self {
        let starting = || Check::failed("not started yet");
        Self { journal: starting(), gateway: starting(), replay: starting(), snapshots: starting() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_is_enough() {
        let passed = || Check::passed("fine");
        let ready = Health { journal: passed(), gateway: passed(), replay: passed(), snapshots: passed() };
        assert!(ready.is_ready());
        let no_snapshots = Health { snapshots: Check::failed("disk full"), ..ready.clone() };
        assert!(no_snapshots.is_ready(), "trading needs no snapshots");
        assert!(!Health::default().is_ready());
        let cases = [
            Health { journal: Check::failed("disk full"), ..ready.clone() },
            Health { gateway: Check::failed("not bound"), ..ready.clone() },
            Health { replay: Check::failed("at 40 %"), ..ready.clone() },
        ];
        for health in cases {
            assert!(!health.is_ready(), "{health:?}");
        }
    }
}
