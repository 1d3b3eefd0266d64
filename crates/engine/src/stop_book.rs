//! Stops that wait, outside the books, for a trade at their trigger price.

use joulebook_book::Slot;
use joulebook_types::{OrderId, Price, Side, Trigger};

use crate::heap::{Heap, Places};
use crate::holds::Hold;
use crate::instruments::InstrumentIx;
use crate::trailing::{Trail, is_reached};
use crate::trailing_queue::{TrailingGroups, TrailingSide};

/// What makes an order wait. The rest of it lies in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) slot: Slot,
    pub(crate) order_id: OrderId,
    pub(crate) instrument: InstrumentIx,
    pub(crate) side: Side,
    pub(crate) trigger: StopTrigger,
    /// The print that reached the trigger price: the stop acts as soon as its turn has come and its market is open.
    pub(crate) mark: Option<Price>,
    /// What it holds now. Less than its size when it is linked with an order that holds the rest.
    pub(crate) held: Hold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopTrigger {
    Price(Price),
    Trailing(Trail),
}

impl StopTrigger {
    pub(crate) fn kind(&self) -> Trigger {
        match self {
            Self::Price(_) => Trigger::Stop,
            Self::Trailing(_) => Trigger::Trailing,
        }
    }
}

/// The waiting stops of all instruments.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    /// By stop number; a vacant one keeps what it was last. The peak of a trailing one that is not marked is its group's.
    all: Vec<Stop>,
    groups: TrailingGroups,
    vacant: Vec<u32>,
    /// By slot of the slab: the stop's number, or `NO_STOP`.
    by_slot: Vec<u32>,
    places: Places,
    /// By instrument, as far as any had a stop.
    queues: Vec<Queues>,
    /// Memory of instruments that have closed.
    spare: Vec<Queues>,
    /// Instruments in which stops are marked, in no particular order.
    marked: Vec<InstrumentIx>,
    /// Whether a marked stop may have its turn: a print marked one, or a market with some has opened. As long as not,
    /// the steps of all other markets need not look through `marked`.
    stirred: bool,
    waiting: usize,
}

/// The waiting stops of one instrument.
#[derive(Debug, Default)]
struct Queues {
    /// Lowest trigger price first.
    buys: Heap<(Price, OrderId)>,
    /// Highest trigger price first.
    sells: Heap<(core::cmp::Reverse<Price>, OrderId)>,
    /// Few instruments have any.
    trailing: Option<Box<Trailing>>,
    /// In the order in which they will act.
    marked: Heap<OrderId>,
}

/// The trailing stops of one instrument.
#[derive(Debug, Default)]
struct Trailing {
    buys: TrailingSide,
    sells: TrailingSide,
}

const NO_STOP: u32 = u32::MAX;

impl Stop {
    /// What it waits for now; `None` before a trailing stop's activation.
    pub(crate) fn trigger_price(&self) -> Option<Price> {
        match &self.trigger {
            StopTrigger::Price(price) => Some(*price),
            StopTrigger::Trailing(trail) => trail.trigger_price(self.side),
        }
    }

    /// Whether a print triggers it; a trailing stop follows the print if not.
    pub(crate) fn sees(&mut self, print: Price) -> bool {
        match &mut self.trigger {
            StopTrigger::Price(price) => is_reached(self.side, *price, print),
            StopTrigger::Trailing(trail) => trail.sees(self.side, print),
        }
    }
}

impl Stops {
    /// Stops that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    /// The stop at a slot; `None` for an order that waits for nothing.
    pub(crate) fn get(&self, slot: Slot) -> Option<Stop> {
        let number = self.number(slot)?;
        let mut stop = self.all[number as usize];
        if let (None, StopTrigger::Trailing(trail)) = (stop.mark, &mut stop.trigger) {
            trail.peak = self.groups.peak(number);
        }
        Some(stop)
    }

    pub(crate) fn add(&mut self, stop: Stop) {
        let number = self.place(stop);
        let index = stop.slot.index();
        if self.by_slot.len() <= index {
            self.by_slot.resize(index + 1, NO_STOP);
        }
        assert!(self.by_slot[index] == NO_STOP, "an order waits once");
        self.by_slot[index] = number;
        self.make_room(stop.instrument);
        self.enqueue(number);
        self.waiting += 1;
    }

    /// Takes a stop out: it acts now, or has ended.
    pub(crate) fn remove(&mut self, slot: Slot) -> Stop {
        let number = self.number(slot).expect("only a stop that waits is removed");
        self.dequeue(number);
        self.by_slot[slot.index()] = NO_STOP;
        self.vacant.push(number);
        self.waiting -= 1;
        self.all[number as usize]
    }

    /// Changes what a stop holds and returns what it held before.
    pub(crate) fn set_held(&mut self, slot: Slot, held: Hold) -> Hold {
        let number = self.number(slot).expect("only a stop that waits holds as one");
        core::mem::replace(&mut self.all[number as usize].held, held)
    }

    /// Shows one stop a print and says whether it is marked now.
    pub(crate) fn see(&mut self, slot: Slot, print: Price) -> bool {
        let number = self.number(slot).expect("only a stop that waits sees prints");
        self.dequeue(number);
        let stop = &mut self.all[number as usize];
        let triggered = stop.sees(print);
        if triggered {
            stop.mark = Some(print);
        }
        self.enqueue(number);
        triggered
    }

    /// Marks all stops that a print triggers and lets trailing ones follow it. It costs those that are reached, and a look
    /// at the first of each queue.
    #[inline(always)]
    pub(crate) fn note_print(&mut self, instrument: InstrumentIx, print: Price) {
        if self.queues.get(instrument.index()).is_some() {
            self.follow_print(instrument, print);
        }
    }

    /// The same of an instrument that may have stops.
    #[inline(never)]
    fn follow_print(&mut self, instrument: InstrumentIx, print: Price) {
        self.stirred = true;
        while let Some(number) = self.next_reached(instrument, print) {
            self.mark(number, print);
        }
        let Self { all, groups, places, queues, .. } = self;
        let Some(queues) = queues.get_mut(instrument.raw() as usize) else { return };
        let Some(trailing) = &mut queues.trailing else { return };
        for (side, queue) in [(Side::Buy, &mut trailing.buys), (Side::Sell, &mut trailing.sells)] {
            groups.follow((queue, side), places, print);
            while let Some(number) = groups.wake((queue, side), places, print) {
                let stop = &mut all[number as usize];
                let triggered = stop.sees(print);
                assert!(!triggered, "the print that activates a stop never triggers it");
                let StopTrigger::Trailing(trail) = &stop.trigger else { unreachable!("only those sleep") };
                groups.push((queue, side), places, (stop.order_id, number), trail);
            }
        }
    }

    /// A market opened: what is marked there has its turn.
    pub(crate) fn note_opened(&mut self) {
        self.stirred = true;
    }

    /// Whether a stop may have been reached since [`Self::next_marked`] said that none acts.
    pub(crate) fn may_fire(&self) -> bool {
        self.stirred
    }

    /// The marked stop that acts next: the oldest in all instruments that are open.
    pub(crate) fn next_marked(&mut self, is_open: impl Fn(InstrumentIx) -> bool) -> Option<Slot> {
        if !self.stirred {
            return None;
        }
        let next = self.find_marked(is_open);
        self.stirred = next.is_some();
        next
    }

    fn find_marked(&self, is_open: impl Fn(InstrumentIx) -> bool) -> Option<Slot> {
        let open = self.marked.iter().filter(|instrument| is_open(**instrument));
        let firsts = open.filter_map(|instrument| self.queues[instrument.raw() as usize].marked.first());
        firsts.min().map(|(_, number)| self.all[number as usize].slot)
    }

    /// Adds the slots of an instrument's waiting stops to `slots`, by order id.
    pub(crate) fn of_instrument(&self, instrument: InstrumentIx, slots: &mut Vec<(OrderId, Slot)>) {
        let Some(queues) = self.queues.get(instrument.raw() as usize) else { return };
        let first = slots.len();
        let buys = queues.buys.iter().map(|(_, number)| number);
        let sells = queues.sells.iter().map(|(_, number)| number);
        let marked = queues.marked.iter().map(|(_, number)| number);
        let trailing = queues
            .trailing
            .iter()
            .flat_map(|trailing| trailing.buys.iter(&self.groups).chain(trailing.sells.iter(&self.groups)));
        let numbers = buys.chain(sells).chain(marked).chain(trailing);
        let stops = numbers.map(|number| &self.all[number as usize]);
        slots.extend(stops.map(|stop| (stop.order_id, stop.slot)));
        slots[first..].sort_unstable();
    }

    /// An instrument that closed leaves the memory of its queues to others. None of its stops waits any more.
    pub(crate) fn close(&mut self, instrument: InstrumentIx) {
        if let Some(queues) = self.queues.get_mut(instrument.raw() as usize) {
            assert!(queues.is_empty(), "the gate cancels all stops");
            if queues.have_memory() {
                self.spare.push(core::mem::take(queues));
            }
        }
    }

    /// Before an instrument's stop is queued: the first one gets the memory of queues that closed.
    fn make_room(&mut self, instrument: InstrumentIx) {
        let index = instrument.raw() as usize;
        if self.queues.len() <= index {
            self.queues.resize_with(index + 1, Queues::default);
        }
        if !self.queues[index].have_memory() {
            self.queues[index] = self.spare.pop().unwrap_or_default();
        }
    }

    fn number(&self, slot: Slot) -> Option<u32> {
        self.by_slot.get(slot.index()).copied().filter(|number| *number != NO_STOP)
    }

    fn place(&mut self, stop: Stop) -> u32 {
        match self.vacant.pop() {
            Some(number) => {
                self.all[number as usize] = stop;
                number
            }
            None => {
                self.all.push(stop);
                u32::try_from(self.all.len() - 1).expect("fewer than 2^32 stops")
            }
        }
    }

    /// A stop whose trigger price a print reaches.
    fn next_reached(&self, instrument: InstrumentIx, print: Price) -> Option<u32> {
        let queues = self.queues.get(instrument.raw() as usize)?;
        if let Some(((trigger_price, _), number)) = queues.buys.first()
            && is_reached(Side::Buy, trigger_price, print)
        {
            return Some(number);
        }
        if let Some(((core::cmp::Reverse(trigger_price), _), number)) = queues.sells.first()
            && is_reached(Side::Sell, trigger_price, print)
        {
            return Some(number);
        }
        let trailing = queues.trailing.as_ref()?;
        let reached = self.groups.next_reached(&trailing.buys, Side::Buy, print);
        reached.or_else(|| self.groups.next_reached(&trailing.sells, Side::Sell, print))
    }

    fn mark(&mut self, number: u32, print: Price) {
        self.dequeue(number);
        self.all[number as usize].mark = Some(print);
        self.enqueue(number);
    }

    fn enqueue(&mut self, number: u32) {
        let Self { all, groups, places, queues, marked, .. } = self;
        let stop = &all[number as usize];
        let queues = &mut queues[stop.instrument.raw() as usize];
        match (stop.mark, &stop.trigger, stop.side) {
            (Some(_), _, _) => {
                if queues.marked.is_empty() {
                    marked.push(stop.instrument);
                }
                queues.marked.push(places, stop.order_id, number);
            }
            (None, StopTrigger::Trailing(trail), side) => {
                let queue = queues.trailing.get_or_insert_default().side_mut(side);
                groups.push((queue, side), places, (stop.order_id, number), trail);
            }
            (None, StopTrigger::Price(price), Side::Buy) => {
                queues.buys.push(places, (*price, stop.order_id), number);
            }
            (None, StopTrigger::Price(price), Side::Sell) => {
                queues.sells.push(places, (core::cmp::Reverse(*price), stop.order_id), number);
            }
        }
    }

    fn dequeue(&mut self, number: u32) {
        let Self { all, groups, places, queues, marked, .. } = self;
        let stop = &mut all[number as usize];
        let queues = &mut queues[stop.instrument.raw() as usize];
        match (stop.mark, &mut stop.trigger, stop.side) {
            (Some(_), _, _) => {
                queues.marked.remove(places, number);
                if queues.marked.is_empty() {
                    marked.retain(|instrument| *instrument != stop.instrument);
                }
            }
            (None, StopTrigger::Trailing(trail), side) => {
                let queue = queues.trailing.get_or_insert_default().side_mut(side);
                trail.peak = groups.remove((queue, side), places, number, trail.distance);
            }
            (None, StopTrigger::Price(_), Side::Buy) => _ = queues.buys.remove(places, number),
            (None, StopTrigger::Price(_), Side::Sell) => _ = queues.sells.remove(places, number),
        }
    }
}

impl Queues {
    fn have_memory(&self) -> bool {
        let plain = self.buys.has_memory() || self.sells.has_memory();
        plain || self.marked.has_memory() || self.trailing.is_some()
    }

    fn is_empty(&self) -> bool {
        let plain = self.buys.is_empty() && self.sells.is_empty();
        let trailing = self.trailing.as_ref();
        let no_trailing = trailing.is_none_or(|both| both.buys.is_empty() && both.sells.is_empty());
        plain && no_trailing && self.marked.is_empty()
    }
}

impl Trailing {
    fn side_mut(&mut self, side: Side) -> &mut TrailingSide {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }
}

#[cfg(test)]
mod tests {
    use joulebook_types::MicroEc;

    use super::*;
    use crate::trailing::Distance;

    const A: InstrumentIx = InstrumentIx::new(0);
    const B: InstrumentIx = InstrumentIx::new(3);

    /// A stop whose slot is its order id.
    fn stop(id: u32, instrument: InstrumentIx, side: Side, trigger_price: i64) -> Stop {
        Stop {
            slot: Slot::new(id),
            order_id: OrderId::new(u64::from(id)),
            instrument,
            side,
            trigger: StopTrigger::Price(Price::new(trigger_price)),
            mark: None,
            held: Hold::Credits(MicroEc::ZERO),
        }
    }

    fn trailing(id: u32, instrument: InstrumentIx, side: Side, distance: i64) -> Stop {
        let distance = Distance::Price(Price::new(distance));
        let trail = Trail { distance, activation_price: Price::ZERO, peak: None };
        Stop { trigger: StopTrigger::Trailing(trail), ..stop(id, instrument, side, 0) }
    }

    /// Takes marked stops as they would act and names them with the print that marked them.
    fn take_marked(stops: &mut Stops, open: &[InstrumentIx]) -> Vec<(u32, i64)> {
        let mut taken = Vec::new();
        while let Some(slot) = stops.next_marked(|instrument| open.contains(&instrument)) {
            let stop = stops.remove(slot);
            taken.push((slot.raw(), stop.mark.unwrap().raw()));
        }
        taken
    }

    #[test]
    fn a_print_marks_what_it_reaches_and_the_oldest_acts_first() {
        let mut stops = Stops::default();
        for stop in [
            stop(9, A, Side::Buy, 100),
            stop(2, A, Side::Buy, 101),
            stop(3, A, Side::Buy, 102),
            stop(4, A, Side::Sell, 101),
            stop(5, A, Side::Sell, 100),
            stop(6, B, Side::Buy, 90),
        ] {
            stops.add(stop);
        }
        stops.note_print(A, Price::new(101));
        // A later print that moves away takes no mark back.
        stops.note_print(A, Price::new(100));
        assert_eq!(take_marked(&mut stops, &[A, B]), [(2, 101), (4, 101), (5, 100), (9, 101)]);
        assert_eq!(stops.len(), 2);
    }

    #[test]
    fn marked_stops_wait_until_their_market_is_open() {
        let mut stops = Stops::default();
        stops.add(stop(1, A, Side::Buy, 100));
        stops.add(stop(2, B, Side::Buy, 100));
        stops.note_print(A, Price::new(100));
        stops.note_print(B, Price::new(105));
        assert_eq!(take_marked(&mut stops, &[B]), [(2, 105)]);
        assert_eq!(take_marked(&mut stops, &[B]), []);
        assert_eq!(take_marked(&mut stops, &[A, B]), [], "nobody said that it opened");
        stops.note_opened();
        assert_eq!(take_marked(&mut stops, &[A, B]), [(1, 100)]);
    }

    #[test]
    fn every_print_moves_every_trailing_stop() {
        let mut stops = Stops::default();
        for id in 1..=5 {
            stops.add(trailing(id, A, Side::Sell, i64::from(id)));
        }
        stops.note_print(A, Price::new(100));
        stops.note_print(A, Price::new(110));
        stops.remove(Slot::new(4));
        stops.note_print(A, Price::new(107));
        assert_eq!(take_marked(&mut stops, &[A]), [(1, 107), (2, 107), (3, 107)]);
        let last = stops.get(Slot::new(5)).unwrap();
        assert_eq!(last.trigger_price(), Some(Price::new(105)));
    }

    /// Multiplies by a primitive root modulo a prime.
    fn next(state: &mut u64, below: u64) -> i64 {
        *state = *state * 48_271 % 2_147_483_647;
        (*state % below) as i64
    }

    fn random_trail(state: &mut u64) -> Trail {
        let distance = match next(state, 2) {
            0 => Distance::Price(Price::new(1 + next(state, 40))),
            _ => Distance::BasisPoints(1 + next(state, 900) as u32),
        };
        let activation_price = Price::new(if next(state, 2) == 0 { 0 } else { 450 + next(state, 100) });
        Trail { distance, activation_price, peak: None }
    }

    #[test]
    fn trailing_stops_in_groups_do_what_each_would_do_alone() {
        let (mut stops, mut state) = (Stops::default(), 11);
        // Each by itself, shown every print.
        let mut alone: Vec<Stop> = Vec::new();
        let (mut price, mut triggered) = (500, 0);
        for id in 1..=4_000 {
            let side = if next(&mut state, 2) == 0 { Side::Buy } else { Side::Sell };
            let trail = random_trail(&mut state);
            let new = Stop { trigger: StopTrigger::Trailing(trail), ..stop(id, A, side, 0) };
            stops.add(new);
            alone.push(new);
            if next(&mut state, 4) == 0 {
                let gone = alone.swap_remove(next(&mut state, alone.len() as u64) as usize);
                assert_eq!(stops.remove(gone.slot), gone);
                // Some come back with what they have seen, as a changed stop and one of a snapshot do.
                if next(&mut state, 2) == 0 {
                    stops.add(gone);
                    alone.push(gone);
                }
            }
            price = (price + next(&mut state, 21) - 10).clamp(300, 700);
            stops.note_print(A, Price::new(price));
            let mut reached: Vec<u32> = Vec::new();
            alone.retain_mut(|stop| {
                let sees = stop.sees(Price::new(price));
                reached.extend(sees.then_some(stop.slot.raw()));
                !sees
            });
            reached.sort_unstable();
            triggered += reached.len();
            let marked = take_marked(&mut stops, &[A]);
            assert_eq!(marked, reached.into_iter().map(|id| (id, price)).collect::<Vec<_>>());
            assert!(alone.iter().all(|stop| stops.get(stop.slot) == Some(*stop)), "{id}");
        }
        assert!(triggered > 2_000 && stops.len() == alone.len(), "{triggered} of {}", alone.len());
        let mut slots = Vec::new();
        stops.of_instrument(A, &mut slots);
        assert_eq!(slots.len(), alone.len());
    }

    #[test]
    fn all_stops_of_an_instrument_come_by_age_marked_or_not() {
        let mut stops = Stops::default();
        let mut slots = Vec::new();
        stops.of_instrument(A, &mut slots);
        assert!(slots.is_empty());
        stops.add(stop(5, A, Side::Buy, 100));
        stops.add(trailing(4, A, Side::Buy, 7));
        stops.add(stop(3, A, Side::Sell, 50));
        stops.add(stop(2, A, Side::Buy, 99));
        stops.add(stop(1, B, Side::Buy, 99));
        stops.note_print(A, Price::new(99));
        stops.of_instrument(A, &mut slots);
        assert_eq!(slots.iter().map(|(_, slot)| slot.raw()).collect::<Vec<_>>(), [2, 3, 4, 5]);
        for (_, slot) in slots {
            stops.remove(slot);
        }
        stops.close(A);
        assert_eq!(stops.len(), 1);
        assert_eq!(stops.next_marked(|_| true), None);
    }
}
