//! What became of a session's newest requests: the memory behind exactly-once.

use core::cmp::Ordering;

use joulebook_protocol::{RejectReason, RequestStatus};
use joulebook_sys::prefetch_write;
use joulebook_types::{ClientOrderId, OrderId, SlotHint};

use crate::places::at_mut;

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
    /// What lies where none is.
    const FREE: Self = Self {
        client_order_id: ClientOrderId::NONE,
        order_id: OrderId::NONE,
        slot: SlotHint::UNKNOWN,
        reason: None,
    };

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
    /// A ring, none or a power of two long: outcome n lies at n modulo its length.
    ring: Vec<Outcome>,
    /// Number of the oldest outcome that is retained, and of the next one. Numbers count up for ever.
    oldest: usize,
    next: usize,
    /// Ids up to here may have had an outcome that another one was written over. What was forgotten since still lies in
    /// the ring: reading it when it goes would wait for a line that nobody had a use for since it was written.
    overwritten_through: ClientOrderId,
}

/// How many outcomes may be kept, and how many are.
#[derive(Debug, Default)]
pub(crate) struct OutcomeBudget {
    /// Of one session; at least one.
    pub(crate) session_max: usize,
    /// Of one session when there are as many as there may be.
    session_kept: usize,
    /// Of one session as things stand: one of the two.
    session_now: usize,
    /// How many more than that a session may keep for its oldest one to make room for the next: any, while all keep what
    /// they may; none, while they keep more, so that those that keep much drop two.
    one_for_one: usize,
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

/// The first memory of a session.
const RING_MIN: usize = 16;

/// All rings together are larger than a cache, and each is written so seldom that no processor sees it coming: the place
/// of an outcome is asked for so many outcomes of its session before it is written.
const OUTCOMES_AHEAD: usize = 4;

impl OutcomeBudget {
    pub(crate) fn new(session_max: usize, total_max: usize) -> Self {
        let session_max = session_max.max(1);
        let session_kept = session_max.min(KEPT_ALWAYS);
        let mut budget = Self { session_max, session_kept, total_max, ..Self::default() };
        budget.count(0);
        budget
    }

    /// So many are kept from now on.
    pub(crate) fn count(&mut self, total: usize) {
        self.total = total;
        self.session_now = if total < self.total_max { self.session_max } else { self.session_kept };
        self.one_for_one = if total <= self.total_max { isize::MAX as usize } else { 0 };
    }
}

impl Outcomes {
    /// Remembers an outcome; its id is above all that came before. When a limit is met the session's own oldest goes,
    /// so that no session can push out what another one needs. What others may keep in spite of a full exchange is
    /// made up for by those that keep much: they drop two for one.
    #[inline(always)]
    pub(crate) fn record(&mut self, outcome: Outcome, budget: &mut OutcomeBudget) {
        // One that keeps fewer than one may is far beyond.
        if self.len().wrapping_sub(budget.session_now) <= budget.one_for_one {
            self.forget_oldest();
        } else {
            self.make_room_beside_limit(budget);
        }
        self.put(outcome);
    }

    /// The same for a session that keeps fewer than it may, or more.
    #[inline(never)]
    fn make_room_beside_limit(&mut self, budget: &mut OutcomeBudget) {
        for _ in 0..2 {
            if self.len() >= budget.session_now {
                self.forget_oldest();
                budget.count(budget.total - 1);
            }
        }
        self.make_room();
        budget.count(budget.total + 1);
    }

    /// Remembers an outcome that is retained elsewhere, whatever the budget.
    pub(crate) fn append(&mut self, outcome: Outcome) {
        self.make_room();
        self.put(outcome);
    }

    /// Makes the ring longer when it is full.
    fn make_room(&mut self) {
        if self.len() == self.ring.len() {
            self.grow();
        }
    }

    /// Adds an outcome where there is room.
    #[inline(always)]
    fn put(&mut self, outcome: Outcome) {
        let place = self.place(self.next);
        let written = at_mut(&mut self.ring, place);
        // Nothing but what was forgotten is written over, or what is free, which has the lowest id of all.
        self.overwritten_through = self.overwritten_through.max(written.client_order_id);
        *written = outcome;
        self.next += 1;
        if let Some(coming) = self.ring.get(self.place(self.next + OUTCOMES_AHEAD)) {
            prefetch_write(coming);
        }
    }

    /// There is one.
    #[inline(always)]
    fn forget_oldest(&mut self) {
        self.oldest += 1;
    }

    /// Ids up to here may have had an outcome that is gone.
    pub(crate) fn dropped_through(&self) -> ClientOrderId {
        let last = self.oldest.checked_sub(1).filter(|last| self.next - last <= self.ring.len());
        last.map_or(self.overwritten_through, |last| self.ring[self.place(last)].client_order_id)
    }

    /// Says of a session that has no outcomes yet what it has forgotten.
    pub(crate) fn begin_after(&mut self, dropped_through: ClientOrderId) {
        assert_eq!(self.next, 0, "nothing was recorded");
        self.overwritten_through = dropped_through;
    }

    /// Twice the memory. The ring is full, so all that was forgotten has been written over.
    #[cold]
    fn grow(&mut self) {
        let mut outcomes: Vec<Outcome> = self.iter().copied().collect();
        (self.oldest, self.next) = (0, outcomes.len());
        outcomes.resize((2 * outcomes.len()).max(RING_MIN), Outcome::FREE);
        self.ring = outcomes;
    }

    #[inline]
    fn place(&self, number: usize) -> usize {
        number & (self.ring.len() - 1)
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.next - self.oldest
    }

    pub(crate) fn newest(&self) -> Option<&Outcome> {
        (self.len() > 0).then(|| &self.ring[self.place(self.next - 1)])
    }

    pub(crate) fn recall(&self, id: ClientOrderId) -> Recall {
        match self.find(id) {
            Some(outcome) => Recall::Known(*outcome),
            None if id <= self.dropped_through() => Recall::TooOld,
            None => Recall::NeverSeen,
        }
    }

    pub(crate) fn find(&self, id: ClientOrderId) -> Option<&Outcome> {
        // Nearly all ids follow each other without gaps, so the first guess is right.
        let guess =
            self.next.wrapping_sub(self.newest()?.client_order_id.raw().wrapping_sub(id.raw()) as usize);
        if let Some(outcome) =
            self.numbered(guess.wrapping_sub(1)).filter(|found| found.client_order_id == id)
        {
            return Some(outcome);
        }
        let (mut low, mut high) = (self.oldest, self.next);
        while low < high {
            let middle = low + (high - low) / 2;
            let outcome = &self.ring[self.place(middle)];
            match outcome.client_order_id.cmp(&id) {
                Ordering::Equal => return Some(outcome),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The outcome with a number, if it is retained.
    fn numbered(&self, number: usize) -> Option<&Outcome> {
        (self.oldest <= number && number < self.next).then(|| &self.ring[self.place(number)])
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Outcome> {
        (self.oldest..self.next).map(|number| &self.ring[self.place(number)])
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
        let mut budget = OutcomeBudget::new(2, 100);
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

    /// A ring that turns, is full, or grows after it has turned, while others come and go.
    #[test]
    fn what_was_dropped_is_known_wherever_it_lay() {
        for (session_max, ring) in [(1_000, 1_024), (512, 512)] {
            let mut budget = OutcomeBudget::new(session_max, 600);
            let mut outcomes = Outcomes::default();
            outcomes.begin_after(ClientOrderId::new(2));
            let (mut dropped, mut kept) = (2, 0);
            for id in 3..6_000 {
                // How many others keep, from nothing to more than there is room for.
                let others = [0, 500, 560, 600, 100, 0][id as usize / 1_000];
                budget.count(others + outcomes.len());
                let is_over = 600 < budget.total;
                outcomes.record(outcome(id), &mut budget);
                let (before, now) = (kept, outcomes.len());
                assert!(
                    now == before + 1 || now == before || (is_over && now + 1 == before),
                    "{before}, {now}"
                );
                dropped += (before + 1 - now) as u64;
                kept = now;
                assert_eq!(outcomes.dropped_through().raw(), dropped, "after {id}");
                assert_eq!(outcomes.iter().next(), Some(&outcome(dropped + 1)));
                assert_eq!(budget.total, others + now);
                assert!(budget.total <= 600 || now < before || now == KEPT_ALWAYS, "{}", budget.total);
            }
            assert_eq!((kept, outcomes.ring.len()), (session_max.min(600), ring), "it grew again");
        }
    }

    #[test]
    fn a_full_exchange_forgets_only_what_a_session_keeps_beyond_its_due() {
        let mut budget = OutcomeBudget::new(2_000, 1_000);
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
        assert_eq!((first.len(), second.len()), (744, 256));
        assert_eq!(recalled(&first, 556), Recall::TooOld);
    }

    #[test]
    fn every_outcome_that_is_retained_is_found() {
        let mut budget = OutcomeBudget::new(50, 100);
        let mut outcomes = Outcomes::default();
        // Gaps of one to seven ids, now and then a large one, and runs without any.
        let mut ids = vec![3];
        for n in 1..400_u64 {
            let gap = if n % 50 == 0 { 1 << 40 } else { (n / 20 % 2) * (n * n % 7) + 1 };
            ids.push(ids[ids.len() - 1] + gap);
        }
        for (count, id) in ids.iter().enumerate() {
            outcomes.record(outcome(*id), &mut budget);
            let retained = &ids[(count + 1).saturating_sub(50)..=count];
            assert!(
                outcomes.iter().map(|outcome| outcome.client_order_id.raw()).eq(retained.iter().copied())
            );
            assert_eq!(outcomes.newest(), Some(&outcome(*id)));
            for id in retained[0]..retained[0] + 20 {
                let found = outcomes.find(ClientOrderId::new(id));
                assert_eq!(found.is_some(), retained.contains(&id), "{id} of {retained:?}");
            }
            assert!(retained.iter().all(|id| outcomes.find(ClientOrderId::new(*id)) == Some(&outcome(*id))));
        }
        assert_eq!(outcomes.find(ClientOrderId::new(u64::MAX)), None);
    }
}
