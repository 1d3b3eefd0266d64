use std::collections::HashMap;
use std::net::IpAddr;

use crate::DriverConfig;

/// Decides over newcomers, from counts alone: a flood must cost us neither memory nor a scan.
#[derive(Debug)]
pub(crate) struct Admission {
    max_connections: usize,
    max_per_address: usize,
    retry_above: usize,
    open: usize,
    /// Handshakes under way whose address is not proven yet.
    unproven: usize,
    per_address: HashMap<IpAddr, usize>,
    closed_to_newcomers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    /// Ask to prove the address first.
    Retry,
    Refuse,
}

impl Admission {
    pub(crate) fn new(config: &DriverConfig) -> Self {
        Self {
            max_connections: config.max_connections,
            max_per_address: config.max_connections_per_address,
            retry_above: config.retry_above_pending,
            open: 0,
            unproven: 0,
            per_address: HashMap::new(),
            closed_to_newcomers: false,
        }
    }

    pub(crate) fn judge(&self, address: IpAddr, proven: bool) -> Verdict {
        let of_address = self.per_address.get(&address).copied().unwrap_or(0);
        if self.closed_to_newcomers || !self.has_room() || self.max_per_address <= of_address {
            Verdict::Refuse
        } else if !proven && self.retry_above <= self.unproven {
            Verdict::Retry
        } else {
            Verdict::Accept
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.open < self.max_connections
    }

    /// From now on every newcomer is refused; those inside stay.
    pub(crate) fn close_to_newcomers(&mut self) {
        self.closed_to_newcomers = true;
    }

    /// A connection of ours, which counts for the total only.
    pub(crate) fn count_outgoing(&mut self) {
        self.open += 1;
    }

    pub(crate) fn count_incoming(&mut self, address: IpAddr, proven: bool) {
        self.open += 1;
        self.unproven += usize::from(!proven);
        *self.per_address.entry(address).or_insert(0) += 1;
    }

    pub(crate) fn proven(&mut self) {
        self.unproven -= 1;
    }

    pub(crate) fn closed(&mut self, accepted_from: Option<IpAddr>) {
        self.open -= 1;
        let Some(address) = accepted_from else { return };
        let count = self.per_address.get_mut(&address).expect("counted when accepted");
        *count -= 1;
        if *count == 0 {
            self.per_address.remove(&address);
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_decide() {
        let mut config = DriverConfig::new("127.0.0.1:0".parse().expect("an address"));
        (config.max_connections, config.max_connections_per_address, config.retry_above_pending) = (4, 2, 1);
        let mut admission = Admission::new(&config);
        let [a, b, c] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));

        assert_eq!(admission.judge(a, false), Verdict::Accept);
        admission.count_incoming(a, false);
        assert_eq!(admission.judge(a, false), Verdict::Retry, "one unproven handshake is under way");
        assert_eq!(admission.judge(a, true), Verdict::Accept, "the address was proven by Retry");
        admission.count_incoming(a, true);
        assert_eq!(admission.judge(a, true), Verdict::Refuse, "two of one address");
        admission.proven();
        assert_eq!(admission.judge(b, false), Verdict::Accept, "the first handshake is done");
        admission.count_incoming(b, true);
        admission.count_outgoing();
        assert_eq!(admission.judge(c, true), Verdict::Refuse, "four in all");
        admission.closed(Some(a));
        assert_eq!(admission.judge(a, true), Verdict::Accept, "its place is free again");
        admission.close_to_newcomers();
        assert_eq!(admission.judge(a, true), Verdict::Refuse, "shutting down");
    }
}
