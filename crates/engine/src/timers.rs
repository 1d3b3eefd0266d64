//! What is due when: phases, gates, the grace of sessions, the dates of orders, the end of quarter hours.

use std::collections::BTreeMap;

use joulebook_book::Slot;
use joulebook_ledger::AssetIx;
use joulebook_types::TimeNs;

use crate::auction::CallTime;
use crate::heap::{Heap, Places};
use crate::instruments::InstrumentIx;
use crate::sessions::SessionIx;

/// Something that happens when batch time reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    Open(InstrumentIx),
    Gate(InstrumentIx),
    /// The delivery window starts.
    DeliveryStart(InstrumentIx),
    /// A halt ends: a call begins, as long as the bands said when the market was halted.
    HaltEnd(InstrumentIx, CallTime),
    /// A call ends: the book uncrosses.
    CallEnd(InstrumentIx),
    /// Time to look at what a call would trade.
    Indication(InstrumentIx),
    /// The session's orders are canceled unless it came back.
    Grace(SessionIx),
    /// A quarter hour is over: capacity of it that nobody bought is gone.
    SlotEnd(AssetIx),
    /// The session's orders are canceled: it has not set its dead-man timer again.
    DeadMan(SessionIx),
    /// A good-till-date order's date has come.
    Expiry(Slot),
}

/// Names a timer, so that it can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    pub(crate) due: TimeNs,
    /// Timers of one instant fire in the order in which they were set.
    pub(crate) set: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    pub(crate) waiting: BTreeMap<TimerKey, Timer>,
    /// The dates of orders, by slot: apart, because they come and go with orders and must not allocate.
    pub(crate) expiries: Heap<TimerKey>,
    pub(crate) places: Places,
    pub(crate) set_count: u64,
}

impl Timers {
    pub(crate) fn set(&mut self, due: TimeNs, timer: Timer) -> TimerKey {
        let key = self.next_key(due);
        self.waiting.insert(key, timer);
        key
    }

    /// Sets the date of an order, which has none yet.
    pub(crate) fn set_expiry(&mut self, due: TimeNs, order: Slot) {
        let key = self.next_key(due);
        self.expiries.push(&mut self.places, key, order.raw());
    }

    /// Forgets the date of an order that has one.
    pub(crate) fn cancel_expiry(&mut self, order: Slot) {
        self.expiries.remove(&mut self.places, order.raw());
    }

    /// When an order's date comes, if it has one.
    pub(crate) fn expiry(&self, order: Slot) -> Option<TimerKey> {
        self.expiries.key(&self.places, order.raw())
    }

    /// Sets the date of an order as it was set before.
    pub(crate) fn restore_expiry(&mut self, key: TimerKey, order: Slot) {
        self.expiries.push(&mut self.places, key, order.raw());
    }

    /// Whether every timer has a number of its own.
    pub(crate) fn are_set_apart(&self) -> bool {
        let waiting = self.waiting.keys().map(|key| key.set);
        let mut sets: Vec<u64> = waiting.chain(self.expiries.iter().map(|(key, _)| key.set)).collect();
        sets.sort_unstable();
        sets.windows(2).all(|pair| pair[0] != pair[1])
    }

    pub(crate) fn cancel(&mut self, key: TimerKey) {
        self.waiting.remove(&key);
    }

    /// Takes the next timer that is due at `now`. An order's date stays set until the order is closed.
    pub(crate) fn pop_due(&mut self, now: TimeNs) -> Option<Timer> {
        let (key, timer) = self.first().filter(|(key, _)| key.due <= now)?;
        self.waiting.remove(&key);
        Some(timer)
    }

    pub(crate) fn next_deadline(&self) -> Option<TimeNs> {
        self.first().map(|(key, _)| key.due)
    }

    /// In the order in which they will fire.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TimeNs, Timer)> {
        let waiting = self.waiting.iter().map(|(key, timer)| (*key, *timer));
        let expiries = self.expiries.iter().map(|(key, order)| (key, Timer::Expiry(Slot::new(order))));
        let all: BTreeMap<_, _> = waiting.chain(expiries).collect();
        all.into_iter().map(|(key, timer)| (key.due, timer))
    }

    fn first(&self) -> Option<(TimerKey, Timer)> {
        let waiting = self.waiting.first_key_value().map(|(key, timer)| (*key, *timer));
        let expiry = self.expiries.first().map(|(key, order)| (key, Timer::Expiry(Slot::new(order))));
        [waiting, expiry].into_iter().flatten().min_by_key(|(key, _)| *key)
    }

    fn next_key(&mut self, due: TimeNs) -> TimerKey {
        self.set_count += 1;
        TimerKey { due, set: self.set_count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_and_dates_fire_by_time_and_then_by_age() {
        let at = TimeNs::new;
        let (gate, order, gone) = (InstrumentIx::new(0), Slot::new(4), Slot::new(9));
        let mut timers = Timers::default();
        timers.set_expiry(at(20), order);
        let open = timers.set(at(10), Timer::Open(gate));
        timers.set(at(20), Timer::Gate(gate));
        timers.set_expiry(at(5), gone);
        timers.cancel_expiry(gone);
        let all: Vec<_> = timers.iter().collect();
        let (first, second) = (Timer::Expiry(order), Timer::Gate(gate));
        assert_eq!(all, [(at(10), Timer::Open(gate)), (at(20), first), (at(20), second)]);
        timers.cancel(open);
        assert_eq!(timers.next_deadline(), Some(at(20)));
        assert_eq!(timers.pop_due(at(19)), None);
        assert_eq!(timers.pop_due(at(20)), Some(first));
        timers.cancel_expiry(order);
        assert_eq!(timers.pop_due(at(20)), Some(second));
        assert_eq!(timers.next_deadline(), None);
    }
}
