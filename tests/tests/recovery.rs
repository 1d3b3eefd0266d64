//! SIGKILL under load, again and again: what was acknowledged is there, and nothing happened twice.
//!
//! The log of acknowledgements is this process's own. After every kill the exchange is asked what it has, and its answer
//! must be what the log says: same orders, same prices, same lots.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use joulebook_client::{Client, Events, Notice};
use joulebook_protocol::Event;
use joulebook_protocol::messages::{
    AccountQuery, CancelOrder, MassCancel, NewOrder, OrderStatus, ReplaceOrder, Stamp,
};
use joulebook_testkit::Xoshiro256pp;
use joulebook_tests::{Daemon, Market, PATIENCE, ahead_minute, block_on, connect, limit, run, steady_port};
use joulebook_types::{ClientOrderId, InstrumentId, OrderId, Price, Side, SlotHint, TimeInForce, TradeId};
use tokio::sync::{Notify, watch};

/// In each wiring.
const KILLS: u32 = 12;
/// A life with fewer acknowledgements may end before it lasted.
const BRIEF: u64 = 50;
/// More than the second after which a client trusts a connection.
const LASTING: Duration = Duration::from_millis(1_100);
/// Requests of one trader that wait for their answers at once.
const WINDOW: usize = 8;

#[test]
fn killed_inline_nothing_is_lost_or_doubled() {
    survive_kills("inline", 0x0001_11e5);
}

#[test]
fn killed_threaded_nothing_is_lost_or_doubled() {
    survive_kills("threaded", 0x7e4e_aded);
}

fn survive_kills(wiring: &str, seed: u64) {
    println!("seed {seed:#x}");
    let dir = tempfile::tempdir().expect("a folder");
    block_on(async {
        let mut random = Xoshiro256pp::from_seed(seed);
        let gateway = format!("gateway.listen=127.0.0.1:{}", steady_port());
        let flags = ["--wiring", wiring, "--set", &gateway];
        let mut daemon = Daemon::start(dir.path(), &flags);
        let mut traders = set_up(&daemon, &mut random).await;
        for kill in 0..KILLS {
            // Also at once, while sessions still resume, and in the middle of whatever happens.
            let acks = if kill % 4 == 3 { random.below(20) } else { random.between(BRIEF, 2_500) };
            load_until_killed(&mut traders, daemon, acks).await;
            if kill % 4 == 0 {
                check_journal(dir.path());
            }
            daemon = Daemon::start(dir.path(), &flags);
            for trader in &mut traders {
                trader.settle().await;
            }
            // Only now, because what one sends again may trade with another.
            for trader in &mut traders {
                trader.check().await;
            }
            check_trades(&traders);
        }
        let acked: usize = traders.iter().map(|trader| trader.log.accepted.len()).sum();
        println!("{wiring}: {KILLS} kills, {acked} orders acknowledged");
        assert!(acked > 1_000, "{acked} orders are no load");
        assert!(traders.iter().all(|trader| trader.log.resumes >= KILLS), "each resumed after every kill");
        for trader in traders {
            trader.client.close().await;
        }
        let log = daemon.stderr();
        let (status, printed) = daemon.stop();
        assert!(status.success() && printed.contains("stopped at sequence"), "{printed}{log}");
        check_journal(dir.path());
        let segments = std::fs::read_dir(dir.path().join("journal")).expect("a journal").count();
        assert!(segments >= 3, "{segments} files: no boundary was crossed");
    });
}

async fn set_up(daemon: &Daemon, random: &mut Xoshiro256pp) -> Vec<Trader> {
    let market = Market::open(daemon).await;
    let hours = ["H200S", "TPU6E"].map(|class| Market::hour(class, ahead_minute(24)));
    let instruments = [market.list(hours[0]).await, market.list(hours[1]).await];
    let mut traders = Vec::new();
    for (name, session) in [("alice", 1), ("bob", 1), ("carol", 7)] {
        let (client, events) = connect(daemon, name, session, |config| {
            config.cancel_on_disconnect_ms = u32::MAX;
            config.heartbeat_ms = 300;
        })
        .await;
        let log = AckLog::default();
        let random = Xoshiro256pp::from_seed(random.next_u64());
        let mut trader = Trader { name, client, events, log, random, instruments, sent: BTreeSet::new() };
        for hour in &hours {
            // Its answer is an event like any other, and the log takes it as the answer to a request.
            market.register(&trader.client, hour, 20_000).await;
            let registration = trader.log_one().await;
            trader.sent.insert(registration);
        }
        traders.push(trader);
    }
    market.operator.close().await;
    market.issuer.close().await;
    traders
}

/// Everybody trades; after so many acknowledgements the daemon is gone without a word.
async fn load_until_killed(traders: &mut [Trader], daemon: Daemon, acks: u64) {
    let counter = Counter::default();
    let (killed, stop) = watch::channel(false);
    let [alice, bob, carol] = traders else { panic!("three traders") };
    let kill = async {
        // Clients whose connections never last reconnect ever more slowly.
        counter.reaches(acks, if acks < BRIEF { Duration::ZERO } else { LASTING }).await;
        daemon.kill();
        killed.send_replace(true);
    };
    tokio::join!(
        kill,
        alice.trade(&counter, stop.clone()),
        bob.trade(&counter, stop.clone()),
        carol.trade(&counter, stop.clone())
    );
}

/// Acknowledgements of one life of the daemon.
#[derive(Default)]
struct Counter {
    count: AtomicU64,
    changed: Notify,
}

impl Counter {
    fn add(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_one();
    }

    /// Looks at the clock with each acknowledgement, so that it is never an idle exchange that dies.
    async fn reaches(&self, count: u64, lasting: Duration) {
        let start = Instant::now();
        while self.count.load(Ordering::SeqCst) < count || start.elapsed() < lasting {
            let left = PATIENCE.saturating_sub(start.elapsed());
            within(left, "acknowledgements", self.changed.notified()).await;
        }
    }
}

struct Trader {
    name: &'static str,
    client: Client,
    events: Events,
    log: AckLog,
    random: Xoshiro256pp,
    instruments: [InstrumentId; 2],
    sent: BTreeSet<ClientOrderId>,
}

impl Trader {
    async fn trade(&mut self, counter: &Counter, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow_and_update() {
            while self.client.unanswered() < WINDOW {
                self.act();
            }
            tokio::select! {
                notice = self.events.next() => {
                    let before = self.log.acks;
                    self.log.record(self.name, notice.expect("the session goes on"));
                    (before..self.log.acks).for_each(|_| counter.add());
                }
                _ = stop.changed() => {}
            }
        }
    }

    /// Sends something that a trader might.
    fn act(&mut self) {
        let named = self.pick_order();
        let choice = self.random.below(100);
        let price = self.random.between(9_950, 10_050) as i64;
        let lots = self.random.between(1, 9) as u32;
        let side = *self.random.pick(&[Side::Buy, Side::Sell]);
        let order = limit(*self.random.pick(&self.instruments), side, lots, price);
        let sent = self.client.submit(|client_order_id| match (named, choice) {
            (Some(order_id), 0..30) => {
                CancelOrder { client_order_id, order_id, slot: SlotHint::UNKNOWN, ..CancelOrder::default() }
                    .into()
            }
            (Some(order_id), 30..60) => ReplaceOrder {
                client_order_id,
                order_id,
                price: order.price,
                qty: lots,
                slot: SlotHint::UNKNOWN,
                ..ReplaceOrder::default()
            }
            .into(),
            (_, 60) => {
                let scope = MassCancel::SCOPE_SESSION;
                MassCancel { client_order_id, scope, ..MassCancel::default() }.into()
            }
            (_, 61..70) => {
                let time_in_force = TimeInForce::Ioc.raw();
                NewOrder { client_order_id, time_in_force, ..order }.into()
            }
            _ => NewOrder { client_order_id, ..order }.into(),
        });
        self.sent.insert(sent.expect("the session keeps requests while the exchange is away"));
    }

    fn pick_order(&mut self) -> Option<OrderId> {
        let from = OrderId::new(self.random.below(self.log.last_order.raw() + 1));
        self.log.open.range(from..).next().map(|(order_id, _)| *order_id)
    }

    /// Reads until every request of before the kill has its answer.
    async fn settle(&mut self) {
        while self.log.answered.len() < self.sent.len() {
            self.log_one().await;
        }
        assert_eq!(self.client.unanswered(), 0, "{}", self.name);
        assert!(self.sent.iter().all(|id| self.log.answered.contains(id)), "{}", self.name);
    }

    /// What the exchange says is open must be what the log says.
    async fn check(&mut self) {
        let query = self.client.submit(|client_order_id| AccountQuery { client_order_id }.into());
        self.sent.insert(query.expect("a query"));
        self.log.statuses.clear();
        while self.log.answered.len() < self.sent.len() {
            self.log_one().await;
        }
        assert_eq!(self.log.statuses, self.log.open, "open orders of {}", self.name);
    }

    /// Gives the request that was answered, or 0.
    async fn log_one(&mut self) -> ClientOrderId {
        let notice = within(PATIENCE, "a notice", self.events.next()).await;
        let notice = notice.expect("the session goes on");
        let answers = match &notice {
            Notice::Event { answers, .. } => answers.unwrap_or(ClientOrderId::NONE),
            _ => ClientOrderId::NONE,
        };
        self.log.record(self.name, notice);
        answers
    }
}

/// What a trader was told, in the order in which it was told.
#[derive(Default)]
struct AckLog {
    last_event_seq: u64,
    last_order: OrderId,
    /// Orders that were accepted, by the request.
    accepted: BTreeMap<ClientOrderId, OrderId>,
    open: BTreeMap<OrderId, Open>,
    /// What the last query said is open.
    statuses: BTreeMap<OrderId, Open>,
    /// Requests with their one answer.
    answered: BTreeSet<ClientOrderId>,
    fills: BTreeMap<(TradeId, Side), (Price, u32)>,
    acks: u64,
    resumes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    client_order_id: ClientOrderId,
    price: Price,
    leaves_qty: u32,
}

impl AckLog {
    fn record(&mut self, name: &str, notice: Notice) {
        match notice {
            Notice::Event { event, answers } => {
                if let Some(request) = answers {
                    assert!(
                        self.answered.insert(request),
                        "{name}: {request} has a second answer: {event:?}"
                    );
                }
                self.event(name, &event);
            }
            // Recovery is replay: what was missed comes again, and no snapshot has to stand in for it.
            Notice::Resumed { snapshot } => {
                assert!(!snapshot, "{name} got a snapshot");
                self.resumes += 1;
            }
            Notice::Disconnected(_) => {}
            Notice::Refused(refused) => panic!("{name} was refused: {refused:?}"),
            Notice::Ended(error) => panic!("{name}'s session ended: {error}"),
        }
    }

    fn event(&mut self, name: &str, event: &Event) {
        match event {
            Event::OrderAccepted(accepted) => {
                self.numbered(name, &accepted.stamp);
                let (request, order_id) = (accepted.client_order_id, accepted.order_id);
                let before = self.accepted.insert(request, order_id);
                assert_eq!(before, None, "{name}: request {request} made two orders");
                assert!(self.last_order < order_id, "{name}: order {order_id} came late");
                self.last_order = order_id;
                let (price, leaves_qty) = (accepted.price, accepted.qty);
                self.open.insert(order_id, Open { client_order_id: request, price, leaves_qty });
            }
            Event::OrderFilled(fill) => {
                self.numbered(name, &fill.stamp);
                let side = Side::from_raw(fill.side).expect("a side");
                let doubled = self.fills.insert((fill.trade_id, side), (fill.price, fill.qty));
                assert_eq!(doubled, None, "{name}: trade {} came twice", fill.trade_id);
                let open = self.open.get_mut(&fill.order_id).expect("only open orders trade");
                assert_eq!(open.leaves_qty, fill.leaves_qty + fill.qty, "{name}: {fill:?}");
                open.leaves_qty = fill.leaves_qty;
                if fill.leaves_qty == 0 {
                    self.open.remove(&fill.order_id);
                }
            }
            Event::OrderCanceled(canceled) => {
                self.numbered(name, &canceled.stamp);
                let open = self.open.remove(&canceled.order_id).expect("only open orders are canceled");
                assert_eq!(open.leaves_qty, canceled.canceled_qty, "{name}: {canceled:?}");
            }
            Event::OrderReplaced(replaced) => {
                self.numbered(name, &replaced.stamp);
                let open = self.open.get_mut(&replaced.order_id).expect("only open orders are replaced");
                (open.price, open.leaves_qty) = (replaced.price, replaced.leaves_qty);
            }
            Event::RequestRejected(rejected) => self.numbered(name, &rejected.stamp),
            Event::MassCancelDone(done) => {
                self.numbered(name, &done.stamp);
                assert_eq!(self.open.len(), 0, "{name}: a mass cancel left orders behind");
            }
            Event::RequestDone(done) => self.numbered(name, &done.stamp),
            Event::OrderStatus(status) => {
                let OrderStatus { client_order_id, price, leaves_qty, .. } = *status;
                self.statuses.insert(status.order_id, Open { client_order_id, price, leaves_qty });
            }
            // The answers that were missed are sent again before requests are, so none is answered as a repeat.
            // Nobody here sends stops, sweeps or quotes.
            Event::RequestRepeated(_)
            | Event::TokenOrderDone(_)
            | Event::OrderTriggered(_)
            | Event::LegDone(_)
            | Event::SweepDone(_)
            | Event::MassQuoteAck(_)
            | Event::QuoteRejected(_)
            | Event::ProtectionTriggered(_) => panic!("{name}: {event:?}"),
            Event::CreditBalance(_) | Event::CapacityBalance(_) | Event::SnapshotEnd(_) => {}
        }
    }

    /// Numbers have no gap over all lives of daemon and connection.
    fn numbered(&mut self, name: &str, stamp: &Stamp) {
        assert_eq!(stamp.event_seq, self.last_event_seq + 1, "{name}: an event is missing or doubled");
        self.last_event_seq = stamp.event_seq;
        self.acks += 1;
    }
}

/// Everybody has caught up, so each trade has its two sides, and they agree.
fn check_trades(traders: &[Trader]) {
    let mut trades: BTreeMap<TradeId, BTreeMap<Side, (Price, u32)>> = BTreeMap::new();
    for trader in traders {
        for ((trade, side), terms) in &trader.log.fills {
            let doubled = trades.entry(*trade).or_default().insert(*side, *terms);
            assert_eq!(doubled, None, "two accounts were on one side of trade {trade}");
        }
    }
    for (trade, sides) in &trades {
        assert!(sides.len() == 2 && sides[&Side::Buy] == sides[&Side::Sell], "trade {trade}: {sides:?}");
    }
}

/// Another process replays what the disk has.
fn check_journal(dir: &Path) {
    let replay = run(&["replay", dir.to_str().expect("a path in UTF-8")]);
    let (printed, error) = (String::from_utf8_lossy(&replay.stdout), String::from_utf8_lossy(&replay.stderr));
    assert!(replay.status.success() && printed.contains("balances   conserved"), "{printed}{error}");
}

async fn within<T>(time: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(time, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
