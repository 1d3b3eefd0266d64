//! Every interleaving of small programs: `RUSTFLAGS="--cfg loom" cargo test -p joulebook-rings --release`.

use loom::{
    sync::{Arc, Condvar, Mutex},
    thread,
};

use crate::{Demand, Doorbell, Full, Gate, Wake, Watermark, ring};

/// Two words, so Loom sees a read that races with a write of either.
type Item = (u64, u64);

fn item(n: u64) -> Item {
    (n, !n)
}

#[test]
fn items_arrive_whole_and_in_order() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::<Item>(4);
        let producer = thread::spawn(move || {
            tx.try_push(item(0)).unwrap();
            assert_eq!(tx.push_slice(&[item(1), item(2)]), 2);
        });
        let mut expected = 0;
        while expected < 3 {
            let taken = rx.drain_with(4, |got| {
                assert_eq!(*got, item(expected));
                expected += 1;
            });
            if taken == 0 {
                thread::yield_now();
            }
        }
        assert!(rx.is_empty());
        producer.join().unwrap();
    });
}

#[test]
fn a_full_ring_gives_the_item_back_and_slots_are_reused_safely() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::<Item>(1);
        let producer = thread::spawn(move || {
            for n in 0..3 {
                while let Err(Full(back)) = tx.try_push(item(n)) {
                    assert_eq!(back, item(n));
                    thread::yield_now();
                }
            }
        });
        for n in 0..3 {
            loop {
                if let Some(got) = rx.peek() {
                    assert_eq!(*got, item(n));
                    rx.advance();
                    break;
                }
                thread::yield_now();
            }
        }
        assert_eq!(rx.pop(), None);
        producer.join().unwrap();
    });
}

#[test]
fn wrap_around_by_batches() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::<Item>(2);
        let producer = thread::spawn(move || {
            let items = [item(0), item(1), item(2)];
            let mut sent = 0;
            while sent < items.len() {
                let pushed = tx.push_slice(&items[sent..]);
                if pushed == 0 {
                    thread::yield_now();
                }
                sent += pushed;
            }
        });
        let mut expected = 0;
        while expected < 3 {
            let taken = rx.drain_with(2, |got| {
                assert_eq!(*got, item(expected));
                expected += 1;
            });
            if taken == 0 {
                thread::yield_now();
            }
        }
        producer.join().unwrap();
    });
}

#[test]
fn leftovers_survive_the_producer_and_are_freed_with_the_consumer() {
    // Loom also fails when the shared allocation leaks.
    loom::model(|| {
        let (mut tx, mut rx) = ring::<Item>(2);
        let producer = thread::spawn(move || assert_eq!(tx.push_slice(&[item(0), item(1)]), 2));
        while !rx.is_abandoned() {
            thread::yield_now();
        }
        // Whoever saw the end sees everything before it.
        assert_eq!(rx.pop(), Some(item(0)));
        drop(rx);
        producer.join().unwrap();
    });
}

/// A park token: a wake before the sleep ends that sleep at once.
struct Token {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Token {
    fn park(&self) {
        let mut set = self.set.lock().unwrap();
        while !*set {
            set = self.changed.wait(set).unwrap();
        }
        *set = false;
    }
}

struct TokenWaker(Arc<Token>);

impl Wake for TokenWaker {
    fn wake(&self) {
        *self.0.set.lock().unwrap() = true;
        self.0.changed.notify_one();
    }
}

#[test]
fn no_wake_up_is_lost() {
    // A lost wake-up leaves the sleeper parked for ever, which Loom reports as a deadlock.
    loom::model(|| {
        let token = Arc::new(Token { set: Mutex::new(false), changed: Condvar::new() });
        let waker = std::sync::Arc::new(TokenWaker(Arc::clone(&token)));
        let doorbell = Arc::new(Doorbell::new(waker));
        let (mut tx, mut rx) = ring::<Item>(2);
        let ringer = thread::spawn({
            let doorbell = Arc::clone(&doorbell);
            move || {
                for n in 0..2 {
                    tx.try_push(item(n)).unwrap();
                    doorbell.ring();
                }
            }
        });
        for n in 0..2 {
            let got = loop {
                if let Some(got) = rx.pop() {
                    break got;
                }
                doorbell.prepare_sleep();
                if rx.is_empty() {
                    token.park();
                }
                doorbell.awake();
            };
            assert_eq!(got, item(n));
        }
        ringer.join().unwrap();
    });
}

#[test]
fn whoever_sees_a_gate_open_sees_what_was_pushed_before() {
    loom::model(|| {
        let gate = Arc::new(Gate::shut());
        let (mut tx, mut rx) = ring::<Item>(2);
        let writer = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                tx.try_push(item(0)).unwrap();
                assert!(gate.set(true));
                tx.try_push(item(1)).unwrap();
            }
        });
        let was_open = gate.is_open();
        let first = rx.pop();
        assert!(!was_open || first == Some(item(0)), "the gate was open before the item was there");
        writer.join().unwrap();
        assert!(gate.is_open());
    });
}

#[test]
fn a_gate_that_is_shut_before_a_wake_is_seen_after_it() {
    // As a thread is told to stop: it looks, sleeps until it is woken, and looks again.
    loom::model(|| {
        let gate = Arc::new(Gate::open());
        let token = Arc::new(Token { set: Mutex::new(false), changed: Condvar::new() });
        let stopper = thread::spawn({
            let (gate, waker) = (Arc::clone(&gate), TokenWaker(Arc::clone(&token)));
            move || {
                gate.set(false);
                waker.wake();
            }
        });
        while gate.is_open() {
            token.park();
        }
        stopper.join().unwrap();
    });
}

/// A watermark whose waiter parks on the token.
fn watermark(token: &Arc<Token>) -> Arc<Watermark> {
    Arc::new(Watermark::new(0, std::sync::Arc::new(TokenWaker(Arc::clone(token)))))
}

fn wait_for(mark: &Watermark, wanted: u64, token: &Token) -> u64 {
    loop {
        let reached = mark.get();
        if wanted <= reached {
            return reached;
        }
        if mark.prepare_sleep(wanted) {
            token.park();
        }
        mark.awake();
    }
}

#[test]
fn a_watermark_loses_no_wake_up() {
    // A lost wake-up leaves the waiter parked for ever, which Loom reports as a deadlock.
    loom::model(|| {
        let token = Arc::new(Token { set: Mutex::new(false), changed: Condvar::new() });
        let mark = watermark(&token);
        let writer = thread::spawn({
            let mark = Arc::clone(&mark);
            move || (1..=2).for_each(|number| mark.publish(number))
        });
        for wanted in 1..=2 {
            assert!(wanted <= wait_for(&mark, wanted, &token));
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_waiter_that_woke_for_something_else_may_want_another_number() {
    // It calls its sleep off, and may want a larger number while the writer still looks at the smaller one.
    loom::model(|| {
        let token = Arc::new(Token { set: Mutex::new(false), changed: Condvar::new() });
        let mark = watermark(&token);
        let writer = thread::spawn({
            let mark = Arc::clone(&mark);
            move || (1..=2).for_each(|number| mark.publish(number))
        });
        mark.prepare_sleep(1);
        mark.awake();
        assert_eq!(wait_for(&mark, 2, &token), 2);
        writer.join().unwrap();
    });
}

#[test]
fn whoever_sees_a_watermark_sees_what_was_done_before() {
    loom::model(|| {
        let token = Arc::new(Token { set: Mutex::new(false), changed: Condvar::new() });
        let mark = watermark(&token);
        let (mut tx, mut rx) = ring::<Item>(2);
        let writer = thread::spawn({
            let mark = Arc::clone(&mark);
            move || {
                tx.try_push(item(0)).unwrap();
                mark.publish(1);
            }
        });
        let reached = mark.get();
        let first = rx.pop();
        assert!(reached == 0 || first == Some(item(0)), "the mark was there before the item");
        writer.join().unwrap();
    });
}

#[test]
fn every_demand_is_taken_and_the_largest_last() {
    loom::model(|| {
        let demand = Arc::new(Demand::default());
        let token = Arc::new(Token { set: Mutex::new(false), changed: Condvar::new() });
        let asker = thread::spawn({
            let (demand, waker) = (Arc::clone(&demand), TokenWaker(Arc::clone(&token)));
            move || {
                for number in [1, 2] {
                    demand.ask(number);
                    waker.wake();
                }
            }
        });
        let mut last = 0;
        while last < 2 {
            match demand.take() {
                // Never the same twice, and never a smaller one after a larger.
                Some(number) => {
                    assert!(last < number);
                    last = number;
                }
                None => token.park(),
            }
        }
        asker.join().unwrap();
    });
}
