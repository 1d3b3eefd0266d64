//! What books take from the memory that they share, and that they give it back.

use joulebook_book::{Book, Entering, Order, OrderSlab, SharedMemory, Slot};
use joulebook_types::{OrderId, Price, Side};

/// A book of prices one to many, and the slab that it lies in.
struct Market {
    orders: OrderSlab,
    book: Book,
    last_id: OrderId,
}

impl Market {
    fn new() -> Self {
        Self { orders: OrderSlab::default(), book: Book::new(Price::new(1)), last_id: OrderId::NONE }
    }

    fn enter(&mut self, side: Side, price: i64) -> Slot {
        self.last_id = self.last_id.next();
        let slot = self.orders.insert(Order::new(self.last_id, side, Price::new(price), 1));
        self.book.add(&mut self.orders, slot);
        slot
    }

    fn cancel(&mut self, slot: Slot) {
        self.book.remove(&mut self.orders, slot);
        self.orders.remove(slot);
    }
}

/// The market rises by 60 %: orders leave at the low end and come at the high one.
#[test]
fn a_price_run_leaves_nothing_behind() {
    let mut market = Market::new();
    let mut resting: Vec<Slot> = (100_000..100_500).map(|price| market.enter(Side::Sell, price)).collect();
    let at_rest = market.orders.shared_memory();
    for (at, price) in (0..).zip(100_500..160_000) {
        let oldest = at % resting.len();
        market.cancel(resting[oldest]);
        resting[oldest] = market.enter(Side::Sell, price);
        let SharedMemory { pages, nodes } = market.orders.shared_memory();
        assert!(pages <= at_rest.pages + 1 && nodes <= 6, "at {price}: {pages}, {nodes}");
        assert_eq!(market.book.best(Side::Sell), Some(Price::new(price - 499)));
    }
    for slot in resting {
        market.cancel(slot);
    }
    assert_eq!(market.orders.shared_memory(), SharedMemory::default());
}

/// An order that stays first at its price does not keep the places of those that came and went behind it.
#[test]
fn places_behind_an_old_order_are_used_again() {
    let mut market = Market::new();
    let first = market.enter(Side::Buy, 70);
    let mut waiting: std::collections::VecDeque<Slot> =
        (0..20).map(|_| market.enter(Side::Buy, 70)).collect();
    for _ in 0..10_000 {
        market.cancel(waiting.pop_front().expect("twenty wait"));
        waiting.push_back(market.enter(Side::Buy, 70));
        assert_eq!(market.book.front(&market.orders, Side::Buy), Some(first));
    }
    assert_eq!(market.orders.slots(), 21);
    for slot in waiting.into_iter().chain([first]) {
        market.cancel(slot);
    }
    assert_eq!(market.orders.shared_memory(), SharedMemory::default());
}

/// Five orders leave in each order that there is, and another one comes after each: it stands behind those that are left.
#[test]
fn orders_leave_a_queue_in_any_order() {
    for leaving in 0..5 * 4 * 3 * 2 {
        let mut market = Market::new();
        let mut queue: Vec<Slot> = (0..5).map(|_| market.enter(Side::Buy, 70)).collect();
        let mut old = queue.clone();
        let mut rest = leaving;
        while !old.is_empty() {
            let slot = old.remove(rest % old.len());
            rest /= old.len() + 1;
            market.cancel(slot);
            queue.retain(|standing| *standing != slot);
            // The slot is used again, so its links are those of an order that stood elsewhere.
            queue.push(market.enter(Side::Buy, 70));
            let makers: Vec<Slot> = market.book.makers(&market.orders, Side::Buy).collect();
            assert_eq!(makers, queue, "{leaving}");
            assert!(market.book.is_consistent(&market.orders, 0));
        }
        queue.into_iter().for_each(|slot| market.cancel(slot));
        assert_eq!(market.orders.shared_memory(), SharedMemory::default(), "{leaving}");
    }
}

/// A price has one order or none, over many prices: they are walked in order, and all their memory returns.
#[test]
fn many_prices_are_walked_in_order_and_given_back() {
    let prices: i64 = match std::env::var("JOULEBOOK_PRICES") {
        Ok(prices) => prices.parse().expect("a number"),
        Err(_) => 50_000,
    };
    let mut market = Market::new();
    // Odd prices in an order that jumps about; the numbers have no common factor.
    let jumps = (0..prices).map(|at| at * 7_919 % prices * 2 + 1).filter(|price| price % 7 != 0);
    let slots: Vec<Slot> = jumps.map(|price| market.enter(Side::Buy, price)).collect();
    let walked: Vec<i64> =
        market.book.makers(&market.orders, Side::Buy).map(|slot| market.orders[slot].price.raw()).collect();
    assert!(walked.is_sorted_by(|better, worse| better > worse) && walked.len() == slots.len());
    assert_eq!(market.book.level_count(&market.orders, Side::Buy), slots.len());
    assert!(market.book.is_consistent(&market.orders, 0));
    for slot in slots {
        market.cancel(slot);
    }
    assert_eq!(market.orders.shared_memory(), SharedMemory::default());
    assert_eq!(market.book.best(Side::Buy), None);
}

/// A price far away makes the tree higher, and lower again when it has gone: what is near stays near.
#[test]
fn far_prices_come_and_go() {
    let mut market = Market::new();
    market.enter(Side::Buy, 100);
    let near = market.orders.shared_memory();
    for shift in 10..63 {
        let far = [1_i64 << shift, (1 << shift) + 4_096].map(|price| market.enter(Side::Buy, price));
        assert!(market.orders.shared_memory().nodes > near.nodes || shift < 12);
        assert_eq!(market.book.best(Side::Buy), Some(market.orders[far[1]].price));
        market.cancel(far[1]);
        market.cancel(far[0]);
        assert_eq!(market.orders.shared_memory(), near, "one page under one node, as before 2^{shift}");
    }
}

/// A client's slot that never was, and one that is vacant, are asked for without harm.
#[test]
fn asking_ahead_changes_nothing() {
    let mut market = Market::new();
    let first = market.enter(Side::Buy, 2);
    let slot = market.enter(Side::Sell, 5);
    for named in [slot, Slot::new(2), Slot::new(u32::MAX)] {
        market.orders.prepare(named);
        market.orders.prepare_both(named);
        market.orders.prepare_neighbors(named);
        assert_eq!(market.orders.prepare_leaving(named).is_some(), named == slot);
    }
    for price in [i64::MIN, -5, 0, 1, 2, 3, 4, 5, 6, i64::MAX] {
        for side in [Side::Buy, Side::Sell] {
            let entering = market.book.prepare_entering(&market.orders, side, Price::new(price));
            let against = if side == Side::Buy { slot } else { first };
            if market.book.crosses(side, Price::new(price)) {
                assert_eq!(market.orders.prepare_entering(entering), against, "{side} at {price}");
            }
        }
    }
    market.orders.prepare_entering(Entering::NOTHING);
    let stale = market.book.prepare_entering(&market.orders, Side::Buy, Price::new(5));
    market.cancel(slot);
    market.orders.prepare_entering(stale);
    market.orders.prepare_leaving(slot);
    assert_eq!((market.orders.len(), market.orders.slots()), (1, 2));
}

/// Between looking ahead and the order that was looked ahead for, its level may have become one of other prices.
#[test]
fn a_level_may_be_another_price_when_it_is_asked_for() {
    let mut market = Market::new();
    let alone = market.enter(Side::Sell, 64_000);
    let stale = market.book.prepare_entering(&market.orders, Side::Buy, Price::new(64_000));
    assert_eq!(market.orders.prepare_entering(stale), alone);
    market.cancel(alone);
    // Bids are ranked downwards: this one stands where the level of 64,000 was, and the others near it.
    let there = market.enter(Side::Buy, 127);
    assert_eq!((there, market.orders.shared_memory().pages), (alone, 1));
    assert_eq!(market.orders.prepare_entering(stale), there, "a hint, and an order of the slab");
    market.cancel(there);
    market.enter(Side::Buy, 126);
    market.orders.prepare_entering(stale);
}
