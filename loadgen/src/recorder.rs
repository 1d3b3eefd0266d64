//! Times of a run, in nanoseconds, written by the hot thread without locks or allocation.

use hdrhistogram::Histogram;
use joulebook_protocol::RejectReason;

use crate::plan::Operation;

/// A second of the run: latencies by operation.
pub(crate) type Interval = [Histogram<u64>; Operation::ALL.len()];

pub(crate) const INTERVAL_NS: u64 = 1_000_000_000;
/// Longer ones are counted as this long.
const LATENCY_NS_MAX: u64 = 120_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// What the hot thread records.
pub(crate) struct Recorder {
    /// What was due before is warm-up and does not count.
    from_ns: u64,
    pub(crate) intervals: Vec<Interval>,
    pub(crate) service: Histogram<u64>,
    pub(crate) lag: Histogram<u64>,
    pub(crate) sent: [u64; Operation::ALL.len()],
    pub(crate) answered: u64,
    pub(crate) rejected: u64,
    /// By reason number; the last entry counts those that this version does not know.
    pub(crate) reasons: [u64; REASONS],
    pub(crate) fills: u64,
    pub(crate) polls: u64,
    pub(crate) empty_polls: u64,
}

const REASONS: usize = 128;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    /// By engine or gateway, with the reason's number.
    Rejected(u16),
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) id: u64,
    pub(crate) intended_ns: u64,
    pub(crate) sent_ns: u64,
    pub(crate) operation: Operation,
}

impl Recorder {
    /// For requests due from `from_ns` on, in a run that ends before `until_ns`.
    pub(crate) fn new(from_ns: u64, until_ns: u64) -> Self {
        let seconds = until_ns.saturating_sub(from_ns).div_ceil(INTERVAL_NS).max(1) as usize;
        Self {
            from_ns,
            // Memory of a histogram is zero pages until it is touched, so a long run costs little.
            intervals: (0..seconds).map(|_| std::array::from_fn(|_| histogram())).collect(),
            service: histogram(),
            lag: histogram(),
            sent: [0; Operation::ALL.len()],
            answered: 0,
            rejected: 0,
            reasons: [0; REASONS],
            fills: 0,
            polls: 0,
            empty_polls: 0,
        }
    }

    pub(crate) fn counts(&self, at_ns: u64) -> bool {
        self.from_ns <= at_ns
    }

    #[inline]
    pub(crate) fn sent(&mut self, pending: &Pending) {
        if self.counts(pending.intended_ns) {
            self.sent[pending.operation as usize] += 1;
            self.lag.saturating_record(pending.sent_ns - pending.intended_ns);
        }
    }

    #[inline]
    pub(crate) fn answered(&mut self, pending: &Pending, outcome: Outcome, now_ns: u64) {
        if !self.counts(pending.intended_ns) {
            return;
        }
        self.answered += 1;
        if let Outcome::Rejected(reason) = outcome {
            self.rejected += 1;
            self.reasons[usize::from(reason).min(REASONS - 1)] += 1;
        }
        let second = ((now_ns - self.from_ns) / INTERVAL_NS) as usize;
        let second = second.min(self.intervals.len() - 1);
        let latency = now_ns.saturating_sub(pending.intended_ns);
        self.intervals[second][pending.operation as usize].saturating_record(latency);
        self.service.saturating_record(now_ns.saturating_sub(pending.sent_ns));
    }

    #[inline]
    pub(crate) fn polled(&mut self, now_ns: u64, empty: bool) {
        if self.counts(now_ns) {
            self.polls += 1;
            self.empty_polls += u64::from(empty);
        }
    }

    /// Latencies of one operation over the whole run.
    pub(crate) fn latency_of(&self, operation: Operation) -> Histogram<u64> {
        merged(self.intervals.iter().map(|interval| &interval[operation as usize]))
    }

    /// All latencies.
    pub(crate) fn latency(&self) -> Histogram<u64> {
        merged(self.intervals.iter().flatten())
    }

    /// Rejects by reason, in the order of their numbers.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = (String, u64)> {
        self.reasons.iter().enumerate().filter(|(_, count)| 0 < **count).map(|(number, count)| {
            let reason = RejectReason::from_raw(number as u16);
            (reason.map_or_else(|| format!("reason {number}"), |reason| reason.to_string()), *count)
        })
    }
}

pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, SIGNIFICANT_DIGITS).expect("constants of a valid histogram")
}

fn merged<'a>(parts: impl Iterator<Item = &'a Histogram<u64>>) -> Histogram<u64> {
    let mut total = histogram();
    for part in parts {
        total.add(part).expect("all histograms have the same bounds");
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(intended_ns: u64, sent_ns: u64) -> Pending {
        Pending { id: 1, intended_ns, sent_ns, operation: Operation::Move }
    }

    #[test]
    fn latency_runs_from_the_intended_time_and_warm_up_does_not_count() {
        let mut recorder = Recorder::new(1_000_000, 3_000_000_000);
        let early = pending(999_999, 1_000_500);
        recorder.sent(&early);
        recorder.answered(&early, Outcome::Accepted, 1_500_000);
        let late = pending(2_000_000, 2_300_000);
        recorder.sent(&late);
        recorder.answered(&late, Outcome::Rejected(40), 2_500_000);
        assert_eq!((recorder.answered, recorder.rejected), (1, 1));
        assert!(recorder.latency().equivalent(recorder.latency().max(), 500_000));
        assert!(recorder.service.equivalent(recorder.service.max(), 200_000));
        assert!(recorder.lag.equivalent(recorder.lag.max(), 300_000));
        assert_eq!(recorder.latency_of(Operation::Move).len(), 1);
        assert_eq!(recorder.latency_of(Operation::New).len(), 0);
        assert_eq!(recorder.reasons().collect::<Vec<_>>(), [("UnknownOrder".to_owned(), 1)]);
    }

    #[test]
    fn answers_after_the_end_fall_into_the_last_second() {
        let mut recorder = Recorder::new(0, 2_000_000_000);
        recorder.answered(&pending(1, 1), Outcome::Accepted, 500_000_000_000);
        assert_eq!(recorder.intervals[1][Operation::Move as usize].len(), 1);
    }
}
