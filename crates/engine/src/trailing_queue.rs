//! The trailing stops of an instrument, in an order in which a print costs what it changes, not a look at each of them.
//!
//! Stops that have seen the same peak form a group, which has it once. A print below a group's peak moves nobody; one
//! above it makes one group of all that it passes, the smaller ones joining the largest, so a stop is moved a few times
//! in its life however many prints it follows.

use core::cmp::Reverse;

use joulebook_types::{OrderId, Price, Side};

use crate::heap::{Heap, Places};
use crate::trailing::{Distance, Trail};

/// The trailing stops of one side of one instrument.
#[derive(Debug, Default)]
pub(crate) struct TrailingSide {
    /// Stops that no print has activated yet, the one that is next first.
    asleep: Heap<(i64, OrderId)>,
    /// Groups, the best peak first.
    groups: Vec<u32>,
    /// Groups by their trigger price, the one that is reached next first.
    nearest: Heap<(Reverse<i64>, u32)>,
}

/// The groups of all instruments.
#[derive(Debug, Default)]
pub(crate) struct TrailingGroups {
    all: Vec<Group>,
    vacant: Vec<u32>,
    places: Places,
    /// By stop number: the group that it is in, or `NO_GROUP`.
    group_of: Vec<u32>,
}

/// Stops with one peak, the shortest distance first.
#[derive(Debug)]
struct Group {
    peak: Price,
    by_price: Heap<(i64, OrderId)>,
    by_bps: Heap<(u32, OrderId)>,
}

const NO_GROUP: u32 = u32::MAX;

/// A price as a stop sees it: the higher the better, and it triggers when the market is as low as its trigger price.
fn height(side: Side, price: Price) -> i64 {
    match side {
        Side::Buy => -price.raw(),
        Side::Sell => price.raw(),
    }
}

impl Group {
    fn len(&self) -> usize {
        self.by_price.len() + self.by_bps.len()
    }

    /// The height at which the first of its stops triggers, and which one that is.
    fn nearest(&self, side: Side) -> Option<(i64, u32)> {
        let by_price =
            self.by_price.first().map(|((by, _), number)| (Distance::Price(Price::new(by)), number));
        let by_bps = self.by_bps.first().map(|((bps, _), number)| (Distance::BasisPoints(bps), number));
        let triggers = [by_price, by_bps].into_iter().flatten().map(|(distance, number)| {
            let trail = Trail { distance, activation_price: Price::ZERO, peak: Some(self.peak) };
            let trigger_price = trail.trigger_price(side).expect("it has a peak");
            (height(side, trigger_price), number)
        });
        triggers.max()
    }

    fn push(&mut self, places: &mut Places, distance: Distance, id: OrderId, number: u32) {
        match distance {
            Distance::Price(by) => self.by_price.push(places, (by.raw(), id), number),
            Distance::BasisPoints(bps) => self.by_bps.push(places, (bps, id), number),
        }
    }
}

impl TrailingSide {
    pub(crate) fn is_empty(&self) -> bool {
        self.asleep.is_empty() && self.groups.is_empty()
    }

    /// Numbers of its stops, in no particular order.
    pub(crate) fn iter<'a>(&'a self, groups: &'a TrailingGroups) -> impl Iterator<Item = u32> + 'a {
        let awake = self.groups.iter().map(|group| &groups.all[*group as usize]);
        let awake = awake.flat_map(|group| {
            let by_bps = group.by_bps.iter().map(|(_, number)| number);
            group.by_price.iter().map(|(_, number)| number).chain(by_bps)
        });
        self.asleep.iter().map(|(_, number)| number).chain(awake)
    }

    /// Where a group with this peak is among all, or would be.
    fn place(&self, groups: &TrailingGroups, side: Side, peak: Price) -> Result<usize, usize> {
        let wanted = height(side, peak);
        self.groups.binary_search_by(|group| wanted.cmp(&height(side, groups.all[*group as usize].peak)))
    }
}

impl TrailingGroups {
    /// The best print that a stop in a queue has seen; `None` before its activation.
    pub(crate) fn peak(&self, number: u32) -> Option<Price> {
        let group = *self.group_of.get(number as usize)?;
        (group != NO_GROUP).then(|| self.all[group as usize].peak)
    }

    /// Puts a stop where its peak says, or to those that sleep.
    pub(crate) fn push(
        &mut self,
        (queue, side): (&mut TrailingSide, Side),
        places: &mut Places,
        (id, number): (OrderId, u32),
        trail: &Trail,
    ) {
        let Some(peak) = trail.peak else {
            self.note_group(number, NO_GROUP);
            // Without a price to wait for, any print will do.
            let wakes = match trail.activation_price {
                Price::ZERO => i64::MIN,
                price => height(side, price),
            };
            return queue.asleep.push(places, (wakes, id), number);
        };
        let group = match queue.place(self, side, peak) {
            Ok(place) => queue.groups[place],
            Err(place) => {
                let group = self.new_group(peak);
                queue.groups.insert(place, group);
                group
            }
        };
        self.all[group as usize].push(places, trail.distance, id, number);
        self.note_group(number, group);
        self.set_nearest(queue, side, group);
    }

    /// Takes a stop out and returns the best print that it has seen.
    pub(crate) fn remove(
        &mut self,
        (queue, side): (&mut TrailingSide, Side),
        places: &mut Places,
        number: u32,
        distance: Distance,
    ) -> Option<Price> {
        let group = core::mem::replace(&mut self.group_of[number as usize], NO_GROUP);
        if group == NO_GROUP {
            queue.asleep.remove(places, number);
            return None;
        }
        let stops = &mut self.all[group as usize];
        match distance {
            Distance::Price(_) => _ = stops.by_price.remove(places, number),
            Distance::BasisPoints(_) => _ = stops.by_bps.remove(places, number),
        }
        let (peak, is_empty) = (stops.peak, stops.len() == 0);
        if is_empty {
            let place = queue.place(self, side, peak).expect("a group stands where its peak says");
            assert!(queue.groups.remove(place) == group, "a peak has one group");
            self.vacate(queue, group);
        } else {
            self.set_nearest(queue, side, group);
        }
        Some(peak)
    }

    /// A stop that a print triggers.
    pub(crate) fn next_reached(&self, queue: &TrailingSide, side: Side, print: Price) -> Option<u32> {
        let ((Reverse(trigger), _), group) = queue.nearest.first()?;
        let reached = height(side, print) <= trigger;
        reached.then(|| self.all[group as usize].nearest(side).expect("a group has stops").1)
    }

    /// Lets the stops follow a print that triggers none of them. Those that it passes have it as their peak now.
    pub(crate) fn follow(
        &mut self,
        (queue, side): (&mut TrailingSide, Side),
        places: &mut Places,
        print: Price,
    ) {
        let mut passed: Option<u32> = None;
        while let Some(group) = queue.groups.last().copied()
            && height(side, self.all[group as usize].peak) <= height(side, print)
        {
            queue.groups.pop();
            passed = Some(match passed {
                Some(other) => self.join(queue, places, group, other),
                None => group,
            });
        }
        if let Some(group) = passed {
            self.all[group as usize].peak = print;
            queue.groups.push(group);
            self.set_nearest(queue, side, group);
        }
    }

    /// The next stop that a print wakes, which is taken out.
    pub(crate) fn wake(
        &mut self,
        (queue, side): (&mut TrailingSide, Side),
        places: &mut Places,
        print: Price,
    ) -> Option<u32> {
        let ((wakes, _), number) = queue.asleep.first()?;
        if wakes > height(side, print) {
            return None;
        }
        queue.asleep.remove(places, number);
        Some(number)
    }

    /// Makes one group of two, which is the larger one.
    fn join(&mut self, queue: &mut TrailingSide, places: &mut Places, one: u32, other: u32) -> u32 {
        let is_larger = self.all[one as usize].len() >= self.all[other as usize].len();
        let (kept, gone) = if is_larger { (one, other) } else { (other, one) };
        let [into, from] =
            self.all.get_disjoint_mut([kept as usize, gone as usize]).expect("two groups of the queue");
        let by_bps = from.by_bps.iter().map(|(_, number)| number);
        for number in from.by_price.iter().map(|(_, number)| number).chain(by_bps) {
            self.group_of[number as usize] = kept;
        }
        from.by_price.move_into(&mut into.by_price, places);
        from.by_bps.move_into(&mut into.by_bps, places);
        self.vacate(queue, gone);
        kept
    }

    fn new_group(&mut self, peak: Price) -> u32 {
        if let Some(group) = self.vacant.pop() {
            self.all[group as usize].peak = peak;
            return group;
        }
        self.all.push(Group { peak, by_price: Heap::default(), by_bps: Heap::default() });
        u32::try_from(self.all.len() - 1).expect("fewer groups than stops")
    }

    /// A group without stops keeps its memory for the next one.
    fn vacate(&mut self, queue: &mut TrailingSide, group: u32) {
        queue.nearest.remove(&mut self.places, group);
        self.vacant.push(group);
    }

    /// After a change of a group's stops or of its peak.
    fn set_nearest(&mut self, queue: &mut TrailingSide, side: Side, group: u32) {
        if queue.nearest.key(&self.places, group).is_some() {
            queue.nearest.remove(&mut self.places, group);
        }
        let (trigger, _) = self.all[group as usize].nearest(side).expect("a group has stops");
        queue.nearest.push(&mut self.places, (Reverse(trigger), group), group);
    }

    fn note_group(&mut self, number: u32, group: u32) {
        let index = number as usize;
        if self.group_of.len() <= index {
            self.group_of.resize(index + 1, NO_GROUP);
        }
        self.group_of[index] = group;
    }
}
