//! Subscriptions over real QUIC.

use crate::world::{Client, Setup, TRADER, World};
use joulebook_feed::{FeedChange, FeedReceiver, LEVELS_AND_TRADES};
use joulebook_gateway::GatewayLimits;
use joulebook_protocol::messages::{BookUpdate, InstrumentDefinition, Trade};
use joulebook_protocol::{FeedMessage, RejectReason};
use joulebook_quic::transport::TransportProfile;
use joulebook_session::{ClientConfig, ClientOutput};
use joulebook_types::{InstrumentId, Phase, Price, Role, Side, TradeId};

const WINDOW: InstrumentId = InstrumentId::new(1);

fn list(world: &mut World) {
    let phase = Phase::Open.raw();
    world.publish(&InstrumentDefinition { instrument: WINDOW, phase, ..InstrumentDefinition::default() });
}

fn level(price: i64, level_qty: u64) -> BookUpdate {
    BookUpdate {
        instrument: WINDOW,
        price: Price::new(price),
        level_qty,
        level_orders: 1,
        side: Side::Sell.raw(),
        ..BookUpdate::default()
    }
}

fn subscriber(world: &mut World, profile: &TransportProfile) -> Client {
    let mut client = world.client_with(false, profile);
    client.open(world, ClientConfig::anonymous());
    world.until("on", &mut [&mut client], |_, clients| clients[0].sessions[0].machine.is_ready());
    let now = world.wall();
    assert!(client.sessions[0].machine.subscribe(InstrumentId::NONE, LEVELS_AND_TRADES, now));
    world.until("subscribed", &mut [&mut client], |_, clients| {
        let mut seen = clients[0].sessions[0].seen.iter();
        seen.any(|output| matches!(output, ClientOutput::Feed(FeedMessage::SnapshotsDone(_))))
    });
    client
}

/// Plays everything that the client saw into a receiver.
fn receive(client: &Client) -> (FeedReceiver, Vec<FeedChange>) {
    let mut receiver = FeedReceiver::new(LEVELS_AND_TRADES);
    let mut changes = Vec::new();
    for output in &client.sessions[0].seen {
        match output {
            ClientOutput::Feed(message) => changes.push(receiver.on_feed(message)),
            ClientOutput::Public(event) => changes.push(receiver.on_public(event)),
            _ => {}
        }
    }
    (receiver, changes)
}

/// Number of the newest update that the client saw.
fn last_seq(client: &Client) -> u64 {
    let numbers = client.sessions[0].seen.iter().rev().find_map(|output| match output {
        ClientOutput::Feed(FeedMessage::L2Update(update)) => Some(update.seq),
        ClientOutput::Feed(FeedMessage::FeedTrade(trade)) => Some(trade.seq),
        ClientOutput::Feed(FeedMessage::L2SnapshotEnd(end)) => Some(end.seq),
        _ => None,
    });
    numbers.unwrap_or(0)
}

#[test]
fn a_subscriber_gets_the_book_then_its_changes() {
    let mut world = World::new();
    list(&mut world);
    world.publish(&level(10, 5));
    let mut client = subscriber(&mut world, &TransportProfile::client());
    world.define(TRADER, [Role::Buyer].into_iter().collect());
    world.publish(&level(9, 2));
    world.publish(&Trade { instrument: WINDOW, trade_id: TradeId::new(4), ..Trade::default() });
    world.until("the trade is here", &mut [&mut client], |_, clients| last_seq(clients[0]) == 3);
    let (receiver, changes) = receive(&client);
    let listing = world.gateway.feed().listing(WINDOW).unwrap();
    let market = receiver.market(WINDOW).unwrap();
    assert!(market.is_synced() && market.book == listing.book && market.book.len() == 2);
    assert_eq!(market.definition, Some(listing.definition));
    assert!(matches!(changes.last(), Some(FeedChange::Trade(trade)) if trade.trade_id == TradeId::new(4)));
    assert!(!format!("{:?}", client.sessions[0].seen).contains("AccountDefinition"), "keys stay inside");
}

#[test]
fn an_unknown_instrument_is_refused() {
    let mut world = World::new();
    let mut client = subscriber(&mut world, &TransportProfile::client());
    client.sessions[0].machine.subscribe(InstrumentId::new(5), LEVELS_AND_TRADES, world.wall());
    let refused = FeedChange::Refused {
        instrument: InstrumentId::new(5),
        reason: RejectReason::UnknownInstrument.raw(),
    };
    world.until("refused", &mut [&mut client], |_, clients| receive(clients[0]).1.contains(&refused));
}

#[test]
fn a_slow_subscriber_is_conflated_and_ends_with_the_right_book() {
    let limits = GatewayLimits { feed_backlog_bytes: 20_000, ..GatewayLimits::default() };
    let mut world = World::with(Setup { limits, ..Setup::default() });
    list(&mut world);
    let narrow = TransportProfile {
        stream_window_bytes: 20_000,
        connection_window_bytes: 20_000,
        ..TransportProfile::client()
    };
    let mut slow = subscriber(&mut world, &narrow);
    let mut quick = subscriber(&mut world, &TransportProfile::client());
    slow.sessions[0].reads = false;
    let updates = 20_000;
    for n in 0..updates {
        world.publish(&level(1 + n % 50, 1 + n as u64));
        if n % 1_000 == 0 {
            world.until("taken", &mut [&mut slow, &mut quick], |world, _| !world.gateway.has_work());
        }
    }
    let seq = updates as u64;
    world.until("the quick one has all", &mut [&mut slow, &mut quick], |_, clients| {
        last_seq(clients[1]) == seq
    });
    slow.sessions[0].reads = true;
    world.until("the slow one is up to date", &mut [&mut slow, &mut quick], |_, clients| {
        last_seq(clients[0]) == seq
    });
    assert!((slow.sessions[0].seen.len() as u64) < seq / 2, "most updates were left out");
    assert!(seq <= quick.sessions[0].seen.len() as u64, "all were sent to who reads them");
    for client in [&slow, &quick] {
        let (receiver, changes) = receive(client);
        assert!(!changes.iter().any(|change| matches!(change, FeedChange::Resubscribe { .. })));
        let market = receiver.market(WINDOW).unwrap();
        assert!(market.is_synced() && market.book == world.gateway.feed().listing(WINDOW).unwrap().book);
    }
}
