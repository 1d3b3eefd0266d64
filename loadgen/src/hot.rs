//! The loop that measures: one thread that spins, sends what is due, and never waits for an answer.

use std::time::Duration;

use joulebook_protocol::messages::RequestRefused;
use joulebook_protocol::{Event, Frame, Message};
use joulebook_sys::monotonic_ns;
use joulebook_types::ClientOrderId;

use crate::BenchError;
use crate::plan::{Operation, Plan, Planned};
use crate::recorder::{Outcome, Pending, Recorder};
use crate::wire::Wire;

/// What a workload makes of its plan, and what it must remember of the answers to do so.
pub(crate) trait Flow {
    /// Appends the frame of the request for `planned`, numbered `id`. The operation differs from the planned one when that
    /// is not possible, as a cancel before any order is acknowledged. A `Command` has room for the longest request of
    /// all, which costs several times as much to hand around as the frame costs to write.
    fn write(&mut self, planned: &Planned, id: ClientOrderId, out: &mut Vec<u8>) -> Operation;

    /// The same, as a command to look at.
    #[cfg(test)]
    fn command(&mut self, planned: &Planned, id: ClientOrderId) -> (Operation, joulebook_protocol::Command) {
        let mut bytes = Vec::new();
        let operation = self.write(planned, id, &mut bytes);
        let (frame, rest) = Frame::split(&bytes).unwrap().unwrap();
        assert_eq!(rest, b"", "one frame");
        (operation, joulebook_protocol::Command::decode(&frame).unwrap())
    }

    fn on_event(&mut self, session: usize, event: &Event);

    /// Orders that rest, as far as the answers tell.
    fn resting(&self) -> usize;

    /// Requests that could not be what the plan wanted.
    fn fallbacks(&self) -> u64;
}

/// Requests that one session may have unanswered. An exchange that is further behind is overloaded.
const UNANSWERED_MAX: usize = 1 << 17;
/// Requests of one turn, so that answers are not left lying behind a long backlog.
const BURST_MAX: usize = 256;
/// How long answers may take after the last request.
const DRAIN: Duration = Duration::from_secs(10);

/// Requests without an answer, by client order id: ids are dense, so the ring needs no hash.
struct Unanswered {
    slots: Vec<Pending>,
    count: usize,
}

impl Unanswered {
    fn new() -> Self {
        let free = Pending { id: 0, intended_ns: 0, sent_ns: 0, operation: Operation::New };
        Self { slots: vec![free; UNANSWERED_MAX], count: 0 }
    }

    /// False when the request that had this place is still unanswered.
    #[inline]
    fn insert(&mut self, pending: Pending) -> bool {
        let slot = &mut self.slots[pending.id as usize % UNANSWERED_MAX];
        if slot.id != 0 {
            return false;
        }
        *slot = pending;
        self.count += 1;
        true
    }

    #[inline]
    fn take(&mut self, id: u64) -> Option<Pending> {
        let slot = &mut self.slots[id as usize % UNANSWERED_MAX];
        if id == 0 || slot.id != id {
            return None;
        }
        let pending = *slot;
        slot.id = 0;
        self.count -= 1;
        Some(pending)
    }
}

/// How a plan is played.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// When it is due.
    Open { rate: u64 },
    /// So many in flight per session, going round the plan.
    Closed { window: usize },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunEnd {
    /// Requests that never got an answer.
    pub(crate) lost: u64,
    /// Requests that were due and not sent, because too many were unanswered.
    pub(crate) unsent: u64,
    /// From the first counted intended time to the last answer.
    pub(crate) span_ns: u64,
}

pub(crate) struct HotClient<'a, F> {
    pub(crate) wire: &'a mut Wire,
    pub(crate) flow: &'a mut F,
    pub(crate) recorder: &'a mut Recorder,
    unanswered: Vec<Unanswered>,
    start_ns: u64,
    last_answer_ns: u64,
}

impl<'a, F: Flow> HotClient<'a, F> {
    pub(crate) fn new(wire: &'a mut Wire, flow: &'a mut F, recorder: &'a mut Recorder) -> Self {
        let unanswered = (0..wire.session_count()).map(|_| Unanswered::new()).collect();
        Self { wire, flow, recorder, unanswered, start_ns: 0, last_answer_ns: 0 }
    }

    /// Sends every request of `plan` when it is due, whatever the exchange does meanwhile.
    pub(crate) fn open_loop(mut self, plan: &Plan, warmup_ns: u64) -> Result<RunEnd, BenchError> {
        self.start_ns = monotonic_ns();
        let mut next = 0;
        let mut unsent = 0;
        while let Some(planned) = plan.requests.get(next) {
            let received = self.receive()?;
            let now_ns = self.now_ns();
            let (mut due, mut sent) = (Some(planned), 0);
            while let Some(planned) = due.filter(|planned| planned.at_ns <= now_ns && sent < BURST_MAX) {
                unsent += u64::from(!self.send(planned, planned.at_ns, now_ns));
                sent += 1;
                due = plan.requests.get(next + sent);
            }
            next += sent;
            self.wire.flush();
            self.recorder.polled(now_ns, !received && sent == 0);
        }
        let lost = self.drain()?;
        let span_ns = self.last_answer_ns.saturating_sub(warmup_ns);
        Ok(RunEnd { lost, unsent, span_ns })
    }

    /// Keeps `window` requests of every session in flight for `span_ns`, going round its part of `plan`.
    /// Latency is service time here: in a closed loop nothing is due before it is sent.
    pub(crate) fn closed_loop(
        mut self,
        plan: &Plan,
        window: usize,
        span_ns: u64,
        warmup_ns: u64,
    ) -> Result<RunEnd, BenchError> {
        let mut turns = by_session(plan, self.unanswered.len());
        self.start_ns = monotonic_ns();
        loop {
            let received = self.receive()?;
            let now_ns = self.now_ns();
            if span_ns <= now_ns {
                break;
            }
            let mut sent = 0;
            for (session, turn) in turns.iter_mut().enumerate() {
                for _ in self.unanswered[session].count..window {
                    let Some(planned) = turn.next() else { break };
                    self.send(planned, now_ns, now_ns);
                    sent += 1;
                }
            }
            self.wire.flush();
            self.recorder.polled(now_ns, !received && sent == 0);
        }
        let span_ns = span_ns - warmup_ns;
        // Answers after the end are taken, so that none is left for the next run, but they do not count.
        let before = (self.recorder.answered, self.recorder.rejected);
        let lost = self.drain()?;
        (self.recorder.answered, self.recorder.rejected) = before;
        Ok(RunEnd { lost, unsent: 0, span_ns })
    }

    #[inline]
    fn now_ns(&self) -> u64 {
        monotonic_ns() - self.start_ns
    }

    #[inline]
    fn send(&mut self, planned: &Planned, intended_ns: u64, now_ns: u64) -> bool {
        let session = usize::from(planned.session);
        let id = self.wire.next_id(session);
        let pending = Pending { id: id.raw(), intended_ns, sent_ns: now_ns, operation: planned.operation };
        let unanswered = &mut self.unanswered[session];
        if !unanswered.insert(pending) {
            return false;
        }
        let operation = self.flow.write(planned, id, self.wire.queue_frame(session));
        unanswered.slots[id.raw() as usize % UNANSWERED_MAX].operation = operation;
        self.recorder.sent(&Pending { operation, ..pending });
        true
    }

    /// Takes what has arrived; true if anything has.
    #[inline]
    fn receive(&mut self) -> Result<bool, BenchError> {
        let (flow, recorder, unanswered) = (&mut *self.flow, &mut *self.recorder, &mut self.unanswered);
        let start_ns = self.start_ns;
        // One reading for all that one turn took from the socket.
        let mut now_ns = 0;
        let datagrams = self.wire.pump(|session, frame| {
            if now_ns == 0 {
                now_ns = monotonic_ns() - start_ns;
            }
            if let Some((id, outcome)) = read(frame, session, flow, recorder)
                && let Some(pending) = unanswered[session].take(id)
            {
                recorder.answered(&pending, outcome, now_ns);
            }
        })?;
        self.last_answer_ns = self.last_answer_ns.max(now_ns);
        Ok(0 < datagrams)
    }

    /// Waits for the answers that are still out; returns how many never came.
    fn drain(&mut self) -> Result<u64, BenchError> {
        let until_ns = self.now_ns() + DRAIN.as_nanos() as u64;
        loop {
            let lost: usize = self.unanswered.iter().map(|unanswered| unanswered.count).sum();
            if lost == 0 || until_ns <= self.now_ns() {
                return Ok(lost as u64);
            }
            self.receive()?;
            self.wire.flush();
        }
    }
}

/// The request that `frame` answers, if it answers one.
#[inline]
fn read<F: Flow>(
    frame: &Frame<'_>,
    session: usize,
    flow: &mut F,
    recorder: &mut Recorder,
) -> Option<(u64, Outcome)> {
    if frame.header.template_id == RequestRefused::TEMPLATE_ID {
        let refused = RequestRefused::decode(frame.block).ok()?;
        return Some((refused.client_order_id.raw(), Outcome::Rejected(refused.reason)));
    }
    let event = Event::decode(frame).ok()?;
    flow.on_event(session, &event);
    recorder.fills += u64::from(matches!(event, Event::OrderFilled(_)));
    answer(&event)
}

/// Which request an event answers, and how. Fills and cancels that nobody asked for answer none.
pub(crate) fn answer(event: &Event) -> Option<(u64, Outcome)> {
    let (id, outcome) = match event {
        Event::OrderAccepted(accepted) => (accepted.client_order_id, Outcome::Accepted),
        Event::RequestRejected(rejected) => (rejected.client_order_id, Outcome::Rejected(rejected.reason)),
        Event::OrderCanceled(canceled) => (canceled.request, Outcome::Accepted),
        Event::OrderReplaced(replaced) => (replaced.request, Outcome::Accepted),
        Event::TokenOrderDone(done) => (done.client_order_id, Outcome::Accepted),
        Event::MassCancelDone(done) => (done.client_order_id, Outcome::Accepted),
        Event::RequestDone(done) => (done.client_order_id, Outcome::Accepted),
        Event::RequestRepeated(repeated) => (repeated.client_order_id, Outcome::Rejected(repeated.reason)),
        Event::SnapshotEnd(end) => (end.client_order_id, Outcome::Accepted),
        Event::MassQuoteAck(ack) => (ack.client_order_id, Outcome::Accepted),
        Event::SweepDone(done) => (done.client_order_id, Outcome::Accepted),
        Event::OrderFilled(_)
        | Event::OrderTriggered(_)
        | Event::LegDone(_)
        | Event::QuoteRejected(_)
        | Event::ProtectionTriggered(_)
        | Event::OrderStatus(_)
        | Event::CreditBalance(_)
        | Event::CapacityBalance(_) => return None,
    };
    (!id.is_none()).then_some((id.raw(), outcome))
}

/// Each session's own requests, without end.
fn by_session(plan: &Plan, sessions: usize) -> Vec<impl Iterator<Item = &Planned>> {
    (0..sessions)
        .map(|session| {
            let own: Vec<&Planned> =
                plan.requests.iter().filter(|planned| usize::from(planned.session) == session).collect();
            own.into_iter().cycle()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use joulebook_protocol::messages::{OrderAccepted, OrderCanceled, OrderFilled};

    #[test]
    fn the_ring_of_unanswered_requests_is_exact() {
        let mut unanswered = Unanswered::new();
        let pending = |id| Pending { id, intended_ns: id, sent_ns: id, operation: Operation::Move };
        assert!(unanswered.insert(pending(5)));
        assert!(!unanswered.insert(pending(5 + UNANSWERED_MAX as u64)), "its place is taken");
        assert!(unanswered.take(5 + UNANSWERED_MAX as u64).is_none());
        assert!(unanswered.take(0).is_none());
        assert_eq!(unanswered.take(5).unwrap().intended_ns, 5);
        assert!(unanswered.take(5).is_none(), "an answer counts once");
        assert_eq!(unanswered.count, 0);
    }

    #[test]
    fn only_answers_complete_requests() {
        let id = ClientOrderId::new(3);
        let accepted = OrderAccepted { client_order_id: id, ..Default::default() };
        assert_eq!(answer(&accepted.into()), Some((3, Outcome::Accepted)));
        let unasked = OrderCanceled { client_order_id: id, ..Default::default() };
        assert_eq!(answer(&unasked.into()), None);
        let asked =
            OrderCanceled { client_order_id: id, request: ClientOrderId::new(4), ..Default::default() };
        assert_eq!(answer(&asked.into()), Some((4, Outcome::Accepted)));
        assert_eq!(answer(&OrderFilled { client_order_id: id, ..Default::default() }.into()), None);
    }
}
