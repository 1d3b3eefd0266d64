//! The public state, and the hashes.

use joulebook_engine::{Destination, Events};
use joulebook_protocol::messages::{AccountQuery, NewOrder, SetProtection, SetYield};
use joulebook_protocol::{Frame, PublicEvent};
use joulebook_types::{ModelId, Trigger, Yield};

use crate::market::*;
use crate::quotes::{DEALER, market as quote_market, pair, quote};

#[test]
fn a_newcomer_gets_definitions_and_books_in_price_time_order() {
    let mut market = Market::trading();
    let class = symbol(HOUR).class;
    let (model, yield_ktok) = (ModelId::new(1), Yield::new(15_387));
    market.send(OPERATOR, SetYield { class, model, yield_ktok, ..Default::default() });
    market.send(BUYER, buy(1, "20.00"));
    market.send(BUYER, buy(2, "21.00"));
    market.send(BUYER_2, buy(3, "21.00"));
    market.send(SELLER, sell(4, "27.00"));
    let hash = market.engine.event_chain_hash();
    let mut events = Events::new();
    market.engine.publish_state(&mut events);
    let mut kinds = Vec::new();
    let mut updates = Vec::new();
    for record in events.iter() {
        assert_eq!(record.destination, Destination::Public);
        let (frame, _) = Frame::split(record.frame).unwrap().unwrap();
        match PublicEvent::decode(&frame).unwrap() {
            PublicEvent::BookUpdate(update) => updates.push((
                update.order_id.raw(),
                update.leaves_qty,
                update.level_qty,
                update.level_orders,
                update.action,
            )),
            other => kinds.push(other.name()),
        }
    }
    assert_eq!(kinds[..8], ["AccountDefinition"; 8]);
    assert_eq!(kinds[8..], ["YieldDefinition", "InstrumentDefinition"]);
    assert_eq!(updates, [(2, 2, 2, 1, 1), (3, 3, 5, 2, 1), (1, 1, 1, 1, 1), (4, 4, 4, 1, 1)]);
    assert_eq!(market.engine.event_chain_hash(), hash);
}

#[test]
fn the_state_hash_sees_what_matters_and_nothing_else() {
    let mut market = Market::trading();
    let mut seen = vec![market.engine.state_hash()];
    market.send(BUYER, buy(1, "20.00"));
    seen.push(market.engine.state_hash());
    market.send(BUYER, cancel(1));
    seen.push(market.engine.state_hash());
    for (index, hash) in seen.iter().enumerate() {
        assert!(!seen[..index].contains(hash));
    }
    // Two engines that heard different questions from different connections are in the same state.
    let run = |connection| {
        let mut market = Market::trading();
        market.log_on_with(BUYER, 1, connection, 0, u32::MAX);
        if connection == 2_005 {
            market.send_raw(BUYER, 1, AccountQuery::default());
        } else {
            market.send_raw(BUYER_2, 1, AccountQuery::default());
        }
        (market.engine.state_hash(), market.engine.event_chain_hash())
    };
    assert_eq!(run(2_004), run(2_005));
}

#[test]
fn the_state_hash_sees_what_no_event_has_said() {
    let hashes = |market: Market| (market.engine.event_chain_hash(), market.engine.state_hash());
    let stop_at = |at: &str| {
        let mut market = Market::trading();
        let (trigger, trigger_price) = (Trigger::Stop.raw(), price(at));
        market.send(BUYER, NewOrder { trigger, trigger_price, ..buy(1, "30.00") });
        hashes(market)
    };
    let (low, high) = (stop_at("28.00"), stop_at("29.00"));
    assert_eq!(low.0, high.0);
    assert_ne!(low.1, high.1, "a trigger price");
    // Both classes end up with the same limits; the fill counts where these were set before it.
    let protected_before_and_after = |before: &str, after: &str| {
        let mut market = quote_market();
        let protection = |class: &str| {
            let class = class.parse().unwrap();
            SetProtection { class, window_ms: 1_000, fills_max: 9, ..Default::default() }
        };
        market.send(DEALER, quote(&[pair(1, (5, "20.00"), (5, "21.00"))]));
        market.send(DEALER, protection(before));
        market.send(BUYER, buy(1, "21.00"));
        market.send(DEALER, protection(after));
        hashes(market)
    };
    let counted = protected_before_and_after("H200S", "B200");
    let not_counted = protected_before_and_after("B200", "H200S");
    assert_eq!(counted.0, not_counted.0);
    assert_ne!(counted.1, not_counted.1, "a fill within the window");
}
