//! What bots count and measure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use joulebook_protocol::{Event, RejectReason};
use joulebook_types::{ClientOrderId, TimeNs};

/// Counts since the start; those of several bots add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub requests: u64,
    pub answers: u64,
    /// Fills of the bots' own orders.
    pub fills: u64,
    /// By reason, the exchange's and the gateway's together.
    pub rejects: BTreeMap<RejectReason, u64>,
    /// Requests that the SDK did not take because too many waited.
    pub not_sent: u64,
    pub disconnects: u64,
    pub resumes: u64,
}

/// Nanoseconds, from the time at which a request was due.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// To its answer.
    pub answer_ns: Histogram<u64>,
    /// To its sending: how late the bot itself was.
    pub lag_ns: Histogram<u64>,
}

/// A minute: longer answers are counted as a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

impl Latencies {
    pub(crate) fn new() -> Self {
        let empty =
            || Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("bounds and precision are in range");
        Self { answer_ns: empty(), lag_ns: empty() }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, part) in [(&mut self.answer_ns, &other.answer_ns), (&mut self.lag_ns, &other.lag_ns)] {
            sum.add(part).expect("all have the same bounds");
        }
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.answers += other.answers;
        self.fills += other.fills;
        self.not_sent += other.not_sent;
        self.disconnects += other.disconnects;
        self.resumes += other.resumes;
        for (reason, count) in &other.rejects {
            *self.rejects.entry(*reason).or_default() += count;
        }
    }

    fn reject(&mut self, reason: u16) {
        // A reason of a newer exchange is counted as what it surely is: not what we expected.
        let reason = RejectReason::from_raw(reason).unwrap_or(RejectReason::Unexpected);
        *self.rejects.entry(reason).or_default() += 1;
    }
}

/// One bot's books, shared with whoever asks for the sum.
#[derive(Clone, Debug)]
pub(crate) struct Tally(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    counts: Counts,
    latencies: Latencies,
    /// When the requests without an answer were due.
    due: BTreeMap<ClientOrderId, TimeNs>,
    ended: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            counts: Counts::default(),
            latencies: Latencies::new(),
            due: BTreeMap::new(),
            ended: None,
        })))
    }

    pub(crate) fn on_sent(&self, request: ClientOrderId, due: TimeNs, now: TimeNs) {
        let mut inner = self.inner();
        inner.counts.requests += 1;
        inner.latencies.lag_ns.saturating_record(elapsed(due, now));
        inner.due.insert(request, due);
    }

    pub(crate) fn on_not_sent(&self) {
        self.inner().counts.not_sent += 1;
    }

    pub(crate) fn on_event(&self, event: &Event, answers: Option<ClientOrderId>, now: TimeNs) {
        let mut inner = self.inner();
        match event {
            Event::RequestRejected(rejected) => inner.counts.reject(rejected.reason),
            Event::OrderFilled(_) => inner.counts.fills += 1,
            Event::OrderAccepted(_)
            | Event::OrderCanceled(_)
            | Event::OrderReplaced(_)
            | Event::MassCancelDone(_)
            | Event::TokenOrderDone(_)
            | Event::RequestDone(_)
            | Event::RequestRepeated(_)
            | Event::OrderStatus(_)
            | Event::CreditBalance(_)
            | Event::CapacityBalance(_)
            | Event::OrderTriggered(_)
            | Event::LegDone(_)
            | Event::SweepDone(_)
            | Event::MassQuoteAck(_)
            | Event::QuoteRejected(_)
            | Event::ProtectionTriggered(_)
            | Event::SnapshotEnd(_) => {}
        }
        if let Some(request) = answers {
            inner.answered(request, now);
        }
    }

    pub(crate) fn on_refused(&self, request: ClientOrderId, reason: u16, now: TimeNs) {
        let mut inner = self.inner();
        inner.counts.reject(reason);
        inner.answered(request, now);
    }

    pub(crate) fn on_disconnected(&self) {
        self.inner().counts.disconnects += 1;
    }

    pub(crate) fn on_resumed(&self) {
        self.inner().counts.resumes += 1;
    }

    pub(crate) fn on_ended(&self, why: String) {
        self.inner().ended = Some(why);
    }

    /// Why the bot's session is over, if it is.
    pub(crate) fn ended(&self) -> Option<String> {
        self.inner().ended.clone()
    }

    pub(crate) fn add_to(&self, counts: &mut Counts, latencies: &mut Latencies) {
        let inner = self.inner();
        counts.add(&inner.counts);
        latencies.add(&inner.latencies);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn answered(&mut self, request: ClientOrderId, now: TimeNs) {
        self.counts.answers += 1;
        // Requests of the set-up are not measured.
        if let Some(due) = self.due.remove(&request) {
            self.latencies.answer_ns.saturating_record(elapsed(due, now));
        }
    }
}

fn elapsed(from: TimeNs, to: TimeNs) -> u64 {
    to.raw().saturating_sub(from.raw()).max(1)
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::messages::{OrderAccepted, RequestRejected};

    use super::*;

    #[test]
    fn latency_runs_from_the_time_a_request_was_due() {
        let tally = Tally::new();
        let id = ClientOrderId::new;
        tally.on_sent(id(1), TimeNs::new(1_000), TimeNs::new(5_000));
        tally.on_sent(id(2), TimeNs::new(2_000), TimeNs::new(5_000));
        tally.on_event(&Event::OrderAccepted(OrderAccepted::default()), Some(id(1)), TimeNs::new(101_000));
        tally.on_refused(id(2), RejectReason::Throttled.raw(), TimeNs::new(102_000));
        let rejected = RequestRejected { reason: 9_999, ..RequestRejected::default() };
        tally.on_event(&Event::RequestRejected(rejected), Some(id(3)), TimeNs::new(103_000));

        let (mut counts, mut latencies) = (Counts::default(), Latencies::new());
        tally.add_to(&mut counts, &mut latencies);
        tally.add_to(&mut counts, &mut latencies);
        assert_eq!((counts.requests, counts.answers), (4, 6));
        let rejects = [(RejectReason::Throttled, 2), (RejectReason::Unexpected, 2)];
        assert!(
            rejects.iter().all(|(reason, count)| counts.rejects.get(reason) == Some(count)),
            "{counts:?}"
        );
        // Two bots, two requests each: both waited 100 us, and were sent 4 and 3 us late.
        assert_eq!((latencies.answer_ns.len(), latencies.lag_ns.len()), (4, 4));
        assert!(latencies.answer_ns.equivalent(latencies.answer_ns.min(), 100_000));
        assert!(latencies.answer_ns.equivalent(latencies.answer_ns.max(), 100_000));
        assert!(latencies.lag_ns.equivalent(latencies.lag_ns.max(), 4_000));
    }
}
