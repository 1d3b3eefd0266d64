//! The market from the outside: late joiners, delivery from listing to money, and an exchange where nothing happens.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use joulebook_client::{Client, Events, Folder, MarketData, Notice, Subscription};
use joulebook_protocol::messages::{
    AccountQuery, CancelOrder, CreditBalance, DeliverSlot, Heartbeat, ListInstrument, Logon, NewOrder,
    OrderStatus,
};
use joulebook_protocol::{CancelReason, Event, RejectReason, SessionMessage};
use joulebook_testkit::Xoshiro256pp;
use joulebook_tests::{
    Daemon, Market, RawConnection, Received, Signer, ahead_minute, block_on, connect, http_json_until,
    in_time, limit, now,
};
use joulebook_types::{ClientOrderId, InstrumentId, MicroEc, Price, Side};

/// Lots and orders at a price.
type Levels = BTreeMap<(Side, Price), (u64, u32)>;

#[test]
fn a_late_joiner_sees_the_engines_book() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let market = Market::open(&daemon).await;
        let hour = Market::hour("H200S", ahead_minute(24));
        let instrument = market.list(hour).await;
        let mut traders = Vec::new();
        for name in ["alice", "bob", "carol"] {
            let trader = connect(&daemon, name, 1, |_| ()).await;
            market.register(&trader.0, &hour, 100_000).await;
            traders.push(trader);
        }
        let join = || async {
            let venue = Folder::new(&daemon.dir).venue().expect("a venue");
            MarketData::connect(venue, Subscription::Instruments(vec![instrument]))
                .await
                .expect("market data")
        };
        let mut random = Xoshiro256pp::from_seed(3);
        let mut joined = vec![join().await];
        for _ in 0..3 {
            for _ in 0..300 {
                let (trader, _) = random.pick(&traders);
                trade(trader, instrument, &mut random);
            }
            // While those are under way.
            joined.push(join().await);
        }
        // A query's answer stands behind everything that its trader asked before, but not behind what others did.
        for (client, events) in &mut traders {
            query(client, events).await;
        }
        let mut truth = Levels::new();
        for (client, events) in &mut traders {
            for status in query(client, events).await.0 {
                let side = Side::from_raw(status.side).expect("a side");
                let level = truth.entry((side, status.price)).or_default();
                *level = (level.0 + u64::from(status.leaves_qty), level.1 + 1);
            }
        }
        assert!(truth.len() > 20, "{truth:?}");
        for (data, _changes) in &mut joined {
            in_time(data.synced()).await.expect("synced");
            while levels(data, instrument) != truth {
                in_time(data.changed()).await.expect("market data goes on");
            }
        }
        let path = format!("/api/book/{}", instrument.raw());
        http_json_until(daemon.http, &path, |book| page_levels(book) == truth);
    });
}

fn trade(client: &Client, instrument: InstrumentId, random: &mut Xoshiro256pp) {
    let side = *random.pick(&[Side::Buy, Side::Sell]);
    let order = limit(instrument, side, random.between(1, 9) as u32, random.between(980, 1_020) as i64);
    let sent = client.submit(|client_order_id| NewOrder { client_order_id, ..order }.into());
    let sent = sent.expect("sent");
    if random.chance(1, 4) {
        let cancel =
            |client_order_id| CancelOrder { client_order_id, target: sent, ..CancelOrder::default() }.into();
        client.submit(cancel).expect("sent");
    }
}

fn levels(data: &MarketData, instrument: InstrumentId) -> Levels {
    data.read(|feed| {
        let mut levels = Levels::new();
        for side in [Side::Buy, Side::Sell] {
            for level in feed.market(instrument).into_iter().flat_map(|market| market.book.levels(side)) {
                levels.insert((side, level.price), (level.qty, level.orders));
            }
        }
        levels
    })
}

/// The page has its numbers for people: prices in credits.
fn page_levels(book: &serde_json::Value) -> Levels {
    let mut levels = Levels::new();
    for (side, name) in [(Side::Buy, "bids"), (Side::Sell, "asks")] {
        for level in book[name].as_array().expect("levels") {
            let number = |index: usize| level[index].as_f64().expect("a number");
            let price = Price::new((number(0) * 1e6).round() as i64);
            levels.insert((side, price), (number(1) as u64, number(2) as u32));
        }
    }
    levels
}

/// Open orders and credits, asked for; events on the way are dropped.
async fn query(client: &Client, events: &mut Events) -> (Vec<OrderStatus>, CreditBalance) {
    let query = client.submit(|client_order_id| AccountQuery { client_order_id }.into()).expect("sent");
    let (mut open, mut credits) = (Vec::new(), CreditBalance::default());
    loop {
        match in_time(events.next()).await.expect("the session goes on") {
            Notice::Event { event: Event::OrderStatus(status), .. } => open.push(status),
            Notice::Event { event: Event::CreditBalance(balance), .. } => credits = balance,
            Notice::Event { event: Event::SnapshotEnd(_), answers } if answers == Some(query) => {
                return (open, credits);
            }
            Notice::Event { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn delivery_releases_what_waited_in_escrow() {
    let dir = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start(dir.path(), &[]);
    block_on(async {
        let market = Market::open(&daemon).await;
        let hour = Market::hour("H200S", ahead_minute(24));
        let gate = now().saturating_add_ms(2_500);
        let instrument = market.list(ListInstrument { gate, ..hour }).await;
        let (alice, mut events) = connect(&daemon, "alice", 1, |_| ()).await;
        let (bob, _bobs_events) = connect(&daemon, "bob", 1, |_| ()).await;
        let (meter, _meters_events) = connect(&daemon, "meter", 1, |_| ()).await;
        market.register(&alice, &hour, 10).await;
        alice.place(limit(instrument, Side::Sell, 6, 1_250)).await.expect("before the gate");
        bob.place(limit(instrument, Side::Buy, 5, 1_250)).await.expect("before the gate");
        // Five lots of eight accelerators for an hour at 12.50.
        let sold = MicroEc::from_ec(500);
        let deposit = MicroEc::from_ec(10_000_000);
        let (_, credits) = query(&alice, &mut events).await;
        assert_eq!((credits.free, credits.held, credits.escrow), (deposit, MicroEc::ZERO, sold));

        let early = deliver(&meter, &hour).await;
        assert_eq!(early, [Err(RejectReason::SlotStillTrading); 4]);
        let canceled = loop {
            if let Some(Notice::Event { event: Event::OrderCanceled(canceled), .. }) =
                in_time(events.next()).await
            {
                break canceled;
            }
        };
        assert_eq!(CancelReason::from_raw(canceled.reason), Some(CancelReason::GateClosed));
        let trader = deliver(&alice, &hour).await;
        assert_eq!(trader, [Err(RejectReason::NotAuthorised); 4], "no seller says so itself");
        let delivered = deliver(&meter, &hour).await;
        assert_eq!(delivered, [Ok(125_000_000); 4], "a quarter of the money for each quarter hour");
        let (_, credits) = query(&alice, &mut events).await;
        let all = deposit.checked_add(sold).expect("a balance");
        assert_eq!((credits.free, credits.held, credits.escrow), (all, MicroEc::ZERO, MicroEc::ZERO));
        assert_eq!(deliver(&meter, &hour).await, [Err(RejectReason::NothingToDeliver); 4], "once");
    });
    assert!(daemon.stop().0.success());
    let replay = joulebook_tests::run(&["replay", dir.path().to_str().expect("UTF-8")]);
    assert!(String::from_utf8_lossy(&replay.stdout).contains("balances   conserved"), "{replay:?}");
}

/// Says that each quarter hour of the window was delivered: the micro-EC that were released, or why none were.
async fn deliver(client: &Client, hour: &ListInstrument) -> Vec<Result<u64, RejectReason>> {
    let mut results = Vec::new();
    for slot in Market::symbol(hour).window.slots() {
        let done = client
            .request(|client_order_id| {
                let (class, area) = (hour.class, hour.area);
                DeliverSlot { client_order_id, class, area, slot, ..DeliverSlot::default() }.into()
            })
            .await;
        results.push(match done {
            Ok(done) => Ok(done.result),
            Err(joulebook_client::Rejection::Rejected(rejected)) => {
                Err(RejectReason::from_raw(rejected.reason).expect("a known code"))
            }
            Err(other) => panic!("{other}"),
        });
    }
    results
}

#[test]
fn an_idle_exchange_leaves_the_processor_alone() {
    for wiring in ["inline", "threaded"] {
        let dir = tempfile::tempdir().expect("a folder");
        let daemon = Daemon::start(dir.path(), &["--wiring", wiring]);
        block_on(async {
            let market = Market::open(&daemon).await;
            let instrument = market.list(Market::hour("H200S", ahead_minute(24))).await;
            let line = RawConnection::open(&daemon).await;
            let logon = Logon { heartbeat_ms: 1_000, ..Default::default() };
            let (mut stream, _) = line.log_on(&Signer::of(&daemon, "alice"), 1, logon).await;
            stream.command(limit_with_id(instrument)).await;
            stream.next().await;
            let (began, before) = (Instant::now(), processor_time(daemon.pid()));
            // Three seconds in which nothing is said but that.
            for _ in 0..3 {
                let heartbeat = stream.next_or_heartbeat().await;
                assert!(
                    matches!(heartbeat, Received::Session(SessionMessage::Heartbeat(_))),
                    "{heartbeat:?}"
                );
                stream.send(&Heartbeat::default()).await;
            }
            let used = processor_time(daemon.pid()).saturating_sub(before);
            let share = used.as_secs_f64() / began.elapsed().as_secs_f64();
            assert!(share < 0.02, "{wiring}: {:.2} % of a core", share * 100.0);
        });
    }
}

fn limit_with_id(instrument: InstrumentId) -> NewOrder {
    let client_order_id = ClientOrderId::new(1);
    NewOrder { client_order_id, ..limit(instrument, Side::Buy, 1, 500) }
}

/// What all threads of a process have run so far.
fn processor_time(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let run_ns = tasks.map(|task| {
        let text = fs::read_to_string(task.expect("a thread").path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or_default()
    });
    Duration::from_nanos(run_ns.sum())
}
