//! What `/readyz` answers: each check with its reason.

use serde::Serialize;

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    ok: bool,
    reason: String,
}

/// Everything that must hold before orders may come. It starts with every check failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The journal is writable and its last sync worked.
    pub journal: Check,
    /// The gateway is bound and takes logons.
    pub gateway: Check,
    /// The journal has been replayed to its end.
    pub replay: Check,
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
}

impl Health {
    /// Every check holds.
    pub fn is_ready(&self) -> bool {
        self.journal.ok && self.gateway.ok && self.replay.ok
    }
}

impl Default for Health {
    fn default() -> Self {
        let starting = || Check::failed("not started yet");
        Self { journal: starting(), gateway: starting(), replay: starting() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_is_enough() {
        let passed = || Check::passed("fine");
        let ready = Health { journal: passed(), gateway: passed(), replay: passed() };
        assert!(ready.is_ready());
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
