//! The gateway's half of the feed.

use std::collections::VecDeque;

use joulebook_protocol::messages::{
    AuctionIndication, BandsChanged, BookUpdate, FeedIndication, FeedTrade, InstrumentDefinition, L2Checksum,
    L2SnapshotBegin, L2SnapshotEnd, L2SnapshotLevel, L2Update, PhaseChanged, SnapshotsDone, Subscribe, Trade,
    Unsubscribe, YieldDefinition,
};
use joulebook_protocol::{Message, PublicEvent, RejectReason, encode};
use joulebook_types::{InstrumentId, Phase, Side};

use crate::subscriber::{Due, Subscriber};
use crate::{CHECKSUM_EVERY, L2Book, LEVELS, LEVELS_AND_TRADES, Level, SubscriberId, TRADES, YieldTable};

/// Keeps the books, numbers the updates, and knows who wants them. Each update is encoded once.
#[derive(Debug)]
pub struct FeedPublisher {
    epoch: u64,
    /// By instrument id, which the engine hands out densely.
    listings: Vec<Option<Box<Listing>>>,
    /// The instruments that settled last, oldest first.
    settled: VecDeque<InstrumentId>,
    yields: YieldTable,
    subscribers: Vec<Option<Subscriber>>,
    /// Subscribers that want whatever is listed later.
    future: Vec<SubscriberId>,
    /// Subscribers with something due, longest waiting first.
    waiting: VecDeque<SubscriberId>,
    frame: Vec<u8>,
}

/// Where the frames go.
pub trait Subscribers {
    /// So much waits for this subscriber already that its updates must be dropped until it has caught up.
    fn is_lagging(&self, subscriber: SubscriberId) -> bool;
    /// Queues whole frames. Called only while the subscriber does not lag.
    fn send(&mut self, subscriber: SubscriberId, frames: &[u8]);
}

/// A listed instrument as the feed knows it.
#[derive(Debug)]
pub struct Listing {
    /// With the present phase and price bands.
    pub definition: InstrumentDefinition,
    /// How far and how fast the price may move, once an operator has said so.
    pub bands: Option<BandsChanged>,
    pub book: L2Book,
    /// The newest of the present call auction, numbered as in the feed.
    pub indication: Option<FeedIndication>,
    /// The newest trade, numbered as in the feed.
    pub last_trade: Option<FeedTrade>,
    /// Number of the newest update.
    seq: u64,
    readers: Vec<Reader>,
}

#[derive(Clone, Copy, Debug)]
struct Reader {
    subscriber: SubscriberId,
    kinds: u8,
    /// Missed something: gets nothing before its next snapshot.
    is_stale: bool,
}

/// Levels sent in snapshots per call of [`FeedPublisher::serve`]: some 50 us.
const LEVELS_PER_SERVE: usize = 2_000;
/// Settled instruments that late subscribers still hear of. Windows come for ever, and the engine forgets them too.
const SETTLED_MAX: usize = 1_024;
/// Subscriptions of one subscriber that may wait for their snapshots.
const DONE_DUE_MAX: usize = 1_024;

impl FeedPublisher {
    /// `epoch` must differ from that of every earlier run, such as the time of the start.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            listings: Vec::new(),
            settled: VecDeque::new(),
            yields: YieldTable::default(),
            subscribers: Vec::new(),
            future: Vec::new(),
            waiting: VecDeque::new(),
            frame: Vec::with_capacity(256),
        }
    }

    /// Takes a fact from the engine and tells those who want it.
    pub fn publish(&mut self, event: &PublicEvent, to: &mut impl Subscribers) {
        match event {
            PublicEvent::BookUpdate(update) => self.on_book_update(update, to),
            PublicEvent::Trade(trade) => self.on_trade(trade, to),
            PublicEvent::InstrumentDefinition(definition) => self.on_definition(definition, to),
            PublicEvent::PhaseChanged(change) => self.on_phase(change, to),
            PublicEvent::YieldDefinition(definition) => self.on_yield(definition, to),
            PublicEvent::BandsChanged(bands) => self.on_bands(bands, to),
            PublicEvent::AuctionIndication(indication) => self.on_indication(indication, to),
            // Keys are for gateways only.
            PublicEvent::AccountDefinition(_) => {}
        }
    }

    /// Subscribes; the snapshots leave with [`Self::serve`].
    pub fn subscribe(&mut self, id: SubscriberId, request: &Subscribe) -> Result<(), RejectReason> {
        let Subscribe { instrument, kinds, .. } = *request;
        if kinds == 0 || LEVELS_AND_TRADES < kinds {
            return Err(RejectReason::InvalidChoice);
        }
        if !instrument.is_none() && self.listing(instrument).is_none() {
            return Err(RejectReason::UnknownInstrument);
        }
        if self.subscriber(id).done_due == DONE_DUE_MAX {
            return Err(RejectReason::Busy);
        }
        self.make_due(id, Due::Yields);
        if instrument.is_none() {
            if self.subscriber(id).future.replace(kinds).is_none() {
                self.future.push(id);
            }
            for index in 0..self.listings.len() {
                self.read(id, InstrumentId::new(index as u32), kinds);
            }
        } else {
            self.read(id, instrument, kinds);
        }
        self.make_due(id, Due::Done(instrument));
        Ok(())
    }

    pub fn unsubscribe(&mut self, id: SubscriberId, request: &Unsubscribe) {
        if !matches!(self.subscribers.get(id.0 as usize), Some(Some(_))) {
            return;
        }
        let subscriber = self.subscriber(id);
        if !request.instrument.is_none() {
            subscriber.instruments.retain(|known| *known != request.instrument);
            subscriber.due.retain(|due| *due != Due::Snapshot(request.instrument));
            return self.stop_reading(id, request.instrument);
        }
        subscriber.future = None;
        subscriber.due.retain(|due| !matches!(due, Due::Snapshot(_)));
        let instruments = core::mem::take(&mut subscriber.instruments);
        for instrument in instruments {
            self.stop_reading(id, instrument);
        }
        self.future.retain(|other| *other != id);
    }

    /// The subscriber is gone; its id may be used for another.
    pub fn remove(&mut self, id: SubscriberId) {
        self.unsubscribe(id, &Unsubscribe::default());
        let gone = self.subscribers.get_mut(id.0 as usize).and_then(Option::take);
        if gone.is_some_and(|subscriber| subscriber.is_waiting) {
            self.waiting.retain(|other| *other != id);
        }
    }

    /// Sends what is due to subscribers that keep up, for about 50 us. True when something was sent, so that the owner
    /// comes back soon; what waits for lagging subscribers does not count.
    pub fn serve(&mut self, to: &mut impl Subscribers) -> bool {
        let mut budget = LEVELS_PER_SERVE;
        let mut progress = false;
        for _ in 0..self.waiting.len() {
            let Some(id) = self.waiting.pop_front() else { break };
            while budget > 0 && !to.is_lagging(id) {
                let Some(due) = self.subscriber(id).due.pop_front() else { break };
                progress = true;
                budget = budget.saturating_sub(1 + self.send_due(id, due, to));
            }
            if self.subscriber(id).due.is_empty() {
                self.subscriber(id).is_waiting = false;
            } else {
                self.waiting.push_back(id);
            }
        }
        progress
    }

    /// The listed instrument; `None` for an unknown id.
    pub fn listing(&self, instrument: InstrumentId) -> Option<&Listing> {
        self.listings.get(instrument.raw() as usize)?.as_deref()
    }

    /// Every listed instrument, in the order of listing.
    pub fn listings(&self) -> impl Iterator<Item = &Listing> {
        self.listings.iter().flatten().map(|listing| &**listing)
    }

    /// The listed instrument with the highest id.
    pub fn last_instrument(&self) -> Option<InstrumentId> {
        self.listings.iter().rev().flatten().next().map(|listing| listing.definition.instrument)
    }

    pub fn yields(&self) -> &YieldTable {
        &self.yields
    }
}

/// Facts in.
impl FeedPublisher {
    fn on_book_update(&mut self, update: &BookUpdate, to: &mut impl Subscribers) {
        let Some(side) = Side::from_raw(update.side) else { return };
        let Some(listing) = self.listing_mut(update.instrument) else { return };
        let level = Level { price: update.price, qty: update.level_qty, orders: update.level_orders };
        listing.book.set(side, level);
        listing.seq += 1;
        if listing.readers.is_empty() {
            return;
        }
        let message = L2Update {
            seq: listing.seq,
            time: update.time,
            price: update.price,
            qty: update.level_qty,
            instrument: update.instrument,
            orders: update.level_orders,
            side: update.side,
            reserved: [0; 7],
        };
        self.encode(&message);
        self.fan_out(update.instrument, LEVELS, to);
        self.send_checksum(update.instrument, to);
    }

    fn on_trade(&mut self, trade: &Trade, to: &mut impl Subscribers) {
        let Some(listing) = self.listing_mut(trade.instrument) else { return };
        listing.seq += 1;
        let message = FeedTrade {
            seq: listing.seq,
            time: trade.time,
            trade_id: trade.trade_id,
            price: trade.price,
            instrument: trade.instrument,
            qty: trade.qty,
            aggressor: trade.aggressor,
            reserved: [0; 7],
        };
        listing.last_trade = Some(message);
        self.encode(&message);
        self.fan_out(trade.instrument, TRADES, to);
        self.send_checksum(trade.instrument, to);
    }

    /// Whoever follows an instrument gets it, with levels or trades alone too: it is what a call auction shows of both.
    fn on_indication(&mut self, indication: &AuctionIndication, to: &mut impl Subscribers) {
        let AuctionIndication { time, price, volume, surplus, instrument, .. } = *indication;
        let Some(listing) = self.listing_mut(instrument) else { return };
        listing.seq += 1;
        let message =
            FeedIndication { seq: listing.seq, time, price, volume, surplus, instrument, reserved: 0 };
        listing.indication = Some(message);
        self.encode(&message);
        self.fan_out(instrument, LEVELS_AND_TRADES, to);
        self.send_checksum(instrument, to);
    }

    fn on_phase(&mut self, change: &PhaseChanged, to: &mut impl Subscribers) {
        let Some(listing) = self.listing_mut(change.instrument) else { return };
        listing.definition.phase = change.phase;
        // Each phase begins without one; an auction says its first at once.
        listing.indication = None;
        self.encode(change);
        self.fan_out(change.instrument, LEVELS_AND_TRADES, to);
        self.note_settled(change.instrument, change.phase);
    }

    /// Forgets an instrument that settled long ago when another one has settled.
    fn note_settled(&mut self, instrument: InstrumentId, phase: u8) {
        if phase != Phase::Settled.raw() {
            return;
        }
        self.settled.push_back(instrument);
        if self.settled.len() <= SETTLED_MAX {
            return;
        }
        let Some(oldest) = self.settled.pop_front() else { return };
        let gone = self.listings.get_mut(oldest.raw() as usize).and_then(Option::take);
        for reader in gone.into_iter().flat_map(|listing| listing.readers) {
            let subscriber = self.subscriber(reader.subscriber);
            subscriber.instruments.retain(|known| *known != oldest);
            subscriber.due.retain(|due| *due != Due::Snapshot(oldest));
        }
    }

    fn on_bands(&mut self, bands: &BandsChanged, to: &mut impl Subscribers) {
        let Some(listing) = self.listing_mut(bands.instrument) else { return };
        listing.definition.band_low = bands.band_low;
        listing.definition.band_high = bands.band_high;
        listing.bands = Some(*bands);
        self.encode(bands);
        self.fan_out(bands.instrument, LEVELS_AND_TRADES, to);
    }

    fn on_definition(&mut self, definition: &InstrumentDefinition, to: &mut impl Subscribers) {
        let instrument = definition.instrument;
        if let Some(listing) = self.listing_mut(instrument) {
            listing.definition = *definition;
            self.encode(definition);
            return self.fan_out(instrument, LEVELS_AND_TRADES, to);
        }
        let index = instrument.raw() as usize;
        if self.listings.len() <= index {
            self.listings.resize_with(index + 1, || None);
        }
        let listing = Listing {
            definition: *definition,
            bands: None,
            book: L2Book::default(),
            indication: None,
            last_trade: None,
            seq: 0,
            readers: Vec::new(),
        };
        self.listings[index] = Some(Box::new(listing));
        self.note_settled(instrument, definition.phase);
        for index in 0..self.future.len() {
            let id = self.future[index];
            if let Some(kinds) = self.subscriber(id).future {
                self.read(id, instrument, kinds);
            }
        }
    }

    fn on_yield(&mut self, definition: &YieldDefinition, to: &mut impl Subscribers) {
        self.yields.set(definition);
        self.encode(definition);
        for index in 0..self.subscribers.len() {
            let id = SubscriberId(index as u32);
            if self.subscribers[index].is_none() {
                continue;
            }
            // Behind something due it must wait its turn, or an older definition would come later.
            if to.is_lagging(id) || self.subscriber(id).yields_due {
                self.make_due(id, Due::Yields);
            } else {
                to.send(id, &self.frame);
            }
        }
    }

    fn send_checksum(&mut self, instrument: InstrumentId, to: &mut impl Subscribers) {
        let Some(listing) = self.listing(instrument) else { return };
        let is_wanted = || listing.readers.iter().any(|reader| reader.kinds & LEVELS != 0);
        if !listing.seq.is_multiple_of(CHECKSUM_EVERY) || !is_wanted() {
            return;
        }
        let message = L2Checksum { seq: listing.seq, instrument, checksum: listing.book.checksum() };
        self.encode(&message);
        self.fan_out(instrument, LEVELS, to);
    }

    fn encode<M: Message>(&mut self, message: &M) {
        self.frame.clear();
        encode(message, &mut self.frame);
    }
}

/// Frames out.
impl FeedPublisher {
    /// Sends the encoded frame to everyone who wants one of `kinds` of the instrument. Whoever lags is owed a snapshot.
    fn fan_out(&mut self, instrument: InstrumentId, kinds: u8, to: &mut impl Subscribers) {
        let Some(Some(listing)) = self.listings.get_mut(instrument.raw() as usize) else { return };
        for reader in &mut listing.readers {
            if reader.is_stale || reader.kinds & kinds == 0 {
                continue;
            }
            if !to.is_lagging(reader.subscriber) {
                to.send(reader.subscriber, &self.frame);
                continue;
            }
            reader.is_stale = true;
            let subscriber = self.subscribers[reader.subscriber.0 as usize].as_mut();
            let subscriber = subscriber.expect("readers are subscribers");
            subscriber.due.push_back(Due::Snapshot(instrument));
            if !core::mem::replace(&mut subscriber.is_waiting, true) {
                self.waiting.push_back(reader.subscriber);
            }
        }
    }

    /// Sends one thing that was due and says how many levels it had.
    fn send_due(&mut self, id: SubscriberId, due: Due, to: &mut impl Subscribers) -> usize {
        self.frame.clear();
        let mut levels = 0;
        match due {
            Due::Snapshot(instrument) => levels = self.encode_snapshot(id, instrument),
            Due::Yields => {
                self.subscriber(id).yields_due = false;
                self.yields.all().iter().for_each(|entry| encode(entry, &mut self.frame));
            }
            Due::Done(instrument) => {
                self.subscriber(id).done_due -= 1;
                encode(&SnapshotsDone { instrument, reserved: 0 }, &mut self.frame);
            }
        }
        if !self.frame.is_empty() {
            to.send(id, &self.frame);
        }
        levels
    }

    /// Definition, bands, book and indication at the present number.
    fn encode_snapshot(&mut self, id: SubscriberId, instrument: InstrumentId) -> usize {
        let Some(Some(listing)) = self.listings.get_mut(instrument.raw() as usize) else { return 0 };
        let reader = listing.readers.iter_mut().find(|reader| reader.subscriber == id);
        let reader = reader.expect("what is due to a reader goes when it stops reading");
        reader.is_stale = false;
        let (epoch, seq) = (self.epoch, listing.seq);
        let with_levels = reader.kinds & LEVELS != 0;
        let levels = if with_levels { listing.book.len() } else { 0 };
        let checksum = if with_levels { listing.book.checksum() } else { 0 };
        let out = &mut self.frame;
        encode(&listing.definition, out);
        listing.bands.iter().for_each(|bands| encode(bands, out));
        encode(&L2SnapshotBegin { epoch, seq, instrument, levels: levels as u32 }, out);
        for side in if with_levels { Side::ALL } else { &[] } {
            for Level { price, qty, orders } in listing.book.levels(*side) {
                let side = side.raw();
                encode(&L2SnapshotLevel { price, qty, instrument, orders, side, reserved: [0; 7] }, out);
            }
        }
        listing.indication.iter().for_each(|indication| encode(indication, out));
        encode(&L2SnapshotEnd { seq, instrument, checksum }, out);
        levels
    }
}

/// Who wants what.
impl FeedPublisher {
    /// Begins, or begins anew, to send an instrument's updates: a snapshot comes first.
    fn read(&mut self, id: SubscriberId, instrument: InstrumentId, kinds: u8) {
        let Some(Some(listing)) = self.listings.get_mut(instrument.raw() as usize) else { return };
        let is_due = match listing.readers.iter_mut().find(|reader| reader.subscriber == id) {
            Some(reader) => {
                reader.kinds = kinds;
                core::mem::replace(&mut reader.is_stale, true)
            }
            None => {
                listing.readers.push(Reader { subscriber: id, kinds, is_stale: true });
                self.subscriber(id).instruments.push(instrument);
                false
            }
        };
        if !is_due {
            self.make_due(id, Due::Snapshot(instrument));
        }
    }

    fn stop_reading(&mut self, id: SubscriberId, instrument: InstrumentId) {
        if let Some(listing) = self.listing_mut(instrument) {
            listing.readers.retain(|reader| reader.subscriber != id);
        }
    }

    fn make_due(&mut self, id: SubscriberId, due: Due) {
        let subscriber = self.subscriber(id);
        match due {
            Due::Yields if core::mem::replace(&mut subscriber.yields_due, true) => return,
            Due::Done(_) => subscriber.done_due += 1,
            Due::Yields | Due::Snapshot(_) => {}
        }
        subscriber.due.push_back(due);
        if !core::mem::replace(&mut subscriber.is_waiting, true) {
            self.waiting.push_back(id);
        }
    }

    fn listing_mut(&mut self, instrument: InstrumentId) -> Option<&mut Listing> {
        self.listings.get_mut(instrument.raw() as usize)?.as_deref_mut()
    }

    fn subscriber(&mut self, id: SubscriberId) -> &mut Subscriber {
        let index = id.0 as usize;
        if self.subscribers.len() <= index {
            self.subscribers.resize_with(index + 1, || None);
        }
        self.subscribers[index].get_or_insert_default()
    }
}
