//! Market data without an account.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use joulebook_feed::{FeedChange, FeedReceiver, LEVELS_AND_TRADES, Level};
use joulebook_protocol::messages::InstrumentDefinition;
use joulebook_protocol::{FeedMessage, PublicEvent};
use joulebook_session::{ClientConfig as SessionConfig, ClientOutput, ClientSession};
use joulebook_types::{AccountId, InstrumentId, SessionId, Side, Symbol, Window};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::dial::Dialer;
use crate::line::{Keeper, Line, Owner, RECONNECT_PAUSE_MAX};
use crate::{ClientError, Venue};

/// What to subscribe to. Definitions, phases and yields always come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// Every instrument, listed now or later.
    All,
    Instruments(Vec<InstrumentId>),
}

/// Books, trades and definitions, kept up to date by a task of their own. Clones share them; the last one that is dropped
/// ends the subscription.
#[derive(Clone, Debug)]
pub struct MarketData {
    market: Arc<Market>,
    versions: watch::Receiver<Version>,
}

/// One change after the other, in the order of the feed.
#[derive(Debug)]
pub struct Changes {
    notices: mpsc::Receiver<MarketNotice>,
}

#[derive(Clone, Debug)]
pub enum MarketNotice {
    /// Never `None`, `Resubscribe` or `SnapshotsDone`: those are taken care of.
    Change(FeedChange),
    /// All books are incomplete until they come again; the client tries to get the connection back.
    Disconnected(ClientError),
    /// Everything that was subscribed has its snapshot, the first time and after each reconnect.
    Synced,
    /// The last notice.
    Ended(ClientError),
}

/// Changes that may wait to be read. At that many the client stops reading, and the exchange conflates.
const NOTICES_MAX: usize = 65_536;

impl MarketData {
    /// Connects and subscribes. Books are empty until [`MarketData::synced`].
    pub async fn connect(venue: Venue, subscription: Subscription) -> Result<(Self, Changes), ClientError> {
        let line = Arc::new(Line::new(ClientSession::new(SessionConfig::anonymous())));
        let dialer = Dialer::new(venue)?;
        let receiver = Arc::new(Mutex::new(FeedReceiver::new(LEVELS_AND_TRADES)));
        let (version, versions) = watch::channel(Version::default());
        let (sender, notices) = mpsc::channel(NOTICES_MAX);
        let (logged_on, first_logon) = oneshot::channel();
        let subscriber = Subscriber {
            subscription,
            receiver: receiver.clone(),
            notices: sender,
            backlog: VecDeque::new(),
            version,
            awaited: Vec::new(),
        };
        let market = Arc::new(Market { line: line.clone(), receiver });
        tokio::spawn(Keeper::new(line, dialer, subscriber, logged_on, RECONNECT_PAUSE_MAX).run());
        match first_logon.await {
            Ok(Ok(())) => Ok((Self { market, versions }, Changes { notices })),
            Ok(Err(error)) => Err(error),
            Err(_gone) => Err(ClientError::Config("the runtime is shutting down".to_owned())),
        }
    }

    /// Looks at the books. Short: the feed waits meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&FeedReceiver) -> T) -> T {
        look(&self.market.receiver())
    }

    /// The definition of an instrument by its symbol, if it is listed.
    pub fn instrument(&self, symbol: Symbol) -> Option<InstrumentDefinition> {
        self.read(|feed| {
            let mut definitions = feed.markets().filter_map(|(_, market)| market.definition);
            definitions.find(|definition| {
                let window = Window::new(definition.start_minute, definition.window_minutes);
                (definition.class, definition.area, window) == (symbol.class, symbol.area, Ok(symbol.window))
            })
        })
    }

    /// The best level of a synced book.
    pub fn best(&self, instrument: InstrumentId, side: Side) -> Option<Level> {
        self.read(|feed| feed.market(instrument).filter(|market| market.is_synced())?.book.best(side))
    }

    /// Waits for a change since the last call of this clone.
    pub async fn changed(&mut self) -> Result<(), ClientError> {
        self.versions.changed().await.map_err(|_ended| self.market.line.end())
    }

    /// Waits until everything that was subscribed has its snapshot.
    pub async fn synced(&mut self) -> Result<(), ClientError> {
        let synced = self.versions.wait_for(|version| version.is_synced).await;
        synced.map(|_version| ()).map_err(|_ended| self.market.line.end())
    }
}

impl Changes {
    /// The next notice; `None` after the end.
    pub async fn next(&mut self) -> Option<MarketNotice> {
        self.notices.recv().await
    }
}

#[derive(Debug)]
struct Market {
    line: Arc<Line>,
    receiver: Arc<Mutex<FeedReceiver>>,
}

impl Market {
    fn receiver(&self) -> MutexGuard<'_, FeedReceiver> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        self.line.stop();
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Version {
    changes: u64,
    is_synced: bool,
}

struct Subscriber {
    subscription: Subscription,
    receiver: Arc<Mutex<FeedReceiver>>,
    notices: mpsc::Sender<MarketNotice>,
    backlog: VecDeque<MarketNotice>,
    version: watch::Sender<Version>,
    /// Subscriptions whose snapshots have not all come.
    awaited: Vec<InstrumentId>,
}

impl Subscriber {
    fn receiver(&self) -> MutexGuard<'_, FeedReceiver> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribe(&mut self, line: &Line) {
        let all = [InstrumentId::NONE];
        let instruments = match &self.subscription {
            Subscription::All => all.as_slice(),
            Subscription::Instruments(instruments) => instruments,
        };
        let mut session = line.session();
        for instrument in instruments {
            session.subscribe(*instrument, LEVELS_AND_TRADES, line.clock.now());
        }
        drop(session);
        self.awaited = instruments.to_vec();
    }

    fn on_feed(&mut self, message: &FeedMessage, line: &Line) {
        let change = self.receiver().on_feed(message);
        match change {
            FeedChange::None => {}
            FeedChange::Resubscribe { instrument, fault } => {
                tracing::warn!(instrument = instrument.raw(), ?fault, "book thrown away");
                // A new snapshot comes with a new subscription only.
                let mut session = line.session();
                session.unsubscribe(instrument, line.clock.now());
                session.subscribe(instrument, LEVELS_AND_TRADES, line.clock.now());
            }
            FeedChange::SnapshotsDone { instrument } => self.on_snapshots_done(instrument),
            FeedChange::Refused { instrument, .. } => {
                self.on_snapshots_done(instrument);
                self.changed(change);
            }
            FeedChange::Level { .. }
            | FeedChange::Trade(_)
            | FeedChange::Indication(_)
            | FeedChange::Snapshot { .. }
            | FeedChange::Definition { .. }
            | FeedChange::Yields => self.changed(change),
        }
    }

    fn on_public(&mut self, event: &PublicEvent) {
        let change = self.receiver().on_public(event);
        if change != FeedChange::None {
            self.changed(change);
        }
    }

    fn on_snapshots_done(&mut self, subscription: InstrumentId) {
        let Some(index) = self.awaited.iter().position(|awaited| *awaited == subscription) else { return };
        self.awaited.swap_remove(index);
        if self.awaited.is_empty() {
            self.version.send_modify(|version| version.is_synced = true);
            self.notify(MarketNotice::Synced);
        }
    }

    fn changed(&mut self, change: FeedChange) {
        self.version.send_modify(|version| version.changes += 1);
        self.notify(MarketNotice::Change(change));
    }

    fn notify(&mut self, notice: MarketNotice) {
        self.backlog.push_back(notice);
        self.pass_on();
    }
}

impl Owner for Subscriber {
    fn account(&self) -> AccountId {
        AccountId::NONE
    }

    fn session(&self) -> SessionId {
        SessionId::NONE
    }

    /// Never asked: an anonymous session proves nothing.
    fn sign(&self, _bytes: &[u8]) -> [u8; 64] {
        [0; 64]
    }

    fn on_output(&mut self, output: ClientOutput, line: &Line) {
        match output {
            ClientOutput::LoggedOn(_) => self.subscribe(line),
            ClientOutput::Feed(message) => self.on_feed(&message, line),
            ClientOutput::Public(event) => self.on_public(&event),
            ClientOutput::CaughtUp
            | ClientOutput::Event { .. }
            | ClientOutput::Refused(_)
            | ClientOutput::Sign(_)
            | ClientOutput::LogonRejected(_)
            | ClientOutput::Closed(_) => {}
        }
    }

    fn on_lost(&mut self, why: &ClientError) {
        self.receiver().on_disconnected();
        self.version.send_modify(|version| version.is_synced = false);
        self.notify(MarketNotice::Disconnected(why.clone()));
    }

    fn on_end(&mut self, why: &ClientError) {
        self.receiver().on_disconnected();
        self.notify(MarketNotice::Ended(why.clone()));
    }

    fn is_full(&self) -> bool {
        !self.backlog.is_empty()
    }

    async fn room(&self) {
        let _ = self.notices.reserve().await;
    }

    fn pass_on(&mut self) {
        while let Some(notice) = self.backlog.pop_front() {
            match self.notices.try_send(notice) {
                Ok(()) => {}
                Err(TrySendError::Full(notice)) => {
                    self.backlog.push_front(notice);
                    return;
                }
                // Nobody listens; the books are kept all the same.
                Err(TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
    }
}
