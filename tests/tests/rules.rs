//! Halts, auctions, stops, quotes and kill switches from the outside: the command line against the daemon, watched over the
//! SDK.
#![forbid(unsafe_code)]

use std::process::Output;

use joulebook_client::{Changes, Client, Events, Folder, MarketData, MarketNotice, Notice, Subscription};
use joulebook_feed::FeedChange;
use joulebook_protocol::Event;
use joulebook_protocol::messages::{FeedIndication, FeedTrade, NewOrder};
use joulebook_tests::{
    Daemon, Market, ahead_minute, block_on, connect, http_json_until, in_time, joulebook, limit, run_command,
};
use joulebook_types::{InstrumentId, OrderType, Phase, Price, Side, Trigger};

/// An open hour with capacity for everybody, somebody who watches it, and Bob, who trades over the SDK.
struct Floor {
    daemon: Daemon,
    symbol: String,
    /// The hour after it, which is not listed.
    next: String,
    instrument: InstrumentId,
    feed: MarketData,
    changes: Changes,
    bob: Client,
    bobs_events: Events,
    _dir: tempfile::TempDir,
}

impl Floor {
    async fn open() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let daemon = Daemon::start(dir.path(), &[]);
        let market = Market::open(&daemon).await;
        let hour = Market::hour("H200S", ahead_minute(24));
        let instrument = market.list(hour).await;
        for name in ["alice", "bob", "carol"] {
            let (seller, _events) = connect(&daemon, name, 2, |_| ()).await;
            market.register(&seller, &hour, 1_000).await;
        }
        let (feed, changes) = watch(&daemon).await;
        let (bob, bobs_events) = connect(&daemon, "bob", 1, |_| ()).await;
        let symbol = Market::symbol(&hour).to_string();
        let next = Market::symbol(&Market::hour("H200S", hour.start_minute + 60)).to_string();
        Self { daemon, symbol, next, instrument, feed, changes, bob, bobs_events, _dir: dir }
    }

    /// What a command prints; `SYM` in it stands for the hour and `NEXT` for the one after it.
    fn cli(&self, line: &str) -> String {
        let output = self.run(line);
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        assert!(output.status.success(), "`{line}`: {stdout}{stderr}");
        stdout.into_owned()
    }

    /// What it says when it is refused.
    fn refused(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(1), "`{line}`");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn run(&self, line: &str) -> Output {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| word.replace("SYM", &self.symbol).replace("NEXT", &self.next))
            .collect();
        let mut command = joulebook(&words.iter().map(String::as_str).collect::<Vec<_>>());
        command.env("JOULEBOOK_DIR", &self.daemon.dir);
        run_command(command)
    }

    /// The first change on the feed that `wanted` accepts.
    async fn until<T>(&mut self, mut wanted: impl FnMut(FeedChange) -> Option<T>) -> T {
        loop {
            match in_time(self.changes.next()).await.expect("market data goes on") {
                MarketNotice::Change(change) => {
                    if let Some(found) = wanted(change) {
                        return found;
                    }
                }
                MarketNotice::Synced => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn until_phase(&mut self, phase: Phase) {
        let is_there = |feed: &MarketData, instrument| {
            feed.read(|feed| feed.market(instrument).and_then(|market| market.phase()) == Some(phase))
        };
        while !is_there(&self.feed, self.instrument) {
            in_time(self.feed.changed()).await.expect("market data goes on");
        }
    }

    /// The next thing that Bob is told.
    async fn bob_hears(&mut self) -> Event {
        match in_time(self.bobs_events.next()).await.expect("the session goes on") {
            Notice::Event { event, .. } => event,
            other => panic!("{other:?}"),
        }
    }
}

async fn watch(daemon: &Daemon) -> (MarketData, Changes) {
    let venue = Folder::new(&daemon.dir).venue().expect("a venue");
    let (mut feed, changes) = MarketData::connect(venue, Subscription::All).await.expect("market data");
    in_time(feed.synced()).await.expect("synced");
    (feed, changes)
}

fn cents(cents: i64) -> Price {
    Price::new(cents * 10_000)
}

#[test]
fn a_halt_a_call_and_its_uncross() {
    block_on(async {
        let mut floor = Floor::open().await;
        assert!(floor.cli("order sell SYM 10 27.00").contains("accepted  order 1"));
        assert_eq!(floor.cli("admin phase halted --class H200S"), "instruments changed to halted: 1\n");
        floor.until_phase(Phase::Halted).await;
        let said = floor.refused("order buy SYM 1 27.00 --as bob");
        assert!(said.contains("NotOpen"), "{said}");
        assert!(floor.cli("book SYM").lines().next().expect("a title").ends_with("halted"));

        // The call: bids stand above asks, and nothing trades.
        floor.cli("admin phase auction SYM");
        in_time(floor.bob.place(limit(floor.instrument, Side::Buy, 6, 2_800))).await.expect("accepted");
        assert!(floor.cli("order sell SYM 4 26.00 --as carol").contains("accepted"));
        let indication = floor
            .until(|change| match change {
                FeedChange::Indication(indication) if indication.volume == 6 => Some(indication),
                _ => None,
            })
            .await;
        let FeedIndication { price, surplus, .. } = indication;
        assert_eq!((price, surplus), (cents(2_700), -8), "6 are wanted, 14 offered at 27.00");
        let crossed = floor.feed.read(|feed| feed.market(floor.instrument).map(|m| m.book.is_crossed()));
        assert_eq!(crossed, Some(true));

        // Whoever comes now sees the same: on the feed, on the command line, on the page.
        let (late, _changes) = watch(&floor.daemon).await;
        let known = late.read(|feed| feed.market(floor.instrument).and_then(|market| market.indication));
        assert_eq!(known, Some(indication));
        let title = "auction: 6 lots would trade at 27.00, 8 more to sell";
        assert!(floor.cli("instruments").contains(title) && floor.cli("book SYM").contains(title));
        let page = format!("/api/book/{}", floor.instrument.raw());
        http_json_until(floor.daemon.http, &page, |book| {
            book["auction"] == serde_json::json!({"price": 27.0, "volume": 6, "surplus": -8})
        });

        floor.cli("admin phase open SYM");
        let trades = [4, 2];
        for lots in trades {
            let trade = floor
                .until(|change| match change {
                    FeedChange::Trade(trade) => Some(trade),
                    _ => None,
                })
                .await;
            let FeedTrade { price, qty, aggressor, .. } = trade;
            assert_eq!((price, qty, aggressor), (cents(2_700), lots, 0), "one price, and nobody took");
        }
        floor.until_phase(Phase::Open).await;
        let fills = [floor.bob_hears().await, floor.bob_hears().await, floor.bob_hears().await];
        assert!(matches!(fills[0], Event::OrderAccepted(_)));
        for (fill, (lots, leaves)) in fills[1..].iter().zip([(4, 2), (2, 0)]) {
            let Event::OrderFilled(fill) = fill else { panic!("{fill:?}") };
            assert_eq!((fill.qty, fill.leaves_qty, fill.liquidity), (lots, leaves, 3));
        }
        let left = floor.feed.read(|feed| {
            let market = feed.market(floor.instrument).expect("listed");
            (market.book.best(Side::Sell).map(|level| level.qty), market.book.is_crossed(), market.indication)
        });
        assert_eq!(left, (Some(8), false, None));
    });
}

#[test]
fn stops_fire_quotes_stand_and_the_switch_takes_them_out() {
    block_on(async {
        let mut floor = Floor::open().await;
        let stop = NewOrder {
            price: Price::ZERO,
            order_type: OrderType::Market.raw(),
            trigger: Trigger::Stop.raw(),
            trigger_price: cents(2_750),
            ..limit(floor.instrument, Side::Buy, 1, 0)
        };
        let waiting = in_time(floor.bob.place(stop)).await.expect("accepted");
        assert!(matches!(floor.bob_hears().await, Event::OrderAccepted(_)));
        let shown = floor.cli("account --as bob");
        // It belongs to another session of the account.
        assert!(!shown.contains("open      order"), "{shown}");
        floor.cli("order sell SYM 3 27.60 --show 2");
        let said = floor.cli("order buy SYM --budget 300 --as carol");
        assert!(
            said.contains("buy 1 lot at 27.60") && said.contains("done      bought for 220.80 EC"),
            "{said}"
        );
        let Event::OrderTriggered(triggered) = floor.bob_hears().await else { panic!("no trigger") };
        assert_eq!((triggered.order_id, triggered.print_price), (waiting.order_id, cents(2_760)));
        let Event::OrderFilled(fill) = floor.bob_hears().await else { panic!("no fill") };
        assert_eq!((fill.qty, fill.price, fill.liquidity), (1, cents(2_760), 2));

        assert_eq!(floor.cli("quote SYM:4@26.00/4@29.00 --as carol"), "quoted    instruments: 1\n");
        assert_eq!(floor.cli("quote SYM:5@26.10/- --as carol"), "quoted    instruments: 1\n");
        let said = floor.cli("quote SYM:5@26.20/5@26.10 --as carol");
        assert!(said.contains("refused") && said.contains("QuoteCrossed"), "{said}");
        let book = floor.cli("book SYM");
        assert!(book.contains("26.10          5       1   bid") && !book.contains("29.00"), "{book}");

        let said = floor.cli("protect H200S --within 1s --fills 1 --as carol");
        assert_eq!(said, "done      the protection is set\n");
        floor.cli("order sell SYM 1 26.10");
        assert!(floor.cli("quote SYM:5@26.10/- --as carol").contains("ProtectionFrozen"));
        assert_eq!(floor.cli("protect H200S --reset --as carol"), "done      quotes are let in again\n");
        floor.cli("quote SYM:5@26.10/- --as carol");

        let said = floor.cli("admin kill --account 12");
        assert!(said.starts_with("account 12 is out: no new orders taken, canceled: 1"), "{said}");
        let said = floor.refused("order buy SYM 1 20.00 --as carol");
        assert!(said.contains("EntryDisabled"), "{said}");
        let said = floor.refused("enable --as carol");
        assert!(said.contains("NotAuthorised"), "what an operator disabled: {said}");
        floor.cli("admin enable --account 12");
        assert!(floor.cli("order buy SYM 1 20.00 --as carol").contains("accepted"));
    });
}

#[test]
fn a_price_that_moves_too_fast_halts_and_then_calls() {
    block_on(async {
        let mut floor = Floor::open().await;
        let bands = "admin bands SYM 10 60 --velocity 2 --within 60s --halt 1s --auction 60s --random 1s";
        assert!(floor.cli(bands).ends_with("trades from 10.00 to 60.00 EC/AH\n"));
        let known = floor
            .until(|change| match change {
                FeedChange::Definition { instrument } => Some(instrument),
                _ => None,
            })
            .await;
        let bands =
            floor.feed.read(|feed| feed.market(known).and_then(|market| market.bands)).expect("bands");
        assert_eq!((bands.band_high, bands.velocity_move), (cents(6_000), cents(200)));
        let said = floor.refused("order buy SYM 1 61.00 --as bob");
        assert!(said.contains("PriceOutsideBand"), "{said}");

        // The first trade is what the next ones are measured by.
        floor.cli("order sell SYM 2 29.00");
        floor.cli("order buy SYM 1 29.00 --as carol");
        floor.cli("order sell SYM 1 32.00");
        let said = floor.cli("order buy SYM 2 32.00 --as carol");
        assert!(
            said.contains("buy 1 lot at 29.00") && !said.contains("canceled"),
            "what is left rests: {said}"
        );
        floor.until_phase(Phase::Auction).await;
        let best = |side| floor.feed.best(floor.instrument, side).map(|level| (level.price, level.qty));
        assert_eq!(best(Side::Buy), Some((cents(3_200), 1)));
        assert_eq!(best(Side::Buy), best(Side::Sell), "locked, which only a halt and an auction allow");
        let called = floor.cli("instruments");
        assert!(called.contains("auction: 1 lot would trade at 32.00"), "{called}");
    });
}

#[test]
fn orders_change_link_and_end() {
    block_on(async {
        let floor = Floor::open().await;
        floor.cli("order sell SYM 8 30.00");
        assert_eq!(floor.cli("replace 1 6 29.00"), "replaced  order 1: 6 lots at 29.00\n");
        assert_eq!(floor.cli("reduce 1 2"), "replaced  order 1: 4 lots at 29.00\n");
        let said = floor.refused("replace 1 4 29.00");
        assert!(said.contains("NothingToReplace"), "{said}");
        let said = floor.refused("order buy SYM 5 29.00 --min-lots 5 --as bob");
        assert!(said.contains("MinQtyNotFillable") && said.contains("Field: min_qty"), "{said}");

        assert_eq!(floor.cli("oco buy SYM 2 20.00 40.00 --as bob").lines().count(), 2);
        let open = floor.cli("account --as bob");
        assert!(open.contains("buy 2 of 2 lots") && open.contains("waits for a trade at 40.00"), "{open}");
        let said = floor.cli("cancel --symbol SYM --to 20.00 --as bob");
        assert!(said.contains("(MassCanceled)") && said.contains("(LinkedOrder)"), "{said}");

        let said = floor.cli("order sell SYM 1 31.00 --until +1s");
        assert!(said.contains("accepted"), "{said}");
        let expired = http_json_until(floor.daemon.http, "/api/state", |state| {
            state["counters"]["resting_orders"] == 1
        });
        assert_eq!(expired["book"]["asks"], serde_json::json!([[29.0, 4, 1]]));

        let said = floor.cli("basket buy:SYM:4:29.00 --as bob");
        assert!(said.contains(&format!("leg       {}: buy 4 lots", floor.symbol)), "{said}");
        assert!(said.contains("29.00 EC/AH on average, 1 fill\n"), "{said}");
        let said = floor.refused("sweep buy SYM 2 1 29.00 --as bob");
        assert!(said.contains("UnknownInstrument") && said.contains("Field: start_minute"), "{said}");
        for line in
            ["admin list NEXT", "admin register NEXT 80", "order sell NEXT 2 30.00", "order sell SYM 2 28.00"]
        {
            floor.cli(line);
        }
        let said = floor.cli("sweep buy SYM 2 2 29.00 --as bob");
        assert_eq!(said.matches("leg       ").count(), 2, "{said}");
        assert!(said.contains("29.00 EC/AH on average, 2 fills\n"), "28.00 and 30.00: {said}");
        floor.cli("admin limits 11 --open-orders 1");
        floor.cli("order buy SYM 1 20.00 --as bob");
        let said = floor.refused("order buy SYM 1 20.00 --as bob");
        assert!(said.contains("OpenOrderCap") && said.contains("Limit 1, value 2"), "{said}");
        assert_eq!(floor.cli("dead-man 1s --as bob"), "done      the dead-man timer is set\n");
        http_json_until(floor.daemon.http, "/api/state", |state| state["counters"]["resting_orders"] == 0);
    });
}
