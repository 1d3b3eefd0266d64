//! Memory by what it is for: a resting order, an idle book, a million windows that come and go.
//!
//! `cargo run --release -p joulebook-benches --bin memory [-- --windows 1000000]`. Every figure is of a process of its own.
#![forbid(unsafe_code)]

use std::process::Command;

use joulebook_benches::flow::Workload;
use joulebook_benches::machine::{resident_mib, thousands};
use joulebook_benches::{Arguments, Rerun, Tables, Venue, VenuePlan, Window, record};
use joulebook_book::{Book, Order};

const WINDOWS: u32 = 1_000_000;
/// Books that are listed and never traded.
const IDLE: u32 = 99_999;
/// How often memory is looked at while windows come and go.
const LOOKS: u32 = 10;

fn main() {
    let arguments = Arguments::read(&["--row", "--windows"]);
    let windows = arguments.value("--windows", WINDOWS);
    match arguments.value("--row", String::new()).as_str() {
        "" => all(windows),
        "million orders" => orders(1_000_000),
        "ten million orders" => orders(10_000_000),
        "idle books" => idle_books(),
        "windows" => come_and_go(windows),
        other => panic!("{other}: no such row"),
    }
}

fn all(windows: u32) {
    println!("an order in its book: {} bytes", size_of::<Order>());
    println!("a book, without its orders and levels: {} bytes", size_of::<Book>());
    for row in ["million orders", "ten million orders", "idle books", "windows"] {
        let mut program = Command::new(std::env::current_exe().expect("this program"));
        let status = program.args(["--row", row, "--windows", &windows.to_string()]).status();
        assert!(status.expect("this program").success(), "{row} could not be measured");
    }
}

/// All that an engine keeps for an order: book, cold half, index, session's list, hold. The retained outcomes and events,
/// which have their own limits, are measured by an engine with few orders.
fn orders(resting: u32) {
    let mib = |resting: u32| {
        let workload = Workload { resting, ..Workload::W3 };
        let flow = workload.flow(0);
        let plan = VenuePlan::windows(1, Window::Quarter, Tables::Short);
        let recording = record(&flow, &VenuePlan { orders_max: 12_000_000, ..plan });
        drop(flow);
        let before = resident_mib();
        let rerun = Rerun::new(&recording);
        let grown = resident_mib() - before;
        (grown, rerun.engine.open_order_count())
    };
    let (few, few_orders) = mib(10_000);
    let (many, orders) = mib(resting);
    let bytes = (many - few) * (1 << 20) as f64 / (orders - few_orders) as f64;
    println!(
        "{} resting orders: {many:.0} MiB resident, {bytes:.0} bytes an order",
        thousands(orders as u64)
    );
}

fn idle_books() {
    let mib = |listed: u32| {
        let before = resident_mib();
        let plan = VenuePlan::windows(1, Window::Quarter, Tables::Short);
        let venue = Venue::open(&VenuePlan { listed, ..plan });
        (resident_mib() - before, venue)
    };
    let (few, _kept) = mib(1);
    let (many, venue) = mib(IDLE + 1);
    assert_eq!(venue.engine().instruments().count(), IDLE as usize + 1);
    println!(
        "{} idle books of a quarter hour each, with instrument, slot, capacity of 8 sellers and timers: {many:.0} MiB resident, {:.0} bytes a book",
        thousands(IDLE.into()),
        (many - few) * (1 << 20) as f64 / f64::from(IDLE)
    );
}

fn come_and_go(windows: u32) {
    let plan = VenuePlan::windows(1, Window::Quarter, Tables::Short);
    let mut venue = Venue::open(&plan);
    println!(
        "{} quarter hours listed, traded, closed, delivered and settled one by one:",
        thousands(windows.into())
    );
    for look in 1..=LOOKS {
        (windows / LOOKS * (look - 1)..windows / LOOKS * look)
            .for_each(|window| venue.trade_a_window(window));
        let (done, open) = (windows / LOOKS * look, venue.engine().instruments().count());
        println!("  after {:>9}: {:.1} MiB resident, {open} listed", thousands(done.into()), resident_mib());
    }
    venue.engine().recount().expect("credits and capacity are conserved");
}
