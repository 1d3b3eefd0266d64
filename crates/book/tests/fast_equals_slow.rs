//! The fast book against the slow one on random commands: fills, levels, best prices and the order of the queue, with
//! orders that show a slice at a time.

use std::collections::BTreeMap;

use joulebook_book::reference::{ReferenceBook, ReferenceOrder};
use joulebook_book::{Book, Moved, Order, OrderSlab, SharedMemory, Slot};
use joulebook_types::{OrderId, Price, Side};
use proptest::prelude::*;

const TICK: i64 = 10;

#[derive(Clone, Debug)]
enum Step {
    /// Trades with what it crosses, then rests.
    Enter {
        side: Side,
        ticks: i64,
        lots: u32,
        /// Lots that show at a time.
        display: u32,
    },
    /// `pick` chooses among the resting orders.
    Cancel {
        pick: usize,
    },
    /// In its place, hidden lots first.
    Reduce {
        pick: usize,
        lots: u32,
    },
    /// Trades wherever it stands, as in an auction.
    Fill {
        pick: usize,
        lots: u32,
    },
    Move {
        pick: usize,
        ticks: i64,
        lots: u32,
    },
}

/// `enters` of `enters + 7` steps are new orders, at prices of this range.
fn step(ticks: core::ops::Range<i64>, enters: u32) -> impl Strategy<Value = Step> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let (lots, pick) = (1..9u32, any::<usize>());
    prop_oneof![
        enters => (side, ticks.clone(), lots.clone(), 1..12u32)
            .prop_map(|(side, ticks, lots, display)| Step::Enter { side, ticks, lots, display }),
        2 => pick.prop_map(|pick| Step::Cancel { pick }),
        2 => (pick, lots.clone()).prop_map(|(pick, lots)| Step::Reduce { pick, lots }),
        1 => (pick, lots.clone()).prop_map(|(pick, lots)| Step::Fill { pick, lots }),
        2 => (pick, ticks, lots).prop_map(|(pick, ticks, lots)| Step::Move { pick, ticks, lots }),
    ]
}

/// Both books side by side; every step is done to both and every answer compared.
#[derive(Default)]
struct Pair {
    orders: OrderSlab,
    fast: Option<Book>,
    slow: ReferenceBook,
    resting: Vec<(OrderId, Slot)>,
    /// Of each order: lots that do not show yet, and how many show at a time.
    hidden: BTreeMap<OrderId, u32>,
    display: BTreeMap<OrderId, u32>,
    last_id: OrderId,
}

impl Pair {
    fn new() -> Self {
        Self { fast: Some(Book::new(Price::new(TICK))), ..Self::default() }
    }

    fn fast(&self) -> &Book {
        self.fast.as_ref().expect("set in new")
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Enter { side, ticks, lots, display } => {
                self.last_id = self.last_id.next();
                self.display.insert(self.last_id, display);
                let order = Order::new(self.last_id, side, Price::new(ticks * TICK), lots);
                let slot = self.orders.insert(order);
                self.enter(slot);
            }
            Step::Cancel { pick } => {
                self.cancel(pick);
            }
            Step::Reduce { pick, lots } => self.reduce(pick, lots),
            Step::Fill { pick, lots } => self.fill(pick, lots),
            Step::Move { pick, ticks, lots } => {
                if self.relocate(pick, ticks, lots) {
                    return;
                }
                if let Some((_, slot)) = self.take(pick) {
                    self.orders.amend(slot, Price::new(ticks * TICK), lots, lots, lots);
                    self.enter(slot);
                }
            }
        }
    }

    fn enter(&mut self, slot: Slot) {
        let Order { order_id, side, price, mut leaves, .. } = self.orders[slot];
        loop {
            let crosses = self.fast().crosses(side, price);
            assert_eq!(crosses, self.slow.crosses(side, price));
            if !crosses || leaves == 0 {
                break;
            }
            leaves -= self.trade(side.opposite(), leaves);
        }
        if leaves == 0 {
            self.orders.remove(slot);
            return;
        }
        let display = self.display[&order_id];
        self.hidden.insert(order_id, leaves.saturating_sub(display));
        let rests = ReferenceOrder { order_id, side, price, leaves: leaves.min(display) };
        let fast = self.fast.as_mut().unwrap();
        // All ways into the book lead to the same place.
        let total = match order_id.raw() % 3 {
            0 => {
                self.orders.amend(slot, price, leaves, leaves, display);
                fast.add(&mut self.orders, slot)
            }
            1 => fast.rejoin(&mut self.orders, slot, price, leaves, display),
            _ => {
                self.orders.remove(slot);
                assert_eq!(self.orders.vacancy(), Some(slot), "the last one to become vacant");
                let mut order = Order::new(order_id, side, price, leaves);
                (order.leaves, order.hidden) = (rests.leaves, leaves - rests.leaves);
                fast.enter(&mut self.orders, slot, order)
            }
        };
        assert_eq!(total, self.slow.add(rests));
        self.resting.push((order_id, slot));
    }

    /// Behind all that came to its price before.
    fn rest(&mut self, slot: Slot, order: ReferenceOrder) {
        let total = self.fast.as_mut().unwrap().add(&mut self.orders, slot);
        assert_eq!(total, self.slow.add(order));
    }

    /// An order whose slice is exhausted shows the next one, at the back of its price, or is gone.
    fn exhausted(&mut self, slot: Slot) {
        let maker = self.orders[slot];
        assert!(!maker.is_resting() && maker.leaves == 0);
        let hidden = self.hidden.get_mut(&maker.order_id).expect("it rested");
        if *hidden == 0 {
            self.orders.remove(slot);
            self.resting.retain(|(order_id, _)| *order_id != maker.order_id);
            return;
        }
        let display = self.display[&maker.order_id];
        let leaves = display.min(*hidden);
        *hidden -= leaves;
        self.orders.renew(slot, display);
        let Order { order_id, side, price, .. } = maker;
        self.rest(slot, ReferenceOrder { order_id, side, price, leaves });
    }

    fn trade(&mut self, maker_side: Side, wanted: u32) -> u32 {
        let front = self.slow.front(maker_side).expect("it crosses");
        let lots = wanted.min(front.leaves);
        let maker = self.fast().front(&self.orders, maker_side).expect("it crosses");
        let filled = self.fast.as_mut().unwrap().fill_front(&mut self.orders, maker, lots);
        let maker = self.orders[filled.maker];
        assert_eq!(maker.price, front.price);
        assert_eq!(Some((maker.order_id, filled.level)), self.slow.fill_front(maker_side, lots));
        if maker.leaves == 0 {
            self.exhausted(filled.maker);
        }
        lots
    }

    fn take(&mut self, pick: usize) -> Option<(OrderId, Slot)> {
        if self.resting.is_empty() {
            return None;
        }
        let (order_id, slot) = self.resting.swap_remove(pick % self.resting.len());
        let total = self.fast.as_mut().unwrap().remove(&mut self.orders, slot);
        let (order, slow_total) = self.slow.remove(order_id).expect("both know it");
        assert_eq!((total, self.orders[slot].leaves), (slow_total, order.leaves));
        Some((order_id, slot))
    }

    /// Every other one leaves book and slab at once.
    fn cancel(&mut self, pick: usize) -> bool {
        if pick.is_multiple_of(2) {
            let taken = self.take(pick);
            return taken.map(|(_, slot)| self.orders.remove(slot)).is_some();
        }
        if self.resting.is_empty() {
            return false;
        }
        let (order_id, slot) = self.resting.swap_remove(pick % self.resting.len());
        let total = self.fast.as_mut().unwrap().withdraw(&mut self.orders, slot);
        assert_eq!(Some(total), self.slow.remove(order_id).map(|(_, total)| total));
        assert!(self.orders.get(slot).is_none() && self.orders.vacancy() == Some(slot));
        true
    }

    /// In one go, when the order does not trade at its new price.
    fn relocate(&mut self, pick: usize, ticks: i64, lots: u32) -> bool {
        if self.resting.is_empty() || pick.is_multiple_of(4) {
            return false;
        }
        let (order_id, slot) = self.resting[pick % self.resting.len()];
        let (side, price, display) =
            (self.orders[slot].side, Price::new(ticks * TICK), self.display[&order_id]);
        if self.slow.crosses(side, price) {
            return false;
        }
        let book = self.fast.as_mut().unwrap();
        let Moved { left, joined } = book.relocate(&mut self.orders, slot, price, (lots + 1, lots, display));
        assert_eq!(Some(left), self.slow.remove(order_id).map(|(_, total)| total));
        self.hidden.insert(order_id, lots.saturating_sub(display));
        let moved = ReferenceOrder { order_id, side, price, leaves: lots.min(display) };
        assert_eq!(joined, self.slow.add(moved));
        assert_eq!((self.orders[slot].price, self.orders[slot].filled()), (price, 1));
        true
    }

    fn reduce(&mut self, pick: usize, lots: u32) {
        if self.resting.is_empty() {
            return;
        }
        let (order_id, slot) = self.resting[pick % self.resting.len()];
        if lots < self.orders[slot].total_leaves() {
            let hidden = self.hidden.get_mut(&order_id).expect("it rests");
            let of_slice = lots.saturating_sub(*hidden);
            *hidden -= lots - of_slice;
            let total = self.fast.as_mut().unwrap().reduce(&mut self.orders, slot, lots);
            let slow = if of_slice == 0 { None } else { self.slow.reduce(order_id, of_slice) };
            assert_eq!(total, slow);
        }
    }

    fn fill(&mut self, pick: usize, lots: u32) {
        if self.resting.is_empty() {
            return;
        }
        let (order_id, slot) = self.resting[pick % self.resting.len()];
        let shown = self.slow.get(order_id).expect("both know it").leaves;
        let lots = lots.min(shown + self.hidden[&order_id]);
        let total = self.fast.as_mut().unwrap().fill(&mut self.orders, slot, lots);
        assert_eq!(Some(total), self.slow.reduce(order_id, lots.min(shown)));
        *self.hidden.get_mut(&order_id).expect("it rests") -= lots.saturating_sub(shown);
        if lots >= shown {
            self.exhausted(slot);
        }
    }

    /// Takes everything out; an empty book owns nothing.
    fn empty(mut self) {
        self.compare();
        while self.cancel(self.last_id.raw() as usize) {}
        assert_eq!(self.orders.len(), 0);
        assert_eq!(self.orders.shared_memory(), SharedMemory::default());
        for side in [Side::Buy, Side::Sell] {
            assert_eq!((self.fast().best(side), self.fast().front(&self.orders, side)), (None, None));
        }
    }

    fn compare(&self) {
        let fast = self.fast();
        assert!(fast.is_consistent(&self.orders, 0) && !fast.is_crossed());
        assert_eq!(
            (fast.order_count(&self.orders), self.orders.len()),
            (self.resting.len(), self.resting.len())
        );
        for (order_id, slot) in &self.resting {
            let (order, slow) = (self.orders[*slot], self.slow.get(*order_id).expect("both know it"));
            assert_eq!(
                (order.leaves, order.hidden),
                (slow.leaves, self.hidden[order_id]),
                "order {order_id}"
            );
            assert!(order.leaves + order.filled() + order.hidden == order.qty);
        }
        for side in [Side::Buy, Side::Sell] {
            assert_eq!(fast.best(side), self.slow.best(side));
            assert_eq!(fast.levels(&self.orders, side).collect::<Vec<_>>(), self.slow.levels(side));
            assert_eq!(fast.level_count(&self.orders, side), self.slow.levels(side).len());
            let ids =
                |slots: Vec<Slot>| slots.iter().map(|slot| self.orders[*slot].order_id).collect::<Vec<_>>();
            let slow: Vec<OrderId> = self.slow.makers(side).iter().map(|order| order.order_id).collect();
            assert_eq!(ids(fast.makers(&self.orders, side).collect()), slow);
            let steps = core::iter::successors(fast.front(&self.orders, side), |slot| {
                fast.maker_after(&self.orders, *slot)
            });
            assert_eq!(ids(steps.collect()), slow, "one by one is the same walk");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two prices a side, so that queues are long.
    #[test]
    fn they_agree_on_long_queues(
        bids in prop::collection::vec(step(100..102, 40), 60..160),
        steps in prop::collection::vec(step(100..104, 9), 100..300),
    ) {
        let mut pair = Pair::new();
        for step in &bids {
            // Only bids at first, so that nothing trades and the queues grow.
            if let Step::Enter { ticks, lots, display, .. } = *step {
                pair.run(&Step::Enter { side: Side::Buy, ticks, lots, display });
            } else {
                pair.run(step);
            }
        }
        for (at, step) in steps.iter().enumerate() {
            pair.run(step);
            if at % 8 == 0 {
                pair.compare();
            }
        }
        pair.empty();
    }

    /// Prices far apart: every height of the tree, and the way back.
    #[test]
    fn they_agree_on_far_prices(
        steps in prop::collection::vec((step(1..3, 5), 0..60u32, any::<bool>()), 1..150),
    ) {
        let mut pair = Pair::new();
        for (step, shift, below) in &steps {
            let far = |ticks: i64| if *below { (ticks << shift) - 1 } else { ticks << shift }.clamp(1, i64::MAX / TICK);
            pair.run(&match *step {
                Step::Enter { side, ticks, lots, display } => Step::Enter { side, ticks: far(ticks), lots, display },
                Step::Move { pick, ticks, lots } => Step::Move { pick, ticks: far(ticks), lots },
                Step::Cancel { .. } | Step::Reduce { .. } | Step::Fill { .. } => step.clone(),
            });
            pair.compare();
        }
        pair.empty();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fast_and_slow_agree(steps in prop::collection::vec(step(95..106, 5), 1..120)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.run(step);
            pair.compare();
        }
        pair.empty();
    }
}
