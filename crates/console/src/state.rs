//! What the daemon feeds and the handlers read.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use joulebook_metrics::{Family, ServerMetrics};
use joulebook_protocol::{Frame, PublicEvent, RejectReason};
use joulebook_types::{InstrumentId, TimeNs};

use crate::frame::{BOOK_LEVELS_MAX, BookRows, FRAME_LEVELS_MAX, InstrumentDetail, MarketView, Overview};
use crate::health::Health;
use crate::history::{History, HistoryColumns};
use crate::latency::{AckLatency, Latency, LatencySource};
use crate::market::Market;
use crate::openmetrics;

/// What runs, as the page's header says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// A line for people, such as `demo: NVIDIA vs Google price war`.
    pub scenario: String,
    /// The seed of its bots, if it has any.
    pub seed: Option<u64>,
    /// When an answer leaves.
    pub ack_mode: AckMode,
    /// Which threads run the steps.
    pub wiring: Wiring,
}

/// When an answer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckMode {
    /// After its command is on disk.
    Durable,
    /// At once.
    Memory,
}

/// How the daemon's steps are spread over threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// Gateway and core take turns on one thread.
    Inline,
    /// Gateway threads and a core thread, rings between.
    Threaded,
}

impl AckMode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Memory => "memory",
        }
    }
}

impl Wiring {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Threaded => "threaded",
        }
    }
}

/// The console's only state, shared by the daemon's threads and the HTTP thread. Every lock is held for a copy, never
/// while text is made or sent.
pub struct ConsoleState {
    info: RunInfo,
    metrics: Arc<ServerMetrics>,
    started: Instant,
    market: Mutex<Market>,
    health: Mutex<Health>,
    history: Mutex<History>,
    ack: Mutex<AckLatency>,
    latency_source: Mutex<Option<Arc<dyn LatencySource>>>,
    /// The last rendered overview: clients whose frames fall together share it.
    overview: Mutex<Option<(Instant, Arc<str>)>>,
}

/// How old an overview may be when another client gets it. Below the interval of frames, so nobody gets one twice.
const OVERVIEW_AGE_MAX: Duration = Duration::from_millis(125);

impl ConsoleState {
    /// An empty market, not ready.
    pub fn new(info: RunInfo, metrics: Arc<ServerMetrics>) -> Arc<Self> {
        Arc::new(Self {
            info,
            metrics,
            started: Instant::now(),
            market: Mutex::default(),
            health: Mutex::default(),
            history: Mutex::default(),
            ack: Mutex::new(AckLatency::new()),
            latency_source: Mutex::default(),
            overview: Mutex::default(),
        })
    }

    /// Takes events over, in the order in which the engine emitted them: one lock for all of them, so hand over whole
    /// batches. Each item is a frame, header and block. Frames that are no public event are passed over.
    pub fn apply_public<'a>(&self, frames: impl IntoIterator<Item = &'a [u8]>) {
        let mut market = lock(&self.market);
        for bytes in frames {
            if let Ok(Some((frame, _))) = Frame::split(bytes)
                && let Ok(event) = PublicEvent::decode(&frame)
            {
                market.apply(&event);
            }
        }
    }

    /// What `/readyz` answers from now on.
    pub fn set_health(&self, health: Health) {
        *lock(&self.health) = health;
    }

    /// Changes some of the checks, for threads that know only their own.
    pub fn update_health(&self, change: impl FnOnce(&mut Health)) {
        change(&mut lock(&self.health));
    }

    /// Shows this source's latency instead of the server's own; `None` goes back to that.
    pub fn set_latency_source(&self, source: Option<Arc<dyn LatencySource>>) {
        *lock(&self.latency_source) = source;
    }

    /// Once a second: a point of the history and the last second's latency.
    pub(crate) fn tick(&self) {
        lock(&self.ack).tick(self.metrics.stage(|gateway| &gateway.ack));
        let (now, best) = {
            let market = lock(&self.market);
            (now(&market), market.best_offers())
        };
        lock(&self.history).add(crate::frame::millis(now), best);
    }

    /// What a WebSocket client gets: at most [`OVERVIEW_AGE_MAX`] old, with its own book. `None` means the first one that is open.
    pub(crate) fn pushed_frame(&self, book: Option<InstrumentId>) -> String {
        let shared = lock(&self.overview).clone();
        let overview = match shared {
            Some((made, text)) if made.elapsed() < OVERVIEW_AGE_MAX => text,
            _ => {
                let text: Arc<str> = self.overview().into();
                *lock(&self.overview) = Some((Instant::now(), Arc::clone(&text)));
                text
            }
        };
        self.with_book(&overview, book)
    }

    /// The same, made now.
    pub(crate) fn frame(&self) -> String {
        self.with_book(&self.overview(), None)
    }

    fn overview(&self) -> String {
        let view = {
            let market = lock(&self.market);
            MarketView::of(&market, now(&market))
        };
        json(&Overview::new(view, &self.info, &self.metrics, self.latency()))
    }

    /// The overview is a JSON object with fields, so one more goes before its closing brace.
    fn with_book(&self, overview: &str, book: Option<InstrumentId>) -> String {
        let rows = {
            let market = lock(&self.market);
            book.or_else(|| market.first_shown()).and_then(|id| {
                let listing = market.listing(id)?;
                Some(BookRows::of(id, listing, FRAME_LEVELS_MAX))
            })
        };
        let fields = overview.strip_suffix('}').expect("the overview is an object");
        format!("{fields},\"book\":{}}}", json(&rows))
    }

    fn latency(&self) -> (Option<Latency>, String) {
        // Cloned out of the lock: the source is foreign code.
        let source = lock(&self.latency_source).clone();
        match source {
            Some(source) => (source.latency(), source.description()),
            None => (lock(&self.ack).latency(), AckLatency::DESCRIPTION.to_owned()),
        }
    }

    pub(crate) fn history(&self) -> HistoryColumns {
        lock(&self.history).columns()
    }

    pub(crate) fn instruments(&self) -> Vec<InstrumentDetail> {
        let market = lock(&self.market);
        market.listings().map(|(id, listing)| InstrumentDetail::of(&market, id, listing)).collect()
    }

    pub(crate) fn book(&self, id: InstrumentId) -> Option<BookRows> {
        let market = lock(&self.market);
        market.listing(id).map(|listing| BookRows::of(id, listing, BOOK_LEVELS_MAX))
    }

    /// What `/readyz` answers now.
    pub fn health(&self) -> Health {
        lock(&self.health).clone()
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Everything for a scrape.
    pub(crate) fn families(&self) -> Vec<Family> {
        let mut families = self.metrics.families(|code| RejectReason::from_raw(code).map(RejectReason::name));
        families.extend(openmetrics::market_families(&lock(&self.market)));
        families.push(openmetrics::ready_family(self.health().is_ready()));
        families
    }
}

/// The clock of frames: it runs on while nothing trades, and an exchange clock that is ahead of ours wins.
fn now(market: &Market) -> TimeNs {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let wall = TimeNs::new(u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX));
    wall.max(market.newest())
}

pub(crate) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data with text keys always renders")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds a lock of the console")
}
