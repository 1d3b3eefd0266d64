//! Watches the market like any other subscriber, and keeps the facts of the war.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use joulebook_agents::outcome::{Outcome, Record};
use joulebook_agents::price_war::PriceWar;
use joulebook_client::{Changes, MarketData, MarketNotice};
use joulebook_feed::{FeedChange, FeedReceiver};
use joulebook_protocol::messages::FeedTrade;
use joulebook_types::{ClassCode, InstrumentId, Phase, Price, Qty, Side, TimeNs, TokenPrice};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::FleetClock;

/// Time between two looks at all windows.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// When each instrument last changed, so that bots look only at what did.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog(Mutex<Versions>);

#[derive(Debug, Default)]
struct Versions {
    newest: u64,
    by_instrument: BTreeMap<InstrumentId, u64>,
}

impl ChangeLog {
    fn note(&self, instrument: InstrumentId) {
        let mut versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        versions.newest += 1;
        let newest = versions.newest;
        versions.by_instrument.insert(instrument, newest);
    }

    /// What changed since `seen`, which is brought up to date.
    pub(crate) fn since(&self, seen: &mut u64) -> Vec<InstrumentId> {
        let versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(seen, versions.newest);
        if before == versions.newest {
            return Vec::new();
        }
        let newer = versions.by_instrument.iter().filter(|(_, version)| **version > before);
        newer.map(|(instrument, _)| *instrument).collect()
    }
}

/// The war at a glance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarView {
    /// Each bloc's cheapest ask over all windows, per accelerator-hour.
    pub asks: [Option<Price>; 2],
    /// The same per million tokens.
    pub per_token: [Option<TokenPrice>; 2],
    /// Tokens that buyers took from each bloc since the start, in kilo-tokens.
    pub ktok: [u64; 2],
    pub trades: u64,
    /// Times that an open market was seen with its best bid at or above its best ask.
    pub crossed_books: u64,
}

/// What the observer has seen; shared with whoever asks.
#[derive(Debug)]
pub(crate) struct Facts {
    record: Record,
    crossed_books: u64,
    /// Why the market data ended, if it did.
    ended: Option<String>,
}

pub(crate) struct Observer {
    war: PriceWar,
    market: MarketData,
    changes: Changes,
    log: Arc<ChangeLog>,
    facts: Arc<Mutex<Facts>>,
    /// Open markets seen crossed since the last look, each once.
    crossed: Vec<InstrumentId>,
    clock: FleetClock,
    start: TimeNs,
    stop: watch::Receiver<bool>,
}

impl Observer {
    pub(crate) fn new(
        war: PriceWar,
        (market, changes): (MarketData, Changes),
        clock: FleetClock,
        start: TimeNs,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let facts = Facts { record: Record::new(war.clone()), crossed_books: 0, ended: None };
        let (log, facts) = (Arc::default(), Arc::new(Mutex::new(facts)));
        Self { war, market, changes, log, facts, crossed: Vec::new(), clock, start, stop }
    }

    pub(crate) fn log(&self) -> Arc<ChangeLog> {
        self.log.clone()
    }

    pub(crate) fn facts(&self) -> SharedFacts {
        SharedFacts { war: self.war.clone(), market: self.market.clone(), facts: self.facts.clone() }
    }

    pub(crate) async fn run(mut self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        // A look that was missed shows the same books as the next one: it would only count them twice.
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                notice = self.changes.next() => match notice {
                    Some(MarketNotice::Change(change)) => self.on_change(change),
                    Some(MarketNotice::Disconnected(_) | MarketNotice::Synced) => {}
                    Some(MarketNotice::Ended(why)) => lock(&self.facts).ended = Some(why.to_string()),
                    None => return,
                },
                _ = looks.tick() => self.look(),
                _ = self.stop.changed() => return,
            }
        }
    }

    fn on_change(&mut self, change: FeedChange) {
        match change {
            FeedChange::Level { instrument, .. } | FeedChange::Snapshot { instrument } => {
                self.log.note(instrument);
                if self.is_open_and_crossed(instrument) && !self.crossed.contains(&instrument) {
                    self.crossed.push(instrument);
                }
            }
            FeedChange::Definition { instrument } => {
                self.log.note(instrument);
                // The order that halts a market rests before the halt is said, and crosses the book.
                if !self.is_open(instrument) {
                    self.crossed.retain(|other| *other != instrument);
                }
            }
            FeedChange::Trade(trade) => self.on_trade(&trade),
            FeedChange::Indication(_)
            | FeedChange::Yields
            | FeedChange::SnapshotsDone { .. }
            | FeedChange::Refused { .. }
            | FeedChange::Resubscribe { .. }
            | FeedChange::None => {}
        }
    }

    fn on_trade(&self, trade: &FeedTrade) {
        let definition = self.market.read(|feed| feed.market(trade.instrument)?.definition);
        let class = definition.map(|definition| definition.class);
        let bloc = self.war.blocs.iter().position(|bloc| Some(bloc.class) == class);
        let (Some(bloc), Some(second)) = (bloc, self.second()) else { return };
        let aggressor = Side::from_raw(trade.aggressor);
        lock(&self.facts).record.on_trade(second, bloc, trade.price, Qty::from(trade.qty), aggressor);
    }

    fn is_open(&self, instrument: InstrumentId) -> bool {
        self.market
            .read(|feed| feed.market(instrument).and_then(|market| market.phase()) == Some(Phase::Open))
    }

    /// Where nothing may stay crossed: halted books and those in an auction may.
    fn is_open_and_crossed(&self, instrument: InstrumentId) -> bool {
        self.market.read(|feed| {
            feed.market(instrument).is_some_and(|market| {
                market.is_synced() && market.phase() == Some(Phase::Open) && market.book.is_crossed()
            })
        })
    }

    /// Notes the best asks of every window in which both blocs stand, and counts books that were crossed.
    fn look(&mut self) {
        lock(&self.facts).crossed_books += self.crossed.len() as u64;
        self.crossed.clear();
        let Some(second) = self.second() else { return };
        let classes = self.war.blocs.map(|bloc| bloc.class);
        let asks = self.market.read(|feed| best_asks(feed, classes));
        let mut facts = lock(&self.facts);
        for asks in asks {
            facts.record.on_best_asks(second, asks);
        }
    }

    /// Of the run; `None` before it begins.
    fn second(&self) -> Option<usize> {
        let elapsed = self.clock.now().raw().checked_sub(self.start.raw())?;
        usize::try_from(elapsed / 1_000_000_000).ok()
    }
}

/// The facts, for those who ask while the war goes on.
#[derive(Clone, Debug)]
pub(crate) struct SharedFacts {
    war: PriceWar,
    market: MarketData,
    facts: Arc<Mutex<Facts>>,
}

impl SharedFacts {
    pub(crate) fn view(&self) -> WarView {
        let classes = self.war.blocs.map(|bloc| bloc.class);
        let windows = self.market.read(|feed| best_asks(feed, classes));
        let asks = [0, 1].map(|bloc: usize| windows.iter().filter_map(|asks| asks[bloc]).min());
        let per_token =
            [0, 1].map(|bloc: usize| TokenPrice::of(asks[bloc]?, self.war.blocs[bloc].yield_ktok));
        let facts = lock(&self.facts);
        WarView {
            asks,
            per_token,
            ktok: facts.record.total_ktok(),
            trades: facts.record.trades(),
            crossed_books: facts.crossed_books,
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        lock(&self.facts).record.outcome()
    }

    pub(crate) fn ended(&self) -> Option<String> {
        lock(&self.facts).ended.clone()
    }
}

/// Per window, the best ask of each class whose book is synced.
fn best_asks(feed: &FeedReceiver, classes: [ClassCode; 2]) -> Vec<[Option<Price>; 2]> {
    let mut windows: BTreeMap<(u32, u16), [Option<Price>; 2]> = BTreeMap::new();
    for (_, market) in feed.markets() {
        let Some(definition) = &market.definition else { continue };
        let Some(bloc) = classes.iter().position(|class| *class == definition.class) else { continue };
        let asks = windows.entry((definition.start_minute, definition.window_minutes)).or_default();
        asks[bloc] = market.book.best(Side::Sell).filter(|_| market.is_synced()).map(|level| level.price);
    }
    windows.into_values().collect()
}

fn lock(facts: &Mutex<Facts>) -> MutexGuard<'_, Facts> {
    facts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_change_log_tells_each_reader_what_is_new_to_it() {
        let log = ChangeLog::default();
        let [first, second] = [1, 2].map(InstrumentId::new);
        let (mut fast, mut slow) = (0, 0);
        log.note(first);
        assert_eq!(log.since(&mut fast), [first]);
        assert_eq!(log.since(&mut fast), []);
        log.note(second);
        log.note(second);
        assert_eq!(log.since(&mut fast), [second]);
        log.note(first);
        assert_eq!(log.since(&mut slow), [first, second]);
        assert_eq!(log.since(&mut fast), [first]);
    }
}
