//! The war without wires: the agents' frames become batches, the sequencer's own code applies them, and what the engine
//! says goes to the feed and back to the agents, at the same moment.
//!
//! Time is the next deadline, so a quiet hour costs nothing. All agents look at one set of books, the publisher's: what
//! every subscriber is sent, kept once.

mod durable;
mod trader;

use joulebook_agents::outcome::Record;
use joulebook_agents::price_war::PriceWar;
use joulebook_engine::{Destination, Engine, Events};
use joulebook_feed::{FeedPublisher, SubscriberId, Subscribers};
use joulebook_journal::{Batch, EventDigest};
use joulebook_protocol::messages::{AdvanceTime, SessionOpened, Trade};
use joulebook_protocol::{Command, Event, Frame, Origin, PublicEvent, RejectReason, SequencedCommand};
use joulebook_sequencer::apply_batch;
use joulebook_types::{ClientOrderId, InstrumentId, Phase, Qty, SessionId, Side, TimeNs};

use crate::checks::{Check, Violation};
use crate::war::direct::durable::Journal;
use crate::war::direct::trader::{Trader, connection, trader_of};
use crate::war::stage::{self, EPOCH, LOOK_NS, Person};
use crate::war::{WarOutcome, check_economics};

/// Trading begins this long after the world does.
const START: TimeNs = TimeNs::new(EPOCH.raw() + 1_000_000_000);

pub(super) fn fight(war: &PriceWar, seconds: u32, is_journaled: bool) -> Result<WarOutcome, Violation> {
    let journal = if is_journaled { Some(Journal::new(war.seed)?) } else { None };
    let mut floor = Floor::new(war, journal);
    floor.set_the_stage(stage::people(war, START, seconds))?;
    floor.trade(TimeNs::new(START.raw() + u64::from(seconds) * 1_000_000_000))?;
    floor.judge()
}

/// The exchange and everybody on it.
struct Floor {
    war: PriceWar,
    engine: Engine,
    journal: Option<Journal>,
    publisher: FeedPublisher,
    traders: Vec<Trader>,
    /// Both instruments of each window.
    windows: Vec<[InstrumentId; 2]>,
    changes: Changes,
    record: Record,
    now: TimeNs,
    next_look: TimeNs,
    /// Memory that is used again and again.
    batch: Batch,
    events: Events,
    digest: EventDigest,
    command: Vec<u8>,
    private: Event,
    public: PublicEvent,
}

/// When each instrument last changed, counted in changes, by its id.
#[derive(Default)]
struct Changes {
    newest: u64,
    last: Vec<u64>,
}

/// The publisher's books are read where they are.
struct Nobody;

impl Subscribers for Nobody {
    fn is_lagging(&self, _subscriber: SubscriberId) -> bool {
        false
    }

    fn send(&mut self, _subscriber: SubscriberId, _frames: &[u8]) {}
}

impl Floor {
    fn new(war: &PriceWar, journal: Option<Journal>) -> Self {
        Self {
            war: war.clone(),
            engine: Engine::new(),
            journal,
            publisher: FeedPublisher::new(1),
            traders: Vec::new(),
            windows: Vec::new(),
            changes: Changes::default(),
            record: Record::new(war.clone()),
            now: EPOCH,
            next_look: START,
            batch: Batch::new(),
            events: Events::new(),
            digest: EventDigest::default(),
            command: Vec::new(),
            private: Event::SnapshotEnd(Default::default()),
            public: PublicEvent::PhaseChanged(Default::default()),
        }
    }

    /// Everybody logs on, lists, funds and registers.
    fn set_the_stage(&mut self, people: Vec<Person>) -> Result<(), Violation> {
        self.batch.clear(self.now);
        for command in stage::first_commands(&self.war, &people, |_| [0; 32]) {
            self.push(Origin::SYSTEM, &command);
        }
        for (index, person) in people.into_iter().enumerate() {
            let origin = Origin { account: person.account, session: SessionId::new(1), received: self.now };
            let connection = connection(index);
            let opened =
                SessionOpened { connection, cancel_on_disconnect_ms: u32::MAX, ..SessionOpened::default() };
            self.push(origin, &opened.into());
            let mut id = ClientOrderId::NONE;
            for job in &person.jobs {
                id = id.next();
                self.push(origin, &job(id));
            }
            self.traders.push(Trader::new(origin, person.agent, id.next()));
        }
        self.run_batch()?;
        let count = self.war.windows;
        let id = |raw: u32| InstrumentId::new(raw);
        let first = self.engine.last_instrument_id().raw() + 1 - 2 * count;
        self.windows = (first..first + count).map(|own| [id(own), id(own + count)]).collect();
        Ok(())
    }

    fn push(&mut self, origin: Origin, command: &Command) {
        self.command.clear();
        SequencedCommand { origin, command: *command }.encode(&mut self.command);
        self.batch.push(&self.command);
    }

    /// From one deadline to the next.
    fn trade(&mut self, end: TimeNs) -> Result<(), Violation> {
        loop {
            let trader = self.traders.iter().enumerate().min_by_key(|(_, trader)| trader.deadline);
            let (index, due) = trader.map_or((0, TimeNs::MAX), |(index, trader)| (index, trader.deadline));
            let timer = self.engine.next_deadline().unwrap_or(TimeNs::MAX);
            let next = due.min(timer).min(self.next_look);
            if end <= next {
                return Ok(());
            }
            // A journal that takes its time makes everybody late.
            self.now = self.now.max(next);
            self.batch.clear(self.now);
            if next == self.next_look {
                self.look()?;
            } else if next == timer {
                self.push(Origin::SYSTEM, &AdvanceTime::default().into());
                self.run_batch()?;
            } else {
                self.traders[index].act(&self.publisher, &self.changes, self.now);
            }
            self.answer()?;
        }
    }

    /// What agents ask for is done, and what they ask for when they hear of it, until they are content.
    fn answer(&mut self) -> Result<(), Violation> {
        loop {
            self.batch.clear(self.now);
            for trader in &mut self.traders {
                trader.collect(self.now, &mut self.command, &mut self.batch);
            }
            if self.batch.is_empty() {
                return Ok(());
            }
            self.run_batch()?;
        }
    }

    /// Applies the batch, journals it if there is a journal, and tells everybody.
    fn run_batch(&mut self) -> Result<(), Violation> {
        let Self { engine, batch, events, digest, .. } = self;
        if let Some(journal) = &mut self.journal {
            journal.append(batch, engine.last_seq().next())?;
        }
        events.clear();
        let applied =
            apply_batch(engine, engine.last_seq().next(), batch.time(), batch.records(), events, digest);
        applied.expect("own records decode");
        if let Some(journal) = &mut self.journal {
            self.now = journal.commit(&self.digest, self.engine.last_seq())?;
        }
        let events = core::mem::take(&mut self.events);
        for record in events.iter() {
            let (frame, _) = Frame::split(record.frame).ok().flatten().expect("the engine says whole frames");
            match record.destination {
                Destination::Public => self.on_public(&frame),
                Destination::Connection(connection) => self.on_private(trader_of(connection), &frame)?,
            }
        }
        self.events = events;
        Ok(())
    }

    fn on_public(&mut self, frame: &Frame<'_>) {
        self.public.read(frame).expect("a public event");
        self.publisher.publish(&self.public, &mut Nobody);
        match &self.public {
            PublicEvent::BookUpdate(update) => self.changes.note(update.instrument),
            PublicEvent::InstrumentDefinition(definition) => self.changes.note(definition.instrument),
            PublicEvent::PhaseChanged(change) => self.changes.note(change.instrument),
            PublicEvent::BandsChanged(bands) => self.changes.note(bands.instrument),
            PublicEvent::Trade(trade) => note_trade(&mut self.record, &self.windows, second(self.now), trade),
            PublicEvent::AuctionIndication(_)
            | PublicEvent::YieldDefinition(_)
            | PublicEvent::AccountDefinition(_) => {}
        }
    }

    fn on_private(&mut self, trader: usize, frame: &Frame<'_>) -> Result<(), Violation> {
        // What is between a gateway and its clients alone is no event.
        if self.private.read(frame).is_err() {
            return Ok(());
        }
        if let Event::RequestRejected(rejected) = &self.private {
            // A maker's quote may meet a seller that came down meanwhile; nothing else should be refused.
            let reason = RejectReason::from_raw(rejected.reason);
            Check::Liveness.that(reason == Some(RejectReason::PostOnlyWouldTrade), || {
                format!("trader {trader} is refused: {reason:?} {rejected:?}")
            })?;
        }
        self.traders[trader].hear(&self.private, self.now);
        Ok(())
    }

    /// The best asks of every window, and no book that is crossed.
    fn look(&mut self) -> Result<(), Violation> {
        self.next_look = TimeNs::new(self.next_look.raw() + LOOK_NS);
        for instruments in &self.windows {
            let books =
                instruments.map(|instrument| self.publisher.listing(instrument).map(|found| &found.book));
            for (book, instrument) in books.iter().zip(instruments) {
                Check::CrossedBook.that(book.is_some_and(|book| !book.is_crossed()), || {
                    format!("instrument {instrument} at {}", self.now)
                })?;
            }
            let asks = books.map(|book| Some(book?.best(Side::Sell)?.price));
            self.record.on_best_asks(second(self.now), asks);
        }
        Ok(())
    }

    fn judge(mut self) -> Result<WarOutcome, Violation> {
        let outcome = self.record.outcome();
        check_economics(&outcome)?;
        self.check_feed()?;
        if let Err(error) = self.engine.recount() {
            return Check::Conservation.broken(format!("{error:?}"));
        }
        if let Some(journal) = self.journal.take() {
            journal.check_replay(&self.engine)?;
        }
        Ok(WarOutcome {
            outcome,
            commands: self.engine.last_seq().raw(),
            event_hash: self.engine.event_chain_hash(),
            state_hash: self.engine.state_hash(),
        })
    }

    /// What everybody traded by is what there was.
    fn check_feed(&self) -> Result<(), Violation> {
        for definition in self.engine.instruments() {
            let instrument = definition.instrument;
            let Some(listing) = self.publisher.listing(instrument) else {
                return Check::Feed.broken(format!("the feed does not know {instrument}"));
            };
            for side in Side::ALL {
                let levels = self.engine.levels(instrument, *side);
                let right = levels.map(|level| (level.price, level.total.qty.raw(), level.total.orders));
                let seen = listing.book.levels(*side).map(|level| (level.price, level.qty, level.orders));
                Check::Feed.that(right.eq(seen), || format!("other {side} levels of {instrument}"))?;
            }
            Check::Feed
                .that(definition.phase == Phase::Open.raw(), || format!("{instrument} is not open"))?;
        }
        Ok(())
    }
}

impl Changes {
    fn note(&mut self, instrument: InstrumentId) {
        let index = instrument.raw() as usize;
        if self.last.len() <= index {
            self.last.resize(index + 1, 0);
        }
        self.newest += 1;
        self.last[index] = self.newest;
    }

    /// What changed since `seen`, which is brought up to date.
    fn since(&self, seen: &mut u64) -> impl Iterator<Item = InstrumentId> {
        let before = core::mem::replace(seen, self.newest);
        let changed = self.last.iter().enumerate().filter(move |(_, last)| before < **last);
        changed.map(|(index, _)| InstrumentId::new(index as u32))
    }
}

fn note_trade(record: &mut Record, windows: &[[InstrumentId; 2]], second: usize, trade: &Trade) {
    let is_of = |bloc: usize| windows.iter().any(|instruments| instruments[bloc] == trade.instrument);
    if let Some(bloc) = (0..2).find(|bloc| is_of(*bloc)) {
        let (qty, aggressor) = (Qty::from(trade.qty), Side::from_raw(trade.aggressor));
        record.on_trade(second, bloc, trade.price, qty, aggressor);
    }
}

fn second(now: TimeNs) -> usize {
    (now.raw().saturating_sub(START.raw()) / 1_000_000_000) as usize
}
