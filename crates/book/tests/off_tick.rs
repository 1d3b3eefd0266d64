//! A price between two ticks never gets a level, whoever is there already.

use joulebook_book::{Book, Order, OrderSlab};
use joulebook_types::{OrderId, Price, Side};

/// Enters orders of these prices into a book of ticks of ten.
fn enter(prices: &[i64]) {
    let (mut orders, mut book) = (OrderSlab::<()>::default(), Book::new(Price::new(10)));
    for (id, price) in (1..).zip(prices) {
        let slot = orders.insert(Order::new(OrderId::new(id), Side::Sell, Price::new(*price), 1));
        book.add(&mut orders, slot);
    }
}

#[test]
fn prices_on_the_tick_rest() {
    enter(&[100, 110, 100]);
}

#[test]
#[should_panic(expected = "a positive multiple of the tick")]
fn the_first_order_of_a_book_is_on_the_tick() {
    enter(&[105]);
}

#[test]
#[should_panic(expected = "a positive multiple of the tick")]
fn so_is_one_that_comes_after_others() {
    enter(&[100, 110, 105]);
}

#[test]
#[should_panic(expected = "a positive multiple of the tick")]
fn zero_is_no_tick() {
    enter(&[10, 0]);
}

/// A move is asked the same: its new price has a page, and no order yet.
#[test]
#[should_panic(expected = "a positive multiple of the tick")]
fn an_order_moves_to_a_tick() {
    let (mut orders, mut book) = (OrderSlab::<()>::default(), Book::new(Price::new(10)));
    let [stays, moves] = [100, 110].map(|price| {
        let slot = orders.insert(Order::new(OrderId::new(7), Side::Buy, Price::new(price), 1));
        book.add(&mut orders, slot);
        slot
    });
    assert!(orders[stays].is_resting());
    book.relocate(&mut orders, moves, Price::new(101), (1, 1, 1));
}
