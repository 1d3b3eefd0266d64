//! Every interleaving of what the exchange does with its rings: commands of several slots, ends that leave, two who ring.

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::{Doorbell, Wake, ring};

/// Two words, so Loom sees a read that races with a write of either.
type Item = (u64, u64);

fn item(n: u64) -> Item {
    (n, !n)
}

#[test]
fn slots_of_one_command_are_never_seen_apart() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::<Item>(4);
        let gateway = thread::spawn(move || {
            // The longest command fits, so it is taken from its session; then it does fit.
            assert!(2 <= tx.free());
            assert_eq!(tx.push_slice(&[item(1), item(2)]), 2);
            assert_eq!(tx.push_slice(&[item(3), item(4)]), 2);
        });
        let mut expected = 1;
        for _ in 0..2 {
            if let Some(first) = rx.pop() {
                assert_eq!(first, item(expected));
                assert_eq!(
                    rx.pop(),
                    Some(item(expected + 1)),
                    "the rest of a command is there with its start"
                );
                expected += 2;
            }
        }
        gateway.join().unwrap();
        while let Some(rest) = rx.pop() {
            assert_eq!(rest, item(expected));
            expected += 1;
        }
        assert_eq!(expected, 5);
    });
}

#[test]
fn room_that_was_seen_stays() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::<Item>(2);
        assert_eq!(tx.push_slice(&[item(0), item(1)]), 2);
        let core = thread::spawn(move || {
            let mut expected = 0;
            for _ in 0..2 {
                assert_eq!(rx.pop(), Some(item(expected)));
                expected += 1;
            }
            rx
        });
        let free = tx.free();
        let items = [item(2), item(3)];
        assert_eq!(tx.push_slice(&items[..free]), free, "the other side can only make it more");
        let mut rx = core.join().unwrap();
        for expected in 0..free as u64 {
            assert_eq!(rx.pop(), Some(item(2 + expected)));
        }
        assert_eq!(rx.pop(), None);
    });
}

#[test]
fn a_producer_learns_that_its_consumer_left() {
    // Loom also fails when the shared allocation leaks or is freed twice.
    loom::model(|| {
        let (mut tx, mut rx) = ring::<Item>(2);
        let core = thread::spawn(move || rx.pop());
        let pushed = tx.push_slice(&[item(0), item(1)]);
        assert_eq!(pushed, 2);
        let taken = core.join().unwrap();
        assert!(taken.is_none() || taken == Some(item(0)));
        assert!(tx.is_abandoned(), "it was dropped with its thread");
        // What nobody will read does no harm.
        let room = tx.free();
        assert_eq!(room, usize::from(taken.is_some()));
        assert_eq!(tx.push_slice(&[item(2)]), room);
    });
}

#[test]
fn a_stream_ends_after_its_last_item() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::<Item>(2);
        let producer = thread::spawn(move || {
            tx.try_push(item(0)).unwrap();
            tx.try_push(item(1)).unwrap();
        });
        let mut expected = 0;
        loop {
            // In this order: whoever left has pushed everything before.
            let ended = rx.is_abandoned();
            match rx.pop() {
                Some(got) => {
                    assert_eq!(got, item(expected));
                    expected += 1;
                }
                None if ended => break,
                None => thread::yield_now(),
            }
        }
        assert_eq!(expected, 2, "the end came before the last item");
        producer.join().unwrap();
    });
}

/// A park token: a wake before the sleep ends that sleep at once.
struct Token {
    set: Mutex<bool>,
    changed: Condvar,
}

struct TokenWaker(Arc<Token>);

impl Wake for TokenWaker {
    fn wake(&self) {
        *self.0.set.lock().unwrap() = true;
        self.0.changed.notify_one();
    }
}

#[test]
fn of_two_ringers_none_is_missed() {
    // Three threads: all interleavings with up to two switches that nobody asked for.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let token = Arc::new(Token { set: Mutex::new(false), changed: Condvar::new() });
        let waker = std::sync::Arc::new(TokenWaker(Arc::clone(&token)));
        let doorbell = Arc::new(Doorbell::new(waker));
        let ends = [0, 1].map(|n| {
            let (mut tx, rx) = ring::<Item>(1);
            let doorbell = Arc::clone(&doorbell);
            let ringer = thread::spawn(move || {
                tx.try_push(item(n)).unwrap();
                doorbell.ring();
            });
            (ringer, rx)
        });
        let (ringers, mut rings): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        let mut missing = 2;
        while missing > 0 {
            let taken = rings.iter_mut().filter_map(|rx| rx.pop()).count();
            missing -= taken;
            if taken > 0 {
                continue;
            }
            doorbell.prepare_sleep();
            if rings.iter().all(|rx| rx.is_empty()) {
                let mut set = token.set.lock().unwrap();
                while !*set {
                    set = token.changed.wait(set).unwrap();
                }
                *set = false;
            }
            doorbell.awake();
        }
        ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
    });
}
