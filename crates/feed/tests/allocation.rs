//! Once the books have grown, publishing does not allocate.

use joulebook_feed::{FeedPublisher, LEVELS_AND_TRADES, SubscriberId, Subscribers};
use joulebook_protocol::PublicEvent;
use joulebook_protocol::messages::{AuctionIndication, BookUpdate, InstrumentDefinition, Subscribe, Trade};
use joulebook_testkit::{CountingAllocator, count_allocations};
use joulebook_types::{InstrumentId, Price, Side};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[derive(Default)]
struct Bytes(usize);

impl Subscribers for Bytes {
    fn is_lagging(&self, _subscriber: SubscriberId) -> bool {
        false
    }

    fn send(&mut self, _subscriber: SubscriberId, frames: &[u8]) {
        self.0 += frames.len();
    }
}

#[test]
fn updates_trades_and_indications_do_not_allocate() {
    let (mut publisher, mut to) = (FeedPublisher::new(1), Bytes::default());
    let instrument = InstrumentId::new(1);
    publisher.publish(&InstrumentDefinition { instrument, ..Default::default() }.into(), &mut to);
    for id in 0..8 {
        let request = Subscribe { kinds: LEVELS_AND_TRADES, ..Subscribe::default() };
        publisher.subscribe(SubscriberId(id), &request).unwrap();
    }
    while publisher.serve(&mut to) {}
    let mut round = |to: &mut Bytes| {
        for price in 1..=200 {
            for (side, level_qty) in [(Side::Buy, 1), (Side::Sell, 2), (Side::Buy, price as u64 % 2)] {
                let (price, side) = (Price::new(price), side.raw());
                let update = BookUpdate { instrument, price, side, level_qty, ..BookUpdate::default() };
                publisher.publish(&PublicEvent::from(update), to);
            }
            publisher.publish(&PublicEvent::from(Trade { instrument, ..Trade::default() }), to);
            let indication = AuctionIndication { instrument, ..AuctionIndication::default() };
            publisher.publish(&PublicEvent::from(indication), to);
        }
    };
    round(&mut to);
    let before = to.0;
    let ((), allocations) = count_allocations(|| (0..20).for_each(|_| round(&mut to)));
    assert_eq!(allocations, 0);
    assert!(to.0 - before > 20 * 200 * 5 * 8 * 56, "every subscriber got every update");
}
