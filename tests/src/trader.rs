//! Traders under load that keep a log of what they were told, and hold the exchange to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use joulebook_client::{Client, ClientConfig, Events, Notice};
use joulebook_protocol::Event;
use joulebook_protocol::messages::{
    AccountQuery, CancelOrder, MassCancel, NewOrder, OrderStatus, ReplaceOrder, Stamp,
};
use joulebook_testkit::Xoshiro256pp;
use joulebook_types::{ClientOrderId, InstrumentId, OrderId, Price, Side, SlotHint, TimeInForce, TradeId};
use tokio::sync::{Notify, watch};

use crate::{Daemon, Market, ahead_minute, connect, in_time, limit, now};

/// Requests of one trader that wait for their answers at once.
const WINDOW: usize = 8;

/// Traders with sessions that outlive daemons.
pub struct Traders {
    pub traders: Vec<Trader>,
}

/// What all logs come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Numbered events, over all lives of the exchange.
    pub acks: u64,
    pub orders: u64,
    /// What was acknowledged and is not there any more, or came with a gap before it.
    pub lost: u64,
    /// What happened twice, or is there and was never acknowledged.
    pub doubled: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acks, orders, lost, doubled } = self;
        write!(out, "{acks} acks, {orders} orders, {lost} lost, {doubled} doubled")
    }
}

impl Traders {
    /// Alice, Bob and Carol, who trade two hours.
    pub async fn set_up(
        daemon: &Daemon,
        random: &mut Xoshiro256pp,
        change: impl Fn(&mut ClientConfig),
    ) -> Self {
        let market = Market::open(daemon).await;
        let hours = ["H200S", "TPU6E"].map(|class| Market::hour(class, ahead_minute(24)));
        let instruments = [market.list(hours[0]).await, market.list(hours[1]).await];
        let mut traders = Vec::new();
        for (name, session) in [("alice", 1), ("bob", 1), ("carol", 7)] {
            let (client, events) = connect(daemon, name, session, |config| {
                config.cancel_on_disconnect_ms = u32::MAX;
                config.heartbeat_ms = 300;
                change(config);
            })
            .await;
            let random = Xoshiro256pp::from_seed(random.next_u64());
            let (log, sent) = (AckLog::default(), BTreeSet::new());
            let mut trader = Trader { name, client, events, log, random, instruments, sent };
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
        Self { traders }
    }

    /// Everybody trades until `end` comes to something, which is given back.
    pub async fn trade_until<T>(&mut self, end: impl AsyncFnOnce(&AckCounter) -> T) -> T {
        let counter = AckCounter::default();
        let (stopping, stop) = watch::channel(false);
        let [alice, bob, carol] = &mut self.traders[..] else { panic!("three traders") };
        let ending = async {
            let result = end(&counter).await;
            stopping.send_replace(true);
            result
        };
        let (result, (), (), ()) = tokio::join!(
            ending,
            alice.trade(&counter, stop.clone()),
            bob.trade(&counter, stop.clone()),
            carol.trade(&counter, stop.clone())
        );
        result
    }

    /// Waits for every answer that is due, then compares what the exchange has with what was acknowledged.
    pub async fn check(&mut self) -> Tally {
        for trader in &mut self.traders {
            trader.settle().await;
        }
        // Only now, because what one sends again may trade with another.
        for trader in &mut self.traders {
            trader.check().await;
        }
        check_trades(&self.traders);
        self.tally()
    }

    pub fn tally(&self) -> Tally {
        self.traders.iter().fold(Tally::default(), |sum, trader| Tally {
            acks: sum.acks + trader.log.acks,
            orders: sum.orders + trader.log.accepted.len() as u64,
            lost: sum.lost + trader.log.lost,
            doubled: sum.doubled + trader.log.doubled,
        })
    }

    /// By trader, as they know it.
    pub fn open_orders(&self) -> BTreeMap<&'static str, usize> {
        self.traders.iter().map(|trader| (trader.name, trader.log.open.len())).collect()
    }

    /// When the newest numbered event came, in nanoseconds since 1970.
    pub fn told_ns(&self) -> u64 {
        self.traders.iter().map(|trader| trader.log.told_ns).max().unwrap_or(0)
    }

    pub async fn close(self) {
        for trader in self.traders {
            trader.client.close().await;
        }
    }
}

/// Acknowledgements since the traders began.
#[derive(Default)]
pub struct AckCounter {
    count: AtomicU64,
    changed: Notify,
}

impl AckCounter {
    fn add(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_one();
    }

    /// Waits for so many.
    pub async fn reaches(&self, count: u64) {
        while self.count.load(Ordering::SeqCst) < count {
            in_time(self.changed.notified()).await;
        }
    }
}

pub struct Trader {
    pub name: &'static str,
    pub client: Client,
    pub log: AckLog,
    events: Events,
    random: Xoshiro256pp,
    instruments: [InstrumentId; 2],
    sent: BTreeSet<ClientOrderId>,
}

impl Trader {
    async fn trade(&mut self, counter: &AckCounter, mut stop: watch::Receiver<bool>) {
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

    /// Reads until every request has its answer.
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
        self.log.compare(self.name);
    }

    /// Gives the request that was answered, or 0.
    async fn log_one(&mut self) -> ClientOrderId {
        let notice = in_time(self.events.next()).await.expect("the session goes on");
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
pub struct AckLog {
    pub resumes: u32,
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
    told_ns: u64,
    lost: u64,
    doubled: u64,
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
                if let Some(request) = answers
                    && !self.answered.insert(request)
                {
                    self.doubled(name, format_args!("{request} has a second answer: {event:?}"));
                }
                self.event(name, &event);
            }
            // Recovery brings the outbox back too: what was missed comes again, and no snapshot stands in for it.
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
                if let Some(before) = self.accepted.insert(request, order_id) {
                    self.doubled(name, format_args!("request {request} made {before} and {order_id}"));
                }
                assert!(self.last_order < order_id, "{name}: order {order_id} came late");
                self.last_order = order_id;
                let (price, leaves_qty) = (accepted.price, accepted.qty);
                self.open.insert(order_id, Open { client_order_id: request, price, leaves_qty });
            }
            Event::OrderFilled(fill) => {
                self.numbered(name, &fill.stamp);
                let side = Side::from_raw(fill.side).expect("a side");
                if self.fills.insert((fill.trade_id, side), (fill.price, fill.qty)).is_some() {
                    self.doubled(name, format_args!("trade {} came twice", fill.trade_id));
                }
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
        let want = self.last_event_seq + 1;
        if stamp.event_seq > want {
            self.lost += stamp.event_seq - want;
            println!("LOST: {name}: events {want} to {}", stamp.event_seq - 1);
        } else if stamp.event_seq < want {
            self.doubled(name, format_args!("event {} came after {}", stamp.event_seq, want - 1));
        }
        self.last_event_seq = stamp.event_seq;
        self.acks += 1;
        self.told_ns = now().raw();
    }

    fn compare(&mut self, name: &str) {
        let (open, statuses) = (std::mem::take(&mut self.open), std::mem::take(&mut self.statuses));
        for (order_id, said) in open.iter().filter(|(order_id, said)| statuses.get(order_id) != Some(said)) {
            self.lost += 1;
            println!("LOST: {name}: order {order_id} was {said:?} and is {:?}", statuses.get(order_id));
        }
        for (order_id, is) in statuses.iter().filter(|(order_id, _)| !open.contains_key(order_id)) {
            self.doubled(name, format_args!("order {order_id} should not be open: {is:?}"));
        }
        self.open = open;
    }

    fn doubled(&mut self, name: &str, what: fmt::Arguments<'_>) {
        self.doubled += 1;
        println!("DOUBLED: {name}: {what}");
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
