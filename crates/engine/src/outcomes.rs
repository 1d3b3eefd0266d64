//! What became of a session's newest requests: the memory behind exactly-once.

use std::collections::VecDeque;

use joulebook_protocol::{RejectReason, RequestStatus};
use joulebook_types::{ClientOrderId, OrderId, SlotHint};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) client_order_id: ClientOrderId,
    /// The order that the request made or touched, if any.
    pub(crate) order_id: OrderId,
    pub(crate) slot: SlotHint,
    /// `None` when it was carried out.
    pub(crate) reason: Option<RejectReason>,
}

impl Outcome {
    pub(crate) fn status(&self) -> RequestStatus {
        match self.reason {
            None => RequestStatus::Accepted,
            Some(_) => RequestStatus::Rejected,
        }
    }
}

/// The retained outcomes of one session, in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) retained: VecDeque<Outcome>,
    /// Ids up to here may have had an outcome that is gone.
    pub(crate) dropped_through: ClientOrderId,
}

/// How many outcomes may be kept, and how many are.
#[derive(Debug, Default)]
pub(crate) struct OutcomeBudget {
    pub(crate) session_max: usize,
    pub(crate) total_max: usize,
    pub(crate) total: usize,
}

/// What is known of an id that is not above the session's high-water mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recall {
    Known(Outcome),
    NeverSeen,
    TooOld,
}

/// What every session keeps, however full the exchange is: without its newest outcomes a session could neither repeat
/// a request nor name an order by its client order id.
pub(crate) const KEPT_ALWAYS: usize = 256;

impl OutcomeBudget {
    /// Whether a session that keeps `retained` outcomes must drop one before it may keep another.
    fn is_met(&self, retained: usize) -> bool {
        let is_full = self.total >= self.total_max && retained >= KEPT_ALWAYS;
        retained > 0 && (is_full || retained >= self.session_max)
    }
}

impl Outcomes {
    /// Remembers an outcome; its id is above all that came before. When a limit is met the session's own oldest goes,
    /// so that no session can push out what another one needs. What others may keep in spite of a full exchange is
    /// made up for by those that keep much: they drop two for one.
    pub(crate) fn record(&mut self, outcome: Outcome, budget: &mut OutcomeBudget) {
        for _ in 0..2 {
            if budget.is_met(self.retained.len())
                && let Some(oldest) = self.retained.pop_front()
            {
                self.dropped_through = oldest.client_order_id;
                budget.total -= 1;
            }
        }
        self.retained.push_back(outcome);
        budget.total += 1;
    }

    pub(crate) fn recall(&self, id: ClientOrderId) -> Recall {
        match self.find(id) {
            Some(outcome) => Recall::Known(*outcome),
            None if id <= self.dropped_through => Recall::TooOld,
            None => Recall::NeverSeen,
        }
    }

    pub(crate) fn find(&self, id: ClientOrderId) -> Option<&Outcome> {
        let index = self.retained.binary_search_by_key(&id, |outcome| outcome.client_order_id).ok()?;
        self.retained.get(index)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Outcome> {
        self.retained.iter()
    }

    pub(crate) fn dropped_through(&self) -> ClientOrderId {
        self.dropped_through
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(id: u64) -> Outcome {
        Outcome {
            client_order_id: ClientOrderId::new(id),
            order_id: OrderId::new(id * 10),
            slot: SlotHint::UNKNOWN,
            reason: None,
        }
    }

    #[test]
    fn a_gap_is_never_seen_and_what_was_dropped_is_too_old() {
        let mut budget = OutcomeBudget { session_max: 2, total_max: 100, total: 0 };
        let mut outcomes = Outcomes::default();
        for id in [5, 7, 9] {
            outcomes.record(outcome(id), &mut budget);
        }
        let cases = [
            (4, Recall::TooOld),
            (5, Recall::TooOld),
            (6, Recall::NeverSeen),
            (7, Recall::Known(outcome(7))),
            (8, Recall::NeverSeen),
            (9, Recall::Known(outcome(9))),
        ];
        for (id, recall) in cases {
            assert_eq!(outcomes.recall(ClientOrderId::new(id)), recall, "{id}");
        }
        assert_eq!(budget.total, 2);
    }

    #[test]
    fn a_full_exchange_forgets_only_what_a_session_keeps_beyond_its_due() {
        let mut budget = OutcomeBudget { session_max: 2_000, total_max: 1_000, total: 0 };
        let (mut first, mut second) = (Outcomes::default(), Outcomes::default());
        for id in 1..=1_000 {
            first.record(outcome(id), &mut budget);
        }
        for id in 1..=300 {
            second.record(outcome(id), &mut budget);
        }
        let recalled = |outcomes: &Outcomes, id| outcomes.recall(ClientOrderId::new(id));
        assert_eq!(recalled(&first, 1), Recall::Known(outcome(1)), "others cannot push it out");
        assert_eq!(recalled(&second, 44), Recall::TooOld);
        assert_eq!(recalled(&second, 45), Recall::Known(outcome(45)), "256 are kept");
        assert_eq!(budget.total, 1_256);
        for id in 1_001..=1_300 {
            first.record(outcome(id), &mut budget);
        }
        assert_eq!(budget.total, 1_000, "the limit is kept again");
        assert_eq!((first.retained.len(), second.retained.len()), (744, 256));
        assert_eq!(recalled(&first, 556), Recall::TooOld);
    }
}
