//! The subscriber's half of the feed against a publisher that sends anything, beside a slow book.

use std::collections::BTreeMap;

use joulebook_feed::{FeedChange, FeedReceiver, LEVELS_AND_TRADES};
use joulebook_protocol::messages::L2Update;
use joulebook_protocol::{FeedMessage, Frame, PublicEvent};
use joulebook_types::{InstrumentId, Price, Side};

use crate::Traits;

/// Choices of the first byte: two bits say what was subscribed to.
const KINDS: u8 = 3;
/// Numbers and checksums are made right before a message is handed over.
const REPAIR: u8 = 4;

pub(crate) fn run(input: &[u8], traits: &mut Traits) {
    let (choices, mut rest) = input.split_first().map_or((0, input), |(first, rest)| (*first, rest));
    let kinds = if choices & KINDS == 0 { LEVELS_AND_TRADES } else { choices & KINDS };
    let mut feed = Feed { receiver: FeedReceiver::new(kinds), markets: BTreeMap::new() };
    while let Ok(Some((frame, after))) = Frame::split(rest) {
        rest = after;
        if let Ok(event) = PublicEvent::decode(&frame) {
            let change = feed.receiver.on_public(&event);
            feed.note_public(&event, &change, traits);
        } else if let Ok(mut message) = FeedMessage::decode(&frame) {
            if choices & REPAIR != 0 {
                feed.repair(&mut message);
            }
            let change = feed.receiver.on_feed(&message);
            feed.note(&message, &change, traits);
        } else {
            // Something else came: the stream broke.
            feed.receiver.on_disconnected();
            feed.markets.values_mut().for_each(SlowMarket::distrust);
        }
    }
    feed.compare_all();
    traits.counted("markets", feed.markets.len());
}

/// A receiver beside a plain account of what it should hold.
struct Feed {
    receiver: FeedReceiver,
    markets: BTreeMap<InstrumentId, SlowMarket>,
}

#[derive(Default)]
struct SlowMarket {
    seq: u64,
    sync: Sync,
    /// Lots and orders; bids by falling price.
    bids: BTreeMap<core::cmp::Reverse<Price>, (u64, u32)>,
    asks: BTreeMap<Price, (u64, u32)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Sync {
    #[default]
    Lost,
    InSnapshot,
    Synced,
}

impl SlowMarket {
    fn set(&mut self, side: Side, price: Price, qty: u64, orders: u32) {
        match (side, qty) {
            (Side::Buy, 0) => _ = self.bids.remove(&core::cmp::Reverse(price)),
            (Side::Buy, _) => _ = self.bids.insert(core::cmp::Reverse(price), (qty, orders)),
            (Side::Sell, 0) => _ = self.asks.remove(&price),
            (Side::Sell, _) => _ = self.asks.insert(price, (qty, orders)),
        }
    }

    fn distrust(&mut self) {
        self.sync = Sync::Lost;
        self.bids.clear();
        self.asks.clear();
    }

    fn levels(&self) -> impl Iterator<Item = (Price, u64, u32)> {
        let bids = self.bids.iter().map(|(price, (qty, orders))| (price.0, *qty, *orders));
        bids.chain(self.asks.iter().map(|(price, (qty, orders))| (*price, *qty, *orders)))
    }

    fn checksum(&self) -> u32 {
        let mut bytes = Vec::new();
        for (price, qty, orders) in self.levels() {
            bytes.extend_from_slice(&price.raw().to_le_bytes());
            bytes.extend_from_slice(&qty.to_le_bytes());
            bytes.extend_from_slice(&orders.to_le_bytes());
        }
        crc32c::crc32c(&bytes)
    }
}

impl Feed {
    /// Makes a message one that an honest publisher could send now, as far as numbers and checksums go.
    fn repair(&self, message: &mut FeedMessage) {
        let none = SlowMarket::default();
        let market = |instrument| self.markets.get(&instrument).unwrap_or(&none);
        match message {
            FeedMessage::L2SnapshotBegin(begin) => begin.levels %= 4,
            FeedMessage::L2SnapshotEnd(end) => {
                let market = market(end.instrument);
                (end.seq, end.checksum) = (market.seq, market.checksum());
            }
            FeedMessage::L2Update(update) => update.seq = market(update.instrument).seq.saturating_add(1),
            FeedMessage::FeedTrade(trade) => trade.seq = market(trade.instrument).seq.saturating_add(1),
            FeedMessage::FeedIndication(indication) => {
                indication.seq = market(indication.instrument).seq.saturating_add(1);
            }
            FeedMessage::L2Checksum(check) => check.checksum = market(check.instrument).checksum(),
            FeedMessage::L2SnapshotLevel(_)
            | FeedMessage::SubscribeRejected(_)
            | FeedMessage::SnapshotsDone(_) => {}
        }
    }

    fn note(&mut self, message: &FeedMessage, change: &FeedChange, traits: &mut Traits) {
        traits.saw(name(change), message.template_id().into());
        match message {
            FeedMessage::L2SnapshotBegin(begin) => {
                let market = self.markets.entry(begin.instrument).or_default();
                market.distrust();
                (market.seq, market.sync) = (begin.seq, Sync::InSnapshot);
            }
            FeedMessage::L2SnapshotLevel(level) => {
                if let Some(market) = self.markets.get_mut(&level.instrument)
                    && market.sync == Sync::InSnapshot
                    && let Some(side) = Side::from_raw(level.side)
                {
                    market.set(side, level.price, level.qty, level.orders);
                }
            }
            FeedMessage::L2SnapshotEnd(_)
            | FeedMessage::L2Update(_)
            | FeedMessage::L2Checksum(_)
            | FeedMessage::FeedTrade(_)
            | FeedMessage::SubscribeRejected(_)
            | FeedMessage::SnapshotsDone(_)
            | FeedMessage::FeedIndication(_) => {}
        }
        self.note_change(message, change);
    }

    fn note_change(&mut self, message: &FeedMessage, change: &FeedChange) {
        let touched = match (change, message) {
            (FeedChange::Level { instrument, side, price }, FeedMessage::L2Update(update)) => {
                let L2Update { seq, qty, orders, .. } = *update;
                assert!((*instrument, *price) == (update.instrument, update.price));
                let market = self.advance(*instrument, seq);
                market.set(*side, *price, qty, orders);
                *instrument
            }
            (FeedChange::Trade(trade), _) => {
                self.advance(trade.instrument, trade.seq);
                trade.instrument
            }
            (FeedChange::Indication(indication), _) => {
                self.advance(indication.instrument, indication.seq);
                indication.instrument
            }
            (FeedChange::Snapshot { instrument }, FeedMessage::L2SnapshotEnd(end)) => {
                let market = self.markets.get_mut(instrument).expect("a snapshot has begun");
                assert!(market.sync == Sync::InSnapshot, "a book is synced by a snapshot only");
                assert_eq!((market.seq, market.checksum()), (end.seq, end.checksum), "the snapshot adds up");
                market.sync = Sync::Synced;
                *instrument
            }
            (FeedChange::Resubscribe { instrument, .. }, _) => {
                let market = self.markets.get_mut(instrument).expect("only a book that was followed is lost");
                assert!(market.sync != Sync::Lost, "a loss is told once");
                market.distrust();
                *instrument
            }
            (FeedChange::None | FeedChange::SnapshotsDone { .. } | FeedChange::Refused { .. }, _) => return,
            (change, message) => panic!("{change:?} is no answer to {message:?}"),
        };
        self.compare(touched);
    }

    fn advance(&mut self, instrument: InstrumentId, seq: u64) -> &mut SlowMarket {
        let market = self.markets.get_mut(&instrument).expect("it has had a snapshot");
        assert!(market.sync == Sync::Synced, "only a synced book is updated");
        assert!(market.seq < seq || seq == u64::MAX, "numbers grow");
        market.seq = seq;
        market
    }

    fn note_public(&mut self, event: &PublicEvent, change: &FeedChange, traits: &mut Traits) {
        traits.saw(name(change), event.template_id().into());
        if let PublicEvent::InstrumentDefinition(definition) = event {
            self.markets.entry(definition.instrument).or_default();
            let market = self.receiver.market(definition.instrument).expect("it was just defined");
            assert_eq!((market.definition, market.bands), (Some(*definition), None));
        }
    }

    fn compare(&self, instrument: InstrumentId) {
        let (slow, fast) =
            (&self.markets[&instrument], self.receiver.market(instrument).expect("both know it"));
        assert_eq!(fast.is_synced(), slow.sync == Sync::Synced);
        if slow.sync == Sync::InSnapshot {
            return;
        }
        let levels = fast.book.levels(Side::Buy).chain(fast.book.levels(Side::Sell));
        assert!(
            levels.map(|level| (level.price, level.qty, level.orders)).eq(slow.levels()),
            "the same book"
        );
        assert_eq!(fast.book.checksum(), slow.checksum());
        assert!(slow.sync == Sync::Lost || fast.seq == slow.seq);
    }

    fn compare_all(&self) {
        assert_eq!(self.receiver.markets().count(), self.markets.len());
        for instrument in self.markets.keys() {
            self.compare(*instrument);
        }
    }
}

fn name(change: &FeedChange) -> &'static str {
    match change {
        FeedChange::Level { .. } => "level",
        FeedChange::Trade(_) => "trade",
        FeedChange::Indication(_) => "indication",
        FeedChange::Snapshot { .. } => "snapshot",
        FeedChange::Definition { .. } => "definition",
        FeedChange::Yields => "yields",
        FeedChange::SnapshotsDone { .. } => "done",
        FeedChange::Refused { .. } => "refused",
        FeedChange::Resubscribe { .. } => "resubscribe",
        FeedChange::None => "nothing",
    }
}
