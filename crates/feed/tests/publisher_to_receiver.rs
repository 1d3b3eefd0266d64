//! A publisher with subscribers that come, go, and read slowly: every book that says it is right must be.

use std::collections::BTreeMap;

use joulebook_feed::{
    CHECKSUM_EVERY, FeedChange, FeedFault, FeedPublisher, FeedReceiver, LEVELS, LEVELS_AND_TRADES, Level,
    SubscriberId, Subscribers, TRADES,
};
use joulebook_protocol::messages::{
    AuctionIndication, BandsChanged, BookUpdate, FeedIndication, InstrumentDefinition, L2Checksum,
    L2SnapshotBegin, L2SnapshotEnd, L2SnapshotLevel, L2Update, PhaseChanged, Subscribe, Trade, Unsubscribe,
    YieldDefinition,
};
use joulebook_protocol::{FeedMessage, Frame, PublicEvent, RejectReason};
use joulebook_testkit::Xoshiro256pp;
use joulebook_types::{InstrumentId, ModelId, Phase, Price, Side, TradeId, Yield};

/// The streams of all subscribers.
#[derive(Default)]
struct Streams(BTreeMap<SubscriberId, Stream>);

#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    is_lagging: bool,
}

impl Subscribers for Streams {
    fn is_lagging(&self, subscriber: SubscriberId) -> bool {
        self.0.get(&subscriber).is_some_and(|stream| stream.is_lagging)
    }

    fn send(&mut self, subscriber: SubscriberId, frames: &[u8]) {
        let stream = self.0.entry(subscriber).or_default();
        assert!(!stream.is_lagging, "nothing is sent to a subscriber that lags");
        stream.bytes.extend_from_slice(frames);
    }
}

impl Streams {
    fn set_lagging(&mut self, subscriber: SubscriberId, is_lagging: bool) {
        self.0.entry(subscriber).or_default().is_lagging = is_lagging;
    }

    /// Takes what has arrived at a subscriber.
    fn messages(&mut self, subscriber: SubscriberId) -> Vec<Result<FeedMessage, PublicEvent>> {
        let bytes = std::mem::take(&mut self.0.entry(subscriber).or_default().bytes);
        let (mut rest, mut messages) = (bytes.as_slice(), Vec::new());
        while let Some((frame, next)) = Frame::split(rest).unwrap() {
            messages.push(FeedMessage::decode(&frame).map_err(|_| PublicEvent::decode(&frame).unwrap()));
            rest = next;
        }
        assert!(rest.is_empty(), "only whole frames are sent");
        messages
    }

    fn deliver(&mut self, subscriber: SubscriberId, receiver: &mut FeedReceiver) -> Vec<FeedChange> {
        let messages = self.messages(subscriber);
        let changes = messages.iter().map(|message| match message {
            Ok(message) => receiver.on_feed(message),
            Err(event) => receiver.on_public(event),
        });
        changes.collect()
    }
}

const ONE: SubscriberId = SubscriberId(0);

fn instrument(raw: u32) -> InstrumentId {
    InstrumentId::new(raw)
}

fn everything(kinds: u8) -> Subscribe {
    Subscribe { kinds, ..Subscribe::default() }
}

fn definition(raw: u32) -> PublicEvent {
    let phase = Phase::Open.raw();
    InstrumentDefinition { instrument: instrument(raw), phase, ..InstrumentDefinition::default() }.into()
}

fn level(raw: u32, side: Side, price: i64, level_qty: u64) -> PublicEvent {
    BookUpdate {
        price: Price::new(price),
        level_qty,
        level_orders: level_qty.min(3) as u32,
        instrument: instrument(raw),
        side: side.raw(),
        ..BookUpdate::default()
    }
    .into()
}

fn trade(raw: u32, number: u64) -> PublicEvent {
    Trade { trade_id: TradeId::new(number), instrument: instrument(raw), qty: 1, ..Trade::default() }.into()
}

fn indication(raw: u32, price: i64, surplus: i64) -> PublicEvent {
    let (price, instrument) = (Price::new(price), instrument(raw));
    AuctionIndication { price, volume: 3, surplus, instrument, ..AuctionIndication::default() }.into()
}

fn phase(raw: u32, phase: Phase) -> PublicEvent {
    PhaseChanged { instrument: instrument(raw), phase: phase.raw(), ..PhaseChanged::default() }.into()
}

fn bands(raw: u32, high: i64) -> PublicEvent {
    let (instrument, band_high) = (instrument(raw), Price::new(high));
    BandsChanged { instrument, band_high, dynamic_bps: 500, ..BandsChanged::default() }.into()
}

fn random_event(random: &mut Xoshiro256pp, instruments: u32) -> PublicEvent {
    let raw = random.between(1, u64::from(instruments)) as u32;
    match random.below(20) {
        0 => match random.below(3) {
            0 => phase(raw, *random.pick(Phase::ALL)),
            1 => indication(raw, random.between(1, 40) as i64, -2),
            _ => bands(raw, random.between(1, 40) as i64),
        },
        1 => yield_of(random.below(3) as u16, random.below(5) as u32),
        2 => definition(instruments + 1),
        3..8 => trade(raw, random.next_u64()),
        _ => {
            let side = *random.pick(Side::ALL);
            level(raw, side, random.between(1, 40) as i64, random.below(4))
        }
    }
}

fn yield_of(model: u16, ktok: u32) -> PublicEvent {
    let (model, yield_ktok) = (ModelId::new(model), Yield::new(ktok));
    YieldDefinition { model, yield_ktok, ..YieldDefinition::default() }.into()
}

/// Everything that `receiver` holds is what the publisher holds.
fn assert_equal(publisher: &FeedPublisher, receiver: &FeedReceiver, with_levels: bool) {
    for listing in publisher.listings() {
        let market = receiver.market(listing.definition.instrument).expect("every listing is known");
        assert!(market.is_synced());
        assert_eq!(market.definition, Some(listing.definition));
        assert_eq!((market.bands, market.indication), (listing.bands, listing.indication));
        if with_levels {
            assert_eq!(market.book, listing.book);
        }
    }
    assert_eq!(receiver.yields(), publisher.yields());
}

#[test]
fn late_and_slow_subscribers_end_with_the_same_books() {
    for seed in 0..60 {
        let mut random = Xoshiro256pp::from_seed(seed);
        let mut publisher = FeedPublisher::new(seed);
        let mut streams = Streams::default();
        let mut receivers: Vec<(SubscriberId, u8, FeedReceiver)> = Vec::new();
        publisher.publish(&definition(1), &mut streams);
        for step in 0..2_000 {
            let instruments = publisher.listings().count() as u32;
            let event = random_event(&mut random, instruments);
            if instruments < 8 || !matches!(event, PublicEvent::InstrumentDefinition(_)) {
                publisher.publish(&event, &mut streams);
            }
            if step % 200 == 7 {
                let id = SubscriberId(receivers.len() as u32);
                let kinds = *random.pick(&[LEVELS, TRADES, LEVELS_AND_TRADES]);
                publisher.subscribe(id, &everything(kinds)).unwrap();
                receivers.push((id, kinds, FeedReceiver::new(kinds)));
            }
            if random.chance(1, 10) && !receivers.is_empty() {
                let id = receivers[random.below(receivers.len() as u64) as usize].0;
                streams.set_lagging(id, random.chance(2, 3));
            }
            if random.chance(1, 3) {
                publisher.serve(&mut streams);
            }
            for (id, _, receiver) in &mut receivers {
                for change in streams.deliver(*id, receiver) {
                    assert!(
                        !matches!(change, FeedChange::Resubscribe { .. }),
                        "seed {seed} step {step}: {change:?}"
                    );
                }
            }
        }
        receivers.iter().for_each(|(id, ..)| streams.set_lagging(*id, false));
        while publisher.serve(&mut streams) {}
        for (id, kinds, receiver) in &mut receivers {
            streams.deliver(*id, receiver);
            assert_equal(&publisher, receiver, *kinds & LEVELS != 0);
        }
    }
}

#[test]
fn a_subscription_brings_definitions_snapshots_and_its_end() {
    let (mut publisher, mut streams) = (FeedPublisher::new(9), Streams::default());
    publisher.publish(&definition(1), &mut streams);
    publisher.publish(&level(1, Side::Buy, 10, 2), &mut streams);
    publisher.publish(&yield_of(1, 5), &mut streams);
    publisher.subscribe(ONE, &everything(LEVELS_AND_TRADES)).unwrap();
    assert!(streams.messages(ONE).is_empty(), "snapshots leave when they are served");
    assert!(publisher.serve(&mut streams) && !publisher.serve(&mut streams));
    let messages = streams.messages(ONE);
    let [
        Err(PublicEvent::YieldDefinition(_)),
        Err(PublicEvent::InstrumentDefinition(_)),
        Ok(begin),
        level,
        Ok(end),
        Ok(done),
    ] = messages.as_slice()
    else {
        panic!("{messages:?}")
    };
    let want = L2SnapshotBegin { epoch: 9, seq: 1, instrument: instrument(1), levels: 1 };
    assert_eq!(*begin, want.into());
    assert!(matches!(level, Ok(FeedMessage::L2SnapshotLevel(level)) if level.qty == 2));
    assert!(matches!(end, FeedMessage::L2SnapshotEnd(end) if end.seq == 1 && end.checksum != 0));
    assert!(matches!(done, FeedMessage::SnapshotsDone(_)));

    publisher.publish(&level_and_listing().0, &mut streams);
    publisher.publish(&level_and_listing().1, &mut streams);
    publisher.serve(&mut streams);
    let names: Vec<u16> = streams.messages(ONE).iter().map(template_id).collect();
    assert_eq!(names, [103, 80, 100, 102], "the update at once, then what was listed later");
}

#[test]
fn an_auction_reaches_those_who_follow_it_and_those_who_join() {
    let (mut publisher, mut streams) = (FeedPublisher::new(1), Streams::default());
    let kinds = [LEVELS, TRADES, LEVELS_AND_TRADES];
    let ids = [0, 1, 2].map(SubscriberId);
    let mut receivers = kinds.map(FeedReceiver::new);
    publisher.publish(&definition(1), &mut streams);
    let say = |publisher: &mut FeedPublisher, streams: &mut Streams, events: &[PublicEvent]| {
        events.iter().for_each(|event| publisher.publish(event, streams));
    };
    ids.iter().zip(kinds).for_each(|(id, kinds)| publisher.subscribe(*id, &everything(kinds)).unwrap());
    while publisher.serve(&mut streams) {}
    ids.iter().zip(&mut receivers).for_each(|(id, receiver)| _ = streams.deliver(*id, receiver));

    // Bids above asks: in an auction that is how a book looks.
    let call = [phase(1, Phase::Auction), indication(1, 0, 0), level(1, Side::Buy, 12, 5)];
    say(&mut publisher, &mut streams, &call);
    say(&mut publisher, &mut streams, &[level(1, Side::Sell, 10, 3), indication(1, 11, 2), bands(1, 99)]);
    let want = FeedIndication {
        seq: 4,
        price: Price::new(11),
        volume: 3,
        surplus: 2,
        instrument: instrument(1),
        ..FeedIndication::default()
    };
    for (id, receiver) in ids.iter().zip(&mut receivers) {
        let changes = streams.deliver(*id, receiver);
        let told = changes.iter().rfind(|change| matches!(change, FeedChange::Indication(_)));
        assert_eq!(told, Some(&FeedChange::Indication(want)), "{changes:?}");
        let market = receiver.market(instrument(1)).unwrap();
        assert_eq!((market.phase(), market.indication, market.seq), (Some(Phase::Auction), Some(want), 4));
    }
    assert!(receivers[0].market(instrument(1)).unwrap().book.is_crossed());

    // Whoever joins now sees the same; the numbers go on behind the snapshot's.
    let (late, mut joined) = (SubscriberId(3), FeedReceiver::new(LEVELS_AND_TRADES));
    publisher.subscribe(late, &everything(LEVELS_AND_TRADES)).unwrap();
    while publisher.serve(&mut streams) {}
    streams.deliver(late, &mut joined);
    assert_equal(&publisher, &joined, true);
    let market = joined.market(instrument(1)).unwrap();
    let known = market.bands.map(|bands| (bands.band_high, bands.dynamic_bps));
    assert_eq!((market.indication, known), (Some(want), Some((Price::new(99), 500))));
    assert_eq!(market.definition.unwrap().band_high, Price::new(99));

    let uncross = [trade(1, 7), level(1, Side::Sell, 10, 0), phase(1, Phase::Open)];
    say(&mut publisher, &mut streams, &uncross);
    let changes = streams.deliver(late, &mut joined);
    assert!(matches!(changes[0], FeedChange::Trade(trade) if (trade.seq, trade.aggressor) == (5, 0)));
    assert_equal(&publisher, &joined, true);
    assert_eq!(joined.market(instrument(1)).unwrap().indication, None, "the auction is over");
}

#[test]
fn an_indication_ahead_of_its_snapshot_is_found() {
    let mut receiver = FeedReceiver::new(LEVELS_AND_TRADES);
    let ahead = FeedIndication { seq: 6, instrument: instrument(1), ..FeedIndication::default() };
    assert_eq!(receiver.on_feed(&ahead.into()), FeedChange::None, "no snapshot has begun");
    let begin = L2SnapshotBegin { epoch: 1, seq: 5, instrument: instrument(1), levels: 0 };
    receiver.on_feed(&begin.into());
    let broken = FeedChange::Resubscribe { instrument: instrument(1), fault: FeedFault::Snapshot };
    assert_eq!(receiver.on_feed(&ahead.into()), broken);
    let mut receiver = synced();
    let ahead = FeedIndication { seq: 13, ..ahead };
    let fault = FeedFault::Gap { expected: 11, got: 13 };
    assert_eq!(receiver.on_feed(&ahead.into()), FeedChange::Resubscribe { instrument: instrument(1), fault });
}

fn level_and_listing() -> (PublicEvent, PublicEvent) {
    (level(1, Side::Sell, 11, 1), definition(2))
}

fn template_id(message: &Result<FeedMessage, PublicEvent>) -> u16 {
    match message {
        Ok(message) => message.template_id(),
        Err(event) => event.template_id(),
    }
}

#[test]
fn a_lagging_subscriber_gets_one_snapshot_in_place_of_many_updates() {
    let (mut publisher, mut streams) = (FeedPublisher::new(1), Streams::default());
    publisher.publish(&definition(1), &mut streams);
    publisher.subscribe(ONE, &everything(LEVELS_AND_TRADES)).unwrap();
    publisher.serve(&mut streams);
    streams.messages(ONE);
    streams.set_lagging(ONE, true);
    for price in 1..=100 {
        publisher.publish(&level(1, Side::Buy, price, 1), &mut streams);
        publisher.publish(&trade(1, 5), &mut streams);
        assert!(!publisher.serve(&mut streams), "waiting for it is no progress");
    }
    streams.set_lagging(ONE, false);
    assert!(publisher.serve(&mut streams));
    let messages = streams.messages(ONE);
    assert_eq!(messages.len(), 103);
    assert!(matches!(messages[1], Ok(FeedMessage::L2SnapshotBegin(begin)) if begin.seq == 200));
    publisher.publish(&trade(1, 6), &mut streams);
    assert!(matches!(streams.messages(ONE)[..], [Ok(FeedMessage::FeedTrade(trade))] if trade.seq == 201));
}

#[test]
fn large_snapshots_are_spread_over_turns() {
    let (mut publisher, mut streams) = (FeedPublisher::new(1), Streams::default());
    for raw in 1..=4 {
        publisher.publish(&definition(raw), &mut streams);
        (1..=1_500).for_each(|price| publisher.publish(&level(raw, Side::Buy, price, 1), &mut streams));
    }
    publisher.subscribe(ONE, &everything(LEVELS)).unwrap();
    let mut turns = 0;
    while publisher.serve(&mut streams) {
        turns += 1;
        assert!(streams.messages(ONE).len() < 3_100);
    }
    assert!(turns >= 2, "{turns}");
}

#[test]
fn refusals_and_ends_of_subscriptions() {
    let (mut publisher, mut streams) = (FeedPublisher::new(1), Streams::default());
    (1..=2).for_each(|raw| publisher.publish(&definition(raw), &mut streams));
    let of = |raw, kinds| Subscribe { instrument: instrument(raw), kinds, ..Subscribe::default() };
    assert_eq!(publisher.subscribe(ONE, &of(1, 0)), Err(RejectReason::InvalidChoice));
    assert_eq!(publisher.subscribe(ONE, &of(1, 4)), Err(RejectReason::InvalidChoice));
    assert_eq!(publisher.subscribe(ONE, &of(3, 1)), Err(RejectReason::UnknownInstrument));
    assert_eq!(publisher.subscribe(ONE, &of(u32::MAX, 1)), Err(RejectReason::UnknownInstrument));
    assert_eq!(publisher.subscribe(ONE, &of(2, TRADES)), Ok(()));
    publisher.serve(&mut streams);
    streams.messages(ONE);

    publisher.publish(&level(2, Side::Buy, 1, 1), &mut streams);
    publisher.publish(&trade(1, 1), &mut streams);
    assert!(streams.messages(ONE).is_empty(), "neither levels nor other instruments were asked for");
    publisher.publish(&trade(2, 1), &mut streams);
    assert_eq!(streams.messages(ONE).len(), 1);

    publisher.unsubscribe(ONE, &Unsubscribe { instrument: instrument(2), ..Unsubscribe::default() });
    publisher.publish(&trade(2, 1), &mut streams);
    assert!(streams.messages(ONE).is_empty());

    publisher.subscribe(ONE, &everything(LEVELS)).unwrap();
    publisher.remove(ONE);
    publisher.publish(&definition(3), &mut streams);
    publisher.publish(&level(1, Side::Buy, 1, 1), &mut streams);
    assert!(!publisher.serve(&mut streams) && streams.messages(ONE).is_empty());
}

#[test]
fn a_client_cannot_pile_up_subscriptions() {
    let (mut publisher, mut streams) = (FeedPublisher::new(1), Streams::default());
    (1..=5).for_each(|raw| publisher.publish(&definition(raw), &mut streams));
    streams.set_lagging(ONE, true);
    let mut taken = 0;
    while publisher.subscribe(ONE, &everything(LEVELS)).is_ok() {
        taken += 1;
        publisher.unsubscribe(ONE, &Unsubscribe::default());
    }
    assert_eq!(publisher.subscribe(ONE, &everything(LEVELS)), Err(RejectReason::Busy));
    streams.set_lagging(ONE, false);
    while publisher.serve(&mut streams) {}
    let messages = streams.messages(ONE);
    assert_eq!(messages.len(), taken, "the last subscription was ended too: nothing but the ends is left");
}

/// A receiver with one synced, empty book.
fn synced() -> FeedReceiver {
    let mut receiver = FeedReceiver::new(LEVELS_AND_TRADES);
    snapshot(&mut receiver, 1, 10, &[]);
    receiver
}

fn snapshot(receiver: &mut FeedReceiver, epoch: u64, seq: u64, bids: &[Level]) -> FeedChange {
    let instrument = instrument(1);
    let mut book = joulebook_feed::L2Book::default();
    receiver.on_feed(&L2SnapshotBegin { epoch, seq, instrument, levels: bids.len() as u32 }.into());
    for Level { price, qty, orders } in bids.iter().copied() {
        book.set(Side::Buy, Level { price, qty, orders });
        let side = Side::Buy.raw();
        receiver
            .on_feed(&L2SnapshotLevel { price, qty, instrument, orders, side, ..Default::default() }.into());
    }
    receiver.on_feed(&L2SnapshotEnd { seq, instrument, checksum: book.checksum() }.into())
}

fn update(seq: u64) -> FeedMessage {
    let (price, side) = (Price::new(5), Side::Buy.raw());
    L2Update { seq, price, qty: 1, instrument: instrument(1), orders: 1, side, ..Default::default() }.into()
}

#[test]
fn gaps_and_wrong_checksums_are_found() {
    let mut receiver = synced();
    assert!(matches!(receiver.on_feed(&update(11)), FeedChange::Level { .. }));
    let fault = FeedFault::Gap { expected: 12, got: 13 };
    assert_eq!(receiver.on_feed(&update(13)), FeedChange::Resubscribe { instrument: instrument(1), fault });
    assert_eq!(receiver.on_feed(&update(14)), FeedChange::None, "asked once, not with every update");
    assert!(!receiver.market(instrument(1)).unwrap().is_synced());
    assert_eq!(snapshot(&mut receiver, 1, 20, &[]), FeedChange::Snapshot { instrument: instrument(1) });

    let right = receiver.market(instrument(1)).unwrap().book.checksum();
    let mut check = L2Checksum { seq: 20, instrument: instrument(1), checksum: right };
    assert_eq!(receiver.on_feed(&check.into()), FeedChange::None);
    check.checksum ^= 1;
    let fault = FeedFault::Checksum { expected: check.checksum, got: right };
    assert_eq!(receiver.on_feed(&check.into()), FeedChange::Resubscribe { instrument: instrument(1), fault });
}

#[test]
fn broken_snapshots_are_found() {
    let broken = FeedChange::Resubscribe { instrument: instrument(1), fault: FeedFault::Snapshot };
    let begin = L2SnapshotBegin { epoch: 1, seq: 5, instrument: instrument(1), levels: 1 };
    let end = L2SnapshotEnd { seq: 5, instrument: instrument(1), checksum: 0 };
    let one = L2SnapshotLevel { instrument: instrument(1), side: 1, qty: 1, ..Default::default() };
    let cases: [(&str, &[FeedMessage]); 4] = [
        ("a level is missing", &[begin.into(), end.into()]),
        ("another number", &[begin.into(), one.into(), L2SnapshotEnd { seq: 6, ..end }.into()]),
        ("wrong checksum", &[begin.into(), one.into(), end.into()]),
        ("no such side", &[begin.into(), L2SnapshotLevel { side: 7, ..one }.into()]),
    ];
    for (name, messages) in cases {
        let mut receiver = synced();
        let changes: Vec<_> = messages.iter().map(|message| receiver.on_feed(message)).collect();
        assert_eq!(changes.last(), Some(&broken), "{name}");
    }
}

#[test]
fn a_new_epoch_starts_from_its_snapshot() {
    let mut receiver = synced();
    receiver.on_feed(&update(11));
    receiver.on_disconnected();
    assert_eq!(receiver.on_feed(&update(12)), FeedChange::None, "no book is right after a break");
    let best = Level { price: Price::new(3), qty: 2, orders: 1 };
    snapshot(&mut receiver, 2, 0, &[best]);
    assert!(matches!(receiver.on_feed(&update(1)), FeedChange::Level { .. }));
    let market = receiver.market(instrument(1)).unwrap();
    assert_eq!((market.epoch, market.seq, market.book.len()), (2, 1, 2));
    assert!(matches!(
        receiver.on_feed(&update(12)),
        FeedChange::Resubscribe { fault: FeedFault::Gap { expected: 2, got: 12 }, .. }
    ));
}

#[test]
fn checksums_come_regularly() {
    let (mut publisher, mut streams) = (FeedPublisher::new(1), Streams::default());
    publisher.publish(&definition(1), &mut streams);
    publisher.subscribe(ONE, &everything(LEVELS_AND_TRADES)).unwrap();
    publisher.serve(&mut streams);
    (0..3 * CHECKSUM_EVERY)
        .for_each(|n| publisher.publish(&level(1, Side::Buy, 1 + n as i64, 1), &mut streams));
    let messages = streams.messages(ONE);
    let checksums = messages.iter().filter(|message| matches!(message, Ok(FeedMessage::L2Checksum(_))));
    assert_eq!(checksums.count(), 3);
}

/// As many as a receiver keeps.
const MARKETS_MAX: u32 = 65_536;

#[test]
fn settled_windows_make_room_for_new_ones() {
    let mut receiver = FeedReceiver::new(LEVELS_AND_TRADES);
    (1..=MARKETS_MAX).for_each(|raw| _ = receiver.on_public(&definition(raw)));
    assert_eq!(receiver.on_public(&definition(MARKETS_MAX + 1)), FeedChange::None, "all of them trade");
    for raw in [7, 3] {
        receiver.on_public(&phase(raw, Phase::Settled));
    }
    let next = MARKETS_MAX + 2;
    let change = FeedChange::Definition { instrument: instrument(next) };
    assert_eq!(receiver.on_public(&definition(next)), change);
    assert!(receiver.market(instrument(next)).is_some());
    assert!(receiver.market(instrument(3)).is_none(), "the oldest that is settled goes");
    assert!(receiver.market(instrument(7)).is_some());
}

#[test]
fn a_publisher_keeps_the_instruments_that_settled_last() {
    const KEPT: u32 = 1_024;
    let (mut publisher, mut streams) = (FeedPublisher::new(1), Streams::default());
    publisher.publish(&definition(1), &mut streams);
    publisher.subscribe(ONE, &everything(LEVELS_AND_TRADES)).unwrap();
    while publisher.serve(&mut streams) {}
    for raw in 2..=KEPT + 2 {
        publisher.publish(&definition(raw), &mut streams);
        // Those that settle while their snapshot is due are forgotten all the same.
        publisher.publish(&phase(raw, Phase::Settled), &mut streams);
    }
    while publisher.serve(&mut streams) {}
    let known = |raw: u32| publisher.listing(instrument(raw)).is_some();
    assert!(known(1) && !known(2) && known(3) && known(KEPT + 2));
    assert_eq!(publisher.listings().count() as u32, KEPT + 1);
    let gone = Subscribe { instrument: instrument(2), kinds: LEVELS, ..Subscribe::default() };
    assert_eq!(publisher.subscribe(ONE, &gone), Err(RejectReason::UnknownInstrument));
    publisher.publish(&phase(2, Phase::Settled), &mut streams);
    assert!(publisher.listing(instrument(3)).is_some(), "what is unknown settles nothing");
}
