//! The fast book against the slow one on random commands: fills, levels, best prices and the order of the queue.

use joulebook_book::reference::{ReferenceBook, ReferenceOrder};
use joulebook_book::{Book, Order, OrderSlab, Slot};
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
    },
    /// `pick` chooses among the resting orders.
    Cancel {
        pick: usize,
    },
    Reduce {
        pick: usize,
        lots: u32,
    },
    Move {
        pick: usize,
        ticks: i64,
        lots: u32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let (ticks, lots, pick) = (95..106i64, 1..9u32, any::<usize>());
    prop_oneof![
        5 => (side, ticks.clone(), lots.clone()).prop_map(|(side, ticks, lots)| Step::Enter { side, ticks, lots }),
        2 => pick.prop_map(|pick| Step::Cancel { pick }),
        2 => (pick, lots.clone()).prop_map(|(pick, lots)| Step::Reduce { pick, lots }),
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
            Step::Enter { side, ticks, lots } => {
                self.last_id = self.last_id.next();
                let order = Order::new(self.last_id, side, Price::new(ticks * TICK), lots);
                let slot = self.orders.insert(order);
                self.enter(slot);
            }
            Step::Cancel { pick } => {
                if let Some((_, slot)) = self.take(pick) {
                    self.orders.remove(slot);
                }
            }
            Step::Reduce { pick, lots } => self.reduce(pick, lots),
            Step::Move { pick, ticks, lots } => {
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
        self.orders.amend(slot, price, leaves, leaves, leaves);
        let total = self.fast.as_mut().unwrap().add(&mut self.orders, slot);
        assert_eq!(total, self.slow.add(ReferenceOrder { order_id, side, price, leaves }));
        self.resting.push((order_id, slot));
    }

    fn trade(&mut self, maker_side: Side, wanted: u32) -> u32 {
        let front = self.slow.front(maker_side).expect("it crosses");
        let lots = wanted.min(front.leaves);
        let filled = self.fast.as_mut().unwrap().fill_front(&mut self.orders, maker_side, lots);
        let maker = self.orders[filled.maker];
        assert_eq!(maker.price, front.price);
        assert_eq!(Some((maker.order_id, filled.level)), self.slow.fill_front(maker_side, lots));
        if maker.leaves == 0 {
            assert!(!maker.is_resting());
            self.orders.remove(filled.maker);
            self.resting.retain(|(order_id, _)| *order_id != maker.order_id);
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

    fn reduce(&mut self, pick: usize, lots: u32) {
        if self.resting.is_empty() {
            return;
        }
        let (order_id, slot) = self.resting[pick % self.resting.len()];
        if lots < self.orders[slot].leaves {
            let total = self.fast.as_mut().unwrap().reduce(&mut self.orders, slot, lots);
            assert_eq!(total, self.slow.reduce(order_id, lots));
        }
    }

    fn compare(&self) {
        let fast = self.fast();
        assert!(fast.is_consistent(&self.orders, 0) && !fast.is_crossed());
        assert_eq!((fast.order_count(), self.orders.len()), (self.resting.len(), self.resting.len()));
        for side in [Side::Buy, Side::Sell] {
            assert_eq!(fast.best(side), self.slow.best(side));
            assert_eq!(fast.levels(side).collect::<Vec<_>>(), self.slow.levels(side));
            assert_eq!(fast.level_count(side), self.slow.levels(side).len());
            let ids =
                |slots: Vec<Slot>| slots.iter().map(|slot| self.orders[*slot].order_id).collect::<Vec<_>>();
            let slow: Vec<OrderId> = self.slow.makers(side).iter().map(|order| order.order_id).collect();
            assert_eq!(ids(fast.makers(&self.orders, side).collect()), slow);
            let steps =
                core::iter::successors(fast.front(side), |slot| fast.maker_after(&self.orders, *slot));
            assert_eq!(ids(steps.collect()), slow, "one by one is the same walk");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fast_and_slow_agree(steps in prop::collection::vec(step(), 1..120)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.run(step);
            pair.compare();
        }
    }
}
