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
    retained: VecDeque<Outcome>,
    /// Ids up to here may have had an outcome that is gone.
    dropped_through: ClientOrderId,
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

impl Outcomes {
    /// Remembers an outcome; its id is above all that came before. When a limit is met the session's own oldest goes,
    /// so that no session can push out what another one needs.
    pub(crate) fn record(&mut self, outcome: Outcome, budget: &mut OutcomeBudget) {
        if self.retained.len() >= budget.session_max || budget.total >= budget.total_max {
            match self.retained.pop_front() {
                Some(oldest) => {
                    self.dropped_through = oldest.client_order_id;
                    budget.total -= 1;
                }
                None => {
                    self.dropped_through = outcome.client_order_id;
                    return;
                }
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
    fn a_full_exchange_never_says_never_seen_of_what_it_forgot() {
        let mut budget = OutcomeBudget { session_max: 10, total_max: 1, total: 0 };
        let (mut first, mut second) = (Outcomes::default(), Outcomes::default());
        first.record(outcome(1), &mut budget);
        second.record(outcome(1), &mut budget);
        assert_eq!(first.recall(ClientOrderId::new(1)), Recall::Known(outcome(1)));
        assert_eq!(second.recall(ClientOrderId::new(1)), Recall::TooOld);
        assert_eq!(budget.total, 1);
    }
}
