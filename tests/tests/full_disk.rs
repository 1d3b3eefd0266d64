//! A disk that fills up, by the journal's growth and by other people's files: orders are refused, cancels and the kill
//! switch are not, and when there is room again the exchange goes on without a restart.
//!
//! `JOULEBOOK_DISK_CYCLES` says how often.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use joulebook_client::{Client, Events, Notice, Rejection};
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{
    CancelOrder, KillSwitch, MassCancel, MassQuote, OrderAccepted, QuotePair,
};
use joulebook_testkit::{Xoshiro256pp, size};
use joulebook_tests::{
    BOB, Daemon, Disk, PATIENCE, Traders, block_on, connect, http_get, in_time, limit, run, steady_port,
    with_own_mounts,
};
use joulebook_types::{InstrumentId, Price, Side};

const CYCLES: u64 = 5;
const DISK_MIB: u32 = 64;
/// Long requests in flight, which fill a journal soon.
const QUOTES: u32 = 16;
/// On a full disk, in each cycle.
const CANCELS: u32 = 200;
/// Between attempts to reconnect.
const PAUSE: Duration = Duration::from_millis(20);

/// Snapshots of many segments each.
#[test]
fn a_full_disk_takes_cancels_and_no_orders() {
    fill_again_and_again_with("a_full_disk_takes_cancels_and_no_orders", 1);
}

/// Segments of many snapshots each, of which few fit the disk.
#[test]
fn a_disk_of_few_segments_takes_cancels_and_no_orders() {
    fill_again_and_again_with("a_disk_of_few_segments_takes_cancels_and_no_orders", 8);
}

fn fill_again_and_again_with(test: &str, segment_mib: u32) {
    with_own_mounts(test, |folder| {
        let cycles = size("JOULEBOOK_DISK_CYCLES", CYCLES);
        let disk = Disk::mount(&folder.join("disk"), DISK_MIB);
        block_on(fill_again_and_again(&disk, cycles, segment_mib));
        let data = disk.folder.join("data");
        let replay = run(&["replay", data.to_str().expect("UTF-8")]);
        let printed = String::from_utf8_lossy(&replay.stdout);
        assert!(replay.status.success() && printed.contains("balances   conserved"), "{printed}");
    });
}

/// Sessions that outlive the daemon, besides those of the traders.
struct Hands {
    alice: Client,
    carol: Client,
    operator: Client,
    /// Another one of Carol's, with what it hears.
    filler: (Client, Events),
}

impl Hands {
    async fn of(daemon: &Daemon) -> Self {
        let session = async |name, number| {
            connect(daemon, name, number, |config| config.reconnect_pause_max = PAUSE).await
        };
        Self {
            alice: session("alice", 50).await.0,
            carol: session("carol", 51).await.0,
            operator: session("operator", 901).await.0,
            filler: session("carol", 50).await,
        }
    }
}

async fn fill_again_and_again(disk: &Disk, cycles: u64, segment_mib: u32) {
    let data = disk.folder.join("data");
    std::fs::create_dir(&data).expect("a folder");
    // Steady, so that a start has no address to write down.
    let ports = ["gateway.listen", "gateway.operator_listen", "http.listen"];
    let ports = ports.map(|key| format!("{key}=127.0.0.1:{}", steady_port()));
    // Snapshots let old files go, or the journal alone would fill the disk for good.
    let segment = format!("journal.segment_mib={segment_mib}");
    let flags = [&ports[0], &ports[1], &ports[2], &segment, "journal.snapshot_commands=2000"];
    let flags = flags.map(|flag| ["--set", flag]).concat();
    let mut daemon = Daemon::start(&data, &flags);
    let mut random = Xoshiro256pp::from_seed(0xd15c);
    let mut traders = Traders::set_up(&daemon, &mut random, |it| it.reconnect_pause_max = PAUSE).await;
    let mut hands = Hands::of(&daemon).await;
    for cycle in 0..cycles {
        traders.trade_until(async |counter| counter.reaches(300).await).await;
        check(&mut traders, cycle).await;

        // To the brim at once, or so that the journal's own growth does the rest.
        disk.fill_but(if cycle % 2 == 0 { 0 } else { 2_500 });
        let grown = quote_until_read_only(&mut hands.filler).await;
        fill_until_read_only(disk, &mut hands).await;
        stop_trading(&hands).await;
        fill_until_read_only(disk, &mut hands).await;
        check(&mut traders, cycle).await;
        let open = traders.open_orders();
        assert_eq!((open["alice"], open["bob"]), (0, 0), "canceled on a full disk");

        // What was said on a full disk is as durable as all else.
        let is_killed = cycle % 2 == 1;
        if is_killed {
            daemon.kill();
            daemon = Daemon::start(&data, &flags);
            check(&mut traders, cycle).await;
            fill_until_known(disk, &daemon, &mut hands).await;
        }
        disk.make_room();
        resume(disk, &daemon, &hands, cycle).await;
        let how = if is_killed { "killed and started while full" } else { "never stopped" };
        println!("cycle {cycle}: full after {grown} long requests, {how}, resumed");
    }
    println!("{cycles} cycles, {}", traders.tally());
    traders.close().await;
    let log = daemon.stderr();
    let (status, printed) = daemon.stop();
    assert!(status.success(), "{printed}{log}");
}

async fn check(traders: &mut Traders, cycle: u64) {
    let tally = traders.check().await;
    assert_eq!((tally.lost, tally.doubled), (0, 0), "cycle {cycle}");
}

/// Fills the journal with quotes for instruments that do not exist, which is answered and journaled like all requests.
/// Gives back how many it took until the gateway refuses them.
async fn quote_until_read_only((client, events): &mut (Client, Events)) -> u64 {
    let pair = QuotePair {
        bid: Price::new(1),
        ask: Price::new(2),
        instrument: InstrumentId::new(u32::MAX),
        bid_qty: 1,
        ask_qty: 1,
        reserved: 0,
    };
    let (mut taken, mut refused) = (0_u64, 0);
    while refused == 0 {
        for _ in 0..QUOTES {
            let sent = client.submit(|client_order_id| {
                let count = MassQuote::PAIRS_MAX as u8;
                let pairs = [pair; MassQuote::PAIRS_MAX];
                MassQuote { client_order_id, count, pairs, ..MassQuote::default() }.into()
            });
            sent.expect("connected");
        }
        let mut answers = 0;
        while answers < QUOTES {
            match in_time(events.next()).await.expect("the session goes on") {
                Notice::Event { answers: Some(_), .. } => {
                    answers += 1;
                    taken += 1;
                }
                Notice::Refused(refusal) => {
                    assert_eq!(refusal.reason, RejectReason::ReadOnly.raw());
                    answers += 1;
                    refused += 1;
                }
                Notice::Event { answers: None, .. } | Notice::Disconnected(_) | Notice::Resumed { .. } => {}
                Notice::Ended(error) => panic!("{error}"),
            }
        }
        assert!(taken < 40_000, "{taken} long requests, and the disk is not full");
    }
    taken
}

/// Fills the disk until orders are refused and nothing is left to retire. A start makes room by itself: it takes away what
/// an interrupted snapshot left, and the files that a snapshot made late let go.
async fn fill_until_read_only(disk: &Disk, hands: &mut Hands) {
    for _ in 0..=DISK_MIB {
        disk.fill_but(0);
        quote_until_read_only(&mut hands.filler).await;
        match hands.carol.place(limit(InstrumentId::new(1), Side::Buy, 1, 101)).await {
            Ok(OrderAccepted { order_id, slot, .. }) => {
                let cancel = CancelOrder { order_id, slot, ..CancelOrder::default() };
                hands.carol.cancel(cancel).await.expect("canceled");
            }
            Err(error) => return assert!(is_read_only(&Some(&error)), "{error}"),
        }
    }
    panic!("{DISK_MIB} MiB were filled as often, and orders are taken");
}

/// As [`fill_until_read_only`], and `/readyz` says so, also after a start.
async fn fill_until_known(disk: &Disk, daemon: &Daemon, hands: &mut Hands) {
    let began = Instant::now();
    loop {
        fill_until_read_only(disk, hands).await;
        let ready = http_get(daemon.http, "/readyz").body;
        if ready.contains("the disk is full") {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "orders are refused, and nobody says why: {ready}");
    }
}

/// On a full disk: alice leaves by herself, bob is thrown out, and nobody comes in.
async fn stop_trading(hands: &Hands) {
    let scope = MassCancel::SCOPE_ACCOUNT;
    // Many times, as from a bot that panics: the reserve is for more than one command.
    let cancels: Vec<_> = (0..CANCELS)
        .map(|_| hands.alice.mass_cancel(MassCancel { scope, ..MassCancel::default() }))
        .collect();
    for canceled in cancels {
        canceled.await.expect("canceled");
    }
    switch(&hands.operator, KillSwitch::KILL).await;
}

async fn switch(operator: &Client, action: u8) {
    let scope = KillSwitch::SCOPE_ACCOUNT;
    let done = operator.request(|client_order_id| {
        KillSwitch { client_order_id, account: BOB, scope, action, ..KillSwitch::default() }.into()
    });
    done.await.expect("the switch is moved");
}

fn is_read_only(error: &Option<&Rejection>) -> bool {
    matches!(error, Some(Rejection::Refused(refused)) if refused.reason == RejectReason::ReadOnly.raw())
}

/// There is room: orders are taken again by the same process.
async fn resume(disk: &Disk, daemon: &Daemon, hands: &Hands, cycle: u64) {
    let asked = Instant::now();
    loop {
        match hands.carol.place(limit(InstrumentId::new(1), Side::Buy, 1, 101)).await {
            Ok(OrderAccepted { order_id, slot, .. }) => {
                let cancel = CancelOrder { order_id, slot, ..CancelOrder::default() };
                hands.carol.cancel(cancel).await.expect("canceled");
                break;
            }
            Err(error) => assert!(is_read_only(&Some(&error)), "cycle {cycle}: {error}"),
        }
        assert!(
            asked.elapsed() < PATIENCE,
            "cycle {cycle}: there is room, and orders are still refused: {}\n{}",
            disk.files(),
            daemon.stderr()
        );
    }
    switch(&hands.operator, KillSwitch::ENABLE).await;
}
