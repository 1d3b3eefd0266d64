//! The subscriber's half of the feed.

use std::collections::BTreeMap;

use joulebook_protocol::messages::{
    BandsChanged, FeedIndication, FeedTrade, InstrumentDefinition, L2SnapshotBegin, L2SnapshotEnd,
    L2SnapshotLevel, L2Update,
};
use joulebook_protocol::{FeedMessage, PublicEvent};
use joulebook_types::{InstrumentId, Phase, Price, Side};

use crate::{L2Book, LEVELS_AND_TRADES, Level, YieldTable};

/// Rebuilds the books of a feed and notices when one is not right any more.
#[derive(Debug)]
pub struct FeedReceiver {
    kinds: u8,
    markets: BTreeMap<InstrumentId, Market>,
    yields: YieldTable,
}

/// What is known of one instrument.
#[derive(Clone, Debug, Default)]
pub struct Market {
    /// With the present phase and price bands. It comes before the first snapshot.
    pub definition: Option<InstrumentDefinition>,
    /// How far and how fast the price may move, once an operator has said so.
    pub bands: Option<BandsChanged>,
    /// Right as of `seq` while [`Self::is_synced`]. Crossed at times while the phase is halted or auction.
    pub book: L2Book,
    /// The newest of the present call auction; `None` outside of one.
    pub indication: Option<FeedIndication>,
    pub last_trade: Option<FeedTrade>,
    /// Which run of the exchange the numbers belong to.
    pub epoch: u64,
    /// Number of the newest update.
    pub seq: u64,
    sync: Sync,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sync {
    #[default]
    AwaitSnapshot,
    InSnapshot {
        levels_left: u32,
    },
    Synced,
}

/// What a message changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedChange {
    /// A level of a synced book.
    Level {
        instrument: InstrumentId,
        side: Side,
        price: Price,
    },
    Trade(FeedTrade),
    /// What a call auction would trade now.
    Indication(FeedIndication),
    /// The book is right again as a whole.
    Snapshot {
        instrument: InstrumentId,
    },
    /// Definition, phase or price bands.
    Definition {
        instrument: InstrumentId,
    },
    Yields,
    /// All snapshots of a subscription have come; zero stands for the subscription to everything.
    SnapshotsDone {
        instrument: InstrumentId,
    },
    /// A subscription was refused, with a `RejectReason`.
    Refused {
        instrument: InstrumentId,
        reason: u16,
    },
    /// The book is wrong and was thrown away: subscribe to the instrument again.
    Resubscribe {
        instrument: InstrumentId,
        fault: FeedFault,
    },
    /// Nothing to see: part of a snapshot, a checksum that is right, or an update for a book that awaits its snapshot.
    None,
}

/// Why a book cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedFault {
    /// An update is missing.
    Gap { expected: u64, got: u64 },
    /// The publisher's book differs from ours.
    Checksum { expected: u32, got: u32 },
    /// The snapshot does not add up.
    Snapshot,
    /// A side that does not exist.
    Malformed,
}

/// Instruments that a receiver keeps; no exchange of ours lists more at a time.
const MARKETS_MAX: usize = 65_536;

impl FeedReceiver {
    /// For subscriptions with `kinds`. Gaps show only with levels and trades together, which share the numbers; with
    /// one kind alone the checksums have to do.
    pub fn new(kinds: u8) -> Self {
        Self { kinds, markets: BTreeMap::new(), yields: YieldTable::default() }
    }

    /// A message of the feed.
    pub fn on_feed(&mut self, message: &FeedMessage) -> FeedChange {
        match message {
            FeedMessage::L2SnapshotBegin(begin) => self.on_begin(begin),
            FeedMessage::L2SnapshotLevel(level) => self.on_level(level),
            FeedMessage::L2SnapshotEnd(end) => self.on_end(end),
            FeedMessage::L2Update(update) => self.on_update(update),
            FeedMessage::FeedTrade(trade) => self.on_trade(trade),
            FeedMessage::L2Checksum(check) => {
                let Some(market) = self.synced(check.instrument) else { return FeedChange::None };
                let got = market.book.checksum();
                if got == check.checksum {
                    return FeedChange::None;
                }
                market.fail(check.instrument, FeedFault::Checksum { expected: check.checksum, got })
            }
            FeedMessage::SubscribeRejected(rejected) => {
                FeedChange::Refused { instrument: rejected.instrument, reason: rejected.reason }
            }
            FeedMessage::FeedIndication(indication) => self.on_indication(indication),
            FeedMessage::SnapshotsDone(done) => FeedChange::SnapshotsDone { instrument: done.instrument },
        }
    }

    /// A public fact that travels with the feed.
    pub fn on_public(&mut self, event: &PublicEvent) -> FeedChange {
        match event {
            PublicEvent::InstrumentDefinition(definition) => {
                let instrument = definition.instrument;
                let Some(market) = self.market_or_new(instrument) else { return FeedChange::None };
                market.definition = Some(*definition);
                // If there are others than at the listing, they come right behind.
                market.bands = None;
                FeedChange::Definition { instrument }
            }
            PublicEvent::PhaseChanged(change) => {
                let Some(market) = self.markets.get_mut(&change.instrument) else { return FeedChange::None };
                let Some(definition) = &mut market.definition else { return FeedChange::None };
                definition.phase = change.phase;
                market.indication = None;
                FeedChange::Definition { instrument: change.instrument }
            }
            PublicEvent::BandsChanged(bands) => {
                let Some(market) = self.markets.get_mut(&bands.instrument) else { return FeedChange::None };
                let Some(definition) = &mut market.definition else { return FeedChange::None };
                definition.band_low = bands.band_low;
                definition.band_high = bands.band_high;
                market.bands = Some(*bands);
                FeedChange::Definition { instrument: bands.instrument }
            }
            PublicEvent::YieldDefinition(definition) => {
                self.yields.set(definition);
                FeedChange::Yields
            }
            // Between the parts of the exchange only.
            PublicEvent::AccountDefinition(_)
            | PublicEvent::BookUpdate(_)
            | PublicEvent::Trade(_)
            | PublicEvent::AuctionIndication(_) => FeedChange::None,
        }
    }

    /// The stream broke: no book is right until its next snapshot. Definitions stay.
    pub fn on_disconnected(&mut self) {
        self.markets.values_mut().for_each(Market::distrust);
    }

    pub fn market(&self, instrument: InstrumentId) -> Option<&Market> {
        self.markets.get(&instrument)
    }

    /// Every instrument that was heard of, in the order of ids.
    pub fn markets(&self) -> impl Iterator<Item = (InstrumentId, &Market)> {
        self.markets.iter().map(|(instrument, market)| (*instrument, market))
    }

    /// The instrument with the highest id.
    pub fn last_instrument(&self) -> Option<InstrumentId> {
        self.markets.last_key_value().map(|(instrument, _)| *instrument)
    }

    pub fn yields(&self) -> &YieldTable {
        &self.yields
    }

    fn on_begin(&mut self, begin: &L2SnapshotBegin) -> FeedChange {
        if let Some(market) = self.market_or_new(begin.instrument) {
            market.book.clear();
            market.indication = None;
            market.epoch = begin.epoch;
            market.seq = begin.seq;
            market.sync = Sync::InSnapshot { levels_left: begin.levels };
        }
        FeedChange::None
    }

    fn on_level(&mut self, message: &L2SnapshotLevel) -> FeedChange {
        let L2SnapshotLevel { price, qty, instrument, orders, .. } = *message;
        let Some(market) = self.markets.get_mut(&instrument) else { return FeedChange::None };
        let Sync::InSnapshot { levels_left } = market.sync else { return FeedChange::None };
        match (Side::from_raw(message.side), levels_left.checked_sub(1)) {
            (Some(side), Some(levels_left)) => {
                market.sync = Sync::InSnapshot { levels_left };
                market.book.set(side, Level { price, qty, orders });
                FeedChange::None
            }
            _ => market.fail(instrument, FeedFault::Snapshot),
        }
    }

    fn on_end(&mut self, end: &L2SnapshotEnd) -> FeedChange {
        let instrument = end.instrument;
        let Some(market) = self.markets.get_mut(&instrument) else { return FeedChange::None };
        if market.sync == Sync::AwaitSnapshot {
            return FeedChange::None;
        }
        let is_whole = market.sync == Sync::InSnapshot { levels_left: 0 } && market.seq == end.seq;
        if !is_whole || market.book.checksum() != end.checksum {
            return market.fail(instrument, FeedFault::Snapshot);
        }
        market.sync = Sync::Synced;
        FeedChange::Snapshot { instrument }
    }

    fn on_update(&mut self, update: &L2Update) -> FeedChange {
        let L2Update { seq, price, qty, instrument, orders, .. } = *update;
        let strict = self.kinds == LEVELS_AND_TRADES;
        let Some(market) = self.synced(instrument) else { return FeedChange::None };
        if let Err(fault) = market.advance(seq, strict) {
            return market.fail(instrument, fault);
        }
        let Some(side) = Side::from_raw(update.side) else {
            return market.fail(instrument, FeedFault::Malformed);
        };
        market.book.set(side, Level { price, qty, orders });
        FeedChange::Level { instrument, side, price }
    }

    fn on_trade(&mut self, trade: &FeedTrade) -> FeedChange {
        let strict = self.kinds == LEVELS_AND_TRADES;
        let Some(market) = self.synced(trade.instrument) else { return FeedChange::None };
        if let Err(fault) = market.advance(trade.seq, strict) {
            return market.fail(trade.instrument, fault);
        }
        market.last_trade = Some(*trade);
        FeedChange::Trade(*trade)
    }

    /// Within a snapshot it is the newest one, which the snapshot's number counts already.
    fn on_indication(&mut self, indication: &FeedIndication) -> FeedChange {
        let FeedIndication { seq, instrument, .. } = *indication;
        let strict = self.kinds == LEVELS_AND_TRADES;
        let Some(market) = self.markets.get_mut(&instrument) else { return FeedChange::None };
        match market.sync {
            Sync::AwaitSnapshot => FeedChange::None,
            Sync::InSnapshot { .. } if market.seq < seq => market.fail(instrument, FeedFault::Snapshot),
            Sync::InSnapshot { .. } => {
                market.indication = Some(*indication);
                FeedChange::None
            }
            Sync::Synced => {
                if let Err(fault) = market.advance(seq, strict) {
                    return market.fail(instrument, fault);
                }
                market.indication = Some(*indication);
                FeedChange::Indication(*indication)
            }
        }
    }

    fn synced(&mut self, instrument: InstrumentId) -> Option<&mut Market> {
        self.markets.get_mut(&instrument).filter(|market| market.is_synced())
    }

    /// Windows come for ever, so the oldest one that is settled makes room. Room is found unless a publisher lists absurdly
    /// many at a time.
    fn market_or_new(&mut self, instrument: InstrumentId) -> Option<&mut Market> {
        if MARKETS_MAX <= self.markets.len() && !self.markets.contains_key(&instrument) {
            let is_settled = |market: &Market| market.phase() == Some(Phase::Settled);
            let (oldest, _) = self.markets().find(|(_, market)| is_settled(market))?;
            self.markets.remove(&oldest);
        }
        Some(self.markets.entry(instrument).or_default())
    }
}

impl Market {
    /// The book is right as of `seq`.
    pub fn is_synced(&self) -> bool {
        self.sync == Sync::Synced
    }

    /// `None` before the definition, and for a phase of a newer version.
    pub fn phase(&self) -> Option<Phase> {
        Phase::from_raw(self.definition?.phase)
    }

    fn advance(&mut self, seq: u64, strict: bool) -> Result<(), FeedFault> {
        let expected = self.seq.saturating_add(1);
        let follows = if strict { seq == expected } else { expected <= seq };
        if follows {
            self.seq = seq;
            return Ok(());
        }
        Err(FeedFault::Gap { expected, got: seq })
    }

    fn fail(&mut self, instrument: InstrumentId, fault: FeedFault) -> FeedChange {
        self.distrust();
        FeedChange::Resubscribe { instrument, fault }
    }

    fn distrust(&mut self) {
        self.book.clear();
        self.indication = None;
        self.sync = Sync::AwaitSnapshot;
    }
}
